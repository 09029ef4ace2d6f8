"""Drop what nothing needs: dead code elimination."""

from __future__ import annotations

from operator import is_
from typing import Any

from ..core.op import Node
from ..graph import Graph
from .rewrite import rebuilt


def dce(graph: Graph) -> Graph:
    """`graph` without pure nodes whose outputs no one uses. Nodes with effects stay.

    Of nodes that run a graph, that computes what is used alone, as `Op.pruned` says.

    Before::

        def graph(v0):                                      # float32[3]
            v1 = sin(v0)                                    # float32[3]
            v2 = cos(v0)                                    # float32[3]
            v3 = exp(v2)                                    # float32[3]
            return (v1,)

    After::

        def graph(v0):                                      # float32[3]
            v1 = sin(v0)                                    # float32[3]
            return (v1,)
    """
    used: set[Any] = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not used.isdisjoint(node.outputs) or node.op.stateful:
            kept.append(node if node.op.pruned is None else node.op.pruned(node, used))
            used.update(kept[-1].inputs)
    nodes = kept[::-1]
    same = len(nodes) == len(graph.nodes) and all(map(is_, nodes, graph.nodes))
    return graph if same else rebuilt(graph, nodes, {})
