"""check_numerics: the op, forward or backward, and the line that made the first NaN."""

import sys
import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import NumericsError, TraceError
from tests.unit.modes import everywhere, same, words

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

X = mg.constant([4.0, 1.0, 0.0])


def found(f: Any, *xs: Any, inf: bool = True) -> str:
    """What check_numerics says of `f(*xs)`."""
    with pytest.raises(NumericsError) as caught, mg.debug.check_numerics(inf=inf):
        f(*xs)
    return words(caught.value)


@everywhere
def test_the_op_that_made_the_first_infinity_is_named_with_its_line(mode: Any) -> None:
    f = mode(lambda x: mg.exp(mg.log(x) * 2.0) + 1.0)
    said = found(f, X)
    assert said.startswith("check_numerics: log at test_debug.py:LINE (forward")
    assert "made 1 inf among 3 elements, the first at [2], and float32[3] from 0 to 4 came" in said
    assert "mg.maximum(x, 1e-12)" in said


@everywhere
def test_nan_is_found_where_it_is_made_and_not_where_it_passes(mode: Any) -> None:
    f = mode(lambda x: mg.sqrt(x - 1.0) * 2.0 + x)
    assert found(f, X).startswith("check_numerics: sqrt at test_debug.py:LINE (forward")
    with mg.debug.check_numerics():
        passed = mode(lambda x: x * 2.0 + 1.0)(mg.constant([np.nan, np.inf]))
    assert np.isnan(passed.numpy()[0])


def test_the_message_in_full() -> None:
    assert found(lambda x: mg.log(x), X) == (
        "check_numerics: log at test_debug.py:LINE (forward) made 1 inf among 3 elements, the "
        "first at [2], and float32[3] from 0 to 4 came: of finite numbers finite ones are to "
        "be made; keep its argument positive, as in mg.log(mg.maximum(x, 1e-12)), or use mg.log1p "
        "or mg.special.xlogy; if that is a branch of mg.where that is not taken, it is computed "
        "nevertheless: choose twice, as in mg.where(x > 0, mg.log(mg.where(x > 0, x, 1.0)), 0.0)"
    )


def test_infinities_may_be_left_alone() -> None:
    with mg.debug.check_numerics(inf=False):
        assert np.isinf(mg.log(X).numpy()[2])
    assert found(lambda x: mg.log(x) * 0.0, X, inf=False).startswith("check_numerics: multiply at")


def test_a_derivative_is_named_by_the_op_that_is_differentiated() -> None:
    def f(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.sum(mg.sqrt(x))
        return tape.gradient(y, x)

    said = found(f, X)
    assert said.startswith("check_numerics: sqrt at test_debug.py:LINE (backward, ")


@pytest.mark.parametrize("jit", [False, True])
def test_a_derivative_of_a_function_is_named_by_the_line_inside(jit: bool) -> None:
    def body(x: Any) -> Any:
        return mg.sum(mg.sqrt(x))

    f = mg.function(body, jit_compile=jit)
    line = body.__code__.co_firstlineno + 1
    with pytest.raises(NumericsError, match=f"test_debug.py:{line} "), mg.debug.check_numerics():
        mg.grad(f)(X)
    assert found(mg.grad(f), X).startswith("check_numerics: sqrt at test_debug.py:LINE (backward,")


def test_a_slope_that_is_infinite_has_a_remedy_of_its_own() -> None:
    x = mg.constant([4.0, 0.0])
    with pytest.raises(
        NumericsError, match=r"above 0, where its slope is infinite, as in mg\.sqrt"
    ):
        with mg.debug.check_numerics():
            mg.grad(lambda x: mg.sum(mg.sqrt(x)))(x)
    with mg.debug.check_numerics():
        slope = mg.grad(lambda x: mg.sum(mg.sqrt(mg.maximum(x, 1e-12))))(x)
    assert slope.numpy().tolist() == [0.25, 0.0]


def test_the_pattern_of_a_masked_branch_is_recognised() -> None:
    @mg.custom_gradient
    def root(x: Any) -> Any:
        y = mg.sqrt(x)
        return y, lambda g: g * (0.5 * mg.pow(mg.maximum(x, 0.0), -0.5))

    def f(x: Any) -> Any:
        return mg.sum(mg.where(x > 0, root(x), 0.0))

    with mg.GradientTape() as tape:
        tape.watch(X)
        y = f(X)
    assert np.isnan(tape.gradient(y, X).numpy()[2])
    said = found(mg.grad(f), X, inf=False)
    assert "choose twice, as in mg.where(x > 0" in said and "(backward" in said


def test_branches_rounds_and_bodies_are_looked_into() -> None:
    f = mg.function(lambda x: mg.cond(x > 0, lambda: x, lambda: mg.log(x)))
    assert "log at test_debug.py:LINE (forward" in found(f, mg.constant(-1.0))
    g = mg.function(lambda x: mg.fori_loop(0, 3, lambda i, y: mg.sqrt(y) - 1.0, x))
    assert "sqrt at test_debug.py:LINE (forward" in found(g, mg.constant(1.0))
    h = mg.function(lambda x: mg.py_function(lambda y: mg.log(y), [x], mg.float32))
    assert "log at test_debug.py:LINE" in found(h, mg.constant(-1.0))


@everywhere
def test_effects_happen_once_and_values_are_those_of_every_day(mode: Any) -> None:
    v = mg.Variable(0.0)

    @mode
    def f(x: Any) -> Any:
        v.assign_add(1.0)
        return mg.sin(x) * v

    with mg.debug.check_numerics():
        inside = f(X)
        slope = mg.grad(lambda x: mg.sum(f(x)))(X)
    same([inside, slope, v.value()], [np.sin(X.numpy()), 2 * np.cos(X.numpy()), 2.0])


def test_it_ends_with_its_block_and_is_not_seen_by_other_threads() -> None:
    with mg.debug.check_numerics():
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(mg.log(X)))
        thread.start()
        thread.join()
        assert np.isinf(results[0].numpy()[2])
    assert np.isinf(mg.log(X).numpy()[2])
    with pytest.raises(NumericsError), mg.debug.check_numerics():
        mg.log(X)
    assert np.isinf(mg.log(X).numpy()[2])


def test_a_constant_infinity_is_meant() -> None:
    with mg.debug.check_numerics():
        masked = mg.where(X > 0, X, -mg.inf)
        full = mg.full((2,), mg.inf)
        np.testing.assert_allclose(mg.nn.softmax(masked).numpy()[2], 0.0)
    assert np.all(np.isinf(full.numpy()))


def test_a_block_in_a_traced_function_is_refused() -> None:
    @mg.function
    def f(x: Any) -> Any:
        with mg.debug.check_numerics():
            return x

    with pytest.raises(TraceError, match="put the call of the function into the block") as error:
        f(X)
    assert words(error.value).startswith(
        "mg.debug.check_numerics was entered at test_debug.py:LINE while"
    )


def test_a_run_that_a_body_ended_leaves_no_line_behind() -> None:
    def refuse(x: Any) -> Any:
        raise ValueError("not today")

    f = mg.function(lambda x: mg.numpy_function(refuse, [x], mg.float32))
    with mg.debug.check_numerics():
        with pytest.raises(ValueError, match="not today"):
            f(X)
        line = sys._getframe().f_lineno + 2
        with pytest.raises(NumericsError, match=rf"test_debug\.py:{line} "):
            mg.log(X)
