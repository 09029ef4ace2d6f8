"""Which products have their operands laid out, and which are left as they are."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.codegen import jit
from minigrad.codegen.executable import executable
from minigrad.codegen.fused import loops
from minigrad.codegen.products import native_product
from minigrad.compiler import fused
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.nn.convolution import image_gradient
from minigrad.passes.layout import lay_out
from minigrad.passes.pipeline import optimize
from minigrad.passes.verify import verify
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed


def gradients(strides: int, padding: str, *specs: Spec) -> Graph:
    """The graph of both gradients of a convolution."""

    def both(x: Any, w: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch([x, w])
            y = nn.conv2d(x, w, strides, padding)
        return list(tape.gradient(y, [x, w]))

    return optimize(trace(both, specs)[0])


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(lay_out)
    assert squeezed(lay_out(graph)) == after


@needs_llvm
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize(("strides", "products"), [(1, 2), (2, 5), (4, 2)])
def test_all_products_of_a_convolution_become_native(
    strides: int, products: int, padding: str
) -> None:
    """Where a filter is no whole number of steps, pixels of each phase are one by themselves."""
    graph = gradients(strides, padding, Spec((2, 9, 9, 4)), Spec((3, 3, 4, 8)))
    verify(lay_out(graph), "lay_out")
    names = [node.op.name for node in fused(graph).graph.nodes]
    assert names.count(native_product.name) == products
    assert not {"convolution", "image_gradient", "filter_gradient"} & set(names)


@pytest.mark.parametrize(
    ("strides", "first", "second"),
    [
        (1, Spec((2, 9, 9, 4), np.complex64), Spec((3, 3, 4, 8), np.complex64)),
        (1, Spec((2, 9, 9, 512)), Spec((3, 3, 512, 512))),
        (1, Spec((0, 9, 9, 4)), Spec((3, 3, 4, 8))),
    ],
)
def test_what_is_left_to_the_library(strides: int, first: Spec, second: Spec) -> None:
    graph = gradients(strides, "VALID", first, second)
    assert lay_out(graph) is graph


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_a_place_is_found_by_loops(axis: int | None) -> None:
    graph = trace(lambda x: [mg.argmax(x * 2, axis=axis)], [Spec((6, 700))])[0]
    after = lay_out(graph)
    verify(after, "lay_out")
    names = {node.op.name for node in after.nodes}
    assert "place_of_max" not in names and "reduce_min" in names


def test_a_place_shares_the_extreme_with_who_asks_for_it() -> None:
    graph = trace(lambda x: [mg.argmax(x, axis=1), mg.max(x, axis=1)], [Spec((6, 7))])[0]
    assert [node.op.name for node in lay_out(graph).nodes].count("reduce_max") == 1


@pytest.mark.parametrize("spec", [Spec((0, 3)), Spec((3,), np.complex64)])
def test_places_without_lanes_stay_with_the_library(spec: Spec) -> None:
    graph = trace(lambda x: [mg.argmin(x, axis=-1)], [spec])[0]
    assert lay_out(graph) is graph


@needs_llvm
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1), (2, 3)])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 3)])
def test_pixels_a_step_apart_are_channels_of_a_place(size: Any, strides: Any, padding: str) -> None:
    """Also where windows leave pixels out, at the end or between them."""
    for height, width in ((9, 8), (7, 10)):
        places = [
            -(-n // s) if padding == "SAME" else (n - k) // s + 1
            for n, k, s in zip((height, width), size, strides, strict=True)
        ]
        body = lambda g, w, x: [image_gradient(g, w, x, strides=strides, padding=padding)]  # noqa: E731
        x = random(2, height, width, 4)
        assert_compiled(body, random(2, *places, 8), random(*size, 4, 8), x)


def assert_compiled(body: Any, *xs: Any) -> Graph:
    """Compiled, `body` gives what NumPy gives, but for rounding; returns what it became."""
    graph = trace(body, [Spec(x.shape, x.dtype) for x in xs])[0]
    compiled = fused(graph).graph
    verify(compiled, "fused")
    for y, expected in zip(executable(compiled)(*xs), executable(graph)(*xs), strict=True):
        assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    return compiled


def random(*shape: int, dtype: Any = np.float32) -> Any:
    """Some numbers, the same every time."""
    return (4 * np.random.default_rng(len(shape)).standard_normal(shape)).astype(dtype)


def ops_inside(graph: Graph) -> list[str]:
    """The ops of a compiled graph, those in its groups included."""
    groups = [node.attrs.get("graph", Graph("", (), (), (node,), ())) for node in graph.nodes]
    return [node.op.name for group in groups for node in group.nodes]


@needs_llvm
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint64])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize(("m", "k", "n"), [(7, 9, 1), (1, 9, 7), (1, 9, 1), (7, 1, 5), (40, 70, 1)])
def test_products_with_vectors_are_sums(m: int, k: int, n: int, batch: Any, dtype: Any) -> None:
    """Of operands that lie in either way."""
    x, w = random(*batch, m, k, dtype=dtype), random(*batch, k, n, dtype=dtype)
    xt, wt = [np.ascontiguousarray(a.swapaxes(-1, -2)) for a in (x, w)]
    graphs = [
        assert_compiled(lambda x, w: [x @ w], x, w),
        assert_compiled(lambda x, w: [x.mT @ w], xt, w),
        assert_compiled(lambda x, w: [x @ w.mT], x, wt),
        assert_compiled(lambda x, w: [x.mT @ w.mT], xt, wt),
    ]
    assert not any("matrix_product" in ops_inside(graph) for graph in graphs)


@needs_llvm
def test_a_matrix_is_read_in_the_order_of_memory() -> None:
    body = lambda x, v: [mg.tanh(x.mT @ (x @ v))]  # noqa: E731
    graph = assert_compiled(body, random(300, 40), random(40))
    (node,) = graph.nodes  # both products in one sweep
    nest = str(loops(node.attrs["graph"]))
    assert nest.count("x1[40 i + j]") == nest.count("x1[") == 2


@needs_llvm
@pytest.mark.parametrize("batch", [(), (3,)])
def test_few_columns_are_made_as_rows_where_the_other_matrix_lies_turned(batch: Any) -> None:
    body = lambda x, w: [x.mT @ w]  # noqa: E731
    graph = assert_compiled(body, random(*batch, 900, 300) / 64, random(*batch, 900, 5))
    assert [node.op.name for node in graph.nodes] == ["native_product", "fused"]


def test_products_of_what_is_read_often_are_no_sums() -> None:
    graph = optimize(trace(lambda x, w: [x @ w], (Spec((7, 9)), Spec((9, 2))))[0])
    assert lay_out(graph) is graph


@pytest.mark.skipif(not jit.converts_halves(), reason="no instructions for float16")
@pytest.mark.parametrize("columns", [1, 2, 40])
def test_products_of_float16_are_made_in_float32_and_rounded_once(columns: int) -> None:
    x, w = random(30, 700).astype(np.float16), random(700, columns).astype(np.float16)
    y = mg.function(lambda x, w: x @ w, jit_compile=True)(x, w).numpy()
    exact = x.astype(np.float64) @ w.astype(np.float64)
    bound = np.abs(x).astype(np.float64) @ np.abs(w).astype(np.float64) * 2.0**-20
    assert y.dtype == np.float16
    assert np.all(np.abs(y - exact) <= np.abs(exact) * 2.0**-11 + bound)
    eager = (mg.constant(x) @ mg.constant(w)).numpy()
    assert np.all(np.abs(eager - exact) <= np.abs(exact) * 2.0**-11 + bound)


@needs_llvm
@pytest.mark.parametrize(
    ("first", "second", "axes"),
    [
        ((4, 5, 6), (5, 7), ((1,), (0,))),
        ((4, 5, 6), (6, 7), ((2,), (0,))),
        ((4, 5, 6), (7, 8, 5), ((1,), (2,))),
        ((4, 5, 6), (4, 3, 6), ((0, 2), (0, 2))),
        ((2, 3, 4, 5), (4, 6, 3), ((1, 2), (2, 0))),
        ((4, 5), (5,), ((1,), (0,))),
        ((5,), (6, 5, 3), ((0,), (1,))),
        ((4, 5), (6,), ((), ())),
    ],
)
def test_tensordot_becomes_native(first: Any, second: Any, axes: Any) -> None:
    body = lambda x, w: [mg.tensordot(x, w, axes=axes)]  # noqa: E731
    graph = assert_compiled(body, random(*first), random(*second))
    assert "tensor_product" not in ops_inside(graph)
