"""Broadcasting and its adjoint, the sum: each is the derivative of the other."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..core.batch import alone, along_axes, has_one_row, raised, whole
from ..core.convert import as_tensor
from ..core.define import composite, primitive, ranked
from ..core.lowering import Move, Reduce
from ..core.registry import api
from ..core.spec import (
    DEFAULTS,
    FLOAT16,
    Shape,
    Spec,
    UnknownRankError,
    as_shape,
    as_truth,
    canonical_axes,
    unknown_rank,
)
from ..core.spec import broadcast_shapes as common_shape
from ..core.tensor import Tensor
from ..errors import SpecError
from .axes import insert_axes
from .shape import STATIC_FORMS, is_static, shape_of, static_dims

Axes = tuple[int, ...] | None
# up to so many elements a copy is made sooner than NumPy makes a view, by a factor of ten
SMALL = 1024


# the sum


def reduced_shape(name: str, x: Any, axes: Axes) -> Shape:
    """The shape of `x` without `axes`; None for all of them."""
    if axes is None:
        return ()
    if x.shape is None:
        return None
    dropped = canonical_axes(name, axes, len(x.shape)) or ()
    return tuple([n for i, n in enumerate(x.shape) if i not in dropped])


@primitive(
    infer=lambda x, *, axes: Spec(reduced_shape("sum", x, axes), x.dtype),
    lower=Reduce(lambda dtype: 0, lambda b, total, x: b.add(total, x), kinds="fiuc"),
    linear="jointly",
)
def reduce_sum(x: Any, /, *, axes: Axes) -> Any:
    """Sum over `axes` (None: all), which are dropped; the dtype is kept. Behind `sum`."""
    if x.dtype is FLOAT16:  # rounded once: 2048 and 1 are 2048 in float16
        return reduce_sum.kernel(x.astype(np.float32), axes=axes).astype(FLOAT16)
    if x.size > MANY and x.dtype.kind in "fc":
        x = in_blocks(x, axes)
    return np.asarray(np.add.reduce(x, axis=axes, dtype=x.dtype))


MANY = 4096  # elements; sums of fewer are exact enough however they are added
BLOCK = 64


def in_blocks(x: Any, axes: Axes) -> Any:
    """`x` with long axes that are summed over shortened, to sums of blocks.

    NumPy adds in pairs along the axis that lies together in memory; along others one by one,
    which of 1e6 float32 numbers is wrong by 2e-5. Sums of sums of blocks are not.
    """
    together = min(range(x.ndim), key=lambda axis: abs_stride(x, axis))
    for axis in range(x.ndim) if axes is None else axes:
        while axis != together and x.shape[axis] > 2 * BLOCK:
            count, rest = divmod(x.shape[axis], BLOCK)
            whole, front = x.shape[axis] - rest, (slice(None),) * axis
            blocks = x[*front, :whole].reshape(*x.shape[:axis], count, BLOCK, *x.shape[axis + 1 :])
            sums = [np.add.reduce(blocks, axis=axis + 1, dtype=x.dtype)]
            if rest:
                sums.append(
                    np.add.reduce(x[*front, whole:], axis=axis, dtype=x.dtype, keepdims=True)
                )
            x = np.concatenate(sums, axis=axis)
    return x


def abs_stride(x: Any, axis: int) -> Any:
    """How far apart neighbours along `axis` are in memory; an axis of one element is no matter."""
    return np.abs(x.strides[axis]) if x.shape[axis] > 1 else np.inf


reduce_sum.defvjp(lambda g, y, x, *, axes: spread(g, x, axes))
reduce_sum.defbatch(along_axes)


@composite
def sum(x: Any, /, axis: Any = None, *, dtype: Any = None, keepdims: bool = False) -> Any:
    """Sum of the elements along `axis`.

    axis: an int or several; None for all. dtype: of the sum and its intermediates; None keeps
    that of `x`, but makes bool and integers of 8 and 16 bits (u)int32. keepdims: keep the axes,
    with length 1. Integers wrap where a sum does not fit; mg.int64 is wider. Array API: sum.
    """
    x = widened(x, dtype)
    try:
        axes = canonical_axes("sum", axis, x.ndim)
    except UnknownRankError as error:  # not under `ranked`, which would take 0.1 us of every sum
        options = {"axis": axis, "dtype": x.dtype, "keepdims": keepdims}
        return api.once_ranked("sum", (x,), options, error)
    y = reduce_sum(x, axes=axes)
    return y if keepdims is False else kept(y, x, axis, keepdims)


def widened(x: Any, dtype: Any) -> Tensor:
    """`x` in `dtype`; for None, what is narrower than the default integer gets its width."""
    if dtype is None and type(x) is Tensor and x._value.dtype.kind in "fc":
        return x
    tensor, integer = as_tensor(as_tensor(x), dtype), DEFAULTS[int]
    kind = tensor.dtype.kind
    if dtype is not None or kind in "fc" or tensor.dtype.itemsize >= integer.itemsize:
        return tensor
    return as_tensor(tensor, f"uint{8 * integer.itemsize}" if kind == "u" else integer)


def kept(y: Tensor, x: Tensor, axis: Any, keepdims: Any = True) -> Any:
    """The reduction `y` of `x` along `axis`, with these axes again, of length 1, if `keepdims`."""
    if not as_truth("keepdims", keepdims):
        return y
    axes = canonical_axes("keepdims", axis, x.ndim)
    if axes is None:
        return api.reshape(y, api.ones_like(shape_of(x)))
    return insert_axes(y, axes=axes)


def spread(g: Tensor, x: Tensor, axes: Axes) -> Any:
    """`g`, of the shape of `x` reduced over `axes`, laid along these axes again."""
    if axes is not None and axes != tuple(range(len(axes))):
        g = insert_axes(g, axes=axes)
    return broadcast(g, shape=x.shape) if is_static(x) else broadcast_like(g, x)


# broadcasting


def broadcast_spec(x: Any, *, shape: tuple[int, ...]) -> Spec:
    """`shape`, to which that of `x` must broadcast."""
    require_broadcast(x, Spec(shape, x.dtype))
    return Spec(shape, x.dtype)


def require_broadcast(x: Any, target: Any) -> None:
    """Raise SpecError unless the shape of `x` could broadcast to that of `target`."""
    if x.shape is None or target.shape is None:
        return
    lead = len(target.shape) - len(x.shape)
    if lead < 0 or any(
        n not in (None, 1, m) and m is not None
        for n, m in zip(x.shape, target.shape[lead:], strict=True)
    ):
        raise SpecError(
            f"broadcast_to: {Spec(x.shape, x.dtype)} to the shape {target.shape}: counted from "
            "the last, each dim must be 1 or that of the target; reshape the tensor, or insert "
            "an axis with x[..., None]"
        )


@primitive(infer=broadcast_spec, lower=Move("broadcast"), linear="jointly")
def broadcast(x: Any, /, *, shape: tuple[int, ...]) -> Any:
    """`x` repeated along new axes in front and axes of length 1; behind `broadcast_to`."""
    return laid_out(x, shape)


def laid_out(x: Any, shape: tuple[int, ...]) -> Any:
    """The array `x` broadcast to `shape`: a view, or a copy where that is quicker."""
    if math.prod(shape) > SMALL or x.ndim > len(shape):
        return np.broadcast_to(x, shape)
    y = np.empty(shape, x.dtype)
    y[...] = x
    return y


broadcast.defvjp(lambda g, y, x, *, shape: unbroadcast(g, x))
broadcast.defbatch(
    lambda op, n, x, *, shape: broadcast_to(raised(x, len(shape)), (api.dims_of(x)[0], *shape))
)


def broadcast_dynamic_spec(x: Any, shape: Any) -> Spec:
    """What is known of broadcasting to a shape that is a tensor: its rank, or all."""
    if type(shape) is Tensor:
        return broadcast_spec(x, shape=tuple(shape._value.tolist()))
    rank = shape.shape and shape.shape[0]
    return Spec(None if rank is None else (None,) * rank, x.dtype)


@primitive(infer=broadcast_dynamic_spec, linear="jointly")
def broadcast_dynamic(x: Any, shape: Any, /) -> Any:
    """`x` broadcast to a shape that is itself a tensor."""
    return laid_out(x, tuple(shape.tolist()))


broadcast_dynamic.defvjp(lambda g, y, x, shape: unbroadcast(g, x), None)


@broadcast_dynamic.defbatch
def broadcast_dynamic_batch(op: Any, n: Any, x: Tensor, shape: Tensor) -> Any:
    """The number of examples, then the shape, which they share."""
    if not has_one_row(shape) or shape.shape[1] is None:
        return NotImplemented
    dims = api.join(as_tensor([n], shape.dtype), alone(shape), axis=0)
    return op(raised(whole(n, x), shape.shape[1]), dims)


@composite
def broadcast_to(x: Any, /, shape: Any) -> Any:
    """`x` repeated along new axes in front and axes of length 1.

    shape: int or tuple of ints, or of tensors. Array API: broadcast_to.
    """
    x = api.asarray(x)
    dims = static_dims("broadcast_to", shape)
    if dims is None:
        return broadcast_dynamic(x, as_tensor(shape, np.int32))
    return broadcast(x, shape=dims)


@composite
def broadcast_arrays(*arrays: Any) -> tuple[Tensor, ...]:
    """The tensors `arrays`, each broadcast to their common shape. Array API: broadcast_arrays."""
    tensors = [api.asarray(x) for x in arrays]
    shape = common_shape("broadcast_arrays", *tensors)
    if shape is not None and None not in shape:
        return tuple([broadcast(x, shape=shape) for x in tensors])
    together = functools.reduce(
        api.logical_or, [api.zeros_like(x, dtype=np.bool_) for x in tensors]
    )
    return tuple([broadcast_like(x, together) for x in tensors])


@composite
def broadcast_shapes(*shapes: Any) -> Shape:
    """The shape that tensors of `shapes` have together, as a tuple; () where there are none.

    shapes: tuples of ints; None for a dim that is not known, which is then one of the result
    unless another shape decides it. Raises SpecError where they do not fit.
    Array API: broadcast_shapes.
    """
    return common_shape("broadcast_shapes", *[Spec(as_shape(shape), np.bool_) for shape in shapes])


# both, to a shape that may be known only at run time


def broadcast_like_spec(g: Any, x: Any) -> Spec:
    """The shape of `x`, to which that of `g` must broadcast."""
    require_broadcast(g, x)
    if x.shape is None:
        return Spec(None, g.dtype)
    dims = common_shape("broadcast_like", g, x)
    return Spec(x.shape if dims is None else dims, g.dtype)


@primitive(infer=broadcast_like_spec, linear="jointly")
def broadcast_like(g: Any, x: Any, /) -> Any:
    """`g` broadcast to the shape that `x` has at run time; the adjoint of `sum_like`."""
    return g if g.shape == x.shape else laid_out(g, x.shape)


broadcast_like.defvjp(lambda gg, y, g, x: unbroadcast(gg, g), None)
broadcast_like.defbatch(lambda op, n, g, x: op(raised(g, x.ndim - 1), whole(n, x)))


def sum_like_spec(g: Any, x: Any) -> Spec:
    """The shape of `x`, which must broadcast to that of `g`."""
    require_broadcast(x, g)
    if x.shape is None or g.shape is None:
        return Spec(x.shape, g.dtype)
    theirs = g.shape[len(g.shape) - len(x.shape) :]
    dims = [m if n is None and m == 1 else n for n, m in zip(x.shape, theirs, strict=True)]
    return Spec(tuple(dims), g.dtype)


@primitive(infer=sum_like_spec, linear="jointly")
def sum_like(g: Any, x: Any, /) -> Any:
    """`g` summed over the axes along which broadcasting repeats `x`, so that it has its shape."""
    if g.shape == x.shape:
        return g
    lead = g.ndim - x.ndim
    ones = tuple([lead + i for i, n in enumerate(x.shape) if n == 1])
    y = np.add.reduce(g, axis=(*range(lead), *ones), dtype=g.dtype, keepdims=True)
    if lead < 0 or y.shape[lead:] != x.shape:
        raise ValueError("not what x broadcasts to")
    return y.reshape(x.shape)


sum_like.defvjp(lambda gg, y, g, x: rebroadcast(gg, g), None)


@sum_like.defbatch
def sum_like_batch(op: Any, n: Any, g: Tensor, x: Tensor) -> Any:
    """The axes that broadcasting puts in front of `x` come behind the examples."""
    lead = tuple(range(1, 1 + g.ndim - x.ndim))
    y = op(whole(n, g), raised(whole(n, x), g.ndim - 1))
    return api.drop_axes(y, axes=lead) if lead else y


@composite
def unbroadcast(g: Tensor, x: Tensor, /) -> Any:
    """`g` summed to the shape of `x`, which broadcasts to that of `g`; its dtype is kept.

    By plain sums where the shapes are known well enough, else by `sum_like`.
    """
    if g.shape is None or x.shape is None:
        return reduce_sum(g, axes=None) if x.shape == () else sum_like(g, x)
    lead = len(g.shape) - len(x.shape)
    ones = []
    for i, n in enumerate(x.shape):
        if n == 1:
            if g.shape[lead + i] != 1:
                ones.append(i)
        elif n is None and g.shape[lead + i] != 1:
            return sum_like(g, x)
    if lead or ones:
        g = reduce_sum(g, axes=(*range(lead), *[lead + i for i in ones]))
    return insert_axes(g, axes=tuple(ones)) if ones else g


def rebroadcast(g: Tensor, x: Tensor) -> Any:
    """`g` broadcast to the shape of `x`: the plain op where that is known."""
    return broadcast(g, shape=x.shape) if is_static(x) else broadcast_like(g, x)


STATIC_FORMS["broadcast_like"] = rebroadcast
STATIC_FORMS["sum_like"] = unbroadcast


@composite
@ranked
def meshgrid(*arrays: Any, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinates of a grid: each of `arrays`, with one axis, repeated along those of the others.

    indexing: "ij" lays the first along axis 0, "xy" along axis 1 and the second along axis 0.
    Array API: meshgrid.
    """
    tensors = [api.asarray(x) for x in arrays]
    if None in [x.ndim for x in tensors]:
        raise unknown_rank("meshgrid")
    known = isinstance(indexing, str) and indexing in ("xy", "ij")
    if not known or any(x.ndim not in (0, 1) for x in tensors):
        raise SpecError(
            f"meshgrid: {', '.join(str(x.spec) for x in tensors)} with indexing={indexing!r}; "
            'each has one axis, and indexing is "xy" or "ij"; reshape them with mg.reshape(x, -1)'
        )
    places = list(range(len(tensors)))
    if indexing == "xy" and len(tensors) > 1:
        places[:2] = 1, 0
    return broadcast_arrays(
        *[
            api.reshape(x, [-1 if i == place else 1 for i in range(len(tensors))])
            for x, place in zip(tensors, places, strict=True)
        ]
    )
