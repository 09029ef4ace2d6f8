"""SciPy's solvers on functions in minigrad, with derivatives by minigrad."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize

import minigrad as mg

START = np.array([-1.2, 1.0, 0.5])
ONES = np.ones(3)


def rosenbrock(x: Any) -> Any:
    return mg.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


value_and_slope = mg.value_and_grad(rosenbrock)


@pytest.mark.parametrize(
    "method", ["BFGS", "L-BFGS-B", "CG", "TNC", "SLSQP", "Newton-CG", "trust-constr"]
)
def test_minimize_takes_value_and_grad(method: str) -> None:
    options = {"maxfun": 1000} if method == "TNC" else {}
    found = optimize.minimize(value_and_slope, START, jac=True, method=method, options=options)
    np.testing.assert_allclose(found.x, ONES, rtol=1e-3)


def test_minimize_takes_compiled_functions_and_tensors() -> None:
    compiled = mg.function(value_and_slope, jit_compile=True)
    found = optimize.minimize(compiled, mg.constant(START), jac=True)
    np.testing.assert_allclose(found.x, ONES, rtol=1e-4)


@pytest.mark.parametrize("method", ["trust-exact", "trust-ncg", "Newton-CG"])
def test_minimize_takes_hessians(method: str) -> None:
    start = np.array([0.8, 0.9, 1.1])
    hess = mg.hessian(rosenbrock)
    found = optimize.minimize(
        value_and_slope, start, jac=True, hess=lambda x: hess(mg.constant(x)), method=method
    )
    np.testing.assert_allclose(found.x, ONES, rtol=1e-4)


def test_minimize_takes_products_with_the_hessian() -> None:
    found = optimize.minimize(
        value_and_slope,
        START,
        jac=True,
        hessp=lambda x, p: mg.hvp(rosenbrock, mg.constant(x), mg.constant(p)),
        method="trust-krylov",
    )
    np.testing.assert_allclose(found.x, ONES, rtol=1e-4)


def test_minimize_without_derivatives() -> None:
    found = optimize.minimize(rosenbrock, START, method="Nelder-Mead")
    np.testing.assert_allclose(found.x, ONES, rtol=1e-3)


def test_least_squares_takes_the_jacobian() -> None:
    jacobian = mg.jacobian(lambda x: x**2 - 2.0)
    found = optimize.least_squares(
        lambda x: mg.constant(x) ** 2 - 2.0, [1.0, 3.0], jac=lambda x: jacobian(mg.constant(x))
    )
    np.testing.assert_allclose(found.x, np.sqrt([2.0, 2.0]))


def test_roots_and_curves() -> None:
    root = 0.7390851332151607
    assert optimize.root(lambda x: mg.cos(x) - x, np.array([0.5])).x == pytest.approx([root])
    assert optimize.root_scalar(lambda x: mg.cos(x) - x, bracket=[0, 1]).root == pytest.approx(root)
    t = mg.constant(np.linspace(0, 1, 9))
    found, _ = optimize.curve_fit(
        lambda t, a, b: a * mg.exp(mg.constant(t) * b), t, 2 * mg.exp(t / 2)
    )
    np.testing.assert_allclose(found, [2.0, 0.5], rtol=1e-6)


def test_integrals() -> None:
    assert integrate.quad(lambda t: mg.sin(t), 0, 1)[0] == pytest.approx(1 - np.cos(1))
    solved = integrate.solve_ivp(lambda t, y: -mg.constant(y), (0, 1), np.ones(1), rtol=1e-8)
    assert solved.y[0, -1] == pytest.approx(np.exp(-1), rel=1e-6)
