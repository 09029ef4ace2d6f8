"""`fused`: an op that means a graph, run as one native loop nest, or else by NumPy kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.lowering import Body
from ..core.op import MADE_LATE, Op
from ..core.spec import Spec
from ..graph import Graph
from . import jit
from .call import begin_kernel, kernel_code, make_callable
from .executable import executable
from .fastcall import ArraySpec, Signature
from .loops import LoopNest
from .schedule import loop_nest
from .sharing import render
from .spelling import twin

ENTRY = "kernel"
PORTABLE_VECTOR_BYTES = 32
"""The vectors that loop nests are shown for where there is no LLVM to name the machine's."""

Callee = Callable[..., Any]


def fused_spec(*inputs: Any, graph: Graph) -> tuple[Spec, ...]:
    """The specs of the graph's outputs."""
    return tuple([y.spec for y in graph.outputs])


def run_group(*inputs: Any, graph: Graph) -> tuple[Any, ...]:
    """The outputs of a fusion group."""
    made: tuple[Any, ...] = prepared(graph=graph)(*inputs)
    return made


def prepared(*, graph: Graph) -> Callee:
    """The function of arrays that computes the group `graph`; made once, and kept with it.

    Without LLVM it is the NumPy kernels of the nodes: the same meaning, and the reference.
    """
    if not jit.available():
        return executable(graph)
    if "native" not in graph.cache:
        graph.cache["native"] = compiled(graph)
    made: Callee = graph.cache["native"]
    return made


def compiled(graph: Graph) -> Callee:
    """The group as native code behind a builtin function."""
    return make_callable(code(graph), signature(graph))


def signature(graph: Graph) -> Signature:
    """How the kernel of `graph` is called."""
    inputs = [ArraySpec(tuple(x.shape), x.dtype) for x in graph.inputs]
    outputs = [ArraySpec(tuple(y.shape), y.dtype) for y in graph.outputs]
    return Signature(ENTRY, inputs, outputs, packed=True)


def code(graph: Graph, over: frozenset[int] = frozenset(), *, inside: bool = False) -> jit.Code:
    """The native code of a group; made once, and kept with it.

    over: the outputs, by number, that may be in the memory of an input. inside: as in
    `kernel_code`.
    """
    graph, key = twin(graph), ("code", over, inside)
    if key not in graph.cache:
        pointers = len(graph.inputs) + len(graph.outputs)
        graph.cache[key] = kernel_code(llvm(graph, over), ENTRY, pointers, inside=inside)
    made: jit.Code = graph.cache[key]
    return made


def begun(*, graph: Graph) -> Any:
    """Have another thread compile the group; whoever keeps what this gives can wait for it."""
    return begin_code(graph) if jit.available() else None


def begin_code(graph: Graph, over: frozenset[int] = frozenset(), *, inside: bool = False) -> Any:
    """Have other threads begin with `code`."""
    graph = twin(graph)
    if ("code", over, inside) in graph.cache:
        return None
    pointers = len(graph.inputs) + len(graph.outputs)
    return begin_kernel(llvm(graph, over), ENTRY, pointers, inside=inside)


def loops(graph: Graph) -> LoopNest:
    """The loop nest of a group; printed, it can be read."""
    graph = twin(graph)
    if "loops" not in graph.cache:
        width = jit.host().vector_bytes if jit.available() else PORTABLE_VECTOR_BYTES
        graph.cache["loops"] = loop_nest(graph, width)
    made: LoopNest = graph.cache["loops"]
    return made


def llvm(graph: Graph, over: frozenset[int] = frozenset()) -> str:
    """The LLVM assembly of a group. over: as in `code`."""
    graph, key = twin(graph), ("llvm", over)
    if key not in graph.cache:
        graph.cache[key] = render(loops(graph), ENTRY, over)
    made: str = graph.cache[key]
    return made


fused = Op(run_group, infer=fused_spec, name="fused", lower=Body(lambda attrs: attrs["graph"]))
# how an executable binds it: attributes are settled before the first call
fused.prepare, fused.begin = prepared, begun
fused.opaque = MADE_LATE
