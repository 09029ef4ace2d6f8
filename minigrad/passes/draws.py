"""What has a loop of its own, draws of random bits and Fourier transforms, becomes native code."""

from __future__ import annotations

from ..codegen.fused import fused
from ..core.lowering import Draw, Transform
from ..core.op import Node
from ..core.tensor import Symbol
from ..graph import Graph
from .rewrite import fresh, rebuilt


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
    nodes = [native(node) for node in graph.nodes]
    if all(new is old for new, old in zip(nodes, graph.nodes, strict=True)):
        return graph
    found = rebuilt(graph, nodes, {})
    found.cache.update({key: graph.cache[key] for key in ("fusion",) if key in graph.cache})
    return found


def native(node: Node) -> Node:
    """`node`, or the loop nest that stands for it if it has a loop of its own."""
    if not isinstance(node.op.lower, Draw | Transform) or 0 in node.outputs[0].shape:
        return node
    inputs = tuple([Symbol(x.shape, x.dtype, None) for x in node.inputs])
    inner = node.replaced(inputs, fresh(node.outputs))
    name = "draw" if isinstance(node.op.lower, Draw) else node.attrs["kind"] + "_transform"
    graph = Graph(name, inputs, (), (inner,), inner.outputs)
    return node.replaced(node.inputs, node.outputs, {"graph": graph}, fused)
