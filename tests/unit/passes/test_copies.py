"""Moves between kernels become kernels."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit
from minigrad.compiler import program
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.copies import copy_moves
from minigrad.passes.fuse import fuse
from tests.unit.graphs import documented, squeezed

needs_llvm = pytest.mark.skipif(not jit.available(), reason="without LLVM there is no native code")


def ops(graph: Graph) -> list[str]:
    """The names of what a graph does."""
    return [node.op.name for node in graph.nodes]


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(copy_moves)
    assert squeezed(copy_moves(fuse(graph))) == after


@pytest.mark.parametrize(
    ("move", "n", "left"),
    [
        (lambda y: y.mT, 4, []),
        (lambda y: y[::2], 4, []),
        (lambda y: mg.reshape(y, (-1, 2)), 4, ["reshape_to"]),
        (lambda y: y.mT, 400, ["permute"]),
    ],
    ids=("transposed", "every other row", "a view", "large"),
)
def test_small_moves_of_what_kernels_make_are_kernels(move: Any, n: int, left: list[str]) -> None:
    body = lambda x: [y := mg.exp(x), move(y)]  # noqa: E731
    graph = copy_moves(fuse(trace(body, [Spec((n, n), np.float32)])[0]))
    assert [name for name in ops(graph) if name != "fused"] == left


def test_moves_of_what_comes_from_outside_stay_views() -> None:
    body = lambda x: [x.mT, mg.exp(x)]  # noqa: E731
    graph = trace(body, [Spec((4, 4), np.float32)])[0]
    assert "permute" in ops(copy_moves(fuse(graph)))
    assert set(ops(copy_moves(fuse(graph), largest=None))) == {"fused"}


@needs_llvm
def test_a_small_transpose_does_not_part_a_program() -> None:
    def f(x: Any) -> Any:
        y = mg.tanh(x @ x)
        return y, y.mT, mg.sum(y.mT @ y)

    x = mg.asarray(np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8))
    g = mg.function(f, jit_compile=True)
    for found, expected in zip(g(x), f(x), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    assert len(program(g.get_concrete_function(x).graph).nodes) == 1
