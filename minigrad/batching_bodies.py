"""Batching of what has a body: calls of traced functions, both doors to Python, gradients by hand.

A graph is batched by evaluating it once more, with examples in place of its inputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import tree
from .batch import Batch, Batched, Kept
from .branches import stacked
from .callbacks import Body, outputs_fit, results_as
from .concrete import differentiable
from .core.op import CONTEXT, Attrs, Inputs, Op, using
from .core.registry import api
from .core.spec import Spec
from .core.tensor import Tensor
from .errors import SpecError
from .graph import Graph, compiling, evaluate, trace
from .interop import called
from .replay import Record
from .tape import GradientTape

# graphs of examples


def batched_graph(
    batch: Batch,
    name: str,
    compute: Callable[..., Sequence[Any]],
    specs: Sequence[Spec],
    flags: Sequence[bool],
    force: Callable[[int], bool] = lambda i: False,
) -> tuple[Graph, tuple[bool, ...]]:
    """The graph of `compute` on many examples; and which of its outputs differ between them.

    specs: of the inputs outside. flags: which of them have examples along the first axis.
    force: by number, which outputs get an axis of examples even if they do not differ.
    """
    found: list[bool] = []

    def body(*symbols: Any) -> list[Any]:
        many = [x for x, flag in zip(symbols, flags, strict=True) if flag]
        size = api.dims_of(many[0])[0] if many else batch.size
        inner = Batch(size, CONTEXT.get(), batch.name)
        pairs = zip(symbols, flags, strict=True)
        values = [Batched(x, inner) if flag else x for x, flag in pairs]
        with inner.inside():
            results = compute(*values)
        differ = [inner.holds(y) or force(i) for i, y in enumerate(results)]
        found.extend(differ)
        pairs = zip(results, differ, strict=True)
        return [inner.whole(y) if flag else y for y, flag in pairs]

    graph, _ = trace(body, specs, name, compiles=compiling())
    return graph, tuple(found)


def outside(batch: Batch, graph: Graph, inputs: Sequence[Any]) -> tuple[list[Any], list[Spec]]:
    """What stands for the inputs of `graph` outside, and the specs of that."""
    values = [batch.payload(x) for x in inputs]
    pairs = zip(values, graph.inputs, strict=True)
    return values, [x.spec if hasattr(x, "spec") else symbol.spec for x, symbol in pairs]


def keeps_records(graph: Graph) -> bool:
    """Whether a record of a run goes into `graph` or comes out."""
    return any(x.dtype.kind == "O" for x in (*graph.inputs, *graph.outputs))


def batched_call(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> tuple[Any, ...]:
    """A call of the function of many examples; made once for their number and shapes."""
    graph: Graph = attrs["graph"]
    if keeps_records(graph):
        with batch.inside():
            return evaluate(graph, inputs)
    values, specs = outside(batch, graph, inputs)
    flags = tuple([batch.holds(x) for x in inputs])
    made = graph.cache.setdefault("batched", {})
    # in a compiled trace calls inside are laid open, for there a tape sees their nodes
    size = batch.size if type(batch.size) is int else None
    key = (flags, tuple(specs), size, compiling())
    found = made.get(key)
    if found is None:
        found = batched_graph(batch, graph.name, lambda *xs: evaluate(graph, xs), specs, flags)
        if all(type(x) is Tensor for x in found[0].captures):
            made[key] = found
    several, differ = found
    values = [*values, *several.captures]
    if compiling():
        outputs = evaluate(several, values)
    else:
        outputs = differentiable(several, values, attrs["jit"])
    return tuple(
        [Batched(y, batch) if flag else y for y, flag in zip(outputs, differ, strict=True)]
    )


# Variables


def batched_read(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> Any:
    """The value that stands in the place of a Variable."""
    return inputs[0]


def batched_assignment(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> Any:
    """Refuse: one Variable cannot hold what differs between examples."""
    raise SpecError(
        f"assign, in {batch.name}: {inputs[1].spec} differs between the examples, and a Variable "
        "has one value: they share it; reduce over the examples outside, or return the value"
    )


# gradients by hand


def batched_custom(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> tuple[Any, ...]:
    """The results as they are, with the user's rule for all examples."""
    rule: Graph = attrs["backward"]
    count = attrs["count"]
    own, used = inputs[: count + attrs["arguments"]], inputs[count + attrs["arguments"] :]
    # what the rule uses and the examples share stays one: it may be assigned to a Variable
    captures = [batch.payload(x) for x in used]
    values = [*[batch.whole(x) for x in own], *captures]
    specs = [x.spec for x in (*values[:count], *captures)]
    flags = [True] * count + [batch.holds(x) for x in used]
    several, _ = batched_graph(
        batch, rule.name, lambda *xs: evaluate(rule, xs), specs, flags, lambda i: True
    )
    several.cache["present"] = rule.cache["present"]
    values = [*values, *several.captures]
    outputs = op(
        *values, **{**attrs, "backward": several, "specs": tuple([x.spec for x in values])}
    )
    return tuple([Batched(y, batch) for y in outputs])


