"""The sizes of a loop nest: lanes, vectors in turn, rows in lockstep; rules one can read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

CHUNK = 8192
"""Elements whose sum is accumulated in lanes; beyond, chunks are combined in float64."""
STACK = 1 << 16
"""Bytes of scratch rows that a kernel keeps on the stack."""
WIDEST = 64
"""Lanes of the widest vectors written."""
ROWS = 8
"""Rows that are added among each other before they are added to column sums in memory."""


class Tile(NamedTuple):
    """How a loop over columns goes: lanes of a vector, and vectors in turn."""

    lanes: int
    unroll: int


def tile(extent: int, itemsizes: Iterable[int], vector_bytes: int, *, folds: int) -> Tile:
    """The tile of a loop over `extent` columns whose elements have `itemsizes` bytes.

    Four registers per value make the best use of a register file of 32 in chains of mathematics:
    while one polynomial waits for its product, three others go on. folds: accumulators.
    """
    native = max(vector_bytes // max(itemsizes, default=4), 1)
    lanes = min(4 * native if not folds else 2 * native, WIDEST)
    while lanes // 2 >= extent:
        lanes //= 2
    unroll = 1
    while folds and unroll * lanes < 8 * native // folds and 2 * unroll * lanes <= extent:
        unroll *= 2
    return Tile(lanes, unroll)
