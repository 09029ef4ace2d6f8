"""Give whoever computes with a cotangent that may turn out to be None zeros in its place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import as_it_is
from ..core.define import primitive
from ..core.op import Node
from ..core.spec import Spec
from ..core.tensor import Symbol
from ..graph import Graph
from .rewrite import rebuilt


@primitive(infer=lambda bar, x: x.spec, public=False)
def or_zeros(bar: Any, x: Any, /) -> Any:
    """The cotangent `bar` of `x`, or zeros where a body, once run, had no path to it."""
    return np.zeros(np.shape(x), x.dtype) if bar is None else bar


or_zeros.defbatch(as_it_is)
or_zeros.defvjp(lambda g, y, bar, x: g, None)


@primitive(infer=lambda bar: Spec((), np.bool_), public=False)
def is_missing(bar: Any, /) -> Any:
    """Whether the cotangent `bar` has turned out to be None."""
    return np.asarray(bar is None)


is_missing.no_gradient("it tells whether there is a value, whatever it is")


@primitive(infer=lambda bar, missing: bar.spec, public=False)
def or_none(bar: Any, missing: Any, /) -> Any:
    """The cotangent `bar`, or None where it is `missing`."""
    return None if missing else bar


or_none.defvjp(lambda g, y, bar, missing: g, None)


def settle(graph: Graph) -> Graph:
    """`graph`, in which None is handed out, and never computed with.

    Cotangents that come of a Python body are known to be None only when it has run. Handed out as
    they are they stay None; nodes that compute with them get zeros.

    Before::

        def graph(v0, v1, v2):                              # object, float32[3], float32[3]
            (v3,) = replay(v0, v1, v2)                      # float32[3]
            v4 = negative(v3)                               # float32[3]
            return (v3, v4)

    After::

        def graph(v0, v1, v2):                              # object, float32[3], float32[3]
            (v3,) = replay(v0, v1, v2)                      # float32[3]
            v4 = or_zeros(v3, v1)                           # float32[3]
            v5 = negative(v4)                               # float32[3]
            return (v3, v5)
    """
    if not any("asked" in node.attrs or node.op is or_none for node in graph.nodes):
        return graph
    like: dict[Any, Any] = {}  # of what may be None: the tensor whose cotangent it is
    sure: dict[Any, Any] = {}  # and what stands for it
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op is not is_missing:
            for x in node.inputs:
                if x in like and x not in sure:
                    sure[x] = Symbol(x.shape, x.dtype, x.trace, x.where)
                    nodes.append(node.replaced((x, like[x]), (sure[x],), {}, or_zeros))
            inputs = tuple([sure.get(x, x) if type(x) is Symbol else x for x in node.inputs])
            node = node.replaced(inputs, node.outputs)
        nodes.append(node)
        if "asked" in node.attrs:
            pairs = zip(node.outputs, node.attrs["asked"], strict=True)
            like.update({y: node.inputs[1 + i] for y, i in pairs})
        elif node.op is or_none:
            sure[node.outputs[0]] = node.inputs[0]
    return rebuilt(graph, nodes, {})
