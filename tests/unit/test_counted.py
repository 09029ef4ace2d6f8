"""Loops that count run natively, and only as often as their condition says."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import branches, laps
from minigrad.codegen import jit


def decayed(n: Any) -> Any:
    """`n` rounds of a loop."""
    return lambda x: mg.fori_loop(0, n, lambda i, x: x - 0.1 * mg.sin(x), x)


@pytest.fixture
def native(monkeypatch: Any) -> list[int]:
    """The numbers of rounds of loops that run in native code."""
    counts: list[int] = []
    forwards = laps.forwards

    def heard(*args: Any, **options: Any) -> Any:
        found = forwards(*args, **options)
        if found is not None:
            counts.append(options["count"])
        return found

    monkeypatch.setattr(branches, "laps", SimpleNamespace(forwards=heard))
    return counts


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_a_counted_loop_gives_what_is_given_eagerly(n: int, native: list[int]) -> None:
    x = mg.asarray(np.linspace(-2, 2, 9, dtype=np.float32))
    f = mg.function(decayed(n), jit_compile=True)
    np.testing.assert_allclose(f(x), decayed(n)(x), rtol=1e-5)
    slope = mg.function(lambda x: mg.grad(lambda x: mg.sum(decayed(n)(x)))(x), jit_compile=True)
    np.testing.assert_allclose(slope(x), mg.grad(lambda x: mg.sum(decayed(n)(x)))(x), rtol=1e-4)
    assert " native_loop(" in f.compiler_ir(x, stage="program") or not jit.available()
    assert " native_loop(" in slope.compiler_ir(x, stage="program") or n < 2 or not jit.available()
    assert native == []


def test_a_bound_may_be_a_tensor() -> None:
    @mg.function(jit_compile=True)
    def powers(x: Any, n: Any) -> Any:
        return mg.fori_loop(n - 3, n, lambda i, y: y * x, x)

    assert powers(mg.constant(2.0), mg.constant(5)).numpy() == 16
    assert powers(mg.constant(3.0), mg.constant(-1)).numpy() == 81
    text = powers.compiler_ir(mg.constant(2.0), mg.constant(5), stage="program")
    assert " native_loop(" in text or not jit.available()


@pytest.mark.parametrize(
    ("condition", "step"),
    [
        (lambda i, x: mg.max(x) < 100, lambda i, x: (i + 1, x * 2)),  # decided by values
        (lambda i, x: i < 10, lambda i, x: (i + 2, x * 2)),  # other steps
        (lambda i, x: i <= 10, lambda i, x: (i + 1, x * 2)),
        (lambda i, x: i < 10, lambda i, x: (i * 1 + 1, x * 2)),
    ],
)
def test_other_loops_ask_their_condition(condition: Any, step: Any, native: list[int]) -> None:
    def body(x: Any) -> Any:
        return mg.while_loop(condition, step, (mg.constant(0), x))

    x = mg.asarray([1.0, 2.0])
    for a, b in zip(mg.function(body, jit_compile=True)(x), body(x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert native == []


def test_a_condition_with_effects_is_asked_once_for_each_round() -> None:
    def results(compiled: bool) -> list[Any]:
        generator = mg.random.Generator(3)

        def doubled(x: Any) -> Any:
            return mg.while_loop(lambda y: generator.uniform(()) < 0.8, lambda y: y * 2, x)

        f = mg.function(doubled, jit_compile=True) if compiled else doubled
        return [f(mg.constant(1.0)).item() for _ in range(4)] + generator.state.numpy().tolist()

    assert results(compiled=True) == results(compiled=False)
