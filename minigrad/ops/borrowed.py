"""Matrices in native code: loops that NumPy keeps, and a look at whether they failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.lowering import Borrowed, Require
from ..core.op import MADE_LATE, Op
from ..core.registry import OPS, api
from ..core.spec import Spec, promote, real_dtype

LARGEST = 64
"""Rows up to which calling LAPACK by Python takes as long as LAPACK itself, or longer."""


def borrow(name: str, op: Op, **attrs: Any) -> None:
    """Make the op of NumPy's loop `name`, which is `op`; one output more says whether it failed.

    Its kernel is that of `op`, which raises then. All is in double precision, where NumPy
    decomposes matrices of any dtype; the attribute `dtype` is that of the matrices before.
    """

    def run(*xs: Any, dtype: Any) -> tuple[Any, ...]:
        ys = op.kernel(*[x.astype(dtype) for x in xs], **attrs)
        found = [y.astype(precise(y.dtype)) for y in (ys if type(ys) is tuple else (ys,))]
        return (*found, np.zeros((), np.bool_))

    def infer(*xs: Any, dtype: Any) -> tuple[Spec, ...]:
        found = op.infer(*xs, **attrs)
        return (*(found if type(found) is tuple else (found,)), Spec((), np.bool_))

    made = Op(run, infer=infer, name=loop_name(name), lower=Borrowed(name))
    made.opaque = MADE_LATE


def loop_name(name: str) -> str:
    """The name of the op of NumPy's loop `name`."""
    return f"{name}_loop"


def precise(dtype: Any) -> Any:
    """The dtype of double precision for numbers of `dtype`."""
    return np.complex128 if dtype.kind == "c" else np.float64


sound = Op(
    lambda y, failed: y,
    infer=lambda y, failed: Spec(y.shape, y.dtype),
    name="sound",
    lower=Require(truth=1),
)
sound.opaque = MADE_LATE


def borrowed(name: str, *, fails: bool = True) -> Callable[..., Any]:
    """What an op means in native code, for small matrices: the op of NumPy's loop `name`.

    fails: whether there are matrices for which it fails.
    """

    def means(*xs: Any) -> Any:
        if xs[0].shape[-1] > LARGEST:
            return None
        dtype = promote(*xs)
        given = [api.astype(x, precise(dtype)) for x in xs]
        *ys, failed = OPS[loop_name(name)](*given, dtype=dtype)
        if fails:
            ys = [sound(y, failed) for y in ys]
        found = [api.astype(y, dtype if y.dtype.kind == "c" else real_dtype(dtype)) for y in ys]
        return found[0] if len(found) == 1 else tuple(found)

    return means
