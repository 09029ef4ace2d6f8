"""The two ops of control flow: `switch` runs one graph of several, `loop` one graph many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import adjoint, counted, pruning, tree
from .core.convert import as_tensor
from .core.later import later
from .core.op import CONTEXT, Attrs, Op, notice_cells
from .core.registry import api
from .core.spec import OPAQUE, SCALARS, Spec
from .core.tensor import Symbol, Tensor
from .errors import SpecError, TraceError
from .graph import Graph, compiling, saved, trace
from .replay import pulled_back
from .variable import read_variable

runners = later("runners")
laps = later("laps")
lift = later("passes.lift")
runs = later("runs")
specialized = later("passes.specialize")


def switch_kernel(
    index: Any, *values: Any, branches: Sequence[Graph], saving: bool, jit: bool
) -> tuple[Any, ...]:
    """Run the branch that `index` names; out of range, the last."""
    i = int(index)
    graph = branches[i if 0 <= i < len(branches) else -1]
    if saving:
        run = runs.GraphRun.of(graph, values, jit=jit)
        return (*run.outputs, run)
    outputs: tuple[Any, ...] = runners.runner(graph, jit=jit)(*values)
    return outputs


def switch_spec(
    index: Any, *inputs: Any, branches: Sequence[Graph], saving: bool, jit: bool
) -> tuple[Spec, ...]:
    """What all branches have in common."""
    columns = zip(*[graph.outputs for graph in branches], strict=True)
    specs = [common_spec([y.spec for y in column]) for column in columns]
    return (*specs, OPAQUE) if saving else tuple(specs)


def common_spec(specs: Sequence[Spec]) -> Spec:
    """A spec that fits all `specs`, of one dtype: dims that differ are unknown."""
    shapes = [spec.shape for spec in specs]
    if None in shapes or len({len(shape) for shape in shapes if shape is not None}) != 1:
        return Spec(None, specs[0].dtype)
    dims = zip(*[shape for shape in shapes if shape is not None], strict=True)
    return Spec([n[0] if len(set(n)) == 1 else None for n in dims], specs[0].dtype)


def loop_kernel(
    *values: Any,
    condition: Graph | None,
    body: Graph,
    carried: int,
    scanned: int,
    length: int | None,
    saving: bool,
    jit: bool,
    reverse: bool = False,
) -> tuple[Any, ...]:
    """Run the rounds of a loop: while `condition` holds, or `length` times, or once per slice.

    reverse: the first round takes the last slice, and gives the last of what is stacked.
    """
    carry = tuple(values[:carried])
    scans = values[carried : carried + scanned]
    fixed = values[carried + scanned :]
    rounds = length if length is not None or not scans else len(scans[0])
    if scans and rounds is not None:
        scans = tuple([in_turn(x, rounds, reverse=reverse) for x in scans])
        values = (*carry, *scans, *fixed)
    if jit and condition is not None:
        rounds = counted.rounds_of(condition, body, values, carried)
    if jit and rounds:
        sizes = {"carried": carried, "scanned": scanned}
        ways = {"saving": saving, "reverse": reverse}
        found = laps.forwards(values, body, count=rounds, **ways, **sizes)
        if found is not None:
            results, left = found
            if not saving:
                return tuple(results)
            return (*results, runs.LoopRun([], values, results, kept=left, **sizes))
    holds = None if condition is None else runners.runner(condition, jit=jit)
    step = None if saving else runners.runner(body, jit=jit)
    kept = []
    rows = []
    t = 0
    while bool(holds(*carry, *fixed)[0]) if holds else t < (rounds or 0):
        inputs = (*carry, *[np.asarray(x[t]) for x in scans], *fixed)
        if step is None:
            kept.append(runs.GraphRun.of(body, inputs, jit=jit))
            outputs = kept[-1].outputs
        else:
            outputs = step(*inputs)
        carry = outputs[:carried]
        rows.append(outputs[carried:])
        t += 1
    specs = body.outputs[carried:] if rows else specs_of_a_round(body, carry, scans, fixed)
    results = [*carry, *stacked(rows[::-1] if reverse else rows, specs)]
    if not saving:
        return tuple(results)
    return (*results, runs.LoopRun(kept, values, results, carried=carried, scanned=scanned))


def specs_of_a_round(body: Graph, carry: Any, scans: Any, fixed: Any) -> Sequence[Symbol]:
    """What a round would give to be stacked: where there was none, nothing else says its shape."""
    outputs = body.outputs[len(carry) :]
    if all(y.spec.known for y in outputs):
        return outputs
    specs = [Spec(x.shape, x.dtype) for x in carry]
    specs += [Spec(x.shape[1:], x.dtype) for x in scans]
    specs += [Spec(x.shape, x.dtype) if hasattr(x, "shape") else OPAQUE for x in fixed]
    found: Graph = specialized.specialize(body, specs)
    return found.outputs[len(carry) :]


def in_turn(x: Any, rounds: int, *, reverse: bool) -> Any:
    """The slices that `rounds` rounds take of `x`, in their order."""
    if len(x) < rounds:
        raise SpecError(
            f"loop: {rounds} rounds over the {len(x)} slices of {x.dtype}{list(x.shape)}: each "
            "round takes one; pass as many, or a smaller length"
        )
    return x[:rounds][::-1] if reverse else x[:rounds]


def stacked(rows: Sequence[Sequence[Any]], specs: Sequence[Spec | Symbol]) -> list[Any]:
    """The results of rounds, each of one of `specs`, stacked; empty where there was no round."""
    if not rows:
        return [np.zeros((0, *[n or 0 for n in y.shape or ()]), y.dtype) for y in specs]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def loop_spec(
    *inputs: Any,
    body: Graph,
    carried: int,
    scanned: int,
    length: int | None,
    saving: bool,
    **attrs: Any,
) -> tuple[Spec, ...]:
    """Specs of what is carried, then of what is stacked."""
    rounds = rounds_ahead(inputs, carried, scanned, length)
    results = [y.spec for y in body.outputs[:carried]]
    for y in body.outputs[carried:]:
        results.append(Spec(None if y.shape is None else (rounds, *y.shape), y.dtype))
    return (*results, OPAQUE) if saving else tuple(results)


def control_ops(name: str, kernel: Callable[..., Any], infer: Callable[..., Any]) -> list[Op]:
    """An op of control flow: without effects, and with."""
    return [
        Op(
            kernel,
            infer=infer,
            name=prefix + name,
            stateful=bool(prefix),
            holomorphic=False,
            saving=recording,
        )
        for prefix in ("", "stateful_")
    ]


def recording(attrs: Attrs, inputs: Sequence[Any]) -> Attrs:
    """The attributes by which a record of the run is one more output."""
    return attrs if attrs["saving"] else {**attrs, "saving": True}


def rounds_ahead(
    inputs: Sequence[Any], carried: int, scanned: int, length: int | None
) -> int | None:
    """How many rounds a loop makes that no condition ends; None where that is open."""
    if length is not None or not scanned:
        return length
    shape = inputs[carried].shape
    return shape[0] if shape else None


def known_rounds(inputs: Sequence[Any], attrs: Attrs) -> int | None:
    """How many rounds a loop makes that leaves no record; None where that is open."""
    carried = attrs["carried"]
    if attrs["saving"] or not attrs["jit"]:
        return None
    if attrs["condition"] is None:
        return rounds_ahead(inputs, carried, attrs["scanned"], attrs["length"])
    values = [x._value if type(x) is Tensor else None for x in inputs]
    return counted.rounds_of(attrs["condition"], attrs["body"], values, carried)


def saving_residuals(attrs: Attrs, inputs: Sequence[Any]) -> Attrs:
    """The attributes by which a loop stacks what derivatives need, or leaves a record."""
    found = adjoint.opened(attrs, known_rounds(inputs, attrs))
    return recording(attrs, inputs) if found is None else found


SWITCH = control_ops("switch", switch_kernel, switch_spec)
LOOP = control_ops("loop", loop_kernel, loop_spec)
LOOP[0].rounds = lambda node: known_rounds(node.inputs, node.attrs)
LOOP[0].saving = saving_residuals
LOOP[0].pruned = pruning.pruned


def kept_run(op: Op, outputs: Sequence[Any], inputs: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """The record of the run; of a pure node that was applied without, by running it again."""
    if attrs["saving"]:
        return outputs[-1]
    if op.stateful:
        raise TraceError(
            f"the gradient of a {op.name} with effects was asked of a graph that was evaluated "
            "node by node: what it did is not on record; call the function that holds it instead"
        )
    return op(*inputs, **{**attrs, "saving": True})[-1]


def as_read(inputs: Sequence[Any], graphs: Sequence[Graph]) -> list[Any]:
    """`inputs` of `graphs`, with what cells hold now: that is when a rule by hand reads them."""
    cells = {i for graph in graphs for i, x in enumerate(graph.inputs) if x in lift.accessed(graph)}
    return [read_variable(x) if i in cells else x for i, x in enumerate(inputs)]


for _switch in SWITCH:

    @_switch.defvjp_joint
    def switch_vjp(
        gs: list[Any], outputs: Any, inputs: Any, needed: Any, op: Op = _switch, **attrs: Any
    ) -> list[Any]:
        """Walk back through the branch that was taken."""
        run = kept_run(op, outputs, inputs, attrs)
        given = gs[:-1] if attrs["saving"] else gs
        values = as_read(inputs[1:], attrs["branches"])
        return [None, *pulled_back("body", run, values, given, needed[1:])]


for _loop in LOOP:

    @_loop.defvjp_joint
    def loop_vjp(
        gs: list[Any], outputs: Any, inputs: Any, needed: Any, op: Op = _loop, **attrs: Any
    ) -> list[Any]:
        """Walk back through the rounds that were run."""
        if not op.stateful:
            rounds = known_rounds(inputs, attrs)
            found = adjoint.pulled(op, gs, outputs, inputs, needed, attrs, rounds)
            if found is not None:
                return found
        if attrs.get("reverse"):
            return turned_back(op, gs, inputs, needed, attrs)
        run = kept_run(op, outputs, inputs, attrs)
        given = gs[:-1] if attrs["saving"] else gs
        return pulled_back("body", run, as_read(inputs, [attrs["body"]]), given, needed)


def turned_back(
    op: Op, gs: list[Any], inputs: Sequence[Any], needed: Any, attrs: Attrs
) -> list[Any]:
    """The cotangents of a loop in reverse, by a record of one whose slices are turned round."""
    carried, end = attrs["carried"], attrs["carried"] + attrs["scanned"]
    rounds = rounds_ahead(inputs, carried, attrs["scanned"], attrs["length"])

    def turned(x: Any) -> Any:
        return None if x is None else api.flip(x, axis=0)

    slices = [turned(x[:rounds]) for x in inputs[carried:end]]
    given = [*inputs[:carried], *slices, *inputs[end:]]
    run = op(*given, **{**attrs, "reverse": False, "saving": True})[-1]
    bars = [*gs[:carried], *map(turned, gs[carried : len(attrs["body"].outputs)])]
    found = pulled_back("body", run, as_read(given, [attrs["body"]]), bars, needed)
    for i in range(carried, end):
        if found[i] is not None:
            left = inputs[i].shape[0] - found[i].shape[0]
            rest = api.zeros((left, *inputs[i].shape[1:]), dtype=inputs[i].dtype)
            found[i] = api.concat([turned(found[i]), rest], axis=0)
    return found


def entered(ops: Sequence[Op], graphs: Sequence[Graph], inputs: Sequence[Any], **attrs: Any) -> Any:
    """Apply the op of control flow that fits `graphs`, with a record if a tape will want one."""
    listeners = CONTEXT.get().listeners
    notice_cells(inputs, listeners)
    effects = any(node.op.stateful for graph in graphs for node in graph.nodes)
    if ops is LOOP:  # its way back is a loop too, in which rules by hand may read what it does not
        effects = effects or any(hasattr(x, "trainable") for x in inputs)
    attrs = saved(ops[effects], inputs, {**attrs, "saving": False, "jit": compiling()})
    return ops[effects](*inputs, **attrs)[: len(graphs[-1].outputs)]


def traced_body(
    function: Callable[..., Any], specs: Sequence[Spec], structure: tree.Structure, name: str
) -> tuple[Graph, tree.Structure]:
    """The graph of `function` on a nest of symbols, and the nest of what it returns."""
    forms: list[tree.Structure] = []

    def body(*symbols: Symbol) -> list[Any]:
        leaves, form = tree.flatten(function(*tree.unflatten(structure, symbols)))
        forms.append(form)
        return [as_tensor(y) for y in leaves]

    graph, _ = trace(body, specs, name, compiles=compiling())
    return graph, forms[0]


def sharing_captures(graphs: Sequence[Graph]) -> tuple[list[Graph], list[Any]]:
    """`graphs` with the same captures as inputs, in the same places; and those captures."""
    union = list(dict.fromkeys([x for graph in graphs for x in graph.captures]))
    result = []
    for graph in graphs:
        count = len(graph.arguments)
        own = dict(zip(graph.captures, graph.inputs[count:], strict=True))
        blanks = [own[x] if x in own else Symbol(x.shape, x.dtype, None) for x in union]
        inputs = (*graph.arguments, *blanks)
        result.append(Graph(graph.name, inputs, tuple(union), graph.nodes, graph.outputs))
    return result, union


def reading_ahead(
    graphs: Sequence[Graph], captures: Sequence[Any]
) -> tuple[Sequence[Graph], Sequence[Any]]:
    """`graphs` of a loop to compile, which take the values of Variables that they only read.

    captures: those of all of them. Where one is assigned, or Python runs, all stay as they are.
    """
    cells = [hasattr(x, "trainable") for x in captures]
    if not compiling() or not any(cells):
        return graphs, captures
    lifted = [lift.lift(graph) for graph in graphs]
    first = -len(captures)
    for graph, (found, writes) in zip(graphs, lifted, strict=True):
        read = {x for node in found.nodes for x in node.inputs}
        pairs = zip(graph.inputs[first:], cells, strict=True)
        values = set(lift.liftable(graph))
        if writes or any(is_cell and x in read and x not in values for x, is_cell in pairs):
            return graphs, captures
    notice_cells(captures, CONTEXT.get().listeners)
    pairs = zip(captures, cells, strict=True)
    given = [read_variable(x) if is_cell else x for x, is_cell in pairs]
    return [found for found, _ in lifted], given


def handed_on(x: Any, spec: Spec) -> Any:
    """What a round hands on for a loop variable of `spec`; shapes not known are checked when run.

    A Python number takes the dtype of what it replaces.
    """
    if type(x) in SCALARS:
        return as_tensor(x, spec.dtype)
    x = as_tensor(x)
    fits = x.dtype == spec.dtype and spec.is_compatible_with(x)
    return api.ensure_shape(x, spec.shape) if fits and x.shape != spec.shape else x


def check_callable(asked: str, name: str, f: Any, remedy: str) -> None:
    """Raise SpecError unless `f`, the argument `name` of the function `asked`, is a function."""
    if not callable(f):
        raise SpecError(
            f"{asked}: {name} is {type(f).__name__} {f!r:.60}: it is called, once or many times; "
            f"pass a function, such as {remedy}, and look at the order of the arguments"
        )


def check_invariants(name: str, specs: Sequence[Spec], outputs: Sequence[Symbol]) -> None:
    """Raise SpecError where a round changes what it hands on."""
    for i, (spec, y) in enumerate(zip(specs, outputs, strict=True)):
        if y.dtype != spec.dtype or not spec.is_compatible_with(y):
            raise SpecError(
                f"{name}: loop variable {i} comes in as {spec} and goes out as {y.spec}: a traced "
                "loop has one shape and dtype for all rounds; reshape it, cast it with "
                f"mg.astype(x, mg.{spec.dtype}), or start with what the body gives"
            )


def tree_of_specs(graph: Graph, form: tree.Structure) -> str:
    """The nest of what a graph gives, in words."""
    return str(tree.unflatten(form, [str(y.spec) for y in graph.outputs])).replace("'", "")
