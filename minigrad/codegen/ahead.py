"""Memory that is asked for before it is needed: the next row, while there is work on this one.

A row that is gone through several times comes from memory the first time, with nothing else to do
in between, and then from the cache. Where it is worked on, memory is idle: there the next row is
asked for, line by line, and the lines that this row will be stored to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .loops import Fetch, Load, Loop, LoopNest, Place, Statement, Store
from .shares import work_of

LARGE = 1 << 20
"""Bytes of an array from which on its rows may have left the nearest caches."""
LONG = 1 << 8
"""Bytes of a row from which on it is worth it."""
NEAR = 1 << 17
"""Bytes of a row up to which the next one has room beside it, in the second cache at least."""


def fetch_ahead(nest: LoopNest) -> None:
    """Have the loops of `nest` over rows fetch what the next row loads, and this one stores."""
    for rows in around_vectors(nest.body):
        passes = [s for s in rows.body if isinstance(s, Loop) and s.vector]
        if len(passes) < 2 or rows.block > 1 or rows.carries or rows.each:
            continue
        first, *later = passes
        middle = max(later, key=work_of)
        alike = first.var == middle.var  # as they are not where a row is made of several parts
        read = [s.place for s in first.body if isinstance(s, Load) and not s.inside and alike]
        fetched = [Fetch(next_row(x, rows.var)) for x in read if is_row(x, rows, first)]
        for loop in later[later.index(middle) + 1 :]:
            stored = [s.place for s in loop.body if isinstance(s, Store) and not s.past]
            same = loop.extent == middle.extent and loop.var == middle.var
            fetched += [Fetch(x, written=True) for x in stored if same and is_row(x, rows, loop)]
        middle.body[:0] = fetched


def around_vectors(body: list[Statement]) -> Iterator[Loop]:
    """The loops around vector loops."""
    for statement in body:
        if isinstance(statement, Loop) and not statement.vector:
            if any(isinstance(s, Loop) and s.vector for s in statement.body):
                yield statement
            yield from around_vectors(statement.body)


def is_row(place: Place, rows: Loop, loop: Loop) -> bool:
    """Whether `loop` goes along a row of a large array at `place`, whose next row is another."""
    buffer, size = place.buffer, place.buffer.dtype.itemsize
    return (
        buffer.role in ("input", "output")
        and not place.at
        and place.stride(loop.var) == 1
        and place.stride(rows.var) != 0
        and LONG <= loop.extent * size <= NEAR
        and math.prod(buffer.shape) * size >= LARGE
    )


def next_row(place: Place, var: str) -> Place:
    """`place` in the next round of the loop over `var`."""
    return Place(place.buffer, place.offset + place.stride(var), place.strides, place.at)
