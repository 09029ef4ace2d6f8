"""Functions of complex numbers, made of real ones of their parts, with the limits of C99.

Numbers come as two Terms. What is made in float64 for float32 neither overflows on the way, nor
loses more than the last rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..core.lowering import Value
from .arithmetic import FLOAT32, FLOAT64, Arithmetic
from .terms import Term, exact_fma, fma, sqrt, where
from .vecmath_exp import cosh, exp_of_reduced, power_of_two, reduce_exp, sinh, whole_part, within
from .vecmath_log import log as real_log
from .vecmath_log import log1p
from .vecmath_trig import atan2, both_circular, exponent_and_inverse, hypot, scaled_hypot

Pair = tuple[Term, Term]
# below the first, exp is zero; above the second, infinite, whatever it is multiplied by
EXP_RANGE = {"f32": (-104.0, 264.0), "f64": (-746.0, 2127.0)}


def quotient(a: Term, b: Term, c: Term, d: Term) -> Pair:
    """(a + ib) / (c + id), to the bit as NumPy. Smith (1962)."""
    a, b, c, d = (x.exactly() for x in (a, b, c, d))
    swapped = ~(abs(c) >= abs(d))
    larger, smaller = where(swapped, d, c), where(swapped, c, d)
    u, v = where(swapped, b, a), where(swapped, a, b)
    ratio = smaller / larger
    scale = 1.0 / (larger + smaller * ratio)
    real, product = u + v * ratio, u * ratio
    imag = where(swapped, product - v, v - product)
    zero, size = larger.equals(0.0) & smaller.equals(0.0), abs(larger)
    return where(zero, a / size, real * scale), where(zero, b / size, imag * scale)


def reciprocal(c: Term, d: Term) -> Pair:
    """1 / (c + id), to the bit as NumPy; nan of 0."""
    c, d = c.exactly(), d.exactly()
    swapped = ~(abs(d) <= abs(c))
    larger, smaller = where(swapped, d, c), where(swapped, c, d)
    ratio = smaller / larger
    size = larger + smaller * ratio
    return where(swapped, ratio, 1.0) / size, where(swapped, ratio.like(-1.0), -ratio) / size


def absolute(x: Term, y: Term) -> Term:
    """The distance from 0."""
    a, b = abs(x), abs(y)
    endless = a.equals(math.inf) | b.equals(math.inf)
    return where(endless, math.inf, scaled_hypot(a, b))


def sign(x: Term, y: Term) -> Pair:
    """z / |z|, 0 of 0, and nan of nan; along one axis where that is infinite, as NumPy."""
    size = hypot(x, y)
    zero, endless = size.equals(0.0), size.equals(math.inf)
    across = abs(x).equals(math.inf)
    unknown = size.differs(size) | across & abs(y).equals(math.inf)

    def directed(x: Term, along: Term) -> Term:
        one = where(along, x.like(1.0).signed_as(x), 0.0)
        found = where(zero, 0.0, where(endless, one, x / size))
        return where(unknown, math.nan, found)

    return directed(x, across), directed(y, ~across)


def scaled_by_exp(x: Term, doublings: int = 0) -> Callable[[Term], Term]:
    """What multiplies by 2^doublings e^x, and overflows only where the product does."""
    r, shifted = reduce_exp(within(x, EXP_RANGE[x.format.suffix]))
    n = whole_part(shifted) + doublings
    size, most = exp_of_reduced(r), 2 * x.format.bias
    beyond = where(n > most, n - most, n.like(0))
    half = (n - beyond) >> 1
    steps = [power_of_two(step, x) for step in (half, n - beyond - half, beyond)]

    def scaled(factor: Term) -> Term:
        found = size * factor
        for step in steps:
            found = found * step
        return found

    return scaled


def exp(x: Term, y: Term) -> Pair:
    """e^x (cos y + i sin y), which overflows only where the product does."""
    scaled = scaled_by_exp(x)
    sine, cosine = both_circular(y)
    # where y is 0, it keeps its sign, and does not become nan beside inf
    real, imag = scaled(cosine), where(y.equals(0.0), y, scaled(sine))
    endless = ~(abs(y) < math.inf)
    low_end, high_end = x.equals(-math.inf) & endless, x.equals(math.inf) & endless
    real = where(low_end, 0.0, where(high_end, math.inf, real))
    return real, where(low_end, x.like(0.0).signed_as(y), imag)


FAR = 22.0
"""From here on, sinh and cosh are half of the exponential, to the last bit of float64."""


def hyperbolic(x: Term, y: Term) -> tuple[Term, Term, Term, Term]:
    """sinh x cos y and cosh x sin y; cosh x cos y and sinh x sin y; of finite y, in float64."""
    a = abs(x)
    sine, cosine = both_circular(y)
    near, far = a.at_most(FAR), a > FAR
    large = [*map(scaled_by_exp(a, -1), (cosine, sine))]
    odd, even = sinh(near), cosh(near)
    found = [
        where(far, large[0], odd * cosine),
        where(far, large[1], even * sine),
        where(far, large[0], even * cosine),
        where(far, large[1], odd * sine),
    ]
    signs = x.like(1.0).signed_as(x)
    return found[0] * signs, found[1], found[2], found[3] * signs


def hyperbolic_sine(x: Term, y: Term) -> Pair:
    """sinh of x + iy."""
    dtype = x.value.dtype
    wide_x, wide_y = x.to(FLOAT64), y.to(FLOAT64)
    real, imag, _, _ = hyperbolic(wide_x, wide_y)
    endless, line = ~(abs(y) < math.inf), y.equals(0.0)
    real, imag = real.to(dtype), where(line, y, imag.to(dtype))
    real = where(endless & x.equals(0.0), x, real)
    return where(endless & abs(x).equals(math.inf), math.inf, real), imag


def hyperbolic_cosine(x: Term, y: Term) -> Pair:
    """cosh of x + iy."""
    dtype = x.value.dtype
    wide_x, wide_y = x.to(FLOAT64), y.to(FLOAT64)
    _, _, real, imag = hyperbolic(wide_x, wide_y)
    endless, line = ~(abs(y) < math.inf), y.equals(0.0)
    real, imag = real.to(dtype), imag.to(dtype)
    imag = where(line, where(x.equals(x), y * x.like(1.0).signed_as(x), y), imag)
    imag = where(endless & x.equals(0.0), 0.0, imag)
    return where(endless & abs(x).equals(math.inf), math.inf, real), imag


def sine(x: Term, y: Term) -> Pair:
    """sin(x + iy), which is -i sinh(-y + ix)."""
    real, imag = hyperbolic_sine(-y, x)
    endless = ~(abs(x) < math.inf) & abs(y).equals(math.inf)
    return imag, where(endless, math.inf, -real)


def cosine(x: Term, y: Term) -> Pair:
    """cos(x + iy), which is cosh(-y + ix)."""
    return hyperbolic_cosine(-y, x)


def hyperbolic_tangent(x: Term, y: Term) -> Pair:
    """tanh of x + iy."""
    dtype, a, wide_y = x.value.dtype, abs(x.to(FLOAT64)), y.to(FLOAT64)
    sine, cosine = both_circular(wide_y)
    near, far = a.at_most(FAR), a > FAR
    odd, even, both = sinh(near), cosh(near), sine * cosine
    size = fma(odd, odd, cosine * cosine)
    real = where(far, 1.0, odd * even / size).to(dtype).signed_as(x)
    imag = where(far, scaled_by_exp(-(a + a), 2)(both), both / size).to(dtype)
    zero, endless = x.like(0.0).signed_as(y), ~(abs(y) < math.inf)
    imag = where(abs(x).equals(math.inf), zero, where(y.equals(0.0), y, imag))
    real = where(endless & (abs(x) < math.inf), where(x.equals(0.0), x, math.nan), real)
    return real, imag


def log(x: Term, y: Term) -> Pair:
    """log |z|, and the angle of z."""
    dtype, wide_x, wide_y = x.value.dtype, x.to(FLOAT64), y.to(FLOAT64)
    size = (log_of_float_size if dtype == FLOAT32 else log_of_size)(abs(wide_x), abs(wide_y))
    endless = abs(x).equals(math.inf) | abs(y).equals(math.inf)
    return where(endless, math.inf, size.to(dtype)), atan2(y, x)


def log_of_float_size(x: Term, y: Term) -> Term:
    """log of the hypotenuse of two float32 in float64, whose squares are exact there."""
    squared = fma(x, x, y * y)
    near = (squared > 0.5) & (squared < 2.0)
    excess = exact_fma(x - 1.0, x + 1.0, y * y)
    return where(near, log1p(where(near, excess, 0.0)), real_log(squared)) * 0.5


def log_of_size(x: Term, y: Term) -> Term:
    """log of the hypotenuse of x, y >= 0."""
    x, y = where(x < y, y, x), where(x < y, x, y)
    exponent, shrink = exponent_and_inverse(x)
    a, b = x * shrink, y * shrink
    steps = (exponent - 1023).to(FLOAT64)
    far = fma(steps, math.log(2), real_log(fma(a, a, b * b)) * 0.5)
    # next to 1, what is more or less than 1 counts: of squares with what rounding loses of them
    p, q = x.exactly() * x, y.exactly() * y
    squared = p + q
    near = (squared > 0.5) & (squared < 2.0)
    less = p - 1.0
    excess = less + q
    rest = excess - less
    lost = (less - (excess - rest)) + (q - rest)
    lost = lost + (exact_fma(x, x, -p) + exact_fma(y, y, -q))
    return where(near, log1p(where(near, excess + lost, 0.0)) * 0.5, far)


def root(x: Term, y: Term) -> Pair:
    """The square root with a real part that is not negative, and the sign of y."""
    dtype, single = x.value.dtype, x.value.dtype == FLOAT32
    a, b = abs(x.to(FLOAT64)), abs(y.to(FLOAT64))
    large, small = (a > 1e300) | (b > 1e300), (a < 1e-290) & (b < 1e-290)
    if not single:
        scale = where(large, a.like(2.0**-4), where(small, a.like(2.0**108), 1.0))
        a, b = a * scale, b * scale
        back = where(large, a.like(2.0**2), where(small, a.like(2.0**-54), 1.0))
    size = sqrt(fma(a, a, b * b)) if single else hypot(a, b)
    t = sqrt((a + size) * 0.5)
    other = where(t.equals(0.0), 0.0, b / (t + t))
    if not single:
        t, other = t * back, other * back
    t, other = t.to(dtype), other.to(dtype)
    right = ~x.is_negative()
    real, imag = where(right, t, other), where(right, other, t)
    endless, without = abs(y).equals(math.inf), x.equals(math.inf) | x.equals(-math.inf)
    real = where(without, where(right, x, where(y.equals(y), 0.0, y)), real)
    imag = where(without, where(right, where(y.equals(y), 0.0, y), math.inf), imag)
    real, imag = where(endless, math.inf, real), where(endless, math.inf, imag)
    return real, imag.signed_as(y)


RULES: dict[str, Callable[..., Pair | Term]] = {
    "abs": absolute,
    "sign": sign,
    "exp": exp,
    "sin": sine,
    "cos": cosine,
    "sinh": hyperbolic_sine,
    "cosh": hyperbolic_cosine,
    "tanh": hyperbolic_tangent,
    "log": log,
    "sqrt": root,
    "divide": quotient,
    "reciprocal": reciprocal,
}


def apply(emitter: Arithmetic, name: str, *xs: Value) -> Value:
    """The function `name` of RULES at complex numbers."""
    parts = [Term(emitter, p) for x in xs for p in emitter.parts(x)]
    found = RULES[name](*parts)
    if isinstance(found, Term):
        return found.value
    return emitter.pair(*(p.value for p in found))
