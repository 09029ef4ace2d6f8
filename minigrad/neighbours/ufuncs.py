"""Ufuncs of NumPy and SciPy whose name or meaning differs from the standard's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..core.registry import api
from ..core.spec import DTYPES
from ..core.tensor import Tensor

Function = Callable[..., Any]

# ufuncs that the standard calls otherwise
UFUNCS = {
    "true_divide": "divide",
    "power": "pow",
    "absolute": "abs",
    "rint": "round",
    "conjugate": "conj",
    "mod": "remainder",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
}

# ufuncs of scipy.special
SPECIAL = {"psi": "digamma", "loggamma": "gammaln"}

ROWS: dict[str, Function] = {}


def row(function: Function) -> Function:
    """Let the function stand for the ufunc of the same name."""
    ROWS[function.__name__] = function
    return function


@row
def fabs(x: Any, /) -> Any:
    """Absolute value as a float."""
    x = api.asarray(x)
    return NotImplemented if x.dtype.kind == "c" else api.abs(x if x.dtype.kind == "f" else wide(x))


@row
def float_power(x1: Any, x2: Any, /) -> Any:
    """Power in 64 bits."""
    return api.pow(*[wide(x) for x in (x1, x2)])


def wide(x: Any) -> Tensor:
    """`x` in 64 bits, complex where it is."""
    x = api.asarray(x)
    found: Tensor = api.astype(x, DTYPES["complex128" if x.dtype.kind == "c" else "float64"])
    return found


@row
def divmod(x1: Any, x2: Any, /) -> Any:
    """Whole quotient and remainder."""
    return api.floor_divide(x1, x2), api.remainder(x1, x2)


@row
def deg2rad(x: Any, /) -> Any:
    """Degrees as radians."""
    return api.asarray(x) * (math.pi / 180)


@row
def rad2deg(x: Any, /) -> Any:
    """Radians as degrees."""
    return api.asarray(x) * (180 / math.pi)


ROWS["radians"], ROWS["degrees"] = deg2rad, rad2deg


@row
def exp2(x: Any, /) -> Any:
    """2 to the power `x`."""
    return api.pow(2.0, x)


@row
def fmax(x1: Any, x2: Any, /) -> Any:
    """Larger of two, and of a NaN and a number the number."""
    x1, x2 = api.asarray(x1), api.asarray(x2)
    return api.where(api.isnan(x1), x2, api.where(api.isnan(x2), x1, api.maximum(x1, x2)))


@row
def fmin(x1: Any, x2: Any, /) -> Any:
    """Smaller of two, and of a NaN and a number the number."""
    x1, x2 = api.asarray(x1), api.asarray(x2)
    return api.where(api.isnan(x1), x2, api.where(api.isnan(x2), x1, api.minimum(x1, x2)))


@row
def matvec(x1: Any, x2: Any, /) -> Any:
    """Matrices times vectors."""
    return api.squeeze(api.matmul(x1, api.asarray(x2)[..., None]), -1)


@row
def vecmat(x1: Any, x2: Any, /) -> Any:
    """Vectors, conjugated, times matrices."""
    x1 = api.asarray(x1)
    x1 = api.conj(x1) if x1.dtype.kind == "c" else x1
    return api.squeeze(api.matmul(x1[..., None, :], x2), -2)
