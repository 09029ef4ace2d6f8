"""Looking up elements of a tensor by tensors of places, and adding up in places, said for loops.

Indexing by tensors is made of three steps in loops. One finds out whether all indices are within
bounds. It cannot raise; who calls the loops looks, and has `in_bounds` say what is wrong. The next
loop counts them from the front, and reads or writes. What is known of the rest is said by axis, so
that it knows where: `axes` has, for each axis of the table, the axis of the result that runs along
it, or None where the next one of the places says which element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.lowering import Lookup, Reduce, Require, Scatter
from ..core.op import MADE_LATE, Op
from ..core.registry import api
from ..core.spec import Spec
from ..errors import IndexSpecError
from .broadcast import reduce_sum
from .reduce import reduce_any, reduce_max, reduce_min, reduce_prod

Axes = tuple[int | None, ...]
FULL = (None, None, None)


def wide(dtype: np.dtype[Any], n: int) -> np.dtype[Any]:
    """The dtype of places among `n`: int32 where indices are and it has room, else int64."""
    return np.dtype(np.int32 if dtype == np.int32 and n < 2**31 else np.int64)


def within_bounds(
    outside: Any, indices: Any, *, axis: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    """False. Raises IndexSpecError where `indices` name no places along `axis` of a tensor."""
    n = shape[axis]
    low, high = (int(indices.min()), int(indices.max())) if indices.size else (0, -1)
    if low < -n or high >= n:
        wrong = low if low < -n else high
        raise IndexSpecError(
            f"an index by {Spec(indices.shape, indices.dtype)} came for {Spec(shape, dtype)}: "
            f"index {wrong} is out of bounds for axis {axis} with size {n}; indices are at least "
            "-n and less than n; correct the values, or cut them with mg.clip"
        )
    return np.asarray(outside)


def all_places(x_shape: Sequence[int], places: Sequence[Any], axes: Axes, rank: int) -> Any:
    """An index for each axis of a table, as NumPy takes them."""
    rest = iter(places)
    return tuple(
        [
            next(rest)
            if axis is None
            else np.arange(n).reshape([-1 if a == axis else 1 for a in range(rank)])
            for n, axis in zip(x_shape, axes, strict=True)
        ]
    )


def looked_up(x: Any, *places: Any, axes: Axes, shape: tuple[int, ...]) -> Any:
    """The elements of `x` in `places`, which broadcast to `shape`, that of the result."""
    found = x[all_places(x.shape, places, axes, len(shape))]
    return np.asarray(np.broadcast_to(found, shape), order="C")  # of no axes, too


def arrived(fold: Op | None, y: Any, v: Any, places: Sequence[Any], axes: Axes) -> Any:
    """`y`, where `v` has arrived in `places`; see `Scatter`."""
    index = all_places(y.shape, places, axes, v.ndim)
    index = tuple(np.broadcast_arrays(*index, v)[:-1])
    if fold is None:
        y[index] = v
    else:
        UFUNCS[fold].at(y, index, v)
    return y


def places_along(x: Any, indices: Any, axis: int) -> Any:
    """The places along `axis` of `x` that `indices` name; of `x`, only the spec is asked."""
    n, kind = x.shape[axis], indices.dtype
    beyond = api.greater_equal(indices, n) if n <= np.iinfo(kind).max else None
    before = api.less(indices, -n) if -n >= np.iinfo(kind).min and kind.kind == "i" else None
    conditions = [x for x in (beyond, before) if x is not None]
    found = api.astype(indices, wide(kind, n))
    if conditions:
        outside = conditions[0] if len(conditions) == 1 else api.logical_or(*conditions)
        outside = reduce_any(outside, axes=tuple(range(indices.ndim)))
        attrs = {"axis": axis, "shape": tuple(x.shape), "dtype": x.dtype}
        outside = in_bounds(outside, indices, **attrs)
        # never true then, but what is computed of it comes after the look at it
        found = api.where(outside, 0, found)
    return api.where(api.less(found, 0), found + n, found) if kind.kind == "i" else found


in_bounds = Op(
    within_bounds,
    infer=lambda outside, indices, *, axis, shape, dtype: Spec((), np.bool_),
    name="in_bounds",
    lower=Require(),
)
look_up = Op(
    looked_up,
    infer=lambda x, *places, axes, shape: Spec(shape, x.dtype),
    name="look_up",
    lower=Lookup(),
)
UFUNCS = {
    reduce_sum: np.add,
    reduce_prod: np.multiply,
    reduce_max: np.maximum,
    reduce_min: np.minimum,
}


def scatter_op(name: str, fold: Op | None, *, onto: bool) -> Op:
    """The op of what arrives in places, `name`; see `Scatter`."""

    def begun(v: Any, *places: Any, axes: Axes, shape: tuple[int, ...]) -> Any:
        assert fold is not None and isinstance(fold.lower, Reduce)
        return arrived(fold, np.full(shape, fold.lower.init(v.dtype), v.dtype), v, places, axes)

    def written(x: Any, v: Any, *places: Any, axes: Axes, shape: tuple[int, ...]) -> Any:
        return arrived(fold, np.array(x), v, places, axes)

    return Op(
        written if onto else begun,
        infer=lambda x, *others, axes, shape: Spec(shape, x.dtype),
        name=name,
        lower=Scatter(fold, onto),
    )


add_up = scatter_op("add_up", reduce_sum, onto=False)
multiply_up = scatter_op("multiply_up", reduce_prod, onto=False)
largest_of = scatter_op("largest_of", reduce_max, onto=False)
smallest_of = scatter_op("smallest_of", reduce_min, onto=False)
add_onto = scatter_op("add_onto", reduce_sum, onto=True)
write_onto = scatter_op("write_onto", None, onto=True)
for _op in (in_bounds, look_up, add_up, multiply_up, largest_of, smallest_of, add_onto, write_onto):
    _op.opaque = MADE_LATE


class Indexing:
    """What `x[key]` means by tensor indices that are no masks: a view, and what is looked up.

    view: the key of the slices and ints. axes: as above, of the view. shape: of `x[key]`.
    """

    def __init__(self, x: Any, key: Sequence[Any], indices: Sequence[Any], shape: Sequence[Any]):
        self.x, self.key, self.indices, self.shape = x, key, indices, tuple(shape)
        self.view = tuple([FULL if part == "array" else part for part in key])
        kept = [part for part in key if type(part) is not int]
        chosen = [k for k, part in enumerate(key) if type(part) is int or part == "array"]
        apart = chosen[-1] - chosen[0] >= len(chosen)
        common = len(shape) - sum(part != "array" for part in kept)
        before = sum(part != "array" and type(part) is not int for part in key[: chosen[0]])
        self.first = 0 if apart else before
        others = [k for k in range(len(shape)) if not self.first <= k < self.first + common]
        rest = iter(others)
        self.axes: Axes = tuple([None if part == "array" else next(rest) for part in kept])
        self.common = common

    def looked_into(self) -> Any:
        """The part of `x` that the indices index."""
        plain = all(part == FULL for part in self.view) and len(self.view) == self.x.ndim
        return self.x if plain else api.take_slice(self.x, key=self.view)

    def places(self) -> list[Any]:
        """The indices, checked, with an axis for each of the result."""
        whole = [part for part in self.key if part is not None]
        taken = [axis for axis, part in enumerate(whole) if part == "array"]
        found = []
        for index, axis in zip(self.indices, taken, strict=True):
            behind = len(self.shape) - self.first - self.common
            ahead = self.first + self.common - index.ndim
            shape = (*[1] * ahead, *index.shape, *[1] * behind)
            found.append(api.reshape_to(places_along(self.x, index, axis), shape=shape))
        return found


def gathered(how: Indexing | None) -> Any:
    """`x[key]`; None for None."""
    if how is None:
        return None
    return look_up(how.looked_into(), *how.places(), axes=how.axes, shape=how.shape)


def scattered(g: Any, how: Indexing | None) -> Any:
    """Zeros like `x`, to which `g` is added at `key`; None for None."""
    if how is None:
        return None
    view = how.looked_into()
    g = api.broadcast_to(g, how.shape)
    y = add_up(g, *how.places(), axes=how.axes, shape=tuple(view.shape))
    return y if view is how.x else api.place_slice(y, how.x, key=how.view)


def arriving(op: Op, v: Any, how: Indexing | None) -> Any:
    """What `op` makes of `v`, which arrives at `key`; None where it is a part that is indexed."""
    if how is None or how.looked_into() is not how.x:
        return None
    v = api.broadcast_to(v, how.shape)
    assert isinstance(op.lower, Scatter)
    given = (how.x, v) if op.lower.onto else (v,)
    return op(*given, *how.places(), axes=how.axes, shape=tuple(how.x.shape))


def along(x: Any, indices: Any, axis: int) -> tuple[Any, Axes]:
    """The places along one axis, checked, and the axes, of taking along it."""
    axes = tuple([None if k == axis else k for k in range(x.ndim)])
    return places_along(x, indices, axis), axes
