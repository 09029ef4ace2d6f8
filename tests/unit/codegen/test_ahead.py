"""Rows that are fetched ahead: which they are, and where."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen.ahead import LARGE, LONG, NEAR
from minigrad.codegen.loops import Fetch, Loop, statements
from minigrad.codegen.schedule import loop_nest
from minigrad.core.spec import Spec
from minigrad.graph import trace
from tests.unit.codegen.native import needs_llvm

ROWS = 2 * LARGE // (4 * 600)


def nest_of(body: Any, *shapes: tuple[int, ...]) -> Any:
    """The loop nest of `body`."""
    return loop_nest(trace(body, [Spec(shape) for shape in shapes])[0], 64)


def fetches(body: Any, *shapes: tuple[int, ...]) -> list[str]:
    """What the nest of `body` fetches, as it prints."""
    return [str(s) for s in statements(nest_of(body, *shapes).body) if isinstance(s, Fetch)]


def test_the_longest_loop_asks_for_the_next_row_and_for_what_is_stored() -> None:
    nest = nest_of(lambda x: [mg.nn.softmax(x)], (ROWS, 600))
    (rows,) = [s for s in nest.body if isinstance(s, Loop)]
    first, middle, last = [s for s in rows.body if isinstance(s, Loop)]
    assert not [s for s in (*first.body, *last.body) if isinstance(s, Fetch)]
    assert [str(s) for s in middle.body if isinstance(s, Fetch)] == [
        "fetch x0[600 i + j + 600]",
        "fetch y0[600 i + j], to store to it",
    ]


def test_each_operand_that_has_rows_is_fetched() -> None:
    def scaled(x: Any, y: Any, z: Any) -> list[Any]:
        return [mg.nn.softmax(x * y + z)]

    found = fetches(scaled, (ROWS, 600), (600,), (ROWS, 600))
    assert [text for text in found if "x" in text] == [
        "fetch x0[600 i + j + 600]",
        "fetch x2[600 i + j + 600]",
    ]


@pytest.mark.parametrize(
    "shape", [(100, 600), (LARGE, LONG // 8), (ROWS, NEAR)], ids=["few", "short", "long"]
)
def test_rows_that_are_near_or_short_or_long_are_not_fetched(shape: tuple[int, int]) -> None:
    assert not fetches(lambda x: [mg.nn.softmax(x)], shape)


def test_what_is_gone_through_once_is_not_fetched() -> None:
    assert not fetches(lambda x: [mg.max(x, axis=1)], (ROWS, 600))
    assert not fetches(lambda x: [mg.exp(x)], (ROWS, 600))


@needs_llvm
def test_a_row_made_of_several_parts_is_written_part_by_part() -> None:
    def widened(x: Any) -> Any:
        return mg.abs(mg.concat([x, mg.flip(x[:, 1:600], axis=1)], axis=1))

    x = np.random.default_rng(0).standard_normal((ROWS, 601)).astype(np.float32)
    found = mg.function(widened, jit_compile=True)(mg.asarray(x)).numpy()
    np.testing.assert_array_equal(found, np.abs(np.concatenate([x, x[:, 599:0:-1]], axis=1)))
