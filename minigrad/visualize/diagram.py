"""What a picture shows: boxes and arrows, of a graph or of the record of a tape."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.lowering import Body, Contract, Move, Pointwise, Reduce, Scan
from ..core.op import Node, Op
from ..core.spec import SCALARS, Spec
from ..core.tensor import Tensor
from ..explain import Explanation
from ..graph import Graph
from ..text import described, named
from ..variable import Cell, assign_variable, read_variable

MOST = 1000  # boxes of one diagram; what comes after is counted
DEEPEST = 3  # graphs in graphs in graphs; what is deeper is named
WIDEST = 36  # characters of a line in a box
KINDS = {
    Pointwise: "pointwise",
    Reduce: "reduction",
    Scan: "reduction",
    Move: "move",
    Contract: "product",
}


@dataclass(frozen=True)
class Box:
    """One thing in the picture: a title, lines below it, and what a pointer on it is told.

    kind: decides its colour and shape. parts: the graphs that it holds.
    """

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    tooltip: str = ""
    parts: tuple[Diagram, ...] = ()


@dataclass
class Diagram:
    """Boxes, each behind those that lead to it, and arrows as pairs of their indices."""

    title: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[tuple[int, int]] = field(default_factory=list)
    places: dict[Any, int] = field(default_factory=dict, repr=False)

    def add(self, box: Box, inputs: Sequence[Any] = (), outputs: Sequence[Any] = ()) -> None:
        """Put in a box, with arrows from what makes `inputs`; it makes `outputs`."""
        index = len(self.boxes)
        sources = dict.fromkeys(self.places[x] for x in inputs if x in self.places)
        self.boxes.append(box)
        self.arrows += [(source, index) for source in sources]
        self.places.update(dict.fromkeys(outputs, index))


def of_graph(graph: Graph) -> Diagram:
    """The diagram of a graph, and of the graphs in its nodes."""
    names = named(graph)
    return of_inner(graph, graph.name, 0, names, names)


def of_inner(
    graph: Graph, title: str, depth: int, names: Mapping[Any, str], shown: Mapping[Any, str]
) -> Diagram:
    """The diagram of `graph`. names: of values in its text; shown: those that boxes are to bear."""
    diagram = Diagram(title)
    given = (*[None] * len(graph.arguments), *graph.captures)
    used = {*graph.outputs, *[x for node in graph.nodes for x in node.inputs]}
    for x, whole in zip(graph.inputs, given, strict=True):
        name, spec = shown.get(x, ""), described(x)
        box = Box("input", name, (spec,), f"input {names[x]}: {spec}")
        if depth and x not in used:
            continue
        if depth:
            box = Box("port", name or "·", (), f"input {names[x]}: {spec}")
        elif isinstance(whole, Cell):
            box = Box("variable", whole.name or "Variable", (f"{name} {spec}",), repr(whole))
        elif whole is not None:
            box = Box("constant", name, (spec,), f"captured tensor {spec}")
        diagram.add(box, (), (x,))
    for node in graph.nodes[:MOST]:
        inputs = [x for x in node.inputs if is_drawn(x)]
        diagram.add(node_box(node, names, shown, depth), inputs, node.outputs)
    add_rest(diagram, graph.nodes)
    for i, y in enumerate(graph.outputs):
        number = f" {i}" if len(graph.outputs) > 1 else ""
        label = shown.get(y, "·") if depth else f"output{number}"
        diagram.add(
            Box("port" if depth else "output", label, (), f"output{number}: {described(y)}"), (y,)
        )
    return diagram


def of_record(nodes: Sequence[Node], watched: Sequence[Any]) -> Diagram:
    """The diagram of what a tape has recorded; watched: what it was told to follow."""
    diagram = Diagram("what the tape has recorded")
    names: dict[Any, str] = {}
    followed = set(watched)
    made = {y for node in nodes for y in node.outputs}
    for node in nodes[:MOST]:
        for x in node.inputs:
            if is_drawn(x) and x not in diagram.places and x not in made:
                diagram.add(source_box(x, followed), (), (x,))
        for y in node.outputs:
            names[y] = f"v{len(names)}"
        inputs = [x for x in node.inputs if is_drawn(x)]
        diagram.add(node_box(node, names, {}, 0), inputs, node.outputs)
    add_rest(diagram, nodes)
    return diagram


def of_explanation(found: Explanation) -> Diagram:
    """The diagram of what lies between source and target: each cut is a box between two others."""
    if not found.connected:
        said = "is None: where its path ends"
    elif found.kind:
        said = "is zero"
    else:
        said = "flows, and a part is lost" if found.cuts else "flows"
    diagram = Diagram(f"the gradient {said}")
    sketch = found.sketch
    if sketch is None:
        diagram.add(Box("note", "no recorded op leads from the source to the target"))
        return diagram
    diagram.add(Box("input", "source", (sketch.source,), f"the source {sketch.source}"), (), (-1,))
    for i, step in enumerate(sketch.steps[:MOST]):
        before: list[Any] = []
        for source, cut_there in step.sources:
            if cut_there is None:
                before.append(source)
                continue
            lines = (*wrapped(cut_there.reason), *wrapped(f"→ {cut_there.remedy}"))
            box = Box("cut", f"✂ {cut_there.kind}", lines, str(cut_there))
            diagram.add(box, (source,), ((i, source),))
            before.append((i, source))
        place = step.where.replace("\\", "/").rsplit("/", 1)[-1]
        box = Box(kind_of_op(step.op), cut(step.title), (cut(place), step.spec), step.where)
        diagram.add(box, before, (i,))
    for end in sketch.ends:
        diagram.add(Box("output", "target"), (end,))
    return diagram


def wrapped(text: str) -> list[str]:
    """`text` in lines that fit a box."""
    return textwrap.wrap(text, WIDEST)


def add_rest(diagram: Diagram, nodes: Sequence[Node]) -> None:
    """Say how many nodes are not drawn."""
    if len(nodes) > MOST:
        diagram.add(Box("note", f"… and {len(nodes) - MOST} more nodes"))


def source_box(x: Any, followed: set[Any]) -> Box:
    """The box of what a record starts from."""
    spec = described(x)
    if isinstance(x, Cell):
        return Box("variable", x.name or "Variable", (spec,), repr(x))
    if x in followed:
        return Box("input", "watched", (spec,), f"watched tensor {spec}")
    return Box("constant", "tensor", (spec,), f"tensor {spec}, not followed")


def node_box(node: Node, names: Mapping[Any, str], shown: Mapping[Any, str], depth: int) -> Box:
    """The box of a node."""
    parts = tuple(inner_diagrams(node, shown, depth))
    title = node.title
    if len(parts) == 1 and parts[0].title:
        title = f"{title}: {parts[0].title}"
    kind = "group" if parts else kind_of(node)
    lines = [] if kind in ("group", "python", "opaque") else argument_lines(node)
    lines += [
        f"{shown.get(y, '')} {described(y)}".strip() for y in node.outputs if y.dtype.kind != "O"
    ]
    return Box(kind, cut(title), tuple(map(cut, lines)), statement(node, names), parts)


def inner_diagrams(node: Node, shown: Mapping[Any, str], depth: int) -> list[Diagram]:
    """The diagrams of the graphs among the attributes of `node`."""
    found = []
    for key, value in node.attrs.items():
        several = value if type(value) in (tuple, list) else (value,)
        for i, graph in enumerate(several):
            if type(graph) is not Graph or depth >= DEEPEST:
                continue
            title = graph.name if key == "graph" else key if several[0] is value else f"{key} {i}"
            # a branch takes what comes behind the index that chooses it
            given = [shown.get(x) or constant_text(x) for x in node.inputs][-len(graph.inputs) :]
            outside = dict(zip(graph.inputs, given, strict=False))
            if len(graph.outputs) == len(node.outputs):
                made = [shown.get(y, "·") for y in node.outputs]
                outside.update(zip(graph.outputs, made, strict=True))
            found.append(of_inner(graph, title, depth + 1, named(graph), outside))
    return found


def kind_of(node: Node) -> str:
    """What a node is, for its colour."""
    if node.op.opaque is None and any(callable(value) for value in node.attrs.values()):
        return "python"
    return kind_of_op(node.op)


def kind_of_op(op: Op) -> str:
    """What an op does, for its colour."""
    if isinstance(op.lower, Body):
        return "group"
    if op.opaque is not None:
        return "opaque"
    if op in (read_variable, assign_variable):
        return "variable"
    return KINDS.get(type(op.lower), "library")


def is_drawn(x: Any) -> bool:
    """Whether an input of a node is something that has a box: a tensor or a cell, no number."""
    return isinstance(x, Tensor) or hasattr(x, "__opaque_input__")


def argument_lines(node: Node) -> list[str]:
    """The numbers among the inputs, in their places, and the attributes: one line, or none."""
    inputs = [number_text(x) for x in node.inputs]
    attrs = [f"{key}={short(value)}" for key, value in node.attrs.items() if key != "name"]
    parts = [*(inputs if set(inputs) - {"·"} else []), *attrs]
    return [", ".join(parts)] if parts else []


def number_text(x: Any) -> str:
    """An input of a node, if it is a number; else a dot."""
    if type(x) is Tensor and x.shape == ():
        return str(x._value)
    return repr(x) if type(x) in SCALARS else "·"


def constant_text(x: Any) -> str:
    """What to call an input that no box makes: a number, or a tensor by its spec."""
    return described(x) if type(x) is Tensor and x.shape != () else number_text(x)


def short(value: Any) -> str:
    """An attribute, in few words."""
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, Spec):
        return str(value)
    if type(value) in (tuple, list):
        inside = ", ".join(map(short, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, Graph):
        return value.name
    return getattr(value, "__name__", None) or repr(value).splitlines()[0]


def statement(node: Node, names: Mapping[Any, str]) -> str:
    """`node` in one line of code, and the user's line."""
    inputs = [names.get(x, "·") if is_drawn(x) else repr(x) for x in node.inputs]
    attrs = [f"{key}={short(value)}" for key, value in node.attrs.items()]
    target = ", ".join([names[y] for y in node.outputs])
    call = f"{node.op.name}({', '.join([*inputs, *attrs])})"
    return f"{target} = {call}\n{node.where}" if target else f"{call}\n{node.where}"


def cut(text: str) -> str:
    """`text`, or its beginning where it is too long for a box."""
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
