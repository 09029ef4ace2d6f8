"""What the shape of a tensor is at run time, and giving it another: reshape, ensure_shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.batch import alone, as_it_is, has_one_row
from ..core.convert import as_tensor
from ..core.define import composite, pointwise, primitive
from ..core.lowering import Move
from ..core.registry import api
from ..core.spec import Shape, Spec, as_shape, unknown_rank
from ..core.tensor import Symbol, Tensor, tensor_of
from ..errors import SpecError, TraceError

# Ops that take the shape of a tensor at run time, and what they are where it is known: for
# those who have learnt the shapes of a graph, and want its plainest form.
STATIC_FORMS: dict[str, Callable[..., Any]] = {}


def is_static(x: Any) -> bool:
    """Whether every dim of `x` is known."""
    shape = x.shape
    return shape is not None and None not in shape


def static_dims(name: str, shape: Any) -> tuple[int, ...] | None:
    """`shape`, an int or several (tensors count), as ints; None where a trace does not know one.

    Raises SpecError where `shape` is something else.
    """
    if isinstance(shape, Symbol):
        return None
    try:
        several = shape if isinstance(shape, (tuple, list)) or np.ndim(shape) else (shape,)
        return tuple([n.__index__() for n in several])
    except TraceError:
        return None
    except (TypeError, AttributeError):
        raise SpecError(
            f"{name}: a shape was needed and {shape!r} came; a shape is an int or a tuple of "
            f"ints; {UNKNOWN if holds_none(shape) else 'write, say, (2, 3)'}"
        ) from None


UNKNOWN = "None is a length that a trace does not know, as in x.shape; write mg.shape(x)"


def holds_none(shape: Any) -> bool:
    """Whether one of several lengths is None."""
    return isinstance(shape, (tuple, list)) and any([n is None for n in shape])


# the shape as a value


@primitive(infer=lambda x: Spec((x.ndim,), np.int32))
def shape_of(x: Any, /) -> Any:
    """The lengths of the axes of `x` at run time, int32; the op behind `shape`."""
    return np.array(x.shape, np.int32)


shape_of.no_gradient("a shape does not depend on values")
shape_of.defbatch(lambda op, n, x: api.insert_axes(op(x)[1:], axes=(0,)))


@composite
def shape(x: Any, /) -> Any:
    """The lengths of the axes of `x`, as a tensor.

    x: anything. Returns int32, one element per axis: where a trace does not know a dim, what it
    is when the graph runs. `x.shape` is what is known now.
    """
    x = api.asarray(x)
    return tensor_of(np.array(x.shape, np.int32)) if is_static(x) else shape_of(x)


@composite
def dims_of(x: Tensor, /) -> list[Any]:
    """The lengths of the axes of `x`: ints where known, else 0-d int32 tensors."""
    if is_static(x):
        return list(x.shape)
    if x.shape is None:
        raise unknown_rank("shape")
    lengths = shape_of(x)
    return [lengths[i] if n is None else n for i, n in enumerate(x.shape)]


@pointwise(lambda b, x: x)
def identity(x: Any, /) -> Any:
    """`x` itself, as a tensor of its own. Any shape and dtype."""
    return x


identity.defvjp(lambda g, y, x: g)


def checked_spec(x: Any, *, shape: Any) -> Spec:
    """The spec of `x` with what `shape` adds to it."""
    if not Spec(x.shape, x.dtype).is_compatible_with(Spec(shape, x.dtype)):
        raise SpecError(
            f"ensure_shape: {x.spec if hasattr(x, 'spec') else x.shape} came and {shape} was "
            "promised; they must agree in every known dim; reshape the tensor, or correct the "
            "promise (None for a dim that may be anything)"
        )
    if shape is None or x.shape is None:
        return Spec(x.shape if shape is None else shape, x.dtype)
    dims = [m if n is None else n for n, m in zip(shape, x.shape, strict=True)]
    return Spec(tuple(dims), x.dtype)


@primitive(infer=checked_spec, lower=Move("reshape"), linear="jointly")
def check_shape(x: Any, /, *, shape: Any) -> Any:
    """`x`, whose shape must be `shape`; the op behind `ensure_shape`."""
    checked_spec(x, shape=shape)
    return x


check_shape.defvjp(lambda g, y, x, *, shape: g)
check_shape.defbatch(
    lambda op, n, x, *, shape: op(x, shape=shape if shape is None else (None, *shape))
)


@composite
def ensure_shape(x: Any, shape: Any) -> Any:
    """`x` itself, checked at run time to have `shape`; a trace then knows it.

    shape: ints, with None for a dim that may be anything; None for any rank.
    Raises SpecError where a dim differs.
    """
    return check_shape(api.asarray(x), shape=None if shape is None else as_shape(shape))


# reshape


def filled_shape(x: Any, shape: tuple[int, ...]) -> Shape:
    """`shape` with its -1 made the length that fits; None where that is not known."""
    if shape.count(-1) > 1 or any(n < -1 for n in shape):
        raise SpecError(
            f"reshape: the shape {shape} came; one dim may be -1, which means what is left over; "
            "write the others as their lengths"
        )
    if not is_static(x):
        return tuple([None if n == -1 else n for n in shape])
    size = math.prod(x.shape)
    rest = math.prod(n for n in shape if n != -1)
    if rest == size if -1 not in shape else rest and size % rest == 0:
        return tuple([size // rest if n == -1 else n for n in shape])
    raise SpecError(
        f"reshape: {Spec(x.shape, x.dtype)} has {size} elements and the shape {shape} "
        f"{'holds a multiple of ' if -1 in shape else 'holds '}{rest}; reshaping keeps all "
        "elements; write dims whose product is the same, or one of them as -1"
    )


@primitive(
    infer=lambda x, *, shape: Spec(filled_shape(x, shape), x.dtype),
    lower=Move("reshape"),
    linear="jointly",
)
def reshape_to(x: Any, /, *, shape: tuple[int, ...]) -> Any:
    """`x` in another shape, of which one dim may be -1; the op behind `reshape`."""
    return x.reshape(shape)


reshape_to.defvjp(lambda g, y, x, *, shape: reshaped_like(g, x))


@reshape_to.defbatch
def reshape_batch(op: Any, n: Any, x: Tensor, *, shape: tuple[int, ...]) -> Any:
    """The examples in front; what is left over for -1 is that of one example."""
    rows, *dims = dims_of(x)
    if -1 in shape:
        rest = math.prod([m for m in shape if m != -1])
        left = math.prod(dims) // rest if rest else 0
        shape = tuple([left if m == -1 else m for m in shape])
    return reshape(x, (rows, *shape))


def reshape_like_spec(x: Any, like: Any) -> Spec:
    """The shape of `like`, which must hold as many elements as `x`."""
    if is_static(like):
        return Spec(filled_shape(x, like.shape), x.dtype)
    return Spec(like.shape, x.dtype)


@primitive(infer=reshape_like_spec, lower=Move("reshape"), linear="jointly")
def reshape_like(x: Any, like: Any, /) -> Any:
    """`x` in the shape that `like` has at run time."""
    return x.reshape(like.shape)


reshape_like.defvjp(lambda g, y, x, like: reshaped_like(g, x), None)
reshape_like.defbatch(as_it_is)


def reshaped_like(x: Tensor, like: Tensor) -> Any:
    """`x` in the shape of `like`: the plain op where that is known, else `reshape_like`."""
    return reshape_to(x, shape=like.shape) if is_static(like) else reshape_like(x, like)


STATIC_FORMS["reshape_like"] = reshaped_like


def dynamic_spec(x: Any, shape: Any) -> Spec:
    """What is known of a reshape to a shape that is a tensor: its rank, or all."""
    if type(shape) is Tensor:
        return Spec(filled_shape(x, tuple(shape._value.tolist())), x.dtype)
    rank = shape.shape and shape.shape[0]
    return Spec(None if rank is None else (None,) * rank, x.dtype)


@primitive(infer=dynamic_spec, linear="jointly")
def reshape_dynamic(x: Any, shape: Any, /) -> Any:
    """`x` in a shape that is itself a tensor; the op behind `reshape` to computed dims."""
    return x.reshape(tuple(shape.tolist()))


reshape_dynamic.defvjp(lambda g, y, x, shape: reshaped_like(g, x), None)


@reshape_dynamic.defbatch
def reshape_dynamic_batch(op: Any, n: Any, x: Tensor, shape: Tensor) -> Any:
    """The number of examples, then the shape, which they share."""
    if not has_one_row(shape) or not (type(n) is int and n):
        return NotImplemented
    return op(x, api.join(as_tensor([n], shape.dtype), alone(shape), axis=0))


@composite
def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Any:
    """`x` in another shape, its elements kept in row-major order.

    shape: int or tuple of ints, of which one may be -1 (what is left over), or tensors, as in
    `(mg.shape(x)[0], -1)`. copy: has no meaning where nothing is mutable. Array API: reshape.
    """
    x = api.asarray(x)
    dims = static_dims("reshape", shape)
    if dims is None:
        return reshape_dynamic(x, as_tensor(shape, np.int32))
    if dims and min(dims) < 0:
        filled: Any = filled_shape(x, dims)
        dims = dims if filled is None or None in filled else filled
    return reshape_to(x, shape=dims)
