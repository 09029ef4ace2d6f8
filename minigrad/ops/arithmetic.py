"""Arithmetic, rounding, and the parts of complex numbers."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

from ..core.define import Domain, composite, pointwise
from ..core.lowering import Pointwise, Value
from ..core.registry import api
from ..core.tensor import Tensor, is_number
from ..errors import SpecError

NONZERO = Domain(0.3, 3.0)


@pointwise(lambda b, x1, x2: b.add(x1, x2))
def add(x1: Any, x2: Any, /) -> Any:
    """Sum `x1 + x2`, elementwise; for bool, logical or.

    x1, x2: numeric; they broadcast and promote. Array API: add.
    """
    return np.add(x1, x2)


add.defvjp(lambda g, y, x1, x2: g, lambda g, y, x1, x2: g)


@pointwise(Pointwise(lambda b, x1, x2: b.sub(x1, x2), kinds="fiuc"))
def subtract(x1: Any, x2: Any, /) -> Any:
    """Difference `x1 - x2`, elementwise. x1, x2: numeric, not bool. Array API: subtract."""
    return np.subtract(x1, x2)


subtract.defvjp(lambda g, y, x1, x2: g, lambda g, y, x1, x2: -g)


@pointwise(lambda b, x1, x2: b.mul(x1, x2))
def multiply(x1: Any, x2: Any, /) -> Any:
    """Product `x1 * x2`, elementwise; for bool, logical and.

    x1, x2: numeric; they broadcast and promote. Array API: multiply.
    """
    return np.multiply(x1, x2)


multiply.defvjp(lambda g, y, x1, x2: g * x2, lambda g, y, x1, x2: g * x1)


@pointwise(
    Pointwise(lambda b, x1, x2: b.div(x1, x2), kinds="fc", cheap=False), domain=(None, NONZERO)
)
def divide(x1: Any, x2: Any, /) -> Any:
    """Quotient `x1 / x2`, elementwise; integers give float64. Array API: divide."""
    return np.true_divide(x1, x2)


divide.defvjp(lambda g, y, x1, x2: g / x2, lambda g, y, x1, x2: -g * y / x2)


def whole(name: str) -> Pointwise:
    """The loop body of a division that gives whole numbers, or what they leave."""
    return Pointwise(lambda b, x1, x2: b.math(name, x1, x2), kinds="fiu", cheap=False)


@pointwise(whole("floor_divide"), domain=(None, NONZERO))
def floor_divide(x1: Any, x2: Any, /) -> Any:
    """Quotient rounded towards minus infinity, elementwise.

    Where an operand is infinite, the floor of `x1 / x2`; NumPy has nan or -1 there, so as to fit
    the remainder. Array API: floor_divide.
    """
    if not (has_infinity(x1) or has_infinity(x2)):
        return np.floor_divide(x1, x2)
    with np.errstate(invalid="ignore"):
        y, quotient = np.floor_divide(x1, x2), np.true_divide(x1, x2)
    return np.where(np.isinf(x1) | np.isinf(x2), np.floor(quotient), y)[()]


def has_infinity(x: Any) -> bool:
    """Whether an element of the array or number `x` is infinite."""
    if type(x) is float:
        return math.isinf(x)
    # searched as bytes, in half the time of np.any
    return np.asarray(x).dtype.kind == "f" and b"\1" in np.isinf(x).tobytes()


floor_divide.no_gradient("piecewise constant")


@pointwise(whole("remainder"), domain=(None, NONZERO))
def remainder(x1: Any, x2: Any, /) -> Any:
    """Remainder of `x1 / x2` with the sign of `x2`, elementwise. Array API: remainder."""
    return np.remainder(x1, x2)


remainder.defvjp(lambda g, y, x1, x2: g, lambda g, y, x1, x2: -g * floor_divide(x1, x2))


@pointwise(Pointwise(lambda b, x: b.neg(x), kinds="fiuc"))
def negative(x: Any, /) -> Any:
    """Negative `-x`, elementwise; numeric, not bool. Array API: negative."""
    return np.negative(x)


negative.defvjp(lambda g, y, x: -g)


@pointwise(lambda b, x: x)
def positive(x: Any, /) -> Any:
    """`x` itself, elementwise; numeric, not bool. Array API: positive."""
    return np.positive(x)


positive.defvjp(lambda g, y, x: g)


@pointwise(lambda b, x: b.mul(x, x))
def square(x: Any, /) -> Any:
    """Square `x * x`, elementwise. Array API: square."""
    return np.square(x)


square.defvjp(lambda g, y, x: g * (2 * x))


def inverted(b: Any, x: Value) -> Any:
    """The loop body of reciprocal: of complex 0 it is nan, where 1 / 0 is infinite."""
    return b.math("reciprocal", x) if x.dtype.kind == "c" else b.div(b.const(1, x.dtype), x)


@pointwise(Pointwise(inverted, kinds="fc", cheap=False), domain=(NONZERO,))
def reciprocal(x: Any, /) -> Any:
    """Reciprocal `1 / x`, elementwise; floating. Array API: reciprocal."""
    return np.reciprocal(x)


reciprocal.defvjp(lambda g, y, x: -g * y * y)


@pointwise(
    Pointwise(lambda b, x1, x2: b.math("pow", x1, x2), kinds="f", cheap=False),
    domain=(Domain(0.3, 3.0), Domain(-2.0, 2.0)),
)
def power(x1: Any, x2: Any, /) -> Any:
    """`x1` to the power `x2`, elementwise; the op behind `pow`."""
    try:
        return np.power(x1, x2)
    except ValueError as error:  # where shapes are the reason, infer says so
        raise SpecError(
            f"pow: {str(error).rstrip('.')}, for the result would not be an integer; cast first, "
            "as in mg.astype(x1, mg.float32) ** x2"
        ) from None


def power_vjp_base(g: Tensor, y: Tensor, x1: Any, x2: Any) -> Any:
    """x2 x1^(x2-1), which is 0 and not nan where x1 and x2 are 0."""
    if is_number(x2):
        return g * (x2 * pow(x1, x2 - 1)) if x2 != 0 else g * api.zeros_like(x1)
    # the exponent stays as it is: this is differentiated by it again
    both = api.logical_and(api.equal(x1, 0), api.equal(x2, 0))
    return g * (x2 * pow(api.where(both, 1, x1), x2 - 1))


def power_vjp_exponent(g: Tensor, y: Tensor, x1: Any, x2: Any) -> Any:
    """x1^x2 log x1, which is 0 where x1 is 0."""
    if is_number(x1):  # its logarithm is a number as well: a tensor of it would be float32
        return g * (y * (0.0 if x1 == 0 else number_log(x1, y)))
    base = api.where(api.equal(x1, 0), 1, x1)
    return g * (y * api.log(base))


def number_log(x: Any, y: Tensor) -> Any:
    """The logarithm of the Python number `x`, in the numbers that `y` is of: nan, or complex."""
    if y.dtype.kind == "c":
        return cmath.log(x)
    return math.log(x) if x > 0 else math.nan


power.defvjp(power_vjp_base, power_vjp_exponent)


@pointwise(Pointwise(lambda b, x: b.math("exp2", x), kinds="f", cheap=False), public=False)
def power_of_two(x: Any, /) -> Any:
    """2 to the power `x`, elementwise; floating."""
    return np.exp2(x)


power_of_two.defvjp(lambda g, y, x: g * (y * math.log(2)))


@composite
def pow(x1: Any, x2: Any, /) -> Any:
    """`x1` to the power `x2`, elementwise.

    x1, x2: numeric; they broadcast and promote. Integers stay integers, and refuse negative
    exponents. Derivatives at 0 are the one-sided limits where those are finite. Array API: pow.
    """
    if is_number(x2) and x2 == 2 and not is_number(x1) and not isinstance(x2, complex):
        # np.power takes 20 times as long
        return square(x1) if type(x2) is int or api.is_inexact(x1) else power(x1, x2)
    if type(x2) is int and 2 < x2 <= 16 and isinstance(x1, Tensor) and x1.dtype.kind in "iuc":
        return whole_power(x1, x2)
    if is_number(x1) and x1 == 2 and isinstance(x2, Tensor) and x2.dtype.kind == "f":
        return power_of_two(x2)  # half of the work
    return power(x1, x2)


def whole_power(x: Any, n: int) -> Any:
    """`x` to the power of n > 0 by products, which are exact for integers, and may wrap."""
    if n == 1:
        return x
    y = square(whole_power(x, n // 2))
    return y * x if n % 2 else y


def as_they_are(inputs: Any, output: Any) -> Any:
    """Operands are not cast to the dtype of the result."""
    return inputs


@pointwise(
    Pointwise(lambda b, x: b.math("abs", x), operands=as_they_are),
    holomorphic=False,
    domain=(Domain(kinks=(0.0,)),),
)
def abs(x: Any, /) -> Any:
    """Absolute value, elementwise; of complex numbers, real. Derivative at 0: 0. Array API: abs."""
    return np.abs(x)


@pointwise(
    Pointwise(lambda b, x: b.math("sign", x), kinds="fiuc"),
    holomorphic=False,
    domain=(Domain(kinks=(0.0,)),),
)
def sign(x: Any, /) -> Any:
    """-1, 0 or 1 by the sign of `x`, elementwise; `x / |x|` for complex. Array API: sign."""
    return np.sign(x)


abs.defvjp(lambda g, y, x: g * sign(x))


def sign_vjp(g: Tensor, y: Tensor, x: Tensor) -> Any:
    """Zero for real x; for complex x, the part of g along the circle, divided by |x|."""
    if x.dtype.kind != "c":
        return g * api.zeros_like(x)
    size = abs(x)
    size = api.where(api.equal(size, 0), 1, size)
    along = 1j * y
    return along * (real(g * conj(along)) / size)


sign.defvjp(sign_vjp)
sign.op.flat = "piecewise constant"


# rounding


@pointwise(lambda b, x: x if x.dtype.kind in "iub" else b.math("floor", x))
def floor(x: Any, /) -> Any:
    """Largest whole number not above `x`, elementwise. Array API: floor."""
    return np.floor(x)


@pointwise(lambda b, x: x if x.dtype.kind in "iub" else b.math("ceil", x))
def ceil(x: Any, /) -> Any:
    """Smallest whole number not below `x`, elementwise. Array API: ceil."""
    return np.ceil(x)


@pointwise(lambda b, x: x if x.dtype.kind in "iub" else b.math("trunc", x))
def trunc(x: Any, /) -> Any:
    """`x` without its fraction, elementwise. Array API: trunc."""
    return np.trunc(x)


@pointwise(Pointwise(lambda b, x: x if x.dtype.kind in "iu" else b.math("round", x), kinds="fiu"))
def round(x: Any, /) -> Any:
    """Nearest whole number, halves to even, elementwise. Array API: round."""
    # np.positive, not x itself: of a Python number it gives one of NumPy, which gets our default
    return np.positive(x) if np.asarray(x).dtype.kind in "iu" else np.round(x)


for _op in (floor, ceil, trunc, round):
    _op.no_gradient("piecewise constant")


# parts of complex numbers


def part_of(b: Any, x: Value, number: int) -> Any:
    """The loop body of real and imag."""
    if x.dtype.kind == "c":
        return b.parts(x)[number]
    return b.const(0, x.dtype) if number else x


@pointwise(
    Pointwise(lambda b, x: part_of(b, x, 0), operands=as_they_are),
    holomorphic=False,
    linear="jointly",
)
def real(x: Any, /) -> Any:
    """Real part, elementwise; `x` itself where it is real. Array API: real."""
    return np.real(x)


real.defvjp(lambda g, y, x: g)


@pointwise(
    Pointwise(lambda b, x: part_of(b, x, 1), operands=as_they_are),
    holomorphic=False,
    linear="jointly",
)
def imag(x: Any, /) -> Any:
    """Imaginary part, elementwise; 0 where `x` is real. Array API: imag."""
    return np.imag(x)


imag.defvjp(lambda g, y, x: 1j * g)


def conjugated(b: Any, x: Value) -> Any:
    """The loop body of conj."""
    if x.dtype.kind != "c":
        return x
    re, im = b.parts(x)
    return b.pair(re, b.neg(im))


@pointwise(conjugated, holomorphic=False, linear="jointly")
def conj(x: Any, /) -> Any:
    """Complex conjugate, elementwise; `x` itself where it is real. Array API: conj."""
    return np.conj(x)


conj.defvjp(lambda g, y, x: conj(g))
