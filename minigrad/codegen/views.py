"""Tensors that are another one looked at through moves: where their elements lie.

A view is an affine map from indices to elements of its base. With margins around it, it has bounds
too: conditions, affine as well, outside of which an element is a number and nothing is read.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.op import Node

PROBED = 1 << 20
"""Elements of a tensor up to which a single one of them is looked for."""


class MisfitError(Exception):
    """Why a node cannot share the loops of a group."""


class Bound(NamedTuple):
    """What holds inside of a view: `offset + sum(stride * index)` is from 0 to below `extent`."""

    offset: int
    strides: tuple[int, ...]
    extent: int

    def always_holds(self, shape: Sequence[int]) -> bool:
        """Whether it holds for all indices of `shape`."""
        ends = [stride * (n - 1) for stride, n in zip(self.strides, shape, strict=True)]
        least = self.offset + sum(end for end in ends if end < 0)
        most = self.offset + sum(end for end in ends if end > 0)
        return least >= 0 and most < self.extent


class View(NamedTuple):
    """A tensor that is another one, `base`, looked at through moves; `fill` out of its bounds."""

    base: Any
    offset: int
    strides: tuple[int, ...]
    bounds: tuple[Bound, ...] = ()
    fill: Any = 0


@functools.lru_cache(maxsize=4096)
def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a contiguous array, in elements; 0 for axes of length 1."""
    return tuple([math.prod(shape[k + 1 :]) if n > 1 else 0 for k, n in enumerate(shape)])


