"""The walk back: from cotangents of targets to cotangents of sources, node by node."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

from .array_vjps import step_of
from .core.op import CONTEXT, EAGER, Node
from .core.registry import api
from .core.tensor import Tensor, tensor_of
from .cotangents import conform
from .errors import GradientError, SpecError


def pullback(
    nodes: Sequence[Node], bars: dict[Any, Any], sources: Iterable[Any], reach: set[Any]
) -> dict[Any, Any]:
    """Walk `nodes` backwards from the cotangents `bars`; the cotangents of `sources`.

    reach: what depends on a source; rules run for nothing else.
    """
    wanted = set(sources)
    found = {}
    context = CONTEXT.get()
    interpreter, listeners = context.interpreter, context.listeners
    unheard = interpreter is EAGER and not listeners  # sums then need no op: half the time
    # a cotangent is complex if a target is, or beyond an op that is not holomorphic
    may_be_complex = any([g.dtype.kind == "c" for g in bars.values()])
    for node in reversed(nodes):
        outputs = node.outputs
        if len(outputs) == 1:
            y = outputs[0]
            g = bars.pop(y, None)
            if g is None:
                continue
            if y in wanted:
                found[y] = g
            op = node.op
            if unheard and type(g) is Tensor and not node.attrs:
                dtype = g._value.dtype
                if (op.steps.get(dtype) or step_of(op, dtype))(node, g, bars, reach):
                    continue
            gs = [g]
        else:
            gs = [bars.pop(y, None) for y in outputs]
            if all(bar is None for bar in gs):
                continue
            if node.op.vjps is not None:
                raise GradientError(
                    f"gradient through {node.op.name} ({node.where}): defvjp states a rule for "
                    f"each input, of one output, and it has {len(outputs)}; state one rule for "
                    "all with defvjp_joint, rule(gs, outputs, inputs, needed, **attrs)"
                )
            found.update({y: bar for y, bar in zip(outputs, gs, strict=True) if y in wanted})
        op = node.op
        rules = op.vjps
        may_be_complex = may_be_complex or not op.holomorphic
        if rules is None:
            pairs = jointly_pulled(node, gs, reach)
        elif may_be_complex and g.dtype.kind == "c" and op.holomorphic:
            pairs = conjugately_pulled(node, g, rules, reach)
        else:
            # the common case, written out: a generator costs as much as the rules
            inputs, attrs = node.inputs, node.attrs
            for x, rule in zip(inputs, rules):  # noqa: B905  (strict takes 100 ns)
                if rule is not None and x in reach:
                    try:  # costs nothing where nothing is raised
                        if attrs:
                            bar = rule(g, y, *inputs, **attrs)
                        elif len(inputs) == 2:
                            bar = rule(g, y, inputs[0], inputs[1])
                        else:
                            bar = rule(g, y, *inputs)
                    except SpecError:
                        if x.dtype.kind in "fc":
                            raise
                        continue  # rules need not be defined for booleans: their cotangent is None
                    if type(bar) is Tensor is type(x):  # as `conform` begins, without the call
                        ours, theirs = bar._value, x._value
                        if ours.shape != theirs.shape or ours.dtype is not theirs.dtype:
                            bar = conform(bar, x, op)
                    elif bar is not None:
                        bar = conform(bar, x, op)
                    if bar is not None:
                        have = bars.get(x)
                        if have is None:
                            bars[x] = bar
                        elif unheard and type(have) is Tensor is type(bar) and have._value.ndim:
                            bars[x] = tensor_of(have._value + bar._value)
                        else:
                            bars[x] = have + bar
            continue
        for x, bar in pairs:
            if bar is not None and (bar := conform(bar, x, op)) is not None:
                have = bars.get(x)
                bars[x] = bar if have is None else have + bar
    return bars | found


def dependents(nodes: Iterable[Node], sources: Iterable[Any]) -> set[Any]:
    """The `sources`, and whatever `nodes` made of them: the reach of a walk back."""
    reach = set(sources)
    for node in nodes:
        if not reach.isdisjoint(node.inputs):
            reach.update(node.outputs)
    return reach


def differentiated() -> Node | None:
    """The node whose rule is being run, somewhere below on the stack; None if no rule is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is pullback.__code__:
            node: Node | None = frame.f_locals.get("node")
            return node
        frame = frame.f_back
    return None


def conjugately_pulled(
    node: Node, g: Any, rules: Sequence[Any], reach: set[Any]
) -> Iterator[tuple[Any, Any]]:
    """Inputs and cotangents of a holomorphic op on complex numbers, by its rules for real ones."""
    g = api.conj(g)
    for x, rule in zip(node.inputs, rules, strict=True):
        if rule is not None and x in reach:
            bar = rule(g, node.outputs[0], *node.inputs, **node.attrs)
            yield x, None if bar is None else api.conj(bar)


def jointly_pulled(node: Node, gs: list[Any], reach: set[Any]) -> Iterator[tuple[Any, Any]]:
    """Inputs and cotangents of an op that has one rule for all of them, or none at all."""
    op, inputs = node.op, node.inputs
    if op.joint_vjp is None:
        if op.zero_gradient is None and op.opaque is None:
            raise GradientError(
                f"gradient through {op.name} ({node.where}): the op states no derivative, nor "
                "that it has none; give it a rule with defvjp, or op.no_gradient(reason)"
            )
        return
    needed = [x in reach for x in inputs]
    conjugate = op.holomorphic and any(g is not None and g.dtype.kind == "c" for g in gs)
    if conjugate:
        gs = [g if g is None else api.conj(g) for g in gs]
    answers = op.joint_vjp(gs, node.outputs, inputs, needed, **node.attrs)
    for x, bar, need in zip(inputs, answers, needed, strict=True):
        if need and bar is not None:
            yield x, api.conj(bar) if conjugate else bar
