"""Stores past the caches: results so large that nobody will find them there.

A store into a cache reads the line first, to write a part of it. One past the caches does not, a
third of the traffic of a sum of two arrays, but wants lines that begin where the vectors do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from .loops import Load, Loop, LoopNest, Place, Statement, Store, Update, statements
from .shares import work_of

PAST = 1 << 24
"""Bytes of an output from which on it is stored past the caches."""
BUSY = 48
"""Instructions for an element, of all passes over its row, from which on it is not: there is time
to read lines while others are computed, and more stores than the buffers past the caches hold come
at once. A layer norm of 64 MB takes 3.2 ms past the caches for 4.8, a softmax 5.2 for 4.8."""
LINE = 64
"""Bytes of a line."""


def past_the_caches(nest: LoopNest) -> None:
    """Settle which stores of `nest` go past the caches."""
    inside = list(statements(nest.body))
    read = {s.place.buffer for s in inside if isinstance(s, Load | Update)}

    def settled(statement: Statement, loop: Loop) -> Statement:
        if not isinstance(statement, Store) or statement.place.buffer in read:
            return statement
        return replace(statement, past=is_whole(statement.place, loop))

    for loop, row in outermost(nest.body):
        busy = sum(map(work_of, row)) >= BUSY * loop.extent
        if not loop.folds and not loop.scans and not busy:
            loop.body = [settled(statement, loop) for statement in loop.body]


def outermost(body: list[Statement], *, inside: bool = False) -> Iterator[tuple[Loop, list[Loop]]]:
    """The vector loops that are in no other, and all of those that go over the same row."""
    row = [s for s in body if isinstance(s, Loop) and s.vector and inside]
    for statement in body:
        if isinstance(statement, Loop) and statement.vector:
            yield statement, row if len(row) > 1 else []
        elif isinstance(statement, Loop):
            yield from outermost(statement.body, inside=True)


def is_whole(place: Place, loop: Loop) -> bool:
    """Whether rounds of `loop` fill whole lines of a large output."""
    size = place.buffer.dtype.itemsize
    large = math.prod(place.buffer.shape) * size >= PAST
    steps = [stride for var, stride in place.strides if var != loop.var]
    whole = all(step * size % LINE == 0 for step in (place.offset, loop.lanes, *steps))
    return (
        large
        and whole
        and place.buffer.role == "output"
        and place.stride(loop.var) == 1
        and not place.at
    )
