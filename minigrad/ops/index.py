"""Indexing by tensors: gather and its adjoint, scatter; and `x[...]`, which chooses among ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import alone, has_one_row, is_shared, raised, rows, whole
from ..core.convert import as_tensor
from ..core.define import composite, primitive, ranked
from ..core.lowering import Composed
from ..core.registry import api
from ..core.spec import Shape, Spec, broadcast_shapes, canonical_axis
from ..core.tensor import Symbol, Tensor, tensor_of
from ..errors import IndexSpecError, SpecError, TraceError
from .adding import add_at, filled_key
from .broadcast import require_broadcast, unbroadcast
from .lookup import Indexing, gathered, scattered
from .shape import reshape
from .slice import (
    ARRAY,
    FULL,
    Key,
    check_index,
    expanded,
    is_taking,
    sliced_length,
    sliced_shape,
    take_slice,
    whole_key,
)

# where the elements are


def gathered_shape(x: Any, indices: tuple[Any, ...], key: Key) -> Shape:
    """The shape of `x[key]`, as far as known, by NumPy's rules.

    Ints and arrays broadcast together; the result has their common axes where they stand, or in
    front where a slice, None or Ellipsis stands between them. A mask stands for as many arrays
    as it has axes.
    """
    if not indices:
        return sliced_shape(x, key)
    if x.shape is None or any(index.shape is None for index in indices):
        return None
    masks = [index for index in indices if index.dtype.kind == "b"]
    taken = sum(map(is_taking, key)) - len(masks) + sum(len(mask.shape) for mask in masks)
    dims: list[Any] = []
    rest = iter(indices)
    common: list[Any] = []  # the specs that broadcast together
    chosen: list[Any] = []  # the parts that are no slices, each with the axis it takes from
    places: list[int] = []  # in `dims`: where the parts of `common` stand
    axis = 0
    for part in expanded(x, key, taken):
        if part is None or type(part) is tuple:
            dims.append(1 if part is None else sliced_length(part, x.shape[axis]))
            axis += part is not None
            continue
        places.append(len(dims))
        if part == ARRAY:
            index = next(rest)
            common.append(counted(x, axis, index))
            chosen.append((axis, index))
            axis += len(index.shape) if index.dtype.kind == "b" else 1
        else:
            chosen.append((axis, part))
            axis += 1
    shape = index_shape(common)
    if 0 not in shape:  # no element is taken where it is: NumPy does not look at the others then
        check_values(x, chosen)
    place = 0 if stands_apart(key) else places[0]
    return (*dims[:place], *shape, *dims[place:])


def indexing(x: Any, indices: tuple[Any, ...], key: Key) -> Indexing | None:
    """What `x[key]` is in loops; None where an index is a mask."""
    if any(index.dtype.kind == "b" for index in indices):
        return None
    return Indexing(x, whole_key(x, key), indices, gathered_shape(x, indices, key) or ())


def index_shape(common: list[Any]) -> tuple[int | None, ...]:
    """The common shape of the index tensors. Raises IndexSpecError where there is none."""
    try:
        return broadcast_shapes("index", *common) or ()
    except SpecError as error:
        raise IndexSpecError(str(error)) from None


def stands_apart(key: Key) -> bool:
    """Whether a slice, None or Ellipsis stands between the ints and arrays of `key`."""
    places = [i for i, part in enumerate(key) if type(part) is int or part == ARRAY]
    return places[-1] - places[0] >= len(places)


def check_values(x: Any, chosen: list[Any]) -> None:
    """Raise IndexSpecError unless the integers that are known are places on their axes."""
    for axis, part in chosen:
        if type(part) is int:
            check_index(x, axis, part)
        elif type(part) is Tensor and part.dtype.kind != "b" and part.size:
            check_index(x, axis, int(part._value.min()))
            check_index(x, axis, int(part._value.max()))


def counted(x: Any, axis: int, index: Any) -> Spec:
    """The spec of an index tensor; of a mask, that of the places where it is true."""
    if index.dtype.kind != "b":
        return Spec(index.shape, np.int64)
    for i, n in enumerate(index.shape):
        if n and x.shape[axis + i] not in (None, n):  # NumPy lets an empty mask pass
            raise IndexSpecError(
                f"a mask of shape {index.shape} came for {Spec(x.shape, x.dtype)}: on axis "
                f"{axis + i} its length must be {x.shape[axis + i]}, that of the tensor; "
                "compute the mask from the tensor itself, as in x[x > 0]"
            )
    number = int(np.count_nonzero(index._value)) if type(index) is Tensor else None
    return Spec((number,), np.int64)


def out_of_range(error: IndexError, x: Any, indices: tuple[Any, ...]) -> IndexSpecError:
    """What to say when NumPy refuses an index."""
    arrays = ", ".join(str(Spec(index.shape, index.dtype)) for index in indices)
    return IndexSpecError(
        f"an index by {arrays} came for {Spec(x.shape, x.dtype)}: {error}; indices are at least "
        "-n and less than n, and a mask has the shape of what it chooses from; correct the "
        "values, or cut them with mg.clip"
    )


# gather, and its adjoint

# keys that take along one axis
ROWS = frozenset((FULL,) * axis + (ARRAY,) for axis in range(8))


def gathered_spec(x: Any, *indices: Any, key: Key) -> Spec:
    """The elements that are chosen."""
    return Spec(gathered_shape(x, indices, key), x.dtype)


@primitive(
    infer=gathered_spec,
    lower=Composed(lambda x, *indices, key: gathered(indexing(x, indices, key))),
    linear="jointly",
)
def gather(x: Any, *indices: Any, key: Key) -> Any:
    """`x[key]`, with the tensors `indices`, integers or masks, where `key` says "array"."""
    try:
        # np.take takes half the time, does not look at the indices where x is empty, and takes
        # uint64 ("L" or "Q") beyond int64 for negative
        if key in ROWS and x.ndim >= len(key) and indices[0].dtype.char not in "?LQ" and x.size:
            return np.asarray(np.take(x, indices[0], len(key) - 1))
        return np.asarray(x[filled_key(key, indices)])
    except IndexError as error:
        raise out_of_range(error, x, indices) from None


def scattered_spec(g: Any, x: Any, *indices: Any, key: Key) -> Spec:
    """The shape of `x`, for `g` that broadcasts to `x[key]`."""
    require_broadcast(g, Spec(gathered_shape(x, indices, key), g.dtype))
    return Spec(x.shape, g.dtype)


@primitive(
    infer=scattered_spec,
    lower=Composed(lambda g, x, *indices, key: scattered(g, indexing(x, indices, key))),
    linear="jointly",
)
def scatter_add(g: Any, x: Any, /, *indices: Any, key: Key) -> Any:
    """Zeros of the shape of `x`, to which `g` is added at `key`; the adjoint of `gather`.

    Where indices repeat, all that arrives is added.
    """
    return added(np.zeros(x.shape, g.dtype), g, x, indices, key)


def added(y: Any, g: Any, x: Any, indices: tuple[Any, ...], key: Key) -> Any:
    """`y`, contiguous and of the shape of `x`, with `g` added at `key`, in place."""
    check_no_excess(g, x, indices, key)
    try:
        add_at(y, key, indices, g)
    except IndexError as error:
        raise out_of_range(error, x, indices) from None
    return y


def check_no_excess(g: Any, x: Any, indices: tuple[Any, ...], key: Key) -> None:
    """Raise for axes of length 1 in front of `g` that `x[key]` lacks: NumPy forgives them."""
    if g.ndim and g.shape[0] == 1:
        require_broadcast(g, Spec(gathered_shape(x, indices, key), g.dtype))


def as_one_index(
    n: Any, x: Any, indices: tuple[Any, ...], key: Key
) -> tuple[Any, list[Any], Key, tuple[int, ...]] | None:
    """What to index, and by what, to index each example; and the axes of the result, in order.

    None where masks differ between examples: then so do shapes.
    """
    example = Spec(x.shape[1:], x.dtype)
    specs = [Spec(index.shape[1:], index.dtype) for index in indices]
    masks = [spec for spec in specs if spec.dtype.kind == "b"]
    rank = len(gathered_shape(example, tuple(specs), key) or ())
    common = max([1 if spec in masks else len(spec.shape or ()) for spec in specs], default=0)
    taken = sum(map(is_taking, key)) + sum(len(mask.shape or ()) - 1 for mask in masks)
    key = expanded(example, key, taken)
    apart = stands_apart(key)
    place = (
        0 if apart else next(i for i, part in enumerate(key) if type(part) is int or part == ARRAY)
    )
    if all(map(has_one_row, indices)):
        front = common if apart else 0
        order = (front, *range(front), *range(front + 1, rank + 1))
        return x, [alone(index) for index in indices], (FULL, *key), order
    if masks:
        return None
    several = [raised(index, common) for index in indices]
    if is_shared(n, x):
        return alone(x), several, key, (place, *range(place), *range(place + 1, rank + 1))
    before = range(1 + common, 1 + common + place)
    after = range(1 + common + place, 1 + rank)
    order = (0, *before, *range(1, 1 + common), *after)
    return x, [rows(n, common), *several], (ARRAY, *key), order


@gather.defbatch
def gather_batch(op: Any, n: Any, x: Any, *indices: Any, key: Key) -> Any:
    """One index for all examples, which counts them where it must."""
    found = as_one_index(n, x, indices, key)
    if found is None:
        return NotImplemented
    x, several, key, order = found
    return api.permute(op(x, *several, key=key), axes=order)


def scatter_batch(op: Any, n: Any, v: Any, x: Any, *indices: Any, **attrs: Any) -> Any:
    """The same index; what arrives is laid out as what it would take."""
    found = as_one_index(n, whole(n, x), indices, attrs["key"])
    if found is None:
        return NotImplemented
    x, several, key, order = found
    back = tuple([order.index(i) for i in range(len(order))])
    v = api.permute(raised(v, len(order) - 1), axes=back)
    return op(v, x, *several, **{**attrs, "key": key})


scatter_add.defbatch(scatter_batch)


@gather.defvjp_joint
def gather_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any, *, key: Key) -> list[Any]:
    """What was taken from a place goes back to it."""
    return [scatter_add(gs[0], *inputs, key=key), *[None] * (len(inputs) - 1)]


@scatter_add.defvjp_joint
def scatter_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any, *, key: Key) -> list[Any]:
    """What arrived at a place is taken from it."""
    g, _, *indices = inputs
    back = unbroadcast(gather(gs[0], *indices, key=key), g)
    return [back, *[None] * (len(inputs) - 1)]


# as users write them


def bound_of(bound: Any) -> int | None:
    """The bound or step of a slice, as an int."""
    try:
        return None if bound is None else int(bound.__index__())
    except AttributeError:
        raise IndexSpecError(
            f"a slice with the bound {bound!r} came; bounds and steps are ints; write int(...)"
        ) from None


def index_of(part: Any) -> Tensor:
    """An index that is an array, a list, a bool or a tensor, as a tensor of integers or bools."""
    index = as_tensor(np.asarray(part) if isinstance(part, bool) else part)
    if index.dtype.kind in "iub":
        return index
    if isinstance(part, list) and index.size == 0:
        return tensor_of(np.zeros(index.shape, np.int64))
    raise IndexSpecError(
        f"an index of {index.spec} came; integers and bools index; "
        "convert it, as in mg.astype(i, mg.int32)"
    )


@composite
def parsed_key(x: Tensor, key: Any, /) -> tuple[Key, tuple[Tensor, ...]]:
    """What stands between the brackets of `x[key]`, as an attribute and the tensors in it."""
    parts: list[Any] = []
    indices: list[Tensor] = []
    for part in key if isinstance(key, tuple) else (key,):
        if part is None or part is ... or type(part) is int:
            parts.append(part)
        elif type(part) is slice:
            parts.append((bound_of(part.start), bound_of(part.stop), bound_of(part.step)))
        elif isinstance(part, np.integer):
            parts.append(int(part))
        else:
            index = index_of(part)
            if type(index) is Tensor and index.shape == () and index.dtype.kind != "b":
                parts.append(int(index))
                continue
            parts.append(ARRAY)
            indices.append(index)
    if type(x) is Symbol and any(map(is_known_mask, indices)):
        return with_places(x, tuple(parts), tuple(indices))
    return tuple(parts), tuple(indices)


def is_known_mask(index: Tensor) -> bool:
    """Whether `index` is a mask whose values are at hand."""
    return type(index) is Tensor and index.dtype.kind == "b" and index.shape != ()


def with_places(x: Tensor, key: Key, indices: tuple[Tensor, ...]) -> tuple[Key, tuple[Tensor, ...]]:
    """The same with known masks as the integers they stand for: a trace then knows how many."""
    gathered_shape(x, indices, key)  # raises for masks that do not fit
    parts: list[Any] = []
    several: list[Tensor] = []
    rest = iter(indices)
    for part in key:
        index = next(rest) if part == ARRAY else None
        if index is None or not is_known_mask(index):
            parts.append(part)
            several += [] if index is None else [index]
        else:
            places = np.nonzero(index._value)
            parts += [ARRAY] * len(places)
            several += [tensor_of(i) for i in places]
    return tuple(parts), tuple(several)


@composite
def getitem(x: Any, key: Any, /) -> Any:
    """`x[key]`, by NumPy's rules.

    key: ints, slices, None, Ellipsis, and tensors or lists of integers or bools. A view where no
    tensor is among them. Raises IndexSpecError, an IndexError, for what `x` does not have.
    """
    x = api.asarray(x)
    if type(key) is int:
        return take_slice(x, key=(key,))
    try:
        parts, indices = parsed_key(x, key)
    except TraceError:  # a slice by bounds that are computed
        return api.computed_slices(x, key)
    return gather(x, *indices, key=parts) if indices else take_slice(x, key=parts)


@composite
@ranked
def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """The slices of `x` along `axis` that `indices` name.

    indices: integers of any shape, which takes the place of `axis`. axis: None takes of all
    elements in row-major order. Array API: take.
    """
    x = api.asarray(x)
    if axis is None:
        return take(reshape(x, -1), indices, axis=0)
    axis = canonical_axis("take", axis, x.ndim)
    return gather(x, index_of(indices), key=(FULL,) * axis + (ARRAY,))
