"""The logarithm of the gamma function, and its derivatives, on vectors of float32 or float64.

From 3 on, what Stirling's series tends to; below, Γ(x + 1) = x Γ(x) leads to where 1 <= x <= 2.
Negative arguments are reflected, which takes place only where there are any (DLMF 5.5, 5.11).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .arithmetic import FLOAT32
from .terms import Term, branched, fma, polynomial, where
from .vecmath_log import log
from .vecmath_trig import sine_and_cosine

FAR = 3.0
STIRLING = 0.5 * math.log(2 * math.pi) - 0.5
# the zero of digamma less 1, as the sum of two floats
ZERO = (0.46163214496836236, -1.5522348162858677e-17)
POLE = 2.0**-60
"""Closer to zero than this, a function is that of its pole to the last bit."""

Gamma = Callable[[Term, str], Term]


def by_way_of_double(rule: Gamma) -> Callable[[Term], Term]:
    """The function of float64; of float32 by shorter polynomials in float64."""

    @functools.wraps(rule)
    def chosen(x: Term) -> Term:
        if x.value.dtype == FLOAT32:
            return rule(x.to(np.float64), "short").to(FLOAT32)
        return rule(x, "")

    return chosen


class Near(NamedTuple):
    """Where a = |x| < 3 is led to: 1 + u, between 1 and 2.

    below, above: whether a is 1 + u less 1, or 1 + u and 1. s: 2 u - 1.
    """

    below: Term
    above: Term
    u: Term
    s: Term


def led(a: Term) -> Near:
    """Where `a` is led to."""
    below, above = a < 1.0, a > 2.0
    u = a - where(below, a.like(0.0), where(above, a.like(2.0), 1.0))
    return Near(below, above, u, u + (u - 1.0))


def polynomial_of(x: Term, name: str, variant: str) -> Term:
    """The polynomial `name`, or its shorter `variant`."""
    return polynomial(x, f"{name}/{variant}")


class Turn(NamedTuple):
    """π times the distance of a from a whole number: its sine and cosine, for the distance d >= 0.

    whole: whether a is a whole number. sign: that of the distance.
    """

    sine: Term
    cosine: Term
    whole: Term
    sign: Term


def turned(a: Term) -> Turn:
    """The turn of `a`, exact where π a is not."""
    signed = a - Term(a.emitter, a.emitter.intrinsic("roundeven", a.value))
    d = abs(signed)
    folded = d > 0.25
    sine, cosine = sine_and_cosine(where(folded, 0.5 - d, d) * math.pi)
    return Turn(where(folded, cosine, sine), where(folded, sine, cosine), d.equals(0.0), signed)


@by_way_of_double
def gammaln(x: Term, variant: str) -> Term:
    """log |Γ(x)|; infinite at 0, -1, -2, ..."""
    a = abs(x)
    near, far = led(a), a >= FAR
    argument = where(near.above, near.u + 1.0, where(near.below, a, 1.0))
    logarithm = log(where(far, a, argument))
    inner = near.u * (near.u - 1.0) * polynomial_of(near.s, "gammaln", variant)
    inner = inner + where(near.below, -logarithm, logarithm)
    t = 1.0 / a
    outer = fma(polynomial_of(t * t, "gammaln_tail", variant), t, STIRLING)
    y = where(far, fma(a - 0.5, logarithm - 1.0, outer), inner)

    def reflected() -> list[Term]:
        turn = turned(a)
        z = log(math.pi / (a * turn.sine)) - y
        z = where(turn.whole | a.equals(math.inf), z.like(math.inf), where(a < POLE, y, z))
        return [where(x < 0.0, z, y)]

    return branched(x < 0.0, [y], reflected)[0]


@by_way_of_double
def digamma(x: Term, variant: str) -> Term:
    """The derivative of log Γ(x); NaN at -1, -2, ..., infinite at 0."""
    a = abs(x)
    near, far = led(a), a >= FAR
    t = 1.0 / where(near.above & ~far, near.u + 1.0, a)
    inner = ((near.u - ZERO[0]) - ZERO[1]) * polynomial_of(near.s, "digamma", variant)
    inner = inner + where(near.below, -t, where(near.above, t, 0.0))
    z = t * t
    outer = log(a) - fma(polynomial_of(z, "digamma_tail", variant), z, t * 0.5)
    y = where(far, outer, inner)

    def reflected() -> list[Term]:
        turn = turned(a)
        pole = 1.0 / a
        cotangent = (math.pi * turn.cosine / turn.sine).signed_as(turn.sign)
        value = where(a < POLE, pole, y + pole + cotangent)
        value = where(turn.whole & (a > 0.0), value.like(math.nan), value)
        return [where(x.is_negative(), value, y)]

    return branched(x.is_negative(), [y], reflected)[0]


@by_way_of_double
def trigamma(x: Term, variant: str) -> Term:
    """The derivative of digamma; infinite at 0, -1, -2, ..."""
    a = abs(x)
    near, far = led(a), a >= FAR
    t = 1.0 / where(near.above & ~far, near.u + 1.0, a)
    z = t * t
    inner = polynomial_of(near.s, "trigamma", variant)
    inner = inner + where(near.below, z, where(near.above, -z, 0.0))
    outer = fma(fma(polynomial_of(z, "trigamma_tail", variant), t, 0.5), z, t)
    y = where(far, outer, inner)

    def reflected() -> list[Term]:
        pole, ratio = 1.0 / a, math.pi / turned(a).sine
        value = ratio * ratio + (pole * pole - y)
        return [where(x < 0.0, where(a < POLE, y, value), y)]

    return branched(x < 0.0, [y], reflected)[0]


RULES: dict[str, Callable[..., Term]] = {
    "gammaln": gammaln,
    "digamma": digamma,
    "trigamma": trigamma,
}
