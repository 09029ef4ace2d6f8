"""What is the same in all rounds of a loop is computed once, before it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..core.lowering import Contract, Count, Move, Pointwise, Reduce, Scan, Transform
from ..core.op import Node
from ..core.spec import OPAQUE
from ..core.tensor import Symbol
from ..graph import Graph, needed
from ..ops.shape import identity
from .dce import dce
from .rewrite import mapped, rebuilt, renewed

FREE = (Move, Count)
"""What takes no work of its own in a loop nest: it is seen, or counted."""
HARMLESS = (Pointwise, Reduce, Scan, Move, Count, Contract, Transform)
"""What may be computed where a loop makes no round at all: it cannot fail."""


def hoist(graph: Graph) -> Graph:
    """`graph`, whose loops leave to it what only depends on what stays in all rounds.

    That is done for what takes work, and what goes on with it and is no larger: the rounds read it,
    where they would compute cheap things again.

    Before::

        def body(v0, v1):                                   # float32[3], float32[3]
            v2 = exp(v1)                                    # float32[3]
            v3 = multiply(v0, v2)                           # float32[3]
            return (v3,)

        def graph(v0, v1):                                  # float32[3], float32[3]
            (v2,) = loop(v0, v1, condition=None, body=body, carried=1, scanned=0, length=8)
            return (v2,)

    After::

        def body(v0, v1, v2):                               # float32[3], float32[3], float32[3]
            v3 = multiply(v0, v1)                           # float32[3]
            return (v3,)

        def graph(v0, v1):                                  # float32[3], float32[3]
            v2 = exp(v1)                                    # float32[3]
            (v3,) = loop(v0, v2, v1, condition=None, body=body, carried=1, scanned=0, length=8)
            return (v3,)
    """
    if not any(is_open(node) for node in graph.nodes):
        return graph
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.extend(parted(node) if is_open(node) else [node])
    return rebuilt(graph, nodes, {})


def is_open(node: Node) -> bool:
    """Whether `node` is a loop that leaves no record of its rounds, which would name its inputs."""
    return "body" in node.attrs and "carried" in node.attrs and not node.attrs["saving"]


def parted(loop: Node) -> list[Node]:
    """What is to be computed before `loop`, and the loop without it."""
    end = loop.attrs["carried"] + loop.attrs["scanned"]
    body = dce(hoist(loop.attrs["body"]))
    rounds = loop.rounds
    if rounds is not None and rounds < 2:
        return [loop]
    pure = not any(node.op.stateful for node in body.nodes)
    staying = same_in_all_rounds(body, end, may_fail=rounds is not None and pure)
    taken = worth_taking(staying, set(body.inputs[end:]))
    if not taken:
        return [loop]
    values: dict[Any, Any] = dict(zip(body.inputs[end:], loop.inputs[end:], strict=True))
    before = renewed(needed(staying, [y for node in taken for y in node.outputs]), values)
    ends = set(body.outputs)
    rest = [node for node in body.nodes if node not in taken]
    read = ends.union(x for node in rest for x in node.inputs if type(x) is Symbol)
    makers = {y: node for node in staying if node in taken for y in node.outputs}
    given = [y for y in makers if y in read]
    places = {y: Symbol(y.shape, y.dtype, None) for y in given}
    # what a body gives, it makes
    copies = [makers[y].replaced((places[y],), (y,), {}, identity.op) for y in given if y in ends]
    others = [node.replaced(mapped(node.inputs, places), node.outputs) for node in rest]
    attrs = dict(loop.attrs)
    attrs["body"] = taking_also(body, places.values(), end, (*copies, *others))
    if attrs["condition"] is not None:
        blanks = [Symbol(y.shape, y.dtype, None) for y in given]
        condition = attrs["condition"]
        attrs["condition"] = taking_also(condition, blanks, end, condition.nodes)
    inputs = (*loop.inputs[:end], *[values[y] for y in given], *loop.inputs[end:])
    return [*before, loop.replaced(inputs, loop.outputs, attrs)]


def same_in_all_rounds(body: Graph, end: int, *, may_fail: bool) -> list[Node]:
    """The nodes of `body` that give the same in each round; its inputs from `end` on stay.

    may_fail: take also what could raise an error, as there is a round that would.
    """
    same, found = set(body.inputs[end:]), []
    for node in body.nodes:
        settled = not node.op.stateful and (may_fail or isinstance(node.op.lower, HARMLESS))
        known = all(elements(y) is not None for y in node.outputs)
        if settled and known and all(x in same for x in node.inputs if type(x) is Symbol):
            same.update(node.outputs)
            found.append(node)
    return found


def worth_taking(staying: list[Node], fixed: set[Any]) -> set[Node]:
    """Those of the nodes that take work, and those that go on with it and give no more."""
    taken: set[Node] = set()
    depending, made = set(fixed), dict[Any, int]()
    for node in staying:
        if depending.isdisjoint(x for x in node.inputs if type(x) is Symbol):
            continue  # made of numbers alone, which `fold` knows
        depending.update(node.outputs)
        most = max([made[x] for x in node.inputs if x in made], default=0)
        sizes = {y: elements(y) or 0 for y in node.outputs}
        if takes_work(node) or 0 < max(sizes.values(), default=0) <= most:
            taken.add(node)
            made.update(sizes)
    for node in reversed(staying):  # what the rounds can see through is left to them
        read = {x for other in taken for x in other.inputs if type(x) is Symbol}
        if node in taken and isinstance(node.op.lower, FREE) and read.isdisjoint(node.outputs):
            taken.discard(node)
    return taken


def takes_work(node: Node) -> bool:
    """Whether it is worth a value that is read, not to compute `node` again."""
    lower = node.op.lower
    return not (lower.cheap if isinstance(lower, Pointwise) else isinstance(lower, FREE))


def elements(y: Any) -> int | None:
    """How many elements `y` has, if that is known, and if it is an array."""
    shape: tuple[int | None, ...] | None = y.shape
    if shape is None or y.dtype == OPAQUE.dtype:
        return None
    dims = [n for n in shape if n is not None]
    return math.prod(dims) if len(dims) == len(shape) else None


def taking_also(graph: Graph, more: Iterable[Symbol], end: int, nodes: Iterable[Node]) -> Graph:
    """`graph` of other nodes, which takes `more` as well, before its inputs from `end` on."""
    inputs = (*graph.inputs[:end], *more, *graph.inputs[end:])
    return Graph(graph.name, inputs, graph.captures, tuple(nodes), graph.outputs)
