"""Why a gradient is None, or how it flows: read off the nodes of a tape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .core.lowering import Body
from .core.op import Node
from .core.tensor import Symbol

REMEDIES = {
    "opaque": "write the body with minigrad's functions and use mg.py_function, or give it a "
    "derivative with mg.custom_gradient",
    "integer": "keep the path floating: integers and bools have no derivative",
    "no derivative": "use a smooth function in its place, or give it a derivative with "
    "mg.custom_gradient",
    "stop_gradient": "leave mg.stop_gradient out if the cut is not meant",
    "assignment": "return the new value and compute with that, instead of reading it back",
    "not watched": "call tape.watch(x) before x is used, or make x a mg.Variable",
    "not recorded": "compute the target inside `with mg.GradientTape()`, in the thread and "
    "context of the tape, from the tensor that is watched",
    "not connected": "compute the target from the source",
}


@dataclass(frozen=True)
class Explanation:
    """What `tape.explain` found; `str` gives it in words.

    connected: whether a gradient flows. kind: of the cut, "" where connected. op, where: the
    name of the op at the cut and the user's line. path: "op at file:line" from source to target.
    """

    connected: bool
    kind: str
    op: str
    where: str
    reason: str
    remedy: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        if self.connected:
            steps = "\n".join(f"  {step}" for step in self.path) or "  the target is the source"
            return f"the gradient flows through {len(self.path)} ops, source first:\n{steps}"
        place = f" at {self.where}" if self.where else ""
        cut = f" is cut by {self.op}{place}" if self.op else " does not exist"
        return f"the gradient is None: the path{cut} ({self.kind}): {self.reason}; {self.remedy}"


def explain(
    nodes: Sequence[Node], targets: Sequence[Any], source: Any, watched: Mapping[Any, Any]
) -> Explanation:
    """Follow `source` forwards and `targets` backwards; where the two meet, or why they do not."""
    flat = list(expanded(nodes))
    made = {y for node in nodes for y in node.outputs}
    if source not in watched and source not in made:
        return outside(flat, targets, source, watched)
    touched, smoothly = {source}, {source}
    for node in flat:
        if not touched.isdisjoint(node.inputs):
            touched.update(node.outputs)
        if any(x in smoothly and why is None for x, why in edges(node)):
            smoothly.update(node.outputs)
    sensitive = set(targets)
    for node in reversed(flat):
        if not sensitive.isdisjoint(node.outputs):
            sensitive.update(x for x, why in edges(node) if why is None)
    if source in sensitive and source.dtype.kind in "fc":
        return Explanation(True, "", "", "", "", "", flow(flat, smoothly & sensitive))
    leads = set(targets)  # whatever the targets were made of, smooth or not
    for node in reversed(flat):
        if not leads.isdisjoint(node.outputs):
            leads.update(node.inputs)
    for node in flat:
        if not leads.isdisjoint(node.outputs):
            for x, why in edges(node):
                if x in touched and why is not None:
                    return cut(node, *why)
    return outside(flat, targets, source, watched)


def cut(node: Node, kind: str, reason: str) -> Explanation:
    """The explanation of a path that ends in `node`."""
    name = node.attrs.get("name") or node.op.name
    return Explanation(False, kind, name, str(node.where), reason, REMEDIES[kind], ())


def outside(
    nodes: Sequence[Node], targets: Sequence[Any], source: Any, watched: Mapping[Any, Any]
) -> Explanation:
    """The explanation where the record holds no path from source to target at all."""
    made = {y for node in nodes for y in node.outputs}
    for node in nodes:
        if node.op.name == "assign_variable" and source in ancestors(nodes, node):
            return cut(node, "assignment", "the value was written to a Variable and read back")
    if source not in watched and source not in made:
        kind, reason = "not watched", f"the source, {source.spec}, was not followed"
    elif not any(y in made or y is source for y in targets):
        kind, reason = "not recorded", "the tape did not see how the target was made"
    else:
        kind, reason = "not connected", "no recorded op leads from the source to the target"
    return Explanation(False, kind, "", "", reason, REMEDIES[kind], ())


def ancestors(nodes: Sequence[Node], last: Node) -> set[Any]:
    """Whatever the inputs of `last` were made of."""
    found = set(last.inputs)
    for node in reversed(nodes[: list(nodes).index(last)]):
        if not found.isdisjoint(node.outputs):
            found.update(node.inputs)
    return found


def edges(node: Node) -> Iterator[tuple[Any, tuple[str, str] | None]]:
    """Each input of `node` that is a tensor; with None, or the kind and reason of the cut."""
    op = node.op
    smooth = any(getattr(y, "dtype", None) is not None and is_smooth(y) for y in node.outputs)
    for i, x in enumerate(node.inputs):
        if getattr(x, "dtype", None) is None:
            continue
        if op.name == "stop_gradient":
            yield x, ("stop_gradient", "the value is passed on, its derivative is not")
        elif op.opaque is not None:
            yield x, ("opaque", op.opaque)
        elif op.name == "assign_variable":
            yield x, ("assignment", op.zero_gradient or "")
        elif op.zero_gradient is not None:
            yield x, ("no derivative", op.zero_gradient)
        elif not smooth or not is_smooth(x):
            dtypes = f"{x.dtype} to {node.outputs[0].dtype}" if node.outputs else str(x.dtype)
            yield x, ("integer", f"{dtypes} leaves the real numbers")
        elif "arguments" in node.attrs and not is_argument(node, i):
            yield (
                x,
                (
                    "no derivative",
                    "a rule by hand gives cotangents of the arguments alone; "
                    "pass what else it uses as an argument",
                ),
            )
        elif op.vjps is not None and op.vjps[i] is None:
            yield x, ("no derivative", f"{op.name} has none in its argument {i + 1}")
        else:
            yield x, None


def is_argument(node: Node, i: int) -> bool:
    """Whether input `i` of a node with a derivative by hand is an argument of its function."""
    first = node.attrs["count"]
    return bool(first <= i < first + node.attrs["arguments"])


def is_smooth(x: Any) -> bool:
    """Whether the dtype of `x` is floating or complex."""
    return x.dtype.kind in "fc"


def expanded(nodes: Iterable[Node]) -> Iterator[Node]:
    """`nodes`, with those that mean a graph, or ran a body, replaced by the nodes of that."""
    for node in nodes:
        inside = insides(node)
        if inside is None:
            yield node
            continue
        inputs, steps, outputs = inside
        names = dict(zip(inputs, node.inputs, strict=True))
        ends = list(zip(outputs, node.outputs, strict=False))
        for y, outer in ends:
            names.setdefault(y, outer)
        for step in steps:
            for y in step.outputs:  # of this call: the graph may be called again
                names.setdefault(y, Symbol(y.shape, y.dtype, None) if type(y) is Symbol else y)
            given = tuple([names.get(x, x) for x in step.inputs])
            yield from expanded([step.replaced(given, tuple([names[y] for y in step.outputs]))])
        for y, outer in ends:
            if names[y] is not outer:  # an input handed on as an output, or one output twice
                yield node.replaced((names[y],), (outer,))


def insides(node: Node) -> tuple[Sequence[Any], Sequence[Node], Sequence[Any]] | None:
    """Inputs, nodes and outputs of the graph that `node` means, or of the body that it ran."""
    if isinstance(node.op.lower, Body):
        graph = node.op.lower.graph(node.attrs)
        return graph.inputs, graph.nodes, graph.outputs
    record: Any = node.outputs[-1] if node.outputs else None
    if hasattr(record, "tape"):
        return record.inputs, record.tape.nodes, record.outputs
    return None


def flow(nodes: Sequence[Node], on_path: set[Any]) -> tuple[str, ...]:
    """One step for each node that lies between source and target."""
    return tuple(
        f"{node.op.name} at {node.where}"
        for node in nodes
        if not on_path.isdisjoint(node.inputs) and not on_path.isdisjoint(node.outputs)
    )
