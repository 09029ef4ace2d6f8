"""Loops whose rounds are native code: there, with what derivatives need, and back.

The way back is a loop too: it carries the cotangents of what was carried, and the sums of those
of what stays, through the rounds from the last to the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .core.later import later
from .core.op import raw
from .core.spec import Spec
from .graph import Graph, evaluate, trace

compiler = later("compiler")
split = later("passes.split")

Array = np.ndarray[Any, Any]


class Laps(NamedTuple):
    """What a loop in native code leaves for its derivatives.

    split: of its body. rounds: their number. values: the inputs of the loop, cells as they are.
    held: what was carried, `(rounds + 1, ...)` for each. stacks: what else the body gave,
    residuals included.
    """

    split: Any
    carried: int
    scanned: int
    rounds: int
    values: tuple[Any, ...]
    held: list[Array]
    stacks: list[Array]

    def inputs(self, t: int) -> tuple[Any, ...]:
        """What the body took in round `t`."""
        ends = self.carried, self.carried + self.scanned
        scans = [np.asarray(x[t]) for x in self.values[ends[0] : ends[1]]]
        return (*[np.asarray(x[t]) for x in self.held], *scans, *self.values[ends[1] :])

    def kept(self, t: int) -> tuple[Any, ...]:
        """What the body gave in round `t`."""
        return (
            *[np.asarray(x[t + 1]) for x in self.held],
            *[np.asarray(x[t]) for x in self.stacks],
        )


def forwards(
    values: Sequence[Any],
    body: Graph,
    *,
    carried: int,
    scanned: int,
    count: int,
    saving: bool,
    reverse: bool = False,
) -> tuple[list[Any], Laps | None] | None:
    """Run a loop in native code: its results, and what derivatives need if `saving`.

    reverse: what is stacked begins with the last round. None where the body needs more than its
    kernels.
    """
    scans = values[carried : carried + scanned]
    fixed = list(values[carried + scanned :])
    cut: Any = split.split(body) if saving else None
    graph = cut.forward if saving else body
    results = len(body.outputs)
    first = (*values[:carried], *[x[0] for x in scans], *fixed)
    found = compiler.loop(graph, carried, scanned, first, results if saving else None)
    if found is None:
        return None
    known = [x._value if hasattr(x, "trainable") else x for x in fixed]
    specs = found.run.graph.outputs[carried:]
    made = [np.empty((count, *y.shape), y.dtype) for y in specs]
    filled = [x[::-1] for x in made] if reverse else made
    held = found.run(values[:carried], scans, known, filled, count, keep=saving)
    if held is None:
        return None
    if not saving:
        return [*held, *made], None
    taken = [*[x[:-1] for x in held], *scans, *[repeated(x, count) for x in known]]
    after = [x[1:] for x in held]
    fresh = iter(made)
    stacks = []
    for k in range(carried, len(graph.outputs)):
        if k in found.taken:
            stacks.append(taken[found.taken[k]])
        else:
            stacks.append(after[found.carried[k]] if k in found.carried else next(fresh))
    laps = Laps(cut, carried, scanned, count, tuple(values), held, stacks)
    return [*[x[-1].copy() for x in held], *stacks[: results - carried]], laps


def repeated(x: Any, count: int) -> Any:
    """An array as if it were stacked, without a copy; a record as it is."""
    return np.broadcast_to(x, (count, *x.shape)) if isinstance(x, np.ndarray) else x


def zeros(x: Any) -> Array:
    """The cotangent of an array, or of a cell, to be filled. Its slices lie whole."""
    return np.zeros(x.shape, x.dtype)


def nothing(x: Any) -> Array:
    """The cotangent that begins a sum: -0.0, as 0.0 + -0.0 is 0.0."""
    return -zeros(x)


class Back(NamedTuple):
    """A loop back in native code, for one pattern of cotangents.

    moving, still: where the captures of a round's backward graph are among what it took and gave,
    or constants. sums: the inputs that stay and have a cotangent; parts: those that come slice by
    slice.
    """

    run: Any
    moving: list[int]
    still: list[Any]
    sums: list[int]
    parts: list[int]


def way_back(laps: Laps, given: tuple[bool, ...]) -> Back | None:
    """The loop back for cotangents of the outputs `given`; None where there is none.

    There is none where rounds differ in what has a cotangent, or need more than their kernels.
    """
    carried, count = laps.carried, len(laps.values)
    pattern = (*given, *[False] * (len(laps.split.forward.outputs) - len(given)))
    backward, places, targets = laps.split.backward(pattern)
    if [i for i in range(carried) if given[i]] != [i for i in targets if i < carried]:
        return None
    shapes = tuple([x.shape for x in (*laps.inputs(0), *laps.kept(0))])
    key = ("back", shapes)
    if key in backward.cache:
        made: Back | None = backward.cache[key]
        return made
    ends = carried + laps.scanned
    moves = [type(p) is int and (p < ends or p >= count) for p in places]
    moving = [p for p, moves_on in zip(places, moves, strict=True) if moves_on]
    still = [p for p, moves_on in zip(places, moves, strict=True) if not moves_on]
    sums = [i for i in targets if i >= ends]
    parts = [i for i in targets if carried <= i < ends]
    backward.cache[key] = None
    available = (*laps.inputs(0), *laps.kept(0))
    captured = [available[p] if type(p) is int else raw(p) for p in (*moving, *still)]
    if not all(isinstance(x, (np.ndarray, np.generic)) for x in captured):
        return None
    arguments = backward.arguments
    bars = sum(given[:carried])

    def step(*xs: Any) -> list[Any]:
        """One round: cotangents carried, sums, then rows and captures."""
        carry, sofar = xs[:bars], xs[bars : bars + len(sums)]
        others = list(xs[bars + len(sums) :])
        rows = others[: len(arguments) - bars]
        found = iter(others[len(rows) : len(rows) + len(moving)])
        rest = iter(others[len(rows) + len(moving) :])
        captures = [next(found) if moves_on else next(rest) for moves_on in moves]
        answers = dict(zip(targets, evaluate(backward, (*carry, *rows, *captures)), strict=True))
        added = [total + answers[i] for total, i in zip(sofar, sums, strict=True)]
        return [*[answers[i] for i in targets if i < carried], *added, *[answers[i] for i in parts]]

    outputs = [y for y, wanted in zip(laps.kept(0), given, strict=False) if wanted]
    totals = [nothing(available[i]) for i in sums]
    examples = [*outputs[:bars], *totals, *outputs[bars:], *captured]
    if not all(isinstance(x, (np.ndarray, np.generic)) for x in examples):
        return None
    graph, _ = trace(step, [Spec(x.shape, x.dtype) for x in examples], backward.name)
    if graph.captures:
        return None
    scanned = len(arguments) - bars + len(moving)
    loop = compiler.loop(graph, bars + len(sums), scanned, examples, None)
    if loop is not None:
        backward.cache[key] = Back(loop.run, moving, still, sums, parts)
    made = backward.cache[key]
    return made


def backwards(
    laps: Laps,
    back: Back,
    t: int,
    carry: list[Any],
    rows: list[Any],
    slices: list[Any],
    fixed: list[Any],
) -> list[Any]:
    """Run the first `t` rounds back; the cotangents of what was carried into them.

    carry, rows: cotangents or None, the rows stacked. slices, fixed: cotangents of later rounds,
    which are filled, and added to.
    """
    begin, end = laps.carried, laps.carried + laps.scanned
    taken = [*[x[:-1] for x in laps.held], *laps.values[begin:end], *[None] * len(fixed)]
    moving = [*taken, *[x[1:] for x in laps.held], *laps.stacks]
    parts = [g[:t][::-1] for g in rows if g is not None]
    parts += [moving[p][:t][::-1] for p in back.moving]
    still = [laps.values[p] if type(p) is int else raw(p) for p in back.still]
    bars = [g for g in carry if g is not None]
    sums = [fixed[i - end] for i in back.sums]
    pairs = zip(sums, back.sums, strict=True)
    sums = [nothing(laps.values[i]) if g is None else g for g, i in pairs]
    for i in back.parts:
        if slices[i - begin] is None:
            slices[i - begin] = zeros(laps.values[i])
    stacks = [slices[i - begin][:t][::-1] for i in back.parts]
    held = iter(back.run([*bars, *sums], parts, still, stacks, t, keep=False))
    found = [None if g is None else next(held) for g in carry]
    for i in back.sums:
        fixed[i - end] = next(held)
    return found
