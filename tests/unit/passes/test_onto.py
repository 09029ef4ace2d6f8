"""Gradients of a table that is read more than once: one table of zeros, and the same sums."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.passes.onto import add_onto_sums
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed

TABLE = np.random.default_rng(0).normal(size=(7, 3))
PLACES = [np.array(x, np.int32) for x in ([0, 6, 0, 2], [3, 3, 3, 3], [6, 5, 4, 0])]


def read_often(table: Any, w: Any) -> Any:
    a, b, c = (mg.take(table, places, axis=0) for places in PLACES)
    return mg.sum(mg.tanh(a * b) + mg.exp(c) @ w) + mg.sum(mg.sin(table) @ w)


def test_as_documented() -> None:
    graph, after = documented(add_onto_sums)
    assert squeezed(add_onto_sums(graph)) == after


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex128"])
def test_gradients_are_the_same(dtype: str) -> None:
    def slope(table: Any, w: Any) -> Any:
        return mg.grad(lambda table, w: mg.real(read_often(table, w)))(table, w)

    table, w = mg.constant(TABLE.astype(dtype)), mg.constant(TABLE[:3].astype(dtype))
    expected = slope(table, w)
    found = mg.function(slope, jit_compile=True)(table, w)
    assert found.dtype == expected.dtype
    tolerance = {"float32": 1e-5, "float16": 1e-2}.get(dtype, 1e-12)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance)


@needs_llvm
def test_zeros_are_filled_in_once() -> None:
    def slope(table: Any, w: Any) -> Any:
        return mg.grad(read_often)(table, w)

    loops = mg.function(slope, jit_compile=True).compiler_ir(TABLE, TABLE[:3], stage="fused")
    assert loops.count("add_up(") <= 1 and loops.count("add_onto(") >= 2


@needs_llvm
def test_what_is_read_again_is_not_written_over() -> None:
    def f(x: Any, v: Any) -> Any:
        y = mg.exp(x)
        return y, y + mg.zeros_like(x).at[PLACES[0]].add(v), x + mg.zeros_like(x).at[0].add(v[0])

    x, v = mg.constant(TABLE), mg.constant(TABLE[:4])
    for found, expected in zip(mg.function(f, jit_compile=True)(x, v), f(x, v), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-14)
    np.testing.assert_array_equal(x.numpy(), TABLE)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_zeros_have_the_sign_that_a_sum_with_zeros_has(dtype: str) -> None:
    def f(x: Any, v: Any) -> Any:
        first, second = mg.zeros_like(x).at[PLACES[0]].add(v), mg.zeros_like(x).at[0].add(v[0])
        return mg.sin(x) + first + second

    x = mg.constant(np.full((7, 3), -0.0, dtype))
    found, expected = mg.function(f, jit_compile=True)(x, x[:4]).numpy(), f(x, x[:4]).numpy()
    np.testing.assert_array_equal(np.signbit(found.real), np.signbit(expected.real))
