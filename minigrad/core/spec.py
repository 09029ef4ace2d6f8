"""What is known of a tensor before it is computed: shape and dtype, each as far as known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from ..errors import IndexSpecError, SpecError, TraceError

DType: TypeAlias = np.dtype[Any]
Shape: TypeAlias = tuple[int | None, ...] | None

SCALARS = (bool, int, float, complex)
DTYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
FLOAT16 = DTYPES["float16"]
# Python numbers that meet no array: what they become (bool before int: it is one)
DEFAULTS = {
    bool: DTYPES["bool"],
    int: DTYPES["int32"],
    float: DTYPES["float32"],
    complex: DTYPES["complex64"],
}
# every way to say a dtype that needs no parsing: `dtype.name` takes 20 times as long as this
KNOWN: dict[Any, DType] = {
    **DTYPES,
    **{dtype: dtype for dtype in DTYPES.values()},
    **{dtype.type: dtype for dtype in DTYPES.values()},
    **DEFAULTS,
}


class UnknownRankError(SpecError):
    """What was asked needs the rank of a tensor, which a trace does not know.

    Functions under `ranked` wait until it is known; from others this comes through to the user.
    """


class Spec:
    """Shape and dtype of a tensor, as far as known; public as `mg.TensorSpec`.

    shape: a tuple of ints, with None for an unknown dim; None for an unknown rank.
    dtype: a minigrad or NumPy dtype, or its name. name: for messages only, not compared.
    """

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, shape: Any, dtype: Any = "float32", name: str | None = None) -> None:
        self.shape: Shape = None if shape is None else as_shape(shape)
        self.dtype: DType = as_dtype(dtype)
        self.name = name

    @property
    def spec(self) -> Spec:
        """Itself: infer rules take tensors and specs alike."""
        return self

    @property
    def ndim(self) -> int | None:
        """Number of axes; None where the rank is unknown."""
        return None if self.shape is None else len(self.shape)

    @property
    def known(self) -> bool:
        """Whether every dim is known."""
        return self.shape is not None and None not in self.shape

    @classmethod
    def from_tensor(cls, x: Any, name: str | None = None) -> Spec:
        """The spec of the tensor or array `x`."""
        return cls(x.shape, x.dtype, name)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor, array or spec could be of this spec; unknown fits everything."""
        if self.dtype != other.dtype:
            return False
        if self.shape is None or other.shape is None:
            return True
        return len(self.shape) == len(other.shape) and all(
            n is None or m is None or n == m for n, m in zip(self.shape, other.shape, strict=True)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype}{name})"

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype}[...]"
        return f"{self.dtype}[{','.join('?' if n is None else str(n) for n in self.shape)}]"


def as_dtype(dtype: Any) -> DType:
    """The dtype meant by a NumPy dtype, a name, or a Python or NumPy scalar type."""
    try:
        return KNOWN[dtype]
    except (KeyError, TypeError):
        pass
    try:
        found = None if dtype is None else np.dtype(dtype)  # NumPy takes None for float64
    except TypeError:
        found = None
    if found is None or found.name not in DTYPES:
        raise SpecError(
            f"a dtype was needed and {dtype!r} came; minigrad has {', '.join(DTYPES)}; "
            "write one of them, as in mg.float32"
        )
    return DTYPES[found.name]


def real_dtype(dtype: DType) -> DType:
    """The dtype of the parts of numbers of `dtype`: itself, where they are not complex."""
    return np.empty(0, dtype).real.dtype


def complex_dtype(dtype: DType) -> DType:
    """The complex dtype whose parts have the precision of the floating or complex `dtype`."""
    return np.result_type(dtype, np.complex64)


def as_shape(shape: Any) -> tuple[int | None, ...]:
    """`shape`, an int or an iterable of ints and Nones, as a tuple. Dims must not be negative."""
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    try:
        dims = tuple([None if n is None else n.__index__() for n in shape])
    except (TypeError, AttributeError):
        raise SpecError(
            f"a shape was needed and {shape!r} came; a shape is an int or a tuple of ints; "
            "write, say, (2, 3)"
        ) from None
    if any(n is not None and n < 0 for n in dims):
        raise SpecError(f"the shape {dims} has a negative dim; dims count elements; use 0 or more")
    return dims


# a value that is no array, such as the record of a run; nothing can be computed from it
OPAQUE = Spec(())
OPAQUE.dtype = np.dtype(object)


def index_of(value: Any) -> int | None:
    """`value` as an int if it is one, of Python, NumPy or a tensor; else None."""
    try:
        return int(value.__index__())
    except TraceError:
        raise
    except (AttributeError, TypeError):
        return None


def as_int(name: str, what: str, value: Any, low: int | None = None) -> int:
    """`value`, which `what` of the function `name` is, as an int: Python's, NumPy's or a tensor's.

    Raises SpecError for what is none, and for less than `low`.
    """
    found = index_of(value)
    if found is None or (low is not None and found < low):
        least = "" if low is None else f" from {low} on"
        raise SpecError(
            f"{name}: {what} is an int{least}, and {said(value)} came; write such an int"
        )
    return found


