"""Loops cut where conditions change: what is known of all rounds of a segment need not be asked.

Of two tensors one after the other, the first rows are those of one, the others those of the other.
In a loop over both that is a condition on each row; two loops need none. Of two side by side along
a last axis of length 2, a segment is a single round, which is no loop any more. What is known of a
segment is computed here: numbers, comparisons of them, and choices by these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from ..ops.logic import logical_and, logical_or, where
from .loops import (
    Apply,
    DType,
    Fold,
    Load,
    Loop,
    LoopNest,
    Operand,
    Place,
    Scan,
    Statement,
    Store,
    Update,
    statements,
)
from .names import used

Array = np.ndarray[Any, Any]
FEW = 16
"""Rounds of a loop that may all be segments of their own."""
SEGMENTS = 4
"""Segments of a longer loop, at most."""
LONGEST = 1 << 17
"""Rounds of a loop of which it is found out where conditions change."""
MOST = 512
"""Statements that may come of one loop."""


class Segment(NamedTuple):
    """Rounds of a loop over `var`: so many from `start` on. name: of its variable, if it is one."""

    var: str
    start: int
    length: int
    name: str


def cut_loops(nest: LoopNest) -> None:
    """Cut the loops of `nest` where conditions on their own numbers change."""
    loops = [s for s in statements(nest.body) if isinstance(s, Loop)]
    if not any(len(segments(loop)) > 1 for loop in loops):
        return
    named = [s for s in statements(nest.body) if isinstance(s, Load | Apply | Fold | Scan)]
    cutting = Cutting({s.name: dtype_of(s) for s in named})
    nest.body = wanted(cutting.body(nest.body), set())


def dtype_of(statement: Load | Apply | Fold | Scan) -> DType:
    """The dtype of the value that a statement names."""
    match statement:
        case Load():
            return statement.place.buffer.dtype
        case Fold():
            return statement.wide
    return statement.dtype


def segments(loop: Loop) -> list[Segment]:
    """The segments that `loop` is cut into; one, where it is to stay."""
    whole = [Segment(loop.var, 0, loop.extent, loop.var)]
    if not 1 < loop.extent <= LONGEST or loop.block > 1 or loop.carries or loop.backwards:
        return whole
    inside = list(statements(loop.body))
    if not any(isinstance(s, Load) and is_number_of(s.place, loop.var) for s in inside):
        return whole
    if not all(isinstance(s, Load | Apply | Store | Update | Fold | Loop) for s in inside):
        return whole
    kept = [s.place for s in inside if isinstance(s, Store | Update)]
    if any(place.buffer.role in ("scratch", "sums") for place in kept):
        return whole  # whole vectors are stored there, past the end of a shorter loop
    rounds = ValuesOfRounds(whole[0])
    cuts: set[int] = set()
    for s in inside:
        values = rounds.enter(s)
        if values is not None and values.dtype == np.bool_:
            cuts.update((np.flatnonzero(values[1:] != values[:-1]) + 1).tolist())
    parts = list(pairwise([0, *sorted(cuts), loop.extent]))
    if loop.extent > FEW:
        parts = [part for _, group in groupby(parts, is_short) for part in together(group)]
    most = FEW if loop.extent <= FEW else SEGMENTS
    if len(parts) > most or len(parts) * len(inside) > MOST:
        return whole
    return [
        Segment(loop.var, start, end - start, f"{loop.var}{'' if k == 0 else f'_{k}'}")
        for k, (start, end) in enumerate(parts)
    ]


def is_short(part: tuple[int, int]) -> bool:
    """Whether a segment has so few rounds that the conditions in it may stay."""
    return part[1] - part[0] <= FEW


def together(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Short segments in a row as one; others as they are."""
    found = list(parts)
    return [(found[0][0], found[-1][1])] if is_short(found[0]) else found


def is_number_of(place: Place, var: str) -> bool:
    """Whether a place is a number that changes along `var`, and along nothing else."""
    return place.buffer.role == "number" and [v for v, _ in place.strides] == [var]


