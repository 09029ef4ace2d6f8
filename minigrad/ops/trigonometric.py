"""Circular and hyperbolic functions, and their inverses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.define import Domain, pointwise
from ..core.lowering import Pointwise
from .exponential import POSITIVE, quotient, sqrt

INSIDE = Domain(-0.8, 0.8)  # of the interval from -1 to 1


def loop(name: str) -> Pointwise:
    """The loop body of a function that the emitter knows by its own name."""
    return Pointwise(lambda b, *xs: b.math(name, *xs), kinds="fc", cheap=False)


@pointwise(loop("sin"))
def sin(x: Any, /) -> Any:
    """Sine of `x` in radians, elementwise. Array API: sin."""
    return np.sin(x)


@pointwise(loop("cos"))
def cos(x: Any, /) -> Any:
    """Cosine of `x` in radians, elementwise. Array API: cos."""
    return np.cos(x)


@pointwise(loop("tan"), domain=(Domain(-1.3, 1.3),))
def tan(x: Any, /) -> Any:
    """Tangent of `x` in radians, elementwise. Array API: tan."""
    return np.tan(x)


sin.defvjp(lambda g, y, x: g * cos(x))
cos.defvjp(lambda g, y, x: -g * sin(x))
tan.defvjp(lambda g, y, x: g * (1 + y * y))


@pointwise(loop("asin"), domain=(INSIDE,))
def asin(x: Any, /) -> Any:
    """Angle in radians, from -π/2 to π/2, whose sine is `x`, elementwise. Array API: asin."""
    return np.arcsin(x)


@pointwise(loop("acos"), domain=(INSIDE,))
def acos(x: Any, /) -> Any:
    """Angle in radians, from 0 to π, whose cosine is `x`, elementwise. Array API: acos."""
    return np.arccos(x)


@pointwise(loop("atan"))
def atan(x: Any, /) -> Any:
    """Angle in radians, from -π/2 to π/2, whose tangent is `x`, elementwise. Array API: atan."""
    return np.arctan(x)


@pointwise(loop("atan2"), domain=(POSITIVE, POSITIVE))
def atan2(x1: Any, x2: Any, /) -> Any:
    """Angle in radians, from -π to π, of the point with ordinate `x1` and abscissa `x2`.

    Elementwise; real. The derivative at (0, 0) is 0 where the cotangent is. Array API: atan2.
    """
    return np.arctan2(x1, x2)


# (1 - x)(1 + x) and not 1 - x²: it keeps its digits where x is near 1
asin.defvjp(lambda g, y, x: quotient(g, sqrt((1 - x) * (1 + x))))
acos.defvjp(lambda g, y, x: -quotient(g, sqrt((1 - x) * (1 + x))))
atan.defvjp(lambda g, y, x: g / (1 + x * x))
atan2.defvjp(
    lambda g, y, x1, x2: quotient(g * x2, x1 * x1 + x2 * x2),
    lambda g, y, x1, x2: -quotient(g * x1, x1 * x1 + x2 * x2),
)


@pointwise(loop("sinh"))
def sinh(x: Any, /) -> Any:
    """Hyperbolic sine of `x`, elementwise. Array API: sinh."""
    return np.sinh(x)


@pointwise(loop("cosh"))
def cosh(x: Any, /) -> Any:
    """Hyperbolic cosine of `x`, elementwise. Array API: cosh."""
    return np.cosh(x)


@pointwise(loop("tanh"))
def tanh(x: Any, /) -> Any:
    """Hyperbolic tangent of `x`, elementwise. Array API: tanh."""
    y = np.tanh(x)
    if y.dtype.kind == "c":
        # the zero that is left of the imaginary part has its sign; in C, that of its double's sine
        flat = np.isinf(np.real(x)) & np.isfinite(np.imag(x))
        if flat.any():
            y = np.array(y)
            np.copyto(y.imag, np.copysign(0, np.imag(x)), where=flat)
            return y[()]
    return y


sinh.defvjp(lambda g, y, x: g * cosh(x))
cosh.defvjp(lambda g, y, x: g * sinh(x))
tanh.defvjp(lambda g, y, x: g * (1 - y * y))


@pointwise(loop("asinh"))
def asinh(x: Any, /) -> Any:
    """Number whose hyperbolic sine is `x`, elementwise. Array API: asinh."""
    return np.arcsinh(x)


@pointwise(loop("acosh"), domain=(Domain(1.3, 4.0),))
def acosh(x: Any, /) -> Any:
    """Number, not below 0, whose hyperbolic cosine is `x`, elementwise. Array API: acosh."""
    return np.arccosh(x)


@pointwise(loop("atanh"), domain=(INSIDE,))
def atanh(x: Any, /) -> Any:
    """Number whose hyperbolic tangent is `x`, elementwise. Array API: atanh."""
    return np.arctanh(x)


asinh.defvjp(lambda g, y, x: g / sqrt(1 + x * x))
# two roots and not one: right for complex x too, where the root of the product may change sign
acosh.defvjp(lambda g, y, x: quotient(g, sqrt(x - 1) * sqrt(x + 1)))
atanh.defvjp(lambda g, y, x: quotient(g, (1 - x) * (1 + x)))
