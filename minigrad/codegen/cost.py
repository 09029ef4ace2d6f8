"""The sizes of a loop nest: lanes, vectors in turn, rows in lockstep; rules one can read."""

from __future__ import annotations

from typing import NamedTuple

CHUNK = 8192
"""Elements whose sum is accumulated in lanes; beyond, chunks are combined in float64."""
STACK = 1 << 16
"""Bytes of scratch rows that a kernel keeps on the stack."""
STANDING = 1 << 18
"""The same of scratch for rows that stand side by side."""
LIGHT = 16
"""Instructions of a loop body that leave a processor waiting for its accumulators."""
HEAVY = 400
"""Instructions of a loop body from which on long functions are called in it."""
POINTS = 64
"""Elements of a row up to which rows go abreast, one in each lane."""
WIDEST = 64
"""Lanes of the widest vectors written."""
ROWS = 8
"""Rows that are added among each other before they are added to column sums in memory."""


def lockstep(work: int) -> int:
    """How many rows are made in lockstep, for column sums of what takes `work` instructions.

    Long bodies wait for no memory; several of them would want more registers than there are.
    """
    return ROWS if work <= LIGHT else 2 if work <= 2 * LIGHT else 1


class Tile(NamedTuple):
    """How a loop over columns goes: lanes of a vector, and vectors in turn."""

    lanes: int
    unroll: int


def tile(extent: int, widest: int, vector_bytes: int, *, folds: bool, work: int) -> Tile:
    """The tile of a loop over `extent` columns whose elements have up to `widest` bytes.

    Four registers per value: while one polynomial waits for its product, three others go on.
    folds: whether the loop reduces; then light loops, of little `work` in instructions, take two
    vectors in turn, with twice as many accumulators, as an addition takes four cycles.
    """
    fewest = max(vector_bytes // widest, 1)
    lanes = lanes_for(extent, fewest)
    return Tile(lanes, 2 if folds and work <= LIGHT and 2 * lanes <= extent else 1)


def lanes_for(extent: int, fewest: int) -> int:
    """The lanes of a loop over `extent` where a register has `fewest`: those of four registers.

    Of fewer, where that leaves so much less of the last round empty.
    """
    lanes = min(4 * fewest, WIDEST)
    while lanes // 2 >= extent:
        lanes //= 2
    while lanes > fewest and (
        registers(extent, lanes // 2, fewest) * 10 <= registers(extent, lanes, fewest) * 9
    ):
        lanes //= 2
    return lanes


def registers(extent: int, lanes: int, fewest: int) -> int:
    """How many registers of a value a loop over `extent` goes through."""
    rounds, rest = divmod(extent, lanes)
    last = 1 << (rest - 1).bit_length() if rest else 0
    return rounds * max(lanes // fewest, 1) + -(-last // fewest)
