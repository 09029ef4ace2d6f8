"""Ranges and slices whose bounds are tensors: how long they are shows when they are computed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.convert import as_tensor
from ..core.define import composite, primitive
from ..core.lowering import Count
from ..core.refusals import allocated
from ..core.spec import DTYPES, SCALARS, Spec, as_dtype, said
from ..core.tensor import Tensor
from ..errors import SpecError, TraceError
from .logic import astype
from .shape import reshape, shape_of
from .slice import ARRAY, take_slice

# ranges


def number_spec(name: str, *xs: Any) -> None:
    """Raise SpecError where one of `xs` is not one real number."""
    for x in xs:
        if isinstance(x, Tensor) and (x.shape not in ((), None) or x.dtype.kind not in "fiu"):
            raise SpecError(
                f"{name}: {x.spec} came; a bound is one real number; index down to one, or "
                "write mg.reshape(x, ())"
            )


def range_length_spec(start: Any, stop: Any, step: Any) -> Spec:
    """One whole number."""
    number_spec("arange", start, stop, step)
    if (isinstance(step, (int, float)) or type(step) is Tensor) and raw_number(step) == 0:
        raise SpecError("arange: a step of 0 came; no number arrives; write another step")
    return Spec((), np.int64)


def raw_number(x: Any) -> Any:
    """The number that a tensor or array without axes holds."""
    return x._value.item() if isinstance(x, Tensor) else x


@primitive(infer=range_length_spec)
def range_length(start: Any, stop: Any, step: Any, /) -> Any:
    """How many numbers there are from `start` up to `stop`, `step` apart; behind `arange`."""
    first, last, by = [np.asarray(x)[()].item() for x in (start, stop, step)]
    if np.ndim(start) or np.ndim(stop) or np.ndim(step) or by == 0:
        raise ValueError("three numbers, of which the step is not 0")
    if type(first) is type(last) is type(by) is int:
        return np.asarray(len(range(first, last, by)), np.int64)
    return np.asarray(max(0, int(np.ceil((last - first) / by))), np.int64)


def counting_spec(n: Any, *, dtype: Any) -> Spec:
    """As many numbers as `n` says, if that is known."""
    number_spec("arange", n)
    known = n if isinstance(n, int) else raw_number(n) if type(n) is Tensor else None
    if known is not None and (int(known) != known or known < 0):
        raise SpecError(f"arange: {known} numbers were asked for; a count is 0 or more; write that")
    return Spec((known,), dtype)


@primitive(infer=counting_spec, lower=Count())
def counting(n: Any, /, *, dtype: Any) -> Any:
    """0, 1, 2, ... as many as `n` says, of `dtype`; behind `arange`."""
    if np.ndim(n) or n != int(n) or n < 0:
        raise ValueError("a count is one whole number")
    return np.arange(int(n)).astype(dtype)


range_length.no_gradient("a number of steps is whole")
counting.no_gradient("the numbers are counted, not computed")


@composite
def computed_range(start: Any, stop: Any, step: Any, dtype: Any) -> Any:
    """`arange` by bounds of which a trace does not know one. dtype: None for the default."""
    given = (start, stop, step)
    kinds = [x.dtype.kind if isinstance(x, Tensor) else "f" * isinstance(x, float) for x in given]
    if dtype is None:
        dtype = DTYPES["float32" if "f" in kinds else "int32"]
    wanted = as_dtype(dtype)
    steps = counting(range_length(*given), dtype=wanted)
    if wanted.kind == "f":
        return astype(start + step * steps, wanted)  # Python numbers take the dtype of the tensors
    return astype(as_tensor(start) + as_tensor(step) * steps, wanted)


@composite
def computed_linspace(start: Any, stop: Any, num: int, endpoint: bool, dtype: Any) -> Any:
    """`linspace` by bounds of which one is a tensor. dtype: None for the default."""
    given = [one_number(x) for x in (start, stop)]
    if dtype is None:
        kinds = [as_tensor(x).dtype.kind for x in given]
        dtype = DTYPES["complex64" if "c" in kinds else "float32"]
    wanted = as_dtype(dtype)
    smooth = wanted.kind in "fc"
    first, last = [
        x if isinstance(x, Tensor) else as_tensor(x, wanted if smooth else np.float64)
        for x in given
    ]
    what = f"linspace: {num} numbers"
    if smooth:
        weights = allocated(what, lambda: np.linspace(0, 1, num, endpoint=endpoint))
        part = as_tensor(weights, wanted)
        return astype(first * (1 - part) + last * part, wanted)
    # divided last: the products of whole numbers are exact, and so is what is whole of them
    intervals = max(num - endpoint, 1)
    steps = as_tensor(allocated(what, lambda: np.arange(num, dtype=np.float64)))
    return astype((first * (intervals - steps) + last * steps) / intervals, wanted)


def one_number(x: Any) -> Any:
    """`x`, a tensor without axes or a Python number. Raises SpecError for others."""
    if type(x) in SCALARS:
        return x
    try:
        tensor = as_tensor(x)
    except SpecError:
        tensor = None
    if tensor is None or (
        tensor.shape is not None and math.prod(n or 1 for n in tensor.shape) != 1
    ):
        raise SpecError(
            f"linspace: {said(x)} came; its bounds are numbers, or tensors of one element; "
            "index down to one"
        )
    return tensor if tensor.shape == () else reshape(tensor, ())


# slices


def places_spec(n: Any, *bounds: Any, part: tuple[Any, ...]) -> Spec:
    """Some places."""
    for bound in bounds:
        if bound.dtype.kind not in "iu" or bound.shape not in ((), None):
            raise SpecError(
                f"a slice with a bound of {bound.spec} came; bounds and steps are whole numbers; "
                "convert it, as in mg.astype(i, mg.int32)"
            )
    if type(n) is Tensor and all(type(bound) is Tensor for bound in bounds):
        values = [raw_number(bound) for bound in bounds]
        return Spec((len(range(*slice_of(part, values).indices(raw_number(n)))),), np.int64)
    return Spec((None,), np.int64)


def slice_of(part: tuple[Any, ...], bounds: Any) -> slice:
    """The slice that `part` says, with `bounds` where it says "array"."""
    rest = iter(bounds)
    ends = [int(next(rest)) if end == ARRAY else end for end in part]
    if ends[2] == 0:
        raise SpecError(
            "a slice with a step of 0 came; its elements never arrive; write another step"
        )
    return slice(*ends)


@primitive(infer=places_spec)
def places_of_slice(n: Any, *bounds: Any, part: tuple[Any, ...]) -> Any:
    """The indices, int64, that the slice `part` takes of `n`.

    part: start, stop and step, each an int, None, or "array" for the next of `bounds`.
    """
    if any(np.ndim(bound) or bound.dtype.kind not in "iu" for bound in bounds):
        raise ValueError("a bound is one whole number")
    return np.arange(*slice_of(part, bounds).indices(int(n)), dtype=np.int64)


places_of_slice.no_gradient("a place is a whole number")


@composite
def computed_slices(x: Any, key: Any, /) -> Any:
    """`x[key]`, where bounds of slices are tensors of which a trace knows no value."""
    several = key if isinstance(key, tuple) else (key,)
    rest: list[Any] = list(several)
    for i, part in enumerate(several):
        if type(part) is slice and any(map(is_computed, (part.start, part.stop, part.step))):
            x = x[sliced(x, several, i)]
            rest[i] = slice(None)
    if all(part is old for part, old in zip(rest, several, strict=True)):
        raise TraceError(f"x[{key!r}]: an index is known only when the graph runs; write mg.take")
    return x[tuple(rest)]


def is_computed(bound: Any) -> bool:
    """Whether a bound of a slice has no value yet."""
    return isinstance(bound, Tensor) and type(bound) is not Tensor


def sliced(x: Any, several: tuple[Any, ...], i: int) -> tuple[Any, ...]:
    """The index that does for `x` what the part `i` of `several` does, and no more."""
    dots = [k for k, part in enumerate(several) if part is ...]
    before = sum(map(axes_taken, several[:i]))
    after = sum(map(axes_taken, several[i + 1 :]))
    behind = bool(dots) and dots[0] < i
    axis = -1 - after if behind else before
    part = several[i]
    ends = (part.start, part.stop, part.step)
    bounds = [as_tensor(end) for end in ends if isinstance(end, Tensor)]
    written = tuple([ARRAY if isinstance(end, Tensor) else end for end in ends])
    length = take_slice(shape_of(x), key=(axis,))
    places = places_of_slice(length, *bounds, part=written)
    full = slice(None)
    return (..., places, *[full] * after) if behind else (*[full] * before, places)


def axes_taken(part: Any) -> int:
    """How many axes of a tensor a part of a key takes, Ellipsis aside."""
    if part is None or part is ...:
        return 0
    if isinstance(part, Tensor) and part.dtype.kind == "b":
        return int(part.ndim)
    return 1
