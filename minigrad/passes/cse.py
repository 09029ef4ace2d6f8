"""Compute once what is asked for twice: common subexpression elimination."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.op import Node
from ..core.tensor import Tensor
from ..graph import Graph
from ..text import Identity
from .rewrite import mapped, rebuilt


def cse(graph: Graph) -> Graph:
    """`graph` with equal nodes made one: the same op of the same inputs and attributes.

    Nodes with effects are never equal. Arrays and tensors are equal only to themselves.

    Before::

        def graph(v0):                                      # float32[3]
            v1 = sin(v0)                                    # float32[3]
            v2 = sin(v0)                                    # float32[3]
            v3 = multiply(v1, v2)                           # float32[3]
            return (v3,)

    After::

        def graph(v0):                                      # float32[3]
            v1 = sin(v0)                                    # float32[3]
            v2 = multiply(v1, v1)                           # float32[3]
            return (v2,)
    """
    values: dict[Any, Any] = {}
    seen: dict[Any, Node] = {}
    nodes = []
    for node in graph.nodes:
        inputs = mapped(node.inputs, values)
        if not node.op.stateful:
            first = seen.setdefault((node.op, frozen(inputs), frozen(node.attrs)), node)
            if first is not node:
                values.update(zip(node.outputs, first.outputs, strict=True))
                continue
        nodes.append(node.replaced(inputs, node.outputs))
    return rebuilt(graph, nodes, values) if values else graph


def frozen(value: Any) -> Any:
    """A key for `value`: equal keys mean the same value to every op."""
    kind = type(value)
    if kind is tuple or kind is list:
        return kind, tuple([frozen(part) for part in value])
    if kind is dict:
        return kind, tuple([(key, frozen(part)) for key, part in value.items()])
    if kind is slice:
        return kind, frozen((value.start, value.stop, value.step))
    if kind is float or kind is complex:
        return kind, repr(value)  # 0.0 == -0.0, and nan != nan
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return Identity(value)
    try:
        hash(value)
    except TypeError:
        return Identity(value)
    return kind, value
