"""Adding in place where indices say, as often as they repeat, by NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .slice import ARRAY, Key, numpy_key


def filled_key(key: Key, indices: tuple[Any, ...]) -> tuple[Any, ...]:
    """`key` as NumPy takes it, with the arrays `indices` in the places of ARRAY."""
    if not indices:
        return numpy_key(key)
    rest = iter(indices)
    return tuple([in_int64(next(rest)) if part == ARRAY else part for part in numpy_key(key)])


def in_int64(index: Any) -> Any:
    """An index whose numbers mean themselves to NumPy, which takes those beyond int64 as negative.

    Raises IndexError for such.
    """
    if index.dtype != np.uint64:
        return index
    if index.size and int(index.max()) > np.iinfo(np.int64).max:
        raise IndexError(f"index {index.max()} is out of bounds for any axis")
    return index.astype(np.int64)


def add_at(y: Any, key: Key, indices: tuple[Any, ...], g: Any) -> None:
    """Add `g` to `y[key]`, in place, as often as an index repeats."""
    masks = [index.dtype.kind == "b" for index in indices]
    if all(masks) and len(masks) < 2:
        y[filled_key(key, indices)] += g
    elif g.size > 256 and not any(masks) and set(key) == {ARRAY}:
        add_rows(y, indices, g)
    else:
        combine_at(np.add, y, filled_key(key, indices), g)


def combine_at(ufunc: Any, y: Any, key: Any, v: Any) -> None:
    """`ufunc.at(y, key, v)` for a `v` that broadcasts to `y[key]`."""
    # NumPy 2.4 reads past the end of a `v` of one axis that it broadcasts over several of indices
    if v.ndim and v.shape != (shape := y[key].shape):
        v = np.broadcast_to(v, shape)
    ufunc.at(y, key, v)


def add_rows(y: Any, indices: tuple[Any, ...], g: Any) -> None:
    """Add `g` to `y[indices]` of a contiguous `y`, in place.

    On flat arrays np.add.at takes a third of the time.
    """
    lead, rest = y.shape[: len(indices)], y.shape[len(indices) :]
    fronts = [counted_from_the_front(index, n) for index, n in zip(indices, lead, strict=True)]
    rows = np.ravel_multi_index(np.broadcast_arrays(*fronts), lead)
    size = math.prod(rest)
    places = rows[..., None] * size + np.arange(size)
    np.add.at(y.reshape(-1), places.ravel(), np.broadcast_to(g, (*rows.shape, *rest)).ravel())


def counted_from_the_front(index: Any, n: int) -> Any:
    """Indices into `n` places, the negative ones counted from the front. Raises IndexError."""
    index = in_int64(index)
    if index.size and (index.min() < -n or index.max() >= n):
        raise IndexError(f"an index is out of bounds for an axis of {n}")
    return np.where(index < 0, index + n, index)
