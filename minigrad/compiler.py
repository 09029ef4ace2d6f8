"""From a graph to something that runs: through the passes, by NumPy or by native code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from .codegen.call import tensor_callable
from .codegen.executable import executable
from .codegen.jit import available
from .codegen.repeat import native_loop_node
from .codegen.rounds import Rounds, rounds
from .codegen.stretch import native_code
from .core.op import CONTEXT, Node
from .core.spec import OPAQUE, Spec
from .core.tensor import Tensor
from .errors import UncompilableError
from .graph import Graph
from .passes.borrow import borrow
from .passes.copies import copy_moves
from .passes.dce import dce
from .passes.draws import native_draws
from .passes.finish import finish_products
from .passes.fuse import fuse
from .passes.inline import inline
from .passes.layout import lay_out
from .passes.lift import lift, liftable
from .passes.pipeline import optimize
from .passes.products import native_products
from .passes.rewrite import regrouped
from .passes.sink import sink
from .passes.specialize import specialize
from .passes.spread import spread
from .passes.stretches import stretches
from .passes.totals import part_totals
from .text import nested_graphs

Runner = Callable[..., tuple[Any, ...]]


def runner(graph: Graph, *, jit: bool) -> Runner:
    """What runs `graph` on arrays and cells (arguments, then captures); made once for each graph.

    jit: compile; then the values come with the shapes that the code is for, and a graph with
    unknown dims has one runner per shape underneath. An interpreter that looks at every op runs
    it by itself, compiled or not.
    """
    stepwise = getattr(CONTEXT.get().interpreter, "stepwise", None)
    if stepwise is not None:
        steps: Runner = stepwise(graph)
        return steps
    key = ("runner", jit)
    if key not in graph.cache:
        if jit and not all(x.spec.known for x in graph.inputs):
            graph.cache[key] = by_shape(graph)
        else:
            graph.cache[key] = native(graph) if jit else plain(graph)
    made: Runner = graph.cache[key]
    return made


def plain(graph: Graph) -> Runner:
    """A runner by NumPy kernels."""
    return executable(optimized(graph))


def optimized(graph: Graph) -> Graph:
    """`graph` through the passes that keep every value to the bit."""
    if "optimized" not in graph.cache:
        graph.cache["optimized"] = optimize(graph)
    made: Graph = graph.cache["optimized"]
    return made


class Fused(NamedTuple):
    """A graph in fusion groups, its Variables lifted to inputs and outputs.

    reads: the inputs that are given as cells and taken as their values. writes: pairs of such an
    input and the output that is the new value of its cell.
    """

    graph: Graph
    reads: frozenset[int]
    writes: tuple[tuple[int, int], ...]


def fused(graph: Graph) -> Fused:
    """`graph` as it will be compiled. Raises UncompilableError where it cannot be."""
    if "fused" not in graph.cache:
        reject_opaque(graph)
        simple = optimized(graph)
        cells = set(liftable(simple))
        reads = frozenset(i for i, x in enumerate(simple.inputs) if x in cells)
        lifted = lift(simple)
        grouped = native_draws(fuse(ready_to_fuse(optimize(lifted.graph))))
        updated = [result for _, result in lifted.writes]
        grouped = borrow(native_products(with_loops(grouped)))
        compiled = copy_moves(finish_products(grouped, updated))
        graph.cache["fused"] = Fused(compiled, reads, lifted.writes)
    made: Fused = graph.cache["fused"]
    return made


def with_loops(graph: Graph) -> Graph:
    """`graph`, fused, with loops of few rounds as kernels, where the rounds are kernels alone."""
    return regrouped(graph, [as_kernel(node) or node for node in graph.nodes])


def as_kernel(node: Node) -> Node | None:
    """The loop `node` as one kernel; None where it is none."""
    count = None if node.op.rounds is None else node.op.rounds(node)
    inputs = [x for x in node.inputs if isinstance(x, Tensor)]
    tensors = [*inputs, *node.outputs]
    if count is None or len(inputs) < len(node.inputs) or not all(x.spec.known for x in tensors):
        return None
    carried, scanned, body = node.attrs["carried"], node.attrs["scanned"], node.attrs["body"]
    specs = [
        Spec(x.shape[1:] if carried <= k < carried + scanned else x.shape, x.dtype)
        for k, x in enumerate(inputs)
    ]
    compiled, reads, writes = fused(specialize(body, specs))
    if reads or writes:
        return None
    compiled = replace(copy_moves(compiled, largest=None), cache={})
    return native_loop_node(node, compiled, carried, scanned, count)


def ready_to_fuse(graph: Graph) -> Graph:
    """`graph` in the ops that loops are made of."""
    return dce(part_totals(spread(lay_out(sink(graph)))))


def native(graph: Graph) -> Runner:
    """A runner by fused native kernels and library calls."""
    whole = program(graph)
    node = only_node(whole)
    if node is None or node.op.prepare is None:
        return executable(whole)
    made: Runner = node.op.prepare(**node.attrs)
    return made


def only_node(graph: Graph) -> Node | None:
    """The node that is all of `graph`, if there is one."""
    if len(graph.nodes) != 1:
        return None
    (node,) = graph.nodes
    # tensors are not compared, but looked up
    columns = dict(enumerate((*node.inputs, None, *node.outputs)))
    whole = dict(enumerate((*graph.inputs, None, *graph.outputs)))
    same = len(columns) == len(whole) and all(columns[k] is x for k, x in whole.items())
    return node if same else None


def direct(graph: Graph, captured: Sequence[Any], *, single: bool) -> Runner | None:
    """A native function of tensors that does all of `graph`; None where it needs Python.

    It returns None for anything but tensors of the specs of the arguments; else a tuple of
    tensors, or if `single` one. captured: arrays and cells behind the arguments.
    """
    if not available() or not all(x.spec.known for x in graph.inputs):
        return None
    node = only_node(program(graph))
    found = None if node is None else native_code(node)
    if found is None:
        return None
    code, signature = found
    return tensor_callable(code, signature._replace(packed=not single), captured)


def program(graph: Graph) -> Graph:
    """`graph` as it will be run, in stretches of kernels; cells are its inputs."""
    if "program" not in graph.cache:
        graph.cache["program"] = stretches(*fused(graph))
    made: Graph = graph.cache["program"]
    return made


class Loop(NamedTuple):
    """The rounds of a loop in native code.

    reads: the inputs of the body that are cells, whose values it takes. taken, carried: outputs
    that are not stacked, by number, for they are an input of the body, or an earlier output.
    """

    run: Rounds
    reads: frozenset[int]
    taken: dict[int, int]
    carried: dict[int, int]


def loop(
    graph: Graph,
    carried: int,
    scanned: int,
    inputs: Sequence[Any],
    results: int | None,
    *,
    until: bool = False,
) -> Loop | None:
    """The loop of the body `graph` in native code; None where it needs more than its kernels.

    inputs: arrays and cells, as the body takes them. results: how many outputs are no
    residuals, in a loop of which all is kept that was carried; else None. until: as of `Rounds`.
    Made once for each combination of shapes; none for an interpreter that looks at every op.
    """
    if getattr(CONTEXT.get().interpreter, "stepwise", None) is not None:
        return None
    key = ("loop", carried, scanned, results, *[x.shape for x in inputs])
    if key not in graph.cache:
        graph.cache[key] = looped(graph, carried, scanned, inputs, results, until=until)
    made: Loop | None = graph.cache[key]
    return made


def looped(
    graph: Graph,
    carried: int,
    scanned: int,
    inputs: Sequence[Any],
    results: int | None,
    *,
    until: bool,
) -> Loop | None:
    """As `loop`, made anew."""
    if not all(x.spec.known for x in graph.inputs):
        graph = specialize(graph, [Spec(x.shape, x.dtype) for x in inputs])
    compiled, reads, writes = fused(graph)
    compiled = copy_moves(compiled, largest=None)
    taken: dict[int, int] = {}
    again: dict[int, int] = {}
    if results is not None:
        given = {x: i for i, x in enumerate(compiled.inputs)}
        kept = {y: i for i, y in enumerate(compiled.outputs[:carried]) if y not in given}
        stacks = list(enumerate(compiled.outputs))[carried:]
        taken = {k: given[y] for k, y in stacks if k >= results and y in given}
        again = {k: kept[y] for k, y in stacks if y in kept}
    outputs = [y for k, y in enumerate(compiled.outputs) if k not in taken and k not in again]
    body = replace(compiled, outputs=tuple(outputs), cache={})
    run = rounds(body, carried, scanned, until=until)
    return None if writes or run is None else Loop(run, reads, taken, again)


def by_shape(graph: Graph) -> Runner:
    """A runner that compiles for each combination of shapes that it meets."""
    versions: dict[Any, Runner] = {}

    def run(*values: Any) -> tuple[Any, ...]:
        # what a loop or a body has left for its derivative has no shape
        shapes = tuple([getattr(x, "shape", None) for x in values])
        if shapes not in versions:
            specs = [Spec(x.shape, x.dtype) if hasattr(x, "shape") else OPAQUE for x in values]
            versions[shapes] = native(specialize(graph, specs))
        return versions[shapes](*values)

    return run


def blockers(graph: Graph) -> list[Node]:
    """The nodes of `graph`, nested graphs included, that have no compiled form."""
    found = []
    for node in inline(graph).nodes:
        if obstacle(node):
            found.append(node)
        for inner in nested_graphs(node):
            found.extend(blockers(inner))
    return found


def obstacle(node: Node) -> str | None:
    """Why `node` has no compiled form; None if it has one."""
    if node.op.name == "py_function":  # compiled functions trace its body, and have no such node
        return "its body is Python that was kept as such when the graph was traced"
    return node.op.opaque


def reject_opaque(graph: Graph) -> None:
    """Raise UncompilableError, naming every node that cannot be compiled, or return."""
    found = blockers(graph)
    if found:
        raise UncompilableError(rejection(graph.name, found))


def rejection(name: str, nodes: Sequence[Node]) -> str:
    """The message of UncompilableError."""
    lines = "\n".join(
        f"  {node.title} at {node.where}{defined_at(node)}: {obstacle(node)}" for node in nodes
    )
    count = f"{len(nodes)} nodes have" if len(nodes) > 1 else "1 node has"
    return (
        f"function {name} was to be compiled (jit_compile=True), and {count} no compiled form:\n"
        f"{lines}\n"
        "compiled code cannot call back into NumPy, so nothing was run. Ways out: write the body "
        "with minigrad's functions, directly or in mg.py_function, which is traced and fused; "
        "call it outside of the compiled function; or leave jit_compile=True out"
    )


def defined_at(node: Node) -> str:
    """Where the callable of a callback node was written."""
    code = getattr(node.attrs.get("func"), "__code__", None)
    return f" (defined at {code.co_filename}:{code.co_firstlineno})" if code else ""
