"""Linear algebra: products, diagonals and norms, of the last two axes or of an axis named.

The names are those of the array API standard's extension `linalg`.
"""

from __future__ import annotations

import math
from typing import Any

from .core.convert import as_tensor
from .core.registry import api
from .core.spec import canonical_axis
from .core.tensor import Tensor
from .errors import SpecError
from .ops.axes import matrix_transpose
from .ops.exponential import sqrt
from .ops.linalg import matmul, outer, tensordot, vecdot

__all__ = [
    "cross",
    "diagonal",
    "matmul",
    "matrix_norm",
    "matrix_transpose",
    "outer",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

Axis = int | tuple[int, ...]


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross product of the vectors along `axis`, which has 3 elements; other axes broadcast."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    for x in (x1, x2):
        if x.shape is not None and x.shape[canonical_axis("cross", axis, x.ndim)] not in (3, None):
            raise SpecError(
                f"cross: {x1.spec} and {x2.spec}: axis {axis} must have 3 elements in both; "
                "name the axis that has, or pad with a 0"
            )

    def turned(x: Tensor, by: int) -> Any:
        return api.roll(x, -by, axis=axis)

    return turned(x1, 1) * turned(x2, 2) - turned(x1, 2) * turned(x2, 1)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonal of each matrix in the last two axes.

    x: (..., m, n), with known dims. offset: places above the main diagonal, negative for below.
    Returns (..., k), where k elements lie on it.
    """
    x = as_tensor(x)
    if x.ndim is None or x.ndim < 2 or not x.spec.known:
        raise SpecError(
            f"diagonal of {x.spec}: a diagonal needs two axes, and shapes that are known; "
            "give the argument a TensorSpec with numbers"
        )
    *batch, m, n = x.shape
    k = max(0, min(m + min(offset, 0), n - max(offset, 0)))
    start = offset if offset >= 0 else -offset * n
    # in a matrix laid out flat, the next element of a diagonal is n + 1 places on
    flat = api.reshape(x, (*batch, m * n))
    return flat[..., start : start + (k - 1) * (n + 1) + 1 : n + 1] if k else flat[..., :0]


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum of the diagonal of each matrix in the last two axes; see `diagonal`.

    dtype: of the sum; None keeps floating dtypes and widens integers to 64 bits.
    """
    return api.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def vector_norm(
    x: Any, /, *, axis: Axis | None = None, keepdims: bool = False, ord: float = 2
) -> Any:
    """Length of the vectors along `axis` (None: of all elements).

    ord: 2 for the Euclidean length, inf for the largest element, -inf for the smallest, 0 for
    how many are not 0, another number p for the p-th root of the sum of |x|^p.
    The derivative of the Euclidean length at 0 is 0. x: floating or complex.
    """
    x = as_tensor(x)
    options = {"axis": axis, "keepdims": keepdims}
    if ord == 2:
        square = api.sum(api.square(api.abs(x) if x.dtype.kind == "c" else x), **options)
        # sqrt has no derivative at 0; what `where` cuts off there does not come back
        return api.where(api.equal(square, 0), 0, sqrt(square))
    size = api.abs(x)
    if math.isinf(ord):
        return (api.max if ord > 0 else api.min)(size, **options)
    if ord == 0:
        return api.sum(api.astype(api.not_equal(x, 0), size.dtype), **options)
    if ord == 1:
        return api.sum(size, **options)
    return api.pow(api.sum(api.pow(size, ord), **options), 1 / ord)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: float | str = "fro") -> Any:
    """Norm of each matrix in the last two axes.

    ord: "fro" for the root of the sum of squares, 1 for the largest sum of a column, inf for
    that of a row; -1 and -inf for the smallest.
    """
    x = as_tensor(x)
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord not in (1, -1, math.inf, -math.inf):
        raise SpecError(
            f'matrix_norm: ord={ord!r} came; known are "fro", 1, -1, inf and -inf; '
            "write one of these"
        )
    sums = api.sum(api.abs(x), axis=-2 if ord in (1, -1) else -1, keepdims=True)
    y = (api.max if float(ord) > 0 else api.min)(sums, axis=(-2, -1), keepdims=True)
    return y if keepdims else api.squeeze(y, (-2, -1))
