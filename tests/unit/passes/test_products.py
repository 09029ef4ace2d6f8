"""Which products become native, what they absorb, and that they stay what they are."""

import itertools
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen.executable import executable
from minigrad.codegen.products import native_product, prepared, product
from minigrad.core.registry import api
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.fuse import fuse, fusion_report
from minigrad.passes.pipeline import optimize
from minigrad.passes.products import native_products
from minigrad.passes.verify import verify
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed


def compiled(body: Any, *specs: Spec) -> Graph:
    """The graph of `body`, with groups and native products; verified."""
    graph = native_products(fuse(optimize(trace(body, specs)[0])))
    verify(graph, "native_products")
    return graph


def names(graph: Graph) -> list[str]:
    """The ops of a graph, in order."""
    return [node.op.name for node in graph.nodes]


def assert_same(body: Any, *xs: Any) -> Graph:
    """Native products give what NumPy gives, but for rounding; returns their graph."""
    specs = [Spec(x.shape, x.dtype) for x in xs]
    graph = compiled(body, *specs)
    plain = executable(optimize(trace(body, specs)[0]))
    for y, expected in zip(executable(graph)(*xs), plain(*xs), strict=True):
        assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    return graph


def random(*shape: int) -> Any:
    """Some numbers of float32, the same every time."""
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(native_products)
    assert squeezed(native_products(graph)) == after


@needs_llvm
def test_forward_and_backward_of_a_layer_move_nothing() -> None:
    def both(x: Any, w: Any, dy: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch([x, w])
            y = x @ w
        return [y, *tape.gradient(y, [x, w], output_gradients=dy)]

    graph = assert_same(both, random(20, 30), random(30, 40), random(20, 40))
    assert names(graph) == ["native_product"] * 3


@needs_llvm
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_operand_in_any_order_of_its_axes(order: tuple[int, ...]) -> None:
    x = random(6, 10, 14)
    depth = np.transpose(x, order).shape[-1]
    graph = assert_same(lambda x, w: [api.permute_dims(x, order) @ w], x, random(6, depth, 9)[:1])
    products = [node for node in graph.nodes if node.op is native_product]
    assert products or order[-1] != 2


@needs_llvm
def test_heads_of_attention_are_read_where_they_are() -> None:
    def scores(q: Any, k: Any) -> list[Any]:
        heads = [api.permute_dims(api.reshape(x, (2, 24, 4, 8)), (0, 2, 1, 3)) for x in (q, k)]
        return [heads[0] @ heads[1].mT]

    graph = assert_same(scores, random(2, 24, 32), random(2, 24, 32))
    assert names(graph) == ["native_product"]


@needs_llvm
def test_slices_flips_and_broadcasts_are_strides() -> None:
    def body(x: Any, w: Any, z: Any) -> list[Any]:
        part = api.flip(x[3:, 2:12], axis=0)
        return [part @ w, api.broadcast_to(w, (3, 10, 800)).mT @ z]

    graph = assert_same(body, random(12, 20), random(10, 800), random(3, 10, 5))
    assert names(graph) == ["native_product"] * 2


@needs_llvm
def test_batches_broadcast() -> None:
    body = lambda x, w: [x @ w]  # noqa: E731
    assert_same(body, random(3, 1, 5, 6), random(4, 6, 7))
    assert_same(body, random(5, 6), random(4, 6, 7))


@needs_llvm
def test_a_product_of_a_matrix_and_its_transpose() -> None:
    graph = assert_same(lambda x: [x.mT @ x, x @ x.mT, (x.mT @ x) @ x.mT], random(20, 30))
    assert set(names(graph)) == {"native_product"}


@needs_llvm
def test_a_transpose_that_is_asked_for_is_made_as_well() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        turned = x.mT
        return [turned @ w, turned]

    assert names(assert_same(body, random(9, 30), random(9, 8))) == ["permute", "native_product"]


@needs_llvm
def test_a_captured_tensor_is_an_operand() -> None:
    w = mg.constant(random(30, 8))
    graph = compiled(lambda x: [x @ w], Spec((9, 30)))
    x = random(9, 30)
    (y,) = executable(graph)(x, *[t._value for t in graph.captures])
    np.testing.assert_allclose(y, x @ w.numpy(), rtol=1e-4, atol=1e-4)


@needs_llvm
def test_a_tensor_in_the_place_of_a_symbol_is_an_operand() -> None:
    traced = trace(lambda x, w: [x @ w], [Spec((9, 3)), Spec((3, 8))])[0]
    (node,) = traced.nodes
    x = traced.inputs[0]
    constant = mg.constant(random(3, 8))
    node = node.replaced((x, constant), node.outputs)
    graph = native_products(Graph("graph", (x,), (), (node,), traced.outputs))
    assert names(graph) == ["native_product"]
    (y,) = executable(graph)(random(9, 3))
    np.testing.assert_allclose(y, random(9, 3) @ constant.numpy(), rtol=1e-4, atol=1e-4)


@needs_llvm
def test_arrays_that_are_strided_or_unaligned_are_taken() -> None:
    graph = compiled(lambda x, w: [x @ w], Spec((20, 30)), Spec((30, 8)))
    x, w = random(40, 30)[::2], random(8, 30).T
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(20, 30)
    for given in (x, unaligned):
        (y,) = executable(graph)(given, w)
        np.testing.assert_allclose(y, given @ w, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Spec((8, 9), np.int32), Spec((9, 8), np.int32)),
        (Spec((8, 9), np.complex64), Spec((9, 8), np.complex64)),
        (Spec((8, 9), np.float16), Spec((9, 8), np.float16)),
        (Spec((8, 9), np.float32), Spec((9, 8), np.float64)),
        (Spec((0, 9)), Spec((9, 8))),
        (Spec((8, 0)), Spec((0, 8))),
    ],
)
def test_what_is_left_to_the_library(first: Spec, second: Spec) -> None:
    graph = fuse(optimize(trace(lambda x, w: [x @ w], [first, second])[0]))
    assert native_products(graph) is graph


