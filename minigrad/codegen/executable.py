"""A graph made executable: its text, compiled by Python over the kernels.

What runs is what is printed. Around it NumPy's warnings are off, and what a kernel raises is put
into the words of its op.
"""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from ..core.convert import as_value
from ..core.lowering import Body, Move
from ..core.op import Node, explain_failure
from ..core.quiet import loud, quiet
from ..graph import Graph
from ..text import Source, source

Runner = Callable[..., tuple[Any, ...]]
COUNTER = itertools.count(1)


def executable(graph: Graph) -> Runner:
    """`graph` as a function of arrays (and cells as they are) that returns a tuple of arrays.

    Made once for each graph. Tracebacks and debuggers find its source as long as it lives.
    Errors of kernels are those of their ops, with the user's line as a note.
    """
    made: Runner | None = graph.cache.get("executable")
    if made is None:
        begun = [node.op.begin(**node.attrs) for node in graph.nodes if node.op.begin]
        made = graph.cache["executable"] = compiled(source(graph, kernels=True))
        del begun  # kept so far, as what is made ahead is made for those who keep it
    return made


def compiled(text: Source) -> Runner:
    """The function that `text` defines, its statements guarded."""
    lines, nodes = guarded(text, warns=any(map(may_warn, text.nodes.values())))
    namespace = {
        **text.namespace,
        "__name__": "minigrad.graph",  # frames of minigrad are not the user's line
        "_explained": partial(explained, nodes, text.values),
        "_quiet": quiet,
        "_loud": loud,
    }
    filename = f"<minigrad {text.name} {next(COUNTER)}>"
    exec(compile("".join(lines), filename, "exec"), namespace)
    made: Runner = namespace.pop(text.name)  # out of its own globals: no cycle
    linecache.cache[filename] = len(lines), None, lines, filename
    weakref.finalize(made, linecache.cache.pop, filename, None).atexit = False
    return made


def guarded(text: Source, *, warns: bool) -> tuple[list[str], dict[int, Node]]:
    """The lines of `text` with its statements in a try, and its nodes by the line they are on.

    warns: whether NumPy's warnings are to be turned off.
    """
    lines = text.text.splitlines(keepends=True)
    head, body = lines[: text.start - 1], lines[text.start - 1 :]
    opening = ["    _before = _quiet()\n"] * warns + ["    try:\n"]
    closing = ["    except Exception as _error:\n", "        raise _explained(_error)\n"]
    ending = ["    finally:\n", "        _loud(_before)\n"] * warns
    inside = [f"    {line}" for line in body]
    nodes = {line + len(opening): node for line, node in text.nodes.items()}
    return [*head, *opening, *inside, *closing, *ending], nodes


def may_warn(node: Node) -> bool:
    """Whether NumPy may warn of what `node` computes; what has a body keeps quiet by itself."""
    return not isinstance(node.op.lower, (Body, Move))


def explained(nodes: dict[int, Node], values: dict[Any, str], error: Exception) -> Exception:
    """What to raise for `error` of a kernel: what its op says of the inputs, or `error` itself.

    Either way a note names the user's line. nodes: by line; values: what inputs are called.
    """
    trace = error.__traceback__
    node = None if trace is None else nodes.get(trace.tb_lineno)
    if trace is None or node is None:
        return error
    local = trace.tb_frame.f_locals
    inputs = tuple([as_value(local.get(values.get(x, ""), x)) for x in node.inputs])
    found = error
    try:
        explain_failure(node.op, inputs, node.attrs, error)
    except Exception as better:
        found = better.with_traceback(trace)
        found.__suppress_context__ = True
    note = f"in {node.title}, written at {node.where}"
    if note not in getattr(found, "__notes__", ()):  # a body may raise one object again and again
        found.add_note(note)
    return found
