"""Exponentials, logarithms and roots, and the quotient that their derivatives need at 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.define import Domain, pointwise
from ..core.lowering import Pointwise, Value
from ..core.tensor import Tensor
from .logic import equal, where

POSITIVE = Domain(0.3, 3.0)


def divided(b: Any, x1: Value, x2: Value) -> Any:
    """The loop body of quotient."""
    zero = b.const(0, x1.dtype)
    both = b.bitwise("and", b.compare("==", x1, zero), b.compare("==", x2, zero))
    return b.select(both, zero, b.div(x1, x2))


@pointwise(Pointwise(divided, kinds="fc", cheap=False), domain=(None, POSITIVE))
def quotient(x1: Any, x2: Any, /) -> Any:
    """Quotient `x1 / x2`, elementwise, but 0 where both are 0.

    In a derivative such as g / (2 sqrt(x)), a cotangent that is 0 stays 0 where the function is
    steep: what `where` cuts off does not come back as nan.
    """
    if np.logical_and.reduce(x2, axis=None):  # 3 us; the safe division takes 8
        return np.true_divide(x1, x2)
    both, dtype = np.equal(x1, 0) & np.equal(x2, 0), np.result_type(x1, x2)
    return np.true_divide(x1, np.where(both, dtype.type(1), np.asarray(x2, dtype)))


quotient.defvjp(lambda g, y, x1, x2: quotient(g, x2), lambda g, y, x1, x2: -quotient(g * y, x2))


@pointwise(Pointwise(lambda b, x: b.math("exp", x), kinds="fc", cheap=False))
def exp(x: Any, /) -> Any:
    """e to the power `x`, elementwise; integers give float64. Array API: exp."""
    return np.exp(x)


exp.defvjp(lambda g, y, x: g * y)


@pointwise(Pointwise(lambda b, x: b.math("expm1", x), kinds="f", cheap=False))
def expm1(x: Any, /) -> Any:
    """exp(x) - 1, elementwise, exact to rounding also near 0. Array API: expm1."""
    y = np.expm1(x)
    return complex_expm1(np.asarray(x, y.dtype)) if y.dtype.kind == "c" else y


def complex_expm1(x: Any) -> Any:
    """exp(x) - 1 of complex numbers, with the limits that the standard names; NumPy misses some."""
    a, b = x.real, x.imag
    y = np.empty_like(x)
    y.real = np.expm1(a) * np.cos(b) - 2 * np.square(np.sin(b / 2))
    y.imag = np.exp(a) * np.sin(b)
    real_line, endless = b == 0, ~np.isfinite(b)
    np.copyto(y.real, np.expm1(a) + 0, where=real_line)  # + 0: no negative zero
    np.copyto(y.imag, b, where=real_line)
    np.copyto(y.real, -1, where=a == -np.inf)
    np.copyto(y.imag, 0, where=(a == -np.inf) & endless)
    np.copyto(y.real, np.inf, where=(a == np.inf) & endless)
    return y[()]


expm1.defvjp(lambda g, y, x: g * (y + 1))


@pointwise(Pointwise(lambda b, x: b.math("log", x), kinds="fc", cheap=False), domain=(POSITIVE,))
def log(x: Any, /) -> Any:
    """Natural logarithm, elementwise; nan below 0 unless complex. Array API: log."""
    return np.log(x)


log.defvjp(lambda g, y, x: quotient(g, x))


@pointwise(
    Pointwise(lambda b, x: b.math("log1p", x), kinds="f", cheap=False),
    domain=(Domain(-0.7, 3.0),),
)
def log1p(x: Any, /) -> Any:
    """log(1 + x), elementwise, exact to rounding also near 0. Array API: log1p."""
    return np.log1p(x)


log1p.defvjp(lambda g, y, x: quotient(g, 1 + x))


@pointwise(Pointwise(lambda b, x: b.math("log2", x), kinds="f", cheap=False), domain=(POSITIVE,))
def log2(x: Any, /) -> Any:
    """Logarithm to base 2, elementwise. Array API: log2."""
    return np.log2(x)


log2.defvjp(lambda g, y, x: quotient(g * (1 / math.log(2)), x))


@pointwise(Pointwise(lambda b, x: b.math("log10", x), kinds="f", cheap=False), domain=(POSITIVE,))
def log10(x: Any, /) -> Any:
    """Logarithm to base 10, elementwise. Array API: log10."""
    return np.log10(x)


log10.defvjp(lambda g, y, x: quotient(g * (1 / math.log(10)), x))


def logaddexp_body(b: Any, x1: Value, x2: Value) -> Any:
    """The larger, and log1p of what the smaller adds to it; equal infinities differ by 0."""
    zero = b.const(0, x1.dtype)
    gap = b.select(b.compare("==", x1, x2), zero, b.math("abs", b.sub(x1, x2)))
    rest = b.math("log1p", b.math("exp", b.neg(gap)))
    return b.add(b.math("maximum", x1, x2), rest)


@pointwise(Pointwise(logaddexp_body, kinds="f", cheap=False))
def logaddexp(x1: Any, x2: Any, /) -> Any:
    """log(exp(x1) + exp(x2)), elementwise, without overflow. Array API: logaddexp."""
    return np.logaddexp(x1, x2)


def share(g: Tensor, y: Tensor, x: Any) -> Any:
    """The part exp(x - y) of `g` that belongs to the term `x`; 1 where both are infinite."""
    return g * exp(where(equal(x, y), 0, x - y))


logaddexp.defvjp(
    lambda g, y, x1, x2: share(g, y, x1),
    lambda g, y, x1, x2: share(g, y, x2),
)


# roots


@pointwise(Pointwise(lambda b, x: b.math("sqrt", x), kinds="fc", cheap=False), domain=(POSITIVE,))
def sqrt(x: Any, /) -> Any:
    """Square root, elementwise; nan below 0 unless complex.

    The derivative at 0 is inf, or 0 where the cotangent is 0. Array API: sqrt.
    """
    return np.sqrt(x)


sqrt.defvjp(lambda g, y, x: quotient(g, 2 * y))


@pointwise(
    Pointwise(lambda b, x: b.div(b.const(1, x.dtype), b.math("sqrt", x)), kinds="f", cheap=False),
    domain=(POSITIVE,),
)
def rsqrt(x: Any, /) -> Any:
    """1 / sqrt(x), elementwise; floating."""
    return np.true_divide(1, np.sqrt(x))


rsqrt.defvjp(lambda g, y, x: -0.5 * g * y / x)


def hypotenuse(b: Any, x1: Value, x2: Value) -> Any:
    """The loop body of hypot: the longer side, times a root of at most 2; infinite if a side is."""
    zero, one, inf = [b.const(number, x1.dtype) for number in (0, 1, math.inf)]
    side1, side2 = b.math("abs", x1), b.math("abs", x2)
    longer, shorter = b.math("maximum", side1, side2), b.math("minimum", side1, side2)
    ratio = b.div(shorter, b.select(b.compare("==", longer, zero), one, longer))
    length = b.mul(longer, b.math("sqrt", b.add(one, b.mul(ratio, ratio))))
    endless = b.bitwise("or", b.compare("==", side1, inf), b.compare("==", side2, inf))
    return b.select(endless, inf, length)


@pointwise(Pointwise(hypotenuse, kinds="f", cheap=False), domain=(POSITIVE, POSITIVE))
def hypot(x1: Any, x2: Any, /) -> Any:
    """sqrt(x1² + x2²), elementwise, without overflow; real.

    The derivative at (0, 0) is 0. Array API: hypot.
    """
    return np.hypot(x1, x2)


hypot.defvjp(
    lambda g, y, x1, x2: g * quotient(x1, y),
    lambda g, y, x1, x2: g * quotient(x2, y),
)
