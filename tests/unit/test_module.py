"""Modules: which Variables are found, in what order, under what names."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SaveError


class Dense(mg.Module):
    def __init__(self, n: int, m: int) -> None:
        self.w = mg.Variable(np.ones((n, m), np.float32))
        self.b = mg.Variable(np.zeros(m, np.float32))

    def __call__(self, x: Any) -> Any:
        return x @ self.w + self.b


class Model(mg.Module):
    def __init__(self) -> None:
        self.layers = [Dense(2, 3), (Dense(3, 1), "text", None)]
        self.heads = {"b": Dense(1, 1), "a": mg.Variable(1.0)}
        self.count = mg.Variable(0, trainable=False)
        self.generator = mg.random.Generator(0)
        self.tied = self.layers[0]
        self.itself = self
        self.shared = self.heads["a"]


NAMES = "layers.0.w layers.0.b layers.1.0.w layers.1.0.b heads.b.w heads.b.b heads.a count"
NAMES += " generator.state"


def test_variables_are_found_in_order_each_once() -> None:
    model = Model()
    assert [name for name, _ in model.named_variables()] == NAMES.split()
    assert len(model.variables) == 9
    assert [v.trainable for v in model.variables] == [True] * 7 + [False] * 2
    assert len(model.trainable_variables) == 7


def test_submodules_are_found_at_any_depth_without_the_module_itself() -> None:
    model = Model()
    first, second, head = model.submodules
    assert first is model.tied and second.w.shape == (3, 1) and head is model.heads["b"]


def test_an_optimizer_held_by_a_module_is_part_of_its_state() -> None:
    model = Dense(1, 1)
    model.optimizer = mg.optimizers.Adam()  # type: ignore[attr-defined]
    model.optimizer.build([model.w])  # type: ignore[attr-defined]
    assert list(model.state_dict()) == ["w", "b"] + [
        f"optimizer.{name}" for name in ("step", "0.mean", "0.square")
    ]


def test_state_comes_back() -> None:
    model, other = Model(), Model()
    model.layers[0].w.assign(np.full((2, 3), 7, np.float32))
    model.generator.uniform(3)
    other.load_state_dict(model.state_dict())
    assert (other.tied.w.numpy() == 7).all()
    np.testing.assert_array_equal(
        model.generator.uniform(3).numpy(), other.generator.uniform(3).numpy()
    )


def test_a_state_that_does_not_fit_is_refused_whole() -> None:
    model = Dense(2, 1)
    before = model.state_dict()
    with pytest.raises(SaveError, match=r"missing in it: \['b'\]; unknown here: \['c'\]"):
        model.load_state_dict({"w": np.zeros((2, 1)), "c": np.zeros(1)})
    bad = {"w": np.zeros((2, 1), np.float32), "b": np.zeros(2, np.float32)}
    with pytest.raises(SaveError, match=r"b was to be loaded from float32\[2\]"):
        model.load_state_dict(bad)
    assert (model.w.numpy() == before["w"]).all()


def test_the_state_is_a_copy() -> None:
    model = Dense(1, 1)
    state = model.state_dict()
    state["w"][...] = 5
    assert model.w.numpy() == 1
