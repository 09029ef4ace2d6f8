"""Numbers as they are in memory, and in registers: bools, halves, and complex numbers.

A bool is a byte in memory, a float16 two. A complex number is one item there, so that moves and
look-ups of any kind move it as a whole; in registers it is a pair of vectors, one of each part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.lowering import Value
from .arithmetic import BOOL, COMPLEX64, FLOAT16, HALF, Arithmetic, lane_type, part

BYTE = np.dtype(np.uint8)
ITEM8, ITEM16 = np.dtype(np.uint64), np.dtype("V16")


def memory_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype an array of `dtype` is loaded and stored as."""
    match dtype.kind:
        case "b":
            return BYTE
        case "c":
            return ITEM8 if dtype == COMPLEX64 else ITEM16
    return HALF if dtype == FLOAT16 else dtype


def from_memory(emitter: Arithmetic, x: Value, dtype: np.dtype[Any]) -> Value:
    """The numbers of `dtype` that were loaded as `x`."""
    if dtype == FLOAT16:
        return emitter.from_half(x)
    if dtype.kind != "c":
        return emitter.cast(x, dtype) if dtype == BOOL else x
    both, of = twice(emitter), part(dtype)
    flat = emitter.let(f"bitcast {emitter.type_of(x.dtype)} {x.text} to {both.type_of(of)}", of)
    orders = [range(start, both.lanes, 2) for start in (0, 1)]
    return emitter.pair(*(shuffled(both, flat, flat, order) for order in orders))


def to_memory(emitter: Arithmetic, x: Value) -> Value:
    """`x` as it is stored."""
    if x.dtype == FLOAT16:
        return emitter.to_half(x)
    stored = memory_dtype(x.dtype)
    if x.dtype.kind != "c":
        return emitter.cast(x, stored)
    flat = alternating(emitter, *emitter.parts(x))
    source = f"{twice(emitter).type_of(flat.dtype)} {flat.text}"
    return emitter.let(f"bitcast {source} to {emitter.type_of(stored)}", stored)


def twice(emitter: Arithmetic) -> Arithmetic:
    """What writes instructions on twice as many lanes."""
    return Arithmetic(emitter.function, 2 * emitter.lanes)


def alternating(emitter: Arithmetic, one: Value, other: Value) -> Value:
    """The lanes of two vectors in turn."""
    n = emitter.lanes
    if n > 1:
        return shuffled(emitter, one, other, [k // 2 + k % 2 * n for k in range(2 * n)])
    lane, kind = lane_type(one.dtype), twice(emitter).type_of(one.dtype)
    first = emitter.function.let(f"insertelement {kind} poison, {lane} {one.text}, i64 0")
    return emitter.let(f"insertelement {kind} {first}, {lane} {other.text}, i64 1", one.dtype)


def shuffled(emitter: Arithmetic, one: Value, other: Value, order: Sequence[int]) -> Value:
    """Lanes of two vectors of real numbers, those of `other` after those of `one`."""
    kind = emitter.type_of(one.dtype)
    if len(order) == 1:
        return emitter.let(f"extractelement {kind} {one.text}, i64 {order[0]}", one.dtype)
    lanes = ", ".join(f"i32 {k}" for k in order)
    source = f"{kind} {one.text}, {kind} {other.text}, <{len(order)} x i32> <{lanes}>"
    return emitter.let(f"shufflevector {source}", one.dtype)
