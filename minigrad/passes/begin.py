"""Groups that only make an operand of a product become a part of it."""

from __future__ import annotations

from collections import Counter

from ..codegen.bodies import is_array
from ..codegen.fused import fused
from ..codegen.products import native_product, preceded
from ..core.op import Node
from ..core.tensor import Symbol
from ..graph import Graph
from .finish import multiplied
from .regroup import regrouped
from .rewrite import fresh, makers


def begin_products(graph: Graph) -> Graph:
    """`graph`, in products and groups, with products that make their operands themselves.

    Some rows of the first are made when they are multiplied next, and are in the cache then, and
    panels of the second where they are packed. An operand is never stored as a whole, so nobody
    else may need it. What goes on with another product is left to that one, which makes it only
    once (`finish_products`).

    Before::

        def graph(v0, v1):                                  # float32[64,32], float32[32,48]
            v2 = tanh(v0)                                   # float32[64,32]
            v3 = matrix_product(v2, v1)                     # float32[64,48]
            return (v3,)

    After::

        def tanh_1(v0):                                     # float32[64,32]
            v1 = tanh(v0)                                   # float32[64,32]
            return (v1,)
        def product(v0, v1):                                # float32[64,32], float32[32,48]
            v2 = matrix_product(v0, v1)                     # float32[64,48]
            return (v2,)
        def product_of_tanh(v0, v1):                        # float32[64,32], float32[32,48]
            (v2,) = tanh_1(v0)                              # float32[64,32]
            (v3,) = product(v2, v1)                         # float32[64,48]
            return (v3,)
        def graph(v0, v1):                                  # float32[64,32], float32[32,48]
            (v2,) = product_of_tanh(v0, v1)                 # float32[64,48]
            return (v2,)
    """
    made = makers(graph.nodes)
    taken = Counter(x for node in graph.nodes for x in node.inputs if is_array(x))
    taken.update(graph.outputs)
    nodes: dict[int, Node] = {id(node): node for node in graph.nodes}
    for node in graph.nodes:
        for x in node.inputs[:2] if node.op is native_product else ():
            group = made.get(x) if is_array(x) else None
            if group is None or group.op is not fused or taken[x] > 1 or len(group.outputs) > 1:
                continue
            if any(y in made and made[y].op is native_product for y in group.inputs):
                continue
            whole = begun(group, nodes[id(node)])
            if whole is not None:
                del nodes[id(group)]
                nodes[id(node)] = whole
    return regrouped(graph, [*nodes.values()])


def begun(group: Node, node: Node) -> Node | None:
    """The product `node` and the `group` that makes an operand of it as one node; None where that
    cannot be, or does not pay."""
    (made,) = group.outputs
    others = [x for x in node.inputs if x is not made]
    # constants may be among them
    inputs = tuple([Symbol(x.shape, x.dtype, None) for x in (*group.inputs, *others)])
    n = len(group.inputs)
    one = group.replaced(inputs[:n], fresh(group.outputs))
    values = dict(zip(others, inputs[n:], strict=True)) | {made: one.outputs[0]}
    steps = multiplied(node, tuple([values[x] for x in node.inputs]))
    name = f"{node.attrs['graph'].name}_of_{group.attrs['graph'].name}"
    whole = Graph(name, inputs, (), (one, *steps), steps[-1].outputs)
    if preceded(whole) is None:
        return None
    return node.replaced((*group.inputs, *others), node.outputs, {"graph": whole})
