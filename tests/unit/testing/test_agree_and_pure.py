"""`assert_modes_agree` and `assert_pure` see what differs, and let pass what is said in words."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import LawError, agree, assert_modes_agree, assert_pure

X = np.array([[0.3, -0.7, 1.2], [1.1, 0.4, 0.2]])


def test_one_answer_in_every_mode() -> None:
    report = assert_modes_agree(lambda x, y: (mg.sin(x) @ y.mT, mg.max(x)), X, X)
    words = ("traced", "unknown dims", "compiled", "compiled, a tape around it", "reloaded")
    assert {*words, "vmapped"} <= set(report.checked)
    assert not report.refused


def test_a_function_that_asks_whether_it_is_traced_is_caught() -> None:
    def f(x: Any) -> Any:
        return x * (2.0 if mg.executing_eagerly() else 2.001)

    with pytest.raises(LawError, match=r"traced: result 0 at \[0, 2\]|traced: result") as caught:
        assert_modes_agree(f, X)
    assert "where eager has" in str(caught.value)


@pytest.mark.parametrize("mode", ["compiled", "reloaded", "vmapped"])
def test_a_mode_that_gives_something_else_is_caught(mode: str) -> None:
    def wrong(f: Any, **options: Any) -> Any:
        return lambda *xs: [y * 1.01 for y in f(*xs)]

    def function(f: Any, **options: Any) -> Any:
        return wrong(f) if options.get("jit_compile") else mg.function(f, **options)

    name, replaced = {
        "compiled": ("function", function),
        "reloaded": ("loaded", lambda data: wrong(lambda x: [mg.sin(x)])),
        "vmapped": ("vmap", wrong),
    }[mode]
    with patch.object(agree, name, replaced), pytest.raises(LawError, match=f"{mode}: result"):
        assert_modes_agree(mg.sin, X, gradients=False)


def test_a_mode_that_refuses_in_words_is_told_and_no_failure() -> None:
    def f(x: Any) -> Any:
        return mg.numpy_function(np.sin, [x], x.dtype, vmap_method="sequential")

    report = assert_modes_agree(f, X, gradients=False)
    assert any(line.startswith("compiled: ") for line in report.refused)
    assert any(line.startswith("reloaded: ") for line in report.refused)


def test_modes_can_be_left_out_by_their_names() -> None:
    report = assert_modes_agree(mg.sin, X, without=["compiled", "reloaded"])
    assert "vmapped" in report.checked and "compiled" not in report.checked
    with pytest.raises(mg.errors.SpecError, match="name some of these"):
        assert_modes_agree(mg.sin, X, without=["native"])


# callbacks


class Faults:
    """Callbacks, each with one fault."""

    def __init__(self) -> None:
        self.buffer = np.zeros(3)
        self.calls = 0
        self.seen: list[float] = []

    def writes(self, x: Any) -> Any:
        x += 1
        return x * 2

    def shares(self, x: Any) -> Any:
        return x[::-1]

    def one_buffer(self, x: Any) -> Any:
        return np.add(x, 1, out=self.buffer)

    def counts(self, x: Any) -> Any:
        self.calls += 1
        return x + self.calls

    def remembers(self, x: Any) -> Any:
        self.seen = sorted({*self.seen, float(x[0])})
        return x + len(self.seen)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("writes", "argument 0 is written to"),
        ("shares", "memory of an argument"),
        ("one_buffer", "both are one buffer"),
        ("counts", "the second call with the same arguments"),
        ("remembers", "after a call with other arguments"),
    ],
)
def test_a_callback_that_is_not_pure_is_caught(fault: str, words: str) -> None:
    with pytest.raises(LawError, match=words):
        assert_pure(getattr(Faults(), fault), np.arange(3.0))


def test_pure_callbacks_of_arrays_and_of_tensors_pass() -> None:
    assert assert_pure(np.sinh, np.arange(3.0)).checked
    assert assert_pure(lambda x, flag: mg.sin(x) * flag, mg.constant([1.0, 2.0]), True).checked
