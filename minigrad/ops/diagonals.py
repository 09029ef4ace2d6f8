"""The diagonals of the matrices in the last two axes, taken out and put in."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import as_it_is, whole
from ..core.define import primitive
from ..core.lowering import Composed
from ..core.spec import Spec
from ..core.tensor import Tensor
from ..errors import SpecError
from .boxes import diagonal
from .shape import STATIC_FORMS, reshape_to
from .slice import take_slice


def diagonal_spec(x: Any, *, offset: int) -> Spec:
    """The shape with one axis, of what lies on the diagonal, for the last two."""
    if x.shape is None:
        return Spec(None, x.dtype)
    if len(x.shape) < 2:
        raise SpecError(
            f"diagonal: {x.spec} came; a matrix has two axes, the last ones; "
            "make them with mg.reshape or x[:, None]"
        )
    *batch, m, n = x.shape
    return Spec((*batch, None if None in (m, n) else diagonal_length(m, n, offset)), x.dtype)


def diagonal_length(m: int, n: int, offset: int) -> int:
    """How many elements of an m by n matrix lie on the diagonal."""
    return max(0, min(m + min(offset, 0), n - max(offset, 0)))


@primitive(infer=diagonal_spec, linear="jointly")
def diagonal_of(x: Any, /, *, offset: int) -> Any:
    """The elements on the diagonal of each matrix; the op behind `diagonal`."""
    return np.diagonal(x, offset, -2, -1).copy()


@primitive(
    infer=lambda v, like, *, offset: Spec(like.shape, v.dtype),
    lower=Composed(lambda v, like, *, offset: diagonal(v, like.shape, offset)),
    linear="each",
)
def on_diagonal(v: Any, like: Any, /, *, offset: int) -> Any:
    """`v` on the diagonal of matrices of the shape of `like`, and zeros."""
    y = np.zeros(like.shape, v.dtype)
    m, n = like.shape[-2:]
    k = np.arange(diagonal_length(m, n, offset))
    y[..., k - min(offset, 0), k + max(offset, 0)] = v
    return y


def by_slice(x: Tensor, *, offset: int) -> Any:
    """The diagonal of matrices of known dims, in steps of one row and one column: as a loop."""
    *batch, m, n = x.shape
    k = diagonal_length(m, n, offset)
    start = offset if offset >= 0 else -offset * n
    places = (start, start + (k - 1) * (n + 1) + 1, n + 1) if k else (0, 0, 1)
    return take_slice(reshape_to(x, shape=(*batch, m * n)), key=(..., places))


STATIC_FORMS["diagonal_of"] = by_slice
diagonal_of.defvjp(lambda g, y, x, *, offset: on_diagonal(g, x, offset=offset))
diagonal_of.defbatch(as_it_is)
on_diagonal.defvjp(lambda g, y, v, like, *, offset: diagonal_of(g, offset=offset), None)


@on_diagonal.defbatch
def on_diagonal_batch(op: Any, n: Any, v: Tensor, like: Tensor, *, offset: int) -> Any:
    """Examples are one more axis of the batch."""
    return op(whole(n, v), whole(n, like), offset=offset)
