"""Ops of several results: one alone where no other is used, and none twice."""

from __future__ import annotations

from typing import Any

from ..core.op import Node
from ..graph import Graph
from .rewrite import mapped, rebuilt


def narrow(graph: Graph) -> Graph:
    """`graph` with nodes for the one output that is used, where an op of its own gives it.

    Beside a node that gives all, such an op is not needed: the value is there.

    Values are the same up to rounding, so this is no pass of those that every graph goes through.

    Before::

        def graph(v0):                                      # float32[3,3]
            v1, v2 = hermitian_eigen(v0)                    # float32[3], float32[3,3]
            v3 = exp(v1)                                    # float32[3]
            return (v3,)

    After::

        def graph(v0):                                      # float32[3,3]
            v1 = hermitian_eigenvalues(v0)                  # float32[3]
            v2 = exp(v1)                                    # float32[3]
            return (v2,)
    """
    if not any(node.op.parts for node in graph.nodes):
        return graph
    used = {*graph.outputs, *[x for node in graph.nodes for x in node.inputs]}
    nodes = [narrowed(node, used) for node in graph.nodes]
    wholes = {(op, x.inputs): (x, k) for x in nodes for k, op in x.op.parts.items()}
    values: dict[Any, Any] = {}
    made: dict[Node, Node] = {}
    for node in nodes:
        whole, k = wholes.get((node.op, node.inputs), (node, 0))
        if whole not in made:
            made[whole] = whole.replaced(mapped(whole.inputs, values), whole.outputs)
        if whole is not node:
            values[node.outputs[0]] = whole.outputs[k]
    return rebuilt(graph, list(made.values()), values)


def narrowed(node: Node, used: set[Any]) -> Node:
    """What gives all of `node` that is used."""
    wanted = [k for k, y in enumerate(node.outputs) if y in used]
    if len(wanted) != 1 or wanted[0] not in node.op.parts:
        return node
    (k,) = wanted
    return node.replaced(node.inputs, (node.outputs[k],), node.attrs, node.op.parts[k])
