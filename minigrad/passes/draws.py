"""What has a loop of its own, draws of random bits and Fourier transforms, becomes native code."""

from __future__ import annotations

from ..core.lowering import Draw, Transform
from ..core.op import Node
from ..graph import Graph
from .regroup import in_a_group, regrouped


def native_draws(graph: Graph) -> Graph:
    """`graph`, whose shapes are all known, with loop nests for draws of bits and for transforms.

    Before::

        def graph(v0):                                      # uint64[3]
            v1 = random_bits(v0, shape=(8,), dtype=uint64)  # uint64[8]
            return (v1,)

    After::

        def draw(v0):                                       # uint64[3]
            v1 = random_bits(v0, shape=(8,), dtype=uint64)  # uint64[8]
            return (v1,)

        def graph(v0):                                      # uint64[3]
            (v1,) = draw(v0)                                # uint64[8]
            return (v1,)
    """
    return regrouped(graph, [native(node) for node in graph.nodes])


def native(node: Node) -> Node:
    """`node`, or the loop nest that stands for it if it has a loop of its own."""
    if not isinstance(node.op.lower, Draw | Transform) or 0 in node.outputs[0].shape:
        return node
    name = "draw" if isinstance(node.op.lower, Draw) else node.attrs["kind"] + "_transform"
    return in_a_group(node, name)
