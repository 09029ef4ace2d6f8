"""Graphs print as Python that runs, and that gives what the graph gives."""

import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.graph import trace
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from minigrad.text import source
from tests.unit.graphs import EXAMPLES, STATE, assert_same, graph_of, run, traced

FLOATS = Spec((3,), np.float64)


def test_a_graph_prints_as_python() -> None:
    graph = graph_of(lambda x, y: [mg.sum(mg.sin(x) * y)], FLOATS, FLOATS)
    assert str(graph) == (
        "def graph(v0, v1):                                  # float64[3], float64[3]\n"
        "    v2 = sin(v0)                                    # float64[3]\n"
        "    v3 = multiply(v2, v1)                           # float64[3]\n"
        "    v4 = reduce_sum(v3, axes=(0,))                  # float64[]\n"
        "    return (v4,)\n"
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_text_gives_what_the_graph_gives(name: str) -> None:
    graph, inputs = traced(name)
    expected = run(graph, inputs)
    STATE.assign(np.ones(3))
    tensors = [mg.constant(x) if isinstance(x, np.ndarray) else x for x in inputs]
    with np.errstate(all="ignore"):
        assert_same([y.numpy() for y in source(graph).function()(*tensors)], expected)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_text_over_kernels_gives_what_the_graph_gives(name: str) -> None:
    graph, inputs = traced(name)
    expected = run(graph, inputs)
    STATE.assign(np.ones(3))
    with np.errstate(all="ignore"):
        assert_same(source(graph, kernels=True).function()(*inputs), expected)


def test_values_are_deleted_after_their_last_use_when_arrays_run() -> None:
    graph = graph_of(lambda x: [mg.exp(mg.sin(x) + mg.cos(x))], FLOATS)
    lines = [line.split("#")[0].strip() for line in str(source(graph, kernels=True)).splitlines()]
    assert lines == [
        "def graph(v0):",
        "v1 = sin(v0)",
        "v2 = cos(v0)",
        "v3 = add(v1, v2)",
        "del v1, v2",
        "v4 = exp(v3)",
        "return (v4,)",
    ]


def test_lines_of_the_user_are_told_if_asked() -> None:
    line = sys._getframe().f_lineno + 1
    graph = graph_of(lambda x: [mg.sin(x)], FLOATS)
    assert f"v1 = sin(v0)                                    # float64[3]  {__file__}:{line}" in (
        str(source(graph, lines=True))
    )
    assert __file__ not in str(source(graph))


def test_a_node_knows_its_line() -> None:
    printed = source(traced("gradient")[0])
    lines = printed.text.splitlines()
    assert len(printed.nodes) > 5
    for number, node in printed.nodes.items():
        assert f" = {node.op.name}(" in lines[number - 1]


def test_captured_variables_are_called_by_their_names() -> None:
    assert "# float64[3], Variable state: float64[3]" in str(traced("with_variables")[0])


def test_a_graph_that_a_node_means_is_a_function_above() -> None:
    twice = mg.function(lambda z: z + z, name="twice")
    graph = graph_of(lambda x: [twice(twice(x))], FLOATS)
    lines = [line.split("#")[0].strip() for line in str(graph).splitlines()]
    assert lines == [
        "def twice(v0):",
        "v1 = add(v0, v0)",
        "return (v1,)",
        "",
        "",
        "def graph(v0):",
        "(v1,) = twice(v0)",
        "(v2,) = twice(v1)",
        "return (v2,)",
    ]


def test_a_group_with_one_output_runs_as_text() -> None:
    graph = fuse(optimize(graph_of(lambda x: [mg.sin(x) * 2], FLOATS)))
    x = mg.ones(3, dtype=mg.float64)
    (y,) = source(graph).function()(x)
    np.testing.assert_array_equal(y.numpy(), np.sin(np.ones(3)) * 2)


def test_a_graph_is_not_called_like_an_op_that_it_uses() -> None:
    graph = trace(lambda x: [mg.sin(x)], [FLOATS], "sin")[0]
    assert str(graph).startswith("def sin_1(v0):")
    assert str(trace(lambda x: [x], [FLOATS], "<lambda>")[0]).startswith("def lambda_1(v0):")


def test_attributes_without_a_literal_are_named() -> None:
    def body(x: np.ndarray) -> np.ndarray:
        return x * 2

    graph = graph_of(lambda x: [mg.numpy_function(body, [x], mg.float64)], FLOATS)
    text = str(graph)
    assert f"# body: {__file__}:" in text
    assert "numpy_function(v0, func=body, specs=(TensorSpec(None, float64),), name='body'" in text
    result = source(graph).function()(mg.ones(3, dtype=mg.float64))[0]
    np.testing.assert_array_equal(result.numpy(), 2 * np.ones(3))


def test_numbers_keep_their_values() -> None:
    numbers = [float("inf"), -float("inf"), float("nan"), -0.0, 0.1, 1e300, 2**40, complex(-0.0, 1)]
    for number in numbers:
        graph = graph_of(lambda x, n=number: [mg.where(x > 0, x, n)], FLOATS)
        inputs = (np.array([-1.0, 0.0, 1.0]),)
        assert_same(source(graph, kernels=True).function()(*inputs), run(graph, inputs))


def test_many_inputs_stand_one_to_a_line() -> None:
    graph = graph_of(lambda *xs: [xs[0] + xs[1]], *[FLOATS] * 9)
    lines = str(graph).splitlines()
    assert lines[0] == "def graph("
    assert lines[9] == "    v8,                                             # float64[3]"
    assert max(map(len, lines)) <= 100


def test_a_long_graph_is_printed_without_recursion() -> None:
    def body(x: mg.Tensor) -> list[mg.Tensor]:
        for _ in range(2000):
            x = mg.sin(x)
        return [x]

    assert len(str(graph_of(body, FLOATS)).splitlines()) == 2002
