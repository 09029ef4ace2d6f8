"""NumPy's functions whose name or arguments differ from the standard's, written in minigrad's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.registry import api
from ..core.spec import DTYPES, canonical_axis
from ..ops.diagonals import diagonal_of

Function = Callable[..., Any]

# answers that are no tensors, and by which no derivative passes: NumPy gives them for the values
QUESTIONS = frozenset(
    {
        *("allclose", "array_equal", "array_equiv", "array2string", "array_repr", "array_str"),
        *("save", "savez", "savez_compressed", "savetxt", "shares_memory", "may_share_memory"),
        *("isrealobj", "iscomplexobj", "result_type", "can_cast", "common_type"),
        *("min_scalar_type", "copyto"),
    }
)

# what NumPy code says to take arrays in, or to draw them, as it says np.asarray: it gets arrays,
# unless a tape follows the tensor, whose gradient would be cut
CONVERSIONS = frozenset(
    {
        *("atleast_1d", "atleast_2d", "atleast_3d", "asarray_chkfinite"),
        *("histogram", "histogram2d", "histogramdd", "histogram_bin_edges"),
    }
)

# functions that only go by another name in the standard
RENAMED = {
    "amax": "max",
    "amin": "min",
    "concatenate": "concat",
    "around": "round",
}

ROWS: dict[str, Function] = {}


def row(function: Function) -> Function:
    """Let the function stand for NumPy's of the same name, which has these arguments, too."""
    ROWS[function.__name__] = function
    return function


# --- what there is to know of shapes ------------------------------------------------------------


@row
def shape(a: Any) -> Any:
    """The dims, as far as known, and no tensor, as NumPy has it."""
    return a.shape


@row
def ndim(a: Any) -> Any:
    """Number of axes."""
    return a.ndim


@row
def size(a: Any, axis: Any = None) -> Any:
    """Number of elements, or of those along `axis`."""
    return a.size if axis is None else a.shape[canonical_axis("size", axis, a.ndim)]


# --- shapes -------------------------------------------------------------------------------------


@row
def transpose(a: Any, axes: Any = None) -> Any:
    """Axes in the order `axes`, by default reversed."""
    a = api.asarray(a)
    return api.permute_dims(a, tuple(range(a.ndim))[::-1] if axes is None else axes)


@row
def ravel(a: Any, order: str = "C") -> Any:
    """All elements along one axis."""
    return reshape(a, -1, order)


@row
def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: Any = None) -> Any:
    """Another shape; order "F" counts along the first axis first."""
    if order == "C":
        return api.reshape(a, shape)
    a = transpose(a)
    dims = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    return transpose(api.reshape(a, dims[::-1]))


@row
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """The tensor itself: it never changes."""
    return api.asarray(a)


