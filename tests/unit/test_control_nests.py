"""The keys of dicts come in any order: branches and rounds give the same nest all the same."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SpecError
from tests.unit.modes import everywhere, same


@everywhere
def test_branches_give_the_keys_of_a_dict_in_any_order(mode: Any) -> None:
    def f(p: Any, x: Any) -> Any:
        return mg.cond(p, lambda: {"a": x, "b": (-x, x * 2)}, lambda: {"b": (x, x), "a": -x})

    f, x = mode(f), mg.constant(3.0)
    same(f(mg.constant(True), x)["b"], (-3.0, 6.0))
    no = f(mg.constant(False), x)
    same((no["a"], no["b"]), (-3.0, (3.0, 3.0)))


@everywhere
def test_gradients_of_branches_with_keys_in_another_order(mode: Any) -> None:
    def f(p: Any, x: Any) -> Any:
        found = mg.cond(p, lambda: {"a": x * 2, "b": x * 3}, lambda: {"b": x * 50, "a": x * 70})
        return found["a"]

    f = mode(f)
    slopes = [
        mg.grad(lambda x, p=p: f(mg.constant(p), x))(mg.constant(1.0)) for p in (1 > 0, 1 < 0)
    ]
    same(slopes, [2.0, 70.0])


@everywhere
def test_a_round_gives_the_keys_of_a_dict_in_any_order(mode: Any) -> None:
    def f(x: Any) -> Any:
        def body(d: Any) -> Any:
            return [{"n": 0, "b": d["b"] - x, "a": d["a"] + 1}]

        return mg.while_loop(lambda d: d["a"] < 5, body, [{"a": x, "b": x * 10, "n": 7}])[0]

    same(mode(f)(mg.constant(2.0)), {"a": 5.0, "b": 14.0, "n": 0})


@everywhere
def test_a_scan_takes_the_keys_of_each_round_as_they_come(mode: Any) -> None:
    turn = iter(range(100))

    def step(carry: Any, x: Any) -> Any:
        flip = next(turn) % 2
        y = {"p": x, "q": -x} if flip else {"q": -x, "p": x}
        return {"d": carry["d"] + 1, "c": carry["c"] * x}, y

    f = mode(lambda x: mg.scan(step, {"c": x[0], "d": x[0]}, x))
    carry, ys = f(mg.constant([1.0, 2.0, 3.0]))
    same(carry, {"c": 6.0, "d": 4.0})
    same((ys["p"], ys["q"]), (np.array([1.0, 2.0, 3.0]), np.array([-1.0, -2.0, -3.0])))


def test_rounds_that_stack_different_nests_are_refused() -> None:
    def step(carry: Any, x: Any) -> Any:
        return carry + 1, {"p": x} if carry < 1 else {"q": x}

    with pytest.raises(SpecError, match="scan: round 1 stacks"):
        mg.scan(step, mg.constant(0.0), mg.constant([1.0, 2.0]))


def test_branches_of_other_keys_and_kinds_are_refused() -> None:
    x = mg.constant(1.0)
    for other in ({"a": x, "c": x}, {"a": x}, {"a": x, "b": [x]}, [x, x]):
        f = mg.function(lambda p, other=other: mg.cond(p, lambda: {"a": x, "b": x}, lambda: other))
        with pytest.raises(SpecError, match="all branches give one nest"):
            f(mg.constant(True))


@everywhere
@pytest.mark.parametrize("index", [[0, 1], 1.5])
def test_one_integer_chooses_a_branch(mode: Any, index: Any) -> None:
    f = mode(lambda i: mg.switch(i, [lambda: i, lambda: -i]))
    with pytest.raises(SpecError, match=r"switch: .* one 0-d integer"):
        f(mg.constant(index))


@everywhere
def test_one_bool_chooses_between_two(mode: Any) -> None:
    f = mode(lambda p: mg.cond(p, lambda: p, lambda: p))
    with pytest.raises(SpecError, match=r"cond: .* one 0-d bool"):
        f(mg.constant([True, False]))
