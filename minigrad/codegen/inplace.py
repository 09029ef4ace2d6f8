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
    late = [access for access in ours if access.place.at]
    writes = [access for access in ours if access.writes and not access.place.at]
    if not reads or not writes or any(access.place.at for access in reads):
        return False
    last_read = max(a.number for a in reads)
    around = [loop for access in reads for loop in access.loops]
    if any(a.number < last_read or any(loop in around for loop in a.loops) for a in late):
        return False  # where that is shows when it runs
    spots = {(a.place.offset, a.place.strides) for a in (*reads, *writes)}
    once = all(
        loop.extent == 1 or access.place.stride(loop.var)
        for access in writes
        for loop in access.loops
    )
    return len(spots) == 1 and once and last_read < min(a.number for a in writes)


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
