"""Elementwise loops as parts of a product: epilogues of its elements, prologues of its operands.

A group of loops that only maps elements becomes a function of a part of the result, which is in
the cache then: it is read back where it has just been written. So does a group that makes the
operand: some rows of the first are made just before they are multiplied, and panels of the second
where they are packed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Value
from .arithmetic import lane_type
from .blocking import Layout, Product
from .bodies import instructions, mapped
from .cost import WIDEST
from .emitter import VectorEmitter
from .items import memory_dtype
from .loops import Apply, Buffer, Load, Loop, LoopNest, Operand, Place, Statement, Store
from .text import Index, Module

RAGGED = 1.3
"""How many lanes vectors may have for each element of a row."""
COPY = "copy"
"""What a prologue stores to: rows of the first operand, or panels of the second one."""
MEMORY = 4
"""What loads and the store of a prologue count, in instructions."""


class Reach(NamedTuple):
    """How elements of the array `name` lie beside those of the product; counted in elements."""

    name: str
    dtype: np.dtype[Any]
    offset: int
    strides: tuple[int, ...]

    @property
    def kind(self) -> str:
        """The LLVM type of an element in memory."""
        return lane_type(memory_dtype(self.dtype))


class Elementwise(NamedTuple):
    """The statements for one element, and where their places are."""

    statements: tuple[Load | Apply | Store, ...]
    places: dict[Place, Reach]


def epilogue(
    nest: LoopNest, buffer: Buffer, product: Product, names: Mapping[str, str]
) -> Elementwise | None:
    """`nest` as what is made of `product`, which is its `buffer`; None where it is more.

    It may only map elements to elements: of the product itself, and of what lies beside it evenly.
    names: what the buffers of the nest are called in the function of the product.
    """
    found = list(straight(nest.body))
    if nest.scratch or not all(isinstance(s, Load | Apply | Store) for s in found):
        return None
    steps = [s for s in found if isinstance(s, Load | Apply | Store)]
    if any(isinstance(s, Load) and s.inside for s in steps):
        return None
    places = {s.place: s for s in steps if isinstance(s, Load | Store)}
    own = [p for p in places if p.buffer is buffer]
    extents = dict(loops_of(nest.body))
    if len(own) != 1 or math.prod(extents.values()) != product.elements:
        return None
    if len(extents) == 1 and has_ragged_rows(product):
        return None
    counted = {var: stride for var, stride in own[0].strides if extents[var] > 1}
    if len(counted) < sum(extent > 1 for extent in extents.values()) or own[0].offset:
        return None
    reached = {}
    for place, statement in places.items():
        strides = beside(place, counted, extents, product)
        if strides is None or place.at or place.buffer.role == "number":
            return None
        if isinstance(statement, Store) and (place.offset or strides != product.result):
            return None
        name, dtype = names[place.buffer.name], place.buffer.dtype
        reached[place] = Reach(name, dtype, place.offset, strides)
    return Elementwise(tuple(steps), reached)


def prologue(
    nest: LoopNest, product: Product, names: Mapping[str, str], *, second: bool
) -> Elementwise | None:
    """`nest`, of one output, as what makes an operand of `product`, and is called COPY.

    It only maps elements, as in `epilogue`, and reads them in the order of memory. A second operand
    may be the same for all of the batch.
    """
    operand = product.x2 if second else product.x1
    shared = second and not any(operand.strides[:-2])
    before = (0,) * len(product.batch) if shared else ()
    rows = product.depth if second else product.rows
    columns = product.columns if second else product.depth
    batch = () if shared else product.batch
    # as if it were a product itself
    whole = product._replace(batch=batch, rows=rows, columns=columns, depth=1)
    (made,) = nest.outputs
    found = epilogue(nest, made, whole, {**names, made.name: COPY})
    if found is None or product.levels or operand != Layout(0, (*before, *whole.result)):
        return None
    if any(reach.strides[-1] not in (0, 1) for reach in found.places.values()):
        return None
    reached = {x: r._replace(strides=(*before, *r.strides)) for x, r in found.places.items()}
    return found._replace(places=reached)


def work(part: Elementwise) -> int:
    """How many instructions an epilogue or a prologue takes for a vector, memory included."""
    return MEMORY + sum(
        instructions(s.op, s.dtypes, s.dtype) or 0
        for s in part.statements
        if isinstance(s, Apply) and s.op is not None
    )


def has_ragged_rows(product: Product) -> bool:
    """Whether vectors are much emptier at the ends of rows than in a loop over all elements.

    Of rows of 10 float32, tanh takes five times as long row by row; of 100, it is a draw.
    """
    lanes = WIDEST // product.dtype.itemsize
    filled = -(-product.columns // lanes) * lanes
    return product.rows > 1 and filled > RAGGED * product.columns


def straight(body: Sequence[Statement]) -> Iterator[Statement]:
    """The statements of loops one inside of the other, in order; loops side by side as they are."""
    inner = [s for s in body if isinstance(s, Loop)]
    for statement in body:
        if isinstance(statement, Loop) and len(inner) == 1 and not statement.each:
            yield from straight(statement.body)
        else:
            yield statement


def loops_of(body: Sequence[Statement]) -> Iterator[tuple[str, int]]:
    """Variables and extents of loops one inside of the other."""
    for statement in body:
        if isinstance(statement, Loop):
            yield statement.var, statement.extent
            yield from loops_of(statement.body)


def beside(
    place: Place, counted: dict[str, int], extents: dict[str, int], product: Product
) -> tuple[int, ...] | None:
    """How far elements at `place` are apart along the axes of `product`; None if not evenly.

    counted: how far elements of the product are apart in one step of each loop.
    """
    found = []
    shape = (*product.batch, product.rows, product.columns)
    for n, step in zip(shape, product.result, strict=True):
        inside = [v for v, s in counted.items() if s < n * step and s * extents[v] > step]
        if n == 1 or not inside:
            found.append(0)
            continue
        first = min(inside, key=counted.__getitem__)
        if step % counted[first]:
            return None
        stride = place.stride(first) * (step // counted[first])
        if any(counted[v] > step and place.stride(v) * step != stride * counted[v] for v in inside):
            return None
        found.append(stride)
    return tuple(found)


class ElementwiseWriter:
    """Writes what is made of a part of a product.

    reaches: where its places are, for which its functions take pointers.
    """

    def __init__(self, part: Elementwise, lanes: int):
        self.part = part
        self.lanes = lanes
        self.reaches = list(dict.fromkeys(part.places.values()))

    def write(self, module: Module, name: str, columns: int) -> None:
        """The function `name(ptr..., i64 rows)` for `columns` columns, which begin there."""
        parameters = [*[f"ptr %e{k}" for k in range(len(self.reaches))], "i64 %rows"]
        f = module.function(name, parameters, internal=True)
        with f.loop(0, "%rows") as state:
            pointers = {}
            for k, reach in enumerate(self.reaches):
                index = f.times(state.index, reach.strides[-2])
                pointers[reach] = f.address(f"%e{k}", index, reach.kind)
            for start, lanes in pieces(columns, self.lanes):
                emitter, rest = VectorEmitter(f, lanes), columns - start
                mask = emitter.first_lanes(rest) if lanes > rest else None
                self.elements(emitter, pointers, start, mask)

    def write_rows(self, module: Module, name: str) -> None:
        """The function `name(ptr..., i64 rows, i64 depth)` for so many columns."""
        parameters = [f"ptr %e{k}" for k in range(len(self.reaches))]
        f = module.function(name, [*parameters, "i64 %rows", "i64 %depth"], internal=True)
        emitter = VectorEmitter(f, min(4 * self.lanes, WIDEST))
        rest = f.let(f"urem i64 %depth, {emitter.lanes}")
        whole = f.let(f"sub i64 %depth, {rest}")
        with f.loop(0, "%rows") as state:
            pointers = {}
            for k, reach in enumerate(self.reaches):
                index = f.times(state.index, reach.strides[-2])
                pointers[reach] = f.address(f"%e{k}", index, reach.kind)
            with f.loop(0, whole, emitter.lanes) as part:
                self.elements(emitter, pointers, part.index, None)
            with f.when(f.let(f"icmp ne i64 {rest}, 0")):
                self.elements(emitter, pointers, whole, emitter.first_lanes(rest))

    def elements(
        self, emitter: VectorEmitter, pointers: dict[Reach, str], j: Index, mask: Value | None
    ) -> None:
        """One vector, from column `j` on: all loads come before the first store."""
        names: dict[str, Value] = {}
        stores = []
        for statement in self.part.statements:
            match statement:
                case Load(name, place):
                    reach = self.part.places[place]
                    stride, pointer = reach.strides[-1], pointers[reach]
                    index = emitter.function.times(j, stride)
                    names[name] = emitter.load_strided(
                        pointer, index, stride, reach.dtype, mask=mask
                    )
                case Apply(name, op, operands, dtypes, dtype):
                    pairs = zip(operands, dtypes, strict=True)
                    xs = [value(emitter, names, x, kind) for x, kind in pairs]
                    names[name] = emitter.cast(mapped(emitter, op, xs), dtype)
                case Store(place, operand):
                    stores.append((self.part.places[place], operand))
        for reach, operand in stores:
            x = value(emitter, names, operand, reach.dtype)
            emitter.store(x, pointers[reach], j, mask=mask)


def pieces(columns: int, lanes: int) -> Iterator[tuple[int, int]]:
    """Where vectors begin, and their lanes: as many at once as there are registers for.

    The last ones may have more lanes than there are columns, but not more than `lanes`.
    """
    start = 0
    while start < columns:
        rest = columns - start
        most = min(1 << rest.bit_length() - 1, WIDEST)
        size = most if rest >= lanes else 1 << (rest - 1).bit_length()
        yield start, size
        start += size


def value(emitter: VectorEmitter, names: dict[str, Value], operand: Operand, dtype: Any) -> Value:
    """An operand in `dtype`."""
    if isinstance(operand, str):
        return emitter.cast(names[operand], dtype)
    return emitter.const(operand, dtype)
