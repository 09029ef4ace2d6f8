"""Circular functions and their inverses, on vectors of float32 or float64.

x = n pi/2 + r with |r| <= pi/4; the quadrant n says which polynomial in r is the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .arithmetic import FLOAT32, FLOAT64, INT32, INT64
from .coefficients import TWO_OVER_PI
from .terms import Term, branched, fma, in_double, polynomial, sqrt, through_memory, where

# pi/2 in parts; multiples of the first three by n < 2^20 are exact
HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
# pi/2 less its nearest float
HALF_PI_LOW = {"f32": -4.371139000186241e-8, "f64": 6.123233995736766e-17}
LARGE = 2.0**20
"""Arguments from here on are reduced lane by lane."""

ASIN_SMALL = 0.5625  # some more than 1/2: the error of pi/2 - 2 y is largest where y > 1/2

# Payne and Hanek (1983): x = m 2^e with a whole m; of the product m 2^e 2/pi only the bits around
# the point count, so a window of 192 bits of 2/pi is multiplied by m.
REDUCE_LARGE = f"""\
@two.over.pi = internal constant [{len(TWO_OVER_PI)} x i64] [{
    ", ".join(f"i64 {word}" for word in TWO_OVER_PI)
}]
define internal void @reduce.large(ptr %x, ptr %r, ptr %q, i64 %lanes) cold noinline #0 {{
entry:
  br label %lane
lane:
  %i = phi i64 [ 0, %entry ], [ %next, %done ]
  %x.at = getelementptr i64, ptr %x, i64 %i
  %bits = load i64, ptr %x.at
  %shifted = lshr i64 %bits, 52
  %exponent = and i64 %shifted, 2047
  %large = icmp uge i64 %exponent, 1043
  br i1 %large, label %reduce, label %done
reduce:
  %start = sub i64 %exponent, 1013
  %word = lshr i64 %start, 6
  %w0.at = getelementptr i64, ptr @two.over.pi, i64 %word
  %w1.at = getelementptr i64, ptr %w0.at, i64 1
  %w2.at = getelementptr i64, ptr %w0.at, i64 2
  %w3.at = getelementptr i64, ptr %w0.at, i64 3
  %w0 = load i64, ptr %w0.at
  %w1 = load i64, ptr %w1.at
  %w2 = load i64, ptr %w2.at
  %w3 = load i64, ptr %w3.at
  %a = call i64 @llvm.fshl.i64(i64 %w0, i64 %w1, i64 %start)
  %b = call i64 @llvm.fshl.i64(i64 %w1, i64 %w2, i64 %start)
  %c = call i64 @llvm.fshl.i64(i64 %w2, i64 %w3, i64 %start)
  %fraction = and i64 %bits, {(1 << 52) - 1}
  %m = or i64 %fraction, {1 << 52}
  %wide.m = zext i64 %m to i128
  %wide.b = zext i64 %b to i128
  %wide.c = zext i64 %c to i128
  %mc = mul i128 %wide.m, %wide.c
  %mc.carry = lshr i128 %mc, 64
  %mb.alone = mul i128 %wide.m, %wide.b
  %mb = add i128 %mb.alone, %mc.carry
  %mb.carry = lshr i128 %mb, 64
  %carry = trunc i128 %mb.carry to i64
  %ma = mul i64 %m, %a
  %high = add i64 %ma, %carry
  %middle = trunc i128 %mb to i64
  %low = trunc i128 %mc to i64
  ; the two top bits are the quadrant; the rest, rounded to nearest, a signed fraction of it
  %down = lshr i64 %high, 62
  %f.high = call i64 @llvm.fshl.i64(i64 %high, i64 %middle, i64 2)
  %f.low = call i64 @llvm.fshl.i64(i64 %middle, i64 %low, i64 2)
  %flip = ashr i64 %f.high, 63
  %quadrant = sub i64 %down, %flip
  %g.high = xor i64 %f.high, %flip
  %g.low = xor i64 %f.low, %flip
  %some = or i64 %g.high, 1
  %zeros = call i64 @llvm.ctlz.i64(i64 %some, i1 true)
  %digits = call i64 @llvm.fshl.i64(i64 %g.high, i64 %g.low, i64 %zeros)
  %whole = uitofp i64 %digits to double
  %scale.exponent = sub i64 {1023 - 64}, %zeros
  %scale.bits = shl i64 %scale.exponent, 52
  %scale = bitcast i64 %scale.bits to double
  %turned = fmul double %whole, %scale
  %angle = fmul double %turned, 0x3FF921FB54442D18
  %angle.bits = bitcast double %angle to i64
  %signs = xor i64 %bits, %flip
  %sign = and i64 %signs, {-(1 << 63)}
  %signed = or i64 %angle.bits, %sign
  %finite = icmp ult i64 %exponent, 2047
  %result = select i1 %finite, i64 %signed, i64 {0x7FF8 << 48}
  %negative = ashr i64 %bits, 63
  %quadrant.flipped = xor i64 %quadrant, %negative
  %quadrant.signed = sub i64 %quadrant.flipped, %negative
  %r.at = getelementptr i64, ptr %r, i64 %i
  store i64 %result, ptr %r.at
  %q.at = getelementptr i64, ptr %q, i64 %i
  store i64 %quadrant.signed, ptr %q.at
  br label %done
done:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %lanes
  br i1 %more, label %lane, label %exit
exit:
  ret void
}}"""


def reduce_angle(x: Term) -> tuple[Term, Term]:
    """r, and n as an integer of which the two lowest bits count; x and r are float64."""
    shifted = fma(x, 2 / math.pi, x.format.shifter)
    n, r = shifted - x.format.shifter, x
    for part in HALF_PI:
        r = fma(n, -part, r)
    return reduce_large_lanes(x, r, shifted.bits())


def reduce_large_lanes(x: Term, r: Term, n: Term) -> tuple[Term, Term]:
    """r and n where |x| is below LARGE; computed again, slowly, where it is not."""
    module, large = x.emitter.function.module, abs(x) >= LARGE
    module.declare("i64", "llvm.fshl.i64", "i64, i64, i64")
    module.declare("i64", "llvm.ctlz.i64", "i64, i1")

    def slowly() -> list[Term]:
        found = through_memory("reduce.large", REDUCE_LARGE, [x], [FLOAT64, INT64])
        return [where(large, *pair) for pair in zip(found, (r, n), strict=True)]

    r, n = branched(large, [r, n], slowly)
    return r, n


def sine_and_cosine(r: Term) -> tuple[Term, Term]:
    """Both, for |r| <= pi/4."""
    z = r * r
    sine = fma(polynomial(z, "sin") * z, r, r)
    return sine, fma(polynomial(z, "cos"), z * z, fma(z, -0.5, 1.0))


def circular(x: Term, *quarter_turns: int) -> list[Term]:
    """sin(x + k pi/2) for each k of `quarter_turns`."""
    r, n = reduce_angle(x.to(np.float64))
    if x.value.dtype == FLOAT32:
        r, n = r.to(FLOAT32), n.to(INT32)
    sine, cosine = sine_and_cosine(r)

    def turned(n: Term) -> Term:
        magnitude = where((n & 1).differs(0), cosine, sine)
        sign = (n & 2) << (8 * x.value.dtype.itemsize - 2)
        return (magnitude.bits() ^ sign).bits_as(x.value.dtype)

    return [turned(n + k if k else n) for k in quarter_turns]


def sin(x: Term) -> Term:
    """The sine of an angle in radians, of any size."""
    return where(x.equals(0.0), x, circular(x, 0)[0])


def cos(x: Term) -> Term:
    """The cosine of an angle in radians, of any size."""
    return circular(x, 1)[0]


def both_circular(x: Term) -> tuple[Term, Term]:
    """The sine and the cosine of an angle in radians, of any size."""
    sine, cosine = circular(x, 0, 1)
    return where(x.equals(0.0), x, sine), cosine


@in_double
def tan(x: Term) -> Term:
    """The tangent of an angle in radians, of any size."""
    r, n = reduce_angle(x)
    sine, cosine = sine_and_cosine(r)
    odd = (n & 1).differs(0)
    y = where(odd, -cosine, sine) / where(odd, sine, cosine)
    return where(x.equals(0.0), x, y)


def asin_part(x: Term, z: Term) -> Term:
    """asin(x) for |x| <= ASIN_SMALL, given z = x²."""
    return fma(polynomial(z, "asin") * z, x, x)


def asin(x: Term) -> Term:
    """The inverse of sin, in radians; NaN outside of -1 to 1."""
    a, low = abs(x), HALF_PI_LOW[x.format.suffix]
    small = a <= ASIN_SMALL
    # asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2))
    z = where(small, a * a, (1.0 - a) * 0.5)
    y = asin_part(where(small, a, sqrt(z)), z)
    folded = math.pi / 2 - ((y + y) - low)
    return where(small, y, folded).signed_as(x)


def acos(x: Term) -> Term:
    """The inverse of cos, in radians; NaN outside of -1 to 1."""
    a, low = abs(x), HALF_PI_LOW[x.format.suffix]
    small = a <= ASIN_SMALL
    z = where(small, a * a, (1.0 - a) * 0.5)
    y = asin_part(where(small, x, sqrt(z)), z)
    twice = y + y
    beyond = where(x < 0.0, math.pi - (twice - 2 * low), twice)
    return where(small, math.pi / 2 - (y - low), beyond)


def angle_below_diagonal(smaller: Term, larger: Term) -> Term:
    """atan(smaller / larger) for 0 <= smaller <= larger."""
    low = HALF_PI_LOW[smaller.format.suffix]
    steep = smaller > larger * 0.5  # from here on, the difference below is exact
    # atan(t) = pi/4 + atan((t - 1) / (t + 1))
    t = where(steep, smaller - larger, smaller) / where(steep, smaller + larger, larger)
    z = t * t
    tail = polynomial(z, "atan") * z
    flat = fma(tail, t, t)
    return where(steep, math.pi / 4 + fma(tail, t, t + low / 2), flat)


def atan(x: Term) -> Term:
    """The inverse of tan, in radians."""
    a, low = abs(x), HALF_PI_LOW[x.format.suffix]
    y = angle_below_diagonal(a.at_most(1.0), a.at_least(1.0))
    return where(a > 1.0, math.pi / 2 - (y - low), y).signed_as(x)


@in_double
def atan2(y: Term, x: Term) -> Term:
    """The angle of the point (x, y), in radians from -pi to pi."""
    a, b = abs(y), abs(x)
    swapped = a > b
    smaller, larger = where(swapped, b, a), where(swapped, a, b)
    # halved, so that their sum does not overflow; on the diagonal at infinity, any equal pair
    shrink = where(larger > 1e300, larger.like(0.5), 1.0)
    infinite = smaller.equals(math.inf) & larger.equals(math.inf)
    larger = where(larger.equals(0.0) | infinite, 1.0, larger * shrink)
    smaller = where(infinite, 1.0, smaller * shrink)
    angle = angle_below_diagonal(smaller, larger)
    angle = where(swapped, math.pi / 2 - (angle - HALF_PI_LOW["f64"]), angle)
    angle = where(x.is_negative(), math.pi - (angle - 2 * HALF_PI_LOW["f64"]), angle)
    return angle.signed_as(y)


def hypot(x1: Term, x2: Term) -> Term:
    """sqrt(x1² + x2²), which overflows only where the result does."""
    if x1.value.dtype == FLOAT32:
        wide1, wide2 = x1.to(np.float64), x2.to(np.float64)
        y = sqrt(fma(wide1, wide1, wide2 * wide2)).to(FLOAT32)
    else:
        y = scaled_hypot(abs(x1), abs(x2))
    infinite = abs(x1).equals(math.inf) | abs(x2).equals(math.inf)
    return where(infinite, y.like(math.inf), y)


def scaled_hypot(a: Term, b: Term) -> Term:
    """hypot of a, b >= 0: both divided by a power of two near the larger."""
    exponent, shrink = exponent_and_inverse(where(a > b, a, b))
    a, b = a * shrink, b * shrink
    return sqrt(fma(a, a, b * b)) * (exponent << a.format.mantissa).bits_as(a.value.dtype)


def exponent_and_inverse(x: Term) -> tuple[Term, Term]:
    """The biased exponent of x >= 0, and one over its power of two; both of a normal number."""
    form, most = x.format, 2 * x.format.bias
    exponent = x.bits() >> form.mantissa
    exponent = where(exponent < 1, exponent.like(1), exponent)
    exponent = where(exponent > most - 1, exponent.like(most - 1), exponent)
    return exponent, (most - exponent << form.mantissa).bits_as(x.value.dtype)


RULES: dict[str, Callable[..., Term]] = {
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "atan2": atan2,
    "hypot": hypot,
}
