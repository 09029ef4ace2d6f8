"""Decisions on values: plain Python eagerly, one node in a graph; differentiable in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import tree
from .branches import (
    LOOP,
    SWITCH,
    check_callable,
    check_invariants,
    entered,
    handed_on,
    reading_ahead,
    sharing_captures,
    traced_body,
    tree_of_specs,
)
from .core.convert import as_tensor
from .core.registry import api
from .core.tensor import Symbol
from .errors import SpecError
from .graph import executing_eagerly


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` where the 0-d `pred` is true, else `false_fn()`; both give equal nests.

    Eagerly just the one that is chosen runs; in a graph too, with its effects. Shapes may differ
    between the branches, dtypes may not. Raises SpecError where the branches do not agree.
    """
    for name, branch in (("true_fn", true_fn), ("false_fn", false_fn)):
        check_callable("cond", name, branch, "lambda: y")
    pred = as_tensor(pred)
    if pred.ndim:
        raise SpecError(
            f"cond: a pred of {pred.spec} came: one 0-d bool chooses between the branches; write "
            "mg.any or mg.all of it, or choose by element with mg.where"
        )
    if executing_eagerly() and not isinstance(pred, Symbol):
        return true_fn() if bool(pred) else false_fn()
    return switch(api.where(pred, 0, 1), [true_fn, false_fn])


def switch(branch_index: Any, branch_fns: Sequence[Callable[[], Any]]) -> Any:
    """The result of the function in `branch_fns` that `branch_index` names.

    branch_index: 0-d integer; out of range, it names the last. All give equal nests and dtypes.
    """
    functions = list(branch_fns)
    if not functions:
        raise SpecError(
            "switch: no branch_fns came: one of them is run; pass at least one function"
        )
    for i, branch in enumerate(functions):
        check_callable("switch", f"branch {i}", branch, "lambda: y")
    branch_index = as_tensor(branch_index)
    if branch_index.ndim or branch_index.dtype.kind not in "iu":
        raise SpecError(
            f"switch: a branch_index of {branch_index.spec} came: one 0-d integer chooses the "
            "branch; write mg.astype(i, mg.int32), or take one element"
        )
    if executing_eagerly() and not isinstance(branch_index, Symbol):
        i = int(branch_index)
        return functions[i if 0 <= i < len(functions) else -1]()
    empty = tree.flatten(())[1]
    traced = [traced_body(f, (), empty, f"branch {i}") for i, f in enumerate(functions)]
    first, form = traced[0]
    for i, (graph, other) in enumerate(traced):
        order = tree.places(form, other)
        given = [] if order is None else [graph.outputs[place] for place in order]
        if order is None or [y.dtype for y in given] != [y.dtype for y in first.outputs]:
            raise SpecError(
                f"cond or switch: branch {i} gives {tree_of_specs(graph, other)} where branch 0 "
                f"gives {tree_of_specs(first, form)}: all branches give one nest of the same "
                "dtypes; cast or rearrange one of them"
            )
        graph.outputs = tuple(given)
    graphs, captures = sharing_captures([graph for graph, _ in traced])
    outputs = entered(SWITCH, graphs, (branch_index, *captures), branches=tuple(graphs))
    return tree.unflatten(form, outputs)


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """Repeat `loop_vars = body(*loop_vars)` while `cond(*loop_vars)`; the last `loop_vars`.

    loop_vars: a list or tuple, its entries tensors or nests; `body` gives the same nest. In a
    trace each tensor keeps the shape and dtype it had; eagerly this is a Python loop, which does
    not mind. The number of rounds may depend on values; reverse mode keeps the residuals of each
    round. Where there was none, the result is `loop_vars`, and what `body` alone uses has no path
    to it: its gradient is None, eagerly, traced and compiled, as that of what a branch not taken
    uses; unconnected_gradients="zero" gives zeros. maximum_iterations: stop after as many. Raises
    SpecError where `body` changes the nest, and in a trace a shape or a dtype.
    """
    check_callable("while_loop", "cond", cond, "lambda x: x < 10")
    check_callable("while_loop", "body", body, "lambda x: x + 1")
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
        results = eager_while(cond, body, tree.unflatten(structure, start), structure)
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


