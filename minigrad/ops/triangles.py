"""Systems whose matrix is a triangle: by substitution, in blocks, and in native code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Composed
from ..core.op import MADE_LATE, Op
from ..core.registry import OPS, api
from .borrowed import LARGEST, borrow, borrowed
from .linalg import matrix_product

LOOKED_AT, SUBSTITUTED = 96, 32
"""Rows from which on matrices are looked at for being triangles, and up to which LAPACK solves a
block of one. With 300 rows and 300 right sides, float32, a factor of Cholesky's takes 2.2 ms, and
5.8 as if it were any matrix."""


def solved(x1: Any, x2: Any) -> Any:
    """As `np.linalg.solve`; for triangles by substitution, in blocks."""
    if x1.shape[-1] >= LOOKED_AT and x1.shape[-1] == x1.shape[-2] == x2.shape[-2]:
        for lower in (True, False):
            if is_triangle(x1, lower=lower):
                ways = Ways(SUBSTITUTED, np.linalg.solve, np.matmul, np.concatenate)
                return substituted(x1, x2, ways, lower=lower)
    return np.linalg.solve(x1, x2)


def is_triangle(x: Any, *, lower: bool) -> bool:
    """Whether all on the other side of the diagonal is zero."""
    if np.any(x[..., 0, -1] if lower else x[..., -1, 0]):
        return False  # as most are; the corner alone tells
    return not np.any(np.triu(x, 1) if lower else np.tril(x, -1))


class Ways(NamedTuple):
    """How a triangle of no more than `most` rows is solved, and what puts larger ones together."""

    most: int
    solve: Callable[..., Any]
    multiply: Callable[..., Any]
    join: Callable[..., Any]


def substituted(x1: Any, x2: Any, ways: Ways, *, lower: bool) -> Any:
    """The y with x1 @ y = x2, of triangles: one half of the rows, and then the other."""
    n = x1.shape[-1]
    if n <= ways.most:
        return ways.solve(x1, x2)
    halves = slice(0, n // 2), slice(n // 2, n)
    first, last = halves if lower else halves[::-1]
    y1 = substituted(x1[..., first, first], x2[..., first, :], ways, lower=lower)
    rest = x2[..., last, :] - ways.multiply(x1[..., last, first], y1)
    y2 = substituted(x1[..., last, last], rest, ways, lower=lower)
    return ways.join((y1, y2) if lower else (y2, y1), axis=-2)


# triangles that are known to be some before there are numbers


def triangle_solved(x1: Any, x2: Any, *, lower: bool) -> Any:
    """What `solve_matrix` gives for triangles."""
    return OPS["solve_matrix"].kernel(x1, x2)


def substituted_by_loop(x1: Any, x2: Any, *, lower: bool) -> Any:
    """The same in native code; None where there would be nodes for too many parts."""
    if x1.shape[-1] > HALVED:
        return None
    solve = borrowed("lower_triangle" if lower else "upper_triangle")
    ways = Ways(LARGEST, solve, matrix_product, api.concat)
    return substituted(x1, x2, ways, lower=lower)


HALVED = 1024
"""Rows up to which a program has nodes for all parts of a triangle."""

solve_triangle = Op(
    triangle_solved,
    infer=lambda x1, x2, *, lower: OPS["solve_matrix"].infer(x1, x2),
    name="solve_triangle",
    lower=Composed(substituted_by_loop),
)
solve_triangle.opaque = MADE_LATE
borrow("lower_triangle", solve_triangle, lower=True)
borrow("upper_triangle", solve_triangle, lower=False)
