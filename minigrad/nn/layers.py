"""Layers without state: normalisation, dropout, one-hot, embedding, attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.convert import as_tensor
from ..core.registry import api
from ..core.spec import as_dtype, as_int, as_number, as_truth, said
from ..errors import SpecError
from ..ops.exponential import rsqrt
from .losses import softmax


def layer_norm(x: Any, gamma: Any = None, beta: Any = None, eps: float = 1e-5) -> Any:
    """Rows of `x` with mean 0 and variance 1, times `gamma`, plus `beta`.

    x: (..., n), floating. gamma, beta: (n,); None for 1 and 0. eps: added to the variance; its
    unit is that of x squared. Returns the shape of `x`. Ba, Kiros and Hinton (2016).
    """
    x = as_tensor(x)
    centred = x - api.mean(x, axis=-1, keepdims=True)
    variance = api.mean(centred * centred, axis=-1, keepdims=True)
    y = centred * rsqrt(variance + eps)
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


def dropout(x: Any, rate: float, generator: Any = None, training: bool = True) -> Any:
    """`x` with elements set to 0 with probability `rate`, the others divided by 1 - rate.

    x: floating. rate: a number from 0 up to but not 1. generator: mg.random.Generator that
    draws; needed if training. training: False gives `x` back.
    Raises SpecError for other rates, or without a generator.
    """
    x, rate = as_tensor(x), as_number("dropout", "rate", rate)
    if not 0 <= rate < 1:
        raise SpecError(
            f"dropout: rate={rate!r} came; it is the probability of losing an element; write a "
            "number from 0 up to, not including, 1"
        )
    if not as_truth("training", training) or rate == 0:
        return x
    if not hasattr(generator, "uniform_like"):
        raise SpecError(
            f"dropout: no generator came while training, but {said(generator)}; random numbers "
            "have an explicit source; write mg.nn.dropout(x, rate, generator) with "
            "generator = mg.random.Generator(seed)"
        )
    kept = generator.uniform_like(x, dtype=np.float32) >= rate
    return api.where(kept, x * (1 / (1 - rate)), 0)


def one_hot(indices: Any, depth: int, dtype: Any = np.float32) -> Any:
    """1 at the place that each index names along a new last axis, else 0.

    indices: integers of any shape; one outside 0 ... depth - 1 gives a row of 0.
    Returns (..., depth) of `dtype`.
    """
    indices = as_tensor(indices)
    if indices.dtype.kind not in "iu":
        raise SpecError(
            f"one_hot: indices are {indices.spec}; an index is a whole number; "
            "write mg.astype(indices, mg.int32)"
        )
    # in no smaller dtype: places beyond it would wrap, and one index have two
    wide = indices.dtype if indices.dtype.itemsize >= 4 else np.dtype(np.int32)
    places = api.arange(as_int("one_hot", "depth", depth, 0), dtype=wide)
    return api.astype(api.equal(api.expand_dims(indices, axis=-1), places), as_dtype(dtype))


def embedding(ids: Any, table: Any) -> Any:
    """The rows of `table` that `ids` name.

    ids: integers of any shape, each a row number. table: (rows, n). Returns (..., n).
    """
    return as_tensor(table)[as_tensor(ids)]


def scaled_dot_product_attention(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    """Means of the rows of `v`, weighted by softmax(q kᵀ / √d) over the rows of `k`.

    q: (..., m, d). k: (..., n, d). v: (..., n, e). mask: bool, (..., m, n) or what broadcasts to
    it: True where a row of q may look at a row of k (a row that may look at none weighs all
    alike); or floating, added to the scores. Returns (..., m, e). Vaswani et al. (2017).
    """
    q, k, v = as_tensor(q), as_tensor(k), as_tensor(v)
    if q.shape == ():
        raise SpecError(
            f"scaled_dot_product_attention: q is {q.spec}: it has two axes or more; reshape it"
        )
    if q.shape is None or q.shape[-1] is None:
        scale = rsqrt(api.astype(api.maximum(api.shape(q)[-1], 1), q.dtype))
    else:
        scale = 1 / math.sqrt(max(1, q.shape[-1]))
    scores = api.matmul(q * scale, k.mT)
    if mask is not None:
        mask = as_tensor(mask)
        lowest = float(np.finfo(scores.dtype).min)
        scores = api.where(mask, scores, lowest) if mask.dtype.kind == "b" else scores + mask
    return api.matmul(softmax(scores), v)
