"""Accumulators in lanes: of the largest and smallest numbers, NaN is looked for apart."""

import numpy as np
import pytest

import minigrad as mg
from tests.unit.codegen.native import needs_llvm


@needs_llvm
@pytest.mark.parametrize("rows, columns", [(1, 1), (3, 5), (40, 7), (200, 33), (3, 300), (1, 9000)])
@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_one_nan_makes_the_extreme_of_its_row_nan(
    dtype: str, name: str, rows: int, columns: int
) -> None:
    reduce, reference = getattr(mg, name), getattr(np, name)
    draw = np.random.default_rng(rows * columns)
    compiled = [
        mg.function(lambda x, axis=axis: reduce(x, axis=axis), jit_compile=True)
        for axis in (0, 1, None)
    ]
    for place in {0, columns - 1, *draw.integers(columns, size=6)}:
        x = draw.standard_normal((rows, columns)).astype(dtype)
        x[draw.integers(rows), place] = np.nan
        for axis, run in zip((0, 1, None), compiled, strict=True):
            np.testing.assert_array_equal(run(mg.asarray(x)).numpy(), reference(x, axis=axis))
