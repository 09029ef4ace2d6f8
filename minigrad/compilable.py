"""What can be compiled: which nodes have no compiled form, and how a function is told so."""

from __future__ import annotations

from collections.abc import Sequence

from .core.op import Node
from .errors import UncompilableError
from .graph import Graph
from .passes.inline import inline
from .text import nested_graphs


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
