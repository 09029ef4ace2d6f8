"""An arena: one block of memory for values that live at different times, planned by liveness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LINE = 64
"""Bytes; each value begins at a multiple of it."""


class Interval(NamedTuple):
    """A value of so many bytes, from the step that makes it to the last that reads it."""

    size: int
    begin: int
    end: int


def offsets(intervals: Sequence[Interval]) -> tuple[list[int], int]:
    """Where each value lies in an arena, in bytes, and the size of the arena.

    Values that live at the same time do not overlap. The largest are placed first, each into the
    smallest gap that holds it (Pisarchyk and Lee 2020, "greedy by size").
    """
    placed: list[int] = []
    starts = [0] * len(intervals)
    sizes = [-(-x.size // LINE) * LINE for x in intervals]
    for k in sorted(range(len(intervals)), key=lambda k: (-sizes[k], intervals[k].begin)):
        one = intervals[k]
        others = sorted(
            (starts[j], sizes[j])
            for j in placed
            if intervals[j].begin <= one.end and one.begin <= intervals[j].end
        )
        starts[k] = best_gap(others, sizes[k])
        placed.append(k)
    return starts, max([starts[k] + sizes[k] for k in placed], default=0)


def best_gap(others: Sequence[tuple[int, int]], size: int) -> int:
    """Where the smallest gap of at least `size` between `others` begins, or where they end."""
    end = 0
    best: tuple[int, int] | None = None
    for start, length in others:
        gap = start - end
        if gap >= size and (best is None or gap < best[0]):
            best = gap, end
        end = max(end, start + length)
    return best[1] if best is not None else end
