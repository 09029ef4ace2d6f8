"""Long vectors: what fusing elementwise work, and keeping memory busy, is worth."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.frameworks import gradients, values
from benchmarks.vocabulary import written_with
from benchmarks.workload import Data, Workload


def normal(size: int, *names: str) -> Callable[[np.random.Generator], Data]:
    """Vectors of `size` normally distributed float32 numbers."""
    return lambda rng: {name: rng.standard_normal(size, np.float32) for name in names}


def axpy(_: Any, x: Any, y: Any) -> Any:
    return 0.5 * x + y


def gelu(framework: Any, x: Any) -> Any:
    """The tanh form, written out. Hendrycks and Gimpel (2016)."""
    return 0.5 * x * (1 + framework.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def options(rng: np.random.Generator) -> Data:
    """Spot price, strike price, and years to expiry, of a million options."""
    ranges = {"spot": (50, 150), "strike": (50, 150), "years": (0.1, 2)}
    return {key: rng.uniform(*ends, 10**6).astype(np.float32) for key, ends in ranges.items()}


def black_scholes(framework: Any, spot: Any, strike: Any, years: Any) -> Any:
    """The price of a call, at rate 0.03 and volatility 0.2."""
    spread = 0.2 * framework.sqrt(years)
    d1 = (framework.log(spot / strike) + (0.03 + 0.02) * years) / spread
    discounted = strike * framework.exp(-0.03 * years)
    return spot * normal_cdf(framework, d1) - discounted * normal_cdf(framework, d1 - spread)


def normal_cdf(framework: Any, x: Any) -> Any:
    return 0.5 * (1 + framework.erf(0.7071067812 * x))


def black_scholes_in_minigrad(mg: Any, *xs: Any) -> Any:
    return black_scholes(
        SimpleNamespace(sqrt=mg.sqrt, log=mg.log, exp=mg.exp, erf=mg.special.erf), *xs
    )


def black_scholes_in_numpy(np: Any, *xs: Any) -> Any:
    import scipy.special

    names = SimpleNamespace(sqrt=np.sqrt, log=np.log, exp=np.exp, erf=scipy.special.erf)
    return black_scholes(names, *xs)


def black_scholes_in_jax(jax: Any, *xs: Any) -> Any:
    jnp = jax.numpy
    names = SimpleNamespace(sqrt=jnp.sqrt, log=jnp.log, exp=jnp.exp, erf=jax.scipy.special.erf)
    return black_scholes(names, *xs)


def contracts(dtype: type) -> Callable[[np.random.Generator], Data]:
    """A million options, each with an interest rate and a volatility of its own."""

    def draw(rng: np.random.Generator) -> Data:
        drawn = {**options(rng), "rate": rng.uniform(0, 0.05, 10**6)}
        drawn["volatility"] = rng.uniform(0.1, 0.4, 10**6)
        return {name: x.astype(dtype) for name, x in drawn.items()}

    return draw


def call_price(v: Any, spot: Any, strike: Any, years: Any, rate: Any, volatility: Any) -> Any:
    """The price of a call by all that it depends on; its derivatives are the greeks."""
    spread = volatility * v.sqrt(years)
    d1 = (v.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / spread
    discounted = strike * v.exp(-rate * years)
    return spot * normal_cdf(v, d1) - discounted * normal_cdf(v, d1 - spread)


def greeks(dtype: type) -> Workload:
    """The price and its five derivatives."""
    return Workload(
        f"Black-Scholes price and five greeks of 1e6 calls, {np.dtype(dtype)}",
        contracts(dtype),
        gradients(written_with(call_price), wrt=5),
    )


def total(framework: Any, x: Any) -> Any:
    return framework.sum(x)


WORKLOADS = {
    "axpy": Workload(
        "0.5 x + y, 1e7 numbers",
        normal(10**7, "x", "y"),
        values(dict.fromkeys(["numpy", "minigrad", "jax", "torch", "tensorflow"], axpy)),
        bytes=3 * 4 * 10**7,
    ),
    "sum": Workload(
        "sum of 1e7 numbers",
        normal(10**7, "x"),
        values(
            {
                "numpy": total,
                "minigrad": total,
                "jax": lambda jax, x: total(jax.numpy, x),
                "torch": total,
                "tensorflow": lambda tf, x: tf.reduce_sum(x),
            }
        ),
        bytes=4 * 10**7,
    ),
    "gelu": Workload(
        "tanh-GELU of 1e6 numbers, value and gradient",
        normal(10**6, "x"),
        gradients(
            {
                "minigrad": gelu,
                "jax": lambda jax, x: gelu(jax.numpy, x),
                "torch": gelu,
                "tensorflow": gelu,
            }
        ),
    ),
    "black_scholes": Workload(
        "Black-Scholes price of 1e6 calls",
        options,
        values(
            {
                "numpy": black_scholes_in_numpy,
                "minigrad": black_scholes_in_minigrad,
                "jax": black_scholes_in_jax,
                "torch": black_scholes,
                "tensorflow": lambda tf, *xs: black_scholes(tf.math, *xs),
            }
        ),
    ),
    "greeks": greeks(np.float32),
    "greeks_double": greeks(np.float64),
}
