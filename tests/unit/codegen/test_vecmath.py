"""Vector math against NumPy, SciPy and mpmath, in units in the last place."""

import functools
import os
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

from minigrad.codegen.vecmath import MATH, supported
from minigrad.ops import approximations
from tests.unit.codegen.native import Array, elementwise, needs_llvm

pytestmark = needs_llvm

# name: NumPy's or SciPy's function, mpmath's, and the intervals to try in float64
UNARY: dict[str, tuple[Any, Any, list[tuple[float, float]]]] = {
    "acos": (np.arccos, mpmath.acos, [(-1, 1), (0.99, 1)]),
    "acosh": (np.arccosh, mpmath.acosh, [(1, 1.1), (1, 1e3), (1, 1e30)]),
    "asin": (np.arcsin, mpmath.asin, [(-1, 1), (-0.01, 0.01)]),
    "asinh": (np.arcsinh, mpmath.asinh, [(-4, 4), (-1e20, 1e20), (-1e-3, 1e-3)]),
    "atan": (np.arctan, mpmath.atan, [(-4, 4), (-1e3, 1e3)]),
    "atanh": (np.arctanh, mpmath.atanh, [(-1, 1), (-1e-3, 1e-3)]),
    "cos": (np.cos, mpmath.cos, [(-4, 4), (-1e6, 1e6), (-1e9, 1e9)]),
    "cosh": (np.cosh, mpmath.cosh, [(-710.4, 710.4), (-3, 3)]),
    "digamma": (
        scipy.special.digamma,
        mpmath.digamma,
        [(0, 1), (1, 2), (1.4, 1.5), (2, 3), (3, 9), (9, 1e3), (-9, 0), (-99, -9)],
    ),
    "erf": (scipy.special.erf, mpmath.erf, [(-1, 1), (1, 6)]),
    "erfc": (scipy.special.erfc, mpmath.erfc, [(-6, 1), (0.4, 6), (6, 26)]),
    "erfcx": (
        scipy.special.erfcx,
        lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
        [(-26, -1), (-1, 1), (0.4, 6), (6, 26), (26, 1e4)],
    ),
    "erfinv": (
        lambda x: np.copysign(scipy.special.erfinv(x), x),  # SciPy's is 0.0 at -0.0
        mpmath.erfinv,
        [(-1, 1), (-1e-3, 1e-3), (0.998, 1), (1 - 1e-6, 1), (1 - 1e-12, 1)],
    ),
    "exp": (np.exp, mpmath.exp, [(-708, 709.7), (-1, 1)]),
    "exp2": (np.exp2, lambda x: mpmath.mpf(2) ** x, [(-1022, 1023.9), (-1, 1)]),
    "expit": (
        scipy.special.expit,
        lambda x: 1 / (1 + mpmath.exp(-x)),
        [(-700, 40), (-40, 40), (-1, 1)],
    ),
    "expm1": (np.expm1, mpmath.expm1, [(-40, 700), (-1, 1), (-1e-5, 1e-5)]),
    "gammaln": (
        lambda x: np.where(x == -np.inf, np.inf, scipy.special.gammaln(x)),  # SciPy's is -inf
        lambda x: mpmath.log(abs(mpmath.gamma(x))),
        [(0, 1), (0.99, 1.01), (1, 2), (1.99, 2.01), (2, 3), (3, 9), (9, 1e3), (-9, 0), (-99, -9)],
    ),
    "log": (np.log, mpmath.log, [(0, 1e3), (0.5, 1.5), (0.999, 1.001)]),
    "log10": (np.log10, lambda x: mpmath.log(x, 10), [(0, 1e3), (0.5, 1.5)]),
    "log1p": (np.log1p, mpmath.log1p, [(-1, 1), (-1e-5, 1e-5), (0, 1e6)]),
    "log2": (np.log2, lambda x: mpmath.log(x, 2), [(0, 1e3), (0.5, 1.5)]),
    "ndtr": (
        approximations.ndtr,  # SciPy's rounds x / √2, which the tail magnifies
        mpmath.ncdf,
        [(-1, 1), (0, 9), (-9, 0), (-37.5, -9)],
    ),
    "rsqrt": (lambda x: 1 / np.sqrt(x), lambda x: 1 / mpmath.sqrt(x), [(0, 100)]),
    "sin": (np.sin, mpmath.sin, [(-4, 4), (-1e6, 1e6), (-1e9, 1e9)]),
    "sinh": (np.sinh, mpmath.sinh, [(-710.4, 710.4), (-3, 3), (-1e-3, 1e-3)]),
    "sqrt": (np.sqrt, mpmath.sqrt, [(0, 100)]),
    "tan": (np.tan, mpmath.tan, [(-4, 4), (-1e6, 1e6), (-1e9, 1e9)]),
    "tanh": (np.tanh, mpmath.tanh, [(-20, 20), (-3, 3), (-1e-3, 1e-3)]),
    "trigamma": (
        functools.partial(approximations.polygamma, n=1),  # SciPy's ends at 0
        lambda x: mpmath.psi(1, x),
        [(0, 1), (1, 2), (2, 3), (3, 9), (9, 1e3), (-9, 0), (-99, -9)],
    ),
}
BINARY: dict[str, tuple[Any, Any]] = {
    "atan2": (np.arctan2, mpmath.atan2),
    "hypot": (np.hypot, mpmath.hypot),
    "logaddexp": (np.logaddexp, lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y))),
    "pow": (np.power, mpmath.power),
}
STEP = 193 * 101 if os.environ.get("HYPOTHESIS_PROFILE") == "dev" else 193
"""One of so many float32 numbers is tried: 22 million, some seconds for each function."""
CHUNK = 1 << 18
# largest error in units in the last place; the others hold 2 and 2.5
BOUND = {
    np.float32: {"exp": 1.01, "log": 0.8, "sqrt": 0.5, "expm1": 1.7, "log1p": 1.2, "erf": 1.35},
    np.float64: {
        **dict.fromkeys(["exp", "log", "log1p", "erf", "sqrt", "pow"], 1.1),
        **dict.fromkeys(["erfc", "erfcx", "erfinv", "ndtr"], 4.5),
        "tan": 4,
        "gammaln": 5,
        "digamma": 5,
        "trigamma": 6,
    },
}
# with zeros below 0, next to which no float32 or float64 is, so that errors are absolute there:
# in units of the terms of which the result is the difference, which are at least 1
OSCILLATING = {"gammaln": 1.0, "digamma": 2.0}
SPECIAL = [0.0, 1.0, 0.5, 2.0, 3.0, 1.5, 20.0, 1e-45, 1e-40, 1e-38, 3e38, 1e30, np.inf]
SPECIAL = np.array([*SPECIAL, *(-x for x in SPECIAL), np.nan])


