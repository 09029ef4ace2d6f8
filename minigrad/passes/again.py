"""Which values a group computes again rather than reads: what is cheap, of what it can read."""

from __future__ import annotations

import math
from typing import Any

from ..codegen.arrange import arrange, storable
from ..codegen.bodies import cost, is_array, is_map
from ..codegen.index import Space
from ..codegen.views import MisfitError
from ..core.op import Node
from .groups import HEAVIEST, LARGEST, Grouping, Unit

TRANSFER = 20
"""Instructions in the time that an element takes from memory or back, if threads share it."""
LARGE = 1 << 14
"""Elements from which on an array is in memory rather than in a cache when it is needed again."""
SMALLER = 8
"""How many times smaller what is read instead must be to count nothing: a number for each row."""


def compute_again(grouping: Grouping) -> None:
    """Let groups make values of other groups themselves where that is faster than to read them.

    Derivatives ask for much of what has been computed on the way there: of a GELU, all of its
    intermediate results, which are made of one array in some fifty instructions. What all who need
    it compute again is not stored.
    """
    for unit in grouping.units:
        if unit.space is not None and unit.nodes:
            for other in makers_of_large(grouping, unit):
                try_again(grouping, unit, other)


def makers_of_large(grouping: Grouping, unit: Unit) -> list[Unit]:
    """The groups whose large values `unit` reads, latest first."""
    found = {
        grouping.unit_of[grouping.maker[x]]: None
        for x in origins(grouping, unit)
        if x in grouping.maker and grouping.maker[x] in grouping.unit_of
    }
    others = [other for other in found if other is not unit and other.space is not None]
    return sorted(others, key=lambda other: -other.number)


def origins(grouping: Grouping, unit: Unit) -> list[Any]:
    """The large arrays that `unit` reads, seen through moves."""
    own = {y for node in (*unit.again, *unit.nodes) for y in node.outputs}
    read = {
        grouping.origin(x): None
        for node in (*unit.again, *unit.nodes)
        for x in node.inputs
        if is_array(x)
    }
    return [x for x in read if x not in own and is_large(x)]


def is_large(x: Any) -> bool:
    """Whether `x` is in memory rather than in a cache."""
    return bool(math.prod(x.shape) >= LARGE)


def try_again(grouping: Grouping, unit: Unit, other: Unit) -> None:
    """Let `unit` compute again what it reads of `other`, if that pays and fits its loops."""
    read = dict.fromkeys(origins(grouping, unit))
    wanted = [x for x in read if x in grouping.maker and grouping.maker[x] in other.nodes]
    chain, sources = chain_of(grouping, other, wanted)
    made = {y for node in chain for y in node.outputs}
    saved = [x for x in wanted if x in made]
    if not saved:
        return
    size = max(math.prod(x.shape) for x in saved)
    more = [x for x in sources if x not in read and math.prod(x.shape) * SMALLER > size]
    stores = [x for x in saved if is_only_for(grouping, unit, x)]
    work = sum(cost(node) or 0 for node in chain)
    if work > TRANSFER * (len(saved) + len(stores) - len(more)):
        return
    if len(unit.nodes) + len(unit.again) + len(chain) > LARGEST or unit.work + work > HEAVIEST:
        return
    try:
        space = space_of(grouping, unit, chain)
        check_sources(grouping, other, sources)
    except MisfitError:
        return
    unit.again += [node for node in chain if node not in unit.again]
    unit.space = space
    unit.work += work
    grouping.read_again.update(sources)
    names = ", ".join(dict.fromkeys(node.op.name for node in chain))
    count = f"{len(saved)} arrays" if len(saved) > 1 else "an array"
    unit.notes.append(f"computes {names} again, {work} instructions, rather than read {count}")


def is_only_for(grouping: Grouping, unit: Unit, x: Any) -> bool:
    """Whether nobody but `unit` needs `x` from memory."""
    members = {*unit.nodes, *grouping.unit_of[grouping.maker[x]].nodes}
    return not grouping.needed_outside(x, members)


def check_sources(grouping: Grouping, other: Unit, sources: list[Any]) -> None:
    """Raise MisfitError unless `other` can store what is read of it to make its values again."""
    assert other.space is not None
    found = arrange(other.space)
    for x in sources:
        if grouping.maker.get(x) in other.nodes and not storable(other.space, found, x):
            raise MisfitError("a value is needed elsewhere, and not stored in this order")


def chain_of(grouping: Grouping, other: Unit, wanted: list[Any]) -> tuple[list[Node], list[Any]]:
    """The elementwise nodes of `other` that make `wanted`, in order, and what they are made of."""
    found: dict[Node, None] = {}
    sources: dict[Any, None] = {}
    todo = list(wanted)
    while todo:
        x = grouping.origin(todo.pop())
        node = grouping.maker.get(x)
        again = node is not None and (node in other.nodes or node in other.again)
        if node is None or not again or not is_map(node):
            sources[x] = None
        elif node not in found:
            found[node] = None
            todo += [z for z in node.inputs if is_array(z)]
    return (
        sorted(found, key=grouping.position.__getitem__),
        [x for x in sources if x not in grouping.free],  # constants are
    )


def space_of(grouping: Grouping, unit: Unit, chain: list[Node]) -> Space:
    """The space of `unit` with more nodes. Raises MisfitError where they do not fit."""
    space = Space()
    nodes = {*unit.nodes, *unit.again, *chain}
    for node in sorted(nodes, key=grouping.position.__getitem__):
        grouping.admit(space, node)
    grouping.check_stores(space, unit.nodes)
    return space
