"""Groups that only go on with the elements of a product become a part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..codegen.bodies import is_array
from ..codegen.fused import fused
from ..codegen.products import followed, native_product, parts_of
from ..core.op import Node
from ..core.tensor import Symbol
from ..graph import Graph
from .regroup import regrouped
from .rewrite import fresh, renewed


def finish_products(
    graph: Graph,
    updated: Sequence[int] = (),
    settled: Callable[[Node], Any] = lambda node: None,
) -> Graph:
    """`graph`, in products and groups, with products that make at once what a group made of them.

    It is made of a part of the product that is in the cache then. Where others need the product
    as well, it is an output too.
    updated: outputs, by number, that groups may write over an input: a Variable's old value. A
    product is written before that is read.
    settled: is told of each product, as soon as it will stay as it is.

    Before::

        def graph(v0, v1):                                  # float32[64,32], float32[32,48]
            v2 = matrix_product(v0, v1)                     # float32[64,48]
            v3 = tanh(v2)                                   # float32[64,48]
            return (v3,)

    After::

        def product(v0, v1):                                # float32[64,32], float32[32,48]
            v2 = matrix_product(v0, v1)                     # float32[64,48]
            return (v2,)
        def tanh_1(v0):                                     # float32[64,48]
            v1 = tanh(v0)                                   # float32[64,48]
            return (v1,)
        def tanh_of_product(v0, v1):                        # float32[64,32], float32[32,48]
            (v2,) = product(v0, v1)                         # float32[64,48]
            (v3,) = tanh_1(v2)                              # float32[64,48]
            return (v3,)
        def graph(v0, v1):                                  # float32[64,32], float32[32,48]
            (v2,) = tanh_of_product(v0, v1)                 # float32[64,48]
            return (v2,)
    """
    nodes: list[Node | None] = list(graph.nodes)
    makers = {y: k for k, node in enumerate(graph.nodes) for y in node.outputs}
    takers: dict[Any, list[int]] = {}
    outputs, updates = set(graph.outputs), {graph.outputs[k] for k in updated}
    for k, node in enumerate(graph.nodes):
        for x in dict.fromkeys(x for x in node.inputs if is_array(x)):
            takers.setdefault(x, []).append(k)
    groups = {
        k
        for k, node in enumerate(graph.nodes)
        if node.op is fused and updates.isdisjoint(node.outputs)
    }
    first_takers = {y: ks[0] for y, ks in takers.items()}
    for k, node in enumerate(graph.nodes):
        if node.op is native_product and first_takers.get(node.outputs[0]) not in groups:
            settled(node)
        for first in products_before(nodes, makers, node) if k in groups else ():
            made = graph.nodes[first].outputs[0]
            if first_takers[made] == k:
                needed = len(takers[made]) > 1 or made in outputs
                one = graph.nodes[first]
                whole = finished(one, node, needed=needed) if nodes[k] is node else None
                if whole is not None:
                    nodes[first], nodes[k] = None, whole
                settled(whole or one)
    return regrouped(graph, [node for node in nodes if node is not None])


def products_before(nodes: list[Node | None], makers: dict[Any, int], node: Node) -> Iterator[int]:
    """Where the products are that `node` reads, and of which nothing else is made yet."""
    for x in dict.fromkeys(x for x in node.inputs if is_array(x)):
        before = nodes[makers[x]] if x in makers else None
        if before is None or before.op is not native_product:
            continue
        if parts_of(before.attrs["graph"]).after is None:
            yield makers[x]


def finished(first: Node, group: Node, *, needed: bool) -> Node | None:
    """The product `first` and the `group` made of it as one node; None where that cannot be.

    needed: whether the product is an output, too.
    """
    made = first.outputs[0]
    others = [x for x in group.inputs if x is not made]
    # constants may be among them
    inputs = tuple([Symbol(x.shape, x.dtype, None) for x in (*first.inputs, *others)])
    steps = multiplied(first, inputs[: len(first.inputs)])
    (y,) = steps[-1].outputs
    values = dict(zip(others, inputs[len(first.inputs) :], strict=True))
    given = tuple([y if x is made else values[x] for x in group.inputs])
    two = group.replaced(given, fresh(group.outputs))
    outputs = ((y,) if needed else ()) + two.outputs
    name = f"{group.attrs['graph'].name}_of_product"
    inner = Graph(name, inputs, (), (*steps, two), outputs)
    if followed(inner) is None:
        return None
    results = ((made,) if needed else ()) + group.outputs
    return group.replaced((*first.inputs, *others), results, {"graph": inner}, native_product)


def multiplied(first: Node, inputs: tuple[Any, ...]) -> list[Node]:
    """The product `first` of `inputs`, and the groups that make its operands, if it does that."""
    inner = first.attrs["graph"]
    if parts_of(inner).node is None:
        return [first.replaced(inputs, fresh(first.outputs))]
    return renewed(inner.nodes, dict(zip(inner.inputs, inputs, strict=True)))
