"""Decompositions of which one result is used alone: the same values, without the others."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import linalg
from minigrad.errors import LinAlgError
from minigrad.passes.narrow import narrow
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed

ALONE: dict[str, Callable[[Any], Any]] = {
    "hermitian_eigenvalues": lambda x: linalg.eigh(x)[0],
    "singular_values": lambda x: linalg.svd(x, full_matrices=False)[1],
    "triangular_factor": lambda x: linalg.qr(x)[1],
}


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(narrow)
    assert squeezed(narrow(graph)) == after


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("name", ALONE)
def test_one_result_alone_has_the_values_it_has_beside_others(name: str, dtype: str) -> None:
    x: Any = np.random.default_rng(0).normal(size=(2, 5, 5)).astype(dtype)
    if x.dtype.kind == "c":
        x += 1j * x[::-1]
    compiled = mg.function(ALONE[name], jit_compile=True)
    assert name in compiled.compiler_ir(x, stage="fused")
    found, expected = compiled(x), ALONE[name](mg.asarray(x))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    few = 30 * np.finfo(dtype).eps
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=few, atol=few)


@needs_llvm
@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (2, 4, 2), (3, 0), (0, 3), (2, 0, 0)])
@pytest.mark.parametrize("name", ["singular_values", "triangular_factor"])
def test_of_matrices_that_are_not_square(name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    found, expected = mg.function(ALONE[name], jit_compile=True)(x), ALONE[name](mg.asarray(x))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)


@needs_llvm
@pytest.mark.parametrize("name", ALONE)
def test_what_a_derivative_reads_is_computed(name: str) -> None:
    def gradient(x: Any) -> Any:
        return mg.grad(lambda x: mg.sum(ALONE[name](x) ** 3))(x)

    x = np.random.default_rng(0).normal(size=(4, 4))
    compiled = mg.function(gradient, jit_compile=True)
    assert name not in compiled.compiler_ir(x, stage="fused")
    np.testing.assert_allclose(compiled(x).numpy(), gradient(mg.asarray(x)).numpy(), rtol=1e-9)


@needs_llvm
@pytest.mark.parametrize(
    ("values", "whole"),
    [(linalg.eigvalsh, "hermitian_eigen"), (linalg.svdvals, "singular_factors")],
)
def test_values_are_not_computed_again_beside_vectors(values: Any, whole: str) -> None:
    def f(x: Any) -> Any:
        def two(x: Any) -> Any:
            first = values(x)
            return mg.sum(first**2) + mg.sum(values(x @ x + first[0]))

        return mg.value_and_grad(two)(x)

    x = np.random.default_rng(0).normal(size=(4, 4))
    compiled = mg.function(f, jit_compile=True)
    calls = re.findall(r"library call: ((?:herm|sing)\w*)", compiled.compiler_ir(x, stage="fused"))
    assert calls == [whole, whole]
    for found, expected in zip(compiled(x), f(mg.asarray(x)), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-9)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("n", [1, 2, 5, 60])
@pytest.mark.parametrize("whole", [True, False])
def test_nan_is_not_lost_without_vectors(whole: bool, n: int, dtype: str) -> None:
    x = np.eye(n, dtype=dtype)
    x[0, 0] = np.nan
    for f in (ALONE["hermitian_eigenvalues"], linalg.eigvalsh):
        for run in (f, mg.function(f, jit_compile=True)):
            try:
                values = run(mg.asarray(np.stack([x, x * 0 + 1])) if whole else mg.asarray(x))
            except LinAlgError:
                continue
            assert np.isnan(values.numpy()[0] if whole else values.numpy()).any()
