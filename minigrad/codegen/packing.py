"""How native products copy their operands: so that what is used together lies together."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Value
from . import jit, x86
from .arithmetic import lane_type
from .blocking import WHOLE, Plan, Product
from .cost import WIDEST
from .elementwise import COPY, Elementwise, ElementwiseWriter, Reach
from .emitter import VectorEmitter
from .text import Function, Index, Module

SQUARE = "minigrad.square"
APART = 4
"""Steps of depth between copies: their beginnings would share the same few places of the cache."""


Prologues = tuple[Elementwise | None, Elementwise | None]
"""What makes x1, and what makes x2."""


class Lanes(NamedTuple):
    """One vector of a row: the column where it begins, and which lanes count; None for all."""

    column: int
    mask: Value | None


class Unit(NamedTuple):
    """What a unit of work reads and writes: pointers, the number of its rows, room for copies.

    beside: what lies beside its first element, for each array that the epilogue reaches.
    sources: where x1 begins, and x2, for each that prologues reach; x1 is room for rows then.
    """

    x1: str
    x2: str
    y: str
    beside: list[str]
    sources: list[list[str]]
    rows: Index
    packed: str
    strips: str


class Packer:
    """Writes the copying of panels of x2, and of strips of x1, or the making of panels or rows."""

    def __init__(self, product: Product, plan: Plan, module: Module, prologues: Prologues):
        self.product = product
        self.plan = plan
        self.module = module
        self.long = min(plan.depth, product.depth) + APART  # from one row that is made to the next
        self.rows_made, self.panels_made = [
            ElementwiseWriter(to_rows(part, row), plan.lanes) if part else None
            for part, row in zip(prologues, (self.long, plan.width), strict=True)
        ]
        self.sources = [part.reaches if part else [] for part in (self.rows_made, self.panels_made)]
        self.kind = lane_type(product.dtype)
        self.row1, self.column1 = product.x1.strides[-2:]
        self.row2, self.column2 = product.x2.strides[-2:]

    def vectors_of(self, f: Function, columns: int) -> list[Lanes]:
        """The vectors that `columns` columns take: where they begin, and what of them counts."""
        lanes = self.plan.lanes
        emitter = VectorEmitter(f, lanes)
        return [
            Lanes(j, None if j + lanes <= columns else emitter.first_lanes(columns - j))
            for j in range(0, columns, lanes)
        ]

    @property
    def steps(self) -> tuple[int, int, int]:
        """How far apart in a tile rows of x1 are, and steps of depth in x1 and in x2."""
        stride = self.plan.width if self.plan.packed else self.row2
        if self.plan.strips:
            return 1, self.plan.rows, stride
        return self.long if self.rows_made else self.row1, self.column1, stride

    @property
    def padded(self) -> bool:
        """Whether all lanes of a panel may be read: what is made has no last ones."""
        return self.plan.packed and not self.panels_made

    @functools.cached_property
    def assembled(self) -> bool:
        """Whether tiles are written in assembly; a function of these goes through some panels."""
        row, *others = self.steps
        furthest = self.plan.rows * max(abs(row), self.product.columns)
        furthest = max(furthest, (self.plan.ahead + 1) * abs(others[-1]))
        return not self.product.levels and self.is_known(furthest, *others)

    def is_known(self, *distances: int) -> bool:
        """Whether loops over items so far apart can be written in assembly of this machine."""
        dtype, whole = self.product.dtype, self.plan.lanes * self.product.dtype.itemsize
        return whole == x86.BYTES and x86.is_known(dtype, *distances)

    def lanes_of(self, columns: int) -> list[tuple[int, int]]:
        """The vectors that `columns` columns take: where they begin, and how many lanes count."""
        lanes = self.plan.lanes
        return [(j, min(lanes, columns - j)) for j in range(0, columns, lanes)]

    # Rows of x1, and panels of x2, that are made just before they are multiplied.

    def rows_bytes(self) -> int:
        """The size of the rows of a band."""
        rows = min(self.plan.band, self.plan.block)
        return (rows * self.long + WIDEST) * self.product.dtype.itemsize

    def reached(
        self, f: Function, arrays: dict[str, str], reach: Reach, places: Sequence[Index]
    ) -> str:
        """The address of what lies beside the first element of a block of rows."""
        if reach.name == COPY:
            return ""
        index: Index = reach.offset
        for place, stride in zip(places, reach.strides, strict=False):
            index = f.plus(index, f.times(place, stride))
        return f.address(arrays[reach.name], index, reach.kind)

    def sources_at(
        self, f: Function, operand: int, starts: Sequence[str], copy: str, at: tuple[Index, Index]
    ) -> str:
        """The pointers of what makes, at `copy`, an operand from its row and column `at` on.

        starts: where the sources begin.
        """
        places = []
        for start, reach in zip(starts, self.sources[operand], strict=True):
            if reach.name != COPY:
                index = f.plus(*map(f.times, at, reach.strides[-2:]))
                start = f.address(start, index, reach.kind)
            places.append(f"ptr {copy if reach.name == COPY else start}")
        return ", ".join(places)

    # Strips: as many rows of x1 as a tile has, column by column; one strip after the other.

    def strips_bytes(self) -> int:
        """The size of the strips of a band."""
        rows = -(-min(self.plan.band, self.plan.block) // self.plan.rows) * self.plan.rows
        depth = min(self.plan.depth, self.product.depth)
        return rows * (depth + APART) * self.product.dtype.itemsize

    def strips(self, name: str) -> None:
        """The function that copies %rows rows from %a on, over %depth, to %packed."""
        parameters = ["ptr %a", "ptr %packed", "i64 %rows", "i64 %depth"]
        f, height = self.module.function(name, parameters, internal=True), self.plan.rows
        rest = f.let(f"urem i64 %rows, {height}")
        whole = f.let(f"udiv i64 %rows, {height}")
        size = f.times(f.plus("%depth", APART), height)
        with f.loop(0, "%depth", surely=True) as state:  # all strips: a column is read as it lies
            a = f.address("%a", f.times(state.index, self.column1), self.kind)
            packed = f.address("%packed", f.times(state.index, height), self.kind)

            def copy(strip: Index, count: Index) -> None:
                source = f.address(a, f.times(f.times(strip, height), self.row1), self.kind)
                self.column(f, source, f.address(packed, f.times(strip, size), self.kind), count)

            with f.loop(0, whole) as strip:
                copy(strip.index, height)
            with f.when(f.let(f"icmp ne i64 {rest}, 0")):
                copy(whole, rest)

    def column(self, f: Function, source: str, target: str, count: Index) -> None:
        """Copy the first `count` numbers of a column of a strip."""
        height, dtype = self.plan.rows, self.product.dtype
        emitter = VectorEmitter(f, min(self.plan.lanes, 1 << (height - 1).bit_length()))
        for start in range(0, height, emitter.lanes):
            whole = isinstance(count, int) and count - start >= emitter.lanes
            mask = None if whole else emitter.first_lanes(minus(f, count, start))
            x = emitter.load_strided(source, start * self.row1, self.row1, dtype, mask=mask)
            emitter.store(x, target, start, mask=mask)

    # Packing: panels row by row, their rows one after the other.

    def panels_bytes(self) -> int:
        """The size of the copies of panels that are used together; squares write beyond the end."""
        depth = (min(self.plan.depth, self.product.depth) + APART) * self.plan.group
        return (depth + self.plan.lanes) * self.plan.width * self.product.dtype.itemsize

    def copy_panels(
        self,
        f: Function,
        name: str,
        unit: Unit,
        target: str,
        at: tuple[Index, Index],
        size: tuple[Index, Index],
    ) -> None:
        """Have panels copied, or made: from row and column `at` of x2 on, so deep, so many."""
        (k, j), (depth, count) = at, size
        if not self.panels_made:
            source = self.in_x2(f, unit, k, j)
            f.do(f"call void @{name}(ptr {source}, ptr {target}, i64 {depth}, i64 {count})")
            return
        with f.loop(0, count) as panel:
            start = f.times(panel.index, self.plan.width)
            there = self.panel_at(f, target, start, depth)
            sources = self.sources_at(f, 1, unit.sources[1], there, (k, f.plus(j, start)))
            f.do(f"call void @{name}({sources}, i64 {depth})")

    def in_x2(self, f: Function, unit: Unit, k: Index, j: Index) -> str:
        """Where row `k` and column `j` of x2 are."""
        row = f.address(unit.x2, f.times(k, self.row2), self.kind)
        return f.address(row, f.times(j, self.column2), self.kind)

    def panel_at(self, f: Function, b: str, start: Index, depth: Index) -> str:
        """Where the panel is that begins with column `start` of a group."""
        step = f.plus(depth, APART) if self.plan.packed else 1
        return f.address(b, f.times(start, step), self.kind)

    def pack(self, name: str, columns: int) -> None:
        """The function that copies %depth rows of %count panels of `columns` columns from %b on.

        Where panels are made, it makes one, of sources that begin there.
        """
        if self.panels_made:
            self.panels_made.write(self.module, name, columns)
            return
        width, dtype = self.plan.width, self.product.dtype
        transposed = self.row2 == 1 and self.column2 != 1
        if self.column2 == 1 and self.is_known(self.row2, width):
            self.module.declare("void", name, "ptr, ptr, i64, i64")
            parts = self.lanes_of(columns)
            self.module.assembly += x86.pack(name, dtype, width, parts, row=self.row2, apart=APART)
            return
        parameters = ["ptr %b", "ptr %packed", "i64 %depth", "i64 %count"]
        f = self.module.function(name, parameters, internal=True, quick=transposed)
        size = f.times(f.plus("%depth", APART), width)
        if transposed:
            with f.loop(0, "%count") as panel:
                b = f.address("%b", f.times(panel.index, width * self.column2), self.kind)
                packed = f.address("%packed", f.times(panel.index, size), self.kind)
                self.pack_transposed(f, b, packed, columns)
            return
        emitter, vectors = VectorEmitter(f, self.plan.lanes), self.vectors_of(f, columns)
        with f.loop(0, "%depth", surely=True) as state:  # all panels: a row is read as it lies
            b = f.address("%b", f.times(state.index, self.row2), self.kind)
            packed = f.address("%packed", f.times(state.index, width), self.kind)
            with f.loop(0, "%count") as panel:
                first = f.times(panel.index, width * self.column2)
                there = f.address(packed, f.times(panel.index, size), self.kind)
                for j, mask in vectors:
                    place = f.plus(first, j * self.column2)
                    x = emitter.load_strided(b, place, self.column2, dtype, mask=mask)
                    emitter.store(x, there, j)

    def pack_transposed(self, f: Function, b: str, packed: str, columns: int) -> None:
        """Copy columns that are contiguous, a square of lanes x lanes at a time."""
        lanes, width = self.plan.lanes, self.plan.width
        rest = f.let(f"urem i64 %depth, {lanes}")
        whole = f.let(f"sub i64 %depth, {rest}")
        for start, mask in self.vectors_of(f, columns):
            count = lanes if mask is None else columns - start
            square = square_name(self.product.dtype, lanes, count)
            self.module.declare("void", square, "ptr, i64, ptr, i64, i64")
            columns_from = f.address(b, start * self.column2, self.kind)
            there = f.address(packed, start, self.kind)

            def call(k: Index, length: Index, source: str, to: str, square: str) -> None:
                from_here = f.address(source, k, self.kind)
                c = f.address(to, f.times(k, width), self.kind)
                strides = f"i64 {self.column2}, ptr {c}, i64 {width}"
                f.do(f"call void @{square}(ptr {from_here}, {strides}, i64 {length})")

            with f.loop(0, whole, lanes) as state:
                call(state.index, lanes, columns_from, there, square)
            with f.when(f.let(f"icmp ne i64 {rest}, 0")):
                call(whole, rest, columns_from, there, square)


def to_rows(prologue: Elementwise, row: int) -> Elementwise:
    """`prologue`, which stores to rows that are `row` elements apart."""
    places = {
        place: reach._replace(strides=(*reach.strides[:-2], row, 1))
        if reach.name == COPY
        else reach
        for place, reach in prologue.places.items()
    }
    return prologue._replace(places=places)


# Squares are turned by functions that all modules share, as they take long to compile.


def square_name(dtype: np.dtype[Any], lanes: int, count: int) -> str:
    """The symbol of the function that turns `count` rows into columns of `lanes` lanes."""
    return f'"{SQUARE}.{dtype.name}.{lanes}.{count}"'


SQUARES: dict[str, jit.Code] = {}
LOCK = threading.RLock()


def square_code(name: str) -> jit.Code:
    """The code of `name`, one of the names that `square_name` gives, without quotes.

    Made once, and never unloaded: kernels are linked to its address.
    """
    with LOCK:
        if name not in SQUARES:
            SQUARES[name] = jit.compile_module(square_ir(name), [name])
        return SQUARES[name]


@functools.cache
def begin_square(name: str) -> Any:
    """Have another thread begin with `square_code`; kept, as it is asked for again and again."""
    return jit.begin(square_ir(name))


def square_ir(name: str) -> str:
    """The module of `name`, which transposes rows, of which %length elements count.

    %row, %width: how far apart rows are, from %b on, and what were columns, from %c on.
    """
    kind, *numbers = name.removeprefix(f"{SQUARE}.").split(".")
    dtype, (lanes, count) = np.dtype(kind), map(int, numbers)
    module = Module()
    parameters = ["ptr %b", "i64 %row", "ptr %c", "i64 %width", "i64 %length"]
    f = module.function(f'"{name}"', parameters, quick=True)  # each step is an instruction already
    emitter = VectorEmitter(f, lanes)
    mask = emitter.first_lanes("%length")
    rows = [emitter.load("%b", f.times("%row", j), dtype, mask=mask) for j in range(count)]
    rows += [emitter.const(0, dtype)] * (lanes - count)
    for i, x in enumerate(transposed(emitter, rows)):
        emitter.store(x, "%c", f.times("%width", i))
    return module.render()


jit.shared[SQUARE] = lambda name: jit.Export(square_code(name), name)
jit.ahead[SQUARE] = begin_square


def transposed(emitter: VectorEmitter, square: Sequence[Value]) -> list[Value]:
    """The columns of `square`, whose rows are vectors; as many as lanes.

    In steps that machines have instructions for: first lanes are interleaved within 16 bytes,
    then pieces of 16 bytes change places.
    """
    lanes, rows = emitter.lanes, list(square)
    short = min(16 // rows[0].dtype.itemsize, lanes)
    inside = list(range(lanes))
    steps = []
    half = short // 2
    while half:
        steps.append((half, [k for k in inside if k % short < short // 2]))
        half //= 2
    span = short
    while span < lanes:
        steps.append((span, [k for k in inside if k // short % 2 == 0]))
        span *= 2
    for apart, first in steps:
        offset = short // 2 if apart < short else short
        if apart < short:
            order = [j for k in first for j in (k, lanes + k)]
        else:
            order = first + [lanes + k for k in first]
        for i in range(lanes):
            if i & apart == 0:
                pair = rows[i], rows[i + apart]
                rows[i] = emitter.shuffled(*pair, order)
                rows[i + apart] = emitter.shuffled(*pair, [k + offset for k in order])
    return rows


@contextmanager
def blocks(f: Function, extent: Index, size: int) -> Iterator[tuple[Index, Index]]:
    """Repeat what is written inside for the start and the length of each block of `extent`."""
    if size >= (extent if isinstance(extent, int) else WHOLE):
        yield 0, extent
        return
    with f.loop(0, extent, size) as state:
        yield state.index, minus(f, smaller(f, f.plus(state.index, size), extent), state.index)


def smaller(f: Function, i: Index, j: Index) -> Index:
    """The smaller of two indices."""
    if isinstance(i, int) and isinstance(j, int):
        return min(i, j)
    return f.let(f"select i1 {f.let(f'icmp slt i64 {i}, {j}')}, i64 {i}, i64 {j}")


def minus(f: Function, i: Index, j: Index) -> Index:
    """`i - j`."""
    if isinstance(i, int) and isinstance(j, int):
        return i - j
    return f.let(f"sub i64 {i}, {j}")
