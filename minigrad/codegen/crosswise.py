"""Arrays read across their rows: panels of elements, loaded by lines and turned in registers.

Where the innermost loop goes down the columns of an input, each element lies in a cache line of
its own. So the loop that goes along its rows is made in blocks of a line. For each block, a panel
is copied into scratch rows first, by squares: a line for each lane is loaded, and what comes out
are the lanes of all rounds. Then each round reads its scratch row in order.

A sum of rows is what a plain loop makes of it: the order of additions is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from ..core.lowering import Value
from .emitter import VectorEmitter
from .items import memory_dtype
from .loops import Buffer, Load, Loop, LoopNest, Place, Statement, Store, Update, statements
from .names import defined, used
from .strips import strip
from .text import Index

LINE = 64
"""Bytes that come from memory together."""
PANEL = 1 << 16
"""Bytes of the panels of one loop, which are on the stack."""
FEWEST = 32
"""Rounds of an innermost loop from which on a panel pays."""


def turn(nest: LoopNest) -> None:
    """Let the loops of `nest` that read across rows have panels."""
    for around in list(parents(nest.body, ())):
        for k, outer in enumerate(around):
            if is_blockable(around, k) and give_panels(nest, around[-1], outer):
                break


def parents(body: list[Statement], around: tuple[Loop, ...]) -> Iterator[tuple[Loop, ...]]:
    """The loops directly around vector loops, each behind the loops around it."""
    for statement in body:
        if isinstance(statement, Loop) and not statement.vector:
            yield from parents(statement.body, (*around, statement))
    if around and vector_loops(around[-1]):
        yield around


def vector_loops(loop: Loop) -> list[Loop]:
    """The vector loops directly in `loop`, if they go over columns."""
    found = [s for s in loop.body if isinstance(s, Loop) and s.vector]
    return [] if any(isinstance(s, Loop) for inside in found for s in inside.body) else found


def is_blockable(around: tuple[Loop, ...], outer: int) -> bool:
    """Whether rounds of loop number `outer` of those `around` can be a block.

    What is known in loops between would have to be there in several copies, as would sums.
    """
    inside = around[outer:]
    known = {name for loop in inside[:-1] for name in defined(loop.body)}
    asked = {name for name, _ in used(list(statements(around[-1].body)))}
    return (
        all(loop.block == 1 and not loop.folds for loop in around)
        and known.isdisjoint(asked)
        and not any(isinstance(s, Update) for loop in inside for s in loop.body)
        and not begins_sums(inside[0])
    )


def begins_sums(loop: Loop) -> bool:
    """Whether each round of `loop` clears sums in memory, of which a block has not one a round."""
    inside = list(statements(loop.body))
    cleared = {s.place.buffer for s in inside if isinstance(s, Store)}
    sums = [s.place for s in inside if isinstance(s, Update)]
    return any(p.buffer in cleared and not p.stride(loop.var) for p in sums)


def give_panels(nest: LoopNest, parent: Loop, outer: Loop) -> bool:
    """Let `parent`, in or the same as `outer`, have panels; whether it needs any."""
    loops = vector_loops(parent)
    found = {
        statement.place: loop
        for loop in loops
        for statement in loop.body
        if isinstance(statement, Load)
        and not statement.inside
        and is_crosswise(statement.place, outer, loop)
    }
    if not found or len({(loop.var, loop.extent) for loop in loops}) > 1:
        return False
    var, extent, sizes = loops[0].var, loops[0].extent, [p.buffer.dtype.itemsize for p in found]
    block = LINE // max(sizes)
    length = min(extent, PANEL // (sum(sizes) * block))
    others = sum(math.prod(b.shape) * b.dtype.itemsize for b in nest.scratch)
    if block > outer.extent or extent < FEWEST or others * block > PANEL:
        return False  # too few elements, or too much on the stack
    if length < extent and any(loop.folds or loop.scans for loop in loops):
        return False  # its sums would be parted
    panels = {}
    for place in found:
        panel = Buffer(f"p{len(nest.scratch)}", (length,), place.buffer.dtype, "scratch")
        nest.scratch.append(panel)
        panels[place] = Place(panel, 0, ((var, 1),))
    body = [*copies(panels, loops[0], block, nest.vector_bytes), each(parent.body, outer, panels)]
    if length < extent:
        whole, rest = divmod(extent, length)
        body = [Loop(f"{var}k", whole, strip(body, var, length, 0, f"{var}k"))] + (
            strip(body, var, rest, whole * length) if rest else []
        )
    parent.body = body
    outer.block = block
    return True


def copies(
    panels: dict[Place, Place], loop: Loop, block: int, vector_bytes: int
) -> list[Statement]:
    """The loops that fill panels."""
    found: list[Statement] = []
    for place, panel in panels.items():
        lanes = min(block, max(vector_bytes // place.buffer.dtype.itemsize, 1))
        name = f"{panel.buffer.name}_"
        body: list[Statement] = [Load(name, place), Store(panel, name)]
        found.append(Loop(loop.var, loop.extent, body, lanes=lanes, vector=True))
    return found


def each(body: list[Statement], outer: Loop, panels: dict[Place, Place]) -> Loop:
    """The statements of one round, which read panels."""
    found: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop):
            inside: list[Statement] = [
                replace(s, place=panels.get(s.place, s.place)) if isinstance(s, Load) else s
                for s in statement.body
            ]
            found.append(replace(statement, body=inside))
        else:
            found.append(statement)
    return Loop(outer.var, 1, found, each=True)


def is_crosswise(place: Place, outer: Loop, inner: Loop) -> bool:
    """Whether rounds of `outer` take elements side by side, and those of `inner` do not."""
    across = place.stride(outer.var) == 1 and abs(place.stride(inner.var)) > 1
    return across and place.buffer.role != "number" and not place.at


def load_crosswise(
    emitter: VectorEmitter,
    pointer: str,
    index: Index,
    stride: int,
    place: Place,
    *,
    rounds: int,
    filled: int,
) -> list[Value]:
    """For each of `rounds` rounds, the lanes at `index`, `index + stride`, ... at `pointer`.

    The rounds are those of a loop along which the elements lie side by side, and as many as the
    lanes or a multiple. filled: how many lanes there are elements for; the others are zero.
    """
    dtype, lanes, function = place.buffer.dtype, emitter.lanes, emitter.function
    zero = emitter.const(0, memory_dtype(dtype))
    found = []
    for start in range(0, rounds, lanes):
        square = [zero] * lanes
        for k in range(filled):
            where = function.plus(index, k * stride + start)
            square[k] = emitter.load(pointer, where, memory_dtype(dtype))
        found += [emitter.from_memory(x, dtype) for x in turned(emitter, square)]
    return found


FENCED = 4
"""The step of a transposition before which LLVM is to have done with those before."""


def turned(emitter: VectorEmitter, rows: list[Value]) -> list[Value]:
    """The columns of a square of as many vectors as lanes. Eklundh (1972).

    LLVM looks for instructions that do two steps at once, and takes long to look for more.
    """
    n, step = emitter.lanes, 1
    while step < n:
        if step == FENCED:
            rows = [emitter.fenced(x) for x in rows]
        upper = [k if not k & step else n + k - step for k in range(n)]
        lower = [k + step if not k & step else n + k for k in range(n)]
        rows = list(rows)
        for k in range(n):
            if not k & step:
                one, other = rows[k], rows[k + step]
                rows[k] = emitter.shuffled(one, other, upper)
                rows[k + step] = emitter.shuffled(one, other, lower)
        step *= 2
    return rows
