"""Control flow on values: plain Python eagerly, one node in a graph; differentiable in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import tree
from .compiler import runner
from .core.convert import as_tensor
from .core.op import CONTEXT, Op
from .core.registry import api
from .core.spec import OPAQUE, SCALARS, Spec
from .core.tensor import Symbol
from .errors import SpecError, TraceError
from .graph import Graph, Tracer, executing_eagerly, trace
from .replay import pulled_back
from .runs import GraphRun, LoopRun

# the two ops


def switch_kernel(
    index: Any, *values: Any, branches: Sequence[Graph], saving: bool, jit: bool
) -> tuple[Any, ...]:
    """Run the branch that `index` names; out of range, the last."""
    i = int(index)
    graph = branches[i if 0 <= i < len(branches) else -1]
    if saving:
        run = GraphRun(graph, values, jit=jit)
        return (*run.outputs, run)
    return runner(graph, jit=jit)(*values)


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
    holds = None if condition is None else runner(condition, jit=jit)
    step = None if saving else runner(body, jit=jit)
    runs = []
    rows = []
    t = 0
    while bool(holds(*carry, *fixed)[0]) if holds else t < (rounds or 0):
        inputs = (*carry, *[np.asarray(x[t]) for x in scans], *fixed)
        if step is None:
            runs.append(GraphRun(body, inputs, jit=jit))
            outputs = runs[-1].outputs
        else:
            outputs = step(*inputs)
        carry = outputs[:carried]
        rows.append(outputs[carried:])
        t += 1
    results = (*carry, *stacked(rows, body.outputs[carried:]))
    if not saving:
        return results
    return (*results, LoopRun(runs, values, results, carried=carried, scanned=scanned))


def stacked(rows: Sequence[Sequence[Any]], specs: Sequence[Symbol]) -> list[Any]:
    """The rows of a loop's results, stacked; empty where there was no round."""
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


SWITCH = control_ops("switch", switch_kernel, switch_spec)
LOOP = control_ops("loop", loop_kernel, loop_spec)


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
    interpreter, listeners = CONTEXT.get()
    for x in inputs:
        if hasattr(x, "trainable"):
            for listener in listeners:
                listener.notice(x)
    effects = any(node.op.stateful for graph in graphs for node in graph.nodes)
    saving = any(listener.follows(inputs) for listener in listeners)
    jit = type(interpreter) is Tracer and interpreter.compiles
    outputs = ops[effects](*inputs, **attrs, saving=saving, jit=jit)
    return outputs[:-1] if saving else outputs


# tracing their graphs


def traced_body(
    function: Callable[..., Any], specs: Sequence[Spec], structure: tree.Structure, name: str
) -> tuple[Graph, tree.Structure]:
    """The graph of `function` on a nest of symbols, and the nest of what it returns."""
    interpreter = CONTEXT.get().interpreter
    forms: list[tree.Structure] = []

    def body(*symbols: Symbol) -> list[Any]:
        leaves, form = tree.flatten(function(*tree.unflatten(structure, symbols)))
        forms.append(form)
        return [as_tensor(y) for y in leaves]

    compiles = type(interpreter) is Tracer and interpreter.compiles
    graph, _ = trace(body, specs, name, compiles=compiles)
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


