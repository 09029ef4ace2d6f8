"""Decompositions of small matrices in native code: what NumPy gives, and refuses, to the bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import borrowed, objects
from minigrad.ops.borrowed import LARGEST
from minigrad.ops.cofactors import ROWS
from tests.unit.codegen.native import needs_llvm

DTYPES = [np.dtype(name) for name in ("float32", "float64", "complex64", "complex128")]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "inv": mg.linalg.inv,
    "det": mg.linalg.det,
    "slogdet": lambda x: tuple(mg.linalg.slogdet(x)),
    "cholesky": mg.linalg.cholesky,
    "cholesky, upper": lambda x: mg.linalg.cholesky(x, upper=True),
}


def matrices(*shape: int, dtype: Any = DTYPES[0]) -> Any:
    """Hermitian matrices that are well conditioned."""
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype.kind == "c" else 0)
    n = shape[-1]
    return (x @ x.swapaxes(-1, -2).conj() / n + np.eye(n)).astype(dtype)


def leaves(ys: Any) -> tuple[Any, ...]:
    """The results of a function, one or several."""
    return ys if isinstance(ys, tuple) else (ys,)


def assert_same(f: Callable[..., Any], *xs: Any) -> None:
    """Compiled, `f` gives what it does eagerly, to the bit."""
    compiled = leaves(mg.function(f, jit_compile=True)(*xs))
    for y, expected in zip(compiled, leaves(f(*map(mg.asarray, xs))), strict=True):
        assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(y.numpy(), expected.numpy())


def assert_near(f: Callable[..., Any], *xs: Any) -> None:
    """The same, but for rounding in double precision."""
    y, expected = mg.function(f, jit_compile=True)(*xs), f(*map(mg.asarray, xs))
    assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
    single = np.finfo(y.dtype).eps if y.dtype.itemsize in (4, 8) and y.dtype.char in "fF" else 0
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=single + 1e-13, atol=1e-14)


def report(f: Callable[..., Any], *xs: Any) -> str:
    """Which ops are in loops, and which are calls."""
    text: str = mg.function(f, jit_compile=True).compiler_ir(*xs, stage="fused")
    return text.split("\n\n")[-1]


def program(f: Callable[..., Any], *xs: Any) -> str:
    """What runs, node by node."""
    text: str = mg.function(f, jit_compile=True).compiler_ir(*xs, stage="program")
    return text


@each_dtype
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (5, 3, 3), (2, 3, 4, 4), (17, 17), (64, 64)], ids=str
)
def test_what_is_compiled_is_what_numpy_gives(
    name: str, shape: tuple[int, ...], dtype: Any
) -> None:
    same = assert_near if name == "det" and shape[-1] <= ROWS else assert_same
    same(FUNCTIONS[name], matrices(*shape, dtype=dtype))


@needs_llvm
@each_dtype
@pytest.mark.parametrize("n", [1, 2, 3])
def test_determinants_that_are_written_out_and_their_gradients(n: int, dtype: Any) -> None:
    x = matrices(50, n, n, dtype=dtype)
    x[7] = 0
    x[8, -1] = x[8, 0]  # singular, with cofactors
    assert_near(mg.linalg.det, x)
    if dtype.kind == "f":
        gradient = mg.grad(lambda x: mg.sum(mg.linalg.det(x) ** 2))
        assert "call" not in report(gradient, x)
        y, expected = mg.function(gradient, jit_compile=True)(x), gradient(mg.asarray(x))
        largest = np.max(np.abs(expected.numpy()))
        np.testing.assert_allclose(y, expected, atol=4 * np.finfo(dtype).eps * largest)


@needs_llvm
@pytest.mark.parametrize(
    "x",
    [
        np.full((2, 2), 1e200),
        np.diag([1e-300, 1e200, 1e200]),
        np.diag([np.inf, 0.0]),
        np.diag([-1.0, 0.0]),
        np.full((2, 2), 0.1),
        np.full((3, 3), 0.1),
        np.array([[0.1, 0.3], [0.2, 0.6]]),
        np.array([[1.5, 0.3, 7.1], [0.25, 0.7, 0.9], [1.5, 0.3, 7.1]]),
        np.zeros((3, 3)),
    ],
    ids=str,
)
def test_determinants_that_are_zero_are_exactly_that(x: Any) -> None:
    y, expected = mg.function(mg.linalg.det, jit_compile=True)(x), mg.linalg.det(mg.asarray(x))
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-12)
    assert np.signbit(y.numpy()) == np.signbit(expected.numpy())


@each_dtype
@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 3), (3, 1)), ((4, 5, 5), (4, 5, 2)), ((1, 3, 3), (6, 3, 4)), ((2, 1, 3, 3), (4, 3, 2))],
)
def test_solutions_of_batches_that_are_broadcast(left: Any, right: Any, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x1, x2 = matrices(*left, dtype=dtype), rng.normal(size=right).astype(np.float32)
    assert_same(mg.linalg.solve, x1, x2)
    assert_same(lambda x1, x2: mg.linalg.solve(x1.mT, x2 * 2)[..., ::-1], x1, x2)


@needs_llvm
def test_a_program_with_small_matrices_is_one_stretch() -> None:
    def f(x: Any, y: Any) -> Any:
        return mg.linalg.solve(mg.linalg.cholesky(x).mT, mg.exp(y)) * mg.linalg.det(x)

    x, y = matrices(6, 6), np.ones((6, 2), np.float32)
    assert "(v2,) = kernels(v0, v1)" in program(f, x, y)
    n = LARGEST + 1
    assert "= cholesky_factor(v0" in program(mg.linalg.cholesky, matrices(n, n))


@pytest.mark.parametrize("name", ["inv", "solve", "cholesky"])
def test_matrices_that_have_none_are_refused_in_the_words_of_the_function(name: str) -> None:
    call: Any = {
        "inv": lambda x: mg.linalg.inv(x),
        "solve": lambda x: mg.linalg.solve(x, x),
        "cholesky": lambda x: mg.linalg.cholesky(x),
    }[name]
    x = matrices(3, 4, 4)
    x[1] = 0
    with pytest.raises(mg.errors.LinAlgError) as eager:
        call(mg.asarray(x))
    with pytest.raises(mg.errors.LinAlgError) as compiled:
        mg.function(call, jit_compile=True)(x)
    assert str(compiled.value) == str(eager.value)


def test_variables_stay_as_they_are_where_a_matrix_is_singular() -> None:
    v, w = mg.Variable(np.ones(3, np.float32)), mg.Variable(np.ones(3, np.float32))

    @mg.function(jit_compile=True)
    def step(x: Any) -> Any:
        v.assign(v * 2)
        w.assign(mg.linalg.inv(x) @ w)
        return v + w

    step(matrices(3, 3))
    before = v.numpy(), w.numpy()
    with pytest.raises(mg.errors.LinAlgError, match="singular"):
        step(np.zeros((3, 3), np.float32))
    np.testing.assert_array_equal(v.numpy(), before[0])
    np.testing.assert_array_equal(w.numpy(), before[1])


def test_what_is_no_number_passes_through_as_in_numpy() -> None:
    x = matrices(3, 4, 4)
    x[1, 2, 3] = np.nan
    assert_same(lambda x: mg.linalg.solve(x, x), x)
    assert_same(mg.linalg.inv, x)


def filtered(x: Any, transition: Any) -> Any:
    """A scan whose rounds solve."""

    def step(carry: Any, z: Any) -> Any:
        mean, covariance = carry
        covariance = transition @ covariance @ transition.mT + mg.eye(3, dtype=x.dtype)
        gain = mg.linalg.solve(covariance + mg.eye(3, dtype=x.dtype), covariance).mT
        mean = transition @ mean + gain @ (z - transition @ mean)
        return (mean, covariance - gain @ covariance), mg.sum(mean * mean)

    return mg.sum(mg.scan(step, (x[0] * 0, mg.eye(3, dtype=x.dtype)), x)[1])


def test_rounds_that_solve_and_their_gradients() -> None:
    rng = np.random.default_rng(1)
    x = mg.asarray(rng.normal(size=(9, 3)))
    transition = mg.asarray(0.3 * rng.normal(size=(3, 3)))
    compiled = mg.function(mg.value_and_grad(filtered, argnums=(0, 1)), jit_compile=True)
    y, gs = compiled(x, transition)
    expected, expected_gs = mg.value_and_grad(filtered, argnums=(0, 1))(x, transition)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    for g, expected_g in zip(gs, expected_gs, strict=True):
        np.testing.assert_allclose(g, expected_g, rtol=1e-9, atol=1e-12)


def test_a_singular_matrix_in_a_round_is_refused() -> None:
    def total(x: Any) -> Any:
        return mg.scan(
            lambda c, z: (c + mg.linalg.inv(z), None), mg.zeros((2, 2), dtype=x.dtype), x
        )[0]

    x = matrices(5, 2, 2, dtype=np.dtype(np.float64))
    compiled = mg.function(total, jit_compile=True)
    np.testing.assert_allclose(compiled(x), np.linalg.inv(x).sum(0), rtol=1e-12)
    x[3] = 1
    with pytest.raises(mg.errors.LinAlgError, match="no inverse exists"):
        compiled(x)


@needs_llvm
def test_where_the_loop_is_not_known_numpy_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed, "loop_of", lambda ufunc, dtypes: None)
    assert "inverse" in program(mg.linalg.inv, matrices(3, 3))
    assert_same(mg.linalg.inv, matrices(3, 3))


def test_a_loop_is_found_for_dtypes_that_it_has() -> None:
    if not objects.layout_is_known():
        pytest.skip("objects lie elsewhere")
    assert objects.loop_of(np.add, "ddd") != objects.loop_of(np.add, "fff")
    assert objects.loop_of(np.add, "xyz") is None
    assert objects.loop_of(np.hypot, "ddd") is None  # it takes more than the operands
