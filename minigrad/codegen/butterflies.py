"""Fourier transforms of a few numbers, written out."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import NamedTuple

from .terms import Term, fma


class Complex(NamedTuple):
    """A complex number, by its parts."""

    re: Term
    im: Term

    def plus(self, x: Complex) -> Complex:
        """The sum."""
        return Complex(self.re + x.re, self.im + x.im)

    def minus(self, x: Complex) -> Complex:
        """The difference."""
        return Complex(self.re - x.re, self.im - x.im)

    def times(self, x: Complex) -> Complex:
        """The product."""
        real = fma(self.re, x.re, -(self.im * x.im))
        return Complex(real, fma(self.re, x.im, self.im * x.re))

    def scaled(self, factor: float) -> Complex:
        """A multiple by a real number."""
        return self if factor == 1.0 else Complex(self.re * factor, self.im * factor)

    def turned(self, root: complex) -> Complex:
        """The product with a number on the unit circle."""
        a, b = root.real, root.imag
        if abs(a) < 1e-9:
            return Complex(-self.im, self.re) if b > 0 else Complex(self.im, -self.re)
        if abs(abs(a) - abs(b)) < 1e-9:
            c = math.sqrt(0.5)
            first = self.re - self.im if b * a > 0 else self.re + self.im
            second = self.re + self.im if b * a > 0 else self.im - self.re
            sign = 1.0 if a > 0 else -1.0
            return Complex(first * (sign * c), second * (sign * c))
        return Complex(fma(self.re, a, self.im * -b), fma(self.re, b, self.im * a))


def transformed(xs: Sequence[Complex], sign: int) -> list[Complex]:
    """The sums of x_k e^(sign 2 pi i j k / r) over k, for each j, of r = len(xs) numbers."""
    r = len(xs)
    if r == 1:
        return list(xs)
    if r % 2:
        return odd(xs, sign)
    evens, odds = transformed(xs[::2], sign), transformed(xs[1::2], sign)
    turned = [
        x.turned(cmath.exp(sign * 2j * math.pi * j / r)) if j else x for j, x in enumerate(odds)
    ]
    pairs = list(zip(evens, turned, strict=True))
    return [a.plus(b) for a, b in pairs] + [a.minus(b) for a, b in pairs]


def odd(xs: Sequence[Complex], sign: int) -> list[Complex]:
    """The same for an odd r: numbers k and r - k have the same cosines, and opposite sines."""
    r, first = len(xs), xs[0]
    half = range(1, r // 2 + 1)
    sums = [xs[k].plus(xs[r - k]) for k in half]
    gaps = [xs[k].minus(xs[r - k]) for k in half]
    total = first
    for x in sums:
        total = total.plus(x)
    found = [total, *[first] * (r - 1)]
    for j in half:
        even, across = first, None
        for k in half:
            angle = 2 * math.pi * (j * k % r) / r
            cosine, sine = math.cos(angle), sign * math.sin(angle)
            x, gap = sums[k - 1], gaps[k - 1]
            even = Complex(fma(x.re, cosine, even.re), fma(x.im, cosine, even.im))
            across = (
                Complex(gap.im * -sine, gap.re * sine)
                if across is None
                else Complex(fma(gap.im, -sine, across.re), fma(gap.re, sine, across.im))
            )
        assert across is not None
        found[j], found[r - j] = even.plus(across), even.minus(across)
    return found
