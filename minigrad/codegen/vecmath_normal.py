"""Normal numbers of random words in loops: the formulas of `ops/box_muller.py`, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..core.lowering import Value
from ..ops.box_muller import FLOAT64, Spelling, spelt_point, spelt_radius
from .arithmetic import Arithmetic
from .terms import Term, sqrt, where

TERMS = Spelling(
    lambda x, dtype: x.to(dtype),
    lambda x: x.bits(),
    lambda x: x.bits_as(FLOAT64),
    where,
    sqrt,
    lambda x: Term(x.emitter, x.emitter.intrinsic("roundeven", x.value)),
)


def spelt(formula: Callable[..., Term], emitter: Arithmetic, *words: Value) -> Value:
    """A formula of words; no product and sum of it become one instruction, which rounds once."""
    terms = [Term(emitter, word).exactly() for word in words]
    return formula(*terms, words[-1].dtype.itemsize, TERMS).value


RULES: dict[str, Callable[..., Value]] = {
    "radius": partial(spelt, spelt_radius),
    "point": partial(spelt, spelt_point),
}


def supported(dtype: np.dtype[Any]) -> bool:
    """Whether lanes of `dtype` are words."""
    return dtype in (np.uint32, np.uint64)
