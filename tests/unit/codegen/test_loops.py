"""Loop nests, as they print: which statement stands in which loop."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen.schedule import loop_nest
from minigrad.codegen.views import MisfitError
from minigrad.core.registry import api
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.pipeline import optimize


def group(body: Any, *specs: Any) -> Graph:
    """The optimized graph of `body`."""
    return optimize(trace(body, [Spec(*spec) for spec in specs], "kernel")[0])


def printed(body: Any, *specs: Any) -> str:
    """The loop nest of `body` for registers of 64 bytes."""
    return str(loop_nest(group(body, *specs), 64))


F4 = np.float32


def test_a_chain_is_one_loop_whatever_the_axes() -> None:
    text = printed(lambda x, y: [x * y + 1], ((10, 10, 10), F4), ((10, 10, 10), F4))
    assert text == (
        "kernel(x0: float32[10,10,10], x1: float32[10,10,10]) -> y0: float32[10,10,10]\n"
        "    for j in 1000 by 64:\n"
        "        v1 = x0[j]\n"
        "        v2 = x1[j]\n"
        "        v3 = multiply(v1, v2)\n"
        "        v4 = add(v3, 1)\n"
        "        y0[j] = v4"
    )


def test_what_changes_only_from_row_to_row_is_loaded_once_per_row() -> None:
    text = printed(lambda x, y: [x * api.square(y)], ((7, 65), F4), ((7, 1), F4))
    assert text.splitlines()[1:5] == [
        "    for j0 in 7:",
        "        v1 = x1[j0]",
        "        v2 = square(v1)",
        "        for j1 in 65 by 64:",
    ]


def test_a_softmax_goes_through_each_row_three_times() -> None:
    text = printed(lambda x: [mg.nn.softmax(x)], ((33, 1000), F4))
    assert text == (
        "kernel(x0: float32[33,1000]) -> y0: float32[33,1000]\n"
        "    scratch s0: float32[1000]\n"
        "    for i in 33:\n"
        "        for j in 1000 by 64 x 2:\n"
        "            v1 = x0[1000 i + j]\n"
        "            v2 = reduce_max(v2, v1)\n"
        "        for j in 1000 by 64:\n"
        "            v3 = x0[1000 i + j]\n"
        "            v4 = subtract(v3, v2)\n"
        "            v5 = exp(v4)\n"
        "            s0[j] = v5\n"
        "            v6 = reduce_sum(v6, v5)\n"
        "        for j in 1000 by 64:\n"
        "            v7 = s0[j]\n"
        "            v8 = divide(v7, v6)\n"
        "            y0[1000 i + j] = v8"
    )


def test_cheap_values_are_made_again_and_not_kept() -> None:
    def centred(x: Any) -> list[Any]:
        return [x - api.mean(x, axis=-1, keepdims=True)]

    text = printed(centred, ((33, 1000), F4))
    assert "scratch" not in text
    assert text.count("x0[1000 i + j]") == 2


def test_column_sums_are_added_to_in_memory() -> None:
    text = printed(lambda x: [api.sum(x, axis=0)], ((37, 65), F4))
    assert "y0[j] = 0" in text
    assert "y0[j] = reduce_sum(y0[j], v1)" in text


@pytest.mark.parametrize(
    ("body", "rows"), [(api.square, 8), (api.exp, 2), (lambda x: api.tanh(x) * api.exp(x), 1)]
)
def test_the_longer_the_body_of_column_sums_the_fewer_rows_in_lockstep(
    body: Any, rows: int
) -> None:
    text = printed(lambda x: [api.sum(body(x), axis=0)], ((37, 65), F4))
    assert f"for i in 37 by {rows}:" in text or (rows == 1 and "for i in 37:" in text)


def test_a_middle_axis_is_summed_batch_by_batch() -> None:
    text = printed(lambda x: [api.sum(x, axis=1)], ((7, 6, 5), F4))
    heads = [line.strip() for line in text.splitlines() if "for" in line]
    assert heads == ["for b in 7:", "for j in 5 by 8:", "for i in 6:", "for j in 5 by 8:"]


def test_long_sums_go_in_chunks_that_are_combined_in_float64() -> None:
    text = printed(lambda x: [api.sum(x)], ((100_000,), F4))
    assert "in chunks of 8192" in text
    assert "# in float64" in text


def test_slices_and_flips_of_inputs_are_only_other_addresses() -> None:
    text = printed(lambda x: [x[2:10:2] + api.flip(x)[:4]], ((12,), F4))
    assert "x0[2 j + 2]" in text
    assert "x0[-1 j + 11]" in text


def test_a_transposed_input_is_read_along_its_columns() -> None:
    text = printed(lambda x, y: [x.T + y], ((5, 6), F4), ((6, 5), F4))
    assert "x0[j0 + 6 j1]" in text
    assert "y0[5 j0 + j1]" in text


@pytest.mark.parametrize(
    ("rows", "body", "reason"),
    [
        (8, lambda x: [api.exp(x) + api.exp(x).T], "meets its own transpose"),
        (
            10_000,
            lambda x: [x - api.sum(api.exp(x), axis=0)],
            "a reduction over rows is used in rows again",
        ),
        (8, lambda x: [api.exp(x)[1:] * 2], "take_slice of what the same loop makes"),
        (8, lambda x: [api.exp(x[:, 0])[:, None] * x], "rows too short"),
    ],
)
def test_what_needs_other_loops_says_so(rows: int, body: Any, reason: str) -> None:
    with pytest.raises(MisfitError, match=reason):
        loop_nest(group(body, ((rows, 8), F4)), 64)


def test_what_is_made_of_column_sums_follows_the_rows() -> None:
    text = printed(lambda x: [api.mean(x, axis=0)], ((37, 65), F4))
    assert text == (
        "kernel(x0: float32[37,65]) -> y0: float32[65]\n"
        "    sums s0: float32[65]\n"
        "    for j in 65 by 64:\n"
        "        s0[j] = 0\n"
        "    for i in 37 by 8:\n"
        "        for j in 65 by 64:\n"
        "            v1 = x0[65 i + j]\n"
        "            s0[j] = reduce_sum(s0[j], v1)\n"
        "    for j in 65 by 64:\n"
        "        v2 = s0[j]\n"
        "        v3 = divide(v2, 37)\n"
        "        y0[j] = v3"
    )
