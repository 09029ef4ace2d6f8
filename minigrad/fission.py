"""Sums of products over the rounds of a loop, as one product of what the rounds stack.

A round of the way back adds to the cotangent of a matrix the product of what the round took with
what came back: a small product, and a matrix read and written in each round. Side by side, all that
was taken and all that came back make one product, behind the loop, whose inner axis counts the
rounds as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .core.lowering import Move
from .core.op import Node
from .core.registry import api
from .graph import Graph
from .ops.arithmetic import add
from .ops.axes import permute
from .ops.broadcast import reduce_sum
from .ops.linalg import matrix_product

FLOATS = ("f4", "f8")
"""Of what is summed otherwise than it would be one by one: float16 has not the digits."""


class Term(NamedTuple):
    """A part of a cotangent, made of values of all rounds: of `x1` the transpose, times `x2`.

    total: which cotangent. x1, x2: values of a round, of so many columns. x1 is None for the sum
    of the rows of x2. Both may have other shapes, of the same elements in the same order.
    """

    total: int
    x1: Any
    x2: Any
    columns: tuple[int, int]


class Plan(NamedTuple):
    """What is summed behind a loop, and what in it.

    stacks: the values that rounds stack for that. given: those of the elements of what they stack
    anyway, one for each. left: of each total the parts that are summed in the loop.
    """

    terms: list[Term]
    stacks: list[Any]
    given: list[Any]
    left: dict[int, list[Any]]


class Parts:
    """Looks for products among the summands of what a graph gives.

    varying: the inputs that differ between rounds. stacked: the values that are stacked anyway.
    """

    def __init__(self, graph: Graph, varying: Iterable[Any], stacked: Iterable[Any]) -> None:
        self.makers = {y: node for node in graph.nodes for y in node.outputs}
        self.differ = set(varying)
        for node in graph.nodes:
            if not self.differ.isdisjoint(node.inputs):
                self.differ.update(node.outputs)
        self.stacked = {self.root(x) for x in stacked}

    def root(self, x: Any) -> Any:
        """The value of which `x` has the elements, in the same order."""
        while (node := self.makers.get(x)) is not None and is_reshaping(node):
            x = node.inputs[0]
        return x

    def leaves(self, x: Any) -> Iterator[Any]:
        """The values of which `x` is the sum."""
        node = self.makers.get(x)
        if node is not None and node.op is add.op and all(same(y, x) for y in node.inputs):
            for y in node.inputs:
                yield from self.leaves(y)
        else:
            yield x

    def product(self, total: int, y: Any) -> Term | None:
        """`y` as a product of two values of a round; None if it is none."""
        node = self.makers.get(y)
        if node is None or node.op is not matrix_product or y.dtype.str[1:] not in FLOATS:
            return None
        x1, x2 = node.inputs
        if len(y.shape) != 2 or not (x1.dtype == x2.dtype == y.dtype):
            return None
        turned = self.makers.get(x1)
        if turned is not None and turned.op is permute and turned.attrs["axes"] == (1, 0):
            x1 = turned.inputs[0]
        elif x1.shape[1] != 1:  # one column lies in memory as one row does
            return None
        roots = self.root(x1), self.root(x2)
        return Term(total, *roots, y.shape) if self.differ.issuperset(roots) else None

    def column_sum(self, total: int, y: Any) -> Term | None:
        """`y` as the sum of the rows of a value that is stacked; None if it is none."""
        node, rows = self.makers.get(y), y
        if node is not None and node.op is reduce_sum:
            axes, rank = node.attrs["axes"], len(node.inputs[0].shape)
            rows = node.inputs[0] if tuple(axes) == tuple(range(len(axes))) and rank else y
        root = self.root(rows)
        good = root in self.stacked and root in self.differ
        good = good and y.dtype.str[1:] in FLOATS and math.prod(y.shape) > 1
        return Term(total, None, root, (1, math.prod(y.shape))) if good else None


def planned(
    graph: Graph, totals: Mapping[int, Any], varying: Sequence[Any], stacked: Sequence[Any]
) -> Plan:
    """Which parts of `totals`, that the rounds of `graph` add up, are summed behind the loop.

    Products, if what they would stack is less than what they would add to; and then what is the
    sum of something stacked.
    """
    parts = Parts(graph, varying, stacked)
    leaves = [(k, y) for k, total in totals.items() for y in parts.leaves(total)]
    found = [parts.product(k, y) for k, y in leaves]
    terms = [term for term in found if term is not None]
    roots = dict.fromkeys(x for term in terms for x in (term.x1, term.x2))
    stacks = [x for x in roots if x not in parts.stacked]
    if sum(map(size, stacks)) > sum(math.prod(term.columns) for term in terms):
        stacks, found = [], [None for _ in leaves]
    elif terms:
        parts.stacked.update(stacks)
        pairs = zip(found, leaves, strict=True)
        found = [term or parts.column_sum(k, y) for term, (k, y) in pairs]
    left: dict[int, list[Any]] = {k: [] for k in totals}
    for (k, y), term in zip(leaves, found, strict=True):
        if term is None:
            left[k].append(y)
    given = [parts.root(x) for x in stacked]
    return Plan([term for term in found if term is not None], stacks, given, left)


def behind(term: Term, stacks: Mapping[Any, Any], shape: Sequence[int]) -> Any:
    """A part of a cotangent of `shape`, of what the rounds have stacked."""
    m, n = term.columns
    if 0 in shape:
        return api.zeros(shape, dtype=stacks[term.x2].dtype)
    x2 = api.reshape(stacks[term.x2], (-1, n))
    if term.x1 is None:
        return api.reshape(api.sum(x2, axis=0), shape)
    x1 = api.reshape(stacks[term.x1], (-1, m))
    return api.reshape(api.matmul(api.permute_dims(x1, (1, 0)), x2), shape)


def is_reshaping(node: Node) -> bool:
    """Whether `node` gives the elements of its input in the same order."""
    return isinstance(node.op.lower, Move) and node.op.lower.kind == "reshape"


def same(x: Any, y: Any) -> bool:
    """Whether `x` is a tensor of the spec of `y`."""
    return bool(getattr(x, "spec", None) == y.spec)


def size(x: Any) -> int:
    """How many elements `x` has."""
    return math.prod(x.shape)
