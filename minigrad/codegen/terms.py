"""Values with Python's operators, so that vector math reads as mathematics."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.lowering import Value
from .arithmetic import FLOAT32, FLOAT64, INT32, INT64, Arithmetic
from .coefficients import COEFFICIENTS


class Format:
    """How a float dtype keeps its bits.

    mantissa: explicit bits of it. bias: of the exponent. shifter: 1.5 · 2^mantissa; adding it to
    a moderate float rounds that to an integer. scaler: the same, and the exponent of 1/2 in its
    bits: where it is added, the last bits of the sum are the exponent of half a power of two.
    """

    def __init__(self, mantissa: int, bias: int, integer: np.dtype[Any], suffix: str):
        self.mantissa = mantissa
        self.bias = bias
        self.integer = integer
        self.suffix = suffix
        self.shifter = 1.5 * 2.0**mantissa
        self.scaler = self.shifter + (bias - 1)
        self.scaler_bits = (bias + mantissa << mantissa) + (1 << (mantissa - 1)) + bias - 1
        self.tiny = 2.0 ** -(mantissa + 2)  # too small to change 1 when added
        self.smallest_normal = 2.0 ** (1 - bias)


SINGLE = Format(23, 127, INT32, "f32")
DOUBLE = Format(52, 1023, INT64, "f64")


class Term:
    """A Value and the emitter that can go on computing with it.

    Numbers mixed in take the dtype of the Term beside them. The emitter of the left operand
    writes the instruction, which matters only for `exactly`.
    """

    __slots__ = ("emitter", "value")

    def __init__(self, emitter: Arithmetic, value: Value):
        self.emitter = emitter
        self.value = value

    @property
    def format(self) -> Format:
        """How the dtype of this float keeps its bits."""
        return SINGLE if self.value.dtype == FLOAT32 else DOUBLE

    def exactly(self) -> Term:
        """The same term, whose sums and products are never fused."""
        emitter = self.emitter
        return Term(Arithmetic(emitter.function, emitter.lanes, exact=True), self.value)

    def lift(self, x: Term | float) -> Value:
        """`x` as a Value of this dtype."""
        return x.value if isinstance(x, Term) else self.emitter.const(x, self.value.dtype)

    def like(self, x: Term | float) -> Term:
        """`x` as a Term of this dtype."""
        return Term(self.emitter, self.lift(x))

    # Arithmetic.

    def __add__(self, x: Term | float) -> Term:
        return Term(self.emitter, self.emitter.add(self.value, self.lift(x)))

    def __radd__(self, x: float) -> Term:
        return self + x

    def __sub__(self, x: Term | float) -> Term:
        return Term(self.emitter, self.emitter.sub(self.value, self.lift(x)))

    def __rsub__(self, x: float) -> Term:
        return Term(self.emitter, self.emitter.sub(self.lift(x), self.value))

    def __mul__(self, x: Term | float) -> Term:
        return Term(self.emitter, self.emitter.mul(self.value, self.lift(x)))

    def __rmul__(self, x: float) -> Term:
        return self * x

    def __truediv__(self, x: Term | float) -> Term:
        return Term(self.emitter, self.emitter.div(self.value, self.lift(x)))

    def __rtruediv__(self, x: float) -> Term:
        return Term(self.emitter, self.emitter.div(self.lift(x), self.value))

    def __neg__(self) -> Term:
        return Term(self.emitter, self.emitter.neg(self.value))

    def __abs__(self) -> Term:
        return Term(self.emitter, self.emitter.intrinsic("fabs", self.value))

    # Bits: of integers, and of masks.

    def __and__(self, x: Term | int) -> Term:
        return Term(self.emitter, self.emitter.bitwise("and", self.value, self.lift(x)))

    def __or__(self, x: Term | int) -> Term:
        return Term(self.emitter, self.emitter.bitwise("or", self.value, self.lift(x)))

    def __xor__(self, x: Term | int) -> Term:
        return Term(self.emitter, self.emitter.bitwise("xor", self.value, self.lift(x)))

    def __invert__(self) -> Term:
        return Term(self.emitter, self.emitter.invert(self.value))

    def __lshift__(self, count: int) -> Term:
        return Term(self.emitter, self.emitter.shift("shl", self.value, count))

    def __rshift__(self, count: int) -> Term:
        shift = "lshr" if self.value.dtype.kind == "u" else "ashr"
        return Term(self.emitter, self.emitter.shift(shift, self.value, count))

    def bits(self) -> Term:
        """The bits of this float as a signed integer."""
        return Term(self.emitter, self.emitter.bitcast(self.value, self.format.integer))

    def bits_as(self, dtype: np.dtype[Any]) -> Term:
        """The float of `dtype` that has the bits of this integer."""
        return Term(self.emitter, self.emitter.bitcast(self.value, dtype))

    def to(self, dtype: Any) -> Term:
        """This term cast to `dtype`."""
        return Term(self.emitter, self.emitter.cast(self.value, dtype))

    # Comparisons give masks.

    def compare(self, relation: str, x: Term | float) -> Term:
        """A mask; `relation` is one of < <= > >= == !=."""
        return Term(self.emitter, self.emitter.compare(relation, self.value, self.lift(x)))

    def __lt__(self, x: Term | float) -> Term:
        return self.compare("<", x)

    def __le__(self, x: Term | float) -> Term:
        return self.compare("<=", x)

    def __gt__(self, x: Term | float) -> Term:
        return self.compare(">", x)

    def __ge__(self, x: Term | float) -> Term:
        return self.compare(">=", x)

    def equals(self, x: Term | float) -> Term:
        """The mask of equal lanes."""
        return self.compare("==", x)

    def differs(self, x: Term | float) -> Term:
        """The mask of lanes that are not equal; NaN differs from all."""
        return self.compare("!=", x)

    # Functions with an instruction of their own.

    def at_least(self, x: Term | float) -> Term:
        """The larger of the two; this one if it is NaN. `x` is not NaN."""
        bound = self.like(x)
        return where(bound > self, bound, self)

    def at_most(self, x: Term | float) -> Term:
        """The smaller of the two; this one if it is NaN. `x` is not NaN."""
        bound = self.like(x)
        return where(bound < self, bound, self)

    def signed_as(self, x: Term) -> Term:
        """This magnitude with the sign of `x`."""
        return Term(self.emitter, self.emitter.intrinsic("copysign", self.value, x.value))

    def truncated(self) -> Term:
        """Rounded toward zero."""
        return Term(self.emitter, self.emitter.intrinsic("trunc", self.value))

    def floored(self) -> Term:
        """Rounded towards minus infinity."""
        return Term(self.emitter, self.emitter.intrinsic("floor", self.value))

    def nearest_integer(self) -> Term:
        """The integer next to this float32, as int32; of two, the even one."""
        emitter, function = self.emitter, self.emitter.function
        lanes = "" if emitter.lanes == 1 else f"v{emitter.lanes}"
        name = f"llvm.lrint.{lanes}i32.{lanes}f32"
        source, target = emitter.type_of(FLOAT32), emitter.type_of(INT32)
        function.module.declare(target, name, source)
        return Term(
            emitter, emitter.let(f"call {target} @{name}({source} {self.value.text})", INT32)
        )

    def is_negative(self) -> Term:
        """The mask of set sign bits: -0.0 counts, and so may NaN."""
        return self.bits() < 0


def where(mask: Term, x1: Term | float, x2: Term | float) -> Term:
    """`x1` where `mask`, else `x2`; at most one of the two is a number."""
    model = x1 if isinstance(x1, Term) else x2
    if not isinstance(model, Term):
        raise TypeError("where: both branches are numbers, which have no dtype; lift one")
    chosen = mask.emitter.select(mask.value, model.lift(x1), model.lift(x2))
    return Term(model.emitter, chosen)


def fma(x1: Term, x2: Term | float, x3: Term | float) -> Term:
    """`x1 * x2 + x3`, rounded once where the machine can."""
    return Term(x1.emitter, x1.emitter.fma(x1.value, x1.lift(x2), x1.lift(x3)))


def exact_fma(x1: Term, x2: Term, x3: Term) -> Term:
    """`x1 * x2 + x3`, always rounded once."""
    return Term(x1.emitter, x1.emitter.intrinsic("fma", x1.value, x2.value, x3.value))


def in_double(rule: Callable[..., Term]) -> Callable[..., Term]:
    """The rule of float64 for float32 too: cast there and back, its error is one rounding."""

    @functools.wraps(rule)
    def widened(*xs: Term) -> Term:
        dtype = xs[0].value.dtype
        return rule(*(x.to(np.float64) for x in xs)).to(dtype)

    return widened


def branched(mask: Term, values: Sequence[Term], slow: Callable[[], Sequence[Term]]) -> list[Term]:
    """`values`, or what `slow` makes in their place where some lane of `mask` is true."""
    emitter, function = mask.emitter, mask.emitter.function
    inside, after, before = function.label("slow"), function.label("after"), function.block
    function.branch(emitter.any(mask.value), inside, after, unlikely=True)
    function.place(inside)
    others, end = slow(), function.block
    function.jump(after)
    function.place(after)
    merged = []
    for x, other in zip(values, others, strict=True):
        kind, dtype = emitter.type_of(x.value.dtype), x.value.dtype
        text = function.phi(kind, (x.value.text, before), (other.value.text, end))
        merged.append(Term(emitter, Value(text, dtype)))
    return merged


def through_memory(
    name: str, definition: str, xs: Sequence[Term], results: Sequence[np.dtype[Any]]
) -> list[Term]:
    """What a function of lanes in memory makes of `xs`, all of 8 bytes.

    definition: the LLVM text of the function `name`, which takes a pointer for each operand and
    for each of the `results`, given by their dtypes; and the number of lanes.
    """
    emitter, function = xs[0].emitter, xs[0].emitter.function
    function.module.define(name, definition)
    buffers = [function.scratch(8 * emitter.lanes) for _ in (*xs, *results)]
    for x, buffer in zip(xs, buffers, strict=False):
        function.do(f"store {emitter.type_of(x.value.dtype)} {x.value.text}, ptr {buffer}, align 8")
    arguments = ", ".join(f"ptr {buffer}" for buffer in buffers)
    function.do(f"call void @{name}({arguments}, i64 {emitter.lanes})")
    made = []
    for dtype, buffer in zip(results, buffers[len(xs) :], strict=True):
        text = function.let(f"load {emitter.type_of(dtype)}, ptr {buffer}, align 8")
        made.append(Term(emitter, Value(text, dtype)))
    return made


def sqrt(x: Term) -> Term:
    """The square root, correctly rounded."""
    return Term(x.emitter, x.emitter.intrinsic("sqrt", x.value))


def nearly_divided(x: Term | float, y: Term) -> Term:
    """x / y of float64, to some 45 bits, in half the time; y is within the range of float32.

    The reciprocal in float32, and one step of Newton's.
    """
    r = (1.0 / y.to(FLOAT32)).to(FLOAT64)
    return fma(r, fma(-y, r, 1.0), r) * x


def nearly_sqrt(x: Term) -> Term:
    """The square root of a float64, likewise; x is within the range of float32, and not 0."""
    narrow = Term(x.emitter, x.emitter.intrinsic("sqrt", x.to(FLOAT32).value))
    root = narrow.to(FLOAT64)
    return fma(fma(-root, root, x), (0.5 / narrow).to(FLOAT64), root)


def coefficients(x: Term, name: str) -> tuple[float, ...]:
    """The polynomial `name` of COEFFICIENTS, of which it takes the variant for the dtype of `x`."""
    base, _, variant = name.partition("/")
    return COEFFICIENTS["_".join(part for part in (base, x.format.suffix, variant) if part)]


def horner(x: Term, coefficients: Sequence[float]) -> Term:
    """The polynomial with the `coefficients`, lowest power first, at `x`: the fewest steps."""
    total = x.like(coefficients[-1])
    for c in coefficients[-2::-1]:
        total = fma(total, x, c)
    return total


def polynomial(x: Term, name: str) -> Term:
    """The polynomial `name` at `x`.

    Estrin's scheme: pairs, then pairs of pairs; shorter chains than Horner's.
    """
    terms: Sequence[Term] = [x.like(c) for c in coefficients(x, name)]
    power = x
    while len(terms) > 1:
        pairs = [fma(terms[k + 1], power, terms[k]) for k in range(0, len(terms) - 1, 2)]
        terms = pairs + list(terms[2 * len(pairs) :])
        if len(terms) > 1:
            power = power * power
    return terms[0]
