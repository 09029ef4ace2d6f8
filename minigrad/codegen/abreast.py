"""Short rows abreast: a vector holds one column of many rows, and each lane goes along its own row.

A row of ten columns leaves most lanes of a vector empty, and each of its sums is one across lanes.
So a loop around few columns becomes a loop over lanes: what was one number for each row is then a
vector, and a reduction over columns adds up vectors. In memory, elements of a column are a row
apart; so windows of the rows are copied into panels, turned in registers, and back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from .arithmetic import computed
from .bodies import instructions
from .cost import CHUNK, LIGHT, POINTS, WIDEST, lanes_for
from .loops import Apply, Buffer, Load, Loop, LoopNest, Place, Scan, Statement, Store, Update
from .loops import statements as all_in
from .strips import with_places
from .windows import cost

HALF = 1.5
"""What adding two halves of a vector counts, in instructions."""
ACROSS = 3
"""What it counts to add the lanes of a vector to a sum of columns, of a few vectors together."""
WAIT = 8
"""What it counts that columns are gone through again, when a reduction is known."""
STACK = 1 << 15
"""Bytes of the panels and scratch rows of one loop, which are to stay in the nearest cache."""
SQUARE = 16
"""Lanes of the widest squares that are turned in registers."""

TURNS = 4
"""Rounds of a light loop along rows abreast that are written in turn, a power of two."""

Access = Load | Store | Update


def lay_abreast(nest: LoopNest, standing: str = "") -> None:
    """Let loops of `nest` over many short rows be loops over lanes.

    standing: the variable of a loop whose rows stand side by side, however long they are.
    """
    for loop in list(around_short_rows(nest.body, standing)):
        choose_lanes(nest, loop, standing)


def choose_lanes(nest: LoopNest, loop: Loop, standing: str) -> None:
    """Let `loop` be one over lanes, if that pays; or else the loop over standing rows in it."""
    if carries(nest, loop):
        return
    stands = is_part_of(loop, standing)
    enough = loop.extent >= lanes_of(loop, nest.vector_bytes, stands=stands)
    if stands or (enough and pays(loop, nest.vector_bytes)):
        make_vector(loop, lanes_of(loop, nest.vector_bytes, stands=stands))
        give_lanes(nest, loop)
        give_windows(nest, loop)
        return
    for inner in loops_in(loop.body):
        if standing and not inner.vector:
            choose_lanes(nest, inner, standing)


def around_short_rows(body: list[Statement], standing: str) -> Iterator[Loop]:
    """The outermost loops whose rounds go through few elements, and those of standing rows."""
    for loop in loops_in(body):
        if loop.vector:
            continue
        if points(loop) > POINTS and not is_part_of(loop, standing):
            if loop.block == 1:
                yield from around_short_rows(loop.body, standing)
        elif not any(is_in_order(statement, loop) for statement in all_in(loop.body)):
            yield loop


def is_part_of(loop: Loop, var: str) -> bool:
    """Whether `loop` is the one over `var`, or a segment of it."""
    return loop.var.split("_")[0] == var


def is_in_order(statement: Statement, loop: Loop) -> bool:
    """Whether rows must come one after the other, or read what lies apart under conditions."""
    match statement:
        case Scan():
            return True
        case Load():
            return bool(statement.inside) and is_apart(statement.place, loop)
        case Store() | Update():
            return bool(statement.place.at)
    return False


def carries(nest: LoopNest, loop: Loop) -> bool:
    """Whether what `loop` keeps for a row is there before or after it: rows go in order then."""
    kept = {s.place.buffer for s in accesses(loop.body) if isinstance(s, Store)} & {*nest.scratch}
    uses = [[s.place.buffer for s in accesses(body)] for body in (nest.body, loop.body)]
    return any(uses[0].count(buffer) > uses[1].count(buffer) for buffer in kept)


def loops_in(body: list[Statement]) -> list[Loop]:
    """The loops among statements."""
    return [statement for statement in body if isinstance(statement, Loop)]


def points(loop: Loop) -> int:
    """How many elements one round goes through, at most."""
    return max((inner.extent * points(inner) for inner in loops_in(loop.body)), default=1)


def accesses(body: list[Statement]) -> list[Access]:
    """The statements that touch memory, in loops and around."""
    return [s for s in all_in(body) if isinstance(s, Access)]


# Whether, and how many.


def native_lanes(loop: Loop, vector_bytes: int) -> int:
    """The lanes of one register, of the widest values in `loop`."""
    dtypes = [s.place.buffer.dtype for s in accesses(loop.body)]
    for s in all_in(loop.body):
        if isinstance(s, Apply):
            dtypes += [*s.dtypes, s.dtype]
    return max(vector_bytes // max([computed(x).itemsize for x in dtypes], default=4), 1)


def lanes_of(loop: Loop, vector_bytes: int, *, stands: bool) -> int:
    """The lanes of a loop over rows: four registers per value, unless panels would be large.

    stands: whether rows stand side by side, and need none.
    """
    native = native_lanes(loop, vector_bytes)
    lanes = lanes_for(loop.extent, native) if stands else min(4 * native, WIDEST)
    panels = len({s.place for s in accesses(loop.body)}) * points(loop) * vector_bytes // native
    while not stands and lanes > native and panels * lanes > STACK:
        lanes //= 2
    return lanes


def pays(loop: Loop, vector_bytes: int) -> bool:
    """Whether rows abreast take fewer instructions than one row after the other."""
    lanes = max(vector_bytes // 4, 1)
    across = [
        s for s in accesses(loop.body) if isinstance(s, Update) and not s.place.stride(loop.var)
    ]
    abreast = one_by_one(loop.body) + turning(loop, min(lanes, SQUARE))
    abreast += ACROSS * points(loop) * len(across)
    return abreast < lanes * in_vectors(loop.body, lanes)


def in_vectors(body: list[Statement], lanes: int) -> float:
    """The instructions of a row whose columns are in lanes."""
    total, passes, halves = 0.0, -1, lanes.bit_length() - 1
    for statement in body:
        if not isinstance(statement, Loop):
            total += weight(statement)
        elif not statement.vector:
            total += statement.extent * in_vectors(statement.body, lanes)
        else:
            vectors = -(-statement.extent // lanes)
            total += vectors * one_by_one(statement.body) + HALF * halves * len(statement.folds)
            passes += 1
    return total + WAIT * max(passes, 0)


def one_by_one(body: list[Statement]) -> int:
    """The instructions of a row whose columns are made one by one."""
    return sum([s.extent * one_by_one(s.body) if isinstance(s, Loop) else weight(s) for s in body])


def weight(statement: Statement) -> int:
    """The instructions of a statement."""
    if isinstance(statement, Apply) and statement.op is not None:
        return instructions(statement.op, statement.dtypes, statement.dtype) or 0
    return 1


def turning(loop: Loop, lanes: int) -> int:
    """The instructions that turn the windows of `lanes` rows."""
    _, extents = inside(loop)
    return sum(
        cost(window(group, extents)[1], row.stride(loop.var), lanes)
        for row, group in rows_apart(loop).items()
    )


# Lanes instead of numbers.


def make_vector(loop: Loop, lanes: int) -> None:
    """Let the rounds of `loop` be lanes, which go through the loops inside of it."""
    inner = [s for s in all_in(loop.body) if isinstance(s, Loop)]
    loop.calls = any(s.calls for s in inner)
    loop.vector, loop.lanes, loop.block = True, lanes, 1
    if loop.folds:
        loop.chunk = -(-CHUNK // (points(loop) * lanes)) * lanes
    for s in inner:
        s.vector, s.lanes, s.unroll, s.chunk, s.block, s.calls = False, 1, 1, 0, 1, False
        if s.extent > POINTS and not loops_in(s.body):
            s.unroll = TURNS if sum(map(weight, s.body)) <= LIGHT else 1
            s.chunk = POINTS if s.folds else 0


def give_lanes(nest: LoopNest, loop: Loop) -> None:
    """Let what `loop` keeps in memory for a row have room for a vector of them."""
    stored = {s.place.buffer for s in accesses(loop.body) if isinstance(s, Store)}
    wider = {b: replace(b, lanes=loop.lanes, role="scratch") for b in stored & {*nest.scratch}}
    nest.scratch = [wider.get(b, b) for b in nest.scratch]
    places = {s.place for s in accesses(loop.body) if s.place.buffer in wider}
    lanes = {p: replace(p, buffer=wider[p.buffer]) for p in places}
    loop.body = with_places(loop.body, lambda place: lanes.get(place, place))


# Windows.


def is_apart(place: Place, loop: Loop) -> bool:
    """Whether rounds of `loop` find their elements in memory with gaps between."""
    in_memory = place.buffer.role in ("input", "output") and not place.at
    return in_memory and place.stride(loop.var) not in (0, 1)


Extents = Mapping[Place, Mapping[str, int]]


def inside(loop: Loop) -> tuple[set[str], Extents]:
    """The loops in `loop` by name, and for each place how far those go that it is in.

    Segments of a row have one name, and lengths of their own.
    """
    found: dict[Place, dict[str, int]] = {}

    def enter(body: list[Statement], around: dict[str, int]) -> None:
        for s in body:
            if isinstance(s, Loop):
                enter(s.body, {**around, s.var: s.extent})
            elif isinstance(s, Access):
                known = found.setdefault(s.place, {})
                known.update({v: max(n, known.get(v, 1)) for v, n in around.items()})

    enter(loop.body, {})
    return {s.var for s in all_in(loop.body) if isinstance(s, Loop)}, found


def rows_apart(loop: Loop) -> dict[Place, dict[Place, None]]:
    """The places with gaps between, by where a row of the loop begins, but for the offset."""
    (names, extents), groups = inside(loop), dict[Place, dict[Place, None]]()
    for place in [s.place for s in accesses(loop.body) if is_apart(s.place, loop)]:
        outer = tuple([(v, s) for v, s in place.strides if v not in names])
        groups.setdefault(Place(place.buffer, 0, outer), {})[place] = None
    # one element of each row is read and stored where it is
    return {row: group for row, group in groups.items() if window(group, extents)[1] > 1}


def give_windows(nest: LoopNest, loop: Loop) -> None:
    """Let `loop` read and write what lies apart through panels."""
    names, extents = inside(loop)
    reads: list[Statement] = []
    writes: list[Statement] = []
    moves: dict[Place, Place] = {}
    var = next(iter(names)) if len(names) == 1 else "k"
    for row, group in rows_apart(loop).items():
        low, span = window(group, extents)
        buffer = row.buffer
        uses = [s for s in accesses(loop.body) if s.place.buffer == buffer]
        writing = any(isinstance(s, Store) for s in uses)
        if any(isinstance(s, Update) for s in uses) or (writing and isinstance(uses[0], Load)):
            continue  # it has been filled before
        if span > POINTS or (writing and not is_filled(group, extents, span)):
            continue
        panel = Buffer(f"p{len(nest.scratch)}", (span,), buffer.dtype, "scratch", loop.lanes)
        nest.scratch.append(panel)
        for place in group:
            inner = tuple([(v, s) for v, s in place.strides if v in names])
            moves[place] = Place(panel, place.offset - low, inner)
        ends = Place(buffer, low, (*row.strides, (var, 1))), Place(panel, 0, ((var, 1),))
        source, target = ends[::-1] if writing else ends
        name, lanes = f"{panel.name}_", max(nest.vector_bytes // buffer.dtype.itemsize, 1)
        copy: list[Statement] = [Load(name, source), Store(target, name)]
        lanes = min(lanes, SQUARE, loop.lanes)
        (writes if writing else reads).append(Loop(var, span, copy, lanes=lanes, vector=True))
    inner_body = with_places(loop.body, lambda place: moves.get(place, place))
    loop.body = [*reads, *inner_body, *writes]


def window(places: Iterable[Place], extents: Extents) -> tuple[int, int]:
    """The first element that a row has in `places`, and how many there are up to the last."""
    low, high = [], []
    for place in places:
        inner = extents[place]
        ways = [s * (inner[v] - 1) for v, s in place.strides if v in inner]
        low.append(place.offset + sum(way for way in ways if way < 0))
        high.append(place.offset + sum(way for way in ways if way > 0))
    return min(low), max(high) - min(low) + 1


def is_filled(places: Iterable[Place], extents: Extents, span: int) -> bool:
    """Whether `places` together come to all elements of a window."""
    found: set[int] = set()
    for place in places:
        inner = extents[place]
        steps = [range(0, s * inner[v], s) for v, s in place.strides if v in inner]
        found |= {place.offset + sum(step) for step in itertools.product(*steps)}
    return len(found) == span
