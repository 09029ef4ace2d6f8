"""Cut a derivative at the seam: a forward graph with residuals, and backward graphs fed by them.

Before:  ys = f(xs), and a tape over f would run all of f again to walk back.
After:   ys, residuals = forward(xs); bars = backward(residuals, xs, gs). Nothing runs twice.

A residual is a value of the forward graph that a derivative rule reads. Values that only higher
derivatives read are computed again from the inputs, except what stateful nodes made: that is
always kept, for a stateful node must not run again.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

from ..core.op import Node, using
from ..core.tensor import Symbol, Tensor
from ..graph import Graph, Tracer, close, evaluate
from ..ops.logic import logical_and, logical_or
from ..pullback import dependents, differentiated, pullback
from .fold import known_captures
from .inline import inline
from .rewrite import mapped
from .settle import is_missing, or_none, settle


class Origins:
    """Listens while a derivative is traced: of which op's derivative each symbol is a part.

    So the nodes of a backward graph have the lines of those that they differentiate.
    """

    def __init__(self) -> None:
        self.of: dict[Any, str] = {}

    def record(self, node: Node) -> None:
        """Ascribe `node` to the node whose rule asked for it."""
        forward = differentiated()
        if forward is not None:
            self.of.update(dict.fromkeys(node.outputs, forward.op.name))
            node.ascribe(forward.where)

    def notice(self, cell: Any) -> None:
        """Variables have been read before."""

    def follows(self, inputs: Any) -> bool:
        """No: it asks for no derivative."""
        return False


class Split:
    """A graph made ready to be differentiated.

    forward: the graph, its outputs followed by residuals. outputs: how many it had. closed: there
    are no residuals; what derivatives read besides the inputs and outputs is computed again.
    """

    def __init__(self, graph: Graph, *, closed: bool = False) -> None:
        graph = saving(settle(inline(graph, transparent=True)))
        self.name = graph.name
        self.outputs = len(graph.outputs)
        self.origins = Origins()
        self._lock = threading.RLock()
        self._tracer = Tracer(graph.name)
        self._inputs = tuple(
            [Symbol(x.shape, x.dtype, self._tracer, x.where) for x in graph.inputs]
        )
        with using(self._tracer, (self._tracer,)):
            ys = evaluate(graph, self._inputs)
        self._nodes = [
            node.replaced(copy.inputs, copy.outputs)
            for node, copy in zip(graph.nodes, self._tracer.nodes, strict=True)
        ]
        self._producer = {y: node for node in self._nodes for y in node.outputs}
        self._ys = tuple(ys)
        self._captures = graph.captures
        self._backwards: dict[Any, tuple[Graph, tuple[Any, ...]]] = {}
        everything = tuple([y.dtype.kind in "fc" for y in self._ys])
        first = close(*self._walk(self._ys, everything)[:4])
        self._tracer.open = False
        read = {x for x in first.captures if x in self._producer}
        kept = [
            y
            for node in self._nodes
            for y in node.outputs
            if not closed and (y in read or (node.op.stateful and node.outputs))
        ]
        given = set(self._ys)
        self.residuals = tuple([y for y in kept if y not in given])
        self.forward = Graph(
            graph.name,
            self._inputs,
            (None,) * len(graph.captures),
            tuple(self._nodes),
            self._ys + self.residuals,
        )
        self.forward.cache["split"] = self

    def backward(self, given: tuple[bool, ...]) -> tuple[Graph, tuple[Any, ...], tuple[int, ...]]:
        """The graph that gives cotangents of the inputs from those of the forward's outputs.

        given: for each output of `forward`, whether it has a cotangent. Returns the graph, whose
        arguments are those cotangents; for each of its captures the position among inputs then
        outputs of `forward`, or the capture itself, if it is a constant that a rule has made; and
        for each of its outputs the position of the input it belongs to.
        """
        with self._lock:  # the tracer is open for one at a time
            if given not in self._backwards:
                self._tracer.open = True
                try:
                    self._backwards[given] = self._made(given)
                finally:
                    self._tracer.open = False
        return self._backwards[given]  # type: ignore[return-value]  # filled with three parts

    def _made(self, given: tuple[bool, ...]) -> Any:
        name, gs, nodes, ends, targets = self._walk(self.forward.outputs, given)
        graph = close(name, gs, nodes, ends)
        available = (*self._inputs, *self.forward.outputs)
        graph.cache["origins"] = self.origins.of
        places = {x: i for i, x in reversed(list(enumerate(available)))}
        missing = [x for x in graph.captures if x not in places]
        if missing:
            graph = close(name, gs, (*self._recomputed(missing, places), *nodes), ends)
            graph.cache["origins"] = self.origins.of
        found = tuple([places.get(x, x) for x in graph.captures])
        pairs = zip(graph.captures, found, strict=True)
        graph.captures = tuple([None if self._may_be_cell(place) else x for x, place in pairs])
        return graph, found, targets

    def _may_be_cell(self, place: Any) -> bool:
        """Whether a capture of a backward graph is an input that may be no tensor.

        The graph says so by its captures, for all that reads a cell may be optimized away.
        """
        k = place - len(self._inputs) + len(self._captures) if type(place) is int else -1
        return 0 <= k < len(self._captures) and not isinstance(self._captures[k], Tensor)

    def _walk(self, outputs: Sequence[Any], given: Sequence[bool]) -> Any:
        """Trace the tape's walk over the forward nodes; what `close` takes, and the targets."""
        tracer = Tracer(f"gradient of {self.name}")
        sources = [x for x in self._inputs if x.dtype.kind in "fc"]
        reach = dependents(self._nodes, sources)
        gs = []
        with using(tracer, (tracer, self.origins)):
            bars: dict[Any, Any] = {}
            for y, wanted in zip(outputs, given, strict=True):
                if wanted:
                    gs.append(tracer.symbol(y.spec, y.where))
                    bars[y] = bars[y] + gs[-1] if y in bars else gs[-1]
            found = pullback(self._nodes, bars, sources, reach)
            targets = tuple([i for i, x in enumerate(self._inputs) if found.get(x) is not None])
            reached = [found[self._inputs[i]] for i in targets]
            ends = doubted(list(tracer.nodes), gs, reached)
        tracer.open = False
        return tracer.name, gs, tracer.nodes, ends, targets

    def _recomputed(self, wanted: list[Any], known: dict[Any, int]) -> list[Node]:
        """The pure forward nodes that make `wanted` from what is known, in order."""
        needed: set[Node] = set()
        stack = list(wanted)
        while stack:
            x = stack.pop()
            node = self._producer.get(x)
            if x in known or node is None or node in needed:
                continue
            needed.add(node)
            stack.extend(x for x in node.inputs if isinstance(x, Symbol))
        return [node for node in self._nodes if node in needed]


