"""Compute once, now, what does not depend on the inputs: constant folding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.lowering import Body
from ..core.op import EAGER, Node
from ..core.spec import SCALARS
from ..core.tensor import Tensor
from ..graph import Graph
from ..ops.create import fill
from ..ops.shape import is_static, shape_of
from .rewrite import has_effects, makers, mapped, rebuilt

LARGEST = 1024  # elements of a constant; larger ones are made when the graph runs


def fold(graph: Graph, known: Mapping[Any, Tensor] | None = None) -> Graph:
    """`graph` with nodes whose inputs are constants replaced by what they compute.

    Constants are Python numbers and small tensors, which then stand among the inputs of nodes.
    known: for inputs of the graph, captures say, the tensor that is always given; those of more
    than one element are used to compute with, and do not themselves take the place of the input.

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
    given = {x: y for x, y in (known or {}).items() if is_small(y)}
    values: dict[Any, Any] = {x: y for x, y in given.items() if y.shape == ()}
    nodes = []
    for node in graph.nodes:
        node = node.replaced(mapped(node.inputs, values), node.outputs)
        found = constants(node.replaced(mapped(node.inputs, given), node.outputs))
        if found is None:
            nodes.append(node)
        else:
            values.update(zip(node.outputs, found, strict=True))
    return rebuilt(graph, nodes, values, makers(graph.nodes)) if values else graph


def constants(node: Node) -> tuple[Tensor, ...] | None:
    """The outputs of `node`, if they are known before it runs, and small; else None."""
    if node.op is shape_of and is_static(node.inputs[0]):
        return (Tensor(np.array(node.inputs[0].shape, np.int32)),)
    if not all(map(is_constant, node.inputs)) or not node.inputs or has_effects(node):
        return None
    if isinstance(node.op.lower, Body) or (node.op is fill and node.attrs["shape"] != ()):
        return None  # a number repeated is no work; a constant would have to be read
    try:
        specs = node.op.infer(*node.inputs, **node.attrs)
        if not all(map(is_small, specs if type(specs) is tuple else (specs,))):
            return None
        with np.errstate(all="ignore"):
            outputs = EAGER.run(node.op, node.inputs, node.attrs)
    except Exception:
        return None  # whatever it is: it will be raised when the graph runs
    found = outputs if type(outputs) is tuple else (outputs,)
    return found if all(type(y) is Tensor for y in found) else None


def is_constant(x: Any) -> bool:
    """Whether `x`, an input of a node, is known."""
    return type(x) is Tensor or type(x) in SCALARS


def is_small(x: Any) -> bool:
    """Whether the tensor or spec `x` is known to have few elements."""
    return is_static(x) and math.prod(x.shape) <= LARGEST
