"""What groups compute again rather than read, and what they say of it."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.again import LARGE
from minigrad.passes.fuse import fuse, fusion_report
from minigrad.passes.pipeline import optimize

SQUARE = Spec((256, 256))
WEIGHTS = Spec((256, 256))


def compiled(body: Any, *specs: Spec) -> Graph:
    """The graph of `body` in groups."""
    return fuse(optimize(trace(body, specs)[0]))


def layer(x: Any, w: Any) -> list[Any]:
    """A GELU between two products, and the gradient of the first operand."""
    return list(mg.value_and_grad(lambda x: mg.sum((mg.nn.gelu(x @ w) @ w) ** 2))(x))


def test_a_derivative_reads_what_was_multiplied_and_not_what_was_made_of_it() -> None:
    graph = compiled(layer, SQUARE, WEIGHTS)
    groups = [node for node in graph.nodes if node.op.name == "fused"]
    forward = next(node for node in groups if len(node.inputs) == 1)
    assert len(forward.outputs) == 1  # not its five intermediate results
    assert "again, " in fusion_report(graph)
    assert "instructions, rather than read" in fusion_report(graph)


@pytest.mark.parametrize(
    ("body", "specs"),
    [
        (layer, [Spec((8, 8)), Spec((8, 8))]),  # in the cache anyway
        (lambda x, w: [y := mg.sin(x) @ w, mg.tanh(y) @ w, mg.exp(y)], [SQUARE, WEIGHTS]),
    ],
)
def test_the_rest_is_read(body: Any, specs: list[Spec]) -> None:
    assert "again" not in fusion_report(compiled(body, *specs))


@pytest.mark.parametrize("n", [255, 256, 300])
def test_values_are_those_before(n: int) -> None:
    draw = np.random.default_rng(n)
    assert n * n >= LARGE
    x, w = [mg.asarray(draw.standard_normal((n, n)).astype(np.float32) / 16) for _ in range(2)]
    g = mg.asarray(draw.standard_normal(n).astype(np.float32))

    def block(x: Any, w: Any, g: Any) -> Any:
        h = x / mg.sqrt(mg.mean(x * x, axis=-1, keepdims=True) + 1e-6) * g
        return mg.sum((x + mg.nn.gelu(mg.nn.softmax(h @ w) @ w) @ w) ** 2)

    def gradients(*xs: Any) -> Any:
        return mg.value_and_grad(block, argnums=(0, 1, 2))(*xs)

    found, expected = mg.function(gradients, jit_compile=True)(x, w, g), gradients(x, w, g)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(np.abs(b.numpy()).max()))
