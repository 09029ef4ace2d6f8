"""Which nodes share a group, and why others do not."""

from typing import Any
from unittest.mock import patch

import numpy as np

import minigrad as mg
from minigrad.codegen import jit
from minigrad.codegen.executable import executable
from minigrad.codegen.fused import fused
from minigrad.core.registry import api
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.fuse import fuse, fusion_report
from minigrad.passes.pipeline import optimize
from minigrad.passes.verify import verify
from tests.unit.graphs import documented, squeezed


def fused_graph(body: Any, *specs: Spec) -> Graph:
    """The graph of `body`, optimized and fused; verified."""
    graph = fuse(optimize(trace(body, specs)[0]))
    verify(graph, "fuse")
    return graph


def report(body: Any, *specs: Spec) -> list[str]:
    """The lines of the report on the groups of `body`."""
    return fusion_report(fused_graph(body, *specs)).splitlines()


def names(graph: Graph) -> list[str]:
    """The ops of a graph, in order."""
    return [node.op.name for node in graph.nodes]


MATRIX, ROW = Spec((32, 48)), Spec((48,))


def test_as_documented() -> None:
    before, after = documented(fuse)
    assert squeezed(fuse(before)) == after


def test_a_product_is_a_library_call_between_groups() -> None:
    def layer(x: Any, w: Any, b: Any) -> list[Any]:
        return [api.sum(api.maximum(0, (x * 2) @ w + b))]

    assert report(layer, Spec((32, 64)), Spec((64, 48)), ROW) == [
        "group 0: multiply",
        "call 1: matrix_product    # library call: matrix_product",
        "group 2: add, maximum, reduce_sum",
    ]


def test_forward_and_backward_of_a_loss_are_one_group() -> None:
    def loss_and_gradient(x: Any, labels: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch(x)
            loss = api.mean(mg.nn.softmax_cross_entropy(x, labels))
        return [loss, tape.gradient(loss, x)]

    graph = fused_graph(loss_and_gradient, Spec((32, 10)), Spec((32,), np.int32))
    assert names(graph) == ["fused"]


def test_layer_norm_and_its_gradients_are_one_group() -> None:
    def both(x: Any, gamma: Any, beta: Any, dy: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch([x, gamma, beta])
            y = mg.nn.layer_norm(x, gamma, beta)
        return [y, *tape.gradient(y, [x, gamma, beta], output_gradients=dy)]

    assert names(fused_graph(both, MATRIX, ROW, ROW, MATRIX)) == ["fused"]


def test_a_group_ends_where_a_column_sum_is_used_in_more_rows_than_fit_into_a_cache() -> None:
    lines = report(lambda x: [x / api.sum(x, axis=0)], Spec((100_000, 32)))
    assert lines == [
        "group 0: reduce_sum",
        "group 1: divide    # a reduction over rows is used in rows again",
    ]


def test_columns_that_fit_into_a_cache_are_gone_along_again_in_one_group() -> None:
    for axis in (0, 1, (0, 1)):
        softmax = fused_graph(lambda x, axis=axis: [mg.nn.softmax(x, axis)], Spec((30, 20, 100)))
        assert names(softmax) == ["fused"]


def test_many_columns_go_along_by_rows_where_strips_would_share_lines_of_the_cache() -> None:
    for columns, groups in [(1024, 1), (1000, 2)]:
        graph = fused_graph(lambda x: [x / api.sum(x, axis=0)], Spec((1000, columns), np.float32))
        assert names(graph) == ["fused"] * groups


def test_float16_is_fused_where_the_machine_converts_it() -> None:
    def lines() -> list[str]:
        return report(lambda x: [x + x], Spec((3,), np.float16))

    for halves, expected in [(True, "group 0: add"), (False, CALL_OF_HALVES)]:
        with patch.object(jit, "converts_halves", lambda halves=halves: halves):
            assert lines() == [expected]


CALL_OF_HALVES = "call 0: add    # no lanes of float16"


def test_a_group_does_not_wait_for_a_call_that_waits_for_it() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        y = x * 2
        return [y + y @ w]

    graph = fused_graph(body, Spec((8, 8)), Spec((8, 8)))
    assert names(graph) == ["fused", "matrix_product", "fused"]
    assert "something between them runs elsewhere" in fusion_report(graph)


def test_independent_updates_of_one_shape_are_separate_groups() -> None:
    def step(w1: Any, g1: Any, w2: Any, g2: Any, rate: Any) -> list[Any]:
        return [w1 - rate * g1, w2 - rate * g2]

    assert names(fused_graph(step, *[MATRIX] * 4, Spec(()))) == ["fused", "fused"]


def test_nodes_that_read_the_same_tensor_share_its_loop() -> None:
    lines = report(lambda x: [api.sum(x, axis=0), api.sum(x * x, axis=1)], MATRIX)
    assert lines == ["group 0: reduce_sum, multiply, reduce_sum"]


def test_constants_and_views_belong_to_every_group() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        ones = api.ones((48,))
        y = x + ones
        return [(y @ w) * ones[None, :]]

    graph = fused_graph(body, MATRIX, Spec((48, 48)))
    assert names(graph) == ["fused", "matrix_product", "fused"]


def test_a_captured_tensor_is_an_input_of_its_group() -> None:
    table = mg.constant(np.arange(48, dtype=np.float32))
    graph = fused_graph(lambda x: [x * table], MATRIX)
    x = np.ones((32, 48), np.float32)
    (y,) = executable(graph)(x, *[t._value for t in graph.captures])
    np.testing.assert_array_equal(y, np.broadcast_to(table.numpy(), (32, 48)))


def test_a_long_chain_is_cut_into_groups() -> None:
    def chain(x: Any) -> list[Any]:
        for _ in range(300):
            x = x * 1.5 + 1
        return [x]

    graph = fused_graph(chain, ROW)
    assert all(node.op is fused for node in graph.nodes)
    assert "the group is full" in fusion_report(graph)
    assert len(graph.nodes) == 3


def test_effects_keep_their_order() -> None:
    """Also where the group that the first one needs waits for a call behind the second."""

    def body(x: Any, w: Any) -> list[Any]:
        y = api.exp(x)
        first = mg.numpy_function(lambda v: v, [y], MATRIX, name="first")
        second = mg.numpy_function(lambda v: v, [x], MATRIX, name="second")
        return [first, second, y + x @ w]

    graph = fused_graph(body, MATRIX, Spec((48, 48)))
    assert [node.attrs["name"] for node in graph.nodes if node.op.stateful] == ["first", "second"]
    assert "group 0: exp, add" in fusion_report(graph)


def test_a_group_stores_its_result_in_the_shape_that_is_asked_for() -> None:
    graph = fused_graph(lambda x: [api.reshape(x * 2, (-1,)), mg.nn.logsumexp(x)], MATRIX)
    assert names(graph) == ["fused"]
    transposed = fused_graph(lambda x: [(x * 2).T], MATRIX)
    assert names(transposed) == ["fused", "permute"]
