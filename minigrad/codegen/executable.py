"""A graph made executable: its text, compiled by Python over the kernels.

What runs is what is printed. Around it, written into the syntax tree and so not in the text:
NumPy's warnings are off, and what a kernel raises is put into the words of its op.
"""

from __future__ import annotations

import ast
import itertools
import linecache
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..core.lowering import Body, Move
from ..core.op import Node, explain_failure
from ..core.tensor import Tensor
from ..graph import Graph
from ..text import Source, source

Runner = Callable[..., tuple[Any, ...]]
COUNTER = itertools.count(1)

# `quiet` turns NumPy's warnings off, `loud` undoes it, given what `quiet` returned. The variable
# under np.errstate takes 0.2 us, np.errstate itself 1.5; it is private, so it may be missing.
try:
    _umath: Any = np._core.umath  # type: ignore[attr-defined]  # not among NumPy's stubs
    quiet: Callable[[], Any] = partial(
        _umath._extobj_contextvar.set, _umath._make_extobj(all="ignore")
    )
    loud: Callable[[Any], object] = _umath._extobj_contextvar.reset
except (AttributeError, TypeError):
    quiet = partial(np.seterr, all="ignore")

    def loud(old: Any) -> object:
        """Undo `quiet`."""
        return np.seterr(**old)


# around the statements of a graph, in place of `...`; no name in a text starts with _
GUARD = """
try:
    ...
except Exception as _error:
    _better = _explained(_error)
    if _better is not None:
        raise _better
    raise
"""
QUIET = """
_before = _quiet()
try:
    ...
finally:
    _loud(_before)
"""


def executable(graph: Graph) -> Runner:
    """`graph` as a function of arrays (and cells as they are) that returns a tuple of arrays.

    Made once for each graph. Tracebacks and debuggers find its source as long as it lives.
    Errors of kernels are those of their ops, with the user's line as a note.
    """
    made: Runner | None = graph.cache.get("executable")
    if made is None:
        made = graph.cache["executable"] = compiled(source(graph, kernels=True))
    return made


def compiled(text: Source) -> Runner:
    """The function that `text` defines, guarded."""
    filename = f"<minigrad {text.name} {next(COUNTER)}>"
    tree = ast.parse(text.text)
    function = tree.body[-1]
    assert isinstance(function, ast.FunctionDef)
    function.body = inside(GUARD, function)
    if any(map(may_warn, text.nodes.values())):
        function.body = inside(QUIET, function)
    namespace = {
        **text.namespace,
        "__name__": "minigrad.graph",  # frames of minigrad are not the user's line
        "_explained": partial(explained, text.nodes, text.values),
        "_quiet": quiet,
        "_loud": loud,
    }
    exec(compile(ast.fix_missing_locations(tree), filename, "exec"), namespace)
    made: Runner = namespace.pop(text.name)  # out of its own globals: no cycle
    lines = text.text.splitlines(keepends=True)
    linecache.cache[filename] = len(text.text), None, lines, filename
    weakref.finalize(made, linecache.cache.pop, filename, None).atexit = False
    return made


def inside(template: str, function: ast.FunctionDef) -> list[ast.stmt]:
    """The statements of `template`, with the body of `function` in its try."""
    statements = ast.parse(template).body
    for statement in ast.walk(ast.Module(statements, [])):
        ast.copy_location(statement, function)
    block = statements[-1]
    assert isinstance(block, ast.Try)
    block.body = function.body
    return statements


def may_warn(node: Node) -> bool:
    """Whether NumPy may warn of what `node` computes; what has a body keeps quiet by itself."""
    return not isinstance(node.op.lower, (Body, Move))


def explained(nodes: dict[int, Node], values: dict[Any, str], error: Exception) -> Exception | None:
    """What to raise for `error` of a kernel: what its op says of the inputs; None for the same.

    Either way a note names the user's line. nodes: by line; values: what inputs are called.
    """
    trace = error.__traceback__
    node = None if trace is None else nodes.get(trace.tb_lineno)
    if trace is None or node is None:
        return None
    local = trace.tb_frame.f_locals
    inputs = tuple([as_input(local.get(values.get(x, ""), x)) for x in node.inputs])
    note = f"in {node.attrs.get('name') or node.op.name}, written at {node.where}"
    try:
        explain_failure(node.op, inputs, node.attrs, error)
    except Exception as better:
        better.add_note(note)
        better.__suppress_context__ = True
        return better.with_traceback(trace)
    error.add_note(note)
    return None


def as_input(x: Any) -> Any:
    """A local value of a graph as its op takes it: arrays as tensors."""
    return Tensor(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x
