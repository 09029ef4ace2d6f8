"""Products of matrices, vectors and tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.batch import alone, is_shared, raised
from ..core.convert import as_tensor
from ..core.define import composite, primitive, ranked
from ..core.lowering import Contract
from ..core.registry import api
from ..core.spec import (
    FLOAT16,
    Spec,
    broadcast_shapes,
    canonical_axes,
    canonical_axis,
    index_of,
    promote,
    unknown_rank,
)
from ..core.tensor import Tensor
from ..errors import SpecError


def matrix_product_spec(x1: Any, x2: Any) -> Spec:
    """Inner dims agree, batch axes broadcast."""
    dtype = product_dtype("matmul", x1, x2)
    for x in (x1, x2):
        if x.shape is not None and len(x.shape) < 2:
            raise SpecError(
                f"matrix_product: {x1.spec} @ {x2.spec}: both need at least two axes; "
                "write mg.matmul, which also takes vectors"
            )
    if x1.shape is None or x2.shape is None:
        return Spec(None, dtype)
    inner = x1.shape[-1], x2.shape[-2]
    if None not in inner and inner[0] != inner[1]:
        raise SpecError(
            f"matmul: {x1.spec} @ {x2.spec}: the last axis of x1 ({inner[0]}) must equal the "
            f"second last of x2 ({inner[1]}); transpose one of them with .mT, or reshape it"
        )
    batch = broadcast_shapes("matmul", Spec(x1.shape[:-2], dtype), Spec(x2.shape[:-2], dtype))
    return Spec((*(batch or ()), x1.shape[-2], x2.shape[-1]), dtype)


def product_dtype(name: str, x1: Any, x2: Any) -> np.dtype[Any]:
    """The dtype of a product. Raises SpecError for Python numbers, which have no axes."""
    if not hasattr(x1, "dtype") or not hasattr(x2, "dtype"):
        raise SpecError(
            f"{name}: {x1!r} and {x2!r}: a product of tensors takes tensors with axes; "
            "to multiply by a number write x * number"
        )
    return promote(x1, x2)


LONG = 1 << 20
"""Pairs of numbers multiplied from which a result may be made the other way round."""


def thin_product(x1: Any, x2: Any, turned1: bool, turned2: bool) -> Any:
    """The product where one matrix has few columns or rows; None where both have many.

    Of one alone, each number is read once: a multiplication, and mostly a sum, which can share
    loops with what is around. Of few columns, the transpose is made where `x1` lies the other way
    round: its rows are read in the order of memory then.
    """
    (*_, m, k), n = x1.shape, x2.shape[-1]
    if any(x.dtype.kind not in "fiu" or x.dtype == np.float16 for x in (x1, x2)):
        return None
    if 1 not in (m, k, n):
        if turned1 and n < m and n * x2.dtype.itemsize < 64 and m * n * k >= LONG:
            x1, x2 = api.matrix_transpose(x1), api.matrix_transpose(x2)
            return api.matrix_transpose(matrix_product(x2, x1))
        return None
    if k == 1:
        return x1 * x2
    if n == 1:
        return matrix_vector_sums(x1, x2, turned1)
    x1, x2 = api.matrix_transpose(x1), api.matrix_transpose(x2)
    return api.matrix_transpose(matrix_vector_sums(x2, x1, not turned2))


def matrix_vector_sums(x: Any, v: Any, turned: bool) -> Any:
    """`x` times the columns `v`, elements being multiplied in the order of memory."""
    if turned:
        y = summed(api.matrix_transpose(x) * v, -2)
        return api.matrix_transpose(y)
    return summed(x * api.matrix_transpose(v), -1)


def summed(x: Any, axis: int) -> Any:
    """The sum along an axis that stays, in the dtype of `x`."""
    return api.sum(x, axis=axis, keepdims=True, dtype=x.dtype)


@primitive(
    infer=matrix_product_spec,
    lower=Contract(thin=thin_product),
    broadcasts=True,
    linear="each",
)
def matrix_product(x1: Any, x2: Any, /) -> Any:
    """Products of the matrices in the last two axes; the op behind `matmul`."""
    if x1.ndim < 2 or x2.ndim < 2:
        raise ValueError("a matrix has two axes")
    if x1.dtype is FLOAT16 and x2.dtype is FLOAT16:
        return in_floats(np.matmul, x1, x2)
    return np.matmul(x1, x2)


def in_floats(product: Callable[..., Any], x1: Any, x2: Any) -> Any:
    """A product of float16 made in float32, as NumPy does one number at a time, and rounded."""
    return product(x1.astype(np.float32), x2.astype(np.float32)).astype(FLOAT16)


matrix_product.defvjp(
    lambda g, y, x1, x2: matrix_product(g, api.matrix_transpose(x2)),
    lambda g, y, x1, x2: matrix_product(api.matrix_transpose(x1), g),
)


@matrix_product.defbatch
def matrix_product_batch(op: Any, n: Any, x1: Tensor, x2: Tensor) -> Any:
    """Examples are one more axis of the batch; what they share stays as it is, one tall product."""
    rank = max(x1.ndim, x2.ndim) - 1
    return matmul(*[alone(x) if is_shared(n, x) else raised(x, rank) for x in (x1, x2)])


@composite
def matmul(x1: Any, x2: Any, /) -> Any:
    """Matrix product.

    x1: (..., m, k) or (k,). x2: (..., k, n) or (k,). Returns (..., m, n), without the axis that
    a vector lacks. Leading axes broadcast. Raises SpecError where the two k differ, or where
    one has no axes. Array API: matmul.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if None in (ranks := (x1.ndim, x2.ndim)):
        # not under `ranked`, which would take 0.1 us of every product
        return api.once_ranked("matmul", (x1, x2), {}, unknown_rank("matmul"))
    if 0 in ranks:
        raise SpecError(
            f"matmul: {x1.spec} @ {x2.spec}: both need an axis to sum over; "
            "to multiply by a number write x1 * x2"
        )
    rank1, rank2 = ranks
    if rank1 == 1:
        return api.squeeze(matmul(api.expand_dims(x1, axis=0), x2), row_axis(x2))
    if rank2 == 1:
        return api.squeeze(matmul(x1, api.expand_dims(x2, axis=1)), -1)
    if rank1 > 2 and rank2 == 2 and known(x1, x2):
        # one product of a tall matrix: the derivative for x2 then needs no sum over the batch
        rows = api.reshape(x1, (math.prod(x1.shape[:-1]), x1.shape[-1]))
        return api.reshape(matrix_product(rows, x2), (*x1.shape[:-1], x2.shape[-1]))
    if rank1 == 2 and rank2 > 2 and known(x1, x2) and x2.shape[-1] == 1:
        # likewise of many vectors: they are the rows of the tall matrix
        rows = api.reshape(x2, (math.prod(x2.shape[:-2]), x2.shape[-2]))
        y = matrix_product(rows, api.matrix_transpose(x1))
        return api.reshape(y, (*x2.shape[:-2], x1.shape[-2], 1))
    return matrix_product(x1, x2)


