"""A graph is a list of nodes that will happen; a Tracer writes one, `evaluate` runs one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .core.later import later
from .core.op import CONTEXT, EAGER, Attrs, Inputs, Node, Op, Outputs, using
from .core.spec import Spec
from .core.tensor import Symbol, Tensor
from .core.where import Where, here
from .errors import TraceError, leak_message

text = later("text")


@dataclass(eq=False, repr=False)
class Graph:
    """Nodes between named inputs and outputs, in the order in which they happen.

    inputs: one Symbol per argument, then one per capture. captures: the tensors, cells and
    symbols of outer traces that the nodes use without being given them; whoever calls the graph
    passes them behind the arguments. outputs: Symbols. name: for messages.
    """

    name: str
    inputs: tuple[Symbol, ...]
    captures: tuple[Any, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Symbol, ...]
    # what others have derived of this graph: executables, adjoints; dropped with it
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def arguments(self) -> tuple[Symbol, ...]:
        """The inputs that are not captures."""
        return self.inputs[: len(self.inputs) - len(self.captures)]

    def __str__(self) -> str:
        return str(text.source(self))  # as Python that runs

    def __repr__(self) -> str:
        return f"<mg.Graph {self.name} of {len(self.nodes)} nodes>"


class Tracer:
    """The interpreter that computes nothing: it infers specs, and writes nodes down."""

    eager = False

    def __init__(self, name: str, *, compiles: bool = False) -> None:
        self.name = name
        self.open = True
        self.compiles = compiles  # Python bodies are traced inline, not kept as nodes
        self.nodes: list[Node] = []
        self.variables: list[Any] = []
        self.functions: dict[Any, Any] = {}  # traced inside, with symbols of this trace in them

    def run(self, op: Op, inputs: Inputs, attrs: Attrs) -> Outputs:
        """Symbols for the outputs of `op`."""
        for x in inputs:
            if type(x) is Symbol and not (x.trace and x.trace.open):
                raise TraceError(leak_message(x))
        specs = op.infer(*inputs, **attrs)
        where = here()
        if isinstance(specs, Spec):
            return Symbol(specs.shape, specs.dtype, self, where)
        return tuple([Symbol(spec.shape, spec.dtype, self, where) for spec in specs])

    def record(self, node: Node) -> None:
        """Write `node` down."""
        self.nodes.append(node)

    def notice(self, cell: Any) -> None:
        """Cells become captures when the graph is closed."""

    def follows(self, inputs: Any) -> bool:
        """No: a graph is differentiated by tapes, not by who writes it."""
        return False

    def created(self, variable: Any) -> None:
        """A Variable was made while tracing; kept, for nothing else may hold it."""
        self.variables.append(variable)

    def known(self, symbol: Symbol) -> Tensor | None:
        """The value of `symbol` if it depends on no input and no effect; else None.

        So the first values of Variables that are made in a trace can be.
        """
        makers = {y: node for node in self.nodes for y in node.outputs}
        needed: dict[Node, None] = {}
        stack: list[Any] = [symbol]
        while stack:
            x = stack.pop()
            node = makers.get(x)
            if node is None or node.op.stateful:
                return None
            if node not in needed:
                needed[node] = None
                stack.extend(x for x in node.inputs if type(x) is Symbol)
        values: dict[Any, Any] = {}
        with using(EAGER, ()):
            happen([node for node in self.nodes if node in needed], values)
        value: Tensor = values[symbol]
        return value

    def symbol(self, spec: Spec, where: Where | None = None) -> Symbol:
        """A fresh input of the graph."""
        return Symbol(spec.shape, spec.dtype, self, where)


def trace(
    body: Callable[..., Sequence[Any]],
    specs: Sequence[Spec],
    name: str = "graph",
    *,
    compiles: bool = False,
) -> tuple[Graph, Tracer]:
    """The graph that `body` writes when called with symbols of `specs`; it returns tensors.

    Outer tapes do not see the insides; they will see whoever calls the graph.
    """
    return traced_by(Tracer(name, compiles=compiles), body, specs)


def traced_by(
    tracer: Tracer, body: Callable[..., Sequence[Any]], specs: Sequence[Spec]
) -> tuple[Graph, Tracer]:
    """As `trace`, by a tracer that the caller keeps, and can ask if the body fails."""
    symbols = [tracer.symbol(spec, here()) for spec in specs]
    try:
        with using(tracer, (tracer,)):
            outputs = body(*symbols)
    except TypeError as error:
        note_unknown(error, [*symbols, *[y for node in tracer.nodes for y in node.outputs]])
        raise
    finally:
        tracer.open = False
    return close(tracer.name, symbols, tracer.nodes, outputs), tracer


def note_unknown(error: TypeError, symbols: Sequence[Symbol]) -> None:
    """Tell an error about None, in Python's words, which of the `symbols` may have given one."""
    unknown = next((x for x in symbols if x.shape is None or None in x.shape), None)
    if unknown is None or "NoneType" not in str(error):
        return
    note = (
        f"x.shape {'is None' if unknown.shape is None else 'holds None'} for {unknown.spec}, of "
        "which a trace knows no more: write mg.shape(x), which has the lengths when the graph "
        "runs, or give the argument a TensorSpec that says more"
    )
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def close(
    name: str, inputs: Sequence[Symbol], nodes: Sequence[Node], outputs: Sequence[Any]
) -> Graph:
    """The graph of `nodes`, with whatever they use but do not make as captures."""
    known: dict[Any, Symbol] = {x: x for x in inputs}
    captures: list[Any] = []

    def place(x: Any) -> Any:
        if x in known:
            return known[x]
        if isinstance(x, Tensor) or getattr(x, "__opaque_input__", False):
            known[x] = Symbol(x.shape, x.dtype, None)
            captures.append(x)
            return known[x]
        return x

    closed = []
    for node in nodes:
        closed.append(node.replaced(tuple([place(x) for x in node.inputs]), node.outputs))
        known.update({y: y for y in node.outputs})
    placed = tuple([place(y) for y in outputs])
    return Graph(
        name, (*inputs, *[known[x] for x in captures]), tuple(captures), tuple(closed), placed
    )


