"""Replace what is computed by what is simpler and the same to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Move
from ..core.op import Node, Op, using
from ..core.registry import OPS
from ..core.spec import SCALARS
from ..core.tensor import Symbol, Tensor
from ..graph import Graph, Tracer
from ..ops.axes import permute
from ..ops.broadcast import broadcast
from ..ops.index import scatter_add
from ..ops.join import rotate
from ..ops.logic import cast
from ..ops.margins import pad_with
from ..ops.shape import STATIC_FORMS, is_static, reshape_to
from ..ops.slice import place_slice
from .rewrite import makers, mapped, rebuilt


class Form(NamedTuple):
    """What a node could be instead: another op, of other inputs."""

    op: Op
    inputs: tuple[Any, ...]
    attrs: dict[str, Any]


Makers = Mapping[Any, Node]
# A rule is given a node and who made its inputs. It answers with a Form, with a value that the
# output of the node equals, which counts if its shape and dtype are the same, or with None.
Rule = Callable[[Node, Makers], Any]


def simplify(graph: Graph) -> Graph:
    """`graph` with what RULES know to be simpler, and with static forms where shapes are known.

    Every value stays the same to the bit; so `x + 0` stays, for it makes 0 of -0. What matters
    only to derivatives, such as stop_gradient, goes: derivatives have been taken before.

    Before::

        def graph(v0):                                      # float32[2,3]
            v1 = multiply(v0, 1)                            # float32[2,3]
            v2 = reshape_to(v1, shape=(6,))                 # float32[6]
            v3 = reshape_to(v2, shape=(3, 2))               # float32[3,2]
            v4 = sin(v3)                                    # float32[3,2]
            return (v4,)

    After::

        def graph(v0):                                      # float32[2,3]
            v1 = reshape_to(v0, shape=(6,))                 # float32[6]
            v2 = reshape_to(v0, shape=(3, 2))               # float32[3,2]
            v3 = sin(v2)                                    # float32[3,2]
            return (v3,)
    """
    values: dict[Any, Any] = {}
    made: dict[Any, Node] = {}
    nodes: list[Node] = []
    for old in graph.nodes:
        node = old.replaced(mapped(old.inputs, values), old.outputs)
        while type(found := simpler(node, made)) is Form:
            node = node.replaced(found.inputs, node.outputs, found.attrs, found.op)
        if found is not None:
            values[node.outputs[0]] = found
            continue
        static = static_form(node)
        steps = [node] if static is None else static[0]
        if static is not None:
            values.update(zip(node.outputs, static[1], strict=True))
        nodes += steps
        made.update(makers(steps))
    return rebuilt(graph, nodes, values, makers(graph.nodes))


def simpler(node: Node, made: Makers) -> Any:
    """A value or a Form that is the same as the output of `node`; None where none is known."""
    rule = RULES.get(node.op.name)
    found = None if rule is None else rule(node, made)
    if found is None or type(found) is Form:
        return found
    y = node.outputs[0]
    same = isinstance(found, Tensor) and found.shape == y.shape and found.dtype == y.dtype
    return found if same else None


def static_form(node: Node) -> tuple[list[Node], list[Any]] | None:
    """For a node that takes a shape at run time, if it is known: nodes for it, and the values."""
    form = STATIC_FORMS.get(node.op.name)
    if form is None or not all(is_static(x) for x in node.inputs if isinstance(x, Tensor)):
        return None
    tracer = Tracer(node.op.name)
    given = [Symbol(x.shape, x.dtype, tracer) if type(x) is Symbol else x for x in node.inputs]
    with using(tracer, (tracer,)):
        y = form(*given, **node.attrs)
    values = {new: old for new, old in zip(given, node.inputs, strict=True) if new is not old}
    steps = [
        node.replaced(mapped(step.inputs, values), step.outputs, step.attrs, step.op)
        for step in tracer.nodes
    ]
    return steps, [values.get(part, part) for part in (y if type(y) is tuple else (y,))]


# what rules ask


def scalar(x: Any) -> Any:
    """The number that an input of a node is known to be, or None."""
    if type(x) in SCALARS:
        return x
    return x._value.item() if type(x) is Tensor and x.shape == () else None


def is_zero(x: Any, sign: float) -> bool:
    """Whether `x` is known to be 0, of the given sign where it has one."""
    value = scalar(x)
    return value == 0 and isinstance(value, (int, float)) and math.copysign(1, value) == sign


def is_of(kinds: str, x: Any) -> bool:
    """Whether `x` is a tensor of a dtype of these kinds."""
    return isinstance(x, Tensor) and x.dtype.kind in kinds


def maker(x: Any, made: Makers, *names: str) -> Node | None:
    """The node that makes `x`, if its op has one of these names."""
    node = made.get(x) if type(x) is Symbol else None
    return node if node is not None and node.op.name in names else None


# rules; for complex numbers few hold, for inf * (1 + 0j) is not inf


def product(node: Node, made: Makers) -> Any:
    """x * 1 is x."""
    x1, x2 = node.inputs
    found = real_one(x1, x2)
    return real_one(x2, x1) if found is None else found


def real_one(x: Any, one: Any) -> Any:
    """`x`, if it is real and `one` is 1; else None."""
    return x if is_of("fiub", x) and scalar(one) == 1 else None


def total(node: Node, made: Makers) -> Any:
    """x + -0.0 is x, and so is x + 0 for integers, and for sums that began with 0."""
    x1, x2 = node.inputs
    for x, zero in ((x1, x2), (x2, x1)):
        zeros = maker(zero, made, "fill")
        if maker(x, made, "scatter_add") and is_zero(zeros.inputs[0] if zeros else zero, 1.0):
            return x
        if (is_of("iu", x) and is_zero(zero, 1.0)) or (is_of("f", x) and is_zero(zero, -1.0)):
            return x
    return None


def difference(node: Node, made: Makers) -> Any:
    """x - 0 is x."""
    x1, x2 = node.inputs
    return x1 if is_zero(x2, 1.0) else None


def first_if_one(node: Node, made: Makers) -> Any:
    """x / 1 and x ** 1 are x."""
    return real_one(*node.inputs)


def itself(node: Node, made: Makers) -> Any:
    """The op is the identity where it changes neither shape nor dtype."""
    return node.inputs[0]


def itself_unless(kinds: str) -> Rule:
    """The op is the identity, but for dtypes of `kinds`."""

    def rule(node: Node, made: Makers) -> Any:
        (x,) = node.inputs
        return None if is_of(kinds, x) else x

    return rule


def undone(node: Node, made: Makers) -> Any:
    """Twice the op, with the same attributes, is the identity."""
    inner = maker(node.inputs[0], made, node.op.name)
    return inner.inputs[0] if inner is not None and inner.attrs == node.attrs else None


def choice(node: Node, made: Makers) -> Any:
    """where(True, x1, x2) is x1, where(False, x1, x2) is x2."""
    condition = scalar(node.inputs[0])
    if condition is None or not is_static(node.outputs[0]):
        return None
    return node.inputs[1 if condition else 2]


def conversion(node: Node, made: Makers) -> Any:
    """A cast to the same dtype is the identity; one after one that lost nothing is one."""
    (x,) = node.inputs
    inner = maker(x, made, "cast")
    if inner is None or not isinstance(inner.inputs[0], Tensor):
        return x
    source = inner.inputs[0]
    if not holds(x.dtype, source.dtype, node.outputs[0].dtype):
        return x
    return Form(cast, inner.inputs, node.attrs)


def holds(middle: Any, source: Any, end: Any) -> bool:
    """Whether `middle` has all values of `source`, and ends the same in `end`."""
    if middle.kind in "fc" and source.kind in "iu" and source.itemsize == 8:
        return False  # NumPy calls it safe; from 2**53 on it is not exact
    return np.can_cast(source, middle, "safe") and (end.kind in "fc" or source.kind in "biu")


def reshaped(node: Node, made: Makers) -> Any:
    """One reshape after another is one; one to the same shape is the identity."""
    x, y = node.inputs[0], node.outputs[0]
    inner = made.get(x)
    if is_static(x) and x.shape == y.shape:
        return x
    if inner is None or inner.op.lower != Move("reshape") or not is_static(y):
        return None
    return Form(reshape_to, inner.inputs[:1], {"shape": y.shape})


def checked(node: Node, made: Makers) -> Any:
    """A check of a shape that is known has been made."""
    return node.inputs[0] if is_static(node.inputs[0]) else None


def permuted(node: Node, made: Makers) -> Any:
    """One permutation after another is one; the one that moves nothing is the identity."""
    axes = node.attrs["axes"]
    if axes == tuple(range(len(axes))):
        return node.inputs[0]
    inner = maker(node.inputs[0], made, "permute")
    if inner is None:
        return None
    return Form(permute, inner.inputs, {"axes": tuple([inner.attrs["axes"][i] for i in axes])})


def repeated(node: Node, made: Makers) -> Any:
    """One broadcast after another is one; one to the same shape is the identity."""
    inner = maker(node.inputs[0], made, "broadcast")
    return node.inputs[0] if inner is None else Form(broadcast, inner.inputs, node.attrs)


def computed_shape(static: Op) -> Rule:
    """A shape that is a tensor is an attribute of the op `static` where it is known."""

    def rule(node: Node, made: Makers) -> Any:
        x, shape = node.inputs
        if type(shape) is not Tensor or not is_static(node.outputs[0]):
            return None
        return Form(static, (x,), {"shape": node.outputs[0].shape})

    return rule


def reduced(kinds: str) -> Rule:
    """A reduction over no axes is the identity for dtypes of `kinds`; a sum makes 0 of -0."""

    def rule(node: Node, made: Makers) -> Any:
        (x,) = node.inputs
        return x if node.attrs["axes"] == () and is_of(kinds, x) else None

    return rule


def sliced(node: Node, made: Makers) -> Any:
    """x[...] and x[:] are x; x[None] is a reshape."""
    key, y = node.attrs["key"], node.outputs[0]
    if not all(part is None or part is ... or part == (None, None, None) for part in key):
        return None
    if None not in key:
        return node.inputs[0]
    return Form(reshape_to, node.inputs, {"shape": y.shape}) if is_static(y) else None


def joined(node: Node, made: Makers) -> Any:
    """One tensor, joined with no other, is itself; with one number around it, it has margins."""
    if len(node.inputs) == 1:
        return node.inputs[0]
    (y,) = node.outputs
    if not all(is_static(x) and x.dtype == y.dtype for x in node.inputs):
        return None
    fills = [maker(x, made, "fill") for x in node.inputs]
    numbers = {repr(scalar(fill.inputs[0])) for fill in fills if fill is not None}
    if fills.count(None) != 1 or len(numbers) != 1 or "None" in numbers:
        return None
    k, axis = fills.index(None), node.attrs["axis"] % len(y.shape)
    lengths = [x.shape[axis] for x in node.inputs]
    widths = [(0, 0)] * len(y.shape)
    widths[axis] = sum(lengths[:k]), sum(lengths[k + 1 :])
    number = next(scalar(fill.inputs[0]) for fill in fills if fill is not None)
    return Form(pad_with, (node.inputs[k],), {"widths": tuple(widths), "value": number})


def rotated(node: Node, made: Makers) -> Any:
    """One rotation after another is one; there is none along what ends where it began."""
    inner = maker(node.inputs[0], made, "rotate")
    turns = [node] if inner is None else [inner, node]
    shifts: dict[int, int] = {}
    for turn in turns:
        for shift, axis in zip(turn.attrs["shifts"], turn.attrs["axes"], strict=True):
            shifts[axis] = shifts.get(axis, 0) + shift
    kept = {axis: shift for axis, shift in shifts.items() if shift}
    if inner is None and len(kept) == len(node.attrs["axes"]):
        return None
    x = turns[0].inputs[0]
    attrs = {"shifts": tuple(kept.values()), "axes": tuple(kept)}
    return Form(rotate, (x,), attrs) if kept else x


def gathered_in_zeros(node: Node, made: Makers) -> Any:
    """What is added in places of zeros is what `scatter_add` gives."""
    x, v, *indices = node.inputs
    zeros = maker(x, made, "fill")
    begins = zeros is not None and is_zero(zeros.inputs[0], 1.0)
    op = scatter_add if indices else place_slice
    return Form(op, (v, x, *indices), node.attrs) if begins and v.dtype == x.dtype else None


def triangular(node: Node, made: Makers) -> Any:
    """A system whose matrix is made a triangle is solved by substitution."""
    matrix, turned = made.get(node.inputs[0]), False
    if matrix is not None and matrix.op is permute:
        axes = matrix.attrs["axes"]
        turned = axes[-2:] == (len(axes) - 1, len(axes) - 2)
        matrix = made.get(matrix.inputs[0]) if turned else None
    kind = None if matrix is None else TRIANGLES.get(matrix.op.name)
    if matrix is None or kind is None:
        return None
    lower = kind(**matrix.attrs)
    if lower is None:
        return None
    return Form(OPS["solve_triangle"], node.inputs, {"lower": lower is not turned})


# whether the triangle that an op gives is the lower one; None where it gives none
TRIANGLES: dict[str, Callable[..., bool | None]] = {
    "cholesky_factor": lambda upper: not upper,
    "lower_triangle": lambda k: True if k <= 0 else None,
    "upper_triangle": lambda k: False if k >= 0 else None,
}

RULES: dict[str, Rule] = {
    "multiply": product,
    "add": total,
    "subtract": difference,
    "divide": first_if_one,
    "power": first_if_one,
    "positive": itself,
    "identity": itself,
    "stop_gradient": itself,
    "conj": itself_unless("c"),
    "real": itself_unless("c"),
    **dict.fromkeys(("floor", "ceil", "trunc", "round"), itself_unless("fc")),
    **dict.fromkeys(("negative", "bitwise_invert", "logical_not", "reverse"), undone),
    "where": choice,
    "cast": conversion,
    **dict.fromkeys(("reshape_to", "insert_axes", "drop_axes", "reshape_like"), reshaped),
    "check_shape": checked,
    "permute": permuted,
    "broadcast": repeated,
    "reshape_dynamic": computed_shape(reshape_to),
    "broadcast_dynamic": computed_shape(broadcast),
    "reduce_sum": reduced("iub"),
    "reduce_prod": reduced("fiub"),
    **dict.fromkeys(("reduce_max", "reduce_min"), reduced("fiub")),
    "take_slice": sliced,
    "add_at": gathered_in_zeros,
    "join": joined,
    "rotate": rotated,
    "solve_matrix": triangular,
}
