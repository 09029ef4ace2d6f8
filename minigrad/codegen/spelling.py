"""Graphs in plain values: two that are spelled alike mean the same, whatever their names.

Nothing is left out. What is not known is not spelled.
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import EllipsisType
from typing import Any

import numpy as np

from ..core.op import Op
from ..core.registry import OPS
from ..core.spec import Spec
from ..core.tensor import Symbol, Tensor
from ..graph import Graph
from . import jit

Known = Callable[[Graph], Mapping[Any, Any]]

GRAPHS: weakref.WeakValueDictionary[str, Graph] = weakref.WeakValueDictionary()
"""Those that others of the same spelling are compiled as, as long as there are any."""


class UnknownError(Exception):
    """Something of which it is not known what it decides."""


def twin(graph: Graph) -> Graph:
    """The first graph of the same name and spelling: what is made for it is right for `graph`.

    So the same layers of a network share their kernels.
    """
    if "twin" not in graph.cache:
        found, machine = graph, jit.host() if jit.available() else None
        with suppress(UnknownError):
            found = GRAPHS.setdefault(repr((machine, graph.name, spelled(graph))), graph)
        graph.cache["twin"] = None if found is graph else found
    return graph.cache["twin"] or graph


def spelled(graph: Graph, known: Known = lambda graph: {}) -> Any:
    """The inputs, nodes and outputs of `graph` in plain values. Raises UnknownError.

    known: the values of inputs, where they decide what is made of a graph, or of one in its nodes.
    """
    numbers: dict[Any, int] = {x: k for k, x in enumerate(graph.inputs)}
    constants = [(numbers[x], value(y, known)) for x, y in known(graph).items()]
    rows = []
    for node in graph.nodes:
        inputs = [symbol(x, numbers) if type(x) is Symbol else value(x, known) for x in node.inputs]
        attrs = [(name, value(x, known)) for name, x in node.attrs.items()]
        rows.append((own(node.op), inputs, attrs, list(map(typed, node.outputs))))
        for y in node.outputs:
            numbers[y] = len(numbers)
    outputs = [symbol(y, numbers) for y in graph.outputs]
    return list(map(typed, graph.inputs)), constants, rows, outputs


def symbol(x: Any, numbers: dict[Any, int]) -> Any:
    """Which of the values of its graph a symbol is."""
    if x not in numbers:
        raise UnknownError(f"{x!r} of another graph")
    return "value", numbers[x]


def typed(x: Any) -> Any:
    """Shape and dtype of a symbol or spec."""
    return x.shape, called(x.dtype)


def called(dtype: np.dtype[Any]) -> str:
    """The name of a dtype. Raises UnknownError for those of which there are two of a name."""
    if np.dtype(dtype.str) is not dtype:
        raise UnknownError(f"the dtype {dtype!r}")
    return dtype.str


def own(op: Op) -> str:
    """The name of an op of this package: what others do may change while their name does not."""
    package = __name__.partition(".")[0]
    if OPS.get(op.name) is not op or op.__module__.partition(".")[0] != package:
        raise UnknownError(f"the op {op.name} is not of {package}")
    return str(op.name)


def value(x: Any, known: Known) -> Any:
    """`x`, an operand or attribute, such that others have another `repr`. Raises UnknownError."""
    kind = type(x)
    if kind in (bool, int, str, bytes, type(None), EllipsisType):
        return x
    if kind is float:
        return "float", struct.pack("<d", x)  # not all that is nan has the same bits
    if kind is complex:
        return "complex", struct.pack("<dd", x.real, x.imag)
    if kind in (tuple, list):
        return kind.__name__, [value(part, known) for part in x]
    if kind is dict:
        return "dict", [(value(name, known), value(part, known)) for name, part in x.items()]
    if kind is slice:
        return "slice", value((x.start, x.stop, x.step), known)
    if isinstance(x, np.dtype):
        return "dtype", called(x)
    if isinstance(x, np.generic):
        return "number", called(x.dtype), x.tobytes()
    if kind is Tensor:
        return "tensor", typed(x), x._value.tobytes()
    if kind is Graph:
        return "graph", spelled(x, known)
    if kind is Spec:
        return "spec", typed(x)
    if kind is Op:
        return "op", own(x)
    raise UnknownError(f"an attribute of type {kind.__name__}")
