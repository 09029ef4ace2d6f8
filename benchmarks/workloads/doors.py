"""What leaving the graph costs: Python and NumPy bodies in functions, and loops of many rounds."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.frameworks import gradients, taped, values
from benchmarks.workload import Data, Run, Target, Workload
from benchmarks.workloads.overhead import vectors

ROUNDS, BATCH, WIDTH = 64, 32, 64


# --- NumPy in a function ------------------------------------------------------------------------


def sinh_in_minigrad(data: Data) -> Run:
    import minigrad as mg

    @mg.function
    def f(x: Any) -> Any:
        y = mg.numpy_function(np.sinh, [x], mg.float32)
        return y * y

    return partial(f, mg.asarray(data["x"]))


def sinh_in_tensorflow(data: Data) -> Run:
    import tensorflow as tf

    @tf.function
    def f(x: Any) -> Any:
        y = tf.numpy_function(np.sinh, [x], tf.float32)
        return y * y

    return partial(f, tf.constant(data["x"]))


def sinh_in_jax(data: Data) -> Run:
    import jax

    @jax.jit
    def f(x: Any) -> Any:
        spec = jax.ShapeDtypeStruct(x.shape, x.dtype)
        y = jax.pure_callback(lambda v: np.sinh(np.asarray(v)), spec, x)
        return y * y

    x = jax.numpy.asarray(data["x"])
    return lambda: jax.block_until_ready(f(x))


# --- Python in a function, differentiated -------------------------------------------------------


def decided(framework: Any, total: Callable[[Any], Any], x: Any, w: Any) -> Any:
    """A body that decides by a value which of two things to compute."""
    y = x * w
    if total(y) > 0:
        return framework.tanh(y) + x
    return framework.exp(-y * y) * w


def door_in(framework: Any, total: Callable[[Any], Any], *, traced: bool) -> Any:
    """A function that calls the body through py_function, and returns value and gradients."""

    def through_the_door(framework: Any, x: Any, w: Any) -> Any:
        body = partial(decided, framework, total)
        return framework.py_function(body, [x, w], framework.float32)

    f = taped(framework, through_the_door, 2)
    return framework.function(f) if traced else f


def door_in_minigrad(traced: bool, data: Data) -> Run:
    import minigrad as mg

    return partial(door_in(mg, mg.sum, traced=traced), *map(mg.asarray, data.values()))


def door_in_tensorflow(traced: bool, data: Data) -> Run:
    import tensorflow as tf

    f = door_in(tf, tf.reduce_sum, traced=traced)
    return partial(f, *map(tf.constant, data.values()))


def body_in_torch(data: Data) -> Run:
    import torch

    from benchmarks.frameworks import torch_gradient

    return torch_gradient(lambda _, x, w: decided(torch, torch.sum, x, w), 2, data)


def doors(traced: bool) -> dict[str, Any]:
    return {
        "minigrad": partial(door_in_minigrad, traced),
        "torch": body_in_torch,
        "tensorflow": partial(door_in_tensorflow, traced),
    }


# --- loops --------------------------------------------------------------------------------------


def sequence(rng: np.random.Generator) -> Data:
    """A first state, a matrix that keeps states from growing, and what comes in at each round."""
    return {
        "h": rng.standard_normal((BATCH, WIDTH), np.float32),
        "w": rng.standard_normal((WIDTH, WIDTH), np.float32) / np.float32(WIDTH**0.5),
        "xs": rng.standard_normal((ROUNDS, BATCH, WIDTH), np.float32),
    }


def rnn_in_minigrad(mg: Any, h: Any, w: Any, xs: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = mg.tanh(h @ w + x)
        return h, h

    return mg.scan(step, h, xs)[1]


def rnn_in_jax(jax: Any, h: Any, w: Any, xs: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = jax.numpy.tanh(h @ w + x)
        return h, h

    return jax.lax.scan(step, h, xs)[1]


def rnn_in_torch(torch: Any, h: Any, w: Any, xs: Any) -> Any:
    hs = []
    for x in xs:
        h = torch.tanh(h @ w + x)
        hs.append(h)
    return torch.stack(hs)


def rnn_in_tensorflow(tf: Any, h: Any, w: Any, xs: Any) -> Any:
    return tf.scan(lambda h, x: tf.tanh(h @ w + x), xs, h)


def rnn_in_numpy(np: Any, h: Any, w: Any, xs: Any) -> Any:
    hs = np.empty_like(xs)
    for t, x in enumerate(xs):
        h = np.tanh(h @ w + x, out=hs[t])
    return hs


RNN = {
    "minigrad": rnn_in_minigrad,
    "jax": rnn_in_jax,
    "torch": rnn_in_torch,
    "tensorflow": rnn_in_tensorflow,
}
LOOP = f"scan of {ROUNDS} rounds tanh(h @ w + x), h of {BATCH}x{WIDTH}"

WORKLOADS = {
    "numpy_function": Workload(
        "numpy_function of a vector of 8 in a function (jax: pure_callback)",
        vectors("x"),
        sides={
            "minigrad": sinh_in_minigrad,
            "jax": sinh_in_jax,
            "tensorflow": sinh_in_tensorflow,
        },
        targets=(Target("jax", times=0.2), Target("tensorflow", times=0.2)),
    ),
    "py_function": Workload(
        "py_function of vectors of 8 with an `if`, in a function, forward and gradient "
        "(torch: the body)",
        vectors("x", "w"),
        sides=doors(traced=True),
        targets=(Target("torch"), Target("tensorflow", times=1 / 3)),
    ),
    "py_function_eager": Workload(
        "the same eagerly",
        vectors("x", "w"),
        sides=doors(traced=False),
        targets=(Target("torch"), Target("tensorflow", times=1 / 3)),
    ),
    "scan": Workload(
        LOOP,
        sequence,
        values({"numpy": rnn_in_numpy, **RNN}),
        targets=(Target("jax"),),
    ),
    "scan_gradient": Workload(
        f"{LOOP}, value and gradients",
        sequence,
        gradients(RNN, wrt=3),
        targets=(Target("jax"),),
    ),
}
