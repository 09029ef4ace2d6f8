"""Which dims of a group are loops around which: batch, around rows, around columns.

Columns are the dims that row reductions run over, or simply the innermost ones; rows those that
column reductions run over. A reduction over the columns is complete at the end of a row, and its
result can be used in the next pass over it. One over the rows is complete at the end of a batch:
what depends on it is late.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from ..core.op import Node
from .bodies import cost, is_array, is_fold, is_lookup, is_map, is_move, is_scan, is_scatter
from .cost import POINTS, WIDEST
from .index import Space
from .views import MisfitError

Dims = frozenset[int]
REDUNDANT = 12
"""Instructions that may be repeated for every row rather than be a loop of their own."""
SHORT = 32
"""Rows shorter than this carry no work of their own, which is done one row at a time."""
NARROW = 16
"""Rows that stand beside each other, at least, for a vector to go along them."""
CACHE = 1 << 18
"""Bytes of so many rows, at most."""
LINE = 64
"""Bytes of a line: two threads that write to one have to wait for each other."""
MUCH = 1 << 20
"""Bytes from which on that matters more than going through them once less."""
COLUMNS = 8192
"""Numbers, of all column sums together, that are kept on the stack for what is made of them."""


class Arrangement(NamedTuple):
    """Dims from the outermost to the innermost, and the values made after the rows.

    scanned: the dim that running results go along, the innermost one or that of the rows.
    standing: the dim along which elements lie side by side, where it is the last one of the rows,
    and not of the columns: rows stand upright in memory, many beside each other.
    """

    batch: tuple[int, ...]
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    late: frozenset[Any]
    scanned: int | None = None
    standing: int | None = None

    @property
    def runs_over_rows(self) -> bool:
        """Whether there are running results that go along the rows, and not within one."""
        return self.scanned in self.rows and self.scanned != self.order[-1]

    @property
    def order(self) -> tuple[int, ...]:
        """All dims, outermost first."""
        return (*self.batch, *self.rows, *self.cols)


def arrange(space: Space) -> Arrangement:
    """The loops of `space`. Raises MisfitError where its nodes need different ones."""
    order = memory_order(space)
    if frozenset(order) != space.extents.keys():
        raise MisfitError("loops of different lengths")
    folds = [node for node in space.nodes if is_fold(node)]
    reduced = {node: folded(space, node) for node in folds}
    scanned = scanned_dim(space)
    upright = scanned is None and not any(map(is_scatter, space.nodes))
    try:
        found = lying(space, order, reduced, scanned)
    except AgainError as misfit:
        if not upright:
            raise
        return standing(space, order, reduced, misfit)
    many = math.prod(space.extents[d] for d in found.batch) >= WIDEST
    if upright and many and is_small(space, (*found.rows, *found.cols)):
        with suppress(MisfitError):
            return standing(space, order, reduced, MisfitError())
    return found


def is_small(space: Space, dims: Iterable[int]) -> bool:
    """Whether there are so few elements along `dims` that they can be in one lane."""
    return math.prod(space.extents[d] for d in dims) <= POINTS


class AgainError(MisfitError):
    """A sum over rows is needed while they are gone through once more."""


def lying(
    space: Space, order: tuple[int, ...], reduced: dict[Node, Dims], scanned: int | None
) -> Arrangement:
    """The loops of `space` where what lies side by side is the columns."""
    everything = frozenset(order)
    if scanned is None or scanned == order[-1]:
        cols, rows = columns_and_rows(order, set(reduced.values()))
    else:
        cols, rows = frozenset(order[order.index(scanned) + 1 :]), frozenset({scanned})
        if any(dims & cols for dims in reduced.values()):
            raise MisfitError("running results along another axis, and sums of rows")
    rest = everything - cols
    for node, dims in reduced.items():
        check_fold(space, node, dims, cols, rows, rest)
    batch = rest - rows if rows else frozenset[int]()
    rows = rows or rest
    found = Arrangement(
        tuple([d for d in order if d in batch]),
        tuple([d for d in order if d in rows]),
        tuple([d for d in order if d in cols]),
        late_values(space, reduced, [d for d in order if d in cols], batch),
        scanned,
    )
    check_prefixes(space, found)
    if not found.late.isdisjoint(space.scans):
        raise MisfitError("running results of what needs all rows")
    return found


def standing(
    space: Space, order: tuple[int, ...], reduced: dict[Node, Dims], misfit: MisfitError
) -> Arrangement:
    """The loops of `space` where columns are what is summed up, though it lies apart.

    A vector then holds an element each of rows that are beside each other, and goes along all of
    them. Raises `misfit` where so many rows do not fit into a cache while they are gone through.
    """
    across = [dims for dims in reduced.values() if dims and order[-1] not in dims]
    cols = min(across, key=len, default=frozenset[int]())
    rest = frozenset(order) - cols
    size = math.prod(space.extents[d] for d in cols)
    widest = max(y.dtype.itemsize for y in space.made)
    strides = [space.maps[y].get(d, 0) * y.dtype.itemsize for y in space.made for d in cols]
    lines_shared = any(stride % LINE for stride in strides)
    much = math.prod(space.extents.values()) * widest > MUCH
    most = CACHE // 4 if lines_shared and much else CACHE
    if not cols or size * widest * WIDEST > most:
        raise misfit
    outermost = next((d for d in order if d in rest), None)
    narrow = space.extents[order[-1]] < NARROW
    if narrow and not is_small(space, [d for d in order if d != outermost]):
        raise misfit
    for node, dims in reduced.items():
        check_fold(space, node, dims, cols, rest, rest)
        if dims and not dims & cols:
            raise misfit
    found = Arrangement(
        (),
        tuple([d for d in order if d in rest]),
        tuple([d for d in order if d in cols]),
        late_values(space, reduced, [d for d in order if d in cols], frozenset()),
        standing=order[-1],
    )
    check_prefixes(space, found)
    return found


def folded(space: Space, node: Node) -> Dims:
    """The dims that a reduction runs over."""
    return space.dims(node.inputs[0]) - space.dims(node.outputs[0])


def memory_order(space: Space) -> tuple[int, ...]:
    """All dims in the order in which elements lie in memory, outermost first."""
    made = [
        y
        for node in space.nodes
        if is_map(node) or is_scan(node) or is_lookup(node) or is_scatter(node)
        for y in node.outputs
    ]
    most = max((len(space.maps[x]) for x in space.fixed), default=0)
    full = [y for y in made if len(space.maps[y]) == most]
    if full:
        orders = [sorted(space.maps[y], key=lambda d: -space.maps[y][d]) for y in full]
        if len({order[-1] for order in orders if order}) > 1:
            raise MisfitError("rows of one value are columns of another")
        return tuple(orders[-1])
    for x in space.fixed:
        if len(space.maps[x]) == most:
            inside = x in space.made
            strides = space.maps[x] if inside else space.source(x, x).strides
            return tuple(sorted(space.maps[x], key=lambda d: -abs(strides.get(d, 0))))
    return ()


def columns_and_rows(order: tuple[int, ...], reductions: set[Dims]) -> tuple[Dims, Dims]:
    """The dims that make up the columns, and those that column reductions run over."""
    everything = frozenset(order)
    inner = [dims for dims in reductions if order and order[-1] in dims]
    across = [dims for dims in reductions if dims and order[-1] not in dims]
    smallest = min(inner, key=len, default=None)
    if smallest is not None and smallest != everything:
        rest = everything - smallest
        parts = {dims & rest for dims in reductions} - {frozenset()}
        return smallest, min(parts, key=len, default=frozenset())
    if not across:
        return everything, frozenset()
    rows = min(across, key=len)
    if smallest is not None:
        return everything - rows, rows
    last = max(k for k, dim in enumerate(order) if dim in rows)
    return frozenset(order[last + 1 :]), rows


def check_fold(space: Space, node: Node, reduced: Dims, cols: Dims, rows: Dims, rest: Dims) -> None:
    """Raise MisfitError unless the reduction is complete at the end of a row or of a batch."""
    if not reduced:
        return
    own = space.dims(node.inputs[0])
    whole = cols | rest if own & cols else rest
    over_cols, over_rows = reduced & cols, reduced - cols
    if own != whole or over_cols not in (cols, frozenset()) or over_rows not in (rows, frozenset()):
        raise MisfitError("a reduction along other axes")


def late_values(
    space: Space, reduced: dict[Node, Dims], columns: list[int], batch: Dims
) -> frozenset[Any]:
    """The values that are complete only after all rows."""
    late: set[Any] = set()
    cols = frozenset(columns)
    sums = [dims for dims in reduced.values() if dims and not dims & cols]
    # where there are no others, columns are parted, into strips of the outermost
    parted = len(sums) == sum(map(bool, reduced.values())) and not any(map(is_scatter, space.nodes))
    kept = columns[parted:]
    for node in space.nodes:
        y = node.outputs[0]
        if y not in space.made:
            continue
        waits = any(x in late for x in node.inputs if is_array(x))
        if is_fold(node):
            if waits:
                raise AgainError("a reduction of what needs all rows")
            if reduced[node] - cols:
                late.add(y)
        elif waits and is_move(node):
            late.add(y)  # only seen through
        elif waits:
            if not space.dims(y) <= batch | cols:
                raise AgainError("a reduction over rows is used in rows again")
            if len(sums) * math.prod(space.extents[d] for d in kept) > COLUMNS:
                raise MisfitError("too many columns to keep their sums")
            late.add(y)
    return frozenset(late)


def check_prefixes(space: Space, found: Arrangement) -> None:
    """Raise MisfitError if much would be computed again for every row, or one row at a time.

    Or if anything would be: what arrives in places must not arrive twice.
    """
    order = found.order
    for y in space.scattered:
        if not is_prefix(space.dims(y), order):
            raise MisfitError("it would arrive once more for every row")
    of_rows: set[Any] = set()  # what is made of reductions: it has no other place
    for node in space.nodes:
        y = node.outputs[0]
        if is_fold(node) or any(x in of_rows for x in node.inputs if is_array(x)):
            of_rows.add(y)
        if not is_map(node) or y in found.late or (cost(node) or 0) <= REDUNDANT:
            continue
        dims = space.dims(y)
        if not is_prefix(dims, order):
            raise MisfitError("it would be computed again for every row")
        rest = math.prod(space.extents[d] for d in order if d not in dims)
        if dims and 1 < rest < SHORT and y not in of_rows:
            raise MisfitError("rows too short for work that is done row by row")


def scanned_dim(space: Space) -> int | None:
    """The dim that running results go along; None if there are none.

    Raises MisfitError where there are several, or several directions.
    """
    found: set[int] = set()
    for y, axis in space.scans.items():
        dims = [part.dim for part in refined(space, y).spelled(y, axis)]
        whole = space.extents.keys() == space.dims(y) and len(dims) == 1
        if not whole or space.extents.get(dims[0]) != y.shape[axis]:
            raise MisfitError("running results along an axis that is no loop")
        found |= {*dims}
    backwards = {scans_backwards(n) for n in space.nodes if n.outputs[0] in space.scans}
    if len(backwards) > 1 or (True in backwards and any(map(is_fold, space.nodes))):
        raise MisfitError("running results in the other direction")
    if len(found) > 1:
        raise MisfitError("running results along several axes")
    return min(found, default=None)


def refined(space: Space, y: Any) -> Space:
    """A space in which each dim belongs to one axis of `y`."""
    other = space.copy()
    other.refine(y)
    return other


def scans_backwards(node: Node) -> bool:
    """Whether running results begin with the last element."""
    return bool(node.attrs.get("backwards"))


def is_prefix(dims: Dims, order: tuple[int, ...]) -> bool:
    """Whether `dims` are the outermost ones: each element is then made once."""
    return dims == frozenset(order[: len(dims)])


def storable(space: Space, found: Arrangement, y: Any) -> bool:
    """Whether `y` can be an output: it is made once, and lies along the innermost loop."""
    dims, order = space.dims(y), found.order
    if y in found.late or y in space.scattered:
        return True
    inner = found.standing or (order[-1] if order else None)
    return is_prefix(dims, order) and (inner not in dims or space.maps[y][inner] == 1)
