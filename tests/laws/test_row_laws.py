"""A jacobian by one walk, back or forward, has the rows that come of one walk for each."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import rows
from minigrad import tape as tapes
from minigrad.core.registry import OPS
from minigrad.errors import MinigradError
from minigrad.testing.applications import is_inexact
from minigrad.testing.programs import Program, programs
from minigrad.testing.strategies import applications, names
from tests.laws.budget import examples


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """NumPy warns of inf and nan."""
    with np.errstate(all="ignore"):
        yield


def jacobians(f: Callable[..., Any]) -> Callable[..., Any]:
    """The jacobians of all floating results of `f` by all of its arguments; of ends, None."""

    def wrapper(*xs: Any) -> Any:
        xs = tuple([mg.asarray(x) * 1 for x in xs])
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(xs)
            ys = [y for y in f(*xs) if is_inexact(y)]
        return [tape.jacobian(y, list(xs)) for y in ys]

    return wrapper


def answer(few: int, chunk: int, f: Callable[..., Any], xs: Any, tall: int = 4) -> Any:
    """What `f(*xs)` gives, or the error; jacobians with so `few` rows by a walk for each.

    tall: how many times as many rows as columns there are where the walk goes forward.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "TALL", tall)
        patch.setattr(tapes, "FEW", few)
        patch.setattr(tapes, "CHUNK", chunk)
        try:
            return [[None if g is None else g.numpy() for g in row] for row in f(*xs)]
        except MinigradError as error:
            return type(error)


def assert_same_rows(
    f: Callable[..., Any], xs: Any, chunk: int, tall: int, scale: float = 1
) -> None:
    """Jacobians of many rows or columns at once, up to `chunk`, are those of one row at a time."""
    found, expected = answer(1, chunk, f, xs, tall), answer(10**9, 1, f, xs)
    if isinstance(expected, type):
        assert found is expected
        return
    for ours, theirs in zip(found, expected, strict=True):
        for y, z in zip(ours, theirs, strict=True):
            assert (y is None) == (z is None)
            if z is not None:
                assert (y.shape, y.dtype) == (z.shape, z.dtype)
                coarse = scale * {"e": 4e-3, "f": 1e-4, "F": 1e-4}.get(z.dtype.char, 1e-9)
                np.testing.assert_allclose(y, z, rtol=coarse, atol=coarse)


@pytest.mark.parametrize("name", names(lambda op: op.differentiable and not op.draws))
@examples(0.1)
@given(data=st.data())
def test_rows_through_an_op_agree(name: str, data: Any) -> None:
    application = data.draw(applications(name, smooth=True))
    places = application.smooth()
    tensors = application.tensors()

    def f(*moving: Any) -> Any:
        inputs = list(tensors)
        for i, x in zip(places, moving, strict=True):
            inputs[i] = x
        return application(*inputs)

    xs = [tensors[i] for i in places]
    chunk, tall = data.draw(st.sampled_from((1, 3, 128))), data.draw(st.sampled_from((0, 4)))
    assert_same_rows(jacobians(f), xs, chunk, tall)


MODES: dict[str, Callable[[Any], Any]] = {
    "eagerly": jacobians,
    "of a function": lambda f: jacobians(mg.function(f)),
    "in a function": lambda f: mg.function(jacobians(f)),
}


@pytest.mark.parametrize("mode", MODES)
@examples(0.4)
@given(program=programs(most=8), chunk=st.sampled_from((2, 128)), tall=st.sampled_from((0, 4)))
def test_rows_of_programs_agree(mode: str, program: Program, chunk: int, tall: int) -> None:
    def anew(*xs: Any) -> Any:
        return MODES[mode](program.function)(*xs)  # what was traced keeps its way of walking

    assert_same_rows(anew, program.tensors(), chunk, tall, 100)


@pytest.mark.parametrize("made", [lambda f: f, mg.function, mg.function(jit_compile=True)])
def test_third_derivatives_by_rows(made: Any) -> None:
    x = mg.constant(np.linspace(0.5, 1.5, 5))
    third = made(mg.jacobian(mg.hessian(lambda x: mg.sum(mg.exp(x)) * x[0])))(x).numpy()
    e = np.exp(x.numpy())
    i = np.arange(5)
    expected = np.zeros((5, 5, 5))
    expected[i, i, i] = e * x.numpy()[0]
    for axes in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        np.transpose(expected, axes)[0, i, i] += e
    np.testing.assert_allclose(third, expected, rtol=1e-12)


