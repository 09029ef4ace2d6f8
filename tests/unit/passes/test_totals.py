"""Sums of everything beside sums along axes in the middle: one pass, and the same numbers."""

import re
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.passes.totals import part_totals
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(part_totals)
    assert squeezed(part_totals(graph)) == after


@needs_llvm
@pytest.mark.parametrize("shape", [(3, 500, 2), (2, 60, 70, 3), (5, 1, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "float16"])
def test_totals_and_sums_along_the_middle(shape: tuple[int, ...], dtype: str) -> None:
    axes = tuple(range(1, len(shape) - 1))

    def f(x: Any) -> Any:
        return mg.sum(x * 2, axis=axes), mg.sum(x), mg.max(x), mg.max(x, axis=axes)

    x = (100 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    if dtype == "float16":
        x /= 1000
    compiled, eager = mg.function(f, jit_compile=True)(x), f(mg.asarray(x))
    for y, expected in zip(compiled, eager, strict=True):
        assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
        tolerance = 1e-2 if dtype == "float16" else 1e-5
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance)


@needs_llvm
def test_few_elements_beside_each_other_fill_vectors() -> None:
    def f(x: Any) -> Any:
        y = mg.exp(x)
        return mg.sum(y, axis=1), mg.sum(y * x)

    x = np.ones((4, 4096, 2), np.float32)
    loops = mg.function(f, jit_compile=True).compiler_ir(x, stage="loops")
    assert max(map(int, re.findall(r"for j in (\d+) by", loops))) > 100


@needs_llvm
@pytest.mark.parametrize("shape", [(64, 1000, 64), (4, 100_000, 16), (2, 1_000_000, 2)])
def test_a_total_beside_long_sums_is_as_exact_as_one_alone(shape: tuple[int, ...]) -> None:
    """All roundings of a running sum of one number go the same way for a while."""

    def f(x: Any) -> Any:
        return mg.sum(x * 1.5), mg.sum(mg.abs(x), axis=1)

    x = np.full(shape, np.float32(0.1))
    total = mg.function(f, jit_compile=True)(x)[0].numpy()
    np.testing.assert_allclose(total, np.sum(x * np.float32(1.5), dtype=np.float64), rtol=1e-6)


def test_parts_of_a_sum_of_float16_are_not_rounded() -> None:
    def f(x: Any) -> Any:
        return mg.sum(x, axis=1), mg.sum(x)

    x = np.full((2, 1024, 2), 128, np.float16)
    x[1] = -128  # the parts are beyond float16
    parts, total = mg.function(f, jit_compile=True)(x)
    assert np.all(np.isinf(parts.numpy())) and total.numpy() == 0


@needs_llvm
def test_sums_along_a_middle_whose_length_is_not_known() -> None:
    def f(x: Any, mask: Any) -> Any:
        return mg.sum(x[:, mask], axis=1)

    x, mask = np.ones((2, 3, 2), np.float32), np.array([True, False, True])
    np.testing.assert_array_equal(mg.function(f, jit_compile=True)(x, mask), np.full((2, 2), 2))
