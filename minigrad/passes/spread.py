"""Compute inside of margins: what is cheap is made where it is padded, and not stored before."""

from __future__ import annotations

from typing import Any

from ..codegen.bodies import cost, is_array, is_map, refusal
from ..core.op import Node, using
from ..core.tensor import Symbol
from ..graph import Graph, Tracer
from ..ops.boxes import Box, in_box, literal
from ..ops.logic import where
from ..ops.margins import pad_with
from .dce import dce
from .rewrite import makers, mapped, rebuilt

CHEAP = 12
"""Instructions of what is computed for elements that are not wanted, too."""


def spread(graph: Graph) -> Graph:
    """`graph` with cheap elementwise nodes made after margins instead of before.

    A loop reads arrays inside of margins where they lie; what it computes, it would have to store
    first, and another loop to read. So operands get margins, and what is made of these is chosen
    inside of the box alone. Only what nobody else needs is moved.

    Before::

        def graph(v0, v1):                                  # float32[3], float32[3]
            v2 = multiply(v0, v1)                           # float32[3]
            v3 = pad_with(v2, widths=((1, 0),), value=0)    # float32[4]
            return (v3,)

    After::

        def graph(v0, v1):                                  # float32[3], float32[3]
            v2 = pad_with(v0, widths=((1, 0),), value=0)    # float32[4]
            v3 = pad_with(v1, widths=((1, 0),), value=0)    # float32[4]
            v4 = multiply(v2, v3)                           # float32[4]
            v5 = counting(4, dtype=int32)                   # int32[4]
            v6 = reshape_to(v5, shape=(4,))                 # int32[4]
            v7 = greater_equal(v6, 1)                       # bool[4]
            v8 = where(v7, v4, 0)                           # float32[4]
            return (v8,)
    """
    found: list[Node] = []
    values: dict[Any, Any] = {}
    wanted = Wanted(graph)
    for node in graph.nodes:
        step = node.replaced(mapped(node.inputs, values), node.outputs)
        chain = wanted.cheap(node) if node.op is pad_with else []
        if not chain:
            found.append(step)
            continue
        again = [n.replaced(mapped(n.inputs, values), n.outputs) for n in chain]
        spreading = Spreading(step, again)
        found += spreading.nodes
        values[node.outputs[0]] = spreading.result
    return dce(rebuilt(graph, found, values)) if values else graph


class Wanted:
    """Who makes values, and how often they are asked for."""

    def __init__(self, graph: Graph):
        self.made = makers(graph.nodes)
        self.count: dict[Any, int] = dict.fromkeys(graph.outputs, 2)
        for node in graph.nodes:
            for x in filter(is_array, node.inputs):
                self.count[x] = self.count.get(x, 0) + 1

    def cheap(self, pad: Node) -> list[Node]:
        """The elementwise nodes, last first, that make what `pad` pads; none if not cheap."""
        found: list[Node] = []
        todo, work = [pad.inputs[0]], 0
        while todo:
            x = todo.pop()
            node = self.made.get(x)
            if node is None or self.count[x] > 1 or not is_map(node) or refusal(node):
                continue
            if not any(map(is_array, node.inputs)):
                continue
            work += cost(node) or 0
            if work > CHEAP or x.shape != pad.inputs[0].shape:
                return []
            found.append(node)
            todo += [z for z in node.inputs if is_array(z) and z.shape == x.shape]
        return found


class Spreading:
    """The nodes that make `pad` of what a chain makes, after the operands got margins."""

    def __init__(self, pad: Node, chain: list[Node]):
        self.pad, self.chain = pad, chain
        self.nodes: list[Node] = []
        (x,), (y,) = pad.inputs, pad.outputs
        self.box: Box = [
            (low, low + n) for (low, _), n in zip(pad.attrs["widths"], x.shape, strict=True)
        ]
        self.known: dict[Any, Any] = {}
        for node in reversed(chain):
            given = [self.padded(z) if is_array(z) else z for z in node.inputs]
            made = Symbol(y.shape, node.outputs[0].dtype, None)
            self.known[node.outputs[0]] = made
            self.nodes.append(node.replaced(tuple(given), (made,), node.attrs, node.op))
        self.result = self.chosen(self.known[x], y)

    def padded(self, x: Any) -> Any:
        """`x` with margins along the axes along which it is not broadcast."""
        if x in self.known:
            return self.known[x]
        full = self.pad.inputs[0].shape
        own = full[len(full) - len(x.shape) :]
        all_widths = self.pad.attrs["widths"][len(full) - len(x.shape) :]
        widths = tuple(
            [
                pair if n == m else (0, 0)
                for pair, n, m in zip(all_widths, x.shape, own, strict=True)
            ]
        )
        if all(pair == (0, 0) for pair in widths):
            return x
        dims = [n + low + high for n, (low, high) in zip(x.shape, widths, strict=True)]
        y = Symbol(tuple(dims), x.dtype, None)
        self.nodes.append(self.pad.replaced((x,), (y,), {"widths": widths, "value": 0}, pad_with))
        self.known[x] = y
        return y

    def chosen(self, x: Any, y: Any) -> Any:
        """`x` inside of the box, and what fills the margins elsewhere."""
        fill, tracer = literal(self.pad.attrs["value"], x.dtype), Tracer("spread")
        symbol = Symbol(x.shape, x.dtype, tracer)
        with using(tracer, (tracer,)):
            inside = in_box(self.box, y.shape)
            found = symbol if inside is None else where(inside, symbol, fill)
        for step in tracer.nodes:
            inputs = mapped(step.inputs, {symbol: x})
            self.nodes.append(self.pad.replaced(inputs, step.outputs, step.attrs, step.op))
        return x if found is symbol else found
