"""Products of slices with what stays in all rounds, as one product before the loop.

A round of a recurrent network multiplies what it takes of the sequence by a matrix: a small product
in each round. No round waits for another one there, so all are made at once, and rounds take slices
of the result. The way back then has one product for the sequence, and one for the matrix, as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .core.op import Node
from .core.registry import api
from .fission import FLOATS, is_reshaping, size
from .graph import Graph, happen, needed
from .ops.linalg import matrix_product

SMALL = 256
"""Elements of a matrix up to which products are as quick in the rounds."""
CACHED = 1 << 21
"""Bytes of the results of all rounds that are still in a cache when they are read."""
MEMORY = 1 << 25
"""The same, of what comes from memory: at most, and"""
WIDER = 4
"""so many times what the slices take."""


class Projection(NamedTuple):
    """A product `node` of what stays, `matrix`, and of the elements of the slice at `place`.

    is_second: whether the slice is the second factor, a column.
    """

    node: Node
    place: int
    matrix: Any
    is_second: bool


class Round(NamedTuple):
    """A round of a scan: its graph takes what is carried, slices of `scans`, and `captures`."""

    graph: Graph
    scans: Sequence[Any]
    captures: Sequence[Any]


def projected(given: Round, carried: int, rounds: int | None) -> Round:
    """The round that takes products as slices; itself where it has none, or these are small."""
    graph, scans, captures = given
    end = carried + len(scans)
    if rounds is None or rounds < 2:
        return given
    found = [p for p in projections(graph, carried, end) if is_moderate(p, rounds)]
    if not found:
        return given
    made: dict[Any, Any] = dict(zip(graph.inputs[end:], captures, strict=True))
    happen(needed(graph.nodes, [p.matrix for p in found if p.matrix not in made]), made)
    products = [product(p, scans[p.place], made[p.matrix], rounds) for p in found]
    fresh = [p.node.outputs[0] for p in found]
    nodes = needed([n for n in graph.nodes if n.outputs[0] not in set(fresh)], graph.outputs)
    read = {x for node in nodes for x in node.inputs} | {*graph.outputs}
    slices = [k for k in range(carried, end) if graph.inputs[k] in read]
    rest = [k for k in range(end, len(graph.inputs)) if graph.inputs[k] in read]
    inputs = [*graph.inputs[:carried], *[graph.inputs[k] for k in slices], *fresh]
    inputs += [graph.inputs[k] for k in rest]
    kept = tuple([graph.captures[k - end] for k in rest])
    return Round(
        Graph(graph.name, tuple(inputs), kept, tuple(nodes), graph.outputs),
        [*[scans[k - carried] for k in slices], *products],
        [captures[k - end] for k in rest],
    )


def projections(graph: Graph, carried: int, end: int) -> Iterator[Projection]:
    """The products of slices, which are the inputs from `carried` to `end`, with what stays."""
    made = {y: node for node in graph.nodes for y in node.outputs}
    places = {x: k for k, x in enumerate(graph.inputs[carried:end])}
    still = set(graph.inputs[end:])
    for node in graph.nodes:
        tensors = [x for x in node.inputs if hasattr(x, "spec")]
        if still.issuperset(tensors) and not (node.op.stateful or node.op.saving):
            still.update(node.outputs)
        if node.op is not matrix_product:
            continue
        for is_second, (x, matrix) in enumerate((node.inputs, node.inputs[::-1])):
            place = places.get(root(x, made))
            fits = not is_second or x.shape[1:] == (1,)
            if place is not None and fits and matrix in still and is_large(node, x, matrix):
                yield Projection(node, place, matrix, bool(is_second))
                break


def root(x: Any, made: dict[Any, Node]) -> Any:
    """The value of which `x` has the elements, in the same order."""
    while (node := made.get(x)) is not None and is_reshaping(node):
        x = node.inputs[0]
    return x


def is_large(node: Node, *factors: Any) -> bool:
    """Whether `node` multiplies two matrices of one dtype, the last of more than SMALL elements."""
    tensors = (*node.outputs, *factors)
    if not all(x.spec.known and len(x.shape) == 2 and x.dtype == factors[0].dtype for x in tensors):
        return False
    return factors[0].dtype.str[1:] in FLOATS and size(factors[1]) > SMALL


def is_moderate(projection: Projection, rounds: int) -> bool:
    """Whether the results of `rounds` take little memory, or not much more than the slices."""
    node, (y,) = projection.node, projection.node.outputs
    taken = rounds * size(y) * int(y.dtype.itemsize)
    wider = size(y) > WIDER * size(node.inputs[projection.is_second])
    return taken <= (CACHED if wider else MEMORY)


def product(projection: Projection, scan: Any, matrix: Any, rounds: int) -> Any:
    """The products of all slices of `scan`, stacked."""
    x = projection.node.inputs[projection.is_second]
    whole = api.reshape(scan, (rounds, *x.shape))
    return api.matmul(matrix, whole) if projection.is_second else api.matmul(whole, matrix)
