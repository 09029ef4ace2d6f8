"""SciPy's functions of arrays give tensors, with derivatives (SCIPY_ARRAY_API=1)."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate, signal, special, stats

import minigrad as mg

X = np.linspace(0.1, 0.9, 12)
BODIES: dict[str, Any] = {
    **{
        f"special.{name}": getattr(special, name)
        for name in (
            *("digamma", "entr", "erf", "erfc", "erfinv", "expit", "gammaln", "log_expit"),
            *("log_ndtr", "logit", "ndtr", "psi", "softmax"),
        )
    },
    "special.xlogy": lambda x: special.xlogy(x, x),
    "special.rel_entr": lambda x: special.rel_entr(x, 1 - x),
    "special.kl_div": lambda x: special.kl_div(x, 1 - x),
    **{
        f"stats.{name}": getattr(stats, name)
        for name in ("circmean", "entropy", "gmean", "hmean", "kurtosis", "sem", "skew")
    },
    "stats.describe": lambda x: stats.describe(x).variance,
    "stats.pmean": lambda x: stats.pmean(x, 2),
    "stats.trim_mean": lambda x: stats.trim_mean(x, 0.1),
    "stats.ttest_1samp": lambda x: stats.ttest_1samp(x, 0.4).statistic,
    "signal.fftconvolve": lambda x: signal.fftconvolve(x, x),
    "signal.correlate": lambda x: signal.correlate(x, x**2, method="fft"),
    "integrate.trapezoid": lambda x: integrate.trapezoid(x, x=x**2),
    "integrate.cumulative_trapezoid": lambda x: integrate.cumulative_trapezoid(x**2),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_values_are_scipys_and_derivatives_those_of_differences(body: Any) -> None:
    x, h = mg.constant(X), 1e-6
    direction = np.cos(3 * np.arange(X.size))
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = body(x)
    theirs = np.asarray(body(X))
    assert type(y) is mg.Tensor and y.dtype == mg.float64
    np.testing.assert_allclose(y, theirs, rtol=1e-9, atol=1e-12)
    weights = np.cos(np.arange(theirs.size, dtype=float)).reshape(theirs.shape)
    slope = np.sum(tape.gradient(y, x, mg.constant(weights)).numpy() * direction)
    ahead, behind = (np.sum(body(X + s * h * direction) * weights) for s in (1, -1))
    assert slope == pytest.approx((ahead - behind) / (2 * h), rel=2e-5, abs=1e-7)


@pytest.mark.parametrize("name", ["i0", "gamma"])
def test_what_scipy_computes_by_numpy_has_no_derivative_and_says_so(name: str) -> None:
    x = mg.constant(X)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = getattr(special, name)(x)
    np.testing.assert_allclose(y, getattr(special, name)(X))
    assert tape.gradient(y, x) is None


def test_outside_of_their_domain_the_entropies_are_scipys() -> None:
    x = np.array([0.0, 0.0, 1.0, -1.0, np.nan, 1.0, 2.0])
    y = np.array([0.0, 1.0, 0.0, 1.0, 1.0, np.nan, -1.0])
    np.testing.assert_array_equal(mg.special.rel_entr(x, y), special.rel_entr(x, y))
    np.testing.assert_array_equal(mg.special.kl_div(x, y), special.kl_div(x, y))
    dx = mg.grad(lambda x: mg.sum(mg.special.rel_entr(x, 1.0)))(mg.constant([0.0, 2.0]))
    np.testing.assert_allclose(dx, [0.0, np.log(2) + 1], rtol=1e-6)
