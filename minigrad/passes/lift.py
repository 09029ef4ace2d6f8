"""Lift Variables: what a graph reads and writes becomes what it is given and gives back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from ..core.op import Node
from ..core.tensor import Symbol
from ..graph import Graph
from ..text import nested_graphs
from ..variable import assign_variable, read_variable
from .rewrite import makers, mapped, rebuilt


class Lifted(NamedTuple):
    """A graph whose inputs are the values of cells, and who is written.

    writes: pairs (index of the input that is a cell, index of the output that is its new value).
    """

    graph: Graph
    writes: tuple[tuple[int, int], ...]


def lift(graph: Graph) -> Lifted:
    """`graph` with the value of each cell as input, and its new value as one more output.

    A read after an assignment sees what was assigned. A cell stays as it is if other nodes use
    it; all do if a node runs Python, which could read or assign any Variable.

    Before::

        def graph(v0, v1):                                  # float32[3], Variable w: float32[3]
            v2 = read_variable(v1)                          # float32[3]
            v3 = add(v2, v0)                                # float32[3]
            assign_variable(v1, v3)
            v4 = read_variable(v1)                          # float32[3]
            v5 = sin(v4)                                    # float32[3]
            return (v5,)

    After, with writes ((1, 1),)::

        def graph(v0, v1):                                  # float32[3], Variable w: float32[3]
            v2 = add(v1, v0)                                # float32[3]
            v3 = sin(v2)                                    # float32[3]
            return (v3, v2)
    """
    present: dict[Any, Any] = {cell: cell for cell in liftable(graph)}
    values: dict[Any, Any] = {}
    origins = makers(graph.nodes)
    nodes = []
    for node in graph.nodes:
        inputs = mapped(node.inputs, values)
        cell = inputs[0] if is_access(node) else None
        if cell not in present:
            nodes.append(node.replaced(inputs, node.outputs))
        elif node.op is assign_variable:
            present[cell], origins[cell] = inputs[1], node
        else:
            values[node.outputs[0]] = present[cell]
    written = {cell: value for cell, value in present.items() if value is not cell}
    # the cells stand in for their new values, until `rebuilt` puts these in
    whole = replace(graph, outputs=(*graph.outputs, *written))
    lifted = rebuilt(whole, nodes, {**values, **written}, origins)
    places = {x: i for i, x in enumerate(graph.inputs)}
    writes = [(places[cell], len(graph.outputs) + i) for i, cell in enumerate(written)]
    return Lifted(lifted, tuple(writes))


def is_access(node: Node) -> bool:
    """Whether `node` reads or assigns a Variable."""
    return node.op is read_variable or node.op is assign_variable


def liftable(graph: Graph) -> list[Symbol]:
    """The inputs that are cells, and nothing but read and assigned."""
    given = set(graph.inputs)
    cells: dict[Symbol, None] = {}
    otherwise: set[Any] = set()
    for node in graph.nodes:
        if runs_python(node):
            return []
        if is_access(node) and node.inputs[0] in given:
            cells[node.inputs[0]] = None
            otherwise.update(node.inputs[1:])
        else:
            otherwise.update(node.inputs)
    return [cell for cell in cells if cell not in otherwise]


def accessed(graph: Graph) -> set[Any]:
    """The inputs of `graph` that are cells: read or assigned there, or in a graph inside.

    Cells are captures; what a graph inside captures is at the end of what its node takes.
    """
    if "accessed" not in graph.cache:
        found: set[Any] = set()
        for node in graph.nodes:
            found.update(node.inputs[:1] if is_access(node) else ())
            for inside in nested_graphs(node):
                cells = accessed(inside)
                pairs = zip(reversed(inside.inputs), reversed(node.inputs), strict=False)
                found.update(x for own, x in pairs if own in cells)
        graph.cache["accessed"] = found.intersection(graph.inputs)
    made: set[Any] = graph.cache["accessed"]
    return made


def runs_python(node: Node) -> bool:
    """Whether `node` calls a function of the user, in a graph among its attributes or itself."""
    return any(callable(value) for value in node.attrs.values()) or any(
        runs_python(step) for graph in nested_graphs(node) for step in graph.nodes
    )
