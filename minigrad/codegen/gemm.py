"""Matrix products as LLVM text: tiles of the result in registers, panels of x2 in the cache.

A product runs in blocks of rows of x1 and of the summed axis, and these panel by panel: some
columns of x2, packed if that pays, meet the rows a few at a time. See Goto and van de Geijn,
Anatomy of High-Performance Matrix Multiplication (2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..core.lowering import Value
from .blocking import Plan, Product
from .emitter import VectorEmitter
from .packing import Lanes, Packer, minus, smaller
from .pool import DECLARATION, SUBMIT
from .text import Function, Index, Module


def render(product: Product, plan: Plan, entry: str) -> str:
    """The module whose function `entry(ptr x1, ptr x2, ptr y)` computes `product`."""
    module = Module()
    writer = Writer(product, plan, module)
    writer.entry(entry)
    return module.render()


class Writer(Packer):
    """Writes the functions of a product; `tail` ones are for the columns of the last panel."""

    def __init__(self, product: Product, plan: Plan, module: Module):
        super().__init__(product, plan, module)
        self.whole = product.columns // plan.width * plan.width
        self.rest = product.columns - self.whole

    # From the whole to the panels.

    def entry(self, name: str) -> None:
        """The function that is called: it has the chunks done, by several threads or by one."""
        if self.whole:
            self.panel("panel", self.plan.width)
        if self.rest:
            self.panel("tail_panel", self.rest)
        if self.plan.strips:
            self.strips("strips")
        self.task("chunk")
        arrays = ("x1", "x2", "y")
        f = self.module.function(name, [f"ptr noalias %{x}" for x in arrays])
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
        f = self.module.function(name, ["ptr %arrays", "i64 %chunk"], internal=True)
        x1, x2, y = [f.let(f"load ptr, ptr {f.address('%arrays', k, 'ptr')}") for k in range(3)]
        x1 = f.address(x1, self.product.x1.offset, self.kind)
        x2 = f.address(x2, self.product.x2.offset, self.kind)
        if self.units == 1:
            self.unit(f, [0] * len(self.grid), x1, x2, y)
            return
        share = min(self.plan.share, self.units)
        low = f.times("%chunk", share)
        with f.loop(low, smaller(f, f.plus(low, share), self.units)) as state:
            places: list[Index] = []
            rest: Index = state.index
            for extent in reversed(self.grid):
                places.append(0 if extent == 1 else f.let(f"urem i64 {rest}, {extent}"))
                rest = rest if extent == 1 else f.let(f"udiv i64 {rest}, {extent}")
            self.unit(f, places[::-1], x1, x2, y)

    def unit(self, f: Function, places: Sequence[Index], x1: str, x2: str, y: str) -> None:
        """Some panels of one block of rows, over all of the depth."""
        product, plan = self.product, self.plan
        *batch, block, group = places
        size = product.rows * product.columns
        outer = [math.prod(product.batch[k + 1 :]) * size for k in range(len(batch))]
        first = f.times(block, plan.block)
        rows = smaller(f, f.plus(first, plan.block), product.rows)
        x1 = self.at(f, x1, (*batch, first), product.x1.strides[:-1])
        x2 = self.at(f, x2, batch, product.x2.strides[:-2])
        y = self.at(f, y, (*batch, first), (*outer, product.columns))
        rows = minus(f, rows, first)
        low = f.times(group, plan.panels * plan.width)
        high = smaller(f, f.plus(low, plan.panels * plan.width), self.whole)
        packed = f.scratch(self.strips_bytes()) if plan.strips else ""
        with blocks(f, product.depth, plan.depth) as (k, depth):
            fresh = f.let(f"icmp eq i64 {k}, 0")
            a = f.address(x1, f.times(k, self.column1), self.kind)
            b = f.address(x2, f.times(k, self.row2), self.kind)
            if plan.strips:
                f.do(f"call void @strips(ptr {a}, ptr {packed}, i64 {rows}, i64 {depth})")
                a = packed
            sizes = f"i64 {rows}, i64 {depth}, i1 {fresh}"

            def call(name: str, j: Index) -> None:
                columns = f.address(b, f.times(j, self.column2), self.kind)
                results = f.address(y, j, self.kind)
                f.do(f"call void @{name}(ptr {a}, ptr {columns}, ptr {results}, {sizes})")

            if self.whole:
                with f.loop(low, high, plan.width) as state:
                    call("panel", state.index)
            if self.rest:
                last = f.let(f"icmp eq i64 {group}, {self.grid[-1] - 1}")
                with f.when(last):
                    call("tail_panel", self.whole)

    def at(self, f: Function, x: str, places: Sequence[Index], strides: Sequence[int]) -> str:
        """The address of an element of the array at `x`."""
        for place, stride in zip(places, strides, strict=True):
            x = f.address(x, f.times(place, stride), self.kind)
        return x

    # A panel: some columns of x2, and all rows of a block.

    def panel(self, name: str, columns: int) -> None:
        """The function for `columns` columns; x1, x2 and y are given from where it begins."""
        rows_left = self.product.rows % self.plan.rows
        full = self.product.rows >= self.plan.rows
        if full:
            self.tile(f"{name}_tile", self.plan.rows, columns)
        if rows_left:
            self.tile(f"{name}_last_tile", rows_left, columns)
        f = self.module.function(
            name,
            ["ptr %a", "ptr %b", "ptr %c", "i64 %rows", "i64 %depth", "i1 %fresh"],
            internal=True,
        )
        b = self.pack(f, columns) if self.plan.packed else "%b"

        def call(which: str, i: Index) -> None:
            step: Index = "%depth" if self.plan.strips else self.row1
            a = f.address("%a", f.times(i, step), self.kind)
            c = f.address("%c", f.times(i, self.product.columns), self.kind)
            f.do(f"call void @{name}_{which}(ptr {a}, ptr {b}, ptr {c}, i64 %depth, i1 %fresh)")

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
        f = self.module.function(
            name, ["ptr %a", "ptr %b", "ptr %c", "i64 %depth", "i1 %fresh"], internal=True
        )
        emitter, dtype = VectorEmitter(f, self.plan.lanes), self.product.dtype
        vectors = self.vectors_of(f, columns)
        packed = self.plan.packed
        stride = self.plan.width if packed else self.row2
        row, column = (1, self.plan.rows) if self.plan.strips else (self.row1, self.column1)
        with emitter.loop(0, "%depth", carried=self.begin(emitter, rows, vectors)) as loop:
            place = f.times(loop.index, stride)
            b = f.address("%b", place, self.kind)
            x2 = [emitter.load(b, j, dtype, mask=None if packed else mask) for j, mask in vectors]
            a = f.address("%a", f.times(loop.index, column), self.kind)
            sums: list[Value] = []
            for i in range(rows):
                x = emitter.splat(emitter.scalar.load(a, i * row, dtype))
                before = loop.values[len(sums) : len(sums) + len(x2)]
                sums += [emitter.fma(x, y, z) for y, z in zip(x2, before, strict=True)]
            loop.following = sums
        results = iter(loop.values)
        for i in range(rows):
            for j, mask in vectors:
                emitter.store(next(results), "%c", i * self.product.columns + j, mask=mask)

    def begin(self, emitter: VectorEmitter, rows: int, vectors: Sequence[Lanes]) -> list[Value]:
        """What the accumulators start from: zero, or what earlier blocks of depth gave."""
        f, dtype = emitter.function, self.product.dtype
        zero = emitter.const(0, dtype)
        if self.plan.depth >= self.product.depth:
            return [zero] * (rows * len(vectors))
        go_on, start = f.label("continue"), f.label("start")
        f.branch("%fresh", start, go_on)
        f.place(go_on)
        places = [(i * self.product.columns + j, mask) for i in range(rows) for j, mask in vectors]
        earlier = [emitter.load("%c", place, dtype, mask=mask) for place, mask in places]
        f.jump(start)
        f.place(start)
        kind = emitter.type_of(dtype)
        pairs = [((zero.text, "entry"), (x.text, go_on)) for x in earlier]
        return [Value(f.phi(kind, *pair), dtype) for pair in pairs]


@contextmanager
def blocks(f: Function, extent: int, size: int) -> Iterator[tuple[Index, Index]]:
    """Repeat what is written inside for the start and the length of each block of `extent`."""
    if size >= extent:
        yield 0, extent
        return
    with f.loop(0, extent, size) as state:
        yield state.index, minus(f, smaller(f, f.plus(state.index, size), extent), state.index)
