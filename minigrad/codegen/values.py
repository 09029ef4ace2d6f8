"""The values of a loop nest: each is made or loaded once, in the outermost loop it changes along.

Values are asked for by those who need them, and ask for their operands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ops.logic import less, logical_and, where
from .arithmetic import computed
from .arrange import Dims
from .bodies import is_array, is_fold, is_lookup, is_scan, operand_dtypes
from .dims import Nesting
from .loops import Apply, DType, Load, Operand, Place, Scan, Statement, Store
from .phases import Phases
from .places import Places
from .views import Limit, Source

BOOL = np.dtype(np.bool_)
AFTER_ROWS = 1 << 30
"""The pass that comes after all passes over rows."""


@dataclass
class Frame:
    """A loop body being written: the dims of the loops around, and the names known in it."""

    open: Dims = frozenset()
    body: list[Statement] = field(default_factory=list)
    names: dict[Any, Operand] = field(default_factory=dict)


class Values:
    """The statements of a nest while it is written. Frame k is inside of the k outermost loops.

    current: the pass over a row that is being written.
    """

    def __init__(self, nesting: Nesting):
        self.nesting = nesting
        self.found = nesting.found
        self.phases = Phases(nesting)
        self.cols = self.phases.cols
        self.places = Places(nesting, self.phases)
        self.frames = [Frame()]
        self.serial = 0
        self.current = 0

    def value(self, y: Any) -> Operand:
        """The name of the value `y`, computed or loaded where it is not known yet."""
        for x in self.unknown(y):
            self.make(x)
        name = self.known_name(y)
        assert name is not None
        return name

    def unknown(self, y: Any) -> list[Any]:
        """The values to be made for `y`, operands first; not by recursion, for chains are long."""
        found, todo = set(), [y]
        while todo:
            x = todo.pop()
            if x not in found and self.known_name(x) is None:
                found.add(x)
                todo += [z for z in self.operands_of(x) if z in self.nesting.makers]
        return [x for x in self.nesting.makers if x in found] if len(found) > 1 else list(found)

    def operands_of(self, y: Any) -> list[Any]:
        """The values that `y` is made of here; none where it is loaded."""
        if self.is_loaded(y):
            return []
        inputs = self.nesting.makers[y].inputs
        return [self.nesting.source(x) for x in inputs if is_array(x)]

    def is_loaded(self, y: Any) -> bool:
        """Whether `y` has been made before, and is in memory."""
        return self.phases.is_column_sum(y) or self.phases.kept.get(y, AFTER_ROWS) < self.current

    def make(self, y: Any) -> None:
        """Write the statement that makes `y`, whose operands are known."""
        node, level = self.nesting.makers[y], self.level(self.phases.changing[y])
        kept = self.phases.kept.get(y)
        if self.is_loaded(y):
            name, place = self.fresh(), self.places.kept(y)
            self.emit(Load(name, place), level)
            name = self.rounded(name, place.buffer.dtype, y, level)
        else:
            table = self.table(y) if is_lookup(node) else None
            operands = () if table else tuple([self.operand(x, y) for x in node.inputs])
            name, dtype = self.fresh(), computed(y.dtype)
            if table:
                self.emit(Load(name, table), level)
            elif self.phases.runs_over_rows(y):
                before, place = self.fresh(), self.places.state(y)
                dtypes = (dtype,) * (1 + len(operands))
                self.emit(Load(before, place), level)
                self.emit(Apply(name, node.op, (before, *operands), dtypes, dtype), level)
                self.emit(Store(place, name), level)
                name = self.rounded(name, dtype, y, level)
            elif is_scan(node):
                self.emit(Scan(name, node.op, operands, dtype), level)
                name = self.rounded(name, dtype, y, level)
            else:
                self.emit(self.applied(name, node, operands), level)
            if kept == self.current and y in self.places.own:
                self.emit(Store(self.places.kept(y), name), level)
        self.frames[level].names[y] = name

    def rounded(self, name: str, dtype: DType, y: Any, level: int) -> str:
        """The name of the value `y`, which is known as `name` in `dtype`."""
        if dtype == y.dtype:
            return name
        narrow = self.fresh()
        self.emit(Apply(narrow, None, (name,), (y.dtype,), y.dtype), level)
        return narrow

    def table(self, y: Any) -> Place:
        """The place of the element that `y` looks up, or of what it is added to."""
        source = self.nesting.tables[y]
        at = [(str(self.operand(x, y)), stride) for x, stride in source.at]
        return self.places.input(source, tuple(at))

    def applied(self, name: str, node: Any, operands: tuple[Operand, ...]) -> Apply:
        """The statement of a map; what is folded over axes of length 1 is itself."""
        op = None if is_fold(node) else node.op
        return Apply(name, op, operands, operand_dtypes(node), node.outputs[0].dtype)

    def operand(self, x: Any, y: Any) -> Operand:
        """The name of the input `x` of the node that makes `y`."""
        if isinstance(x, bool | int | float | complex):
            return x
        source = self.nesting.source(x)
        if source in self.nesting.makers:
            return self.value(source)
        return self.loaded(self.nesting.loads[x, y])

    def loaded(self, source: Source) -> Operand:
        """The name of an element of an input.

        Where it lies is there, whatever limits along other dims than its own say: these choose
        among what has been read, which loops outside of theirs can do, and without a mask.
        """
        apart = [limit for limit in source.limits if self.is_apart(limit, source)]
        source = source._replace(limits=tuple([x for x in source.limits if x not in apart]))
        place, inside = self.places.input(source), self.within(source.limits)
        read = self.known(
            source.dims, (place, inside), lambda name: Load(name, place, inside, source.fill)
        )
        if not apart:
            return read
        dims = source.dims.union(*[limit.strides for limit in apart])
        operands, dtype = (self.within(apart), read, source.fill), place.buffer.dtype
        dtypes = (BOOL, dtype, dtype)
        return self.known(
            dims, operands, lambda name: Apply(name, where.op, operands, dtypes, dtype)
        )

    def is_apart(self, limit: Limit, source: Source) -> bool:
        """Whether `limit` is along one dim, along which `source` stays where it is, and holds."""
        if len(limit.strides) != 1 or not source.strides.keys().isdisjoint(limit.strides):
            return False
        ((dim, stride),) = limit.strides.items()
        ends = limit.offset, limit.offset + stride * (self.nesting.space.extents[dim] - 1)
        first = min(ends) % abs(stride) if min(ends) < 0 else min(ends)
        return first <= max(ends) and first < limit.extent

    def within(self, limits: Sequence[Limit]) -> str:
        """The name of the mask that is true within all limits; empty if there is none."""
        mask, dims = "", frozenset[int]()
        for limit in sorted(limits, key=lambda limit: self.level(frozenset(limit.strides))):
            below, dims = self.below(limit), dims.union(limit.strides)
            pair = mask, below
            mask = self.known(dims, pair, functools.partial(both, *pair)) if mask else below
        return mask

    def below(self, limit: Limit) -> str:
        """The name of the mask that is true within a limit."""
        dims, place = frozenset(limit.strides), self.places.number(limit)
        number = self.known(dims, place, lambda name: Load(name, place))
        operands, dtypes = (number, limit.extent), (place.buffer.dtype,) * 2
        return self.known(dims, operands, lambda name: Apply(name, less.op, operands, dtypes, BOOL))

    def known(self, dims: Dims, key: Any, statement: Callable[[str], Statement]) -> str:
        """The name of what `statement` gives along `dims`; it is written if it is not known yet."""
        known = self.known_name(key)
        if known is not None:
            return str(known)
        name, level = self.fresh(), self.level(dims)
        self.emit(statement(name), level)
        self.frames[level].names[key] = name
        return name

    def known_name(self, key: Any) -> Operand | None:
        """The name of a value or place known in the loops that are open."""
        for frame in reversed(self.frames):
            if key in frame.names:
                return frame.names[key]
        return None

    def level(self, dims: Dims) -> int:
        """The outermost frame in which a value that changes along `dims` can be made."""
        return next(k for k, frame in enumerate(self.frames) if dims <= frame.open)

    def emit(self, statement: Statement, level: int = -1) -> None:
        """Append a statement to the body of a frame; by itself, of the innermost."""
        self.frames[level].body.append(statement)

    def fresh(self) -> str:
        """A name for a value."""
        self.serial += 1
        return f"v{self.serial}"


def both(mask1: str, mask2: str, name: str) -> Apply:
    """The statement of the mask that is true where two are."""
    return Apply(name, logical_and.op, (mask1, mask2), (BOOL, BOOL), BOOL)
