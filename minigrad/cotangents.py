"""Cotangents: what a walk back starts with, and what fits one to its tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import tree
from .core.convert import as_tensor
from .core.registry import api
from .core.tensor import Tensor, tensor_of
from .errors import GradientError, SpecError


def key_of(x: Any, asked: str) -> Any:
    """What the tape knows `x` by: a tensor itself, a Variable by its cell."""
    if isinstance(x, Tensor) or getattr(x, "__opaque_input__", False):
        return x
    cell = getattr(x, "cell", None)
    if x is None and asked != "watch":
        raise GradientError(
            f"{asked}: None came, where a tensor or Variable is asked for: what is None has no "
            "derivative, as a gradient that does not exist; tape.explain(target, source) says why "
            'it does not, and unconnected_gradients="zero" gives zeros in its place'
        )
    if cell is None:
        raise GradientError(
            f"{asked}: {type(x).__name__} {x!r:.60} came: a tape follows tensors and Variables; "
            "make it one first, x = mg.constant(x), and compute with that x"
        )
    return cell


def units(y: Any, rows: int, columns: int, most: int) -> Iterator[np.ndarray[Any, Any]]:
    """Cotangents of `y`, seen as a matrix: ones in one column each; zeros if there is none.

    Along a first axis, up to `most` of them at a time.
    """
    for start in range(0, max(columns, 1), most):
        each = np.arange(min(most, max(columns - start, 1)))
        seeds = np.zeros((len(each), rows, columns), y.dtype)
        if columns:
            seeds[each, :, start + each] = 1
        yield seeds.reshape(len(each), *y.shape)


def zeros(x: Any) -> Tensor:
    """Zeros of the shape and dtype of a source."""
    made: Tensor = api.zeros_like(as_tensor(x))
    return made


def ones(x: Any) -> Tensor:
    """Ones of the shape and dtype of a target: a tensor, a symbol or the cell of a Variable."""
    if type(x) is Tensor:  # NumPy's `ones_like` takes four times as long
        made = np.empty(x._value.shape, x._value.dtype)
        made.fill(1)
        return tensor_of(made)
    like: Tensor = api.ones_like(x if isinstance(x, Tensor) else tensor_of(x._value))
    return like


def seeds(target: Any, output_gradients: Any) -> dict[Any, Any]:
    """The cotangents that a walk starts with, by target."""
    if output_gradients is None and type(target) is Tensor and target._value.dtype.kind in "fc":
        return {target: ones(target)}
    leaves, structure = tree.flatten(target)
    targets = [key_of(y, "gradient") for y in leaves]
    given: list[Any] = [None] * len(targets)
    if output_gradients is not None:
        try:
            given = tree.flatten_like(structure, output_gradients)
        except SpecError as error:
            raise GradientError(f"gradient, of its output_gradients: {error}") from None
    bars: dict[Any, Any] = {}
    for y, g in zip(targets, given, strict=True):
        if y.dtype.kind not in "fc":
            continue
        bar = ones(y) if g is None else as_tensor(g, y.dtype)
        if g is not None and not y.spec.is_compatible_with(bar.spec):
            raise GradientError(
                f"gradient: an output_gradient of {bar.spec} for a target of {y.spec}: a "
                "cotangent has the shape of its target; reshape it"
            )
        bars[y] = bars[y] + bar if y in bars else bar
    return bars


def conform(bar: Any, x: Any, op: Any) -> Any:
    """`bar` as a cotangent of `x`: broadcasting and promotion undone. None for integers."""
    if x.dtype.kind not in "fc":
        return None
    if type(bar) is Tensor is type(x):
        ours, theirs = bar._value, x._value
        if ours.shape == theirs.shape and ours.dtype is theirs.dtype:
            return bar
    if bar.dtype.kind == "c" and x.dtype.kind != "c":
        bar = api.real(bar)
    if op.broadcasts:
        if bar.shape != x.shape or bar.shape is None or None in bar.shape:
            bar = api.unbroadcast(bar, x)
    elif not x.spec.is_compatible_with(api.astype(bar, x.dtype).spec):
        raise GradientError(
            f"the derivative rule of {op.name} gave {bar.spec} for an input of {x.spec}: a "
            "cotangent has the shape of its input; correct the rule"
        )
    return bar if bar.dtype == x.dtype else api.astype(bar, x.dtype)
