"""What tells one program from another, before it is compiled: the graph, the compiler, the machine.

The fingerprint of a graph is a hash of all that decides its code. Two graphs of one fingerprint
mean the same, so it leaves nothing out: what it does not know has none, and is compiled.
"""

from __future__ import annotations

import functools
import hashlib
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import EllipsisType
from typing import Any

import numpy as np

from .codegen import jit
from .core.later import BEGUN
from .core.op import Op
from .core.registry import OPS
from .core.spec import Spec
from .core.tensor import Symbol, Tensor
from .graph import Graph
from .passes.fold import known_captures

PACKAGE = Path(__file__).parent
SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a file shows in its time, on any file system."""
FOREIGN = ("NPY_", "OPENBLAS_")
"""How variables of the environment begin that decide how NumPy computes constants."""


class UnknownError(Exception):
    """Something of which it is not known what it decides."""


def fingerprint(graph: Graph) -> str | None:
    """A hash of all that decides the code of `graph`; None where that is not known.

    What its nodes do and to what, the source of the compiler, and the machine. Names, and the
    lines of the user, decide nothing.
    """
    here = surroundings()
    if here is None:
        return None
    try:
        text = repr((here, spelled(graph)))
    except UnknownError:
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def spelled(graph: Graph) -> Any:
    """The inputs, nodes and outputs of `graph` in plain values. Raises UnknownError.

    And those of its captures that are put in as constants.
    """
    numbers: dict[Any, int] = {x: k for k, x in enumerate(graph.inputs)}
    known = [(numbers[x], value(y)) for x, y in known_captures(graph).items()]
    rows = []
    for node in graph.nodes:
        inputs = [symbol(x, numbers) if type(x) is Symbol else value(x) for x in node.inputs]
        attrs = [(name, value(x)) for name, x in node.attrs.items()]
        rows.append((own(node.op), inputs, attrs, list(map(typed, node.outputs))))
        for y in node.outputs:
            numbers[y] = len(numbers)
    outputs = [symbol(y, numbers) for y in graph.outputs]
    return list(map(typed, graph.inputs)), known, rows, outputs


def symbol(x: Any, numbers: dict[Any, int]) -> Any:
    """Which of the values of its graph a symbol is."""
    if x not in numbers:
        raise UnknownError(f"{x!r} of another graph")
    return "value", numbers[x]


def typed(x: Any) -> Any:
    """Shape and dtype of a symbol or spec."""
    return x.shape, value(x.dtype)


def own(op: Op) -> str:
    """The name of an op of this package: what others do may change while their name does not."""
    package = __name__.partition(".")[0]
    if OPS.get(op.name) is not op or op.__module__.partition(".")[0] != package:
        raise UnknownError(f"the op {op.name} is not of {package}")
    return str(op.name)


def value(x: Any) -> Any:
    """`x`, an operand or attribute, such that others have another `repr`. Raises UnknownError."""
    kind = type(x)
    if kind in (bool, int, str, bytes, type(None), EllipsisType):
        return x
    if kind is float:
        return "float", struct.pack("<d", x)  # not all that is nan has the same bits
    if kind is complex:
        return "complex", struct.pack("<dd", x.real, x.imag)
    if kind in (tuple, list):
        return kind.__name__, [value(part) for part in x]
    if kind is dict:
        return "dict", [(value(name), value(part)) for name, part in x.items()]
    if kind is slice:
        return "slice", value((x.start, x.stop, x.step))
    if isinstance(x, np.dtype):
        if np.dtype(x.str) is not x:
            raise UnknownError(f"the dtype {x!r}")
        return "dtype", x.str
    if isinstance(x, np.generic):
        return "number", value(x.dtype), x.tobytes()
    if kind is Tensor:
        return "tensor", typed(x), x._value.tobytes()
    if kind is Graph:
        return "graph", spelled(x)
    if kind is Spec:
        return "spec", typed(x)
    if kind is Op:
        return "op", own(x)
    raise UnknownError(f"an attribute of type {kind.__name__}")


@functools.cache
def surroundings() -> tuple[Any, ...] | None:
    """What decides the code of all graphs: this package, others, and the machine."""
    files = sources()
    if files is None:
        return None
    variables = [
        (name, setting)
        for name, setting in sorted(os.environ.items())
        if name.startswith(("MINIGRAD_", *FOREIGN)) and name != "MINIGRAD_CACHE_DIR"
    ]
    return jit.circumstances(), sys.version, np.__version__, variables, files


def unchanged() -> bool:
    """Whether the source is still what it was when `surroundings` was first asked."""
    here = surroundings()
    return here is not None and here[-1] == sources()


def sources() -> list[tuple[str, int, int]] | None:
    """Name, size and time of the files of this package; None where the time does not tell.

    Modules are read while the program runs. If a file was changed since that began, or so shortly
    before that it may have been changed again without a trace, nobody knows what was read.
    """
    try:
        found = sorted(files_below(str(PACKAGE)))
    except OSError:
        return None
    latest = max((max(changed, touched) for _, _, changed, touched in found), default=BEGUN)
    if latest + SETTLED > BEGUN:
        return None
    return [(name, size, changed) for name, size, changed, _ in found]


def files_below(folder: str) -> Iterator[tuple[str, int, int, int]]:
    """The modules in `folder`: path, size, and when content and place were changed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns
            elif entry.is_dir() and entry.name != "__pycache__":
                yield from files_below(entry.path)
