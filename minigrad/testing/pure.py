"""`assert_pure`: a callback gives the same for the same, and leaves its arguments alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..core.convert import as_tensor
from ..core.tensor import Tensor
from .report import Report, name_of, place, program_of


def assert_pure(func: Callable[..., Any], *inputs: Any) -> Report:
    """Hold a callback to what `stateful=False` promises of it; a Report of what held.

    func: what would be handed to `mg.numpy_function` (pass arrays) or `mg.py_function` (pass
    tensors). inputs: its arguments; arrays are copied first. Looked at: the same result for the
    same arguments, to the bit, also after a call with others; arguments that are untouched; a
    result that no later call changes, and that is none of the arguments' memory. Raises LawError.
    """
    report = Report(f"assert_pure of {name_of(func)}{place(func)}")
    given = fresh(inputs)
    first = func(*given)
    kept = contents(first)
    changed = [i for i, (x, y) in enumerate(zip(inputs, given, strict=True)) if not same([x], [y])]
    if changed:
        report.failures.append(
            f"argument {changed[0]} is written to; in a graph it is a read-only view, and others "
            "hold the same array; copy it first: x = x.copy()"
        )
    if shared(first, given):
        report.failures.append(
            "the result is memory of an argument; who changes one changes the other; return a copy"
        )
    again = contents(func(*fresh(inputs)))
    if not same(kept, again):
        report.failures.append(
            f"the second call with the same arguments gives {brief(again)}, the first gave "
            f"{brief(kept)}; it depends on what is not an argument (a state, a clock, random "
            "numbers): pass that as an argument, or leave stateful=True"
        )
    func(*others(inputs))
    if not same(kept, contents(first)):
        report.failures.append(
            "a later call changes the result of the first: both are one buffer; return a new array"
        )
    elif not report.failures and not same(kept, contents(func(*fresh(inputs)))):
        report.failures.append(
            "after a call with other arguments the result for the first ones is another; it keeps "
            "something from call to call: pass that as an argument, or leave stateful=True"
        )
    if not report.failures:
        report.checked.append("the same result, to the bit; arguments untouched; memory of its own")
    return report.settle(program_of(assert_pure, func, inputs, {}))


def fresh(inputs: Sequence[Any]) -> list[Any]:
    """Arguments that may be written to: copies of arrays; tensors cannot be."""
    return [x.copy() if isinstance(x, np.ndarray) else x for x in inputs]


def others(inputs: Sequence[Any]) -> list[Any]:
    """Other arguments of the same shapes and dtypes."""

    def other(x: Any) -> Any:
        if isinstance(x, Tensor):
            return as_tensor(other(x.numpy()))
        if not isinstance(x, np.ndarray):
            return x
        return np.logical_not(x) if x.dtype.kind == "b" else np.asarray(x + x.dtype.type(1))

    return [other(x) for x in inputs]


def contents(results: Any) -> list[Any]:
    """What results hold now, as copies."""
    return [
        np.array(y) if isinstance(y, (np.ndarray, np.generic, Tensor)) else y
        for y in tree.flatten(results)[0]
    ]


def same(xs: Sequence[Any], ys: Sequence[Any]) -> bool:
    """Whether two lists hold the same, to the bit."""
    if len(xs) != len(ys):
        return False
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in zip(xs, ys, strict=True)]
    return all(
        (x.shape, x.dtype) == (y.shape, y.dtype) and x.tobytes() == y.tobytes() for x, y in pairs
    )


def shared(results: Any, inputs: Sequence[Any]) -> bool:
    """Whether a result is memory that an argument has."""
    return any(
        isinstance(y, np.ndarray) and isinstance(x, np.ndarray) and np.shares_memory(x, y)
        for y in tree.flatten(results)[0]
        for x in inputs
    )


def brief(values: Sequence[Any]) -> str:
    """Values, shortened for a sentence."""
    text = ", ".join([np.array2string(np.asarray(x), threshold=4, precision=6) for x in values])
    return text if len(text) < 80 else text[:77] + "..."
