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
from ..core.lowering import Scan as ScanRule
from ..core.op import Op
from ..graph import Graph
from .arrange import Dims, scans_backwards
from .bodies import instructions, is_array, is_fold, is_scan, is_sum, operand_dtypes
from .cost import CHUNK, HEAVY, ROWS, tile
from .crosswise import turn
from .dims import Nesting
from .loops import (
    Apply,
    DType,
    Fold,
    Load,
    Loop,
    LoopNest,
    Operand,
    Scan,
    Statement,
    Store,
    Update,
    own_buffers,
)
from .phases import Phases
from .places import Places
from .shares import share
from .strips import in_strips, length_of_strips, turned_round

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
        self.places = Places(nesting, self.phases)
        self.frames = [Frame()]
        self.serial = 0
        self.current = 0

    def nest(self) -> LoopNest:
        """The whole loop nest."""
        self.around(self.found.batch, self.one_batch)
        nest = LoopNest(
            self.nesting.graph.name,
            list(self.places.inputs.values()),
            list(self.places.outputs.values()),
            own_buffers(self.frames[0].body),
            self.frames[0].body,
            self.vector_bytes,
        )
        turn(nest)
        share(nest)
        return nest

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
        loop = Loop(self.places.vars[dim], extent, frame.body, vector=vector, block=block)
        self.frames.append(frame)
        yield
        self.frames.pop()
        if vector:
            folds = bool(loop.folds)
            work = sum(self.weight(statement) for statement in loop.body)
            sizes = tile(extent, self.widest(), self.vector_bytes, folds=folds, work=work)
            loop.lanes, loop.unroll = sizes
            loop.calls = work >= HEAVY
            loop.chunk = CHUNK if loop.folds else 0
            if loop.scans:
                loop.unroll = 1
                loop.backwards = any(map(scans_backwards, self.nesting.graph.nodes))
        if loop.body:
            self.emit(loop)

    def block(self) -> int:
        """How many rows are made in lockstep: several, where all that is made is column sums."""
        makers = self.nesting.makers
        simple = list(self.phases.roots) == [0] and not any(
            self.phases.in_row(y) and not self.phases.is_column_sum(y) for y in makers
        )
        simple = simple and not self.nesting.space.scans
        return ROWS if simple and any(map(self.phases.is_column_sum, makers)) else 1

    def weight(self, statement: Statement) -> int:
        """How many instructions a statement of a vector loop takes."""
        if isinstance(statement, Apply) and statement.op is not None:
            return instructions(statement.op, statement.dtypes, statement.dtype) or 0
        return 1

    def widest(self) -> int:
        """The bytes of the widest elements that change along the columns."""
        makers, inner = self.nesting.makers, {*self.found.cols[-1:]}
        sizes = [y.dtype.itemsize for y in makers if self.phases.changing[y] & inner]
        sizes += [dtype.itemsize for node in makers.values() for dtype in operand_dtypes(node)]
        return max(sizes, default=4)

    def one_batch(self) -> list[Pending]:
        """Column sums cleared; rows; then what is known of all rows."""
        for y in self.nesting.makers:
            if self.phases.is_column_sum(y) or self.phases.runs_over_rows(y):
                self.around(self.found.cols, functools.partial(self.clear, y), vector=True)
        for done in self.around(self.found.rows, self.row):
            self.frames[-1].names[done.y] = self.narrowed(done)
        body = self.frames[-1].body
        if self.found.runs_over_rows and any(map(scans_backwards, self.nesting.graph.nodes)):
            assert isinstance(body[-1], Loop)
            body[-1] = turned_round(body[-1])
        self.current = AFTER_ROWS
        for y in self.late_outputs(along_cols=False):
            self.emit(Store(self.places.output(y), self.value(self.nesting.source(y))))
        if self.late_outputs(along_cols=True):
            self.around(self.found.cols, self.late_columns, vector=True)
        if self.found.runs_over_rows:
            self.cut(body)
        return []

    def cut(self, body: list[Statement]) -> None:
        """Cut the columns of `body`, which has running results along the rows, into strips."""
        extents, cols, rows = self.nesting.space.extents, self.found.cols, self.found.rows
        sizes = [extents[d] for d in cols]
        length = length_of_strips(extents[rows[0]], sizes, shared=not self.found.batch)
        body[:] = in_strips(body, self.places.vars[cols[0]], sizes[0], length)

    def late_outputs(self, *, along_cols: bool) -> list[Any]:
        """The outputs made after all rows, but for the column sums themselves."""
        late = [y for y in self.nesting.graph.outputs if self.nesting.source(y) in self.found.late]
        return [
            y
            for y in late
            if not self.phases.is_column_sum(self.nesting.source(y))
            and bool(self.nesting.dims(y) & self.cols) == along_cols
        ]

    def late_columns(self) -> list[Pending]:
        """What is made of column sums, column by column."""
        for y in self.late_outputs(along_cols=True):
            value = self.value(self.nesting.source(y))
            self.emit(Store(self.places.output(y), value), self.level(self.nesting.dims(y)))
        return []

    def clear(self, y: Any) -> list[Pending]:
        """The neutral element, where a column sum or a running result begins."""
        lower = self.nesting.makers[y].op.lower
        assert isinstance(lower, Reduce | ScanRule)
        place = self.places.state(y) if self.phases.runs_over_rows(y) else self.places.kept(y)
        self.emit(Store(place, lower.init(y.dtype)))
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
                self.emit(Store(self.places.output(y), self.value(self.nesting.source(y))))
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
            if self.phases.is_column_sum(y):
                self.emit(Update(self.places.kept(y), node.op, value))
            else:
                pending.append(Pending(y, node.op, value, y.dtype, self.total_dtype(y)))
        for y in self.phases.stored:
            if self.nesting.dims(y) & self.cols and self.phases.known(y) == self.current:
                value = self.value(self.nesting.source(y))
                self.emit(Store(self.places.output(y), value), self.level(self.nesting.dims(y)))
        return pending

    # Reductions.

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
        for x in self.unknown(y):
            self.make(x)
        name = self.known_name(y)
        assert name is not None
        return name

    def unknown(self, y: Any) -> list[Any]:
        """The values to be made for `y`, operands first; not by recursion, for chains are long."""
        found, todo = set(), [y]
        while todo:
            x = todo.pop()
            if x not in found and self.known_name(x) is None:
                found.add(x)
                todo += [z for z in self.operands_of(x) if z in self.nesting.makers]
        return [x for x in self.nesting.makers if x in found] if len(found) > 1 else list(found)

    def operands_of(self, y: Any) -> list[Any]:
        """The values that `y` is made of here; none where it is loaded."""
        if self.is_loaded(y):
            return []
        inputs = self.nesting.makers[y].inputs
        return [self.nesting.source(x) for x in inputs if is_array(x)]

    def is_loaded(self, y: Any) -> bool:
        """Whether `y` has been made before, and is in memory."""
        return self.phases.is_column_sum(y) or self.phases.kept.get(y, AFTER_ROWS) < self.current

    def make(self, y: Any) -> None:
        """Write the statement that makes `y`, whose operands are known."""
        node, level = self.nesting.makers[y], self.level(self.phases.changing[y])
        kept = self.phases.kept.get(y)
        if self.is_loaded(y):
            name = self.fresh()
            self.emit(Load(name, self.places.kept(y)), level)
        else:
            operands = tuple([self.operand(x, y) for x in node.inputs])
            name = self.fresh()
            if self.phases.runs_over_rows(y):
                before, place = self.fresh(), self.places.state(y)
                self.emit(Load(before, place), level)
                self.emit(self.applied(name, node, (before, *operands)), level)
                self.emit(Store(place, name), level)
            elif is_scan(node):
                self.emit(Scan(name, node.op, operands, y.dtype), level)
            else:
                self.emit(self.applied(name, node, operands), level)
            if kept == self.current and y in self.places.own:
                self.emit(Store(self.places.kept(y), name), level)
        self.frames[level].names[y] = name

    def applied(self, name: str, node: Any, operands: tuple[Operand, ...]) -> Apply:
        """The statement of a map; what is folded over axes of length 1 is itself."""
        op = None if is_fold(node) else node.op
        return Apply(name, op, operands, operand_dtypes(node), node.outputs[0].dtype)

    def operand(self, x: Any, y: Any) -> Operand:
        """The name of the input `x` of the node that makes `y`."""
        if isinstance(x, bool | int | float):
            return x
        source = self.nesting.source(x)
        if source in self.nesting.makers:
            return self.value(source)
        base, offset, strides = self.nesting.loads[x, y]
        place = self.places.input(base, offset, strides)
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


def wide(dtype: DType) -> DType:
    """The dtype in which many numbers of `dtype` are summed."""
    return DOUBLE if dtype.kind == "f" else dtype
