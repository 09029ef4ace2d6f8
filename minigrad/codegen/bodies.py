"""What a node means to a loop: a map of elements, a fold along axes, a move; or why it has none."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.lowering import (
    Composed,
    Contract,
    Count,
    Draw,
    Lookup,
    Move,
    Pointwise,
    Reduce,
    Scan,
    Scatter,
    Transform,
    Value,
)
from ..core.op import Node, Op
from ..core.spec import promote
from ..core.tensor import Tensor
from . import jit
from .arithmetic import FLOAT16, FLOAT32, FLOAT64, computed
from .emitter import VectorEmitter
from .text import Module

DTypes = tuple[np.dtype[Any], ...]
# instructions that take as long as several others
SLOW = {"fdiv": 8, "sqrt": 8, "gather": 8, "insertvalue": 0, "extractvalue": 0}


def is_map(node: Node) -> bool:
    """Whether each element of the result is made of one element of each input."""
    return isinstance(node.op.lower, Pointwise)


def is_fold(node: Node) -> bool:
    """Whether elements along some axes are combined."""
    return isinstance(node.op.lower, Reduce)


def is_scan(node: Node) -> bool:
    """Whether elements are combined with all before them along an axis."""
    return isinstance(node.op.lower, Scan)


def is_move(node: Node) -> bool:
    """Whether elements only change their place."""
    return isinstance(node.op.lower, Move)


def is_lookup(node: Node) -> bool:
    """Whether each element of the result is one of a table, found by places."""
    return isinstance(node.op.lower, Lookup)


def is_scatter(node: Node) -> bool:
    """Whether elements are added up in places that others say."""
    return isinstance(node.op.lower, Scatter)


def arriving(node: Node) -> tuple[Any, ...]:
    """What is read where a scatter adds one element: the element, and its places."""
    assert isinstance(node.op.lower, Scatter)
    return node.inputs[1:] if node.op.lower.onto else node.inputs


def is_count(node: Node) -> bool:
    """Whether elements are their own numbers."""
    return isinstance(node.op.lower, Count)


def is_array(x: Any) -> bool:
    """Whether the input `x` of a node has elements of its own: it is not a Python number."""
    return isinstance(x, Tensor)


def refusal(node: Node) -> str | None:
    """Why `node` cannot be part of a loop; None if it can."""
    lower = node.op.lower
    if node.op.rounds is not None:
        return f"rounds of its own: {node.op.name}"
    if lower is None or isinstance(lower, Contract | Composed):
        return f"library call: {node.op.name}"
    if isinstance(lower, Draw | Transform):
        return f"a loop of its own: {node.op.name}"
    tensors = [*filter(is_array, node.inputs), *node.outputs]
    for x in tensors:
        if not has_lanes(x.dtype):
            return f"no lanes of {x.dtype}"
        if x.shape is None or None in x.shape:
            return "a shape that is not known"
        if math.prod(x.shape) == 0:
            return "no elements"
    if isinstance(lower, Pointwise):
        return refused_map(node, lower)
    if isinstance(lower, Count) and any(map(is_array, node.inputs)):
        return f"{node.op.name} as far as a tensor says"
    if isinstance(lower, Scatter) and lower.fold is not None:
        kinds = lower.fold.lower.kinds
        return None if tensors[0].dtype.kind in kinds else f"{node.op.name} of {tensors[0].dtype}"
    if isinstance(lower, Reduce | Scan):
        kinds = {x.dtype.kind for x in tensors}
        return None if kinds <= set(lower.kinds) else f"{node.op.name} of {node.inputs[0].dtype}"
    return (
        None
        if isinstance(lower, Move | Count | Lookup | Scatter)
        else f"not inlined: {node.op.name}"
    )


def has_lanes(dtype: np.dtype[Any]) -> bool:
    """Whether native code for this machine has numbers of `dtype` in vectors."""
    if dtype == FLOAT16:
        return jit.converts_halves()
    return dtype.kind in "biuc" or dtype in (FLOAT32, FLOAT64)


def refused_map(node: Node, lower: Pointwise) -> str | None:
    """Why the rule of an elementwise `node` does not hold here; None if it does."""
    y = node.outputs[0]
    dtypes = operand_dtypes(node)
    for x, dtype in zip(node.inputs, dtypes, strict=True):
        if not has_lanes(dtype):
            return f"no lanes of {dtype}"
        if not is_array(x) and not fits(x, dtype):
            return f"{x!r} is no {dtype}"
    if not {dtype.kind for dtype in (*dtypes, y.dtype)} <= set(lower.kinds):
        return f"{node.op.name} of {dtypes[0]}"
    taken = {x.dtype.kind for x in node.inputs if is_array(x)}
    if lower.operands is None and "c" in taken and dtypes[0].kind != "c":
        return f"{node.op.name} of complex numbers"
    if FLOAT16 in dtypes and not lower.halves:
        return f"{node.op.name} of float16"
    mixed = {x.dtype for x in node.inputs if is_array(x) and x.dtype.kind in "iu"}
    if dtypes and dtypes[0] == np.float64 and y.dtype.kind == "b" and len(mixed) > 1:
        return f"{node.op.name} of int64 and uint64, which no lane holds exactly"
    return None if cost(node) is not None else f"no native {node.op.name} of {dtypes[0]}"


def fits(number: Any, dtype: np.dtype[Any]) -> bool:
    """Whether the Python number `number` is one of `dtype`."""
    if not isinstance(number, bool | int | float):
        return isinstance(number, complex) and dtype.kind == "c"
    if dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return float(number).is_integer() and limits.min <= number <= limits.max


def operand_dtypes(node: Node) -> DTypes:
    """The dtype that each operand is cast to before the body of `node` sees it."""
    lower, y = node.op.lower, node.outputs[0]
    if isinstance(lower, Reduce):
        return (y.dtype,)
    if isinstance(lower, Lookup | Scatter):
        return tuple([x.dtype for x in node.inputs])
    if isinstance(lower, Scan):  # the result so far, and the elements
        return (y.dtype,) * (1 + len(node.inputs))
    assert isinstance(lower, Pointwise)
    if lower.operands is not None:
        common = promote(*node.inputs)
        inputs = tuple([x.dtype if is_array(x) else common for x in node.inputs])
        return tuple([np.dtype(dtype) for dtype in lower.operands(inputs, y.dtype)])
    common = promote(*node.inputs) if y.dtype.kind == "b" else y.dtype
    return (common,) * len(node.inputs)


def cost(node: Node) -> int | None:
    """How many instructions the body of `node` takes; None where it cannot be written."""
    if is_lookup(node) or is_scatter(node):
        return len(node.inputs)
    return instructions(node.op, operand_dtypes(node), node.outputs[0].dtype)


@functools.lru_cache(maxsize=4096)
def instructions(op: Op, dtypes: DTypes, output: np.dtype[Any]) -> int | None:
    """The weight of the body of `op` for operands of `dtypes`: it is written out and counted."""
    lines = body(op, dtypes, output)
    return None if lines is None else sum(map(weight, lines))


@functools.lru_cache(maxsize=4096)
def body(op: Op, dtypes: DTypes, output: np.dtype[Any]) -> tuple[str, ...] | None:
    """The body of `op` in LLVM text, for scalars %x0, %x1, ...; None where there is none."""
    function = Module().function("probe", [])
    emitter = VectorEmitter(function, 1)
    values = [Value(f"%x{k}", dtype) for k, dtype in enumerate(dtypes)]
    if isinstance(op.lower, Reduce) and len(values) == 1:
        values *= 2
    try:
        emitter.cast(mapped(emitter, op, values), output)
    except (KeyError, TypeError):  # a function or a dtype that the emitter does not know
        return None
    return tuple(function.lines)


def mapped(emitter: VectorEmitter, op: Op | None, xs: Sequence[Value]) -> Value:
    """The body of an op, of folds and running results one step; of None, the operand.

    What is computed in another dtype than it is kept in, is left in that: who keeps it casts.
    """
    if op is None:
        return xs[0]
    xs = [emitter.cast(x, computed(x.dtype)) for x in xs]
    if isinstance(op.lower, Scan | Reduce):
        return op.lower.combine(emitter, *xs)
    assert isinstance(op.lower, Pointwise)
    return op.lower.rule(emitter, *xs)


def divides_by(op: Op, dtypes: DTypes, output: np.dtype[Any]) -> list[int]:
    """The operands that the body of `op` divides by."""
    lines = body(op, dtypes, output) or ()
    ends = {line.rsplit(", ", 1)[-1] for line in lines if "fdiv" in line}
    return [k for k in range(len(dtypes)) if f"%x{k}" in ends]


def weight(line: str) -> int:
    """What one line of LLVM text costs, in simple instructions."""
    return next((w for name, w in SLOW.items() if name in line), 1)


class Witness:
    """An Emitter that only remembers a sum."""

    def add(self, x1: Any, x2: Any) -> tuple[Any, ...]:
        """The sum, remembered."""
        return "add", x1, x2


@functools.cache
def is_sum(op: Op) -> bool:
    """Whether the reduction `op` adds, so that what its rounding loses can be found."""
    assert isinstance(op.lower, Reduce)
    try:
        said: Any = op.lower.combine(Witness(), "x1", "x2")
    except AttributeError:
        return False
    return bool(said == ("add", "x1", "x2"))
