"""What a body uses without being given it, and what leaves it through NumPy."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import EscapedGradientError, GradientError
from tests.unit.modes import both, same

F32, F64 = mg.float32, mg.float64
GLOBAL_VARIABLE = mg.Variable([1.0, 2.0])
GLOBAL_TENSOR = mg.constant([3.0, 4.0])


def slopes(f: Any, x: Any, *more: Any) -> Any:
    """The gradients of the sum of `f(x)` by `x` and whatever else."""
    with mg.GradientTape() as tape:
        tape.watch([x, *[w for w in more if isinstance(w, mg.Tensor)]])
        y = f(x)
    return tape.gradient(y, [x, *more])


# what the body uses without being given it


class Holder:
    """An object that is no Module."""

    def __init__(self) -> None:
        self.w = mg.Variable([1.0, 2.0])
        self.parts = {"t": mg.constant([3.0, 4.0])}

    def body(self, x: Any) -> Any:
        return self.helper(x) * self.parts["t"]

    def helper(self, x: Any) -> Any:
        return x * self.w

    def __call__(self, x: Any) -> Any:
        return self.body(x)


def helper(x: Any) -> Any:
    return sum(z * GLOBAL_VARIABLE for z in [x]) * GLOBAL_TENSOR


def through_globals(x: Any) -> Any:
    return helper(x)


def closures() -> list[Any]:
    """Bodies that compute x * w * t, and the w and t that they use by some other way."""
    v, t = mg.Variable([1.0, 2.0]), mg.constant([3.0, 4.0])
    holder, space = Holder(), SimpleNamespace(nest=[{"v": v}, SimpleNamespace(t=t)])

    def inner(x: Any) -> Any:
        return x * v

    @wraps(inner)
    def decorated(x: Any) -> Any:
        return inner(x) * t

    class Module(mg.Module):
        def __init__(self) -> None:
            self.layers = [v]
            self.t = t

        def __call__(self, x: Any) -> Any:
            return x * self.layers[0] * self.t

    module, traced = Module(), mg.function(lambda x: x * v)
    return [
        ("closure", lambda x: x * v * t, v, t),
        ("defaults", lambda x, v=v, *, t=t: x * v * t, v, t),
        ("lists", lambda x, both=[v, t]: x * both[0] * both[1], v, t),
        ("nested", lambda x: (lambda: inner(x))() * t, v, t),
        ("decorated", decorated, v, t),
        ("partial", partial(lambda v, x, t: x * v * t, v, t=t), v, t),
        ("namespace", lambda x: x * space.nest[0]["v"] * space.nest[1].t, v, t),
        ("method", holder.body, holder.w, holder.parts["t"]),
        ("self", lambda x: holder.helper(x) * holder.parts["t"], holder.w, holder.parts["t"]),
        ("callable", holder, holder.w, holder.parts["t"]),
        ("module", module, v, t),
        ("in a module", lambda x: module(x), v, t),
        ("function", lambda x: traced(x) * t, v, t),
        ("globals", through_globals, GLOBAL_VARIABLE, GLOBAL_TENSOR),
    ]


@both
@pytest.mark.parametrize(("name", "body", "v", "t"), closures(), ids=lambda x: str(x)[:12])
def test_variables_and_tensors_used_without_being_given_have_their_gradient(
    mode: Any, name: str, body: Any, v: Any, t: Any
) -> None:
    x = mg.constant([5.0, 6.0])
    found = slopes(mode(lambda x: mg.py_function(body, [x], F32)), x, v, t)
    same(found, [np.array([3.0, 8.0]), np.array([15.0, 24.0]), np.array([5.0, 12.0])])


def test_a_variable_that_is_not_trainable_is_followed_if_it_is_watched() -> None:
    v = mg.Variable(3.0, trainable=False)
    f = mg.function(lambda x: mg.py_function(lambda x: x * v, [x], F32))
    with mg.GradientTape() as tape:
        tape.watch(v)
        y = f(mg.constant(2.0))
    same(tape.gradient(y, v), 2.0)


HIDDEN: dict[str, Any] = {}


def test_what_cannot_be_foreseen_is_refused_and_not_forgotten() -> None:
    HIDDEN.update(v=mg.Variable(3.0), t=mg.constant(2.0))

    def by_name(name: str) -> Any:
        return globals()["HID" + "DEN"][name]

    x = mg.constant(2.0)
    for name in ("v", "t"):
        f = mg.function(lambda x, name=name: mg.py_function(lambda x: x * by_name(name), [x], F32))
        with mg.GradientTape() as tape:
            tape.watch([x, HIDDEN["t"]])
            y = f(x)
        with pytest.raises(GradientError, match=r"pass (it|the Variable) in inp"):
            tape.gradient(y, [x, HIDDEN[name]])
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.py_function(lambda x, name=name: x * by_name(name), [x], F32)
        assert tape.gradient(y, x).item() == HIDDEN[name].numpy(), "eagerly all is seen"


# what left through NumPy


@both
@pytest.mark.parametrize(
    "body",
    [
        lambda x: mg.constant(np.sin(x.numpy())),
        lambda x: x * float(x),
        lambda x: x * x.item(),
        lambda x: x + np.asarray(x),
        lambda x: mg.sin(x) * (x * x).numpy(),
        lambda x: x * 2.0 * float(x),
        lambda x: x ** float(x),
        lambda x: x * (2.0 * float(x)),
        lambda x: mg.clip(x, 0.0, 1e3 * float(x)) * x,
        lambda x: mg.nn.leaky_relu(-x, float(x)),
        lambda x: mg.where(x > 0.0, mg.full((), float(x)), 2.0) * x,
        lambda x: mg.concat([x[None] * 2.0, mg.asarray([float(x)])]),
        lambda x: [float(x), mg.sin(x) * Holding.of(x)][1],
    ],
)
def test_a_value_that_left_through_numpy_is_never_a_silently_wrong_number(
    mode: Any, body: Any
) -> None:
    f = mode(lambda x: mg.py_function(body, [x], F32))
    x = mg.constant(2.0)
    f(x)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    with pytest.raises(EscapedGradientError, match=r"test_py_function_hidden\.py:\d+"):
        tape.gradient(y, x)


def log(value: Any) -> None:
    """Look at a value, and do nothing with it."""


RATE = 0.5


class Holding:
    """A number, held from the beginning, or since a value left."""

    rate = 0.25

    def __init__(self) -> None:
        self.rate = 0.5
        self.late = 0.0

    @classmethod
    def of(cls, x: Any) -> Any:
        holding = cls()
        holding.late = float(x)
        return holding.late


holding = Holding()
OWN_NUMBERS = [
    lambda x: (log(float(x)), x * 2.0)[1],
    lambda x: (log(float(x)), x + -2.0 * x + 3 * x)[1],
    lambda x: (log(x.item()), x / RATE)[1],
    lambda x: (log(x.numpy()), x / holding.rate)[1],
    lambda x: (log(float(x)), sum(x * w for w in (0.5, 1.5)))[1],
    lambda x, factor=2.0: (log(float(x)), log(x.item()), factor * x)[2],
    lambda x: (log(float(x)), mg.nn.leaky_relu(2.0 * x, slope=0.5))[1],
    lambda x: (log(float(x)), 2.0 * mg.nn.elu(x))[1],
    lambda x: (log(float(x)), mg.clip(2.0 * x, 0.5, 9.5))[1],
    lambda x: x * (2.0 if float(x) > 1.5 else 3.0),
]


@both
@pytest.mark.parametrize("body", OWN_NUMBERS)
def test_numbers_that_the_code_says_are_not_taken_for_what_escaped(mode: Any, body: Any) -> None:
    same(slopes(mode(lambda x: mg.py_function(body, [x], F32)), mg.constant(2.0)), [2.0])


@both
@pytest.mark.parametrize(
    "body",
    [
        lambda x: x * mg.stop_gradient(x).numpy(),
        lambda x: x * float(mg.stop_gradient(x)),
        lambda x: x * 2.0 if x > 0 else x,
        lambda x: (log(x.numpy()), x + x)[1],
    ],
)
def test_a_cut_that_is_meant_or_does_not_flow_out_is_no_error(mode: Any, body: Any) -> None:
    same(slopes(mode(lambda x: mg.py_function(body, [x], F32)), mg.constant(2.0)), [2.0])


def test_a_tape_in_a_function_follows_variables_that_a_body_uses_by_name():
    w = mg.Variable([2.0, 3.0])

    def gradients(x):
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.py_function(lambda x: x * x * w, [x], mg.float32)
        return [*tape.gradient(y, [x, w]), len(tape.watched_variables())]

    x = mg.constant([1.0, 4.0])
    for f in (gradients, mg.function(gradients), mg.function(gradients, jit_compile=True)):
        dx, dw, watched = f(x)
        assert dx.numpy().tolist() == [4.0, 24.0]
        assert dw.numpy().tolist() == [1.0, 16.0]
        assert watched == 1


@both
def test_a_thread_of_the_body_is_heard_in_a_copy_of_the_context(mode: Any) -> None:
    def body(x: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return x * pool.submit(copy_context().run, mg.sin, x).result()

    f = mode(lambda x: mg.py_function(body, [x], F64))
    x = mg.constant(2.0, F64)
    same(slopes(f, x), [np.sin(2.0) + 2.0 * np.cos(2.0)])
