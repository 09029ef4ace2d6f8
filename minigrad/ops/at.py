"""Functional updates: `x.at[i].set(v)` is `x` with `v` at `i`, and `x` is as before."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import raised, whole
from ..core.define import composite, primitive
from ..core.lowering import Composed
from ..core.registry import api
from ..core.spec import Spec
from ..core.tensor import Tensor
from ..errors import SpecError
from .adding import combine_at, filled_key
from .arithmetic import add, multiply, power
from .boxes import put
from .broadcast import require_broadcast, unbroadcast
from .index import (
    added,
    check_no_excess,
    gather,
    gather_batch,
    gathered_shape,
    indexing,
    out_of_range,
    parsed_key,
    scatter_add,
    scatter_batch,
)
from .logic import astype, equal, maximum, minimum, where
from .lookup import add_onto, arriving, largest_of, multiply_up, smallest_of, write_onto
from .reduce import highest, lowest
from .slice import FULL, Key, place_slice, sliced_shape, take_slice, whole_key

Tensors = tuple[Any, ...]


def taken(x: Any, indices: Tensors, key: Key) -> Any:
    """`x[key]`."""
    return gather(x, *indices, key=key) if indices else take_slice(x, key=key)


def arrived(g: Any, x: Any, indices: Tensors, key: Key) -> Any:
    """Zeros of the shape of `x`, to which `g` is added at `key`."""
    return scatter_add(g, x, *indices, key=key) if indices else place_slice(g, x, key=key)


def repeats(indices: Tensors) -> bool:
    """Whether a key with these tensors may name an element twice. Slices and masks do not."""
    return any(index.dtype.kind != "b" for index in indices) or len(indices) > 1


def written_spec(v: Any, x: Any, *indices: Any, key: Key, **options: Any) -> Spec:
    """The shape of `x`, for `v` that broadcasts to `x[key]`."""
    require_broadcast(v, Spec(gathered_shape(x, indices, key), v.dtype))
    return Spec(x.shape, v.dtype)


def written(y: Any, v: Any, indices: Tensors, key: Key, ufunc: Any = None) -> Any:
    """`y` with `v` at `key`, in place; combined by `ufunc`, as often as an index repeats."""
    check_no_excess(v, y, indices, key)
    try:
        if ufunc is None:
            y[filled_key(key, indices)] = v
        else:
            combine_at(ufunc, y, filled_key(key, indices), v)
    except IndexError as error:
        raise out_of_range(error, y, indices) from None
    return y


def sliced_or_scattered(op: Any, n: Any, v: Any, x: Any, *indices: Any, **attrs: Any) -> Any:
    """The batching rule of ops on what arrives at slices alone, or at indices."""
    if indices:
        return scatter_batch(op, n, v, x, *indices, **attrs)
    dims = gathered_shape(Spec(x.shape[1:], x.dtype), (), attrs["key"]) or ()
    return op(raised(v, len(dims)), whole(n, x), **{**attrs, "key": (FULL, *attrs["key"])})


# what arrives, in the place of what was


def set_spec(x: Any, v: Any, *indices: Any, key: Key) -> Spec:
    """The spec of `x`, for `v` that broadcasts to `x[key]`."""
    if v.dtype.kind == "c" and x.dtype.kind != "c":
        raise SpecError(
            f"x.at[...].set of {Spec(x.shape, x.dtype)} by {Spec(v.shape, v.dtype)}: a real tensor "
            "has no room for complex numbers; set their mg.real, or cast the tensor first"
        )
    return Spec(written_spec(v, x, *indices, key=key).shape, x.dtype)


def set_in_loops(x: Any, v: Any, *indices: Any, key: Key) -> Any:
    """`x` with `v` at `key`, as loops do it; None where they do not."""
    if indices:
        v = astype(v, x.dtype)
        return arriving(write_onto, v, indexing(x, indices, key))
    return put(x, v, sliced_shape(x, key) or (), whole_key(x, key))


@primitive(infer=set_spec, lower=Composed(set_in_loops), linear="jointly")
def set_at(x: Any, v: Any, /, *indices: Any, key: Key) -> Any:
    """`x` with `v` at `key`; where indices repeat, the last stays. Behind `x.at[...].set`."""
    if v.dtype.kind == "c" and x.dtype.kind != "c":
        raise TypeError("a real array has no room for complex numbers")
    return written(np.array(x, order="C"), v, indices, key)


@set_at.defbatch
def set_batch(op: Any, n: Any, x: Any, v: Any, *indices: Any, key: Key) -> Any:
    """As of ops on what arrives, but for the order of the inputs."""

    def arriving(v: Any, x: Any, *at: Any, key: Key) -> Any:
        return op(x, v, *at, key=key)

    return sliced_or_scattered(arriving, n, v, x, *indices, key=key)


@set_at.defvjp_joint
def set_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any, *, key: Key) -> list[Any]:
    """Nothing to what was overwritten, be it of `x` or of `v`."""
    (g,), (x, v, *indices) = gs, inputs
    to_x = to_v = None
    if needed[0]:
        to_x = set_at(g, api.zeros((), dtype=g.dtype), *indices, key=key)
    if needed[1]:
        to_v = taken(g, tuple(indices), key)
        if repeats(tuple(indices)):
            to_v = where(stays(x, *indices, key=key), to_v, 0)
        to_v = unbroadcast(to_v, v)
    return [to_x, to_v, *[None] * len(indices)]


# what arrives, added to what was


def added_in_loops(x: Any, v: Any, *indices: Any, key: Key) -> Any:
    """`x` with `v` added at `key`, as loops do it; None where they do not."""
    if not indices:
        return put(x, v, sliced_shape(x, key) or (), whole_key(x, key), add)
    found = arriving(add_onto, v, indexing(x, indices, key))
    return x + arrived(v, x, indices, key) if found is None else found


@primitive(infer=set_spec, lower=Composed(added_in_loops), linear="jointly")
def add_at(x: Any, v: Any, /, *indices: Any, key: Key) -> Any:
    """`x` with `v` added at `key`, as often as an index repeats. Behind `x.at[...].add`."""
    if v.dtype.kind == "c" and x.dtype.kind != "c":
        raise TypeError("a real array has no room for complex numbers")
    return added(np.array(x, order="C"), v, x, indices, key)


@add_at.defvjp_joint
def add_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any, *, key: Key) -> list[Any]:
    """All of it to `x`, and to `v` what went where it arrived."""
    (g,), (_, v, *indices) = gs, inputs
    to_v = unbroadcast(taken(g, tuple(indices), key), v) if needed[1] else None
    return [g if needed[0] else None, to_v, *[None] * len(indices)]


add_at.defbatch(set_batch)


# which of those that arrive stay


def stays_spec(x: Any, *indices: Any, key: Key) -> Spec:
    """bool, of the shape of `x[key]`."""
    return Spec(gathered_shape(x, indices, key), np.bool_)


@primitive(infer=stays_spec)
def stays(x: Any, /, *indices: Any, key: Key) -> Any:
    """For each element of `x[key]`, whether it is the last that an assignment there writes."""
    try:
        places = filled_key(key, indices)
        order = np.arange(x[places].size).reshape(x[places].shape)
        found = np.empty(x.shape, order.dtype)
        found[places] = order
        return np.asarray(found[places] == order)
    except IndexError as error:
        raise out_of_range(error, x, indices) from None


stays.no_gradient("a place is a whole number")
stays.defbatch(lambda op, n, x, *indices, key: gather_batch(op, n, whole(n, x), *indices, key=key))


# what arrives, multiplied


def multiplied_in_loops(v: Any, x: Any, *indices: Any, key: Key) -> Any:
    """`scatter_product` as loops do it; None for slices and masks."""
    return arriving(multiply_up, v, indexing(x, indices, key)) if indices else None


@primitive(infer=written_spec, lower=Composed(multiplied_in_loops))
def scatter_product(v: Any, x: Any, /, *indices: Any, key: Key) -> Any:
    """Ones of the shape of `x`, multiplied by `v` at `key`, as often as an index repeats."""
    return written(np.ones(x.shape, v.dtype), v, indices, key, np.multiply)


@scatter_product.defvjp_joint
def scatter_product_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any, *, key: Key) -> list[Any]:
    """To each factor the product of the others that arrive in its place. `v` may be 0."""
    v, x, *several = inputs
    indices = tuple(several)
    g = taken(gs[0], indices, key)
    if repeats(indices):
        zero = equal(v, 0)
        factors = where(zero, 1, v)
        zeros = taken(arrived(astype(zero, v.dtype), x, indices, key), indices, key)
        product = taken(scatter_product(factors, x, *indices, key=key), indices, key)
        alone, none = equal(zeros, 1), equal(zeros, 0)
        g = g * where(zero, where(alone, product, 0), where(none, product / factors, 0))
    return [unbroadcast(g, v), None, *[None] * len(indices)]


# the largest or smallest that arrives


def ordered_spec(v: Any, x: Any, *indices: Any, key: Key, largest: bool) -> Spec:
    """The shape of `x`, for real `v` that broadcasts to `x[key]`."""
    if v.dtype.kind == "c":
        raise SpecError(
            f"x.at[...].max or min of {Spec(x.shape, v.dtype)}: complex numbers have no order; "
            "update their mg.real and mg.imag, or write mg.where"
        )
    return written_spec(v, x, *indices, key=key)


def ordered_in_loops(v: Any, x: Any, *indices: Any, key: Key, largest: bool) -> Any:
    """`scatter_extreme` as loops do it; None for slices and masks."""
    op = largest_of if largest else smallest_of
    return arriving(op, v, indexing(x, indices, key)) if indices else None


@primitive(infer=ordered_spec, lower=Composed(ordered_in_loops))
def scatter_extreme(v: Any, x: Any, /, *indices: Any, key: Key, largest: bool) -> Any:
    """The largest, or smallest, of `v` that arrives at `key` in the shape of `x`.

    Where nothing arrives, the lowest, or highest, number of the dtype.
    """
    start = lowest(v.dtype) if largest else highest(v.dtype)
    y = np.full(x.shape, start, v.dtype)
    return written(y, v, indices, key, np.maximum if largest else np.minimum)


@scatter_extreme.defvjp_joint
def scatter_extreme_vjp(
    gs: Any, outputs: Any, inputs: Any, needed: Any, *, key: Key, largest: bool
) -> list[Any]:
    """To those that are the extreme, in equal shares."""
    v, x, *several = inputs
    indices = tuple(several)
    hits = astype(equal(v, taken(outputs[0], indices, key)), gs[0].dtype)
    among = maximum(arrived(hits, x, indices, key), 1)
    return [unbroadcast(taken(gs[0] / among, indices, key) * hits, v), *[None] * (len(indices) + 1)]


for _op in (scatter_product, scatter_extreme):
    _op.defbatch(sliced_or_scattered)


# as users write them


@composite
class At:
    """What `x.at` is: index it to name the elements to update."""

    __slots__ = ("x",)

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __getitem__(self, key: Any) -> Place:
        return Place(self.x, key)


class Place:
    """What `x.at[key]` is: its methods give `x` with the elements at `key` updated.

    Values broadcast to `x[key]`, and are cast to the dtype of `x`. Where an index repeats, every
    update counts, but for `set`, where the last one stays. All are differentiable in `x` and `v`.
    """

    __slots__ = ("indices", "key", "x")

    def __init__(self, x: Tensor, key: Any) -> None:
        self.x = x
        self.key, self.indices = parsed_key(x, key)

    def set(self, v: Any) -> Any:
        """`x` with `v` in these places."""
        return set_at(self.x, self._cast(v), *self.indices, key=self.key)

    def add(self, v: Any) -> Any:
        """`x` with `v` added in these places."""
        return add_at(self.x, self._cast(v), *self.indices, key=self.key)

    def multiply(self, v: Any) -> Any:
        """`x` with these places multiplied by `v`."""
        return multiply(self.x, self._product(v))

    def divide(self, v: Any) -> Any:
        """`x` with these places divided by `v`; floating."""
        if self.x.dtype.kind not in "fc":
            raise SpecError(
                f"x.at[...].divide of {self.x.spec}: quotients are not integers, and the update "
                "keeps the dtype; cast first, as in mg.astype(x, mg.float32)"
            )
        return self.x / self._product(v)

    def power(self, v: Any) -> Any:
        """`x` with these places raised to the power `v`."""
        return power(self.x, self._product(v))

    def max(self, v: Any) -> Any:
        """`x` with these places no smaller than `v`."""
        return maximum(self.x, self._extreme(v, largest=True))

    def min(self, v: Any) -> Any:
        """`x` with these places no larger than `v`."""
        return minimum(self.x, self._extreme(v, largest=False))

    def _cast(self, v: Any) -> Any:
        return astype(api.asarray(v), self.x.dtype)  # cut off as NumPy's assignment does

    def _product(self, v: Any) -> Any:
        return scatter_product(self._cast(v), self.x, *self.indices, key=self.key)

    def _extreme(self, v: Any, *, largest: bool) -> Any:
        return scatter_extreme(self._cast(v), self.x, *self.indices, key=self.key, largest=largest)
