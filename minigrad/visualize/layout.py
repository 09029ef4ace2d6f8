"""Where to put the boxes of a directed graph, so that its arrows point down and rarely cross.

The method of Sugiyama, Tagawa and Toda (1981): layers by longest paths, order in the layers by
barycentres, places by least squares. All arrows that leave one box share one trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

LAYER_GAP = 34.0
BOX_GAP = 22.0
TRUNK_GAP = 10.0
SWEEPS = 12
STRAIGHT = 4.0  # how much more a trunk wants to be straight than a box to be in the middle


@dataclass(eq=False)
class Place:
    """A box, or a piece of a trunk, in the layout.

    x: of its middle. y: of its top. top, bottom: of its layer, which a trunk fills.
    """

    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    trunk: bool = False
    above: list[Place] = field(default_factory=list, repr=False)
    below: list[Place] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Layout:
    """Places of the boxes, in the order given, and what is joined to what, trunks included."""

    boxes: list[Place]
    joints: list[tuple[Place, Place]]
    width: float
    height: float


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """A layout of boxes with these widths and heights.

    edges: pairs (from, to) of indices; each leads to a higher index.
    """
    boxes = [Place(width, height) for width, height in sizes]
    assign_layers(boxes, edges)
    layers: list[list[Place]] = [[] for _ in range(1 + max((p.layer for p in boxes), default=0))]
    for box in boxes:
        layers[box.layer].append(box)
    joints = joined(boxes, edges, layers)
    order(layers)
    spread(layers)
    left = min([p.x - p.width / 2 for layer in layers for p in layer], default=0.0)
    right = max([p.x + p.width / 2 for layer in layers for p in layer], default=0.0)
    y = 0.0
    for layer in layers:
        height = max([p.height for p in layer], default=0.0)
        for p in layer:
            p.x, p.y = p.x - left, y if p.trunk else y + (height - p.height) / 2
            p.top, p.bottom = y, y + height
        y += height + LAYER_GAP
    return Layout(boxes, joints, right - left, y - LAYER_GAP)


def assign_layers(boxes: list[Place], edges: Sequence[tuple[int, int]]) -> None:
    """Each box below all that lead to it, and down where that makes no arrows longer in sum."""
    sources: list[set[int]] = [set() for _ in boxes]
    targets: list[set[int]] = [set() for _ in boxes]
    for start, end in edges:
        sources[end].add(start)
        targets[start].add(end)
    for box, before in zip(boxes, sources, strict=True):
        box.layer = max([boxes[i].layer + 1 for i in before], default=0)
    for i in reversed(range(len(boxes))):
        if targets[i] and len(targets[i]) >= len(sources[i]):
            boxes[i].layer = min([boxes[k].layer for k in targets[i]]) - 1


def joined(
    boxes: list[Place], edges: Sequence[tuple[int, int]], layers: list[list[Place]]
) -> list[tuple[Place, Place]]:
    """Pairs of places in neighbouring layers that make up the edges, with trunks in between."""
    trunks: dict[tuple[int, int], Place] = {}
    joints: dict[tuple[Place, Place], None] = {}
    for start, end in edges:
        previous = boxes[start]
        for layer in range(boxes[start].layer + 1, boxes[end].layer):
            if (start, layer) not in trunks:
                trunks[start, layer] = Place(0.0, 0.0, layer, trunk=True)
                layers[layer].append(trunks[start, layer])
            joints[previous, trunks[start, layer]] = None
            previous = trunks[start, layer]
        joints[previous, boxes[end]] = None
    for upper, lower in joints:
        upper.below.append(lower)
        lower.above.append(upper)
    return list(joints)


# order in the layers


def order(layers: list[list[Place]]) -> None:
    """Sort each layer by the middles of what its places are joined to; keep the best order."""
    number(layers)
    best, fewest = [list(layer) for layer in layers], crossings(layers)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            layer.sort(key=lambda p: middle(p.above if down else p.below, p.x))
            for i, p in enumerate(layer):
                p.x = float(i)
        count = crossings(layers)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
    layers[:] = best
    number(layers)


def number(layers: list[list[Place]]) -> None:
    """Let the x of each place be its rank in its layer."""
    for layer in layers:
        for i, p in enumerate(layer):
            p.x = float(i)


def middle(places: list[Place], otherwise: float) -> float:
    """The mean x of `places`."""
    return sum(p.x for p in places) / len(places) if places else otherwise


def crossings(layers: list[list[Place]]) -> int:
    """How many pairs of joints cross, when x is the rank in the layer."""
    total = 0
    for layer in layers[:-1]:
        ends = [int(q.x) for p in layer for q in sorted(p.below, key=lambda q: q.x)]
        total += inversions(ends)
    return total


def inversions(values: list[int]) -> int:
    """How many pairs of `values` are in the wrong order; by a Fenwick tree."""
    tree = [0] * (max(values, default=0) + 2)
    total = 0
    for seen, value in enumerate(values):
        i, below = value + 1, 0
        while i:  # how many so far are at most `value`
            below += tree[i]
            i &= i - 1
        total += seen - below
        i = value + 1
        while i < len(tree):
            tree[i] += 1
            i += i & -i
    return total


# places in the layers


def spread(layers: list[list[Place]]) -> None:
    """Give each place its x: near to what it is joined to, and not over its neighbours."""
    for layer in layers:
        fit(layer, [0.0] * len(layer))
    for sweep in range(SWEEPS):
        # down, up, and at last both ways
        ways = [(True, False), (False, True)][sweep % 2] if sweep < SWEEPS - 2 else (True, True)
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            fit(layer, [wanted(p, *ways) for p in layer])


def wanted(p: Place, above: bool, below: bool) -> float:
    """Where `p` would stand if it were alone: in the middle of what it is joined to."""
    near = [*(p.above if above else ()), *(p.below if below else ())]
    return middle(near, p.x)


def fit(layer: list[Place], xs: list[float]) -> None:
    """Place a layer, in its order, with the least squares of the distances from `xs`.

    Without the gaps in between, this is isotonic regression: neighbours that want to be in the
    wrong order share their mean.
    """
    offsets = [0.0]
    for p, q in pairwise(layer):
        gap = TRUNK_GAP if p.trunk or q.trunk else BOX_GAP
        offsets.append(offsets[-1] + (p.width + q.width) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []  # sum, weight, count
    for p, x, offset in zip(layer, xs, offsets, strict=False):
        weight = STRAIGHT if p.trunk else 1.0
        block = (x - offset) * weight, weight, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            other = blocks.pop()
            block = block[0] + other[0], block[1] + other[1], block[2] + other[2]
        blocks.append(block)
    means = [total / weight for total, weight, count in blocks for _ in range(count)]
    for p, mean, offset in zip(layer, means, offsets, strict=False):
        p.x = mean + offset
