"""Loops over slices that are all the same take them as what stays in all rounds."""

from __future__ import annotations

from typing import Any

from ..core.op import Node
from ..core.tensor import Symbol
from ..graph import Graph
from ..ops.broadcast import broadcast
from .rewrite import makers, rebuilt


def steady(graph: Graph) -> Graph:
    """`graph`, whose loops take what is repeated along its first axis once, not slice by slice.

    The cotangents of rounds often are: those of a sum of all that they give are ones.

    Before::

        def body(v0, v1):                                   # float32[3], float32[3]
            v2 = multiply(v0, v1)                           # float32[3]
            return (v2,)

        def graph(v0, v1):                                  # float32[3], float32[3]
            v2 = broadcast(v1, shape=(8, 3))                # float32[8,3]
            (v3,) = loop(v0, v2, condition=None, body=body, carried=1, scanned=1, length=8)
            return (v3,)

    After::

        def body(v0, v1):                                   # float32[3], float32[3]
            v2 = broadcast(v1, shape=(3,))                  # float32[3]
            v3 = multiply(v0, v2)                           # float32[3]
            return (v3,)

        def graph(v0, v1):                                  # float32[3], float32[3]
            (v2,) = loop(v0, v1, condition=None, body=body, carried=1, scanned=0, length=8)
            return (v2,)
    """
    loops = [node for node in graph.nodes if node.op.rounds is not None and node.attrs["scanned"]]
    if not loops:
        return graph
    made = makers(graph.nodes)
    changed = {node: settled(node, made) for node in loops}
    return rebuilt(graph, [changed.get(node, node) for node in graph.nodes], {})


def settled(node: Node, made: dict[Any, Node]) -> Node:
    """The loop `node`, which takes slices alone that differ."""
    carried, scanned = node.attrs["carried"], node.attrs["scanned"]
    rounds = node.rounds
    repeats = {
        k: maker
        for k in range(carried, carried + scanned)
        if (maker := made.get(node.inputs[k])) is not None and is_repeated(maker)
    }
    if rounds is None or not repeats:
        return node
    body = node.attrs["body"]
    key = ("steady", *[(k, maker.inputs[0].spec) for k, maker in repeats.items()])
    if key not in body.cache:
        body.cache[key] = taking_once(body, repeats, carried + scanned)
    others = [x for k, x in enumerate(node.inputs) if k not in repeats]
    end = carried + scanned - len(repeats)
    sources = [maker.inputs[0] for maker in repeats.values()]
    inputs = (*others[:end], *sources, *others[end:])
    attrs = {**node.attrs, "body": body.cache[key], "scanned": end - carried, "length": rounds}
    return node.replaced(inputs, node.outputs, attrs)


def is_repeated(node: Node) -> bool:
    """Whether what `node` makes is the same all along its first axis."""
    if node.op is not broadcast:
        return False
    x, (y,) = node.inputs[0], node.outputs
    known = getattr(x, "shape", None) is not None and y.shape is not None
    return known and len(x.shape) < len(y.shape)


def taking_once(body: Graph, repeats: dict[int, Node], end: int) -> Graph:
    """`body`, which takes the sources of `repeats` behind its slices, and repeats them."""
    places = {k: Symbol(m.inputs[0].shape, m.inputs[0].dtype, None) for k, m in repeats.items()}
    repeated = [
        maker.replaced((places[k],), (body.inputs[k],), {"shape": body.inputs[k].shape})
        for k, maker in repeats.items()
    ]
    others = [x for k, x in enumerate(body.inputs) if k not in repeats]
    first = end - len(repeats)
    inputs = (*others[:first], *places.values(), *others[first:])
    nodes = (*repeated, *body.nodes)
    return Graph(body.name, inputs, body.captures, nodes, body.outputs)
