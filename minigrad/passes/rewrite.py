"""What passes share: putting values in the place of symbols, and graphs together again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.op import Node
from ..core.tensor import Symbol
from ..graph import Graph
from ..ops.shape import identity

Values = Mapping[Any, Any]


def mapped(xs: Iterable[Any], values: Values) -> tuple[Any, ...]:
    """`xs`, with `values` in the place of the symbols that they replace."""
    return tuple([values.get(x, x) if type(x) is Symbol else x for x in xs])


def fresh(ys: Iterable[Any]) -> tuple[Any, ...]:
    """New symbols like `ys`."""
    return tuple([Symbol(y.shape, y.dtype, y.trace, y.where) for y in ys])


def renewed(nodes: Iterable[Node], values: dict[Any, Any]) -> list[Node]:
    """`nodes` once more, of `values`, with outputs of their own, which are entered there."""
    found = []
    for node in nodes:
        found.append(node.replaced(mapped(node.inputs, values), fresh(node.outputs)))
        values.update(zip(node.outputs, found[-1].outputs, strict=True))
    return found


def rebuilt(
    graph: Graph, nodes: Sequence[Node], values: Values, origins: Mapping[Any, Node] | None = None
) -> Graph:
    """`graph` with other nodes, and `values` in the place of symbols among its outputs.

    Nothing derived of the old graph is kept. origins: which nodes made the outputs; those that
    are constants now need a node again.
    """
    nodes = list(nodes)
    outputs = list(mapped(graph.outputs, values))
    for i, (y, was) in enumerate(zip(outputs, graph.outputs, strict=True)):
        if type(y) is not Symbol:
            outputs[i] = Symbol(y.shape, y.dtype, was.trace, was.where)
            nodes.append((origins or {})[was].replaced((y,), (outputs[i],), {}, identity.op))
    return Graph(graph.name, graph.inputs, graph.captures, tuple(nodes), tuple(outputs))


def deciding(condition: Graph, body: Graph, carried: int) -> Graph:
    """`body`, which gives one more output: whether `condition` holds for what it hands on."""
    given = (*body.outputs[:carried], *body.inputs[carried:])
    values: dict[Any, Any] = dict(zip(condition.inputs, given, strict=True))
    nodes = [node.replaced(mapped(node.inputs, values), node.outputs) for node in condition.nodes]
    outputs = (*body.outputs, *mapped(condition.outputs, values))
    return Graph(body.name, body.inputs, body.captures, (*body.nodes, *nodes), outputs)


def makers(nodes: Iterable[Node]) -> dict[Any, Node]:
    """The node that makes each output of `nodes`."""
    return {y: node for node in nodes for y in node.outputs}
