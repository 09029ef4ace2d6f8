"""Compute once, now, what does not depend on the inputs: constant folding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.lowering import Body
from ..core.op import EAGER, Node
from ..core.spec import SCALARS, Spec
from ..core.tensor import Tensor, tensor_of
from ..graph import Graph
from ..ops.shape import is_static, shape_of
from .rewrite import makers, mapped, rebuilt

LARGEST = 1024  # elements of a constant; larger ones are made when the graph runs


def fold(graph: Graph) -> Graph:
    """`graph` with nodes whose inputs are constants replaced by what they compute.

    Constants are Python numbers, small tensors, which then stand among the inputs of nodes, and
    captured tensors, which never change. Captures of no axes, and shapes, are put in where they
    are used; they stay inputs of the graph all the same.

    Before::

        def graph(v0):                                      # float32[2,3]
            v1 = shape_of(v0)                               # int32[2]
            v2 = sqrt(2.0)                                  # float32[]
            v3 = multiply(v2, v0)                           # float32[2,3]
            return (v3,)

    After::

        # constant: float32[] 1.4142135
        def graph(v0):                                      # float32[2,3]
            v1 = multiply(constant, v0)                     # float32[2,3]
            return (v1,)
    """
    known = known_captures(graph)
    values = {x: y for x, y in known.items() if is_literal(y)}
    nodes = []
    for node in graph.nodes:
        node = node.replaced(mapped(node.inputs, values), node.outputs)
        found = constants(node, known)
        if found is None:
            nodes.append(node)
        else:
            values.update(zip(node.outputs, found, strict=True))
    computed = {x: y for x, y in values.items() if x not in known}
    return rebuilt(graph, nodes, computed, makers(graph.nodes)) if values else graph


def known_captures(graph: Graph) -> dict[Any, Tensor]:
    """The small tensors that `graph` captures, by the inputs that they are given as."""
    inputs = graph.inputs[len(graph.arguments) :]
    pairs = zip(inputs, graph.captures, strict=True)
    return {x: y for x, y in pairs if type(y) is Tensor and count(y) <= LARGEST}


def is_literal(y: Tensor | Spec) -> bool:
    """Whether a known tensor is better put in than passed: a number, or ints as in a shape."""
    return y.shape == () or (y.dtype.kind in "iu" and count(y) <= 64)


def is_worth(y: Tensor | Spec, room: int) -> bool:
    """Whether an output made of `room` elements is to be a constant: small, and no repetition.

    Repeating a number is no work, while the elements of a constant have to be read.
    """
    return count(y) <= LARGEST and (is_literal(y) or count(y) <= room)


def constants(node: Node, known: Mapping[Any, Tensor]) -> tuple[Tensor, ...] | None:
    """The outputs of `node`, if they are known before it runs, and small; else None.

    known: what symbols among its inputs always are.
    """
    inputs = mapped(node.inputs, known)
    if node.op is shape_of and is_static(node.inputs[0]):
        return (tensor_of(np.array(node.inputs[0].shape, np.int32)),)
    if not all(map(is_constant, inputs)) or not inputs or node.op.stateful:
        return None
    if isinstance(node.op.lower, Body):
        return None
    try:
        specs = node.op.infer(*inputs, **node.attrs)
        room = sum([x.size if type(x) is Tensor else 1 for x in inputs])
        for y in specs if type(specs) is tuple else (specs,):
            # a callback may not say what it gives; that is seen when it has run
            if not is_worth(y, room) and (is_static(y) or node.op.opaque is None):
                return None
        with np.errstate(all="ignore"):
            outputs = EAGER.run(node.op, inputs, node.attrs)
    except Exception:
        return None  # whatever it is: it will be raised when the graph runs
    found = outputs if type(outputs) is tuple else (outputs,)
    return found if all(type(y) is Tensor and is_worth(y, room) for y in found) else None


def is_constant(x: Any) -> bool:
    """Whether `x`, an input of a node, is known."""
    return type(x) is Tensor or type(x) in SCALARS


def count(x: Any) -> float:
    """How many elements the tensor or spec `x` has; infinity where that is not known."""
    return math.prod(x.shape) if is_static(x) else math.inf
