"""Bodies take the place of the nodes that mean them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.passes.inline import inline
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
    before, after = documented(inline)
    assert squeezed(inline(before)) == after


@pytest.mark.parametrize("name", EXAMPLES)
def test_values_stay(name: str) -> None:
    graph, inputs = traced(name)
    assert_same(run(verify(inline(graph)), inputs), run(graph, inputs))


def test_bodies_in_bodies_and_used_twice() -> None:
    once = mg.function(lambda z: mg.sin(z), name="once")
    twice = mg.function(lambda z: once(once(z)), name="twice")
    graph = graph_of(lambda x: [twice(x) + twice(x)], FLOATS)
    inlined = verify(inline(graph))
    assert [node.op.name for node in inlined.nodes] == ["sin"] * 4 + ["add"]
    inputs = (np.arange(3.0),)
    assert_same(run(inlined, inputs), run(graph, inputs))


def test_a_body_that_gives_back_its_argument() -> None:
    pair = mg.function(lambda z: (z, z * 2), name="pair")
    graph = verify(inline(graph_of(lambda x: list(pair(x)), FLOATS)))
    assert lines(graph) == ["def graph(v0):", "v1 = multiply(v0, 2)", "return (v0, v1)"]


def test_captures_of_a_body_are_captures_outside() -> None:
    weight = mg.ones(3, dtype=mg.float64)
    inner = mg.function(lambda z: z * weight, name="inner")
    graph = graph_of(lambda x: [inner(x)], FLOATS)
    assert inline(graph).captures == graph.captures == (weight,)
    assert lines(inline(graph))[1] == "v2 = multiply(v0, v1)"


def test_a_number_is_weak_outside_of_a_body_and_not_inside() -> None:
    inner = mg.function(lambda z, w: z * w, name="inner")

    def body(x: Any) -> list[Any]:
        return [inner(x, mg.ones((), dtype=mg.float64))]

    graph = graph_of(body, Spec((3,), np.float32))
    call = graph.nodes[-1]
    number = call.replaced((call.inputs[0], 2.5), call.outputs)
    inlined = verify(inline(replace(graph, nodes=(*graph.nodes[:-1], number))))
    assert run(inlined, (np.ones(3, np.float32),))[0].dtype == np.float64


def test_lines_of_the_user_stay() -> None:
    inner = mg.function(lambda z: mg.sin(z), name="inner")
    graph = graph_of(lambda x: [inner(x)], FLOATS)
    line = test_lines_of_the_user_stay.__code__.co_firstlineno + 1
    assert str(inline(graph).nodes[0].where) == f"{__file__}:{line}"


def test_a_graph_without_bodies_is_itself() -> None:
    graph = traced("gradient")[0]
    assert inline(graph) is graph
