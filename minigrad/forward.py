"""Forward mode: `jvp` pushes tangents along the nodes that a tape recorded, first to last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import tree
from .core.convert import as_tensor
from .core.op import Node
from .core.registry import api
from .core.tensor import Tensor
from .cotangents import key_of, zeros
from .errors import GradientError, SpecError
from .pullback import pullback
from .tape import Aside, GradientTape, UnconnectedGradients, unconnected


def jvp(
    func: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    unconnected_gradients: str | UnconnectedGradients = UnconnectedGradients.NONE,
) -> tuple[Any, Any]:
    """`func(*primals)`, and its derivative along `tangents`: what a small step there changes.

    primals: the arguments, tensors, Variables or nests of them. tangents: one per primal, in its
    nest and with its shapes; None where it does not move, as integers cannot. The second result
    has the nest of the first; unconnected_gradients says what it holds where nothing moves: "none",
    "zero", or "raise" for a GradientError.

    Elementwise and linear ops and products cost once more what they cost. All others are taken
    by the derivative of their pullback, which is linear in its cotangent: three to four times as
    much. Any order, in any mix with reverse mode. Raises GradientError where primals and tangents
    do not fit.
    """
    missing = unconnected(unconnected_gradients)
    moved, directions = paired(primals, tangents)
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.follow([x for x in map(key, directions) if x is not None])
        value = func(*moved)
    leaves, structure = tree.flatten(value)
    found = {key(x): t for x, t in directions.items()}
    targets = [key(y) for y in leaves]
    with Aside(tape):
        pushforward(tape.nodes, found, targets)
        answers = [found.get(y) for y in targets]
        if missing is UnconnectedGradients.ZERO:
            pairs = zip(answers, leaves, strict=True)
            answers = [zeros(y) if t is None else t for t, y in pairs]
    if missing is UnconnectedGradients.RAISE:
        for i, t in enumerate(answers):
            if t is None:
                raise GradientError(
                    f"jvp: result {i} does not depend on what moves: its derivative was asked for, "
                    'and there is none; pass unconnected_gradients="zero" for zeros'
                )
    return value, tree.unflatten(structure, answers)


def key(x: Any) -> Any:
    """What a tape knows `x` by; None for what it cannot follow."""
    return x if isinstance(x, Tensor) else getattr(x, "cell", None)


def paired(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], dict[Any, Any]]:
    """The primals as tensors of this derivative alone, and the tangents of those that move.

    A tensor that is passed and used by name as well moves only where it is passed.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise GradientError(
            f"jvp: primals is a {type(primals).__name__} and tangents a {type(tangents).__name__}: "
            "they are sequences, with one entry per argument; write jvp(f, (x,), (t,))"
        )
    if len(primals) != len(tangents):
        raise GradientError(
            f"jvp: {len(tangents)} tangents came for {len(primals)} primals: each argument moves "
            "along one, or None for not at all; pass as many"
        )
    moved: list[Any] = []
    directions: dict[Any, Any] = {}
    for primal, tangent in zip(primals, tangents, strict=True):
        leaves, structure = tree.flatten(primal)
        own = [x if hasattr(x, "cell") else api.identity(as_tensor(x)) for x in leaves]
        moved.append(tree.unflatten(structure, own))
        if tangent is None:
            continue
        try:
            steps = tree.flatten_like(structure, tangent)
        except SpecError as error:
            raise GradientError(f"jvp, of its tangents: {error}") from None
        pairs = zip(own, steps, strict=True)
        directions.update({x: tangent_of(x, t) for x, t in pairs if t is not None})
    return moved, directions


def tangent_of(x: Any, t: Any) -> Tensor:
    """`t` as a tangent of `x`. Raises GradientError where it is none."""
    if key_of(x, "jvp").dtype.kind not in "fc":
        raise GradientError(
            f"jvp: a tangent came for {x.spec}: only floating and complex tensors move by small "
            "steps; pass None, or cast first, as in mg.astype(x, mg.float32)"
        )
    step = as_tensor(t)
    if (step.dtype.kind == "c" and x.dtype.kind != "c") or not fits(x, step):
        raise GradientError(
            f"jvp: a tangent of {step.spec} for a primal of {x.spec}: a step has the shape of what "
            "it moves, and is real if that is; reshape it"
        )
    return as_tensor(step, x.dtype)


def fits(x: Any, step: Tensor) -> bool:
    """Whether the shapes could be equal."""
    return bool(x.spec.is_compatible_with(api.astype(step, x.dtype).spec))


