"""Why a gradient is None, zero or less than it seems, or how it flows: read off a tape's nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .core.later import later
from .core.op import Node, Op
from .errors import GradientError
from .inside import edges, expanded, is_end, is_tensor

visualize = later("visualize")

REMEDIES = {
    "opaque": "write the body with minigrad's functions and use mg.py_function, or give it a "
    "derivative with mg.custom_gradient",
    "integer": "keep the path floating: integers and bools have no derivative",
    "no derivative": "use a smooth function in its place, or give it a derivative with "
    "mg.custom_gradient",
    "zero": "use a smooth function in its place, such as mg.tanh for mg.sign, or give it a "
    "derivative with mg.custom_gradient",
    "rule by hand": "pass what else the function uses as an argument",
    "stop_gradient": "leave mg.stop_gradient out if the cut is not meant",
    "escape": "compute with minigrad's functions on the tensor, or say that the cut is meant, "
    "mg.stop_gradient(x).numpy()",
    "assignment": "return the new value and compute with that, instead of reading it back",
    "not watched": "call tape.watch(x) before x is used, or make x a mg.Variable",
    "not recorded": "compute the target inside `with mg.GradientTape()`, in the thread and "
    "context of the tape, from the tensor that is watched, after it is watched; a constant has "
    "no gradient",
    "not connected": "compute the target from the source",
}
# cuts behind which the derivative is not known to be zero: something may be lost
LOSSES = ("opaque", "stop_gradient", "escape", "rule by hand")


@dataclass(frozen=True)
class Cut:
    """Where the path of a gradient ends: the kind, the op and the user's line, why, what to do."""

    kind: str
    op: str
    where: str
    reason: str
    remedy: str

    @property
    def place(self) -> str:
        """The op and its line, and the kind."""
        return f"{self.op}{f' at {self.where}' if self.where else ''} ({self.kind})"

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}; {self.remedy}"


class Step(NamedTuple):
    """An op between source and target, for the picture.

    sources: where its inputs come from, as indices of earlier steps, -1 the source itself; each
    with the cut that the gradient meets there, or None.
    """

    op: Op
    title: str
    spec: str
    where: str
    sources: tuple[tuple[int, Cut | None], ...]


