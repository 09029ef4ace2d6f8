"""Logarithms, what is made of them, and pow, on vectors of float32 or float64.

x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); then log(x) = e log(2) + log(1 + f).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from .arithmetic import FLOAT32, known_number
from .terms import (
    Term,
    exact_fma,
    fma,
    in_double,
    nearly_divided,
    nearly_sqrt,
    polynomial,
    sqrt,
    where,
)
from .vecmath_exp import (
    LN2,
    exp_of_negative,
    exp_of_reduced,
    exp_of_sum,
    half_power,
    reduce_exp,
    within,
)
from .vecmath_powers import taken_apart

SQRT_HALF = {"f32": 0x3F3504F3, "f64": 0x3FE6A09E667F3BCD}  # bits
LOG10_E = (4.34294481878168880939e-01, 2.50829467116452752298e-11)
LOG10_2 = (3.01029995663611771306e-01, 3.69423907715893078616e-13)
LOG2_E = (1.44269504072144627571e00, 1.67517131648865118353e-10)


def split(x: Term) -> tuple[Term, Term]:
    """f, and e as an integer, of a normal positive x."""
    bits, mantissa = x.bits(), x.format.mantissa
    e = (bits - SQRT_HALF[x.format.suffix]) >> mantissa
    return (bits - (e << mantissa)).bits_as(x.value.dtype) - 1.0, e


def split_any(x: Term) -> tuple[Term, Term]:
    """f, and e as a float, of a positive x that may be subnormal."""
    mantissa = x.format.mantissa
    subnormal = x < x.format.smallest_normal
    f, e = split(where(subnormal, x * 2.0**mantissa, x))
    return f, e.to(x.value.dtype) - where(subnormal, x.like(mantissa), 0.0)


def assemble_log(f: Term, e: Term) -> Term:
    """e log(2) + log(1 + f)."""
    high, low = LN2[f.format.suffix]
    if f.value.dtype == FLOAT32:
        z = f * f
        tail = fma(e, low, z * f * polynomial(f, "log"))
        return fma(e, high, fma(z, -0.5, tail) + f)
    s, half = f / (f + 2.0), f * f * 0.5
    z = s * s
    tail = fma(e, low, s * (half + z * polynomial(z, "log")))
    return e * high - ((half - tail) - f)


def at_the_ends(x: Term, y: Term) -> Term:
    """The logarithm `y` of x, put right where x is infinite, zero, negative or NaN."""
    y = where(x.equals(math.inf), x, y)
    return where(x > 0.0, y, where(x.equals(0.0), x.like(-math.inf), math.nan))


def log(x: Term) -> Term:
    """The natural logarithm."""
    return at_the_ends(x, assemble_log(*split_any(x)))


def log_in_short(x: Term) -> tuple[Term, Term]:
    """log(1 + f) to some 36 bits, and e, both float64, of a normal float64."""
    f, e = split(x)
    s = nearly_divided(f, f + 2.0)
    z = s * s
    return fma(s * z, polynomial(z, "log/short"), s + s), e.to(np.float64)


def log_of_wide(x: Term) -> Term:
    """The logarithm of a normal float64, as exact as float32 needs it."""
    natural, e = log_in_short(x)
    return fma(e, math.log(2), natural)


def log1p(x: Term) -> Term:
    """log(1 + x), also where x is small."""
    u = x + 1.0
    f, e = split(u)
    same = e.equals(0)
    # what rounding took from u, in units of u
    lost = where(x > 1.0, 1.0 - (u - x), x - (u - 1.0)) / u
    y = assemble_log(where(same, x, f), e.to(x.value.dtype)) + where(same, 0.0, lost)
    return where(abs(x) < x.format.tiny, x, at_the_ends(u, y))


def log_to_base(x: Term, of_e: tuple[float, float], of_2: tuple[float, float]) -> Term:
    """The logarithm whose values at e and at 2 are given, as sums of a high and a low part.

    The product of the high parts is exact, so that powers of the base come out whole.
    """
    if x.value.dtype == FLOAT32:
        natural, e = log_in_short(x.to(np.float64))
        y = fma(natural, of_e[0] + of_e[1], e * (of_2[0] + of_2[1]))
        return at_the_ends(x, y.to(FLOAT32))
    f, e = split_any(x)
    s, half = f / (f + 2.0), f * f * 0.5
    z = s * s
    high = upper_half(f - half)
    low = (f - high) - half + s * (half + z * polynomial(z, "log"))
    main, whole = high * of_e[0], e * of_2[0]
    total = whole + main
    rest = fma(e, of_2[1], fma(low + high, of_e[1], low * of_e[0]))
    return at_the_ends(x, total + (rest + ((whole - total) + main)))


def upper_half(x: Term) -> Term:
    """x with the lower 32 bits of its mantissa cleared: a float64 whose products are exact."""
    return (x.bits() & -(1 << 32)).bits_as(x.value.dtype)


def log2(x: Term) -> Term:
    """The logarithm to base 2."""
    return log_to_base(x, LOG2_E, (1.0, 0.0))


def log10(x: Term) -> Term:
    """The logarithm to base 10."""
    return log_to_base(x, LOG10_E, LOG10_2)


@in_double
def logaddexp(x1: Term, x2: Term) -> Term:
    """log(e^x1 + e^x2), which overflows only where x1 or x2 is infinite."""
    distance = where(x1.equals(x2), 0.0, abs(x1 - x2))
    larger = where(x1 > x2, x1, x2)
    return larger + log1p(exp_of_negative(-distance))


# The inverse hyperbolic functions of float32 are logarithms in float64, whose digits are enough
# unless x is small; those of float64 are made of log1p.

HUGE = 1e10
"""From here on x² + 1 and x² - 1 are x²; which might overflow."""
SMALL = 2.0**-7
"""Below, two terms of a series are exact enough for float32."""


def asinh(x: Term) -> Term:
    """Inverse of sinh."""
    if x.value.dtype == FLOAT32:
        a = abs(x).to(np.float64)
        huge = a > HUGE
        root = nearly_sqrt(where(huge, a.like(1.0), fma(a, a, 1.0)))
        y = log_of_wide(where(huge, a + a, a + root))
        y = where(a < SMALL, fma(a * a * a, -1 / 6, a), where(a < math.inf, y, a))
        return y.to(FLOAT32).signed_as(x)
    a = abs(x)
    huge = a > HUGE
    z = a * a
    t = where(huge, a, a + z / (sqrt(z + 1.0) + 1.0))
    return (log1p(t) + where(huge, a.like(math.log(2)), 0.0)).signed_as(x)


def acosh(x: Term) -> Term:
    """Inverse of cosh, for x >= 1."""
    if x.value.dtype == FLOAT32:
        wide = x.to(np.float64)
        plain = (wide > 1.0) & (wide < HUGE)
        root = nearly_sqrt(where(plain, (wide - 1.0) * (wide + 1.0), 1.0))
        y = log_of_wide(wide + where(plain, root, wide)).to(FLOAT32)
        return where(x > 1.0, where(x < math.inf, y, x), where(x.equals(1.0), x - x, math.nan))
    huge = x > HUGE
    t = x - 1.0
    y = log1p(where(huge, x, t + sqrt(fma(t, t, t + t))))
    y = y + where(huge, x.like(math.log(2)), 0.0)
    return where(x < 1.0, x.like(math.nan), y)


def atanh(x: Term) -> Term:
    """Inverse of tanh, for |x| <= 1."""
    a = abs(x)
    if x.value.dtype != FLOAT32:
        return (0.5 * log1p((a + a) / (1.0 - a))).signed_as(x)
    wide = a.to(np.float64)
    y = 0.5 * log_of_wide(nearly_divided(1.0 + wide, 1.0 - wide))
    y = where(wide < SMALL, fma(wide * wide * wide, 1 / 3, wide), y).to(FLOAT32)
    ends = where(a.equals(1.0), a.like(math.inf), math.nan)
    return where(a < 1.0, y, ends).signed_as(x)


# pow: |x|^y = exp(y log|x|), the product to more than double precision.


def pow(x: Term, y: Term) -> Term:
    """x to the power of y, with the special cases of C and NumPy."""
    exponent = known_number(y.value)
    simpler = None if exponent is None else taken_apart(x, exponent)
    if simpler is not None:
        return simpler
    a = abs(x)
    magnitude = pow_float32(a, y) if x.value.dtype == FLOAT32 else pow_float64(a, y)
    whole, half = y.truncated().equals(y), y * 0.5
    odd = whole & half.truncated().differs(half)
    signed = where(odd, magnitude.signed_as(x), magnitude)
    finite_negative = (x < 0.0) & x.differs(-math.inf)
    result = where(finite_negative & ~whole, x.like(math.nan), signed)
    minus_one_to_infinity = a.equals(1.0) & abs(y).equals(math.inf)
    return where(y.equals(0.0) | x.equals(1.0) | minus_one_to_infinity, 1.0, result)


def pow_float32(a: Term, y: Term) -> Term:
    """a^y for a >= 0, by way of float64 to some 36 bits."""
    wide = a.to(np.float64)
    logarithm = log_of_extremes(wide, log_of_wide(wide))
    r, shifted = reduce_exp(within(logarithm * y.to(np.float64), (-110.0, 100.0)))
    return (exp_of_reduced(r, "short") * half_power(shifted.bits() + 1, wide)).to(FLOAT32)


def pow_float64(a: Term, y: Term) -> Term:
    """a^y for a >= 0."""
    f, e = split_any(a)
    high, low = log_in_two_parts(f.exactly(), e)
    high = log_of_extremes(a, high)
    product = high * y
    return exp_of_sum(product, fma(low, y, exact_fma(high, y, -product)))


def log_of_extremes(a: Term, logarithm: Term) -> Term:
    """The `logarithm` of a >= 0, put right at zero, infinity and NaN."""
    return where(a.equals(0.0), a.like(-math.inf), where(a < math.inf, logarithm, a))


def log_in_two_parts(f: Term, e: Term) -> tuple[Term, Term]:
    """e log(2) + log(1 + f) as a float64 and its remainder, to some 2^-66.

    f: exact, as in `Term.exactly`. With s = f / (2 + f), log(1 + f) = 2 s + 2/3 s³ + ..., of
    which the two first terms are computed in two parts.
    """
    two_thirds, rest = 2 / 3, float(Fraction(2, 3) - Fraction(2 / 3))
    g = f + 2.0
    g_low = f - (g - 2.0)
    inverse = 1.0 / g
    s = f * inverse
    s_low = (exact_fma(-s, g, f) - s * g_low) * inverse
    z = s * s
    z_low = exact_fma(s, s, -z) + (s + s) * s_low
    cube = s * z
    cube_low = exact_fma(s, z, -cube) + (s * z_low + s_low * z)
    third = cube * two_thirds
    higher = cube * z * polynomial(z, "log/tail")
    third_low = exact_fma(cube, f.like(two_thirds), -third) + (cube * rest + cube_low * two_thirds)
    small = s + s + third
    small_low = (s + s - small) + third + (s_low + s_low + (third_low + higher))
    high, low = LN2["f64"]
    whole = f.like(high) * e
    total = whole + small
    remainder = (whole - total) + small + (small_low + e * low)
    result = total + remainder
    return result, (total - result) + remainder


RULES: dict[str, Callable[..., Term]] = {
    "log": log,
    "log1p": log1p,
    "log2": log2,
    "log10": log10,
    "logaddexp": logaddexp,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
    "pow": pow,
}
