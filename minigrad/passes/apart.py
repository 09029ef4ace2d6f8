"""Take what is computed apart where only slices of it are needed: each is computed by itself."""

from __future__ import annotations

from typing import Any

from ..core.lowering import Pointwise
from ..core.op import Node
from ..core.tensor import Symbol, Tensor
from ..graph import Graph
from ..ops.shape import is_static
from ..ops.slice import FULL, take_slice
from .cse import cse
from .rewrite import rebuilt


def take_apart(graph: Graph) -> Graph:
    """`graph` with slices of elementwise results made of slices of the operands.

    Loops over slices have other lengths, so what is sliced would be stored, and read by the next
    loop. Nothing is computed twice: a result is taken apart where it is needed along one axis only,
    in slices that share no element.

    Before::

        def graph(v0, v1):                                  # float32[9,2], float32[2]
            v2 = multiply(v0, v1)                           # float32[9,2]
            v3 = take_slice(v2, key=((None, None, None), 0))  # float32[9]
            v4 = take_slice(v2, key=((None, None, None), 1))  # float32[9]
            v5 = subtract(v3, v4)                           # float32[9]
            return (v5,)

    After::

        def graph(v0, v1):                                  # float32[9,2], float32[2]
            v2 = take_slice(v0, key=((None, None, None), 0))  # float32[9]
            v3 = take_slice(v1, key=(0,))                   # float32[]
            v4 = multiply(v2, v3)                           # float32[9]
            v5 = take_slice(v0, key=((None, None, None), 1))  # float32[9]
            v6 = take_slice(v1, key=(1,))                   # float32[]
            v7 = multiply(v5, v6)                           # float32[9]
            v8 = subtract(v4, v7)                           # float32[9]
            return (v8,)
    """
    takers: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        for x in symbols(node):
            takers.setdefault(x, []).append(node)
    outputs, gone, found = set(graph.outputs), set[Node](), list[list[Node]]()
    for node in reversed(graph.nodes):
        if node in gone:
            continue
        axis = axis_of_slices(node, outputs, takers) if node.outputs else None
        if axis is None:
            found.append([node])
            continue
        made: list[Node] = []
        for taken in takers[node.outputs[0]]:
            gone.add(taken)
            made += sliced(node, taken, axis)
        for x in symbols(node):
            takers[x].remove(node)
        for step in made:
            for x in symbols(step):
                takers.setdefault(x, []).append(step)
        found.append(made)
    if not gone:
        return graph
    nodes = [node for part in reversed(found) for node in part if node not in gone]
    return cse(rebuilt(graph, nodes, {}))


def symbols(node: Node) -> list[Symbol]:
    """What `node` takes that others make, each once."""
    return list(dict.fromkeys(x for x in node.inputs if type(x) is Symbol))


def axis_of_slices(node: Node, outputs: set[Any], takers: dict[Any, list[Node]]) -> int | None:
    """The axis along which `node`, elementwise, is needed in slices apart; None where it is not."""
    y = node.outputs[0]
    if not isinstance(node.op.lower, Pointwise) or not node.op.elementwise or y in outputs:
        return None
    if not all(is_static(x) for x in (*node.inputs, y) if isinstance(x, Tensor)):
        return None
    taken = takers.get(y, [])
    axes = {sliced_axis(other) if other.op is take_slice else None for other in taken}
    axis = axes.pop() if len(axes) == 1 else None
    if axis is None:
        return None
    places: set[int] = set()
    for part in {key_of(other)[axis] for other in taken}:
        new = {*range(y.shape[axis])[slice(*part)]} if type(part) is tuple else {part}
        if new & places or not new:
            return None
        places |= new
    return axis


def key_of(node: Node) -> tuple[Any, ...]:
    """The key of a slice, with a part for each axis; indices count from the first element."""
    key, shape = node.attrs["key"], node.inputs[0].shape
    k = key.index(...) if ... in key else len(key)
    before, after = key[:k], key[k + 1 :]
    whole = (*before, *[FULL] * (len(shape) - len(before) - len(after)), *after)
    pairs = zip(whole, shape, strict=True)
    return tuple([part % n if type(part) is int else part for part, n in pairs])


def sliced_axis(node: Node) -> int | None:
    """The one axis that a slice takes a part of; None if there are several, or none."""
    if None in node.attrs["key"]:
        return None
    axes = [k for k, part in enumerate(key_of(node)) if part != FULL]
    return axes[0] if len(axes) == 1 else None


def sliced(node: Node, taken: Node, axis: int) -> list[Node]:
    """The nodes that compute a slice of the result of `node`, which is the output of `taken`."""
    part, rank = key_of(taken)[axis], len(node.outputs[0].shape)
    steps: list[Node] = []
    inputs: list[Any] = []
    for x in node.inputs:
        dims: list[Any] = list(x.shape or ()) if isinstance(x, Tensor) else []
        own = axis - rank + len(dims)
        if own < 0 or not dims or (dims[own] == 1 and type(part) is tuple):
            inputs.append(x)
            continue
        here = 0 if dims[own] == 1 else part
        if isinstance(here, tuple):
            dims[own] = len(range(dims[own])[slice(*here)])
        else:
            del dims[own]
        y = Symbol(tuple(dims), x.dtype, taken.outputs[0].trace, taken.outputs[0].where)
        key = (*[FULL] * own, here)
        steps.append(taken.replaced((x,), (y,), {"key": key}, take_slice))
        inputs.append(y)
    return [*steps, node.replaced(tuple(inputs), taken.outputs)]
