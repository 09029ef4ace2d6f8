"""What can be read of a traced function: its graph as Python, and every stage of its compiler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .codegen import jit as native_jit
from .codegen.fused import fused as fused_op
from .codegen.fused import llvm, loops
from .codegen.products import native_product, product_llvm
from .codegen.stretch import memory_report, stateful_stretch, stretch
from .compilable import obstacle
from .compiler import fused, program
from .core.lowering import Contract
from .core.op import Node
from .core.spec import Spec
from .errors import SpecError
from .graph import Graph
from .passes.fuse import fusion_report
from .passes.inline import inline
from .passes.pipeline import optimized
from .passes.specialize import specialize
from .text import nested_graphs

STAGES = ("traced", "optimized", "fused", "program", "loops", "llvm", "assembly")


def compiler_ir(concrete: Any, tensors: Sequence[Any], stage: str) -> str:
    """The text of one stage of a concrete function, for tensors of these shapes."""
    if stage not in STAGES:
        raise SpecError(
            f"compiler_ir(stage={stage!r}): the stages are {', '.join(STAGES)}; choose one"
        )
    graph: Graph = concrete.graph
    if stage == "traced":
        return str(graph)
    if stage == "optimized":
        return str(optimized(graph))
    if not all(x.spec.known for x in graph.inputs):
        shapes = [Spec(x.shape, x.dtype) for x in (*tensors, *graph.captures)]
        graph = specialize(graph, shapes)
    if stage == "program":
        whole = program(graph)
        runs = [node for node in whole.nodes if node.op in (stretch, stateful_stretch)]
        return "\n\n".join([str(whole), *[memory_report(node.attrs["graph"]) for node in runs]])
    compiled = fused(graph).graph
    if stage == "fused":
        return f"{compiled}\n{fusion_report(compiled)}"
    # groups first: products have the longer text
    nodes = sorted(compiled.nodes, key=lambda node: node.op is native_product)
    texts = [shown(node, stage) for node in nodes]
    return "\n\n".join([text for text in texts if text is not None])


def capability_report(concrete: Any) -> str:
    """What compiling would make of each node; nothing is run."""
    rows = [
        f"{node.title:24} {verdict(node):16} {node.where}" for node in everything(concrete.graph)
    ]
    return "\n".join(rows)


def verdict(node: Node) -> str:
    """What compiling would make of `node`."""
    if node.op.name == "py_function":
        return "compiles if its body can be traced"
    if why := obstacle(node):
        return f"blocks: {why}"
    if isinstance(node.op.lower, Contract):
        return "product: native code, or a library call for other dtypes"
    inner = list(nested_graphs(node))
    if node.op.lower is not None or not inner:
        return "library call" if node.op.lower is None else "compiles"
    if "branches" in node.attrs:
        return "runs the branch that is chosen, compiled"
    if any(is_called(step) for graph in inner for step in everything(graph)):
        return "runs its rounds one by one, compiled but for the library calls in them"
    return "compiles"


def is_called(node: Node) -> bool:
    """Whether Python calls something for `node`, or it changes Variables as it runs."""
    return node.op.lower is None and not ("carried" in node.attrs and not node.op.stateful)


def everything(graph: Graph) -> Iterator[Node]:
    """The nodes of `graph`, each followed by those of the graphs among its attributes."""
    for node in inline(graph).nodes:
        yield node
        for inner in nested_graphs(node):
            yield from everything(inner)


def shown(node: Node, stage: str) -> str | None:
    """A node at a late stage; None if it has none, as what is left to NumPy."""
    if node.op is fused_op:
        group = node.attrs["graph"]
        text = str(loops(group)) if stage == "loops" else llvm(group)
    elif node.op is native_product and stage != "loops":
        text = product_llvm(node.attrs["graph"])
    else:
        return None
    return native_jit.assembly(text) if stage == "assembly" else text
