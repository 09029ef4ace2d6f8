"""Functions that count axes, of tensors whose rank a trace does not know: done when it is known.

`mg.sum(x, axis=-1)` says which axis it means only when `x` has a rank. A function under `ranked`
that meets a tensor without one becomes one node, `at_known_rank`, which applies the function when
the graph runs. Where shapes become known before, as in compiled code, the node's place is taken
by what the function writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .core.convert import as_tensor, as_value
from .core.op import EAGER, Op, raw, using
from .core.registry import api, publish
from .core.spec import Spec, UnknownRankError, as_dtype
from .core.tensor import Tensor
from .core.where import here
from .errors import SpecError
from .graph import Tracer
from .ops.shape import STATIC_FORMS
from .tape import GradientTape

# What is to be done: ("apply", name, args, kwargs), written as `encoded` does; or the derivative
# of that, ("vjp", inner, count, given, needed): `inner` has `count` inputs, of its outputs those
# in `given` have cotangents, of its inputs those in `needed` get theirs.
Task = tuple[Any, ...]
RANKS = (2, 3, 1, 4, 5, 0, 6, 7, 8)


def encoded(x: Any, inputs: list[Any]) -> Any:
    """An argument as an attribute: tensors by their place in `inputs`, where they are put."""
    if isinstance(x, (Tensor, np.ndarray)) or hasattr(x, "cell"):
        inputs.append(as_tensor(x))
        return ("input", len(inputs) - 1)
    if isinstance(x, (tuple, list)):
        kind = "tuple" if isinstance(x, tuple) else "list"
        return (kind, *[encoded(part, inputs) for part in x])
    if isinstance(x, slice):
        return ("slice", *[encoded(part, inputs) for part in (x.start, x.stop, x.step)])
    if isinstance(x, np.generic):
        return x.item()
    return as_dtype(x) if isinstance(x, (np.dtype, type)) else x


def decoded(x: Any, inputs: Sequence[Any]) -> Any:
    """What `encoded` wrote."""
    if type(x) is not tuple:
        return x
    kind, *parts = x
    if kind == "input":
        return inputs[parts[0]]
    values = [decoded(part, inputs) for part in parts]
    return slice(*values) if kind == "slice" else tuple(values) if kind == "tuple" else values


def applied(task: Task, inputs: Sequence[Any]) -> Any:
    """The result of the task, by whoever interprets; of a derivative, a tuple of tensors."""
    if task[0] == "apply":
        _, name, args, kwargs = task
        options = {key: decoded(value, inputs) for key, value in kwargs}
        return getattr(api, name)(*decoded(args, inputs), **options)
    _, inner, count, given, needed = task
    sources = [api.identity(x) if isinstance(x, Tensor) else x for x in inputs[:count]]
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([sources[i] for i in needed])
        ys = several(applied(inner, sources))
    return tuple(
        tape.gradient(
            [ys[i] for i in given],
            [sources[i] for i in needed],
            list(inputs[count:]),
            unconnected_gradients="zero",
        )
    )


def titled(task: Task) -> str:
    """The function that a task applies, or differentiates."""
    return str(task[1]) if task[0] == "apply" else f"gradient of {titled(task[1])}"


def several(result: Any) -> tuple[Any, ...]:
    """The result of a function, one tensor or more, as a tuple."""
    return (result,) if isinstance(result, Tensor) else tuple(result)


def kernel(*inputs: Any, task: tuple[Any, ...]) -> tuple[Any, ...]:
    """The task, done at once."""
    tensors = list(map(as_value, inputs))
    with using(EAGER, ()):
        return tuple([raw(y) for y in several(applied(task, tensors))])


def inferred(task: Task, inputs: Sequence[Any]) -> Any:
    """The result of the task on symbols, all of known ranks."""
    tracer = Tracer("at_known_rank")
    symbols = [
        tracer.symbol(Spec(x.shape, x.dtype), here()) if hasattr(x, "dtype") else x for x in inputs
    ]
    try:
        with using(tracer, (tracer,)):
            return applied(task, symbols)
    finally:
        tracer.open = False


def guessed(task: Task, inputs: Sequence[Any]) -> Any:
    """The result of the task for some ranks of `inputs` that it accepts.

    Dtypes and the number of tensors do not depend on ranks; shapes do. Raises what the task says
    where it accepts none.
    """
    unknown = [i for i, x in enumerate(inputs) if getattr(x, "shape", ()) is None]
    alike = [(rank,) * len(unknown) for rank in RANKS]
    mixed = itertools.product(RANKS[:3], repeat=len(unknown)) if 1 < len(unknown) < 5 else ()
    refusal: SpecError | None = None
    for ranks in (*alike, *mixed):
        given = list(inputs)
        for i, rank in zip(unknown, ranks, strict=True):
            given[i] = Spec((None,) * rank, inputs[i].dtype)
        try:
            return inferred(task, given)
        except SpecError as error:
            refusal = refusal or error
    raise refusal or AssertionError("there are ranks to try")


def specs(*inputs: Any, task: Task) -> tuple[Spec, ...]:
    """The specs of what the task gives, exact where all ranks are known."""
    if task[0] == "vjp":
        return tuple([Spec(inputs[i].shape, inputs[i].dtype) for i in task[4]])
    if all(getattr(x, "shape", ()) is not None for x in inputs):
        return tuple([Spec(y.shape, y.dtype) for y in several(inferred(task, inputs))])
    return tuple([Spec(None, y.dtype) for y in several(guessed(task, inputs))])


at_known_rank = Op(kernel, infer=specs, name="at_known_rank", holomorphic=False)
at_known_rank.titled = lambda attrs: titled(attrs["task"])
STATIC_FORMS["at_known_rank"] = lambda *inputs, task: several(applied(task, inputs))


@at_known_rank.defvjp_joint
def derivative(gs: Any, outputs: Any, inputs: Any, needed: Any, *, task: Task) -> list[Any]:
    """The derivative of a task is a task."""
    given = tuple([i for i, g in enumerate(gs) if g is not None])
    pairs = enumerate(zip(inputs, needed, strict=True))
    wanted = tuple([i for i, (x, need) in pairs if need and x.dtype.kind in "fc"])
    if not wanted:
        return [None] * len(inputs)
    back = ("vjp", task, len(inputs), given, wanted)
    bars = at_known_rank(*inputs, *[gs[i] for i in given], task=back)
    found = dict(zip(wanted, bars, strict=True))
    return [found.get(i) for i in range(len(inputs))]


def once_ranked(name: str, args: Any, kwargs: Any, error: UnknownRankError) -> Any:
    """What the function `name` gives, once ranks are known.

    Raises `error` where it cannot wait, for how many tensors come out depends on a shape.
    """
    inputs: list[Any] = []
    named = tuple([(key, encoded(value, inputs)) for key, value in kwargs.items()])
    task = ("apply", name, encoded(tuple(args), inputs), named)
    if all(x.shape is not None for x in inputs):
        raise error
    try:
        result = guessed(task, inputs)
    except UnknownRankError:
        raise error from None
    outputs = at_known_rank(*inputs, task=task)
    return outputs[0] if isinstance(result, Tensor) else type(result)(outputs)


publish("once_ranked", once_ranked)
