"""Division by what is the same in every lane, without the division instruction.

It takes as long as a dozen products. The quotient by the reciprocal is off in the last bit; one
step of Newton's with a fused product makes it the correctly rounded one. Markstein (1990).
"""

from __future__ import annotations

from typing import NamedTuple

from ..core.lowering import Value
from .arithmetic import FLOAT32, computed
from .emitter import VectorEmitter, is_constant
from .text import Function


class Divisor(NamedTuple):
    """A divisor times `scale`, so that its reciprocal does not overflow; all in every lane."""

    value: Value
    reciprocal: Value
    scale: Value | None


class UniformEmitter(VectorEmitter):
    """An emitter that knows of some values that they are the same in every lane."""

    def __init__(self, function: Function, lanes: int):
        super().__init__(function, lanes)
        self.divisors: dict[str, Divisor] = {}

    def announce(self, x: Value, everywhere: Value) -> None:
        """Get ready, before a loop, to divide by the scalar `x`, which is `everywhere` in it."""
        if not is_constant(x) and x.dtype.kind == "f" and self.lanes > 1:
            x = self.cast(x, computed(x.dtype))
            parts = divisor(self.scalar, x)
            self.divisors[everywhere.text] = Divisor(*map(self.splat, parts))

    def announce_lanes(self, x: Value) -> None:
        """Get ready, before a loop, to divide by the vector `x` in each of its rounds."""
        if not is_constant(x) and x.dtype.kind == "f" and x.text not in self.divisors:
            x = self.cast(x, computed(x.dtype))
            self.divisors[x.text] = Divisor(*divisor(self, x))

    def announce_number(self, number: complex, everywhere: Value) -> None:
        """Get ready to divide by a Python number, which is `everywhere` in the loop."""
        dtype, number = computed(everywhere.dtype), everywhere.dtype.type(number)
        if dtype.kind == "f" and self.lanes > 1 and 2.0**-64 < float(abs(number)) < 2.0**64:
            reciprocal = self.const(1 / dtype.type(number), dtype)
            self.divisors[everywhere.text] = Divisor(everywhere, reciprocal, None)

    def div(self, x1: Value, x2: Value) -> Value:
        """The quotient of floats; the last bit may be off where `x1` is nearly subnormal."""
        divisor = self.divisors.get(x2.text)
        if divisor is None:
            return super().div(x1, x2)
        scaled = x1 if divisor.scale is None else self.mul(x1, divisor.scale)
        first = self.mul(scaled, divisor.reciprocal)
        rest = self.fma(self.neg(first), divisor.value, scaled)
        second = self.fma(rest, divisor.reciprocal, first)
        # infinities leave no rest that is a number, and zeros would lose their sign
        special = self.binary_mask("fcmp ueq", second, self.const(0, x1.dtype))
        return self.select(special, first, second)


def divisor(emitter: VectorEmitter, x: Value) -> tuple[Value, Value, Value]:
    """`x`, scaled; its reciprocal; and the scale."""
    tiny, large = (-100, 64) if x.dtype == FLOAT32 else (-900, 512)
    small = emitter.compare("<", emitter.math("abs", x), emitter.const(2.0**tiny, x.dtype))
    one = emitter.const(1, x.dtype)
    scale = emitter.select(small, emitter.const(2.0**large, x.dtype), one)
    value = emitter.mul(x, scale)
    return value, emitter.div(one, value), scale
