"""Decompositions of small matrices become kernels that read operands where they lie."""

import importlib
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.passes.borrow import borrow
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed


@needs_llvm
def test_the_docstring_shows_what_happens() -> None:
    importlib.import_module("minigrad.ops.matrices")  # where the ops are made
    graph, after = documented(borrow)
    assert squeezed(borrow(graph)) == after


@needs_llvm
def test_batches_that_do_not_lie_in_one_row_are_left_to_numpy() -> None:
    def f(x1: Any, x2: Any) -> Any:
        return mg.linalg.solve(x1, x2)

    compiled = mg.function(f, jit_compile=True)
    x1 = np.random.default_rng(0).normal(size=(3, 1, 2, 2)) + 2 * np.eye(2)
    x2 = np.ones((1, 4, 2, 1))
    assert "solve_loop_1" not in compiled.compiler_ir(x1, x2, stage="fused")
    np.testing.assert_array_equal(compiled(x1, x2), np.linalg.solve(x1, x2))
