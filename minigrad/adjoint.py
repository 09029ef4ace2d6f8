"""The derivative of a loop whose number of rounds is known: another loop, the other way round.

Before derivatives are taken, the loop is made to stack what they will read of each round: what is
carried in and out, and the residuals of the body. The way back carries the cotangents of what was
carried, and the sums of those of what stays. It is a node like the first one: it is compiled,
batched and differentiated as that is.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from . import fission
from .core.later import later
from .core.op import Attrs, Op
from .core.registry import api
from .core.tensor import Tensor
from .graph import Graph, evaluate, saved, trace
from .ops.arithmetic import add

split = later("passes.split")

PEELED = 4
"""Rounds that the way back runs by themselves, if they differ from the others, at most."""


def opened(attrs: Attrs, rounds: int | None) -> Attrs | None:
    """The attributes of a loop that stacks what its derivative reads; None if it cannot be."""
    body, carried = attrs["body"], attrs["carried"]
    if not rounds or not all(x.spec.known for x in body.inputs):
        return None
    if "opened" not in body.cache:
        body.cache["opened"] = stacking_residuals(body, carried)
    graph = body.cache["opened"]
    return None if graph is None else {**attrs, "condition": None, "body": graph, "length": rounds}


def stacking_residuals(body: Graph, carried: int) -> Graph | None:
    """`body`, which also gives its residuals, and what it takes and gives on; None if it cannot."""
    forward = split.split(body).forward
    if not all(y.spec.known and y.dtype.kind != "O" for y in forward.outputs):
        return None  # records of what ran are no arrays
    outputs = (*forward.outputs, *forward.inputs[:carried], *forward.outputs[:carried])
    graph = Graph(forward.name, forward.inputs, forward.captures, forward.nodes, outputs)
    graph.cache["opened"] = graph
    return graph


class Back:
    """The walk back through the rounds of an opened loop, from the last to the first.

    carry: the cotangents of what is carried, between two rounds. rows: those of what is stacked.
    totals: of the inputs that stay, so far. pieces: of those that come slice by slice, for rounds
    with their lengths, the last first; None for zeros. left: how many rounds are to come.
    """

    def __init__(
        self, op: Op, gs: Sequence[Any], outputs: Any, inputs: Any, asked: set[int], attrs: Attrs
    ) -> None:
        self.op, self.attrs, self.asked = op, attrs, asked
        self.body: Graph = attrs["body"]
        self.carried: int = attrs["carried"]
        self.reverse: bool = attrs.get("reverse", False)
        self.end: int = self.carried + attrs["scanned"]
        self.inputs, self.outputs = inputs, outputs
        self.carry, self.rows = list(gs[: self.carried]), list(gs[self.carried :])
        self.count = self.left = int(attrs["length"])
        self.totals: dict[int, Any] = {}
        self.pieces: dict[int, list[tuple[int, Any]]] = {
            i: [] for i in range(self.carried, self.end)
        }
        # the first place of a value is the one that others read as well
        stacks = list(enumerate(self.body.outputs))[self.carried :]
        self.places = {y: k for k, y in reversed(stacks)}

    def run(self) -> bool:
        """All rounds; False where they differ too much from each other to be a loop."""
        cut = split.closed(self.body)
        while self.left and any(g is not None for g in (*self.carry, *self.rows)):
            found = cut.backward(tuple([g is not None for g in (*self.carry, *self.rows)]))
            given = [i for i, g in enumerate(self.carry) if g is not None]
            after = [i for i in found[2] if i < self.carried]
            wider = self.widened(cut, given, after)
            if given == after:
                self.loop(*found)
            elif wider is not None:
                self.loop(*wider)
            elif self.count - self.left < PEELED:
                self.peel(*found)
            else:
                return False
        return True

    def widened(self, cut: Any, given: Sequence[int], after: Sequence[int]) -> Any:
        """The way back of a round for cotangents of all that have one before it, or None.

        Those that have none behind it begin as zeros, where these are added to something: then no
        value is another one, as -0.0 is neutral.
        """
        if self.left < 2 or not set(given) < set(after):
            return None
        found = cut.backward(
            (*[i in after for i in range(self.carried)], *[g is not None for g in self.rows])
        )
        fresh = [(k, i) for k, i in enumerate(after) if i not in given]
        if [i for i in found[2] if i < self.carried] != after:
            return None
        if not all(is_summand(found[0], found[0].inputs[k]) for k, _ in fresh):
            return None
        for _, i in fresh:
            self.carry[i] = nothing(self.inputs[i])
        return found

    def taken(self, place: Any) -> Any:
        """What the rounds took or gave at a place, stacked; None for what stays in all of them."""
        if type(place) is not int or self.end <= place < len(self.inputs):
            return None
        if self.carried <= place < self.end:
            return self.inputs[place]
        value = (*self.body.inputs, *self.body.outputs)[place]
        return self.outputs[self.places[value]]

    def still(self, place: Any) -> Any:
        """What stays in all rounds: an input, or a constant."""
        return self.inputs[place] if type(place) is int else place

    def peel(self, backward: Graph, places: Sequence[Any], targets: Sequence[int]) -> None:
        """One round by itself."""
        self.left -= 1
        k = self.count - 1 - self.left if self.reverse else self.left
        bars = [g for g in self.carry if g is not None]
        bars += [g[k] for g in self.rows if g is not None]
        stacks = [(place, self.taken(place)) for place in places]
        captures = [self.still(place) if x is None else x[k] for place, x in stacks]
        answers = dict(zip(targets, evaluate(backward, (*bars, *captures)), strict=True))
        self.carry = [answers.get(i) for i in range(self.carried)]
        for i, pieces in self.pieces.items():
            pieces.append((1, answers[i][None] if i in answers else None))
        for i in sorted(self.asked.intersection(targets)):
            if i >= self.end:
                self.add(i, answers[i])

    def add(self, i: int, bar: Any) -> None:
        """Take one more part of the cotangent of the input `i`, which stays."""
        self.totals[i] = self.totals[i] + bar if i in self.totals else bar

    def loop(self, backward: Graph, places: Sequence[Any], targets: Sequence[int]) -> None:
        """All rounds that are left, as a loop; and what is summed of their results behind it."""
        bars = [g for g in self.carry if g is not None]
        rows = [g for g in self.rows if g is not None]
        captured = [self.taken(place) for place in places]
        if self.reverse and self.left < self.count:  # a loop ends where its slices begin
            cut = self.count - self.left
            rows, captured = (
                [x[cut:] for x in rows],
                [None if x is None else x[cut:] for x in captured],
            )
        way = self.way(backward, len(bars), tuple([x is not None for x in captured]), targets)
        moving = [*rows, *[x for x in captured if x is not None]]
        pairs = zip(places, captured, strict=True)
        still = [self.still(place) for place, x in pairs if x is None]
        totals = [self.total(i) for i in way.sums]
        sizes = {"carried": len(bars) + len(totals), "scanned": len(moving), "length": self.left}
        changed = {"body": way.body, "reverse": not self.reverse}
        given = (*bars, *totals, *moving, *still, *way.body.captures)
        attrs = saved(self.op, given, {**self.attrs, **sizes, **changed})
        answers = iter(self.op(*given, **attrs))
        self.carry = [None if g is None else next(answers) for g in self.carry]
        self.totals.update({i: next(answers) for i in way.sums})
        parts = {i: next(answers) for i in way.parts}
        for i, pieces in self.pieces.items():
            pieces.append((self.left, parts.get(i)))
        stacked = [*[x[: self.left] for x in moving], *parts.values()]
        stacks = dict(zip(way.plan.given, stacked, strict=True))
        stacks.update(zip(way.plan.stacks, answers, strict=False))
        for term in way.plan.terms:
            shape = self.inputs[term.total].shape
            self.add(term.total, fission.behind(term, stacks, shape))
        self.left = 0

    def way(self, backward: Graph, bars: int, moves: tuple[bool, ...], targets: Any) -> Way:
        """How the rounds go that `backward` takes back; moves: which captures are slices."""
        totals = [i for i in targets if i in self.asked and i >= self.end]
        parts = [i for i in targets if i in self.asked and self.carried <= i < self.end]
        key = ("adjoint", moves, tuple(totals), tuple(parts))
        if key not in backward.cache:
            answers = dict(zip(targets, backward.outputs, strict=True))
            backward.cache[key] = way_of(
                backward,
                bars,
                moves,
                {i: answers[i] for i in totals},
                {i: answers[i] for i in parts},
                compiles=bool(self.attrs["jit"]),
            )
        made: Way = backward.cache[key]
        return made

    def total(self, i: int) -> Any:
        """The cotangent of an input that stays, before the loop."""
        return self.totals[i] if i in self.totals else nothing(self.inputs[i])

    def bar(self, i: int) -> Any:
        """The cotangent of the input `i`; None where it has no path."""
        if i < self.carried:
            return self.carry[i]
        if i >= self.end:
            return self.totals.get(i)
        pieces = [*self.pieces[i], *[(self.left, None)] * (self.left > 0)]
        if all(piece is None for _, piece in pieces):
            return None
        shape, dtype = self.inputs[i].shape[1:], self.inputs[i].dtype
        pieces = pieces if self.reverse else pieces[::-1]
        beyond = self.inputs[i].shape[0] - self.count
        pieces += [(beyond, None)] * (beyond > 0)
        whole = [
            api.zeros((n, *shape), dtype=dtype) if piece is None else piece for n, piece in pieces
        ]
        return whole[0] if len(whole) == 1 else api.concat(whole, axis=0)


class Way(NamedTuple):
    """How rounds go back in a loop.

    body: takes cotangents that are carried, and sums; then what comes in slices, and what stays.
    sums: the inputs whose cotangents are summed in the loop; plan: what is summed behind it.
    parts: the inputs whose cotangents are stacked.
    """

    body: Graph
    sums: list[int]
    parts: list[int]
    plan: fission.Plan


def way_of(
    backward: Graph,
    bars: int,
    moves: Sequence[bool],
    totals: dict[int, Any],
    parts: dict[int, Any],
    *,
    compiles: bool,
) -> Way:
    """How rounds of `backward` go, whose first `bars` arguments and results are carried."""
    count = len(backward.arguments)
    captured = list(zip(backward.inputs[count:], moves, strict=True))
    moving = [*backward.inputs[bars:count], *[x for x, moves_on in captured if moves_on]]
    still = [x for x, moves_on in captured if not moves_on]
    varying = (*backward.inputs[:bars], *moving)
    plan = fission.planned(backward, totals, varying, (*moving, *parts.values()))
    left = {i: values for i, values in plan.left.items() if values}
    summands = [y for values in left.values() for y in values]
    outputs = (*backward.outputs[:bars], *summands, *parts.values(), *plan.stacks)
    inner = Graph(backward.name, backward.inputs, backward.captures, backward.nodes, outputs)

    def step(*xs: Any) -> list[Any]:
        sofar, rest = xs[bars : bars + len(left)], xs[bars + len(left) :]
        named = dict(zip((*moving, *still), rest, strict=True))
        found = iter(evaluate(inner, (*xs[:bars], *[named[x] for x in inner.inputs[bars:]])))
        carry = [next(found) for _ in range(bars)]
        groups = [[next(found) for _ in values] for values in left.values()]
        added = [
            x + functools.reduce(operator.add, group)
            for x, group in zip(sofar, groups, strict=True)
        ]
        return [*carry, *added, *found]

    specs = [x.spec for x in (*backward.inputs[:bars], *[totals[i] for i in left])]
    specs += [x.spec for x in (*moving, *still)]
    body, _ = trace(step, specs, backward.name, compiles=compiles)
    return Way(body, list(left), list(parts), plan)


def is_summand(graph: Graph, x: Any) -> bool:
    """Whether `graph` does nothing with its input `x` but add it to something of its shape."""
    users = [node for node in graph.nodes if x in set(node.inputs)]
    sums = [node for node in users if node.op is add.op]
    others = [[y for y in node.inputs if y is not x] for node in sums]
    alike = all(len(ys) == 1 and getattr(ys[0], "spec", None) == x.spec for ys in others)
    return alike and len(sums) == len(users) and x not in set(graph.outputs)


def nothing(x: Any) -> Tensor:
    """What a sum of the shape and dtype of an input begins with: -0.0, as 0.0 + -0.0 is 0.0."""
    zero = complex(-0.0, -0.0) if x.dtype.kind == "c" else -0.0
    made: Tensor = api.full(x.shape, zero, dtype=x.dtype)
    return made


def pulled(
    op: Op,
    gs: Sequence[Any],
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    needed: Sequence[bool],
    attrs: Attrs,
    rounds: int | None,
) -> list[Any] | None:
    """The cotangents of the inputs of a loop; None where they take a record of its run."""
    wider = opened(attrs, rounds)
    if wider is None:
        return None
    if wider["body"] is not attrs["body"]:  # nothing has been stacked: once more
        outputs = op(*inputs, **wider)
        gs = [*gs, *[None] * (len(outputs) - len(gs))]
    asked = {i for i, need in enumerate(needed) if need and inputs[i].dtype.kind in "fc"}
    back = Back(op, gs, outputs, inputs, asked, wider)
    if not back.run():
        return None
    return [back.bar(i) if i in asked else None for i in range(len(inputs))]
