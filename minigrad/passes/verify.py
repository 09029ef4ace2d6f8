"""Check that a graph is one: for tests, between passes."""

from __future__ import annotations

from typing import Any

from ..core.op import Node
from ..core.spec import Spec
from ..core.tensor import Symbol
from ..graph import Graph
from ..text import source


def verify(graph: Graph, after: str = "it was made") -> Graph:
    """`graph` itself, if every symbol is made once and before it is used, of the spec it states.

    after: what was done to the graph, for the message. Raises AssertionError with the line of
    the graph that is wrong; that is a mistake of a pass or op, not of the user.

    This is wrong, for v2 is used before it is made::

        def graph(v0):                                      # float32[3]
            v1 = sin(v2)                                    # float32[3]
            v2 = cos(v0)                                    # float32[3]
            return (v1,)
    """
    made: dict[Any, None] = {}
    for i, x in enumerate(graph.inputs):
        if type(x) is not Symbol or x in made:
            raise AssertionError(f"{graph.name}, after {after}: input {i} is no symbol of its own")
        made[x] = None
    for node in graph.nodes:
        complaint = fault(node, made)
        if complaint:
            raise AssertionError(f"{graph.name}, after {after}: {complaint}\n{at(graph, node)}")
        made.update(dict.fromkeys(node.outputs))
    for i, y in enumerate(graph.outputs):
        if type(y) is not Symbol or y not in made:
            raise AssertionError(f"{graph.name}, after {after}: nothing makes output {i}")
    return graph


def fault(node: Node, made: dict[Any, None]) -> str:
    """What is wrong with `node`, where `made` exists before it; "" for nothing."""
    for i, x in enumerate(node.inputs):
        if type(x) is Symbol and x not in made:
            return f"input {i} is used before it is made"
    if len({*node.outputs}) < len(node.outputs) or any(y in made for y in node.outputs):
        return "an output is made twice"
    try:
        specs = node.op.infer(*node.inputs, **node.attrs)
    except Exception as error:
        return f"the op refuses: {error}"
    several = (specs,) if isinstance(specs, Spec) else specs
    if len(several) != len(node.outputs):
        return f"{len(node.outputs)} outputs where the op has {len(several)}"
    for i, (spec, y) in enumerate(zip(several, node.outputs, strict=True)):
        if not y.spec.is_compatible_with(spec):
            return f"output {i} is stated as {y.spec}, and inferred as {spec}"
    return ""


def at(graph: Graph, node: Node) -> str:
    """The line of `graph` that is `node`, and the user's."""
    printed = source(graph)
    found = [line for line, other in printed.nodes.items() if other is node]
    return f"{printed.text.splitlines()[found[0] - 1].strip()}\nwritten at {node.where}"
