"""Loops whose last vector begins so early that it is whole, and that have no tail of their own.

A tail is the body once more, which takes as long to compile as the loop. Some rounds are made
twice instead, so none may see what another has left, nor add to it.
"""

from __future__ import annotations

from .abreast import weight
from .loops import Apply, Buffer, Fetch, Fold, Load, Loop, Statement, Store, statements

LONG = 8
"""Instructions of a body that is not to be written twice."""
FEW = 4
"""Vectors up to which a loop is short, so that a narrow tail takes less time than a whole one."""


def ends_whole(loop: Loop) -> bool:
    """Whether the last vector of `loop` is to begin where it is whole.

    What it stores to must not be in the memory of what it loads.
    """
    rest = loop.extent % loop.lanes
    if not rest or loop.extent < loop.lanes or loop.folds or loop.past:
        return False
    if loop.extent < FEW * loop.lanes and 2 * rest <= loop.lanes:
        return False
    body = [*statements(loop.body)]
    if sum(map(weight, body)) < LONG or not all(map(is_made_again, body)):
        return False
    return loaded(body).isdisjoint(stored(body))


def is_made_again(statement: Statement) -> bool:
    """Whether `statement` may run twice, as far as it does not read what it has written."""
    if isinstance(statement, Store):
        return not statement.place.at  # one place may be written to by several rounds
    return isinstance(statement, Load | Apply | Fetch | Loop | Fold)


def loaded(body: list[Statement]) -> set[Buffer]:
    """The memory that is read, but for what each round fills before."""
    return {s.place.buffer for s in body if isinstance(s, Load) and s.place.buffer.lanes == 1}


def stored(body: list[Statement]) -> set[Buffer]:
    """The memory that is written."""
    return {s.place.buffer for s in body if isinstance(s, Store)}
