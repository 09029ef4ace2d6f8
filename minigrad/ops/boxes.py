"""What joins, shifts and places tensors, said for loops: with margins, and by the numbers of axes.

In a loop an element is read where it lies, or is a number where there is none; which one it is, the
numbers of its indices say. So nothing is copied to be put together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.registry import api

MOST = 8
"""Parts that are looked through for every element; more are copied, one after the other."""
SHORT = 32
"""Elements of a last axis up to which lanes would hold little of each part."""

WIDEST = 16
"""Steps of a slice, and elements of a last axis, up to which a loop over them is written out."""

FEW = 256
"""Elements that are joined in a loop all the same: a call would take longer."""

Box = Sequence[tuple[int, int]]
"""By axis: where something begins in a larger tensor, and behind which element it ends."""


def numbers(n: int, axis: int, rank: int) -> Any:
    """The indices of `axis`, of length `n`, in a tensor of `rank` axes; int32 if they fit."""
    counted = api.counting(n, dtype=np.dtype(np.int32 if n < 2**31 else np.int64))
    return api.reshape_to(counted, shape=tuple([n if a == axis else 1 for a in range(rank)]))


def literal(number: Any, dtype: np.dtype[Any]) -> Any:
    """`number` so that a choice between it and elements of `dtype` is of `dtype`."""
    return bool(number) if dtype.kind == "b" else number


def in_box(box: Box, shape: Sequence[int]) -> Any:
    """A mask of what is inside of a box, over the axes on which it is smaller; None if on none."""
    inside = None
    for axis, ((start, end), n) in enumerate(zip(box, shape, strict=True)):
        places = numbers(n, axis, len(shape)) if (start, end) != (0, n) else None
        conditions = [api.greater_equal(places, start)] if start > 0 else []
        conditions += [api.less(places, end)] if end < n else []
        for condition in conditions:
            inside = condition if inside is None else api.logical_and(inside, condition)
    return inside


def spread_out(x: Any, box: Box, shape: Sequence[int]) -> Any:
    """Zeros of `shape`, but `x` in a box."""
    widths = tuple([(start, n - end) for (start, end), n in zip(box, shape, strict=True)])
    return api.pad_with(x, widths=widths, value=0) if any(map(any, widths)) else x


def joined(xs: Sequence[Any], axis: int, dtype: Any) -> Any:
    """`xs` one after the other along `axis`, in `dtype`; None where copies are faster."""
    parts = [x for x in xs if x.shape[axis]]
    total = sum(x.shape[axis] for x in parts)
    shape = [total if a == axis else n for a, n in enumerate(xs[0].shape)]
    written_out = total <= WIDEST
    narrow = axis == len(shape) - 1 and total <= SHORT and math.prod(shape) > FEW
    if not parts or (not written_out and (narrow or len(parts) > MOST)):
        return None
    y, end = None, total
    for x in reversed(parts):
        start = end - x.shape[axis]
        box = [(start, end) if a == axis else (0, n) for a, n in enumerate(shape)]
        part = api.astype(x if x.shape[axis] == 1 else spread_out(x, box, shape), dtype)
        if y is None:
            y = part
        else:
            y = api.where(api.less(numbers(total, axis, len(shape)), end), part, y)
        end = start
    return api.broadcast_to(y, tuple(shape))


def rolled(x: Any, shifts: Sequence[int], axes: Sequence[int]) -> Any:
    """`x` moved along `axes`, what leaves at an end entering at the other; None if many parts."""
    if 2 ** len(axes) > MOST or len({*axes}) < len(axes):
        return None
    shape, box = x.shape, [(0, n) for n in x.shape]

    def from_axis(k: int, taken: list[Any], box: list[tuple[int, int]]) -> Any:
        if k == len(axes):
            return spread_out(api.take_slice(x, key=tuple(taken)), box, shape)
        axis, n = axes[k], shape[axes[k]]
        shift = shifts[k] % n
        if not shift:
            return from_axis(k + 1, taken, box)

        def part(where: tuple[int, int], start: int, end: int) -> Any:
            key, place = [*taken], [*box]
            key[axis], place[axis] = (start, end, None), where
            return from_axis(k + 1, key, place)

        around, rest = part((0, shift), n - shift, n), part((shift, n), 0, n - shift)
        return api.where(api.less(numbers(n, axis, len(shape)), shift), around, rest)

    return from_axis(0, [(None, None, None)] * len(shape), box)


class Grid(NamedTuple):
    """A box that a key takes of a tensor, whose axes are split where it takes one element in a few.

    split: the dims then; an axis of steps is two, of which the second goes from step to step. box:
    in these. steps: which of them are such second ones. backwards: which axes are turned round.
    whole: whether the split dims have as many elements as the tensor.
    """

    split: tuple[int, ...]
    box: Box
    steps: tuple[int, ...]
    backwards: tuple[int, ...]
    whole: bool


def grid(key: Sequence[Any], shape: Sequence[int]) -> Grid | None:
    """The grid that a key with a part for each axis takes of `shape`; None for nothing, or far."""
    split: list[int] = []
    box: list[tuple[int, int]] = []
    steps: list[int] = []
    backwards: list[int] = []
    whole = True
    for axis, part in enumerate([part for part in key if part is not None]):
        n = shape[axis]
        taken = range(n)[slice(*part)] if type(part) is tuple else range(part % n, part % n + 1)
        if not taken:
            return None
        first, last = sorted((taken[0], taken[-1]))
        step = abs(taken.step) if len(taken) > 1 else 1
        if len(taken) > 1 and taken.step < 0:
            backwards.append(len(split))
        if step > WIDEST:
            return None
        split += [-(-n // step), step] if step > 1 else [n]
        box.append((first // step, last // step + 1))
        if step > 1:
            steps.append(len(box))
            box.append((first % step, first % step + 1))
            whole = whole and n % step == 0
    return Grid(tuple(split), box, tuple(steps), tuple(backwards), whole)


def on_grid(v: Any, taken: Sequence[Any], found: Grid) -> Any:
    """`v`, broadcast to `taken`, in the box of a grid; of length 1 along axes of steps."""
    lengths = tuple([end - start for start, end in found.box])
    whole = v if v.shape == tuple(taken) else api.broadcast_to(v, tuple(taken))
    part = whole if whole.shape == lengths else api.reshape_to(whole, shape=lengths)
    part = api.reverse(part, axes=found.backwards) if found.backwards else part
    thin = [(0, 1) if k in found.steps else pair for k, pair in enumerate(found.box)]
    return spread_out(part, thin, [1 if k in found.steps else n for k, n in enumerate(found.split)])


def placed(v: Any, shape: Sequence[int], taken: Sequence[Any], key: Sequence[Any]) -> Any:
    """Zeros of `shape`, but `v`, broadcast to `taken`, at `key`; None where loops do not do it."""
    found = grid(key, shape)
    if found is None:
        return None
    part = on_grid(v, taken, found)
    if not found.steps:
        return part
    here = [
        pair if k in found.steps else (0, n)
        for k, (pair, n) in enumerate(zip(found.box, found.split, strict=True))
    ]
    spaced = api.where(in_box(here, found.split), part, literal(0, v.dtype))
    dims = [
        n * found.split[k + 1] if k + 1 in found.steps else n
        for k, n in enumerate(found.split)
        if k not in found.steps
    ]
    y = api.reshape_to(spaced, shape=tuple(dims))
    return y if found.whole else api.take_slice(y, key=tuple([(0, n, None) for n in shape]))


def put(
    x: Any, v: Any, taken: Sequence[Any], key: Sequence[Any], combine: Any = lambda x, v: v
) -> Any:
    """`x` with `v`, broadcast to `taken`, at `key`; None where loops do not do it.

    combine: what there is then of an element that was there and the one that arrives.
    """
    found = grid(key, x.shape)
    if found is None or not found.whole:
        return None
    inside = in_box(found.box, found.split)
    part = api.astype(v if v.ndim == 0 else on_grid(v, taken, found), x.dtype)
    there = api.reshape_to(x, shape=found.split) if found.steps else x
    y = combine(there, part)
    y = api.broadcast_to(y, found.split) if inside is None else api.where(inside, y, there)
    return api.reshape_to(y, shape=tuple(x.shape)) if found.steps else y


def triangle(x: Any, k: int, *, lower: bool) -> Any:
    """The matrices of `x`, zero above diagonal `k`, or else below it."""
    rank, (m, n) = x.ndim, x.shape[-2:]
    k = max(-m, min(k, n))  # all beyond mean the same, and are no int32
    rows, columns = numbers(m, rank - 2, rank), numbers(n, rank - 1, rank)
    diagonal = rows + k if k else rows
    kept = api.less_equal(columns, diagonal) if lower else api.greater_equal(columns, diagonal)
    return api.where(kept, x, literal(0, x.dtype))


def diagonal(v: Any, shape: Sequence[int], offset: int) -> Any:
    """`v` on a diagonal of matrices of `shape`, and zeros."""
    rank, (m, n) = len(shape), shape[-2:]
    start = max(0, -offset)
    box = [(0, length) for length in v.shape[:-1]] + [(start, start + v.shape[-1])]
    column = api.reshape_to(spread_out(v, box, (*v.shape[:-1], m)), shape=(*shape[:-1], 1))
    rows = numbers(m, rank - 2, rank)
    places = rows + offset if offset else rows
    on = api.equal(numbers(n, rank - 1, rank), places)
    return api.where(on, column, literal(0, v.dtype))