def same_nest(returned: Any, structure: tree.Structure) -> list[Any]:
    """The leaves of what a body returned, if it has the nest of the loop variables."""
    values = as_tuple(returned)
    leaves = tree.leaves_as(structure, values)
    if leaves is None:
        raise SpecError(
            f"while_loop: the body gave {tree.flatten(values)[1]!r} for loop variables nested as "
            f"{structure!r}: each round hands the same nest to the next; return one value for "
            "each loop variable"
        )
    return leaves


def eager_while(
    cond: Callable[..., Any], body: Callable[..., Any], state: Any, structure: tree.Structure
) -> Any:
    """A while loop as a Python loop, while the condition has a value."""
    while not isinstance(holds := as_tensor(cond(*state)), Symbol):
        if not bool(holds):
            return state
        leaves = same_nest(body(*state), structure)
        state = tree.unflatten(structure, [as_tensor(x) for x in leaves])
    return traced_while(cond, body, tree.flatten(state)[0], structure)


def traced_while(
    cond: Callable[..., Any], body: Callable[..., Any], start: Sequence[Any], structure: Any
) -> Any:
    """A while loop as one node."""
    specs = [x.spec for x in start]
    test, _ = traced_body(cond, specs, structure, "loop condition")

    def round_of(*xs: Any) -> list[Any]:
        leaves = same_nest(body(*xs), structure)
        return [handed_on(x, spec) for x, spec in zip(leaves, specs, strict=True)]

    step, _ = traced_body(round_of, specs, structure, "loop body")
    if [y.dtype.kind for y in test.outputs] != ["b"] or test.outputs[0].shape not in ((), None):
        raise SpecError(
            f"while_loop: the condition gives {tree_of_specs(test, tree.LEAF)}: one bool decides; "
            "write a comparison of 0-d tensors, or mg.any / mg.all"
        )
    check_invariants("while_loop", specs, step.outputs)
    (test, step), captures = reading_ahead(*sharing_captures([test, step]))
    outputs = entered(
        LOOP,
        [test, step],
        (*start, *captures),
        condition=test,
        body=step,
        carried=len(start),
        scanned=0,
        length=None,
        reverse=False,
    )
    return tree.unflatten(structure, outputs)


def fori_loop(lower: Any, upper: Any, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """`init` after `value = body(i, value)` for i from `lower` to `upper` - 1.

    lower, upper: 0-d integers, known or traced; `i` has the dtype that they promote to. init: a
    tensor or a nest; `body` gives the same. Raises SpecError for bounds that are no 0-d integers.
    """
    check_callable("fori_loop", "body", body, "lambda i, y: y + i")
    first, last = counting_bounds(lower, upper)
    return while_loop(
        lambda i, _: i < last, lambda i, value: (i + 1, body(i, value)), (first, init)
    )[1]


def counting_bounds(lower: Any, upper: Any) -> tuple[Any, Any]:
    """The bounds of a loop that counts, in one dtype; Python integers are weak in it."""
    for name, bound in (("lower", as_tensor(lower)), ("upper", as_tensor(upper))):
        if bound.ndim or bound.dtype.kind not in "iu":
            raise SpecError(
                f"fori_loop: {name} of {bound.spec} came: rounds are counted from one 0-d integer "
                "to another; write mg.astype(n, mg.int32), or take one element"
            )
    several = [x if type(x) is int else as_tensor(x) for x in (lower, upper)]
    if type(lower) is int is type(upper):
        several = [as_tensor(lower), as_tensor(upper)]
    dtype = api.result_type(*several)
    if dtype.kind not in "iu":
        raise SpecError(
            f"fori_loop: {as_tensor(lower).spec} and {as_tensor(upper).spec} came as bounds: no "
            "integer dtype holds both; write mg.astype(n, mg.int64) of one of them"
        )
    return as_tensor(lower, dtype), as_tensor(upper, dtype)
