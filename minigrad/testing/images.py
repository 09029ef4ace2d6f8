"""Inputs for ops on images, and for ops that draw random numbers."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.define import Domain
from ..core.registry import OPS
from .applications import Array
from .draws import FLOATS, Drawn, Pen, Shape


def image_inputs(pen: Pen) -> tuple[Array, Array, Array, dict[str, Any]]:
    """Images, filters, their convolution, and the attributes of it."""
    dims = [pen.count(1, 2), pen.count(3, 5), pen.count(3, 4), pen.count(1, 2)]
    x = pen.array(tuple(dims))
    w = pen.array((pen.count(1, 3), pen.count(1, 3), dims[3], pen.count(1, 2)), x.dtype)
    strides = (pen.count(1, 2), pen.count(1, 2))
    attrs = {"strides": strides, "padding": pen.of("VALID", "SAME")}
    return x, w, pen.array(OPS["convolution"].infer(x, w, **attrs).shape, x.dtype), attrs


def polygamma_inputs(pen: Pen) -> Drawn:
    return (pen.array(pen.shape(), None, Domain(0.3, 3.0)),), {"n": pen.count(1, 3)}


def image_row(order: str, *, finite: bool = False) -> Any:
    """A row for convolution and its adjoints: which of x, w, g are the inputs.

    finite: without infinities and NaN, which make more of NaN where they meet zeros of a padding.
    """

    def row(pen: Pen) -> Drawn:
        x, w, g, attrs = image_inputs(pen)
        found = {"x": x, "w": w, "g": g}
        if finite:
            found = {name: np.where(np.isfinite(a), a, 0) for name, a in found.items()}
        return tuple([found[name] for name in order]), attrs

    return row


def windows_inputs(pen: Pen) -> Drawn:
    x = pen.array((pen.count(1, 2), pen.count(2, 5), pen.count(2, 4), pen.count(1, 2)))
    size, strides = [(pen.count(1, 2), pen.count(1, 3)) for _ in range(2)]
    return (x,), {"size": (size[0], min(size[1], 2)), "strides": strides}


def windows_added_inputs(pen: Pen) -> Drawn:
    (x,), attrs = windows_inputs(pen)
    return (pen.array(OPS["windows_of"].kernel(x, **attrs).shape, x.dtype), x), attrs


# random numbers


def random(dtypes: Sequence[Any], shape: Callable[[Pen], Shape] = Pen.shape, **attrs: Any) -> Any:
    """A row for ops that draw from a state."""

    def row(pen: Pen) -> Drawn:
        drawn = {"shape": shape(pen), "dtype": np.dtype(pen.of(*dtypes))}
        return (random_state(pen),), {**drawn, **{name: draw(pen) for name, draw in attrs.items()}}

    return row


def random_words(count: int) -> Any:
    """A row for ops of words of all sizes, in `count` arrays."""

    def row(pen: Pen) -> Drawn:
        dtype, shape = np.dtype(pen.of(np.uint32, np.uint64)), pen.shape()
        size, most = math.prod(shape), np.iinfo(dtype).max
        drawn = [[pen.count(0, most) for _ in range(size)] for _ in range(count)]
        return tuple([np.array(numbers, dtype).reshape(shape) for numbers in drawn]), {}

    return row


def point_inputs(pen: Pen) -> Drawn:
    """A radius, words, and quarters of a turn."""
    (words, quarters), _ = random_words(2)(pen)
    radius = np.dtype(f"f{words.dtype.itemsize}").type(pen.count(0, 6))
    return (np.full(words.shape, radius), words, quarters), {}


def random_state(pen: Pen) -> Array:
    """A state: two words of a key, and the number of the draw."""
    return np.array([pen.count(0, 2**64 - 1) for _ in range(3)], np.uint64)


def random_like_inputs(pen: Pen) -> Drawn:
    return (random_state(pen), pen.array(pen.shape())), {"dtype": np.dtype(pen.of(*FLOATS))}
