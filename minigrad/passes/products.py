"""Products of matrices become native code where that is faster than a call of a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..codegen.blocking import Product
from ..codegen.bodies import is_move
from ..codegen.products import native_product, product
from ..core.lowering import Contract
from ..core.op import Node
from ..core.tensor import Symbol, Tensor
from ..graph import Graph
from .dce import dce
from .regroup import regrouped
from .rewrite import fresh, makers

LEVEL, LARGEST_FILTER = 1 << 10, 1 << 19
"""Where the summed axis is of several levels, how much of the second operand, which is read where
it lies, stays in a cache: bytes of some steps of depth."""


def native_products(graph: Graph) -> Graph:
    """`graph`, whose shapes are all known, with native products in the place of library calls.

    A native product reads its operands where they lie: what only moved them is part of it.

    Before::

        def graph(v0, v1):                                  # float32[64,32], float32[64,48]
            v2 = permute(v0, axes=(1, 0))                   # float32[32,64]
            v3 = matrix_product(v2, v1)                     # float32[32,48]
            return (v3,)

    After::

        def product(v0, v1):                                # float32[64,32], float32[64,48]
            v2 = permute(v0, axes=(1, 0))                   # float32[32,64]
            v3 = matrix_product(v2, v1)                     # float32[32,48]
            return (v3,)
        def graph(v0, v1):                                  # float32[64,32], float32[64,48]
            (v2,) = product(v0, v1)                         # float32[32,48]
            return (v2,)
    """
    made = makers(graph.nodes)
    found = regrouped(graph, [native(node, made) for node in graph.nodes])
    return found if found is graph else regrouped(found, dce(found).nodes)


def native(node: Node, made: Mapping[Any, Node]) -> Node:
    """`node`, or what stands for it if it is a product that is faster as native code.

    made: the nodes that make its operands, if they may be seen through.
    """
    y = node.outputs[0] if node.outputs else None
    if not isinstance(node.op.lower, Contract) or y is None:
        return node
    if any(not isinstance(x, Tensor) or x.dtype != y.dtype for x in node.inputs):
        return node
    if not all(x.spec.known for x in (*node.inputs, y)):
        return node  # as behind a loop of unknown lengths
    if y.dtype not in (np.float32, np.float64) or 0 in (*y.shape, *node.inputs[0].shape[-1:]):
        return node
    if node.op.lower.operands is None:
        chains = [views(x, made) for x in node.inputs]
    else:
        arrays = [np.empty(x.shape, x.dtype) for x in node.inputs]
        if 0 in [n for x in arrays for n in x.shape]:
            return node
        if node.op.lower.operands(*arrays, **node.attrs) is None:
            return node
        chains = [[] for _ in node.inputs]
    begins, inner = seen_through(node, chains, "product")
    if not wins(product(inner)):
        return node
    return node.replaced(begins, node.outputs, {"graph": inner}, native_product)


def seen_through(
    node: Node, chains: Sequence[Sequence[Node]], name: str
) -> tuple[tuple[Any, ...], Graph]:
    """What `node` is made of where its operands are seen through `chains` of moves, and the graph.

    The graph is of these moves and `node`.
    """
    begins = tuple(
        [chain[0].inputs[0] if chain else x for chain, x in zip(chains, node.inputs, strict=True)]
    )
    # constants may be among them
    inputs = tuple([Symbol(x.shape, x.dtype, None) for x in begins])
    steps: list[Node] = []
    operands = []
    for x, chain in zip(inputs, chains, strict=True):
        for step in chain:
            steps.append(step.replaced((x,), fresh(step.outputs)))
            (x,) = steps[-1].outputs
        operands.append(x)
    steps.append(node.replaced(tuple(operands), fresh(node.outputs)))
    return begins, Graph(name, inputs, (), tuple(steps), steps[-1].outputs)


def views(x: Any, made: Mapping[Any, Node]) -> list[Node]:
    """The moves that `x` was made by, as far as NumPy does them without a copy; in order."""
    chain: list[Node] = []
    while type(x) is Symbol and x in made and is_move(made[x]) and len(made[x].inputs) == 1:
        (before,) = made[x].inputs
        if not before.spec.known:
            break
        chain.append(made[x])
        x = before
    view = np.empty(x.shape, x.dtype)
    found: list[Node] = []
    for node in reversed(chain):
        moved = node.op.kernel(view, **node.attrs)
        if np.may_share_memory(moved, view):
            found.append(node)
            view = moved
        else:
            found = []
            view = np.empty(moved.shape, moved.dtype)
    return found


def wins(product: Product) -> bool:
    """Whether native code is at least as fast as a call of a library, as measured.

    It is for products of matrices of all sizes. A library has threads of its own besides, which
    stay awake when it is done, and take the processors from those that share the loops.
    """
    if not product.levels:
        return True
    panel = min(product.depth, max(LEVEL, product.step)) * product.columns
    return panel * product.dtype.itemsize <= LARGEST_FILTER and product.columns >= 4
