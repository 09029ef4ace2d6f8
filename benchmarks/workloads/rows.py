"""Rows of a matrix, reduced and put to use again: the shape of transformers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.frameworks import gradients, values
from benchmarks.workload import Data, Workload

EPSILON = 1e-5


def matrix(rows: int, columns: int) -> Callable[[np.random.Generator], Data]:
    """Normally distributed float32 numbers."""
    return lambda rng: {"x": rng.standard_normal((rows, columns), np.float32)}


def scored(rng: np.random.Generator) -> Data:
    """Scores of 4096 rows for 1000 classes, and the right class of each row."""
    return {**matrix(4096, 1000)(rng), "labels": rng.integers(0, 1000, 4096)}


def scaled(rng: np.random.Generator) -> Data:
    """4096 rows of 1024, with a gain and a bias for each column."""
    vectors = {name: rng.standard_normal(1024, np.float32) for name in ("gamma", "beta")}
    return {**matrix(4096, 1024)(rng), **vectors}


def softmax_in_numpy(np: Any, x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy_in_jax(jax: Any, x: Any, labels: Any) -> Any:
    scores = jax.nn.log_softmax(x)
    return -jax.numpy.take_along_axis(scores, labels[:, None], axis=1)[:, 0]


def layer_norm_in_jax(jax: Any, x: Any, gamma: Any, beta: Any) -> Any:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + EPSILON) * gamma + beta


def layer_norm_in_tensorflow(tf: Any, x: Any, gamma: Any, beta: Any) -> Any:
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + EPSILON) * gamma + beta


SOFTMAX = {
    "numpy": softmax_in_numpy,
    "minigrad": lambda mg, x: mg.nn.softmax(x),
    "jax": lambda jax, x: jax.nn.softmax(x),
    "torch": lambda torch, x: torch.softmax(x, -1),
    "tensorflow": lambda tf, x: tf.nn.softmax(x),
}

WORKLOADS = {
    "softmax": Workload(
        "softmax of 4096 rows of 1000",
        matrix(4096, 1000),
        values(SOFTMAX),
        bytes=2 * 4 * 4096 * 1000,
    ),
    "softmax_short": Workload(
        "softmax of 100,000 rows of 10",
        matrix(100_000, 10),
        values(SOFTMAX),
        bytes=2 * 4 * 100_000 * 10,
    ),
    "lengths": Workload(
        "lengths of 1,000,000 vectors in space, value and gradient",
        matrix(1_000_000, 3),
        gradients(
            {
                "minigrad": lambda mg, x: mg.sqrt(mg.sum(x * x, axis=-1)),
                "jax": lambda jax, x: jax.numpy.sqrt((x * x).sum(-1)),
                "torch": lambda torch, x: (x * x).sum(-1).sqrt(),
                "tensorflow": lambda tf, x: tf.sqrt(tf.reduce_sum(x * x, -1)),
            }
        ),
    ),
    "cross_entropy": Workload(
        "softmax cross-entropy of 4096 rows of 1000, value and gradient",
        scored,
        gradients(
            {
                "minigrad": lambda mg, x, labels: mg.nn.softmax_cross_entropy(x, labels),
                "jax": cross_entropy_in_jax,
                "torch": lambda torch, x, labels: torch.nn.functional.cross_entropy(
                    x, labels, reduction="none"
                ),
                "tensorflow": lambda tf, x, labels: tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels, x
                ),
            }
        ),
    ),
    "layer_norm": Workload(
        "layer norm of 4096 rows of 1024, value and gradients",
        scaled,
        gradients(
            {
                "minigrad": lambda mg, x, gamma, beta: mg.nn.layer_norm(
                    x, gamma, beta, eps=EPSILON
                ),
                "jax": layer_norm_in_jax,
                "torch": lambda torch, x, gamma, beta: torch.nn.functional.layer_norm(
                    x, x.shape[-1:], gamma, beta, EPSILON
                ),
                "tensorflow": layer_norm_in_tensorflow,
            },
            wrt=3,
        ),
    ),
}
