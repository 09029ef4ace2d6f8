"""Derivatives as functions of functions: sugar on GradientTape."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from . import tree
from .core.convert import as_tensor
from .core.later import later
from .core.registry import api
from .core.tensor import Symbol, Tensor
from .errors import GradientError
from .graph import executing_eagerly
from .tape import GradientTape

doubts = later("doubts")

Argnums = int | Sequence[int]


def value_and_grad(
    func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives `func(*args)`, a scalar, and its gradient.

    argnums: which argument, an int, or which ones; then the gradient is a tuple. Each may be a
    nest. has_aux: `func` returns `(value, aux)`, and so does the result, as its first part.
    Raises GradientError where the value is not a scalar.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        found = slopes_of(func, args, kwargs, chosen, has_aux=has_aux)
        return found.returned, found.grads[0] if isinstance(argnums, int) else tuple(found.grads)

    return wrapper


class Slopes(NamedTuple):
    """What a function returned, its gradients, and the tape that can explain them."""

    returned: Any
    grads: list[Any]
    tape: GradientTape
    value: Any
    sources: list[Any]


# gradients that were None inside of a function whose gradient is being asked
MISSING: ContextVar[list[Slopes] | None] = ContextVar("MISSING", default=None)


def slopes_of(
    func: Callable[..., Any],
    args: Any,
    kwargs: Any,
    chosen: Sequence[int],
    *,
    has_aux: bool = False,
) -> Slopes:
    """The gradients of a scalar function by the `chosen` arguments."""
    filled, sources = with_sources(func, args, chosen)
    missing: list[Slopes] = []
    around = MISSING.set(missing)
    try:
        with GradientTape() as tape:
            tape.watch(sources)
            returned = func(*filled, **kwargs)
    finally:
        MISSING.reset(around)
    value = returned[0] if has_aux else returned
    if value is None and missing:
        raise inner_is_none(func, missing[-1])
    if not isinstance(value, Tensor) or value.ndim not in (0, None):
        raise GradientError(
            f"grad of {getattr(func, '__name__', 'a function')}: its value is "
            f"{getattr(value, 'spec', type(value).__name__)}: a gradient belongs to one "
            "number; return mg.sum(y), or use mg.jacobian or mg.vjp"
        )
    found = Slopes(returned, tape.gradient(value, sources), tape, value, sources)
    if (noted := MISSING.get()) is not None and any(g is None for g in found.grads):
        noted.append(found)
    return found


def inner_is_none(func: Any, inner: Slopes) -> GradientError:
    """The error of a gradient of `func`, which is a gradient itself, and None."""
    k = [g is None for g in inner.grads].index(True)
    found = inner.tape.explain(inner.value, inner.sources[k])
    error = GradientError(
        f"grad of the gradient of {getattr(func, '__name__', 'a function')}: {found!s}; and a "
        "derivative of None there is none; for one of zeros, ask a mg.GradientTape with "
        'unconnected_gradients="zero" for the inner gradient'
    )
    error.explanation = found
    return error


def with_sources(func: Any, args: Any, chosen: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """`args` with tensors in the chosen places, and what stands in those."""
    filled = list(args)
    for i in chosen:
        if not -len(args) <= i < len(args):
            raise GradientError(
                f"the derivative of {getattr(func, '__name__', 'a function')} by argument {i} of "
                f"{len(args)}: argnums counts positional arguments from 0; pass that one by "
                "position, or correct argnums"
            )
        filled[i] = tree.map(as_source, args[i])
    return filled, [filled[i] for i in chosen]


def as_source(x: Any) -> Any:
    """`x` as something that a tape can follow, and that nothing else uses: a Variable, or a copy.

    The same tensor may be in use outside, under another derivative; the two are not confused.
    """
    return x if hasattr(x, "cell") else api.identity(as_tensor(x))


def grad(
    func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives the gradient of `func`; arguments as in `value_and_grad`.

    has_aux: it gives `(gradient, aux)`.
    """
    both = value_and_grad(func, argnums, has_aux=has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def vjp(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """`func(*primals)`, and the function that pulls a cotangent of it back to the primals.

    The pullback takes a nest like the result, and gives a tuple with one entry per primal; it may
    be called more than once.
    """
    sources = [tree.map(as_source, x) for x in primals]
    with GradientTape(persistent=True) as tape:
        tape.watch(sources)
        result = func(*sources)

    def pullback(cotangents: Any) -> tuple[Any, ...]:
        """Cotangents of the primals."""
        return tuple(tape.gradient(result, sources, cotangents))

    return result, pullback


def jacobian(
    func: Callable[..., Any], argnums: int = 0, *, unconnected_gradients: str = "none"
) -> Callable[..., Any]:
    """A function that gives the derivative of every element of `func` by every one of an argument.

    The result has shape `value.shape + argument.shape`, in the nest of the argument.
    unconnected_gradients: as in `GradientTape.gradient`.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        filled, (source,) = with_sources(func, args, (argnums,))
        with GradientTape() as tape:
            tape.watch(source)
            value = func(*filled, **kwargs)
        return tape.jacobian(value, source, unconnected_gradients)

    return wrapper


def hessian(func: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that gives the second derivatives of a scalar `func` by one tensor argument.

    The result has shape `argument.shape + argument.shape`; zeros where `func` is linear, and None
    where nobody can know it, behind a numpy_function say.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        filled, (source,) = with_sources(func, args, (argnums,))
        with GradientTape(persistent=True) as tape:
            tape.watch(source)
            found = slopes_of(func, filled, kwargs, (argnums,))
        (slope,) = found.grads
        if slope is None:
            if not doubts.is_known(found.tape, found.value, found.sources[0]):
                return None
            slope = api.zeros_like(source)
        second = tape.jacobian(slope, source)
        if second is None and doubts.is_known(tape, slope, source):
            return tape.jacobian(slope, source, "zero")
        return second

    return wrapper


def hvp(func: Callable[..., Any], primal: Any, tangent: Any) -> Any:
    """The Hessian of a scalar `func` at `primal`, times `tangent`, without the Hessian.

    primal, tangent: nests of equal structure and shapes; so is the result. Zeros where `func` is
    linear, and None where nobody can know it, behind a numpy_function say.
    """
    source = tree.map(as_source, primal)
    sources, structure = tree.flatten(source)
    directions = tree.flatten_like(structure, tangent)
    # a trace asks it again, for the runs that there will be
    with GradientTape(persistent=not executing_eagerly()) as tape:
        tape.watch(source)
        inner = slopes_of(func, (source,), {}, (0,))
    slopes = tree.flatten(inner.grads[0])[0]
    copies = tree.flatten(inner.sources[0])[0]
    pairs = [(g, t) for g, t in zip(slopes, directions, strict=True) if g is not None]
    targets = [g for g, _ in pairs]
    found = tape.gradient(targets, sources, [as_tensor(t) for _, t in pairs])
    for i, (x, copy) in enumerate(zip(sources, copies, strict=True)):
        if found[i] is None:
            linear = slopes[i] is None and doubts.is_known(inner.tape, inner.value, copy)
            if linear or (slopes[i] is not None and doubts.is_known(tape, targets, x)):
                found[i] = api.zeros_like(as_tensor(x))
        elif type(found[i]) is Symbol:
            found[i] = doubts.zeros_in_runs(found[i], tape, targets, x)
    return tree.unflatten(structure, found)
