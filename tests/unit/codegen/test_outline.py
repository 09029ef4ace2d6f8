"""Functions that are called from loops: the same values as where they are written out."""

from typing import Any

import numpy as np
import pytest

from minigrad.codegen import schedule
from minigrad.codegen.executable import executable
from minigrad.codegen.fused import llvm
from minigrad.core.registry import api
from minigrad.core.spec import Spec
from minigrad.graph import trace
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from tests.unit.codegen import programs
from tests.unit.codegen.native import needs_llvm

FUNCTIONS = ("exp", "expm1", "tanh", "sin", "cos", "tan", "atan", "sinh", "asinh", "cosh")


@pytest.fixture
def eager_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every loop call its functions."""
    monkeypatch.setattr(schedule, "HEAVY", 0)


@needs_llvm
@pytest.mark.usefixtures("eager_to_call")
@pytest.mark.parametrize("seed", range(400, 430))
def test_a_random_program_with_calls_gives_what_numpy_gives(seed: int) -> None:
    graph = programs.graph(seed)
    xs = programs.data(graph, seed)
    expected, got = executable(graph)(*xs), executable(fuse(graph))(*xs)
    for y, z in zip(expected, got, strict=True):
        programs.assert_close(y, z)


def many(x: Any) -> list[Any]:
    """A number of each function, of one argument or two."""
    pairs = [api.atan2(x, x + 1), api.pow(api.abs(x) + 1, x), api.hypot(x, x * 2)]
    return [getattr(api, name)(x) for name in FUNCTIONS] + pairs


@needs_llvm
@pytest.mark.usefixtures("eager_to_call")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [2, 63, 64, 1000])
def test_functions_of_every_length_by_calls(n: int, dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal(n).astype(dtype) * 3
    graph = optimize(trace(many, [Spec((n,), dtype)])[0])
    compiled = fuse(graph)
    texts = [llvm(node.attrs["graph"]) for node in compiled.nodes]
    assert all(any("call fastcc" in t and f'@"{f}.' in t for t in texts) for f in FUNCTIONS)
    for y, z in zip(executable(graph)(x), executable(compiled)(x), strict=True):
        np.testing.assert_allclose(z, y, rtol=8 * np.finfo(dtype).eps)


@needs_llvm
@pytest.mark.usefixtures("eager_to_call")
def test_special_values_by_calls() -> None:
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 1e30, -1e30], np.float32)
    graph = optimize(trace(many, [Spec(x.shape, x.dtype)])[0])
    for y, z in zip(executable(graph)(x), executable(fuse(graph))(x), strict=True):
        np.testing.assert_allclose(z, y, rtol=1e-6)
        np.testing.assert_array_equal(np.signbit(z[:2]), np.signbit(y[:2]))


def test_only_long_loops_call() -> None:
    def chain(count: int) -> str:
        def body(x: Any) -> list[Any]:
            for _ in range(count):
                x = api.sin(api.tanh(x))
            return [x]

        graph = optimize(trace(body, [Spec((1000,), np.float32)])[0])
        return str(schedule.loop_nest(graph, 64))

    assert "calling functions" in chain(20)
    assert "calling functions" not in chain(1)