class ValuesOfRounds:
    """The values that are known for each round of a segment, by name."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.values: dict[str, Array] = {}

    def enter(self, s: Statement) -> Array | None:
        """What statement `s` names in each round, if that can be known."""
        segment = self.segment
        found = None
        if isinstance(s, Load) and is_number_of(s.place, segment.var) and not s.place.at:
            rounds = np.arange(segment.start, segment.start + segment.length)
            found = s.place.offset + s.place.stride(segment.var) * rounds
            found = found.astype(s.place.buffer.dtype)  # which may wrap around
        elif isinstance(s, Apply) and s.op is not None and s.dtype.kind in "biu":
            given = [self.values.get(x) if isinstance(x, str) else x for x in s.operands]
            if any(isinstance(x, str) and x in self.values for x in s.operands):
                found = evaluated(s, given)
        if found is not None and isinstance(s, Load | Apply):
            self.values[s.name] = found
        return found


def evaluated(s: Apply, given: Sequence[Any]) -> Array | None:
    """What `s` comes to for operands that are numbers or arrays; None where one is not known."""
    if s.op is None or any(x is None for x in given):
        return None
    with np.errstate(all="ignore"):
        typed = [np.asarray(x).astype(dtype) for x, dtype in zip(given, s.dtypes, strict=True)]
        found = typed[0] if s.function is None else np.asarray(s.function.kernel(*typed))
        return found.astype(s.dtype)


@dataclass
class Cutting:
    """Writes segments. dtypes: of values, by name. known: what names stand for in a segment."""

    dtypes: dict[str, DType]
    known: dict[str, Operand] = field(default_factory=dict)
    serial: int = 0

    def body(self, body: Sequence[Statement]) -> list[Statement]:
        """Statements, loops among them cut."""
        found: list[Statement] = []
        for s in body:
            if isinstance(s, Loop):
                s = replace(s, body=self.body(s.body))
                parts = segments(s)
                found += self.cut(s, parts) if len(parts) > 1 else [s]
            else:
                found.append(s)
        return found

    def cut(self, loop: Loop, parts: Sequence[Segment]) -> Iterator[Statement]:
        """The segments of `loop`, one after the other, and what its reductions come to."""
        outside, totals = self.known, dict[str, Operand]()
        for part in parts:
            self.known = dict(outside)
            inner = list(self.segment(loop.body, ValuesOfRounds(part)))
            values = {s.name: self.meant(s.value) for s in loop.folds}
            if part.length > 1:
                folds = [self.renamed(fold) for fold in loop.folds]
                values = {old.name: new.name for old, new in zip(loop.folds, folds, strict=True)}
                yield replace(loop, var=part.name, extent=part.length, body=[*inner, *folds])
            else:
                yield from inner
            for fold in loop.folds:
                value = values[fold.name]
                if fold.name in totals:
                    name = self.fresh(fold.name, fold.wide)
                    operands = totals[fold.name], value
                    yield Apply(name, fold.op, operands, (fold.wide,) * 2, fold.wide)
                    value = name
                totals[fold.name] = value
        self.known = outside
        for fold in loop.folds:
            yield Apply(fold.name, None, (totals[fold.name],), (fold.wide,), fold.wide)

    def renamed(self, fold: Fold) -> Fold:
        """A reduction of what its operand stands for, by a new name."""
        name = self.fresh(fold.name, fold.wide)
        return replace(fold, name=name, value=self.meant(fold.value))

    def segment(self, body: Sequence[Statement], rounds: ValuesOfRounds) -> Iterator[Statement]:
        """The statements of a body in a segment; reductions of the loop itself left out."""
        part = rounds.segment
        for s in body:
            values = rounds.enter(s)
            if values is not None and (values == values[0]).all() and isinstance(s, Load | Apply):
                self.known[s.name] = values[0].item()
                continue
            match s:
                case Load():
                    yield from self.load(s, self.at(s.place, part))
                case Apply():
                    yield from self.applied(s, rounds)
                case Store() | Update():
                    yield replace(s, place=self.at(s.place, part), value=self.meant(s.value))
                case Loop():
                    inner = list(self.segment(s.body, rounds))
                    folds = [self.renamed(fold) for fold in s.folds]
                    pairs = zip(s.folds, folds, strict=True)
                    self.known |= {old.name: new.name for old, new in pairs}
                    yield replace(s, body=[*inner, *folds])

    def load(self, s: Load, place: Place) -> Iterator[Statement]:
        """A load; where a condition is known not to hold, the number."""
        inside = self.meant(s.inside) if s.inside else ""
        if inside is False:
            yield from self.named(s.name, s.otherwise, place.buffer.dtype)
        else:
            mask = inside if isinstance(inside, str) else ""
            yield replace(s, name=self.again(s), place=place, inside=mask)

    def applied(self, s: Apply, rounds: ValuesOfRounds) -> Iterator[Statement]:
        """A map of values; what it chooses, where that is known."""
        operands = tuple([self.meant(x) for x in s.operands])
        chosen = choice(s, operands)
        if chosen is not None:
            yield from self.named(s.name, chosen, s.dtype)
            return
        name = self.again(s)
        if s.name in rounds.values:
            rounds.values[name] = rounds.values[s.name]
        yield replace(s, name=name, operands=operands)

    def named(self, name: str, x: Operand, dtype: DType) -> Iterator[Statement]:
        """Let `name` be `x` in `dtype`."""
        same = self.dtypes[x] == dtype if isinstance(x, str) else x == 0 or dtype.kind == "b"
        if same:
            self.known[name] = x
            return
        made = self.fresh(name, dtype)
        self.known[name] = made
        yield Apply(made, None, (x,), (dtype,), dtype)

    def at(self, place: Place, part: Segment) -> Place:
        """`place` in a segment."""
        offset = place.offset + part.start * place.stride(part.var)
        at = []
        for name, stride in place.at:
            step = self.meant(name)
            offset += 0 if isinstance(step, str) else int(step.real) * stride
            at += [(step, stride)] if isinstance(step, str) else []
        kept = [
            (part.name if v == part.var else v, s)
            for v, s in place.strides
            if v != part.var or part.length > 1
        ]
        return replace(place, offset=offset, strides=tuple(kept), at=tuple(at))

    def meant(self, x: Operand) -> Operand:
        """What an operand stands for in this segment."""
        return self.known.get(x, x) if isinstance(x, str) else x

    def again(self, s: Load | Apply) -> str:
        """The name of what `s` gives in this segment."""
        name = self.fresh(s.name, dtype_of(s))
        self.known[s.name] = name
        return name

    def fresh(self, name: str, dtype: DType) -> str:
        """A new name for another value like `name`, of `dtype`."""
        self.serial += 1
        made = f"{name.split('_')[0]}_{self.serial}"
        self.dtypes[made] = dtype
        return made


def choice(s: Apply, operands: Sequence[Operand]) -> Operand | None:
    """The operand that `s` comes to, where one that is known decides; None where none does."""
    if s.op is where.op and not isinstance(operands[0], str):
        return operands[1 if operands[0] else 2]
    if s.op in (logical_and.op, logical_or.op):
        decided = s.op is logical_or.op  # by one operand that is this
        for x, other in (operands, operands[::-1]):
            if not isinstance(x, str):
                return decided if bool(x) == decided else other
    return None


def wanted(body: Sequence[Statement], needed: set[str]) -> list[Statement]:
    """`body` without what nobody reads: neither those in `needed` nor what comes behind."""
    found: list[Statement] = []
    for s in reversed(body):
        if isinstance(s, Loop):
            s = replace(s, body=wanted(s.body, needed))
        elif isinstance(s, Load | Apply) and s.name not in needed:
            continue
        needed.update([name for name, _ in used([s])])
        found.append(s)
    return found[::-1]
