"""Derivatives through py_function: of this run, by any tape, to any order, in any sequence."""

import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GradientError
from tests.unit.modes import both, derivatives, same

F32, F64 = mg.float32, mg.float64


def by_sign(x: Any) -> Any:
    """x squared or cubed, decided by Python."""
    if mg.sum(x) > 0:
        return x * x
    return x * x * x


def slopes(f: Any, x: Any, *more: Any) -> Any:
    """The gradients of the sum of `f(x)` by `x` and whatever else."""
    with mg.GradientTape() as tape:
        tape.watch([x, *[w for w in more if isinstance(w, mg.Tensor)]])
        y = f(x)
    return tape.gradient(y, [x, *more])


@both
def test_the_gradient_is_that_of_the_branch_that_ran(mode: Any) -> None:
    f = mode(lambda x: mg.py_function(by_sign, [x], F32) * 2.0)
    same(slopes(f, mg.constant([1.0, 2.0])), [np.array([4.0, 8.0])])
    same(slopes(f, mg.constant([-1.0, -2.0])), [np.array([6.0, 24.0])])


@both
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1, 1, 0, 2)])
def test_runs_of_one_function_are_differentiated_in_any_order(mode: Any, order: Any) -> None:
    f = mode(lambda x: mg.py_function(by_sign, [x], F32))
    xs = [mg.constant([n]) for n in (1.0, -2.0, 3.0)]
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(xs)
        ys = [f(x) for x in xs]
    for i in order:
        same(tape.gradient(ys[i], xs[i]), np.array([[2.0], [12.0], [6.0]][i]))
    same(tape.gradient(ys, xs), [np.array([2.0]), np.array([12.0]), np.array([6.0])])