@row
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """One axis moved to before another."""
    axis = canonical_axis("rollaxis", axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    return api.moveaxis(a, axis, start - (start > axis))


@row
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    """All in their common shape."""
    return tuple(api.broadcast_arrays(*args))


@row
def meshgrid(*xi: Any, copy: bool = True, indexing: str = "xy") -> Any:
    """Coordinates of a grid."""
    return tuple(api.meshgrid(*xi, indexing=indexing))


@row
def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """Margins of a constant."""
    if mode != "constant":
        return NotImplemented
    return api.pad(array, pad_width, constant_values=constant_values)


# --- together and apart -------------------------------------------------------------------------


def with_axes(x: Any, rank: int) -> Any:
    """`x` with at least `rank` axes, as NumPy adds them: in front, but the third behind."""
    x = api.asarray(x)
    if x.ndim >= min(rank, 2):
        return x if x.ndim >= rank else x[..., None]
    x = x[(None,) * (min(rank, 2) - x.ndim)]
    return x if rank < 3 else x[..., None]


@row
def vstack(tup: Any) -> Any:
    """Rows one below the other."""
    return api.concat([with_axes(x, 2) for x in tup], axis=0)


@row
def hstack(tup: Any) -> Any:
    """Side by side: along axis 1, or the only one."""
    parts = [with_axes(x, 1) for x in tup]
    return api.concat(parts, axis=0 if parts and parts[0].ndim == 1 else 1)


@row
def dstack(tup: Any) -> Any:
    """One behind the other, along axis 2."""
    return api.concat([with_axes(x, 3) for x in tup], axis=2)


@row
def column_stack(tup: Any) -> Any:
    """Vectors as columns, side by side."""
    parts = [api.asarray(x) for x in tup]
    return api.concat([api.reshape(x, (-1, 1)) if x.ndim < 2 else x for x in parts], axis=1)


@row
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """`values` after `arr`, both flattened for an axis of None."""
    return api.concat([arr, values], axis=axis)


# --- products -----------------------------------------------------------------------------------


@row
def dot(a: Any, b: Any) -> Any:
    """Sum over the last axis of `a` and the last but one of `b`."""
    a, b = api.asarray(a), api.asarray(b)
    if not a.ndim or not b.ndim:
        return a * b
    return api.tensordot(a, b, axes=((-1,), (-2 if b.ndim > 1 else 0,)))


@row
def inner(a: Any, b: Any, /) -> Any:
    """Sum over the last axes of both."""
    a, b = api.asarray(a), api.asarray(b)
    return api.tensordot(a, b, axes=((-1,), (-1,))) if a.ndim and b.ndim else a * b


@row
def vdot(a: Any, b: Any, /) -> Any:
    """Sum of conj(a) * b, both flattened."""
    return api.vecdot(api.reshape(a, -1), api.reshape(b, -1))


@row
def outer(a: Any, b: Any) -> Any:
    """Products of all elements of both, flattened."""
    return api.reshape(a, (-1, 1)) * api.reshape(b, (1, -1))


@row
def einsum(*operands: Any, optimize: Any = False) -> Any:
    """Sums of products by labels."""
    return api.einsum(*operands)


@row
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    """Sum of a diagonal of two axes."""
    y = diagonal(a, offset, axis1, axis2)
    return api.sum(y, axis=-1, dtype=dtype)


@row
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of two axes, as the last axis."""
    return diagonal_of(api.moveaxis(a, (axis1, axis2), (-2, -1)), offset=offset)


# --- reductions, and along an axis --------------------------------------------------------------


def spread_of(function: str) -> None:
    """State `var` or `std`, whose `ddof` the standard calls `correction`."""

    def spread(a: Any, axis: Any = None, *, ddof: float = 0, **options: Any) -> Any:
        correction = options.pop("correction", ddof)
        if not {*options} <= {"keepdims"}:
            return NotImplemented
        return getattr(api, function)(a, axis, correction=correction, **options)

    ROWS[function] = spread


spread_of("var")
spread_of("std")


def running(name: str, function: str) -> None:
    """State `cumsum` or `cumprod`, which flatten what has several axes unless told an axis."""

    def run(a: Any, axis: Any = None, dtype: Any = None) -> Any:
        if axis is None:
            a, axis = api.reshape(a, -1), 0
        return getattr(api, function)(a, axis=axis, dtype=dtype)

    ROWS[name] = run


running("cumsum", "cumulative_sum")
running("cumprod", "cumulative_prod")


@row
def ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """From the smallest to the largest."""
    return api.max(a, axis, keepdims=keepdims) - api.min(a, axis, keepdims=keepdims)


def ordered(name: str) -> None:
    """State `sort` or `argsort`, which flatten for an axis of None."""

    def order(a: Any, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> Any:
        a, axis = (api.reshape(a, -1), 0) if axis is None else (a, axis)
        return getattr(api, name)(a, axis=axis)

    ROWS[name] = order


ordered("sort")
ordered("argsort")


# --- elementwise --------------------------------------------------------------------------------


@row
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Kept between two bounds."""
    return api.clip(a, a_min if min is None else min, a_max if max is None else max)


@row
def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Numbers in place of NaN and infinities."""
    x = api.asarray(x)
    if x.dtype.kind not in "fc":
        return x
    if x.dtype.kind == "c":
        real, imag = (
            nan_to_num(part, copy, nan, posinf, neginf) for part in (api.real(x), api.imag(x))
        )
        return real + imag * 1j
    limits = np.finfo(x.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    x = api.where(api.equal(x, math.inf), high, api.where(api.equal(x, -math.inf), low, x))
    return api.where(api.isnan(x), nan, x)


@row
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """Whether the elements are equal up to tolerances."""
    a, b = api.asarray(a), api.asarray(b)
    if a.dtype.kind not in "fc":
        a = api.astype(a, DTYPES["float64"])
    near = api.less_equal(api.abs(a - b), atol + rtol * api.abs(b))
    near = api.logical_or(api.logical_and(near, api.isfinite(b)), api.equal(a, b))
    both = api.logical_and(api.isnan(a), api.isnan(b))
    return api.logical_or(near, both) if equal_nan else near


@row
def angle(z: Any, deg: bool = False) -> Any:
    """Argument of complex numbers."""
    z = api.asarray(z)
    y = api.atan2(api.imag(z), api.real(z)) if z.dtype.kind == "c" else api.atan2(z * 0, z)
    return y * (180 / math.pi) if deg else y
