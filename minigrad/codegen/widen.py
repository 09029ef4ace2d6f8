"""Rows of few columns, several taken for one: what lies side by side fills whole vectors.

A loop over ten columns leaves lanes empty, and has a tail at every turn. Where rows follow each
other in memory without gaps, sixteen of them are one row of 160 columns. What is one number for
each column is copied so many times before; and column sums are taken for each of the 160, and
added up behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..core.lowering import Reduce
from .abreast import native_lanes
from .cost import lanes_for, registers
from .loops import Apply, Buffer, Load, Loop, Place, Statement, Store, Update
from .strips import with_places

WIDTH = 1024
"""Columns of rows taken together, at most."""
FEWEST = 48
"""Rows of them from which on it pays, as sums must be added up behind."""
FULL = 1.0
"""The part of vectors that is filled, below which sums are made wider."""
EMPTY = 0.7
"""The same of what has no sums: it may be made of a product while that is in the cache."""
LONG = 8192
"""Rows of sums above which several are taken for one, however many columns they have, as running
sums of so many lose digits. Not of outermost loops: these are shared, and sums made in parts."""
FILLED = 16
"""Rows of them for which what belongs to columns is copied."""

Access = Load | Store | Update


def widened(body: list[Statement], vector_bytes: int, *, outermost: bool = True) -> list[Statement]:
    """`body`, its loops over rows of few columns made loops over rows of more."""
    found: list[Statement] = []
    for statement in body:
        if not isinstance(statement, Loop) or statement.vector:
            found.append(statement)
            continue
        widening = Widening(statement, vector_bytes, outermost=outermost)
        if widening.count > 1:
            found += widening.loops()
        else:
            inner = widened(statement.body, vector_bytes, outermost=False)
            found.append(replace(statement, body=inner))
    return found


class Widening:
    """The loop over rows `outer`, `count` of which are taken for one; 1: it stays as it is."""

    def __init__(self, outer: Loop, vector_bytes: int, *, outermost: bool):
        self.outer = outer
        self.count = 1
        inner = outer.body[0]
        if len(outer.body) > 1 or not isinstance(inner, Loop) or not inner.vector:
            return
        self.inner = inner
        self.places = [s.place for s in inner.body if isinstance(s, Access)]
        if all(map(self.is_possible, inner.body)) and any(map(self.follows, self.places)):
            native = native_lanes(inner, vector_bytes)
            sums = any(isinstance(s, Update) for s in inner.body)
            is_long = sums and not outermost and outer.extent > LONG
            if is_long or not is_filled(inner.extent, native, FULL if sums else EMPTY):
                self.count = rows_together(outer.extent, inner.extent, native)
            self.lanes = lanes_for(self.count * inner.extent, native)

    def is_possible(self, statement: Statement) -> bool:
        """Whether `statement` can be made for several rows at once."""
        match statement:
            case Load(inside=inside, place=place):
                return not inside and (self.follows(place) or self.is_of_columns(place))
            case Store(place=place):
                return self.follows(place)
            case Update(place=place):
                return self.is_of_columns(place) and isinstance(statement.op.lower, Reduce)
        return isinstance(statement, Apply)

    def follows(self, place: Place) -> bool:
        """Whether a row begins where the one before ends."""
        step = place.stride(self.inner.var)
        return not place.at and place.stride(self.outer.var) == step * self.inner.extent

    def is_of_columns(self, place: Place) -> bool:
        """Whether there is an element for each column, the same in all rows."""
        return not place.at and place.stride(self.outer.var) == 0 and bool(place.buffer.name)

    def loops(self) -> list[Statement]:
        """The loops in the place of `outer`."""
        outer, columns = self.outer, self.inner.extent
        whole = outer.extent // self.count
        wide: dict[Place, Place] = {}
        for place in dict.fromkeys(self.places):
            if not self.follows(place):
                size, var = (self.count * columns,), ((self.inner.var, 1),)
                buffer = Buffer(
                    f"w{len(wide)}_{place.buffer.name}", size, place.buffer.dtype, "sums"
                )
                wide[place] = Place(buffer, 0, var)
        body = with_places(self.inner.body, lambda place: self.moved(place, wide))
        inner = replace(
            self.inner, extent=self.count * columns, body=body, lanes=self.lanes, unroll=1
        )
        sums = [s for s in self.inner.body if isinstance(s, Update)]
        read = [s.place for s in self.inner.body if isinstance(s, Load) and s.place in wide]
        block = outer.block if whole >= outer.block else 1
        rows = Loop(outer.var, whole, [inner], block=block)
        if read:
            whole = whole // FILLED * FILLED
            rows = self.with_copies(
                rows, whole, [self.copies(x, wide[x]) for x in dict.fromkeys(read)]
            )
        found: list[Statement] = [self.cleared(s, wide[s.place]) for s in sums]
        found += [rows, *[self.added(s, wide[s.place]) for s in sums]]
        rest = outer.extent - whole * self.count
        if rest:
            found.append(self.later(rest))
        return found

    def moved(self, place: Place, wide: dict[Place, Place]) -> Place:
        """`place` by rows taken together."""
        if place in wide:
            return wide[place]
        steps = dict(place.strides)
        if self.outer.var in steps:
            steps[self.outer.var] *= self.count
        return replace(place, strides=tuple(steps.items()))

    def with_copies(self, rows: Loop, whole: int, copies: list[Loop]) -> Loop:
        """`rows`, `FILLED` at a time, with copies of what belongs to columns made before."""
        var = f"{self.outer.var}k"

        def apart(place: Place) -> Place:
            step = place.stride(self.outer.var)
            more = ((var, step * FILLED),) if step else ()
            return replace(place, strides=(*more, *place.strides))

        inside = replace(
            rows,
            extent=FILLED,
            body=with_places(rows.body, apart),
            block=rows.block if FILLED % rows.block == 0 else 1,
        )
        return Loop(var, whole // FILLED, [*copies, inside])

    def around(self, statements: Sequence[Statement]) -> Loop:
        """Loops over columns, for each of the rows that are taken together."""
        inner = replace(self.inner, body=list(statements), unroll=1)
        return Loop(f"{self.inner.var}k", self.count, [inner])

    def part(self, wide: Place) -> Place:
        """The columns of one of the rows that are taken together."""
        return replace(wide, strides=((f"{self.inner.var}k", self.inner.extent), *wide.strides))

    def copies(self, place: Place, wide: Place) -> Loop:
        """The loops that copy what belongs to columns."""
        name = f"{wide.buffer.name}_"
        return self.around([Load(name, place), Store(self.part(wide), name)])

    def cleared(self, update: Update, wide: Place) -> Loop:
        """The loop in which wide sums begin."""
        assert isinstance(update.op.lower, Reduce)
        start: Statement = Store(wide, update.op.lower.init(wide.buffer.dtype))
        extent = self.count * self.inner.extent
        return Loop(self.inner.var, extent, [start], lanes=self.lanes, vector=True)

    def added(self, update: Update, wide: Place) -> Loop:
        """The loops that add wide sums to those of columns."""
        name = f"{wide.buffer.name}_"
        return self.around([Load(name, self.part(wide)), replace(update, value=name)])

    def later(self, rest: int) -> Loop:
        """The loop over the last `rest` rows."""
        first = self.outer.extent - rest

        def moved(place: Place) -> Place:
            return replace(place, offset=place.offset + first * place.stride(self.outer.var))

        body, block = with_places(self.outer.body, moved), self.outer.block
        return replace(self.outer, extent=rest, body=body, block=block if rest >= block else 1)


def is_filled(columns: int, native: int, full: float) -> bool:
    """Whether vectors along `columns` are filled up to a part of `full`.

    native: the lanes of a register.
    """
    held = registers(columns, lanes_for(columns, native), native) * native
    return columns >= full * held


def rows_together(rows: int, columns: int, native: int) -> int:
    """How many rows of few columns are taken for one: as many as fill registers; 1 if too few."""
    unit = native // math.gcd(columns, native)
    most = min(WIDTH // (unit * columns), rows // (unit * FEWEST))
    return max(most * unit, 1)
