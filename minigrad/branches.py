"""The two ops of control flow: `switch` runs one graph of several, `loop` one graph many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import counted, tree
from .core.convert import as_tensor
from .core.later import later
from .core.op import CONTEXT, Node, Op, notice_cells
from .core.registry import api
from .core.spec import OPAQUE, SCALARS, Spec
from .core.tensor import Symbol, Tensor
from .errors import SpecError, TraceError
from .graph import Graph, compiling, trace
from .replay import pulled_back

runners = later("runners")
laps = later("laps")
runs = later("runs")


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
) -> tuple[Any, ...]:
    """Run the rounds of a loop: while `condition` holds, or once per slice, or `length` times."""
    carry = tuple(values[:carried])
    scans = values[carried : carried + scanned]
    fixed = values[carried + scanned :]
    rounds = len(scans[0]) if scans else length
    if jit and condition is not None:
        rounds = counted.rounds_of(condition, body, values, carried)
    if jit and rounds:
        sizes = {"carried": carried, "scanned": scanned}
        found = laps.forwards(values, body, count=rounds, saving=saving, **sizes)
        if found is not None:
            results, left = found
            if not saving:
                return tuple(results)
            return (*results, runs.LoopRun([], values, results, kept=left, **sizes))
    holds = None if condition is None else runners.runner(condition, jit=jit)
    if jit and condition is not None and holds and rounds is None and not saving:
        # before the condition is asked, for asking it once more may have effects
        native = laps.deciding_loop(values, condition, body, carried)
        if native is not None:
            last = laps.until(native, values, carried) if bool(holds(*values)[0]) else carry
            if last is not None:
                return tuple(last)
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
    results = [*carry, *stacked(rows, body.outputs[carried:])]
    if not saving:
        return tuple(results)
    return (*results, runs.LoopRun(kept, values, results, carried=carried, scanned=scanned))


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
    rounds = inputs[carried].shape[0] if scanned and inputs[carried].shape else length
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
            saving=lambda attrs: attrs if attrs["saving"] else {**attrs, "saving": True},
        )
        for prefix in ("", "stateful_")
    ]


def known_rounds(node: Node) -> int | None:
    """How many rounds a loop makes that leaves nothing for derivatives; None where that is open."""
    attrs, carried = node.attrs, node.attrs["carried"]
    if attrs["saving"] or not attrs["jit"]:
        return None
    if attrs["condition"] is None:
        shape = node.inputs[carried].shape if attrs["scanned"] else (attrs["length"],)
        rounds: int | None = shape[0] if shape else None
        return rounds
    values = [x._value if type(x) is Tensor else None for x in node.inputs]
    return counted.rounds_of(attrs["condition"], attrs["body"], values, carried)


SWITCH = control_ops("switch", switch_kernel, switch_spec)
LOOP = control_ops("loop", loop_kernel, loop_spec)
LOOP[0].rounds = known_rounds


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


for _switch in SWITCH:

    @_switch.defvjp_joint
    def switch_vjp(
        gs: list[Any], outputs: Any, inputs: Any, needed: Any, op: Op = _switch, **attrs: Any
    ) -> list[Any]:
        """Walk back through the branch that was taken."""
        run = kept_run(op, outputs, inputs, attrs)
        given = gs[:-1] if attrs["saving"] else gs
        return [None, *pulled_back("body", run, inputs[1:], given, needed[1:])]


for _loop in LOOP:

    @_loop.defvjp_joint
    def loop_vjp(
        gs: list[Any], outputs: Any, inputs: Any, needed: Any, op: Op = _loop, **attrs: Any
    ) -> list[Any]:
        """Walk back through the rounds that were run."""
        run = kept_run(op, outputs, inputs, attrs)
        given = gs[:-1] if attrs["saving"] else gs
        return pulled_back("body", run, inputs, given, needed)


def entered(ops: Sequence[Op], graphs: Sequence[Graph], inputs: Sequence[Any], **attrs: Any) -> Any:
    """Apply the op of control flow that fits `graphs`, with a record if a tape will want one."""
    listeners = CONTEXT.get().listeners
    notice_cells(inputs, listeners)
    effects = any(node.op.stateful for graph in graphs for node in graph.nodes)
    saving = any(listener.follows(inputs) for listener in listeners)
    outputs = ops[effects](*inputs, **attrs, saving=saving, jit=compiling())
    return outputs[:-1] if saving else outputs


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


def handed_on(x: Any, spec: Spec) -> Any:
    """What a round hands on for a loop variable of `spec`; shapes not known are checked when run.

    A Python number takes the dtype of what it replaces.
    """
    if type(x) in SCALARS:
        return as_tensor(x, spec.dtype)
    x = as_tensor(x)
    fits = x.dtype == spec.dtype and spec.is_compatible_with(x)
    return api.ensure_shape(x, spec.shape) if fits and x.shape != spec.shape else x


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
