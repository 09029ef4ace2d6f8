"""Fusion: groups of nodes become single nodes of the op `fused`, each one loop nest."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ..codegen.bodies import is_array, is_move, refusal
from ..codegen.fused import fused
from ..codegen.views import MisfitError, View, moved, whole
from ..core.lowering import Move, Scatter
from ..core.op import Node
from ..core.tensor import Symbol
from ..graph import Graph
from ..ops.shape import identity
from .again import compute_again
from .groups import Grouping, Unit

NAMED = 3
"""How many of its ops a group is named after."""


def fuse(graph: Graph) -> Graph:
    """`graph`, whose shapes are all known, with nodes that share loops made one node.

    Groups are as large as their loops have room for; what has no loop keeps its own node. Why a
    group begins where it begins, and what it computes again: `fusion_report`.

    Before::

        def graph(v0, v1):                                  # float32[4,2], float32[2,3]
            v2 = multiply(v1, v1)                           # float32[2,3]
            v3 = reduce_sum(v2, axes=(1,))                  # float32[2]
            v4 = sqrt(v3)                                   # float32[2]
            v5 = matrix_product(v0, v1)                     # float32[4,3]
            return (v4, v5)

    After::

        def multiply_reduce_sum_sqrt(v0):                   # float32[2,3]
            v1 = multiply(v0, v0)                           # float32[2,3]
            v2 = reduce_sum(v1, axes=(1,))                  # float32[2]
            v3 = sqrt(v2)                                   # float32[2]
            return (v3,)

        def graph(v0, v1):                                  # float32[4,2], float32[2,3]
            (v2,) = multiply_reduce_sum_sqrt(v1)            # float32[2]
            v3 = matrix_product(v0, v1)                     # float32[4,3]
            return (v2, v3)
    """
    plain, constants = without_constants(graph)
    grouping = Grouping(with_copies(plain))
    compute_again(grouping)
    rebuilt = Rebuilding(grouping, {symbol: x for x, symbol in constants.items()})
    found = Graph(
        graph.name, graph.inputs, graph.captures, tuple(rebuilt.nodes()), rebuilt.outputs()
    )
    found.cache["fusion"] = rebuilt.report()
    return found


def fusion_report(graph: Graph) -> str:
    """Which nodes are in which group of a fused graph, and why each group begins where it does."""
    text: str = graph.cache["fusion"]
    return text


def without_constants(graph: Graph) -> tuple[Graph, dict[Any, Symbol]]:
    """`graph` with a symbol in the place of each tensor, and these symbols by tensor."""
    symbols: dict[Any, Symbol] = {}

    def replaced(x: Any) -> Any:
        if is_array(x) and type(x) is not Symbol:
            return symbols.setdefault(x, Symbol(x.shape, x.dtype, None))
        return x

    nodes = [
        node.replaced(tuple([replaced(x) for x in node.inputs]), node.outputs)
        for node in graph.nodes
    ]
    outputs = tuple([replaced(y) for y in graph.outputs])
    return Graph(graph.name, graph.inputs, graph.captures, tuple(nodes), outputs), symbols


def with_copies(graph: Graph) -> Graph:
    """`graph` with copies of views that are none in memory: loops make these.

    They are where something has margins, and is asked for by name; where a view is reshaped; and
    where something arrives in places of one.
    """
    views: dict[Any, View] = {}
    nodes: list[Node] = []
    asked = set(graph.outputs).union(*[n.inputs for n in graph.nodes if refusal(n) is not None])
    for node in graph.nodes:
        if node.op.lower == Move("pad") and refusal(node) is None and node.outputs[0] in asked:
            (y,) = node.outputs
            view = Symbol(y.shape, y.dtype, None)
            nodes += [
                node.replaced(node.inputs, (view,)),
                node.replaced((view,), (y,), {}, identity.op),
            ]
            continue
        if isinstance(node.op.lower, Scatter) and node.op.lower.onto and node.inputs[0] in views:
            x, *others = node.inputs
            copy = Symbol(x.shape, x.dtype, None)
            nodes.append(node.replaced((x,), (copy,), {}, identity.op))
            node = node.replaced((copy, *others), node.outputs)
        if is_move(node) and len(node.inputs) == 1 and refusal(node) is None:
            (x,) = node.inputs
            with suppress(MisfitError):
                views[node.outputs[0]] = moved(node, views.get(x) or whole(x))
            if node.outputs[0] not in views and x in views:
                copy = Symbol(x.shape, x.dtype, None)
                nodes.append(node.replaced((x,), (copy,), {}, identity.op))
                node = node.replaced((copy,), node.outputs)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), cache={})


class Rebuilding:
    """The nodes of the fused graph: groups, library calls, and the moves between them."""

    def __init__(self, grouping: Grouping, tensors: dict[Any, Any]):
        self.grouping = grouping
        self.tensors = tensors  # what the symbols of constants stand for
        self.moves = self.moves_to_keep()

    def moves_to_keep(self) -> dict[Any, Node]:
        """The free nodes whose results are asked for by name: outputs, operands of kernels."""
        grouping = self.grouping
        asked = list(grouping.graph.outputs)
        for unit in grouping.units:
            if unit.space is None:
                asked += [x for node in unit.nodes for x in node.inputs if is_array(x)]
        kept: dict[Any, Node] = {}
        for x in asked:
            for node in grouping.free_before(x):
                kept[node.outputs[0]] = node
        return kept

    def nodes(self) -> Iterable[Node]:
        """All nodes, each after those that it needs, else in the order of the graph."""
        units = self.alive()
        built = [self.group(unit) if unit.space else unit.nodes[0] for unit in units]
        built += self.moves.values()
        positions = [self.grouping.position[unit.nodes[0]] for unit in units]
        positions += [self.grouping.position[node] for node in self.moves.values()]
        return [self.with_tensors(node) for node in in_order(built, positions)]

    def alive(self) -> list[Unit]:
        """The units that have not been merged into another, and whose values somebody reads."""
        return [unit for unit in self.grouping.units if unit.nodes and not self.is_idle(unit)]

    def is_idle(self, unit: Unit) -> bool:
        """Whether all who need what a group makes make it themselves."""
        members = set(unit.nodes)
        return unit.space is not None and not any(
            self.is_asked_for(y, members) for node in unit.nodes for y in node.outputs
        )

    def with_tensors(self, node: Node) -> Node:
        """`node`, its constants put back."""
        if not any(is_array(x) and x in self.tensors for x in node.inputs):
            return node
        inputs = [self.tensors.get(x, x) if is_array(x) else x for x in node.inputs]
        return node.replaced(tuple(inputs), node.outputs)

    def outputs(self) -> tuple[Any, ...]:
        """The outputs of the graph, constants put back."""
        return tuple([self.tensors.get(y, y) for y in self.grouping.graph.outputs])

    def group(self, unit: Unit) -> Node:
        """The node of a group."""
        assert unit.space is not None
        members = set(unit.nodes)
        asked = [y for node in unit.nodes for y in node.outputs if self.is_asked_for(y, members)]
        outputs = [self.in_final_shape(unit, y, members) for y in asked]
        made = {y for node in unit.space.nodes for y in node.outputs}
        inputs = [x for node in unit.space.nodes for x in node.inputs if is_array(x)]
        outside = tuple(dict.fromkeys(x for x in inputs if x not in made))
        graph = Graph(named(unit), outside, (), tuple(unit.space.nodes), tuple(outputs))
        node = unit.nodes[0].replaced(outside, tuple(outputs), {"graph": graph})
        node.op = fused
        return node

    def in_final_shape(self, unit: Unit, y: Any, members: set[Node]) -> Any:
        """`y`, or its reshape, where nothing but a kernel or the caller asks, and for that only."""
        assert unit.space is not None
        takers = [
            node
            for node in self.grouping.takers.get(y, [])
            if node not in members
            and (
                self.grouping.free.keys().isdisjoint(node.outputs)
                or self.is_asked_for(node.outputs[0], members)
            )
        ]
        z = takers[0].outputs[0] if len(takers) == 1 and takers[0].outputs else None
        if z not in self.moves or y in self.grouping.outputs or self.is_read_by_groups(z):
            return y
        space = unit.space.copy()
        try:
            if z not in space.made:
                space.admit(self.moves[z])
        except MisfitError:
            return y
        if space.maps[z] != space.maps[y]:
            return y
        unit.space = space
        del self.moves[z]
        return z

    def is_read_by_groups(self, x: Any) -> bool:
        """Whether a group looks at `x`, perhaps through further moves."""
        todo = [x]
        while todo:
            for node in self.grouping.takers.get(todo.pop(), []):
                unit = self.grouping.unit_of.get(node)
                if unit is None:
                    todo += node.outputs
                elif unit.space is not None:
                    return True
        return False

    def is_asked_for(self, y: Any, members: set[Node]) -> bool:
        """Whether `y` is used outside of its group."""
        return self.grouping.needed_outside(y, members)

    def report(self) -> str:
        """One paragraph per unit: its nodes, and why it begins."""
        rows = []
        for k, unit in enumerate(self.alive()):
            ops = ", ".join(node.op.name for node in unit.nodes)
            kind = f"group {k}" if unit.space else f"call {k}"
            said = "; ".join([unit.reason] * bool(unit.reason) + unit.notes)
            why = f"    # {said}" if said else ""
            rows.append(f"{kind}: {ops}{why}")
        return "\n".join(rows)


def named(unit: Unit) -> str:
    """A name for a group: of its last ops, which say best what it is for."""
    names = dict.fromkeys(node.op.name for node in reversed(unit.nodes))
    return "_".join(list(names)[:NAMED][::-1])


def in_order(nodes: list[Node], positions: list[int]) -> list[Node]:
    """`nodes`, each after what it needs, else by position; effects keep their order."""
    maker = {y: k for k, node in enumerate(nodes) for y in node.outputs}
    needs = [{maker[x] for x in node.inputs if is_array(x) and x in maker} for node in nodes]
    effects = [k for k, node in enumerate(nodes) if node.op.stateful]
    effects.sort(key=positions.__getitem__)
    for first, second in pairwise(effects):
        needs[second].add(first)
    takers: list[list[int]] = [[] for _ in nodes]
    for k, before in enumerate(needs):
        for j in before:
            takers[j].append(k)
    missing = [len(before) for before in needs]
    ready = [(positions[k], k) for k, count in enumerate(missing) if count == 0]
    heapq.heapify(ready)
    found = []
    while ready:
        _, k = heapq.heappop(ready)
        found.append(nodes[k])
        for j in takers[k]:
            missing[j] -= 1
            if missing[j] == 0:
                heapq.heappush(ready, (positions[j], j))
    assert len(found) == len(nodes), "fused groups need each other in a circle"
    return found
