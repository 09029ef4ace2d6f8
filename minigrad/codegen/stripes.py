"""Loops whose rounds may meet in memory, cut along their columns, so that threads can share them.

What arrives in rows that values name arrives in their order: two rounds may name one row. But no
column of a row meets another, and each column sees the rounds in the same order as before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .loops import Apply, Load, Loop, LoopNest, Place, Statement, Store, Update
from .shares import SHARED, work_of

MOST = 4
"""Stripes of a loop: each goes through all rounds, and says anew which rows they name."""
NARROWEST = 256
"""Bytes of a stripe of a row, at least."""
LINE = 64
"""Bytes of which stripes are multiples: threads do not write to one line of the cache."""


def stripe(nest: LoopNest) -> None:
    """Have threads share the loops of `nest` that scatter rows, by stripes of columns."""
    nest.body[:] = [striped(s, nest.vector_bytes) if isinstance(s, Loop) else s for s in nest.body]


def striped(loop: Loop, vector_bytes: int) -> Loop:
    """`loop` in a loop over stripes, which threads share; itself where it is not to be cut."""
    rows = [s for s in loop.body if isinstance(s, Loop)]
    if loop.share or loop.block > 1 or work_of(loop) * 64 // vector_bytes < SHARED:
        return loop
    if not rows or not all(isinstance(s, Load | Apply | Loop) for s in loop.body):
        return loop
    var, extent = rows[0].var, rows[0].extent
    if not all(s.var == var and s.extent == extent and is_by_columns(s) for s in rows):
        return loop
    written = [s.place for row in rows for s in row.body if isinstance(s, Store | Update)]
    bytes_of_one = min(place.buffer.dtype.itemsize for place in written)
    widths = [extent // count for count in range(MOST, 1, -1) if extent % count == 0]
    sizes = [(width, width * bytes_of_one) for width in widths]
    fitting = [width for width, size in sizes if size >= NARROWEST and size % LINE == 0]
    if not fitting:
        return loop
    width = fitting[0]
    outer = f"{var}s"
    body: list[Statement] = [
        part_of(s, outer, width) if isinstance(s, Loop) else s for s in loop.body
    ]
    return Loop(outer, extent // width, [replace(loop, body=body)], share=1)


def is_by_columns(row: Loop) -> bool:
    """Whether the rounds of a vector loop are for themselves, each writing to its own places."""
    if not row.vector or row.backwards or row.each or row.calls:
        return False
    written = [s.place for s in row.body if isinstance(s, Store | Update)]
    own = all(p.buffer.role == "output" and p.stride(row.var) for p in written)
    return (
        bool(written)
        and own
        and all(isinstance(s, Load | Apply | Store | Update) for s in row.body)
    )


def part_of(row: Loop, outer: str, width: int) -> Loop:
    """The part of `row`, of so many columns, in the stripe with the number `outer`."""
    lanes = row.lanes
    while lanes > 1 and width % lanes:
        lanes //= 2
    body = [moved(s, row.var, outer, width) for s in row.body]
    return replace(row, extent=width, lanes=lanes, body=body)


def moved(statement: Any, var: str, outer: str, width: int) -> Any:
    """`statement` in the stripe with the number `outer`."""
    place = getattr(statement, "place", None)
    if not isinstance(place, Place) or not place.stride(var):
        return statement
    strides = (*place.strides, (outer, place.stride(var) * width))
    return replace(statement, place=replace(place, strides=strides))
