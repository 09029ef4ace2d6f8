"""Matrix products as LLVM text: tiles of the result in registers, panels of x2 in the cache.

A product runs in blocks of rows of x1 and of the summed axis, and these panel by panel: some
columns of x2, packed if that pays, meet the rows a few at a time. See Goto and van de Geijn,
Anatomy of High-Performance Matrix Multiplication (2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import compress

from ..core.lowering import Value
from . import x86
from .blocking import Plan, Product
from .elementwise import COPY, Elementwise, ElementwiseWriter
from .emitter import VectorEmitter
from .packing import APART, Packer, Prologues, Unit, blocks, minus, smaller
from .pool import DECLARATION, SUBMIT
from .text import Function, Index, Module

Level = tuple[Index, int, int]
"""A loop over a part of the summed axis: its extent, and how far it steps in x1 and x2."""
UNROLLED = 8
"""Steps of an innermost loop that are written out one by one, if there are no more."""
ALONE = ("x1", "x2", "y")
"""The parameters of a product of which nothing is made at once."""


def render(
    product: Product,
    plan: Plan,
    entry: str,
    parameters: Sequence[str] = ALONE,
    epilogue: Elementwise | None = None,
    prologues: Prologues = (None, None),
) -> str:
    """The module whose function `entry(ptr x1, ptr x2, ptr y)` computes `product`.

    parameters: of the function, in order; those of other names are for the buffers of the
    epilogue, or not read, or for those of prologues, which make x1 and x2.
    """
    module = Module()
    writer = Writer(product, plan, module, epilogue, prologues)
    writer.entry(entry, parameters)
    return module.render()


class Writer(Packer):
    """Writes the functions of a product; `tail` ones are for the columns of the last panel."""

    def __init__(
        self,
        product: Product,
        plan: Plan,
        module: Module,
        epilogue: Elementwise | None = None,
        prologues: Prologues = (None, None),
    ):
        super().__init__(product, plan, module, prologues)
        self.whole = product.columns // plan.width * plan.width
        self.rest = product.columns - self.whole
        self.epilogue = ElementwiseWriter(epilogue, plan.lanes) if epilogue else None
        self.reaches = self.epilogue.reaches if self.epilogue else []

    # From the whole to the panels.

    def entry(self, name: str, parameters: Sequence[str]) -> None:
        """The function that is called: it has the chunks done, by several threads or by one."""
        for which, columns in (
            ("panel", self.whole and self.plan.width),
            ("tail_panel", self.rest),
        ):
            if columns:
                self.band(which, columns)
                if self.plan.packed:
                    self.pack(f"{which}_copy", columns)
                if self.epilogue:
                    self.epilogue.write(self.module, f"{which}_epilogue", columns)
        if self.plan.strips:
            self.strips("strips")
        if self.rows_made:
            self.rows_made.write_rows(self.module, "rows")
        self.task("chunk")
        arrays = self.arrays
        f = self.module.function(name, [f"ptr noalias %{x}" for x in parameters], quick=True)
        argument = f.scratch(8 * len(arrays))
        for k, x in enumerate(arrays):
            f.do(f"store ptr %{x}, ptr {f.address(argument, k, 'ptr')}")
        chunks = -(-self.units // self.plan.share)
        if chunks == 1:
            f.do(f"call void @chunk(ptr {argument}, i64 0)")
        else:
            self.module.define(SUBMIT, DECLARATION)
            f.do(f'call void @"{SUBMIT}"(ptr @chunk, ptr {argument}, i64 {chunks})')

    @property
    def arrays(self) -> list[str]:
        """The parameters that are read or written."""
        others = [reach.name for reach in (*self.reaches, *self.sources[0], *self.sources[1])]
        given = (not self.rows_made, not self.panels_made, True)
        return [x for x in dict.fromkeys([*compress(ALONE, given), *others]) if x != COPY]

    @property
    def grid(self) -> tuple[int, ...]:
        """How many units there are: along the axes of the batch, of rows and of columns."""
        panels = -(-self.product.columns // self.plan.width)
        rows = -(-self.product.rows // self.plan.block)
        return (*self.product.batch, rows, -(-panels // self.plan.panels))

    @property
    def units(self) -> int:
        """How many units there are in all."""
        return math.prod(self.grid)

    def task(self, name: str) -> None:
        """The function that does the units of one chunk."""
        f = self.module.function(name, ["ptr %arrays", "i64 %chunk"], internal=True, quick=True)
        found = {
            name: f.let(f"load ptr, ptr {f.address('%arrays', k, 'ptr')}")
            for k, name in enumerate(self.arrays)
        }
        for name, layout, made in (
            ("x1", self.product.x1, self.rows_made),
            ("x2", self.product.x2, self.panels_made),
        ):
            if not made:
                found[name] = f.address(found[name], layout.offset, self.kind)
        if self.units == 1:
            self.unit(f, [0] * len(self.grid), found)
            return
        share = min(self.plan.share, self.units)
        low = f.times("%chunk", share)
        with f.loop(low, smaller(f, f.plus(low, share), self.units)) as state:
            places: list[Index] = []
            rest: Index = state.index
            for extent in reversed(self.grid):
                places.append(0 if extent == 1 else f.let(f"urem i64 {rest}, {extent}"))
                rest = rest if extent == 1 else f.let(f"udiv i64 {rest}, {extent}")
            self.unit(f, places[::-1], found)

    def unit(self, f: Function, places: Sequence[Index], arrays: dict[str, str]) -> None:
        """Some panels of one block of rows, over all of the depth."""
        product, plan = self.product, self.plan
        *batch, block, group = places
        first = f.times(block, plan.block)
        rows = smaller(f, f.plus(first, plan.block), product.rows)
        made = f.scratch(self.rows_bytes()) if self.rows_made else ""
        begins = ((*batch, first), batch)
        unit = Unit(
            made or self.at(f, arrays["x1"], (*batch, first), product.x1.strides[:-1]),
            "" if self.panels_made else self.at(f, arrays["x2"], batch, product.x2.strides[:-2]),
            self.at(f, arrays["y"], (*batch, first), product.result[:-1]),
            [self.reached(f, arrays, reach, (*batch, first)) for reach in self.reaches],
            [
                [self.reached(f, arrays, reach, places) for reach in sources]
                for sources, places in zip(self.sources, begins, strict=True)
            ],
            minus(f, rows, first),
            f.scratch(self.panels_bytes()) if plan.packed else "",
            f.scratch(self.strips_bytes()) if plan.strips else "",
        )
        low = f.times(group, plan.panels * plan.width)
        high = smaller(f, f.plus(low, plan.panels * plan.width), product.columns)
        with blocks(f, product.depth, plan.depth) as (k, depth):
            with blocks(f, minus(f, high, low), plan.group * plan.width) as (j, length):
                self.group(f, unit, (k, depth), (f.plus(low, j), length))

    def group(
        self, f: Function, unit: Unit, part: tuple[Index, Index], columns: tuple[Index, Index]
    ) -> None:
        """What a group of panels adds to the rows of a unit.

        part, columns: of the depth, and of x2: where each begins, and its length.
        """
        (k, depth), (j, length), plan = part, columns, self.plan
        a = "" if self.rows_made else f.address(unit.x1, self.place(f, k), self.kind)
        fresh = f.let(f"icmp eq i64 {k}, 0")
        panels = list(self.kinds(f, length))
        if plan.packed:
            for name, start, count in panels:
                target = self.panel_at(f, unit.packed, start, depth)
                first, size = (k, f.plus(j, start)), (depth, count)
                self.copy_panels(f, f"{name}_copy", unit, target, first, size)
        b = unit.packed or self.in_x2(f, unit, k, j)
        with blocks(f, unit.rows, plan.band) as (i, rows):
            x1 = unit.x1
            if self.rows_made:
                sources = self.sources_at(f, 0, unit.sources[0], x1, (i, k))
                f.do(f"call void @rows({sources}, i64 {rows}, i64 {depth})")
            else:
                x1 = f.address(a, f.times(i, self.row1), self.kind)
            if plan.strips:
                f.do(f"call void @strips(ptr {x1}, ptr {unit.strips}, i64 {rows}, i64 {depth})")
                x1 = unit.strips
            for name, start, count in panels:
                column = f.plus(j, start)
                x2 = self.panel_at(f, b, start, depth)
                y = f.plus(f.times(i, self.product.columns), column)
                arrays = f"ptr {x1}, ptr {x2}, ptr {f.address(unit.y, y, self.kind)}"
                sizes = f"i64 {rows}, i64 {depth}, i1 {fresh}, i64 {count}"
                f.do(f"call void @{name}({arrays}, {sizes})")
                if self.epilogue:
                    with self.at_the_end(f, f.plus(k, depth)), f.loop(0, count) as panel:
                        place = f.plus(column, f.times(panel.index, plan.width))
                        self.finish(f, f"{name}_epilogue", unit.beside, i, place, rows)

    def kinds(self, f: Function, length: Index) -> Iterator[tuple[str, Index, Index]]:
        """Whole panels of `length` columns, and the tail: names, first columns and counts."""
        width = self.plan.width
        whole = length // width if isinstance(length, int) else f.let(f"udiv i64 {length}, {width}")
        if self.whole:
            yield "panel", 0, whole
        if self.rest:
            start = f.times(whole, width)
            left = minus(f, length, start)
            count = left and 1 if isinstance(left, int) else self.flag(f, left)
            yield "tail_panel", start, count

    def flag(self, f: Function, x: Index) -> Index:
        """1 where `x` is not 0."""
        return f.let(f"zext i1 {f.let(f'icmp ne i64 {x}, 0')} to i64")

    @contextmanager
    def at_the_end(self, f: Function, end: Index) -> Iterator[None]:
        """What is written inside runs where `end` is that of the depth."""
        if isinstance(end, int):
            yield
        else:
            with f.when(f.let(f"icmp eq i64 {end}, {self.product.depth}")):
                yield

    def finish(
        self, f: Function, name: str, beside: Sequence[str], i: Index, j: Index, rows: Index
    ) -> None:
        """Make of a panel, `rows` rows from `i` on and columns from `j` on, what is made of it."""
        places = []
        for start, reach in zip(beside, self.reaches, strict=True):
            index = f.plus(f.times(i, reach.strides[-2]), f.times(j, reach.strides[-1]))
            places.append(f"ptr {f.address(start, index, reach.kind)}")
        f.do(f"call void @{name}({', '.join(places)}, i64 {rows})")

    def place(self, f: Function, k: Index) -> Index:
        """How far element `k` of the summed axis is in x1, where a block of depth begins."""
        if not self.product.levels or isinstance(k, int):
            return f.times(k, self.column1)  # a number is 0: there is one block
        return f.times(f.let(f"udiv i64 {k}, {self.product.step}"), self.product.levels[0][1])

    def at(self, f: Function, x: str, places: Sequence[Index], strides: Sequence[int]) -> str:
        """The address of an element of the array at `x`."""
        for place, stride in zip(places, strides, strict=True):
            x = f.address(x, f.times(place, stride), self.kind)
        return x

    # A band: some rows of x1, a tile at a time, which meet some panels of x2.

    def band(self, name: str, columns: int) -> None:
        """The function for panels of `columns` columns; x1, x2 and y are given from their start.

        A tile's rows of x1 meet all panels before the next do: so they are read once.
        """
        rows_left = self.product.rows % self.plan.rows
        full = self.product.rows >= self.plan.rows
        if full:
            self.tile(f"{name}_tile", self.plan.rows, columns)
        if rows_left:
            self.tile(f"{name}_last_tile", rows_left, columns)
        arrays, sizes = ["ptr %a", "ptr %b", "ptr %c"], ["i64 %rows", "i64 %depth", "i1 %fresh"]
        f = self.module.function(name, [*arrays, *sizes, "i64 %count"], internal=True, quick=True)
        width = self.plan.width
        panel_size = f.times(f.plus("%depth", APART), width) if self.plan.packed else width
        row: Index = self.long if self.rows_made else self.row1
        row = f.plus("%depth", APART) if self.plan.strips else row

        def call(which: str, i: Index) -> None:
            a = f.address("%a", f.times(i, row), self.kind)
            c = f.address("%c", f.times(i, self.product.columns), self.kind)
            if self.assembled:
                arrays = f"ptr {a}, ptr %b, ptr {c}"
                f.do(f"call void @{name}_{which}({arrays}, i64 %depth, i1 %fresh, i64 %count)")
                return
            with f.loop(0, "%count") as panel:
                b = f.address("%b", f.times(panel.index, panel_size), self.kind)
                y = f.address(c, f.times(panel.index, width), self.kind)
                f.do(f"call void @{name}_{which}(ptr {a}, ptr {b}, ptr {y}, i64 %depth, i1 %fresh)")

        rest = f.let(f"urem i64 %rows, {self.plan.rows}")
        whole = f.let(f"sub i64 %rows, {rest}")
        if full:
            with f.loop(0, whole, self.plan.rows) as state:
                call("tile", state.index)
        if rows_left:
            with f.when(f.let(f"icmp slt i64 {whole}, %rows")):
                call("last_tile", whole)

    # A tile: its accumulators stay in registers over the whole depth.

    def tile(self, name: str, rows: int, columns: int) -> None:
        """The function for `rows` rows of x1 and `columns` columns of x2."""
        if self.assembled:
            self.assemble(name, rows, columns)
            return
        f = self.module.function(
            name, ["ptr %a", "ptr %b", "ptr %c", "i64 %depth", "i1 %fresh"], internal=True
        )
        emitter, dtype = VectorEmitter(f, self.plan.lanes), self.product.dtype
        vectors, packed = self.vectors_of(f, columns), self.plan.packed
        (row, column, stride), full, ahead = self.steps, self.padded, self.plan.ahead

        def step(a: str, b: str, before: Sequence[Value]) -> list[Value]:
            x2 = [emitter.load(b, j, dtype, mask=None if full else mask) for j, mask in vectors]
            for j, _ in vectors if ahead else ():
                emitter.prefetch(b, ahead * stride + j, dtype, written=False)
            sums: list[Value] = []
            for i in range(rows):
                x = emitter.splat(emitter.scalar.load(a, i * row, dtype))
                some = before[len(sums) : len(sums) + len(x2)]
                sums += [emitter.fma(x, y, z) for y, z in zip(x2, some, strict=True)]
            return sums

        def summed(levels: Sequence[Level], a: str, b: str, sums: list[Value]) -> list[Value]:
            if not levels:
                return step(a, b, sums)
            (extent, step1, step2), *inner = levels

            def one(k: Index, sums: list[Value]) -> list[Value]:
                there = f.address(b, f.times(k, step2), self.kind)
                return summed(inner, f.address(a, f.times(k, step1), self.kind), there, sums)

            few = UNROLLED if self.product.levels else 1
            if isinstance(extent, int) and extent <= few and not inner:
                for k in range(extent):
                    sums = one(k, sums)
                return sums
            with emitter.loop(0, extent, carried=sums, surely=True) as loop:
                loop.following = one(loop.index, loop.values)
            return loop.values

        if packed:  # where there is time until they are needed
            for i in range(rows):
                for j in range(0, columns, self.plan.lanes):
                    emitter.prefetch("%c", i * self.product.columns + j, dtype, written=True)
        zero = emitter.const(0, dtype)
        sums = [zero] * (rows * len(vectors))
        sums = summed(self.levels(f, column, stride), "%a", "%b", sums)
        places = [(i * self.product.columns + j, mask) for i in range(rows) for j, mask in vectors]
        for x, (place, mask) in zip(self.total(emitter, sums, places), places, strict=True):
            emitter.store(x, "%c", place, mask=mask)

    def assemble(self, name: str, rows: int, columns: int) -> None:
        """The function for tiles of `rows` rows of x1 and `columns` columns of some panels."""
        self.module.declare("void", name, "ptr, ptr, ptr, i64, i1, i64")
        row, column, stride = self.steps
        self.module.assembly += x86.tiles(
            name,
            self.product.dtype,
            rows,
            self.lanes_of(columns),
            width=self.plan.width,
            a=(row, column),
            b=stride,
            c=self.product.columns,
            apart=APART if self.plan.packed else None,
            padded=self.padded,
            adds=self.plan.depth < self.product.depth,
            ahead=self.plan.ahead,
        )

    def levels(self, f: Function, column: int, stride: int) -> list[Level]:
        """The loops over the depth of a tile, given how far its elements are in x1 and x2."""
        if not self.product.levels:
            whole = self.plan.depth >= self.product.depth
            return [(self.product.depth if whole else "%depth", column, stride)]
        extents, steps = zip(*self.product.levels, strict=True)
        further = [math.prod(extents[k + 1 :]) * stride for k in range(len(extents))]
        outermost: Index = extents[0]
        if self.plan.depth < self.product.depth:
            outermost = f.let(f"udiv i64 %depth, {self.product.step}")
        return list(zip((outermost, *extents[1:]), steps, further, strict=True))

    def total(
        self, emitter: VectorEmitter, sums: list[Value], places: Sequence[tuple[int, Value | None]]
    ) -> list[Value]:
        """`sums`, and what earlier blocks of depth gave: blocks are summed one by one, so that
        rounding grows with the length and with the number of blocks, not with their product."""
        if self.plan.depth >= self.product.depth:
            return sums
        f, dtype = emitter.function, self.product.dtype
        go_on, done, here = f.label("continue"), f.label("done"), f.block
        f.branch("%fresh", done, go_on)
        f.place(go_on)
        earlier = [emitter.load("%c", place, dtype, mask=mask) for place, mask in places]
        totals = [emitter.add(x, y) for x, y in zip(earlier, sums, strict=True)]
        f.jump(done)
        f.place(done)
        kind = emitter.type_of(dtype)
        pairs = [((x.text, here), (y.text, go_on)) for x, y in zip(sums, totals, strict=True)]
        return [Value(f.phi(kind, *pair), dtype) for pair in pairs]
