"""Rows that stand side by side in memory: lanes go along them, as often as is needed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.tree import flatten
from tests.unit.codegen.native import needs_llvm

pytestmark = needs_llvm


def drawn(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    return mg.constant(np.random.default_rng(0).normal(size=shape), dtype)


def standard(x: Any, axis: Any) -> Any:
    d = x - mg.mean(x, axis=axis, keepdims=True)
    return d / mg.sqrt(mg.mean(d * d, axis=axis, keepdims=True) + 1e-5)


PROGRAMS: dict[str, Callable[..., Any]] = {
    "softmax": lambda x, axis: mg.nn.softmax(x, axis),
    "a number for each row": lambda x, axis: (
        mg.nn.logsumexp(x, axis),
        x - mg.max(x, axis=axis, keepdims=True),
    ),
    "standard": standard,
    "a slope and its loss": lambda x, axis: mg.value_and_grad(
        lambda x: mg.sum(standard(x, axis) ** 3)
    )(x),
    "a mask along the rows": lambda x, axis: mg.nn.softmax(
        mg.where(mg.arange(x.shape[0])[:, None, None] % 3 > 0, x, -mg.inf), axis
    ),
    "margins": lambda x, axis: mg.nn.softmax(mg.pad(x, ((1, 2), (0, 1), (1, 0))), axis),
    "a transpose beside": lambda x, axis: (
        mg.nn.softmax(x, axis) * mg.permute_dims(mg.permute_dims(x, (2, 0, 1)) * 1, (1, 2, 0))
    ),
    "whole numbers": lambda x, axis: (lambda n: (n - mg.min(n, axis=axis, keepdims=True), n % 5))(
        mg.astype(x * 100, "int32")
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(9, 130, 70), (65, 4, 100), (300, 1, 17), (3, 301, 64), (500, 5, 7)]
)
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_numbers_are_those_of_numpy(name: str, axis: Any, shape: Any, dtype: str) -> None:
    x = drawn(shape, dtype)
    found = flatten(mg.function(lambda x: PROGRAMS[name](x, axis), jit_compile=True)(x))[0]
    expected, tolerance = flatten(PROGRAMS[name](x, axis))[0], 1e-4 if dtype == "float32" else 1e-11
    for y, z in zip(found, expected, strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=tolerance, atol=tolerance)


def test_a_vector_holds_an_element_each_of_rows_side_by_side() -> None:
    compiled = mg.function(lambda x: mg.nn.softmax(x, 0), jit_compile=True)
    lines = [
        line.strip() for line in compiled.compiler_ir(drawn((300, 640)), stage="loops").split("\n")
    ]
    assert lines[1].startswith("scratch s0: float32[300], in ")
    assert lines[3].startswith("for j in 300")
    assert lines[4:6] == ["v1 = x0[i + 640 j]", "v2 = reduce_max(v2, v1)"]


def test_long_sums_lose_no_more_digits_than_sums_over_rows() -> None:
    x = mg.constant(np.full((1000, 64), 0.1, np.float32))
    total = mg.function(lambda x: x - mg.sum(x, axis=0), jit_compile=True)(x)
    exact = 0.1 - 1000 * np.float64(np.float32(0.1))
    assert np.max(np.abs(total.numpy() - exact)) < 2e-4
