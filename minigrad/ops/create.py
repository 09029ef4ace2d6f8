"""Making tensors: of what Python holds, of one number repeated, of numbers in order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.batch import raised
from ..core.convert import as_tensor
from ..core.define import composite, primitive
from ..core.lowering import Pointwise
from ..core.refusals import allocated, check_fits
from ..core.registry import api
from ..core.spec import (
    DTYPES,
    SCALARS,
    Spec,
    as_dtype,
    as_int,
    as_truth,
    default_dtype,
    said,
)
from ..core.tensor import Symbol, Tensor, tensor_of
from ..errors import SpecError
from .broadcast import broadcast_like, broadcast_to, reduce_sum
from .shape import is_static, static_dims

# of what Python holds


@composite
def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """`obj` as a tensor; itself where it is one.

    obj: a tensor, Variable, array, number, or nest of lists. dtype: None keeps that of arrays;
    Python numbers become float32, int32, complex64 or bool. copy: False forbids copying; arrays
    that somebody else may write to are always copied. Array API: asarray.
    """
    if isinstance(obj, Tensor) and dtype is None and device is None:
        return obj
    check_device(device)
    tensor = as_tensor(obj, dtype)
    if copy is False and not shares(tensor, obj):
        raise SpecError(
            f"asarray: {type(obj).__name__} came with copy=False, and would have to be copied: "
            "tensors never change, so only tensors and read-only arrays are taken as they are; "
            "leave copy out"
        )
    return tensor


def shares(tensor: Tensor, obj: Any) -> bool:
    """Whether `tensor` is `obj`, or a view of its memory."""
    if isinstance(obj, Tensor):
        return tensor is obj
    return isinstance(obj, np.ndarray) and np.shares_memory(tensor._value, obj)


def check_device(device: Any) -> None:
    """Raise SpecError for a device other than "cpu"; None is that one too."""
    if device is not None and not (isinstance(device, str) and device == "cpu"):
        raise SpecError(
            f'device {device!r:.60} was asked for: minigrad computes on "cpu" only; leave it out'
        )


@composite
def constant(value: Any, dtype: Any = None) -> Tensor:
    """A tensor of `value`: a number, a nest of lists, or an array, which is copied.

    dtype: None keeps that of arrays; Python numbers become float32, int32, complex64 or bool.
    """
    return as_tensor(value, dtype)


@composite
def convert_to_tensor(value: Any, dtype: Any = None) -> Tensor:
    """`value` as a tensor of `dtype`; itself where it is one already."""
    return as_tensor(value, dtype)


@composite
def is_tensor(x: Any, /) -> bool:
    """Whether `x` is a tensor."""
    return isinstance(x, Tensor)


# libraries whose arrays never change, so that their memory can be shared
IMMUTABLE = ("jax", "jaxlib")
CPU = 1  # kDLCPU: the memory that Python's objects lie in, too


@composite
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor of an array of another library, by the DLPack protocol.

    Its elements are copied, unless they cannot change: those of JAX, of tensors, and of NumPy
    arrays that are read-only and own their data are shared. copy: False forbids copying.
    Raises SpecError for what is no array of known dtype in the memory of this machine.
    Array API: from_dlpack.
    """
    check_device(device)
    copy = None if copy is None else as_truth("copy", copy)
    if isinstance(x, Tensor) or hasattr(x, "__as_tensor__"):
        return asarray(np.array(as_tensor(x).numpy())) if copy else as_tensor(x)
    if isinstance(x, np.ndarray):
        tensor = as_tensor(np.array(x) if copy else x)
    elif type(x).__module__.partition(".")[0] in IMMUTABLE and not copy:
        return tensor_of(imported(x))
    else:
        tensor = as_tensor(imported(x))  # copied: the array is a view of what others own
    if copy is False and not shares(tensor, x):
        raise SpecError(
            f"from_dlpack: {type(x).__name__} came with copy=False: its owner could write to it, "
            "and tensors never change; leave copy out"
        )
    return tensor


def imported(x: Any) -> np.ndarray[Any, Any]:
    """The array that `x` gives by the DLPack protocol. Raises SpecError where it gives none."""
    try:
        if x.__dlpack_device__()[0] != CPU:
            raise BufferError(f"it lies on the device {x.__dlpack_device__()}")
        return np.from_dlpack(x)
    except Exception as error:  # what a foreign library raises is not known
        raise SpecError(
            f"from_dlpack: {type(x).__name__} came, and gave no array ({type(error).__name__}: "
            f"{error}); a DLPack array has __dlpack__ and __dlpack_device__, lies in the memory of "
            "this machine, and is handed over once; write mg.asarray(x), or move it to the CPU"
        ) from error


