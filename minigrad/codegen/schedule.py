"""From a fusion group to its loop nest: which statement stands in which loop.

Statements are asked for from the end: a store asks for its value, a value for its operands, and
each is written into the outermost loop along which it changes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Reduce
from ..core.op import Op
from ..graph import Graph
from .arrange import Dims
from .bodies import is_fold, is_sum, operand_dtypes
from .cost import CHUNK, ROWS, STACK, tile
from .dims import Nesting
from .index import Map
from .loops import (
    Apply,
    Buffer,
    DType,
    Fold,
    Load,
    Loop,
    LoopNest,
    Operand,
    Place,
    Statement,
    Store,
    Update,
)
from .phases import Phases

DOUBLE = np.dtype(np.float64)
AFTER_ROWS = 1 << 30
"""The pass that comes after all passes over rows."""


class Pending(NamedTuple):
    """A reduction `y` under way: the enclosing loop folds `value`, in `dtype`, then in `wide`."""

    y: Any
    op: Op
    value: Operand
    dtype: DType
    wide: DType


@dataclass
class Frame:
    """A loop body being written: the dims of the loops around, and the names known in it."""

    open: Dims = frozenset()
    body: list[Statement] = field(default_factory=list)
    names: dict[Any, Operand] = field(default_factory=dict)


def loop_nest(graph: Graph, vector_bytes: int) -> LoopNest:
    """The loop nest of a fusion group, for vector registers of `vector_bytes` bytes."""
    return Scheduler(Nesting(graph), vector_bytes).nest()


class Scheduler:
    """Writes one loop nest. Frame k is inside of the k outermost loops."""

    def __init__(self, nesting: Nesting, vector_bytes: int):
        self.nesting = nesting
        self.found = nesting.found
        self.phases = Phases(nesting)
        self.cols = self.phases.cols
        self.vector_bytes = vector_bytes
        self.vars = variables(self.found)
        self.frames = [Frame()]
        self.serial = 0
        self.current = 0
        graph = nesting.graph
        self.inputs = buffers("x", "input", graph.inputs)
        self.outputs = buffers("y", "output", graph.outputs)
        self.scratch = self.scratch_rows()

    def nest(self) -> LoopNest:
        """The whole loop nest."""
        self.around(self.found.batch, self.one_batch)
        return LoopNest(
            self.nesting.graph.name,
            list(self.inputs.values()),
            list(self.outputs.values()),
            list(self.scratch.values()),
            self.frames[0].body,
            self.vector_bytes,
        )

    # Loops.

    def around(
        self, dims: tuple[int, ...], inside: Callable[[], list[Pending]], *, vector: bool = False
    ) -> list[Pending]:
        """Loops over `dims` around what `inside` writes, with its reductions over them."""
        if not dims:
            return inside()
        block = self.block() if dims[0] in self.found.rows[-1:] else 1
        with self.loop(dims[0], vector=vector and len(dims) == 1, block=block):
            pending = self.around(dims[1:], inside, vector=vector)
            folds = [self.fold(p) for p in pending]
            self.frames[-1].body += folds
        return [
            p._replace(value=fold.name, dtype=p.wide)
            for p, fold in zip(pending, folds, strict=True)
        ]

    def fold(self, p: Pending) -> Fold:
        """The statement of a reduction in the loop that is open."""
        compensated = p.y.dtype == DOUBLE and self.is_long(p.y) and is_sum(p.op)
        return Fold(self.fresh(), p.op, p.value, p.dtype, p.wide, compensated)

    @contextmanager
    def loop(self, dim: int, *, vector: bool, block: int = 1) -> Iterator[None]:
        """A loop over `dim` around what is written inside."""
        frame = Frame(self.frames[-1].open | {dim})
        extent = self.nesting.space.extents[dim]
        block = block if extent >= block else 1
        loop = Loop(self.vars[dim], extent, frame.body, vector=vector, block=block)
        self.frames.append(frame)
        yield
        self.frames.pop()
        if vector:
            found = tile(loop.extent, self.itemsizes(), self.vector_bytes, folds=len(loop.folds))
            loop.lanes, loop.unroll = found
            loop.chunk = CHUNK if loop.folds else 0
        if loop.body:
            self.emit(loop)

    def block(self) -> int:
        """How many rows are made in lockstep: several, where all that is made is column sums."""
        makers = self.nesting.makers
        simple = list(self.phases.roots) == [0] and not any(
            self.phases.in_row(y) and not self.is_column_sum(y) for y in makers
        )
        return ROWS if simple and any(map(self.is_column_sum, makers)) else 1

    def itemsizes(self) -> set[int]:
        """The widths of the values that change along the columns."""
        makers = self.nesting.makers
        inner = self.found.cols[-1:]
        sizes = {y.dtype.itemsize for y in makers if self.phases.changing[y] & {*inner}}
        sizes |= {d.itemsize for y in makers for d in operand_dtypes(makers[y])}
        return sizes

    def one_batch(self) -> list[Pending]:
        """Column sums cleared; rows; then what is known of all rows."""
        columns = {y for y in self.nesting.makers if self.is_column_sum(y)}
        for y in [y for y in self.nesting.makers if y in columns]:
            self.around(self.found.cols, functools.partial(self.clear, y), vector=True)
        for done in self.around(self.found.rows, self.row):
            self.frames[-1].names[done.y] = self.narrowed(done)
        self.current = AFTER_ROWS
        for y in self.late_outputs(along_cols=False):
            self.emit(Store(self.output(y), self.value(self.nesting.source(y))))
        if self.late_outputs(along_cols=True):
            self.around(self.found.cols, self.late_columns, vector=True)
        return []

    def late_outputs(self, *, along_cols: bool) -> list[Any]:
        """The outputs made after all rows, but for the column sums themselves."""
        late = [y for y in self.nesting.graph.outputs if self.nesting.source(y) in self.found.late]
        return [
            y
            for y in late
            if not self.is_column_sum(self.nesting.source(y))
            and bool(self.nesting.dims(y) & self.cols) == along_cols
        ]

    def late_columns(self) -> list[Pending]:
        """What is made of column sums, column by column."""
        for y in self.late_outputs(along_cols=True):
            value = self.value(self.nesting.source(y))
            self.emit(Store(self.output(y), value), self.level(self.nesting.dims(y)))
        return []

    def clear(self, y: Any) -> list[Pending]:
        """The neutral element, where a column sum begins."""
        reduction = self.nesting.makers[y].op.lower
        assert isinstance(reduction, Reduce)
        self.emit(Store(self.kept_place(y), reduction.init(y.dtype)))
        return []

    def row(self) -> list[Pending]:
        """One row: passes over its columns, then what is known of it as a whole."""
        totals: list[Pending] = []
        for index in sorted(self.phases.roots):
            self.current = index
            for done in self.around(self.found.cols, self.columns, vector=True):
                if self.nesting.folded(done.y) <= self.cols:
                    self.frames[-1].names[done.y] = self.narrowed(done)
                else:
                    totals.append(done)
        for y in self.phases.stored:
            if not self.nesting.dims(y) & self.cols:
                self.emit(Store(self.output(y), self.value(self.nesting.source(y))))
        for y, node in self.nesting.makers.items():
            if self.nesting.folded(y) and not self.phases.in_row(y):
                value = self.operand(node.inputs[0], y)
                totals.append(Pending(y, node.op, value, wide(y.dtype), wide(y.dtype)))
        return totals

    def columns(self) -> list[Pending]:
        """The innermost part of one pass: its reductions and stores."""
        pending = []
        for y, node in self.nesting.makers.items():
            if not self.phases.in_row(y) or self.phases.known(node.inputs[0]) != self.current:
                continue
            value = self.operand(node.inputs[0], y)
            if self.is_column_sum(y):
                self.emit(Update(self.kept_place(y), node.op, value))
            else:
                pending.append(Pending(y, node.op, value, y.dtype, self.total_dtype(y)))
        for y in self.phases.stored:
            if self.nesting.dims(y) & self.cols and self.phases.known(y) == self.current:
                value = self.value(self.nesting.source(y))
                self.emit(Store(self.output(y), value), self.level(self.nesting.dims(y)))
        return pending

    # Reductions.

    def is_column_sum(self, y: Any) -> bool:
        """Whether `y` is a reduction over rows only, with a result for each column."""
        return self.phases.in_row(y) and not self.nesting.folded(y) & self.cols

    def result_of(self, y: Any) -> Any:
        """The output that holds the value `y`; None if it is none."""
        outputs = self.nesting.graph.outputs
        return next((z for z in outputs if self.nesting.source(z) is y), None)

    def total_dtype(self, y: Any) -> DType:
        """The dtype in which parts of a sum are combined: sums of few elements need no other."""
        return wide(y.dtype) if self.is_long(y) else y.dtype

    def is_long(self, y: Any) -> bool:
        """Whether the reduction `y` is of more elements than one vector loop takes in."""
        dims = self.nesting.folded(y)
        count = math.prod(self.nesting.space.extents[d] for d in dims)
        return count > CHUNK or not dims <= {*self.found.cols[-1:]}

    def narrowed(self, done: Pending) -> Operand:
        """The result of a finished reduction, in the dtype of its value."""
        if done.dtype == done.y.dtype:
            return done.value
        name = self.fresh()
        self.emit(Apply(name, None, (done.value,), (done.y.dtype,), done.y.dtype))
        return name

    # Values.

    def value(self, y: Any) -> Operand:
        """The name of the value `y`, computed or loaded where it is not known yet."""
        known = self.known_name(y)
        if known is not None:
            return known
        node, level = self.nesting.makers[y], self.level(self.phases.changing[y])
        kept = self.phases.kept.get(y)
        if self.is_column_sum(y) or (kept is not None and kept < self.current):
            name = self.fresh()
            self.emit(Load(name, self.kept_place(y)), level)
        else:
            operands = tuple([self.operand(x, y) for x in node.inputs])
            name = self.fresh()
            op = None if is_fold(node) else node.op  # folded over axes of length 1: itself
            self.emit(Apply(name, op, operands, operand_dtypes(node), y.dtype), level)
            if kept == self.current and y in self.scratch:
                self.emit(Store(self.kept_place(y), name), level)
        self.frames[level].names[y] = name
        return name

    def operand(self, x: Any, y: Any) -> Operand:
        """The name of the input `x` of the node that makes `y`."""
        if isinstance(x, bool | int | float):
            return x
        source = self.nesting.source(x)
        if source in self.nesting.makers:
            return self.value(source)
        base, offset, strides = self.nesting.loads[x, y]
        place = self.place(self.inputs[base], offset, strides)
        known = self.known_name(place)
        if known is None:
            known, level = self.fresh(), self.level(frozenset(strides))
            self.emit(Load(known, place), level)
            self.frames[level].names[place] = known
        return known

    def known_name(self, key: Any) -> Operand | None:
        """The name of a value or place known in the loops that are open."""
        for frame in reversed(self.frames):
            if key in frame.names:
                return frame.names[key]
        return None

    def level(self, dims: Dims) -> int:
        """The outermost frame in which a value that changes along `dims` can be made."""
        return next(k for k, frame in enumerate(self.frames) if dims <= frame.open)

    def emit(self, statement: Statement, level: int = -1) -> None:
        """Append a statement to the body of a frame; by itself, of the innermost."""
        self.frames[level].body.append(statement)

    def fresh(self) -> str:
        """A name for a value."""
        self.serial += 1
        return f"v{self.serial}"

    # Memory.

    def place(self, buffer: Buffer, offset: int, strides: Map) -> Place:
        """An element of `buffer`, by loop variables."""
        pairs = [(self.vars[d], strides[d]) for d in self.found.order if strides.get(d)]
        return Place(buffer, offset, tuple(pairs))

    def output(self, y: Any) -> Place:
        """Where the elements of the output `y` are."""
        return self.place(self.outputs[y], 0, self.nesting.space.maps[y])

    def kept_place(self, y: Any) -> Place:
        """Where a value is kept from one pass to the next, or a sum from one row to the next."""
        if y not in self.scratch:
            return self.output(self.result_of(y))
        strides, stride = {}, 1
        for dim in reversed([d for d in self.found.cols if d in self.phases.changing[y]]):
            strides[dim], stride = stride, stride * self.nesting.space.extents[dim]
        return self.place(self.scratch[y], 0, strides)

    def scratch_rows(self) -> dict[Any, Buffer]:
        """Buffers for the values to keep; what does not fit on the stack is made again instead."""
        rows: dict[Any, Buffer] = {}
        count = math.prod(self.nesting.space.extents[d] for d in self.found.cols)
        left = STACK
        for y in self.nesting.makers:
            if self.is_column_sum(y) and self.result_of(y) is None:
                rows[y] = Buffer(f"s{len(rows)}", (count,), y.dtype, "sums")
        for y in list(self.phases.kept):
            if self.result_of(y) is not None:
                continue
            left -= count * y.dtype.itemsize
            if left < 0:
                del self.phases.kept[y]
            else:
                rows[y] = Buffer(f"s{len(rows)}", (count,), y.dtype, "scratch")
        return rows


def variables(found: Any) -> dict[int, str]:
    """The loop variables: b for batches, i for rows, j for columns."""
    names = {}
    for letter, dims in zip("bij", found[:3], strict=True):
        for k, dim in enumerate(dims):
            names[dim] = letter if len(dims) == 1 else f"{letter}{k}"
    return names


def buffers(letter: str, role: Any, tensors: tuple[Any, ...]) -> dict[Any, Buffer]:
    """One buffer per tensor."""
    return {x: Buffer(f"{letter}{k}", tuple(x.shape), x.dtype, role) for k, x in enumerate(tensors)}


def wide(dtype: DType) -> DType:
    """The dtype in which many numbers of `dtype` are summed."""
    return DOUBLE if dtype.kind == "f" else dtype
