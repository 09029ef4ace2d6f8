"""Many short rows: they go abreast, one in each lane, and give the numbers of NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit
from minigrad.tree import flatten

pytestmark = pytest.mark.skipif(not jit.available(), reason="native code needs llvmlite")


def drawn(*shape: int, dtype: str = "float32") -> Any:
    """Numbers that all dtypes hold."""
    numbers = np.random.default_rng(0).standard_normal(shape) * 5
    return mg.constant((np.abs(numbers) if dtype[0] in "bu" else numbers).astype(dtype))


def loops(f: Callable[..., Any], *xs: Any) -> list[str]:
    """The lines of the loop nest."""
    text = mg.function(f, jit_compile=True).compiler_ir(*xs, stage="loops")
    return [line.strip() for line in text.splitlines()]


def flattened(results: Any) -> list[Any]:
    """All tensors of a nest."""
    return flatten(results)[0]


def compare(f: Callable[..., Any], *xs: Any) -> None:
    """Compiled results against eager ones, for rows that go abreast."""
    assert any(" lanes" in line for line in loops(f, *xs))
    results = mg.function(f, jit_compile=True)(*xs), f(*xs)
    for y, z in zip(*map(flattened, results), strict=True):
        assert y.dtype == z.dtype
        np.testing.assert_allclose(np.asarray(y), np.asarray(z), rtol=3e-5, atol=3e-4)


def test_rows_go_abreast_through_panels() -> None:
    lines = loops(lambda x: x / mg.sum(x, axis=1, keepdims=True), drawn(640, 10))
    lanes = lines[1].removeprefix("scratch p0: float32[10], in ").removesuffix(" lanes")
    assert lines[3] == f"for i in 640 by {lanes}:"
    assert lines[5:7] == ["p0_ = x0[10 i + j]", "p0[j] = p0_"]
    assert lines[7:10] == ["for j in 10:", "v1 = p0[j]", "v2 = reduce_sum(v2, v1)"]
    assert lines[-2:] == ["p1_ = p1[j]", "y0[10 i + j] = p1_"]


def test_neither_long_rows_nor_few_go_abreast() -> None:
    for shape in [(640, 100), (4, 10)]:
        assert not any(" lanes" in line for line in loops(mg.nn.softmax, drawn(*shape)))


PROGRAMS: dict[str, Callable[..., Any]] = {
    "softmax": lambda x, r, c: mg.nn.softmax(x * c),
    "a value of each row": lambda x, r, c: mg.sum(mg.exp(-x * x) * r[:, None], axis=1) + r,
    "sums of rows, columns and all": lambda x, r, c: (lambda y: (y, mg.sum(y, axis=0), mg.sum(y)))(
        mg.exp(-mg.abs(x - mg.max(x, axis=1, keepdims=True))) * c
    ),
    "a part of the rows": lambda x, r, c: mg.nn.softmax(x[::2, 1:]),
    "rows from the last": lambda x, r, c: mg.nn.softmax(mg.flip(x)),
    "columns that lie in order": lambda x, r, c: mg.nn.softmax(mg.reshape(x, x.shape[::-1]).T),
    "a slope of one column": lambda x, r, c: mg.grad(
        lambda x: mg.sum((x - mg.nn.logsumexp(x, 1, keepdims=True))[:, 0])
    )(x),
    "integers and masks": lambda x, r, c: (
        mg.sum(mg.astype(x, "int32"), axis=1),
        mg.any(x > c, axis=1),
        mg.max(x, axis=1, keepdims=True) == x,
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n, m", [(256, 3), (131, 5), (200, 8), (131, 10), (8200, 3), (129, 25)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_short_rows_give_the_same_numbers(name: str, n: int, m: int, dtype: str) -> None:
    x, r, c = drawn(n, m, dtype=dtype), drawn(n, dtype=dtype), drawn(m, dtype=dtype)
    compare(PROGRAMS[name], x, r, c)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "bool"])
@pytest.mark.parametrize("m", [3, 5])
def test_elements_of_other_sizes(dtype: str, m: int) -> None:
    x = drawn(200, m, dtype=dtype)
    compare(lambda x: mg.nn.softmax(mg.astype(x, "float32")), x)
    compare(lambda x: (mg.max(mg.astype(x, "int64"), axis=1), x == x[:, :1]), x)


def test_rows_of_a_matrix_each() -> None:
    x, y, z = drawn(150, 3, 4), drawn(150, 1, 4), drawn(3, 1)
    compare(lambda x, y: mg.sum(x * y, axis=2), x, y)
    compare(lambda x, y, z: mg.sum(mg.exp(-mg.abs(x * y + z)), axis=(1, 2)), x, y, z)


def test_distances_between_points() -> None:
    def distances(x: Any) -> Any:
        return mg.sum((x[:, None] - x[None]) ** 2, axis=-1)

    compare(lambda x: mg.grad(lambda x: mg.sum(1 / (distances(x) + 1)))(x), drawn(130, 3))


def test_what_is_special_stays_in_its_row() -> None:
    x = np.random.default_rng(0).standard_normal((131, 10)).astype(np.float32)
    x[[3, 64, 130], [0, 9, 4]] = np.nan, np.inf, -np.inf
    x[7], x[9] = -0.0, 1e-42

    def f(x: Any) -> Any:
        total = mg.sum(x, axis=1, keepdims=True)
        return total, mg.max(x, axis=1), mg.min(x, axis=1), x / total

    results = mg.function(f, jit_compile=True)(x), f(mg.constant(x))
    for y, z in zip(*results, strict=True):
        np.testing.assert_allclose(np.asarray(y), np.asarray(z), rtol=1e-5)
        np.testing.assert_array_equal(np.signbit(y), np.signbit(z))


def test_a_sum_over_all_rows_keeps_its_digits() -> None:
    x = np.random.default_rng(0).random((100_000, 5), np.float32)
    exact = np.sum(np.exp(x.astype(np.float64).sum(axis=1) - 2))

    def f(x: Any) -> Any:
        return mg.sum(mg.exp(mg.sum(x, axis=1) - 2))

    assert any(" lanes" in line for line in loops(f, x))
    assert abs(mg.function(f, jit_compile=True)(x).item() / exact - 1) < 1e-7


def test_sums_that_are_results_are_read_where_they_lie() -> None:
    """The panel of an output is filled from memory where the loop reads it and stores nothing."""

    def body(x: Any, c: Any) -> Any:
        z = x * c
        y = mg.sum(z, axis=0, keepdims=True)
        return z, y, mg.sin(y * 0.25)

    draw = np.random.default_rng(1)
    x, c = mg.asarray(draw.random((8, 33, 33))), mg.asarray(draw.random((1, 33, 1)))
    for found, expected in zip(mg.function(body, jit_compile=True)(x, c), body(x, c), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_rows_have_in_common_is_read_where_each_of_them_has_stored_it() -> None:
    """A result that is kept for the next pass, and changes from row to row as little as this."""

    def body(x: Any) -> Any:
        y = mg.roll(mg.broadcast_to(x, (2, 65, 7)), (3, -1), axis=(0, -1))
        return y, mg.nn.layer_norm(y, 1.0, 0.5)

    compare(body, mg.constant(1.0))
