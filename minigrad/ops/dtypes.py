"""What can be asked of dtypes: their kinds and limits, casts between them, and promotion.

A dtype is one of NumPy's; all functions here take also its name, and the tensor that has it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.define import composite
from ..core.spec import DTYPES, SCALARS, DType, as_dtype, default_dtype
from ..errors import SpecError


def all_of(*names: str) -> tuple[DType, ...]:
    """The dtypes of these names."""
    return tuple([DTYPES[name] for name in names])


# the standard's kinds, and which dtypes are of them
KINDS: dict[str, tuple[DType, ...]] = {
    "bool": all_of("bool"),
    "signed integer": all_of("int8", "int16", "int32", "int64"),
    "unsigned integer": all_of("uint8", "uint16", "uint32", "uint64"),
    "real floating": all_of("float16", "float32", "float64"),
    "complex floating": all_of("complex64", "complex128"),
}
KINDS["integral"] = KINDS["signed integer"] + KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] + KINDS["real floating"] + KINDS["complex floating"]


def dtype_of(x: Any) -> DType:
    """The dtype of a tensor or array; of a dtype, itself."""
    if hasattr(x, "dtype") and not isinstance(x, type):
        x = x.dtype
    return as_dtype(x)


def dtypes_of_kind(name: str, kind: Any) -> tuple[DType, ...]:
    """The dtypes that `kind` means: a dtype, a kind of KINDS, or several of them.

    Raises SpecError, in the name of the function `name`, for a kind that is none.
    """
    if isinstance(kind, tuple):
        return tuple([dtype for part in kind for dtype in dtypes_of_kind(name, part)])
    if isinstance(kind, str):
        if kind not in KINDS:
            raise SpecError(
                f"{name}: the kind {kind!r} came; kinds are {', '.join(map(repr, KINDS))}, or "
                "dtypes, or a tuple of these; write one of them"
            )
        return KINDS[kind]
    return (as_dtype(kind),)


@composite
def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether `dtype` is of a kind.

    kind: a dtype; "bool", "signed integer", "unsigned integer", "integral", "real floating",
    "complex floating" or "numeric"; or a tuple of these, of which one suffices.
    Raises SpecError for another kind. Array API: isdtype.
    """
    return as_dtype(dtype) in dtypes_of_kind("isdtype", kind)


@composite
def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether promotion may lead from one dtype to the other: no value of `from_` is lost.

    from_: a dtype, or a tensor, of which only the dtype counts. to: a dtype.
    Array API: can_cast.
    """
    return bool(np.can_cast(dtype_of(from_), as_dtype(to)))


@composite
def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype of the result of arithmetic on all of these.

    arrays_and_dtypes: tensors, of which only the dtype counts, dtypes, and Python numbers, which
    are weak: they change the kind of the dtype, if anything. Numbers alone give the dtype that
    tensors made of them have. Raises SpecError where there is nothing. Array API: result_type.
    """
    if not arrays_and_dtypes:
        raise SpecError(
            "result_type: nothing came; the dtype of a result is that of operands; pass tensors, "
            "dtypes or Python numbers"
        )
    if all(type(x) in SCALARS for x in arrays_and_dtypes):
        return default_dtype(*map(type, arrays_and_dtypes))
    found = np.result_type(*[x if type(x) in SCALARS else dtype_of(x) for x in arrays_and_dtypes])
    return DTYPES[found.name]


class FloatLimits(NamedTuple):
    """What a floating dtype can hold; of a complex one, each of its parts.

    bits: of one number. eps: from 1 to the next larger number. max, min: the largest number, and
    its negative. smallest_normal: the smallest above 0 of full precision. dtype: of the numbers.
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


class IntegerLimits(NamedTuple):
    """What an integer dtype can hold. bits: of one number. max, min: the largest, the smallest."""

    bits: int
    max: int
    min: int
    dtype: DType


@composite
def finfo(type: Any, /) -> FloatLimits:
    """The limits of a floating or complex dtype, or of that of a tensor, as Python floats.

    Raises SpecError for other dtypes. Array API: finfo.
    """
    dtype = dtype_of(type)
    if dtype.kind not in "fc":
        raise SpecError(
            f"finfo of {dtype}: it tells the limits of floating dtypes; write mg.iinfo for integers"
        )
    found = np.finfo(dtype)
    return FloatLimits(
        bits=int(found.bits),
        eps=float(found.eps),
        max=float(found.max),
        min=float(found.min),
        smallest_normal=float(found.smallest_normal),
        dtype=DTYPES[found.dtype.name],
    )


@composite
def iinfo(type: Any, /) -> IntegerLimits:
    """The limits of an integer dtype, or of that of a tensor.

    Raises SpecError for other dtypes. Array API: iinfo.
    """
    dtype = dtype_of(type)
    if dtype.kind not in "iu":
        raise SpecError(
            f"iinfo of {dtype}: it tells the limits of integers; write mg.finfo for floating dtypes"
        )
    found = np.iinfo(dtype)
    return IntegerLimits(int(found.bits), int(found.max), int(found.min), dtype)