def test_gradients_may_be_asked_in_another_thread() -> None:
    f = mg.function(lambda x: mg.py_function(by_sign, [x], F32))
    found: dict[float, float] = {}

    def work(n: float) -> None:
        x = mg.constant([n])
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        done = threading.Thread(target=lambda: found.update({n: tape.gradient(y, x).item()}))
        done.start()
        done.join()

    threads = [threading.Thread(target=work, args=(float(n),)) for n in (1, -1, 2, -2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {1.0: 2.0, -1.0: 3.0, 2.0: 4.0, -2.0: 12.0}


@both
def test_tapes_inside_outside_and_in_the_body_agree(mode: Any) -> None:
    def body(x: Any) -> Any:
        return mg.sum(by_sign(x))

    def with_tape(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = body(x)
        return tape.gradient(y, x)

    def tape_around(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.py_function(body, [x], F32)
        return tape.gradient(y, x)

    x = mg.constant([1.0, 2.0])
    for inside in (mode(lambda x: mg.py_function(with_tape, [x], F32)), mode(tape_around)):
        with mg.GradientTape() as outside:
            outside.watch(x)
            dx = inside(x)
        same(dx, np.array([2.0, 4.0]))
        same(outside.gradient(dx, x), np.array([2.0, 2.0]))


@both
def test_derivatives_to_the_third_order(mode: Any) -> None:
    def body(x: Any) -> Any:
        return mg.exp(x) * x if x > 0 else x

    f = mode(lambda x: mg.py_function(body, [x], F64) ** 2)
    x = mg.constant(0.5, F64)
    expected = derivatives(lambda x: (mg.exp(x) * x) ** 2, x, 3)
    assert derivatives(f, x, 3) == pytest.approx(expected, rel=1e-10)


def test_third_order_of_nested_bodies_and_functions() -> None:
    square = mg.function(lambda x: mg.py_function(lambda z: z * z, [x], F64))
    scale = mg.Variable(2.0, dtype=F64)

    def body(x: Any) -> Any:
        return mg.py_function(lambda z: square(z) * mg.sin(z) * scale, [x], F64)

    f = mg.function(lambda x: mg.py_function(body, [x], F64) * square(x))
    x = mg.constant(0.7, F64)
    expected = derivatives(lambda x: 2 * x**4 * mg.sin(x), x, 3)
    assert derivatives(f, x, 3) == pytest.approx(expected, rel=1e-10)


def test_second_order_through_a_function_of_variables_called_in_the_body() -> None:
    v = mg.Variable(3.0)
    inner = mg.function(lambda x: x * x * v)
    f = mg.function(lambda x: mg.py_function(lambda z: inner(z) * v, [x], F32))
    x = mg.constant(2.0)
    with mg.GradientTape(persistent=True) as second:
        second.watch(x)
        with mg.GradientTape() as first:
            first.watch(x)
            y = f(x)
        dx, dv = first.gradient(y, [x, v])
    same([y, dx, dv], [36.0, 36.0, 24.0])
    same(second.gradient(dx, [x, v]), [18.0, 24.0])
    same(second.gradient(dv, [x, v]), [24.0, 8.0])


def test_a_variable_assigned_between_value_and_gradient_does_not_change_the_gradient() -> None:
    v = mg.Variable(3.0)
    f = mg.function(lambda x: mg.py_function(lambda z: z * z * v, [x], F32))
    x = mg.constant(2.0)
    with mg.GradientTape(persistent=True) as second:
        second.watch(x)
        with mg.GradientTape() as first:
            first.watch(x)
            y = f(x)
        v.assign(1000.0)
        dx, dv = first.gradient(y, [x, v])
        v.assign(-5.0)
    same([dx, dv], [12.0, 4.0])
    v.assign(77.0)
    same(second.gradient(dx, [x, v]), [6.0, 4.0])


def test_a_variable_assigned_in_the_body_is_read_as_it_was_each_time() -> None:
    v = mg.Variable(3.0)

    def body(x: Any) -> Any:
        a = x * x * v
        v.assign(10.0)
        return a + x * x * v

    f = mg.function(lambda x: mg.py_function(body, [x], F32))
    x = mg.constant(2.0)
    with mg.GradientTape(persistent=True) as second:
        second.watch(x)
        with mg.GradientTape() as first:
            first.watch(x)
            y = f(x)
        dx = first.gradient(y, x)
    same([y, dx, second.gradient(dx, x)], [52.0, 52.0, 26.0])


# once, and never again


@both
def test_the_body_runs_once_for_the_value_and_never_for_gradients(mode: Any) -> None:
    runs: list[int] = []

    def body(x: Any) -> Any:
        runs.append(1)
        return mg.sin(x) * x

    f = mode(lambda x: mg.py_function(body, [x], F32) * 2.0)
    x = mg.constant([0.5, 1.0])
    with mg.GradientTape(persistent=True) as third:
        third.watch(x)
        with mg.GradientTape(persistent=True) as second:
            second.watch(x)
            with mg.GradientTape(persistent=True) as first:
                first.watch(x)
                y = f(x)
            dy = first.gradient(y, x)
        d2y = second.gradient(dy, x)
    first.gradient(y, x)
    first.jacobian(y, x)
    third.gradient(d2y, x)
    assert runs == [1]


def test_random_draws_of_the_body_are_kept_for_all_orders() -> None:
    generator = mg.random.Generator(1)
    drawn: list[float] = []

    def body(x: Any) -> Any:
        noise = generator.normal(())
        drawn.append(noise.item())
        return x * x * noise

    f = mg.function(lambda x: mg.py_function(body, [x], F32))
    x = mg.constant(3.0)
    with mg.GradientTape() as second:
        second.watch(x)
        with mg.GradientTape() as first:
            first.watch(x)
            y = f(x)
        dx = first.gradient(y, x)
    same([dx, second.gradient(dx, x)], [6 * drawn[0], 2 * drawn[0]], rtol=1e-5)
    assert len(drawn) == 1


def test_an_opaque_call_in_the_body_runs_once_and_stays_a_constant() -> None:
    runs: list[int] = []

    def body(x: Any) -> Any:
        factor = mg.numpy_function(lambda a: runs.append(1) or np.cos(a), [x], F32)
        return x * x * factor

    f = mg.function(lambda x: mg.py_function(body, [x], F32))
    x = mg.constant(1.0)
    with mg.GradientTape() as second:
        second.watch(x)
        with mg.GradientTape() as first:
            first.watch(x)
            y = f(x)
        dx = first.gradient(y, x)
    same([dx, second.gradient(dx, x)], [2 * np.cos(1.0), 2 * np.cos(1.0)])
    assert runs == [1]


# None


@both
def test_inputs_that_the_body_does_not_use_have_no_gradient(mode: Any) -> None:
    f = mode(lambda a, b: mg.py_function(lambda a, b: a * 2.0, [a, b], F32))
    a, b = mg.constant(1.0), mg.constant([1.0, 2.0])
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([a, b])
        y, z = f(a, b), f(a, b * 2.0)
    same(tape.gradient(y, [a, b]), [2.0, None])
    same(tape.gradient(z, [a, b]), [2.0, None])
    same(tape.gradient(z, b, unconnected_gradients="zero"), np.zeros(2))
    with pytest.raises(GradientError):
        tape.gradient(z, b, unconnected_gradients="raise")


@both
def test_none_is_carried_through_the_ops_before_the_body(mode: Any) -> None:
    def f(a: Any, b: Any) -> Any:
        return mg.py_function(lambda a, b: a * 2.0, [mg.sin(a), mg.exp(b) + b], F32)

    a, b = mg.constant(0.0), mg.constant([1.0, 2.0])
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([a, b])
        y = mode(f)(a, b)
        z = mode(lambda a, b: f(f(a, b), b) + b)(a, b)
    same(tape.gradient(y, [a, b]), [2.0, None])
    same(tape.gradient(z, [a, b]), [8.0, np.ones(2)])


def test_a_gradient_that_is_none_only_at_run_time_counts_as_zeros_in_a_trace() -> None:
    body = mg.function(lambda a, b: mg.py_function(lambda a, b: a * 2.0, [a, b], F32))

    @mg.function
    def slope(a: Any, b: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch([a, b])
            y = body(a, b)
        da, db = tape.gradient(y, [a, b])
        return da, db, db * 3.0 + 1.0

    @mg.function
    def doubled(a: Any, b: Any) -> Any:
        return slope(a, b)[1] * 2.0

    a, b = mg.constant(1.0), mg.constant([1.0, 2.0])
    same(slope(a, b), (2.0, None, np.ones(2)))
    same(doubled(a, b), np.zeros(2))


def test_a_path_that_ends_in_the_first_derivative_gives_nothing_in_the_second() -> None:
    f = mg.function(lambda a, b: mg.py_function(lambda a, b: [a * 2.0, b * b], [a, b], [F32, F32]))
    a, b = mg.constant(1.0), mg.constant(3.0)
    with mg.GradientTape(persistent=True) as second:
        second.watch([a, b])
        with mg.GradientTape() as first:
            first.watch([a, b])
            y, z = f(a, b)
            w = y * z
        da, db = first.gradient(w, [a, b])
    same([da, db], [18.0, 12.0])
    found = second.gradient([da, db], [a, b], unconnected_gradients="zero")
    same(found, [12.0, 12.0 + 4.0])


@both
def test_none_and_a_number_add_up_to_the_number(mode: Any) -> None:
    f = mode(lambda a, b: mg.py_function(lambda a, b: a * 2.0, [a, b], F32) + b * 3.0)
    a = mg.constant(1.0)
    with mg.GradientTape() as tape:
        tape.watch(a)
        y = f(a, a * a)
    same(tape.gradient(y, a), 8.0)


@both
def test_integers_beside_floats_have_no_gradient(mode: Any) -> None:
    f = mode(lambda x, n: mg.py_function(lambda x, n: (x * n, n + 1), [x, n], (F64, mg.int32)))
    x, n = mg.constant(2.0, F64), mg.constant(3)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, m = f(x, n)
    same((y, m), (6.0, 4))
    same(tape.gradient(y, [x, n]), [3.0, None])
    same(tape.gradient(y, [x, n], unconnected_gradients="zero"), [3.0, 0])
    assert tape.gradient(m, x) is None


@both
def test_a_constant_result_has_no_gradient(mode: Any) -> None:
    f = mode(lambda x: mg.py_function(lambda x: mg.constant(7.0), [x], F32))
    same(slopes(f, mg.constant(2.0)), [None])


@both
def test_one_of_several_results_may_be_used_alone(mode: Any) -> None:
    f = mode(lambda a, b: mg.py_function(lambda a, b: [a * a, b * b, a * b], [a, b], [F32] * 3))
    a, b = mg.constant(2.0), mg.constant(3.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([a, b])
        ys = f(a, b)
    same(tape.gradient(ys[0], [a, b]), [4.0, None])
    same(tape.gradient(ys[1], [a, b]), [None, 6.0])
    same(tape.gradient(ys[2], [a, b]), [3.0, 2.0])
    same(tape.gradient(ys, [a, b]), [7.0, 8.0])


@both
def test_a_body_that_returns_its_input_or_one_result_twice(mode: Any) -> None:
    f = mode(lambda x: mg.py_function(lambda x: [x, x, x * 2.0], [x], [F32] * 3))
    x = mg.constant(2.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        ys = f(x)
    same(tape.gradient(ys, x), 4.0)


@both
def test_one_tensor_given_twice(mode: Any) -> None:
    f = mode(lambda x: mg.py_function(lambda a, b: a * b * b, [x, x], F32))
    same(slopes(f, mg.constant(2.0)), [12.0])


def test_explain_looks_into_the_body_that_ran() -> None:
    f = mg.function(lambda a, b: mg.py_function(lambda a, b: mg.floor(b) + a, [a, b], F32))
    a, b = mg.constant(1.0), mg.constant(2.5)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([a, b])
        y = f(a, b)
    assert tape.explain(y, a).connected
    found = tape.explain(y, b)
    assert (found.connected, found.kind, found.op) == (False, "no derivative", "floor")


# complex numbers


@both
def test_complex_numbers_through_the_body(mode: Any) -> None:
    f = mode(lambda z: mg.py_function(lambda z: mg.real(z * mg.conj(z)) * 2.0, [z], F32))
    same(slopes(f, mg.constant(1 + 2j)), [4 + 8j])


# jacobians


@both
def test_jacobian_and_second_derivatives_of_a_vector_body(mode: Any) -> None:
    f = mode(lambda x: mg.py_function(lambda x: x[0] * x * x, [x], F64))
    x = mg.constant([2.0, 3.0], F64)
    same(mg.jacobian(f)(x), np.array([[12.0, 0.0], [9.0, 12.0]]))
    same(mg.hessian(lambda x: mg.sum(f(x)))(x), np.array([[12.0, 6.0], [6.0, 4.0]]))


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("jit_compile", [None, False])
def test_an_exception_on_the_way_back_arrives_as_itself_and_changes_nothing(
    kind: Any, jit_compile: Any
) -> None:
    error = kind("on the way back")
    failing = [True]

    @mg.custom_gradient
    def double(x: Any) -> Any:
        def grad(g: Any) -> Any:
            if failing:
                raise error
            return 2 * g

        return 2 * x, grad

    def f(x: Any) -> Any:
        return mg.py_function(lambda x: double(x) * x, [x], mg.float32)

    f = f if jit_compile is None else mg.function(f)
    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    for _ in range(2):
        with pytest.raises(kind) as caught:
            tape.gradient(y, x)
        assert caught.value is error
    failing.clear()
    assert float(tape.gradient(y, x)) == 12.0


def test_an_exception_in_a_branch_arrives_as_itself() -> None:
    error = ValueError("mine")

    def body(x: Any) -> Any:
        raise error

    f = mg.function(
        lambda x: mg.cond(x > 0, lambda: mg.py_function(body, [x], mg.float32), lambda: x)
    )
    with pytest.raises(ValueError) as caught:
        f(mg.constant(1.0))
    assert caught.value is error
