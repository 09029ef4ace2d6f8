"""Threads: the rounds of a loop are dealt out in shares of a fixed size, and claimed by whoever.

The loop becomes a function of its own, called with the rounds to make. What rounds add up, single
numbers or sums of columns, each share adds up for itself; the shares are then combined in their
order. So results do not depend on how many threads there are, nor on who did what.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..core.lowering import Reduce, Value
from ..core.op import Op
from .cost import WIDEST
from .folds import Copies, Slot, Totals
from .loops import (
    Buffer,
    Load,
    Loop,
    LoopNest,
    Place,
    Store,
    Update,
    statements,
)
from .names import used
from .packing import smaller
from .pool import DECLARATION, SUBMIT
from .shares import column_sums
from .text import Function, Module
from .whole import ends_whole
from .write import NestWriter

LINE = 64
"""Bytes of a cache line, which no two shares write to."""
SLOT = 16
"""Bytes for one number, or the pair that a complex number is, handed to or from a share."""


class Sum(NamedTuple):
    """A sum of columns in memory: where, and by which op; `start`: of a share's own, in bytes."""

    buffer: Buffer
    op: Op
    start: int

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.buffer.shape)

    def loop(self, statement: Load | Store | Update, *more: Update, vector_bytes: int) -> Loop:
        """A loop over its elements."""
        lanes = vector_bytes // self.buffer.dtype.itemsize
        return Loop("k", self.size, [statement, *more], lanes=lanes, vector=True)


def render(nest: LoopNest, entry: str, over: frozenset[int] = frozenset()) -> str:
    """The LLVM module of `nest`: one function, of pointers to the inputs, then the outputs.

    over: the outputs, by number, that may be in the memory of an input.
    """
    module = Module()
    function = module.function(entry, parameters(nest, over))
    writer = SharedWriter(function, nest, over)
    writer.run(nest.body)
    writer.end()
    return module.render()


def parameters(nest: LoopNest, over: frozenset[int]) -> list[str]:
    """The parameters for the inputs and outputs of `nest`."""
    inputs = [f"ptr readonly %{buffer.name}" for buffer in nest.inputs]
    kinds = ["ptr" if k in over else "ptr noalias" for k in range(len(nest.outputs))]
    outputs = zip(kinds, nest.outputs, strict=True)
    return inputs + [f"{kind} %{buffer.name}" for kind, buffer in outputs]


class Own(NamedTuple):
    """What a share has for itself, in bytes: state of reductions, then sums of columns."""

    state: int  # numbers, of eight bytes each
    sums: list[Sum]
    stride: int


