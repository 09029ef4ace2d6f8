"""Gradients by hand: `custom_gradient` for any function, `recompute_grad` to save memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from . import tree
from .core.convert import as_tensor
from .core.leaving import leaving_allowed
from .core.lowering import Body
from .core.op import CONTEXT, EAGER, Context, Op, using
from .core.spec import Spec
from .core.tensor import Symbol, Tensor
from .errors import GradientError
from .graph import Graph, evaluate, trace
from .reach import reachable
from .tape import GradientTape


def keep_first(*arrays: Any, count: int, **attrs: Any) -> tuple[Any, ...]:
    """The results, without the inputs that they were made of."""
    return arrays[:count]


def kept_specs(*inputs: Any, count: int, **attrs: Any) -> tuple[Spec, ...]:
    """The specs of the results."""
    return tuple([Spec(x.shape, x.dtype) for x in inputs[:count]])


def kept_graph(attrs: dict[str, Any]) -> Graph:
    """What remains of a hand-written derivative once derivatives have been taken."""
    specs = attrs["specs"]
    inputs = tuple([Symbol(spec.shape, spec.dtype, None) for spec in specs])
    return Graph("custom_gradient", inputs, (), (), inputs[: attrs["count"]])


# inputs: results, arguments, captures of the backward graph. backward: a graph, or a function.
custom = Op(
    keep_first,
    infer=kept_specs,
    name="custom_gradient",
    holomorphic=False,
    lower=Body(kept_graph, transparent=False),
)


@custom.defvjp_joint
def custom_vjp(
    gs: list[Any],
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    needed: Sequence[bool],
    *,
    count: int,
    arguments: int,
    backward: Any,
    specs: Any,
) -> list[Any]:
    """Ask the user's rule for the cotangents of the arguments."""
    filled = [y * 0 if g is None else g for g, y in zip(gs, outputs, strict=True)]
    captures = inputs[count + arguments :]
    if isinstance(backward, Graph):
        bars = list(evaluate(backward, [*filled, *captures]))
        present = backward.cache["present"]
        answers = iter(bars)
        bars = [next(answers) if there else None for there in present]
    else:
        bars = backward(*filled)
    return [*[None] * count, *bars, *[None] * len(captures)]


def custom_gradient(func: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function whose derivative is what it says: `func` returns `(result, grad)`.

    grad: called with one cotangent per leaf of the result; returns one per tensor argument, in
    their order, or a single one. It is written in minigrad's functions for higher orders; around
    a numpy_function it gives an opaque op a derivative. Raises GradientError where `func` or
    `grad` return something else.
    """

    name = getattr(func, "__name__", type(func).__name__)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        leaves = [as_tensor(x) if hasattr(x, "__array__") else x for x in leaves]
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        given_args, given_kwargs = tree.unflatten(structure, leaves)
        # in the open: the rule may use what is computed here, and be differentiated itself
        with leaving_allowed():
            returned = func(*given_args, **given_kwargs)
        if not (isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])):
            raise GradientError(
                f"custom_gradient of {name}: {type(returned).__name__} came back: the "
                "function returns its result and the rule for its gradient; end it with "
                "`return y, grad`"
            )
        result, grad = returned
        ys, form = tree.flatten(result)
        ys = [as_tensor(y) for y in ys]
        interpreter, listeners = CONTEXT.get()
        if interpreter is EAGER and not listeners:
            return tree.unflatten(form, ys)
        rule = checked(grad, name, len(tensors))
        return tree.unflatten(form, attached(ys, tensors, rule, name))

    return wrapper


def attached(
    ys: list[Tensor], tensors: list[Tensor], rule: Callable[..., Any], name: str
) -> tuple[Any, ...]:
    """`ys` as outputs of a node that knows the rule; traced, the rule is a graph of its own."""
    backward: Any = rule
    captures: tuple[Any, ...] = ()
    if any(isinstance(x, Symbol) for x in (*ys, *tensors)):
        present: list[bool] = []

        def body(*gs: Symbol) -> list[Any]:
            bars = rule(*gs)
            present.extend(bar is not None for bar in bars)
            return [bar for bar in bars if bar is not None]

        backward, _ = trace(body, [y.spec for y in ys], f"gradient of {name}")
        backward.cache["present"] = tuple(present)
        captures = backward.captures
    inputs = (*ys, *tensors, *captures)
    specs = tuple([x.spec for x in inputs])
    outputs: tuple[Any, ...] = custom(
        *inputs, count=len(ys), arguments=len(tensors), backward=backward, specs=specs
    )
    return outputs


def checked(grad: Callable[..., Any], name: str, count: int) -> Callable[..., list[Any]]:
    """`grad`, its answer as a list with one entry per tensor argument."""

    def rule(*gs: Any) -> list[Any]:
        answer = grad(*gs)
        bars = list(answer) if isinstance(answer, (list, tuple)) else [answer]
        if len(bars) != count:
            raise GradientError(
                f"custom_gradient of {name}: the rule gave {len(bars)} cotangents for {count} "
                "tensor arguments: one belongs to each, None where there is none; return as many"
            )
        return [None if bar is None else as_tensor(bar) for bar in bars]

    return rule


def recompute_grad(func: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that keeps nothing for its gradient but its arguments, and runs twice.

    Variables that it uses by name have their gradient; the second run reads them again.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        hidden = [x for x in reachable(func) if x.dtype.kind in "fc"]

        def block(values: Any, args: Any, kwargs: Any) -> Any:
            tensors = [x for x in tree.flatten((args, kwargs))[0] if isinstance(x, Tensor)]

            def grad(*gs: Any) -> Any:
                with GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch([*hidden, *[x for x in tensors if x.dtype.kind in "fc"]])
                    again = tree.flatten(func(*args, **kwargs))[0]
                return tape.gradient(again, [*hidden, *tensors], list(gs))

            interpreter, listeners = CONTEXT.get()
            others = tuple([one for one in listeners if not isinstance(one, GradientTape)])
            with using(interpreter, others):
                return func(*args, **kwargs), grad

        return custom_gradient(block)([as_tensor(x) for x in hidden], args, kwargs)

    return wrapper


def init_scope() -> Any:
    """A block whose ops run at once and are recorded by nobody, even inside a trace."""
    return using(*Context(EAGER, ()))
