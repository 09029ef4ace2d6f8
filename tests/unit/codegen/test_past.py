"""Stores past the caches: which they are, and that they leave what others leave."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import past
from minigrad.codegen.loops import Loop, Store, statements
from minigrad.codegen.schedule import loop_nest
from minigrad.core.spec import Spec
from minigrad.graph import trace
from tests.unit.codegen.native import needs_llvm

FEW = 1 << 16


@pytest.fixture(autouse=True)
def small(monkeypatch: Any) -> None:
    """Outputs are large from some kilobytes on."""
    monkeypatch.setattr(past, "PAST", FEW * 4)


def stores(body: Any, *shapes: tuple[int, ...]) -> list[bool]:
    """Whether each store of the nest of `body` goes past the caches."""
    nest = loop_nest(trace(body, [Spec(shape) for shape in shapes])[0], 64)
    return [s.past for s in statements(nest.body) if isinstance(s, Store)]


def test_large_results_in_whole_lines_go_past_the_caches() -> None:
    assert stores(lambda x: [x * 2], (FEW,)) == [True]
    assert stores(lambda x: [x * 2], (FEW - 1,)) == [False]
    assert stores(lambda x, y: [x + y], (512, 256), (512, 1)) == [True]
    assert stores(lambda x, y: [x + y], (512, 250), (512, 1)) == [False]  # lines begin anywhere
    assert stores(lambda x: [mg.permute_dims(x, (1, 0)) * 2], (512, 256))[-1]  # after panels


def test_what_is_read_again_stays_in_the_caches() -> None:
    def body(x: Any) -> list[Any]:
        y = mg.sqrt(x)
        return [y, y / mg.sum(y, axis=1, keepdims=True)]

    nest = loop_nest(trace(body, [Spec((512, 512))])[0], 64)
    kept = [s for s in statements(nest.body) if isinstance(s, Store) and not s.past]
    assert "y0" in {s.place.buffer.name for s in kept}
    loops = [s for s in statements(nest.body) if isinstance(s, Loop)]
    assert any(loop.past for loop in loops)


def test_rows_that_are_computed_for_long_stay_in_the_caches() -> None:
    shape = (512, 512)
    assert any(stores(lambda x: [x / mg.sum(x * x, axis=1, keepdims=True)], shape))
    assert not any(stores(lambda x: [mg.nn.softmax(x)], shape))


@needs_llvm
def test_a_function_waits_for_stores_past_the_caches_once() -> None:
    """Not in each row."""
    body = mg.function(lambda x: x / mg.sum(x * x, axis=1, keepdims=True), jit_compile=True)
    text = body.compiler_ir(mg.zeros((512, 512)), stage="llvm")
    assert "nontemporal" in text
    for function in text.split("\ndefine "):
        *_, last = function.split("fence seq_cst")
        assert function.count("fence seq_cst") == ("!nontemporal !0" in function)
        assert "br " not in last or "fence" not in function


@needs_llvm
@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("n", [FEW, 3 * FEW + 5])
def test_results_are_the_same_wherever_memory_begins(
    n: int, portable: bool, monkeypatch: Any
) -> None:
    if portable:  # NumPy's memory begins 16 bytes behind a line
        monkeypatch.setenv("MINIGRAD_PORTABLE_CALL", "1")
    draw = np.random.default_rng(n)
    x, y = [mg.asarray(draw.standard_normal(n).astype(np.float32)) for _ in range(2)]
    f = mg.function(lambda x, y: (0.5 * x + y, mg.abs(x)), jit_compile=True)
    assert "!nontemporal" in f.compiler_ir(x, y, stage="llvm")
    for found, expected in zip(f(x, y), (0.5 * x + y, mg.abs(x)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
