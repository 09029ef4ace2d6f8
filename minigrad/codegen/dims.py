"""A fusion group as values over loops: who makes what, where inputs lie, in few dims."""

from __future__ import annotations

from typing import Any

from ..core.op import Node
from ..core.spec import SCALARS
from ..graph import Graph
from .arrange import Dims, arrange
from .bodies import arriving, is_array, is_count, is_fold, is_lookup, is_move, is_scatter
from .index import Space
from .views import Source, without


class Nesting:
    """The analysed group `graph`. Raises MisfitError where it is none.

    makers: by value, the node that makes it; moves make none, they are aliases. loads: where an
    input lies, by (input, value made of it). tables: where elements lie that a value looks up, or
    adds up. counts: values that are numbers of elements, known
    without being made. found: the dims, by role.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.space = Space()
        for node in graph.nodes:
            self.space.admit(node)
        self.found = arrange(self.space)
        self.makers: dict[Any, Node] = {}
        self.alias: dict[Any, Any] = {}
        self.loads: dict[tuple[Any, Any], Source] = {}
        self.tables: dict[Any, Source] = {}
        self.counts = {node.outputs[0]: node for node in graph.nodes if is_count(node)}
        for node in graph.nodes:
            if node.outputs[0] in self.space.made:
                self.enter(node, node.outputs[0])
        self.collapse()

    def enter(self, node: Node, y: Any) -> None:
        """Note who makes `y`, and where its inputs lie."""
        if is_move(node):
            self.alias[y] = self.source(node.inputs[0])
            return
        self.makers[y] = node
        inputs = node.inputs
        if is_lookup(node):
            self.tables[y] = self.loads[inputs[0], y] = self.space.table(inputs[0], node)
            inputs = inputs[1:]
        elif is_scatter(node):
            self.tables[y] = self.space.table(y, node)
            inputs = arriving(node)
        for x in inputs:
            if is_array(x) and self.source(x) not in self.makers:
                consumer = x if is_fold(node) else self.space.point(y)
                self.loads[x, y] = self.space.source(x, consumer)

    def source(self, x: Any) -> Any:
        """The value whose elements `x` shares: moves within the group make none."""
        return x if isinstance(x, SCALARS) else self.alias.get(x, x)

    def dims(self, y: Any) -> Dims:
        """The dims that the elements of `y` are counted along."""
        return self.space.dims(y)

    def folded(self, y: Any) -> Dims:
        """The dims that the reduction which makes `y` runs over; none for other values."""
        node = self.makers[y]
        return self.dims(node.inputs[0]) - self.dims(y) if is_fold(node) else frozenset()

    # As few dims as possible.

    def collapse(self) -> None:
        """Make one dim of two, where one step of the outer is a whole round of the inner."""
        merged = []
        for group in (self.found.batch, self.found.rows, self.found.cols):
            dims, k = list(group), 0
            while k + 1 < len(dims):
                if self.continues(dims[k], dims[k + 1]):
                    self.drop(dims.pop(k), dims[k])
                else:
                    k += 1
            merged.append(tuple(dims))
        batch, rows, cols = merged
        self.found = self.found._replace(batch=batch, rows=rows, cols=cols)

    def continues(self, outer: int, inner: int) -> bool:
        """Whether `outer` goes on where `inner` ends, for all values and inputs."""
        if inner == self.found.scanned:
            return False
        n = self.space.extents[inner]
        maps = [self.space.maps[x] for x in self.space.fixed]
        for source in (*self.loads.values(), *self.tables.values()):
            maps += [source.strides, *[limit.strides for limit in source.limits]]
        return all(strides.get(outer, 0) == n * strides.get(inner, 0) for strides in maps)

    def drop(self, outer: int, inner: int) -> None:
        """Let `inner` run over `outer` as well."""
        space = self.space
        space.extents[inner] *= space.extents.pop(outer)
        space.maps = {x: without(strides, outer) for x, strides in space.maps.items()}
        self.loads = {key: source.without(outer) for key, source in self.loads.items()}
        self.tables = {key: source.without(outer) for key, source in self.tables.items()}
