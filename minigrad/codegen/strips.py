"""Strips: loops over columns cut into short ones, and loops turned to run the other way.

Running results along rows, and sums of columns, keep one number per column. In strips of columns
these stay in the cache, and threads share the strips, each of which begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import replace

from .loops import Buffer, Fold, Load, Loop, Place, Statement, Store, Update, statements

STATE = 4096
"""Numbers that are kept for the columns of one strip, at most."""
WIDE = 2 * STATE
"""Columns from which on their sums are made in strips."""
SEVERAL = 1 << 18
"""Elements from which on there are several strips, for threads to share."""
STRIPS = 8
"""How many, then."""
NARROWEST = 64
"""Columns of a strip that is cut for threads."""


def length_of_strips(rows: int, extents: list[int], *, shared: bool) -> int:
    """How many rounds of the outermost of loops over columns, of `extents`, make a strip.

    shared: whether threads are to share them; else they are only cut to fit into the cache.
    """
    n, inner = extents[0], math.prod(extents[1:])
    count = -(-n * inner // STATE)
    if shared and rows * n * inner >= SEVERAL:
        count = max(count, min(STRIPS, n * inner // NARROWEST))
    length = n // max(count, 1)
    return max(length // 16 * 16 if inner == 1 else length, 1) if count > 1 else n


def in_strips(body: list[Statement], var: str, extent: int, length: int) -> list[Statement]:
    """`body`, with `extent` rounds of its loops over `var`, for strips of `length` in turn."""
    whole, rest = divmod(extent, length)
    if whole < 2 or not all(map(is_parted, statements(body))):
        return body
    local = ("scratch", "sums")
    first = resized(body, length, extent)
    found: list[Statement] = [
        Loop(f"{var}k", whole, strip(first, var, length, 0, f"{var}k", local=local))
    ]
    last = resized(body, rest, extent, "r")
    return found + (strip(last, var, rest, whole * length, local=local) if rest else [])


def is_parted(statement: Statement) -> bool:
    """Whether what `statement` gives belongs to one column, so that strips do not meet in it."""
    return not isinstance(statement, Fold) and not (
        isinstance(statement, Store | Update) and statement.place.at
    )


def resized(body: list[Statement], length: int, extent: int, suffix: str = "") -> list[Statement]:
    """`body`, its own buffers made for `length` of `extent` columns, and named apart."""

    def changed(place: Place) -> Place:
        buffer = place.buffer
        if buffer.role not in ("scratch", "sums"):
            return place
        shape = (buffer.shape[0] // extent * length,)
        return replace(place, buffer=Buffer(buffer.name + suffix, shape, buffer.dtype, buffer.role))

    return with_places(body, changed)


def strip(
    body: list[Statement],
    var: str,
    length: int,
    start: int,
    strips: str = "",
    *,
    local: Collection[str] = ("scratch",),
) -> list[Statement]:
    """`body` with its loops over `var` made for `length` rounds from `start` on.

    strips: the variable of a loop around that goes from strip to strip; none if empty. local:
    roles of buffers that hold what belongs to one strip.
    """

    def moved(place: Place) -> Place:
        stride = place.stride(var)
        if not stride or place.buffer.role in local:
            return place
        more = ((strips, length * stride),) if strips else ()
        offset = place.offset + start * stride
        return replace(place, offset=offset, strides=(*more, *place.strides))

    return shortened(with_places(body, moved), var, length)


def shortened(body: list[Statement], var: str, length: int) -> list[Statement]:
    """`body`, its loops over `var` of `length` rounds."""
    return [
        replace(
            s,
            extent=length if s.var == var else s.extent,
            body=shortened(s.body, var, length),
        )
        if isinstance(s, Loop)
        else s
        for s in body
    ]


def turned_round(loop: Loop) -> Loop:
    """`loop`, its last round first."""

    def mirrored(place: Place) -> Place:
        strides = dict(place.strides)
        if loop.var not in strides:
            return place
        last = strides[loop.var] * (loop.extent - 1)
        strides[loop.var] *= -1
        return replace(place, offset=place.offset + last, strides=tuple(strides.items()))

    return replace(loop, body=with_places(loop.body, mirrored))


def with_places(body: list[Statement], change: Callable[[Place], Place]) -> list[Statement]:
    """`body` with other places."""
    found: list[Statement] = []
    for statement in body:
        match statement:
            case Loop():
                found.append(replace(statement, body=with_places(statement.body, change)))
            case Load() | Store() | Update():
                found.append(replace(statement, place=change(statement.place)))
            case _:
                found.append(statement)
    return found
