"""The error function and its complement, on vectors of float32 or float64."""

from __future__ import annotations

from collections.abc import Callable

from .arithmetic import FLOAT32, FLOAT64
from .terms import Term, fma, polynomial, where
from .vecmath_exp import exp_of_negative, exp_of_sum
from .vecmath_log import upper_half


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
    scaled = polynomial((t - 2.0) / (t + 2.0), "erf_tail")
    large = 1.0 - exp_of_negative(-(t * t)) * scaled / t
    return where(a < 1.0, small, large).signed_as(x)


def erfc(x: Term) -> Term:
    """1 - erf(x), also where that is small."""
    if x.value.dtype == FLOAT32:
        return erfc_float32(x)
    a = abs(x)
    t = a.at_least(0.5).at_most(28.0)
    scaled = polynomial((t - 2.0) / (t + 2.0), "erfc") / t
    # t² to more than double precision: part² is exact, and the rest is small
    part = upper_half(t)
    tail = exp_of_sum(-(part * part), -((t - part) * (t + part))) * scaled
    return join_erfc(x, tail)


def erfc_float32(x: Term) -> Term:
    """erfc of float32; in float64, rounding the square does no harm."""
    t = abs(x).at_least(0.5).at_most(10.2).to(FLOAT64)
    scaled = polynomial((t - 2.0) / (t + 2.0), "erfc/short") / t
    return join_erfc(x, (exp_of_negative(-(t * t), "short") * scaled).to(FLOAT32))


def join_erfc(x: Term, tail: Term) -> Term:
    """erfc(x) from erfc(|x|) for |x| >= 1/2; below, by erf."""
    near = fma(polynomial(x * x, "erf"), x, x)
    return where(abs(x) < 0.5, 1.0 - near, where(x < 0.0, 2.0 - tail, tail))


RULES: dict[str, Callable[..., Term]] = {"erf": erf, "erfc": erfc}
