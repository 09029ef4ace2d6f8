"""Which kernels run as one, in which order, and where their Variables are read and written."""

import gc
import inspect
import textwrap
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit
from minigrad.codegen.call import fast_path
from minigrad.codegen.driver import longest_first
from minigrad.codegen.executable import executable
from minigrad.codegen.stretch import plan, stateful_stretch, stretch
from minigrad.compiler import fused, program
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from minigrad.passes.products import native_products
from minigrad.passes.stretches import in_memory_order, peak, stretches
from minigrad.passes.verify import verify
from tests.unit.codegen import programs
from tests.unit.graphs import read, squeezed

SQUARE, TALL = Spec((32, 32)), Spec((64, 32))


def lowered(body: Any, *specs: Spec) -> Graph:
    """The graph of `body` in groups and products."""
    return native_products(fuse(optimize(trace(body, specs)[0])))


def names(graph: Graph) -> list[str]:
    """The ops of a graph, in order."""
    return [node.op.name for node in graph.nodes]


def layers(x: Any, *ws: Any) -> Any:
    for w in ws:
        x = mg.tanh(x @ w)
    return x


def ordered(x: Any) -> Any:
    """A library call."""
    return mg.astype(mg.argsort(x, axis=0), "float32")


def test_kernels_in_a_row_are_one_node() -> None:
    found = stretches(lowered(lambda x, v, w: [layers(x, v, w)], TALL, SQUARE, SQUARE))
    assert names(found) == ["stretch"]
    (node,) = found.nodes
    kinds = names(node.attrs["graph"])
    assert kinds == ["native_product", "fused", "native_product", "fused"]


def test_a_kernel_alone_stays_as_it_is() -> None:
    assert names(stretches(lowered(lambda x: [mg.tanh(x)], TALL))) == ["fused"]


def test_library_calls_split_the_schedule_as_rarely_as_can_be() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        y = ordered(x)
        return [ordered(layers(x, w)), layers(y, w), layers(ordered(x + 1), w)]

    found = names(stretches(lowered(body, TALL, SQUARE)))
    # all that is ordered comes together, though it is in three places of the function
    assert found == ["stretch", "order_of", "order_of", "order_of", "stretch"]


def test_the_last_stretch_is_the_longest_where_variables_are_written() -> None:
    w = mg.Variable(np.ones((32, 32), np.float32))

    def body(x: Any) -> list[Any]:
        y = ordered(x) @ w @ w  # of which the first product casts what is ordered
        w.assign(w - mg.mean(y))
        return [ordered(y)]

    found = names(program(trace(body, [TALL])[0]))
    assert found == ["read_variable", "order_of", "stretch", "order_of", "stateful_stretch"]


def test_a_view_of_what_a_stretch_makes_is_part_of_it() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        return [mg.reshape(mg.tanh(x) @ w, (32, 64))]

    (node,) = stretches(lowered(body, TALL, SQUARE)).nodes
    assert names(node.attrs["graph"]) == ["fused", "native_product", "reshape_to"]


def test_a_transpose_that_leaves_elements_where_they_are_is_a_view() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        return [(mg.tanh(x) @ w).T]

    (node,) = stretches(lowered(body, Spec((1, 32)), SQUARE)).nodes
    assert names(node.attrs["graph"])[-1] == "permute"
    assert names(stretches(lowered(body, TALL, SQUARE)))[-1] == "permute"


def test_two_names_of_one_memory_do_not_both_leave() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        y = mg.tanh(x) @ w
        return [y, mg.reshape(y, (32, 64))]

    found = stretches(lowered(body, TALL, SQUARE))
    assert names(found) == ["stretch", "reshape_to"]


@pytest.mark.parametrize("seed", range(60))
def test_stretches_mean_what_their_graph_means(seed: int) -> None:
    before = native_products(fuse(programs.graph(seed)))
    after = stretches(before)
    verify(after, "stretches")
    arrays = programs.data(before, seed)
    for expected, got in zip(executable(before)(*arrays), executable(after)(*arrays), strict=True):
        assert (expected.shape, expected.dtype) == (got.shape, got.dtype)
        assert expected.tobytes() == got.tobytes()


def test_what_is_forgotten_takes_turns_in_the_arena() -> None:
    weights = [SQUARE] * 20
    (node,) = stretches(lowered(lambda x, *ws: [layers(x, *ws)], TALL, *weights)).nodes
    found = plan(node.attrs["graph"])
    assert found.arena == 2 * 64 * 32 * 4
    # each hyperbolic tangent is written over what it is of
    assert [bool(outputs) for outputs in found.aliased] == [False, True] * 20


def test_what_takes_llvm_longest_is_begun_first() -> None:
    def body(x: Any) -> list[Any]:
        y = mg.exp(x) @ x
        return [mg.sum(mg.tanh(mg.exp(y)) * y, axis=0), y]

    graph = lowered(body, SQUARE)
    pairs = list(zip(graph.nodes, plan(graph).aliased, strict=True))
    kernels = longest_first(pairs)
    assert names(graph) == ["fused", "native_product", "fused"]
    lengths = [len(node.attrs["graph"].nodes) for node, _ in kernels]
    assert lengths == [1, 4, 1] and kernels[0][0].op.name == "native_product"
    assert dict(kernels) == dict(pairs)


