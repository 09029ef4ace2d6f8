"""Rows of few columns, several taken for one: sums of columns, and what is made with them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.tree import flatten
from tests.unit.codegen.native import needs_llvm

pytestmark = needs_llvm

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "a sum": lambda x: mg.sum(x, axis=0),
    "extremes": lambda x: (mg.max(x, axis=0), mg.min(x * x, axis=0)),
    "truths": lambda x: (mg.any(x > 8, axis=0), mg.all(x > -9, axis=0)),
    "counts": lambda x: mg.count_nonzero(x > 0, axis=0),
    "a sum and its rows": lambda x: (mg.sum(x, axis=0), x * 2),
    "with a number for each column": lambda x: mg.sum((x - x[0]) * (x[1] + 2), axis=0),
    "from the last column": lambda x: mg.sum(mg.flip(x, axis=1) + x, axis=0),
    "every other row": lambda x: mg.sum(x[::2], axis=0),
    "of a batch": lambda x: mg.mean(mg.stack([x, x * 3]), axis=1),
    "with the number of the row": lambda x: mg.sum(x * mg.arange(x.shape[0])[:, None], axis=0),
    "norms": lambda x: x / (1 + mg.sqrt(mg.sum(x * x, axis=0))),
    "a slope": mg.grad(lambda x: mg.sum(mg.sqrt(mg.sum(x * x, axis=0) + 1))),
}


def drawn(shape: tuple[int, ...], dtype: str) -> Any:
    """Whole numbers, whose sums are exact."""
    return mg.constant(np.random.default_rng(0).integers(-9, 9, shape), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(
    "shape", [(3000, 3), (30_000, 10), (1009, 17), (5000, 1), (2611, 37), (8999, 32)]
)
@pytest.mark.parametrize("name", PROGRAMS)
def test_few_columns_give_what_numpy_gives(name: str, shape: tuple[int, ...], dtype: str) -> None:
    if dtype == "int32" and name in ("norms", "a slope"):
        dtype = "float32"
    x = drawn(shape, dtype)
    compiled = mg.function(PROGRAMS[name], jit_compile=True)
    found, expected = flatten(compiled(x))[0], flatten(PROGRAMS[name](x))[0]
    for y, z in zip(found, expected, strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-5, atol=1e-5, strict=True)


def loops(name: str, shape: tuple[int, ...]) -> list[str]:
    compiled = mg.function(PROGRAMS[name], jit_compile=True)
    text = compiled.compiler_ir(drawn(shape, "float32"), stage="loops")
    return [line.strip() for line in text.split("\n")]


def test_rows_are_taken_together_until_they_fill_vectors() -> None:
    assert "v1 = x0[960 i + j]" in loops("a sum", (100_000, 10))


def test_sums_that_fill_vectors_stay_as_they_are() -> None:
    assert not any(line.startswith("sums") for line in loops("a sum", (10_000, 256)))


@pytest.mark.parametrize("shape", [(4, 100_000, 16), (2, 30_001, 64)])
def test_long_sums_inside_of_batches_keep_their_digits(shape: tuple[int, ...]) -> None:
    """All roundings of a running sum of one number go the same way for a while."""
    x = np.full(shape, np.float32(0.1))
    found = mg.function(lambda x: mg.sum(x * 1.5, axis=1), jit_compile=True)(x)
    expected = np.sum(x * np.float32(1.5), axis=1, dtype=np.float64)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
