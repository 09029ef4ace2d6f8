"""Special functions in float64 NumPy, to a few units in the last place.

Polynomials are Chebyshev interpolations computed with 60 digits, written in powers. Arguments
come as float64 arrays; results are float64 and follow the limits at inf, nan and poles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

BLOCK = 4096  # elements; with its temporaries a block stays in the cache


def in_blocks(function: Callable[..., Array]) -> Callable[..., Any]:
    """Let a function of a float64 array take any real array or number, and keep its dtype.

    Integers and bool give float64. Raises TypeError for complex numbers.
    """

    @wraps(function)
    def whole(x: Any, **options: Any) -> Any:
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise TypeError(f"{function.__name__} of complex numbers is not known here")
        flat = x.reshape(-1)
        y = np.empty(flat.shape, x.dtype if x.dtype.kind == "f" else np.float64)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, BLOCK):
                block = slice(start, start + BLOCK)
                y[block] = function(flat[block].astype(np.float64), **options)
        return y.reshape(x.shape)[()]

    return whole


def polynomial(coefficients: Array, x: Array) -> Array:
    """The sum of coefficients[i] x^i, by Horner's rule."""
    y = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        y *= x
        y += c
    return y


# the error function

# erf(x) / x as a polynomial in x², for x² up to 1
ERF = np.array(
    [
        1.1283791670955126,
        -0.3761263890318375,
        0.11283791670954882,
        -0.026866170645077334,
        0.005223977624823223,
        -0.0008548326981129666,
        0.00012055331122299266,
        -1.4925595519506043e-05,
        1.6461004480962034e-06,
        -1.6350354461959655e-07,
        1.4660051998394848e-08,
        -1.1373902296430911e-09,
        5.958930743134941e-11,
    ]
)
# (1 + 2x) exp(x²) erfc(x) as one in (x - c) / (x + c), for x from 0 to inf; the variable is that
# of Shepherd and Laframboise, Math. Comp. 36 (1981)
ERFCX_CENTER = 3.75
ERFCX = np.array(
    [
        1.2375126308378275,
        -0.14024059858554702,
        0.0035854154854644293,
        0.08227673849015102,
        -0.10880393014174886,
        0.09230432116019834,
        -0.05869339858963677,
        0.0283622774215156,
        -0.009746579558029276,
        0.0017556258324217529,
        0.0002937136655913448,
        -0.00029015397928986765,
        5.164909889268241e-05,
        2.2383912036550678e-05,
        -1.1444146237700524e-05,
        -9.72849582211122e-07,
        1.751637648849062e-06,
        -5.826281078800774e-08,
        -2.586685071615589e-07,
        2.4289762925488674e-08,
        3.867533424222237e-08,
        -4.389284159986307e-09,
        -5.173990214011314e-09,
        5.457157304704607e-10,
        4.251471444796397e-10,
        -3.753158277959485e-11,
    ]
)


def erfcx_of_positive(a: Array) -> Array:
    """exp(a²) erfc(a) for a >= 0."""
    t = 1 - 2 * ERFCX_CENTER / (a + ERFCX_CENTER)
    return polynomial(ERFCX, t) / (1 + 2 * a)


def exp_of_minus_square(a: Array, times: float = 1.0) -> Array:
    """exp(-a²), with the rounding error of the square, which exp would magnify, put right.

    times: a power of two, by which the square is multiplied.
    """
    high = a.astype(np.float32).astype(np.float64)  # its square is exact
    return np.exp(-times * high * high) * np.exp(times * (high - a) * (high + a))


def erfc_of_positive(a: Array) -> Array:
    """erfc(a) for a >= 0; 0 from 28 on."""
    a = np.minimum(a, 28.0)
    return exp_of_minus_square(a) * erfcx_of_positive(a)


@in_blocks
def erf(x: Array) -> Array:
    """The error function."""
    a = np.abs(x)
    inner = x * polynomial(ERF, np.minimum(a, 1) ** 2)
    return np.where(a < 1, inner, np.copysign(1 - erfc_of_positive(a), x))


@in_blocks
def erfc(x: Array) -> Array:
    """1 - erf(x)."""
    a = np.abs(x)
    inner = 1 - x * polynomial(ERF, np.minimum(a, 1) ** 2)
    outer = erfc_of_positive(a)
    return np.where(a < 0.5, inner, np.where(x < 0, 2 - outer, outer))