def saving(graph: Graph) -> Graph:
    """`graph`, whose nodes give what their derivatives will need of this run."""
    nodes = []
    known = known_captures(graph)
    for node in graph.nodes:
        if node.op.saving:
            attrs = node.op.saving(node.attrs, mapped(node.inputs, known))
            specs = node.op.infer(*node.inputs, **attrs)[len(node.outputs) :]
            kept = [Symbol(y.shape, y.dtype, None) for y in specs]
            node = node.replaced(node.inputs, (*node.outputs, *kept), attrs)
        nodes.append(node)
    return Graph(graph.name, graph.inputs, graph.captures, tuple(nodes), graph.outputs)


def doubted(nodes: Sequence[Node], gs: Sequence[Any], ends: Sequence[Any]) -> list[Any]:
    """`ends`, but None where all that they are made of turns out to be None.

    Some cotangents come of bodies that run when the graph runs, and are None where these have no
    path. What is made of cotangents `gs` by such alone has none either.
    """
    carried: set[Any] = set(gs)
    missing: dict[Any, Any] = {}
    for node in nodes:
        through = [x for x in node.inputs if x in carried]
        if through:
            carried.update(node.outputs)
        doubts = [missing[x] for x in through if x in missing]
        whole = functools.reduce(logical_and, doubts) if len(doubts) == len(through) > 0 else None
        if "asked" in node.attrs:
            found = [is_missing(y) for y in node.outputs]
            flags = found if whole is None else [logical_or(one, whole) for one in found]
            missing.update(zip(node.outputs, flags, strict=True))
        elif whole is not None:
            missing.update(dict.fromkeys(node.outputs, whole))
    return [or_none(y, missing[y]) if y in missing else y for y in ends]


def split(graph: Graph) -> Split:
    """`graph` cut at the seam; made once for each graph."""
    if "split" not in graph.cache:
        graph.cache["split"] = Split(graph)
    made: Split = graph.cache["split"]
    return made


def closed(graph: Graph) -> Split:
    """`graph` cut at the seam, where nothing more can be kept of a run; it has no effects."""
    if "closed" not in graph.cache:
        graph.cache["closed"] = Split(graph, closed=True)
    made: Split = graph.cache["closed"]
    return made
