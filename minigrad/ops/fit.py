"""Cutting an axis to a length, or filling it up with zeros, where the length may be a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import alone, has_one_row, whole
from ..core.define import primitive
from ..core.registry import api
from ..core.spec import Spec, canonical_axis
from ..core.tensor import Tensor, tensor_of
from ..errors import SpecError


def fitted_spec(x: Any, n: Any, *, axis: int) -> Spec:
    """The spec of `x`, with the length along `axis` that `n` says."""
    length = known_length("fit", n)
    shape = None if x.shape is None else with_length("fit", x.shape, axis, length)
    return Spec(shape, x.dtype)


def with_length(name: str, shape: Any, axis: int, length: int | None) -> tuple[Any, ...]:
    """`shape` with another length along `axis`; raises SpecError, for `name`, where it has none."""
    place = canonical_axis(name, axis, len(shape))
    return (*shape[:place], length, *shape[place + 1 :])


def known_length(name: str, n: Any) -> int | None:
    """The int that `n` is, where that is known. Raises SpecError where it is no length."""
    if type(n) is int and n >= 0:
        return n
    if not hasattr(n, "dtype") or n.dtype.kind not in "iu" or n.shape not in ((), None):
        raise SpecError(
            f"{name}: a length was needed and {n!r} came; it is an int from 0 on, or a 0-d tensor "
            "of integers; write, say, 8"
        )
    return int(n._value) if type(n) is Tensor and n._value.ndim == 0 else None


def given_length(name: str, n: Any) -> int:
    """The int that a kernel is given, as itself, as an array or as a number of NumPy's."""
    known_length(name, n if type(n) is int else tensor_of(np.asarray(n)))
    return int(n)


@primitive(infer=fitted_spec, linear="each")
def fit_axis(x: Any, n: Any, /, *, axis: int) -> Any:
    """`x` with `n` elements along `axis`: the first of them, or all and zeros behind.

    n: an int, or a 0-d tensor of integers where a trace does not know it.
    """
    length = given_length("fit", n)
    have = x.shape[axis]
    lead = (slice(None),) * (axis % x.ndim)
    if length <= have:
        return x[(*lead, slice(length))]
    y = np.zeros(with_length("fit", x.shape, axis, length), x.dtype)
    y[(*lead, slice(have))] = x
    return y


def length_batch(op: Any, n: Any, x: Tensor, length: Any, *, axis: int, **attrs: Any) -> Any:
    """Along the same axis; the examples must agree on the length."""
    if isinstance(length, Tensor):
        if not has_one_row(length):
            return NotImplemented
        length = alone(length)
    return op(whole(n, x), length, axis=axis if axis < 0 else axis + 1, **attrs)


fit_axis.defbatch(length_batch)


def fitted(x: Tensor, n: Any, axis: int) -> Any:
    """`fit_axis`, where there is something to do."""
    have = None if x.shape is None else x.shape[axis]
    return x if type(n) is int and n == have else fit_axis(x, n, axis=axis)


def length_of(x: Tensor, axis: int) -> Any:
    """The length of `x` along `axis`: an int where it is known, else a 0-d tensor."""
    known = None if x.shape is None else x.shape[axis]
    return api.shape_of(x)[axis] if known is None else known


fit_axis.defvjp(lambda g, y, x, n, *, axis: fitted(g, length_of(x, axis), axis), None)