class Sketch(NamedTuple):
    """All that lies between source and target. ends: the steps that give targets."""

    source: str
    steps: tuple[Step, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Explanation:
    """What `tape.explain` found; `str` gives it in words, notebooks show a picture beside them.

    connected: whether `gradient` gives more than None. kind: of the cut, or "zero"; "" where the
    gradient flows. op, where: the name of the op at the cut and the user's line. path: "op at
    file:line" from source to target. cuts: all cuts between the two; where the gradient flows,
    those on other paths, behind which a part of the derivative may be lost.
    """

    connected: bool
    kind: str
    op: str
    where: str
    reason: str
    remedy: str
    path: tuple[str, ...]
    cuts: tuple[Cut, ...] = ()
    sketch: Sketch | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        if self.kind == "zero":
            said = f"the gradient is zero: its path leads through {self.op}{place}: {self.reason}; "
            return said + self.remedy
        if self.connected:
            steps = "\n".join(f"  {step}" for step in self.path) or "  the target is the source"
            said = f"the gradient flows through {len(self.path)} ops, source first:\n{steps}"
            return "\n".join([said, *[f"but not through {cut}" for cut in self.cuts]])
        cut = f" is cut by {self.op}{place}" if self.op else " does not exist"
        said = f"the gradient is None: the path{cut} ({self.kind}): {self.reason}; {self.remedy}"
        return "\n".join([said, *[f"and by {cut}" for cut in self.cuts[1:]]])

    def _repr_html_(self) -> str:
        words = f'<pre style="white-space:pre-wrap">{visualize.escape(str(self))}</pre>'
        return words + (visualize.svg(self)._repr_html_() if self.sketch else "")


def disconnected(found: Explanation) -> GradientError:
    """The error of a gradient that was to be there, and is not."""
    error = GradientError(str(found))
    error.explanation = found
    return error


def explain(
    nodes: Sequence[Node],
    targets: Sequence[Any],
    source: Any,
    watched: Mapping[Any, Any],
    *,
    deciding: bool = False,
) -> Explanation:
    """Follow `source` forwards and `targets` backwards; where the two meet, or why they do not.

    deciding: with what chose between branches, or ended loops, among what targets are made of.
    """
    flat = list(expanded(nodes, deciding=deciding))
    made = {y for node in nodes for y in node.outputs}
    if source not in watched and source not in made:
        return outside(flat, targets, source, watched)
    touched, smoothly = {source}, {source}
    for node in flat:
        if not touched.isdisjoint(node.inputs):
            touched.update(node.outputs)
        if any(x in smoothly and not is_end(kind) for x, kind, _ in edges(node)):
            smoothly.update(node.outputs)
    leads = set(targets)  # whatever the targets were made of, smooth or not
    sensitive, moved = set(targets), set(targets)  # moved: by more than zero
    felt = set(targets)  # sensitive, were it not for what loses a part
    for node in reversed(flat):
        if leads.isdisjoint(node.outputs):
            continue
        leads.update(node.inputs)
        for reach, ends in ((sensitive, is_end), (moved, bool), (felt, is_end_for_sure)):
            if not reach.isdisjoint(node.outputs):
                reach.update(x for x, kind, _ in edges(node) if not ends(kind))
    between = [node for node in flat if not leads.isdisjoint(node.outputs)]
    sketch = sketched(between, targets, source, touched)
    if source in sensitive and source.dtype.kind in "fc":
        found = flowing(between, smoothly & sensitive, smoothly, sensitive)
        flat_step = next((c for c in found[1] if c.kind == "zero"), None)
        if source not in moved and flat_step is not None:
            return Explanation(True, *fields(flat_step), found[0], (flat_step,), sketch)
        beside = [node for node in between if not felt.isdisjoint(node.outputs)]
        lost = tuple(c for c in cuts_of(beside, smoothly) if c.kind in LOSSES)
        return Explanation(True, "", "", "", "", "", found[0], lost, sketch)
    cuts = tuple(cuts_of(between, smoothly))
    if not cuts and not deciding:
        return explain(nodes, targets, source, watched, deciding=True)
    if not cuts:
        return outside(flat, targets, source, watched)
    return Explanation(False, *fields(cuts[0]), (), cuts, sketch)


def is_end_for_sure(kind: str) -> bool:
    """Whether the derivative is known to be zero behind a cut of this kind, or there is none."""
    return is_end(kind) and kind not in LOSSES


def fields(cut: Cut) -> tuple[str, str, str, str, str]:
    """A cut, as the first fields of an explanation."""
    return cut.kind, cut.op, cut.where, cut.reason, cut.remedy


def flowing(
    nodes: Sequence[Node], on_path: set[Any], smoothly: set[Any], sensitive: set[Any]
) -> tuple[tuple[str, ...], list[Cut]]:
    """One step for each node on the path, and the cuts and zeros that lie beside it."""
    path = tuple(
        f"{node.title} at {node.where}"
        for node in nodes
        if not on_path.isdisjoint(node.inputs) and not on_path.isdisjoint(node.outputs)
    )
    beside = [node for node in nodes if not sensitive.isdisjoint(node.outputs)]
    return path, list(cuts_of(beside, smoothly))


def cuts_of(nodes: Iterable[Node], reached: set[Any]) -> Iterator[Cut]:
    """The cut of each of the `nodes` that has one at an input in `reached`; one per node."""
    for node in nodes:
        for x, kind, reason in edges(node):
            if kind and x in reached:
                yield cut(node, kind, reason)
                break


def cut(node: Node, kind: str, reason: str) -> Cut:
    """The end of a path in `node`."""
    # an escape is noticed when the body has ended; it happened before
    where = node.attrs["where"] if kind == "escape" else str(node.where)
    return Cut(kind, node.title, where, reason, REMEDIES[kind])


def outside(
    nodes: Sequence[Node], targets: Sequence[Any], source: Any, watched: Mapping[Any, Any]
) -> Explanation:
    """The explanation where the record holds no path from source to target at all."""
    made = {y for node in nodes for y in node.outputs}
    for node in nodes:
        if node.op.cut == "assignment" and source in ancestors(nodes, node):
            found = cut(node, "assignment", "the value was written to a Variable and read back")
            return Explanation(False, *fields(found), (), (found,))
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


# what the picture shows


def sketched(
    nodes: Sequence[Node], targets: Sequence[Any], source: Any, touched: set[Any]
) -> Sketch:
    """The nodes that lie between the source and the targets."""
    places: dict[Any, int] = {source: -1}
    steps: list[Step] = []
    for node in nodes:
        reasons = {x: cut(node, kind, reason) for x, kind, reason in edges(node) if kind}
        known = dict.fromkeys(x for x in node.inputs if is_tensor(x) and x in touched)
        sources = tuple((places[x], reasons.get(x)) for x in known if x in places)
        if sources:
            spec = ", ".join(str(y.spec) for y in node.outputs if hasattr(y, "spec"))
            places.update(dict.fromkeys(node.outputs, len(steps)))
            steps.append(Step(node.op, node.title, spec, str(node.where), sources))
    ends = tuple(dict.fromkeys(places[y] for y in targets if y in places))
    return Sketch(str(source.spec), tuple(steps), ends)
