"""Derivatives as functions: what is differentiated is told apart, however it is nested."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GradientError
from tests.unit.modes import everywhere, words


def inner_grad(x: Any) -> Any:
    return mg.grad(lambda z: x * z)(x)


def inner_vjp(x: Any) -> Any:
    value, pullback = mg.vjp(lambda z: x * z, x)
    return pullback(mg.ones_like(value))[0]


def inner_jacobian(x: Any) -> Any:
    return mg.jacobian(lambda z: x * z)(x)


@pytest.mark.parametrize("slope", [inner_grad, inner_vjp, inner_jacobian])
@pytest.mark.parametrize("jit", [None, False, True])
def test_an_inner_argument_is_not_the_outer_tensor_of_the_same_value(slope: Any, jit: Any) -> None:
    """d/dx [x * d(x z)/dz at z = x] = d/dx [x * x] = 2 x, and not d/dx [x * 2 x]."""

    def f(x: Any) -> Any:
        return x * slope(x)

    g = f if jit is None else mg.function(f, jit_compile=jit)
    x = mg.constant(3.0, mg.float64)
    np.testing.assert_allclose(np.asarray(g(x)), 9.0)
    np.testing.assert_allclose(np.asarray(mg.grad(g)(x)), 6.0)


def test_a_hessian_vector_product_does_not_see_other_uses_of_the_same_tensor() -> None:
    x = mg.constant([1.0, 2.0], mg.float64)
    product = mg.hvp(lambda z: mg.sum(x * z * z), x, mg.ones_like(x))
    np.testing.assert_allclose(np.asarray(product), [2.0, 4.0])


def test_a_hessian_is_of_the_argument_that_is_asked_for() -> None:
    def f(a: Any, b: Any) -> Any:
        return mg.sum(a * b**3)

    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_allclose(mg.hessian(f, 1)(a, b).numpy(), np.diag(6 * a * b))
    np.testing.assert_array_equal(mg.hessian(f)(a, b).numpy(), np.zeros((2, 2)))


@pytest.mark.parametrize("mode", [lambda f: f, mg.function])
def test_second_derivatives_that_nobody_can_know_are_none_and_no_zeros(mode: Any) -> None:
    x = mg.constant(np.array([0.3, 0.5]))
    spec = mg.TensorSpec((2,), mg.float64)

    @mg.custom_gradient
    def sine(x: Any) -> Any:
        slope = lambda g: g * mg.numpy_function(np.cos, [x], spec)  # noqa: E731
        return mg.numpy_function(np.sin, [x], spec), slope

    opaque = mode(lambda x: mg.sum(mg.numpy_function(np.sin, [x], spec)))
    first_only = mode(lambda x: mg.sum(sine(x)))
    for f in (opaque, first_only):
        assert mg.hessian(f)(x) is None
        assert mg.hvp(f, x, x) is None
    for f in (mode(mg.sum), mode(lambda x: mg.sum(mg.floor(x))), mode(lambda x: mg.sum(x) * 2.0)):
        np.testing.assert_array_equal(mg.hessian(f)(x).numpy(), np.zeros((2, 2)))
        np.testing.assert_array_equal(mg.hvp(f, x, x).numpy(), np.zeros(2))


LINEAR = {
    "cond": lambda x: mg.cond(x > 0, lambda: 2 * x, lambda: x * x),
    "constant": lambda x: mg.cond(x > 0, lambda: mg.constant(2.0), lambda: x * x),
    "switch": lambda x: mg.switch(0, [lambda: 2 * x, lambda: x * x]),
    "while_loop": lambda x: mg.while_loop(lambda y: y < 9, lambda y: y * 2, x),
    "fori_loop": lambda x: mg.fori_loop(0, 3, lambda i, y: y * 2 + x, x),
    "scan": lambda x: mg.scan(lambda y, s: (y + 2 * s, y), x, mg.stack([x, x]))[0],
    "py_function": lambda x: mg.py_function(lambda x: 2 * x, [x], mg.float32),
    "function": mg.function(lambda x: mg.cond(x > 0, lambda: 2 * x, lambda: x * x)),
}


@everywhere
@pytest.mark.parametrize("name", LINEAR)
def test_a_product_with_a_hessian_is_zero_where_what_ran_is_linear(name: str, mode: Any) -> None:
    x = mg.constant(0.3)
    found = mode(lambda x: mg.hvp(LINEAR[name], x, mg.constant(1.0)))(x)
    assert found.shape == () and found.item() == 0


def unseen(x: Any) -> Any:
    """A product with what NumPy makes of `x`, of which nobody knows the derivative."""
    return x * mg.numpy_function(np.sin, [x], mg.float32)


@pytest.mark.parametrize("mode", [lambda f: f, mg.function])
def test_a_product_with_a_hessian_is_none_where_what_ran_hides_a_path(mode: Any) -> None:
    x, one = mg.constant(0.3), mg.constant(1.0)
    body = lambda x: mg.py_function(unseen, [x], mg.float32)  # noqa: E731
    hidden = lambda x: mg.cond(x > 0, lambda: unseen(x), lambda: 2 * x)  # noqa: E731
    loop = lambda x: mg.fori_loop(0, 3, lambda i, y: y + unseen(x), 0.0)  # noqa: E731
    for f in (body, hidden, loop, mg.function(body), mg.function(hidden)):
        assert mode(lambda x, f=f: mg.hvp(f, x, one))(x) is None
    assert mode(lambda x: mg.hvp(hidden, x, one))(-x).item() == 0  # the other branch ran


@everywhere
def test_a_gradient_of_a_gradient_that_is_none_says_where_the_inner_one_ends(mode: Any) -> None:
    def f(x: Any) -> Any:
        return mg.round(x)

    with pytest.raises(GradientError) as error:
        mode(mg.grad(mg.grad(f)))(mg.constant(2.0))
    assert words(error.value) == (
        "grad of the gradient of f: the gradient is None: the path is cut by round at "
        "test_functional.py:LINE (no derivative): piecewise constant; use a smooth function in its "
        "place, or give it a derivative with mg.custom_gradient; and a derivative of None there is "
        'none; for one of zeros, ask a mg.GradientTape with unconnected_gradients="zero" for the '
        "inner gradient"
    )
    assert error.value.explanation is not None


def test_a_derivative_of_none_is_refused_by_name() -> None:
    nothing = mg.grad(lambda x: mg.round(x))
    x = mg.constant(2.0)
    for asked in (mg.jacobian(nothing), lambda x: mg.vjp(nothing, x)[1](1.0)):
        with pytest.raises(GradientError, match="None came, where a tensor or Variable is asked"):
            asked(x)
    with mg.GradientTape() as tape, pytest.raises(GradientError, match="batch_jacobian: float"):
        tape.batch_jacobian(1.0, x)
    assert mg.grad(lambda x: mg.sum(x * x))(x).item() == 4.0  # nothing is left behind
