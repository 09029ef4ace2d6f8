"""Loops without what nobody uses: stacks, and what is carried for its own sake alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core.op import Node
from .core.tensor import Symbol, tensor_of
from .graph import Graph, needed


def pruned(node: Node, used: set[Any]) -> Node:
    """The loop `node`, which gives and takes what is needed for the outputs `used`.

    Itself where it leaves a record, or its number of rounds is not known.
    """
    attrs, carried = node.attrs, node.attrs["carried"]
    end, rounds = carried + attrs["scanned"], node.rounds
    if attrs["condition"] is not None or attrs["saving"] or rounds is None:
        return node
    body: Graph = attrs["body"]
    live = {k for k, y in enumerate(node.outputs) if y in used}
    nodes = [unread(step) for step in body.nodes]
    while True:
        steps = needed(nodes, [body.outputs[k] for k in live])
        read = {x for step in steps for x in step.inputs} | {body.outputs[k] for k in live}
        more = {k for k in range(carried) if body.inputs[k] in read} - live
        if not more:
            break
        live |= more
    kept = [i for i, x in enumerate(body.inputs) if i in live or (i >= carried and x in read)]
    if len(kept) == len(body.inputs) and len(live) == len(body.outputs):
        return node
    outputs = sorted(live)
    key = ("pruned", *outputs)
    if key not in body.cache:
        first = len(body.arguments)
        captures = tuple([body.captures[i - first] for i in kept if i >= first])
        inputs = tuple([body.inputs[i] for i in kept])
        results = tuple([body.outputs[k] for k in outputs])
        body.cache[key] = Graph(body.name, inputs, captures, tuple(steps), results)
    changed = {
        "body": body.cache[key],
        "carried": sum(i < carried for i in kept),
        "scanned": sum(carried <= i < end for i in kept),
        "length": rounds,
    }
    inputs = tuple([node.inputs[i] for i in kept])
    return node.replaced(inputs, tuple([node.outputs[k] for k in outputs]), {**attrs, **changed})


def unread(node: Node) -> Node:
    """`node`, with something of its shape in the place of an input that only tells a shape."""
    k = node.op.like
    if k is None or type(x := node.inputs[k]) is not Symbol or not x.spec.known:
        return node
    blank = tensor_of(np.broadcast_to(np.zeros((), x.dtype), x.shape))
    return node.replaced((*node.inputs[:k], blank, *node.inputs[k + 1 :]), node.outputs)
