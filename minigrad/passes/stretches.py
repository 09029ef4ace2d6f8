"""Stretches: kernels that can run one after the other become one node, and Variables cells again.

What NumPy does for a graph splits it. The order is chosen so that there are few stretches, and
the last one, which writes Variables, is as long as can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from ..codegen.bodies import is_array
from ..codegen.driver import is_native, is_view, size_of
from ..codegen.repeat import native_loop
from ..codegen.stretch import stateful_stretch, stretch
from ..core.op import Node, Op
from ..core.tensor import Symbol, Tensor
from ..core.where import here
from ..graph import Graph
from ..variable import assign_variable, read_variable
from .rewrite import makers, mapped

LONGEST = 400
"""Nodes of a stretch whose order is looked into; beyond, they stay as they come."""


def stretches(
    graph: Graph, reads: Iterable[int] = (), writes: Sequence[tuple[int, int]] = ()
) -> Graph:
    """`graph`, in groups and products, with kernels in stretches.

    reads, writes: as of `Lifted`: the inputs that are values of cells, and pairs of such an input
    and the output that is its new value. The cells themselves are inputs of the result. All
    Variables are written when nothing is left that could fail.

    Before::

        def graph(v0, v1):                                  # float32[4,2], float32[2,3]
            (v2,) = product(v0, v1)                         # float32[4,3]
            v3 = order_of(v0, axis=0, descending=False, stable=True)  # int64[4,2]
            (v4,) = exp_1(v2)                               # float32[4,3]
            return (v4, v3)

    After::

        def kernels(v0, v1):                                # float32[4,2], float32[2,3]
            (v2,) = product(v0, v1)                         # float32[4,3]
            (v3,) = exp_1(v2)                               # float32[4,3]
            return (v3,)

        def graph(v0, v1):                                  # float32[4,2], float32[2,3]
            v2 = order_of(v0, axis=0, descending=False, stable=True)  # int64[4,2]
            (v3,) = kernels(v0, v1)                         # float32[4,3]
            return (v3, v2)
    """
    views = {node for node in graph.nodes if is_view(node)}
    while True:
        schedule = Schedule(graph, views, last=bool(writes))
        unfit = {node for part in schedule.parts for node in schedule.unfit_views(part)}
        if not unfit:
            return Program(graph, schedule, frozenset(reads), writes).graph()
        views -= unfit


class Part:
    """Nodes that run in a row: kernels and views of what they make, or what is left to NumPy."""

    def __init__(self, nodes: list[Node], *, native: bool) -> None:
        self.nodes = nodes
        self.native = native


class Schedule:
    """The nodes of a graph in parts, in the order in which these run.

    views: the moves that may stand among kernels. last: the last part is to be one of kernels.
    """

    def __init__(self, graph: Graph, views: set[Node], *, last: bool) -> None:
        self.graph = graph
        self.takers: dict[Any, list[Node]] = {}
        for node in graph.nodes:
            for x in dict.fromkeys(filter(is_array, node.inputs)):
                self.takers.setdefault(x, []).append(node)
        made: dict[Any, bool] = {}
        self.native: dict[Node, bool] = {}
        for node in graph.nodes:
            joins = node in views and made.get(node.inputs[0], False)
            self.native[node] = is_native(node) or joins
            made.update(dict.fromkeys(node.outputs, self.native[node]))
        self.parts = self.parted(native=True)
        other = self.parted(native=False)
        if len(other) < len(self.parts) and not last:
            self.parts = other

    def parted(self, *, native: bool) -> list[Part]:
        """The parts, found from the last back; native: of which kind the last is, if any is."""
        after = {node: self.after(node) for node in self.graph.nodes}
        effects = [node for node in self.graph.nodes if node.op.stateful]
        for first, second in pairwise(effects):
            after[first].add(second)
        before: dict[Node, list[Node]] = {}
        for node, takers in after.items():
            for taker in takers:
                before.setdefault(taker, []).append(node)
        position = {node: k for k, node in enumerate(self.graph.nodes)}
        missing = {node: len(takers) for node, takers in after.items()}
        ready = [node for node in self.graph.nodes if not missing[node]]
        parts = []
        while ready:
            found = []
            todo = [node for node in ready if self.native[node] == native]
            ready = [node for node in ready if self.native[node] != native]
            while todo:
                found.append(todo.pop())
                for node in before.get(found[-1], ()):
                    missing[node] -= 1
                    if not missing[node]:
                        (todo if self.native[node] == native else ready).append(node)
            if found:
                parts.append(Part(sorted(found, key=position.__getitem__), native=native))
            native = not native
        return parts[::-1]

    def after(self, node: Node) -> set[Node]:
        """The nodes that need what `node` makes."""
        return {taker for y in node.outputs for taker in self.takers.get(y, ())}

    def leaving(self, part: Part) -> list[Any]:
        """What a part makes and others need."""
        members, outputs = set(part.nodes), set(self.graph.outputs)
        return [
            y
            for node in part.nodes
            for y in node.outputs
            if y in outputs or any(taker not in members for taker in self.takers.get(y, ()))
        ]

    def unfit_views(self, part: Part) -> Iterator[Node]:
        """Views that must not be in a part of kernels: others see their memory by two names.

        Or they are views of what comes from outside.
        """
        if not part.native:
            return
        origin: dict[Any, Any] = {}
        made = {y for node in part.nodes for y in node.outputs}
        views = [node for node in part.nodes if not is_native(node)]
        for node in views:
            x = node.inputs[0]
            origin[node.outputs[0]] = origin.get(x, x)
        seen: set[Any] = set()
        shared: set[Any] = set()
        for y in self.leaving(part):
            begin = origin.get(y, y)
            if begin in seen:
                shared.add(begin)
            seen.add(begin)
        for node in views:
            begin = origin[node.outputs[0]]
            if begin not in made or begin in shared:
                yield node


class Program:
    """The graph of a schedule, with cells in the place of what is read of them and written."""

    def __init__(
        self,
        graph: Graph,
        schedule: Schedule,
        reads: frozenset[int],
        writes: Sequence[tuple[int, int]],
    ) -> None:
        self.whole = graph
        self.schedule = schedule
        self.outputs = graph.outputs[: len(graph.outputs) - len(writes)]
        self.cells = {graph.inputs[i]: self.cell(graph.inputs[i]) for i in sorted(reads)}
        self.inputs = tuple([self.cells.get(x, x) for x in graph.inputs])
        self.writes = [(graph.inputs[i], graph.outputs[k]) for i, k in writes]
        self.makers = makers(graph.nodes)
        self.inner = self.read_inside()

    def cell(self, x: Any) -> Symbol:
        """The input that stands for the cell of the value `x`."""
        return Symbol(x.shape, x.dtype, x.trace, x.where)

    def read_inside(self) -> dict[Any, Part]:
        """The values of cells that one part needs, of kernels: by which."""
        parts: dict[Any, set[Part]] = {}
        for part in self.schedule.parts:
            for node in part.nodes:
                for x in node.inputs:
                    if is_array(x) and x in self.cells:
                        parts.setdefault(x, set()).add(part)
        outputs = set(self.whole.outputs)
        found = {}
        for x, users in parts.items():
            (part, *others) = users
            if part.native and not others and x not in outputs:
                found[x] = part
        return found

    def graph(self) -> Graph:
        """The whole program."""
        written = self.written_inside()
        nodes = []
        outputs = set(self.whole.outputs)
        for x, cell in self.cells.items():
            users = self.schedule.takers.get(x, [])
            if x not in self.inner and (users or x in outputs):
                nodes.append(like(users[0] if users else None, read_variable, (cell,), (x,)))
        for part in self.schedule.parts:
            nodes += self.stretch(part, written) if part.native else part.nodes
        nodes += [self.assignment(x, y) for x, y in self.writes if x not in written]
        return Graph(self.whole.name, self.inputs, self.whole.captures, tuple(nodes), self.outputs)

    def assignment(self, x: Any, y: Any) -> Node:
        """The node that writes `y` to the cell of `x`."""
        return like(self.makers.get(y), assign_variable, (self.cells[x], y), ())

    def written_inside(self) -> dict[Any, Any]:
        """The cells, by their old values, that the last part writes, and what it writes to them.

        Not among them are values that others see as well: these need arrays of their own.
        """
        parts = self.schedule.parts
        if not parts or not parts[-1].native:
            return {}
        made = {y for node in parts[-1].nodes for y in node.outputs}
        times = Counter(self.whole.outputs)
        return {x: y for x, y in self.writes if y in made and times[y] == 1}

    def stretch(self, part: Part, written: dict[Any, Any]) -> list[Node]:
        """The nodes of a part of kernels: one, unless the node in it needs no more."""
        ends = part is self.schedule.parts[-1]
        inside = [x for x, users in self.inner.items() if users is part]
        new = written if ends else {}
        kernels = [node for node in part.nodes if is_native(node)]
        bound = any(is_array(x) and type(x) is not Symbol for n in kernels for x in n.inputs)
        # what calls others wants room for that, which nobody else is to see
        bound = bound or any(node.op is native_loop for node in kernels)
        if len(part.nodes) == 1 and not inside and not new and not bound:
            return part.nodes
        hidden = set(new.values())
        outputs = [y for y in self.schedule.leaving(part) if y not in hidden]
        ordered = in_memory_order(part.nodes, {*outputs, *hidden}, self.after_reads(part, new))
        first = kernels[0]
        again = self.read_again(part, new)
        ordered = [node.replaced(mapped(node.inputs, again), node.outputs) for node in ordered]
        values = {**{x: x for x in inside}, **again}
        reads = [like(first, read_variable, (self.cells[x],), (z,)) for x, z in values.items()]
        nodes = [*reads, *ordered, *[self.assignment(x, y) for x, y in new.items()]]
        made = {y for node in nodes for y in node.outputs}
        inputs = dict.fromkeys(
            x for node in nodes for x in node.inputs if type(x) is Symbol and x not in made
        )
        if self.is_all(part, set(inputs), set(outputs), new):
            # then the program is this node, and need not be Python
            inputs = dict.fromkeys(self.inputs)
            outputs = list(self.outputs)
        graph = Graph("kernels", tuple(inputs), (), tuple(nodes), tuple(outputs))
        op = stateful_stretch if new else stretch
        return [first.replaced(tuple(inputs), tuple(outputs), {"graph": graph}, op)]

    def read_again(self, part: Part, new: dict[Any, Any]) -> dict[Any, Symbol]:
        """Values of cells that had to be read early, and are read again to be written over.

        So nobody holds them then. A cell is read again by nothing but what replaces its value.
        """
        members, outputs = set(part.nodes), set(self.whole.outputs)
        found = {}
        for x, y in new.items():
            readers = members & set(self.schedule.takers.get(x, ()))
            if x not in self.inner and x not in outputs and readers == {self.makers[y]}:
                found[x] = self.cell(x)
        return found

    def is_all(self, part: Part, inputs: set[Any], outputs: set[Any], new: dict[Any, Any]) -> bool:
        """Whether nothing is left of the program beside a stretch with these inputs and outputs."""
        whole, captures = self.outputs, self.whole.captures
        pairs = zip(self.inputs[len(self.inputs) - len(captures) :], captures, strict=True)
        unread = [capture for x, capture in pairs if x not in inputs]
        return (
            len(self.schedule.parts) == 1
            and all(isinstance(x, Tensor) for x in unread)
            and len(new) == len(self.writes)
            and inputs <= set(self.inputs)
            and outputs == set(whole)
            and len(whole) == len(outputs)
        )

    def after_reads(self, part: Part, new: dict[Any, Any]) -> dict[Node, set[Node]]:
        """Which nodes had better come after which: new values of cells after reads of the old."""
        found: dict[Node, set[Node]] = {}
        for x, y in new.items():
            readers = set(self.schedule.takers.get(x, ())) & set(part.nodes)
            found.setdefault(self.makers[y], set()).update(readers - {self.makers[y]})
        return found


def like(node: Node | None, op: Op, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> Node:
    """An application of `op` of the same line as `node`; of this, where no node is near."""
    if node is None:
        return Node.written(here(), op, inputs, {}, outputs)
    return node.replaced(inputs, outputs, {}, op)


def in_memory_order(
    nodes: Sequence[Node], leaving: set[Any], wishes: dict[Node, set[Node]]
) -> list[Node]:
    """`nodes` in an order that needs little memory at a time, and keeps `wishes` where it can.

    As they come, or each time the node that lets go of most, whichever needs less.
    """
    found = [list(nodes)]
    if len(nodes) <= LONGEST:
        found += [sparing(nodes, leaving, wishes), sparing(nodes, leaving, {})]
    costs = [(broken(order, wishes), peak(order, leaving)) for order in found]
    return found[costs.index(min(costs))]


def broken(order: Sequence[Node], wishes: dict[Node, set[Node]]) -> int:
    """How many of `wishes` an order does not keep."""
    position = {node: k for k, node in enumerate(order)}
    return sum(
        position[before] > position[node] for node, group in wishes.items() for before in group
    )


def sparing(nodes: Sequence[Node], leaving: set[Any], wishes: dict[Node, set[Node]]) -> list[Node]:
    """An order in which each time the node is next that lets go of most memory."""
    made = makers(nodes)
    needs = {node: {made[x] for x in node.inputs if is_array(x) and x in made} for node in nodes}
    wanted = {node: needs[node] | wishes.get(node, set()) for node in nodes}
    readers = uses(nodes)
    position = {node: k for k, node in enumerate(nodes)}
    left, found = list(nodes), []
    done: set[Node] = set()
    while left:
        ready = [node for node in left if wanted[node] <= done]
        ready = ready or [node for node in left if needs[node] <= done]
        best = min(ready, key=lambda node: (growth(node, leaving, readers, made), position[node]))
        left.remove(best)
        done.add(best)
        found.append(best)
        for x in dict.fromkeys(filter(is_array, best.inputs)):
            readers[x].discard(best)
    return found


def growth(
    node: Node, leaving: set[Any], readers: dict[Any, set[Node]], made: dict[Any, Node]
) -> int:
    """How many bytes more are needed when `node` has run; those of what leaves are there anyway."""
    more = sum(size_of(y) for y in node.outputs if y not in leaving)
    gone = [
        x
        for x in dict.fromkeys(filter(is_array, node.inputs))
        if x in made and x not in leaving and readers[x] == {node}
    ]
    return more - sum(map(size_of, gone))


def uses(nodes: Sequence[Node]) -> dict[Any, set[Node]]:
    """Who reads each value."""
    found: dict[Any, set[Node]] = {}
    for node in nodes:
        for x in filter(is_array, node.inputs):
            found.setdefault(x, set()).add(node)
    return found


def peak(nodes: Sequence[Node], leaving: set[Any]) -> int:
    """The most bytes that an order needs at a time, but for what comes and leaves."""
    readers, made = uses(nodes), makers(nodes)
    held = most = 0
    for node in nodes:
        most = max(most, held + sum(size_of(y) for y in node.outputs if y not in leaving))
        held += growth(node, leaving, readers, made)
        for x in dict.fromkeys(filter(is_array, node.inputs)):
            readers[x].discard(node)
    return most
