"""Nodes that nothing needs go; nodes with effects stay."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.passes.dce import dce
from minigrad.passes.verify import verify
from tests.unit.graphs import (
    EXAMPLES,
    assert_same,
    documented,
    graph_of,
    lines,
    run,
    squeezed,
    traced,
)

FLOATS = Spec((3,), np.float64)


def test_as_documented() -> None:
    before, after = documented(dce)
    assert squeezed(dce(before)) == after


@pytest.mark.parametrize("name", EXAMPLES)
def test_values_stay(name: str) -> None:
    graph, inputs = traced(name)
    assert_same(run(verify(dce(graph)), inputs), run(graph, inputs))


def test_effects_stay() -> None:
    variable = mg.Variable(np.ones(3))

    def body(x: Any) -> list[Any]:
        mg.sin(x)
        variable.assign(mg.cos(x))
        mg.numpy_function(np.sinh, [x], mg.float64)
        mg.numpy_function(np.cosh, [x], mg.float64, stateful=False)
        return [x]

    graph = graph_of(body, FLOATS)
    assert [node.op.name for node in dce(graph).nodes] == [
        "cos",
        "assign_variable",
        "numpy_function",
    ]


def test_effects_in_a_body_stay() -> None:
    variable = mg.Variable(np.ones(3))
    inner = mg.function(lambda z: variable.assign(z).value(), name="inner")

    def body(x: Any) -> list[Any]:
        inner(x)
        return [x]

    graph = graph_of(body, FLOATS)
    assert len(dce(graph).nodes) == 1


def test_one_output_of_several_keeps_the_node() -> None:
    graph = graph_of(lambda x: [mg.split(x, 3)[1]], FLOATS)
    assert dce(graph) is graph
    assert len(lines(graph)) == 3
