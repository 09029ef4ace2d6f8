"""Putting tensors together and taking them apart: concat, stack, split, roll, tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import along_axes
from ..core.convert import is_tensor_like
from ..core.define import composite, primitive, ranked
from ..core.lowering import Composed
from ..core.refusals import allocated
from ..core.registry import api
from ..core.spec import Spec, as_int, canonical_axis, promote, said
from ..core.tensor import Tensor, tensor_of
from ..errors import SpecError
from .axes import drop_axes, insert_axes, several_axes
from .boxes import joined, rolled
from .broadcast import broadcast_to
from .shape import STATIC_FORMS, dims_of, reshape, reshaped_like, static_dims
from .slice import FULL, take_slice

# along an axis there is


def joined_spec(*xs: Any, axis: int) -> Spec:
    """One after the other along `axis`; all other dims must agree."""
    if not xs:
        raise SpecError("concat: no tensors came; there must be one to say the shape; pass some")
    dtype = promote(*xs)
    shapes = [x.shape for x in xs if x.shape is not None]
    if not shapes:
        return Spec(None, dtype)
    dims: list[int | None] = list(shapes[0])
    axis = canonical_axis("concat", axis, len(dims))
    for x in xs:
        if x.shape is not None and len(x.shape) != len(dims):
            refuse_join(xs, axis, "the number of axes")
        for i, n in enumerate(x.shape or ()):
            if i != axis and n is not None and dims[i] not in (None, n):
                refuse_join(xs, axis, f"axis {i}")
            dims[i] = n if dims[i] is None else dims[i]
    lengths = known_lengths(xs, axis)
    dims[axis] = None if lengths is None else sum(lengths)
    return Spec(tuple(dims), dtype)


def known_lengths(xs: tuple[Any, ...], axis: int) -> list[int] | None:
    """The lengths of `xs` along `axis`; None where one is not known."""
    lengths: list[Any] = [None if x.shape is None else x.shape[axis] for x in xs]
    return None if None in lengths else lengths


def refuse_join(xs: tuple[Any, ...], axis: int, what: str) -> None:
    """Raise the error of tensors that do not fit together."""
    raise SpecError(
        f"concat: {' and '.join(str(Spec(x.shape, x.dtype)) for x in xs)} differ in {what}; only "
        f"the axis of concatenation, {axis}, may differ; reshape one of them, or write mg.stack"
    )


@primitive(
    infer=joined_spec,
    lower=Composed(lambda *xs, axis: joined(xs, axis, promote(*xs))),
    linear="wholly",
)
def join(*xs: Any, axis: int) -> Any:
    """`xs` one after the other along `axis`; the op behind `concat`."""
    return np.concatenate(xs, axis)


def piece_spec(g: Any, *xs: Any, axis: int, index: int) -> Spec:
    """The shape of the piece that is asked for."""
    joined_spec(*xs, axis=axis)
    return Spec(xs[index].shape, g.dtype)


@primitive(infer=piece_spec, linear="jointly")
def piece_like(g: Any, *xs: Any, axis: int, index: int) -> Any:
    """The part of `g` that `xs[index]` has in the concatenation of `xs`."""
    start = sum(x.shape[axis] for x in xs[:index])
    return g[(slice(None),) * axis + (slice(start, start + xs[index].shape[axis]),)]


def piece(g: Tensor, *xs: Tensor, axis: int, index: int) -> Any:
    """The same, as a slice where the lengths are known."""
    lengths = known_lengths(xs, axis)
    if lengths is None:
        return piece_like(g, *xs, axis=axis, index=index)
    start = sum(lengths[:index])
    return take_slice(g, key=(*[FULL] * axis, (start, start + lengths[index], None)))


STATIC_FORMS["piece_like"] = piece
for _op in (join, piece_like):
    _op.defbatch(along_axes)


@join.defvjp_joint
def join_vjp(gs: Any, outputs: Any, xs: Any, needed: Any, *, axis: int) -> list[Any]:
    """To each tensor its piece."""
    return [
        piece(gs[0], *xs, axis=axis, index=i) if need else None for i, need in enumerate(needed)
    ]


@piece_like.defvjp_joint
def piece_vjp(
    gs: Any, outputs: Any, inputs: Any, needed: Any, *, axis: int, index: int
) -> list[Any]:
    """Zeros in the place of the other pieces."""
    _, *xs = inputs
    parts = [
        gs[0] if i == index else api.zeros_like(x, dtype=gs[0].dtype) for i, x in enumerate(xs)
    ]
    return [join(*parts, axis=axis), *[None] * len(xs)]


def several(name: str, arrays: Any) -> list[Tensor]:
    """`arrays`, a list or tuple of what tensors are made of, or one tensor with axes, as tensors.

    Raises SpecError for anything else: what can be gone through need not end.
    """
    if is_tensor_like(arrays) and arrays.ndim:
        arrays = list(api.asarray(arrays))
    if not isinstance(arrays, (list, tuple)):
        raise SpecError(
            f"{name}: {said(arrays)} came; the tensors are put together from a list or tuple; "
            f"write mg.{name}([x, y])"
        )
    return [api.asarray(x) for x in arrays]


@composite
@ranked
def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """The tensors `arrays` one after the other along `axis`; None flattens them first.

    arrays: equal in all other dims; their dtypes promote. Array API: concat.
    """
    xs = several("concat", arrays)
    if axis is None:
        return join(*[reshape(x, -1) for x in xs], axis=0)
    ranks = [x.ndim for x in xs if x.ndim is not None]
    if xs:
        axis = canonical_axis("concat", axis, ranks[0] if ranks else None)
    return join(*xs, axis=axis)


@composite
@ranked
def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    """The tensors `arrays`, all of one shape, side by side along a new axis.

    axis: the place of the new axis in the result. Array API: stack.
    """
    xs = several("stack", arrays)
    ranks = [x.ndim for x in xs if x.ndim is not None]
    if not xs:
        return join(axis=axis)  # which refuses
    place = canonical_axis("stack", axis, ranks[0] + 1 if ranks else None)
    return join(*[insert_axes(x, axes=(place,)) for x in xs], axis=place)


# apart again


def split_spec(x: Any, *, places: tuple[int, ...], axis: int) -> tuple[Spec, ...]:
    """The specs of the parts."""
    if x.shape is None:
        return (Spec(None, x.dtype),) * (len(places) + 1)
    axis = canonical_axis("split", axis, len(x.shape))
    n = x.shape[axis]
    lengths = [
        None if n is None else len(range(n)[start:stop])
        for start, stop in zip((0, *places), (*places, None), strict=True)
    ]
    return tuple([Spec((*x.shape[:axis], m, *x.shape[axis + 1 :]), x.dtype) for m in lengths])


def parts(x: Any, *, places: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """The parts of `x` between `places` along `axis`, as slices."""
    ends = zip((0, *places), (*places, None), strict=True)
    return tuple([take_slice(x, key=(*[FULL] * axis, (*end, None))) for end in ends])


@primitive(infer=split_spec, lower=Composed(parts), linear="jointly")
def split_at(x: Any, /, *, places: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """The parts of `x` between `places` along `axis`; the op behind `split`."""
    lead = (slice(None),) * axis
    ends = zip((0, *places), (*places, None), strict=True)
    return tuple([x[(*lead, slice(start, stop))] for start, stop in ends])


split_at.defbatch(along_axes)


@split_at.defvjp_joint
def split_vjp(
    gs: Any, outputs: Any, inputs: Any, needed: Any, *, places: Any, axis: int
) -> list[Any]:
    """The cotangents, joined; zeros for parts that were not used."""
    pairs = zip(gs, outputs, strict=True)
    return [join(*[api.zeros_like(y) if g is None else g for g, y in pairs], axis=axis)]


def is_row(x: Any) -> bool:
    """Whether `x` is an array or tensor with axes."""
    return is_tensor_like(x) and x.ndim != 0


@composite
@ranked
def split(x: Any, /, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """`x` in parts along `axis`.

    indices_or_sections: how many parts, all equally long; or the places where parts begin,
    but for the first. Raises SpecError where the parts cannot be equal. NumPy: split.
    """
    x = api.asarray(x)
    axis = canonical_axis("split", axis, x.ndim)
    if isinstance(indices_or_sections, (list, tuple)) or is_row(indices_or_sections):
        return list(split_at(x, places=static_dims("split", indices_or_sections), axis=axis))
    count, n = as_int("split", "the number of parts", indices_or_sections), x.shape[axis]
    if n is None or count < 1 or n % count:
        raise SpecError(
            f"split: {x.spec} into {count} parts along axis {axis}; equal parts need a known "
            "length that they divide; name the places instead, as in mg.split(x, [2, 5])"
        )
    step = n // count
    return list(split_at(x, places=tuple([i * step for i in range(1, count)]), axis=axis))


@composite
@ranked
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of `x` along `axis`, each without that axis. Array API: unstack."""
    x = api.asarray(x)
    axis = canonical_axis("unstack", axis, x.ndim)
    n = x.shape[axis]
    if n is None:
        raise SpecError(
            f"unstack: {x.spec} along axis {axis}: how many tensors come out must be known while "
            "tracing; use mg.map or mg.scan, or give the argument a known dim"
        )
    parts = split_at(x, places=tuple(range(1, n)), axis=axis) if n else ()
    return tuple([drop_axes(part, axes=(axis,)) for part in parts])