def as_number(name: str, what: str, value: Any) -> float:
    """`value`, which `what` of the function `name` is, as a real Python number.

    Arrays and tensors of one element will do. Raises SpecError for what is none.
    """
    found = value
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        found = value.item()
    if not isinstance(found, (bool, int, float)):
        raise SpecError(f"{name}: {what} is a real number, and {said(value)} came; write one")
    return found


def as_truth(name: str, value: Any) -> bool:
    """`value`, which the option `name` is given, as a bool. Raises SpecError for what is none."""
    if isinstance(value, (bool, int, np.bool_, np.integer)):
        return bool(value)
    raise SpecError(f"{name}={said(value)} came; the option is True or False; write one of them")


def said(x: Any) -> str:
    """What to call any object in a message, shortly: arrays by shape and dtype."""
    if hasattr(x, "dtype") and hasattr(x, "shape"):
        return f"{type(x).__name__} of dtype {x.dtype} and shape {x.shape}"
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."


def default_dtype(*kinds: type) -> DType:
    """The dtype of an op whose inputs are all Python numbers, of these types."""
    return DEFAULTS[max(kinds, key=SCALARS.index)]


NONE = (
    "None stands for what is not there: for a length that a trace does not know, as in x.shape, "
    "write mg.shape(x)[axis]; for a gradient of None, zeros"
)


def spec_of(x: Any) -> Spec | str:
    """What to call the input `x` in a message: its spec, or the Python number itself."""
    return x.spec if hasattr(x, "spec") else repr(x)


def broadcast_shapes(name: str, *xs: Any) -> Shape:
    """The common shape of `xs` (tensors, specs, Python numbers), by NumPy's rule.

    An unknown dim against n > 1 must be n or 1, hence n; against 1 it stays unknown.
    Raises SpecError, in the name of the op `name`, where two dims differ and neither is 1.
    """
    try:
        shapes = [() if isinstance(x, SCALARS) else x.shape for x in xs]
    except AttributeError:
        missing = any([x is None for x in xs])
        raise SpecError(
            f"{name}: {' and '.join(str(spec_of(x)) for x in xs)} came; its inputs are tensors "
            f"and numbers; {NONE if missing else 'leave out what is neither'}"
        ) from None
    if None in shapes:
        return None
    result: list[int | None] = [1] * max((len(shape) for shape in shapes), default=0)
    for shape in shapes:
        for axis in range(-len(shape), 0):
            ours, theirs = result[axis], shape[axis]
            if ours == 1 or (ours is None and theirs != 1):
                result[axis] = theirs
            elif theirs is not None and theirs not in (1, ours):
                raise SpecError(
                    f"{name}: {' and '.join(str(spec_of(x)) for x in xs)} do not broadcast: "
                    f"on axis {axis}, {ours} and {theirs} differ and neither is 1; "
                    "reshape one of them, or insert an axis with x[..., None]"
                )
    return tuple(result)


def promote(*xs: Any) -> DType:
    """The dtype that NumPy 2 gives to `xs` together; Python numbers are weak."""
    return np.result_type(*[x if isinstance(x, SCALARS) else x.dtype for x in xs])


def unknown_rank(what: str) -> UnknownRankError:
    """What to raise where `what` was asked of a tensor whose rank is not known."""
    return UnknownRankError(
        f"{what} of a tensor of unknown rank; an axis is counted among known ones; give the "
        "argument a TensorSpec with a rank, such as (None, None)"
    )


def canonical_axis(name: str, axis: Any, ndim: int | None) -> int:
    """`axis` counted from the front. Raises SpecError where it is not one of `ndim` axes."""
    if ndim is None:
        raise unknown_rank(f"{name}: axis {axis!r}")
    index = index_of(axis)
    if index is None or not -ndim <= index < ndim:
        raise IndexSpecError(
            f"{name}: axis {axis!r} of a tensor with {ndim} axes; an axis is an int from "
            f"{-ndim} to {ndim - 1}; choose one of those"
        )
    return index % ndim


def canonical_axes(name: str, axis: Any, ndim: int | None) -> tuple[int, ...] | None:
    """`axis` (None for all, an int, or several) as a sorted tuple of axes from the front.

    None where all axes of an unknown rank are meant.
    Raises SpecError where one is out of range or named twice.
    """
    if axis is None:
        return None if ndim is None else tuple(range(ndim))
    if type(axis) is int and ndim is not None and -ndim <= axis < ndim:
        return (axis % ndim,)  # the usual case, in a tenth of the time
    several: Iterable[Any] = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(sorted(canonical_axis(name, a, ndim) for a in several))
    if len(set(axes)) < len(axes):
        raise SpecError(f"{name}: axis {axis!r} names one axis twice; name each axis once")
    return axes