class SharedWriter(NestWriter):
    """Writes a nest, loops that threads share included. over: as in `render`."""

    def __init__(self, function: Function, nest: LoopNest, over: frozenset[int]) -> None:
        self.over = over
        super().__init__(function, nest)

    def scalar_loop(self, loop: Loop) -> None:
        """A loop around others."""
        if not loop.share:
            super().scalar_loop(loop)
            return
        totals = Totals(self.scalar, loop.folds)
        middle = loop.extent // loop.block * loop.block
        values = self.shared(loop, totals, middle)
        self.finish(loop, totals, self.rounds(loop, middle, loop.extent, 1, values))

    def vector_loop(self, loop: Loop) -> None:
        """A loop over lanes; one that copies, unless there is nothing to copy."""
        load, *_, store = loop.body if loop.copies else [None] * 2
        if isinstance(load, Load) and isinstance(store, Store):
            f, x, y = self.function, load.place.buffer, store.place.buffer
            if self.nest.outputs.index(y) in self.over:
                apart, after = f.label("apart"), f.label("after")
                f.branch(f.let(f"icmp eq ptr %{x.name}, %{y.name}"), after, apart)
                f.place(apart)
                self.vector_loop(replace(loop, copies=False))
                f.jump(after)
                f.place(after)
                return
        if not loop.share:
            super().vector_loop(loop)
            return
        slots = [Slot(fold, 0) for fold in loop.folds]
        totals = Totals(self.scalar, loop.folds)
        step = loop.chunk if slots else loop.lanes * loop.unroll
        middle = loop.extent if self.ends_whole(loop) else loop.extent // step * step
        values = self.shared(loop, totals, middle)
        if middle < loop.extent:
            parts = self.segment(loop, slots, middle, loop.extent - middle)
            values = totals.add(values, parts)
        self.finish(loop, totals, values)

    def ends_whole(self, loop: Loop) -> bool:
        """Whether the last vector of `loop` begins where it is whole."""
        return not self.over and ends_whole(loop)

    def shared(self, loop: Loop, totals: Totals, middle: int) -> Copies:
        """Have rounds 0 to `middle` made by threads; what the reductions have come to."""
        f, count = self.function, -(-middle // loop.share)
        own = own_memory(loop)
        memory = f.scratch(count * own.stride) if own.stride else "null"
        names = sorted({x for x, _ in used([*statements(loop.body)]) if x in self.scalars})
        passed = [(self.scalar.type_of(x.dtype), x) for n in names for x in self.scalars[n]]
        given = [("ptr", f"%{b.name}") for b in (*self.nest.inputs, *self.nest.outputs)]
        given += [("ptr", memory), *((kind, x.text) for kind, x in passed)]
        number = len(f.module.functions)  # of this loop among those that are shared
        self.part(f"part{number}", loop, own, names, passed)
        self.task(number, loop, own, [kind for kind, _ in given], middle)
        argument = f.scratch(SLOT * len(given))
        for k, (kind, text) in enumerate(given):
            f.do(f"store {kind} {text}, ptr {f.address(argument, SLOT * k, 'i8')}")
        f.module.define(SUBMIT, DECLARATION)
        f.do(f'call void @"{SUBMIT}"(ptr @task{number}, ptr {argument}, i64 {count})')
        for column_sum in own.sums:
            self.combine(column_sum, own.stride, memory, count)
        return self.merged(totals, own, memory, count)

    def merged(self, totals: Totals, own: Own, memory: str, count: int) -> Copies:
        """What all shares have come to, combined in their order."""
        start = totals.start()
        if not start:
            return start
        with self.scalar.loop(0, count, 1, start) as state:
            place = self.function.address(
                memory, self.function.times(state.index, own.stride), "i8"
            )
            others = [
                self.scalar.load(place, SLOT // x.dtype.itemsize * k, x.dtype)
                for k, x in enumerate(start)
            ]
            state.following = totals.merge(state.values, others)
        return state.values

    def task(self, number: int, loop: Loop, own: Own, kinds: Sequence[str], middle: int) -> None:
        """The function of a chunk: it finds out which rounds these are, and has them made."""
        head = ["ptr %argument", "i64 %chunk"]
        f = self.function.module.function(f"task{number}", head, internal=True, quick=True)
        found = [
            f.let(f"load {kind}, ptr {f.address('%argument', SLOT * k, 'i8')}")
            for k, kind in enumerate(kinds)
        ]
        arrays = len(self.nest.inputs) + len(self.nest.outputs)
        found[arrays] = f.address(found[arrays], f.times("%chunk", own.stride), "i8")
        low = f.times("%chunk", loop.share)
        high = smaller(f, f.plus(low, loop.share), middle)
        passed = [f"{kind} {x}" for kind, x in zip(kinds, found, strict=True)]
        f.do(f"call void @part{number}({', '.join([*passed, f'i64 {low}', f'i64 {high}'])})")

    def part(
        self,
        name: str,
        loop: Loop,
        own: Own,
        names: Sequence[str],
        passed: Sequence[tuple[str, Value]],
    ) -> None:
        """The function that makes some rounds."""
        outside = self.function, self.scalar, self.scalars, self.indices, self.block, self.pointers
        passes, self.passes = self.passes, False
        scalars = [f"{kind} %scalar{k}" for k, (kind, _) in enumerate(passed)]
        arrays = parameters(self.nest, self.over)
        head = [*arrays, "ptr noalias %own", *scalars, "i64 %low", "i64 %high"]
        self.begin(self.function.module.function(name, head, internal=True))
        for k, (name, (_, x)) in enumerate(zip(names, passed, strict=True)):
            self.scalars[name] = [Value(f"%scalar{k}", x.dtype)]
        for column_sum in own.sums:
            buffer = column_sum.buffer
            self.pointers[buffer.name] = self.function.address("%own", column_sum.start, "i8")
            self.clear(column_sum)
        for k, x in enumerate(self.rounds_of(loop)):
            self.scalar.store(x, "%own", SLOT // x.dtype.itemsize * k)
        self.end()
        self.passes = passes
        self.function, self.scalar, self.scalars, self.indices, self.block, self.pointers = outside

    def clear(self, own: Sum) -> None:
        """Let a sum begin with the neutral element."""
        reduction = own.op.lower
        assert isinstance(reduction, Reduce)
        place = Place(own.buffer, 0, (("k", 1),))
        start = Store(place, reduction.init(own.buffer.dtype))
        self.run([own.loop(start, vector_bytes=self.nest.vector_bytes)])

    def combine(self, own: Sum, stride: int, memory: str, count: int) -> None:
        """Add what the shares have summed to a sum, in their order."""
        buffer = own.buffer
        per_share = stride // buffer.dtype.itemsize
        shares = Buffer(f"own{own.start}", (count, per_share), buffer.dtype, "sums")
        self.pointers[shares.name] = self.function.address(memory, own.start, "i8")
        load = Load("shared", Place(shares, 0, (("share", per_share), ("k", 1))))
        update = Update(Place(buffer, 0, (("k", 1),)), own.op, "shared")
        inner = own.loop(load, update, vector_bytes=self.nest.vector_bytes)
        self.run([Loop("share", count, [inner])])

    def rounds_of(self, loop: Loop) -> Copies:
        """The rounds from %low to %high; what the reductions have come to."""
        totals = Totals(self.scalar, loop.folds)
        if not loop.vector:
            return self.rounds(loop, "%low", "%high", loop.block, totals.start())
        slots = [Slot(fold, 0) for fold in loop.folds]
        if slots:
            return self.whole_chunks(loop, slots, "%low", "%high", totals.start())
        length = self.function.let("sub i64 %high, %low")
        return self.segment(loop, slots, "%low", length)


def own_memory(loop: Loop) -> Own:
    """What each share of a loop has for itself."""
    state = sum(1 + fold.compensated for fold in loop.folds)
    start, sums = lines(SLOT * state), []
    for buffer, op in column_sums(loop).items():
        sums.append(Sum(buffer, op, start))
        count = -(-math.prod(buffer.shape) // WIDEST) * WIDEST  # whole vectors are written
        start += lines(count * buffer.dtype.itemsize)
    return Own(state, sums, start)


def lines(size: int) -> int:
    """`size` bytes in whole cache lines."""
    return -(-size // LINE) * LINE
