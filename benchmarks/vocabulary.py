"""What formulas are written in: the same names for every framework's functions.

Each framework says what it has, as its own documentation would; what is missing in one, formulas
that need it do not run there. Images are (n, height, width, channels); filters are (height,
width, inputs, outputs).
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

Formula = Callable[..., Any]


def written_with(formula: Formula, *frameworks: str) -> Mapping[str, Formula]:
    """`formula(names, *arrays)` as a formula of each of the `frameworks`; by default of all."""

    def of(framework: str) -> Formula:
        return lambda _, *xs: formula(VOCABULARIES[framework](), *xs)

    return {name: of(name) for name in frameworks or VOCABULARIES}


def numpy_like(np: Any, special: Any) -> dict[str, Any]:
    """The names of NumPy and of all that follows it."""
    names = "exp log sqrt tanh cos sum max mean argmax transpose reshape concatenate maximum where"
    return {
        **{name: getattr(np, name) for name in names.split()},
        "erf": special.erf,
        "logsumexp": special.logsumexp,
        "cumsum": lambda x, axis: np.cumsum(x, axis=axis),
        "matvec": np.matmul,
        "relu": lambda x: np.maximum(x, 0),
        "softmax": lambda x: softmax_by_hand(np, x),
        "log_softmax": lambda x: x - special.logsumexp(x, axis=-1, keepdims=True),
        "layer_norm": partial(layer_norm_by_hand, np),
        "cross_entropy": lambda scores, labels: cross_entropy_by_hand(np, special, scores, labels),
    }


def softmax_by_hand(np: Any, x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def layer_norm_by_hand(np: Any, x: Any, gamma: Any, beta: Any) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gamma + beta


def cross_entropy_by_hand(np: Any, special: Any, scores: Any, labels: Any) -> Any:
    rows = np.arange(len(labels))
    return np.mean(special.logsumexp(scores, axis=-1) - scores[rows, labels])


@cache
def in_numpy() -> SimpleNamespace:
    import numpy
    import scipy.special

    return SimpleNamespace(**numpy_like(numpy, scipy.special))


@cache
def in_autograd() -> SimpleNamespace:
    import autograd.numpy
    import autograd.scipy.special

    return SimpleNamespace(**numpy_like(autograd.numpy, autograd.scipy.special))


@cache
def in_minigrad() -> SimpleNamespace:
    import minigrad as mg

    names = "exp log sqrt tanh cos sum max mean argmax reshape maximum where"
    return SimpleNamespace(
        **{name: getattr(mg, name) for name in names.split()},
        concatenate=mg.concat,
        transpose=mg.permute_dims,
        cumsum=lambda x, axis: mg.cumulative_sum(x, axis=axis),
        erf=mg.special.erf,
        matvec=mg.matmul,
        logsumexp=lambda x, axis: mg.nn.logsumexp(x, axis),
        relu=mg.nn.relu,
        softmax=mg.nn.softmax,
        log_softmax=mg.nn.log_softmax,
        layer_norm=mg.nn.layer_norm,
        cross_entropy=lambda scores, labels: mg.mean(mg.nn.softmax_cross_entropy(scores, labels)),
        conv=mg.nn.conv2d,
        max_pool=lambda x: mg.nn.max_pool2d(x, 2),
    )


@cache
def in_jax() -> SimpleNamespace:
    import jax
    import jax.numpy as jnp

    def cross_entropy(scores: Any, labels: Any) -> Any:
        chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], axis=1)
        return -chosen.mean()

    def conv(x: Any, w: Any) -> Any:
        order = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=order)

    def max_pool(x: Any) -> Any:
        window = (1, 2, 2, 1)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")

    return SimpleNamespace(
        **numpy_like(jnp, jax.scipy.special)
        | {
            "softmax": jax.nn.softmax,
            "log_softmax": jax.nn.log_softmax,
            "cross_entropy": cross_entropy,
            "conv": conv,
            "max_pool": max_pool,
        }
    )


@cache
def in_torch() -> SimpleNamespace:
    import torch
    from torch.nn import functional

    def conv(x: Any, w: Any) -> Any:
        y = functional.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1))
        return y.permute(0, 2, 3, 1)

    def max_pool(x: Any) -> Any:
        return functional.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)

    names = "exp log sqrt tanh cos erf sum mean argmax reshape where cumsum logsumexp"
    return SimpleNamespace(
        **{name: getattr(torch, name) for name in names.split()},
        max=torch.amax,
        maximum=lambda x, y: torch.clamp(x, min=y),
        concatenate=torch.cat,
        transpose=torch.permute,
        matvec=torch.matmul,
        relu=torch.relu,
        softmax=lambda x: torch.softmax(x, -1),
        log_softmax=lambda x: torch.log_softmax(x, -1),
        layer_norm=lambda x, gamma, beta: functional.layer_norm(x, x.shape[-1:], gamma, beta, 1e-5),
        cross_entropy=functional.cross_entropy,
        conv=conv,
        max_pool=max_pool,
    )


@cache
def in_tensorflow() -> SimpleNamespace:
    import tensorflow as tf

    def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-5) * gamma + beta

    def cross_entropy(scores: Any, labels: Any) -> Any:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores)
        return tf.reduce_mean(losses)

    return SimpleNamespace(
        **{name: getattr(tf.math, name) for name in ("exp", "log", "sqrt", "tanh", "cos", "erf")},
        sum=tf.reduce_sum,
        max=tf.reduce_max,
        mean=tf.reduce_mean,
        argmax=tf.argmax,
        reshape=tf.reshape,
        maximum=tf.maximum,
        where=tf.where,
        concatenate=tf.concat,
        transpose=tf.transpose,
        cumsum=lambda x, axis: tf.cumsum(x, axis),
        logsumexp=tf.reduce_logsumexp,
        matvec=tf.linalg.matvec,
        relu=tf.nn.relu,
        softmax=tf.nn.softmax,
        log_softmax=tf.nn.log_softmax,
        layer_norm=layer_norm,
        cross_entropy=cross_entropy,
        conv=lambda x, w: tf.nn.conv2d(x, w, 1, "VALID"),
        max_pool=lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
    )


VOCABULARIES: dict[str, Callable[[], SimpleNamespace]] = {
    "numpy": in_numpy,
    "minigrad": in_minigrad,
    "jax": in_jax,
    "torch": in_torch,
    "tensorflow": in_tensorflow,
    "autograd": in_autograd,
}
