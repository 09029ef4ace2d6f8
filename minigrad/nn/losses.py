"""Softmax and its relatives, and the losses of classification; all by rows, and stable."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import along_axes
from ..core.convert import as_tensor
from ..core.define import composite, primitive, ranked
from ..core.registry import api
from ..core.spec import Spec, as_truth, canonical_axes, unknown_rank
from ..core.tensor import Tensor
from ..errors import SpecError
from ..ops.broadcast import kept, reduced_shape
from ..ops.exponential import exp, log
from ..ops.reduce import lowest, reduce_max
from ..ops.shape import STATIC_FORMS
from ..ops.special_functions import softplus
from ..ops.stop import stop_gradient

Axis = int | tuple[int, ...]


def bound_spec(x: Any, *, axes: tuple[int, ...] | None) -> Spec:
    """The spec of the maximum, of which empty axes are no matter."""
    return Spec(reduced_shape("softmax, logsumexp", x, axes), x.dtype)


@primitive(infer=bound_spec, public=False)
def upper_bound(x: Any, /, *, axes: tuple[int, ...] | None) -> Any:
    """The largest element along `axes` (None: all), and the lowest number where there is none."""
    nothing = {} if x.size else {"initial": lowest(x.dtype)}
    return np.asarray(np.maximum.reduce(x, axis=axes, **nothing))


upper_bound.no_gradient("it is only added and taken off again")
upper_bound.defbatch(along_axes)


def bound_where_known(x: Tensor, axes: tuple[int, ...] | None) -> Any:
    """The same as the plain maximum, where a trace knows that no axis is empty."""
    dims = [None] if x.shape is None else x.shape if axes is None else [x.shape[i] for i in axes]
    return upper_bound(x, axes=axes) if None in dims or 0 in dims else reduce_max(x, axes=axes)


STATIC_FORMS["upper_bound"] = lambda x, axes: bound_where_known(x, axes)


@composite
@ranked
def largest_along(x: Any, axis: Any) -> Any:
    """The largest element along `axis`, which is kept: a constant for derivatives."""
    axes = canonical_axes("softmax, logsumexp", axis, x.ndim)
    return kept(stop_gradient(bound_where_known(x, axes)), x, axis, True)


def shifted(x: Tensor, axis: Axis) -> Any:
    """`x` less its largest element along `axis`: exp of it does not overflow.

    The largest is a constant for derivatives, since what it adds cancels.
    """
    return x - largest_along(x, axis)


def softmax(x: Any, /, axis: Axis = -1) -> Any:
    """exp(x) divided by its sum along `axis`.

    x: floating; rows may be empty. Returns the shape of `x`.
    """
    e = exp(shifted(as_tensor(x), axis))
    return e / api.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, /, axis: Axis = -1) -> Any:
    """Logarithm of softmax along `axis`, exact where softmax underflows."""
    z = shifted(as_tensor(x), axis)
    return z - log(api.sum(exp(z), axis=axis, keepdims=True))


def logsumexp(x: Any, /, axis: Axis | None = -1, *, keepdims: bool = False) -> Any:
    """Logarithm of the sum of exp(x) along `axis` (None: all axes), without overflow.

    keepdims: keep the summed axes, with length 1. Rows of -inf only give -inf; so do empty ones.
    """
    x = as_tensor(x)
    largest = largest_along(x, axis)
    largest = api.where(api.isfinite(largest), largest, 0)  # inf - inf would be nan
    y = log(api.sum(exp(x - largest), axis=axis, keepdims=True)) + largest
    if as_truth("keepdims", keepdims):
        return y
    return api.reshape(y, ()) if axis is None else api.squeeze(y, axis)


@composite
@ranked
def softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """Cross entropy, in nats, between labels and the softmax of `logits`, row by row.

    logits: (..., classes), floating. labels: (...), whole numbers from 0 to classes - 1, or
    (..., classes), the probabilities of the classes (one-hot: 0 and 1). Returns (...).
    A whole number that is no class gives nan. Raises SpecError for labels of another rank.
    """
    logits, labels = as_tensor(logits), as_tensor(labels)
    if None in (logits.ndim, labels.ndim):
        raise unknown_rank("softmax_cross_entropy")
    total = logsumexp(logits, keepdims=True)
    if labels.ndim == logits.ndim:
        return api.sum(api.astype(labels, logits.dtype) * (total - logits), axis=-1)
    if labels.dtype.kind not in "iu" or labels.ndim != logits.ndim - 1:
        raise SpecError(
            f"softmax_cross_entropy: logits {logits.spec}, labels {labels.spec}: labels are whole "
            "numbers with one axis less than logits, or probabilities with as many; for whole "
            "numbers write mg.astype(labels, mg.int32)"
        )
    classes = logits.shape[-1]
    if classes is None:
        classes = api.shape(logits)[-1]
        chosen = api.take_along_axis(logits, labels[..., None], axis=-1)
    else:
        # a comparison and not an index: it joins the loop over the row; of four bytes, of which
        # a vector holds as many as of scores: what is no class is found out below
        narrow = api.astype(labels, np.int32) if labels.dtype.itemsize > 4 else labels
        is_label = api.equal(narrow[..., None], api.arange(classes, dtype=narrow.dtype))
        chosen = api.sum(api.where(is_label, logits, 0), axis=-1, keepdims=True)
    loss = api.squeeze(total - chosen, -1)
    return api.where(api.logical_and(labels >= 0, labels < classes), loss, float("nan"))


def sigmoid_cross_entropy(logits: Any, labels: Any) -> Any:
    """Cross entropy, in nats, between `labels` and the sigmoid of `logits`, elementwise.

    labels: probabilities of "true", of the shape of `logits`; bool and integers are cast.
    """
    logits = as_tensor(logits)
    labels = api.astype(as_tensor(labels), logits.dtype)
    # each term is exact where it is small; one softplus less would lose digits at one end
    return labels * softplus(-logits) + (1 - labels) * softplus(logits)
