"""What can be read of a traced function: its graph as Python, and every stage of its compiler."""

from __future__ import annotations

from typing import Any

from .codegen import jit as native_jit
from .codegen.fused import llvm, loops
from .compiler import blockers, fused, optimized
from .core.lowering import Contract
from .core.spec import Spec
from .errors import SpecError
from .graph import Graph
from .passes.inline import inline
from .passes.specialize import specialize

STAGES = ("traced", "optimized", "fused", "loops", "llvm", "assembly")


class Stages:
    """The part of a function that shows rather than computes."""

    name: str

    def _prepared(self, args: Any, kwargs: Any) -> tuple[Any, list[Any]]:
        raise AssertionError("given by Function")

    def graph_for(self, *args: Any, **kwargs: Any) -> Graph:
        """The graph for these arguments; printed, it is Python that runs."""
        graph: Graph = self._prepared(args, kwargs)[0].graph
        return graph

    def compiler_ir(self, *args: Any, stage: str = "optimized", **kwargs: Any) -> str:
        """What the compiler makes of the function for these arguments, as text.

        stage: "traced" and "optimized", graphs as Python; "fused", the groups, and why they end
        where they end; "loops", their loop nests; "llvm" and "assembly", their code.
        """
        if stage not in STAGES:
            raise SpecError(
                f"compiler_ir(stage={stage!r}): the stages are {', '.join(STAGES)}; choose one"
            )
        concrete, tensors = self._prepared(args, kwargs)
        graph: Graph = concrete.graph
        if stage == "traced":
            return str(graph)
        if stage == "optimized":
            return str(optimized(graph))
        if not all(x.spec.known for x in graph.inputs):
            shapes = [Spec(x.shape, x.dtype) for x in (*tensors, *graph.captures)]
            graph = specialize(graph, shapes)
        compiled = fused(graph).graph
        if stage == "fused":
            return str(compiled)
        groups = [node for node in compiled.nodes if node.op.name == "fused"]
        return "\n\n".join(shown(node.attrs["graph"], stage) for node in groups)

    def capability_report(self, *args: Any, **kwargs: Any) -> str:
        """Node by node, with its line: compiles, is a library call, or blocks compilation.

        Nothing is run, no callback is called.
        """
        graph = inline(self._prepared(args, kwargs)[0].graph)
        blocked = set(blockers(graph))
        rows = []
        for node in graph.nodes:
            if node in blocked:
                verdict = "blocks: " + str(node.op.opaque)
            elif node.op.lower is None or isinstance(node.op.lower, Contract):
                verdict = "library call"
            else:
                verdict = "compiles"
            rows.append(f"{node.attrs.get('name', node.op.name):24} {verdict:16} {node.where}")
        return "\n".join(rows)


def shown(group: Graph, stage: str) -> str:
    """One fusion group at a late stage."""
    if stage == "loops":
        return str(loops(group))
    return llvm(group) if stage == "llvm" else native_jit.assembly(llvm(group))
