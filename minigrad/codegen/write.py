"""From a loop nest to LLVM text: loops, vectors and their tails, accumulators.

Where a loop goes in blocks, its rounds are made in lockstep: what differs between them is there
in so many copies, and each statement is written once for each copy.

What threads share is written in `sharing.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from ..core.lowering import Value
from .access import Access
from .bodies import mapped
from .emitter import VectorEmitter
from .folds import Copies, Lanes, Slot, Totals, neutral, widened
from .loops import (
    Apply,
    Draw,
    DType,
    Fetch,
    Load,
    Loop,
    Scan,
    Statement,
    Store,
    Transform,
    Update,
    statements,
)
from .names import defined
from .outline import called, is_worth_a_call
from .packing import minus, smaller
from .past import LINE
from .philox import write_block
from .reads import numbered
from .scans import running, started
from .text import Index
from .transforms import write_transform
from .uniform import UniformEmitter
from .vector import Vector, dividing, everywhere
from .windows import copy_window

WRITTEN_OUT = 16
"""Statements up to which a loop over the elements of rows abreast is written out."""


class NestWriter(Access):
    """Writes the statements of a nest into a function."""

    # Statements, in a round of a vector loop or outside of any.

    def run(self, body: Sequence[Statement], vector: Vector | None = None) -> None:
        """Write statements; those that fold are written by the loop that they stand in."""
        names = self.scalars if vector is None else vector.names
        for statement in body:
            match statement:
                case Loop() if vector is not None:
                    self.inner_loop(statement, vector)
                case Loop(vector=True):
                    self.vector_loop(statement)
                case Loop(each=True):
                    self.each(statement)
                case Loop():
                    self.scalar_loop(statement)
                case Load(place=place) if place.buffer.role == "number":
                    starts = self.base(place, "") if vector is None else self.bases[place]
                    emitter = self.emitter(vector)
                    names[statement.name] = [numbered(emitter, place, k, vector) for k in starts]
                case Load(inside=inside) if inside:
                    names[statement.name] = self.load_inside(statement, vector)
                case Load():
                    names[statement.name] = self.load(statement.place, vector)
                case Apply():
                    names[statement.name] = self.apply(statement, vector)
                case Scan():
                    assert vector is not None
                    names[statement.name] = [self.scan(statement, vector)]
                case Store():
                    place, past = statement.place, statement.past and self.past
                    values = self.get(statement.value, place.buffer.dtype, vector)
                    self.store(place, values, vector, past=past)
                case Update():
                    self.update(statement, vector)
                case Fetch():
                    assert vector is not None
                    self.fetch(statement, vector)
                case Draw(place=place, state=state):
                    begins = [str(self.base(x, "")[0]) for x in (state, place)]
                    write_block(self.function, statement, self.indices, *begins)
                case Transform(places=places):
                    begins = [str(self.base(x, "")[0]) for x in places]
                    write_transform(self.function, statement, begins)

    def apply(self, statement: Apply, vector: Vector | None) -> Copies:
        """The values of a map."""
        emitter = self.emitter(vector)
        pairs = zip(statement.operands, statement.dtypes, strict=True)
        operands = [self.get(x, dtype, vector) for x, dtype in pairs]
        made = []
        for k in range(max((len(copies) for copies in operands), default=1)):
            xs = [copies[k if len(copies) > 1 else 0] for copies in operands]
            op, dtype = statement.op, statement.dtype
            if op is not None and vector and vector.calls and is_worth_a_call(op, xs, dtype):
                made.append(called(emitter, op, xs, dtype))
            else:
                made.append(emitter.cast(mapped(emitter, op, xs), dtype))
        return made

    def scan(self, statement: Scan, vector: Vector) -> Value:
        """The running results in a vector."""
        xs = [self.get(x, statement.dtype, vector)[0] for x in statement.operands]
        return running(vector, statement.op, xs, *self.cells[statement.name])

    # Loops around others.

    def scalar_loop(self, loop: Loop) -> None:
        """A loop around others: its blocks first, then what remains of them."""
        totals = Totals(self.scalar, loop.folds)
        middle = loop.extent // loop.block * loop.block
        values = self.rounds(loop, 0, middle, loop.block, totals.start())
        values = self.rounds(loop, middle, loop.extent, 1, values)
        self.finish(loop, totals, values)

    def rounds(self, loop: Loop, low: Index, high: Index, step: int, values: Copies) -> Copies:
        """Rounds `low` to `high` of a loop around others; what its reductions have come to."""
        if low == high:
            return values
        outside, totals = self.block, Totals(self.scalar, loop.folds)
        with self.scalar.loop(low, high, step, values) as state:
            self.indices[loop.var] = state.index
            self.block = (loop.var, step) if step > 1 else outside
            self.run(loop.body)
            parts = [self.in_block(self.get(fold.value, fold.wide, None)) for fold in loop.folds]
            state.following = state.values
            for xs in zip(*parts, strict=True):
                state.following = totals.add(state.following, xs)
            self.block = outside
        return state.values

    def each(self, loop: Loop) -> None:
        """The rounds of the block around, each by itself."""
        outside, before = self.block, self.indices[loop.var]
        with self.scalar.loop(0, outside[1], 1) as state:
            self.block, self.copy = ("", 1), state.index
            self.indices[loop.var] = self.function.plus(before, state.index)
            self.run(loop.body)
        self.block, self.copy, self.indices[loop.var] = outside, 0, before

    def finish(self, loop: Loop, totals: Totals, values: Copies) -> None:
        """Name what the reductions of a loop have come to."""
        results = zip(loop.folds, totals.finish(values), strict=True)
        self.scalars |= {fold.name: [x] for fold, x in results}

    # Vector loops.

    def vector_loop(self, loop: Loop) -> None:
        """A loop over lanes, in chunks where reductions would otherwise lose digits."""
        slots = [Slot(fold, k) for fold in loop.folds for k in range(self.copies(fold.name))]
        for scan in loop.scans:
            self.cells[scan.name] = started(self.scalar, scan, loop.lanes, self.nest.vector_bytes)
        size, end = loop.chunk, loop.extent
        if not slots or end <= size:
            results = self.segment(loop, slots, 0, end)
        else:
            results = self.chunks(loop, slots)
        for fold in loop.folds:
            of_fold = zip(slots, results, strict=True)
            self.scalars[fold.name] = [x for slot, x in of_fold if slot.fold is fold]

    def chunks(self, loop: Loop, slots: Sequence[Slot]) -> Copies:
        """A long vector loop with reductions, chunk by chunk."""
        totals = Totals(self.scalar, [slot.fold for slot in slots])
        middle = loop.extent // loop.chunk * loop.chunk
        values = self.whole_chunks(loop, slots, 0, middle, totals.start())
        if middle < loop.extent:
            values = totals.add(values, self.segment(loop, slots, middle, loop.extent - middle))
        return totals.finish(values)

    def whole_chunks(
        self, loop: Loop, slots: Sequence[Slot], low: Index, high: Index, values: Copies
    ) -> Copies:
        """The chunks from round `low` to `high`; what the reductions have come to."""
        totals = Totals(self.scalar, [slot.fold for slot in slots])
        with self.scalar.loop(low, high, loop.chunk, values) as state:
            parts = self.segment(loop, slots, state.index, loop.chunk)
            state.following = totals.add(state.values, parts)
        return state.values

    def copies(self, name: str) -> int:
        """In how many copies the value `name` is made in the block being written."""
        return self.block[1] if name in self.varying else 1

    def segment(self, loop: Loop, slots: Sequence[Slot], start: Index, length: Index) -> Copies:
        """Rounds `start` to `start + length` of a vector loop; what its reductions give.

        A `length` that is known only at run time is one of whole vectors.
        """
        if loop.past and not self.past:
            self.past_or_not(loop, start, length)
            return []
        for name in defined([*statements(loop.body)]):
            self.scalars.pop(name, None)  # of another strip, where there was one for each row
        self.prepare(loop.body, loop.var, start)
        lanes, unroll = loop.lanes, loop.unroll
        emitter = self.vectors(lanes)
        ready = everywhere(loop, emitter, self.scalars)
        middle, backwards = length, loop.backwards
        if isinstance(length, int):
            middle = length // (lanes * unroll) * (lanes * unroll)

        if self.ends_whole(loop):
            self.whole_rounds(loop, emitter, ready, start, length)
            return []

        sums = Lanes(emitter, slots, unroll)
        state = sums.start()

        def part(index: Index) -> Copies:
            vector = Vector(
                emitter, loop.var, start, index, None, lanes, ready, loop.calls, backwards
            )
            return self.round(loop, slots, vector)

        if backwards and isinstance(length, int) and length % lanes:
            self.tail(loop, slots, start, length)
        if middle:
            with emitter.loop(0, middle, lanes * unroll, state) as carried:
                parts = []
                for u in range(unroll):
                    index = self.function.plus(carried.index, u * lanes)
                    if backwards:
                        index = self.function.let(f"sub i64 {int(middle) - lanes}, {index}")
                    parts.append(part(index))
                carried.following = sums.add(carried.values, parts)
            state = carried.values
        if isinstance(length, int) and isinstance(middle, int):
            parts = [part(index) for index in range(middle, length - lanes + 1, lanes)]
            if length % lanes and not backwards:
                parts.append(self.tail(loop, slots, start, length))
            state = sums.add(state, parts) if parts else state
        pairs = zip(slots, sums.finish(state), strict=True)
        return [self.scalar.cast(x, slot.fold.wide) for slot, x in pairs]

    def ends_whole(self, loop: Loop) -> bool:
        """Whether the last vector of `loop` begins where it is whole: not, where it may store to
        the memory that it loads from."""
        return False

    def whole_rounds(
        self,
        loop: Loop,
        emitter: VectorEmitter,
        ready: dict[tuple[str, DType], Copies],
        start: Index,
        length: Index,
    ) -> None:
        """Rounds `start` to `start + length` of a loop that ends whole; also some before."""
        f, lanes = self.function, loop.lanes
        last = minus(f, loop.extent - lanes, start)
        with emitter.loop(0, length, lanes, []) as state:
            index = smaller(f, state.index, last)
            vector = Vector(emitter, loop.var, start, index, None, lanes, ready, loop.calls)
            self.round(loop, [], vector)

    def past_or_not(self, loop: Loop, start: Index, length: Index) -> None:
        """The rounds of a loop past the caches, if its lines are whole where memory begins."""
        f = self.function
        begins = [f.let(f"ptrtoint ptr %{place.buffer.name} to i64") for place in loop.past]
        together = functools.reduce(lambda x, y: f.let(f"or i64 {x}, {y}"), begins)
        apart = f.let(f"and i64 {together}, {LINE - 1}")
        whole, other, after = f.label("whole"), f.label("other"), f.label("after")
        f.branch(f.let(f"icmp eq i64 {apart}, 0"), whole, other)
        f.place(whole)
        self.past = self.passes = True
        self.segment(loop, [], start, length)
        self.past = False
        f.jump(after)
        f.place(other)
        self.segment(replace(loop, body=[plain(s) for s in loop.body]), [], start, length)
        f.jump(after)
        f.place(after)

    def end(self) -> None:
        """End the function: stores past the caches are in no order with others.

        Once, and not in each row, which would wait for memory: rows of 512 took twice as long.
        """
        if self.passes:
            self.function.do("fence seq_cst")

    def tail(self, loop: Loop, slots: Sequence[Slot], start: Index, length: int) -> Copies:
        """The last rounds, too few for a vector; in what is reduced, other lanes are neutral."""
        rest = length % loop.lanes
        lanes = loop.lanes if loop.calls else 1 << (rest - 1).bit_length()
        emitter = self.vectors(lanes)
        mask = None if rest == lanes else emitter.first_lanes(rest)
        ready = everywhere(loop, emitter, self.scalars)
        vector = Vector(
            emitter, loop.var, start, length - rest, mask, rest, ready, loop.calls, loop.backwards
        )
        parts = []
        for slot, x in zip(slots, self.round(loop, slots, vector), strict=True):
            zero = neutral(self.scalar, slot.fold.op, x.dtype)
            chosen = x if mask is None else emitter.select(mask, x, emitter.splat(zero))
            parts.append(widened(emitter, chosen, zero, loop.lanes))
        return parts

    def round(self, loop: Loop, slots: Sequence[Slot], vector: Vector) -> Copies:
        """One round: all statements; returns what is to be folded, by slot."""
        self.run(loop.body, vector)
        return [self.get(fold.value, fold.dtype, vector)[k] for fold, k in slots]

    def vectors(self, lanes: int) -> VectorEmitter:
        """A new emitter of vectors."""
        return (
            UniformEmitter(self.function, lanes)
            if self.fused
            else VectorEmitter(self.function, lanes)
        )

    # Loops in a round of a vector loop: each lane goes through them by itself.

    def inner_loop(self, loop: Loop, vector: Vector) -> None:
        """A loop over the few elements of rows that are abreast, in the lanes of `vector`."""
        if loop.vector:
            self.indices[loop.var] = 0
            self.prepare(loop.body, vector.var, vector.start)
            copy_window(self.vectors(loop.lanes), loop, self.bases, vector)
            return
        bases, emitter = dict(self.bases), vector.emitter
        sums = Lanes(emitter, [Slot(fold, 0) for fold in loop.folds])
        state = sums.start()
        with dividing(loop, vector):
            if loop.extent * len(loop.body) <= WRITTEN_OUT:
                for k in range(loop.extent):
                    state = sums.add(state, [self.part_of_round(loop, vector, k)])
            else:
                state = self.inner_chunks(loop, vector, sums, state)
        for fold, x in zip(loop.folds, sums.in_lanes(state), strict=True):
            vector.names[fold.name] = [emitter.cast(x, fold.wide)]
        self.bases = bases

    def inner_chunks(self, loop: Loop, vector: Vector, sums: Lanes, state: Copies) -> Copies:
        """All rounds of an inner loop; sums of so many at a time are added up."""
        start, size = 0, loop.chunk
        if sums.slots and size and 2 * size <= loop.extent:
            zeros, start = list(state), loop.extent // size * size
            with vector.emitter.loop(0, start, size, state) as carried:
                end = self.function.plus(carried.index, size)
                parts = self.inner_rounds(loop, vector, sums, (carried.index, end), zeros)
                carried.following = sums.merge(carried.values, parts)
            state = carried.values
        middle = start + (loop.extent - start) // loop.unroll * loop.unroll
        state = self.inner_rounds(loop, vector, sums, (start, middle), state)
        for k in range(middle, loop.extent):
            state = sums.add(state, [self.part_of_round(loop, vector, k)])
        return state

    def inner_rounds(
        self, loop: Loop, vector: Vector, sums: Lanes, span: tuple[Index, Index], state: Copies
    ) -> Copies:
        """Rounds of an inner loop; what several in turn give is added among each other first."""
        if span[0] == span[1]:
            return state
        with vector.emitter.loop(*span, loop.unroll, state, surely=True) as carried:
            rounds = [self.function.plus(carried.index, u) for u in range(loop.unroll)]
            parts = [self.part_of_round(loop, vector, index) for index in rounds]
            carried.following = sums.add(carried.values, parts)
        return carried.values

    def part_of_round(self, loop: Loop, vector: Vector, index: Index) -> Copies:
        """One round of an inner loop; what its reductions take from it."""
        self.indices[loop.var] = index
        self.prepare(loop.body, vector.var, vector.start)
        return self.round(loop, [Slot(fold, 0) for fold in loop.folds], vector)


def plain(statement: Statement) -> Statement:
    """`statement`, but a store goes into the caches."""
    return replace(statement, past=False) if isinstance(statement, Store) else statement
