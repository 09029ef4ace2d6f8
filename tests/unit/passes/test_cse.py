"""Equal nodes become one; what may differ does not."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.passes.cse import cse, frozen
from minigrad.passes.verify import verify
from tests.unit.graphs import (
    EXAMPLES,
    assert_same,
    documented,
    graph_of,
    run,
    squeezed,
    traced,
)

FLOATS = Spec((3,), np.float64)


def test_as_documented() -> None:
    before, after = documented(cse)
    assert squeezed(cse(before)) == after


@pytest.mark.parametrize("name", EXAMPLES)
def test_values_stay(name: str) -> None:
    graph, inputs = traced(name)
    assert_same(run(verify(cse(graph)), inputs), run(graph, inputs))


def test_what_equal_nodes_feed_is_equal_too() -> None:
    graph = graph_of(lambda x: [mg.exp(mg.sin(x)) + mg.exp(mg.sin(x))], FLOATS)
    assert [node.op.name for node in cse(graph).nodes] == ["sin", "exp", "add"]


def test_outputs_may_become_one() -> None:
    graph = cse(graph_of(lambda x: [mg.sin(x), mg.sin(x)], FLOATS))
    assert graph.outputs[0] is graph.outputs[1]


def test_several_outputs_are_merged_together() -> None:
    graph = graph_of(lambda x: [mg.split(x, 3)[0] + mg.split(x, 3)[2]], FLOATS)
    assert [node.op.name for node in cse(graph).nodes] == ["split_at", "add"]


def test_other_attributes_make_other_nodes() -> None:
    graph = graph_of(lambda x: [mg.sum(x, axis=0), mg.sum(x, axis=1)], Spec((3, 3), np.float64))
    assert len(cse(graph).nodes) == 2


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0.0, -0.0), ((1,), [1]), ((1,), (1.0,)), (0j, -0j)]
)
def test_numbers_that_python_calls_equal_are_not_the_same(one: Any, other: Any) -> None:
    assert one == other or type(one) is not type(other)
    assert frozen(one) != frozen(other)


def test_nan_is_itself() -> None:
    assert frozen(float("nan")) == frozen(float("nan"))


def test_arrays_are_only_themselves() -> None:
    array = np.ones(3)
    assert frozen((array,)) == frozen((array,))
    assert frozen((array,)) != frozen((array.copy(),))
    assert frozen({"a": slice(1, 2)}) == frozen({"a": slice(1, 2)})


def test_effects_are_never_merged() -> None:
    def body(x: Any) -> list[Any]:
        return [mg.numpy_function(np.sinh, [x], mg.float64) for _ in range(2)]

    assert len(cse(graph_of(body, FLOATS)).nodes) == 2


def test_calls_said_to_be_pure_are_merged() -> None:
    def body(x: Any) -> list[Any]:
        return [mg.numpy_function(np.sinh, [x], mg.float64, stateful=False) for _ in range(2)]

    assert len(cse(graph_of(body, FLOATS)).nodes) == 1


def test_reads_around_an_assignment_are_not_merged() -> None:
    graph, _ = traced("with_variables")
    names = [node.op.name for node in graph.nodes]
    assert names.count("read_variable") == 4
    assert [node.op.name for node in cse(graph).nodes] == names
