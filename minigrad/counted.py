"""Loops whose number of rounds is known before the first: those that count up to a bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .core.tensor import Tensor
from .graph import Graph
from .ops.arithmetic import add
from .ops.logic import less


class Counter(NamedTuple):
    """A loop goes on while what is carried at `place` is less than `bound`; a round adds 1 to it.

    bound: a number, or which input of the condition has it.
    """

    place: int
    bound: int
    is_input: bool


def rounds_of(condition: Graph, body: Graph, values: Sequence[Any], carried: int) -> int | None:
    """How many rounds a loop from `values` makes; None where only its condition can tell.

    values: the arrays and cells that the loop is given, first what is carried; None for what is
    not known yet.
    """
    if "counter" not in condition.cache:
        condition.cache["counter"] = {}
    known = condition.cache["counter"]
    if body not in known:
        known[body] = counter_of(condition, body, carried)
    counter: Counter | None = known[body]
    if counter is None:
        return None
    begin = values[counter.place]
    end = values[counter.bound] if counter.is_input else counter.bound
    return None if begin is None or end is None else max(0, int(end) - int(begin))


def counter_of(condition: Graph, body: Graph, carried: int) -> Counter | None:
    """The counter of a loop, if it has one."""
    if [node.op for node in condition.nodes] != [less.op]:
        return None
    (node,) = condition.nodes
    x, bound = node.inputs
    given: dict[Any, int] = {y: k for k, y in enumerate(condition.inputs)}
    place = given.get(x, carried) if isinstance(x, Tensor) else carried
    if place >= carried or x.dtype.kind not in "iu" or x.shape != () or not counts(body, place):
        return None
    if isinstance(bound, Tensor):
        # what is carried may change, and so may a bound
        k = given.get(bound, 0)
        is_fixed = k >= carried and bound.shape == () and bound.dtype == x.dtype
        return Counter(place, k, True) if is_fixed else None
    return Counter(place, bound, False) if type(bound) is int else None


def counts(body: Graph, place: int) -> bool:
    """Whether a round adds 1 to what is carried at `place`."""
    makers = {y: node for node in body.nodes for y in node.outputs}
    node = makers.get(body.outputs[place])
    if node is None or node.op is not add.op:
        return False
    one = [x for x in node.inputs if x is not body.inputs[place]]
    return len(one) == 1 and type(one[0]) is int and one[0] == 1
