"""Derivatives beyond the gradient: Hessian-vector products and Jacobians of a small MLP."""

from typing import Any

import numpy as np

from benchmarks.workload import Data, Run, Workload

SIZES = (16, 64, 64, 8)


def network(rng: np.random.Generator) -> Data:
    """Weights of a network, and one input with a direction."""
    n, m, k, out = SIZES
    shapes = {"w1": (n, m), "w2": (m, k), "w3": (k, out)}
    found = {
        name: rng.standard_normal(s, np.float32) * np.float32(s[0] ** -0.5)
        for name, s in shapes.items()
    }
    return {
        "x": rng.standard_normal(n, np.float32),
        "direction": rng.standard_normal(n, np.float32),
        **found,
    }


def outputs(tanh: Any, x: Any, w1: Any, w2: Any, w3: Any) -> Any:
    """The network at one input."""
    return tanh(tanh(x @ w1) @ w2) @ w3


def loss(tanh: Any, x: Any, *weights: Any) -> Any:
    """The sum of the squares of the outputs."""
    y = outputs(tanh, x, *weights)
    return (y * y).sum() if hasattr(y, "sum") else y @ y


def hvp_in_minigrad(data: Data) -> Run:
    import minigrad as mg

    x, direction, *weights = map(mg.asarray, data.values())

    @mg.function(jit_compile=True)
    def product(x: Any, direction: Any) -> Any:
        with mg.GradientTape() as outer:
            outer.watch(x)
            with mg.GradientTape() as inner:
                inner.watch(x)
                y = loss(mg.tanh, x, *weights)
            along = inner.gradient(y, x) @ direction
        return outer.gradient(along, x)

    return lambda: product(x, direction)


def hvp_in_jax(data: Data) -> Run:
    import jax

    x, direction, *weights = map(jax.numpy.asarray, data.values())

    @jax.jit
    def product(x: Any, direction: Any) -> Any:
        gradient = jax.grad(lambda x: loss(jax.numpy.tanh, x, *weights))
        return jax.jvp(gradient, (x,), (direction,))[1]

    return lambda: jax.block_until_ready(product(x, direction))


def hvp_in_torch(data: Data) -> Run:
    import torch

    torch.set_grad_enabled(True)
    x, direction, *weights = map(torch.from_numpy, data.values())
    gradient = torch.func.grad(lambda x: loss(torch.tanh, x, *weights))
    return lambda: torch.func.jvp(gradient, (x,), (direction,))[1]


def hvp_in_tensorflow(data: Data) -> Run:
    import tensorflow as tf

    x, direction, *weights = map(tf.constant, data.values())

    @tf.function(jit_compile=True)
    def product(x: Any, direction: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.tanh(tf.tanh(x[None] @ weights[0]) @ weights[1]) @ weights[2]
                y = tf.reduce_sum(y * y)
            along = tf.reduce_sum(inner.gradient(y, x) * direction)
        return outer.gradient(along, x)

    return lambda: product(x, direction)


def hvp_in_autograd(data: Data) -> Run:
    import autograd
    import autograd.numpy as anp

    x, direction, *weights = data.values()

    def squares(x: Any) -> Any:
        y = outputs(anp.tanh, x, *weights)
        return anp.sum(y * y)

    product = autograd.hessian_vector_product(squares)
    return lambda: product(x, direction)


def jacobian_in_minigrad(data: Data) -> Run:
    import minigrad as mg

    x, _, *weights = map(mg.asarray, data.values())
    f = mg.jacobian(lambda x: outputs(mg.tanh, x, *weights))
    compiled = mg.function(f, jit_compile=True)
    return lambda: compiled(x)


def jacobian_in_jax(data: Data) -> Run:
    import jax

    x, _, *weights = map(jax.numpy.asarray, data.values())
    f = jax.jit(jax.jacrev(lambda x: outputs(jax.numpy.tanh, x, *weights)))
    return lambda: jax.block_until_ready(f(x))


def jacobian_in_torch(data: Data) -> Run:
    import torch

    torch.set_grad_enabled(True)
    x, _, *weights = map(torch.from_numpy, data.values())
    f = torch.func.jacrev(lambda x: outputs(torch.tanh, x, *weights))
    return lambda: f(x)


def jacobian_in_tensorflow(data: Data) -> Run:
    import tensorflow as tf

    x, _, *weights = map(tf.constant, data.values())

    @tf.function(jit_compile=True)
    def f(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = (tf.tanh(tf.tanh(x[None] @ weights[0]) @ weights[1]) @ weights[2])[0]
        return tape.jacobian(y, x)

    return lambda: f(x)


def jacobian_in_autograd(data: Data) -> Run:
    import autograd
    import autograd.numpy as anp

    x, _, *weights = data.values()
    f = autograd.jacobian(lambda x: outputs(anp.tanh, x, *weights))
    return lambda: f(x)


WORKLOADS = {
    "hvp": Workload(
        f"Hessian-vector product of an MLP {'-'.join(map(str, SIZES))}, one input",
        network,
        {
            "minigrad": hvp_in_minigrad,
            "jax": hvp_in_jax,
            "torch": hvp_in_torch,
            "tensorflow": hvp_in_tensorflow,
            "autograd": hvp_in_autograd,
        },
    ),
    "jacobian": Workload(
        f"Jacobian of an MLP {'-'.join(map(str, SIZES))}, one input",
        network,
        {
            "minigrad": jacobian_in_minigrad,
            "jax": jacobian_in_jax,
            "torch": jacobian_in_torch,
            "tensorflow": jacobian_in_tensorflow,
            "autograd": jacobian_in_autograd,
        },
    ),
}
