"""Comparison, logic, bits, and choosing between values: where, clip, maximum, astype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import as_it_is
from ..core.define import Domain, composite, pointwise, primitive
from ..core.lowering import Pointwise, Value
from ..core.registry import api
from ..core.spec import Spec, as_dtype, default_dtype
from ..core.tensor import Tensor, is_number
from .arithmetic import sign

# comparison


@pointwise(lambda b, x1, x2: b.compare("==", x1, x2))
def equal(x1: Any, x2: Any, /) -> Any:
    """Whether `x1 == x2`, elementwise; bool. Array API: equal."""
    return np.equal(x1, x2)


@pointwise(lambda b, x1, x2: b.compare("!=", x1, x2))
def not_equal(x1: Any, x2: Any, /) -> Any:
    """Whether `x1 != x2`, elementwise; bool. Array API: not_equal."""
    return np.not_equal(x1, x2)


@pointwise(lambda b, x1, x2: b.compare("<", x1, x2))
def less(x1: Any, x2: Any, /) -> Any:
    """Whether `x1 < x2`, elementwise; bool. Array API: less."""
    return np.less(x1, x2)


@pointwise(lambda b, x1, x2: b.compare("<=", x1, x2))
def less_equal(x1: Any, x2: Any, /) -> Any:
    """Whether `x1 <= x2`, elementwise; bool. Array API: less_equal."""
    return np.less_equal(x1, x2)


@pointwise(lambda b, x1, x2: b.compare(">", x1, x2))
def greater(x1: Any, x2: Any, /) -> Any:
    """Whether `x1 > x2`, elementwise; bool. Array API: greater."""
    return np.greater(x1, x2)


@pointwise(lambda b, x1, x2: b.compare(">=", x1, x2))
def greater_equal(x1: Any, x2: Any, /) -> Any:
    """Whether `x1 >= x2`, elementwise; bool. Array API: greater_equal."""
    return np.greater_equal(x1, x2)


@pointwise(
    lambda b, x: b.compare("!=", x, x) if x.dtype.kind in "fc" else b.cast(b.const(0, bool), bool)
)
def isnan(x: Any, /) -> Any:
    """Whether `x` is not a number, elementwise; bool. Array API: isnan."""
    return np.isnan(x)


def is_infinite(b: Any, x: Value) -> Any:
    """The loop body of isinf."""
    if x.dtype.kind == "c":
        return b.bitwise("or", *[is_infinite(b, part) for part in b.parts(x)])
    if x.dtype.kind != "f":
        return b.const(0, bool)
    return b.compare("==", b.math("abs", x), b.const(np.inf, x.dtype))


@pointwise(is_infinite)
def isinf(x: Any, /) -> Any:
    """Whether `x` is plus or minus infinity, elementwise; bool. Array API: isinf."""
    return np.isinf(x)


def is_finite(b: Any, x: Value) -> Any:
    """The loop body of isfinite."""
    if x.dtype.kind == "c":
        return b.bitwise("and", *[is_finite(b, part) for part in b.parts(x)])
    if x.dtype.kind != "f":
        return b.const(1, bool)
    return b.compare("<", b.math("abs", x), b.const(np.inf, x.dtype))


@pointwise(is_finite)
def isfinite(x: Any, /) -> Any:
    """Whether `x` is neither infinite nor nan, elementwise; bool. Array API: isfinite."""
    return np.isfinite(x)


def is_signed(b: Any, x: Value) -> Any:
    """The loop body of signbit: zeros and nans have a sign, too."""
    if x.dtype.kind == "f":
        x = b.math("copysign", b.const(1, x.dtype), x)
    return b.compare("<", x, b.const(0, x.dtype))


@pointwise(Pointwise(is_signed, kinds="fiub"))
def signbit(x: Any, /) -> Any:
    """Whether the sign bit of `x` is set, elementwise; bool. Array API: signbit."""
    return np.signbit(x)


for _op in (equal, not_equal, less, less_equal, greater, greater_equal):
    _op.no_gradient("a comparison is piecewise constant")
for _op in (isnan, isinf, isfinite, signbit):
    _op.no_gradient("a test is piecewise constant")


# logic and bits


def as_masks(inputs: Any, output: Any) -> tuple[Any, ...]:
    """Logical functions take the truth of their operands."""
    return tuple(np.dtype(bool) for _ in inputs)


@pointwise(Pointwise(lambda b, x1, x2: b.bitwise("and", x1, x2), operands=as_masks))
def logical_and(x1: Any, x2: Any, /) -> Any:
    """Whether both are true, elementwise; bool. Array API: logical_and."""
    return np.logical_and(x1, x2)


@pointwise(Pointwise(lambda b, x1, x2: b.bitwise("or", x1, x2), operands=as_masks))
def logical_or(x1: Any, x2: Any, /) -> Any:
    """Whether either is true, elementwise; bool. Array API: logical_or."""
    return np.logical_or(x1, x2)


@pointwise(Pointwise(lambda b, x1, x2: b.bitwise("xor", x1, x2), operands=as_masks))
def logical_xor(x1: Any, x2: Any, /) -> Any:
    """Whether just one is true, elementwise; bool. Array API: logical_xor."""
    return np.logical_xor(x1, x2)


@pointwise(Pointwise(lambda b, x: b.invert(x), operands=as_masks))
def logical_not(x: Any, /) -> Any:
    """Whether `x` is false, elementwise; bool. Array API: logical_not."""
    return np.logical_not(x)


@pointwise(Pointwise(lambda b, x1, x2: b.bitwise("and", x1, x2), kinds="iub"))
def bitwise_and(x1: Any, x2: Any, /) -> Any:
    """Bitwise and of integers or bools, elementwise. Array API: bitwise_and."""
    return np.bitwise_and(x1, x2)


@pointwise(Pointwise(lambda b, x1, x2: b.bitwise("or", x1, x2), kinds="iub"))
def bitwise_or(x1: Any, x2: Any, /) -> Any:
    """Bitwise or of integers or bools, elementwise. Array API: bitwise_or."""
    return np.bitwise_or(x1, x2)


@pointwise(Pointwise(lambda b, x1, x2: b.bitwise("xor", x1, x2), kinds="iub"))
def bitwise_xor(x1: Any, x2: Any, /) -> Any:
    """Bitwise exclusive or of integers or bools, elementwise. Array API: bitwise_xor."""
    return np.bitwise_xor(x1, x2)


@pointwise(Pointwise(lambda b, x: b.invert(x), kinds="iub"))
def bitwise_invert(x: Any, /) -> Any:
    """Bitwise not of integers or bools, elementwise. Array API: bitwise_invert."""
    return np.bitwise_invert(x)


@pointwise(Pointwise(lambda b, x1, x2: b.bitwise("shl", x1, x2), kinds="iu"))
def bitwise_left_shift(x1: Any, x2: Any, /) -> Any:
    """Bits of `x1` moved left by `x2`, elementwise; integers. Array API: bitwise_left_shift."""
    return np.bitwise_left_shift(x1, x2)


@pointwise(Pointwise(lambda b, x1, x2: b.bitwise("shr", x1, x2), kinds="iu"))
def bitwise_right_shift(x1: Any, x2: Any, /) -> Any:
    """Bits of `x1` moved right by `x2`, elementwise; integers. Array API: bitwise_right_shift."""
    return np.bitwise_right_shift(x1, x2)


for _op in (logical_and, logical_or, logical_xor, logical_not):
    _op.no_gradient("logic is piecewise constant")
for _op in (bitwise_and, bitwise_or, bitwise_xor, bitwise_invert):
    _op.no_gradient("bits have no derivative")
for _op in (bitwise_left_shift, bitwise_right_shift):
    _op.no_gradient("bits have no derivative")


# choice


@pointwise(
    Pointwise(
        lambda b, mask, x1, x2: b.select(mask, x1, x2),
        operands=lambda inputs, output: (np.dtype(bool), output, output),
    )
)
def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """`x1` where `condition` is true, else `x2`, elementwise; all three broadcast.

    The derivative is 0 in the branch not taken; a nan or inf that its computation makes there
    still spreads through the chain rule: make its argument safe first. Array API: where.
    """
    if is_number(x1) and is_number(x2):
        if is_number(condition):
            return np.where(condition, x1, x2)[()]  # a number of NumPy, which gets our default
        dtype = default_dtype(type(x1), type(x2))
        x1, x2 = dtype.type(x1), dtype.type(x2)
    return np.where(condition, x1, x2)


where.defvjp(
    None,
    lambda g, y, condition, x1, x2: where(condition, g, 0),
    lambda g, y, condition, x1, x2: where(condition, 0, g),
)


@pointwise(lambda b, x1, x2: b.math("maximum", x1, x2))
def maximum(x1: Any, x2: Any, /) -> Any:
    """The larger of the two, elementwise; nan spreads.

    The derivative at a tie goes to `x1`, all of it. Array API: maximum.
    """
    return np.maximum(x1, x2)


maximum.defvjp(
    lambda g, y, x1, x2: where(greater_equal(x1, x2), g, 0),
    lambda g, y, x1, x2: where(greater_equal(x1, x2), 0, g),
)


@pointwise(lambda b, x1, x2: b.math("minimum", x1, x2))
def minimum(x1: Any, x2: Any, /) -> Any:
    """The smaller of the two, elementwise; nan spreads.

    The derivative at a tie goes to `x1`, all of it. Array API: minimum.
    """
    return np.minimum(x1, x2)


minimum.defvjp(
    lambda g, y, x1, x2: where(less_equal(x1, x2), g, 0),
    lambda g, y, x1, x2: where(less_equal(x1, x2), 0, g),
)


@composite
def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """`x`, but not below `min` nor above `max`, elementwise; None leaves a side open.

    The dtype of `x` is kept. The derivative at an edge is 1. Array API: clip.
    """
    x = api.asarray(x)
    lifted = x if min is None else maximum(x, in_dtype_of(x, min))
    return lifted if max is None else minimum(lifted, in_dtype_of(x, max))


def in_dtype_of(x: Tensor, bound: Any) -> Any:
    """`bound`, a number or tensor, so that it does not change the dtype of `x`."""
    return bound if is_number(bound) else astype(api.asarray(bound), x.dtype)


@pointwise(
    Pointwise(lambda b, x1, x2: b.math("copysign", x1, x2), kinds="f"),
    domain=(Domain(kinks=(0.0,)), Domain(kinks=(0.0,))),
)
def copysign(x1: Any, x2: Any, /) -> Any:
    """`x1` with the sign of `x2`, elementwise; floating.

    The derivative at 0 is 0. Array API: copysign.
    """
    return np.copysign(x1, x2)


copysign.defvjp(lambda g, y, x1, x2: g * (sign(x1) * copysign(1, x2)), None)


@pointwise(
    Pointwise(lambda b, x1, x2: b.math("nextafter", x1, x2), kinds="f", halves=False),
)
def nextafter(x1: Any, x2: Any, /) -> Any:
    """The number next to `x1` on the way to `x2`, elementwise; floating. Array API: nextafter."""
    return np.nextafter(x1, x2)


nextafter.defvjp(lambda g, y, x1, x2: g, None)


# dtype


def cast_spec(x: Any, *, dtype: Any) -> Spec:
    """The spec of `x` in another dtype."""
    return Spec(x.shape, dtype)


@primitive(
    infer=cast_spec,
    lower=Pointwise(lambda b, x: x, operands=lambda inputs, output: (output,)),
    linear="jointly",
)
def cast(x: Any, /, *, dtype: Any) -> Any:
    """`x` in another dtype, of complex numbers the real part; the op behind `astype`."""
    x = np.asarray(x)
    if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cb":
        x = x.real
    return x.astype(dtype)


cast.defbatch(as_it_is)
cast.defvjp(lambda g, y, x, *, dtype: astype(g, x.dtype) if api.is_inexact(y) else None)


@composite
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: str | None = None) -> Any:
    """`x` in `dtype`, elementwise; `x` itself where that is its dtype.

    Complex becomes real by its real part, but bool as a whole; floats become integers towards
    zero. The derivative passes between floating dtypes, and is cut by integers and bool.
    Array API: astype.
    """
    x = api.asarray(x)
    wanted = as_dtype(dtype)
    if x.dtype == wanted:
        return x
    if x.dtype.kind == "c" and wanted.kind not in "cb":
        x = api.real(x)
        return x if x.dtype == wanted else cast(x, dtype=wanted)
    return cast(x, dtype=wanted)


@composite
def is_inexact(x: Any, /) -> bool:
    """Whether the dtype of `x` is floating or complex, so that it can have a derivative."""
    return type(x) in (float, complex) or (hasattr(x, "dtype") and x.dtype.kind in "fc")
