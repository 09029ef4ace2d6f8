"""What runs a graph: NumPy's kernels, or native code, compiled or found where it was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .codegen.call import begin_builtins, make_callable, tensor_callable
from .codegen.executable import Runner, executable
from .codegen.jit import available
from .core.later import later
from .core.op import CONTEXT, Node
from .core.spec import OPAQUE, Spec
from .graph import Graph
from .passes.pipeline import optimized
from .passes.specialize import specialize
from .recipes import Native, recalled, remember
from .text import nested_graphs
from .variable import assign_variable

compiler = later("compiler")


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


def native(graph: Graph) -> Runner:
    """A runner by fused native kernels and library calls."""
    found = alone(graph) if available() else None
    if found is None:
        whole = compiler.program(graph)
        run = executable(whole)
        return undone_on_failure(run) if any(map(may_assign, whole.nodes)) else run
    return make_callable(*found, lambda *args: compiler.reference(graph)(*args))


def may_assign(node: Node) -> bool:
    """Whether `node` assigns Variables in the graphs it runs; others are assigned at the end."""
    steps = [step for graph in nested_graphs(node) for step in graph.nodes]
    return any(step.op is assign_variable or may_assign(step) for step in steps)


def undone_on_failure(run: Runner) -> Runner:
    """`run`, which leaves Variables as they were where it raises: compiled, all happens or nothing.

    What a loop has written over meanwhile is none of the arrays that are kept here.
    """

    def attempt(*values: Any) -> tuple[Any, ...]:
        before = [(x, x._value) for x in values if hasattr(x, "trainable")]
        try:
            return run(*values)
        except BaseException:
            for cell, array in before:
                cell._value = array
            raise

    return attempt


def alone(graph: Graph) -> Native | None:
    """The native code that does all of `graph`, and how it is called; None where it needs Python.

    As it was kept by an earlier process, or else compiled, and kept.
    """
    if "alone" not in graph.cache:
        found = recalled(graph)
        if found is None:
            begin_builtins()  # by other threads, while the compiler is loaded
            found = compiler.compiled(graph)
            if found is not None:
                remember(graph, found)
        graph.cache["alone"] = found
    made: Native | None = graph.cache["alone"]
    return made


def direct(graph: Graph, captured: Sequence[Any], *, single: bool) -> Runner | None:
    """A native function of tensors that does all of `graph`; None where it needs Python.

    It returns None for anything but tensors of the specs of the arguments; else a tuple of
    tensors, or if `single` one. captured: arrays and cells behind the arguments.
    """
    if not available() or not all(x.spec.known for x in graph.inputs):
        return None
    found = alone(graph)
    if found is None:
        return None
    code, signature = found
    return tensor_callable(code, signature._replace(packed=not single), captured)


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
