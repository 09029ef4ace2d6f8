"""How often a row is gone through, and what is kept from one time to the next.

A value that depends on a reduction of the row can only be made in a later pass over it. What
several passes need is made again if that is cheap, else kept in a scratch row.
"""

from __future__ import annotations

from typing import Any

from .arrange import Dims
from .bodies import arriving, cost, is_array, is_fold, is_scan, is_scatter
from .dims import Nesting

AGAIN = 6
"""Instructions, loads included, that are repeated rather than kept in a scratch row."""


class Phases:
    """For each value of a group, what it changes along, and the first pass that knows it.

    stored: the outputs that are stored from within the rows. roots: by pass, the values that make
    it necessary. kept: the values that later passes load, by the pass that makes them.
    """

    def __init__(self, nest: Nesting):
        self.nest = nest
        self.cols: Dims = frozenset(nest.found.cols)
        self.changing: dict[Any, Dims] = {}
        self.first: dict[Any, int] = {}
        for y in nest.makers:
            self.enter(y)
        self.stored = [y for y in nest.graph.outputs if nest.source(y) not in nest.found.late]
        self.roots = self.find_roots()
        self.kept = self.values_to_keep()

    def enter(self, y: Any) -> None:
        """Find out when `y` is known, and along which dims it changes."""
        node = self.nest.makers[y]
        inputs = arriving(node) if is_scatter(node) else node.inputs
        operands = [x for x in inputs if is_array(x)]
        before = max((self.first.get(self.nest.source(x), 0) for x in operands), default=0)
        if is_fold(node):
            self.changing[y] = self.nest.dims(y)
            self.first[y] = before + bool(self.nest.folded(y) & self.cols)
        elif is_scan(node):
            self.changing[y], self.first[y] = self.nest.dims(y), before
        else:
            self.changing[y] = frozenset().union(*[self.changes(x, y) for x in operands])
            self.first[y] = before

    def changes(self, x: Any, y: Any) -> Dims:
        """The dims along which the operand `x` of `y` changes."""
        source = self.nest.source(x)
        if source in self.changing:
            return self.changing[source]
        return self.nest.loads[x, y].dims

    def operands(self, y: Any) -> list[Any]:
        """The values that `y` is made of in the same pass."""
        node = self.nest.makers[y]
        inputs = () if is_fold(node) else node.inputs
        return [self.nest.source(x) for x in inputs if is_array(x)]

    def in_row(self, y: Any) -> bool:
        """Whether `y` is a reduction, made while going through the columns."""
        node = self.nest.makers[y]
        return bool(self.nest.folded(y)) and bool(self.nest.dims(node.inputs[0]) & self.cols)

    def is_column_sum(self, y: Any) -> bool:
        """Whether `y` is a reduction over rows only, with a result for each column."""
        return self.in_row(y) and not self.nest.folded(y) & self.cols

    def runs_over_rows(self, y: Any) -> bool:
        """Whether `y` is a running result along the rows, of each column."""
        return is_scan(self.nest.makers[y]) and self.nest.found.runs_over_rows

    def known(self, x: Any) -> int:
        """The first pass that can use the value or input `x`."""
        return self.first.get(self.nest.source(x), 0)

    def find_roots(self) -> dict[int, list[Any]]:
        """What makes each pass necessary: operands of reductions, and stored values."""
        roots: dict[int, list[Any]] = {}
        for y, node in self.nest.makers.items():
            if self.in_row(y):
                x = self.nest.source(node.inputs[0])
                roots.setdefault(self.known(x), []).append(x)
        for y in self.stored:
            if self.nest.dims(y) & self.cols:
                roots.setdefault(self.known(y), []).append(self.nest.source(y))
        return roots

    # What is kept.

    def values_to_keep(self) -> dict[Any, int]:
        """Values that change along the columns and are kept, each with the pass that makes it."""
        if len(self.roots) < 2:
            return {}
        needed: dict[Any, set[int]] = {}  # by value: the passes that need it
        for index, values in self.roots.items():
            for x in values:
                needed.setdefault(x, set()).add(index)
        kept: dict[Any, int] = {}
        for y in reversed(self.nest.makers):  # who needs a value comes behind it
            passes = needed.get(y, set())
            if len(passes) > 1 and self.changing[y] & self.cols and self.work(y) > AGAIN:
                kept[y] = min(passes)
                passes = {kept[y]}
            for x in self.operands(y):
                needed.setdefault(x, set()).update(passes)
        return kept

    def work(self, y: Any) -> int:
        """About how many instructions make `y` again from what is in memory or a scalar."""
        total, seen, todo = 0, set[Any](), [y]
        while todo and total <= AGAIN:
            x = todo.pop()
            if x in seen:
                continue
            seen.add(x)
            if x not in self.nest.makers:
                total += 1
            elif self.changing[x] & self.cols:
                total += cost(self.nest.makers[x]) or 0
                todo += self.operands(x)
        return total
