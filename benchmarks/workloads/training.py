"""A whole training step: forward, backward and optimizer in one compiled function."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.workload import Data, Run, Target, Workload

RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8


def network(batch: int, *sizes: int) -> Callable[[np.random.Generator], Data]:
    """A batch, and He-initialised weights `w0 b0 w1 b1 ...` of layers of `sizes`."""

    def draw(rng: np.random.Generator) -> Data:
        arrays: dict[str, np.ndarray] = {
            "x": rng.standard_normal((batch, sizes[0]), np.float32),
            "labels": rng.integers(0, sizes[-1], batch),
        }
        for i, (n, m) in enumerate(pairwise(sizes)):
            scale = np.float32((2 / n) ** 0.5)
            arrays[f"w{i}"] = rng.standard_normal((n, m), np.float32) * scale
            arrays[f"b{i}"] = np.zeros(m, np.float32)
        return arrays

    return draw


def parameters(data: Data) -> list[np.ndarray]:
    """The weights of `data`, copied, for training overwrites them."""
    return [array.copy() for name, array in data.items() if name not in ("x", "labels")]


def logits(relu: Any, parameters: Sequence[Any], x: Any) -> Any:
    """The network, in anyone's operators."""
    *hidden, w, b = parameters
    for i in range(0, len(hidden), 2):
        x = relu(x @ hidden[i] + hidden[i + 1])
    return x @ w + b


def adam(sqrt: Any, w: Any, m: Any, v: Any, g: Any, t: Any) -> tuple[Any, Any, Any]:
    """Step `t` of Adam: the new weight and moments. Kingma and Ba (2015), algorithm 1."""
    m = BETA1 * m + (1 - BETA1) * g
    v = BETA2 * v + (1 - BETA2) * g * g
    return (
        w - RATE * (m / (1 - BETA1**t)) / (sqrt(v / (1 - BETA2**t)) + EPSILON),
        m,
        v,
    )


def in_minigrad(data: Data) -> Run:
    import minigrad as mg

    weights = [mg.Variable(array) for array in parameters(data)]
    optimizer = mg.optimizers.Adam(RATE, beta1=BETA1, beta2=BETA2, eps=EPSILON)

    @mg.function(jit_compile=True)
    def step(x: Any, labels: Any) -> Any:
        with mg.GradientTape() as tape:
            losses = mg.nn.softmax_cross_entropy(logits(mg.nn.relu, weights, x), labels)
            loss = mg.mean(losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    x, labels = mg.asarray(data["x"]), mg.asarray(data["labels"])
    return lambda: step(x, labels)


def in_jax(data: Data) -> Run:
    import jax
    import jax.numpy as jnp

    def loss_of(weights: Any, x: Any, labels: Any) -> Any:
        scores = jax.nn.log_softmax(logits(jax.nn.relu, weights, x))
        return -jnp.take_along_axis(scores, labels[:, None], axis=1).mean()

    def update(state: Any, x: Any, labels: Any) -> Any:
        weights, means, squares, t = state
        loss, grads = jax.value_and_grad(loss_of)(weights, x, labels)
        moved = [
            adam(jnp.sqrt, *wmvg, t) for wmvg in zip(weights, means, squares, grads, strict=True)
        ]
        return (*map(list, zip(*moved, strict=True)), t + 1), loss

    step = jax.jit(update, donate_argnums=0)
    weights = list(map(jnp.asarray, parameters(data)))
    state: Any = (weights, [0 * w for w in weights], [0 * w for w in weights], jnp.float32(1))
    x, labels = jnp.asarray(data["x"]), jnp.asarray(data["labels"])

    def run() -> Any:
        nonlocal state
        state, loss = step(state, x, labels)
        jax.block_until_ready(state)
        return loss

    return run


def in_torch(data: Data) -> Run:
    import torch

    torch.set_grad_enabled(True)
    weights = [torch.from_numpy(array).requires_grad_() for array in parameters(data)]
    adam = torch.optim.Adam(weights, RATE, (BETA1, BETA2), EPSILON, fused=True)
    x, labels = torch.from_numpy(data["x"]), torch.from_numpy(data["labels"])

    def run() -> Any:
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits(torch.relu, weights, x), labels)
        loss.backward()
        adam.step()
        return loss.detach()

    return run


def in_tensorflow(data: Data) -> Run:
    import tensorflow as tf

    weights = list(map(tf.Variable, parameters(data)))
    means = [tf.Variable(tf.zeros_like(w)) for w in weights]
    squares = [tf.Variable(tf.zeros_like(w)) for w in weights]
    count = tf.Variable(1.0)

    @tf.function(jit_compile=True)
    def step(x: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            scores = logits(tf.nn.relu, weights, x)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores)
            loss = tf.reduce_mean(losses)
        grads = tape.gradient(loss, weights)
        for w, m, v, g in zip(weights, means, squares, grads, strict=True):
            for old, new in zip((w, m, v), adam(tf.sqrt, w, m, v, g, count), strict=True):
                old.assign(new)
        count.assign_add(1.0)
        return loss

    x, labels = tf.constant(data["x"]), tf.constant(data["labels"])
    return lambda: step(x, labels)


SIDES = {
    "minigrad": in_minigrad,
    "jax": in_jax,
    "torch": in_torch,
    "tensorflow": in_tensorflow,
}

WORKLOADS = {
    "mlp": Workload(
        "train an MLP 784-512-256-10, batch 128, Adam",
        network(128, 784, 512, 256, 10),
        SIDES,
        targets=(Target("jax", times=1.3),),
        checks=5,
    ),
    "mlp_tiny": Workload(
        "train an MLP 2-16-16-2, batch 100, Adam", network(100, 2, 16, 16, 2), SIDES, checks=5
    ),
}
