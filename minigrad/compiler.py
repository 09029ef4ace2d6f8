"""From a graph to native code: through the passes, and the loops that run in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from .codegen.driver import begin_kernel
from .codegen.executable import Runner, executable
from .codegen.repeat import native_loop_nodes
from .codegen.rounds import Rounds, all_native, rounds
from .codegen.stretch import native_code
from .compilable import reject_opaque
from .core.op import CONTEXT, Node
from .core.spec import Spec
from .core.tensor import Tensor
from .graph import Graph
from .passes.apart import take_apart
from .passes.begin import begin_products
from .passes.borrow import borrow
from .passes.copies import copy_moves
from .passes.dce import dce
from .passes.draws import native_draws
from .passes.finish import finish_products
from .passes.fuse import fuse
from .passes.layout import lay_out
from .passes.lift import lift, liftable
from .passes.narrow import narrow
from .passes.onto import add_onto_sums
from .passes.pipeline import optimize, optimized
from .passes.products import native_products
from .passes.regroup import regrouped
from .passes.rewrite import deciding, mapped, renewed
from .passes.sink import sink
from .passes.specialize import specialize
from .passes.spread import spread
from .passes.stretches import stretches
from .passes.totals import part_totals
from .recipes import Native


class Fused(NamedTuple):
    """A graph in fusion groups, its Variables lifted to inputs and outputs.

    reads: the inputs that are given as cells and taken as their values. writes: pairs of such an
    input and the output that is the new value of its cell.
    """

    graph: Graph
    reads: frozenset[int]
    writes: tuple[tuple[int, int], ...]


def fused(graph: Graph, settled: Callable[[Node, bool], Any] = lambda node, alone: None) -> Fused:
    """`graph` as it will be compiled. Raises UncompilableError where it cannot be.

    settled: is told of each product, as soon as it will stay as it is, and whether it is all.
    """
    if "fused" not in graph.cache:
        reject_opaque(graph)
        simple = optimized(graph)
        cells = set(liftable(simple))
        reads = frozenset(i for i, x in enumerate(simple.inputs) if x in cells)
        lifted = lift(simple)
        grouped = native_draws(fuse(ready_to_fuse(optimize(lifted.graph))))
        updated = [result for _, result in lifted.writes]
        begun = begin_products(borrow(native_products(with_loops(grouped))))
        finished = finish_products(begun, updated, lambda one: settled(one, is_all(one, begun)))
        compiled = copy_moves(finished)
        graph.cache["fused"] = Fused(compiled, reads, lifted.writes)
    made: Fused = graph.cache["fused"]
    return made


def is_all(node: Node, graph: Graph) -> bool:
    """Whether `graph` has no results but those of `node`, which is made of its inputs."""
    made, given = dict.fromkeys(node.outputs), dict.fromkeys(graph.inputs)
    return all(y in made for y in graph.outputs) and all(x in given for x in node.inputs)


def with_loops(graph: Graph) -> Graph:
    """`graph`, fused, with loops of few rounds as kernels, where the rounds are kernels alone."""
    nodes = [step for node in graph.nodes for step in as_kernel(node) or [node]]
    return regrouped(graph, nodes)


def as_kernel(node: Node) -> list[Node] | None:
    """The loop `node` as one kernel, with what belongs to it; None where it is none."""
    if node.op.rounds is None or node.attrs["saving"] or not node.attrs["jit"]:
        return None
    count = node.rounds
    inputs = [x for x in node.inputs if isinstance(x, Tensor)]
    tensors = [*inputs, *node.outputs]
    if len(inputs) < len(node.inputs) or not all(x.spec.known for x in tensors):
        return None
    carried, scanned, body = node.attrs["carried"], node.attrs["scanned"], node.attrs["body"]
    specs = [
        Spec(x.shape[1:] if carried <= k < carried + scanned else x.shape, x.dtype)
        for k, x in enumerate(inputs)
    ]
    condition = node.attrs["condition"]
    if count is None:
        return None if condition is None else as_deciding_kernel(node, condition, body, specs)
    compiled, reads, writes = fused(specialize(body, specs))
    if reads or writes:
        return None
    if any(x.shape[:1] < (count,) for x in inputs[carried : carried + scanned]):
        return None  # the loop will say so
    compiled = in_kernels(compiled)
    sizes = {"carried": carried, "scanned": scanned, "count": count}
    return native_loop_nodes(node, compiled, **sizes, reverse=node.attrs.get("reverse", False))


def as_deciding_kernel(
    node: Node, condition: Graph, body: Graph, specs: Sequence[Spec]
) -> list[Node] | None:
    """The loop `node`, which goes on while `condition` holds, as one kernel, or None."""
    carried = node.attrs["carried"]
    parts = [fused(specialize(g, specs)) for g in (condition, deciding(condition, body, carried))]
    if any(part.reads or part.writes for part in parts):
        return None
    test, rounds = [in_kernels(part.graph) for part in parts]
    if not all_native(test, 0):
        return None
    values: dict[Any, Any] = dict(zip(test.inputs, node.inputs, strict=True))
    asked = renewed(test.nodes, values)
    (begin,) = mapped(test.outputs, values)
    made = native_loop_nodes(node, rounds, carried=carried, scanned=0, count=None, begin=begin)
    return None if made is None else [*asked, *made]


def in_kernels(graph: Graph) -> Graph:
    """`graph`, fused, whose moves and constants are kernels too: the rounds of a loop."""
    return replace(copy_moves(graph, largest=None), cache={})


def ready_to_fuse(graph: Graph) -> Graph:
    """`graph` in the ops that loops are made of."""
    return dce(part_totals(spread(take_apart(lay_out(add_onto_sums(sink(narrow(graph))))))))


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


def compiled(graph: Graph) -> Native | None:
    """The native code of `graph` and how it is called; None where not all of it is native."""
    ahead: list[Any] = []  # kept so long, as what is made ahead is made for those who keep it
    fused(graph, lambda product, alone: ahead.append(begin_kernel(product, inside=not alone)))
    node = only_node(program(graph))
    return None if node is None else native_code(node)


def reference(graph: Graph) -> Runner:
    """What does the same as `compiled` kernel by kernel: where one may not go on, it says why."""
    node = only_node(program(graph))
    assert node is not None
    return executable(node.attrs["graph"])


def program(graph: Graph) -> Graph:
    """`graph` as it will be run, in stretches of kernels; cells are its inputs."""
    if "program" not in graph.cache:
        graph.cache["program"] = stretches(*fused(graph))
    made: Graph = graph.cache["program"]
    return made


class Loop(NamedTuple):
    """The rounds of a loop in native code, which take the values of cells.

    taken, carried: outputs that are not stacked, by number, for they are an input of the body, or
    an earlier output.
    """

    run: Rounds
    taken: dict[int, int]
    carried: dict[int, int]


def loop(
    graph: Graph,
    carried: int,
    scanned: int,
    inputs: Sequence[Any],
    results: int | None,
) -> Loop | None:
    """The loop of the body `graph` in native code; None where it needs more than its kernels.

    inputs: arrays and cells, as the body takes them. results: how many outputs are no
    residuals, in a loop of which all is kept that was carried; else None. Made once for each
    combination of shapes; none for an interpreter that looks at every op.
    """
    if getattr(CONTEXT.get().interpreter, "stepwise", None) is not None:
        return None
    key = ("loop", carried, scanned, results, *[x.shape for x in inputs])
    if key not in graph.cache:
        graph.cache[key] = looped(graph, carried, scanned, inputs, results)
    made: Loop | None = graph.cache[key]
    return made


def looped(
    graph: Graph,
    carried: int,
    scanned: int,
    inputs: Sequence[Any],
    results: int | None,
) -> Loop | None:
    """As `loop`, made anew."""
    if not all(x.spec.known for x in graph.inputs):
        graph = specialize(graph, [Spec(x.shape, x.dtype) for x in inputs])
    compiled, _, writes = fused(graph)
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
    run = rounds(body, carried, scanned)
    return None if writes or run is None else Loop(run, taken, again)
