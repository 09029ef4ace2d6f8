"""Make elements of small tensors by themselves, where single ones are taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.lowering import Move, Pointwise
from ..core.op import Node
from ..core.tensor import Symbol, Tensor, tensor_of
from ..graph import Graph
from ..ops.join import join
from ..ops.shape import is_static, reshape_to
from ..ops.slice import take_slice
from .dce import dce
from .rewrite import makers, mapped, rebuilt

SMALL = 8
"""Elements of a tensor that is taken apart: a vector of a state, a rotation's columns."""
DEEPEST = 64
"""Ops that one element is followed through."""


def sink(graph: Graph) -> Graph:
    """`graph` with single elements of small tensors computed as numbers, where nothing else is.

    Numbers stay in registers. The vectors that are made of them and taken apart again, as those of
    a differential equation are at every step, would be stored, and read by the next loop.

    Before::

        def graph(v0, v1):                                  # float32[3], float32[]
            v2 = reshape_to(v1, shape=(1,))                 # float32[1]
            v3 = join(v2, v0, axis=0)                       # float32[4]
            v4 = multiply(v3, 2)                            # float32[4]
            v5 = take_slice(v4, key=(1,))                   # float32[]
            v6 = add(v5, v1)                                # float32[]
            return (v6,)

    After::

        def graph(v0, v1):                                  # float32[3], float32[]
            v2 = take_slice(v0, key=(0,))                   # float32[]
            v3 = multiply(v2, 2)                            # float32[]
            v4 = add(v3, v1)                                # float32[]
            return (v4,)
    """
    values: dict[Any, Any] = {}
    elements = Elements()
    for node in graph.nodes:
        step = node.replaced(mapped(node.inputs, values), node.outputs)
        elements.made |= makers([step])
        if node.op is take_slice and elements.is_small(step.inputs[0], step.outputs[0]):
            values[step.outputs[0]] = elements.taken(step)
        else:
            elements.nodes.append(step)
    return dce(rebuilt(graph, elements.nodes, values)) if values else graph


class Elements:
    """The elements of small tensors, made when they are first asked for; and the nodes for it."""

    def __init__(self) -> None:
        self.made: dict[Any, Node] = {}
        self.nodes: list[Node] = []
        self.known: dict[tuple[Any, int], Any] = {}

    def is_small(self, x: Any, y: Any) -> bool:
        """Whether `y` is one element of a small tensor `x` that is made here."""
        if x not in self.made or not is_static(x) or not is_static(y):
            return False
        sizes = int(math.prod(x.shape)), int(math.prod(y.shape))
        return sizes[1] == 1 and 1 < sizes[0] <= SMALL

    def taken(self, node: Node) -> Any:
        """What `node` takes, one element in the shape of its output."""
        (y,) = node.outputs
        element = self.element(node.inputs[0], source_of(node, 0), node, 0)
        if y.shape == ():
            return element
        self.nodes.append(node.replaced((element,), node.outputs, {"shape": y.shape}, reshape_to))
        return y

    def element(self, x: Any, number: int, asked: Node, depth: int) -> Any:
        """Element `number` of `x`, a tensor without axes; a Python number is its own element.

        asked: the node that it is for, of whose line new nodes are.
        """
        if not isinstance(x, Tensor) or x.shape == ():
            return x
        if type(x) is Tensor:  # a constant
            return tensor_of(np.array(x._value.flat[number], x.dtype))
        if (x, number) not in self.known:
            found = self.followed(x, number, asked, depth) if depth < DEEPEST else None
            if found is None:
                key = tuple([int(i) for i in np.unravel_index(number, x.shape)])
                found = self.new(asked, take_slice, (x,), x, {"key": key})
            self.known[x, number] = found
        return self.known[x, number]

    def followed(self, x: Any, number: int, asked: Node, depth: int) -> Any:
        """The same, made of elements of what `x` is made of; None where it is not."""
        node = self.made.get(x)
        if node is None or not all(is_static(z) for z in node.inputs if isinstance(z, Tensor)):
            return None
        if math.prod(x.shape) > SMALL:
            return None
        if isinstance(node.op.lower, Pointwise) and node.op.elementwise and node.inputs:
            places = [spread(z, x.shape, number) for z in node.inputs]
            pairs = zip(node.inputs, places, strict=True)
            given = [self.element(z, place, asked, depth + 1) for z, place in pairs]
            return self.new(node, node.op, tuple(given), x, node.attrs)
        if isinstance(node.op.lower, Move) and node.op.lower != Move("pad"):
            source = source_of(node, number)
            return self.element(node.inputs[0], source, asked, depth + 1)
        if node.op is join and all(z.dtype == x.dtype for z in node.inputs):
            part, place = part_of(node, number)
            return self.element(part, place, asked, depth + 1)
        return None

    def new(self, node: Node, op: Any, inputs: tuple[Any, ...], x: Any, attrs: Any) -> Any:
        """The result of a new node, an element of `x`."""
        y = Symbol((), x.dtype, x.trace, x.where)
        self.nodes.append(node.replaced(inputs, (y,), attrs, op))
        return y


def numbered(x: Any) -> Any:
    """The numbers of the elements of `x`."""
    return np.arange(math.prod(x.shape)).reshape(x.shape)


def spread(x: Any, shape: tuple[int, ...], number: int) -> int:
    """The number of the element of `x` that broadcasting to `shape` puts at `number`."""
    return int(np.broadcast_to(numbered(x), shape).flat[number]) if isinstance(x, Tensor) else 0


def source_of(node: Node, number: int) -> int:
    """The number of the element that a move puts at `number`."""
    return int(np.asarray(node.op.kernel(numbered(node.inputs[0]), **node.attrs)).flat[number])


def part_of(node: Node, number: int) -> tuple[Any, int]:
    """The tensor from which a join takes its element `number`, and the number it has there."""
    starts = np.cumsum([0, *[math.prod(x.shape) for x in node.inputs]])
    places = [numbered(x) + start for x, start in zip(node.inputs, starts, strict=False)]
    found = int(np.concatenate(places, node.attrs["axis"]).flat[number])
    part = int(np.searchsorted(starts, found, "right")) - 1
    return node.inputs[part], found - int(starts[part])
