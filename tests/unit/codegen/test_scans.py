"""Running results in loop nests: along all axes, in both directions, among other ops."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit
from minigrad.ops.accumulate import accumulate_product, accumulate_sum, recurrence

pytestmark = pytest.mark.skipif(not jit.available(), reason="native code needs llvmlite")

LENGTHS = [2, 3, 7, 15, 16, 17, 33, 63, 64, 65, 129, 1000]
PLACES = {"float32": 2e-6, "float64": 1e-14}


def drawn(shape: tuple[int, ...], dtype: str) -> Any:
    """Numbers of both signs where there are any."""
    numbers = np.random.default_rng(0).standard_normal(shape) * 9
    return mg.constant(
        numbers.astype(np.int64).astype(dtype) if dtype[0] in "iu" else numbers, dtype
    )


def compare(f: Callable[..., Any], *xs: Any, says: str) -> None:
    """Compiled results against eager ones, whose loop nest contains `says`."""
    compiled = mg.function(f, jit_compile=True)
    assert says in compiled.compiler_ir(*xs, stage="loops")
    found, expected = np.asarray(compiled(*xs)), np.asarray(f(*xs))
    assert found.dtype == expected.dtype
    most = float(np.abs(expected).max())
    tolerance = 20 * PLACES.get(str(found.dtype), 0) * max(most, 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "int8", "uint16"])
@pytest.mark.parametrize("n", LENGTHS)
def test_running_sums_of_rows(n: int, dtype: str) -> None:
    for shape in ((n,), (5, n)):
        x = drawn(shape, dtype)
        compare(lambda x: mg.cumulative_sum(x, axis=-1, dtype=dtype), x, says="so far")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_gradients_run_from_the_end(n: int, dtype: str) -> None:
    x, weights = drawn((5, n), dtype), mg.sin(drawn((n,), dtype))

    def loss(x: Any) -> Any:
        return mg.sum(mg.cumulative_sum(x * x, axis=-1) * weights)

    compare(mg.grad(loss), x, says=", backwards")


@pytest.mark.parametrize("n", LENGTHS)
def test_lanes_behind_the_end_do_not_count(n: int) -> None:
    def f(x: Any) -> Any:
        return mg.grad(lambda w: mg.sum(mg.cumulative_sum(w, axis=1) * mg.exp(x)))(x)

    compare(f, mg.sin(drawn((3, n), "float64")), says=", backwards")


PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "around": lambda x, b: mg.exp(mg.cumulative_sum(x * b, axis=1) * 0.01) - b,
    "a sum of each row": lambda x, b: mg.sum(mg.cumulative_sum(x, axis=1) * b, axis=1),
    "a sum of each column": lambda x, b: mg.sum(mg.cumulative_sum(x, axis=1) * b, axis=0),
    "all": lambda x, b: mg.sum(mg.cumulative_sum(x, axis=1) * b),
    "a softmax before": lambda x, b: mg.cumulative_sum(mg.nn.softmax(x), axis=1),
    "a mean taken off": lambda x, b: mg.cumulative_sum(x - mg.mean(x, axis=1)[:, None], axis=1),
    "twice": lambda x, b: mg.cumulative_sum(mg.cumulative_sum(x, axis=1), axis=1),
    "a transpose before": lambda x, b: mg.cumulative_sum(x.T, axis=1),
    "a row for all": lambda x, b: mg.cumulative_sum(b) * x,
    "other rows": lambda x, b: mg.cumulative_sum(mg.reshape(x * 2, (-1, 8)), axis=1) + 1,
    "other rows behind": lambda x, b: mg.reshape(mg.cumulative_sum(x, axis=1) * 2, (-1, 8)),
    "a flip": lambda x, b: mg.cumulative_sum(mg.flip(x, axis=1), axis=1),
    "a beginning": lambda x, b: mg.cumulative_sum(x, axis=1, include_initial=True),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_running_sums_among_other_ops(name: str) -> None:
    compare(PROGRAMS[name], drawn((40, 104), "float64"), drawn((104,), "float64"), says="so far")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((70, 33), 0), ((300, 1001), 0), ((4, 9000), 0), ((5, 40, 70), 1), ((40, 5, 70), 0)],
)
@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_along_rows_each_column_is_numpys_to_the_bit(
    name: str, shape: tuple[int, ...], axis: int, dtype: str
) -> None:
    x = mg.constant(np.random.default_rng(0).uniform(0.5, 1.5, shape) * 2, dtype)

    def forwards(x: Any) -> Any:
        return getattr(mg, name)(x, axis=axis, dtype=dtype)

    def backwards(x: Any) -> Any:
        op = accumulate_sum if name == "cumulative_sum" else accumulate_product
        return op(x, axis=axis, backwards=True)

    for f in (forwards, backwards):
        compiled = mg.function(f, jit_compile=True)
        assert "accumulate" in compiled.compiler_ir(x, stage="loops")
        np.testing.assert_array_equal(compiled(x).numpy(), f(x).numpy(), strict=True)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8"])
@pytest.mark.parametrize("n", LENGTHS)
def test_running_products_of_rows_are_numpys_to_the_bit(
    n: int, dtype: str, backwards: bool
) -> None:
    compiled = mg.function(
        lambda x: accumulate_product(x, axis=-1, backwards=backwards), jit_compile=True
    )
    for shape in ((n,), (5, n)):
        x = mg.sin(drawn(shape, "float32")) * 2
        x = mg.astype(x, dtype)
        assert "so far" in compiled.compiler_ir(x, stage="loops")
        expected = accumulate_product(x, axis=-1, backwards=backwards)
        np.testing.assert_array_equal(compiled(x).numpy(), expected.numpy(), strict=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_product_that_has_come_to_nothing_stays_nothing(axis: int) -> None:
    x = np.full((40, 40), 1e30, np.float32)
    x[0] = x[:, 0] = 0
    compiled = mg.function(lambda x: mg.cumulative_prod(x, axis=axis), jit_compile=True)
    assert not np.asarray(compiled(x)[0 if axis == 0 else slice(None)]).any()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(np.asarray(compiled(x)), np.cumprod(x, axis))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_recurrences(dtype: str, axis: int, backwards: bool) -> None:
    def f(a: Any, b: Any) -> Any:
        return recurrence(mg.astype(a, dtype), b, axis=axis, backwards=backwards)

    a = mg.sin(drawn((33, 70), "float64")) * (3 if dtype == "int32" else 1)
    compare(f, a, drawn((33, 70), dtype), says="recurrence(")


DOWN: dict[str, Callable[[Any], Any]] = {
    "around": lambda x: mg.sin(mg.cumulative_sum(x, axis=0) * 0.01) * x,
    "sums of columns": lambda x: mg.sum(mg.cumulative_sum(x, axis=0) * x, axis=0),
    "what is made of them": lambda x: mg.sqrt(mg.max(mg.cumulative_sum(x * x, axis=0), axis=0)),
    "sums of rows": lambda x: mg.sum(mg.cumulative_sum(x, axis=0) * x, axis=1),
    "all": lambda x: mg.sum(mg.cumulative_sum(x, axis=0) * x),
    "twice": lambda x: mg.cumulative_sum(mg.cumulative_sum(x, axis=0) * x, axis=0),
    "a row of each": lambda x: mg.cumulative_sum(mg.broadcast_to(x[0], x.shape), axis=0) * x,
    "a transpose": lambda x: mg.cumulative_sum(mg.swapaxes(x, 0, 1), axis=0) * 2,
    "a softmax": lambda x: mg.cumulative_sum(mg.nn.softmax(x), axis=0),
    "a slope": mg.grad(lambda x: mg.sum(mg.sin(mg.cumulative_sum(x, axis=0)))),
    "both axes": lambda x: mg.cumulative_sum(mg.cumulative_sum(x, axis=0), axis=1),
    "both ways": mg.grad(lambda x: mg.sum(mg.cumulative_sum(x, axis=0) ** 2)),
    "one number": lambda x: mg.cumulative_sum(x[:1], axis=0) * 2,
}


@pytest.mark.parametrize("shape", [(20, 70), (200, 1500), (1000, 2), (5000, 9), (200, 7, 5)])
@pytest.mark.parametrize("name", DOWN)
def test_running_sums_along_rows_among_other_ops(name: str, shape: tuple[int, ...]) -> None:
    compare(DOWN[name], drawn(shape, "float64"), says="")


def test_strips_of_columns_are_for_threads() -> None:
    x = drawn((1000, 1000), "float32")
    compiled = mg.function(lambda x: mg.cumulative_sum(x, axis=0), jit_compile=True)
    assert "shared by 1:" in compiled.compiler_ir(x, stage="loops")


def test_what_does_not_fit_is_right_all_the_same() -> None:
    def f(x: Any) -> Any:
        y = mg.cumulative_sum(x, axis=1)
        return mg.grad(lambda x: mg.sum(mg.cumulative_sum(x, axis=1) * y * x))(x)

    compare(f, drawn((20, 70), "float64"), says="multiply")


def test_a_long_row_is_one_loop_in_one_thread() -> None:
    x = drawn((200_000,), "float64")
    compare(lambda x: mg.cumulative_sum(x) * 2, x, says="so far")
    compare(lambda x: mg.sum(mg.cumulative_sum(x) * x), x, says="so far")


def test_running_sums_of_float32_lose_less_than_one_after_the_other() -> None:
    x = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    exact = np.cumsum(x.astype(np.float64))
    compiled = mg.function(lambda x: mg.cumulative_sum(x), jit_compile=True)
    lost = np.abs(np.asarray(compiled(mg.constant(x))) - exact).max()
    assert lost < np.abs(np.cumsum(x) - exact).max()


def test_signed_zeros_infinities_and_nan_are_numpys() -> None:
    x = np.array([-0.0, -0.0, 1, np.inf, 2, np.nan, 3] * 3)
    compiled = mg.function(lambda x: mg.cumulative_sum(x), jit_compile=True)
    y = np.asarray(compiled(mg.constant(x)))
    np.testing.assert_array_equal(y, np.cumsum(x))
    assert np.signbit(y[:2]).all()
