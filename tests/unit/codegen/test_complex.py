"""Complex numbers in loops against NumPy: bits, limits, branch cuts, and sums."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from tests.unit.codegen.native import needs_llvm

pytestmark = needs_llvm

DTYPES = [np.dtype(np.complex64), np.dtype(np.complex128)]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def special(dtype: Any) -> Any:
    """All pairs of zeros, infinities, nan, and what is small, large or common."""
    limits = np.finfo(dtype)
    sides = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 88.0, -88.0, np.inf, -np.inf, np.nan]
    sides += [limits.max, -limits.max, limits.smallest_subnormal, limits.smallest_normal]
    sides += [1.5 * np.log(limits.max), -1.1 * np.log(limits.max)]
    numbers = np.empty((len(sides), len(sides)), dtype)
    numbers.real, numbers.imag = np.meshgrid(np.array(sides, limits.dtype), sides)
    return numbers.ravel()


def common(dtype: Any, size: int = 3000) -> Any:
    """Numbers around 0, others of all sizes, and some next to the unit circle."""
    rng = np.random.default_rng(3)
    angles, most = np.exp(1j * rng.uniform(0, 2 * np.pi, size)), np.log(np.finfo(dtype).max) * 0.9
    near = rng.normal(size=size) + 1j * rng.normal(size=size)
    sizes = np.exp(rng.uniform(-most, most, size))
    return np.concatenate([near, sizes * angles, angles * (1 + 1e-4 * near.real)]).astype(dtype)


def compiled(f: Callable[..., Any], *xs: Any) -> Any:
    """The result of `f` in native code, every op of which is in loops."""
    g = mg.function(f, jit_compile=True)
    report = g.compiler_ir(*xs, stage="fused").split("\n\n")[-1]
    assert "call " not in report, report
    return g(*xs).numpy()


def parts(x: Any) -> list[Any]:
    """The real numbers that `x` is made of."""
    return [x.real, x.imag] if x.dtype.kind == "c" else [x]


def assert_same_limits(ours: Any, theirs: Any) -> None:
    """The same infinities, nans, and signs of zeros."""
    assert ours.dtype == theirs.dtype
    for x, y in zip(parts(ours), parts(theirs), strict=True):
        if x.dtype.kind == "f":
            np.testing.assert_array_equal(np.isnan(x), np.isnan(y))
            ends = np.isinf(x) | np.isinf(y)
            np.testing.assert_array_equal(x[ends], y[ends])
            zeros = (x == 0) & (y == 0)
            np.testing.assert_array_equal(np.signbit(x[zeros]), np.signbit(y[zeros]))


def assert_close(ours: Any, theirs: Any, ulps: float) -> None:
    """The same but for so many units in the last place of the whole number."""
    if theirs.dtype.kind == "b":
        np.testing.assert_array_equal(ours, theirs)
        return
    finite = np.isfinite(theirs) & np.isfinite(ours)
    limits = np.finfo(theirs.dtype)
    ours, theirs = ours[finite] / 4, theirs[finite] / 4  # whose sizes do not overflow
    sizes, off = np.maximum(np.abs(theirs), limits.smallest_normal), np.abs(ours - theirs)
    assert np.max(off / sizes, initial=0) <= ulps * float(limits.eps)


PAIRS: dict[str, float] = dict.fromkeys(("add", "subtract", "equal", "not_equal", "divide"), 0)
ALONE: dict[str, float] = {
    **dict.fromkeys(("negative", "conj", "real", "imag", "isnan", "isinf", "isfinite"), 0),
    **{
        "reciprocal": 0,
        "abs": 2,
        "sign": 2,
        "exp": 2.5,
        "log": 2,
        "sqrt": 2,
        "square": 1.5,
        "sin": 3,
        "cos": 3,
        "sinh": 3,
        "cosh": 3,
        "tanh": 4,
    },
}


@each_dtype
@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_numbers_are_as_in_numpy(name: str, dtype: Any) -> None:
    some, x = special(dtype), common(dtype)
    x1 = np.concatenate([np.repeat(some, len(some)), x])
    x2 = np.concatenate([np.tile(some, len(some)), x[::-1]])
    with np.errstate(all="ignore"):
        theirs = getattr(np, name)(x1, x2)
    ours = compiled(getattr(mg, name), x1, x2)
    assert_same_limits(ours, theirs)
    assert_close(ours, theirs, PAIRS[name])


@each_dtype
@pytest.mark.parametrize("name", ALONE)
def test_single_numbers_are_as_in_numpy(name: str, dtype: Any) -> None:
    x = common(dtype)
    if name != "square":  # which overflows there or does not, as products and sums are fused
        x = np.concatenate([special(dtype), x])
    with np.errstate(all="ignore"):
        theirs = getattr(mg, name)(mg.constant(x)).numpy()
    ours = compiled(getattr(mg, name), x)
    assert_same_limits(ours, theirs)
    assert_close(ours, theirs, ALONE[name])


@each_dtype
def test_a_product_is_that_of_the_parts(dtype: Any) -> None:
    x = common(dtype, 500)[:500]
    y = x[::-1].copy()
    exact = x.astype(np.clongdouble) * y.astype(np.clongdouble)
    ours = compiled(mg.multiply, x, y)
    bound = np.abs(x) * np.abs(y) * 2 * np.finfo(dtype).eps
    assert np.all(np.abs(ours - exact) <= bound)
    ends = np.array([complex(np.inf, 0), complex(0, np.inf), complex(np.nan, 1)], dtype)
    with np.errstate(all="ignore"):
        assert_same_limits(compiled(mg.multiply, ends, ends[::-1].copy()), ends * ends[::-1])


def test_logarithms_next_to_the_unit_circle_keep_their_digits() -> None:
    x = np.array([complex(0.6, 0.8), complex(0.8, 0.6), complex(1, 1e-9), complex(0, 1 + 1e-15)])
    excess = [float(Fraction(z.real) ** 2 + Fraction(z.imag) ** 2 - 1) for z in x.tolist()]
    np.testing.assert_allclose(compiled(mg.log, x).real, np.log1p(excess) / 2, rtol=1e-15)


MOVES: dict[str, Callable[[Any], Any]] = {
    "transpose": lambda x: x.T + 1j,
    "slice": lambda x: x[::-1, 3:50:2] * 1j,
    "flip": lambda x: -mg.flip(x),
    "margin": lambda x: mg.pad(x, 2, constant_values=2) + x[0, 0],
    "join": lambda x: mg.concat([x, mg.conj(x)], axis=1),
    "broadcast": lambda x: x[:, None, :40] - x[None, :, :40],
    "triangle": lambda x: mg.tril(x) * 2,
    "roll": lambda x: mg.roll(x, 3, axis=1) - x,
    "where": lambda x: mg.where(mg.real(x) > 0, x, 1j),
    "reshape": lambda x: mg.reshape(x, (-1, 10)) * 2,
}


@each_dtype
@pytest.mark.parametrize("name", MOVES)
def test_elements_come_from_anywhere(name: str, dtype: Any) -> None:
    x = common(dtype, 4000)[:7000].reshape(70, 100)
    np.testing.assert_allclose(
        compiled(MOVES[name], x), MOVES[name](mg.constant(x)).numpy(), rtol=1e-6
    )


CASTS = ("bool", "int32", "uint8", "float16", "float32", "float64", "complex64", "complex128")


@each_dtype
@pytest.mark.parametrize("other", CASTS)
def test_casts_are_those_of_the_kernels(other: str, dtype: Any) -> None:
    x = (np.arange(70).reshape(7, 10) * (1 - 0.5j)).astype(dtype)
    y = np.arange(70).astype(other)
    if other != "float16" or mg.codegen.jit.converts_halves():
        ours = compiled(lambda x: mg.astype(x, other), x)
        np.testing.assert_array_equal(ours, mg.astype(mg.constant(x), other).numpy(), strict=True)
        ours = compiled(lambda y: mg.astype(y, dtype), y)
        np.testing.assert_array_equal(ours, y.astype(dtype), strict=True)


@each_dtype
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_sums_are_as_exact_as_real_ones(axis: int | None, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    x = (rng.random((1000, 700)) + 1j * rng.normal(size=(1000, 700))).astype(dtype)
    ours = compiled(lambda x: mg.sum(x * 2, axis=axis), x)
    exact = x.astype(np.clongdouble).sum(axis=axis) * 2
    terms = np.abs(x).sum(axis=axis) * 2
    assert np.all(np.abs(ours - exact) <= 4 * np.finfo(dtype).eps * terms)


@each_dtype
def test_sums_of_many_threads_and_of_scalars_that_loops_share(dtype: Any) -> None:
    x = np.tile(common(dtype, 1000)[:1000] * dtype.type(0.5 + 1j), 3000)

    def f(x: Any) -> Any:
        mean = mg.mean(x)
        return mg.sum(mg.abs(x - mean) ** 2) + mg.real(mean)

    np.testing.assert_allclose(compiled(f, x), f(mg.constant(x)).numpy(), rtol=1e-5)


@each_dtype
def test_gradients_stay_in_loops(dtype: Any) -> None:
    x = common(dtype, 400)[:400]

    def slope(x: Any, w: Any) -> Any:
        return mg.grad(lambda w: mg.sum(mg.abs(mg.exp(w) * x - 1j) ** 2))(w)

    w = (x * 0.3)[::-1].copy()
    ours, theirs = compiled(slope, x, w), slope(mg.constant(x), mg.constant(w)).numpy()
    assert_close(ours, theirs, 40)


def test_what_complex_numbers_do_not_have_stays_with_its_kernel() -> None:
    spec = Spec((4,), np.complex64)
    for f in (mg.maximum, mg.less):
        g = mg.function(f, jit_compile=True)
        assert "call 0" in g.compiler_ir(spec, spec, stage="fused")
