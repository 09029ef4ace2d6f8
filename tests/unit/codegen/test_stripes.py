"""Rows that arrive where values say, by several threads: each column as if there were one."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from tests.unit.codegen.native import needs_llvm

ROWS, TABLE = 6000, 500


def operands(columns: int, dtype: Any) -> Any:
    """A table, which rows of it, many times over, and what arrives there."""
    rng = np.random.default_rng(columns)
    table = rng.standard_normal((TABLE, columns)).astype(dtype)
    rows = (table[rng.integers(0, TABLE, ROWS)] * 1.5).astype(dtype)
    return table, rng.integers(-TABLE, TABLE, ROWS), rows


def loops(f: Any, *xs: Any) -> str:
    """The loop nests of `f`."""
    text: str = mg.function(f, jit_compile=True).compiler_ir(*xs, stage="loops")
    return text


@needs_llvm
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.complex64])
@pytest.mark.parametrize("columns", [96, 128, 200, 512])
def test_columns_see_what_arrives_in_its_order(columns: int, dtype: Any) -> None:
    table, places, rows = operands(columns, dtype)
    changes: list[tuple[Any, Any]] = [
        (lambda x, i, v: x.at[i].add(v), np.add),
        (lambda x, i, v: x.at[i].set(v), None),
    ]
    for change, ufunc in changes:
        expected = table.copy()
        if ufunc is None:
            expected[places] = rows
        else:
            ufunc.at(expected, places, rows)
        found = mg.function(change, jit_compile=True)(*map(mg.asarray, (table, places, rows)))
        np.testing.assert_array_equal(found.numpy(), expected)


@needs_llvm
def test_threads_share_stripes_of_wide_rows() -> None:
    given = [mg.asarray(x) for x in operands(256, np.float32)]
    text = loops(lambda x, i, v: x.at[i].add(v), *given)
    assert "for j1s in 4, shared by 1:" in text and "for j1 in 64" in text
    few = [mg.asarray(x) for x in operands(24, np.float32)]
    assert "j1s" not in loops(lambda x, i, v: x.at[i].add(v), *few)


@needs_llvm
def test_the_gradient_of_a_look_up_is_what_arrives_at_each_row() -> None:
    table, places, _ = operands(128, np.float64)

    def slope(x: Any, i: Any) -> Any:
        return mg.grad(lambda x: mg.sum(mg.take(x, i, axis=0) ** 2))(x)

    given = mg.asarray(table), mg.asarray(places % TABLE)
    assert "j1s" in loops(slope, *given)
    found = mg.function(slope, jit_compile=True)(*given)
    times = np.bincount(places % TABLE, minlength=TABLE)[:, None]
    np.testing.assert_allclose(found.numpy(), 2 * table * times, rtol=1e-12)