# the walk


def pushforward(nodes: Sequence[Node], tangents: dict[Any, Any], targets: Sequence[Any]) -> None:
    """Walk `nodes` from the first to the last, and enter in `tangents` those of their outputs.

    targets: what is asked for; outputs that lead nowhere near are left out.
    """
    used = {x for node in nodes for x in node.inputs}
    used.update(y for y in targets if y is not None)
    for node in nodes:
        steps = [tangents.get(x) for x in node.inputs]
        if all(t is None for t in steps):
            continue
        wanted = [y in used and moves(y) for y in node.outputs]
        if not any(wanted):
            continue
        for y, t in zip(node.outputs, pushed(node, steps, wanted), strict=True):
            if t is not None:
                tangents[y] = t


def moves(y: Any) -> bool:
    """Whether an output moves by small steps: not integers, nor the record of a run.

    The derivative of what reads a record is by the inputs of the run, which it takes as well.
    """
    return isinstance(y, Tensor) and y.dtype.kind in "fc"


def pushed(node: Node, steps: Sequence[Any], wanted: Sequence[bool]) -> Sequence[Any]:
    """The tangents of the outputs of `node`, from those of its inputs; None for no path."""
    op, inputs, attrs = node.op, node.inputs, node.attrs
    if op.elementwise and op.vjps is not None and (op.holomorphic or not has_complex(node)):
        # the derivative is diagonal: a rule that pulls back also pushes forward
        pairs = zip(op.vjps, steps, strict=False)
        terms = [
            rule(t, node.outputs[0], *inputs, **attrs)
            for rule, t in pairs
            if t is not None and rule is not None
        ]
        return [total(terms, node.outputs[0])]
    if op.linear in ("jointly", "wholly"):
        pairs, kinds = zip(inputs, steps, strict=True), "fc" if op.linear == "jointly" else "fciub"
        outputs = op(*[step_or_zeros(x, t, kinds) for x, t in pairs], **attrs)
        return outputs if type(outputs) is tuple else (outputs,)
    if op.linear == "each" and op.vjps is not None:
        terms = [
            op(*inputs[:i], t, *inputs[i + 1 :], **attrs)
            for i, t in enumerate(steps)
            if t is not None and op.vjps[i] is not None
        ]
        return [total(terms, node.outputs[0])]
    return transposed(node, steps, wanted)


def has_complex(node: Node) -> bool:
    """Whether a complex tensor goes into `node` or comes out."""
    return any(getattr(x, "dtype", None) in COMPLEX for x in (*node.inputs, *node.outputs))


COMPLEX = ("complex64", "complex128")


def step_or_zeros(x: Any, t: Any, kinds: str) -> Any:
    """The tangent of an input of an op that is linear in these kinds; what says where stays."""
    if t is not None:
        return t
    if isinstance(x, Tensor):
        return api.zeros_like(x) if x.dtype.kind in kinds else x
    return 0.0 if type(x) in (int, float, complex) else x


def total(terms: Sequence[Any], y: Tensor) -> Any:
    """The sum of `terms`, with the shape and dtype of `y`; None for no terms."""
    present = [t for t in terms if t is not None]
    if not present:
        return None
    found = present[0]
    for t in present[1:]:
        found = found + t
    if found.shape != y.shape or found.shape is None or None in found.shape:
        found = api.broadcast_like(found, y)
    return found if found.dtype == y.dtype else api.astype(found, y.dtype)


def transposed(node: Node, steps: Sequence[Any], wanted: Sequence[bool]) -> Sequence[Any]:
    """The same by the transpose of the pullback, which is linear: its derivative by cotangents.

    The cotangents are ones, for a rule may be told by zeros that there is nothing to do.
    """
    directions = {x: t for x, t in zip(node.inputs, steps, strict=True) if t is not None}
    ys = [y for y, need in zip(node.outputs, wanted, strict=True) if need]
    gs = [api.ones_like(y) for y in ys]
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.follow(gs)
        bars = dict(zip(ys, gs, strict=True))
        found = pullback([node], bars, list(directions), set(directions))
    pairs = [(found[x], t) for x, t in directions.items() if found.get(x) is not None]
    answers = tape.gradient([bar for bar, _ in pairs], gs, [t for _, t in pairs]) if pairs else []
    rest = iter(answers or [None] * len(gs))
    return [next(rest) if need else None for need in wanted]
