"""Put the nodes of a graph in the place of the node that means it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.lowering import Body
from ..core.op import Node
from ..core.spec import SCALARS
from ..core.tensor import Symbol, tensor_of
from ..graph import Graph
from .rewrite import fresh, makers, mapped, rebuilt


def inline(graph: Graph, *, transparent: bool = False) -> Graph:
    """`graph` without nodes whose op means a graph; bodies inside of bodies included.

    transparent: only those whose derivative is that of the graph, as is right before derivatives
    are taken.

    Before::

        def twice(v0):                                      # float32[3]
            v1 = add(v0, v0)                                # float32[3]
            return (v1,)

        def graph(v0):                                      # float32[3]
            (v1,) = twice(v0)                               # float32[3]
            v2 = sin(v1)                                    # float32[3]
            return (v2,)

    After::

        def graph(v0):                                      # float32[3]
            v1 = add(v0, v0)                                # float32[3]
            v2 = sin(v1)                                    # float32[3]
            return (v2,)
    """
    if not any(is_body(node, transparent) for node in graph.nodes):
        return graph
    values: dict[Any, Any] = {}
    nodes = list(expanded(graph.nodes, values, transparent))
    return rebuilt(graph, nodes, values, makers(graph.nodes))


def is_body(node: Node, transparent: bool) -> bool:
    """Whether `node` is to be replaced by a graph."""
    lower = node.op.lower
    return isinstance(lower, Body) and (lower.transparent or not transparent)


def expanded(nodes: Sequence[Node], values: dict[Any, Any], transparent: bool) -> Iterator[Node]:
    """`nodes` with bodies in their places; enters in `values` what their outputs have become."""
    for node in nodes:
        inputs = mapped(node.inputs, values)
        if not isinstance(node.op.lower, Body) or not is_body(node, transparent):
            yield node.replaced(inputs, mapped(node.outputs, values))
            continue
        body = node.op.lower.graph(node.attrs)
        pairs = zip(body.inputs, inputs, strict=True)
        inner: dict[Any, Any] = {x: strong(value, x) for x, value in pairs}
        for step in body.nodes:
            inner.update(zip(step.outputs, fresh(step.outputs), strict=True))
        yield from expanded(body.nodes, inner, transparent)
        values.update(zip(node.outputs, mapped(body.outputs, inner), strict=True))


def strong(value: Any, x: Symbol) -> Any:
    """`value` as the input `x` of a body: a Python number is weak outside, and not inside."""
    return tensor_of(np.asarray(value, x.dtype)) if type(value) in SCALARS else value
