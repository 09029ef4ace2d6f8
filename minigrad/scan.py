"""Folds along the first axis: Python loops eagerly, one node in a graph; differentiable in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import tree
from .branches import (
    LOOP,
    check_callable,
    check_invariants,
    entered,
    handed_on,
    reading_ahead,
    traced_body,
)
from .core.convert import as_tensor
from .core.later import later
from .core.registry import api
from .core.spec import Spec
from .errors import SpecError
from .graph import Graph, compiling, executing_eagerly

projections = later("projections")


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: int | None = None
) -> tuple[Any, Any]:
    """Fold `f(carry, x) -> (carry, y)` along the first axis of `xs`; the last carry, all y stacked.

    init: a tensor or a nest, which `f` gives back; in a trace with the same shapes and dtypes. xs:
    a tensor or a nest of tensors with equal first dims; None for `length` rounds without. Raises
    SpecError where a carry changes its nest, and in a trace its shape or dtype, and where first
    dims differ.
    """
    check_callable("scan", "f", f, "lambda carry, x: (carry, x)")
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
        state = tree.leaves_as(structure, returned[0])
        if state is None:
            raise SpecError(
                f"scan: the body carries {tree.flatten(returned[0])[1]!r} on for a carry nested "
                f"as {structure!r}: each round hands the same nest to the next; return it as it "
                "came"
            )
        state = [handed_on(c, s.spec) for c, s in zip(state, start, strict=True)]
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
        form = form or tree.flatten(y)[1]
        leaves = tree.leaves_as(form, y)
        if leaves is None:
            raise SpecError(
                f"scan: round {t} stacks {tree.flatten(y)[1]!r} where round 0 stacks {form!r}: "
                "what is stacked has one nest; return that one in every round"
            )
        rows.append(leaves)
    if form is None:  # no round: the shapes are found by tracing one
        graph, form = scan_body(step, start, scans)
        columns = [np.zeros((0, *y.shape), y.dtype) for y in graph.outputs[len(start) :]]
        stacks = [as_tensor(column) for column in columns]
        ys = None if form is None else tree.unflatten(form, stacks)
        return tree.unflatten(structure, carry), ys
    by_leaf = list(zip(*rows, strict=True))
    if form == tree.LEAF and by_leaf[0][0] is None:
        return tree.unflatten(structure, carry), None
    stacks = [api.stack([as_tensor(y) for y in column]) for column in by_leaf]
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
    (graph,), captures = reading_ahead([graph], graph.captures)
    if compiling():
        given = projections.Round(graph, scans, captures)
        graph, scans, captures = projections.projected(given, len(start), rounds)
    outputs = entered(
        LOOP,
        [graph],
        (*start, *scans, *captures),
        condition=None,
        body=graph,
        carried=len(start),
        scanned=len(scans),
        length=rounds,
        reverse=False,
    )
    carry = tree.unflatten(structure, outputs[: len(start)])
    return carry, None if form is None else tree.unflatten(form, outputs[len(start) :])


def map(fn: Callable[[Any], Any], xs: Any) -> Any:
    """`fn` of each slice of `xs` along the first axis, stacked.

    xs: a tensor, or a nest of tensors with equal first dims. Returns the nest that `fn` gives.
    """
    check_callable("map", "fn", fn, "lambda x: x * x")
    return scan(lambda carry, x: (carry, fn(x)), (), xs)[1]
