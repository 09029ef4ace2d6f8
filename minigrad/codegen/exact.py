"""Functions with exact results: whole quotients, remainders, and the neighbours of floats.

Quotients are rounded down, as in NumPy and Python, so a remainder has the sign of its divisor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.lowering import Value
from .arithmetic import FLOAT32, FLOAT64, INT32, Arithmetic
from .terms import Term, branched, exact_fma, through_memory, where

# x = m 2^e, and the remainder of m 2^shift is found 11 bits at a time: what is left has at most 53
FMOD = f"""\
define internal void @fmod.lanes(ptr %x, ptr %y, ptr %r, i64 %lanes) cold noinline #0 {{
entry:
  br label %lane
lane:
  %i = phi i64 [ 0, %entry ], [ %next, %done ]
  %x.at = getelementptr i64, ptr %x, i64 %i
  %y.at = getelementptr i64, ptr %y, i64 %i
  %r.at = getelementptr i64, ptr %r, i64 %i
  %x.bits = load i64, ptr %x.at
  %y.bits = load i64, ptr %y.at
  %a = and i64 %x.bits, {(1 << 63) - 1}
  %b = and i64 %y.bits, {(1 << 63) - 1}
  %less = icmp ult i64 %a, %b
  %b.number = icmp ule i64 %b, {0x7FF << 52}
  %smaller = and i1 %less, %b.number
  %a.finite = icmp ult i64 %a, {0x7FF << 52}
  %b.zero = icmp eq i64 %b, 0
  %b.usable = xor i1 %b.zero, %b.number
  %defined = and i1 %a.finite, %b.usable
  %no.work = xor i1 %defined, true
  %easy = or i1 %smaller, %no.work
  %kept = select i1 %defined, i64 %x.bits, i64 {0x7FF8 << 48}
  br i1 %easy, label %done, label %divide
divide:
  %a.exponent = lshr i64 %a, 52
  %b.exponent = lshr i64 %b, 52
  %a.normal = icmp ne i64 %a.exponent, 0
  %b.normal = icmp ne i64 %b.exponent, 0
  %a.fraction = and i64 %a, {(1 << 52) - 1}
  %b.fraction = and i64 %b, {(1 << 52) - 1}
  %a.hidden = select i1 %a.normal, i64 {1 << 52}, i64 0
  %b.hidden = select i1 %b.normal, i64 {1 << 52}, i64 0
  %m = or i64 %a.fraction, %a.hidden
  %n = or i64 %b.fraction, %b.hidden
  %a.e = select i1 %a.normal, i64 %a.exponent, i64 1
  %b.e = select i1 %b.normal, i64 %b.exponent, i64 1
  %shift = sub i64 %a.e, %b.e
  %first = urem i64 %m, %n
  br label %reduce
reduce:
  %rest = phi i64 [ %first, %divide ], [ %rest.next, %step ]
  %left = phi i64 [ %shift, %divide ], [ %left.next, %step ]
  %over = icmp eq i64 %left, 0
  br i1 %over, label %assemble, label %step
step:
  %few = icmp ult i64 %left, 11
  %count = select i1 %few, i64 %left, i64 11
  %shifted = shl i64 %rest, %count
  %rest.next = urem i64 %shifted, %n
  %left.next = sub i64 %left, %count
  br label %reduce
assemble:
  ; in two steps, as the scale may be less than the smallest normal number
  %whole = uitofp i64 %rest to double
  %e = sub i64 %b.e, 1075
  %half = ashr i64 %e, 1
  %other = sub i64 %e, %half
  %half.biased = add i64 %half, 1023
  %other.biased = add i64 %other, 1023
  %half.bits = shl i64 %half.biased, 52
  %other.bits = shl i64 %other.biased, 52
  %scale1 = bitcast i64 %half.bits to double
  %scale2 = bitcast i64 %other.bits to double
  %partly = fmul double %whole, %scale1
  %magnitude = fmul double %partly, %scale2
  %magnitude.bits = bitcast double %magnitude to i64
  %sign = and i64 %x.bits, {-(1 << 63)}
  %signed = or i64 %magnitude.bits, %sign
  br label %done
done:
  %result = phi i64 [ %kept, %lane ], [ %signed, %assemble ]
  store i64 %result, ptr %r.at
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %lanes
  br i1 %more, label %lane, label %exit
