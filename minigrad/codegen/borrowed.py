"""Decompositions of small matrices as kernels: LAPACK is called by native code, without Python.

NumPy keeps, for each function of `numpy.linalg`, a loop over matrices in C. Its address is found
in the ufunc; where that is not clear, the function is called by Python as others are.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Body, Borrowed
from ..core.op import MADE_LATE, Node, Op
from ..core.spec import real_dtype
from ..graph import Graph
from . import jit
from .arithmetic import lane_type
from .driver import KERNELS, Kernel, stores
from .executable import executable
from .fastcall import spread_ir, spread_name
from .fused import ENTRY, fused_spec
from .objects import loop_of
from .products import looked_at
from .substitution import TRIANGLES, substitution

LOOP = "numpy.loop"


def address(node: Node) -> int | None:
    """Where the loop of `node` is; None where that is not known."""
    assert isinstance(node.op.lower, Borrowed)
    if node.op.lower.name in TRIANGLES:
        return substitution(node.op.lower.name) if node.inputs[0].dtype == np.float64 else None
    ufunc = getattr(getattr(np.linalg, "_umath_linalg", None), node.op.lower.name, None)
    operands = (*node.inputs, *node.outputs[:-1])
    if not isinstance(ufunc, np.ufunc) or ufunc.nargs != len(operands):
        return None
    return loop_of(ufunc, "".join([x.dtype.char for x in operands]))


def has_loop(node: Node) -> bool:
    """Whether `node` can be a kernel here: there is a matrix, and a loop for it."""
    empty = any(0 in x.shape for x in (*node.inputs, *node.outputs))
    return jit.available() and not empty and address(node) is not None


class Operands(NamedTuple):
    """What a loop takes: matrices one after the other, the same way apart; numbers are of bytes.

    starts: where operands begin in what they are views of. steps: from a matrix to the next.
    within: from row to row and from column to column, of all operands in turn.
    """

    starts: list[int]
    matrices: int
    steps: list[int]
    within: list[int]


def operands(graph: Graph) -> Operands | None:
    """The operands of the node that `graph` ends with; None where matrices are not as far apart.

    The inputs of `graph` are what its operands are views of, in the same order. Batches are
    broadcast; outputs are contiguous.
    """
    views, begins = looked_at(graph)
    node = graph.nodes[-1]
    batch = np.broadcast_shapes(*[x.shape[:-2] for x in node.inputs])
    wholes = [np.broadcast_to(views[x], (*batch, *x.shape[-2:])) for x in node.inputs]
    starts = [whole.ctypes.data - begins[x] for x, whole in zip(node.inputs, wholes, strict=True)]
    wholes += [np.empty(y.shape, y.dtype) for y in node.outputs[:-1]]
    axes = [k for k, n in enumerate(batch) if n > 1]
    for outer, inner in pairwise(axes):
        if any(x.strides[outer] != x.strides[inner] * batch[inner] for x in wholes):
            return None
    steps = [x.strides[axes[-1]] if axes else 0 for x in wholes]
    within = [stride for x in wholes for stride in x.strides[len(batch) :]]
    return Operands(starts + [0] * (len(wholes) - len(starts)), math.prod(batch), steps, within)


def borrowed_llvm(graph: Graph) -> str:
    """The LLVM assembly of a kernel: it makes the tables that the loop takes, and calls it.

    A matrix for which the loop fails is filled with NaN, so the first number tells.
    """
    node, found = graph.nodes[-1], operands(graph)
    assert found is not None, "matrices that are not in one row"
    last = len(graph.inputs) + len(graph.outputs) - 1
    tables = {
        "operands": [f"ptr %o{k}" for k in range(last)],
        "sizes": [f"i64 {n}" for n in (found.matrices, *[x.shape[-1] for x in node.inputs])],
        "steps": [f"i64 {n}" for n in (*found.steps, *found.within)],
    }
    kind = lane_type(real_dtype(node.outputs[0].dtype))
    lines = [
        f'declare void @"{LOOP}"(ptr, ptr, ptr, ptr)',
        f"define void @{ENTRY}({', '.join([f'ptr %p{k}' for k in range(last + 1)])}) nounwind {{",
        "entry:",
    ]
    for k, start in enumerate(found.starts):
        lines.append(f"  %o{k} = getelementptr i8, ptr %p{k}, i64 {start}")
    for name, words in tables.items():
        lines += [f"  %{name} = alloca [{len(words)} x i64]", *stores(name, words)]
    lines += [
        f'  call void @"{LOOP}"(ptr %operands, ptr %sizes, ptr %steps, ptr null)',
        "  br label %each",
        "each:",
        "  %k = phi i64 [ 0, %entry ], [ %next, %each ]",
        "  %before = phi i1 [ false, %entry ], [ %now, %each ]",
        f"  %bytes = mul i64 %k, {found.steps[len(node.inputs)]}",
        f"  %at = getelementptr i8, ptr %p{len(graph.inputs)}, i64 %bytes",
        f"  %number = load {kind}, ptr %at",
        f"  %failed = fcmp uno {kind} %number, 0.0",
        "  %now = or i1 %before, %failed",
        "  %next = add i64 %k, 1",
        f"  %more = icmp slt i64 %next, {found.matrices}",
        "  br i1 %more, label %each, label %done",
        "done:",
        "  %truth = zext i1 %now to i8",
        f"  store i8 %truth, ptr %p{last}",
        "  ret void",
        "}",
    ]
    return "\n".join([*lines, ""])


def code(node: Node) -> jit.Code:
    """The native code of a kernel; made once, and kept with its graph."""
    graph = node.attrs["graph"]
    if "code" not in graph.cache:
        found = address(graph.nodes[-1])
        assert found is not None, "a loop that is not known"
        pointers = len(graph.inputs) + len(graph.outputs)
        text = borrowed_llvm(graph) + spread_ir(ENTRY, pointers)
        symbols = [ENTRY, spread_name(ENTRY)]
        graph.cache["code"] = jit.compile_module(text, symbols, {LOOP: found}, quick=True)
    made: jit.Code = graph.cache["code"]
    return made


def run_borrowed(*inputs: Any, graph: Graph) -> tuple[Any, ...]:
    """What the node in `graph` gives."""
    return executable(graph)(*inputs)


native_borrowed = Op(
    run_borrowed,
    infer=fused_spec,
    name="native_borrowed",
    lower=Body(lambda attrs: attrs["graph"]),
)
native_borrowed.opaque = MADE_LATE
KERNELS[native_borrowed] = Kernel(lambda node, over, inside: code(node))
