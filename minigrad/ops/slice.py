"""Basic indexing: ints, slices, None and Ellipsis; and its adjoint, which places what was taken."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..core.batch import raised, whole
from ..core.define import primitive
from ..core.lowering import Composed, Move
from ..core.spec import Shape, Spec
from ..errors import IndexSpecError, SpecError
from .boxes import placed
from .broadcast import require_broadcast, unbroadcast

# What stands between the brackets of `x[...]`, as an attribute: an int and None are themselves,
# a slice is the tuple (start, stop, step), and an index that is a tensor is ARRAY.
Key = tuple[Any, ...]
FULL = (None, None, None)
ARRAY = "array"


@functools.lru_cache(maxsize=4096)
def numpy_key(key: Key) -> tuple[Any, ...]:
    """`key` with its tuples as the slices they stand for."""
    return tuple([slice(*part) if type(part) is tuple else part for part in key])


def expanded(x: Any, key: Key, taken: int) -> Key:
    """`key` without Ellipsis and with a part for every axis of `x`, of which it takes `taken`.

    Raises IndexSpecError where it takes more axes than there are.
    """
    missing = len(x.shape) - taken
    if missing < 0 or key.count(...) > 1:
        raise IndexSpecError(
            f"{taken} indices and {key.count(...)} Ellipsis came for {Spec(x.shape, x.dtype)}; "
            f"each index takes an axis, of which there are {len(x.shape)}, and one Ellipsis may "
            "stand for the rest; drop what is too much, or insert axes with x[..., None]"
        )
    if ... in key:
        place = key.index(...)
        return (*key[:place], *[FULL] * missing, *key[place + 1 :])
    return (*key, *[FULL] * missing)


def whole_key(x: Any, key: Key) -> Key:
    """`key`, without masks, with a part for every axis of `x` and no Ellipsis."""
    return expanded(x, key, sum(map(is_taking, key)))


def is_taking(part: Any) -> bool:
    """Whether a part of a key takes an axis of what it indexes."""
    return part is not None and part is not ...


def check_index(x: Any, axis: int, index: int) -> None:
    """Raise IndexSpecError unless `axis` of `x` has a place `index`."""
    n = x.shape[axis]
    if n is not None and not -n <= index < n:
        raise IndexSpecError(
            f"index {index} on axis {axis} of {Spec(x.shape, x.dtype)}: an index is "
            f"{f'from {-n} to {n - 1}' if n else 'impossible, for the axis is empty'}; "
            "choose one of those, or a slice, which is cut to fit"
        )


def sliced_length(part: tuple[Any, ...], n: int | None) -> int | None:
    """How many elements the slice `part` takes of `n`."""
    if part[2] == 0:
        raise SpecError(
            "a slice with a step of 0 came; its elements never arrive; write another step"
        )
    return None if n is None else len(range(*slice(*part).indices(n)))


def sliced_shape(x: Any, key: Key) -> Shape:
    """The shape of `x[key]`, as far as known."""
    if x.shape is None:
        return None
    dims: list[int | None] = []
    axis = 0
    for part in whole_key(x, key):
        if part is None:
            dims.append(1)
            continue
        if type(part) is tuple:
            dims.append(sliced_length(part, x.shape[axis]))
        else:
            check_index(x, axis, part)
        axis += 1
    return tuple(dims)


@primitive(
    infer=lambda x, *, key: Spec(sliced_shape(x, key), x.dtype),
    lower=Move("slice"),
    linear="jointly",
)
def take_slice(x: Any, /, *, key: Key) -> Any:
    """`x[key]`: the op behind indexing with ints, slices, None and Ellipsis.

    key: a tuple of ints, (start, stop, step), None and Ellipsis.
    """
    return np.asarray(x[numpy_key(key)])


def placed_spec(g: Any, x: Any, *, key: Key) -> Spec:
    """The shape of `x`, for `g` that broadcasts to `x[key]`."""
    require_broadcast(g, Spec(sliced_shape(x, key), g.dtype))
    return Spec(x.shape, g.dtype)


@primitive(
    infer=placed_spec,
    lower=Composed(
        lambda g, x, *, key: placed(g, x.shape, sliced_shape(x, key) or (), whole_key(x, key))
    ),
    linear="jointly",
)
def place_slice(g: Any, x: Any, /, *, key: Key) -> Any:
    """Zeros of the shape of `x`, but `g` at `key`; the adjoint of `take_slice`."""
    y = np.zeros(x.shape, g.dtype)
    places = numpy_key(key)
    if g.ndim > np.ndim(y[places]):
        raise ValueError("g has more axes than its place")
    y[places] = g
    return y


take_slice.defbatch(lambda op, n, x, *, key: op(x, key=(FULL, *key)))


place_slice.like = 1


@place_slice.defbatch
def place_slice_batch(op: Any, n: Any, g: Any, x: Any, *, key: Key) -> Any:
    """`g` has as many axes as its place, so that examples do not fall on others."""
    taken = sliced_shape(Spec(x.shape[1:], x.dtype), key) or ()
    return op(raised(g, len(taken)), whole(n, x), key=(FULL, *key))


take_slice.defvjp(lambda g, y, x, *, key: place_slice(g, x, key=key))
place_slice.defvjp(lambda gg, y, g, x, *, key: unbroadcast(take_slice(gg, key=key), g), None)
