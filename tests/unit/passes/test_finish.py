"""What is made of a product at once: which groups, and that they make what they made before."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.codegen.executable import executable
from minigrad.codegen.products import native_product, parts_of
from minigrad.compiler import fused
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.finish import finish_products
from minigrad.passes.fuse import fuse
from minigrad.passes.products import native_products
from minigrad.passes.verify import verify
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed


def random(*shape: int, dtype: Any = np.float32) -> Any:
    """Some numbers, the same every time."""
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def assert_same(body: Any, *xs: Any) -> Graph:
    """Compiled, `body` gives what NumPy gives, but for rounding; returns what it became.

    Each product is told of once, when it is what it will be.
    """
    graph = trace(body, [Spec(x.shape, x.dtype) for x in xs])[0]
    settled: list[Any] = []
    compiled = fused(graph, lambda product, alone: settled.append(product)).graph
    verify(compiled, "finish_products")
    products = [node for node in compiled.nodes if node.op is native_product]
    told, there = ([id(node.attrs["graph"]) for node in nodes] for nodes in (settled, products))
    assert sorted(told) == sorted(there)
    captured = [x._value for x in graph.captures]
    pairs = zip(
        executable(compiled)(*xs, *captured), executable(graph)(*xs, *captured), strict=True
    )
    for y, expected in pairs:
        assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-3)
    return compiled


def finished(graph: Graph) -> int:
    """How many products of a compiled graph make more than themselves."""
    products = [node for node in graph.nodes if node.op is native_product]
    return sum(parts_of(node.attrs["graph"]).after is not None for node in products)


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(finish_products)
    assert squeezed(finish_products(native_products(fuse(graph)))) == after


@needs_llvm
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(2, 3, 2), (7, 5, 3), (20, 30, 130), (600, 300, 513), (33, 2000, 65)]
)
def test_columns_rows_and_elements_beside_a_product(m: int, k: int, n: int, dtype: Any) -> None:
    """Of any size, in several blocks, and shared among threads."""
    x, w = random(m, k, dtype=dtype), random(k, n, dtype=dtype) / 16
    columns, rows, beside = [random(*shape, dtype=dtype) for shape in ((n,), (m, 1), (m, n))]
    assert_same(lambda x, w, c: [mg.maximum(x @ w + c, 0.0)], x, w, columns)
    assert_same(lambda x, w, r: [mg.tanh(x @ w) * r], x, w, rows)
    assert_same(lambda x, w, z: [mg.where(z > 0, x @ w, 0.5)], x, w, beside)
    several = lambda x, w, z, c: [x @ w + z, mg.exp(-((x @ w + c) ** 2)), z]  # noqa: E731
    graph = assert_same(several, x, w, beside, columns)
    assert finished(graph) == 1
    assert len(graph.nodes) == 1


@needs_llvm
def test_a_product_that_others_need_is_kept() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        y = x @ w
        return [mg.tanh(y), y, mg.sum(y, axis=0)]

    graph = assert_same(body, random(40, 30), random(30, 50))
    assert finished(graph) == 0  # one group makes all, and it sums

    def layers(x: Any, w: Any) -> list[Any]:
        y = x @ w
        return [mg.tanh(y) @ w.mT, y]

    assert finished(assert_same(layers, random(40, 30), random(30, 50))) == 1


@needs_llvm
def test_masks_and_indices_lie_beside_a_product() -> None:
    def body(x: Any, w: Any, mask: Any, index: Any) -> list[Any]:
        y = mg.where(mask, x @ w, 0.0) + mg.astype(index, mg.float32)
        return [y, y > 0.25]

    mask, index = random(20, 70) > 0, np.arange(70, dtype=np.int16)
    assert finished(assert_same(body, random(20, 30), random(30, 70), mask, index)) == 1


@needs_llvm
def test_batches_heads_and_reversed_neighbours() -> None:
    q, k = random(2, 3, 24, 8), random(2, 3, 40, 8)
    body = lambda q, k, m: [mg.where(m > 0, q @ k.mT * 0.3, -9.0)]  # noqa: E731
    assert finished(assert_same(body, q, k, random(24, 40))) == 1
    assert finished(assert_same(body, q, k, random(2, 1, 1, 40))) == 1
    turned = lambda q, k, m: [q @ k.mT - mg.flip(m, axis=-1)]  # noqa: E731
    assert finished(assert_same(turned, q, k, random(3, 24, 40))) == 1


@needs_llvm
def test_a_convolution_with_bias_and_activation_is_one_sweep() -> None:
    body = lambda x, w, b: [nn.relu(nn.conv2d(x, w) + b) * x[:, 1:-1, 1:-1]]  # noqa: E731
    graph = assert_same(body, random(2, 9, 10, 5), random(3, 3, 5, 5), random(5))
    assert [node.op.name for node in graph.nodes] == ["native_product"]


@needs_llvm
def test_the_same_array_multiplied_and_added() -> None:
    body = lambda x: [mg.tanh(x @ x) + x]  # noqa: E731
    assert finished(assert_same(body, random(30, 30) / 4)) == 1


@needs_llvm
def test_a_captured_tensor_beside_a_product() -> None:
    bias = mg.constant(random(50))
    assert finished(assert_same(lambda x, w: [x @ w + bias], random(40, 30), random(30, 50))) == 1


@needs_llvm
@pytest.mark.parametrize(
    "body",
    [
        lambda x, w: [mg.sum(mg.tanh(x @ w))],  # a sum
        lambda x, w: [(x @ w) * (x @ w).mT],  # its own transpose
        lambda x, w: [(x @ w) > 0],  # no place for the product itself
        lambda x, w: [nn.softmax(x @ w)],
        lambda x, w: [mg.expand_dims(x @ w, axis=0) + mg.reshape(x, (30, 1, 30))],  # repeated
    ],
)
def test_groups_that_do_more_than_go_on_stay_groups(body: Any) -> None:
    assert finished(assert_same(body, random(30, 30), random(30, 30))) == 0


@needs_llvm
def test_short_rows_are_gone_through_as_one_where_nothing_differs_by_column() -> None:
    x, w = random(40, 30), random(30, 10)
    assert finished(assert_same(lambda x, w: [mg.tanh(x @ w)], x, w)) == 0
    assert finished(assert_same(lambda x, w, b: [mg.tanh(x @ w + b)], x, w, random(10))) == 1


@needs_llvm
def test_infinities_beside_a_product_stay_where_they_are() -> None:
    x, w, c = np.ones((5, 6), np.float32), np.ones((6, 19), np.float32), random(5, 19)
    c[3, 18], c[4, 0], x[2, 3] = np.inf, np.nan, -np.inf
    assert_same(lambda x, w, c: [x @ w + c], x, w, c)


@needs_llvm
def test_a_step_of_an_optimizer_is_left_to_write_over_the_variable() -> None:
    w = mg.Variable(random(30, 50))

    @mg.function(jit_compile=True)
    def step(x: Any, g: Any) -> Any:
        w.assign_sub(0.1 * (x.mT @ g))
        return mg.tanh(x @ w)

    x, g, before = random(40, 30), random(40, 50), w.numpy()
    y = step(mg.asarray(x), mg.asarray(g))
    np.testing.assert_allclose(w.numpy(), before - 0.1 * (x.T @ g), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(y.numpy(), np.tanh(x @ w.numpy()), rtol=1e-4, atol=1e-4)
    assert finished(fused(step.graph_for(mg.asarray(x), mg.asarray(g))).graph) == 1


def test_without_llvm_it_is_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_DISABLE_LLVM", "1")
    body = lambda x, w, c: [mg.tanh(x @ w + c)]  # noqa: E731
    assert finished(assert_same(body, random(9, 30), random(30, 8), random(8))) == 1
