"""Jacobians by one walk for many rows or columns, which are examples there, as in `vmap`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .batch import Batched, draws
from .batching import examples
from .core.define import Domain
from .core.op import Node
from .core.registry import api
from .core.tensor import tensor_of
from .cotangents import units
from .errors import MinigradError
from .forward import has_complex, pushforward
from .graph import Graph
from .pullback import dependents, pullback

READS = ("read_variable",)  # stateful, but its derivative runs nothing
CALLS = ("call", "stateful_call")
QUOTIENTS = ("divide", "reciprocal")  # infinite themselves where their derivatives are
TALL = 4  # a walk forward through an op may take that many times what one back takes


def walked_back(
    nodes: Sequence[Node], target: Any, seeds: Any, wanted: Iterable[Any], reach: set[Any]
) -> dict[Any, Any] | None:
    """For each of `wanted` with a path to `target`, its cotangents for all of `seeds`, in rows.

    seeds: gives, from row to row, cotangents of `target` along a first axis.
    reach: what depends on a source. Returns None where rows must be walked one by one: where a
    rule has effects, runs Python that a user wrote, or depends on the run, as that of a loop
    does whose number of rounds is not known.
    """
    wanted = list(wanted)
    if not all(map(is_plain, walked(nodes, target, reach))):
        return None
    parts: list[dict[Any, Any]] = []
    try:
        for some in seeds:
            with examples(len(some), "a jacobian") as batch:
                with batch.inside():
                    bars = {target: Batched(tensor_of(some), batch)}
                    found = pullback(nodes, bars, wanted, reach)
                parts.append({x: batch.whole(found[x]) for x in wanted if x in found})
    except MinigradError:  # nothing that ran had effects; if it is no limit of vmap, a row raises
        return None
    first, *rest = parts
    return {x: api.concat([y, *[p[x] for p in rest]]) if rest else y for x, y in first.items()}


def is_tall(target: Any, sources: Sequence[Any]) -> bool:
    """Whether a walk forward for each number in `sources` is quicker than one back for each result.

    Of complex numbers, rows and columns are conjugates, and of other dtypes less exact.
    """
    several = (target, *sources)
    if target.dtype.kind != "f" or any(x.dtype != target.dtype for x in sources):
        return False
    if any(x.shape is None or None in x.shape or 0 in x.shape for x in several):
        return False
    rows, *columns = [math.prod(x.shape) for x in several]
    return bool(TALL * sum(columns) <= rows)


def walked_forward(
    nodes: Sequence[Node], target: Any, sources: Iterable[Any], most: int
) -> dict[Any, Any] | None:
    """As `walked_back` for ones in each element of `target`; by walks forward, `most` at a time.

    An infinite derivative makes NaN of all that follows, of zeros too, which on the way back came
    before it. So None as well where a rule has one at the edge of what its op is defined for.
    """
    sources = list(sources)
    steps = list(walked(nodes, target, dependents(nodes, sources)))[::-1]
    if not all(map(is_plain, steps)) or any(map(has_complex, steps)) or any(map(has_edge, steps)):
        return None
    found: dict[Any, Any] = {}
    try:
        for x in sources:
            parts = []
            for some in units(x, 1, math.prod(x.shape), most):
                with examples(len(some), "a jacobian") as batch:
                    tangents = {x: Batched(tensor_of(some), batch)}
                    with batch.inside():
                        pushforward(steps, tangents, [target])
                    if target in tangents:
                        parts.append(batch.whole(tangents[target]))
            if not parts:
                return None  # a rule may still say that the derivative is zero
            whole = api.concat(parts) if len(parts) > 1 else parts[0]
            flat = api.reshape(whole, (whole.shape[0], -1))
            found[x] = api.reshape(api.matrix_transpose(flat), (-1, *x.shape))
    except MinigradError:  # as in `walked_back`
        return None
    return found


def walked(nodes: Sequence[Node], target: Any, reach: set[Any]) -> Iterator[Node]:
    """The nodes whose rules a walk from `target` runs."""
    active = {target}
    for node in reversed(nodes):
        if not active.isdisjoint(node.outputs):
            inputs = reach.intersection(node.inputs)
            if inputs:
                active |= inputs
                yield node


def is_plain(node: Node) -> bool:
    """Whether the rule of `node` runs pure ops alone, whatever values come."""
    op = node.op
    if op.name in READS:
        return True
    if (graph := graph_inside(node)) is not None:
        return all(noted(graph, is_plain))
    bodies = any(callable(value) or isinstance(value, Graph) for value in node.attrs.values())
    return not (op.stateful or op.opaque or op.saving or bodies or draws(op, node.attrs))


def has_edge(node: Node) -> bool:
    """Whether a derivative of `node` may be infinite where its result is not."""
    if (graph := graph_inside(node)) is not None:
        return any(noted(graph, has_edge))
    everywhere = Domain()
    domains = [x for x in node.op.domain or () if x is not None]
    bounded = any((x.low, x.high) != (everywhere.low, everywhere.high) for x in domains)
    return bounded and node.op.name not in QUOTIENTS


def graph_inside(node: Node) -> Graph | None:
    """The graph that `node` runs, once or so many times; None if it is no call or such a loop."""
    if node.op.name in CALLS:
        found: Graph = node.attrs["graph"]
        return found
    return node.attrs["body"] if node.op.rounds is not None and node.rounds else None


def noted(graph: Graph, question: Callable[[Node], bool]) -> set[bool]:
    """The answers to `question` for the nodes of `graph`; asked once, and kept with it."""
    if question not in graph.cache:
        graph.cache[question] = {question(node) for node in graph.nodes}
    found: set[bool] = graph.cache[question]
    return found
