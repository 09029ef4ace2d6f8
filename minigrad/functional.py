"""Derivatives as functions of functions: sugar on GradientTape."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from . import tree
from .core.convert import as_tensor
from .core.registry import api
from .core.tensor import Tensor
from .errors import GradientError
from .tape import GradientTape

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
        filled = list(args)
        for i in chosen:
            filled[i] = tree.map(as_source, args[i])
        sources = [filled[i] for i in chosen]
        with GradientTape() as tape:
            tape.watch(sources)
            returned = func(*filled, **kwargs)
        value = returned[0] if has_aux else returned
        if not isinstance(value, Tensor) or value.ndim not in (0, None):
            raise GradientError(
                f"grad of {getattr(func, '__name__', 'a function')}: its value is "
                f"{getattr(value, 'spec', type(value).__name__)}: a gradient belongs to one "
                "number; return mg.sum(y), or use mg.jacobian or mg.vjp"
            )
        grads = tape.gradient(value, sources)
        return returned, grads[0] if isinstance(argnums, int) else tuple(grads)

    return wrapper


def as_source(x: Any) -> Any:
    """`x` as something that a tape can follow: itself, or a tensor of it."""
    return x if isinstance(x, Tensor) or hasattr(x, "cell") else as_tensor(x)


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


def jacobian(func: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that gives the derivative of every element of `func` by every one of an argument.

    The result has shape `value.shape + argument.shape`, in the nest of the argument.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        filled = list(args)
        filled[argnums] = tree.map(as_source, args[argnums])
        with GradientTape() as tape:
            tape.watch(filled[argnums])
            value = func(*filled, **kwargs)
        return tape.jacobian(value, filled[argnums])

    return wrapper


def hessian(func: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that gives the second derivatives of a scalar `func` by one tensor argument.

    The result has shape `argument.shape + argument.shape`.
    """
    return jacobian(grad(func, argnums), argnums)


def hvp(func: Callable[..., Any], primal: Any, tangent: Any) -> Any:
    """The Hessian of a scalar `func` at `primal`, times `tangent`, without the Hessian.

    primal, tangent: nests of equal structure and shapes; so is the result.
    """
    source = tree.map(as_source, primal)

    def directional(x: Any) -> Any:
        slopes = tree.flatten(grad(func)(x))[0]
        directions = tree.flatten(tangent)[0]
        parts = [api.sum(g * t) for g, t in zip(slopes, directions, strict=True) if g is not None]
        return functools.reduce(lambda a, b: a + b, parts)

    return grad(directional)(source)
