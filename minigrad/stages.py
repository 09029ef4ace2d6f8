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
    rows = []
    for node in everything(concrete.graph):
        if node.op.name == "py_function":
            verdict = "compiles if its body can be traced"
        elif why := obstacle(node):
            verdict = f"blocks: {why}"
        elif isinstance(node.op.lower, Contract):
            verdict = "product: native code, or a library call for other dtypes"
        elif node.op.lower is None:
            verdict = "library call"
        else:
            verdict = "compiles"
        rows.append(f"{node.title:24} {verdict:16} {node.where}")
    return "\n".join(rows)


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
