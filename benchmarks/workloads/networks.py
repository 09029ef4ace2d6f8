"""Blocks of networks, value and gradients: attention, convolution, logistic regression."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.frameworks import gradients
from benchmarks.vocabulary import written_with
from benchmarks.workload import Data, Workload

# --- a transformer block ----------------------------------------------------------------------


def tokens(batch: int, length: int, width: int) -> Callable[[np.random.Generator], Data]:
    """Embedded tokens, and the weights of one block, drawn for signals of size one."""
    shapes = {
        "x": (batch, length, width),
        **{"gain1": (width,), "bias1": (width,), "qkv": (width, 3 * width), "out": (width, width)},
        **{"gain2": (width,), "bias2": (width,), "up": (width, 4 * width), "up_bias": (4 * width,)},
        **{"down": (4 * width, width), "down_bias": (width,)},
    }

    def draw(rng: np.random.Generator) -> Data:
        found = {}
        for name, shape in shapes.items():
            scale = np.float32(shape[0] ** -0.5 if len(shape) == 2 else 1)
            found[name] = rng.standard_normal(shape, np.float32) * scale
        return found

    return draw


def transformer(heads: int) -> Callable[..., Any]:
    """A block before whose parts stands a layer norm. Vaswani et al. (2017); Xiong et al. (2020).

    Its value is the mean square of its output.
    """

    def block(v: Any, x: Any, *weights: Any) -> Any:
        gain1, bias1, qkv, out, gain2, bias2, up, up_bias, down, down_bias = weights
        batch, length, width = x.shape
        size = width // heads

        def headed(y: Any) -> Any:
            return v.transpose(v.reshape(y, (batch, length, heads, size)), (0, 2, 1, 3))

        y = v.layer_norm(x, gain1, bias1) @ qkv
        q, k, z = (headed(y[:, :, i * width : (i + 1) * width]) for i in range(3))
        scores = (q @ v.transpose(k, (0, 1, 3, 2))) * size**-0.5
        mixed = v.transpose(v.softmax(scores) @ z, (0, 2, 1, 3))
        x = x + v.reshape(mixed, (batch, length, width)) @ out
        y = v.layer_norm(x, gain2, bias2) @ up + up_bias
        y = 0.5 * y * (1 + v.tanh(0.7978845608 * (y + 0.044715 * y * y * y)))
        x = x + y @ down + down_bias
        return v.mean(x * x)

    return block


# --- a convolutional network ------------------------------------------------------------------


def digits(rng: np.random.Generator) -> Data:
    """64 images of 28 x 28, their classes, and the weights of LeNet."""
    shapes = [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,)]
    shapes += [(256, 120), (120,), (120, 84), (84,), (84, 10), (10,)]
    found = {}
    for k, shape in enumerate(shapes):
        scale = (2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.1
        found[f"w{k}"] = rng.standard_normal(shape, np.float32) * np.float32(scale)
    images = rng.standard_normal((64, 28, 28, 1), np.float32)
    return {**found, "images": images, "labels": rng.integers(0, 10, 64)}


def lenet(v: Any, *arrays: Any) -> Any:
    """The loss of LeNet. LeCun et al. (1998), with maxima for means and relu for tanh."""
    w1, b1, w2, b2, w3, b3, w4, b4, w5, b5, x, labels = arrays
    x = v.max_pool(v.relu(v.conv(x, w1) + b1))
    x = v.max_pool(v.relu(v.conv(x, w2) + b2))
    x = v.relu(v.reshape(x, (64, 256)) @ w3 + b3)
    return v.cross_entropy(v.relu(x @ w4 + b4) @ w5 + b5, labels)


# --- logistic regression ----------------------------------------------------------------------


def classified(rng: np.random.Generator) -> Data:
    """100 000 points with 100 coordinates, of two classes, and weights."""
    x = rng.standard_normal((100_000, 100), np.float32)
    w = rng.standard_normal(100, np.float32) * np.float32(0.1)
    return {"w": w, "x": x, "y": (rng.random(100_000) < 0.5).astype(np.float32)}


def logistic(v: Any, w: Any, x: Any, y: Any) -> Any:
    """The mean loss of logistic regression: log(1 + e^z) - y z, for z = x w."""
    z = v.matvec(x, w)
    return v.mean(v.maximum(z, 0.0 * z) + v.log(1 + v.exp(-abs(z))) - y * z)


def with_images(formula: Callable[..., Any]) -> Any:
    """The formula for all frameworks that have convolutions."""
    return written_with(formula, "minigrad", "jax", "torch", "tensorflow")


WORKLOADS = {
    "transformer": Workload(
        "transformer block, batch 8, 64 tokens of 128, 4 heads, value and 11 gradients",
        tokens(8, 64, 128),
        gradients(written_with(transformer(4)), wrt=11),
    ),
    "transformer_large": Workload(
        "transformer block, batch 4, 256 tokens of 256, 8 heads, value and 11 gradients",
        tokens(4, 256, 256),
        gradients(written_with(transformer(8)), wrt=11),
    ),
    "lenet": Workload(
        "LeNet on 64 images of 28 x 28, loss and 10 gradients",
        digits,
        gradients(with_images(lenet), wrt=10),
    ),
    "logistic": Workload(
        "logistic regression of 1e5 points with 100 coordinates, loss and gradient",
        classified,
        gradients(written_with(logistic)),
        bytes=4 * 10**7,
    ),
}
