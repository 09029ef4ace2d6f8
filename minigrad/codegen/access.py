"""How the elements of arrays come into registers, and go back, in loops that are being written.

What is known in a round: values by name, one or one for each copy of a block; where places begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.lowering import Value
from .arithmetic import BOOL, INT64, lane_type
from .cost import WIDEST
from .crosswise import load_crosswise
from .emitter import VectorEmitter
from .folds import Copies, combined, folded, neutral
from .items import memory_dtype
from .loops import (
    DType,
    Fetch,
    Load,
    Loop,
    LoopNest,
    Operand,
    Place,
    Statement,
    Store,
    Update,
    statements,
)
from .names import varying
from .past import LINE
from .reads import index_at, read_at, read_inside
from .text import Function, Index
from .uniform import UniformEmitter
from .vector import Vector

FUSED_FROM = 32
"""Bytes of the vectors of machines that all have a fused product and sum."""


class Access:
    """What a writer of loops reads and stores with, in a function."""

    def __init__(self, function: Function, nest: LoopNest):
        self.nest = nest
        self.varying = varying(nest.body)
        self.fused = nest.vector_bytes >= FUSED_FROM
        self.bases: dict[Place, list[Index]] = {}  # of the places in a vector loop being written
        # by scratch buffer, the elements of one copy
        size = {b.name: b.shape[0] * b.lanes for b in nest.scratch}
        self.rows = {name: -(-n // WIDEST) * WIDEST for name, n in size.items()}
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
        self.past = False  # whether stores that are to go past the caches can
        self.passes = False  # whether there are such in the function
        self.copy: Index = 0  # the first scratch row of each buffer
        self.pointers = {b.name: f"%{b.name}" for b in (*nest.inputs, *nest.outputs)}
        blocks = [s.block for s in statements(nest.body) if isinstance(s, Loop)]
        for buffer in nest.scratch:
            size = self.rows[buffer.name] * buffer.dtype.itemsize * max(blocks, default=1)
            self.pointers[buffer.name] = function.scratch(size)

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

    def load(self, place: Place, vector: Vector | None) -> Copies:
        """The elements at a place."""
        emitter, dtype = self.emitter(vector), place.buffer.dtype
        if vector is None:
            return [emitter.load(str(base), 0, dtype) for base in self.base(place, "")]
        stride, index = self.along(place, vector)
        if any(name in vector.names for name, _ in place.at):
            return [
                read_at(emitter, place, str(self.moved(place, base, index, beyond=True)), vector, k)
                for k, base in enumerate(self.in_block(self.bases[place]))
            ]
        rounds = self.block[1]
        if 1 < emitter.lanes <= rounds and place.stride(self.block[0]) == 1 and abs(stride) > 1:
            first, filled = str(self.bases[place][0]), vector.filled
            return load_crosswise(
                emitter, first, index, stride, place, rounds=rounds, filled=filled
            )
        mask = self.mask(place, vector)
        return [
            emitter.load_strided(str(base), index, stride, dtype, mask=mask)
            for base in self.bases[place]
        ]

    def load_inside(self, statement: Load, vector: Vector | None) -> Copies:
        """The elements at a place where a mask is true, and a number elsewhere."""
        place, array = statement.place, self.pointers[statement.place.buffer.name]
        masks = self.get(statement.inside, BOOL, vector)
        bases = self.base(place, "", beyond=True) if vector is None else self.bases[place]
        return [
            read_inside(
                self.emitter(vector),
                statement,
                str(bases[k % len(bases)]),
                array,
                masks[k % len(masks)],
                vector,
            )
            for k in range(max(len(masks), len(bases)))
        ]

    def store(
        self, place: Place, values: Copies, vector: Vector | None, *, past: bool = False
    ) -> None:
        """Store elements at a place; `past` the caches, of which lines are whole."""
        emitter = self.emitter(vector)
        if vector is None:
            for k, base in enumerate(self.base(place, "")):
                emitter.store(values[k if len(values) > 1 else 0], str(base), 0)
            return
        stride, index = self.along(place, vector)
        index = self.function.plus(index, index_at(emitter, place, vector))
        for k, base in enumerate(self.bases[place]):
            value = values[k if len(values) > 1 else 0]
            if past and vector.mask is None:
                emitter.store(value, str(base), index, align=LINE, nontemporal=True)
                continue
            emitter.store_strided(value, str(base), index, stride, mask=self.mask(place, vector))

    def along(self, place: Place, vector: Vector) -> tuple[int, Index]:
        """How far apart the lanes of a vector are at a place, and the first from its base."""
        if place.buffer.lanes > 1:
            return 1, 0
        stride = place.stride(vector.var)
        return stride, self.function.times(vector.index, stride)

    def mask(self, place: Place, vector: Vector) -> Value | None:
        """The lanes to load or store; all in own rows, which are longer: masked stores are slow."""
        own = place.buffer.name in self.rows and place.strides == ((vector.var, 1),)
        own = own and not place.offset  # the last vector of a later segment would end beyond
        return None if own or place.buffer.lanes > 1 else vector.mask

    def update(self, statement: Update, vector: Vector | None) -> None:
        """Combine into memory; the copies among each other first."""
        emitter, place = self.emitter(vector), statement.place
        values = self.in_block(self.get(statement.value, place.buffer.dtype, vector))
        if vector is not None and not place.at and self.along(place, vector)[0] == 0:
            zero = neutral(emitter, statement.op, place.buffer.dtype)
            x = values[0] if vector.mask is None else emitter.select(vector.mask, values[0], zero)
            emitter, vector, values = self.scalar, None, [folded(emitter, statement.op, x)]
        while len(values) > 1:
            half = len(values) // 2
            pairs = zip(values[:half], values[half : 2 * half], strict=True)
            values = [combined(emitter, statement.op, *pair) for pair in pairs] + values[2 * half :]
        (old,) = self.load(place, vector)
        self.store(place, [combined(emitter, statement.op, old, values[0])], vector)

    def fetch(self, statement: Fetch, vector: Vector) -> None:
        """Have the lines of a vector come near."""
        place = statement.place
        for base in self.bases[place]:
            for k in range(0, vector.filled, LINE // place.buffer.dtype.itemsize):
                index = self.function.plus(vector.index, k)
                dtype, written = place.buffer.dtype, statement.written
                vector.emitter.prefetch(str(base), index, dtype, written=written)

    def in_block(self, values: list[Any]) -> list[Any]:
        """One value for each round of the block, also where all are the same."""
        return values if len(values) > 1 else values * self.block[1]

    def base(self, place: Place, var: str, *, beyond: bool = False) -> list[Index]:
        """The addresses of a place at index 0 of the loop over `var`: one, or one per copy.

        Of numbers, the first. beyond: as of `Function.address`.
        """
        block, count = self.block
        buffer, function = place.buffer, self.function
        scratch = buffer.role == "scratch"
        found: list[Index] = []
        at = [(self.scalars[x], stride) for x, stride in place.at if x in self.scalars]
        moving = place.stride(block) or any(len(copies) > 1 for copies, _ in at)
        for k in range(count if scratch or moving else 1):
            start: Index = place.offset
            for name, stride in place.strides:
                if name != var:
                    index = self.indices[name]
                    index = function.plus(index, k) if name == block else index
                    start = function.plus(start, function.times(index, stride))
            for copies, stride in at:
                step = self.scalar.cast(copies[k % len(copies)], INT64)
                start = function.plus(start, function.times(step.text, stride))
            if scratch:
                row = function.times(function.plus(self.copy, k), self.rows[buffer.name])
                start = function.plus(row, function.times(start, buffer.lanes))
            pointer = self.pointers.get(buffer.name, 0)
            found.append(self.moved(place, pointer, start, beyond=beyond))
        return found

    def moved(self, place: Place, start: Index, index: Index, *, beyond: bool) -> Index:
        """The address `index` elements behind `start`; of numbers, the number."""
        if place.buffer.role == "number":
            return self.function.plus(start, index)
        kind = lane_type(memory_dtype(place.buffer.dtype))
        return self.function.address(str(start), index, kind, beyond=beyond)

    def prepare(self, body: Sequence[Statement], var: str, start: Index) -> None:
        """Compute where the places of statements begin, before the vector loop over `var`."""
        for statement in body:
            if isinstance(statement, Load | Store | Update | Fetch):
                place = statement.place
                along = self.function.times(start, place.stride(var))
                beyond = isinstance(statement, Load) and bool(statement.inside)
                beyond = beyond or isinstance(statement, Fetch)
                self.bases[place] = [
                    self.moved(place, base, along, beyond=beyond)
                    for base in self.base(place, var, beyond=beyond)
                ]
