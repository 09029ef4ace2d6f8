"""How each framework runs a formula at its best: compiled, where it has a compiler.

PyTorch is there twice: "torch" runs eagerly, "inductor" is torch.compile. "autograd" is HIPS
autograd, which runs NumPy.

A formula is `f(framework, *arrays)`, in the framework's own functions. The frameworks are
imported where they are used, for a worker has only its own.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workload import Data, Run, Side

Formula = Callable[..., Any]


def values(formulas: Mapping[str, Formula]) -> dict[str, Side]:
    """Sides that compute the value of a formula; compiled PyTorch by that of eager."""
    sides = with_inductor(formulas).items()
    return {name: partial(VALUE[name], formula) for name, formula in sides if name in VALUE}


def gradients(formulas: Mapping[str, Formula], wrt: int = 1) -> dict[str, Side]:
    """Sides that compute a formula, and its gradient by the first `wrt` arrays."""
    sides = with_inductor(formulas).items()
    return {
        name: partial(GRADIENT[name], formula, wrt) for name, formula in sides if name in GRADIENT
    }


def with_inductor(formulas: Mapping[str, Formula]) -> dict[str, Formula]:
    """`formulas`, and that of torch for its compiler."""
    compiled = {"inductor": formulas["torch"]} if "torch" in formulas else {}
    return {**formulas, **compiled}


def eager_gradients(formulas: Mapping[str, Formula], wrt: int = 1) -> dict[str, Side]:
    """The same without compiling anything."""
    return {name: partial(EAGER_GRADIENT[name], formula, wrt) for name, formula in formulas.items()}


def numpy_value(formula: Formula, data: Data) -> Run:
    return partial(formula, np, *data.values())


def minigrad_value(formula: Formula, data: Data) -> Run:
    import minigrad as mg

    f = mg.function(partial(formula, mg), jit_compile=True)
    return partial(f, *map(mg.asarray, data.values()))


def jax_value(formula: Formula, data: Data) -> Run:
    import jax

    f = jax.jit(partial(formula, jax))
    xs = list(map(jax.numpy.asarray, data.values()))
    return lambda: jax.block_until_ready(f(*xs))


def torch_value(formula: Formula, data: Data) -> Run:
    import torch

    torch.set_grad_enabled(False)
    return partial(formula, torch, *map(torch.from_numpy, data.values()))


def inductor_value(formula: Formula, data: Data) -> Run:
    import torch

    torch.set_grad_enabled(False)
    f = torch.compile(partial(formula, torch))
    return partial(f, *map(torch.from_numpy, data.values()))


def tensorflow_value(formula: Formula, data: Data) -> Run:
    import tensorflow as tf

    f = tf.function(lambda *xs: formula(tf, *xs), jit_compile=True)
    return partial(f, *map(tf.constant, data.values()))


def minigrad_eager_gradient(formula: Formula, wrt: int, data: Data) -> Run:
    import minigrad as mg

    return partial(taped(mg, formula, wrt), *map(mg.asarray, data.values()))


def minigrad_gradient(formula: Formula, wrt: int, data: Data) -> Run:
    import minigrad as mg

    f = mg.function(taped(mg, formula, wrt), jit_compile=True)
    return partial(f, *map(mg.asarray, data.values()))


def tensorflow_gradient(formula: Formula, wrt: int, data: Data) -> Run:
    import tensorflow as tf

    f = tf.function(taped(tf, formula, wrt), jit_compile=True)
    return partial(f, *map(tf.constant, data.values()))


def taped(framework: Any, formula: Formula, wrt: int) -> Callable[..., Any]:
    """A formula and its gradient, by a GradientTape."""

    def value_and_gradient(*xs: Any) -> Any:
        with framework.GradientTape() as tape:
            for x in xs[:wrt]:
                tape.watch(x)
            y = formula(framework, *xs)
        return y, *tape.gradient(y, list(xs[:wrt]))

    return value_and_gradient


def jax_gradient(formula: Formula, wrt: int, data: Data) -> Run:
    import jax

    @jax.jit
    def value_and_gradient(*xs: Any) -> Any:
        y, pull = jax.vjp(lambda *ws: formula(jax, *ws, *xs[wrt:]), *xs[:wrt])
        return y, *pull(jax.numpy.ones_like(y))

    xs = list(map(jax.numpy.asarray, data.values()))
    return lambda: jax.block_until_ready(value_and_gradient(*xs))


def inductor_gradient(formula: Formula, wrt: int, data: Data) -> Run:
    import torch

    compiled = torch.compile(lambda *xs: formula(torch, *xs))
    return torch_gradient(lambda _, *xs: compiled(*xs), wrt, data)


def torch_gradient(formula: Formula, wrt: int, data: Data) -> Run:
    import torch

    torch.set_grad_enabled(True)
    xs = [torch.from_numpy(x).requires_grad_(i < wrt) for i, x in enumerate(data.values())]

    def run() -> Any:
        y = formula(torch, *xs)
        return y.detach(), *torch.autograd.grad(y, xs[:wrt], torch.ones_like(y))

    return run


def autograd_gradient(formula: Formula, wrt: int, data: Data) -> Run:
    import autograd

    xs = tuple(data.values())
    f = autograd.make_vjp(lambda *ws: formula(autograd, *ws, *xs[wrt:]), tuple(range(wrt)))

    def run() -> Any:
        pull, y = f(*xs[:wrt])
        return y, *pull(np.ones_like(y))

    return run


VALUE = {
    "numpy": numpy_value,
    "minigrad": minigrad_value,
    "jax": jax_value,
    "torch": torch_value,
    "inductor": inductor_value,
    "tensorflow": tensorflow_value,
}
GRADIENT = {
    "minigrad": minigrad_gradient,
    "jax": jax_gradient,
    "torch": torch_gradient,
    "inductor": inductor_gradient,
    "tensorflow": tensorflow_gradient,
    "autograd": autograd_gradient,
}
EAGER_GRADIENT = {"minigrad": minigrad_eager_gradient, "torch": torch_gradient}