exit:
  ret void
}}"""


def floor_divide(emitter: Arithmetic, x1: Value, x2: Value) -> Value:
    """floor(x1 / x2); of integers, 0 where x2 is."""
    return parted(emitter, x1, x2)[0].value


def remainder(emitter: Arithmetic, x1: Value, x2: Value) -> Value:
    """x1 - x2 floor(x1 / x2), with the sign of x2; of integers, 0 where x2 is."""
    return parted(emitter, x1, x2)[1].value


def parted(emitter: Arithmetic, x1: Value, x2: Value) -> tuple[Term, Term]:
    """The whole quotient and the remainder."""
    x, y = Term(emitter, x1), Term(emitter, x2)
    if x1.dtype.kind == "f":
        return parted_floats(x, y)
    number = known_number(x2)
    if number is not None:
        return by_number(x, number)
    zero = y.equals(0)
    divisor = where(zero, y.like(1), y)
    q = quotient_of_long(x, divisor) if x1.dtype.itemsize == 8 else quotient_by_floats(x, divisor)
    q = where(zero, q.like(0), q)
    return q, where(zero, q.like(0), x - q * divisor)


# integers


def known_number(x: Value) -> int | None:
    """The integer that `x` is, if that is known while writing."""
    found = re.fullmatch(r"(?:splat \(i\d+ )?(-?\d+)\)?", x.text)
    return int(found[1]) if found else None


def by_number(x: Term, number: int) -> tuple[Term, Term]:
    """Division by a number, which LLVM makes a product of."""
    if number == 0:
        return x.like(0), x.like(0)
    if number == -1 and x.value.dtype.kind == "i":
        return -x, x.like(0)
    if number > 0 and number & (number - 1) == 0:
        bits = number.bit_length() - 1
        return x >> bits, x & (number - 1)
    return floored(x, x.like(number))


def quotient_of_long(x: Term, y: Term) -> Term:
    """floor(x / y) of 64-bit integers, y not 0, by the machine's division, lane by lane."""
    if x.value.dtype.kind == "u":
        return floored(x, y)[0]
    flipped = y.equals(-1)  # the smallest integer has no negative, and the machine would trap
    return where(flipped, -x, floored(x, where(flipped, y.like(1), y))[0])


def floored(x: Term, y: Term) -> tuple[Term, Term]:
    """Quotient and remainder of integers for which the machine's division is defined."""
    emitter, signed = x.emitter, x.value.dtype.kind == "i"
    q = Term(emitter, emitter.binary("sdiv" if signed else "udiv", x.value, y.value))
    r = x - q * y
    if not signed:
        return q, r
    low = r.differs(0) & ((r ^ y) < 0)  # rounded to zero, that is upwards
    return where(low, q - 1, q), where(low, r + y, r)


def quotient_by_floats(x: Term, y: Term) -> Term:
    """floor(x / y) of integers of up to 32 bits, y not 0.

    The quotient of two whole numbers of n bits is either whole or further from the next whole
    number above it than 2^-2n of its size, so that rounding to float does not reach that.
    """
    dtype = x.value.dtype
    wide = FLOAT64 if dtype.itemsize == 4 else FLOAT32
    q = (x.to(wide) / y.to(wide)).floored()
    if dtype == INT32:  # the smallest integer has no negative
        q = where(q.equals(2.0**31), q.like(-(2.0**31)), q)
    if dtype == np.uint32:
        return Term(x.emitter, x.emitter.convert("fptoui", q.value, dtype))
    return q.to(dtype)


# floats


def parted_floats(x: Term, y: Term) -> tuple[Term, Term]:
    """The whole quotient and the remainder of floats.

    The quotient is correctly rounded, so its floor is right or one too large. What a whole number
    of few bits leaves is exact, but for one rounding that NumPy makes too. From 2^22 on (2^51 for
    float64) NumPy's quotient may itself be off by one; these go by `large_quotients`.
    """
    q = (x / y).floored()
    r = where(q.equals(0.0), x, exact_fma(-q, y, x))
    high = (r < 0.0) & (y > 0.0) | (r > 0.0) & (y < 0.0)
    r, limit = where(high, r + y, r), 2.0 ** (x.format.mantissa - 1)
    # NumPy has -1 where y is infinite and x is of the other sign
    lowered = where(high & (abs(y) < math.inf), q - 1.0, q)
    large = abs(q) >= limit
    q, r = branched(large, [lowered, r], lambda: large_quotients(x, y, q, large, lowered, r))
    return q, where(r.equals(0.0), r.like(0.0).signed_as(y), r)


def large_quotients(x: Term, y: Term, rounded: Term, large: Term, q: Term, r: Term) -> list[Term]:
    """`q` and `r`, put right where the quotient is `large`; as NumPy rounds it."""
    wide = [x.to(FLOAT64), y.to(FLOAT64)]
    left = through_memory("fmod.lanes", FMOD, wide, [FLOAT64])[0].to(x.value.dtype)
    high = (left < 0.0) & (y > 0.0) | (left > 0.0) & (y < 0.0)
    quotient = (x - left) / y
    quotient = where(high, quotient - 1.0, quotient)
    whole = quotient.floored()
    whole = where(quotient - whole > 0.5, whole + 1.0, whole)
    whole = where(abs(rounded) < math.inf, whole, rounded)
    return [where(large, whole, q), where(large, where(high, left + y, left), r)]


# neighbours


def nextafter(emitter: Arithmetic, x1: Value, x2: Value) -> Value:
    """The float next to x1 on the way to x2; x2 where they are equal."""
    x, y = Term(emitter, x1), Term(emitter, x2)
    bits = x.bits()
    outwards = (x < y).equals(x > 0.0)
    stepped = where(outwards, bits + 1, bits - 1).bits_as(x.value.dtype)
    least = y.like(0.0).bits() + 1
    stepped = where(x.equals(0.0), least.bits_as(x.value.dtype).signed_as(y), stepped)
    nan = x.differs(x) | y.differs(y)
    return where(x.equals(y), y, where(nan, x + y, stepped)).value


RULES: dict[str, Callable[..., Value]] = {
    "floor_divide": floor_divide,
    "remainder": remainder,
    "nextafter": nextafter,
}


def supported(name: str, dtype: np.dtype[Any]) -> bool:
    """Whether RULES has the function `name`, for lanes of `dtype`."""
    return dtype in (FLOAT32, FLOAT64) or (dtype.kind in "iu" and name != "nextafter")
