"""custom_gradient and recompute_grad: derivatives by hand, in every mode and order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GradientError
from tests.unit.modes import both, derivatives, everywhere, same, words

F64 = mg.float64


@mg.custom_gradient
def clipped(x: Any, limit: float = 1.0) -> Any:
    """The identity, with a gradient that is clipped."""
    return x * 1.0, lambda g: mg.clip(g, -limit, limit)


@everywhere
def test_the_rule_is_the_gradient(mode: Any) -> None:
    f = mode(lambda x: mg.sum(clipped(x) * mg.constant([0.5, 7.0, -7.0])))
    x = mg.constant([1.0, 2.0, 3.0])
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    same((y, tape.gradient(y, x)), (-6.5, np.array([0.5, 1.0, -1.0])))
    assert (clipped.__name__, clipped.__doc__) == (
        "clipped",
        "The identity, with a gradient that is clipped.",
    )


@everywhere
def test_arguments_of_python_and_keywords(mode: Any) -> None:
    f = mode(lambda x: clipped(x * 1.0, limit=0.25) + clipped(x, 3.0))
    x = mg.constant(1.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    same(tape.gradient(y, x), 1.25)


@everywhere
def test_a_rule_that_uses_the_result_is_differentiated_to_the_third_order(mode: Any) -> None:
    @mg.custom_gradient
    def exp(x: Any) -> Any:
        y = mg.exp(x)
        return y, lambda g: g * y

    @mg.custom_gradient
    def cube(x: Any) -> Any:
        return x**3, lambda g: g * 3.0 * x**2

    x = mg.constant(0.5, F64)
    e = float(np.exp(0.5))
    assert derivatives(mode(exp), x, 3) == pytest.approx([e, e, e])
    assert derivatives(mode(cube), x, 3) == pytest.approx([0.75, 3.0, 6.0])


def test_rules_by_hand_in_a_body_are_differentiated_to_the_third_order() -> None:
    @mg.custom_gradient
    def exp(x: Any) -> Any:
        y = mg.exp(x)
        return y, lambda g: g * y

    @mg.custom_gradient
    def cube(x: Any) -> Any:
        return x**3, lambda g: g * 3.0 * x**2

    f = mg.function(lambda x: mg.py_function(lambda x: exp(x) * cube(x), [x], F64))
    x = mg.constant(0.5, F64)
    expected = derivatives(lambda x: mg.exp(x) * x**3, x, 3)
    assert derivatives(f, x, 3) == pytest.approx(expected, rel=1e-10)


@everywhere
def test_the_first_derivative_is_the_rule_alone(mode: Any) -> None:
    @mg.custom_gradient
    def reversed_(x: Any) -> Any:
        return x * 2.0, lambda g: -g

    f = mode(lambda x: reversed_(x) + x)
    same(mg.grad(f)(mg.constant(3.0)), 0.0)


@dataclass
class Pair:
    a: Any
    b: Any


@everywhere
def test_nests_of_arguments_and_results(mode: Any) -> None:
    @mg.custom_gradient
    def swap(pair: Any, scale: Any) -> Any:
        def grad(ga: Any, gb: Any) -> Any:
            return gb * 10.0, ga * 100.0, None

        return Pair(pair.b * scale, pair.a), grad

    a, b, s = (mg.constant(float(n)) for n in (1, 2, 3))
    f = mode(lambda a, b, s: swap(Pair(a, b), s))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([a, b, s])
        out = f(a, b, s)
    same(out, Pair(6.0, 1.0))
    same(tape.gradient(out, [a, b, s]), [10.0, 100.0, None])
    same(tape.gradient(out.a, [a, b, s]), [0.0, 100.0, None])


@everywhere
def test_integer_arguments_and_results(mode: Any) -> None:
    @mg.custom_gradient
    def scaled(x: Any, n: Any) -> Any:
        return (x * n, n + 1), lambda g, gn: (g * 5.0, None)

    f = mode(lambda x, n: scaled(x, n))
    x, n = mg.constant(2.0, F64), mg.constant(3)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y, m = f(x, n)
    same((y, m), (6.0, 4))
    same(tape.gradient(y, [x, n]), [5.0, None])


@everywhere
def test_what_is_no_result_and_rule_is_refused(mode: Any) -> None:
    x = mg.constant(1.0)
    for bad in (lambda x: x, lambda x: (x, 3), lambda x: (x, x, lambda g: g)):
        with pytest.raises(GradientError, match="returns its result and the rule"):
            with mg.GradientTape() as tape:
                tape.watch(x)
                mode(mg.custom_gradient(bad))(x)


@everywhere
def test_a_rule_with_the_wrong_number_of_answers_is_refused(mode: Any) -> None:
    f = mg.custom_gradient(lambda x, y: (x * y, lambda g: g))
    x = mg.constant(1.0)
    with pytest.raises(GradientError, match="gave 1 cotangents for 2 tensor arguments"):
        with mg.GradientTape() as tape:
            tape.watch(x)
            z = mode(f)(x, x * 2.0)
        tape.gradient(z, x)


@everywhere
def test_a_rule_with_the_wrong_shape_is_refused(mode: Any) -> None:
    f = mg.custom_gradient(lambda x: (mg.sum(x), lambda g: g))
    x = mg.ones(3)
    with pytest.raises(GradientError, match=r"gave float32\[\] for an input of float32\[3\]"):
        with mg.GradientTape() as tape:
            tape.watch(x)
            z = mode(f)(x)
        tape.gradient(z, x)


@everywhere
def test_a_rule_may_answer_with_python_numbers_and_arrays(mode: Any) -> None:
    f = mg.custom_gradient(lambda x, y: (x * y, lambda g: [2.0, np.float32(3.0)]))
    x, y = mg.constant(1.0), mg.constant(1.0)
    with mg.GradientTape() as tape:
        tape.watch([x, y])
        z = mode(f)(x, y)
    same(tape.gradient(z, [x, y]), [2.0, 3.0])


def test_a_variable_as_argument_has_the_gradient_of_the_rule() -> None:
    v = mg.Variable(3.0)
    f = mg.custom_gradient(lambda x: (x * x, lambda g: g * 100.0))
    with mg.GradientTape() as tape:
        y = f(v)
    same((y, tape.gradient(y, v)), (9.0, 100.0))


def test_compiled_functions_have_the_rule_and_not_its_op() -> None:
    @mg.function(jit_compile=True)
    def slope(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.sum(clipped(x) * 7.0)
        return y, tape.gradient(y, x)

    same(slope(mg.ones(3)), (21.0, np.ones(3)))


# recomputing


@everywhere
def test_recompute_grad_keeps_nothing_and_runs_twice(mode: Any) -> None:
    runs: list[int] = []

    def block(x: Any, w: Any) -> Any:
        runs.append(1)
        return mg.tanh(mg.exp(x * w) * w)

    x, w = mg.constant(0.3, F64), mg.constant(0.2, F64)
    answers = []
    for f in (block, mode(mg.recompute_grad(block))):
        with mg.GradientTape(persistent=True) as second:
            second.watch([x, w])
            with mg.GradientTape() as tape:
                tape.watch([x, w])
                y = f(x, w)
            kept = len(tape.nodes)
            dx, dw = tape.gradient(y, [x, w])
        answers.append([y, dx, dw, *second.gradient(dx, [x, w])])
    same(answers[0], answers[1])
    assert kept == 1


def test_recompute_grad_keeps_python_arguments_and_nests() -> None:
    @mg.recompute_grad
    def f(nest: Any, power: int) -> Any:
        return {"y": nest["x"] ** power, "z": nest["x"] * 2.0}

    x = mg.constant(2.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        out = f({"x": x}, 3)
    same((out, tape.gradient(out, x)), ({"y": 8.0, "z": 4.0}, 14.0))


@everywhere
def test_recompute_grad_of_a_layer_has_the_gradients_of_its_weights(mode: Any) -> None:
    w, t = mg.Variable([1.0, 2.0]), mg.constant([3.0, 4.0])
    block = mg.recompute_grad(lambda x: mg.sum(x * w * w * t))
    x = mg.constant([5.0, 6.0])
    with mg.GradientTape() as tape:
        tape.watch([x, t])
        y = mode(block)(x)
    found = tape.gradient(y, [x, w, t])
    same(found, [np.array([3.0, 16.0]), np.array([30.0, 96.0]), np.array([5.0, 24.0])])


@both
def test_a_rule_vouches_for_values_that_go_through_numpy(mode: Any) -> None:
    @mg.custom_gradient
    def sinh(x: Any) -> Any:
        return mg.constant(np.sinh(x.numpy())), lambda g: g * mg.cosh(x)

    f = mode(lambda x: mg.py_function(lambda x: sinh(x) * x * 2.0, [x], mg.float32))
    same(mg.grad(f)(mg.constant(1.0)), 2 * np.cosh(1.0) + 2 * np.sinh(1.0))


def with_weight(v: Any) -> Any:
    """The product with a Variable, its gradients ten and a hundred times what they are."""

    @mg.custom_gradient
    def f(x: Any) -> Any:
        def grad(g: Any, variables: Any) -> Any:
            assert [w is v for w in variables] == [True]
            return g * v * 10.0, [mg.sum(g * x) * 100.0]

        return x * v, grad

    return f


@everywhere
def test_a_rule_has_gradients_for_the_variables_that_are_used(mode: Any) -> None:
    v = mg.Variable(3.0)
    f = mode(with_weight(v))
    x = mg.constant([1.0, 2.0])
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    same((y, tape.gradient(y, [x, v])), (np.array([3.0, 6.0]), [np.full(2, 30.0), 300.0]))
    assert [w is v for w in tape.watched_variables()] == [True]


@everywhere
def test_a_rule_for_variables_is_differentiated_itself(mode: Any) -> None:
    v = mg.Variable(3.0)
    f = mode(with_weight(v))
    x = mg.constant(2.0)
    with mg.GradientTape() as outer:
        outer.watch(x)
        with mg.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        slopes = inner.gradient(y, [x, v])
    # 10 v and 100 x
    same(outer.gradient(slopes, [x, v]), [100.0, 10.0])


@everywhere
def test_variables_in_traced_functions_and_bodies_count_as_used(mode: Any) -> None:
    v, w = mg.Variable(3.0), mg.Variable(5.0)
    inner = mg.function(lambda x: x * v)

    @mg.custom_gradient
    def f(x: Any) -> Any:
        def grad(g: Any, variables: Any) -> Any:
            names = {id(v): 7.0, id(w): 11.0}
            return g, [mg.constant(names[id(one)]) for one in variables]

        return inner(x) + mg.py_function(lambda x: x * w, [x], mg.float32), grad

    f = mode(f)
    with mg.GradientTape() as tape:
        y = f(mg.constant(1.0))
    same(tape.gradient(y, [v, w]), [7.0, 11.0])


@everywhere
def test_variables_without_a_place_in_the_rule_are_refused(mode: Any) -> None:
    v = mg.Variable(3.0, name="weight")
    f = mode(mg.custom_gradient(lambda x: (x * v, lambda g: g)))
    with pytest.raises(GradientError) as caught:
        with mg.GradientTape():
            f(mg.constant(1.0))
    assert words(caught.value) == (
        "custom_gradient of <lambda>: its function uses Variables ('weight', float32[]) and its "
        "rule has no place for their gradients, which would be lost: write grad(*gs, variables) "
        "and return (gradients of the arguments, gradients of the variables), or pass them as "
        "arguments"
    )


@both
def test_a_rule_for_variables_answers_with_two_lists(mode: Any) -> None:
    v = mg.Variable(3.0)
    for answer, rule in (
        (lambda g: g, "two lists"),
        (lambda g: (g, [g, g]), "2 cotangents for 1 Variables"),
        (lambda g: ((g, g), [g]), "2 cotangents for 1 tensor arguments"),
    ):
        f = mg.custom_gradient(
            lambda x, answer=answer: (x * v, lambda g, variables=None: answer(g))
        )
        with pytest.raises(GradientError, match=rule):
            with mg.GradientTape() as tape:
                y = mode(f)(mg.constant(1.0))
            tape.gradient(y, v)


def test_a_place_for_variables_is_left_alone_where_none_is_used() -> None:
    frozen = mg.Variable(3.0, trainable=False)

    @mg.custom_gradient
    def f(x: Any) -> Any:
        return x * frozen, lambda g, variables=None: g * (5.0 if variables is None else 7.0)

    assert mg.grad(f)(mg.constant(1.0)).item() == 5.0


def test_a_variable_that_a_tape_was_told_to_watch_counts_as_used() -> None:
    frozen = mg.Variable(3.0, trainable=False)

    @mg.custom_gradient
    def f(x: Any) -> Any:
        return x * frozen, lambda g, variables: (g, [g * 7.0])

    with mg.GradientTape() as tape:
        tape.watch(frozen)
        y = f(mg.constant(1.0))
    same(tape.gradient(y, frozen), 7.0)


@everywhere
def test_recompute_grad_finds_variables_that_no_name_leads_to(mode: Any) -> None:
    v = mg.Variable(3.0)
    lookup = {"v": v}.get
    f = mode(mg.recompute_grad(lambda x: x * lookup("v") ** 2))
    x = mg.constant(2.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    same(tape.gradient(y, [x, v]), [9.0, 12.0])


@pytest.mark.parametrize("mode", [lambda f: f, mg.function])
def test_a_rule_that_uses_its_own_function_has_derivatives_to_the_third_order(mode: Any) -> None:
    spec = mg.TensorSpec((), mg.float64)

    @mg.custom_gradient
    def growth(x: Any) -> Any:
        return mg.numpy_function(np.exp, [x], spec), lambda g: g * growth(x)

    @mg.custom_gradient
    def wave(x: Any) -> Any:
        return mg.numpy_function(np.sin, [x], spec), lambda g: g * slope(x)

    @mg.custom_gradient
    def slope(x: Any) -> Any:
        return mg.numpy_function(np.cos, [x], spec), lambda g: -g * wave(x)

    x = mg.constant(0.5, mg.float64)
    for f, expected in (
        (growth, [np.exp(0.5)] * 3),
        (wave, [np.cos(0.5), -np.sin(0.5), -np.cos(0.5)]),
    ):
        g = mode(f)
        np.testing.assert_allclose(g(x).numpy(), f(x).numpy())
        for order in range(3):
            g = mg.grad(g)
            np.testing.assert_allclose(g(x).numpy(), expected[order], rtol=1e-12)


def drawn(x: Any) -> Any:
    """Twice in the open, once by a function of its own, once in a branch."""
    y = mg.nn.dropout(x, 0.5, NOISE) * x * NOISE.normal((8,))
    return mg.cond(mg.sum(x) > 0, lambda: step(y) * NOISE.uniform((8,)), lambda: y)


NOISE = mg.random.Generator(0)
step = mg.function(lambda y: y * NOISE.normal((8,)))


@everywhere
def test_recompute_grad_draws_the_same_numbers_again(mode: Any) -> None:
    f, x = mode(mg.recompute_grad(drawn)), mg.ones((8,))
    for _ in range(2):
        with mg.GradientTape() as second:
            second.watch(x)
            with mg.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            state = NOISE.state.numpy()
            dx = tape.gradient(y, x)
        assert 0 < np.count_nonzero(y) < 8
        same([dx, second.gradient(dx, x)], [2 * y.numpy(), 2 * y.numpy()])
        np.testing.assert_array_equal(NOISE.state.numpy(), state)


@everywhere
def test_recompute_grad_draws_the_same_numbers_again_for_each_example(mode: Any) -> None:
    weight = mg.Variable(np.full(8, 2.0, np.float32))
    f = mg.recompute_grad(lambda x: mg.sum(mg.nn.dropout(x, 0.5, NOISE) * x * weight))
    y, dx = mode(mg.vmap(mg.value_and_grad(f)))(mg.ones((3, 8)))
    assert len(np.unique(dx.numpy(), axis=0)) > 1
    same(mg.sum(dx, axis=1), 2 * y)


@both
def test_recompute_grad_draws_the_same_numbers_in_a_py_function(mode: Any) -> None:
    def body(x: Any) -> Any:
        return x * NOISE.normal((8,))

    f, x = mg.recompute_grad(lambda x: mg.py_function(body, [x], mg.float32)), mg.ones((8,))
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mode(f)(x)
    same(tape.gradient(y, x), y)


@everywhere
def test_recompute_grad_assigns_once_and_sees_variables_as_they_were(mode: Any) -> None:
    v, x = mg.Variable(1.0), mg.constant(3.0)

    def body(x: Any) -> Any:
        before = v * x
        v.assign_add(1.0)
        return before * v

    f = mode(mg.recompute_grad(body))
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    v.assign(7.0)
    same([y, *tape.gradient(y, [x, v]), v], [6.0, 2.0, 9.0, 7.0])
    v.assign(1.0)
    same([mg.grad(f)(x), v], [2.0, 2.0])


@both
def test_recompute_grad_refuses_to_repeat_the_effects_of_a_numpy_function(mode: Any) -> None:
    runs: list[int] = []

    def seen(x: Any) -> Any:
        runs.append(1)
        return x

    def gradient(stateful: bool) -> Any:
        def called(x: Any) -> Any:
            return mg.numpy_function(seen, [x], mg.TensorSpec((), mg.float32), stateful)

        body = mg.recompute_grad(lambda x: mg.cond(x > 0, lambda: x * called(x), lambda: x))
        return mg.grad(mode(body))(mg.constant(3.0))

    same(gradient(False), 3.0)
    runs.clear()
    with pytest.raises(GradientError, match=r"numpy_function 'seen' at .* which is stateful"):
        gradient(True)
    assert len(runs) < 2
