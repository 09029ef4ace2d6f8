"""Finding elements: where they are, among which others, and each of them once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.batch import alone, has_one_row, whole
from ..core.convert import as_tensor
from ..core.define import composite, primitive
from ..core.registry import api
from ..core.spec import Spec
from ..core.tensor import Tensor, is_number
from ..errors import SpecError
from .dtypes import result_type
from .index import take
from .join import unstack
from .shape import reshape

# where elements are not 0


def nonzero_spec(x: Any) -> Spec:
    """An index for each axis, of as many places as only values can tell."""
    if x.shape == ():
        raise SpecError(
            f"nonzero: {Spec(x.shape, x.dtype)} came; places are counted along axes, and there is "
            "none; write x != 0, or make an axis with mg.reshape(x, -1)"
        )
    number = int(np.count_nonzero(x._value)) if type(x) is Tensor else None
    return Spec((None if x.shape is None else len(x.shape), number), np.int64)


@primitive(infer=nonzero_spec)
def nonzero_places(x: Any, /) -> Any:
    """The indices of the elements that are not 0, a row for each axis; the op of `nonzero`."""
    return np.stack(np.nonzero(x))


@composite
def nonzero(x: Any, /) -> tuple[Tensor, ...]:
    """Where `x` is not 0: for each axis the indices, int64, in row-major order.

    x: at least one axis; how many must be known. Returns one tensor for each axis, all as long as
    there are such elements: in a traced function, a dim that is not known. Array API: nonzero.
    """
    return unstack(nonzero_places(api.asarray(x)), axis=0)


# where elements belong


def sorted_place_spec(x1: Any, x2: Any, *, right: bool) -> Spec:
    """int64, of the shape of `x2`; `x1` has one axis."""
    if x1.shape is not None and len(x1.shape) != 1:
        raise SpecError(
            f"searchsorted: {Spec(x1.shape, x1.dtype)} came to be searched; it has one axis, in "
            "ascending order; flatten and sort it, or write mg.vmap for several"
        )
    return Spec(x2.shape, np.int64)


@primitive(infer=sorted_place_spec)
def sorted_place(x1: Any, x2: Any, /, *, right: bool) -> Any:
    """Where elements of `x2` belong in the sorted `x1`; the op behind `searchsorted`.

    right: behind those that are equal to it, and not in front.
    """
    return np.asarray(np.searchsorted(x1, x2, "right" if right else "left"))


@sorted_place.defbatch
def sorted_place_batch(op: Any, n: Any, x1: Any, x2: Any, *, right: bool) -> Any:
    """All examples are looked up at once, where they are looked up in the same."""
    return op(alone(x1), whole(n, x2), right=right) if has_one_row(x1) else NotImplemented


@composite
def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """Where the elements of `x2` would have to be put in, for `x1` to stay sorted.

    x1: one axis, in ascending order, or in the order that `sorter`, indices, makes ascending.
    x2: any shape, or a number. side: "left" puts equals in front, "right" behind.
    Returns indices, int64, of the shape of `x2`. Array API: searchsorted.
    """
    x1 = api.asarray(x1)
    x2 = as_tensor(x2, result_type(x1, x2)) if is_number(x2) else api.asarray(x2)
    if not isinstance(side, str) or side not in ("left", "right"):
        raise SpecError(
            f'searchsorted: side {side!r} came; equals are put in on the "left" or on the "right"; '
            "write one of these"
        )
    return sorted_place(x1 if sorter is None else take(x1, sorter), x2, right=side == "right")


# whether elements are among others


@primitive(infer=lambda x1, x2, *, invert: Spec(x1.shape, np.bool_))
def membership(x1: Any, x2: Any, /, *, invert: bool) -> Any:
    """Whether elements of `x1` are among those of `x2`, or are not; the op behind `isin`."""
    return np.asarray(np.isin(x1, x2, invert=invert))


@membership.defbatch
def membership_batch(op: Any, n: Any, x1: Any, x2: Any, *, invert: bool) -> Any:
    """All examples are looked up at once, where they are looked up in the same."""
    return op(whole(n, x1), alone(x2), invert=invert) if has_one_row(x2) else NotImplemented


@composite
def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Any:
    """Whether each element of `x1` is equal to some element of `x2`; bool.

    x1, x2: any shapes, or numbers. invert: whether it is to none. Array API: isin.
    """
    return membership(api.asarray(x1), api.asarray(x2), invert=invert)


# each element once


def unique_spec(x: Any) -> tuple[Spec, Spec, Spec]:
    """int64; of how many elements, only values can tell."""
    number = len(unique_places.kernel(x._value)[0]) if type(x) is Tensor else None
    several = Spec((number,), np.int64)
    return several, Spec(x.shape, np.int64), several


@primitive(infer=unique_spec)
def unique_places(x: Any, /) -> tuple[Any, Any, Any]:
    """Of each element of the flat `x`, in ascending order: its first place, how it is numbered
    among them (of the shape of `x`), and how often it occurs.

    Each nan is an element of its own; 0.0 and -0.0 are the same.
    """
    _, places, numbers, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    return places, numbers.reshape(x.shape), counts


for _op in (nonzero_places, sorted_place, unique_places):
    _op.no_gradient("a place is a whole number")
membership.no_gradient("a test is piecewise constant")


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Tensor
    inverse_indices: Tensor


@composite
def unique_all(x: Any, /) -> UniqueAll:
    """The elements of the flat `x`, each once and in ascending order, and where they came from.

    x: any shape. Returns values; indices, the first place of each in the flat `x`;
    inverse_indices, of the shape of `x`, with values[inverse_indices] = x; and counts, how often
    each occurs. All but the values are int64. Each nan is a value of its own. How many values
    there are is not known in a traced function. The derivative of a value goes to the first
    element that has it. Array API: unique_all.
    """
    x = api.asarray(x)
    places, numbers, counts = unique_places(x)
    return UniqueAll(take(reshape(x, -1), places), places, numbers, counts)


@composite
def unique_counts(x: Any, /) -> UniqueCounts:
    """The elements of `x`, each once, and how often they occur. Array API: unique_counts."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


@composite
def unique_inverse(x: Any, /) -> UniqueInverse:
    """The elements of `x`, each once, and which of them `x` is made of. Array API: unique_inverse.

    Both as in `unique_all`.
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


@composite
def unique_values(x: Any, /) -> Tensor:
    """The elements of `x`, each once, as in `unique_all`. Array API: unique_values."""
    return unique_all(x).values
