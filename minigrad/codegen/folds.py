"""Accumulating: how partial results of reductions are combined, from lane, chunk and row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..core.lowering import Reduce, Value
from ..core.op import Op
from .arithmetic import BOOL, lane_type
from .emitter import VectorEmitter
from .loops import DType, Fold

Copies = list[Value]


class Slot(NamedTuple):
    """One accumulator of a reduction: for copy `copy` of the block."""

    fold: Fold
    copy: int


def reduction(op: Op) -> Reduce:
    """How `op` folds."""
    assert isinstance(op.lower, Reduce)
    return op.lower


def combined(emitter: VectorEmitter, op: Op, x1: Value, x2: Value) -> Value:
    """Two partial results of the reduction `op`, as one."""
    return reduction(op).combine(emitter, x1, x2)


def folded(emitter: VectorEmitter, op: Op, x: Value) -> Value:
    """All lanes of `x` together, by the reduction `op`."""
    return emitter.fold(x, lambda e, a, b: combined(e, op, a, b))


def widened(emitter: VectorEmitter, x: Value, rest: Value, lanes: int) -> Value:
    """`x` in the first of `lanes` lanes, the scalar constant `rest` in the others."""
    if emitter.lanes == lanes:
        return x
    if x.dtype.kind == "c":
        pairs = zip(emitter.parts(x), emitter.scalar.parts(rest), strict=True)
        return emitter.with_lanes(lanes).pair(*(widened(emitter, *p, lanes) for p in pairs))
    lane, kind, n = lane_type(x.dtype), emitter.type_of(x.dtype), emitter.lanes
    if n == 1:
        start = f"<{lanes} x {lane}> splat ({lane} {rest.text})"
        return emitter.let(f"insertelement {start}, {lane} {x.text}, i64 0", x.dtype)
    order = ", ".join(f"i32 {min(k, n)}" for k in range(lanes))
    source = f"{kind} {x.text}, {kind} splat ({lane} {rest.text}), <{lanes} x i32> <{order}>"
    return emitter.let(f"shufflevector {source}", x.dtype)


class Lanes:
    """Accumulators in the lanes of vectors: one for each slot, in every one of some turns.

    Of floats whose NaNs are looked for apart (`Reduce.of_numbers`), a mask for each slot says where
    none has come; a comparison asks of two vectors at once. `start`, then `add` in every round,
    then `in_lanes` or `finish`.
    """

    def __init__(self, emitter: VectorEmitter, slots: Sequence[Slot], turns: int = 1):
        self.emitter = emitter
        self.slots = slots
        self.turns = turns
        self.apart = [
            k
            for k, (fold, _) in enumerate(slots)
            if reduction(fold.op).of_numbers and fold.dtype.kind == "f"
        ]

    def start(self) -> Copies:
        """The state before the first round."""
        sums = [neutral(self.emitter, slot.fold.op, slot.fold.dtype) for slot in self.slots]
        return sums * self.turns + [self.emitter.const(True, BOOL) for _ in self.apart]

    def add(self, state: Copies, parts: Sequence[Copies]) -> Copies:
        """The state after vectors, each with one value for every slot: one a turn.

        Where all have one turn, they are added among each other first.
        """
        n = len(self.slots)
        sums, masks = state[: n * self.turns], state[n * self.turns :]
        masks = [
            self.without_nan(mask, [xs[k] for xs in parts])
            for k, mask in zip(self.apart, masks, strict=True)
        ]
        if self.turns == 1:
            parts = [self.together(parts)]
        for turn, xs in enumerate(parts):
            own = slice(turn * n, turn * n + n)
            sums[own] = self.joined(sums[own], xs)
        return sums + masks

    def merge(self, state: Copies, other: Copies) -> Copies:
        """Two states as one."""
        n = len(self.slots) * self.turns
        pairs = zip(state[n:], other[n:], strict=True)
        masks = [self.emitter.bitwise("and", *pair) for pair in pairs]
        return self.joined(state[:n], other[:n]) + masks

    def in_lanes(self, state: Copies) -> Copies:
        """What has been accumulated, lane by lane."""
        emitter = self.emitter
        sums, masks = self.of_turns(state)
        for k, mask in zip(self.apart, masks, strict=True):
            nan = emitter.const(math.nan, sums[k].dtype)
            sums[k] = emitter.select(mask, sums[k], nan)
        return sums

    def finish(self, state: Copies) -> Copies:
        """All lanes of what has been accumulated together, as scalars."""
        emitter = self.emitter
        sums, masks = self.of_turns(state)
        results = [emitter.fold(x, self.rule(k)) for k, x in enumerate(sums)]
        for k, mask in zip(self.apart, masks, strict=True):
            nan = emitter.scalar.const(math.nan, sums[k].dtype)
            some = Value(emitter.any(emitter.invert(mask)), BOOL)
            results[k] = emitter.scalar.select(some, nan, results[k])
        return results

    def of_turns(self, state: Copies) -> tuple[Copies, Copies]:
        """One value for every slot, of those of its turns; and the masks."""
        n = len(self.slots)
        turns = [state[k * n : k * n + n] for k in range(self.turns)]
        return self.together(turns), state[n * self.turns :]

    def without_nan(self, mask: Value, xs: Copies) -> Value:
        """Where `mask` is true and there is no NaN in `xs`."""
        emitter = self.emitter
        for k in range(0, len(xs), 2):
            pair = xs[k], xs[k + 1 if k + 1 < len(xs) else k]
            mask = emitter.bitwise("and", mask, emitter.binary_mask("fcmp ord", *pair))
        return mask

    def together(self, parts: Sequence[Copies]) -> Copies:
        """One value for every slot of several, halves first."""
        while len(parts) > 1:
            half = len(parts) // 2
            joined = [self.joined(parts[k], parts[half + k]) for k in range(half)]
            parts = [*joined, *parts[2 * half :]]
        return list(parts[0])

    def joined(self, xs: Copies, ys: Copies) -> Copies:
        """Values of the slots, once or more of each, in pairs."""
        n = len(self.slots)
        pairs = enumerate(zip(xs, ys, strict=True))
        return [self.rule(k % n)(self.emitter, x, y) for k, (x, y) in pairs]

    def rule(self, k: int) -> Callable[[VectorEmitter, Value, Value], Value]:
        """What combines two values of slot `k`."""
        lower = reduction(self.slots[k].fold.op)
        rule = lower.of_numbers if k in self.apart else lower.combine
        assert rule is not None
        return rule


class Totals:
    """Scalars that add up from round to round: one for each reduction, or a sum and its error.

    emitter: of scalars. `start`, then `add` in every round, then `finish`.
    """

    def __init__(self, emitter: VectorEmitter, folds: Sequence[Fold]):
        self.emitter = emitter
        self.folds = folds

    def start(self) -> Copies:
        """The values before the first round."""
        values = []
        for fold in self.folds:
            values += [neutral(self.emitter, fold.op, fold.wide)] * (1 + fold.compensated)
        return values

    def add(self, state: Sequence[Value], xs: Sequence[Value]) -> Copies:
        """The values after a round that gives one of `xs` to each reduction."""
        values, following = list(state), []
        for fold, x in zip(self.folds, xs, strict=True):
            total = values.pop(0)
            if fold.compensated:
                following += two_sum(self.emitter, total, values.pop(0), x)
            else:
                following.append(combined(self.emitter, fold.op, total, x))
        return following

    def merge(self, state: Sequence[Value], other: Sequence[Value]) -> Copies:
        """What two threads have come to, as one state."""
        values, others, following = list(state), list(other), []
        for fold in self.folds:
            total, x = values.pop(0), others.pop(0)
            if fold.compensated:
                lost = self.emitter.add(values.pop(0), others.pop(0))
                following += two_sum(self.emitter, total, lost, x)
            else:
                following.append(combined(self.emitter, fold.op, total, x))
        return following

    def finish(self, state: Sequence[Value]) -> Copies:
        """The results after the last round."""
        values, results, emitter = list(state), [], self.emitter
        for fold in self.folds:
            total = values.pop(0)
            if fold.compensated:
                error = values.pop(0)
                # what has overflowed leaves no error that is a number
                total = repaired(emitter, total, error)
            results.append(total)
        return results


def repaired(emitter: VectorEmitter, total: Value, error: Value) -> Value:
    """`total` with what its rounding has lost."""
    if total.dtype.kind == "c":
        return emitter.partwise(lambda *xs: repaired(emitter, *xs), total, error)
    return emitter.select(emitter.is_nan(error), total, emitter.add(total, error))


def two_sum(emitter: VectorEmitter, total: Value, error: Value, x: Value) -> Copies:
    """`total + x` rounded, and `error` with what the rounding lost. Knuth (1969)."""
    new = emitter.add(total, x)
    part = emitter.sub(new, total)
    lost = emitter.add(emitter.sub(total, emitter.sub(new, part)), emitter.sub(x, part))
    return [new, emitter.add(error, lost)]


def neutral(emitter: VectorEmitter, op: Op, dtype: DType) -> Value:
    """What a reduction starts with."""
    return emitter.const(reduction(op).init(dtype), dtype)
