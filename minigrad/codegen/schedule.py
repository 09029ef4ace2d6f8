"""From a fusion group to its loop nest: which statement stands in which loop.

Statements are asked for from the end: a store asks for its value, a value for its operands, and
each is written into the outermost loop along which it changes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Draw, Reduce, Scatter, Transform
from ..core.lowering import Scan as ScanRule
from ..core.op import Op
from ..graph import Graph
from .abreast import lay_abreast
from .ahead import fetch_ahead
from .arithmetic import COMPLEX128, computed
from .arrange import scans_backwards
from .bodies import arriving, cost, instructions, is_sum, operand_dtypes
from .cost import CHUNK, HEAVY, lockstep, tile
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
    Place,
    Statement,
    Store,
    Update,
    own_buffers,
)
from .past import past_the_caches
from .philox import draw_nest
from .segments import cut_loops
from .shares import share
from .stripes import stripe
from .strips import WIDE, in_strips, length_of_strips, turned_round
from .transforms import transform_nest
from .values import AFTER_ROWS, Frame, Values
from .widen import widened

DOUBLE = np.dtype(np.float64)


class Pending(NamedTuple):
    """A reduction `y` under way: the enclosing loop folds `value`, in `dtype`, then in `wide`."""

    y: Any
    op: Op
    value: Operand
    dtype: DType
    wide: DType


def loop_nest(graph: Graph, vector_bytes: int) -> LoopNest:
    """The loop nest of a fusion group, for vector registers of `vector_bytes` bytes."""
    if isinstance(graph.nodes[0].op.lower, Draw):
        return draw_nest(graph, vector_bytes)
    if isinstance(graph.nodes[0].op.lower, Transform):
        return transform_nest(graph, vector_bytes)
    return Scheduler(Nesting(graph), vector_bytes).nest()


class Scheduler(Values):
    """Writes one loop nest. Frame k is inside of the k outermost loops."""

    def __init__(self, nesting: Nesting, vector_bytes: int):
        super().__init__(nesting)
        self.vector_bytes = vector_bytes

    def nest(self) -> LoopNest:
        """The whole loop nest."""
        for y in self.nesting.space.scattered:
            self.emit(self.cleared(y))
        self.around(self.found.batch, self.one_batch)
        standing = self.found.standing
        body = widened(self.frames[0].body, self.vector_bytes)
        nest = LoopNest(
            self.nesting.graph.name,
            list(self.places.inputs.values()),
            list(self.places.outputs.values()),
            own_buffers(body),
            body,
            self.vector_bytes,
        )
        cut_loops(nest)
        lay_abreast(nest, "" if standing is None else self.places.vars[standing])
        turn(nest)
        past_the_caches(nest)
        share(nest)
        stripe(nest)
        fetch_ahead(nest)
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
        compensated = p.y.dtype in (DOUBLE, COMPLEX128) and self.is_long(p.y) and is_sum(p.op)
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
            if any(map(loop.meets_itself, loop.body)):
                loop.lanes = loop.unroll = 1
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
        simple = simple and not (self.nesting.space.scans or self.nesting.space.scattered)
        if not simple or not any(map(self.phases.is_column_sum, makers)):
            return 1
        return lockstep(sum(cost(node) or 0 for node in makers.values()))

    def weight(self, statement: Statement) -> int:
        """How many instructions a statement of a vector loop takes."""
        if isinstance(statement, Apply) and statement.op is not None:
            return instructions(statement.op, statement.dtypes, statement.dtype) or 0
        return 1

    def widest(self) -> int:
        """The bytes of the widest elements that change along the columns."""
        makers, inner = self.nesting.makers, {*self.found.cols[-1:]}
        along = [y for y in makers if (self.phases.changing[y] | self.nesting.folded(y)) & inner]
        dtypes = [y.dtype for y in makers if self.phases.changing[y] & inner]
        dtypes += [dtype for y in along for dtype in operand_dtypes(makers[y])]
        return max([computed(dtype).itemsize for dtype in dtypes], default=4)

    def one_batch(self) -> list[Pending]:
        """Column sums cleared; rows; then what is known of all rows."""
        for y in self.nesting.makers:
            if self.phases.is_column_sum(y) or self.phases.runs_over_rows(y):
                self.around(self.found.cols, functools.partial(self.clear, y), vector=True)
        for done in self.around(self.found.rows, self.row):
            self.frames[-1].names[done.y] = self.in_own_dtype(done)
        body = self.frames[-1].body
        if self.found.runs_over_rows:
            loop = next(s for s in reversed(body) if isinstance(s, Loop))
            loop.carries = True
            if any(map(scans_backwards, self.nesting.graph.nodes)):
                body[body.index(loop)] = turned_round(loop)
        self.current = AFTER_ROWS
        for y in self.late_outputs(along_cols=False):
            self.store(y)
        if self.late_outputs(along_cols=True):
            self.around(self.found.cols, self.late_columns, vector=True)
        columns = math.prod(self.nesting.space.extents[d] for d in self.found.cols)
        if self.found.runs_over_rows or (self.block() > 1 and columns > WIDE):
            self.cut(body)
        return []

    def cut(self, body: list[Statement]) -> None:
        """Cut the columns of `body`, of which each is made by itself, into strips."""
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
            if not self.is_summed_there(y) and bool(self.nesting.dims(y) & self.cols) == along_cols
        ]

    def is_summed_there(self, y: Any) -> bool:
        """Whether the output `y` is a column sum, which has been added up where it is stored."""
        source = self.nesting.source(y)
        return self.phases.is_column_sum(source) and source not in self.places.own

    def late_columns(self) -> list[Pending]:
        """What is made of column sums, column by column."""
        for y in self.late_outputs(along_cols=True):
            self.store(y)
        return []

    def clear(self, y: Any) -> list[Pending]:
        """The neutral element, where a column sum or a running result begins."""
        lower = self.nesting.makers[y].op.lower
        assert isinstance(lower, Reduce | ScanRule)
        place = self.places.state(y) if self.phases.runs_over_rows(y) else self.places.kept(y)
        self.emit(Store(place, lower.init(y.dtype)))
        return []

    def cleared(self, y: Any) -> Loop:
        """The loop that fills `y` with what there is before anything arrives in places."""
        size, node = math.prod(y.shape), self.nesting.space.scattered[y]
        lower, here = node.op.lower, (("k", 1),)
        assert isinstance(lower, Scatter)
        lanes, unroll = tile(size, y.dtype.itemsize, self.vector_bytes, folds=False, work=1)
        store = Store(Place(self.places.outputs[y], 0, here), "before")
        body: list[Statement] = []
        if lower.onto:
            body.append(Load("before", Place(self.places.inputs[node.inputs[0]], 0, here)))
        else:
            store = replace(store, value=lower.fold.lower.init(y.dtype))
        loop = Loop("k", size, [*body, store], lanes=lanes, unroll=unroll, vector=True)
        loop.copies = lower.onto
        return loop

    def row(self) -> list[Pending]:
        """One row: passes over its columns, then what is known of it as a whole."""
        totals: list[Pending] = []
        for index in sorted(self.phases.roots):
            self.current = index
            for done in self.around(self.found.cols, self.columns, vector=True):
                if self.nesting.folded(done.y) <= self.cols:
                    self.frames[-1].names[done.y] = self.in_own_dtype(done)
                else:
                    totals.append(done)
        for y in self.phases.stored:
            if not self.nesting.dims(y) & self.cols:
                self.store(y)
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
                total = self.total_dtype(y)
                pending.append(Pending(y, node.op, value, computed(y.dtype), total))
        for y in self.phases.stored:
            if self.nesting.dims(y) & self.cols and self.phases.known(y) == self.current:
                self.store(y)
        return pending

    def store(self, y: Any) -> None:
        """Store the output `y`, or add to it in its places."""
        level = self.level(self.nesting.dims(y))
        node = self.nesting.space.scattered.get(y)
        if node is None:
            value = self.value(self.nesting.source(y))
            self.emit(Store(self.places.output(y), value), level)
        else:
            value, place, lower = self.operand(arriving(node)[0], y), self.table(y), node.op.lower
            fold = lower.fold if isinstance(lower, Scatter) else None
            self.emit(Update(place, fold, value) if fold else Store(place, value), level)

    # Reductions.

    def total_dtype(self, y: Any) -> DType:
        """The dtype in which parts of a sum are combined: sums of few elements need no other."""
        return wide(y.dtype) if self.is_long(y) else computed(y.dtype)

    def is_long(self, y: Any) -> bool:
        """Whether the reduction `y` is of more elements than one vector loop takes in."""
        dims = self.nesting.folded(y)
        count = math.prod(self.nesting.space.extents[d] for d in dims)
        return count > CHUNK or not dims <= {*self.found.cols[-1:]}

    def in_own_dtype(self, done: Pending) -> Operand:
        """The result of a finished reduction, in the dtype of its value."""
        if done.dtype == done.y.dtype:
            return done.value
        name = self.fresh()
        self.emit(Apply(name, None, (done.value,), (done.y.dtype,), done.y.dtype))
        return name


def wide(dtype: DType) -> DType:
    """The dtype in which many numbers of `dtype` are summed."""
    return {"f": DOUBLE, "c": COMPLEX128}.get(dtype.kind, dtype)