# round and again


def rolled_spec(x: Any, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Spec:
    """The spec of `x` itself."""
    if x.shape is not None:
        for axis in axes:
            canonical_axis("roll", axis, len(x.shape))
    return Spec(x.shape, x.dtype)


@primitive(
    infer=rolled_spec,
    lower=Composed(lambda x, *, shifts, axes: rolled(x, shifts, axes)),
    linear="jointly",
)
def rotate(x: Any, /, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """`x` moved by `shifts` along `axes`, what leaves at an end entering at the other."""
    return np.roll(x, shifts, axes) if axes else x  # NumPy fails for no axes at all


rotate.defbatch(along_axes)
rotate.defvjp(
    lambda g, y, x, *, shifts, axes: rotate(g, shifts=tuple([-n for n in shifts]), axes=axes)
)


@composite
@ranked
def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    """`x` moved along `axis` by `shift` places; what leaves at an end enters at the other.

    axis: an int or several, with one shift for all or one for each; None moves the flat `x`.
    Array API: roll.
    """
    x = api.asarray(x)
    if axis is None:
        return reshaped_like(roll(reshape(x, -1), shift, axis=0), x)
    axes = tuple([canonical_axis("roll", a, x.ndim) for a in several_axes(axis)])
    shifts = static_dims("roll", shift) or ()
    shifts = shifts * len(axes) if len(shifts) == 1 else shifts
    if len(shifts) != len(axes):
        raise SpecError(
            f"roll: shifts {shift} along axes {axis}; there is one shift for all axes, or one for "
            "each; name equally many"
        )
    return rotate(x, shifts=shifts, axes=axes)


@composite
@ranked
def tile(x: Any, repetitions: Any, /) -> Any:
    """`x` laid side by side with itself.

    repetitions: how often along each axis, counted from the last. Array API: tile.
    """
    x = api.asarray(x)
    counts = list(static_dims("tile", repetitions) or ())
    dims = dims_of(x)
    rank = max(len(dims), len(counts))
    counts = [1] * (rank - len(counts)) + counts
    dims = [1] * (rank - len(dims)) + dims
    rows = reshape(x, [part for n in dims for part in (1, n)])
    laid = broadcast_to(rows, [part for n, k in zip(dims, counts, strict=True) for part in (k, n)])
    return reshape(laid, [n * k for n, k in zip(dims, counts, strict=True)])


@composite
@ranked
def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """`x` with each element along `axis` several times over.

    repeats: an int, or one for each element along `axis`. axis: None flattens `x` first.
    Array API: repeat.
    """
    x = api.asarray(x)
    if axis is None:
        return repeat(reshape(x, -1), repeats, axis=0)
    axis = canonical_axis("repeat", axis, x.ndim)
    counts = static_dims("repeat", repeats.numpy() if type(repeats) is Tensor else repeats)
    if counts is None or (len(counts) > 1 and x.shape[axis] not in (None, len(counts))):
        raise SpecError(
            f"repeat: {repeats} of {x.spec} along axis {axis}: repeats are ints known while "
            "tracing, one for all or one for each element; write mg.take(x, indices, axis=axis)"
        )
    if len(counts) != 1:
        if min(counts, default=0) < 0:
            raise SpecError(f"repeat: {repeats} came; each counts how often; write ints from 0 on")
        places = allocated("repeat", lambda: np.repeat(np.arange(len(counts)), counts))
        return api.take(x, tensor_of(places), axis=axis)
    dims = dims_of(x)
    wide = broadcast_to(
        insert_axes(x, axes=(axis + 1,)), [*dims[: axis + 1], *counts, *dims[axis + 1 :]]
    )
    return reshape(wide, [*dims[:axis], dims[axis] * counts[0], *dims[axis + 1 :]])
