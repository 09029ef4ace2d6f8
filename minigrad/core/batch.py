"""Batching rules: how an op acts on many examples at once, laid along a new first axis.

A rule is `rule(op, n, *xs, **attrs)`. Each tensor of `xs` has one axis more than in one example,
in front: `n` long, or 1 where all examples share it; and so have the results. n is an int, or a
0-d tensor where a trace does not know it. A rule that has nothing to say of some inputs returns
NotImplemented; then the op is applied to one example after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .registry import api
from .tensor import Tensor

Rule = Callable[..., Any]


def is_shared(n: Any, x: Any) -> bool:
    """Whether `x` has one row that all examples share."""
    return x.shape[0] == 1 and not (type(n) is int and n == 1)


def has_one_row(x: Any) -> bool:
    """Whether `x` has one row: for all examples, or there is but one."""
    return bool(x.shape[0] == 1)


def whole(n: Any, x: Any) -> Any:
    """`x` with a row for each example."""
    if not isinstance(x, Tensor) or not is_shared(n, x):
        return x
    return api.broadcast_to(x, (n, *api.dims_of(x)[1:]))


def alone(x: Any) -> Any:
    """The one row that all examples share."""
    return api.drop_axes(x, axes=(0,))


def raised(x: Any, rank: int) -> Any:
    """`x` with axes of length 1 behind the first, so that one example has `rank` axes."""
    missing = rank - (x.ndim - 1)
    return api.insert_axes(x, axes=tuple(range(1, 1 + missing))) if missing > 0 else x


def rows(n: Any, rank: int = 0) -> Any:
    """The numbers of the examples, with `rank` axes of length 1 behind."""
    counted = api.cumulative_sum(api.full((n,), 1, dtype="int64"), axis=0) - 1
    return api.insert_axes(counted, axes=tuple(range(1, 1 + rank))) if rank else counted


# rules that several ops have


def as_it_is(op: Any, n: Any, *xs: Any, **attrs: Any) -> Any:
    """Of ops that take no notice of axes in front: the same."""
    return op(*[whole(n, x) for x in xs] if len(xs) > 1 else xs, **attrs)


def along_axes(op: Any, n: Any, *xs: Any, **attrs: Any) -> Any:
    """Of ops along their attribute `axes` or `axis`: one further; all but the first for None."""
    xs = tuple([whole(n, x) for x in xs]) if len(xs) > 1 else xs
    if "axis" in attrs:
        return op(*xs, **{**attrs, "axis": attrs["axis"] + 1})
    axes = attrs["axes"]
    moved = range(1, xs[0].ndim) if axes is None else [axis + 1 for axis in axes]
    return op(*xs, **{**attrs, "axes": tuple(moved)})


def folded(count: int) -> Rule:
    """Of ops whose first axis is a batch already: the examples join it, in `count` of the inputs.

    The others must be shared.
    """

    def rule(op: Any, n: Any, *xs: Any, **attrs: Any) -> Any:
        if not all(map(has_one_row, xs[count:])):
            return NotImplemented
        dims = api.dims_of(whole(n, xs[0]))[:2]
        flat = [
            api.reshape(x, (-1, *api.dims_of(x)[2:])) for x in [whole(n, x) for x in xs[:count]]
        ]
        y = op(*flat, *[alone(x) for x in xs[count:]], **attrs)
        return api.reshape(y, (*dims, *api.dims_of(y)[1:]))

    return rule
