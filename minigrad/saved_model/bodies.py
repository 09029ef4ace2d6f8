"""What a file says of Python among nodes: a body that can be traced becomes a graph.

Everything else that is Python is refused, with its name and place, or it is named by the one who
saves, and bound by the one who loads. Files hold no code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..branches import SWITCH
from ..callbacks import Body, described, results_as
from ..concrete import call, stateful_call
from ..core.op import MADE_LATE, Node, Op
from ..core.registry import api
from ..core.spec import Spec
from ..core.tensor import Symbol, Tensor
from ..errors import SaveError
from ..graph import Graph, trace
from ..interop import called, python_call

PYTHON = ("py_function", "numpy_function", "pure_numpy_function")


def is_unsaved(op: Op) -> bool:
    """Whether `op` is made by the compiler, or of a run: never by tracing a user's function.

    Loops that read and write in places trust them: a file must not name such an op by itself.
    """
    return op.name == "recorded" or op.opaque == MADE_LATE


def with_bodies(graph: Graph, is_named: Callable[[Body], bool]) -> Graph:
    """`graph` with the bodies of its py_functions in their places, as graphs.

    is_named: whether a body stays Python, to be bound by its name. Raises SaveError for one that
    is not, and cannot be traced.
    """
    if not any(node.op is python_call for node in graph.nodes):
        return graph
    used = {x for node in graph.nodes for x in node.inputs if type(x) is Symbol}
    used.update(graph.outputs)
    nodes = []
    for node in graph.nodes:
        if node.op is python_call and not is_named(node.attrs["body"]):
            node = inlined(graph.name, node, recorded=node.outputs[-1] in used)
        nodes.append(node)
    made = Graph(graph.name, graph.inputs, graph.captures, tuple(nodes), graph.outputs)
    made.cache.update({k: v for k, v in graph.cache.items() if k == "present"})
    return made


def inlined(name: str, node: Node, *, recorded: bool) -> Node:
    """The node that runs the body of a py_function as a graph.

    recorded: its record is used, by a derivative that was taken inside of the function; a branch
    that is always taken keeps one.
    """
    body, count = node.attrs["body"], node.attrs["count"]
    graph = closed(traced(name, node, body), body.hidden())
    effects = any(step.op.stateful for step in graph.nodes)
    if recorded:
        attrs = {"branches": (graph,), "saving": True, "jit": False}
        return node.replaced((0, *node.inputs), node.outputs, attrs, SWITCH[effects])
    assert len(node.inputs) == count + len(graph.captures)
    op = stateful_call if effects else call
    return node.replaced(node.inputs, node.outputs[:-1], {"graph": graph, "jit": False}, op)


def traced(name: str, node: Node, body: Body) -> Graph:
    """The graph of a body, for the specs that the node was traced with."""

    def run(*xs: Symbol) -> list[Any]:
        ys = results_as(body, called(body, xs))
        return [as_declared(y, spec) for y, spec in zip(ys, body.specs, strict=True)]

    try:
        return trace(run, [x.spec for x in node.inputs[: node.attrs["count"]]], str(body.name))[0]
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise refusal(
            name, node, f"it cannot be traced: {type(error).__name__}: {reason}"
        ) from error


def as_declared(y: Tensor, spec: Spec) -> Any:
    """A result of a body, checked where `Tout` says more of it than is known."""
    y = y if type(y) is Symbol else api.identity(y)
    known = y.shape is not None and (spec.shape is None or None not in y.shape)
    return y if known or spec.shape is None else api.ensure_shape(y, spec.shape)


def closed(graph: Graph, hidden: Sequence[Any]) -> Graph:
    """`graph` with just `hidden` as its captures, in order; the others stand in its nodes."""
    count = len(graph.arguments)
    own = dict(zip(graph.captures, graph.inputs[count:], strict=True))
    inputs = [own.get(x, Symbol(x.shape, x.dtype, None)) for x in hidden]
    literal = {symbol: x for x, symbol in own.items() if x not in set(hidden)}
    nodes = [
        node.replaced(tuple([literal.get(x, x) for x in node.inputs]), node.outputs)
        for node in graph.nodes
    ]
    return Graph(
        graph.name, (*graph.arguments, *inputs), tuple(hidden), tuple(nodes), graph.outputs
    )


class PythonInsideError(SaveError):
    """A graph that was to be written has a node in it which is Python, and was not named."""

    node: Node


def refusal(name: str, node: Node, why: str) -> PythonInsideError:
    """The error of a node that is Python and was not named."""
    body = node.attrs["body"]
    error = PythonInsideError(
        f"{name} was to be saved with {body.door} {body.name!r} in it, {described(body.func)}, "
        f"called at {node.where}: {why}; a file holds graphs and no code; write the body with "
        "minigrad's functions, or name it on both sides: "
        f"save(..., callbacks=[{body.name!r}]) and load(..., callbacks={{{body.name!r}: function}})"
    )
    error.node = node
    return error