@in_blocks
def ndtr(x: Array) -> Array:
    """erfc(-x / √2) / 2, of which the tail squares `x` itself: its rounding would be magnified."""
    a = np.minimum(np.abs(x), 40.0)
    z = a * math.sqrt(0.5)
    inner = 0.5 + np.copysign(0.5 * z * polynomial(ERF, np.minimum(z, 1) ** 2), x)
    outer = 0.5 * exp_of_minus_square(a, 0.5) * erfcx_of_positive(z)
    return np.where(z < 0.5, inner, np.where(x < 0, outer, 1 - outer))


@in_blocks
def erfcx(x: Array) -> Array:
    """exp(x²) erfc(x)."""
    x = np.maximum(x, -30.0)  # beyond, it is inf
    y = erfcx_of_positive(np.abs(x))
    high = x.astype(np.float32).astype(np.float64)
    square = np.exp(high * high) * np.exp((x - high) * (x + high))
    return np.where(x < 0, 2 * square - y, y)


@in_blocks
def erfinv(y: Array) -> Array:
    """The x with erf(x) = y: a guess of Winitzki's, made exact by three of Halley's steps."""
    a = np.abs(y)
    logarithm = np.log1p(-a * a)
    half = 2 / (math.pi * 0.147) + logarithm / 2
    x = np.sqrt(-logarithm / 0.147 / (np.sqrt(half * half - logarithm / 0.147) + half))
    for _ in range(3):
        # of erf near 0 and of erfc near 1: the difference keeps its digits
        inner = x * polynomial(ERF, np.minimum(x, 1) ** 2) - a
        error = np.where(a < 0.5, inner, (1 - a) - erfc_of_positive(x))
        step = error * (math.sqrt(math.pi) / 2) / exp_of_minus_square(x)
        x = x - step / (1 + x * step)
    return np.copysign(np.where(a == 1, np.inf, x), y)


# the gamma function

# log Γ(x) / ((x - 1)(x - 2)) as a polynomial in 2x - 3, for x from 1 to 2
LGAMMA = np.array(
    [
        0.4831289505409809,
        -0.07297994795715304,
        0.015727850268641094,
        -0.003913560937626182,
        0.0010498186644547402,
        -0.0002945507015196472,
        8.510090373499432e-05,
        -2.5094328668947195e-05,
        7.511391855641883e-06,
        -2.2742474102383936e-06,
        6.948428064186312e-07,
        -2.1386323384115519e-07,
        6.623878077265301e-08,
        -2.0621027431854287e-08,
        6.430260727636965e-09,
        -2.016947955623982e-09,
        6.566403819263112e-10,
        -2.0874620693971093e-10,
        5.0258222095609345e-11,
        -1.5395748006420787e-11,
        1.1586115295157278e-11,
        -3.803618166622364e-12,
    ]
)
# digamma(x) / (x - its zero) as one in 2x - 3, for x from 1 to 2; the zero is a sum of two numbers
DIGAMMA_ZERO = (1.4616321449683622, 9.549995429965697e-17)
DIGAMMA = np.array(
    [
        0.951055876031833,
        -0.2118137106407303,
        0.060135621060193496,
        -0.018550615381736257,
        0.005936795278435806,
        -0.0019350666648342263,
        0.0006368880282936789,
        -0.00021074841165067394,
        6.995020500704142e-05,
        -2.3258241051841238e-05,
        7.741156262310994e-06,
        -2.578098764886124e-06,
        8.591338316949195e-07,
        -2.8630623250985456e-07,
        9.50072758658767e-08,
        -3.1641931813205615e-08,
        1.1038779312053368e-08,
        -3.6981818003028365e-09,
        8.660288747245342e-10,
        -2.803454383913856e-10,
        2.4781432675055026e-10,
        -8.41903101067421e-11,
    ]
)
# B_2, B_4, ..., the Bernoulli numbers of the asymptotic series (DLMF 5.11)
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
POLE = 2.0**-60  # nearer to 0, Γ(x) is 1 / x to the last bit
FAR = 10.0  # from here on the asymptotic series are exact to rounding


