"""Derivatives through calls of functions: exact, to any order, and nothing runs twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.concrete import call, stateful_call
from minigrad.errors import GradientError
from tests.unit.modes import derivatives, same

F32 = mg.float32


def counted(f: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], list[int]]:
    """`f`, and a list that grows by one with each run."""
    runs: list[int] = []

    def body(x: Any) -> Any:
        runs.append(1)
        return f(x)

    return body, runs


def test_a_call_is_one_node_of_the_tape() -> None:
    f = mg.function(lambda x: mg.sum(mg.exp(x) * x))
    x = mg.constant([1.0, 2.0])
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert [node.op for node in tape.nodes] == [call]
    assert tape.nodes[0].where.code.co_filename == __file__
    e = np.exp([1.0, 2.0])
    same(tape.gradient(y, x), e * [1 + 1.0, 1 + 2.0])


def test_functions_of_functions_to_the_third_order() -> None:
    inner = mg.function(lambda x: mg.sin(x) * x)
    outer = mg.function(lambda x: inner(x) * inner(inner(x)))

    def plain(x: Any) -> Any:
        def u(z: Any) -> Any:
            return mg.sin(z) * z

        return u(x) * u(u(x))

    x = mg.constant(0.7, mg.float64)
    expected = derivatives(plain, x, 3)
    assert derivatives(outer, x, 3) == pytest.approx(expected, rel=1e-9)
    assert derivatives(mg.function(plain), x, 3) == pytest.approx(expected, rel=1e-9)
    assert mg.function(lambda x: mg.grad(mg.grad(outer))(x))(x).item() == pytest.approx(expected[1])


def test_every_nesting_of_grad_and_function_agrees() -> None:
    def f(x: Any) -> Any:
        return mg.exp(mg.sin(x)) * x

    t, g = mg.function, mg.grad
    x = mg.constant(0.3, mg.float64)
    second = g(g(f))(x).item()
    for wrappers in ("ggt", "gtg", "tgg", "tgtg", "gtgt", "tgtgt", "tttgttgtt"):
        nested: Any = f
        for wrapper in reversed(wrappers):
            nested = g(nested) if wrapper == "g" else t(nested)
        assert nested(x).item() == pytest.approx(second, rel=1e-12)


def test_closures_over_tensors_and_variables_have_gradients() -> None:
    w, v = mg.constant([2.0, 3.0]), mg.Variable([5.0, 7.0])
    inner = mg.function(lambda x: x * w * v)
    outer = mg.function(lambda x: mg.sum(inner(x) * v))
    x = mg.ones(2)
    with mg.GradientTape() as tape:
        tape.watch([x, w])
        y = outer(x)
    dx, dw, dv = tape.gradient(y, [x, w, v])
    same([dx, dw, dv], [np.array([50.0, 147.0]), np.array([25.0, 49.0]), np.array([20.0, 42.0])])


def test_a_function_called_inside_a_tape_inside_a_function() -> None:
    v = mg.Variable(3.0)
    inner = mg.function(lambda x: x * x * v)

    @mg.function
    def outer(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = inner(x)
        return tape.gradient(y, [x, v])

    same(outer(mg.constant(2.0)), [12.0, 4.0])


def test_a_function_made_inside_another_sees_its_symbols() -> None:
    @mg.function
    def outer(x: Any) -> Any:
        total = x * 0.0
        for n in range(3):
            y = x * n
            inner = mg.function(lambda z, y=y: z * y)
            total = total + inner(x)
        shared = mg.function(lambda z: z * total)
        return shared(x) + shared(x)

    x = mg.constant(2.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = outer(x)
    same((y, tape.gradient(y, x)), (48.0, 72.0))
    same(outer(mg.constant([1.0])), np.array([6.0]))


def test_a_function_that_closes_over_a_symbol_is_traced_again_in_the_next_trace() -> None:
    current: list[Any] = []
    scaled = mg.function(lambda z: z * current[-1])

    @mg.function
    def outer(x: Any) -> Any:
        current.append(x + 1)
        return scaled(x)

    same(outer(mg.constant(2.0)), 6.0)
    same(outer(mg.constant([3.0])), np.array([12.0]))


@dataclass
class Batch:
    x: Any
    labels: Any
    name: str


def test_nests_dataclasses_and_integers_pass_through_gradients() -> None:
    @mg.function
    def loss(batch: Any, weights: Any) -> Any:
        z = batch.x * weights["w"] + weights["b"][0]
        return {"loss": mg.sum(z * batch.labels), "count": mg.sum(batch.labels), "tag": batch.name}

    batch = Batch(mg.constant([1.0, 2.0]), mg.constant([1, 3]), "first")
    weights = {"w": mg.constant(2.0), "b": [mg.constant([0.0, 1.0])]}
    with mg.GradientTape() as tape:
        tape.watch([batch.x, weights])
        found = loss(batch, weights)
    assert found["tag"] == "first" and found["count"].item() == 4
    dw, dx, dn = tape.gradient(found["loss"], [weights, batch.x, batch.labels])
    same(dw, {"w": 7.0, "b": [np.array([1.0, 3.0])]})
    same(dx, np.array([2.0, 6.0]))
    assert dn is None


def test_none_stays_none_through_calls() -> None:
    f = mg.function(lambda a, b: (a * 2, mg.floor(b), a))
    g = mg.function(lambda a, b: f(a, b))
    a, b = mg.constant(1.0), mg.constant(2.5)
    for function in (f, g):
        with mg.GradientTape(persistent=True) as tape:
            tape.watch([a, b])
            y, z, same_a = function(a, b)
        same(tape.gradient([y, z], [a, b]), [2.0, None])
        same(tape.gradient(z, [a, b]), [None, None])
        same(tape.gradient(same_a, [a, b]), [1.0, None])
        same(tape.gradient(y, b, unconnected_gradients="zero"), 0.0)
        with pytest.raises(GradientError, match="floor"):
            tape.gradient(z, b, unconnected_gradients="raise")


def test_outputs_that_are_not_used_cost_no_gradient() -> None:
    @mg.custom_gradient
    def guarded(x: Any) -> Any:
        def grad(g: Any) -> Any:
            return mg.py_function(lambda z: calls.append(1) or z, [g], F32)

        return x * 1.0, grad

    calls: list[int] = []
    f = mg.function(lambda x: (x * 2, guarded(x)))
    x = mg.constant(1.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, z = f(x)
    same(tape.gradient(y, x), 2.0)
    assert calls == []
    same(tape.gradient(z, x), 1.0)
    assert calls == [1]


def test_a_repeated_output_and_a_repeated_input_add_up() -> None:
    f = mg.function(lambda a, b: (a * b, a * b, b, b))
    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        ys = f(x, x)
    same(tape.gradient(list(ys), x), 14.0)


def test_gradient_by_an_intermediate_tensor_between_calls() -> None:
    f = mg.function(lambda x: x * x)
    x = mg.constant(2.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        u = f(x)
        y = f(u)
    same([tape.gradient(y, u), tape.gradient(y, x)], [8.0, 32.0])


def test_complex_arguments() -> None:
    def body(z: Any, x: Any) -> Any:
        return mg.real(z * mg.conj(z)) * x

    z, x = mg.constant(1 + 2j), mg.constant(3.0)
    answers = []
    for f in (body, mg.function(body), mg.function(mg.function(body))):
        with mg.GradientTape() as tape:
            tape.watch([z, x])
            y = f(z, x)
        answers.append(tape.gradient(y, [z, x]))
    for found in answers:
        same(found, [6 + 12j, 5.0])


@pytest.mark.parametrize("shape", [None, (None,), (None, 2), (2, 2)])
def test_gradients_with_unknown_dims_and_rank(shape: Any) -> None:
    spec = mg.TensorSpec(shape, F32)
    w = mg.Variable(2.0)
    f = mg.function(lambda x: mg.sum(mg.exp(x * w) * x), input_signature=[spec])
    value = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)[: 1 if shape == (None,) else 2]
    x = mg.constant(value[0] if shape == (None,) else value)
    with mg.GradientTape(persistent=True) as second:
        second.watch(x)
        with mg.GradientTape() as first:
            first.watch(x)
            y = f(x)
        dx, dw = first.gradient(y, [x, w])
    v = x.numpy()
    same(dx, np.exp(2 * v) * (1 + 2 * v))
    same(dw, np.sum(np.exp(2 * v) * v * v))
    same(second.gradient(dx, x), np.exp(2 * v) * (4 + 4 * v), rtol=1e-5)
    same(second.gradient(dw, w), np.sum(np.exp(2 * v) * v**3), rtol=1e-5)
    assert f.trace_count == 1


def test_jacobians_through_a_call() -> None:
    w = np.arange(6.0).reshape(2, 3)
    f = mg.function(lambda x: mg.matmul(mg.constant(w), x))
    x = mg.constant([1.0, 2.0, 3.0], mg.float64)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    same(tape.jacobian(y, x), w)


# nothing runs twice


def test_bodies_of_python_run_once_for_a_value_and_all_its_gradients() -> None:
    squared, py_runs = counted(lambda x: x * x)
    opaque, np_runs = counted(np.cos)

    @mg.function
    def f(x: Any) -> Any:
        y = mg.py_function(squared, [x], mg.TensorSpec((2,), F32))
        return y * mg.numpy_function(opaque, [x], mg.TensorSpec((2,), F32))

    x = mg.constant([1.0, 2.0])
    with mg.GradientTape(persistent=True) as second:
        second.watch(x)
        with mg.GradientTape(persistent=True) as first:
            first.watch(x)
            y = f(x)
        dy = first.gradient(y, x)
    first.gradient(y, x)
    first.jacobian(y, x)
    second.gradient(dy, x)
    assert (py_runs, np_runs) == ([1], [1])
    c = np.cos([1.0, 2.0])
    same(dy, 2 * np.array([1.0, 2.0]) * c)
    same(second.gradient(dy, x), 2 * c)


def test_effects_inside_nested_functions_happen_once() -> None:
    counter = mg.Variable(0, trainable=False)

    @mg.function
    def inner(x: Any) -> Any:
        counter.assign_add(1)
        return x * x

    outer = mg.function(lambda x: inner(x) + inner(x * 2))
    x = mg.constant(3.0)
    with mg.GradientTape(persistent=True) as second:
        second.watch(x)
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = outer(x)
        dx = tape.gradient(y, x)
    assert [node.op for node in tape.nodes] == [stateful_call]
    same((dx, second.gradient(dx, x)), (30.0, 10.0))
    tape.gradient(y, x)
    assert counter.numpy() == 2


def test_random_numbers_of_the_value_are_those_of_the_gradient() -> None:
    generator = mg.random.Generator(0)

    @mg.function
    def f(x: Any) -> Any:
        return mg.sum(x * x * generator.normal((1000,)))

    x = mg.constant(2.0)
    states = [generator.state.numpy().tolist()]
    for _ in range(2):
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = f(x)
        assert tape.gradient(y, x).item() == pytest.approx(y.item(), rel=1e-4)
        assert tape.gradient(y, x).item() == pytest.approx(y.item(), rel=1e-4)
        states.append(generator.state.numpy().tolist())
    assert states[1][2] - states[0][2] == states[2][2] - states[1][2] > 0


def test_a_variable_assigned_after_its_use_keeps_the_gradient_of_the_use() -> None:
    v = mg.Variable(2.0)

    @mg.function
    def f(x: Any) -> Any:
        y = x * v * v
        v.assign(10.0)
        return y + x * v

    x = mg.constant(3.0)
    with mg.GradientTape(persistent=True) as second:
        second.watch(x)
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        v.assign(100.0)
        dx, dv = tape.gradient(y, [x, v])
    assert (y.item(), dx.item()) == (42.0, 14.0)
    same(dv, 12.0 + 3.0)
    same([second.gradient(dv, x), second.gradient(dv, v)], [5.0, 6.0])


def test_the_same_call_may_be_differentiated_in_any_order() -> None:
    v = mg.Variable(1.0)
    f = mg.function(lambda x: x * x * v)
    xs = [mg.constant(float(n)) for n in range(1, 4)]
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(xs)
        ys = []
        for x in xs:
            ys.append(f(x))
            v.assign_add(1.0)
    for i in (2, 0, 1, 0, 2):
        same(tape.gradient(ys[i], xs[i]), 2.0 * (i + 1) * (i + 1))


# functional forms


def test_value_and_grad_and_its_relatives() -> None:
    def f(w: Any, x: Any) -> Any:
        return mg.sum(w["a"] * x * x)

    w, x = {"a": mg.constant([1.0, 2.0])}, mg.constant([3.0, 4.0])
    for g in (f, mg.function(f)):
        value, (dw, dx) = mg.value_and_grad(g, argnums=(0, 1))(w, x)
        same((value, dw, dx), (41.0, {"a": np.array([9.0, 16.0])}, np.array([6.0, 16.0])))
    (value, aux), dw = mg.value_and_grad(lambda w: (w * w, "aux"), has_aux=True)(3.0)
    assert (value.item(), aux, dw.item()) == (9, "aux", 6)
    assert mg.grad(lambda w: (w * w, "aux"), has_aux=True)(3.0)[1] == "aux"


def test_a_gradient_of_what_is_no_scalar_is_refused() -> None:
    with pytest.raises(GradientError, match=r"its value is float32\[2\]: a gradient"):
        mg.grad(lambda x: x * 2)(mg.ones(2))
    with pytest.raises(GradientError, match="argnums"):
        mg.grad(lambda x: x, argnums=1)(1.0)


def test_vjp_jacobian_hessian_and_hvp() -> None:
    x = mg.constant([1.0, 2.0])
    y, pullback = mg.vjp(lambda x: {"y": x * x}, x)
    same(pullback({"y": mg.constant([1.0, 10.0])}), (np.array([2.0, 40.0]),))
    same(pullback({"y": mg.ones(2)}), (np.array([2.0, 4.0]),))
    same(y, {"y": np.array([1.0, 4.0])})
    same(mg.jacobian(lambda x: x * x)(x), np.diag([2.0, 4.0]))
    f = mg.function(lambda x: mg.sum(x) ** 3)
    same(mg.hessian(f)(x), np.full((2, 2), 18.0))
    same(mg.hvp(f, x, mg.constant([1.0, 0.0])), np.array([18.0, 18.0]))


def test_hvp_of_nests() -> None:
    def f(w: Any) -> Any:
        return mg.sum(w["a"] ** 2 * w["b"])

    w = {"a": mg.constant([1.0, 2.0]), "b": mg.constant([3.0, 4.0])}
    found = mg.hvp(f, w, {"b": mg.zeros(2), "a": mg.ones(2)})
    same(found, {"a": np.array([6.0, 8.0]), "b": np.array([2.0, 4.0])})


def test_second_derivatives_of_a_linear_function_are_zero() -> None:
    x = mg.constant([1.0, 2.0])
    for f in (lambda x: mg.sum(x), lambda x: mg.constant(3.0)):
        same(mg.hessian(f)(x), np.zeros((2, 2)))
        same(mg.hvp(f, x, x), np.zeros(2))
