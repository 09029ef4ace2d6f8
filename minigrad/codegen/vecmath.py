"""Vector math: functions of floats as inline polynomials, in a table by their array API names.

Errors are at most 2 units in the last place for float32, and 2.5 for float64 (4.5 for what is made
of erfc, 6 for the gamma functions; next to zeros of these below 0, units of 1). Infinities, NaN,
signed zeros and subnormals are as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.lowering import Value
from . import vecmath_erf, vecmath_exp, vecmath_gamma, vecmath_log, vecmath_trig
from .arithmetic import FLOAT32, FLOAT64, Arithmetic
from .terms import Term, sqrt


def rsqrt(x: Term) -> Term:
    """1 / sqrt(x)."""
    return 1.0 / sqrt(x)


MATH: dict[str, Callable[..., Term]] = {
    "sqrt": sqrt,
    "rsqrt": rsqrt,
    **vecmath_exp.RULES,
    **vecmath_log.RULES,
    **vecmath_trig.RULES,
    **vecmath_erf.RULES,
    **vecmath_gamma.RULES,
}


def apply(emitter: Arithmetic, name: str, *xs: Value) -> Value:
    """The function `name` of MATH at the operands `xs`, of one dtype."""
    return MATH[name](*(Term(emitter, x) for x in xs)).value


def is_float(dtype: Any) -> bool:
    """Whether `dtype` is float32 or float64."""
    return np.dtype(dtype) in (FLOAT32, FLOAT64)


def supported(name: str, dtype: Any) -> bool:
    """Whether MATH has the function `name`, right for lanes of `dtype`."""
    return name in MATH and is_float(dtype)