@needs_llvm
@pytest.mark.parametrize(("m", "k", "n"), [(2, 2, 2), (1024, 1024, 512), (2000, 1000, 3000)])
def test_threads_of_a_library_are_kept_away_from_products_of_any_size(
    m: int, k: int, n: int
) -> None:
    specs = Spec((m, k)), Spec((k, n))
    assert names(compiled(lambda x, w: [x @ w], *specs)) == ["native_product"]
    among = compiled(lambda x, w: [api.tanh(x @ w)], *specs)
    assert names(among) == ["native_product", "fused"]


def test_the_report_on_the_groups_is_kept() -> None:
    body = lambda x, w: [api.exp(x @ w)]  # noqa: E731
    graph = compiled(body, Spec((20, 30)), Spec((30, 8)))
    assert fusion_report(graph).startswith("call 0: matrix_product")


def test_without_llvm_a_product_is_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_DISABLE_LLVM", "1")
    graph = compiled(lambda x, w: [x.mT @ w], Spec((30, 20)), Spec((30, 8)))
    (node,) = graph.nodes
    x, w = random(30, 20), random(30, 8)
    (y,) = prepared(**node.attrs)(x, w)
    np.testing.assert_array_equal(y, x.T @ w)
    assert product(node.attrs["graph"]).x1.strides == (1, 20)
    assert "native" not in node.attrs["graph"].cache


def test_a_product_with_a_number_of_what_has_no_elements_is_numpys() -> None:
    x = mg.zeros((0,))
    slope = mg.grad(lambda x: mg.expm1(mg.tensordot(x, x, axes=1)))
    assert mg.function(slope, jit_compile=True)(x).shape == (0,)


def test_a_product_of_unknown_lengths_behind_a_loop_is_numpys() -> None:
    def f(x: Any) -> Any:
        y = mg.fori_loop(0, 2, lambda i, z: mg.tanh(z), x)
        return y.T @ y

    spec = mg.TensorSpec((None, None))
    compiled = mg.function(f, input_signature=[spec], jit_compile=True)
    x = mg.ones((5, 3)) * 0.5
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-6)
