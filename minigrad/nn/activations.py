"""Activations: what a layer does to each element."""

from __future__ import annotations

import math
from typing import Any

from ..core.convert import as_tensor
from ..core.registry import api
from ..core.spec import as_truth
from ..ops.exponential import expm1
from ..ops.logic import maximum, minimum
from ..ops.special_functions import erfc, expit, softplus
from ..ops.trigonometric import tanh

__all__ = ["elu", "gelu", "leaky_relu", "relu", "sigmoid", "silu", "softplus"]

sigmoid = expit


def relu(x: Any, /) -> Any:
    """`x` where it is positive, else 0, elementwise. The derivative at 0 is 0."""
    return maximum(0, x)  # in this order: a tie goes to the 0


def leaky_relu(x: Any, /, slope: float = 0.01) -> Any:
    """`x` where it is positive, else `slope` times `x`, elementwise. slope: a number."""
    x = as_tensor(x)
    return api.where(x > 0, x, x * slope)


def elu(x: Any, /, alpha: float = 1.0) -> Any:
    """`x` where it is positive, else alpha (exp(x) - 1), elementwise. alpha: a number."""
    x = as_tensor(x)
    # the bound keeps exp from overflowing in the branch not taken
    return api.where(x > 0, x, alpha * expm1(minimum(x, 0)))


def silu(x: Any, /) -> Any:
    """x sigmoid(x), elementwise; also known as swish."""
    x = as_tensor(x)
    return x * expit(x)


def gelu(x: Any, /, approximate: bool = True) -> Any:
    """`x` times the probability that a standard normal number is below it, elementwise.

    approximate: by tanh, off by at most 0.0005; otherwise through erfc, to rounding.
    Hendrycks and Gimpel (2016).
    """
    x = as_tensor(x)
    if as_truth("approximate", approximate):
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1 + tanh(inner))
    return 0.5 * x * erfc(-math.sqrt(0.5) * x)
