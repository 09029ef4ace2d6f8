"""Powers by exponents that are known while writing, whole or half: products, roots and quotients.

They take a few instructions, where the logarithm and the exponential function of pow take dozens.
"""

from __future__ import annotations

import math

from .arithmetic import FLOAT32, FLOAT64
from .terms import Term, exact_fma, sqrt, where

LARGEST = 16
"""The largest exponent that is taken apart."""
Pair = tuple[Term, Term]


def taken_apart(x: Term, exponent: float) -> Term | None:
    """x to the power of `exponent`, with the special cases of NumPy; None if pow is to do it."""
    whole = exponent.is_integer()
    if abs(exponent) > LARGEST or not (exponent * 2).is_integer():
        return None
    narrow = x.value.dtype == FLOAT32
    if (-2 if narrow else -1) <= exponent <= 4 if whole else -1.5 <= exponent <= 2.5:
        return rounded_often(x, exponent)
    if narrow:
        return rounded_often(x.to(FLOAT64), exponent).to(FLOAT32)
    return rounded_once(x, int(exponent)) if whole else None


def rounded_often(x: Term, exponent: float) -> Term:
    """The power by products and quotients, each of which is rounded."""
    if exponent in (0, 0.5):
        return sqrt(x) if exponent else x.like(1.0)
    n, half = int(abs(exponent)), not exponent.is_integer()
    if exponent > 0 and not half:
        return product(x, n)
    if half:  # as of pow: that of -0.0 is 0.0 or inf, and that of -inf is inf or 0.0
        x = where(x.equals(-math.inf), x.like(math.inf), x + 0.0)
    # of nearly the same size: where one of them is out of range, so is what comes of both
    sizes = [n] if half else [n // 2, n - n // 2]
    factors = [sqrt(x)] * half + [product(x, k) for k in sizes if k]
    y = factors[0] if exponent > 0 else 1.0 / factors[0]
    for factor in factors[1:]:
        y = y * factor if exponent > 0 else y / factor
    return y


def product(x: Term, n: int) -> Term:
    """x to the power of n > 0."""
    return x if n == 1 else product(x, n // 2) * product(x, n - n // 2)


def rounded_once(x: Term, n: int) -> Term:
    """x, of float64, to the power of n, by way of numbers of twice its precision."""
    base = x.exactly()
    low = base.like(0.0)
    if n < 0:
        base = 1.0 / base
        low = base * exact_fma(-x, base, base.like(1.0))
    high, low = product_in_two_parts((base, low), abs(n), {})
    # the rest is not finite where x or the result is not
    return where(abs(low) < math.inf, high + low, high).signed_as(high)


def product_in_two_parts(x: Pair, n: int, known: dict[int, Pair]) -> Pair:
    """x to the power of n as a float64 and the rest; `known` are those that are there."""
    if n == 1:
        return x
    if n not in known:
        a, a_low = product_in_two_parts(x, n // 2, known)
        b, b_low = product_in_two_parts(x, n - n // 2, known)
        high = a * b
        known[n] = high, exact_fma(a, b, -high) + (a * b_low + a_low * b)
    return known[n]