def row_axis(x2: Tensor) -> int:
    """Where the axis of a row vector, put in front, ends up in its product with `x2`."""
    return 0 if x2.ndim == 1 else -2


def known(*xs: Tensor) -> bool:
    """Whether every dim of every one of `xs` is known."""
    return all(x.spec.known for x in xs)


def tensor_product_spec(
    x1: Any, x2: Any, *, axes1: tuple[int, ...], axes2: tuple[int, ...]
) -> Spec:
    """The free axes of x1, then those of x2."""
    dtype = product_dtype("tensordot", x1, x2)
    if x1.shape is None or x2.shape is None:
        return Spec(None, dtype)
    for a1, a2 in zip(axes1, axes2, strict=True):
        n1, n2 = x1.shape[a1], x2.shape[a2]
        if n1 != n2 and None not in (n1, n2):
            raise SpecError(
                f"tensordot: {x1.spec} and {x2.spec}: axis {a1} of x1 ({n1}) is summed with axis "
                f"{a2} of x2 ({n2}); summed axes must be equally long; name other axes"
            )
    free1 = [n for i, n in enumerate(x1.shape) if i not in axes1]
    free2 = [n for i, n in enumerate(x2.shape) if i not in axes2]
    return Spec((*free1, *free2), dtype)


def tensor_product_means(
    x1: Any, x2: Any, *, axes1: tuple[int, ...], axes2: tuple[int, ...]
) -> Any:
    """A product of matrices: of x1, the axes that follow each other in memory are its rows."""
    free1, free2 = other_axes(x1, axes1), other_axes(x2, axes2)
    dims1, dims2 = [x1.shape[a] for a in free1], [x2.shape[a] for a in free2]
    depth = math.prod([x1.shape[a] for a in axes1])
    first = max(len(free1) - 1, 0)
    while first and free1[first - 1] == free1[first] - 1:
        first -= 1
    # the others are a batch, for which x1 need not be copied
    rows = (*dims1[:first], math.prod(dims1[first:]), depth)
    left = api.reshape(api.permute_dims(x1, (*free1, *axes1)), rows)
    right = api.reshape(api.permute_dims(x2, (*axes2, *free2)), (depth, math.prod(dims2)))
    return api.reshape(matrix_product(left, right), (*dims1, *dims2))


