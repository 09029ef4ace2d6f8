"""Which outputs of a loop nest may be written over which inputs: those read where they are stored.

An element that is stored must not be read afterwards. That holds where an input is read at the
very places that the output is stored to, before it, and each place is come to once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .loops import Buffer, Load, Loop, LoopNest, Place, Statement, Store, Update


class Access(NamedTuple):
    """A statement that reads or writes memory: its number in the text, and the loops around it."""

    number: int
    place: Place
    writes: bool
    loops: tuple[Loop, ...]


def overwrites(nest: LoopNest) -> frozenset[tuple[int, int]]:
    """The pairs (output, input), by number, of which the output may be in the input's memory."""
    found: dict[Buffer, list[Access]] = {}
    for access in accesses(nest.body):
        found.setdefault(access.place.buffer, []).append(access)
    return frozenset(
        (j, k)
        for j, y in enumerate(nest.outputs)
        for k, x in enumerate(nest.inputs)
        if size(x) == size(y)
        and x.dtype.itemsize == y.dtype.itemsize
        and meets(found.get(x, []), found.get(y, []))
    )


def meets(reads: Sequence[Access], ours: Sequence[Access]) -> bool:
    """Whether all `reads` of an input are where an output is written, and before: `ours`."""
    writes = [access for access in ours if access.writes]
    if not reads or not writes:
        return False
    spots = {(a.place.offset, a.place.strides) for a in (*reads, *writes)}
    if any(access.place.at for access in (*reads, *writes)):
        return False  # where that is shows when it runs
    once = all(
        loop.extent == 1 or access.place.stride(loop.var)
        for access in writes
        for loop in access.loops
    )
    last_read, first_write = max(a.number for a in reads), min(a.number for a in writes)
    return len(spots) == 1 and once and last_read < first_write


def accesses(body: Sequence[Statement]) -> Iterator[Access]:
    """All reads and writes of a nest in the order of its text."""
    number = 0

    def inside(body: Sequence[Statement], loops: tuple[Loop, ...]) -> Iterator[Access]:
        nonlocal number
        for statement in body:
            number += 1
            match statement:
                case Loop():
                    yield from inside(statement.body, (*loops, statement))
                case Load():
                    yield Access(number, statement.place, writes=False, loops=loops)
                case Store() | Update():
                    yield Access(number, statement.place, writes=True, loops=loops)

    return inside(body, ())


def size(buffer: Buffer) -> int:
    """How many elements a buffer has."""
    return math.prod(buffer.shape)
