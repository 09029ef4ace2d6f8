"""Derivatives without derivative rules: by differences, and by steps into the complex plane."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..neighbours.protocols import array_namespace
from .applications import Application, Array, is_inexact

mg = array_namespace()
STEPS = (1e-4, 1e-5, 1e-3, 1e-6)
# of the sweep, largest first; where float32 computes, smaller ones see only rounding
SWEEP = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)
SWEEP_NARROW = (1e-1, 5e-2, 2e-2, 1e-2)


def outputs_of(application: Application, inputs: Sequence[Any]) -> list[Array]:
    """The outputs that can have a derivative, as arrays, for arrays as inputs."""
    tensors = [mg.constant(x) if isinstance(x, np.ndarray) else x for x in inputs]
    return [y.numpy() for y in application(*tensors) if is_inexact(y)]


def randoms(like: Sequence[Any], seed: int) -> list[Array]:
    """Standard normal numbers, in the shapes and dtypes of `like`."""
    rng = np.random.default_rng(seed)
    found = []
    for x in like:
        values = rng.normal(size=x.shape)
        if x.dtype.kind == "c":
            values = values + 1j * rng.normal(size=x.shape)
        found.append(values.astype(x.dtype))
    return found


def inner(xs: Sequence[Any], ys: Sequence[Any]) -> float:
    """The real inner product of two lists of arrays; None counts as 0."""
    pairs = zip(xs, ys, strict=True)
    products = [np.real(np.conj(x) * y) for x, y in pairs if x is not None and y is not None]
    return math.fsum(float(np.sum(product)) for product in products)


def pulled_back(
    application: Application, inputs: Sequence[Any], gs: Sequence[Any], places: Sequence[int]
) -> list[Any]:
    """The cotangents, as arrays or None, of the inputs at `places`, by the tape."""
    tensors = [mg.constant(x) if isinstance(x, np.ndarray) else x for x in inputs]
    sources = [tensors[i] for i in places]
    with mg.GradientTape() as tape:
        tape.watch(sources)
        ys = [y for y in application(*tensors) if is_inexact(y)]
    bars = tape.gradient(ys, sources, list(map(mg.constant, gs)))
    return [None if bar is None else bar.numpy() for bar in bars]


def moved(
    inputs: Sequence[Any], places: Sequence[int], directions: Sequence[Any], step: Any
) -> list[Any]:
    """`inputs`, those at `places` moved by `step` along `directions`."""
    found = list(inputs)
    for i, direction in zip(places, directions, strict=True):
        found[i] = np.asarray(inputs[i] + step * direction)
    return found


class Slope(NamedTuple):
    """A slope by differences: its value, the step that gave it, and how well it is known.

    left, right: the slopes close before and behind the point.
    """

    value: float
    step: float
    error: float
    left: float
    right: float

    @property
    def error_relative(self) -> float:
        """The error, relative to the larger of 1 and the slope; at a kink nothing is known."""
        return 0.0 if self.kink else min(1e-3, self.error / max(1.0, abs(self.value)))

    @property
    def kink(self) -> bool:
        """Whether the function jumps or bends sharply at the point."""
        scale = 1 + min(abs(self.left), abs(self.right))
        return not abs(self.left - self.right) <= 1e-2 * scale


def extrapolated(f: Callable[[float], float], step: float) -> float:
    """The central difference at a step, by Richardson: the error falls with its fourth power."""
    coarse = (f(2 * step) - f(-2 * step)) / (4 * step)
    fine = (f(step) - f(-step)) / (2 * step)
    return (4 * fine - coarse) / 3


def best_slope(f: Callable[[float], float], size: float, *, narrow: bool) -> Slope:
    """The slope of `f` at 0 by the step of a sweep whose neighbours agree best with it.

    size: of what is moved. narrow: `f` computes in float32, so steps are larger.
    """
    steps = [size * step for step in (SWEEP_NARROW if narrow else SWEEP)]
    found = [extrapolated(f, step) for step in steps]
    apart = [abs(a - b) for a, b in itertools.pairwise(found)]
    best = min(range(len(apart)), key=lambda i: apart[i] if math.isfinite(apart[i]) else math.inf)
    here, near = f(0.0), size * (1e-2 if narrow else 1e-6)
    left, right = (here - f(-near)) / near, (f(near) - here) / near
    return Slope(found[best], steps[best], apart[best], left, right)


def is_slope(f: Callable[[float], float], found: float, tolerance: float = 1e-6) -> bool | None:
    """Whether `found` is the derivative of `f` at 0, by one of several central differences.

    None where `f` has no derivative: where it jumps or has a kink.
    """
    ahead, here, behind = f(1e-7), f(0.0), f(-1e-7)
    if not math.isfinite(here):
        return None
    left, right = (here - behind) / 1e-7, (ahead - here) / 1e-7
    if not abs(left - right) < 1e-2 * (1 + abs(left) + abs(here)):
        return None
    for step in STEPS:
        slope = extrapolated(f, step)
        if abs(slope - found) <= tolerance * (1 + abs(slope) + abs(here)):
            return True
    return False
