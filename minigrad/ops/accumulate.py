"""Running sums, products and differences along an axis; the recurrence of their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import along_axes
from ..core.define import composite, primitive, ranked
from ..core.lowering import Scan
from ..core.registry import api
from ..core.spec import FLOAT16, Spec, as_int, as_truth, canonical_axis, promote
from ..core.tensor import Tensor
from ..errors import SpecError
from .broadcast import widened
from .join import join
from .margins import pad_with
from .slice import FULL, take_slice


def accumulated_spec(x: Any, *, axis: int, backwards: bool = False) -> Spec:
    """The spec of `x` itself."""
    if x.shape is not None:
        canonical_axis("cumulative sum or product", axis, len(x.shape))
    return Spec(x.shape, x.dtype)


@primitive(
    infer=accumulated_spec,
    linear="jointly",
    # -0 is neutral: 0 would make 0 of it
    lower=Scan(lambda dtype: -0.0 if dtype.kind == "f" else 0, lambda b, x1, x2: b.add(x1, x2)),
)
def accumulate_sum(x: Any, /, *, axis: int, backwards: bool = False) -> Any:
    """Sums of all elements so far along `axis`; the op behind `cumulative_sum`.

    backwards: from the last element to the first.
    """
    if x.dtype is FLOAT16:  # each sum rounded once
        wide = accumulate_sum.kernel(x.astype(np.float32), axis=axis, backwards=backwards)
        return wide.astype(FLOAT16)
    if backwards:
        return np.flip(np.add.accumulate(np.flip(x, axis), axis, x.dtype), axis)
    return np.add.accumulate(x, axis, x.dtype)


def accumulate_sum_vjp(
    g: Tensor, y: Tensor, x: Tensor, *, axis: int, backwards: bool = False
) -> Any:
    """An element counts in all sums from its own on."""
    return accumulate_sum(g, axis=axis, backwards=not backwards)


accumulate_sum.defvjp(accumulate_sum_vjp)
accumulate_sum.defbatch(along_axes)


@primitive(
    infer=accumulated_spec,
    # in turn: products of parts overflow where 0, or what is small, comes before them
    lower=Scan(lambda dtype: 1, lambda b, x1, x2: b.mul(x1, x2), in_turn=True),
)
def accumulate_product(x: Any, /, *, axis: int, backwards: bool = False) -> Any:
    """Products of all elements so far along `axis`; the op behind `cumulative_prod`.

    backwards: from the last element to the first.
    """
    if backwards:
        return np.flip(np.multiply.accumulate(np.flip(x, axis), axis, x.dtype), axis)
    return np.multiply.accumulate(x, axis, x.dtype)


def accumulate_product_vjp(
    g: Tensor, y: Tensor, x: Tensor, *, axis: int, backwards: bool = False
) -> Any:
    """The product before x_i, times s_i = g_i + x_(i+1) s_(i+1). No division: x may be 0."""
    following = shifted(x, axis, 0, backwards=not backwards)
    rest = recurrence(following, g, axis=axis, backwards=not backwards)
    return shifted(y, axis, 1, backwards=backwards) * rest


accumulate_product.defvjp(accumulate_product_vjp)
accumulate_product.defbatch(along_axes)


def shifted(x: Tensor, axis: int, filling: int, *, backwards: bool = False) -> Any:
    """`x` moved by one place along `axis`, to its end or to its beginning, `filling` entering."""
    lead = (FULL,) * axis
    rest = take_slice(x, key=(*lead, (1, None, None) if backwards else (None, -1, None)))
    if x.shape is not None and x.shape[axis]:
        return margin(rest, axis, filling, behind=backwards)
    first = api.full_like(take_slice(x, key=(*lead, (None, 1, None))), filling)  # there may be none
    return join(*((rest, first) if backwards else (first, rest)), axis=axis)


def margin(x: Tensor, axis: int, filling: int, *, behind: bool = False) -> Any:
    """`x` with one place of `filling` along `axis`, in front or behind."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, 1) if behind else (1, 0)
    return pad_with(x, widths=tuple(widths), value=filling)


def product_of_others(x: Tensor, axis: int) -> Any:
    """For each element, the product of all others along `axis`. No division: x may be 0."""
    before = shifted(accumulate_product(x, axis=axis), axis, 1)
    behind = accumulate_product(x, axis=axis, backwards=True)
    return before * shifted(behind, axis, 1, backwards=True)