def math(name: str, *xs: Array) -> Array:
    """The function `name` of vector math."""
    return elementwise(lambda e, *values: e.math(name, *values), xs[0].dtype, *xs)


def ulps(values: Array, exact: Array, least: Any = 0.0) -> Array:
    """The errors of finite `values` in units in the last place; `exact` is more precise.

    least: where the result is smaller, units are those of this number.
    """
    dtype, info = values.dtype, np.finfo(values.dtype)
    rounded = exact.astype(dtype)
    size = np.maximum(np.abs(rounded), np.maximum(least, info.tiny)).astype(dtype)
    integer = np.dtype(f"u{dtype.itemsize}")
    exponent = np.array(np.inf, dtype).view(integer)  # by it a third of the time of np.spacing
    unit = (size.view(integer) & exponent).view(dtype) * info.eps
    error = np.abs(values.astype(exact.dtype) - exact) / unit.astype(exact.dtype)
    agree = (np.isnan(values) & np.isnan(exact)) | (values == rounded)
    error = np.where(np.isfinite(rounded), error, np.where(agree, 0, np.inf))
    return np.where(np.isnan(error), np.inf, error)


def least_of(name: str, x: Array) -> Array:
    """The number in whose units small results at `x` are measured."""
    return np.where(x < 0, OSCILLATING.get(name, 0.0), 0.0)


