"""Exponentials, logarithms, roots and trigonometry: values as NumPy, and derivatives at edges."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.registry import OPS
from minigrad.ops.exponential import quotient
from minigrad.special import rsqrt

UNARY = "exp expm1 log log1p log2 log10 sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh"
NUMPY = {f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}


def gradient(f: Any, *xs: Any) -> list[Any]:
    tensors = [mg.constant(x) for x in xs]
    with mg.GradientTape() as tape:
        tape.watch(tensors)
        y = f(*tensors)
    return [None if g is None else g.numpy() for g in tape.gradient(y, tensors)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128, np.int32])
@pytest.mark.parametrize("name", [*UNARY.split(), "atanh"])
def test_values_and_dtypes_are_those_of_numpy(name: str, dtype: Any) -> None:
    x = np.array([0, 1, 1]) if dtype == np.int32 else np.linspace(0.1, 0.9, 5)
    x = (x + (1 if name == "acosh" else 0)).astype(dtype)
    with np.errstate(divide="ignore"):
        found, expected = getattr(mg, name)(x), getattr(np, NUMPY.get(name, name))(x)
    assert found.dtype == expected.dtype
    # expm1 of complex numbers is our own, and rounds otherwise
    np.testing.assert_allclose(found.numpy(), expected, rtol=4e-16 if name == "expm1" else 0)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "tanh", "atan"])
def test_gradients_of_complex_numbers_are_conjugated(name: str) -> None:
    z = np.array([0.5 + 0.3j, -0.4 + 0.8j])
    (found,) = gradient(getattr(mg, name), z)
    h = 1e-6
    f = getattr(np, NUMPY.get(name, name))
    np.testing.assert_allclose(found, np.conj((f(z + h) - f(z - h)) / (2 * h)), rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "edge"),
    [
        *[("sqrt", 0), ("log", 0), ("log2", 0), ("log10", 0), ("log1p", -1)],
        *[("asin", 1), ("acos", -1), ("acosh", 1), ("atanh", 1)],
    ],
)
def test_a_branch_not_taken_does_not_spoil_the_gradient(name: str, edge: float) -> None:
    def f(x: Any) -> Any:
        return mg.where(x == edge, 0.0, getattr(mg, name)(x))

    with np.errstate(divide="ignore"):
        (found,) = gradient(f, np.array([edge], np.float64))
    assert found == [0.0]


def test_the_gradient_of_sqrt_at_0_is_infinite_where_it_counts() -> None:
    (found,) = gradient(mg.sqrt, np.array([0.0, 4.0]))
    assert found.tolist() == [np.inf, 0.25]


@pytest.mark.parametrize("f", [mg.hypot, mg.atan2])
def test_functions_of_a_point_have_a_finite_gradient_at_the_origin(f: Any) -> None:
    assert gradient(f, 0.0, 0.0) == [0.0, 0.0]


def test_the_second_derivative_of_sqrt_is_right_where_the_first_cotangent_is_0() -> None:
    x = mg.constant(1.0, mg.float64)
    with mg.GradientTape() as outer:
        outer.watch(x)
        with mg.GradientTape() as inner:
            inner.watch(x)
            y = 0.5 * (mg.sqrt(x) - 1) ** 2
        slope = inner.gradient(y, x)
    assert outer.gradient(slope, x).item() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("x1", "x2", "expected"),
    [(0.0, 0.0, 0.0), (1.0, 0.0, np.inf), (0.0, 2.0, 0.0), (3.0, 2.0, 1.5), (1.0, -0.0, -np.inf)],
)
def test_quotient_is_0_only_where_both_are(x1: float, x2: float, expected: float) -> None:
    x = mg.constant([x2, 1.0])
    with np.errstate(divide="ignore"):
        assert quotient(x1, x).numpy()[0] == expected
        assert quotient(x1, x).dtype == np.float32


def test_logaddexp_bears_infinities() -> None:
    x1 = np.array([-np.inf, -np.inf, np.inf, 0.0, 1000.0])
    x2 = np.array([-np.inf, 0.0, 0.0, 0.0, 1000.0])
    np.testing.assert_array_equal(mg.logaddexp(x1, x2).numpy(), np.logaddexp(x1, x2))
    g1, g2 = gradient(mg.logaddexp, x1, x2)
    np.testing.assert_allclose(g1, [1, 0, 1, 0.5, 0.5])
    np.testing.assert_allclose(g2, [1, 1, 0, 0.5, 0.5])


@pytest.mark.parametrize("name", [*UNARY.split(), "atanh", "rsqrt", "hypot", "logaddexp", "atan2"])
def test_second_derivatives(name: str, check_gradients: Any) -> None:
    f = rsqrt if name == "rsqrt" else getattr(mg, name)
    x = np.linspace(0.2, 0.8, 4) + (1 if name == "acosh" else 0)
    check_gradients(f, *([x, x[::-1].copy()] if name in ("hypot", "logaddexp", "atan2") else [x]))


def test_every_op_here_has_a_loop_body_but_hypot() -> None:
    names = [*UNARY.split(), "atanh", "atan2", "logaddexp", "rsqrt", "quotient"]
    assert [name for name in names if OPS[name].lower is None] == []


@pytest.mark.parametrize("base", [1.008, 2, 0, 0.0, True])
def test_a_base_that_is_a_python_number_has_its_logarithm_in_full(base: Any) -> None:
    x = np.array([0.5, 1.5])
    (found,) = gradient(lambda x: mg.pow(base, x), x)
    expected = base**x * np.log(base) if base else np.zeros(2)
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_negative_base_has_a_logarithm_among_complex_numbers_only() -> None:
    (found,) = gradient(lambda z: mg.pow(-2.0, z), np.array([0.5 + 1j]))
    np.testing.assert_allclose(found, np.conj((-2.0) ** (0.5 + 1j) * np.log(-2 + 0j)), rtol=1e-14)
    (real,) = gradient(lambda x: mg.pow(-2.0, x), np.array([2.0]))
    assert np.isnan(real).all()


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint64", "complex128"])
def test_whole_powers_are_products_that_wrap_as_those_of_numpy(dtype: str) -> None:
    x = np.arange(-4, 5).astype(dtype) + (0.5j if dtype == "complex128" else 0)
    for n in range(17):
        found = mg.pow(mg.constant(x), n).numpy()
        assert found.dtype == dtype
        np.testing.assert_allclose(found, np.power(x, n), rtol=1e-14)


def test_whole_powers_of_complex_numbers_have_derivatives() -> None:
    z = np.array([0.5 + 1j, -1.0])
    (found,) = gradient(lambda z: mg.pow(z, 5), z)
    np.testing.assert_allclose(found, np.conj(5 * z**4), rtol=1e-14)