@primitive(
    infer=tensor_product_spec,
    lower=Contract(lambda x1, x2, **attrs: None, tensor_product_means),
    broadcasts=True,
    linear="each",
)
def tensor_product(x1: Any, x2: Any, /, *, axes1: tuple[int, ...], axes2: tuple[int, ...]) -> Any:
    """Product summed over `axes1` of x1 and `axes2` of x2; the op behind `tensordot`.

    axes1, axes2: from the front, one for one. Returns the free axes of x1, then those of x2.
    """
    if any(x1.shape[a1] != x2.shape[a2] for a1, a2 in zip(axes1, axes2, strict=True)):
        raise ValueError("summed axes must be equally long")
    product = functools.partial(np.tensordot, axes=(axes1, axes2))
    if x1.dtype is FLOAT16 and x2.dtype is FLOAT16:
        return in_floats(product, x1, x2)
    return product(x1, x2)


def tensor_product_vjp1(
    g: Tensor, y: Tensor, x1: Tensor, x2: Tensor, *, axes1: Any, axes2: Any
) -> Any:
    """g times x2 over the free axes of x2; its axes then put in the order of x1."""
    free1, free2 = other_axes(x1, axes1), other_axes(x2, axes2)
    in_g = tuple(range(len(free1), len(free1) + len(free2)))
    z = tensor_product(g, x2, axes1=in_g, axes2=free2)
    # z: the free axes of x1, then the summed axes of x2 in their own order
    order = [*free1, *[axes1[axes2.index(a)] for a in sorted(axes2)]]
    return api.permute_dims(z, tuple(order.index(a) for a in range(len(order))))


def tensor_product_vjp2(
    g: Tensor, y: Tensor, x1: Tensor, x2: Tensor, *, axes1: Any, axes2: Any
) -> Any:
    """x1 times g over the free axes of x1; its axes then put in the order of x2."""
    free1, free2 = other_axes(x1, axes1), other_axes(x2, axes2)
    z = tensor_product(x1, g, axes1=free1, axes2=tuple(range(len(free1))))
    order = [*[axes2[axes1.index(a)] for a in sorted(axes1)], *free2]
    return api.permute_dims(z, tuple(order.index(a) for a in range(len(order))))


