"""Compute the polynomials of minigrad/codegen/coefficients.py, and write that file.

Each polynomial P is the minimax approximation of f on an interval [a, b] under a weight w: it
makes the largest |w(x) (f(x) - P(x))| as small as it can be (Remez, 1934). The weight turns the
error of P into the relative error of the function that P is a part of. Run: python tools/minimax.py
"""

from pathlib import Path

from mpmath import (
    asin,
    atan,
    atanh,
    cos,
    digamma,
    erf,
    erfc,
    exp,
    expm1,
    findroot,
    log,
    log1p,
    loggamma,
    lu_solve,
    matrix,
    mp,
    mpf,
    nstr,
    pi,
    polygamma,
    sin,
    sinh,
    sqrt,
    tanh,
    workprec,
)  # fmt: skip

mp.dps = 40
LN2 = log(2)
TARGET = Path(__file__).parents[1] / "minigrad" / "codegen" / "coefficients.py"


def remez(f, weight, low, high, count):
    """The `count` coefficients, lowest power first, and the largest weighted error."""
    low, high = mpf(low), mpf(high)
    points = count + 1
    size = 40 * points
    grid = [low + (high - low) * (1 - cos(pi * i / size)) / 2 for i in range(size + 1)]
    grid = [x for x in grid if abs(x) > (high - low) * mpf("1e-7")]  # f may be 0/0 at 0
    values, weights = [f(x) for x in grid], [weight(x) for x in grid]
    chosen = [round((len(grid) - 1) * (1 - cos(pi * k / count)) / 2) for k in range(points)]
    for _ in range(30):
        rows = matrix(points, points)
        right = matrix(points, 1)
        for row, j in enumerate(chosen):
            for k in range(count):
                rows[row, k] = weights[j] * grid[j] ** k
            rows[row, count] = (-1) ** row
            right[row] = weights[j] * values[j]
        solution = list(lu_solve(rows, right))[:count]
        columns = zip(weights, values, grid, strict=True)
        errors = [w * (v - evaluate(solution, x)) for w, v, x in columns]
        extrema = alternation(errors, points)
        if len(extrema) < points or extrema == chosen:
            break
        chosen = extrema
    return solution, max(map(abs, errors))


def evaluate(coefficients, x):
    """The polynomial at `x`."""
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def alternation(errors, points):
    """Where the error is extremal, once for every run of one sign; the `points` largest."""
    runs = [[0]]
    for j in range(1, len(errors)):
        if (errors[j] > 0) == (errors[runs[-1][0]] > 0):
            runs[-1].append(j)
        else:
            runs.append([j])
    extrema = [max(run, key=lambda j: abs(errors[j])) for run in runs]
    while len(extrema) > points:
        extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
    return extrema


def odd(function, limit):
    """P of function(x) = x + x z P(z), z = x², for an odd function with derivative 1 at 0."""
    return lambda z: (function(sqrt(z)) / sqrt(z) - 1) / z, abs, 0, mpf(limit) ** 2


def two_over_pi(count):
    """The bits of 2/pi after the point, in `count` words of 64."""
    with workprec(64 * count + 64):
        whole = int(2 / pi * mpf(2) ** (64 * count))
    return [whole >> (64 * k) & (2**64 - 1) for k in reversed(range(count))]


def ratio(t):
    """The variable of erfc: t = 2 (1 + u) / (1 - u)."""
    return (t - 2) / (t + 2)


def scaled_erfc(u):
    """(t + 2) exp(t²) erfc(t), in the variable u."""
    t = 2 * (1 + u) / (1 - u)
    return (t + 2) * exp(t * t) * erfc(t)


def erfc_between(low, high):
    """The scaled erfc for low < t < high, relative."""
    return scaled_erfc, lambda u: 1 / scaled_erfc(u), ratio(mpf(low)), ratio(mpf(high))


def erfinv_ratio(w):
    """erfinv(x) / x for w = -log(1 - x²), by Newton's method on log(erfc(y))."""
    x = sqrt(-expm1(-w))
    rest = exp(-w) / (1 + x)  # 1 - x
    start = sqrt(w) if w > 3 else x * sqrt(pi) / 2
    return findroot(lambda y: log(erfc(y)) - log(rest), start) / x


def erfinv_between(low, high, middle, power=1):
    """erfinv(x) / x, relative, for low < v < high with w = v^power, in the variable v - middle."""
    f = lambda c: erfinv_ratio((c + middle) ** power)  # noqa: E731
    return f, lambda c: 1 / f(c), mpf(low) - middle, mpf(high) - middle


def from_one_to_two(f):
    """f(x) for 1 < x < 2, relative, in the variable s = 2 x - 3."""
    middle = lambda s: f((s + 3) / 2)  # noqa: E731
    end = 1 - mpf("1e-12")  # f may be 0/0 at 1 and 2
    return middle, lambda s: 1 / middle(s), -end, end