def exactly(function: Any, *columns: Array) -> Array:
    """mpmath's `function`, as long doubles scaled so that float64 rounding does not count."""
    with mpmath.workprec(1200):
        points = zip(*columns, strict=True)
        values = [function(*map(mpmath.mpf, map(float, point))) for point in points]
        return np.array([split_longdouble(value) for value in values])


def split_longdouble(value: Any) -> np.longdouble:
    """`value` to the 106 bits of two float64, as far as a long double holds them."""
    high = float(value)
    return np.longdouble(high) + np.longdouble(float(value - mpmath.mpf(high)))


def check_special(values: Array, expected: Array) -> None:
    """Infinities, NaN and signed zeros agree, and the rest to the precision of the dtype."""
    np.testing.assert_allclose(values, expected, rtol=8 * np.finfo(values.dtype).eps)
    zeros = (expected == 0) & (values == 0)
    np.testing.assert_array_equal(np.signbit(values[zeros]), np.signbit(expected[zeros]))


def test_every_function_is_measured_here():
    assert set(MATH) == set(UNARY) | set(BINARY)


def test_only_floats_are_supported():
    assert supported("exp", np.float32) and supported("exp", "float64")
    assert not supported("exp", np.int32) and not supported("exp", np.float16)
    assert not supported("gamma", np.float32)


def pattern_chunks() -> Iterator[Array]:
    """Float32 numbers by their bits, a part at a time: one of each STEP there are."""
    for start in range(0, 2**32, STEP * CHUNK):
        bits = np.arange(start, min(start + STEP * CHUNK, 2**32), STEP, dtype=np.uint64)
        yield bits.astype(np.uint32).view(np.float32)


def scattered(x: Array, name: str) -> Array:
    """Second operands for `x`: of any bits, or for every other such that powers are finite."""
    bits = x.view(np.uint32) * np.uint32(2654435761) + np.uint32(12345)
    y = bits.view(np.float32).copy()
    if name == "pow":
        logarithm = np.log(np.abs(x[::2].astype(np.float64)))
        y[::2] = np.linspace(-104, 89, len(x[::2])) / logarithm
    return y


@pytest.mark.parametrize("name", sorted(UNARY))
def test_float32_over_all_its_bit_patterns(name):
    for x in pattern_chunks():
        with np.errstate(all="ignore"):
            exact = UNARY[name][0](x.astype(np.float64))
            error = ulps(math(name, x), exact, least_of(name, x))
        worst = int(np.argmax(error))
        assert error[worst] <= BOUND[np.float32].get(name, 2.0), f"{name}({x[worst]!r})"


@pytest.mark.parametrize("name", sorted(BINARY))
def test_float32_over_bit_patterns_of_two_arguments(name):
    for x in pattern_chunks():
        with np.errstate(all="ignore"):
            y = scattered(x, name)
            exact = BINARY[name][0](x.astype(np.float64), y.astype(np.float64))
            error = ulps(math(name, x, y), exact)
        worst = int(np.argmax(error))
        assert error[worst] <= 2.0, f"{name}({x[worst]!r}, {y[worst]!r})"


@pytest.mark.parametrize("name", sorted(UNARY))
def test_float64_against_mpmath(name):
    rng = np.random.default_rng(0)
    _, exact, intervals = UNARY[name]
    x = np.concatenate([rng.uniform(low, high, 120) for low, high in intervals])
    error = ulps(math(name, x), exactly(exact, x), least_of(name, x))
    worst = int(np.argmax(error))
    assert error[worst] <= BOUND[np.float64].get(name, 2.5), f"{name}({x[worst]!r})"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(UNARY))
