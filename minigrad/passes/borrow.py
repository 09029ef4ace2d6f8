"""Decompositions of small matrices become kernels, of operands seen through moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codegen.borrowed import has_loop, native_borrowed, operands
from ..core.lowering import Borrowed
from ..core.op import Node
from ..graph import Graph
from .dce import dce
from .products import seen_through, views
from .regroup import regrouped
from .rewrite import makers


def borrow(graph: Graph) -> Graph:
    """`graph`, whose shapes are all known, with kernels that call the loops of NumPy.

    Before::

        def graph(v0):                                      # float64[4,4]
            v1 = permute(v0, axes=(1, 0))                   # float64[4,4]
            v2, v3 = det_loop(v1, dtype=float32)            # float64[], bool[]
            return (v2,)

    After::

        def det_loop_1(v0):                                 # float64[4,4]
            v1 = permute(v0, axes=(1, 0))                   # float64[4,4]
            v2, v3 = det_loop(v1, dtype=float32)            # float64[], bool[]
            return (v2, v3)

        def graph(v0):                                      # float64[4,4]
            v1, v2 = det_loop_1(v0)                         # float64[], bool[]
            return (v1,)
    """
    made = makers(graph.nodes)
    found = regrouped(graph, [as_kernel(node, made) for node in graph.nodes])
    return found if found is graph else regrouped(found, dce(found).nodes)


def as_kernel(node: Node, made: Mapping[Any, Node]) -> Node:
    """`node`, or the kernel in its place. made: the nodes that make its operands."""
    if not isinstance(node.op.lower, Borrowed) or not has_loop(node):
        return node
    chains = [views(x, made) for x in node.inputs]
    begins, inner = seen_through(node, chains, node.op.name)
    if operands(inner) is None:
        return node
    return node.replaced(begins, node.outputs, {"graph": inner}, native_borrowed)