def evaluate(graph: Graph, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Apply the nodes of `graph` to `inputs` (arguments and captures), by whoever interprets.

    Run eagerly it computes; traced it copies the graph; under a tape it is recorded.
    """
    values: dict[Any, Any] = dict(zip(graph.inputs, inputs, strict=True))
    happen(graph.nodes, values)
    return tuple([values[y] for y in graph.outputs])


def happen(nodes: Iterable[Node], values: dict[Any, Any]) -> None:
    """Apply `nodes` to `values` of their symbols, and enter there what comes out."""
    for node in nodes:
        inputs = [values[x] if type(x) is Symbol else x for x in node.inputs]
        if node.op.saving is None:
            outputs = node.op(*inputs, **node.attrs)
        else:
            attrs = saved(node.op, inputs, node.attrs)
            outputs = node.op(*inputs, **attrs)[: len(node.outputs)]
        values.update(
            zip(node.outputs, outputs if type(outputs) is tuple else (outputs,), strict=True)
        )


def needed(nodes: Sequence[Node], outputs: Iterable[Any]) -> list[Node]:
    """Those of `nodes` that make `outputs`, in order."""
    wanted, steps = set(outputs), []
    for step in reversed(nodes):
        if not wanted.isdisjoint(step.outputs):
            steps.append(step)
            wanted.update(step.inputs)
    return steps[::-1]


def saved(op: Op, inputs: Sequence[Any], attrs: Attrs) -> Attrs:
    """The attributes of an application; if a tape follows it, with what derivatives need."""
    if op.saving is None or not any(x.follows(inputs) for x in CONTEXT.get().listeners):
        return attrs
    return op.saving(attrs, tuple(inputs))


def executing_eagerly() -> bool:
    """Whether ops compute now; False while a function is traced."""
    return CONTEXT.get().interpreter.eager


def compiling() -> bool:
    """Whether a function is being traced that will be compiled."""
    interpreter = CONTEXT.get().interpreter
    while hasattr(interpreter, "outer"):  # a batch: all examples are computed out there
        interpreter = interpreter.outer.interpreter
    return type(interpreter) is Tracer and interpreter.compiles
