"""Graphs that are spelled alike are compiled once."""

import gc
import weakref
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.codegen import fused as groups
from minigrad.codegen import products
from minigrad.codegen.driver import is_native, kernel
from minigrad.codegen.fused import fused
from minigrad.codegen.spelling import twin
from minigrad.compiler import fused as compiled
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from tests.unit.codegen.native import needs_llvm

SPEC = Spec((32, 32))


def network(*scales: float) -> Graph:
    """Layers of one form, each with a constant of its own."""

    def body(x: Any, w: Any) -> list[Any]:
        for scale in scales:
            x = mg.sum(mg.tanh(x @ w) * scale, axis=0) + x
        return [x]

    return compiled(trace(body, [SPEC, SPEC])[0]).graph


def parts(graph: Graph) -> list[Graph]:
    """The graphs of groups and products."""
    return [node.attrs["graph"] for node in graph.nodes if is_native(node)]


@needs_llvm
def test_layers_of_one_form_share_their_kernels() -> None:
    graph = network(0.5, 0.5, 0.5)
    nodes = [node for node in graph.nodes if is_native(node)]
    assert len({id(node.attrs["graph"]) for node in nodes}) == len(nodes) > 3
    assert len({kernel(node) for node in nodes}) <= len(nodes) // 3 + 1
    for node in nodes:
        inner = node.attrs["graph"]
        text = groups.llvm if node.op is fused else products.product_llvm
        assert text(inner) is text(twin(inner))


@needs_llvm
def test_what_differs_in_a_number_is_not_shared() -> None:
    graph = network(0.5, 0.25)
    assert len({kernel(node) for node in graph.nodes if is_native(node)}) > len(
        {kernel(node) for node in network(0.5, 0.5).nodes if is_native(node)}
    )
    x, w = np.ones((32, 32), np.float32), np.full((32, 32), 1 / 64, np.float32)

    def body(x: Any, w: Any) -> Any:
        for scale in (0.5, 0.25, 0.5):
            x = mg.sum(mg.tanh(x @ w) * scale, axis=0) + x
        return x

    y = mg.function(body, jit_compile=True)(mg.constant(x), mg.constant(w))
    np.testing.assert_allclose(y.numpy(), body(mg.constant(x), mg.constant(w)).numpy(), rtol=1e-5)


def test_a_twin_is_of_the_same_name_and_meaning() -> None:
    def graph(f: Any, name: str = "graph", dtype: str = "float32") -> Graph:
        return trace(lambda x: [f(x)], [Spec((3,), dtype)], name)[0]

    one = graph(lambda x: mg.sin(x) + 1)
    assert twin(one) is one
    assert twin(graph(lambda x: mg.sin(x) + 1)) is one
    others = [
        graph(lambda x: mg.sin(x) + 1.0),
        graph(lambda x: mg.cos(x) + 1),
        graph(lambda x: mg.sin(x) + 1, "other"),
        graph(lambda x: mg.sin(x) + 1, dtype="float64"),
    ]
    assert [twin(other) for other in others] == others


def test_a_twin_lives_as_long_as_it_is_one_and_no_longer() -> None:
    first, second = (trace(lambda x: [mg.sin(x) * 3.5], [SPEC])[0] for _ in range(2))
    assert twin(first) is first and twin(second) is first
    alive = weakref.ref(first)
    del first
    gc.collect()
    assert twin(second) is alive()
    del second
    gc.collect()
    assert alive() is None


def test_what_cannot_be_spelled_is_its_own_twin() -> None:
    def twice(x: Any, /) -> Any:
        return x * 2

    op = mg.define.pointwise(lambda b, x: b.add(x, x))(twice)
    try:
        graphs = [trace(lambda x: [op(x)], [SPEC])[0] for _ in range(2)]
        assert [twin(graph) for graph in graphs] == graphs
    finally:
        del mg.core.registry.OPS["twice"]
