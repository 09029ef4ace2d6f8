"""Which nodes share a loop nest: each joins the group that makes its operands, if it fits there.

Nodes that cost nothing, moves and constants, belong to no group; every group has its own copies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..codegen.arrange import arrange, storable
from ..codegen.bodies import cost, is_array, is_count, is_map, is_move, refusal
from ..codegen.index import Space
from ..codegen.views import MisfitError, View, moved, whole
from ..core.op import Node
from ..graph import Graph

LARGEST = 200
"""Nodes of a group: beyond, compiling takes longer than a second loop over memory."""
HEAVIEST = 3000
"""Instructions of a group, likewise."""
COUNTED = 8
"""Instructions on numbers of elements that every group does by itself: who is in which box."""
NEIGHBOURS = 4
"""Groups with an input in common that a node without a producer tries to join."""


@dataclass(eq=False)
class Unit:
    """A group, or a node left to its kernel: what runs as one.

    number: its bit in sets of units. before: the units that must run before it, as bits.
    nodes: in order, without what is free. space: of a group. reason: why it begins here.
    work: instructions of its nodes. again: nodes of other groups whose values it makes itself.
    notes: what was decided of it.
    """

    number: int
    nodes: list[Node]
    space: Space | None = None
    before: int = 0
    reason: str = ""
    readers: bool = field(default=False)  # whether another unit needs it
    work: int = 0
    again: list[Node] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def bit(self) -> int:
        """The set that holds this unit only."""
        return 1 << self.number


class Grouping:
    """The units of a graph. unit_of: by node. free: nodes that cost nothing, by their output."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.outputs = set(graph.outputs)
        self.position = {node: k for k, node in enumerate(graph.nodes)}
        self.maker = {y: node for node in graph.nodes for y in node.outputs}
        self.takers: dict[Any, list[Node]] = {}
        self.free: dict[Any, Node] = {}
        self.views: dict[Any, View] = {}
        self.counted: dict[Any, int] = {}  # what is made of numbers of elements: instructions
        self.units: list[Unit] = []
        self.unit_of: dict[Node, Unit] = {}
        self.sharing: dict[Any, list[Unit]] = {}  # by input of groups: who reads it, latest last
        self.effects: Unit | None = None
        self.read_again: set[Any] = set()  # what groups read to make values of others themselves
        for node in graph.nodes:
            for x in node.inputs:
                if is_array(x):
                    self.takers.setdefault(x, []).append(node)
        for node in graph.nodes:
            self.enter(node)
        self.absorb_scalars()

    def enter(self, node: Node) -> None:
        """Find the unit of the next node."""
        reason = refusal(node)
        if reason is None:
            try:
                if self.is_free(node):
                    self.free[node.outputs[0]] = node
                else:
                    self.join(node)
                return
            except MisfitError as misfit:
                reason = f"library call: {misfit}"
        self.add(Unit(len(self.units), [node], reason=reason))

    def is_free(self, node: Node) -> bool:
        """Whether `node` is a constant or a view. Raises MisfitError for a move that copies."""
        (y,), arrays = node.outputs, [x for x in node.inputs if is_array(x)]
        if is_count(node) or (is_map(node) and not arrays):
            self.counted |= {y: 0} if is_count(node) else {}
            return True
        work = sum(self.counted.get(x, COUNTED) for x in arrays)
        if is_map(node) and y.dtype.kind in "bi" and y not in self.outputs:
            work += cost(node) or 0
            self.counted |= {y: work} if work < COUNTED else {}
            return work < COUNTED
        if not is_move(node):
            return False
        if len(node.inputs) > 1:
            raise MisfitError(f"{node.op.name} of a shape known at run time")
        (x,) = node.inputs
        self.views[y] = moved(node, self.views.get(x) or whole(x))
        self.counted |= {y: work} if work < COUNTED else {}
        return True

    # Where values come from.

    def origin(self, x: Any) -> Any:
        """What `x` is a view of, seen through free nodes; itself for what is computed."""
        while x in self.free and is_move(self.free[x]):
            x = self.free[x].inputs[0]
        return x

    def free_before(self, x: Any) -> list[Node]:
        """The free nodes that `x` is seen or made through, in order."""
        found: dict[Node, None] = {}
        todo = [x]
        while todo:
            x = todo.pop()
            if x in self.free:
                found[self.free[x]] = None
                todo += [z for z in self.free[x].inputs if is_array(z)]
        return sorted(found, key=self.position.__getitem__)

    def producer(self, x: Any) -> Unit | None:
        """The unit that computes the origin of `x`; None for inputs and constants."""
        node = self.maker.get(self.origin(x))
        return self.unit_of.get(node) if node is not None else None

    def needed_units(self, nodes: Iterable[Node]) -> list[Unit]:
        """The units that make the operands of `nodes`."""
        found = {
            unit: None
            for node in nodes
            for x in node.inputs
            if is_array(x) and (unit := self.producer(x)) is not None
        }
        return list(found)

    # Joining.

    def join(self, node: Node) -> None:
        """Put `node` into the group of its producers, of a neighbour, or into a new one."""
        reasons: dict[str, None] = {}
        for candidates in self.candidates(node):
            try:
                space = self.joined(candidates, [node])
            except MisfitError as misfit:
                reasons[str(misfit)] = None
                continue
            self.merge(candidates, [node], space)
            return
        space = self.joined([], [node])
        unit = Unit(len(self.units), [node], space, reason="; ".join(reasons))
        unit.work = cost(node) or 0
        self.add(unit)
        self.note_inputs(unit, node)

    def candidates(self, node: Node) -> Iterable[list[Unit]]:
        """Groups to join, best first: all producers, each, then who reads the same inputs."""
        sizes: dict[Unit, int] = {}
        for x in node.inputs:
            unit = self.producer(x) if is_array(x) else None
            if unit is not None and unit.space is not None and not is_scalar(unit, node):
                sizes[unit] = max(sizes.get(unit, 0), math.prod(self.origin(x).shape))
        producers = sorted(sizes, key=lambda unit: -sizes[unit])
        if len(producers) > 1:
            yield producers
        yield from ([unit] for unit in producers)
        size = max(math.prod(x.shape) for x in (*node.inputs, *node.outputs) if is_array(x))
        shared = [
            unit
            for x in node.inputs
            if is_array(x) and math.prod(self.origin(x).shape) == size
            for unit in reversed(self.sharing.get(self.origin(x), [])[-NEIGHBOURS:])
            if unit.space is not None and points(unit.space) == size and unit not in sizes
        ]
        yield from ([unit] for unit in dict.fromkeys(shared))

    def absorb_scalars(self) -> None:
        """Put groups of single numbers that one group needs, and no other, into that group."""
        for unit in self.units:
            takers = self.taker_units(unit) if unit.space and points(unit.space) == 1 else []
            if len(takers) == 1 and takers[0].space is not None:
                with suppress(MisfitError):
                    self.merge([takers[0], unit], [], self.joined([takers[0], unit], []))

    def taker_units(self, unit: Unit) -> list[Unit]:
        """The units that need what `unit` makes."""
        todo = [y for node in unit.nodes for y in node.outputs]
        found: dict[Unit, None] = {}
        while todo:
            for node in self.takers.get(todo.pop(), []):
                if node in self.unit_of:
                    found[self.unit_of[node]] = None
                else:
                    todo += node.outputs
        return [other for other in found if other is not unit]

    def joined(self, units: Sequence[Unit], more: Sequence[Node]) -> Space:
        """The space of `units` and `more` together. Raises MisfitError where it must not be."""
        count = sum(len(unit.nodes) for unit in units) + len(more)
        work = sum(unit.work for unit in units) + sum(cost(n) or 0 for n in more)
        if count > LARGEST or work > HEAVIEST:
            raise MisfitError("the group is full")
        if self.makes_circle(units, more):
            raise MisfitError("something between them runs elsewhere")
        first, rest = self.to_begin_with(units)
        if first is not None and first.space and not rest and self.goes_on(first.space, more):
            first.space.admit(more[0])
            return first.space
        space = first.space.copy() if first is not None and first.space else Space()
        for member in sorted([*rest, *more], key=self.position.__getitem__):
            self.admit(space, member)
        self.check_stores(space, [*(n for unit in units for n in unit.nodes), *more])
        return space

    def goes_on(self, space: Space, more: Sequence[Node]) -> bool:
        """Whether one more node adds nothing that could change how loops are arranged."""
        return (
            len(more) == 1
            and not any(is_array(x) and x in self.free for x in more[0].inputs)
            and space.takes_as_is(more[0])
        )

    def to_begin_with(self, units: Sequence[Unit]) -> tuple[Unit | None, list[Node]]:
        """The group whose space can be added to, and the nodes to add; None for a new space."""
        first = max(units, key=lambda unit: len(unit.nodes), default=None)
        bits = sum(unit.bit for unit in units)
        if first is not None and first.before & bits:
            first = None  # its space takes for inputs what the others make
        return first, [n for unit in units if unit is not first for n in unit.nodes]

    def admit(self, space: Space, node: Node) -> None:
        """Enter `node` into `space`, after the free nodes that it looks through."""
        for x in node.inputs:
            for free in self.free_before(x) if is_array(x) else ():
                if free.outputs[0] not in space.made and free.outputs[0] not in space.views:
                    space.admit(free)
        space.admit(node)

    def makes_circle(self, units: Sequence[Unit], more: Sequence[Node]) -> bool:
        """Whether a unit outside would have to run before and after the new group."""
        bits = sum(unit.bit for unit in units)
        outside = [unit for unit in self.needed_units(more) if unit not in units]
        if any(unit.before & bits for unit in outside):
            return True
        if len(units) == 1:
            return False
        between = 0
        for unit in units:
            between |= unit.before & ~bits
        return any(between >> unit.number & 1 and unit.before & bits for unit in self.units)

    def check_stores(self, space: Space, nodes: Sequence[Node]) -> None:
        """Raise MisfitError if a value that is needed elsewhere could not be stored."""
        found = arrange(space)
        members = set(nodes)
        for node in nodes:
            (y,) = node.outputs
            if not storable(space, found, y) and self.needed_outside(y, members):
                raise MisfitError("a value is needed elsewhere, and not stored in this order")

    def needed_outside(self, y: Any, members: set[Node]) -> bool:
        """Whether `y`, or a view of it, is an output of the graph or an operand of others."""
        if y in self.read_again:
            return True
        todo = [y]
        while todo:
            x = todo.pop()
            if x in self.outputs:
                return True
            for node in self.takers.get(x, []):
                views = [z for z in node.outputs if z in self.free]  # an assignment gives nothing
                if views:
                    todo += views
                elif node not in members and not self.makes_itself(node, y):
                    return True
        return False

    def makes_itself(self, node: Node, y: Any) -> bool:
        """Whether the group of `node` computes `y` again."""
        unit = self.unit_of.get(node)
        return unit is not None and self.maker[y] in unit.again

    # Bookkeeping.

    def add(self, unit: Unit) -> None:
        """Enter a new unit, which runs after those that it needs."""
        needed = self.needed_units(unit.nodes)
        if any(node.op.stateful for node in unit.nodes):
            needed += [self.effects] if self.effects else []
            self.effects = unit
        unit.before = self.all_before(needed)
        self.units.append(unit)
        for node in unit.nodes:
            self.unit_of[node] = unit

    def all_before(self, needed: Sequence[Unit]) -> int:
        """The units `needed`, and all before them."""
        before = 0
        for unit in needed:
            unit.readers = True
            before |= unit.before | unit.bit
        return before

    def merge(self, units: Sequence[Unit], more: Sequence[Node], space: Space) -> None:
        """Make one group of `units` and `more`."""
        first, bits = units[0], sum(unit.bit for unit in units)
        outside = [unit for unit in self.needed_units(more) if unit not in units]
        before = self.all_before(outside)
        for unit in units:
            before |= unit.before
        if len(units) > 1:
            first.nodes = [n for unit in units for n in unit.nodes]
        last = first.nodes[-1]
        first.nodes += more
        if len(units) > 1 or any(self.position[n] < self.position[last] for n in more):
            first.nodes.sort(key=self.position.__getitem__)
        first.work = sum(unit.work for unit in units) + sum(cost(n) or 0 for n in more)
        first.space = space
        changed = before & ~bits != first.before or len(units) > 1
        first.before = before & ~bits
        for unit in units[1:]:
            unit.nodes, unit.space = [], None
        for member in first.nodes if len(units) > 1 else more:
            self.unit_of[member] = first
        if changed and any(unit.readers for unit in units):
            first.readers = True
            for unit in self.units:
                if unit.before & bits:
                    unit.before |= first.before | first.bit
        for node in more:
            self.note_inputs(first, node)

    def note_inputs(self, unit: Unit, node: Node) -> None:
        """Remember that `unit` reads the inputs of `node`."""
        for x in node.inputs:
            if is_array(x):
                readers = self.sharing.setdefault(self.origin(x), [])
                if not readers or readers[-1] is not unit:
                    readers.append(unit)


def points(space: Space) -> int:
    """How many points a space has."""
    return math.prod(space.extents.values())


def is_scalar(unit: Unit, node: Node) -> bool:
    """Whether `unit` only makes single numbers for the larger `node`.

    Such groups run early, and many others can wait for them.
    """
    assert unit.space is not None
    return points(unit.space) == 1 and math.prod(node.outputs[0].shape) > 1
