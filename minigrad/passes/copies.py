"""Moves between kernels become kernels: what lies elsewhere afterwards is written there."""

from __future__ import annotations

from contextlib import suppress

from ..codegen.bodies import is_array, is_count, is_map, is_move, refusal
from ..codegen.driver import is_native, is_view, size_of
from ..codegen.fused import fused
from ..codegen.repeat import native_loop
from ..codegen.views import MisfitError, moved, whole
from ..core.lowering import Transform
from ..core.op import Node
from ..graph import Graph
from .regroup import in_a_group, regrouped

SMALL = 1 << 16
"""Bytes that are copied in less time than Python takes to be asked for a view."""


def copy_moves(graph: Graph, *, largest: int | None = SMALL) -> Graph:
    """`graph`, in groups and products, with a loop nest in the place of each small move.

    largest: the bytes beyond which a move stays one; None makes all moves and constants native.
    Those of what comes from outside stay too, as views cost nothing where no kernel waits; but
    loops and transforms take none.

    Before::

        def graph(v0):                                      # float32[4,2]
            v1 = exp(v0)                                    # float32[4,2]
            v2 = permute(v1, axes=(1, 0))                   # float32[2,4]
            return (v1, v2)

    After, in groups::

        def exp_1(v0):                                      # float32[4,2]
            v1 = exp(v0)                                    # float32[4,2]
            return (v1,)

        def move(v0):                                       # float32[4,2]
            v1 = permute(v0, axes=(1, 0))                   # float32[2,4]
            v2 = identity(v1)                               # float32[2,4]
            return (v2,)

        def graph(v0):                                      # float32[4,2]
            (v1,) = exp_1(v0)                               # float32[4,2]
            (v2,) = move(v1)                                # float32[2,4]
            return (v1, v2)
    """
    made = {y for node in graph.nodes if is_native(node) for y in node.outputs}
    nodes = []
    wanted = {x for node in graph.nodes if takes_no_view(node) for x in node.inputs}
    for node in graph.nodes:
        near = is_small(node, largest or 0) and not made.isdisjoint(node.inputs)
        if largest is None or near or not wanted.isdisjoint(node.outputs):
            node = copying(node)
        if is_native(node) or is_view(node):
            made.update(node.outputs)
        nodes.append(node)
    return regrouped(graph, nodes)


def takes_no_view(node: Node) -> bool:
    """Whether `node` finds what it is given in one piece: the rounds of a loop, or a transform."""
    if node.op is native_loop:
        return True
    return node.op is fused and any(
        isinstance(step.op.lower, Transform) for step in node.attrs["graph"].nodes
    )


def is_small(node: Node, largest: int) -> bool:
    """Whether `node` moves elements, of no more bytes than that."""
    return is_move(node) and all(y.spec.known and size_of(y) <= largest for y in node.outputs)


def copying(node: Node) -> Node:
    """`node`, or the loop nest that does what it does, if it is a move that is no view."""
    if refusal(node) is not None or is_view(node) or not is_free(node):
        return node
    return in_a_group(node, "move", copied=True)


def is_free(node: Node) -> bool:
    """Whether `node` only says where elements come from: a move, or a constant."""
    if is_map(node) or is_count(node):
        return not any(map(is_array, node.inputs))
    if not is_move(node) or len(node.inputs) != 1:
        return False
    with suppress(MisfitError):
        moved(node, whole(node.inputs[0]))
        return True
    return False
