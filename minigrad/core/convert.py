"""What users hand in, made into what ops take: tensors, and Python numbers left as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tree
from ..errors import SpecError
from .refusals import check_fits, too_large
from .registry import api
from .spec import DEFAULTS, DTYPES, KNOWN, SCALARS, DType, as_dtype, said
from .tensor import Symbol, Tensor, tensor_of

# what needs no conversion on its way into an op
PLAIN = frozenset({Tensor, Symbol, *SCALARS})


def as_operand(x: Any) -> Any:
    """`x` as an input of a node: a Tensor, a Symbol, or a Python number, which stays weak."""
    if type(x) in PLAIN or x is None or getattr(x, "__opaque_input__", False):
        return x
    return as_tensor(x)


def is_tensor_like(x: Any) -> bool:
    """Whether `x` is one tensor, Variable or array: no nest, and no Python number."""
    return isinstance(x, (Tensor, np.ndarray, np.generic)) or hasattr(x, "__as_tensor__")


def as_tensor(x: Any, dtype: Any = None) -> Tensor:
    """`x` as a tensor of `dtype` (None: its own; of Python numbers, the defaults).

    Arrays are copied unless they are read-only and own their data. Lists that hold tensors are
    stacked, so that gradients pass. Raises SpecError for what is not numeric.
    """
    if isinstance(x, Tensor):
        return x if dtype is None or x.dtype is dtype else api.astype(x, as_dtype(dtype))
    if hasattr(x, "__as_tensor__"):
        return as_tensor(x.__as_tensor__(), dtype)
    if isinstance(x, (list, tuple)) and holds_tensors(x):
        return as_tensor(api.stack([as_tensor(part) for part in x]), dtype)
    return tensor_of(as_array(x, dtype))


def as_value(x: Any) -> Any:
    """What a kernel gets as ops take it: arrays as tensors, numbers and records as they are."""
    if type(x) is np.ndarray:
        return tensor_of(x)
    return tensor_of(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x


def holds_tensors(x: Any) -> bool:
    """Whether a nest of lists has a tensor or Variable among its leaves."""
    return any(
        isinstance(leaf, Tensor) or hasattr(leaf, "__as_tensor__") for leaf in tree.flatten(x)[0]
    )


def as_array(x: Any, dtype: Any = None) -> np.ndarray[Any, Any]:
    """`x` as an array that nobody else can write to."""
    wanted = None if dtype is None else as_dtype(dtype)
    if type(x) is np.ndarray and x.dtype in KNOWN:  # the usual case; `dtype.name` is slow
        if not x.flags.writeable and x.flags.owndata and wanted in (None, x.dtype):
            return x
        try:
            return np.array(x, wanted, order="C")
        except (MemoryError, ValueError) as error:
            raise too_large(f"a copy of {said(x)}", error) from None
    if type(x) is float and wanted is None:
        return np.array(x, DEFAULTS[float])
    if hasattr(x, "mask") and isinstance(x, np.ma.MaskedArray):  # np.ma loads when it is named
        raise SpecError(
            f"{said(x)} was to become a tensor: tensors have no mask, and what is masked would "
            "count; write x.filled(0), or take x.data and the mask apart"
        )
    try:
        array = np.array(x, order="C")
        if array.dtype.kind == "f" and are_integers(x):
            array = np.array(x, np.uint64)  # NumPy takes floats for those beyond int64
    except MemoryError as error:
        raise too_large(f"a tensor of {said(x)}", error) from None
    except Exception as error:  # __array__ of a foreign library raises what it likes
        raise SpecError(
            f"{type(x).__name__} {x!r:.60} was to become a tensor: {error}; tensors are "
            "rectangular and numeric; make the rows equally long, and the entries numbers"
        ) from None
    array = with_defaults(x, array) if wanted is None else array
    if array.dtype.kind == "O":
        raise SpecError(
            f"{type(x).__name__} {x!r:.60} was to become a tensor: tensors hold numbers, and "
            "nothing else; pass a number, an array, or a list of them (of what is no list, list(x))"
        )
    if array.dtype.name not in DTYPES:
        raise SpecError(
            f"{type(x).__name__} of dtype {array.dtype} was to become a tensor: minigrad has "
            f"{', '.join(DTYPES)}; convert it first, as in x.astype(np.float64)"
        )
    if wanted is not None and not hasattr(x, "dtype"):
        check_fits(x, array, wanted)
    return array.astype(wanted or DTYPES[array.dtype.name], copy=False)


def are_integers(x: Any) -> bool:
    """Whether a number or nest of lists holds integers and nothing else, and at least one."""
    leaves = tree.flatten(x)[0]
    return bool(leaves) and all(isinstance(leaf, (int, np.integer)) for leaf in leaves)


def with_defaults(x: Any, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`array`, made of Python numbers `x`, in the default dtype of its kind."""
    if hasattr(x, "__array__") or any(hasattr(leaf, "dtype") for leaf in tree.flatten(x)[0]):
        return array
    if type(x) not in (*SCALARS, list, tuple) and is_buffer(x):
        return array
    match array.dtype.kind:
        case "f":
            return array.astype(DEFAULTS[float])
        case "c":
            return array.astype(DEFAULTS[complex])
        case "i":
            limits = np.iinfo(DEFAULTS[int])
            fits = not array.size or (limits.min <= array.min() and array.max() <= limits.max)
            return array.astype(DEFAULTS[int]) if fits else array
    return array


def is_buffer(x: Any) -> bool:
    """Whether `x` gives its memory by the buffer protocol, and so has a dtype of its own."""
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def holds(dtype: DType, x: Tensor) -> bool:
    """Whether `x`, made of Python numbers, means the same in `dtype`."""
    kinds = "biufc"
    if x.dtype.kind not in kinds[: kinds.index(dtype.kind.replace("i", "u")) + 1]:
        return False
    if dtype.kind not in "iu" or type(x) is not Tensor:
        return True
    return np.array_equal(x._value.astype(dtype), x._value)
