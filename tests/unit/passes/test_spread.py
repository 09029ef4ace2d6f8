"""What is cheap is computed inside of margins, and only that."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import compiler
from minigrad.codegen.fused import fused
from minigrad.core.spec import Spec
from minigrad.graph import trace
from minigrad.passes.layout import lay_out
from minigrad.passes.pipeline import optimize
from minigrad.passes.spread import spread
from minigrad.passes.verify import verify
from tests.unit.graphs import documented, squeezed

MATRIX = Spec((40, 64))


def test_as_documented() -> None:
    graph, after = documented(spread)
    assert squeezed(spread(graph)) == after


def rotated(x: Any, c: Any) -> Any:
    """Pairs of coordinates turned by angles with cosines `c`. Su et al. (2021)."""
    a, b = x[:, :32], x[:, 32:]
    return mg.concat([a * c - b, b * c + a], axis=-1)


def test_a_rotation_is_one_loop() -> None:
    graph = trace(lambda x, c: [rotated(x, c)], [MATRIX, Spec((32,))])[0]
    assert [node.op for node in compiler.fused(graph).graph.nodes] == [fused]


@pytest.mark.parametrize(
    "body",
    [
        lambda x, c: rotated(x, c),
        lambda x, c: mg.pad(x[:, :32] * c - 1.0, 2, constant_values=3),
        lambda x, c: mg.pad(1 / (x[:, :32] * 0.0), ((0, 0), (5, 0))),  # infinite in the box alone
        lambda x, c: mg.pad(x[:1] * c[:1], 1) + mg.pad(c * c, 17),
        lambda x, c: mg.grad(lambda x: mg.sum(rotated(x, c) ** 2))(x),
    ],
)
def test_values_are_those_before(body: Any) -> None:
    draw = np.random.default_rng(1)
    x = mg.asarray(draw.standard_normal(MATRIX.shape).astype(np.float32))
    c = mg.asarray(draw.standard_normal(32).astype(np.float32))
    found, expected = mg.function(body, jit_compile=True)(x, c), body(x, c)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        lambda x: [mg.pad(mg.exp(x), 1)],  # not cheap
        lambda x: [mg.pad(y := x * 2, 1), y],  # asked for by others, and stored for them
        lambda x: [mg.pad(mg.sum(x, axis=1), 1)],  # no map
    ],
)
def test_the_rest_is_made_before(body: Any) -> None:
    graph = lay_out(optimize(trace(body, [MATRIX])[0]))
    verify(graph, "lay_out")
    assert spread(graph) is graph
