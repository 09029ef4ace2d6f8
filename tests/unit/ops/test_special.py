"""Special functions: values against SciPy and mpmath, edges, dtypes and derivatives."""

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import minigrad as mg
from minigrad.errors import SpecError

special = mg.special
REALS = np.concatenate([np.linspace(-5.9, 9.9, 80), [1e-300, 1e-20, 1e-3, 27.5, -0.0, 0.0]])
POSITIVE = np.concatenate([np.linspace(0.05, 30, 80), [1e-300, 1e5, 1e300]])
CASES = {
    "erf": (REALS, mpmath.erf),
    "erfc": (np.append(REALS, 19.6), mpmath.erfc),
    "erfcx": (
        np.concatenate([np.linspace(-25, 50, 60), [1e9]]),
        lambda x: mpmath.exp(x * x) * mpmath.erfc(x) if x < 1e6 else 1 / x / mpmath.sqrt(mpmath.pi),
    ),
    "erfinv": (np.array([-1 + 1e-15, -0.9, -0.5, -1e-9, 0.3, 0.5, 0.999999]), mpmath.erfinv),
    "gammaln": (
        np.concatenate([POSITIVE, [-0.3, -3.7, 1 + 1e-9, 1 - 1e-7, 1 - 1e-12, 2 + 1e-9, 2 - 1e-9]]),
        lambda x: mpmath.log(abs(mpmath.gamma(x))) if x < 1e9 else mpmath.loggamma(x),
    ),
    "digamma": (
        np.concatenate([POSITIVE, [1.4616321449683622, 1.47, -0.3, -3.7, -1 + 1e-7, -9 - 1e-6]]),
        mpmath.digamma,
    ),
    "expit": (np.linspace(-700, 40, 60), lambda x: 1 / (1 + mpmath.exp(-x))),
    "log_ndtr": (np.linspace(-50, 9, 60), lambda x: mpmath.log(mpmath.ncdf(x))),
    "ndtr": (np.append(np.linspace(-37.5, 9, 60), [-12.654215, -0.0, 0.7]), mpmath.ncdf),
    "softplus": (np.linspace(-700, 700, 60), lambda x: mpmath.log1p(mpmath.exp(x))),
}


@pytest.mark.parametrize("name", CASES)
def test_float64_is_exact_to_a_few_units_in_the_last_place(name: str) -> None:
    x, reference = CASES[name]
    found = getattr(special, name)(x).numpy()
    with mpmath.workdps(400 if name == "softplus" else 50):
        expected = np.array([float(reference(mpmath.mpf(float(v)))) for v in x])
    limit = 8 * np.spacing(np.abs(expected))
    worst = np.argmax(np.abs(found - expected) / limit)
    assert np.all(np.abs(found - expected) <= limit), (x[worst], found[worst], expected[worst])


@pytest.mark.parametrize("name", ["erf", "erfc", "erfcx", "ndtr", "erfinv", "gammaln", "digamma"])
def test_limits_and_poles_are_those_of_scipy(name: str) -> None:
    x = np.array([0.0, -0.0, 1, 2, np.inf, np.nan, -1, -2, 1e-310, 1e300, 28, -28, 0.5])
    with np.errstate(all="ignore"):
        expected = getattr(scipy.special, name)(x)
    if name == "gammaln":
        expected[x == 1e-310] = -np.log(1e-310)  # where SciPy overflows on the way
    np.testing.assert_allclose(getattr(special, name)(x).numpy(), expected, rtol=1e-14)


