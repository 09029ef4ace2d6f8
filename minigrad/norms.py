"""Norms of vectors and of matrices, as `mg.linalg` has them."""

from __future__ import annotations

import math
from typing import Any

from .core.convert import as_tensor
from .core.registry import api
from .core.spec import as_number, canonical_axis
from .core.tensor import Tensor
from .errors import SpecError
from .ops.factors import singular_values
from .ops.matrices import check_matrix

Axis = int | tuple[int, ...]


def vector_norm(
    x: Any, /, *, axis: Axis | None = None, keepdims: bool = False, ord: float = 2
) -> Any:
    """Length of the vectors along `axis` (None: of all elements).

    x: floating or complex. ord: 2 for the Euclidean length, inf for the largest size of an
    element, -inf for the smallest, 0 for how many are not 0, another number p for the p-th root
    of the sum of |x|^p. Returns real numbers. The derivative of lengths at 0 is 0.
    Array API, linalg: vector_norm.
    """
    x = floating("vector_norm", x)
    if isinstance(ord, str):
        raise SpecError(
            f"vector_norm: ord={ord!r} came; the order of the norm of a vector is a number; "
            "write 2, 1 or mg.inf, or use mg.linalg.matrix_norm"
        )
    ord = as_number("vector_norm", "ord", ord)
    options = {"axis": axis, "keepdims": keepdims}
    if ord == 2:
        return root(api.sum(squares(x), **options), 2)
    size = api.abs(x)
    if math.isinf(ord):
        return (largest if ord > 0 else api.min)(size, **options)
    if ord == 0:
        return api.sum(api.astype(api.not_equal(x, 0), size.dtype), **options)
    if ord == 1:
        return api.sum(size, **options)
    return root(api.sum(api.pow(size, float(ord)), **options), float(ord))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: float | str | None = "fro") -> Any:
    """Norm of each matrix in the last two axes.

    x: (..., m, n), floating or complex. ord: "fro" or None for the root of the sum of squares,
    "nuc" for the sum of the singular values, 2 for the largest of them, 1 for the largest sum of
    sizes in a column, inf for that in a row; -2, -1 and -inf for the smallest. Returns real
    numbers. Array API, linalg: matrix_norm.
    """
    x = floating("matrix_norm", x)
    if ord is not None and not isinstance(ord, str):
        ord = as_number("matrix_norm", "ord", ord)
    if ord in ("fro", None):
        check_matrix("matrix_norm", x)
        return root(api.sum(squares(x), axis=(-2, -1), keepdims=keepdims), 2)
    if ord == "nuc":
        y = api.sum(singular_values(x), axis=-1, keepdims=True)
        return api.expand_dims(y, axis=-1) if keepdims else api.squeeze(y, axis=-1)
    if ord not in (1, -1, 2, -2, math.inf, -math.inf):
        raise SpecError(
            f'matrix_norm: ord={ord!r} came; known are "fro", "nuc", 1, -1, 2, -2, inf and -inf; '
            "write one of these"
        )
    check_matrix("matrix_norm", x)
    extreme = largest if float(ord) > 0 else api.min
    if ord in (2, -2):
        y = extreme(singular_values(x), axis=-1, keepdims=keepdims)
        return api.expand_dims(y, axis=-1) if keepdims else y
    y = extreme(api.sum(api.abs(x), axis=-2 if ord in (1, -1) else -1), axis=-1, keepdims=keepdims)
    return api.expand_dims(y, axis=-1) if keepdims else y


def norm(x: Any, ord: Any = None, axis: Axis | None = None, keepdims: bool = False) -> Any:
    """Norm of vectors or of matrices, as NumPy's function of this name.

    ord: None for the root of the sum of squares; else that of `vector_norm` or `matrix_norm`.
    axis: an int for vectors, two ints for matrices; None for all of `x`, whose rank then says
    which it is, and which may be anything for ord=None.
    """
    x = floating("norm", x)
    if axis is None and ord is None:
        return vector_norm(x, keepdims=keepdims)
    if axis is None:
        if x.ndim not in (1, 2):
            raise SpecError(
                f"norm: {x.spec} came with ord={ord!r} and no axis; such a norm is of a vector or "
                "of a matrix; name one axis or two"
            )
        axis = tuple(range(x.ndim))
    several = axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(several) == 1:
        return vector_norm(x, axis=several[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(several) != 2:
        raise SpecError(
            f"norm: axis={axis!r} came; norms are of vectors or matrices; name one axis or two, or "
            "use mg.linalg.vector_norm"
        )
    places = [canonical_axis("norm", a, x.ndim) for a in several]
    y = matrix_norm(api.moveaxis(x, places, [-2, -1]), keepdims=keepdims, ord=ord)
    return api.moveaxis(y, [-2, -1], places) if keepdims else y


def floating(name: str, x: Any) -> Tensor:
    """`x` as a tensor of a floating dtype. Raises SpecError for another."""
    tensor = as_tensor(x)
    if tensor.dtype.kind not in "fc":
        raise SpecError(
            f"{name}: {tensor.spec} came; lengths are of floating or complex numbers; "
            "cast with mg.astype(x, mg.float32) first"
        )
    return tensor


def squares(x: Tensor) -> Any:
    """|x|^2, elementwise; smooth where `x` is 0."""
    if x.dtype.kind != "c":
        return api.square(x)
    return api.square(api.real(x)) + api.square(api.imag(x))


def largest(x: Tensor, **options: Any) -> Any:
    """The largest of the sizes `x`; of none, 0."""
    return (api.sum if x.shape is not None and 0 in x.shape else api.max)(x, **options)


def root(y: Tensor, order: float) -> Any:
    """The root of the sum `y`; where that is 0, the derivative is 0."""
    zero = api.equal(y, 0)
    # what `where` cuts off must not be inf: times 0, it would come back as nan
    inside = api.where(zero, 1, y)
    return api.where(zero, 0, api.sqrt(inside) if order == 2 else api.pow(inside, 1 / order))
