"""Nodes that mean others: products whose operands are laid out first, and what loops compose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..codegen import jit
from ..codegen.bodies import has_lanes, refusal
from ..codegen.borrowed import has_loop
from ..codegen.products import native_product
from ..core.lowering import Borrowed, Composed, Contract, Draw, Require, Transform
from ..core.op import Node
from ..core.spec import FLOAT16, Spec
from ..core.tensor import Tensor
from ..graph import Graph, trace
from ..ops.logic import astype
from .cse import cse
from .products import native, views
from .rewrite import makers, mapped, rebuilt


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
    made: dict[Any, Node] = {}
    for node in graph.nodes:
        step = node.replaced(mapped(node.inputs, values), node.outputs)
        body = meaning(step, made)
        steps = [step]
        if body is not None:
            given = (*[x for x in step.inputs if isinstance(x, Tensor)], *body.captures)
            inner: dict[Any, Any] = dict(zip(body.inputs, given, strict=True))
            steps = [
                node.replaced(mapped(other.inputs, inner), other.outputs, other.attrs, other.op)
                for other in body.nodes
            ]
            values.update(zip(node.outputs, mapped(body.outputs, inner), strict=True))
        found += steps
        made |= makers(steps)
    return cse(rebuilt(graph, found, values)) if values else graph


def meaning(node: Node, made: Mapping[Any, Node]) -> Graph | None:
    """What `node` means by ops that have loops, or that lay operands out; None if it is to stay.

    made: the nodes that make its operands.
    """
    lower = node.op.lower
    if not isinstance(lower, Composed | Contract):
        return None
    specs = [Spec(x.shape, x.dtype) for x in node.inputs if isinstance(x, Tensor)]
    dims = {n for x in specs for n in ((None,) if x.shape is None else x.shape)}
    if dims & {0, None}:
        return None
    if isinstance(lower, Composed):
        numbers = [x for x in node.inputs if not isinstance(x, Tensor)]
        graph = traced(lower.means, specs, node.attrs, *numbers)
        if graph is None:
            return None
        graph = lay_out(graph)
        # what has no loop body was chosen to be called
        lowered = [(n, n.op.lower) for n in graph.nodes]
        if any(isinstance(lower, Transform) for _, lower in lowered) and not jit.available():
            return None
        if any(isinstance(n.op.lower, Borrowed) and not has_loop(n) for n in graph.nodes):
            return None
        apart = Draw | Transform | Borrowed | Require | Contract | None
        loops = [n for n, lower in lowered if not isinstance(lower, apart)]
        return None if any(map(refusal, loops)) or not multiplies(graph) else graph
    if len(specs) < len(node.inputs):
        return None
    if {x.dtype for x in specs} == {FLOAT16} and has_lanes(FLOAT16):
        return lay_out(trace(in_floats(node), specs)[0])
    if lower.thin is not None and jit.available():
        graph = traced(lower.thin, specs, node.attrs, *[turned(x, made) for x in node.inputs])
        if graph is not None:
            return graph
    graph = None if lower.means is None else traced(lower.means, specs, node.attrs)
    if graph is None:
        return None
    graph = lay_out(graph)
    return graph if multiplies(graph) else None


def multiplies(graph: Graph) -> bool:
    """Whether all products in `graph` are native."""
    inside = makers(graph.nodes)
    products = [step for step in graph.nodes if isinstance(step.op.lower, Contract)]
    return all(native(p, inside).op is native_product for p in products)


def in_floats(node: Node) -> Callable[..., list[Any]]:
    """What a product of float16 means by one of float32, which has kernels."""

    def body(*inputs: Any) -> list[Any]:
        y = node.op(*[astype(x, np.float32) for x in inputs], **node.attrs)
        return [astype(y, np.float16)]

    return body


def traced(means: Any, specs: list[Spec], attrs: Mapping[str, Any], *more: Any) -> Graph | None:
    """The graph of `means`; None where it gives None."""
    found: list[Any] = []

    def body(*inputs: Any) -> list[Any]:
        y = means(*inputs, *more, **attrs)
        found.append(y)
        return list(y) if type(y) is tuple else [inputs[0] if y is None else y]

    graph = trace(body, specs)[0]
    return None if found[0] is None else graph


def turned(x: Any, made: Mapping[Any, Node]) -> bool:
    """Whether, of the last two axes of `x`, the first is the one along which memory goes."""
    chain = views(x, made)
    begin = chain[0].inputs[0] if chain else x
    view = np.empty(begin.shape, begin.dtype)
    for step in chain:
        view = step.op.kernel(view, **step.attrs)
    return len(view.shape) > 1 and abs(view.strides[-1]) > abs(view.strides[-2])
