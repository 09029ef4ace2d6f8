"""Broken graphs are refused, with the line; sound ones pass through."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.core.tensor import Symbol
from minigrad.graph import Graph
from minigrad.passes import pipeline as passes
from minigrad.passes.pipeline import optimize
from minigrad.passes.verify import verify
from tests.unit.graphs import EXAMPLES, assert_same, graph_of, run, traced

FLOATS = Spec((3,), np.float64)


def sound() -> Graph:
    """A graph of two nodes."""
    return graph_of(lambda x: [mg.cos(mg.sin(x))], FLOATS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_sound_graphs_pass(name: str) -> None:
    graph, inputs = traced(name)
    assert verify(graph) is graph
    assert_same(run(optimize(graph, check=True), inputs), run(graph, inputs))


def refused(graph: Graph, match: str) -> None:
    with pytest.raises(AssertionError, match=match):
        verify(graph, "a test")


def test_a_value_used_before_it_is_made() -> None:
    graph = sound()
    refused(replace(graph, nodes=graph.nodes[::-1]), "after a test: input 0 is used before")


def test_the_line_is_told() -> None:
    graph = sound()
    line = sound.__code__.co_firstlineno + 2
    refused(replace(graph, nodes=graph.nodes[::-1]), rf"(?s)v1 = cos\(v2\).*\nwritten at .*:{line}")


def test_a_value_made_twice() -> None:
    graph = sound()
    refused(replace(graph, nodes=(*graph.nodes, graph.nodes[0])), "made twice")


def test_an_output_that_nothing_makes() -> None:
    graph = sound()
    refused(replace(graph, nodes=graph.nodes[:1]), "nothing makes output 0")


def test_inputs_that_are_the_same() -> None:
    graph = sound()
    refused(replace(graph, inputs=graph.inputs * 2), "input 1 is no symbol")


@pytest.mark.parametrize("spec", [Spec((4,), np.float64), Spec((3,), np.float32)])
def test_a_value_of_another_spec(spec: Spec) -> None:
    graph = sound()
    y = Symbol(spec.shape, spec.dtype, None)
    last = graph.nodes[1].replaced(graph.nodes[1].inputs, (y,))
    wrong = replace(graph, nodes=(graph.nodes[0], last), outputs=(y,))
    refused(wrong, r"stated as .*, and inferred as float64\[3\]")


def test_inputs_that_the_op_refuses() -> None:
    graph = graph_of(lambda x, y: [x + y], FLOATS, FLOATS)
    node = graph.nodes[0]
    x = Symbol((4,), np.dtype(np.float64), None)
    wrong = node.replaced((x, node.inputs[1]), node.outputs)
    refused(replace(graph, inputs=(x, graph.inputs[1]), nodes=(wrong,)), "the op refuses: add")


def test_the_pass_that_breaks_a_graph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(graph: Graph) -> Graph:
        return replace(graph, nodes=graph.nodes[::-1])

    monkeypatch.setattr(passes, "PIPELINE", (*passes.PIPELINE, breaking))
    with pytest.raises(AssertionError, match="after breaking"):
        optimize(sound(), check=True)
    optimize(sound(), check=False)


def test_passes_do_not_recurse_along_the_graph() -> None:
    def body(x: Any) -> list[Any]:
        for _ in range(1000):
            x = mg.sin(x * 1) + mg.sin(x)
        return [x]

    assert len(optimize(graph_of(body, FLOATS), check=True).nodes) == 2000
