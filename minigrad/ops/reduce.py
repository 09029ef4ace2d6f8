"""Reductions: extremes, products, truth, and the statistics that are made of sums."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from ..core.batch import along_axes
from ..core.define import composite, primitive, ranked
from ..core.lowering import Reduce
from ..core.registry import api
from ..core.spec import Spec, as_number, canonical_axes, real_dtype
from ..core.tensor import Tensor
from ..errors import SpecError
from .accumulate import product_of_others
from .arithmetic import imag, real, square
from .axes import insert_axes
from .broadcast import Axes, kept, reduce_sum, reduced_shape, spread, widened
from .exponential import sqrt
from .logic import astype, equal, greater, less, logical_not, not_equal, where
from .shape import dims_of, is_static, reshape, reshaped_like, shape_of

# extremes


def extreme_spec(x: Any, *, axes: Axes) -> Spec:
    """The spec without `axes`, which must not be empty: there is no extreme of nothing."""
    shape = reduced_shape("max, min", x, axes)
    if x.shape is not None and 0 in (x.shape if axes is None else [x.shape[i] for i in axes]):
        raise SpecError(
            f"max, min: {Spec(x.shape, x.dtype)} along axes {axes}: nothing has no extreme; "
            "reduce along an axis that is not empty, or write mg.concat with a value to start"
        )
    return Spec(shape, x.dtype)


def lowest(dtype: np.dtype[Any]) -> Any:
    """What every number of `dtype` is at least."""
    return -math.inf if dtype.kind == "f" else dtype.kind != "b" and int(np.iinfo(dtype).min)


def highest(dtype: np.dtype[Any]) -> Any:
    """What every number of `dtype` is at most."""
    return math.inf if dtype.kind == "f" else dtype.kind == "b" or int(np.iinfo(dtype).max)


def extremum(b: Any, name: str, x1: Any, x2: Any) -> Any:
    """The "maximum" or "minimum" of two values in a loop; of truths, whether one is, or both."""
    if x1.dtype.kind == "b":
        return b.bitwise("or" if name == "maximum" else "and", x1, x2)
    return b.math(name, x1, x2)


def chosen(b: Any, relation: str, x1: Any, x2: Any) -> Any:
    """The number that is in `relation` to the other, "<" or ">", in a loop."""
    return b.select(b.compare(relation, x1, x2), x1, x2)


@primitive(
    infer=extreme_spec,
    lower=Reduce(
        lowest,
        lambda b, top, x: extremum(b, "maximum", top, x),
        of_numbers=lambda b, top, x: chosen(b, ">", top, x),
    ),
)
def reduce_max(x: Any, /, *, axes: Axes) -> Any:
    """The largest element along `axes` (None: all), which are dropped; the op behind `max`."""
    return np.asarray(np.maximum.reduce(x, axis=axes))


@primitive(
    infer=extreme_spec,
    lower=Reduce(
        highest,
        lambda b, low, x: extremum(b, "minimum", low, x),
        of_numbers=lambda b, low, x: chosen(b, "<", low, x),
    ),
)
def reduce_min(x: Any, /, *, axes: Axes) -> Any:
    """The smallest element along `axes` (None: all), which are dropped; the op behind `min`."""
    return np.asarray(np.minimum.reduce(x, axis=axes))


def shared(g: Tensor, x: Tensor, hits: Tensor, axes: Axes) -> Any:
    """`g` in equal shares to those elements of `x` that are the extreme."""
    mask = astype(hits, g.dtype)
    return spread(g / reduce_sum(mask, axes=axes), x, axes) * mask


# not less, rather than equal: where the extreme is nan, every element gets a share of g
reduce_max.defvjp(
    lambda g, y, x, *, axes: shared(g, x, logical_not(less(x, spread(y, x, axes))), axes)
)
reduce_min.defvjp(
    lambda g, y, x, *, axes: shared(g, x, logical_not(greater(x, spread(y, x, axes))), axes)
)

for _op in (reduce_max, reduce_min):
    _op.defbatch(along_axes)


@composite
@ranked
def max(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The largest element along `axis`; nan spreads.

    axis: an int or several; None for all. keepdims: keep the axes, with length 1. Where several
    are largest, they share the derivative evenly. Raises SpecError where an axis is empty.
    Array API: max.
    """
    x = api.asarray(x)
    y = reduce_max(x, axes=canonical_axes("max", axis, x.ndim))
    return y if keepdims is False else kept(y, x, axis, keepdims)


