"""GradientTape: what it answers, and what it says when it cannot."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.op import CONTEXT
from minigrad.errors import GradientError
from tests.unit.modes import everywhere, same, words


def vector(*numbers: float) -> Any:
    return mg.constant(list(map(float, numbers)))


# what is answered


@everywhere
def test_gradient_of_an_intermediate_tensor(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            u = x * x
            y = u * x
        return tape.gradient(y, u), tape.gradient(y, [x, u]), tape.gradient(u, u)

    expected = (3.0, [27.0, 3.0], 1.0)
    same(mode(body)(mg.constant(3.0)), expected)


@everywhere
def test_gradient_of_the_source_itself_is_one(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
        return tape.gradient(x, x)

    same(mode(body)(vector(5, 6)), np.ones(2))


def test_a_variable_can_be_the_target() -> None:
    v = mg.Variable([1.0, 2.0])
    with mg.GradientTape() as tape:
        v.value()
    same(tape.gradient(v, v), np.ones(2))


@everywhere
def test_targets_in_a_nest_are_summed(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            nest = {"a": x * 2.0, "b": [x * x, x]}
        return tape.gradient(nest, x)

    same(mode(body)(vector(1, 2)), np.array([5.0, 7.0]))


@everywhere
def test_a_target_named_twice_counts_twice(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return tape.gradient([y, y], [x, x])

    same(mode(body)(mg.constant(3.0)), [12.0, 12.0])


@everywhere
def test_output_gradients_weigh_the_targets(mode: Any) -> None:
    def body(x: Any, g: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y, z = x * x, 3.0 * x
        return tape.gradient([y, z], x, output_gradients=[g, None])

    same(mode(body)(vector(1, 2), vector(10, 100)), np.array([23.0, 403.0]))


def test_output_gradients_of_a_dict_go_by_key() -> None:
    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        targets = {"a": x * x, "b": x * 2.0}
    grads = {"b": mg.constant(10.0), "a": mg.constant(1.0)}
    assert tape.gradient(targets, x, output_gradients=grads).item() == 26


def test_output_gradients_that_do_not_fit_are_refused() -> None:
    x = vector(1, 2)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
    with pytest.raises(GradientError, match=r"output_gradient of float32\[3\] for a target of"):
        tape.gradient(y, x, output_gradients=vector(1, 2, 3))
    with pytest.raises(GradientError, match=r"a nest like (.*) was wanted"):
        tape.gradient([y, y], x, output_gradients=[vector(1, 2)])
    same(tape.gradient(y, x), np.array([2.0, 4.0]))


@everywhere
def test_no_path_gives_none_zeros_or_the_reason(mode: Any) -> None:
    def body(x: Any, u: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch([x, u])
            y = x * x
        with pytest.raises(GradientError, match="no recorded op leads from the source"):
            tape.gradient(y, [x, u], unconnected_gradients="raise")
        zero = tape.gradient(y, [x, u], unconnected_gradients=mg.UnconnectedGradients.ZERO)
        return tape.gradient(y, [x, u]), zero

    found = mode(body)(mg.constant(3.0), vector(1, 2))
    same(found, ([6.0, None], [6.0, np.zeros(2)]))


def test_an_unknown_mode_for_unconnected_gradients_is_refused() -> None:
    x = mg.constant(1.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    with pytest.raises(GradientError, match='"none", "zero" or "raise"'):
        tape.gradient(y, x, unconnected_gradients="nil")
    assert tape.gradient(y, x).item() == 2


def test_zeros_of_an_integer_source_have_its_shape_and_dtype() -> None:
    x, i = mg.constant(2.0), mg.constant([1, 2, 3])
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.sum(x * i)
    dx, di = tape.gradient(y, [x, i], unconnected_gradients="zero")
    assert dx.item() == 6
    assert (di.shape, di.dtype, di.numpy().tolist()) == ((3,), mg.int32, [0, 0, 0])


def test_sources_that_are_no_tensors_are_refused() -> None:
    x = mg.constant(1.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    with pytest.raises(GradientError, match=r"gradient: float 1\.0 came"):
        tape.gradient(y, 1.0)
    assert tape.gradient(y, x).item() == 2


@everywhere
def test_gradients_to_the_third_order_by_nested_tapes(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as third:
            third.watch(x)
            with mg.GradientTape() as second:
                second.watch(x)
                with mg.GradientTape() as first:
                    first.watch(x)
                    y = x**4
                dy = first.gradient(y, x)
            d2y = second.gradient(dy, x)
        return dy, d2y, third.gradient(d2y, x)

    same(mode(body)(mg.constant(2.0)), (32.0, 48.0, 48.0))


@everywhere
def test_one_persistent_tape_can_differentiate_its_own_gradient(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with mg.GradientTape() as tape:
                tape.watch(x)
                y = mg.sin(x)
            dy = tape.gradient(y, x)
        return outer.gradient(y, x), outer.gradient(dy, x)

    same(mode(body)(mg.constant(0.5)), (np.cos(0.5), -np.sin(0.5)))


@everywhere
def test_gradient_may_be_asked_inside_its_own_with(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x
            dy = tape.gradient(y, x)
            z = y * x
        return dy, tape.gradient(z, x), tape.gradient(dy, x)

    same(mode(body)(mg.constant(3.0)), (6.0, 27.0, 2.0))


def test_a_second_gradient_of_a_tape_that_is_not_persistent_is_refused() -> None:
    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(GradientError) as error:
        tape.gradient(y, x)
    assert words(error.value) == (
        "a second gradient was asked of a tape that is not persistent: its record was freed by "
        "the first; write mg.GradientTape(persistent=True), or ask once for a list of sources"
    )
    with pytest.raises(GradientError, match="persistent"):
        tape.jacobian(y, x)


def test_a_tape_that_has_answered_says_so_when_asked_to_explain() -> None:
    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(GradientError, match="persistent"):
        tape.explain(y, x)


def test_a_persistent_tape_answers_as_often_as_asked_and_in_any_order() -> None:
    x = mg.constant(3.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    for _ in range(2):
        assert tape.gradient(z, x).item() == 108
        assert tape.gradient(y, x).item() == 6


def test_a_tape_is_entered_again_after_its_block() -> None:
    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        with pytest.raises(GradientError, match="one block per tape at a time"):
            with tape:
                pass
    unseen = y * x
    with tape:
        z = y * 2.0
    assert tape.gradient([z, unseen], x).item() == 12


@everywhere
def test_nothing_is_recorded_while_recording_is_stopped(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * x
            with tape.stop_recording():
                z = y * x
            w = y + z
        return tape.gradient(w, x)

    same(mode(body)(mg.constant(3.0)), 6.0)


@everywhere
def test_reset_forgets_what_was_recorded_and_watched(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x
            tape.reset()
            z = x * x
            tape.watch(x)
            w = x * x * x
        return tape.gradient(y, x), tape.gradient(z, x), tape.gradient(w, x)

    same(mode(body)(mg.constant(2.0)), (None, None, 12.0))


def test_reset_makes_a_spent_tape_fresh() -> None:
    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        for _ in range(2):
            tape.watch(x)
            y = x * x
            assert tape.gradient(y, x).item() == 6
            tape.reset()


def test_a_tape_keeps_nothing_once_it_has_answered() -> None:
    x = vector(1, 2)
    with mg.GradientTape() as tape:
        tape.watch(x)
        u = x * x
        y = u * u
    alive = weakref.ref(u)
    del u
    tape.gradient(y, x)
    assert alive() is None


@everywhere
def test_stop_gradient_is_a_constant(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * mg.stop_gradient(x)
        return tape.gradient(y, x)

    same(mode(body)(mg.constant(3.0)), 3.0)


@everywhere
def test_broadcasting_and_promotion_are_undone(mode: Any) -> None:
    def body(x: Any, y: Any, s: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch([x, y, s])
            z = x * y + s
        return tape.gradient(z, [x, y, s])

    x = mg.ones((2, 1))
    y = mg.constant(np.arange(3.0))
    dx, dy, ds = mode(body)(x, y, mg.constant(1.0))
    assert (dx.shape, dx.dtype) == ((2, 1), mg.float32)
    assert (dy.shape, dy.dtype) == ((3,), mg.float64)
    assert (ds.shape, ds.dtype, ds.item()) == ((), mg.float32, 6.0)


@everywhere
def test_integers_beside_floats_have_no_gradient(mode: Any) -> None:
    def body(x: Any, n: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * n
        return tape.gradient(y, [x, n])

    same(mode(body)(vector(1, 2), mg.constant([3, 4])), [np.array([3.0, 4.0]), None])


@everywhere
def test_complex_numbers_follow_the_conjugate_convention(mode: Any) -> None:
    def body(z: Any, x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch([z, x])
            y = mg.real(z * mg.conj(z)) * x + mg.imag(z)
        return tape.gradient(y, [z, x])

    # TensorFlow: df/dx + i df/dy for real f of z = x + iy
    same(mode(body)(mg.constant(1 + 2j), mg.constant(3.0)), [6 + 13j, 5.0])


@everywhere
def test_holomorphic_functions_give_the_conjugate_of_the_derivative(mode: Any) -> None:
    def body(z: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(z)
            y = mg.exp(z) * z
        return tape.gradient(y, z)

    z = 0.5 + 0.25j
    same(mode(body)(mg.constant(z)), np.conj(np.exp(z) * (1 + z)), rtol=1e-5)


def test_behind_a_tape_all_is_as_before_it() -> None:
    before = CONTEXT.get()
    with mg.GradientTape() as outer, mg.GradientTape():
        outer.watch(mg.constant(1.0))
    assert CONTEXT.get() is before  # the same object: calls of native code ask for it


def test_tapes_may_end_in_the_order_in_which_they_began() -> None:
    before = CONTEXT.get()
    x = mg.constant(2.0)
    first, second = mg.GradientTape(persistent=True), mg.GradientTape()
    first.__enter__().watch(x)
    second.__enter__().watch(x)
    y = x * x
    first.__exit__(None, None, None)
    z = y * x
    second.__exit__(None, None, None)
    assert CONTEXT.get() is before
    assert (float(first.gradient(y, x)), first.gradient(z, x)) == (4.0, None)
    assert float(second.gradient(z, x)) == 12.0


def test_a_tape_goes_as_soon_as_nobody_names_it() -> None:
    tape = mg.GradientTape()
    with tape:
        tape.watch(mg.constant(1.0))
    seen = weakref.ref(tape)
    gc.disable()
    try:
        del tape
        assert seen() is None
    finally:
        gc.enable()
