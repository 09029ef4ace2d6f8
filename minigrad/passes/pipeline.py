"""The passes in their order."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..graph import Graph
from .cse import cse
from .dce import dce
from .fold import fold
from .hoist import hoist
from .inline import inline
from .settle import settle
from .simplify import simplify
from .steady import steady
from .verify import verify

Pass = Callable[[Graph], Graph]

# in this order: what one leaves behind, the next ones take up
PIPELINE: tuple[Pass, ...] = (inline, settle, hoist, fold, simplify, steady, cse, dce)
# whether graphs are checked between passes: slower, and on in minigrad's own tests
CHECKED = os.environ.get("MINIGRAD_VERIFY") == "1"


def optimize(graph: Graph, *, check: bool = CHECKED) -> Graph:
    """`graph` through the passes of PIPELINE, which keep every value to the bit.

    check: verify the graph after each pass; an AssertionError then names pass and line.
    """
    for step in PIPELINE:
        graph = step(graph)
        if check:
            verify(graph, step.__name__)
    return graph


def optimized(graph: Graph) -> Graph:
    """`graph` through the passes that keep every value to the bit."""
    if "optimized" not in graph.cache:
        graph.cache["optimized"] = optimize(graph)
    made: Graph = graph.cache["optimized"]
    return made