def test_special_values_of_one_argument_are_those_of_numpy(name, dtype):
    x = SPECIAL.astype(dtype)
    with np.errstate(all="ignore"):
        expected = UNARY[name][0](x.astype(np.float64)).astype(dtype)
    check_special(math(name, x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(BINARY))
def test_special_values_of_two_arguments_are_those_of_numpy(name, dtype):
    with np.errstate(all="ignore"):
        x1, x2 = (x.ravel().astype(dtype) for x in np.meshgrid(SPECIAL, SPECIAL))
        expected = BINARY[name][0](x1, x2)
    check_special(math(name, x1, x2), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(BINARY))
def test_functions_of_two_arguments_against_mpmath(name, dtype):
    rng = np.random.default_rng(0)
    scale = 80 if dtype == np.float32 else 700
    x1, x2 = rng.normal(size=(2, 300)) * 4
    if name == "pow":
        x1 = np.exp(rng.uniform(-scale / 3, scale / 3, 300))
        x1[::2] = rng.uniform(0.3, 3, 150)
        x2 = rng.uniform(-scale, scale, 300) / np.log(x1)
    if name == "logaddexp":
        x1, x2 = abs(x1), abs(x2)  # of opposite signs, the result may vanish
    x1, x2 = x1.astype(dtype), x2.astype(dtype)
    error = ulps(math(name, x1, x2), exactly(BINARY[name][1], x1, x2))
    assert error.max() <= BOUND[dtype].get(name, 2.0)


EXPONENTS = [0, 1, 2, 3, 4, 5, 7, 12, 16, 0.5, 1.5, 2.5, 7.5]
EXPONENTS = [*EXPONENTS, *(-p for p in EXPONENTS[1:])]


def power_known(x: Array, exponent: float) -> Array:
    """x to the power of a number that is written into the code."""
    return elementwise(lambda e, v: e.math("pow", v, e.const(exponent, v.dtype)), x.dtype, x)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_powers_by_known_exponents_over_bit_patterns_of_float32(exponent):
    for x in pattern_chunks():
        with np.errstate(all="ignore"):
            error = ulps(power_known(x, exponent), np.power(x.astype(np.float64), exponent))
        worst = int(np.argmax(error))
        assert error[worst] <= 2.0, f"{x[worst]!r} ** {exponent}"


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_powers_by_known_exponents_against_mpmath(exponent):
    rng = np.random.default_rng(0)
    limit = 700 / max(abs(exponent), 1)
    x = np.exp(rng.uniform(-limit, limit, 300))
    exact = exactly(lambda v: mpmath.power(v, exponent), x)
    assert ulps(power_known(x, exponent), exact).max() <= 2.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_powers_of_special_values_by_known_exponents_are_those_of_numpy(exponent, dtype):
    far = np.array([1e30, 1e75, 1e154, 1e155, 1e308, np.inf])  # where factors overflow, or not
    with np.errstate(all="ignore"):
        x = np.concatenate([SPECIAL, far, -far, 1 / far, -1 / far]).astype(dtype)
        expected = np.power(x, dtype(exponent))
    check_special(power_known(x, exponent), expected)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_of_any_size_are_reduced(name):
    rng = np.random.default_rng(0)
    multiples = np.arange(1, 40) * (np.pi / 2)  # next to where the result is zero or infinite
    hardest = [6381956970095103 * 2.0**797, 1e22, 2.0**20, np.nextafter(2.0**20, 0)]
    x = np.concatenate([np.exp(rng.uniform(14, 709, 60)), multiples, hardest])
    error = ulps(
        math(name, np.concatenate([x, -x])), exactly(UNARY[name][1], np.concatenate([x, -x]))
    )
    assert error.max() <= 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logarithms_of_powers_of_their_base_are_whole(dtype):
    n = np.arange(-30, 31)
    np.testing.assert_array_equal(math("log2", 2.0 ** n.astype(dtype)), n)
    whole = np.arange(0, 11 if dtype == np.float32 else 23)
    np.testing.assert_array_equal(math("log10", (10.0**whole).astype(dtype)), whole)


@pytest.mark.parametrize("lanes", [1, 2, 64])
def test_the_number_of_lanes_does_not_change_the_result(lanes):
    x = np.linspace(-3e6, 3e6, 128, dtype=np.float32)
    for name in ("exp", "sin", "erfc"):
        expected = math(name, x)
        values = elementwise(lambda e, v, name=name: e.math(name, v), np.float32, x, lanes=lanes)
        np.testing.assert_array_equal(values, expected)