# the doors


def batched_python(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> tuple[Any, ...]:
    """The body, on tensors that look as those of one example."""
    body: Body = attrs["body"]
    tape = GradientTape(persistent=True)
    tape.follow([x for x in inputs if x.dtype.kind in "fc"])
    with using(batch, (tape,)):
        outputs = results_as(body, called(body, inputs[: attrs["count"]]))
    return (*outputs, Kept(Record(tape, inputs, outputs, attrs["name"]), batch))


@dataclass(frozen=True)
class ManyCalls:
    """A NumPy body for many examples, by one of the three methods.

    flags: which arguments differ between the examples.
    """

    body: Body
    method: str
    flags: tuple[bool, ...]

    @property
    def __wrapped__(self) -> Any:
        return self.body.func

    @property
    def __name__(self) -> str:
        return str(self.body.name)

    def __call__(self, *arrays: Any) -> Any:
        """The results of all examples, along a first axis."""
        pairs = list(zip(arrays, self.flags, strict=True))
        if self.method == "expand_dims":
            return self.body.func(*[x if flag else x[None] for x, flag in pairs])
        size = next(len(x) for x, flag in pairs if flag)
        if self.method == "broadcast_all":
            return self.body.func(
                *[x if flag else np.broadcast_to(x, (size, *x.shape)) for x, flag in pairs]
            )
        rows = []
        for i in range(size):
            # x[i, ...] and not x[i], which is no array where there is one axis
            views = [x[i, ...] if flag else x for x, flag in pairs]
            rows.append([np.array(y) for y in outputs_fit(self.body, called(self.body, views))])
        return tree.unflatten(self.body.structure, stacked(rows, self.body.specs))


def batched_numpy(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> tuple[Any, ...]:
    """The body as `vmap_method` says."""
    body: Body = attrs["body"]
    method = attrs.get("vmap_method")
    if method is None:
        raise SpecError(
            f"numpy_function {body.name!r} in {batch.name}: NumPy code cannot be traced, so how it "
            "takes many examples must be said; write numpy_function(..., vmap_method=...) with "
            '"sequential" (called for each), "expand_dims" (called once, what examples share with '
            'an axis of length 1 in front) or "broadcast_all" (called once, all with that axis)'
        )
    flags = tuple([batch.holds(x) for x in inputs])
    size = batch.size if type(batch.size) is int else None
    several = copy.copy(body)
    several.func = ManyCalls(body, method, flags)
    several.specs = tuple(
        [Spec(None if s.shape is None else (size, *s.shape), s.dtype) for s in body.specs]
    )
    given = {**attrs, "func": several.func, "specs": several.specs, "body": several}
    outputs = op(*[batch.payload(x) for x in inputs], **given)
    return tuple([Batched(y, batch) if y.shape else batch.wrap(y) for y in outputs])


RULES = {
    "call": batched_call,
    "stateful_call": batched_call,
    "read_variable": batched_read,
    "assign_variable": batched_assignment,
    "custom_gradient": batched_custom,
    "py_function": batched_python,
    "numpy_function": batched_numpy,
    "pure_numpy_function": batched_numpy,
}