def beyond_three(rest, function):
    """rest(t) for t = 1 / x, x > 3, in the variable t²; the sum is `function`, rest a part of it.

    rest: t and z = t² to what is left of `function`, and to what multiplies P in it.
    """
    left = lambda z: rest(sqrt(z))[0]  # noqa: E731
    factor = lambda z: rest(sqrt(z))[1]  # noqa: E731
    return (
        lambda z: left(z) / factor(z),
        lambda z: abs(factor(z) / function(1 / sqrt(z))), 0, mpf(1) / 9,
    )  # fmt: skip


def stirling_rest(t):
    """log Γ(1/t) less Stirling's formula, and t."""
    x = 1 / t
    return loggamma(x) - (x - mpf("0.5")) * log(x) + x - log(2 * pi) / 2, t


half = LN2 / 2 * mpf("1.001")
root = sqrt(mpf(2)) * mpf("1.0001")
log_limit = ((root - 1) / (root + 1)) ** 2
after_linear = lambda r: (expm1(r) - r) / r**2  # noqa: E731
exp_part = (after_linear, lambda r: r**2 / exp(r), -half, half)
expm1_part = (after_linear, lambda r: abs(r**2 / expm1(r)), -half, half)
log_part = (
    lambda f: (log1p(f) - f + f * f / 2) / f**3,
    lambda f: abs(f**3 / log1p(f)), 1 / root - 1, root - 1,
)  # fmt: skip
log_ratio = (lambda z: (2 * atanh(sqrt(z)) / sqrt(z) - 2) / z, abs, 0, log_limit)
log_tail = (
    lambda z: (2 * atanh(sqrt(z)) / sqrt(z) - 2 - 2 * z / 3) / z**2, lambda z: z * z, 0, log_limit,
)  # fmt: skip
cos_part = (lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, lambda z: z * z, 0, (pi / 4) ** 2)
erf_part = (lambda z: erf(sqrt(z)) / sqrt(z) - 1, lambda z: 1)
erf_tail = (
    lambda t: (log(erfc(t)) + t) / t,
    lambda t: t * erfc(t) / erf(t), mpf("0.9"), 4,
)  # fmt: skip
erf_weight = lambda u: exp(-((2 * (1 + u) / (1 - u)) ** 2))  # noqa: E731

erfinv_near = erfinv_between("1e-6", "6.26", 3)
digamma_zero = findroot(digamma, mpf("1.46163"))
gammaln_near = from_one_to_two(lambda x: loggamma(x) / ((x - 1) * (x - 2)))
gammaln_far = beyond_three(stirling_rest, loggamma)
digamma_near = from_one_to_two(lambda x: digamma(x) / (x - digamma_zero))
digamma_far = beyond_three(lambda t: (log(1 / t) - t / 2 - digamma(1 / t), t**2), digamma)
trigamma = lambda x: polygamma(1, x)  # noqa: E731
trigamma_far = beyond_three(lambda t: (trigamma(1 / t) - t - t * t / 2, t**3), trigamma)

