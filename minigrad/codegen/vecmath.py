"""Vector math: functions of floats as inline polynomials, in a table by their array API names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.codegen.arithmetic import FLOAT32, FLOAT64, Arithmetic
from minigrad.core.lowering import Value

Rule = Callable[..., Value]


def sqrt(emitter: Arithmetic, x: Value) -> Value:
    """The square root, correctly rounded."""
    return emitter.intrinsic("sqrt", x)


MATH: dict[str, Rule] = {"sqrt": sqrt}


def is_float(dtype: Any) -> bool:
    """Whether `dtype` is float32 or float64."""
    return np.dtype(dtype) in (FLOAT32, FLOAT64)


def supported(name: str, dtype: Any) -> bool:
    """Whether MATH has the function `name`, right for lanes of `dtype`."""
    return name in MATH and is_float(dtype)
