"""Systems of triangles in native code: which are seen, and that they are solved."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from tests.unit.codegen.native import needs_llvm

# of matrices: the first four give triangles, which are seen as such
MAKERS: dict[str, Callable[..., Any]] = {
    "cholesky": mg.linalg.cholesky,
    "upper": lambda x: mg.linalg.cholesky(x, upper=True),
    "tril": lambda x: mg.tril(x),
    "triu, transposed": lambda x: mg.triu(x, k=0).mT,
    "tril with a diagonal more": lambda x: mg.tril(x, k=1),
    "two triangles": lambda x: mg.tril(x) + mg.triu(x),
}
SEEN = list(MAKERS)[:4]


def matrices(*shape: int, dtype: Any = np.float64) -> Any:
    """Positive definite matrices that are well conditioned."""
    x = np.random.default_rng(sum(shape)).normal(size=shape)
    return (x @ x.swapaxes(-1, -2) / shape[-1] + 2 * np.eye(shape[-1])).astype(dtype)


def solution(maker: str) -> Callable[..., Any]:
    """The function that solves with what `maker` makes of a matrix."""
    return lambda x, b: mg.linalg.solve(MAKERS[maker](x), b)


@needs_llvm
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "columns"),
    [((1, 1), 1), ((3, 5, 5), 2), ((16, 16), 40), ((64, 64), 7), ((65, 65), 65), ((200, 200), 1)],
)
def test_solutions_are_those_of_numpy(
    maker: str, shape: tuple[int, ...], columns: int, dtype: Any
) -> None:
    x = matrices(*shape, dtype=dtype)
    b = np.random.default_rng(1).normal(size=(*shape[:-1], columns)).astype(dtype)
    compiled, eager = mg.function(solution(maker), jit_compile=True), solution(maker)
    y, expected = compiled(x, b), eager(mg.asarray(x), mg.asarray(b))
    assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(y, expected, atol=50 * np.finfo(dtype).eps)
    assert ("_triangle_loop" in compiled.compiler_ir(x, b, stage="fused")) == (maker in SEEN)


@needs_llvm
@pytest.mark.parametrize("rows", [4, 100])
def test_gradients_through_cholesky_and_solutions(rows: int) -> None:
    def likelihood(x: Any, b: Any) -> Any:
        factor = mg.linalg.cholesky(x)
        return mg.sum(mg.linalg.solve(factor, b) ** 2) + mg.sum(mg.log(mg.linalg.diagonal(factor)))

    x, b = matrices(rows, rows), np.random.default_rng(1).normal(size=(rows, 3))
    gradient = mg.grad(likelihood, argnums=(0, 1))
    expected = gradient(mg.asarray(x), mg.asarray(b))
    for y, e in zip(mg.function(gradient, jit_compile=True)(x, b), expected, strict=True):
        np.testing.assert_allclose(y, e, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rows", [3, 40, 90])
def test_a_zero_on_the_diagonal_is_refused(rows: int) -> None:
    compiled = mg.function(solution("tril"), jit_compile=True)
    x, b = matrices(rows, rows), np.ones((rows, 2))
    compiled(x, b)
    x[rows // 2, rows // 2] = 0
    with pytest.raises(mg.errors.LinAlgError, match="no inverse exists"):
        compiled(x, b)


@needs_llvm
def test_what_the_other_side_of_a_triangle_holds_is_not_read() -> None:
    def f(x: Any, b: Any) -> Any:
        return mg.linalg.solve(mg.tril(x), b)

    x, b = matrices(20, 20), np.ones((20, 1))
    expected = mg.function(f, jit_compile=True)(x, b).numpy()
    x[np.triu_indices(20, 1)] = np.nan
    np.testing.assert_array_equal(mg.function(f, jit_compile=True)(x, b), expected)
