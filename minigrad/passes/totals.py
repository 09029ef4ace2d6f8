"""Sums of everything beside sums along some axes: added up of such sums, in the same loops."""

from __future__ import annotations

import math
from typing import Any

from ..codegen.bodies import is_fold
from ..core.op import Node
from ..core.spec import FLOAT16
from ..core.tensor import Symbol
from ..graph import Graph
from .rewrite import rebuilt

FEW = 16
"""Elements beside each other that leave vectors empty: more need no help."""
MOST = 1 << 17
"""Elements of a batch: the part of more would have lost more digits than a total loses."""


def part_totals(graph: Graph) -> Graph:
    """`graph` with reductions of everything in two steps, where the loops of others make the first.

    A group has loops over batches, rows and columns. What is reduced along the rows is complete
    with each batch; a total is not, and in one group with it, the batches would be among the
    columns, and few elements beside each other.

    Before::

        def graph(v0):                                      # float32[4,64,2]
            v1 = exp(v0)                                    # float32[4,64,2]
            v2 = reduce_sum(v1, axes=(1,))                  # float32[4,2]
            v3 = reduce_sum(v0, axes=(0, 1, 2))             # float32[]
            return (v2, v3)

    After::

        def graph(v0):                                      # float32[4,64,2]
            v1 = exp(v0)                                    # float32[4,64,2]
            v2 = reduce_sum(v1, axes=(1,))                  # float32[4,2]
            v3 = reduce_sum(v0, axes=(1,))                  # float32[4,2]
            v4 = reduce_sum(v3, axes=(0, 1))                # float32[]
            return (v2, v4)
    """
    across: dict[Any, tuple[int, ...]] = {}
    for node in filter(is_fold, graph.nodes):
        (x,), axes = node.inputs, node.attrs["axes"]
        if axes and not {0, len(x.shape) - 1} & {*axes} and is_narrow(x.shape, axes):
            across.setdefault(tuple(x.shape), axes)
    if not across:
        return graph
    nodes: list[Node] = []
    for node in graph.nodes:
        first = across.get(tuple(node.inputs[0].shape)) if is_total(node) else None
        if first is not None:
            (x,), (y,) = node.inputs, node.outputs
            kept = [n for k, n in enumerate(x.shape) if k not in first]
            part = Symbol(tuple(kept), y.dtype, y.trace, y.where)
            nodes.append(node.replaced((x,), (part,), {**node.attrs, "axes": first}))
            axes = tuple(range(len(kept)))
            node = node.replaced((part,), (y,), {**node.attrs, "axes": axes})
        nodes.append(node)
    return rebuilt(graph, nodes, {})


def is_narrow(shape: tuple[int | None, ...], axes: tuple[int, ...]) -> bool:
    """Whether few elements lie beside each other, and not too many below, along `axes`."""
    dims = [n for n in shape if n is not None]
    if len(dims) < len(shape):
        return False
    columns = math.prod(dims[max(axes) + 1 :])
    return columns < FEW and columns * math.prod(dims[k] for k in axes) <= MOST


def is_total(node: Node) -> bool:
    """Whether `node` reduces everything to a number that takes no harm if parts of it are rounded.

    A part of a sum can be beyond float16 where the sum is not.
    """
    if not is_fold(node) or node.outputs[0].dtype == FLOAT16:
        return False
    axes, rank = node.attrs["axes"], len(node.inputs[0].shape)
    return rank > 1 and (axes is None or len(axes) == rank)
