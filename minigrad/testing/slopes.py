"""Derivatives without derivative rules: by differences, and by steps into the complex plane."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.later import namespace
from .applications import Application, is_inexact

mg = namespace()
Array = np.ndarray[Any, Any]
STEPS = (1e-4, 1e-5, 1e-3, 1e-6)


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
        # Richardson's extrapolation: the error falls with the fourth power of the step
        coarse = (f(2 * step) - f(-2 * step)) / (4 * step)
        fine = (f(step) - f(-step)) / (2 * step)
        slope = (4 * fine - coarse) / 3
        if abs(slope - found) <= tolerance * (1 + abs(slope) + abs(here)):
            return True
    return False
