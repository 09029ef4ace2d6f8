"""Where extremes are: the places of largest and smallest elements, as loops find them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.define import composite, primitive, ranked
from ..core.lowering import Composed
from ..core.registry import api
from ..core.spec import Spec, canonical_axis
from ..core.tensor import Tensor
from ..errors import SpecError
from .axes import insert_axes
from .broadcast import kept, reduced_shape
from .logic import astype, equal, logical_or, not_equal, where
from .reduce import reduce_max, reduce_min
from .shape import dims_of, reshape

ROW = 8192
"""Elements of a row that stays in the cache while its extreme is found, and then the place."""
LEAST = 64
"""Elements of a row from which on rows pay."""


def place_spec(x: Any, *, axis: int | None) -> Spec:
    """int64, without `axis`, which must not be empty."""
    shape = reduced_shape("argmax, argmin", x, None if axis is None else (axis,))
    if x.shape is not None and 0 in (x.shape if axis is None else (x.shape[axis],)):
        raise SpecError(
            f"argmax, argmin: {Spec(x.shape, x.dtype)} along axis {axis}: nothing has no extreme; "
            "choose an axis that is not empty"
        )
    return Spec(shape, np.int64)


def first_place(x: Tensor, axis: int | None, extreme: Any) -> Any:
    """Where the first element of `x` is that is `extreme` along `axis`, or nan.

    The extreme is found first, and then the least of the places that have it: two simple passes
    over a row, which is in the cache then. A flat `x` is cut into such rows.
    """
    x = astype(x, np.uint8) if x.dtype.kind == "b" else x
    if axis is not None:
        return astype(first_of(x, extreme, axis, places(x.shape[axis])), np.int64)
    n, length = x.size, row_length(x.shape)
    rows = reshape(x, (n // length, length))
    starts = places(n // length, length)
    firsts = first_of(rows, extreme, 1, places(length)) + starts
    return astype(first_of(extreme(rows, axes=(1,)), extreme, 0, firsts), np.int64)


def first_of(x: Tensor, extreme: Any, axis: int, found: Tensor) -> Any:
    """The least of the places `found` along `axis` at which `x` is extreme, or nan."""
    top = insert_axes(extreme(x, axes=(axis,)), axes=(axis,))
    hits = equal(x, top)
    if x.dtype.kind == "f":  # where there is nan, it is the extreme, and equal to nothing
        hits = logical_or(hits, not_equal(x, x))
    found = reshape(found, (-1, *[1] * (x.ndim - axis - 1)))
    return reduce_min(where(hits, found, int(np.iinfo(found.dtype).max)), axes=(axis,))


def places(n: int, step: int = 1) -> Any:
    """The places 0, `step`, 2 `step` ... of `n` elements or rows."""
    return api.arange(0, n * step, step, dtype=np.int32 if n * step < 2**31 else np.int64)


def row_length(shape: tuple[int, ...]) -> int:
    """How many of the last elements in a row make rows for the cache; all, if they are odd."""
    length = 1
    for n in reversed(shape):
        most = ROW // length
        length *= n if n <= most else max(d for d in range(1, most + 1) if n % d == 0)
        if n > most:
            break
    size = math.prod(shape)
    return size if length < LEAST else length


@primitive(infer=place_spec, lower=Composed(lambda x, *, axis: first_place(x, axis, reduce_max)))
def place_of_max(x: Any, /, *, axis: int | None) -> Any:
    """Where the first largest element is along `axis`; the op behind `argmax`."""
    return np.asarray(np.argmax(x, axis))


@primitive(infer=place_spec, lower=Composed(lambda x, *, axis: first_place(x, axis, reduce_min)))
def place_of_min(x: Any, /, *, axis: int | None) -> Any:
    """Where the first smallest element is along `axis`; the op behind `argmin`."""
    return np.asarray(np.argmin(x, axis))


def place_batch(op: Any, n: Any, x: Tensor, *, axis: int | None) -> Any:
    """Along the axis that is one further; along all, those of an example are laid flat."""
    if axis is None:
        return op(reshape(x, (dims_of(x)[0], math.prod(dims_of(x)[1:]))), axis=1)
    return op(x, axis=axis + 1)


for _op in (place_of_max, place_of_min):
    _op.no_gradient("a place is a whole number")
    _op.defbatch(place_batch)


@composite
@ranked
def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index, int64, of the first largest element along `axis`.

    axis: None counts the elements of all axes in row-major order. Array API: argmax.
    """
    x = api.asarray(x)
    y = place_of_max(x, axis=axis if axis is None else canonical_axis("argmax", axis, x.ndim))
    return y if keepdims is False else kept(y, x, axis, keepdims)


@composite
@ranked
def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index, int64, of the first smallest element along `axis`.

    axis: None counts the elements of all axes in row-major order. Array API: argmin.
    """
    x = api.asarray(x)
    y = place_of_min(x, axis=axis if axis is None else canonical_axis("argmin", axis, x.ndim))
    return y if keepdims is False else kept(y, x, axis, keepdims)
