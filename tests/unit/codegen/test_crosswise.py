"""Inputs that loops read across their rows: they go through panels, and give the same numbers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit

pytestmark = pytest.mark.skipif(not jit.available(), reason="native code needs llvmlite")


def drawn(shape: tuple[int, ...], dtype: str) -> Any:
    """Numbers that all dtypes hold."""
    numbers = np.random.default_rng(0).standard_normal(shape) * 5
    return mg.constant(np.abs(numbers).astype(dtype))


def compare(f: Callable[..., Any], *xs: Any, panels: bool) -> None:
    """Compiled results against eager ones; whether there are panels in the loop nest."""
    compiled = mg.function(f, jit_compile=True)
    text = compiled.compiler_ir(*xs, stage="loops")
    assert ("of the block" in text) == panels, text
    np.testing.assert_allclose(np.asarray(compiled(*xs)), np.asarray(f(*xs)), rtol=2e-5, atol=2e-4)


def test_a_panel_is_filled_for_a_block_of_rows_and_then_read_row_by_row() -> None:
    f = mg.function(lambda x, y: x.T + y, jit_compile=True)
    x, y = drawn((100, 40), "float64"), drawn((40, 100), "float64")
    lines = [line.strip() for line in f.compiler_ir(x, y, stage="loops").splitlines()]
    heads = [line.split(" by ")[0] for line in lines if line.startswith("for ")]
    assert "for j0 in 40 by 8:" in lines
    assert heads == ["for j0 in 40", "for j1 in 100", "for each j0 of the block:", "for j1 in 100"]
    assert "p0_ = x0[j0 + 40 j1]" in lines
    assert "v1 = p0[j1]" in lines


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8", "bool"])
@pytest.mark.parametrize("n, m", [(65, 64), (33, 127), (1100, 67), (64, 65), (2500, 64)])
def test_a_transpose_is_exact_for_all_sizes_and_dtypes(n: int, m: int, dtype: str) -> None:
    x, y = drawn((n, m), dtype), drawn((m, n), dtype)
    block = 64 // np.dtype(dtype).itemsize
    compare(lambda x, y: x.T | y if dtype == "bool" else x.T + y, x, y, panels=m >= block)


def test_rows_longer_than_a_panel_go_strip_by_strip() -> None:
    x, y = drawn((2500, 40), "float32"), drawn((40, 2500), "float32")
    f = mg.function(lambda x, y: mg.exp(-x.T) * y, jit_compile=True)
    assert "for j1k in 2:" in f.compiler_ir(x, y, stage="loops")
    compare(lambda x, y: mg.exp(-x.T) * y, x, y, panels=True)


PROGRAMS = {
    "a value of each row": lambda x, y, b: x.T * y + mg.exp(-b)[:, None],
    "a sum of each row": lambda x, y, b: mg.sum(x.T * y, axis=1) * b,
    "a softmax": lambda x, y, b: mg.nn.softmax(x.T * y) * b[:, None],
    "two arrays": lambda x, y, b: x.T * y + mg.astype((x > 3).T, "float32"),
    "two dtypes": lambda x, y, b: mg.astype(x.T, "float64") * y,
    "a slice": lambda x, y, b: x[::2].T + y[:, ::2],
    "a flip": lambda x, y, b: mg.flip(x, axis=0).T + y,
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("n, m", [(66, 70), (400, 33)])
def test_what_else_is_in_the_loops_stays_right(name: str, n: int, m: int) -> None:
    x, y, b = drawn((n, m), "float32"), drawn((m, n), "float32"), drawn((m,), "float32")
    compare(PROGRAMS[name], x, y, b, panels=True)


@pytest.mark.parametrize("axes", [(1, 2, 0), (2, 0, 1), (2, 1, 0)], ids=str)
def test_three_axes_in_another_order(axes: tuple[int, ...]) -> None:
    z = drawn((40, 33, 50), "float32")
    last = drawn((z.shape[axes[2]],), "float32")
    compare(lambda z, w: mg.permute_dims(z, axes) * w, z, last, panels=True)


def test_sums_of_rows_read_across_are_those_of_a_copy_to_the_last_bit() -> None:
    x = drawn((300, 64), "float32")
    copy = mg.constant(np.ascontiguousarray(np.asarray(x).T))
    across = mg.function(lambda x: mg.sum(mg.sqrt(x.T), axis=1), jit_compile=True)
    along = mg.function(lambda x: mg.sum(mg.sqrt(x), axis=1), jit_compile=True)
    assert np.array_equal(np.asarray(across(x)), np.asarray(along(copy)))
    assert math.prod(across(x).shape) == 64


def test_rounds_of_a_block_do_not_add_to_one_sum() -> None:
    def f(x: Any) -> Any:
        return mg.sum(mg.real(mg.tile(mg.pad(x * 2, ((0, 3), (0, 3))), (2,)).mT))

    x = np.ones((130, 130), np.complex64)
    gradient = mg.function(mg.grad(f), jit_compile=True)
    np.testing.assert_array_equal(gradient(x).numpy(), np.full(x.shape, 4, np.complex64))
