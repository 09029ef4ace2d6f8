"""Which loops of a nest threads share, and in what portions: rules one can read.

A share is some tens of microseconds of work, so that handing it out does not count. How many there
are depends on the sizes only: sums come out the same for any number of threads.
"""

from __future__ import annotations

import math

from ..core.op import Op
from .bodies import instructions
from .loops import (
    Apply,
    Buffer,
    Fold,
    Load,
    Loop,
    LoopNest,
    Scan,
    Statement,
    Store,
    Update,
    statements,
)

SHARED = 1 << 21
"""Instructions, on 64 bytes of float32 each, times 16: from here on threads share; some 40 us."""
SHARE = 1 << 20
"""The same of one share, if there are not too many."""
MOST = 64
"""Shares of a loop."""
OWN_BYTES = 1 << 17
"""Bytes on the stack for what the shares of a loop sum up in memory."""
SCAN = 12
"""What a running sum counts, in instructions."""
MEMORY = 4
"""What a load or a store counts, in instructions."""


def share(nest: LoopNest) -> None:
    """Settle which loops of `nest` are shared: the long ones, each by itself."""
    for loop in [statement for statement in nest.body if isinstance(statement, Loop)]:
        if is_apart(loop, nest):
            loop.share = portion(loop, nest.vector_bytes)


def portion(loop: Loop, vector_bytes: int) -> int:
    """How many rounds of `loop` a thread does in a row; 0 where it is not to be shared."""
    step, total = rounds_in_a_row(loop), work_of(loop) * 64 // vector_bytes
    if total < SHARED or step == 0:
        return 0
    size = sum(math.prod(b.shape) * b.dtype.itemsize for b in column_sums(loop))
    count = max(1, min(total // SHARE, MOST, OWN_BYTES // size if size else MOST))
    rounds = -(-loop.extent // (count * step)) * step
    return rounds if rounds < loop.extent // step * step else 0


def is_apart(loop: Loop, nest: LoopNest) -> bool:
    """Whether what a loop keeps for itself is for itself: a share's scratch goes with the share."""
    own = {b for b in buffers([loop]) if b.role in ("scratch", "sums")} - set(column_sums(loop))
    return own.isdisjoint(buffers([s for s in nest.body if s is not loop]))


def buffers(body: list[Statement]) -> set[Buffer]:
    """The buffers that statements read or write."""
    places = [s.place for s in statements(body) if isinstance(s, Load | Store | Update)]
    return {place.buffer for place in places}


def rounds_in_a_row(loop: Loop) -> int:
    """The rounds of a loop that cannot be parted; 0 if it cannot be shared."""
    if loop.carries or loop.scans or any(map(loop.meets_itself, stores_in(loop))):
        return 0
    if not loop.vector:
        return loop.block
    if not loop.folds:
        return loop.lanes * loop.unroll
    return loop.chunk if loop.chunk < loop.extent else 0


def stores_in(loop: Loop) -> list[Store]:
    """What a loop stores, in loops inside of it too."""
    return [s for s in statements(loop.body) if isinstance(s, Store)]


def column_sums(loop: Loop) -> dict[Buffer, Op]:
    """What the rounds of a loop add up in memory: buffers that are not cleared in each.

    Not what arrives in places that values name, where each round has columns of its own.
    """
    inside = list(statements(loop.body))
    cleared = {s.place.buffer for s in inside if isinstance(s, Store)}
    updates = [
        s for s in inside if isinstance(s, Update) and not (s.place.at and s.place.stride(loop.var))
    ]
    return {s.place.buffer: s.op for s in updates if s.place.buffer not in cleared}


def work_of(statement: Statement) -> int:
    """How many instructions a statement takes, as if all lanes were of four bytes."""
    match statement:
        case Loop():
            return statement.extent * sum(map(work_of, statement.body))
        case Apply() if statement.op is not None:
            weight = instructions(statement.op, statement.dtypes, statement.dtype) or 0
            sizes = [dtype.itemsize for dtype in (*statement.dtypes, statement.dtype)]
            return weight * max(1, max(sizes) // 4)
        case Load() | Store():
            return MEMORY * max(1, statement.place.buffer.dtype.itemsize // 4)
        case Update():
            return 2 * MEMORY
        case Fold():
            return 1
        case Scan():
            return SCAN * max(1, statement.dtype.itemsize // 4)
    return 1
