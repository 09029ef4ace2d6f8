"""How an op says what its loop body is: small records, and the Emitter they speak to.

An op without a lowering is not compilable into a loop; the compiled schedule then calls its
NumPy kernel. Nothing here knows LLVM: an `Emitter` writes LLVM text, and another could write C.

Records are told apart by their type, and nobody writes to them. They are dataclasses of as little
as can be: each method that Python has to make takes as long as loading a small module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np


class Value(NamedTuple):
    """One SSA value or constant in the text of a kernel; `dtype` is that of one lane."""

    text: str
    dtype: np.dtype[Any]


class Emitter(Protocol):
    """The vocabulary of a loop body. Operands of one call share one dtype unless noted.

    Masks are Values of dtype bool. Every method returns a Value.
    """

    def const(self, value: Any, dtype: Any) -> Value:
        """The Python or NumPy scalar `value` in `dtype`."""

    def cast(self, x: Value, dtype: Any) -> Value:
        """`x` in `dtype`, as NumPy's astype; complex numbers become real by their real part."""

    def add(self, x1: Value, x2: Value) -> Value:
        """Sum; of masks, logical or."""

    def sub(self, x1: Value, x2: Value) -> Value:
        """Difference."""

    def mul(self, x1: Value, x2: Value) -> Value:
        """Product; of masks, logical and."""

    def div(self, x1: Value, x2: Value) -> Value:
        """Quotient of floats or complex numbers."""

    def neg(self, x: Value) -> Value:
        """Negative."""

    def bitwise(self, name: str, x1: Value, x2: Value) -> Value:
        """`name` is "and", "or", "xor", "shl", "shr"; masks or integers."""

    def invert(self, x: Value) -> Value:
        """Bitwise not of an integer, logical not of a mask."""

    def compare(self, relation: str, x1: Value, x2: Value) -> Value:
        """A mask; `relation` is one of < <= > >= == !=, with NumPy's answer on NaN.

        Complex numbers are equal or not, and have no order.
        """

    def select(self, mask: Value, x1: Value, x2: Value) -> Value:
        """`x1` where `mask`, else `x2`."""

    def parts(self, x: Value) -> tuple[Value, Value]:
        """The real and the imaginary part of a complex number."""

    def pair(self, real: Value, imag: Value) -> Value:
        """The complex number of two parts of one floating dtype."""

    def math(self, name: str, *xs: Value) -> Value:
        """A function of one or two floats, by its array API name ("exp", "atan2", "pow" ...).

        Also "maximum" and "minimum" (NaN spreads, as NumPy), "abs", "sign", "copysign",
        "floor", "ceil", "trunc", "round" for floats; "abs", "maximum", "minimum", "sign",
        "floor_divide", "remainder" for integers as well; "radius" and "point" of words.
        """


@dataclass(eq=False, repr=False)
class Pointwise:
    """Each element of the result is `rule(emitter, *elements of the inputs)`.

    kinds: dtype kinds of the result and operands that the rule is right for ("f" floating,
    "i" signed, "u" unsigned, "b" bool, "c" complex); others are left to the kernel. Of float16,
    the rule sees float32, and the result is rounded, which is what NumPy does.
    halves: that is right here.
    operands: the dtype each operand is cast to before `rule` sees it, from the input dtypes and
    the output dtype; None casts all to the output dtype, or, where that is bool, to their common
    dtype.
    cheap: recomputing costs less than storing and loading (no transcendental, no division).
    """

    rule: Callable[..., Value]
    kinds: str = "fiubc"
    operands: Callable[..., tuple[Any, ...]] | None = None
    cheap: bool = True
    halves: bool = True


@dataclass(eq=False, repr=False)
class Reduce:
    """Fold along the attribute `axes`: start with `init`, then `combine(emitter, acc, x)`.

    init: a function of the dtype, giving the Python value that is neutral for `combine`.
    of_numbers: the same as `combine` for floats that are not NaN, where it takes fewer
    instructions; a NaN among them makes the result NaN, which loops then find out by themselves.
    The reduced axes are dropped from the result.
    """

    init: Callable[..., Any]
    combine: Callable[..., Value]
    kinds: str = "fiub"
    of_numbers: Callable[..., Value] | None = None


