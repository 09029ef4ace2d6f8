"""Picking and ordering elements along one axis: take_along_axis, sort, argsort."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import along_axes
from ..core.define import composite, primitive, ranked
from ..core.lowering import Composed
from ..core.registry import api
from ..core.spec import Shape, Spec, as_truth, broadcast_shapes, canonical_axis
from ..errors import IndexSpecError, SpecError
from .adding import counted_from_the_front, in_int64
from .index import index_of, out_of_range
from .lookup import add_up, along, look_up
from .shape import reshape


def along_shape(x: Any, indices: Any, axis: int) -> Shape:
    """The shape of `indices`, which broadcasts with that of `x` but for `axis`."""
    if x.shape is None or indices.shape is None:
        return None
    if len(x.shape) != len(indices.shape) or indices.dtype.kind not in "iu":
        raise IndexSpecError(
            f"take_along_axis: {Spec(x.shape, x.dtype)} by {Spec(indices.shape, indices.dtype)}: "
            "the indices are integers, with as many axes as x; write mg.take, or insert axes"
        )
    axis = canonical_axis("take_along_axis", axis, len(x.shape))
    length = indices.shape[axis]
    shapes = [(*t.shape[:axis], 1, *t.shape[axis + 1 :]) for t in (x, indices)]
    dims = broadcast_shapes("take_along_axis", *[Spec(shape, x.dtype) for shape in shapes]) or ()
    return (*dims[:axis], length, *dims[axis + 1 :])


def taken_along(x: Any, indices: Any, *, axis: int) -> Any:
    """`take_along` as loops do it."""
    places, axes = along(x, indices, axis)
    return look_up(x, places, axes=axes, shape=along_shape(x, indices, axis))


@primitive(
    infer=lambda x, indices, *, axis: Spec(along_shape(x, indices, axis), x.dtype),
    lower=Composed(taken_along),
    linear="jointly",
)
def take_along(x: Any, indices: Any, /, *, axis: int) -> Any:
    """For each index the element of `x` in its place along `axis`; behind `take_along_axis`."""
    try:
        return np.take_along_axis(x, in_int64(indices), axis)
    except IndexError as error:
        raise out_of_range(error, x, (indices,)) from None


def put_along_spec(g: Any, x: Any, indices: Any, *, axis: int) -> Spec:
    """The shape of `x`, for `g` of the shape of what was taken."""
    shape = along_shape(x, indices, axis)
    if not Spec(g.shape, g.dtype).is_compatible_with(Spec(shape, g.dtype)):
        raise SpecError(
            f"put_along: {g.shape} came for {shape}; each index puts one element; reshape g"
        )
    return Spec(x.shape, g.dtype)


def added_along(g: Any, x: Any, indices: Any, *, axis: int) -> Any:
    """`put_along` as loops do it; None where `x` was broadcast."""
    if any(n != m for k, (n, m) in enumerate(zip(g.shape, x.shape, strict=True)) if k != axis):
        return None
    places, axes = along(x, indices, axis)
    return add_up(g, places, axes=axes, shape=x.shape)


@primitive(infer=put_along_spec, lower=Composed(added_along), linear="jointly")
def put_along(g: Any, x: Any, indices: Any, /, *, axis: int) -> Any:
    """Zeros of the shape of `x`, to which `g` is added in the places of `take_along`."""
    if indices.ndim != x.ndim or indices.dtype.kind not in "iu":
        raise ValueError("that is no index along an axis")
    fronts = [
        np.arange(n).reshape([-1 if i == k else 1 for k in range(x.ndim)])
        for i, n in enumerate(x.shape)
    ]
    fronts[axis] = counted_from_the_front(indices, x.shape[axis])
    places = np.ravel_multi_index(np.broadcast_arrays(*fronts), x.shape)
    if places.shape != g.shape:
        raise ValueError("g is not what was taken")
    y = np.zeros(x.shape, g.dtype)
    np.add.at(y.reshape(-1), places.ravel(), g.ravel())
    return y


take_along.defbatch(lambda op, n, x, indices, *, axis: op(x, indices, axis=axis + 1))
put_along.defbatch(along_axes)
take_along.defvjp(lambda g, y, x, indices, *, axis: put_along(g, x, indices, axis=axis), None)
put_along.defvjp(
    lambda gg, y, g, x, indices, *, axis: take_along(gg, indices, axis=axis), None, None
)


def order_spec(x: Any, *, axis: int, descending: bool, stable: bool) -> Spec:
    """int64, of the shape of `x`."""
    if x.shape is not None:
        canonical_axis("argsort", axis, len(x.shape))
    return Spec(x.shape, np.int64)


@primitive(infer=order_spec)
def order_of(x: Any, /, *, axis: int, descending: bool, stable: bool) -> Any:
    """The indices that sort `x` along `axis`; the op behind `argsort`."""
    if not descending:
        return np.argsort(x, axis, stable=stable)
    # from behind, so that equal elements keep their order
    order = np.flip(np.argsort(np.flip(x, axis), axis, stable=stable), axis)
    return x.shape[axis] - 1 - order


order_of.no_gradient("an order is piecewise constant")
order_of.defbatch(along_axes)


@composite
@ranked
def take_along_axis(x: Any, indices: Any, /, *, axis: int | None = -1) -> Any:
    """For each of `indices`, the element of `x` in that place along `axis`.

    indices: integers, with as many axes as `x`; the others broadcast. axis: None takes of all
    elements in row-major order. Array API: take_along_axis.
    """
    x, indices = api.asarray(x), index_of(indices)
    if axis is None:
        return take_along(reshape(x, -1), indices, axis=0)
    return take_along(x, indices, axis=canonical_axis("take_along_axis", axis, x.ndim))


@composite
@ranked
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The indices, int64, that sort `x` along `axis`. stable: equal elements keep their order.

    Array API: argsort.
    """
    x = api.asarray(x)
    axis = canonical_axis("argsort", axis, x.ndim)
    return order_of(
        x,
        axis=axis,
        descending=as_truth("descending", descending),
        stable=as_truth("stable", stable),
    )


@composite
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The elements of `x` in order along `axis`; nan comes last. Array API: sort."""
    x = api.asarray(x)
    return take_along_axis(
        x, argsort(x, axis=axis, descending=descending, stable=stable), axis=axis
    )
