"""What a tape follows: what is watched or read, where, in which thread, and until when."""

import gc
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GradientError
from tests.unit.modes import everywhere, same


def vector(*numbers: float) -> Any:
    return mg.constant(list(map(float, numbers)))


# what is followed


@everywhere
def test_gradient_of_a_watched_tensor(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * x * x
        return tape.gradient(y, x)

    same(mode(body)(vector(1, 2)), np.array([3.0, 12.0]))


@everywhere
def test_a_tensor_that_is_not_watched_has_no_gradient(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            y = x * x
        return tape.gradient(y, x)

    assert mode(body)(vector(1, 2)) is None


@everywhere
def test_a_tensor_that_is_not_watched_has_none_where_others_are_followed_either(mode: Any) -> None:
    def body(x: Any, u: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(u)
            unseen = x * x
            y = unseen * u * x
        return tape.gradient(y, [x, u]), tape.gradient(x, x)

    # the recorded part of the derivative by x would be 4, and the true one 12
    same(mode(body)(mg.constant(2.0), mg.constant(1.0)), ([None, 8.0], None))


@everywhere
def test_a_variable_is_watched_by_being_read(mode: Any) -> None:
    v = mg.Variable([1.0, 2.0])

    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            y = mg.sum(v * v * x)
        return tape.gradient(y, v)

    same(mode(body)(vector(3, 4)), np.array([6.0, 16.0]))


@everywhere
def test_a_variable_that_is_not_trainable_is_followed_when_watched_only(mode: Any) -> None:
    v = mg.Variable([1.0, 2.0], trainable=False)

    def body(x: Any) -> Any:
        with mg.GradientTape() as first:
            y = mg.sum(v * x)
        with mg.GradientTape() as second:
            second.watch(v)
            z = mg.sum(v * x)
        return first.gradient(y, v), second.gradient(z, v)

    same(mode(body)(vector(3, 4)), (None, np.array([3.0, 4.0])))


def test_variables_are_not_watched_by_themselves_if_so_asked() -> None:
    v = mg.Variable(2.0)
    with mg.GradientTape(watch_accessed_variables=False) as tape:
        y = v * v
    assert tape.gradient(y, v) is None
    with mg.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(v)
        y = v * v
    assert tape.gradient(y, v).item() == 4


def test_watched_variables_come_in_the_order_of_their_first_use() -> None:
    a, b, c = (mg.Variable(1.0) for _ in range(3))
    with mg.GradientTape() as tape:
        b * a * b
    assert tape.watched_variables() == (b, a)
    assert c not in set(tape.watched_variables())


def test_watched_variables_of_a_function_call_are_known() -> None:
    v = mg.Variable(3.0)
    f = mg.function(lambda x: x * v)
    with mg.GradientTape() as tape:
        f(vector(1, 2))
    assert tape.watched_variables() == (v,)


def test_integer_variables_are_left_alone() -> None:
    step = mg.Variable(1)
    with mg.GradientTape() as tape:
        y = step * 2.0
    assert tape.watched_variables() == ()
    assert tape.gradient(y, step) is None


@pytest.mark.parametrize("value", [[1, 2], [True, False]])
def test_watching_what_has_no_derivative_says_which_cast_to_write(value: Any) -> None:
    with mg.GradientTape() as tape:
        with pytest.raises(GradientError, match=r"write|cast first.*mg.astype\(x, mg.float32\)"):
            tape.watch(mg.constant(value))
        x = vector(1, 2)
        with pytest.raises(GradientError):
            tape.watch([x, mg.constant(value)])
        y = x * x
    assert tape.gradient(y, x) is None, "a refused watch must change nothing"


@pytest.mark.parametrize("value", [3.0, np.ones(2), "x", None])
def test_only_tensors_and_variables_are_watched(value: Any) -> None:
    with mg.GradientTape() as tape:
        with pytest.raises(GradientError, match="a tape follows tensors and Variables"):
            tape.watch(value)


def test_watch_takes_any_nest() -> None:
    @dataclass
    class Pair:
        w: Any
        b: Any

    pair = Pair(vector(1, 2), {"scale": mg.constant(3.0)})
    with mg.GradientTape() as tape:
        tape.watch([pair])
        y = mg.sum(pair.w * pair.b["scale"])
    found = tape.gradient(y, pair)
    assert isinstance(found, Pair)
    same(found, Pair(np.array([3.0, 3.0]), {"scale": 3.0}))


def test_watching_after_use_follows_from_then_on() -> None:
    x = vector(1, 2)
    with mg.GradientTape() as tape:
        before = x * x
        tape.watch(x)
        after = x * 3.0
        both_ = before + after
    same(tape.gradient(both_, x), np.array([3.0, 3.0]))


# contexts


def test_ops_of_other_threads_do_not_leak_into_a_tape() -> None:
    x = mg.constant(3.0)
    made: list[Any] = []
    with mg.GradientTape() as tape:
        tape.watch(x)
        thread = threading.Thread(target=lambda: made.append(x * x))
        thread.start()
        thread.join()
        assert len(tape.nodes) == 0
    assert "thread" in str(tape.explain(made[0], x))
    assert tape.gradient(made[0], x) is None


def test_tapes_of_two_threads_are_apart() -> None:
    x = mg.constant(3.0)
    found: dict[int, float] = {}
    barrier = threading.Barrier(2)

    def work(power: int) -> None:
        with mg.GradientTape() as tape:
            tape.watch(x)
            barrier.wait()
            y = x**power
            barrier.wait()
        found[power] = tape.gradient(y, x).item()

    threads = [threading.Thread(target=work, args=(n,)) for n in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {2: 6.0, 3: 27.0}


def test_an_exception_in_a_block_leaves_no_tape_behind() -> None:
    x = mg.constant(3.0)
    tape = mg.GradientTape()
    with pytest.raises(ZeroDivisionError):
        with tape:
            tape.watch(x)
            y = x * x
            raise ZeroDivisionError
    x * x
    assert len(tape.nodes) == 1
    assert tape.gradient(y, x).item() == 6


def test_an_exception_in_stop_recording_lets_the_tape_record_again() -> None:
    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(ZeroDivisionError):
            with tape.stop_recording():
                raise ZeroDivisionError
        y = x * x
    assert tape.gradient(y, x).item() == 6


def test_a_rule_that_fails_leaves_the_tape_listening() -> None:
    @mg.custom_gradient
    def broken(x: Any) -> Any:
        def grad(g: Any) -> Any:
            raise ZeroDivisionError

        return x * 1.0, grad

    x = mg.constant(3.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = broken(x)
        with pytest.raises(ZeroDivisionError):
            tape.gradient(y, x)
        z = x * x
    assert tape.gradient(z, x).item() == 6


@everywhere
def test_a_watched_tensor_from_outside_is_followed_in_a_function(mode: Any) -> None:
    w = vector(2, 3)

    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(w)
            y = mg.sum(x * w * w)
        return tape.gradient(y, w)

    same(mode(body)(vector(1, 1)), np.array([4.0, 6.0]))


def test_a_tape_inside_and_one_outside_a_function_agree() -> None:
    @mg.function
    def slope(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.sum(x**3)
        return tape.gradient(y, x)

    x = vector(1, 2)
    with mg.GradientTape() as outside:
        outside.watch(x)
        dy = slope(x)
    same(dy, np.array([3.0, 12.0]))
    same(outside.gradient(dy, x), np.array([6.0, 12.0]))


def test_numpy_does_not_warn_while_gradients_are_computed() -> None:
    x = vector(0, 1)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.sqrt(x)
    same(tape.gradient(y, x), np.array([np.inf, 0.5]))


def test_gc_frees_what_a_dropped_tape_held() -> None:
    x = vector(1, 2)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        u = x * x
        u * u
    alive = weakref.ref(u)
    del u, tape
    gc.collect()
    assert alive() is None
