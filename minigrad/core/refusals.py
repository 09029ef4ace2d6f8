"""The words for what NumPy refuses where no rule of an op says why: too large, or no such value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ..errors import AllocationError, MinigradError, SpecError
from .spec import DType, said, spec_of

# what NumPy raises for what it is handed; a singular matrix is the values' fault
REFUSALS = (TypeError, ValueError, AttributeError, OverflowError, IndexError, MemoryError)
PASSED_ON = (MinigradError, LinAlgError)

TOO_LARGE = re.compile(
    "array is too big|maximum (allowed )?(dimension|size)|is too large|too many elements",
    re.IGNORECASE,
)


def refusal(
    name: str, inputs: tuple[Any, ...], attrs: dict[str, Any], spec: Any, error: Exception
) -> Exception:
    """The library's error for `error` of the kernel of the op `name`; `error` where it is right.

    spec: what would have come out, if that is known. What Python bodies raise is the user's own.
    """
    parts = [x for value in attrs.values() for x in (value if type(value) is tuple else (value,))]
    runs_python = any(callable(x) or hasattr(x, "nodes") for x in parts)
    # so does the derivative of what has run, by the rules in its record
    runs_python = runs_python or any(getattr(x, "__opaque_input__", False) for x in inputs)
    if runs_python or isinstance(error, PASSED_ON) or not isinstance(error, REFUSALS):
        return error
    came = " and ".join(str(spec_of(x)) for x in inputs[:4]) or "no inputs"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, MemoryError) or TOO_LARGE.search(text):
        return AllocationError(
            f"{name} of {came}: the result{'' if spec is None else f', {spec},'} would take more "
            f"memory than there is ({text}); make the shape smaller, or compute it in parts"
        )
    return SpecError(
        f"{name} of {came}: NumPy, which computes it, refuses ({text}); correct the arguments, "
        "or cast with mg.astype(x, dtype) first"
    )


def allocated(what: str, make: Callable[[], np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The array that `make` makes. Raises AllocationError where `what` takes too much memory."""
    try:
        return make()
    except (MemoryError, ValueError, OverflowError) as error:
        raise too_large(what, error) from None


def too_large(what: str, error: Exception) -> AllocationError:
    """The error of `what`, which takes more memory than there is."""
    return AllocationError(
        f"{what} was to be made, and would take more memory than there is ({error}); make it "
        "smaller, or compute in parts"
    )


def check_fits(x: Any, array: np.ndarray[Any, Any], wanted: DType) -> None:
    """Raise SpecError where Python numbers `x`, as `array`, would be other ones in `wanted`.

    Floats are rounded, as everywhere; but no fraction, no imaginary part and no digits of an
    integer are cut off without a word.
    """
    kind = array.dtype.kind
    if wanted.kind not in "iu" and not (kind == "c" and wanted.kind == "f"):
        return
    with np.errstate(all="ignore"):
        cut = array.real.astype(wanted)
    if not (np.array_equal(cut, array) and np.array_equal(cut < 0, array.real < 0)):
        raise SpecError(
            f"{said(x)} was to become a tensor of {wanted}, and does not fit: numbers would be "
            f"cut off; choose another dtype, or cast: mg.astype(x, mg.{wanted})"
        )
