"""The axes of a tensor: inserting, dropping and permuting them, and reversing along them."""

from __future__ import annotations

from typing import Any

from ..core.batch import along_axes, as_it_is
from ..core.define import composite, primitive, ranked
from ..core.lowering import Move
from ..core.registry import api
from ..core.spec import Spec, canonical_axes, canonical_axis, unknown_rank
from ..errors import SpecError
from .shape import STATIC_FORMS, is_static

BACKWARDS = slice(None, None, -1)


def several_axes(axis: Any) -> tuple[Any, ...]:
    """`axis`, an int or several (an array of them too), as a tuple."""
    several = isinstance(axis, (tuple, list)) or getattr(axis, "ndim", 0) == 1
    return tuple(axis) if several else (axis,)


# axes of length 1


def inserted_spec(x: Any, *, axes: tuple[int, ...]) -> Spec:
    """The spec with 1 at the places `axes` of the result."""
    if x.shape is None:
        return Spec(None, x.dtype)
    rank = len(x.shape) + len(axes)
    places = canonical_axes("expand_dims", axes, rank) or ()
    dims = iter(x.shape)
    return Spec(tuple([1 if i in places else next(dims) for i in range(rank)]), x.dtype)


@primitive(infer=inserted_spec, lower=Move("reshape"), linear="jointly")
def insert_axes(x: Any, /, *, axes: tuple[int, ...]) -> Any:
    """`x` with axes of length 1 at the places `axes` of the result; the op of `expand_dims`."""
    key: list[slice | None] = [slice(None)] * (x.ndim + len(axes))
    for axis in axes:
        key[axis] = None
    return x[tuple(key)]


def dropped_spec(x: Any, *, axes: tuple[int, ...]) -> Spec:
    """The spec without `axes`, which must have length 1."""
    if x.shape is None:
        return Spec(None, x.dtype)
    places = canonical_axes("squeeze", axes, len(x.shape)) or ()
    for axis in places:
        if x.shape[axis] not in (1, None):
            raise SpecError(
                f"squeeze: axis {axis} of {Spec(x.shape, x.dtype)} has length {x.shape[axis]}; "
                "only axes of length 1 can be dropped; index it, or reduce it with mg.sum"
            )
    return Spec(tuple([n for i, n in enumerate(x.shape) if i not in places]), x.dtype)


@primitive(infer=dropped_spec, lower=Move("reshape"), linear="jointly")
def drop_axes(x: Any, /, *, axes: tuple[int, ...]) -> Any:
    """`x` without its axes `axes`, of length 1; the op behind `squeeze`."""
    return x.squeeze(axes)


insert_axes.defvjp(lambda g, y, x, *, axes: drop_axes(g, axes=axes))
drop_axes.defvjp(lambda g, y, x, *, axes: insert_axes(g, axes=axes))
for _op in (insert_axes, drop_axes):
    _op.defbatch(along_axes)


@composite
@ranked
def expand_dims(x: Any, /, axis: Any = 0) -> Any:
    """`x` with new axes of length 1.

    axis: an int or several, places in the result. Array API: expand_dims.
    """
    x = api.asarray(x)
    several = several_axes(axis)
    rank = None if x.ndim is None else x.ndim + len(several)
    return insert_axes(x, axes=canonical_axes("expand_dims", several, rank))


@composite
@ranked
def squeeze(x: Any, /, axis: Any = None) -> Any:
    """`x` without axes of length 1.

    axis: an int or several; None for all that have length 1. Array API: squeeze.
    Raises SpecError where another length is met.
    """
    x = api.asarray(x)
    if axis is None:
        if not is_static(x):
            lengths = api.shape(x)
            return api.reshape(x, lengths[lengths != 1])
        axis = tuple([i for i, n in enumerate(x.shape) if n == 1])
    return drop_axes(x, axes=canonical_axes("squeeze", axis, x.ndim))


# the order of axes, and of elements along them


def permuted_spec(x: Any, *, axes: tuple[int, ...]) -> Spec:
    """The spec with the axes in another order."""
    rank = len(axes) if x.shape is None else len(x.shape)
    if sorted(axes) != list(range(rank)):
        raise SpecError(
            f"permute_dims: axes {axes} of {Spec(x.shape, x.dtype)}; every axis is named once; "
            f"write a permutation of {tuple(range(rank))}"
        )
    return Spec(tuple([None if x.shape is None else x.shape[i] for i in axes]), x.dtype)


