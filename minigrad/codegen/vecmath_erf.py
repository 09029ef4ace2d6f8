"""The error function, its complement, scaled and not, and its inverse, on vectors of floats."""

from __future__ import annotations

import math
from collections.abc import Callable

from .arithmetic import FLOAT32, FLOAT64
from .terms import Term, branched, fma, nearly_divided, polynomial, sqrt, where
from .vecmath_exp import exp_of_negative, exp_of_sum
from .vecmath_log import log, log_of_wide, upper_half


def erf(x: Term) -> Term:
    """2/sqrt(pi) times the integral of exp(-t²) from 0 to x."""
    a = abs(x)
    z = x * x
    small = fma(polynomial(z, "erf"), a, a)
    if x.value.dtype == FLOAT32:
        t = a.at_most(4.0)
        large = 1.0 - exp_of_negative(polynomial(t, "erf_tail") * t - t, "short")
        return where(a < 0.921875, small, large).signed_as(x)
    t = a.at_most(6.0)
    inverse = 1.0 / (t + 2.0)
    scaled = polynomial((t - 2.0) * inverse, "erf_tail") * inverse
    large = 1.0 - exp_of_negative(-(t * t)) * scaled
    return where(a < 1.0, small, large).signed_as(x)


def erfc(x: Term) -> Term:
    """1 - erf(x), also where that is small."""
    if x.value.dtype == FLOAT32:
        # in float64, rounding the square does no harm
        tail = short_tail(abs(x).at_least(0.5).at_most(10.2).to(FLOAT64)).to(FLOAT32)
    else:
        t = abs(x).at_least(0.5).at_most(28.0)
        tail = exp_of_square(t, -1) * scaled_tail(t)
    near = fma(polynomial(x * x, "erf"), x, x)
    return where(abs(x) < 0.5, 1.0 - near, where(x < 0.0, 2.0 - tail, tail))


def ndtr(x: Term) -> Term:
    """erfc(-x / sqrt(2)) / 2: of the tail, x itself is squared, as rounding would be magnified."""
    a, root = abs(x), math.sqrt(0.5)
    if x.value.dtype == FLOAT32:
        tail = (short_tail((a.to(FLOAT64) * root).at_least(0.5).at_most(10.2)) * 0.5).to(FLOAT32)
    else:
        t = a.at_least(0.5 / root).at_most(40.0)
        tail = exp_of_square(t, -1, times=0.5) * (scaled_tail(t * root) * 0.5)
    z = x * root
    near = fma(polynomial(z * z, "erf"), z, z)
    return where(abs(z) < 0.5, fma(near, 0.5, 0.5), where(x < 0.0, tail, 1.0 - tail))


def short_tail(t: Term) -> Term:
    """erfc(t) of a float64 from 0.5 to 10.2, where 1e-8 will do."""
    inverse = nearly_divided(1.0, t + 2.0)
    scaled = polynomial((t - 2.0) * inverse, "erfc/shorter") * inverse
    return exp_of_negative(-(t * t), "short") * scaled


def scaled_tail(t: Term) -> Term:
    """exp(t²) erfc(t) of float64 from 0.5 on."""
    inverse = 1.0 / (t + 2.0)
    return polynomial((t - 2.0) * inverse, "erfc") * inverse


def exp_of_square(x: Term, sign: int, *, times: float = 1.0) -> Term:
    """exp(sign x² times) of float64, the square to more than double precision.

    times: a power of two.
    """
    part = upper_half(x)  # its square is exact, and the rest is small
    factor = sign * times
    return exp_of_sum(part * part * factor, (x - part) * (x + part) * factor)


def erfcx(x: Term) -> Term:
    """exp(x²) erfc(x), which neither under- nor overflows for x >= 0."""
    if x.value.dtype == FLOAT32:
        return erfcx_of_double(x.to(FLOAT64), "short").to(FLOAT32)
    return erfcx_of_double(x, "")


def erfcx_of_double(x: Term, variant: str) -> Term:
    """erfcx of float64, by the `variant` of a polynomial."""
    t = abs(x).at_least(0.5)
    inverse = 1.0 / (t + 2.0)
    u = where(t < 1e20, (t - 2.0) * inverse, 1.0)
    tail = polynomial(u, f"erfc/{variant}") * inverse
    square = exp_of_square(x.at_least(-30.0).at_most(0.5), 1)
    near = square - square * fma(polynomial(x * x, "erf"), x, x)
    return where(abs(x) < 0.5, near, where(x < 0.0, square + square - tail, tail))


def erfinv(x: Term) -> Term:
    """The number whose error function is x; infinite at -1 and 1, NaN beyond. Giles (2011)."""
    if x.value.dtype == FLOAT32:
        return erfinv_of_float32(x.to(FLOAT64)).to(FLOAT32)
    a = abs(x)
    w = -log((1.0 - a) * (1.0 + a))
    y = x * polynomial(w - 3.0, "erfinv")

    def tail() -> list[Term]:
        v = sqrt(w)
        far, end = polynomial(v - 3.0, "erfinv_tail"), polynomial(v - 5.0, "erfinv_end")
        return [at_one(a, x, where(w < 6.25, y, where(v < 4.0, far, end) * x))]

    return branched(~(w < 6.25), [y], tail)[0]


def erfinv_of_float32(x: Term) -> Term:
    """erfinv of a float64 that has been a float32."""
    a = abs(x)
    w = -log_of_wide((1.0 - a) * (1.0 + a))
    y = x * polynomial(w - 3.0, "erfinv/short")

    def tail() -> list[Term]:
        far = polynomial(sqrt(w) - 3.0, "erfinv_tail/short") * x
        return [at_one(a, x, where(w < 6.25, y, far))]

    return branched(~(w < 6.25) | ~(a < 1.0), [y], tail)[0]


def at_one(a: Term, x: Term, y: Term) -> Term:
    """The value `y` of erfinv, put right where a = |x| is 1 or more, or NaN."""
    return where(a < 1.0, y, where(a.equals(1.0), x * math.inf, math.nan))


RULES: dict[str, Callable[..., Term]] = {
    "erf": erf,
    "erfc": erfc,
    "erfcx": erfcx,
    "erfinv": erfinv,
    "ndtr": ndtr,
}
