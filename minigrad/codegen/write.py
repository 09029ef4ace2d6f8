"""From a loop nest to LLVM text: loops, vectors and their tails, accumulators.

Where a loop goes in blocks, its rounds are made in lockstep: what differs between them is there
in so many copies, and each statement is written once for each copy.

What threads share is written in `sharing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.lowering import Value
from .arithmetic import lane_type
from .cost import WIDEST
from .crosswise import load_crosswise
from .emitter import VectorEmitter, memory_dtype
from .folds import Copies, Slot, Totals, combined, joined, neutral, widened
from .loops import (
    Apply,
    DType,
    Fold,
    Load,
    Loop,
    LoopNest,
    Operand,
    Place,
    Scan,
    Statement,
    Store,
    Update,
    statements,
)
from .names import divided_by, used, varying
from .outline import called, is_worth_a_call
from .scans import running, started
from .text import Function, Index
from .uniform import UniformEmitter
from .vector import Vector, mapped

FUSED_FROM = 32
"""Bytes of the vectors of machines that all have a fused product and sum."""


class NestWriter:
    """Writes the statements of a nest into a function."""

    def __init__(self, function: Function, nest: LoopNest):
        self.nest = nest
        self.varying = varying(nest.body)
        self.fused = nest.vector_bytes >= FUSED_FROM
        self.bases: dict[Place, list[str]] = {}  # of the places in a vector loop being written
        # by scratch buffer, the elements of one copy
        self.rows = {b.name: -(-b.shape[0] // WIDEST) * WIDEST for b in nest.scratch}
        self.begin(function)

    def begin(self, function: Function) -> None:
        """Go on in `function`, whose parameters are named like the inputs and outputs."""
        nest = self.nest
        self.function = function
        self.scalar = VectorEmitter(function, 1)
        self.scalars: dict[str, Copies] = {}
        self.indices: dict[str, Index] = {}
        self.block: tuple[str, int] = ("", 1)  # the variable that goes in blocks, and how far
        self.cells: dict[str, tuple[str, int]] = {}  # what running results have come to; lanes
        self.copy: Index = 0  # the first scratch row of each buffer
        self.pointers = {b.name: f"%{b.name}" for b in (*nest.inputs, *nest.outputs)}
        blocks = [s.block for s in statements(nest.body) if isinstance(s, Loop)]
        for buffer in nest.scratch:
            size = self.rows[buffer.name] * buffer.dtype.itemsize * max(blocks, default=1)
            self.pointers[buffer.name] = function.scratch(size)

    # Statements, in a round of a vector loop or outside of any.

    def run(self, body: Sequence[Statement], vector: Vector | None = None) -> None:
        """Write statements; those that fold are written by the loop that they stand in."""
        names = self.scalars if vector is None else vector.names
        for statement in body:
            match statement:
                case Loop(vector=True):
                    self.vector_loop(statement)
                case Loop(each=True):
                    self.each(statement)
                case Loop():
                    self.scalar_loop(statement)
                case Load():
                    names[statement.name] = self.load(statement.place, vector)
                case Apply():
                    names[statement.name] = self.apply(statement, vector)
                case Scan():
                    assert vector is not None
                    names[statement.name] = [self.scan(statement, vector)]
                case Store():
                    place = statement.place
                    self.store(place, self.get(statement.value, place.buffer.dtype, vector), vector)
                case Update():
                    self.update(statement, vector)

    def emitter(self, vector: Vector | None) -> VectorEmitter:
        """The emitter of values made now."""
        return self.scalar if vector is None else vector.emitter

    def get(self, operand: Operand, dtype: DType, vector: Vector | None) -> Copies:
        """The value of an operand in `dtype`: one, or one for each copy."""
        emitter = self.emitter(vector)
        if not isinstance(operand, str):
            number = emitter.const(operand, dtype)
            if isinstance(emitter, UniformEmitter):
                emitter.announce_number(operand, number)
            return [number]
        if vector is None:
            return [emitter.cast(x, dtype) for x in self.scalars[operand]]
        if operand in vector.names:
            return [emitter.cast(x, dtype) for x in vector.names[operand]]
        return vector.ready[operand, dtype]

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

    def load(self, place: Place, vector: Vector | None) -> Copies:
        """The elements at a place."""
        emitter, dtype = self.emitter(vector), place.buffer.dtype
        if vector is None:
            return [emitter.load(base, 0, dtype) for base in self.base(place, "")]
        stride = place.stride(vector.var)
        index = self.function.times(vector.index, stride)
        rounds = self.block[1]
        if 1 < emitter.lanes <= rounds and place.stride(self.block[0]) == 1 and abs(stride) > 1:
            start, filled = self.bases[place][0], vector.filled
            return load_crosswise(
                emitter, start, index, stride, place, rounds=rounds, filled=filled
            )
        mask = self.mask(place, vector)
        return [
            emitter.load_strided(base, index, stride, dtype, mask=mask)
            for base in self.bases[place]
        ]

    def store(self, place: Place, values: Copies, vector: Vector | None) -> None:
        """Store elements at a place."""
        emitter = self.emitter(vector)
        if vector is None:
            for k, base in enumerate(self.base(place, "")):
                emitter.store(values[k if len(values) > 1 else 0], base, 0)
            return
        stride = place.stride(vector.var)
        index, mask = self.function.times(vector.index, stride), self.mask(place, vector)
        for k, base in enumerate(self.bases[place]):
            value = values[k if len(values) > 1 else 0]
            emitter.store_strided(value, base, index, stride, mask=mask)

    def mask(self, place: Place, vector: Vector) -> Value | None:
        """The lanes to load or store; all in own rows, which are longer: masked stores are slow."""
        own = place.buffer.name in self.rows and place.strides == ((vector.var, 1),)
        return None if own else vector.mask

    def update(self, statement: Update, vector: Vector | None) -> None:
        """Combine into memory; the copies among each other first."""
        emitter, place = self.emitter(vector), statement.place
        values = self.in_block(self.get(statement.value, place.buffer.dtype, vector))
        while len(values) > 1:
            half = len(values) // 2
            pairs = zip(values[:half], values[half : 2 * half], strict=True)
            values = [combined(emitter, statement.op, *pair) for pair in pairs] + values[2 * half :]
        (old,) = self.load(place, vector)
        self.store(place, [combined(emitter, statement.op, old, values[0])], vector)

    def in_block(self, values: Copies) -> Copies:
        """One value for each round of the block, also where all are the same."""
        return values if len(values) > 1 else values * self.block[1]

    def base(self, place: Place, var: str) -> list[str]:
        """The addresses of a place at index 0 of the loop over `var`: one, or one per copy."""
        block, count = self.block
        buffer, function = place.buffer, self.function
        scratch = buffer.role == "scratch"
        found = []
        for k in range(count if scratch or place.stride(block) else 1):
            start: Index = place.offset
            if scratch:
                row = function.plus(self.copy, k)
                start = function.plus(function.times(row, self.rows[buffer.name]), start)
            for name, stride in place.strides:
                if name != var:
                    index = self.indices[name]
                    index = function.plus(index, k) if name == block else index
                    start = function.plus(start, function.times(index, stride))
            kind = lane_type(memory_dtype(buffer.dtype))
            found.append(function.address(self.pointers[buffer.name], start, kind))
        return found

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
        self.prepare(loop, start)
        lanes, unroll, n = loop.lanes, loop.unroll, len(slots)
        emitter = self.vectors(lanes)
        ready = self.ready(loop, emitter)
        sums = [neutral(emitter, slot.fold.op, slot.fold.dtype) for slot in slots] * unroll
        middle, backwards = length, loop.backwards
        if isinstance(length, int):
            middle = length // (lanes * unroll) * (lanes * unroll)

        def add_round(index: Index, u: int, sums: Copies) -> Copies:
            vector = Vector(emitter, loop.var, index, None, lanes, ready, loop.calls, backwards)
            parts = self.round(loop, slots, vector)
            return [
                *sums[: u * n],
                *joined(emitter, slots, sums[u * n : u * n + n], parts),
                *sums[u * n + n :],
            ]

        if backwards and isinstance(length, int) and length % lanes:
            self.tail(loop, slots, length)
        if middle:
            with emitter.loop(0, middle, lanes * unroll, sums) as state:
                sums = state.values
                for u in range(unroll):
                    index = self.function.plus(state.index, u * lanes)
                    if backwards:
                        index = self.function.let(f"sub i64 {int(middle) - lanes}, {index}")
                    sums = add_round(index, u, sums)
                state.following = sums
            sums = state.values
        if isinstance(length, int) and isinstance(middle, int):
            for u, index in enumerate(range(middle, length - lanes + 1, lanes)):
                sums = add_round(index, u, sums)
            if length % lanes and not backwards:
                sums[-n or len(sums) :] = joined(
                    emitter, slots, sums[-n or len(sums) :], self.tail(loop, slots, length)
                )
        while len(sums) > n:
            half = len(sums) // 2
            sums = joined(emitter, [*slots] * (half // n), sums[:half], sums[half:])
        return [self.total(emitter, slot.fold, x) for slot, x in zip(slots, sums, strict=True)]

    def total(self, emitter: VectorEmitter, fold: Fold, x: Value) -> Value:
        """All lanes of an accumulator together."""
        total = emitter.fold(x, lambda e, a, b: combined(e, fold.op, a, b))
        return self.scalar.cast(total, fold.wide)

    def tail(self, loop: Loop, slots: Sequence[Slot], length: int) -> Copies:
        """The last rounds, too few for a vector; in what is reduced, other lanes are neutral."""
        rest = length % loop.lanes
        lanes = loop.lanes if loop.calls else 1 << (rest - 1).bit_length()
        emitter = self.vectors(lanes)
        mask = None if rest == lanes else emitter.first_lanes(rest)
        ready = self.ready(loop, emitter)
        vector = Vector(
            emitter, loop.var, length - rest, mask, rest, ready, loop.calls, loop.backwards
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

    def prepare(self, loop: Loop, start: Index) -> None:
        """Compute, before the loop, where its places begin."""
        for statement in loop.body:
            if isinstance(statement, Load | Store | Update):
                place = statement.place
                along = self.function.times(start, place.stride(loop.var))
                kind = lane_type(memory_dtype(place.buffer.dtype))
                self.bases[place] = [
                    self.function.address(base, along, kind) for base in self.base(place, loop.var)
                ]

    def vectors(self, lanes: int) -> VectorEmitter:
        """A new emitter of vectors."""
        return (
            UniformEmitter(self.function, lanes)
            if self.fused
            else VectorEmitter(self.function, lanes)
        )

    def ready(self, loop: Loop, emitter: VectorEmitter) -> dict[tuple[str, DType], Copies]:
        """The scalars that a loop uses, in every lane."""
        found: dict[tuple[str, DType], Copies] = {}
        divisors = set(divided_by(loop.body))
        for name, dtype in used(loop.body):
            if name in self.scalars and (name, dtype) not in found:
                scalars = [self.scalar.cast(x, dtype) for x in self.scalars[name]]
                found[name, dtype] = [emitter.splat(x) for x in scalars]
                if (name, dtype) in divisors and isinstance(emitter, UniformEmitter):
                    for x, everywhere in zip(scalars, found[name, dtype], strict=True):
                        emitter.announce(x, everywhere)
        return found