# what users call


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` where the 0-d `pred` is true, else `false_fn()`; both give equal nests.

    Eagerly just the one that is chosen runs; in a graph too, with its effects. Shapes may differ
    between the branches, dtypes may not. Raises SpecError where the branches do not agree.
    """
    if executing_eagerly():
        return true_fn() if bool(as_tensor(pred)) else false_fn()
    return switch(api.where(as_tensor(pred), 0, 1), [true_fn, false_fn])


def switch(branch_index: Any, branch_fns: Sequence[Callable[[], Any]]) -> Any:
    """The result of the function in `branch_fns` that `branch_index` names.

    branch_index: 0-d integer; out of range, it names the last. All give equal nests and dtypes.
    """
    functions = list(branch_fns)
    if not functions:
        raise SpecError(
            "switch: no branch_fns came: one of them is run; pass at least one function"
        )
    if executing_eagerly():
        i = int(as_tensor(branch_index))
        return functions[i if 0 <= i < len(functions) else -1]()
    empty = tree.flatten(())[1]
    traced = [traced_body(f, (), empty, f"branch {i}") for i, f in enumerate(functions)]
    graphs, captures = sharing_captures([graph for graph, _ in traced])
    form = traced[0][1]
    for i, (graph, other) in enumerate(traced[1:], 1):
        ours = [y.dtype for y in graphs[0].outputs]
        if other != form or [y.dtype for y in graph.outputs] != ours:
            raise SpecError(
                f"cond or switch: branch {i} gives {tree_of_specs(graph, other)} where branch 0 "
                f"gives {tree_of_specs(graphs[0], form)}: all branches give one nest of the same "
                "dtypes; cast or rearrange one of them"
            )
    outputs = entered(SWITCH, graphs, (branch_index, *captures), branches=tuple(graphs))
    return tree.unflatten(form, outputs)


def tree_of_specs(graph: Graph, form: tree.Structure) -> str:
    """The nest of what a graph gives, in words."""
    return str(tree.unflatten(form, [str(y.spec) for y in graph.outputs])).replace("'", "")


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """Repeat `loop_vars = body(*loop_vars)` while `cond(*loop_vars)`; the last `loop_vars`.

    loop_vars: a list or tuple, its entries tensors or nests; `body` gives the same nest, each
    tensor with the shape and dtype it had. The number of rounds may depend on values; reverse
    mode keeps the residuals of each round. maximum_iterations: stop after as many.
    Raises SpecError where `body` changes a shape, a dtype or the nest.
    """
    wrapped = loop_vars if isinstance(loop_vars, (list, tuple)) else (loop_vars,)
    leaves, structure = tree.flatten(tuple(wrapped))
    start = [as_tensor(x) for x in leaves]
    if maximum_iterations is not None:
        limit = int(maximum_iterations)
        outer_cond, outer_body = cond, body

        def cond(n: Any, *rest: Any) -> Any:
            return api.logical_and(api.less(n, limit), outer_cond(*rest))

        def body(n: Any, *rest: Any) -> Any:
            return (n + 1, *as_tuple(outer_body(*rest)))

        zero = as_tensor(0)
        start, structure = (
            [zero, *start],
            tree.flatten((zero, *tree.unflatten(structure, start)))[1],
        )
    if executing_eagerly():
        state = tree.unflatten(structure, start)
        while bool(as_tensor(cond(*state))):
            state = same_nest(body(*state), structure)
        results = state
    else:
        results = traced_while(cond, body, start, structure)
    if maximum_iterations is not None:
        results = results[1:]
    if not isinstance(loop_vars, (list, tuple)):
        return results[0]
    return list(results) if isinstance(loop_vars, list) else results


def as_tuple(x: Any) -> tuple[Any, ...]:
    """The loop variables that a body returned; a single one need not be in a list."""
    return tuple(x) if isinstance(x, (list, tuple)) else (x,)


def same_nest(returned: Any, structure: tree.Structure) -> Any:
    """What a body returned, if it has the nest of the loop variables."""
    values = as_tuple(returned)
    leaves, form = tree.flatten(values)
    if form != structure:
        raise SpecError(
            f"while_loop: the body gave {form!r} for loop variables nested as {structure!r}: each "
            "round hands the same nest to the next; return one value for each loop variable"
        )
    return tree.unflatten(structure, [as_tensor(x) for x in leaves])


def traced_while(
    cond: Callable[..., Any], body: Callable[..., Any], start: Sequence[Any], structure: Any
) -> Any:
    """A while loop as one node."""
    specs = [x.spec for x in start]
    test, _ = traced_body(cond, specs, structure, "loop condition")
    step, _ = traced_body(
        lambda *xs: same_nest(matched(body(*xs), specs), structure), specs, structure, "loop body"
    )
    if [y.dtype.kind for y in test.outputs] != ["b"] or test.outputs[0].shape not in ((), None):
        raise SpecError(
            f"while_loop: the condition gives {tree_of_specs(test, tree.LEAF)}: one bool decides; "
            "write a comparison of 0-d tensors, or mg.any / mg.all"
        )
    check_invariants("while_loop", specs, step.outputs)
    (test, step), captures = sharing_captures([test, step])
    outputs = entered(
        LOOP,
        [test, step],
        (*start, *captures),
        condition=test,
        body=step,
        carried=len(start),
        scanned=0,
        length=None,
    )
    return tree.unflatten(structure, outputs)


def matched(returned: Any, specs: Sequence[Spec]) -> Any:
    """What a body returned, with Python numbers in the dtype of what they replace."""
    leaves, form = tree.flatten(as_tuple(returned))
    if len(leaves) == len(specs):
        pairs = zip(leaves, specs, strict=True)
        leaves = [as_tensor(x, s.dtype) if type(x) in SCALARS else x for x, s in pairs]
    return tree.unflatten(form, leaves)


def check_invariants(name: str, specs: Sequence[Spec], outputs: Sequence[Symbol]) -> None:
    """Raise SpecError where a round changes what it hands on."""
    for i, (spec, y) in enumerate(zip(specs, outputs, strict=True)):
        if y.dtype != spec.dtype or y.shape != spec.shape:
            raise SpecError(
                f"{name}: loop variable {i} comes in as {spec} and goes out as {y.spec}: a traced "
                "loop has one shape and dtype for all rounds; reshape it, cast it with "
                f"mg.astype(x, mg.{spec.dtype}), or start with what the body gives"
            )


def fori_loop(lower: Any, upper: Any, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """`init` after `value = body(i, value)` for i from `lower` to `upper` - 1.

    lower, upper: 0-d integers, known or traced. init: a tensor or a nest; `body` gives the same.
    """
    first, last = as_tensor(lower), as_tensor(upper)
    if first.dtype != last.dtype:
        last = api.astype(last, first.dtype)
    return while_loop(
        lambda i, _: i < last, lambda i, value: (i + 1, body(i, value)), (first, init)
    )[1]


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: int | None = None
) -> tuple[Any, Any]:
    """Fold `f(carry, x) -> (carry, y)` along the first axis of `xs`; the last carry, all y stacked.

    init: a tensor or a nest, which `f` gives back with the same shapes and dtypes. xs: a tensor or
    a nest of tensors with equal first dims; None for `length` rounds without. Raises SpecError
    where a carry changes or first dims differ.
    """
    leaves, structure = tree.flatten(init)
    start = [as_tensor(x) for x in leaves]
    slices, form = tree.flatten(xs) if xs is not None else ([], None)
    scans = [as_tensor(x) for x in slices]
    rounds = count_rounds(scans, length)

    def step(carry: Sequence[Any], x: Sequence[Any]) -> tuple[list[Any], Any]:
        item = None if form is None else tree.unflatten(form, x)
        returned = f(tree.unflatten(structure, carry), item)
        if not (isinstance(returned, tuple) and len(returned) == 2):
            raise SpecError(
                f"scan: the body gave a {type(returned).__name__}: each round gives what it "
                "carries on, and what is stacked; return (carry, y), with y=None for nothing"
            )
        state, moved = tree.flatten(returned[0])
        if moved != structure:
            raise SpecError(
                f"scan: the body carries {moved!r} on for a carry nested as {structure!r}: each "
                "round hands the same nest to the next; return it as it came"
            )
        pairs = zip(state, start, strict=True)
        state = [as_tensor(c, s.dtype if type(c) in SCALARS else None) for c, s in pairs]
        return state, returned[1]

    if executing_eagerly():
        return eager_scan(step, start, structure, scans, rounds)
    return traced_scan(step, start, structure, scans, rounds)


def count_rounds(scans: Sequence[Any], length: int | None) -> int | None:
    """How often the body is run; None where a trace does not know."""
    counts = {x.shape[0] for x in scans if x.shape}
    counts |= set() if length is None else {length}
    known = counts - {None}
    if len(known) > 1 or not counts or any(x.shape == () for x in scans):
        raise SpecError(
            f"scan: xs of {', '.join(str(x.spec) for x in scans) or 'nothing'} with length "
            f"{length}: all have one first dim, the number of rounds; make them equally long, or "
            "pass length"
        )
    return known.pop() if known else None


def eager_scan(
    step: Any, start: list[Any], structure: Any, scans: Sequence[Any], rounds: int | None
) -> tuple[Any, Any]:
    """A scan as a Python loop."""
    carry, rows, form = start, [], None
    for t in range(rounds or 0):
        carry, y = step(carry, [x[t] for x in scans])
        leaves, form = tree.flatten(y)
        rows.append(leaves)
    if form is None:  # no round: the shapes are found by tracing one
        graph, form = scan_body(step, start, scans)
        columns = [np.zeros((0, *y.shape), y.dtype) for y in graph.outputs[len(start) :]]
        stacks = [as_tensor(column) for column in columns]
        return tree.unflatten(structure, carry), tree.unflatten(form, stacks)
    columns = list(zip(*rows, strict=True))
    if form == tree.LEAF and columns and columns[0][0] is None:
        return tree.unflatten(structure, carry), None
    stacks = [api.stack([as_tensor(y) for y in column]) for column in columns]
    return tree.unflatten(structure, carry), tree.unflatten(form, stacks)


NOTHING = tree.flatten(())[1]


def scan_body(step: Any, start: Sequence[Any], scans: Sequence[Any]) -> tuple[Graph, Any]:
    """The graph of one round, and the nest of what it stacks."""
    forms = []

    def body(*xs: Any) -> list[Any]:
        state, y = step(list(xs[: len(start)]), list(xs[len(start) :]))
        leaves, form = ([], NOTHING) if y is None else tree.flatten(y)
        forms.append(None if y is None else form)
        return [*state, *leaves]

    specs = [x.spec for x in start]
    specs += [Spec(None if x.shape is None else x.shape[1:], x.dtype) for x in scans]
    flat = tree.flatten((0,) * len(specs))[1]
    graph, _ = traced_body(body, specs, flat, "scan body")
    return graph, forms[0]


def traced_scan(
    step: Any, start: Sequence[Any], structure: Any, scans: Sequence[Any], rounds: int | None
) -> tuple[Any, Any]:
    """A scan as one node."""
    graph, form = scan_body(step, start, scans)
    check_invariants("scan", [x.spec for x in start], graph.outputs[: len(start)])
    outputs = entered(
        LOOP,
        [graph],
        (*start, *scans, *graph.captures),
        condition=None,
        body=graph,
        carried=len(start),
        scanned=len(scans),
        length=rounds,
    )
    carry = tree.unflatten(structure, outputs[: len(start)])
    return carry, None if form is None else tree.unflatten(form, outputs[len(start) :])


def map(fn: Callable[[Any], Any], xs: Any) -> Any:
    """`fn` of each slice of `xs` along the first axis, stacked.

    xs: a tensor, or a nest of tensors with equal first dims. Returns the nest that `fn` gives.
    """
    return scan(lambda carry, x: (carry, fn(x)), (), xs)[1]
