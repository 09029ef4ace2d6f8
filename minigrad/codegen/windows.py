"""Windows of rows, turned in registers: from memory into panels of one vector for each column.

Rows of more than a few elements go by squares: a line is loaded from each row, and the columns of
the lines are stored. Where rows are short and follow each other without gaps, the vectors that
they fill together are loaded, and columns picked out of them. Back to memory it goes likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..core.lowering import Value
from .arithmetic import lane_type
from .crosswise import turned
from .emitter import VectorEmitter
from .items import memory_dtype
from .loops import DType, Load, Loop, Place, Store
from .text import Index
from .vector import Vector

PICKED = 6
"""Elements of a row up to which columns are picked out of vectors."""


class Window(NamedTuple):
    """`span` elements of rows `stride` apart in `memory`, and a `panel` with a vector of each.

    unit: the lanes of a vector in the panel.
    """

    memory: str
    panel: str
    stride: int
    span: int
    unit: int
    dtype: DType


def copy_window(
    emitter: VectorEmitter, loop: Loop, bases: Mapping[Place, list[Index]], vector: Vector
) -> None:
    """Fill a panel from memory, or memory from a panel: what `loop`, in `vector`, says.

    emitter: of as many lanes as squares are wide. bases: addresses at round 0 of both loops.
    """
    load, store = loop.body
    assert isinstance(load, Load) and isinstance(store, Store)
    inwards = store.place.buffer.lanes > 1
    panel, place = (store.place, load.place) if inwards else (load.place, store.place)
    dtype, stride = memory_dtype(place.buffer.dtype), place.stride(vector.var)
    index = emitter.function.times(vector.index, stride)
    start = emitter.function.address(str(bases[place][0]), index, lane_type(dtype))
    unit = panel.buffer.lanes
    window = Window(start, str(bases[panel][0]), stride, loop.extent, unit, dtype)
    copy = read_window if inwards else write_window
    copy(emitter, window, vector.filled)


def read_window(emitter: VectorEmitter, window: Window, rows: int) -> None:
    """Fill a panel with the first `rows` rows of a window; other lanes get anything."""
    if is_picked(window.span, window.stride):
        by_lines(emitter, rows, lambda first, count: pick(emitter, window, first, count))
        return
    for column, n in squares(window.span, emitter.lanes):
        square = Square(emitter.with_lanes(n), window, column)
        by_lines(square.emitter, rows, square.read)


def write_window(emitter: VectorEmitter, window: Window, rows: int) -> None:
    """Store the first `rows` rows of a panel in memory."""
    if is_picked(window.span, window.stride):
        by_lines(emitter, rows, lambda first, count: put_back(emitter, window, first, count))
        return
    for column, n in squares(window.span, emitter.lanes):
        square = Square(emitter.with_lanes(n), window, column)
        by_lines(square.emitter, rows, square.write)


def is_picked(span: int, stride: int) -> bool:
    """Whether columns are picked out of vectors, rather than turned by squares."""
    return span == stride <= PICKED


def squares(span: int, lanes: int) -> list[tuple[int, int]]:
    """The squares that `span` columns are turned by: where each begins, and how wide it is."""
    found, start = [], 0
    while start < span:
        width = min(lanes, 1 << (span - start - 1).bit_length())
        found.append((start, width))
        start += width
    return found


def cost(span: int, stride: int, lanes: int) -> int:
    """The instructions that turn `lanes` rows of `span` elements."""
    if is_picked(span, stride):
        return span * (span + 1)
    counts = [lanes // n * (n * (n.bit_length() + 1)) for _, n in squares(span, lanes)]
    return sum(counts)


def by_lines(emitter: VectorEmitter, rows: int, inside: Callable[[Index, int], None]) -> None:
    """For as many rows as `emitter` has lanes, and what remains: `inside(first, count)`."""
    n = emitter.lanes
    whole = rows // n * n
    if whole == n:
        inside(0, n)
    elif whole:
        with emitter.loop(0, whole, n) as state:
            inside(state.index, n)
    if whole < rows:
        inside(whole, rows - whole)


def mask_of(emitter: VectorEmitter, count: int) -> Value | None:
    """The mask of the first `count` lanes; None for all."""
    return None if count >= emitter.lanes else emitter.first_lanes(count)


# By squares.


class Square(NamedTuple):
    """The columns of a window from `column` on, as many as `emitter` has lanes, or fewer."""

    emitter: VectorEmitter
    window: Window
    column: int

    @property
    def width(self) -> int:
        """How many columns there are."""
        return min(self.emitter.lanes, self.window.span - self.column)

    def read(self, first: Index, count: int) -> None:
        """Turn `count` rows, from `first` on."""
        emitter, window = self.emitter, self.window
        mask, lines = mask_of(emitter, self.width), []
        for k in range(count):
            where = self.in_memory(first, k)
            lines.append(emitter.load(window.memory, where, window.dtype, mask=mask))
        for k, x in enumerate(self.turned(lines)[: self.width]):
            emitter.store(x, window.panel, self.in_panel(first, k))

    def write(self, first: Index, count: int) -> None:
        """Turn `count` rows back, from `first` on."""
        emitter, window = self.emitter, self.window
        mask, columns = mask_of(emitter, self.width), []
        for k in range(self.width):
            columns.append(emitter.load(window.panel, self.in_panel(first, k), window.dtype))
        for k, x in enumerate(self.turned(columns)[:count]):
            emitter.store(x, window.memory, self.in_memory(first, k), mask=mask)

    def turned(self, lines: list[Value]) -> list[Value]:
        """The columns of `lines`; zeros where there are too few."""
        zero = self.emitter.const(0, self.window.dtype)
        return turned(self.emitter, lines + [zero] * (self.emitter.lanes - len(lines)))

    def in_memory(self, first: Index, k: int) -> Index:
        """Where row `first + k` begins."""
        f, stride = self.emitter.function, self.window.stride
        return f.plus(f.times(first, stride), k * stride + self.column)

    def in_panel(self, first: Index, k: int) -> Index:
        """Where row `first` is in column `k`."""
        return self.emitter.function.plus(first, (self.column + k) * self.window.unit)


# By picking.


def pick(emitter: VectorEmitter, window: Window, first: Index, count: int) -> None:
    """Pick the columns of `count` rows, from `first` on, out of the vectors that they fill."""
    n, f, span = emitter.lanes, emitter.function, window.span
    start = f.times(first, span)
    vectors = []
    for k in range(-(-count * span // n)):
        mask = mask_of(emitter, count * span - k * n)
        vectors.append(emitter.load(window.memory, f.plus(start, k * n), window.dtype, mask=mask))
    for column in range(span):
        places = [divmod(min(row, count - 1) * span + column, n) for row in range(n)]
        x = picked(emitter, vectors, places)
        emitter.store(x, window.panel, f.plus(first, column * window.unit))


def put_back(emitter: VectorEmitter, window: Window, first: Index, count: int) -> None:
    """Put the columns of `count` rows, from `first` on, in order again."""
    n, f, span = emitter.lanes, emitter.function, window.span
    start = f.times(first, span)
    vectors = [
        emitter.load(window.panel, f.plus(first, column * window.unit), window.dtype)
        for column in range(span)
    ]
    for k in range(-(-count * span // n)):
        places = [divmod(k * n + lane, span)[::-1] for lane in range(n)]
        x = picked(emitter, vectors, places)
        mask = mask_of(emitter, count * span - k * n)
        emitter.store(x, window.memory, f.plus(start, k * n), mask=mask)


def picked(
    emitter: VectorEmitter, vectors: Sequence[Value], places: Sequence[tuple[int, int]]
) -> Value:
    """Lanes of `vectors`: pairs of the number of a vector, and of a lane in it."""
    n = emitter.lanes
    sources = sorted({source for source, _ in places})
    found = vectors[sources[0]]
    order = [lane if source == sources[0] else 0 for source, lane in places]
    if len(sources) == 1:
        return emitter.shuffled(found, found, order)
    for source in sources[1:]:
        order = [n + lane if own == source else order[k] for k, (own, lane) in enumerate(places)]
        found = emitter.shuffled(found, vectors[source], order)
        order = [*range(n)]
    return found
