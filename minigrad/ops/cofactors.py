"""Determinants and cofactors of matrices of up to three rows, written out: loops compute them."""

from __future__ import annotations

from typing import Any

from ..core.registry import api
from .borrowed import precise

ROWS = 3
"""Rows of matrices whose determinant takes fewer instructions than a call takes."""

Entries = list[list[Any]]


def entries(x: Any) -> Entries | None:
    """The entries of the matrices `x`, in double precision, by row and column; None of large ones.

    NumPy decomposes matrices of any dtype in double precision.
    """
    n = x.shape[-1]
    if n > ROWS:
        return None
    x = api.astype(x, precise(x.dtype))
    return [[x[..., i, j] for j in range(n)] for i in range(n)]


def minors(a: Entries) -> Entries:
    """The determinants of what is left without a row and a column, with their signs."""
    n = len(a)
    if n == 1:
        return [[api.ones_like(a[0][0])]]
    if n == 2:
        return [[a[1][1], -a[1][0]], [-a[0][1], a[0][0]]]
    # of the next rows and columns, in turn: these have the signs of the permutations
    return [
        [a[i - 2][j - 2] * a[i - 1][j - 1] - a[i - 2][j - 1] * a[i - 1][j - 2] for j in range(n)]
        for i in range(n)
    ]


def written_determinant(x: Any) -> Any:
    """The determinant by elimination, as LAPACK does it; None of large matrices.

    The larger of two entries is the pivot, so that what is the multiple of another row becomes
    exactly zero, and nothing grows beyond what the determinant is made of.
    """
    a = entries(x)
    if a is None:
        return None
    n, sign = len(a), api.ones_like(a[0][0])
    for k in range(n):
        for i in range(k + 1, n):
            larger = api.greater(size(a[i][k]), size(a[k][k]))
            pairs = list(zip(a[k], a[i], strict=True))
            a[k] = [api.where(larger, below, above) for above, below in pairs]
            a[i] = [api.where(larger, above, below) for above, below in pairs]
            sign = api.where(larger, -sign, sign)
        for i in range(k + 1, n):
            part = a[i][k] / a[k][k]
            a[i] = [
                y if j <= k else y - part * z
                for j, (y, z) in enumerate(zip(a[i], a[k], strict=True))
            ]
    found, singular = sign, api.equal(a[0][0], 0)
    for k in range(n):
        found = found * a[k][k]
        singular = api.logical_or(singular, api.equal(a[k][k], 0))
    return api.astype(api.where(singular, 0, found), x.dtype)


def size(x: Any) -> Any:
    """What pivots are compared by: |re x| + |im x|, as in LAPACK."""
    return api.abs(x) if x.dtype.kind == "f" else api.abs(api.real(x)) + api.abs(api.imag(x))


def written_cofactors(x: Any) -> Any:
    """The matrix of cofactors; None of large matrices."""
    a = entries(x)
    if a is None:
        return None
    rows = [api.stack(row, axis=-1) for row in minors(a)]
    return api.astype(api.stack(rows, axis=-2), x.dtype)
