"""Make a graph of unknown dims one of known ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..core.op import Node
from ..core.spec import Shape, Spec
from ..core.tensor import Symbol
from ..errors import SpecError
from ..graph import Graph
from .fold import constants, known_captures
from .inline import inline
from .rewrite import makers, mapped, rebuilt


def specialize(graph: Graph, specs: Sequence[Spec]) -> Graph:
    """`graph` for inputs of `specs` (arguments, then captures), everything inferred again.

    Bodies are inlined, and shapes that nodes compute with become constants, as by `fold`.
    Raises SpecError where a spec does not fit its input.

    Before::

        def graph(v0):                                      # float32[?,3]
            v1 = sin(v0)                                    # float32[?,3]
            v2 = reduce_sum(v1, axes=(1,))                  # float32[?]
            return (v2,)

    After, for float32[2,3]::

        def graph(v0):                                      # float32[2,3]
            v1 = sin(v0)                                    # float32[2,3]
            v2 = reduce_sum(v1, axes=(1,))                  # float32[2]
            return (v2,)
    """
    graph = inline(graph)
    values: dict[Any, Any] = {}
    for i, (x, spec) in enumerate(zip(graph.inputs, specs, strict=True)):
        if not x.spec.is_compatible_with(spec):
            raise SpecError(
                f"{graph.name}: input {i} of {spec} came where {x.spec} was traced; a graph is "
                "specialized to specs that fit its own; trace it again for others"
            )
        values[x] = Symbol(spec.shape, x.dtype, x.trace, x.where)
    inputs = tuple(values.values())
    known = {values[x]: y for x, y in known_captures(graph).items()}
    nodes = []
    for node in graph.nodes:
        given = mapped(node.inputs, values)
        outputs: Sequence[Any] | None = constants(node.replaced(given, node.outputs), known)
        if outputs is None:
            outputs = inferred(node, given)
            nodes.append(node.replaced(given, tuple(outputs)))
        values.update(zip(node.outputs, outputs, strict=True))
    made = rebuilt(graph, nodes, values, makers(graph.nodes))
    return replace(made, inputs=inputs)


def inferred(node: Node, inputs: Sequence[Any]) -> list[Symbol]:
    """The outputs of `node` for other inputs; what it knew of them before still holds."""
    try:
        specs = node.op.infer(*inputs, **node.attrs)
    except SpecError as error:
        error.add_note(f"in {node.attrs.get('name') or node.op.name}, written at {node.where}")
        raise
    return [
        Symbol(merged(spec.shape, y.shape), y.dtype, y.trace, y.where)
        for spec, y in zip(specs if type(specs) is tuple else (specs,), node.outputs, strict=True)
    ]


def merged(shape: Shape, other: Shape) -> Shape:
    """What two shapes of one tensor say together."""
    if shape is None or other is None:
        return other if shape is None else shape
    return tuple([m if n is None else n for n, m in zip(shape, other, strict=True)])
