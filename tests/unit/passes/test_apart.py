"""Results that are needed in slices are computed in slices: the same numbers, none twice."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.passes.apart import take_apart
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed

X = np.random.default_rng(0).normal(size=(6, 5, 4)).astype(np.float32)

APART: dict[str, Callable[[Any], Any]] = {
    "elements of the last axis": lambda x: (y := mg.exp(x))[..., 0] * y[..., 3] - y[..., 1],
    "negative indices": lambda x: (y := mg.exp(x))[..., -1] * y[..., -4],
    "the first axis": lambda x: (y := mg.exp(x))[0] * y[3] - y[5],
    "an axis in the middle": lambda x: (y := mg.exp(x))[:, 1] * y[:, 4],
    "steps": lambda x: (y := mg.exp(x))[..., ::2] * y[..., 1::2],
    "one slice alone": lambda x: mg.exp(x)[..., 1:3],
    "operands that are broadcast": lambda x: (y := x[0] * x[:, :1] + x[0, 0])[..., 2] - y[..., 0],
    "a chain": lambda x: (y := mg.tanh(mg.exp(x) * 2 + x))[..., 0] * y[..., 1],
    "dtypes": lambda x: mg.where((y := x > 0)[..., 0], y[..., 1], y[..., 2]),
    "split": lambda x: (y := mg.split(mg.exp(x), 2, axis=-1))[0] * y[1],
    "a row less its sum": lambda x: (x - mg.sum(x, axis=-1, keepdims=True))[..., 2],
}
WHOLE: dict[str, Callable[[Any], Any]] = {
    "slices that share elements": lambda x: (y := mg.exp(x))[..., 1:] * y[..., :-1],
    "several axes": lambda x: (y := mg.exp(x))[0] * y[..., 0][0, :, None],
    "needed as a whole, too": lambda x: (y := mg.exp(x))[..., 0] * mg.sum(y),
    "an output": lambda x: (y := mg.exp(x), y[..., 0] + 1),
    "backwards": lambda x: mg.exp(x)[..., ::-1][..., 0] + mg.exp(x)[..., 0],
}


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(take_apart)
    assert squeezed(take_apart(graph)) == after


@pytest.mark.parametrize("name", [*APART, *WHOLE])
def test_slices_are_what_they_are_eagerly(name: str) -> None:
    f = {**APART, **WHOLE}[name]
    compiled, eager = mg.function(f, jit_compile=True)(X), f(mg.asarray(X))
    pairs = zip(compiled, eager, strict=True) if type(eager) is tuple else [(compiled, eager)]
    for y, expected in pairs:
        assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-6, atol=1e-6)


@needs_llvm
@pytest.mark.parametrize("name", APART)
def test_nothing_is_stored_to_be_sliced(name: str) -> None:
    f = mg.function(APART[name], jit_compile=True)
    assert "group 1" not in f.compiler_ir(X, stage="fused")


@needs_llvm
@pytest.mark.parametrize("name", ["slices that share elements", "needed as a whole, too"])
def test_nothing_is_computed_twice(name: str) -> None:
    f = mg.function(WHOLE[name], jit_compile=True)
    assert f.compiler_ir(X, stage="fused").count("= exp(") == 1


@needs_llvm
def test_rounds_that_split_are_native() -> None:
    def f(x: Any, w: Any) -> Any:
        def step(h: Any, t: Any) -> Any:
            z, r = mg.split(mg.tanh(t @ w + h @ w), 2, axis=1)
            return mg.concat([z * r, z], axis=1), None

        return mg.scan(step, x[0], x)[0]

    x, w = X, np.ones((4, 4), np.float32)
    compiled = mg.function(f, jit_compile=True)
    assert "split_at" not in compiled.compiler_ir(x, w, stage="fused")
    np.testing.assert_allclose(compiled(x, w), f(mg.asarray(x), mg.asarray(w)), rtol=1e-5)