@functools.lru_cache(maxsize=4096)
def aligned(inner: tuple[int, ...], outer: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pairs (axis of `outer`, axis of `inner`) that broadcasting lays on each other; no 1s."""
    lead = len(outer) - len(inner)
    return [(lead + k, k) for k, n in enumerate(inner) if n > 1]


def whole(x: Any) -> View:
    """A tensor looked at as it lies."""
    return View(x, 0, row_major(x.shape))


def broadcast_strides(inner: tuple[int, ...], outer: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a contiguous array of shape `inner`, broadcast to `outer`."""
    strides, own = [0] * len(outer), row_major(inner)
    for axis, k in aligned(inner, outer):
        strides[axis] = own[k]
    return tuple(strides)


def moved(node: Node, view: View) -> View:
    """What `node` makes of a view of its input. Raises MisfitError where that would be a copy."""
    if node.op.lower.kind == "pad":  # type: ignore[union-attr]  # a move
        return padded(node, view)
    return rearranged(node, view) if view.bounds else moved_array(node, view)


# Moves of whole arrays.


def looked_at(memory: np.ndarray[Any, Any], node: Node, view: View) -> np.ndarray[Any, Any]:
    """The input of `node`, a view, as an array in `memory`."""
    strides = [stride * memory.itemsize for stride in view.strides]
    start = memory[view.offset :]
    return np.lib.stride_tricks.as_strided(start, node.inputs[0].shape, strides)


def moved_array(node: Node, view: View) -> View:
    """The same of a view without bounds; NumPy is asked, with an array that is never read."""
    base, shape = view.base, node.outputs[0].shape
    memory = np.empty(math.prod(base.shape), np.int8)
    before = looked_at(memory, node, view)
    match node.op.lower.kind:  # type: ignore[union-attr]  # a move
        case "reshape":
            try:
                after = np.reshape(before, shape, copy=False)
            except ValueError:
                raise MisfitError(f"{node.op.name} of a strided view, a copy") from None
        case "broadcast":
            after = np.broadcast_to(before, shape)
        case _:
            after = node.op.kernel(before, **node.attrs)
    if not np.may_share_memory(after, memory):
        if memory.size > PROBED or math.prod(shape) > 1:
            raise MisfitError(f"{node.op.name}, a copy")
        # NumPy copies single elements; numbered ones say which it was
        numbers = np.arange(memory.size)
        chosen = node.op.kernel(looked_at(numbers, node, view), **node.attrs)
        return View(base, int(np.asarray(chosen).item()), (0,) * len(shape))
    offset = after.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    strides = [s if n > 1 else 0 for s, n in zip(after.strides, shape, strict=True)]
    return View(base, offset, tuple(strides))


# Margins.


def padded(node: Node, view: View) -> View:
    """A view with margins around it."""
    x, y = node.inputs[0], node.outputs[0]
    widths, fill = node.attrs["widths"], node.attrs["value"]
    if view.bounds and repr(view.fill) != repr(fill):
        raise MisfitError("margins of another number")
    starts = [-low for low, _ in widths]
    steps = [tuple(int(a == k) for a in range(len(y.shape))) for k in range(len(y.shape))]
    found = through(view, starts, steps, y.shape)
    bounds = [
        Bound(start, step, n)
        for start, step, n, margins in zip(starts, steps, x.shape, widths, strict=True)
        if margins != (0, 0)
    ]
    return found._replace(bounds=(*found.bounds, *bounds), fill=fill)


def rearranged(node: Node, view: View) -> View:
    """What `node` makes of a view that has bounds, which are by axis: so is where it looks."""
    x, y = node.inputs[0], node.outputs[0]
    plain = moved_array(node, whole(x))
    start = place_of(plain.offset, x.shape)
    steps = []
    for stride, n in zip(plain.strides, y.shape, strict=True):
        first = place_of(plain.offset + stride, x.shape) if n > 1 else start
        steps.append(tuple([b - a for a, b in zip(start, first, strict=True)]))
    for axis, n in enumerate(x.shape):
        ends = [step[axis] * (m - 1) for step, m in zip(steps, y.shape, strict=True)]
        lowest = start[axis] + sum(end for end in ends if end < 0)
        highest = start[axis] + sum(end for end in ends if end > 0)
        if lowest < 0 or highest >= n:
            raise MisfitError(f"{node.op.name} across axes of a view with margins")
    return through(view, start, steps, y.shape)


def place_of(number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The indices of element `number` of an array of `shape`."""
    return tuple([int(i) for i in np.unravel_index(number, shape)])


def through(
    view: View, start: Sequence[int], steps: Sequence[tuple[int, ...]], shape: Sequence[int]
) -> View:
    """`view` from index `start` on, with axes of `shape` that go by `steps` in all of its axes."""

    def at(offset: int, strides: Sequence[int]) -> tuple[int, tuple[int, ...]]:
        along = [sum(s * i for s, i in zip(strides, step, strict=True)) for step in steps]
        return offset + sum(s * i for s, i in zip(strides, start, strict=True)), tuple(along)

    bounds = [Bound(*at(b.offset, b.strides), b.extent) for b in view.bounds]
    kept = tuple([bound for bound in bounds if not bound.always_holds(shape)])
    return View(view.base, *at(view.offset, view.strides), kept, view.fill)


# The same, by the dims of a group.

Map = dict[int, int]
"""Dim -> how many elements further one step along it leads. Dims not named change nothing."""


class Limit(NamedTuple):
    """What holds where an element is read: `offset` and steps along dims lead below `extent`."""

    offset: int
    strides: Map
    extent: int


class Source(NamedTuple):
    """Where an input lies: in `base`, by dim, within limits; elsewhere its elements are `fill`.

    at: further steps, by places that are values of the group: pairs (place, stride).
    """

    base: Any
    offset: int
    strides: Map
    limits: tuple[Limit, ...] = ()
    fill: Any = 0
    at: tuple[tuple[Any, int], ...] = ()

    @property
    def dims(self) -> frozenset[int]:
        """The dims that its elements change along."""
        return frozenset(self.strides).union(*[limit.strides for limit in self.limits])

    def without(self, dim: int) -> Source:
        """The same along the other dims."""
        limits = [limit._replace(strides=without(limit.strides, dim)) for limit in self.limits]
        return self._replace(strides=without(self.strides, dim), limits=tuple(limits))


def without(strides: Map, dim: int) -> Map:
    """The strides of the other dims."""
    return {d: s for d, s in strides.items() if d != dim}
