"""None is handed out, and never computed with."""

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.settle import is_missing, or_none, or_zeros, settle
from minigrad.passes.verify import verify

FLOATS = Spec((2,), np.float32)


def gradient_graph(after: Any) -> Graph:
    """A graph that makes `after` of the gradient through a body, by an input it does not use."""

    def body(a: Any, b: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch([a, b])
            y = mg.py_function(lambda a, b: a * 2.0, [a, b], FLOATS)
        return after(tape.gradient(y, b))

    return trace(body, [FLOATS, FLOATS])[0]


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def test_what_is_handed_out_stays_none_and_what_computes_gets_zeros() -> None:
    graph = gradient_graph(lambda db: [db, -db, mg.exp(db)])
    settled = verify(settle(graph))
    assert names(settled)[-3:] == ["or_zeros", "negative", "exp"]
    assert settled.outputs[0] is graph.outputs[0]
    (zeros,) = [node.outputs[0] for node in settled.nodes if node.op is or_zeros]
    assert [node.inputs[0] for node in settled.nodes[-2:]] == [zeros, zeros]


def test_what_asks_whether_there_is_a_value_sees_none() -> None:
    settled = settle(gradient_graph(lambda db: [or_none(db, is_missing(db)) * 2.0]))
    (asks,) = [node for node in settled.nodes if node.op is is_missing]
    (reads,) = [node for node in settled.nodes if node.op.name == "multiply"]
    (zeros,) = [node for node in settled.nodes if node.op is or_zeros]
    assert asks.inputs[0] is zeros.inputs[0] and reads.inputs[0] is zeros.outputs[0]


def test_other_graphs_are_left_as_they_are() -> None:
    graph = trace(lambda x: [mg.exp(x)], [FLOATS])[0]
    assert settle(graph) is graph
