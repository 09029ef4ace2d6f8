"""What is left of a call that fails: what came before the error; of a compiled one, nothing."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import given

import minigrad as mg
from minigrad.errors import MinigradError

ROW = mg.asarray([10.0, 20.0, 30.0])
ZERO, END = mg.constant(0.0), 3


class Program(NamedTuple):
    """The Variables of a program; its argument is a place in ROW, which may be too large."""

    v: mg.Variable
    w: mg.Variable


def plain(p: Program, i: Any) -> None:
    p.v.assign(p.w.value() * 2.0 + 1.0)


def added(p: Program, i: Any) -> None:
    p.w.assign_add(p.v.value())


def looped(p: Program, i: Any) -> None:
    mg.fori_loop(0, 3, lambda k, y: (p.v.assign_add(p.w.value()), y)[1], ZERO)


def failing_in_a_loop(p: Program, i: Any) -> None:
    """The last of three rounds fails, where `i` is too large."""

    def body(k: Any, y: Any) -> Any:
        p.w.assign_add(1.0)
        y = y + mg.take(ROW, mg.where(k == 2, i, 0))
        p.v.assign(y)
        return y

    mg.fori_loop(0, 3, body, ZERO)


def scanned(p: Program, i: Any) -> None:
    mg.scan(lambda c, x: (c, p.v.assign_sub(x).value()), ZERO, ROW)


def chosen(p: Program, i: Any) -> None:
    mg.cond(p.v.value() > 2.0, lambda: p.w.assign(p.v.value()).value(), lambda: p.w.value())


def failing_in_a_branch(p: Program, i: Any) -> None:
    mg.cond(
        i < END,
        lambda: p.v.assign_add(1.0).value(),
        lambda: p.w.assign(7.0).value() + mg.take(ROW, i),
    )


def failing(p: Program, i: Any) -> None:
    p.v.assign_add(mg.take(ROW, i))


STEPS = (plain, added, looped, failing_in_a_loop, scanned, chosen, failing_in_a_branch, failing)
Step = Callable[[Program, Any], None]


def state_after(
    steps: Sequence[Step], mode: Callable[[Any], Any], places: Sequence[int]
) -> list[tuple[bool, float, float]]:
    """Whether each call at one of `places` failed, and the Variables after it."""
    p = Program(mg.Variable(1.0), mg.Variable(2.0))

    def run(i: Any) -> Any:
        for step in steps:
            step(p, i)
        return p.v.value()

    call, found = mode(run), []
    for place in places:
        try:
            call(mg.asarray(place))
            failed = False
        except MinigradError:
            failed = True
        found.append((failed, p.v.numpy().item(), p.w.numpy().item()))
    return found


PLACES = [5, 1, 5, 0]
drawn = st.lists(st.sampled_from(STEPS), min_size=1, max_size=4)


@given(steps=drawn)
def test_a_traced_function_that_fails_has_done_what_came_before(steps: list[Step]) -> None:
    eager = state_after(steps, lambda f: f, PLACES)
    assert state_after(steps, mg.function, PLACES) == eager


@given(steps=drawn)
def test_a_compiled_function_that_fails_has_assigned_nothing(steps: list[Step]) -> None:
    found = state_after(steps, mg.function(jit_compile=True), PLACES)
    before = (1.0, 2.0)
    for failed, *after in found:
        assert not failed or tuple(after) == before
        before = (after[0], after[1])
    right = [i for i, (failed, *_) in zip(PLACES, found, strict=True) if not failed]
    assert {1, 0} <= set(right)
    done = [state for state in found if not state[0]]
    assert done == state_after(steps, lambda f: f, right)


LATE = [(looped, failing), (failing_in_a_loop,), (plain, failing_in_a_branch)]


@pytest.mark.parametrize("steps", LATE)
def test_the_programs_that_fail_do_fail(steps: Sequence[Step]) -> None:
    assert [failed for failed, *_ in state_after(steps, mg.function, [5, 1])] == [True, False]
