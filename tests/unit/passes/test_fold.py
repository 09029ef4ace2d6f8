"""What does not depend on the inputs is computed once."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen.executable import executable
from minigrad.core.spec import Spec
from minigrad.passes.fold import LARGEST, fold
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
NUMBER = Spec((), np.float32)


def test_as_documented() -> None:
    before, after = documented(fold)
    assert squeezed(fold(before)) == after


@pytest.mark.parametrize("name", EXAMPLES)
def test_values_stay(name: str) -> None:
    graph, inputs = traced(name)
    folded = verify(fold(graph))
    assert_same(run(folded, inputs), run(graph, inputs))


def test_captured_numbers_are_constants() -> None:
    scale = mg.constant(0.5)
    graph = graph_of(lambda x: [x * (scale * 2) + scale], FLOATS)
    folded = verify(fold(graph))
    assert lines(folded) == [
        "def graph(v0, v1):",
        "v2 = multiply(v0, constant)",
        "v3 = add(v2, constant_1)",
        "return (v3,)",
    ]
    assert folded.captures == (scale,)
    inputs = (np.arange(3.0), scale.numpy())
    assert_same(run(folded, inputs), run(graph, inputs))


def test_captured_tensors_with_axes_stay_inputs_and_are_computed_with() -> None:
    weight = mg.ones((3,), dtype=mg.float64)
    folded = fold(graph_of(lambda x: [x * weight, mg.exp(weight) * x], FLOATS))
    assert lines(folded)[1:3] == ["v2 = multiply(v0, v1)", "v3 = multiply(constant, v0)"]


def test_shapes_are_constants() -> None:
    graph = graph_of(lambda x: [mg.reshape(x, mg.constant([3, 1]))], FLOATS)
    assert lines(fold(graph))[-2:] == ["v2 = reshape_dynamic(v0, constant)", "return (v2,)"]


def test_large_tensors_are_made_when_the_graph_runs() -> None:
    weight = mg.ones((LARGEST + 1,))
    graph = graph_of(lambda x: [mg.exp(weight) * x], Spec(()))
    assert len(fold(graph).nodes) == 2

    small = mg.ones((LARGEST,))
    graph = graph_of(lambda x: [mg.concat([small, small]) * x], Spec(()))
    assert len(fold(graph).nodes) == 2
    graph = graph_of(lambda x: [mg.exp(small)[:, None] * small * x], Spec(()))
    assert len(fold(graph).nodes) == 2


def test_a_constant_output_keeps_a_node() -> None:
    graph = verify(fold(graph_of(lambda x: [mg.sin(2.0), x], FLOATS)))
    assert lines(graph)[1:] == ["v1 = identity(constant)", "return (v1, v0)"]
    assert_same(executable(graph)(np.ones(3)), [np.sin(np.float32(2)), np.ones(3)])


def test_numbers_repeated_are_no_constants() -> None:
    graph = graph_of(lambda x: [mg.zeros((3,)) * x], FLOATS)
    assert fold(graph) is graph
    graph = graph_of(lambda x: [mg.broadcast_to(mg.sqrt(2.0), (3,)) * x], FLOATS)
    assert lines(fold(graph))[1] == "v1 = broadcast(constant, shape=(3,))"


def test_what_fails_is_left_to_fail_when_it_runs() -> None:
    def body(x: Any) -> list[Any]:
        def refuse(a: Any) -> Any:
            raise ValueError("later")

        return [mg.numpy_function(refuse, [mg.sin(1.0)], NUMBER, stateful=False)]

    folded = fold(graph_of(body, FLOATS))
    with pytest.raises(ValueError, match="later"):
        executable(folded)(np.ones(3))


def test_calls_said_to_be_pure_are_computed_ahead() -> None:
    def body(x: Any) -> list[Any]:
        return [x * mg.numpy_function(np.sinh, [mg.sin(1.0)], NUMBER, stateful=False)]

    assert lines(fold(graph_of(body, FLOATS)))[1] == "v1 = multiply(v0, constant)"


def test_effects_are_not_computed_ahead() -> None:
    calls = []

    def count(a: Any) -> Any:
        calls.append(a)
        return a

    graph = graph_of(lambda x: [mg.numpy_function(count, [mg.sin(1.0)], NUMBER)], FLOATS)
    folded = fold(graph)
    assert not calls
    executable(folded)(np.ones(3))
    assert len(calls) == 1


def test_folding_does_not_warn() -> None:
    folded = fold(graph_of(lambda x: [mg.log(0.0) * x], FLOATS))
    assert lines(folded)[1] == "v1 = multiply(constant, v0)"
