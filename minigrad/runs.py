"""Runs of graphs whose path shows only when they run: a branch taken, the rounds of a loop.

Each is a `Run` that `replay` differentiates: first derivatives by the backward graphs of what
ran, fed by its residuals; higher ones by applying the nodes again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import laps
from .core.convert import as_value
from .core.later import later
from .core.op import raw
from .core.registry import api
from .graph import Graph
from .replay import again, own_cell
from .variable import Cell

runners = later("runners")
split = later("passes.split")


class GraphRun:
    """One run of a graph, with its residuals.

    values: arrays and cells, one per input of the graph. outputs: its arrays, residuals left out.
    """

    __opaque_input__ = True

    def __init__(self, cut: Any, values: Sequence[Any], kept: Sequence[Any], *, jit: bool) -> None:
        self.split = cut
        self.jit = jit
        self.values = tuple(values)
        self.kept = tuple(kept)
        self.outputs = self.kept[: cut.outputs]

    @classmethod
    def of(cls, graph: Graph, values: Sequence[Any], *, jit: bool) -> GraphRun:
        """Run `graph` on arrays and cells."""
        cut = split.split(graph)
        return cls(cut, values, runners.runner(cut.forward, jit=jit)(*values), jit=jit)

    def check(self) -> None:
        """Nothing: a graph knows all that it uses."""

    def pulled(
        self, given: Sequence[int], asked: Sequence[int], gs: Sequence[Any], own: Sequence[Any] = ()
    ) -> list[Any]:
        """Cotangents of the inputs `asked`, from those of the outputs `given`; None for no path."""
        bars = dict(zip(given, [raw(g) for g in gs], strict=True))
        found = self.back([bars.get(i) for i in range(len(self.outputs))], cells_of(own))
        return [as_value(found[i]) for i in asked]

    def back(self, gs: Sequence[Any], cells: Mapping[int, Cell]) -> list[Any]:
        """In arrays: a cotangent or None per output in, one per input out.

        cells: what stands in for those among the inputs, by number.
        """
        bars: list[Any] = [None] * len(self.values)
        if all(g is None for g in gs):
            return bars
        pattern = [g is not None for g in gs] + [False] * (len(self.kept) - len(gs))
        backward, places, targets = self.split.backward(tuple(pattern))
        if targets:
            available = (*self.values, *self.kept)
            captured = [cells[i] if i in cells else available[i] for i in places]
            values = [*[g for g in gs if g is not None], *captured]
            for i, bar in zip(
                targets, runners.runner(backward, jit=self.jit)(*values), strict=True
            ):
                bars[i] = bar
        return bars

    def own(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values; those of cells in cells of their own."""
        return with_own_cells(self.values, values)

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The outputs again, for other tensors in place of the inputs."""
        forward = self.split.forward
        known: dict[Any, Any] = dict(zip(forward.inputs, values, strict=True))
        kept = zip(forward.outputs, map(as_value, self.kept), strict=True)
        again(forward.nodes, known, dict(kept))
        return [known[y] for y in forward.outputs[: self.split.outputs]]


class NativeRuns(Sequence[GraphRun]):
    """The rounds that a loop in native code has run, each made when it is asked for."""

    def __init__(self, kept: laps.Laps) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return self._kept.rounds

    def __getitem__(self, t: Any) -> Any:
        kept = self._kept
        if not t < kept.rounds:
            raise IndexError(f"round {t} of {kept.rounds}")
        return GraphRun(kept.split, kept.inputs(t), kept.kept(t), jit=True)


class LoopRun:
    """The rounds of a loop, each a run of its body.

    The body takes what is carried, then what is scanned, then what stays; it gives what is
    carried on, then what is stacked. carried: how many are. scanned: how many inputs come slice by
    slice. values: the inputs of the loop. kept: what a loop in native code left, instead of rounds.
    """

    __opaque_input__ = True

    def __init__(
        self,
        rounds: Sequence[GraphRun],
        values: Sequence[Any],
        outputs: Sequence[Any],
        *,
        carried: int,
        scanned: int,
        kept: laps.Laps | None = None,
    ) -> None:
        self.rounds = rounds if kept is None else NativeRuns(kept)
        self.laps = kept
        self.values = tuple(values)
        self.outputs = tuple(outputs)
        self.carried = carried
        self.scanned = scanned

    def check(self) -> None:
        """Nothing: a graph knows all that it uses."""

    def pulled(
        self, given: Sequence[int], asked: Sequence[int], gs: Sequence[Any], own: Sequence[Any] = ()
    ) -> list[Any]:
        """Cotangents of the inputs `asked`, walking the rounds from the last to the first."""
        bars = dict(zip(given, [raw(g) for g in gs], strict=True))
        carry = [bars.get(i) for i in range(self.carried)]
        stacks = [bars.get(i) for i in range(self.carried, len(self.outputs))]
        slices: list[Any] = [None] * self.scanned
        fixed: list[Any] = [None] * (len(self.values) - self.carried - self.scanned)
        t, cells = len(self.rounds), cells_of(own)
        while t:
            back = self._native_back(carry, stacks)
            if self.laps is not None and back is not None:
                carry = laps.backwards(self.laps, back, t, carry, stacks, slices, fixed)
                break
            t -= 1
            bars_of_round = [*carry, *[None if g is None else g[t] for g in stacks]]
            found = self.rounds[t].back(bars_of_round, cells)
            carry = found[: self.carried]
            for i, part in enumerate(found[self.carried : self.carried + self.scanned]):
                if part is not None:
                    if slices[i] is None:  # what has no cotangent in some round has zeros there
                        slices[i] = laps.zeros(self.values[self.carried + i])
                    slices[i][t] = part
            fixed = list(map(added, fixed, found[self.carried + self.scanned :]))
        every = [*carry, *slices, *fixed]
        return [as_value(every[i]) for i in asked]

    def _native_back(self, carry: Sequence[Any], stacks: Sequence[Any]) -> Any:
        """The way back in native code from here on; None where there is none."""
        bars = [*carry, *stacks]
        if self.laps is None or all(g is None for g in bars):
            return None
        return laps.way_back(self.laps, tuple([g is not None for g in bars]))

    def own(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values; those of cells in cells of their own."""
        return with_own_cells(self.values, values)

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The outputs again, for other tensors in place of the inputs."""
        carry = list(values[: self.carried])
        scans = values[self.carried : self.carried + self.scanned]
        fixed = values[self.carried + self.scanned :]
        rows = []
        for t, one in enumerate(self.rounds):
            outputs = one.run([*carry, *[x[t] for x in scans], *fixed])
            carry = outputs[: self.carried]
            rows.append(outputs[self.carried :])
        if not rows:
            return [*carry, *map(as_value, self.outputs[self.carried :])]
        return [*carry, *[api.stack(list(column)) for column in zip(*rows, strict=True)]]


def with_own_cells(inputs: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """`values` of the inputs of a run; in the place of a cell, one of its own."""
    pairs = zip(inputs, values, strict=True)
    return [own_cell(x, value) if isinstance(x, Cell) else value for x, value in pairs]


def cells_of(own: Sequence[Any]) -> dict[int, Cell]:
    """The cells among what a run is given, by number."""
    return {i: x for i, x in enumerate(own) if isinstance(x, Cell)}


def added(x: Any, y: Any) -> Any:
    """The sum of two cotangents, where None is nothing."""
    return y if x is None else x if y is None else x + y
