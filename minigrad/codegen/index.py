"""Where a loop nest is when it makes an element: values of different shapes over common dims.

Every value of a group is a function of the dims of one Space, and its map says how: the element
made at a point of the space is number `sum(stride * index)` of the value in row-major order. A
reshape keeps that number, and so the map; broadcasting leaves dims out; a permutation exchanges
strides. Dims are split where a reshape asks for it, and made one where two values meet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..core.op import Node
from ..core.tensor import Symbol
from .bodies import (
    arriving,
    is_array,
    is_count,
    is_fold,
    is_lookup,
    is_map,
    is_move,
    is_scan,
    is_scatter,
)
from .views import (
    Limit,
    Map,
    MisfitError,
    Source,
    View,
    aligned,
    broadcast_strides,
    moved,
    row_major,
    whole,
)


class Axis(NamedTuple):
    """One dim among those that an axis of a tensor is made of; `unit`: its stride in the axis."""

    dim: int
    unit: int


class Space:
    """The dims of a group, and the map of every value in it. `admit` adds a node or raises."""

    def __init__(self) -> None:
        self.extents: dict[int, int] = {}
        self.maps: dict[Any, Map] = {}
        # dicts for sets: what comes of them must not depend on the addresses of objects
        self.made: dict[Any, None] = {}  # computed in the group
        self.fixed: dict[Any, None] = {}  # made, or folded: the map binds; others' are hints
        self.views: dict[Any, View] = {}
        self.nodes: list[Node] = []
        self.folds = False  # whether there is a reduction among them
        self.scans: dict[Any, int] = {}  # the axes of running results, by value
        self.scattered: dict[Any, Node] = {}  # what is added up in places, by who does it
        self.points: dict[Any, Any] = {}  # what stands for its shape, by what is added up
        self.counted: dict[Any, None] = {}  # numbers of elements, and what is made of these alone
        self.serial = 0

    def copy(self) -> Space:
        """Another space like this, to try something out."""
        other = Space()
        other.extents, other.serial = dict(self.extents), self.serial
        other.maps = dict(self.maps)  # a map is replaced, never changed
        other.made, other.fixed = dict(self.made), dict(self.fixed)
        other.scans, other.points = dict(self.scans), dict(self.points)
        other.scattered, other.counted = dict(self.scattered), dict(self.counted)
        other.views, other.nodes, other.folds = dict(self.views), list(self.nodes), self.folds
        return other

    def admit(self, node: Node) -> None:
        """Give the results of `node` their maps. Raises MisfitError; the space is then spoilt."""
        if any(x in self.scattered for x in node.inputs if is_array(x)):
            raise MisfitError("it needs all that is added up in places")
        if is_move(node):
            self.admit_move(node)
        elif is_fold(node):
            self.admit_fold(node)
            self.folds = True
        elif is_count(node):
            self.views[node.outputs[0]] = whole(node.outputs[0])
        elif is_lookup(node):
            table, *places = node.inputs
            if table in self.made:
                raise MisfitError("elements are looked up in what the same loop makes")
            if table in self.views and self.views[table].bounds:
                raise MisfitError("elements are looked up in a view with margins")
            self.admit_map(node.outputs[0], places)
        elif is_scatter(node):
            self.admit_scatter(node)
        else:
            self.admit_map(node.outputs[0], [x for x in node.inputs if is_array(x)])
            if is_scan(node):
                self.scans[node.outputs[0]] = node.attrs["axis"] % len(node.outputs[0].shape)
        arrays = [x for x in node.inputs if is_array(x)]
        if is_count(node) or (arrays and all(x in self.counted for x in arrays)):
            self.counted[node.outputs[0]] = None
        self.nodes.append(node)
        self.settle()

    def takes_as_is(self, node: Node) -> bool:
        """Whether `node` only goes on with full values of one map: all stays as it is arranged."""
        if not is_map(node) or self.folds:
            return False
        maps = [self.maps[x] for x in node.inputs if is_array(x) and x in self.made]
        shapes = {x.shape for x in node.inputs if is_array(x) and x in self.made}
        return (
            shapes == {node.outputs[0].shape}
            and len(maps[0]) == len(self.extents)
            and all(other == maps[0] for other in maps)
        )

    # The three kinds of nodes.

    def admit_map(self, y: Any, operands: Sequence[Any]) -> None:
        """An elementwise node: operands meet at the axes that broadcasting lays on each other."""
        made = [x for x in operands if x in self.made]
        if made and all(x.shape == y.shape and self.maps[x] == self.maps[made[0]] for x in made):
            if len(made) < len(operands):  # inputs are read by the axes of what they meet
                self.refine(made[0])
            self.make(y, self.maps[made[0]])
        else:
            self.make(y, self.met(y, operands))
        for x in operands:
            if x not in self.maps:
                self.maps[x] = self.restricted(y, x.shape)

    def admit_scatter(self, node: Node) -> None:
        """What is added up in places: by points that are those of what is added."""
        y, read = node.outputs[0], arriving(node)
        before = node.inputs[: len(node.inputs) - len(read)]
        if any(x in self.made or x in self.views for x in before):
            raise MisfitError("places are written to in what has no memory of its own")
        point = self.points[y] = Symbol(read[0].shape, read[0].dtype, None)
        self.admit_map(point, read)
        self.make(y, self.maps[point])
        self.scattered[y] = node

    def met(self, y: Any, operands: Sequence[Any]) -> Map:
        """The map of `y`, after its operands have met."""
        source: dict[int, tuple[Any, int]] = {}  # axis of y -> the same axis of an operand
        for x in operands:
            if x in self.made:
                self.refine(x)
                for axis, k in aligned(x.shape, y.shape):
                    if axis in source:
                        self.meet(source[axis], (x, k))
                    source.setdefault(axis, (x, k))
        for x in operands:
            if x in self.maps and x not in self.made:
                self.follow_hint(x, y, source)
        own: Map = {}
        strides = row_major(y.shape)
        for axis, n in enumerate(y.shape):
            parts = [Axis(self.dim(n), 1)] if n > 1 and axis not in source else []
            if axis in source:
                parts = self.spelled(*source[axis])
            for dim, unit in parts:
                if dim in own:
                    raise MisfitError("meets its own transpose")
                own[dim] = unit * strides[axis]
        return own

    def follow_hint(self, x: Any, y: Any, source: dict[int, tuple[Any, int]]) -> None:
        """Read the input `x` where it was read before, as far as `y` leaves that open."""
        taken = {part.dim for where in source.values() for part in self.spelled(*where)}
        free = [pair for pair in aligned(x.shape, y.shape) if pair[0] not in source]
        try:
            self.refine(x)
        except MisfitError:
            return
        for axis, own in free:
            if not taken & {part.dim for part in self.spelled(x, own)}:
                source[axis] = x, own

    def admit_fold(self, node: Node) -> None:
        """A reduction: the result has the dims of the axes that are kept."""
        x, y = node.inputs[0], node.outputs[0]
        self.place(x)
        self.refine(x)
        axes = node.attrs["axes"]
        reduced = range(len(x.shape)) if axes is None else axes
        kept = [k for k in range(len(x.shape)) if k not in reduced]
        own = {
            dim: unit * stride
            for k, stride in zip(kept, row_major(y.shape), strict=True)
            for dim, unit in (self.spelled(x, k) if x.shape[k] > 1 else ())
        }
        self.make(y, own)

    def place(self, x: Any) -> None:
        """Give the input `x` of a reduction a map that binds."""
        if x not in self.maps:
            strides = row_major(x.shape)
            self.maps[x] = {
                self.dim(n): stride for n, stride in zip(x.shape, strides, strict=True) if n > 1
            }
        self.fixed[x] = None

    def admit_move(self, node: Node) -> None:
        """Elements in other places: a view of an input, or another map of what is made here."""
        x, y = node.inputs[0], node.outputs[0]
        if x not in self.made:
            self.views[y] = moved(node, self.views.get(x) or whole(x))
            return
        if node.op.lower.kind == "pad":  # type: ignore[union-attr]  # a move
            raise MisfitError("margins around what the same loop makes")
        view = moved(node, whole(x))
        if math.prod(y.shape) == math.prod(x.shape) and view == View(x, 0, row_major(y.shape)):
            self.make(y, self.maps[x])
            return
        if not any(s == 0 and n > 1 for s, n in zip(view.strides, y.shape, strict=True)):
            self.make(y, self.permuted(node, view))
            return
        if view.offset or view.strides != broadcast_strides(x.shape, y.shape):
            raise MisfitError(f"{node.op.name} of what the same loop makes")
        self.admit_map(y, [x])

    def permuted(self, node: Node, view: View) -> Map:
        """The map of the result of `node`, its input with the axes in another order."""
        x, y = node.inputs[0], node.outputs[0]
        self.refine(x)
        axis_of = {s: k for k, s in enumerate(row_major(x.shape)) if x.shape[k] > 1}
        sources = {k: axis_of.get(s) for k, s in enumerate(view.strides) if y.shape[k] > 1}
        whole_axes = all(
            source is not None and x.shape[source] == y.shape[k] for k, source in sources.items()
        )
        if view.offset or not whole_axes or len(set(sources.values())) < len(axis_of):
            raise MisfitError(f"{node.op.name} of what the same loop makes")
        strides = row_major(y.shape)
        return {
            dim: unit * strides[k]
            for k, source in sources.items()
            for dim, unit in self.spelled(x, source or 0)
        }

    def make(self, y: Any, own: Map) -> None:
        """Enter `y` as computed here, with its map."""
        self.maps[y] = own
        self.made[y] = self.fixed[y] = None

    # Dims.

    def dim(self, extent: int) -> int:
        """A new dim."""
        self.serial += 1
        self.extents[self.serial] = extent
        return self.serial

    def dims(self, x: Any) -> frozenset[int]:
        """The dims that `x` changes along."""
        return frozenset(self.maps[x])

    def split(self, dim: int, inner: int) -> int:
        """Make two dims of `dim`: itself, and behind it one of extent `inner`, which is given."""
        new = self.dim(inner)
        self.extents[dim] //= inner
        for x, strides in self.maps.items():
            if dim in strides:
                stride = strides[dim]
                self.maps[x] = {**strides, dim: stride * inner, new: stride}
        return new

    def unify(self, one: int, other: int) -> None:
        """Make two dims of one extent the same."""
        for x, strides in list(self.maps.items()):
            if one in strides and other in strides:
                if x in self.fixed:
                    raise MisfitError("meets its own transpose")
                del self.maps[x]
            elif other in strides:
                self.maps[x] = {one if dim == other else dim: s for dim, s in strides.items()}
        del self.extents[other]

    def refine(self, x: Any) -> None:
        """Split dims until each belongs to one axis of `x`."""
        bounds = [s for s, n in zip(row_major(x.shape), x.shape, strict=True) if n > 1]
        work = list(self.maps[x].items())
        while work:
            dim, stride = work.pop()
            end = stride * self.extents[dim]
            bound = next((bound for bound in bounds if stride < bound < end), None)
            if bound is None:
                continue
            if bound % stride or end % bound:
                raise MisfitError("axes that do not divide each other")
            work += [(dim, bound), (self.split(dim, bound // stride), stride)]

    def spelled(self, x: Any, axis: int) -> list[Axis]:
        """The dims that one axis of a refined value is made of, outermost first."""
        stride = row_major(x.shape)[axis]
        end = stride * x.shape[axis]
        parts = [Axis(dim, s // stride) for dim, s in self.maps[x].items() if stride <= s < end]
        return sorted(parts, key=lambda part: -part.unit)

    def meet(self, one: tuple[Any, int], other: tuple[Any, int]) -> None:
        """Make an axis of one value and an axis of another the same dims."""
        while True:
            pairs = zip(reversed(self.spelled(*one)), reversed(self.spelled(*other)), strict=False)
            differing = [(a.dim, b.dim) for a, b in pairs if a.dim != b.dim]
            if not differing:
                return
            small, large = sorted(differing[0], key=lambda dim: self.extents[dim])
            n, m = self.extents[small], self.extents[large]
            if n == m:
                self.unify(*differing[0])
            elif m % n:
                raise MisfitError("axes that do not divide each other")
            else:
                self.split(large, n)

    def restricted(self, y: Any, shape: tuple[int, ...]) -> Map:
        """The map of a tensor of `shape` that is broadcast to `y`."""
        if shape == y.shape:
            return self.maps[y]
        strides = row_major(shape)
        return {
            dim: unit * strides[own]
            for axis, own in aligned(shape, y.shape)
            for dim, unit in self.spelled(y, axis)
        }

    def settle(self) -> None:
        """Let dims that only other values have be those of the value with the most dims."""
        if all(
            len(self.maps[y]) == len(self.extents) for y in self.nodes[-1].outputs if y in self.maps
        ):
            return
        largest = max(self.fixed, key=lambda x: len(self.maps[x]), default=None)
        if largest is None:
            return
        for dim in [d for d in self.extents if d not in self.maps[largest]]:
            fixed = [x for x in self.fixed if dim in self.maps[x]]
            if all(x in self.counted for x in fixed):
                continue  # numbers are there for what comes
            users = [self.maps[x] for x in fixed]
            stride = users[0][dim]
            twins = [
                twin
                for twin in self.maps[largest]
                if self.extents[twin] == self.extents[dim]
                and not any(twin in strides for strides in users)
            ]
            if not twins:
                raise MisfitError("loops of different lengths")
            self.unify(min(twins, key=lambda d: abs(self.maps[largest][d] - stride)), dim)

    # Memory.

    def point(self, y: Any) -> Any:
        """The value whose elements are made one by one for `y`: itself, or what is added up."""
        return self.points.get(y, y)

    def table(self, x: Any, node: Node) -> Source:
        """Where the elements of a table lie at a point of the space, or of what is added up."""
        view, y, at = self.views.get(x) or whole(x), node.outputs[0], []
        strides: Map = {}
        _, *found = arriving(node) if is_scatter(node) else node.inputs
        places = iter(found)
        for own, axis in enumerate(node.attrs["axes"]):
            stride = view.strides[own]
            if axis is None:
                at.append((next(places), stride))
            elif stride:
                parts = self.spelled(self.point(y), axis)
                strides |= {dim: unit * stride for dim, unit in parts}
        return Source(view.base, view.offset, strides, at=tuple(at))

    def source(self, x: Any, consumer: Any) -> Source:
        """Where the input `x` lies at a point of the space.

        consumer: the value that `x` is broadcast to; `x` itself for the input of a reduction.
        """
        view = self.views.get(x) or whole(x)
        if x is consumer:
            pairs = [(k, k) for k, n in enumerate(x.shape) if n > 1]
        else:
            pairs = aligned(x.shape, consumer.shape)
        parts = [(own, part) for axis, own in pairs for part in self.spelled(consumer, axis)]

        def by_dim(strides: Sequence[int]) -> Map:
            return {dim: unit * strides[own] for own, (dim, unit) in parts if strides[own]}

        limits = [Limit(b.offset, by_dim(b.strides), b.extent) for b in view.bounds]
        return Source(view.base, view.offset, by_dim(view.strides), tuple(limits), view.fill)
