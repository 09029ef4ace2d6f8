"""Margins around a tensor, and triangles of matrices: pad, tril, triu."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import as_it_is
from ..core.convert import as_tensor
from ..core.define import composite, primitive, ranked
from ..core.lowering import Composed, Move
from ..core.registry import api
from ..core.spec import SCALARS, Spec, as_int, said, unknown_rank
from ..core.tensor import Tensor
from ..errors import SpecError
from .boxes import triangle
from .slice import take_slice


def padded_spec(x: Any, *, widths: tuple[tuple[int, int], ...], value: Any) -> Spec:
    """Each dim and its two margins."""
    if x.shape is None:
        return Spec((None,) * len(widths), x.dtype)
    if len(widths) != len(x.shape) or any(n < 0 for pair in widths for n in pair):
        raise SpecError(
            f"pad: widths {widths} of {Spec(x.shape, x.dtype)}; each axis has two, none negative; "
            "write ((before, after), ...), or slice to make it smaller"
        )
    dims = zip(x.shape, widths, strict=True)
    return Spec(tuple([None if n is None else n + a + b for n, (a, b) in dims]), x.dtype)


@primitive(infer=padded_spec, lower=Move("pad"))
def pad_with(x: Any, /, *, widths: tuple[tuple[int, int], ...], value: Any) -> Any:
    """`x` with margins of `value`; the op behind `pad`."""
    if len(widths) != x.ndim:
        raise ValueError("widths do not match the axes")
    y = np.empty([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)], x.dtype)
    y[tuple([slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True)])] = x
    for k, (n, (a, b)) in enumerate(zip(x.shape, widths, strict=True)):
        for margin in [slice(0, a)] * (a > 0) + [slice(a + n, None)] * (b > 0):
            y[(*[slice(None)] * k, margin)] = value
    return y


pad_with.defbatch(lambda op, n, x, *, widths, value: op(x, widths=((0, 0), *widths), value=value))
pad_with.defvjp(
    lambda g, y, x, *, widths, value: take_slice(
        g, key=tuple([(a, -b or None, None) for a, b in widths])
    )
)


@composite
@ranked
def pad(x: Any, /, pad_width: Any, *, constant_values: Any = 0) -> Any:
    """`x` with margins of a constant.

    pad_width: ((before, after), ...) for each axis; one pair or one int for all.
    constant_values: the number that fills the margins, in the dtype of `x`. NumPy: pad.
    """
    x = api.asarray(x)
    value = constant_values
    if getattr(value, "size", None) == 1:
        value = value.item()
    if type(value) not in SCALARS:
        raise SpecError(
            f"pad: constant_values={said(constant_values)} came; one number fills the margins; "
            "write it, or mg.concat the margins"
        )
    as_tensor(value, x.dtype)  # refused where it would be another number
    return pad_with(x, widths=margins(x, pad_width), value=value)


def margins(x: Tensor, pad_width: Any) -> tuple[tuple[int, int], ...]:
    """`pad_width` as one pair for each axis. Raises SpecError for what is none."""
    if x.ndim is None:
        raise unknown_rank("pad")
    try:
        given = np.asarray(pad_width)
        shape = given.shape if x.ndim is None else (x.ndim, 2)
        pairs = np.broadcast_to(given, given.shape if given.shape[:-1] == shape[:-1] else shape)
        return tuple([(a.__index__(), b.__index__()) for a, b in pairs.tolist()])
    except (ValueError, TypeError, AttributeError):
        raise SpecError(
            f"pad: widths {said(pad_width)} of {x.spec}; each axis has two, ints from 0 on; "
            "write ((before, after), ...), or one int for all"
        ) from None


def triangle_spec(x: Any, *, k: int) -> Spec:
    """The spec of `x` itself, which holds matrices."""
    if x.shape is not None and len(x.shape) < 2:
        raise SpecError(
            f"tril, triu: {Spec(x.shape, x.dtype)} came; a triangle is that of a matrix; make two "
            "axes with mg.reshape or x[:, None]"
        )
    return Spec(x.shape, x.dtype)


@primitive(
    infer=triangle_spec,
    lower=Composed(lambda x, *, k: triangle(x, k, lower=True)),
    linear="jointly",
)
def lower_triangle(x: Any, /, *, k: int) -> Any:
    """The matrices of `x` with zeros above diagonal `k`; the op behind `tril`."""
    if x.ndim < 2:
        raise ValueError("a matrix has two axes")
    return np.tril(x, k)


@primitive(
    infer=triangle_spec,
    lower=Composed(lambda x, *, k: triangle(x, k, lower=False)),
    linear="jointly",
)
def upper_triangle(x: Any, /, *, k: int) -> Any:
    """The matrices of `x` with zeros below diagonal `k`; the op behind `triu`."""
    if x.ndim < 2:
        raise ValueError("a matrix has two axes")
    return np.triu(x, k)


for _op in (lower_triangle, upper_triangle):
    _op.defbatch(as_it_is)
lower_triangle.defvjp(lambda g, y, x, *, k: lower_triangle(g, k=k))
upper_triangle.defvjp(lambda g, y, x, *, k: upper_triangle(g, k=k))


@composite
def tril(x: Any, /, *, k: int = 0) -> Any:
    """The matrices of the last two axes of `x`, zero above diagonal `k`. Array API: tril."""
    return lower_triangle(api.asarray(x), k=as_int("tril", "k", k))


@composite
def triu(x: Any, /, *, k: int = 0) -> Any:
    """The matrices of the last two axes of `x`, zero below diagonal `k`. Array API: triu."""
    return upper_triangle(api.asarray(x), k=as_int("triu", "k", k))
