"""What a node passes on of a gradient, and the nodes inside of it: of graphs, and of runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .core.lowering import Body
from .core.op import Node
from .core.tensor import Symbol

UNROLLED = 32  # rounds of a loop that are looked at one by one


def edges(node: Node) -> Iterator[tuple[Any, str, str]]:
    """Each input of `node` that is a tensor; with the kind and reason of its cut, or "" twice."""
    op = node.op
    smooth = any(getattr(y, "dtype", None) is not None and is_smooth(y) for y in node.outputs)
    for i, x in enumerate(node.inputs):
        if getattr(x, "dtype", None) is None:
            continue
        if op.cut == "escape":
            yield x, "escape", "a value left through NumPy there, and came back as a constant"
        elif op.opaque is not None:
            yield x, "opaque", op.opaque
        elif op.zero_gradient is not None:
            yield x, op.cut, op.zero_gradient
        elif not smooth or not is_smooth(x):
            dtypes = f"{x.dtype} to {node.outputs[0].dtype}" if node.outputs else str(x.dtype)
            yield x, "integer", f"{dtypes} leaves the real numbers"
        elif "arguments" in node.attrs and not is_argument(node, i):
            yield x, "rule by hand", "a rule by hand gives cotangents of the arguments alone"
        elif op.vjps is not None and op.vjps[i] is None:
            yield x, "no derivative", f"{op.name} has none in its argument {i + 1}"
        elif op.flat is not None and x.dtype.kind == "f":
            yield x, "zero", op.flat
        else:
            yield x, "", ""


def is_argument(node: Node, i: int) -> bool:
    """Whether input `i` of a node with a derivative by hand is an argument of its function."""
    first = node.attrs["count"]
    return bool(first <= i < first + node.attrs["arguments"])


def is_smooth(x: Any) -> bool:
    """Whether the dtype of `x` is floating or complex."""
    return x.dtype.kind in "fc"


def is_end(kind: str) -> bool:
    """Whether nothing passes: of a zero derivative there is a gradient, and it is zero."""
    return kind not in ("", "zero")


def is_tensor(x: Any) -> bool:
    """Whether an input of a node is a tensor or a cell."""
    return getattr(x, "dtype", None) is not None


# nodes that mean a graph, and runs


def expanded(nodes: Iterable[Node], *, deciding: bool = False) -> Iterator[Node]:
    """`nodes`, with those that mean a graph, or ran a body, replaced by the nodes of that.

    Of a branch or loop that has run, what ran; of one that will, whatever may. deciding: with what
    chose the branch, or told rounds to go on, as one more input of the results.
    """
    for node in nodes:
        inside = insides(node)
        if "branches" in node.attrs:
            yield from branch(node, deciding)
        elif "carried" in node.attrs:
            yield from rounds(node, deciding)
        elif inside is None:
            yield node
        else:
            inputs, steps, outputs = inside
            names = dict(zip(inputs, node.inputs, strict=True))
            ends = list(zip(outputs, node.outputs, strict=False))
            for y, outer in ends:
                names.setdefault(y, outer)
            yield from renamed(steps, names, deciding)
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


def renamed(steps: Iterable[Node], names: dict[Any, Any], deciding: bool) -> Iterator[Node]:
    """`steps` between other tensors, `names`, where the outputs are entered; expanded."""
    for step in steps:
        for y in step.outputs:  # of this call: the graph may be called again
            names.setdefault(y, Symbol(y.shape, y.dtype, None) if type(y) is Symbol else y)
        given = tuple([names.get(x, x) for x in step.inputs])
        outputs = tuple([names[y] for y in step.outputs])
        yield from expanded([step.replaced(given, outputs)], deciding=deciding)


def ran(run: Any, graph: Any, inputs: Sequence[Any]) -> tuple[Sequence[Node], dict[Any, Any], Any]:
    """The nodes of one run of a graph, the names of its inputs and records, and its outputs.

    run: with the records of runs inside of it, or None where it is to come: then of `graph`.
    """
    graph = graph if run is None else run.split.forward
    names = dict(zip(graph.inputs, inputs, strict=True))
    if run is not None:
        kept = zip(graph.outputs, run.kept, strict=True)
        names.update({y: value for y, value in kept if is_run(value)})
    return graph.nodes, names, graph.outputs


def is_run(x: Any) -> bool:
    """Whether `x` is the record of a run."""
    return hasattr(x, "pulled")


def branch(node: Node, deciding: bool) -> Iterator[Node]:
    """The branch that ran, or all of them; then `node`, from their results to its own."""
    run = node.outputs[-1]
    taken = [(run, None)] if hasattr(run, "split") else [(None, g) for g in node.attrs["branches"]]
    columns = []
    for one, graph in taken:
        steps, names, outputs = ran(one, graph, node.inputs[1:])
        yield from renamed(steps, names, deciding)
        columns.append([names[y] for y in outputs])
    index = node.inputs[:1] if deciding else ()
    for i, y in enumerate(results(node)):
        yield node.replaced((*[column[i] for column in columns], *index), (y,))


def results(node: Node) -> tuple[Any, ...]:
    """The outputs of a branch or loop, but for the record of the run."""
    return node.outputs[:-1] if node.attrs["saving"] else node.outputs


def rounds(node: Node, deciding: bool) -> Iterator[Node]:
    """The rounds that ran, or may; then `node`, from what they gave to its results."""
    carried, scanned = node.attrs["carried"], node.attrs["scanned"]
    record = node.outputs[-1]
    known = hasattr(record, "rounds")
    body, condition = node.attrs["body"], node.attrs["condition"]
    total = node.rounds
    if known:
        count = rounds_recorded(record, carried)
    else:
        count = carried + 1 if total is None else rounds_to_see(total, body, carried)
    carry = list(node.inputs[:carried])
    fixed = node.inputs[carried + scanned :]
    carries, rows, tests = [carry], [], []
    for t in range(count + 1):
        if deciding and condition is not None:
            steps, names, outputs = ran(None, condition, [*carry, *fixed])
            yield from renamed(steps, names, deciding)
            tests.append(names[outputs[0]])
        if t == count:
            break
        taken = [*carry, *node.inputs[carried : carried + scanned], *fixed]
        steps, names, outputs = ran(record.rounds[t] if known else None, body, taken)
        yield from renamed(steps, names, deciding)
        given = [names[y] for y in outputs]
        carry = given[:carried]
        carries.append(carry)
        rows.append(given[carried:])
    for i, y in enumerate(results(node)):
        # what will run may stop at any round
        last = carries[-1:] if known or total is not None else carries
        column = [c[i] for c in last] if i < carried else [row[i - carried] for row in rows]
        yield node.replaced((*column, *tests), (y,))


def rounds_recorded(record: Any, carried: int) -> int:
    """How many rounds show all that passes through those that have run."""
    total = len(record.rounds)
    if total <= UNROLLED or any(map(is_run, record.rounds[0].kept)):
        return total
    return rounds_to_see(total, record.rounds[0].split.forward, carried)


def rounds_to_see(total: int, body: Any, carried: int) -> int:
    """How many rounds show all that passes through as many of the graph `body` as that.

    Which carried value depends on which, n rounds on, repeats itself sooner or later if all rounds
    run the same nodes: whole periods are left out then.
    """
    if total <= UNROLLED:
        return total
    nodes = list(expanded(body.nodes))
    ends = body.outputs[:carried]
    once = []
    for stops in (is_end, bool):
        for x in body.inputs[:carried]:
            reached = reach(nodes, x, stops)
            once.append([i for i, y in enumerate(ends) if y in reached])
    now = tuple([frozenset(places) for places in once])
    seen: dict[Any, int] = {}
    n = 1
    while now not in seen and n < total:
        seen[now] = n
        halves = enumerate(now)
        now = tuple(
            [
                frozenset(k for i in places for k in once[i + (j >= carried) * carried])
                for j, places in halves
            ]
        )
        n += 1
    if now not in seen:
        return total
    return n + (total - n) % (n - seen[now])


def reach(nodes: Iterable[Node], x: Any, stops: Any) -> set[Any]:
    """What depends on `x` by edges of kinds at which nothing `stops`."""
    found = {x}
    for node in nodes:
        if any(z in found and not stops(kind) for z, kind, _ in edges(node)):
            found.update(node.outputs)
    return found
