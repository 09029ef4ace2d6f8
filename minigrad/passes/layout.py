"""Nodes that mean others: products whose operands are laid out first, and what loops compose."""

from __future__ import annotations

from typing import Any

from ..codegen.bodies import refusal
from ..codegen.products import native_product
from ..core.lowering import Composed, Contract
from ..core.op import Node
from ..core.spec import Spec
from ..core.tensor import Tensor
from ..graph import Graph, trace
from .cse import cse
from .products import native
from .rewrite import mapped, rebuilt


def lay_out(graph: Graph) -> Graph:
    """`graph`, whose shapes are all known, with padding and turning as nodes of their own.

    Only where native code can multiply then. Ops say by `Contract.means` what has to be done, and
    by `Composed.means` which other ops they are made of in loops.

    Before::

        def graph(v0, v1):                                  # float32[2,6,6,3], float32[3,3,3,8]
            v2 = convolution(v0, v1, strides=(1, 1), padding='SAME')  # float32[2,6,6,8]
            return (v2,)

    After::

        def graph(v0, v1):                                  # float32[2,6,6,3], float32[3,3,3,8]
            v2 = pad_with(v0, widths=((0, 0), (1, 1), (1, 1), (0, 0)), value=0)  # float32[2,8,8,3]
            v3 = convolution(v2, v1, strides=(1, 1), padding='VALID')  # float32[2,6,6,8]
            return (v3,)
    """
    found: list[Node] = []
    values: dict[Any, Any] = {}
    for node in graph.nodes:
        inputs = mapped(node.inputs, values)
        body = meaning(node)
        if body is None:
            found.append(node.replaced(inputs, node.outputs))
            continue
        inner: dict[Any, Any] = dict(zip(body.inputs, (*inputs, *body.captures), strict=True))
        for step in body.nodes:
            given = mapped(step.inputs, inner)
            found.append(node.replaced(given, step.outputs, step.attrs, step.op))
        values.update(zip(node.outputs, mapped(body.outputs, inner), strict=True))
    return cse(rebuilt(graph, found, values)) if values else graph


def meaning(node: Node) -> Graph | None:
    """What `node` means by ops that have loops, or that lay operands out; None if it is to stay."""
    lower = node.op.lower
    if not isinstance(lower, Composed | Contract) or lower.means is None:
        return None
    means = lower.means
    specs = [Spec(x.shape, x.dtype) for x in node.inputs if isinstance(x, Tensor)]
    if len(specs) < len(node.inputs) or 0 in [n for spec in specs for n in spec.shape or ()]:
        return None
    found: list[Any] = []

    def body(*inputs: Any) -> list[Any]:
        y = means(*inputs, **node.attrs)
        found.append(y)
        return [inputs[0] if y is None else y]

    graph = trace(body, specs)[0]
    if isinstance(lower, Composed):
        return None if any(map(refusal, graph.nodes)) else graph
    if found[0] is None or native(graph.nodes[-1], {}).op is not native_product:
        return None
    return graph
