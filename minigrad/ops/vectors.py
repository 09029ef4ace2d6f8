"""Vectors that a matrix determines but for a phase: which of them are meant, and when none are.

Of eigenvectors and singular vectors those are given whose first component of at least 0.3 of the
size of the largest is real and positive. So complex ones have derivatives, which those of LAPACK,
turned by any phase, have not. Where two values are equal, their vectors can be turned among each
other: then no derivative exists, and `DegenerateError` says so. Equal means up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import as_it_is
from ..core.define import primitive
from ..core.registry import api
from ..core.spec import Spec, promote, real_dtype
from ..core.tensor import Tensor
from ..errors import DegenerateError
from .matrices import check_dtype, check_matrix

TOGETHER = 4.0  # distance, in units of rounding of the sum of all, up to which values are equal


# which vectors, of all that point the same way


def upright(v: Any) -> Any:
    """The phases by which the columns of the array `v` are to be multiplied."""
    if 0 in v.shape:
        return np.ones((*v.shape[:-2], 1, v.shape[-1]), v.dtype)
    pivot = np.take_along_axis(v, pivots_of(v), -2)
    size = np.abs(pivot)
    return np.where(size > 0, pivot.conj() / np.where(size > 0, size, 1), 1).astype(v.dtype)


def pivots_of(v: Any) -> Any:
    """The row, in each column, of the component that decides; as an array of one row."""
    size = np.abs(v)
    return np.argmax(size >= 0.3 * size.max(-2, keepdims=True), axis=-2)[..., None, :]


def mask_spec(v: Any) -> Spec:
    """The shape of `v`, real."""
    check_matrix("derivative of vectors", v)
    return Spec(v.shape, real_dtype(v.dtype))


@primitive(infer=mask_spec)
def pivot_mask(v: Any, /) -> Any:
    """1 at the component of each column that decides on its phase, else 0."""
    check_dtype(v)
    y = np.zeros(v.shape, real_dtype(v.dtype))
    if v.size:
        np.put_along_axis(y, pivots_of(v), 1, -2)
    elif v.ndim < 2:
        raise ValueError("columns have two axes")
    return y


pivot_mask.no_gradient("which component is the first large one is piecewise constant")
pivot_mask.defbatch(as_it_is)


def unturned(g: Tensor, v: Tensor, *turned: tuple[Tensor, Tensor]) -> Any:
    """The cotangent `g` of columns `v`, as one of columns that any phase may multiply.

    turned: cotangents and columns that turn along with those of `v`.
    """
    if v.dtype.kind != "c":
        return g
    cost = api.imag(sum([inner_products(bar, w) for bar, w in ((g, v), *turned)]))
    mask = pivot_mask(v)
    size = api.sum(mask * api.real(v), axis=-2, keepdims=True)
    return g + 1j * (mask * (cost / size))


def inner_products(v: Any, w: Any) -> Any:
    """<v, w> of each column, as a row."""
    return api.sum(api.conj(v) * w, axis=-2, keepdims=True)


# quotients that exist only where values differ

REASON = (
    "the derivative of eigenvectors or singular vectors was asked for, and two of their values are "
    "equal, or one is 0, up to rounding: such vectors can be turned among each other, and have no "
    "derivative; use the values alone (eigvalsh, svdvals), or move the matrix off that point"
)


def quotient_spec(x: Any, values: Any, bars: Any) -> Spec:
    """The shape of `x`."""
    for part in (x, values):
        check_matrix("derivative of vectors", Spec(None, part.dtype))
    return Spec(x.shape, promote(x, values))


def divided(x: Any, by: Any, zero: Any, used: Any) -> Any:
    """`x` / `by`; 0 where `by` is `zero`, which must not be `used`."""
    if np.any(zero & used):
        raise DegenerateError(REASON)
    return np.where(zero, 0, x / np.where(zero, 1, by))


def used_columns(bars: Any) -> Any:
    """Which vectors have a cotangent among the columns of `bars`, as a row."""
    return (bars != 0).any(-2, keepdims=True)


def rounding(values: Any) -> Any:
    """What values may differ by and still be equal; one number for each matrix."""
    return TOGETHER * np.finfo(values.dtype).eps * np.abs(values).sum(-1)[..., None, None]


@primitive(infer=quotient_spec)
def over_gaps(x: Any, values: Any, bars: Any, /) -> Any:
    """`x` over values[k] - values[i] in row i and column k; 0 on the diagonal.

    x: square matrices of as many rows as there are values. bars: cotangents of the vectors, as
    columns. Raises DegenerateError where two values are equal whose vectors have cotangents: even
    if `x` is 0 there, for 0 / 0 may be any number. Of other vectors the quotient is 0.
    """
    check_dtype(x, values)
    gaps = values[..., None, :] - values[..., :, None]
    used = used_columns(bars)
    diagonal = np.eye(values.shape[-1], dtype=bool)
    equal = np.abs(gaps) <= rounding(values)
    return divided(x, gaps, equal | diagonal, (used | used.swapaxes(-1, -2)) & ~diagonal)


def over_gaps_vjp(g: Tensor, y: Tensor, x: Tensor, values: Tensor, bars: Tensor) -> Any:
    """A value is subtracted in its row, and added in its column."""
    z = over_gaps(g, values, g) * y
    return api.sum(z, axis=-1) - api.sum(z, axis=-2)


# of equal values the cotangents must be 0 again: that vectors were not used may change in a step
over_gaps.defvjp(lambda g, y, x, values, bars: over_gaps(g, values, g), over_gaps_vjp, None)
over_gaps.defbatch(as_it_is)


@primitive(infer=quotient_spec)
def over_values(x: Any, values: Any, bars: Any, /) -> Any:
    """Columns `x` over the value of each.

    bars: as of `over_gaps`. Raises DegenerateError where a value is 0 whose vector has one.
    """
    check_dtype(x, values)
    row = values[..., None, :]
    return divided(x, row, np.abs(row) <= rounding(values), used_columns(bars))


def over_values_vjp(g: Tensor, y: Tensor, x: Tensor, values: Tensor, bars: Tensor) -> Any:
    """The derivative of 1 / s."""
    return -api.sum(over_values(g, values, g) * y, axis=-2)


over_values.defvjp(lambda g, y, x, values, bars: over_values(g, values, g), over_values_vjp, None)
over_values.defbatch(as_it_is)