def test_gammaln_next_to_0_is_minus_the_logarithm_of_the_distance() -> None:
    x = np.array([5e-324, -5e-324, -1e-310, 2e-308, -1e-300, -1e-20])
    compiled = mg.function(special.gammaln, jit_compile=True)
    for f in (special.gammaln, compiled):
        np.testing.assert_allclose(f(mg.asarray(x)).numpy(), -np.log(np.abs(x)), rtol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_polygamma(n: int) -> None:
    x = np.array([-3.3, -0.7, 0.1, 0.9, 1.5, 4.0, 30.0])
    expected = [float(mpmath.polygamma(n, v)) for v in x]
    np.testing.assert_allclose(special.polygamma(n, x).numpy(), expected, rtol=1e-13)


def test_poles_of_polygamma() -> None:
    x = np.array([0.0, -1, -20, -1e30, -np.inf])
    assert special.polygamma(1, x).numpy().tolist()[:4] == [np.inf] * 4
    assert np.isnan(special.polygamma(2, x).numpy()[1:]).all()


def test_polygamma_says_what_n_is() -> None:
    with pytest.raises(SpecError, match=r"n=1\.5 came; it counts derivatives"):
        special.polygamma(1.5, mg.ones(2))


@pytest.mark.parametrize("name", ["erf", "erfinv", "gammaln", "digamma", "expit", "softplus"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32])
def test_dtypes_are_kept_and_integers_give_float64(name: str, dtype: Any) -> None:
    x = np.array([0, 1, 3]) if dtype == np.int32 else np.array([0.25, 0.5, 0.75])
    found = getattr(special, name)(x.astype(dtype))
    assert found.dtype == (np.float64 if dtype == np.int32 else dtype)
    in_float64 = getattr(special, name)(x.astype(np.float64)).numpy()
    rtol = {np.float16: 2e-3, np.float32: 3e-7, np.int32: 0}[dtype]
    np.testing.assert_allclose(found.numpy(), in_float64, rtol=rtol, equal_nan=True)


def test_large_and_strided_arrays_are_done_in_blocks() -> None:
    x = np.linspace(-3, 3, 30_000).reshape(100, 300)[::2, ::-3]
    np.testing.assert_allclose(special.erf(x).numpy(), scipy.special.erf(x), rtol=1e-15)
    assert special.erf(mg.ones((0, 3))).shape == (0, 3)


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(SpecError, match="erf of complex numbers is not known here"):
        special.erf(mg.constant(1j))


def test_a_product_with_a_logarithm_is_0_where_its_factor_is() -> None:
    x, y = np.array([0, 0, 1, 0, 2.0]), np.array([0, 2, 0.5, np.nan, 3])
    expected = scipy.special.xlogy(x, y)
    np.testing.assert_array_equal(special.xlogy(x, y).numpy(), expected)
    np.testing.assert_allclose(special.xlog1py(x, y - 1).numpy(), expected, rtol=1e-15)
    assert special.xlogy(mg.constant([0.0]), 0.0).dtype == np.float32
    assert special.entr(mg.constant([0.0, 1.0, -2.0])).numpy().tolist() == [0, 0, -np.inf]


def test_xlogy_at_the_origin_has_the_gradient_of_what_is_used() -> None:
    x, y = mg.constant([0.0, 0.0]), mg.constant([0.0, 2.0])
    with mg.GradientTape() as tape:
        tape.watch([x, y])
        z = special.xlogy(x, y)
    dx, dy = tape.gradient(z, [x, y])
    np.testing.assert_allclose(dx.numpy(), [-np.inf, np.log(2)], rtol=1e-6)
    assert dy.numpy().tolist() == [0, 0]


@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_a_product_that_is_not_taken_does_not_spoil_the_gradient(name: str) -> None:
    x = mg.constant([0.0, -1.0] if name == "xlog1py" else [1.0, 0.0])
    with mg.GradientTape() as tape, np.errstate(divide="ignore"):
        tape.watch(x)
        y = mg.where([True, False], getattr(special, name)(x, x), 0.0)
    assert tape.gradient(y, x).numpy()[1] == 0


def test_logit_and_expit_are_inverse() -> None:
    x = np.array([1e-10, 0.3, 0.5, 0.999])
    np.testing.assert_allclose(special.expit(special.logit(x)).numpy(), x, rtol=1e-13)
    assert special.logit(mg.constant([0.0, 1.0])).numpy().tolist() == [-np.inf, np.inf]


@pytest.mark.parametrize("name", [*CASES, "logit", "entr"])
def test_first_and_second_derivatives(name: str, check_gradients: Any) -> None:
    check_gradients(getattr(special, name), np.array([0.2, 0.5, 0.8]))


@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_derivatives_of_products_with_logarithms(name: str, check_gradients: Any) -> None:
    check_gradients(getattr(special, name), np.array([0.0, 0.5]), np.array([0.7, 0.8]))


def test_derivatives_of_gammaln_of_high_order(check_gradients: Any) -> None:
    check_gradients(lambda x: special.polygamma(3, x), np.array([-1.3, 0.7, 4.0]))
