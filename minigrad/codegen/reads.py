"""Reading elements under conditions, and the numbers that elements have, in loops."""

from __future__ import annotations

import math

from ..core.lowering import Value
from .arithmetic import INT32, INT64, lane_type
from .emitter import VectorEmitter
from .items import memory_dtype
from .loops import Load, Place
from .text import Index
from .vector import Vector


def read_inside(
    emitter: VectorEmitter,
    statement: Load,
    base: str,
    array: str,
    inside: Value,
    vector: Vector | None,
) -> Value:
    """The elements from address `base` on where `inside` is true, and a number elsewhere.

    Memory is not touched where `inside` is false. array: the address of the whole buffer.
    """
    place = statement.place
    dtype = place.buffer.dtype
    otherwise = emitter.const(statement.otherwise, dtype)
    if vector is None:  # one element: where there is none, the first of all is as good as any
        address = emitter.function.let(f"select i1 {inside.text}, ptr {base}, ptr {array}")
        return emitter.select(inside, emitter.load(address, 0, dtype), otherwise)
    mask = inside if vector.mask is None else emitter.mul(inside, vector.mask)
    stride = place.stride(vector.var)
    index = emitter.function.times(vector.index, stride)
    start = emitter.function.address(base, index, lane_type(memory_dtype(dtype)), beyond=True)
    if stride == 1 or emitter.lanes == 1:
        read = emitter.load(start, 0, dtype, mask=mask)
    else:
        places = ", ".join([f"i64 {k * stride}" for k in range(emitter.lanes)])
        read = emitter.gather(start, Value(f"<{places}>", INT64), dtype, mask=mask)
    return emitter.select(inside, read, otherwise)


def read_at(emitter: VectorEmitter, place: Place, base: str, vector: Vector, copy: int) -> Value:
    """The elements behind address `base` whose places are values of this round."""
    dtype, small = place.buffer.dtype, math.prod(place.buffer.shape) < 2**31
    whole = INT32 if small and emitter.lanes > 1 else INT64
    stride = place.stride(vector.var)
    indices = emitter.mul(emitter.iota(whole), emitter.const(stride, whole))
    for name, step in place.at:
        if name in vector.names:
            copies = vector.names[name]
            where = emitter.cast(copies[copy % len(copies)], whole)
            indices = emitter.add(indices, emitter.mul(where, emitter.const(step, whole)))
    return emitter.gather(base, indices, dtype, mask=vector.mask)


def index_at(emitter: VectorEmitter, place: Place, vector: Vector) -> Index:
    """How much further the places that are values of this round lead, one element at a time."""
    found: Index = 0
    for name, step in place.at:
        if name in vector.names:
            where = emitter.cast(vector.names[name][0], INT64)
            found = emitter.function.plus(found, emitter.function.times(where.text, step))
    return found


def numbered(emitter: VectorEmitter, place: Place, start: Index, vector: Vector | None) -> Value:
    """The numbers of the elements at a place that begins with number `start`."""
    dtype, stride = place.buffer.dtype, 0
    whole = dtype if dtype.kind in "iu" else INT64
    if vector is not None:
        stride = place.stride(vector.var)
        start = emitter.function.plus(start, emitter.function.times(vector.index, stride))
    first = emitter.splat(emitter.scalar.cast(Value(str(start), INT64), whole))
    steps = emitter.mul(emitter.iota(whole), emitter.const(stride, whole))
    return emitter.cast(emitter.add(first, steps) if stride else first, dtype)
