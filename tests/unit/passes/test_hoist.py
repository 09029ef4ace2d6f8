"""What stays in all rounds of a loop is computed before it: once, and with the same results."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.graph import Graph
from minigrad.passes.hoist import hoist
from minigrad.passes.inline import inline
from tests.unit.codegen.native import needs_llvm

A = np.random.default_rng(0).normal(size=(4, 4)) / 4


def repeated(step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Six rounds of `step`, of what is carried and of a matrix that stays."""
    return lambda x, a: mg.fori_loop(0, 6, lambda i, x: step(x, a), x)


def nested(x: Any, a: Any) -> Any:
    return mg.fori_loop(0, 3, lambda i, x: repeated(lambda x, a: x @ mg.exp(a) / 50)(x, a @ a), x)


def scanned(x: Any, a: Any) -> Any:
    def step(c: Any, t: Any) -> Any:
        return mg.tanh(c @ mg.linalg.inv(a + 3 * mg.eye(4)) + t), mg.sum(mg.exp(a))

    return mg.scan(step, x[0], x)


PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "products": repeated(lambda x, a: mg.tanh(x @ (a @ a.T + mg.exp(a)))),
    "reductions": repeated(lambda x, a: x / mg.sum(mg.abs(a)) + mg.max(a, axis=0)),
    "what is given back": lambda x, a: mg.scan(lambda c, t: (mg.exp(a), c + t), a, x),
    "nothing": repeated(lambda x, a: x * 2 + a),
    "calls": repeated(mg.function(lambda x, a: x * mg.exp(a))),
    "nested": nested,
    "scanned": scanned,
    "until": lambda x, a: mg.while_loop(
        lambda x: mg.sum(x) < 50, lambda x: x + mg.sum(mg.exp(a)), [mg.abs(x)]
    ),
    "no round": lambda x, a: mg.while_loop(
        lambda x: mg.sum(x) < -1, lambda x: x @ mg.linalg.cholesky(a), [mg.abs(x)]
    ),
}


def optimized_loops(f: Callable[..., Any]) -> tuple[Graph, list[Any]]:
    graph = hoist(inline(mg.function(f, jit_compile=True).graph_for(A, A)))
    return graph, [node for node in graph.nodes if "body" in node.attrs]


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def test_the_rounds_are_left_with_what_changes() -> None:
    graph, (loop,) = optimized_loops(PROGRAMS["products"])
    assert names(graph) == ["permute", "matrix_product", "exp", "add", "loop"]
    assert "exp" not in names(loop.attrs["body"])
    assert names(loop.attrs["body"]).count("matrix_product") == 1


def test_what_is_cheap_and_what_only_looks_different_stays() -> None:
    graph, (loop,) = optimized_loops(repeated(lambda x, a: x + mg.sum(a, axis=0)[:, None] * a.T))
    assert names(graph) == ["reduce_sum", "loop"]  # the product with it is larger
    assert "permute" in names(loop.attrs["body"])
    graph, _ = optimized_loops(PROGRAMS["nothing"])
    assert names(graph) == ["loop"]


def test_what_may_fail_stays_where_there_may_be_no_round() -> None:
    _, (loop,) = optimized_loops(PROGRAMS["no round"])
    assert "cholesky_factor" in names(loop.attrs["body"])
    mg.function(PROGRAMS["no round"], jit_compile=True)(A, -np.eye(4))  # which has no root


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=needs_llvm)])
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_results_and_derivatives_are_the_same(name: str, jit: bool) -> None:
    def both(x: Any, a: Any) -> Any:
        def total(x: Any, a: Any) -> Any:
            y = PROGRAMS[name](x, a)
            return sum(mg.sum(z) for z in (y if isinstance(y, (list, tuple)) else [y]))

        return PROGRAMS[name](x, a), mg.grad(total, argnums=(0, 1))(x, a)

    x, a = mg.constant(A), mg.constant(A)
    expected = mg.tree.flatten(both(x, a))[0]
    found = mg.tree.flatten(mg.function(both, jit_compile=jit)(x, a))[0]
    for y, z in zip(found, expected, strict=True):
        if z is not None:  # where there was no round
            np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-9, atol=1e-12)
