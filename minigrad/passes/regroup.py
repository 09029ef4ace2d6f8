"""What passes over groups share: a node as a group of its own; other groups in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

from ..codegen.bodies import is_array
from ..codegen.fused import fused
from ..core.op import Node
from ..core.tensor import Symbol
from ..graph import Graph
from ..ops.shape import identity
from .rewrite import fresh, rebuilt


def in_a_group(node: Node, name: str, *, copied: bool = False) -> Node:
    """`node` as a group of its own. copied: it gives a view, of which the group makes a copy."""
    names = {x: Symbol(x.shape, x.dtype, None) for x in node.inputs if is_array(x)}
    inputs = tuple([names[x] if is_array(x) else x for x in node.inputs])
    steps = [node.replaced(inputs, fresh(node.outputs))]
    if copied:
        steps.append(node.replaced(steps[0].outputs, fresh(node.outputs), {}, identity.op))
    graph = Graph(name, tuple(names.values()), (), tuple(steps), steps[-1].outputs)
    return node.replaced(tuple(names), node.outputs, {"graph": graph}, fused)


def regrouped(graph: Graph, nodes: Sequence[Node]) -> Graph:
    """`graph` of other nodes, with what is told of its groups; itself if these are its own."""
    if len(nodes) == len(graph.nodes) and all(map(is_, nodes, graph.nodes)):
        return graph
    found = rebuilt(graph, nodes, {})
    if "fusion" in graph.cache:
        found.cache["fusion"] = graph.cache["fusion"]
    return found