# of one number


def fill_spec(value: Any, *, shape: tuple[int, ...], dtype: Any) -> Spec:
    """`shape`, for a value that is one number."""
    if getattr(value, "shape", ()) not in ((), None):
        raise SpecError(
            f"full: a value of {value.spec} came; one number fills a tensor; "
            "write mg.broadcast_to(value, shape)"
        )
    return Spec(shape, dtype)


@primitive(
    infer=fill_spec,
    lower=Pointwise(lambda b, value: value, operands=lambda inputs, output: (output,)),
    linear="jointly",
)
def fill(value: Any, /, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """`value`, a number or 0-d tensor, in every place of a tensor; the op behind `full`."""
    if getattr(value, "ndim", 0):
        raise ValueError("one number fills a tensor")
    if type(value) is int and value == 0:
        return np.zeros(shape, dtype)  # the system has pages of zeros at hand
    y = np.empty(shape, dtype)
    y[...] = value
    return y


fill.defbatch(
    lambda op, n, value, *, shape, dtype: broadcast_to(
        raised(as_tensor(value, dtype), len(shape)), (n, *shape)
    )
)
fill.defvjp(lambda g, y, value, *, shape, dtype: reduce_sum(g, axes=None))


def check_filling(value: Any, dtype: Any) -> None:
    """Raise SpecError where the Python number `value` would be another one in `dtype`."""
    if type(value) in SCALARS:
        if not (type(value) is int and 0 <= value <= 1):  # the usual ones fit everywhere
            as_tensor(value, dtype)
    elif isinstance(value, (list, tuple)) or (type(value) is np.ndarray and value.ndim):
        raise SpecError(
            f"full: {said(value)} came as the value; one number fills a tensor; "
            "write mg.broadcast_to(value, shape)"
        )


@composite
def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """A tensor that holds `fill_value` everywhere.

    shape: int or tuple of ints, or of tensors. fill_value: a number or 0-d tensor.
    dtype: None takes that of `fill_value`; float32 for a Python float. Array API: full.
    """
    check_device(device)
    wanted = as_tensor(fill_value).dtype if dtype is None else as_dtype(dtype)
    check_filling(fill_value, wanted)
    dims = static_dims("full", shape)
    if dims is None:
        return broadcast_to(as_tensor(fill_value, wanted), shape)
    if any(n < 0 for n in dims):
        raise SpecError(
            f"full: the shape {dims} has a negative dim; dims count elements; use 0 or more"
        )
    return fill(fill_value, shape=dims, dtype=wanted)


@composite
def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros. shape: int or tuple of ints. dtype: float32 by default. Array API: zeros."""
    return full(shape, 0, dtype=np.float32 if dtype is None else dtype, device=device)


@composite
def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Ones. shape: int or tuple of ints. dtype: float32 by default. Array API: ones."""
    return full(shape, 1, dtype=np.float32 if dtype is None else dtype, device=device)


@composite
def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros: there is no way to write to a tensor that holds anything. Array API: empty."""
    return zeros(shape, dtype=dtype, device=device)


@composite
def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """A tensor of the shape of `x` that holds `fill_value`, a number or 0-d tensor, everywhere.

    dtype: None takes that of `x`. Array API: full_like.
    """
    check_device(device)
    x = asarray(x)
    wanted = x.dtype if dtype is None else as_dtype(dtype)
    check_filling(fill_value, wanted)
    if is_static(x):
        return fill(fill_value, shape=x.shape, dtype=wanted)
    return broadcast_like(as_tensor(fill_value, wanted), x)


@composite
def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros of the shape of `x`, and of its dtype, or `dtype`. Array API: zeros_like."""
    return full_like(x, 0, dtype=dtype, device=device)


@composite
def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Ones of the shape of `x`, and of its dtype, or `dtype`. Array API: ones_like."""
    return full_like(x, 1, dtype=dtype, device=device)


@composite
def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros of the shape of `x`, and of its dtype, or `dtype`. Array API: empty_like."""
    return full_like(x, 0, dtype=dtype, device=device)


# of numbers in order


def numbers(name: str, *values: Any) -> list[Any]:
    """`values`, numbers or 0-d tensors, as Python numbers. Raises SpecError for others."""
    arrays = (Tensor, np.ndarray, np.generic)
    found = [x.item() if isinstance(x, arrays) and x.size == 1 else x for x in values]
    if not all(isinstance(x, (int, float, complex)) and not is_beyond(x) for x in found):
        raise SpecError(
            f"{name}: {', '.join(map(said, values))} came; its bounds are numbers, "
            "and ints have 64 bits; write ints or floats"
        )
    return found


def is_beyond(x: Any) -> bool:
    """Whether `x` is an int that no dtype holds."""
    return isinstance(x, int) and not -(2**63) <= x < 2**64


@composite
def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Numbers from `start` up to, but without, `stop`, `step` apart; one bound counts from 0.

    dtype: None gives int32 for ints (int64 where they need it), float32 for floats, and for
    floating tensors among the bounds what they have. Returns one axis. Array API: arange.
    """
    check_device(device)
    start, stop, step = [as_tensor(x) if hasattr(x, "cell") else x for x in (start, stop, step)]
    ends = (0, start) if stop is None else (start, stop)
    dtype = floating_dtype(*ends, step) if dtype is None else dtype
    if Symbol in map(type, (*ends, step)):
        computed: Tensor = api.computed_range(*ends, step, dtype)
        return computed
    first, last, by = numbers("arange", *ends, step)
    if by == 0:
        raise SpecError(
            f"arange: from {first} to {last} by steps of 0 came; no number of them arrives; "
            "write another step"
        )
    what = f"arange: from {first} to {last} by {by}"
    if complex in map(type, (first, last, by)) or not math.isfinite((last - first) / by):
        raise SpecError(
            f"{what} came; bounds have an order and a distance; write real, finite numbers"
        )
    array = allocated(what, lambda: np.arange(first, last, by))
    wanted = default_of(array, first, last, by) if dtype is None else as_dtype(dtype)
    if dtype is not None:
        check_fits((first, last, by), array, wanted)
    first_, step_ = (0, step) if stop is None else (start, step)
    if wanted.kind == "f" and (is_smooth(first_) or is_smooth(step_)):
        # the same numbers, made of the bounds, so that gradients pass
        steps = as_tensor(np.arange(array.size), wanted)
        return as_tensor(first_ + step_ * steps, wanted)
    return as_tensor(array, wanted)


def floating_dtype(*bounds: Any) -> Any:
    """The dtype that the floating tensors among `bounds` ask for; None where there are none."""
    dtypes = [x.dtype for x in bounds if is_smooth(x)]
    weak = [x for x in bounds if type(x) is complex]
    return np.result_type(*dtypes, *weak) if dtypes else None


def is_smooth(x: Any) -> bool:
    """Whether `x` is a tensor that may be followed."""
    return hasattr(x, "spec") and x.dtype.kind in "fc"


def default_of(array: np.ndarray[Any, Any], *values: Any) -> Any:
    """The dtype of `array`, made of Python numbers `values`: wider where float32 or int32 ends."""
    dtype = default_dtype(*map(type, values))
    if dtype.kind == "i" and array.size:
        limits = np.iinfo(dtype)
        if not limits.min <= array.min() <= array.max() <= limits.max:
            return array.dtype
    return dtype


@composite
def linspace(
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` numbers evenly spaced from `start` to `stop`, which is among them if `endpoint`.

    start, stop: numbers or tensors of one element. dtype: None gives that of the floating tensors
    among them, else float32, or complex64 for complex bounds. Array API: linspace.
    """
    check_device(device)
    count, closed = as_int("linspace", "num", num, 0), as_truth("endpoint", endpoint)
    start, stop = [as_tensor(x) if hasattr(x, "cell") else x for x in (start, stop)]
    wanted = floating_dtype(start, stop) if dtype is None else as_dtype(dtype)
    if isinstance(start, Tensor) or isinstance(stop, Tensor):
        computed: Tensor = api.computed_linspace(start, stop, count, closed, wanted)
        return computed
    first, last = numbers("linspace", start, stop)
    what = f"linspace: {count} numbers from {first} to {last}"
    array = allocated(what, lambda: np.linspace(first, last, count, endpoint=closed))
    return as_tensor(array, wanted or DTYPES["complex64" if array.dtype.kind == "c" else "float32"])


@composite
def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Ones on a diagonal of a matrix of zeros.

    n_cols: None for a square matrix. k: which diagonal; above the main one where positive.
    dtype: float32 by default. Array API: eye.
    """
    check_device(device)
    wanted = as_dtype(np.float32 if dtype is None else dtype)
    (n, m) = static_dims("eye", (n_rows, n_rows if n_cols is None else n_cols)) or (0, 0)
    diagonal = as_int("eye", "k", k)
    return tensor_of(allocated(f"eye: {n} × {m}", lambda: np.eye(n, m, k=diagonal, dtype=wanted)))