def recurrence_spec(a: Any, b: Any, *, axis: int, backwards: bool) -> Spec:
    """The spec of `b`; `a` must have its shape."""
    if not Spec(a.shape, b.dtype).is_compatible_with(Spec(b.shape, b.dtype)):
        raise SpecError(
            f"recurrence: factors of {a.shape} and terms of {b.shape}; each step has one factor "
            "and one term; broadcast one of them"
        )
    if b.shape is not None:
        canonical_axis("recurrence", axis, len(b.shape))
    return Spec(b.shape, promote(a, b))


@primitive(
    infer=recurrence_spec,
    lower=Scan(lambda dtype: 0, lambda b, y, x1, x2: b.add(x2, b.mul(x1, y)), in_turn=True),
)
def recurrence(a: Any, b: Any, /, *, axis: int, backwards: bool) -> Any:
    """The linear recurrence y_i = b_i + a_i y_(i-1) along `axis`, from 0 on.

    a, b: of one shape. backwards: from the last element to the first, with y_(i+1).
    """
    if a.shape != b.shape:
        raise ValueError("factors and terms differ in shape")
    y = np.array(b, np.result_type(a, b))
    rows, factors = np.moveaxis(y, axis, 0), np.moveaxis(a, axis, 0)
    before = np.zeros((), y.dtype)
    for i in reversed(range(len(rows))) if backwards else range(len(rows)):
        rows[i] += factors[i] * before
        before = rows[i]
    return y


recurrence.defbatch(along_axes)


@recurrence.defvjp_joint
def recurrence_vjp(
    gs: Any, outputs: Any, inputs: Any, needed: Any, *, axis: int, backwards: bool
) -> tuple[Any, Any]:
    """The same in the other direction: t_i = g_i + a_(i+1) t_(i+1), and a_i gets t_i y_(i-1)."""
    following = shifted(inputs[0], axis, 0, backwards=not backwards)
    terms = recurrence(following, gs[0], axis=axis, backwards=not backwards)
    if not needed[0]:
        return None, terms
    return terms * shifted(outputs[0], axis, 0, backwards=backwards), terms


# as users write them


@composite
@ranked
def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Sums of the elements so far along `axis`, their own included.

    axis: None only where there is one axis. dtype: None keeps that of `x`, but makes bool and
    integers of 8 and 16 bits (u)int32. include_initial: begin with 0, one element more.
    Array API: cumulative_sum.
    """
    x = widened(x, dtype)
    axis = only_axis("cumulative_sum", x, axis)
    return begun(accumulate_sum(x, axis=axis), axis, 0, include_initial)


@composite
@ranked
def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Products of the elements so far along `axis`, their own included.

    axis: None only where there is one axis. dtype: None keeps that of `x`, but makes bool and
    integers of 8 and 16 bits (u)int32. include_initial: begin with 1, one element more.
    Array API: cumulative_prod.
    """
    x = widened(x, dtype)
    axis = only_axis("cumulative_prod", x, axis)
    return begun(accumulate_product(x, axis=axis), axis, 1, include_initial)


@composite
@ranked
def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along `axis`, each less the one before, taken `n` times over.

    prepend, append: tensors to put in front of `x` and behind it first, of its shape but for
    `axis`. Returns `n` elements less along `axis`. Of bool: whether neighbours differ.
    Array API: diff.
    """
    x = api.asarray(x)
    axis = canonical_axis("diff", axis, x.ndim)
    n = as_int("diff", "n", n, 0)
    ends = [None if end is None else api.asarray(end) for end in (prepend, append)]
    parts = [part for part in (ends[0], x, ends[1]) if part is not None]
    x = join(*parts, axis=axis) if len(parts) > 1 else x
    lead = (FULL,) * axis
    length = None if x.shape is None else x.shape[axis]
    for _ in range(n if length is None else min(n, length)):  # nothing is left then
        after = take_slice(x, key=(*lead, (1, None, None)))
        before = take_slice(x, key=(*lead, (None, -1, None)))
        x = api.not_equal(after, before) if x.dtype.kind == "b" else after - before
    return x


def only_axis(name: str, x: Tensor, axis: int | None) -> int:
    """`axis` from the front; None means the only one."""
    if axis is None and x.ndim != 1:
        raise SpecError(
            f"{name}: {x.spec} came without axis; only one axis goes without saying; name it, or "
            "flatten with mg.reshape(x, -1)"
        )
    return canonical_axis(name, 0 if axis is None else axis, x.ndim)


def begun(y: Tensor, axis: int, initial: int, include_initial: bool) -> Any:
    """`y`, after `initial` if that is to be included."""
    return margin(y, axis, initial) if as_truth("include_initial", include_initial) else y
