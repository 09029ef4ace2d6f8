"""Columns in strips: sums of many columns, by threads, and what is made of them."""

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
    "several": lambda x: (mg.max(x, axis=0), mg.sum(x * x, axis=0), mg.min(x, axis=0)),
    "norms": lambda x: mg.sqrt(mg.sum(x * x, axis=0)),
    "variances": lambda x: mg.var(x, axis=0),
    "counts": lambda x: mg.count_nonzero(x > 0, axis=0),
    "places": lambda x: mg.argmax(x, axis=0),
    "a sum and its rows": lambda x: (mg.sum(x, axis=0), x * 2),
    "another order": lambda x: mg.sum(mg.flip(x, axis=-1) * x, axis=0),
    "of a batch": lambda x: mg.mean(mg.stack([x, x * 3]), axis=1),
    "and all": lambda x: (mg.sum(x, axis=0), mg.sum(x)),
    "looked up": lambda x: mg.sum(x[np.array([1, 0, 1, 1])], axis=0),
    "looked up often": lambda x: mg.sum(x[np.arange(80) % 3], axis=0),
    "a slope": mg.grad(lambda x: mg.sum(mg.sqrt(mg.sum(x * x, axis=0) + 1))),
}


def drawn(shape: tuple[int, ...], dtype: str) -> Any:
    """Whole numbers, whose sums are exact."""
    return mg.constant(np.random.default_rng(0).integers(-9, 9, shape), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(10, 20_011), (3, 8200), (9, 130, 70), (5, 2, 9001)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_many_columns_give_what_numpy_gives(name: str, shape: tuple[int, ...], dtype: str) -> None:
    x = drawn(shape, dtype)
    compiled = mg.function(PROGRAMS[name], jit_compile=True)
    found, expected = flatten(compiled(x))[0], flatten(PROGRAMS[name](x))[0]
    for y, z in zip(found, expected, strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-5, atol=1e-5, strict=True)


def test_strips_are_for_threads_and_what_is_made_of_sums_is_made_in_them() -> None:
    compiled = mg.function(PROGRAMS["norms"], jit_compile=True)
    nest = compiled.compiler_ir(drawn((20, 200_000), "float32"), stage="loops")
    assert "for jk in" in nest
    assert "shared by" in nest
    assert nest.count("for i in") == nest.count("= sqrt(") > 0