@dataclass(eq=False, repr=False)
class Scan:
    """Running results along the attribute `axis`: `combine(emitter, result so far, *elements)`.

    init, kinds: as of `Reduce`. in_turn: element after element; else, as in a `Reduce`, what parts
    come to by themselves is combined. The attribute `backwards`, if there is one and it is true,
    goes from the last element to the first.
    """

    init: Callable[..., Any]
    combine: Callable[..., Value]
    kinds: str = "fiu"
    in_turn: bool = False


@dataclass(frozen=True)
class Move:
    """Elements change their place and nothing else.

    kind: "reshape" (row-major order kept), "permute", "broadcast", "slice", "flip"; or "pad", which
    adds the margins that the attribute `widths` says, filled with the attribute `value`.
    """

    kind: str


class Lookup:
    """Each element is one of a table, the first input, in a place that the other inputs say.

    The attribute `axes` has, for each axis of the table, the axis of the result that runs along it,
    or None where it is the next one of the places that says which element.
    """


@dataclass(eq=False, repr=False)
class Scatter:
    """What arrives in places, which are said as of `Lookup`, in a tensor of the attribute `shape`.

    fold: the reduction that combines it; None: the last that arrives stays. onto: whether the first
    input, of that shape, is what it arrives at, and what arrives is the second; else it begins with
    neutral elements.
    """

    fold: Any = None
    onto: bool = False


class Count:
    """Element k is k: a loop knows that without reading or computing anything."""


class Draw:
    """Words of the random bits of the state that is the input: a loop of its own makes them."""


class Transform:
    """A Fourier transform along an axis, with a table of factors: a loop of its own."""


@dataclass(eq=False, repr=False)
class Borrowed:
    """The inner loop of a ufunc of matrices that NumPy keeps, `name`, called by its address.

    The op has one more output than the ufunc: a truth, whether it failed for one of the matrices.
    """

    name: str


@dataclass(eq=False, repr=False)
class Require:
    """An input, a truth, has to be false; the kernel raises what is to be said if it is not.

    Loops cannot raise: who calls them looks at it, and goes no further. The result is the first
    input, so that what is computed of it is not computed before.
    truth: the number of the input that is looked at.
    """

    truth: int = 0


@dataclass(eq=False, repr=False)
class Contract:
    """Sums of products: of matrices, in the last two axes; or as `operands` says.

    operands: of arrays for the inputs, by the attributes, two views that the result is the product
    of: `(*places, *depths)` and `(*depths, columns)`, for a result that has `(*places, columns)`
    elements in this order. None where there are no such views.
    means: the same of tensors, by ops that lay operands out until there are; None where that
    would not help.
    thin: the same by other ops where an operand has few rows or columns; else None. It takes two
    more arguments: for each operand, whether its last axis is not the one that is contiguous.
    """

    operands: Callable[..., tuple[Any, Any] | None] | None = None
    means: Callable[..., Any] | None = None
    thin: Callable[..., Any] | None = None


@dataclass(eq=False, repr=False)
class Composed:
    """In loops the op is made of others: `means(*inputs, **attrs)`, written out for known shapes.

    Outside of loops, and where these ops have none for the dtypes at hand, its kernel is faster.
    """

    means: Callable[..., Any]


@dataclass(eq=False, repr=False)
class Body:
    """The op means a graph: `graph(attrs)` is inlined where the op stands.

    transparent: the derivative of the op is that of the graph; else the op has one of its own,
    and is inlined only when all derivatives have been taken.
    """

    graph: Callable[..., Any]
    transparent: bool = True


Lowering = (
    Pointwise
    | Reduce
    | Scan
    | Move
    | Lookup
    | Scatter
    | Count
    | Draw
    | Transform
    | Borrowed
    | Require
    | Contract
    | Composed
    | Body
)
