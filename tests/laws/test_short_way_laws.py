"""The short ways of eager code give what the long ones give: functions, numbers, and the walk."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.array_vjps import never, on_arrays, step_of, takes_a_number
from minigrad.core.op import EAGER, using
from minigrad.core.registry import OPS, api
from minigrad.core.short_way import NUMBERS, ufunc_of
from minigrad.errors import MinigradError
from minigrad.ops.arithmetic import floor_divide
from minigrad.ops.logic import isnan, maximum, where
from minigrad.ops.trigonometric import sin
from minigrad.pullback import dependents, pullback
from minigrad.testing.applications import Application, is_pointwise
from minigrad.testing.draws import ANY
from minigrad.testing.modes import assert_same
from minigrad.testing.strategies import applications, names
from tests.laws.budget import examples

FLOATS = (np.float32, np.float64, np.float16)
FUNCTIONS = {f.op.name: f for f in vars(api).values() if hasattr(f, "op")}
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


class Hearing:
    """Listens, and wants nothing: with it, a walk goes the long way."""

    def record(self, node: Any) -> None:
        """Nothing."""

    def notice(self, cell: Any) -> None:
        """Nothing."""

    def follows(self, inputs: Any) -> bool:
        """No."""
        return False


def answer(function: Any, *inputs: Any) -> Any:
    """What `function` gives, in a tuple, or its error in words."""
    try:
        return (function(*inputs),)
    except MinigradError as error:
        return str(error)


@pytest.mark.parametrize("name", [n for n in names(is_pointwise) if n in FUNCTIONS])
@examples(0.5)
@given(data=st.data())
def test_a_function_gives_what_its_op_gives(name: str, data: Any) -> None:
    application = data.draw(applications(name, ANY))
    inputs = application.tensors()
    if application.attrs:
        return
    op, function = OPS[name], FUNCTIONS[name]
    for _ in range(2):  # the second time, numbers are known
        found, expected = answer(function, *inputs), answer(op, *inputs)
        if isinstance(expected, str):
            assert found == expected
        else:
            assert_same(found, expected)


SPECIAL = [0, 0.0, -0.0, 1, 1.0, -3, 2.1, 0.1, 1e-46, 1e300, 2**24 + 1, 2**53 + 1, 2**70 + 1]
SPECIAL += [float("inf"), float("-inf"), float("nan"), 10**400]
TAKING = [n for n, f in FUNCTIONS.items() if len(getattr(f.op, "vjps", None) or ()) == 2]
TAKING += ["equal", "less", "greater_equal"]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", TAKING)
def test_numbers_mean_the_same_as_arrays_as_they_do_to_numpy(name: str, dtype: Any) -> None:
    op, function = OPS[name], FUNCTIONS[name]
    x = mg.constant(np.array([0.0, -0.0, 1.5, -2.1, np.inf, np.nan], dtype))
    for number in SPECIAL * 2:
        for inputs in ((x, number), (number, x), (x[1], number)):
            found, expected = answer(function, *inputs), answer(op, *inputs)
            if isinstance(expected, str):
                assert found == expected
            else:
                assert_same(found, expected)


def test_known_numbers_stay_few() -> None:
    x = mg.constant([1.0])
    for i in range(3000):
        mg.add(x, i + 0.5)
    assert len(NUMBERS[x.dtype]) <= 1024


def walked(application: Application) -> list[Any]:
    """The gradients of an application of an op."""
    tensors = application.tensors()
    places = application.smooth()
    with mg.GradientTape() as tape:
        tape.watch([tensors[i] for i in places])
        ys = application(*tensors)
    gs = [mg.constant(np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)) for y in ys]
    found = tape.gradient(list(ys), [tensors[i] for i in places], gs)
    return [bar for bar in found if bar is not None]


def has_rules(op: Any) -> bool:
    """Whether `op` is elementwise, and states rules."""
    return bool(op.elementwise and op.vjps)


@pytest.mark.parametrize("name", names(has_rules))
@examples(0.5)
@given(data=st.data())
def test_a_walk_on_arrays_gives_what_a_walk_on_tensors_gives(name: str, data: Any) -> None:
    application = data.draw(applications(name, (data.draw(st.sampled_from(FLOATS)),)))
    found = answer(walked, application)
    with using(EAGER, (Hearing(),)):
        expected = answer(walked, application)
    if isinstance(expected, str):
        assert found == expected
    else:
        assert_same(*found, *expected)


def is_arithmetic(rule: Any, count: int = 3) -> bool:
    """Whether a rule is taken to arrays."""
    return on_arrays(rule, count, np.dtype(np.float32)) is not NotImplemented


def test_rules_that_are_arithmetic_go_to_arrays() -> None:
    float32 = np.dtype(np.float32)
    gone = {name for name in names(has_rules) if step_of(OPS[name], float32) is not never}
    assert {"add", "subtract", "multiply", "divide", "negative", "tanh", "exp", "square"} <= gone
    assert {"sin", "cos", "log", "sqrt", "expit", "maximum", "softplus"} <= gone
    assert not gone & {"power", "where", "imag"}
    assert ufunc_of(OPS["add"].kernel) is np.add
    assert ufunc_of(OPS["tanh"].kernel) is OPS["tanh"].kernel


def test_rules_that_are_more_than_arithmetic_stay_with_tensors() -> None:
    def in_place(g: Any, y: Any, x: Any) -> Any:
        g *= x
        return g

    def kept(g: Any, y: Any, x: Any, factor: Any = np.ones(3)) -> Any:  # noqa: B008
        return g * factor

    scale = 2.0
    assert is_arithmetic(lambda g, y, x: -g * (1 - y * y) / sin(x))
    assert not is_arithmetic(in_place)
    assert not is_arithmetic(kept)
    assert not is_arithmetic(lambda g, y, x: g * scale)
    assert not is_arithmetic(lambda g, y, x: g * mg.sin(x))
    assert not is_arithmetic(lambda g, y, x: g * len(x))
    assert not is_arithmetic(lambda g, y, x: g * x.sin)
    assert not is_arithmetic(lambda g, y, x: g * x.shape[0])
    assert not is_arithmetic(lambda g, y, x: g if x > 0 else y)
    assert not is_arithmetic(lambda g, y, x: g if x else y)
    assert not is_arithmetic(lambda g, y, x: g * (x == y))
    assert not is_arithmetic(lambda g, y, x: g**2)
    assert not is_arithmetic(lambda g, y, x: g * x[0])
    assert not is_arithmetic(lambda g, y, x: 1j * g)
    assert not is_arithmetic(lambda g, y, x: isnan(g))
    assert not is_arithmetic(lambda g, y, x: 2.0)
    assert not is_arithmetic(lambda g, y, x: (g, x))


def test_numbers_go_to_arrays_where_they_meet_arrays_alone() -> None:
    assert takes_a_number(lambda g, y, x1, x2: g * x2, 1)
    assert takes_a_number(lambda g, y, x1, x2: g * maximum(x1, x2) * 2, 1)
    assert takes_a_number(lambda g, y, x1, x2: 2 * g * x1, 1)
    assert not takes_a_number(lambda g, y, x1, x2: 2 * x2 * g, 1)
    assert not takes_a_number(lambda g, y, x1, x2: g * (x2 * x2), 1)
    assert not takes_a_number(lambda g, y, x1, x2: g * -x2, 1)
    assert not takes_a_number(lambda g, y, x1, x2: g * sin(x2), 1)
    assert not takes_a_number(lambda g, y, x1, x2: g * maximum(x2, 1), 1)
    assert not takes_a_number(lambda g, y, x1, x2: g * where(x1, x2, 0), 1)
    assert not takes_a_number(lambda g, y, x1, x2: g * floor_divide(x1, x2), 1)
    assert takes_a_number(lambda g, y, x1, x2: g * floor_divide(x1, g) * x2, 1)
    assert takes_a_number(lambda g, y, x1, x2: g * (x2 * x2), 0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [n for n in TAKING if has_rules(OPS[n])])
def test_a_walk_beside_a_number_gives_what_a_walk_on_tensors_gives(name: str, dtype: Any) -> None:
    x = np.array([0.3, -0.0, 1.5, -2.1, np.inf, np.nan, 0.1], dtype)
    for number in SPECIAL:
        for inputs in ((x, number), (number, x), (x[1:2][0], number)):
            application = Application(OPS[name], tuple(map(as_drawn, inputs)), {})
            found = answer(walked, application)
            with using(EAGER, (Hearing(),)):
                expected = answer(walked, application)
            if not isinstance(expected, str):  # ops refuse integers which fit in an array of floats
                assert_same(*found, *expected)


def as_drawn(x: Any) -> Any:
    """`x` as an input that is drawn: an array, or a Python number."""
    return np.asarray(x) if isinstance(x, np.generic) else x


def test_numpy_warns_of_no_step() -> None:
    x, zero = mg.constant([1.0, 2.0]), mg.constant([0.0, 0.0])
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.sum(x / zero)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad\.")
        found = pullback(tape.nodes, {y: mg.constant(1.0)}, [x], dependents(tape.nodes, [x]))
    assert not np.isfinite(found[x].numpy()).any()
    assert not seen
