"""exp and what is made of it, on vectors of float32 or float64.

x = n log(2) + r with |r| <= log(2)/2; then exp(x) = 2^n exp(r), and exp(r) is a polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .arithmetic import FLOAT32
from .terms import Term, coefficients, fma, horner, polynomial, where

LOG2_E = 1 / math.log(2)
# log(2) = high + low; the high part has so few bits that its multiples are exact
LN2 = {
    "f32": (0.693359375, -2.12194440e-4),
    "f64": (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
# below the first, exp is zero; above the second, infinite
EXP_RANGE = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.5)}
EXP2_RANGE = {"f32": (-151.0, 129.0), "f64": (-1076.0, 1025.0)}
# below it, expm1 is -1 to the last bit
EXPM1_LOW = {"f32": -17.5, "f64": -38.0}
# above it, tanh is 1 to the last bit
TANH_HIGH = {"f32": 9.5, "f64": 20.0}


def reduce_exp(x: Term) -> tuple[Term, Term]:
    """r, and n plus the scaler of the format; of a NaN, NaN twice."""
    shifted = fma(x, LOG2_E, x.format.scaler)
    n = shifted - x.format.scaler
    high, low = LN2[x.format.suffix]
    return fma(n, -low, fma(n, -high, x)), shifted


def exp_of_reduced(r: Term, variant: str = "", *, times: float = 1.0) -> Term:
    """exp(r) for |r| <= log(2)/2, times a power of two, which costs nothing here.

    Horner's scheme: loops wait for instructions to be issued, not for each other's results.
    """
    return horner(r, [times * c for c in (1.0, 1.0, *coefficients(r, f"exp/{variant}"))])


def whole_part(shifted: Term) -> Term:
    """n as an integer, which comes with the scaler."""
    return shifted.bits() - shifted.format.scaler_bits


def power_of_two(n: Term, model: Term) -> Term:
    """2^n as a float like `model`; n is an integer for which it is a normal number."""
    form = model.format
    return ((n + form.bias) << form.mantissa).bits_as(model.value.dtype)


def half_power(bits: Term, model: Term) -> Term:
    """2^(n - 1) as a float like `model`, of the bits of an n that comes with the scaler.

    n - 1 is that of a normal number; the bits of the scaler leave where it has no room for them.
    """
    return (bits << model.format.mantissa).bits_as(model.value.dtype)


def times_power_of_two(twice: Term, shifted: Term) -> Term:
    """x 2^n for `twice` x about 1; n comes with the scaler. NaN where both are.

    Processors take long for products that are not normal numbers, zero for one. So where the
    result is none, the product is one of units of the last place, and what it is rounded to is
    the bits of the result.
    """
    form = shifted.format
    bits, low = shifted.bits(), shifted < form.scaler + (2 - form.bias)
    units = form.bias + form.mantissa - 1  # of which 2^n is so many
    product = twice * half_power(where(low, bits + units, bits), twice)
    return where(low, rounded(product), product.bits()).bits_as(twice.value.dtype)


def rounded(x: Term) -> Term:
    """The integer next to x, which is from 0 to twice the first that has no fraction."""
    form = x.format
    if x.value.dtype == FLOAT32:
        return x.nearest_integer()
    whole = 2.0**form.mantissa  # from here on there are no fractions
    large = x >= whole
    bits = where(large, x, x + whole).bits()
    first = (form.bias + form.mantissa) << form.mantissa  # the bits of `whole`
    return bits - where(large, bits.like(first - (1 << form.mantissa)), first)


def within(x: Term, bounds: tuple[float, float]) -> Term:
    """x, moved to the nearer bound where it is outside of them; NaN stays."""
    return x.at_least(bounds[0]).at_most(bounds[1])


def exp(x: Term) -> Term:
    """e^x."""
    r, shifted = reduce_exp(within(x, EXP_RANGE[x.format.suffix]))
    return times_power_of_two(exp_of_reduced(r, times=2.0), shifted)


def exp_of_sum(high: Term, low: Term) -> Term:
    """e^(high + low) for a `low` so small that its rounding does not count."""
    inside = within(high, EXP_RANGE[high.format.suffix])
    r, shifted = reduce_exp(inside)
    r = r + where(inside.equals(high), low, 0.0)  # out of range, `low` may be NaN
    return times_power_of_two(exp_of_reduced(r, times=2.0), shifted)


def half_exp(x: Term) -> Term:
    """e^x / 2 for x >= 0, which overflows later than e^x."""
    r, shifted = reduce_exp(x.at_most(EXP_RANGE[x.format.suffix][1] + 1))
    return exp_of_reduced(r, times=2.0) * half_power(shifted.bits() - 1, x)


def exp_of_negative(x: Term, variant: str = "") -> Term:
    """e^x for x <= 0; zero where the result is not normal."""
    low = -87.3 if x.value.dtype == FLOAT32 else -708.0
    r, shifted = reduce_exp(x.at_least(low))
    return where(x < low, 0.0, exp_of_reduced(r, variant) * half_power(shifted.bits() + 1, x))


def exp2(x: Term) -> Term:
    """2^x."""
    inside, scaler = within(x, EXP2_RANGE[x.format.suffix]), x.format.scaler
    shifted = inside + scaler
    r = (inside - (shifted - scaler)) * math.log(2)
    return times_power_of_two(exp_of_reduced(r, times=2.0), shifted)


def expm1(x: Term) -> Term:
    """e^x - 1, also where that is small."""
    form = x.format
    r, shifted = reduce_exp(within(x, (EXPM1_LOW[form.suffix], EXP_RANGE[form.suffix][1])))
    p = fma(polynomial(r, "expm1"), r * r, r)
    scale = half_power(shifted.bits(), x)  # half of it, since 2^n itself may overflow
    half = fma(p, scale, scale - 0.5)
    return where(abs(x) < form.tiny, x, half + half)


def expit(x: Term) -> Term:
    """1 / (1 + e^-x), by the exponential that cannot overflow."""
    r, shifted = reduce_exp(-abs(x).at_most(-EXP_RANGE[x.format.suffix][0]))
    t = fma(polynomial(r, "exp"), r * r, r)
    p = t + 1.0
    lost = t - (p - 1.0)  # of the sum, to rounding
    e = times_power_of_two(p + p, shifted)
    below, whole = x < 0.0, e + 1.0
    lost = lost - (e - (whole - 1.0))  # and of the divisor
    y = where(below, e, 1.0) / whole
    return where(below, fma(y, lost, y), y)


def tanh(x: Term) -> Term:
    """Hyperbolic tangent."""
    a = abs(x)
    bounded = a.at_most(TANH_HIGH[x.format.suffix])
    if x.value.dtype != FLOAT32:
        t = expm1(bounded + bounded)
        return (t / (t + 2.0)).signed_as(x)
    r, shifted = reduce_exp(bounded + bounded)
    e = exp_of_reduced(r, "short", times=2.0) * half_power(shifted.bits(), x)
    large = 1.0 - 2.0 / (e + 1.0)
    z = x * x
    small = fma(polynomial(z, "tanh") * z, a, a)
    return where(a < 0.625, small, large).signed_as(x)


def sinh(x: Term) -> Term:
    """Hyperbolic sine."""
    a = abs(x)
    e = half_exp(a)
    z = x * x
    small = fma(polynomial(z, "sinh") * z, a, a)
    return where(a < 1.0, small, e - 0.25 / e).signed_as(x)


def cosh(x: Term) -> Term:
    """Hyperbolic cosine."""
    e = half_exp(abs(x))
    return e + 0.25 / e


RULES: dict[str, Callable[..., Term]] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "expit": expit,
    "tanh": tanh,
    "sinh": sinh,
    "cosh": cosh,
}