@primitive(infer=permuted_spec, lower=Move("permute"), linear="jointly")
def permute(x: Any, /, *, axes: tuple[int, ...]) -> Any:
    """`x` with axis `axes[i]` in place `i`; the op behind `permute_dims`."""
    return x.transpose(axes)


permute.defvjp(
    lambda g, y, x, *, axes: permute(g, axes=tuple([axes.index(i) for i in range(len(axes))]))
)
permute.defbatch(lambda op, n, x, *, axes: op(x, axes=(0, *[axis + 1 for axis in axes])))


@composite
@ranked
def permute_dims(x: Any, /, axes: Any) -> Any:
    """`x` with its axes in another order: axis `axes[i]` of `x` comes in place `i`.

    axes: a permutation of the axes. Array API: permute_dims.
    """
    x = api.asarray(x)
    several = several_axes(axes)
    rank = len(several) if x.ndim is None else x.ndim
    return permute(x, axes=tuple([canonical_axis("permute_dims", a, rank) for a in several]))


def transposed_spec(x: Any) -> Spec:
    """The spec with the last two axes exchanged."""
    if x.shape is not None and len(x.shape) < 2:
        raise SpecError(
            f"matrix_transpose: {Spec(x.shape, x.dtype)} came; a matrix has two axes; "
            "make them with mg.reshape or x[:, None]"
        )
    return Spec(x.shape and (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)


@primitive(infer=transposed_spec, linear="jointly")
def transpose_last(x: Any, /) -> Any:
    """`x` with the last two axes exchanged, whatever its rank."""
    return x.swapaxes(-2, -1)


transpose_last.defvjp(lambda g, y, x: matrix_transpose(g))
transpose_last.defbatch(as_it_is)


@composite
def matrix_transpose(x: Any, /) -> Any:
    """The matrices of the last two axes of `x`, transposed. Array API: matrix_transpose."""
    x = api.asarray(x)
    rank = x.ndim
    if rank == 2:
        return permute(x, axes=(1, 0))
    if rank is None or rank < 2:
        return transpose_last(x)
    return permute(x, axes=(*range(rank - 2), rank - 1, rank - 2))


STATIC_FORMS["transpose_last"] = matrix_transpose


@composite
@ranked
def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
    """`x` with some axes moved to other places; the others keep their order.

    source, destination: an int each, or equally many. Array API: moveaxis.
    """
    x = api.asarray(x)
    sources, places = [
        [canonical_axis("moveaxis", a, x.ndim) for a in several_axes(ends)]
        for ends in (source, destination)
    ]
    if not len(set(sources)) == len(set(places)) == len(sources) == len(places):
        raise SpecError(
            f"moveaxis: from {source} to {destination}; each axis goes to one place; name equally "
            "many, each once"
        )
    axes = [i for i in range(x.ndim) if i not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        axes.insert(place, axis)
    return permute(x, axes=tuple(axes))


@composite
@ranked
def swapaxes(x: Any, axis1: int, axis2: int, /) -> Any:
    """`x` with two of its axes exchanged."""
    x = api.asarray(x)
    if x.ndim is None:
        raise unknown_rank("swapaxes")
    axes = list(range(x.ndim))
    i, k = (canonical_axis("swapaxes", a, x.ndim) for a in (axis1, axis2))
    axes[i], axes[k] = k, i
    return permute(x, axes=tuple(axes))


def reversed_spec(x: Any, *, axes: Any) -> Spec:
    """The spec of `x` itself."""
    if x.shape is not None:
        canonical_axes("flip", axes, len(x.shape))
    return Spec(x.shape, x.dtype)


@primitive(infer=reversed_spec, lower=Move("flip"), linear="jointly")
def reverse(x: Any, /, *, axes: tuple[int, ...] | None) -> Any:
    """`x` with the elements along `axes` in reverse order; None for all. Behind `flip`."""
    # np.flip does the same in ten times as long
    key = [BACKWARDS if axes is None else slice(None)] * x.ndim
    for axis in axes or ():
        key[axis] = BACKWARDS
    return x[tuple(key)]


reverse.defvjp(lambda g, y, x, *, axes: reverse(g, axes=axes))
reverse.defbatch(along_axes)


@composite
@ranked
def flip(x: Any, /, *, axis: Any = None) -> Any:
    """`x` with the elements along `axis` in reverse order.

    axis: an int or several; None for all. Array API: flip.
    """
    x = api.asarray(x)
    return reverse(x, axes=canonical_axes("flip", axis, x.ndim))
