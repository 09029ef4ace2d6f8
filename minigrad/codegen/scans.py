"""Running results in a loop: combined within vectors, and carried from one vector to the next.

Sums may be parted: in a register the lanes are added in log2 steps. Between registers only one
addition has to wait for the one before: the totals of registers are known before what comes in
front of them. Others go lane by lane.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.lowering import Scan, Value
from ..core.op import Op
from .arithmetic import lane_type
from .emitter import VectorEmitter
from .loops import Scan as Statement
from .vector import Vector


def scan_of(op: Op) -> Scan:
    """How `op` combines what has been so far with the next element."""
    assert isinstance(op.lower, Scan)
    return op.lower


def started(
    emitter: VectorEmitter, scan: Statement, lanes: int, vector_bytes: int
) -> tuple[str, int]:
    """Memory that holds what comes before the first element, and in how many lanes it does.

    In those of a register, of a loop with `lanes`; in one, where lanes go in turn.
    """
    width = min(lanes, max(vector_bytes // scan.dtype.itemsize, 1))
    width = 1 if scan_of(scan.op).in_turn else width
    cell = emitter.function.scratch(width * scan.dtype.itemsize)
    vector = emitter.with_lanes(width)
    vector.store(vector.const(scan_of(scan.op).init(scan.dtype), scan.dtype), cell, 0)
    return cell, width


def running(vector: Vector, op: Op, xs: Sequence[Value], cell: str, width: int) -> Value:
    """The running results of `op` in a round, after what is in each of `width` lanes at `cell`."""
    emitter, backwards = vector.emitter, vector.backwards
    if scan_of(op).in_turn:
        return in_turn(emitter, op, xs, cell, range(vector.filled)[:: -1 if backwards else 1])
    (x,) = xs
    if vector.mask is not None and backwards:
        x = emitter.select(vector.mask, x, emitter.const(scan_of(op).init(x.dtype), x.dtype))
    return scanned(emitter, op, x, cell, width=width, backwards=backwards)


def scanned(
    emitter: VectorEmitter, op: Op, x: Value, cell: str, *, width: int, backwards: bool
) -> Value:
    """The running results of `op` along the lanes of `x`, after what is in each lane at `cell`.

    width: the lanes of a register; `cell` has as many. backwards: from the last lane to the first.
    The new total is left at `cell`.
    """
    combine, neutral = scan_of(op).combine, scan_of(op).init(x.dtype)
    n = min(width, emitter.lanes)
    register = emitter.with_lanes(n)
    carried = register.load(cell, 0, x.dtype)
    count = emitter.lanes // n
    found = []
    for k in reversed(range(count)) if backwards else range(count):
        part = piece(emitter, x, k * n, n)
        part = within(register, op, part, neutral, backwards=backwards)
        found.append(combine(register, carried, part))
        last = shuffled(register, part, part, [0 if backwards else n - 1] * n)
        carried = combine(register, carried, last)
    whole = register.with_lanes(width)
    everywhere = shuffled(register, carried, carried, [0] * width, width)
    whole.store(everywhere, cell, 0)
    return together(register, found[::-1] if backwards else found)


def in_turn(
    emitter: VectorEmitter, op: Op, xs: Sequence[Value], cell: str, order: Sequence[int]
) -> Value:
    """The running results of `op` along the lanes of `xs`, one lane after the other in `order`.

    The result before them is at `cell`, a scalar, and so is the last one afterwards.
    """
    scalar, dtype = emitter.scalar, xs[0].dtype
    kind, lane = emitter.type_of(dtype), lane_type(dtype)
    found, result = Value("poison", dtype), scalar.load(cell, 0, dtype)
    for k in order:
        elements = [emitter.lane(x, k) for x in xs]
        result = scan_of(op).combine(scalar, result, *elements)
        if emitter.lanes == 1:
            found = result
        else:
            source = f"insertelement {kind} {found.text}, {lane} {result.text}, i64 {k}"
            found = emitter.let(source, dtype)
    scalar.store(result, cell, 0)
    return found


def within(emitter: VectorEmitter, op: Op, x: Value, neutral: object, *, backwards: bool) -> Value:
    """The running results along the lanes of one register. Hillis and Steele (1986)."""
    n, step = emitter.lanes, 1
    zero = emitter.const(neutral, x.dtype)
    while step < n:
        order = [k + step if k + step < n else n for k in range(n)] if backwards else []
        order = order or [k - step if k >= step else n for k in range(n)]
        before = shuffled(emitter, x, zero, order)
        x = scan_of(op).combine(emitter, before, x)
        step *= 2
    return x


def piece(emitter: VectorEmitter, x: Value, first: int, count: int) -> Value:
    """`count` lanes of `x`, from `first` on."""
    if count == emitter.lanes:
        return x
    return shuffled(emitter, x, x, [*range(first, first + count)], count)


def together(emitter: VectorEmitter, parts: Sequence[Value]) -> Value:
    """The lanes of `parts`, a power of two of them, in one vector."""
    while len(parts) > 1:
        n = 2 * emitter.lanes
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [shuffled(emitter, one, other, [*range(n)], n) for one, other in pairs]
        emitter = emitter.with_lanes(n)
    return parts[0]


def shuffled(
    emitter: VectorEmitter, one: Value, other: Value, order: Sequence[int], count: int = 0
) -> Value:
    """Lanes of two vectors by number, those of `other` after those of `one`; `count` of them."""
    if emitter.lanes == 1:
        return emitter.with_lanes(count or 1).splat(one)
    return emitter.shuffled(one, other, order)
