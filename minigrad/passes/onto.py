"""Add what arrives in places to what it would be added to, rather than to zeros before."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..core.op import Node
from ..core.registry import OPS
from ..core.tensor import Symbol
from ..graph import Graph
from ..ops.arithmetic import add
from ..ops.index import scatter_add
from .dce import dce
from .rewrite import fresh, makers, rebuilt


def add_onto_sums(graph: Graph) -> Graph:
    """`graph`, whose sums with what `scatter_add` gives are made in place of its zeros.

    So is the gradient of a table that is read more than once: it is filled once, and gone through
    no more. Nothing else may read the other summand, for it is written over. 0.0 is added to that,
    as its -0.0 would stay where nothing arrives. What is rounded is another sum of the same
    numbers.

    Before::

        def graph(v0, v1, v2):                              # float32[9], float32[2], int32[2]
            v3 = sin(v0)                                    # float32[9]
            v4 = scatter_add(v1, v0, v2, key=('array',))    # float32[9]
            v5 = add(v3, v4)                                # float32[9]
            return (v5,)

    After::

        def graph(v0, v1, v2):                              # float32[9], float32[2], int32[2]
            v3 = sin(v0)                                    # float32[9]
            v4 = add(v3, 0.0)                               # float32[9]
            v5 = add_at(v4, v1, v2, key=('array',))         # float32[9]
            return (v5,)
    """
    if not any(node.op is scatter_add for node in graph.nodes):
        return graph
    made = makers(graph.nodes)
    uses = Counter([x for node in graph.nodes for x in node.inputs if type(x) is Symbol])
    uses.update(graph.outputs)
    nodes: list[Node] = []
    begun_with_zeros: set[Any] = set()
    for node in graph.nodes:
        found = onto(node, made, uses) if node.op is add.op else None
        if found is not None and found.inputs[0] not in begun_with_zeros:
            (x, *rest), (y,) = found.inputs, fresh(node.outputs)
            nodes.append(node.replaced((x, 0.0), (y,)))
            found = found.replaced((y, *rest), found.outputs)
        if found is not None or node.op is scatter_add:
            begun_with_zeros.update(node.outputs)
        nodes.append(node if found is None else found)
    return dce(rebuilt(graph, nodes, {}))


def onto(node: Node, made: dict[Any, Node], uses: Counter[Any]) -> Node | None:
    """The sum `node` as what arrives at one of its operands; None if it is no such sum."""
    (y,) = node.outputs
    for x, other in (node.inputs, node.inputs[::-1]):
        arriving = made.get(other) if type(other) is Symbol else None
        if arriving is None or arriving.op is not scatter_add or x not in made:
            continue
        # of float16, what arrives would be lost, piece by piece, beside what is there
        if y.dtype.itemsize < 4 or not x.spec == other.spec == y.spec:
            continue
        if uses[x] == uses[other] == 1:
            v, _, *indices = arriving.inputs
            return node.replaced((x, v, *indices), (y,), arriving.attrs, OPS["add_at"])
    return None