def test_constants_are_part_of_the_code() -> None:
    w = mg.constant(np.ones((32, 32), np.float32))

    def body(x: Any) -> list[Any]:
        return [layers(x, w, w)]

    graph = trace(body, [TALL])[0]
    (node,) = program(graph).nodes
    assert len(node.inputs) == 2  # captures are inputs; what is folded is not


def test_gradients_are_used_up_before_the_next_are_made() -> None:
    w = [mg.Variable(np.ones((256, 256), np.float32)) for _ in range(6)]

    def body(x: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            loss = mg.sum(layers(x, *w) ** 2)
        for v, g in zip(w, tape.gradient(loss, w), strict=True):
            v.assign(v - 0.1 * mg.tanh(g))
        return [loss]

    graph = trace(body, [Spec((4, 256))])[0]
    (node,) = program(graph).nodes
    assert node.op is stateful_stretch
    found = plan(node.attrs["graph"])
    assert len(found.over) == 6
    assert found.arena < 1.2 * 256 * 256 * 4  # one gradient at a time, and the small values


def test_an_order_that_needs_no_less_memory_is_not_chosen() -> None:
    found = lowered(lambda x, v, w: [layers(x, v, w)], TALL, SQUARE, SQUARE)
    assert in_memory_order(found.nodes, set(found.outputs), {}) == list(found.nodes)
    assert peak(found.nodes, set(found.outputs)) == 2 * 64 * 32 * 4


def test_variables_are_read_outside_where_numpy_needs_them() -> None:
    v = mg.Variable(np.ones((64, 32), np.float32))

    def body(x: Any) -> list[Any]:
        y = ordered(v.value()) + x
        v.assign(y)
        return [y * 2]

    found = program(trace(body, [TALL])[0])
    assert names(found) == ["read_variable", "order_of", "stateful_stretch"]


def test_a_value_that_is_returned_too_is_assigned_outside() -> None:
    v = mg.Variable(np.ones((64, 32), np.float32))

    def body(x: Any) -> list[Any]:
        v.assign(mg.tanh(v + x))
        return [v.value()]

    found = program(trace(body, [TALL])[0])
    assert names(found) == ["stretch", "assign_variable"]
    assert found.nodes[0].op is stretch


def test_a_graph_keeps_what_it_was_lifted_to() -> None:
    v = mg.Variable(1.0)
    graph = trace(lambda x: [v + x], [Spec(())])[0]
    before = fused(graph).graph
    program(graph)
    assert fused(graph).graph is before and names(before) == ["fused"]


def test_as_documented() -> None:
    text = inspect.getdoc(stretches) or ""
    before, after = text.split("Before::\n")[1].split("After::\n")
    plain = before.replace("(v2,) = product", "v2 = matrix_product").replace(
        "(v4,) = exp_1", "v4 = exp"
    )
    graph = native_products(fuse(read(textwrap.dedent(plain))))
    assert squeezed(graph).endswith(squeezed(textwrap.dedent(before)))
    assert squeezed(stretches(graph)).endswith(squeezed(textwrap.dedent(after)))


def test_code_lives_as_long_as_what_calls_it() -> None:
    def made(seed: int) -> Any:
        w = mg.constant(np.full((32, 32), 0.01 * seed, np.float32))
        graph = stretches(lowered(lambda x: [layers(x, w, w + 1)], TALL))
        return executable(graph)

    x = np.ones((64, 32), np.float32)
    runs = [made(seed) for seed in range(3)]
    expected = [run(x, *[np.full((32, 32), 0.01 * s, np.float32)]) for s, run in enumerate(runs)]
    gc.collect()
    filler = [np.zeros(1000) for _ in range(100)]
    again = [run(x, *[np.full((32, 32), 0.01 * s, np.float32)]) for s, run in enumerate(runs)]
    assert filler
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_what_was_read_early_is_read_again_to_be_written_over() -> None:
    w = mg.Variable(np.ones((32, 32), np.float32))

    def body(x: Any) -> list[Any]:
        y = ordered(x @ w)
        w.assign(w - mg.mean(y))
        return [y]

    graph = trace(body, [TALL])[0]
    whole = program(graph)
    assert names(whole) == ["read_variable", "native_product", "order_of", "stateful_stretch"]
    assert len(plan(whole.nodes[-1].attrs["graph"]).over) == 1
    run, x = executable(whole), np.ones((64, 32), np.float32)
    run(x, w.cell)
    place = w.cell._value.ctypes.data
    if jit.available() and fast_path():
        run(x, w.cell)
        assert w.cell._value.ctypes.data == place


def test_moves_to_a_single_number_are_no_views() -> None:
    graph = lowered(lambda x: [mg.reshape(mg.any(x[0] > 0, axis=0), ())], Spec((1, 1)))
    assert executable(stretches(graph))(np.ones((1, 1), np.float32))[0].shape == ()