def gammaln_of_positive(x: Array) -> Array:
    """log Γ(x) for x >= 0: by Γ(x+1) = x Γ(x) from 1 to 2, and by Stirling's series from 10."""
    near, product = np.minimum(x, FAR), np.ones_like(x)
    while (above := near > 2).any():
        near = np.where(above, near - 1, near)
        product = np.where(above, product * near, product)
    below = near < 1
    logarithm = np.where(below, -np.log(near), np.log(product))
    u = np.where(below, near, near - 1)  # exact, as near + 1 is not
    rest = u * (u - 1) * polynomial(LGAMMA, 2 * u - 1)
    series = bernoulli_series(x, [b / (2 * k * (2 * k - 1)) for k, b in enumerated(BERNOULLI)]) / x
    stirling = (x - 0.5) * (np.log(x) - 1) + (math.log(2 * math.pi) - 1) / 2 + series
    y: Array = np.where(x < FAR, logarithm + rest, stirling)
    return y


def enumerated(numbers: tuple[float, ...]) -> list[tuple[int, float]]:
    """`numbers` with their places, counted from 1."""
    return list(enumerate(numbers, 1))


def bernoulli_series(x: Array, coefficients: list[float]) -> Array:
    """The sum of coefficients[k-1] / x^(2k-2)."""
    return polynomial(np.array(coefficients), 1 / np.maximum(x, FAR) ** 2)


def turned(x: Array) -> Array:
    """π times the signed distance of `x` from the nearest whole number: exact where π x is not."""
    distance: Array = x - np.round(x)
    return math.pi * distance


@in_blocks
def gammaln(x: Array) -> Array:
    """log |Γ(x)|; inf at 0, -1, -2, ... (DLMF 5.5.3 for x < 0)."""
    positive = gammaln_of_positive(np.abs(x))
    reflected = np.log(math.pi / np.abs(x * np.sin(turned(x)))) - positive
    y = np.where(np.isinf(x) | (x == np.round(x)), np.inf, reflected)
    return np.where((x > 0) | (np.abs(x) < POLE), positive, y)


@in_blocks
def digamma(x: Array) -> Array:
    """The derivative of log Γ; its poles are at 0, -1, -2, ... (DLMF 5.5.4 for x < 0)."""
    far, total = np.where(x < 0, 1 - x, x), np.zeros_like(x)
    while (near := far < FAR).any():
        total = np.where(near, total + 1 / far, total)
        far = np.where(near, far + 1, far)
    series = bernoulli_series(far, [b / (2 * k) for k, b in enumerated(BERNOULLI)])
    y = np.log(far) - 0.5 / far - series / far**2 - total
    distance = (x - DIGAMMA_ZERO[0]) - DIGAMMA_ZERO[1]
    y = np.where(np.abs(x - 1.5) <= 0.5, distance * polynomial(DIGAMMA, 2 * x - 3), y)
    y = np.where(x < 0, y - math.pi / np.tan(turned(x)), y)
    return np.where((x < 0) & (x == np.round(x)), np.nan, np.where(x == 0, -1 / x, y))


@in_blocks
def polygamma(x: Array, *, n: int) -> Array:
    """Derivative number n >= 1 of digamma, by its Hurwitz zeta series (DLMF 25.11.28, 5.15.6).

    At -1, -2, ... it is inf for odd n, and nan for even, where sides differ.
    """
    start = np.where(x < 0, 1 - x, x)
    total = np.zeros_like(x)
    steps = int(FAR) + n
    for k in range(steps):
        total += (start + k) ** -(n + 1.0)
    far = start + steps
    tail = far**-n / n + 0.5 * far ** -(n + 1.0)
    term = (n + 1) * far ** -(n + 2.0) / 2
    for k, b in enumerated(BERNOULLI):
        tail += b * term
        term *= (n + 2 * k) * (n + 2 * k + 1) / ((2 * k + 1) * (2 * k + 2)) / far**2
    y: Array = (-1) ** (n + 1) * math.factorial(n) * (total + tail)
    powers = np.array([0.0, 1.0])  # derivatives of the cotangent are polynomials in it
    for _ in range(n):
        powers = -np.convolve(powers[1:] * np.arange(1, len(powers)), [1.0, 0.0, 1.0])
    reflected = (-1) ** n * y - math.pi ** (n + 1) * polynomial(powers, 1 / np.tan(turned(x)))
    reflected = np.where(turned(x) == 0, math.inf if n % 2 else math.nan, reflected)
    return np.where(x < 0, reflected, y)
