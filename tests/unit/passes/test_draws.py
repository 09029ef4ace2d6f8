"""Draws of bits become loop nests."""

import numpy as np

from minigrad.core.spec import Spec
from minigrad.graph import trace
from minigrad.ops.random_ops import random_bits
from minigrad.passes.draws import native_draws
from tests.unit.graphs import documented, squeezed


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(native_draws)
    assert squeezed(native_draws(graph)) == after


def test_a_draw_of_nothing_stays() -> None:
    state = Spec((3,), np.uint64)
    body = lambda s: [random_bits(s, shape=(0,), dtype=np.dtype(np.uint32))]  # noqa: E731
    graph = trace(body, [state])[0]
    assert native_draws(graph) is graph