def other_axes(x: Tensor, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of `x` that are not among `axes`."""
    return tuple(a for a in range(x.ndim) if a not in axes)


tensor_product.defvjp(tensor_product_vjp1, tensor_product_vjp2)


@tensor_product.defbatch
def tensor_product_batch(
    op: Any, n: Any, x1: Tensor, x2: Tensor, *, axes1: tuple[int, ...], axes2: tuple[int, ...]
) -> Any:
    """Where one is shared, the examples are a free axis of the other; else products of matrices."""
    axes1, axes2 = tuple([a + 1 for a in axes1]), tuple([a + 1 for a in axes2])
    free1, free2 = [other_axes(x, (0, *axes)) for x, axes in ((x1, axes1), (x2, axes2))]
    if is_shared(n, x2):
        return op(x1, alone(x2), axes1=axes1, axes2=tuple([a - 1 for a in axes2]))
    if is_shared(n, x1):
        y = op(alone(x1), x2, axes1=tuple([a - 1 for a in axes1]), axes2=axes2)
        return api.moveaxis(y, len(free1), 0)
    dims1, dims2 = api.dims_of(x1), api.dims_of(x2)
    inner = math.prod([dims1[a] for a in axes1])
    outer1, outer2 = [dims1[a] for a in free1], [dims2[a] for a in free2]
    left = api.reshape(api.permute(x1, axes=(0, *free1, *axes1)), (n, math.prod(outer1), inner))
    right = api.reshape(api.permute(x2, axes=(0, *axes2, *free2)), (n, inner, math.prod(outer2)))
    return api.reshape(matrix_product(left, right), (n, *outer1, *outer2))


@composite
@ranked
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Product of `x1` and `x2`, summed over some axes of each.

    axes: n for the last n axes of x1 and the first n of x2 in order; or two sequences of axes,
    paired one for one. Returns the free axes of x1, then those of x2. Array API: tensordot.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x1.ndim is None or x2.ndim is None:
        raise unknown_rank("tensordot")
    axes1, axes2 = paired_axes(x1, x2, axes)
    if (x1.ndim, x2.ndim, axes1, axes2) == (2, 2, (1,), (0,)):
        return matrix_product(x1, x2)
    return tensor_product(x1, x2, axes1=axes1, axes2=axes2)


def paired_axes(x1: Tensor, x2: Tensor, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes that tensordot sums, from the front, as two tuples of one length."""
    n = index_of(axes)
    if n is not None and 0 <= n <= 64:  # as many axes as there can be
        pair = [list(range(-n, 0)), list(range(n))]
    else:
        several = axes if isinstance(axes, (tuple, list)) else ()
        pair = [list(a) if hasattr(a, "__iter__") else [a] for a in several]
    if len(pair) != 2 or len(pair[0]) != len(pair[1]):
        raise SpecError(
            f"tensordot: axes {axes!r} came; axes are summed in pairs; write how many, 0 or more, "
            "or two equally long tuples: those of x1 and those of x2"
        )
    first, second = pair
    for x, named in ((x1, first), (x2, second)):
        canonical_axes("tensordot", named, x.ndim)  # in range, and none named twice
    return (
        tuple(canonical_axis("tensordot", a, x1.ndim) for a in first),
        tuple(canonical_axis("tensordot", a, x2.ndim) for a in second),
    )


@composite
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Sum of conj(x1) * x2 along `axis`; the other axes broadcast.

    axis: counted from the end, as the inputs may differ in rank. Array API: vecdot.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if None not in (x1.ndim, x2.ndim):
        for x in (x1, x2):
            canonical_axis("vecdot", axis, x.ndim)
        if axis < 0 and None not in (n := (x1.shape[axis], x2.shape[axis])) and n[0] != n[1]:
            raise SpecError(
                f"vecdot: {x1.spec} and {x2.spec}: axis {axis} is {n[0]} long in x1 and {n[1]} in "
                "x2; the summed axis does not broadcast; name another, or reshape"
            )
    product = (api.conj(x1) if x1.dtype.kind == "c" else x1) * x2
    return api.sum(product, axis=axis, dtype=product.dtype)


@composite
def outer(x1: Any, x2: Any, /) -> Any:
    """Product of every element of `x1` with every element of `x2`.

    x1: (m,). x2: (n,). Returns (m, n). Array API, linalg: outer.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if not (x1.ndim in (1, None) and x2.ndim in (1, None)):
        raise SpecError(
            f"outer: {x1.spec} and {x2.spec}: an outer product is of two vectors; "
            "reshape them with mg.reshape(x, (-1,))"
        )
    return api.expand_dims(x1, axis=-1) * x2
