"""Accumulating: how partial results of reductions are combined, from lane, chunk and row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..core.lowering import Reduce, Value
from ..core.op import Op
from .arithmetic import lane_type
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


def joined(
    emitter: VectorEmitter, slots: Sequence[Slot], xs: Sequence[Value], ys: Sequence[Value]
) -> Copies:
    """Partial results of several reductions, in pairs."""
    return [combined(emitter, slot.fold.op, x, y) for slot, x, y in zip(slots, xs, ys, strict=True)]


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