def test_rows_of_an_open_persistent_tape_are_recorded() -> None:
    x = mg.constant(np.linspace(0.5, 1.5, 6))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        jacobian = tape.jacobian(mg.sin(x) * x, x)
        trace = mg.sum(jacobian)
    v = x.numpy()
    np.testing.assert_allclose(tape.gradient(trace, x).numpy(), 2 * np.cos(v) - v * np.sin(v))


def test_a_rule_by_hand_is_asked_for_each_row() -> None:
    """It is Python, which may look at values, and have effects."""
    seen: list[int] = []

    @mg.custom_gradient
    def double(x: Any) -> Any:
        return x * 2, lambda g: seen.append(int(mg.argmax(g))) or g * 2

    x = mg.ones((5,))
    np.testing.assert_array_equal(mg.jacobian(double)(x).numpy(), 2 * np.eye(5))
    assert seen == [0, 1, 2, 3, 4]


def test_rows_with_and_without_a_path() -> None:
    x, u = mg.ones((6,)), mg.ones((2,))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([x, u])
        y = x * x
    found = tape.jacobian(y, [x, u], unconnected_gradients="zero")
    np.testing.assert_array_equal(found[0].numpy(), 2 * np.eye(6))
    np.testing.assert_array_equal(found[1].numpy(), np.zeros((6, 2)))
    assert tape.jacobian(y, [u, x])[0] is None
    with pytest.raises(mg.errors.GradientError, match="no recorded op"):
        tape.jacobian(y, [x, u], unconnected_gradients="raise")


def test_a_walk_takes_many_rows() -> None:
    """The rule of an op runs once for all rows, and once more for each further chunk."""
    calls: list[Any] = []
    op = OPS["tanh"]
    (rule,) = op.vjps or ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(op, "vjps", (lambda g, y, x: calls.append(g.shape) or rule(g, y, x),))
        mg.jacobian(mg.tanh)(mg.ones((tapes.CHUNK + 1,)))
    assert calls == [(tapes.CHUNK + 1,)] * 2


EDGES: dict[str, Callable[[Any], Any]] = {
    "power": lambda x: x**0.5,
    "sqrt": mg.sqrt,
    "log": lambda x: mg.nn.softmax(mg.log(x)),
    "call": mg.function(mg.sqrt),
    "loop": lambda x: mg.fori_loop(0, 2, lambda i, y: mg.sqrt(y), x),
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("made", [lambda f: f, mg.function(jit_compile=True)])
def test_an_infinite_derivative_spoils_nothing_beside_it(name: str, made: Any) -> None:
    """0 times infinity is NaN: a walk forward comes to the zeros after the infinity."""
    weights = np.linspace(-1, 1, 20)[:, None] * [0.0, 1.0, 1.0]

    def f(x: Any) -> Any:
        return mg.sum(mg.constant(weights) * EDGES[name](x), axis=1)

    x = mg.constant([0.0, 1.0, 2.0], mg.float64)
    found = made(mg.jacobian(f))(x).numpy()
    rows = np.stack([made(mg.grad(lambda x, i=i: f(x)[i]))(x).numpy() for i in range(20)])
    np.testing.assert_allclose(found, rows, rtol=1e-12)
    assert np.isfinite(rows[:, 1:]).all()


def test_of_few_numbers_and_many_results_the_columns_are_walked_forward() -> None:
    """The rule of an op runs once for three columns, and not for each chunk of rows."""
    calls: list[Any] = []
    op = OPS["tanh"]
    (rule,) = op.vjps or ()
    count = tapes.CHUNK + 1
    matrix = mg.constant(np.sin(np.arange(3.0 * count)).reshape(count, 3))
    x = mg.constant(np.array([0.3, -0.2, 0.1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(op, "vjps", (lambda g, y, x: calls.append(g.shape) or rule(g, y, x),))
        found = mg.jacobian(lambda x: mg.tanh(matrix @ x))(x)
    assert calls == [(count,)]
    slope = 1 - np.tanh(matrix.numpy() @ x.numpy()) ** 2
    np.testing.assert_allclose(found.numpy(), slope[:, None] * matrix.numpy(), rtol=1e-12)
