"""One program in every mode: eager, traced, traced with less known, compiled, by NumPy's groups."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.spec import Spec
from ..neighbours.protocols import array_namespace
from .applications import Application, is_inexact

mg = array_namespace()
Outputs = list[Any]
# relative to the largest element: what vector math and contracted products may differ by
TOLERANCE = {"e": 2e-3, "f": 2e-5, "d": 1e-11, "F": 2e-5, "D": 1e-11}


class Program:
    """An application as a function of its tensors, and that function with its derivative."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.places = [i for i, x in enumerate(application.inputs) if isinstance(x, np.ndarray)]
        self.tensors = [mg.constant(application.inputs[i]) for i in self.places]

    @property
    def specs(self) -> list[Spec]:
        """Of the tensors."""
        return [x.spec for x in self.tensors]

    def forward(self, *tensors: Any) -> Outputs:
        """The outputs."""
        inputs = list(self.application.inputs)
        for i, x in zip(self.places, tensors, strict=True):
            inputs[i] = x
        return list(self.application(*inputs))

    def gradient(self, *tensors: Any) -> Outputs:
        """The outputs, and the cotangents of the inputs for those of the outputs: cos(y).

        Where no path leads to an input there is none.
        """
        return with_gradient(self.forward, *tensors)


def with_gradient(f: Callable[..., Outputs], *tensors: Any) -> Outputs:
    """The outputs of `f`, and the gradient of the sum of their sines."""
    sources = [x for x in tensors if is_inexact(x)]
    with mg.GradientTape() as tape:
        tape.watch(sources)
        ys = f(*tensors)
        targets = [mg.sin(y) for y in ys if is_inexact(y)]
    return [*ys, *[bar for bar in tape.gradient(targets, sources) if bar is not None]]


def arrays(outputs: Sequence[Any]) -> list[Any]:
    """What tensors hold."""
    return [y.numpy() for y in outputs]


def assert_same(found: Sequence[Any], expected: Sequence[Any]) -> None:
    """Equal to the bit; nan is nan."""
    assert len(found) == len(expected)
    for y, z in zip(arrays(found), arrays(expected), strict=True):
        assert (y.shape, y.dtype) == (z.shape, z.dtype)
        np.testing.assert_array_equal(y, z)
        if y.dtype.kind == "f":
            there = ~np.isnan(z)
            np.testing.assert_array_equal(np.signbit(y[there]), np.signbit(z[there]))


def assert_close(found: Sequence[Any], expected: Sequence[Any], times: float = 1.0) -> None:
    """Equal but for rounding, which may differ by `times` what one op may."""
    assert len(found) == len(expected)
    for y, z in zip(arrays(found), arrays(expected), strict=True):
        assert (y.shape, y.dtype) == (z.shape, z.dtype)
        if z.dtype.kind not in "fc":
            np.testing.assert_array_equal(y, z)
            continue
        tolerance = TOLERANCE[z.dtype.char] * times
        finite = np.abs(z[np.isfinite(z)])
        # of a program, whose terms may cancel, the results are as exact as its terms, some 1 each
        scale = float(np.max(finite, initial=0.0 if times == 1.0 else 1.0))
        np.testing.assert_allclose(y, z, rtol=tolerance, atol=tolerance * min(scale, 1e3))