@composite
@ranked
def min(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The smallest element along `axis`; nan spreads.

    axis: an int or several; None for all. keepdims: keep the axes, with length 1. Where several
    are smallest, they share the derivative evenly. Raises SpecError where an axis is empty.
    Array API: min.
    """
    x = api.asarray(x)
    y = reduce_min(x, axes=canonical_axes("min", axis, x.ndim))
    return y if keepdims is False else kept(y, x, axis, keepdims)


# the product


@primitive(
    infer=lambda x, *, axes: Spec(reduced_shape("prod", x, axes), x.dtype),
    lower=Reduce(lambda dtype: 1, lambda b, total, x: b.mul(total, x), kinds="fiu"),
)
def reduce_prod(x: Any, /, *, axes: Axes) -> Any:
    """Product over `axes` (None: all), which are dropped; the op behind `prod`."""
    return np.asarray(np.multiply.reduce(x, axis=axes, dtype=x.dtype))


def others(x: Tensor, axes: Axes) -> Any:
    """For each element, the product of all others over `axes`."""
    if axes is None or len(axes) == x.ndim != 1:
        return reshaped_like(product_of_others(reshape(x, -1), 0), x)
    if not axes:
        return api.ones_like(x)
    *rest, last = axes
    along = product_of_others(x, last)
    if not rest:
        return along
    across = others(reduce_prod(x, axes=(last,)), tuple(rest))
    return along * spread(across, x, (last,))


reduce_prod.defvjp(lambda g, y, x, *, axes: spread(g, x, axes) * others(x, axes))
reduce_prod.defbatch(along_axes)


@composite
@ranked
def prod(x: Any, /, axis: Any = None, *, dtype: Any = None, keepdims: bool = False) -> Any:
    """Product of the elements along `axis`. The derivative is right where elements are 0.

    axis: an int or several; None for all. dtype: of the product; None keeps that of `x`, but
    makes bool and integers of 8 and 16 bits (u)int32. keepdims: keep the axes, with length 1.
    Integers wrap where a product does not fit. Array API: prod.
    """
    x = widened(x, dtype)
    y = reduce_prod(x, axes=canonical_axes("prod", axis, x.ndim))
    return y if keepdims is False else kept(y, x, axis, keepdims)


# truth


def truth_spec(x: Any, *, axes: Axes) -> Spec:
    """bool, without `axes`."""
    return Spec(reduced_shape("any, all", x, axes), np.bool_)


@primitive(
    infer=truth_spec,
    lower=Reduce(lambda dtype: False, lambda b, found, x: b.bitwise("or", found, x), kinds="b"),
)
def reduce_any(x: Any, /, *, axes: Axes) -> Any:
    """Whether any element along `axes` (None: all) is true; the op behind `any`."""
    return np.asarray(np.logical_or.reduce(x, axis=axes))


@primitive(
    infer=truth_spec,
    lower=Reduce(lambda dtype: True, lambda b, held, x: b.bitwise("and", held, x), kinds="b"),
)
def reduce_all(x: Any, /, *, axes: Axes) -> Any:
    """Whether all elements along `axes` (None: all) are true; the op behind `all`."""
    return np.asarray(np.logical_and.reduce(x, axis=axes))


for _op in (reduce_any, reduce_all):
    _op.no_gradient("truth is piecewise constant")
    _op.defbatch(along_axes)


@composite
@ranked
def any(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Whether any element along `axis` is true, that is, not 0; False of none. Array API: any."""
    x = astype(x, np.bool_)
    y = reduce_any(x, axes=canonical_axes("any", axis, x.ndim))
    return y if keepdims is False else kept(y, x, axis, keepdims)


@composite
@ranked
def all(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Whether all elements along `axis` are true, that is, not 0; True of none. Array API: all."""
    x = astype(x, np.bool_)
    y = reduce_all(x, axes=canonical_axes("all", axis, x.ndim))
    return y if keepdims is False else kept(y, x, axis, keepdims)


@composite
def count_nonzero(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Any:
    """How many elements along `axis` are not 0, int64. Array API: count_nonzero."""
    return api.sum(not_equal(x, 0), axis=axis, dtype=np.int64, keepdims=keepdims)


# statistics


def count(x: Tensor, axes: Axes) -> Any:
    """How many elements of `x` fall on one of its reduction over `axes`: an int, where known."""
    if axes is None:
        return reduce_prod(shape_of(x), axes=None)
    if is_static(x):
        return math.prod([x.shape[i] for i in axes])
    dims = dims_of(x)
    return functools.reduce(operator.mul, [dims[i] for i in axes], 1)


def divided(total: Tensor, n: Any) -> Any:
    """`total / n`; nan where `n` is not positive."""
    if isinstance(n, Tensor):
        return total / astype(where(greater(n, 0), n, math.nan), real_dtype(total.dtype))
    return total / n if n > 0 else total * math.nan


def mean_over(x: Tensor, axes: Axes) -> Any:
    """The mean of floating `x` over `axes`, which are dropped."""
    if x.dtype == np.float16:  # whose sums overflow
        return astype(mean_over(astype(x, np.float32), axes), np.float16)
    return divided(reduce_sum(x, axes=axes), count(x, axes))


def variance(x: Tensor, axes: Axes, correction: float) -> Any:
    """The variance of floating `x` over `axes`, which are dropped. In two passes."""
    if x.dtype == np.float16:
        return astype(variance(astype(x, np.float32), axes, correction), np.float16)
    centre = mean_over(x, axes)
    deviation = x - (centre if axes is None else insert_axes(centre, axes=axes))
    if x.dtype.kind == "c":
        squares = square(real(deviation)) + square(imag(deviation))
    else:
        squares = square(deviation)
    return divided(reduce_sum(squares, axes=axes), count(x, axes) - correction)


def floating(x: Any) -> Any:
    """`x` as a floating or complex tensor; integers become float64, as in NumPy."""
    x = api.asarray(x)
    return x if x.dtype.kind in "fc" else astype(x, np.float64)


@composite
@ranked
def mean(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Mean of the elements along `axis`; nan of none.

    axis: an int or several; None for all. keepdims: keep the axes, with length 1.
    Array API: mean.
    """
    x = floating(x)
    y = mean_over(x, canonical_axes("mean", axis, x.ndim))
    return y if keepdims is False else kept(y, x, axis, keepdims)


@composite
@ranked
def var(x: Any, /, axis: Any = None, *, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Variance of the elements along `axis`: the mean of |x - mean|^2, real.

    axis: an int or several; None for all. correction: what to divide by is the number of
    elements less this; 1 for an unbiased estimate from a sample. keepdims: keep the axes, with
    length 1. Array API: var.
    """
    x = floating(x)
    if not isinstance(correction, (int, float)):
        correction = as_number("var", "correction", correction)
    y = variance(x, canonical_axes("var", axis, x.ndim), correction)
    return y if keepdims is False else kept(y, x, axis, keepdims)


@composite
def std(x: Any, /, axis: Any = None, *, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Standard deviation of the elements along `axis`; its derivative is 0 where it is 0.

    axis: an int or several; None for all. correction: as in `var`. keepdims: keep the axes, with
    length 1. Array API: std.
    """
    spread_squared = var(x, axis, correction=correction, keepdims=keepdims)
    flat = equal(spread_squared, 0)
    return where(flat, 0, sqrt(where(flat, 1, spread_squared)))
