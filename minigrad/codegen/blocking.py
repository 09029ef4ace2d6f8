"""How a product of matrices is cut: tiles for the registers, panels and blocks for the caches."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

PANEL_BYTES, DEPTH = 1 << 17, 512
"""A packed panel, on the stack, and its rows: it is read again for every few rows of x1. Blocks of
less depth read and write the result more often; 512 instead of 256 were a tenth faster."""
BLOCK_BYTES = 1 << 20
"""Rows of x1 that stay in the second cache, and may meet the panels one by one."""
GROUP_BYTES, GROUP_ROWS = 1 << 19, 1024
"""Where they do not stay there, each tile of x1 meets a group of packed panels, which do; and at
least so many rows read a group. A product of 2048 x 2048 x 2048 takes 113 ms so, on one processor,
and took 141 when each panel was packed anew for rows that fitted, and met them all."""
WHOLE = 1 << 40
"""More than there is of anything: no division."""
UNPACKED_BYTES = 1 << 17
"""Up to this size x2 is read where it lies, if its rows are contiguous."""
REUSE = 33
"""Rows of x1 from which a packed panel is read often enough to be worth packing."""
AHEAD = 6
"""How many rows of x2 ahead are asked for where it is read as it lies, and is not in the cache."""
PAGE, PAGES, ALONG = 1 << 12, 64, 1 << 10
"""The rows of x2 that make up a block are on so many pages then, as the processor knows by heart
where these are, and a unit of work reads at least so many bytes of each: what follows is fetched
meanwhile. 16 x 1024 x 1024 takes 0.37 ms so, on one processor, and took 0.5 in deep blocks."""
PARALLEL, SHARE = 1 << 22, 1 << 21
"""Pairs of numbers multiplied from which threads share the work, and in what portions: 30 us."""
SCATTERED = 3 << 17
"""Bytes of x1 from which it is copied first if its rows are not contiguous."""
BAND_BYTES, STRIPS_DEPTH = 1 << 17, 256
"""Rows of x1, copied or not, that meet a group of panels before the next rows do; and how deep the
groups are where x1 is copied, for each: less, and so more panels read the copy."""
MADE_BYTES = 1 << 14
"""The same of rows that are made just before: they stay in the first cache."""
UNITS, LEAST_ROWS = 12, 256
"""Into how many units of work products are divided, if that leaves enough rows to read what is
packed for them."""
LATENCY, BUSY = 8, 12
"""Accumulators that could keep the multipliers busy, two a cycle, each four cycles long; and those
that do, as not all comes in time."""
FLOW, LOAD, NUMBER = 8, 4, 2
"""What multiplying two vectors, loading one of x2 and loading a number of x1 cost side by side:
more than alone, as another thread may share the core. As many are loaded a cycle as multiplied."""
NEAR_BYTES, FAR_LOAD, ASKED_LOAD = 1 << 15, 12, 6
"""Up to this size x2 stays in the first cache; beyond, if it is not packed, loads cost more, and
less of that where it was asked for."""
ROWS = 16
"""Rows of the tallest tile: each more is more text."""
SLACK = 1.01
"""How much slower a tile may be by this reckoning, which is no more exact, to be less text."""


class Layout(NamedTuple):
    """Where a matrix, or a batch of them, is in an array: counted in elements.

    strides: of the batch axes, of the rows and of the columns.
    """

    offset: int
    strides: tuple[int, ...]


class Product(NamedTuple):
    """What is multiplied: y[..., i, j] is the sum over k of x1[..., i, k] * x2[..., k, j].

    y is contiguous, and has rows, columns and the axes `batch` in front; depth: the length of
    the summed axis. Neither is zero.
    levels: of what the summed axis of x1 is made up where it has no single stride, as windows of
    images: extents and strides, the outermost first.
    """

    dtype: np.dtype[Any]
    batch: tuple[int, ...]
    rows: int
    columns: int
    depth: int
    x1: Layout
    x2: Layout
    levels: tuple[tuple[int, int], ...] = ()

    @property
    def step(self) -> int:
        """How much of the summed axis the outermost level has in each of its places."""
        return math.prod([extent for extent, _ in self.levels[1:]])

    @property
    def result(self) -> tuple[int, ...]:
        """How far elements of the result are apart along each of its axes."""
        shape = (*self.batch, self.rows, self.columns)
        return tuple([math.prod(shape[k + 1 :]) for k in range(len(shape))])

    @property
    def x2_bytes(self) -> int:
        """How large the second operand is, of one of the batch."""
        return self.depth * self.columns * self.dtype.itemsize

    @property
    def copies(self) -> int:
        """How many products of the batch have the same second operand."""
        places = zip(self.batch, self.x2.strides, strict=False)
        return math.prod([extent for extent, stride in places if not stride])

    @property
    def elements(self) -> int:
        """How many elements the result has."""
        return math.prod(self.batch) * self.rows * self.columns

    @property
    def size(self) -> int:
        """How many pairs of numbers are multiplied."""
        return self.elements * self.depth


class Plan(NamedTuple):
    """How a product is cut: tiles of rows x vectors in registers, blocks for the caches.

    block: rows of x1; depth: of the summed axis; packed: whether panels of x2 are copied; strips:
    whether x1 is, too.
    group: panels that the rows of a tile meet before the next rows do; band: rows of x1 that meet
    a group before the next band does.
    panels: of one unit of work, which is some panels, one block of rows, and one of the batch.
    share: units that are done in a row by one thread.
    ahead: how many steps of depth before they are multiplied rows of x2 are asked for.
    """

    lanes: int
    rows: int
    vectors: int
    block: int
    depth: int
    packed: bool
    strips: bool = False
    group: int = 1
    band: int = WHOLE
    panels: int = WHOLE
    share: int = WHOLE
    ahead: int = 0

    @property
    def width(self) -> int:
        """Columns of a panel."""
        return self.vectors * self.lanes


def plan(
    product: Product, vector_bytes: int, registers: int, made: tuple[bool, bool] = (False, False)
) -> Plan:
    """The plan for a machine whose `registers` registers are `vector_bytes` wide.

    made: whether rows of x1, and panels of x2, are made just before they are multiplied.
    """
    rows_made, panels_made = made
    itemsize = product.dtype.itemsize
    lanes = vector_bytes // itemsize
    contiguous, size = product.x2.strides[-1] == 1, product.x2_bytes
    far = size > UNPACKED_BYTES and not product.levels
    packed = not contiguous or (far and product.rows >= REUSE) or panels_made
    ahead = AHEAD if far and not packed else 0
    load = LOAD if packed or size <= NEAR_BYTES else ASKED_LOAD if ahead else FAR_LOAD
    rows, vectors = tile(product.rows, -(-product.columns // lanes), registers, load)
    width = vectors * lanes
    strips = product.x1.strides[-1] != 1 and product.rows * product.depth * itemsize > SCATTERED
    strips = strips and product.columns >= 2 * width and not product.levels
    most = min(STRIPS_DEPTH if strips else DEPTH, PANEL_BYTES // (width * itemsize))
    if ahead:
        most = min(most, known_rows(product))
    depth = even(product.depth, most, product.step if product.levels else lanes)
    fitting = BLOCK_BYTES // (min(product.depth, depth) * itemsize)
    found = Plan(lanes, rows, vectors, even(product.rows, fitting, rows), depth, packed, strips)
    found = found._replace(ahead=ahead)
    if strips or rows_made or (packed and product.rows > fitting):
        found = grouped(product, found)
    if rows_made:
        size = min(product.depth, depth) * itemsize
        band = max(MADE_BYTES // size // rows, 1) * rows
        found = found._replace(group=panels_together(product, found), band=band)
    return found if product.size < PARALLEL else shared(product, found)


def known_rows(product: Product) -> int:
    """How many rows of x2 are on as many pages as the processor knows by heart."""
    row = abs(product.x2.strides[-2]) * product.dtype.itemsize
    return PAGES * max(PAGE // max(row, 1), 1)


def grouped(product: Product, plan: Plan) -> Plan:
    """`plan` with groups of panels."""
    row = min(product.depth, plan.depth) * product.dtype.itemsize
    panels = -(-product.columns // plan.width)
    return plan._replace(
        block=even(product.rows, GROUP_ROWS + plan.rows - 1, plan.rows),
        group=even(panels, GROUP_BYTES // (row * plan.width), 1),
        band=max(BAND_BYTES // row // plan.rows, 1) * plan.rows,
    )


def panels_together(product: Product, plan: Plan) -> int:
    """How many panels the rows meet that are made: for the next ones they are made again."""
    panels = -(-product.columns // plan.width)
    fitting = plan.group if plan.packed else panels
    if product.rows >= 2 * LEAST_ROWS or product.columns < 4 * plan.width:
        return fitting
    # there are too few rows to divide among threads, which take parts of the columns
    return min(fitting, -(-SHARE // (plan.block * plan.width * product.depth)))


def shared(product: Product, plan: Plan) -> Plan:
    """`plan` for several threads: units of work that are neither too small nor too few."""
    panels = -(-product.columns // plan.width)
    if product.columns < 4 * plan.width:  # divided by rows
        rows = max(SHARE // (product.columns * product.depth), 4 * plan.rows)
        if plan.packed:
            rows = max(rows, min(LEAST_ROWS, -(-product.rows // 2)))
        plan = plan._replace(block=even(product.rows, min(rows, plan.block), plan.rows))
        return plan._replace(share=-(-SHARE // (plan.block * product.columns * product.depth)))
    if plan.band < WHOLE:
        groups = math.prod(product.batch) * -(-panels // plan.group)
        blocks = max(min(UNITS // groups, product.rows // LEAST_ROWS), 1)
        rows = min(-(-product.rows // blocks) + plan.rows - 1, plan.block)
        plan = plan._replace(block=even(product.rows, rows, plan.rows))
        panels = plan.group
    else:
        enough = -(-SHARE // (plan.block * plan.width * product.depth))
        if plan.ahead and product.x2_bytes > BLOCK_BYTES:
            enough = max(enough, -(-ALONG // (plan.width * product.dtype.itemsize)))
        panels = min(enough, panels)
    unit = panels * plan.block * plan.width * product.depth
    return plan._replace(panels=panels, share=-(-SHARE // unit))


@functools.lru_cache(1024)
def tile(rows: int, vectors: int, registers: int, load: int = LOAD) -> tuple[int, int]:
    """Rows and vectors of the tile that covers `rows` x `vectors` in about the fewest cycles.

    A tile needs registers for its accumulators, for a row of x2 and for a number of x1.
    """
    costs = {
        (r, v): cost(rows, vectors, r, v, load)
        for v in range(1, min(vectors, registers // 4) + 1)
        for r in range(1, min(rows, ROWS) + 1)
        if r * v + v + 1 < registers
    }
    best = min(costs, key=lambda size: (costs[size], size))
    least = min(math.prod(best), BUSY)
    fast = [x for x in costs if costs[x] <= SLACK * costs[best] and math.prod(x) >= least]
    return min(fast, key=lambda size: (text(rows, vectors, *size), costs[size]))


def text(rows: int, vectors: int, r: int, v: int) -> int:
    """How many accumulators the tiles of `r` x `v` have, and those for what is left at the edges:
    each is a function, and compiled."""
    down = r + rows % r if rows >= r else rows % r
    across = v + vectors % v if vectors >= v else vectors % v
    return down * across


def cost(rows: int, vectors: int, r: int, v: int, load: int) -> int:
    """What tiles of `r` x `v`, and those at the edges, take for each step of depth."""

    def one(r: int, v: int) -> int:
        return FLOW * max(r * v, r + v, LATENCY) + load * v + NUMBER * r if r and v else 0

    down, across = divmod(rows, r), divmod(vectors, v)
    columns = [(across[0], v), (1, across[1])]
    return sum(n * (down[0] * one(r, w) + one(down[1], w)) for n, w in columns)


def even(extent: int, largest: int, step: int) -> int:
    """The length of equal blocks of `extent`, not above `largest`, a multiple of `step`."""
    largest = max(largest // step * step, step)
    if extent <= largest:
        return extent
    count = -(-extent // largest)
    return min(-(-extent // (count * step)) * step, largest)