# name: what it is good for, (f, weight, low, high), number of coefficients
POLYNOMIALS = {
    "exp_f32": ("exp(r) = 1 + r + r² P(r), |r| <= log(2)/2", exp_part, 5),
    "exp_f32_short": ("the same, where 1e-6 will do", exp_part, 4),
    "exp_f64": ("the same", exp_part, 10),
    "exp_f64_short": ("the same, where 1e-11 will do", exp_part, 6),
    "expm1_f32": ("expm1(r) = r + r² P(r), |r| <= log(2)/2", expm1_part, 5),
    "expm1_f64": ("the same", expm1_part, 11),
    "log_f32": ("log(1 + f) = f - f²/2 + f³ P(f), sqrt(1/2) <= 1 + f <= sqrt(2)", log_part, 9),
    "log_f64": ("log((1 + s) / (1 - s)) = 2 s + s z P(z), z = s²", log_ratio, 7),
    "log_f64_short": ("the same, where 1e-11 will do", log_ratio, 4),
    "log_f64_tail": ("log((1 + s) / (1 - s)) = 2 s + 2/3 s z + s z² P(z)", log_tail, 7),
    "sin_f32": ("sin(r) = r + r z P(z), z = r², |r| <= pi/4", odd(sin, pi / 4), 3),
    "sin_f64": ("the same", odd(sin, pi / 4), 6),
    "cos_f32": ("cos(r) = 1 - z/2 + z² P(z), z = r², |r| <= pi/4", cos_part, 3),
    "cos_f64": ("the same", cos_part, 6),
    "tanh_f32": ("tanh(x) = x + x z P(z), |x| < 0.625", odd(tanh, "0.625"), 5),
    "sinh_f32": ("sinh(x) = x + x z P(z), |x| < 1", odd(sinh, 1), 4),
    "sinh_f64": ("the same", odd(sinh, 1), 7),
    "asin_f32": ("asin(x) = x + x z P(z), |x| <= 0.5625", odd(asin, "0.563"), 6),
    "asin_f64": ("the same", odd(asin, "0.563"), 15),
    "atan_f32": ("atan(x) = x + x z P(z), |x| <= 1/2", odd(atan, "0.501"), 6),
    "atan_f64": ("the same", odd(atan, "0.501"), 13),
    "erf_f32": ("erf(x) = x + x P(z), z = x², |x| < 0.921875", (*erf_part, 0, mpf("0.85")), 6),
    "erf_f64": ("the same, |x| < 1", (*erf_part, 0, 1), 13),
    "erf_tail_f32": ("log(1 - erf(t)) = t P(t) - t, 0.9 <= t <= 4", erf_tail, 7),
    "erf_tail_f64": (
        "(t + 2) exp(t²) erfc(t) = P(u), u = (t - 2) / (t + 2), 1 <= t <= 6, absolute in erf",
        (scaled_erfc, erf_weight, ratio(mpf(1)), ratio(mpf(6))), 16,
    ),
    "erfc_f64": ("the same, 0.5 <= t, relative", erfc_between("0.5", "1e8"), 26),
    "erfc_f64_short": ("the same, where 1e-8 will do", erfc_between("0.5", "1e8"), 13),
    "erfc_f64_shorter": ("the same, 0.5 <= t <= 10.2", erfc_between("0.5", "10.2"), 10),
    "erfinv_f64": ("erfinv(x) = x P(w - 3), w = -log(1 - x²), w < 6.25", erfinv_near, 24),
    "erfinv_f64_short": ("the same, where 1e-8 will do", erfinv_near, 12),
    "erfinv_tail_f64": (
        "erfinv(x) = x P(√w - 3), 2.5 < √w < 4", erfinv_between("2.49", "4.01", 3, 2), 19,
    ),
    "erfinv_tail_f64_short": (
        "the same, where 1e-8 will do, 2.5 < √w < 4.2", erfinv_between("2.49", "4.2", 3, 2), 9,
    ),
    "erfinv_end_f64": (
        "erfinv(x) = x P(√w - 5), 4 < √w < 6.1", erfinv_between("3.99", "6.1", 5, 2), 18,
    ),
    "gammaln_f64": ("log Γ(x) = (x - 1) (x - 2) P(s), s = 2 x - 3, 1 < x < 2", gammaln_near, 21),
    "gammaln_f64_short": ("the same, where 1e-8 will do", gammaln_near, 10),
    "gammaln_tail_f64": (
        "log Γ(x) = (x - 1/2) log(x) - x + log(2 pi) / 2 + t P(t²), t = 1/x, x > 3",
        gammaln_far, 10,
    ),
    "gammaln_tail_f64_short": ("the same, where 1e-8 will do", gammaln_far, 3),
    "digamma_f64": ("digamma(x) = (x - x0) P(s), s = 2 x - 3, 1 < x < 2", digamma_near, 22),
    "digamma_f64_short": ("the same, where 1e-8 will do", digamma_near, 11),
    "digamma_tail_f64": ("digamma(x) = log(x) - t/2 - t² P(t²), t = 1/x, x > 3", digamma_far, 11),
    "digamma_tail_f64_short": ("the same, where 1e-8 will do", digamma_far, 3),
    "trigamma_f64": (
        "the derivative of digamma, P(s), s = 2 x - 3, 1 < x < 2", from_one_to_two(trigamma), 24,
    ),
    "trigamma_f64_short": ("the same, where 1e-8 will do", from_one_to_two(trigamma), 12),
    "trigamma_tail_f64": ("the same, t + t²/2 + t³ P(t²), t = 1/x, x > 3", trigamma_far, 12),
    "trigamma_tail_f64_short": ("the same, where 1e-8 will do", trigamma_far, 4),
}  # fmt: skip


def main():
    """Compute all polynomials, print how good they are, and write them down."""
    lines = [
        '"""Minimax polynomials, lowest power first. Written by tools/minimax.py; do not edit."""',
        "",
        "# fmt: off",
        "COEFFICIENTS: dict[str, tuple[float, ...]] = {",
    ]
    for name, (meaning, problem, count) in POLYNOMIALS.items():
        coefficients, error = remez(*problem, count)
        print(f"{name:16} {count:2} coefficients, error 2^{float(log(error, 2)):.1f}", flush=True)
        lines += [f"    # {meaning}", f'    "{name}": (']
        texts = [repr(float(nstr(c, 25))) for c in coefficients]
        lines += ["        " + ", ".join(texts[k : k + 3]) + "," for k in range(0, count, 3)]
        lines += ["    ),"]
    lines += [
        "}",
        "# fmt: on",
        "",
        "# 64 zero bits, then those of 2/pi after the point",
        "TWO_OVER_PI = (",
    ]
    lines += [f"    0x{word:016X}," for word in (0, *two_over_pi(19))]
    TARGET.write_text("\n".join([*lines, ")", ""]))


if __name__ == "__main__":
    main()
