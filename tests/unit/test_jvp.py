"""Forward mode: values, Nones, nests and errors; mixed with reverse mode, functions and doors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from tests.unit.modes import derivatives, same

X = np.array([0.3, -0.7, 1.2])
T = np.array([1.0, 0.5, -2.0])


def cubic(x: Any) -> Any:
    return mg.sum(x * x * mg.sin(x))


def along(f: Callable[..., Any]) -> Callable[..., Any]:
    """The derivative of `f` along T, as a function."""
    return lambda x: mg.jvp(f, (x,), (T,))[1]


def slope(f: Callable[..., Any], x: Any = X, t: Any = T) -> Any:
    """The derivative of `f` along `t`, by a central difference."""
    h = 1e-6
    return (f(mg.constant(x + h * t)).numpy() - f(mg.constant(x - h * t)).numpy()) / (2 * h)


MODES = {
    "eager": lambda f: f,
    "function": mg.function,
    "compiled": mg.function(jit_compile=True),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_jvp_of_functions_and_in_functions(mode: str, inner: str) -> None:
    f = MODES[inner](cubic)
    value, tangent = MODES[mode](lambda x: mg.jvp(f, (x,), (T,)))(mg.constant(X))
    same((value, tangent), (cubic(mg.constant(X)), slope(cubic)))


def test_both_modes_nest_in_each_other() -> None:
    x = mg.constant(X)
    expected = slope(along(cubic))
    same(along(along(cubic))(x), expected, rtol=1e-4)
    same(mg.sum(mg.grad(along(cubic))(x) * T), expected, rtol=1e-4)
    same(mg.sum(along(mg.grad(cubic))(x) * T), expected, rtol=1e-4)
    same(along(mg.grad(cubic))(x), mg.hvp(cubic, x, T))
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = along(cubic)(x)
    same(tape.gradient(y, x), mg.hvp(cubic, x, T))


def test_any_order_of_a_scalar() -> None:
    one = mg.constant(1.0, mg.float64)
    f: Callable[..., Any] = mg.exp
    for _ in range(4):
        f = lambda x, f=f: mg.jvp(f, (x,), (one,))[1] * x  # noqa: E731
    x = 0.5  # of the operator x d/dx, four times, on exp: the Touchard polynomial
    expected = np.exp(x) * (x + 7 * x**2 + 6 * x**3 + x**4)
    assert f(mg.constant(x, mg.float64)).item() == pytest.approx(expected)


def test_an_inner_derivative_does_not_see_the_outer_direction() -> None:
    x, one = mg.constant(3.0), mg.constant(1.0)
    # d/dz (x z) = x, also where z and x are the same tensor
    inner = lambda x: x * mg.jvp(lambda z: x * z, (x,), (one,))[1]  # noqa: E731
    same(mg.jvp(inner, (x,), (one,)), (9.0, 6.0))


def test_nests_go_in_and_come_out() -> None:
    def f(p: Any, k: int) -> Any:
        return {"y": p["w"] @ p["b"], "k": (p["b"] * k,)}

    p = {"w": mg.constant([[1.0, 2.0], [3.0, 4.0]]), "b": mg.constant([1.0, 1.0])}
    t = {"b": [1.0, 0.0], "w": [[0.0, 1.0], [0.0, 0.0]]}
    value, tangent = mg.jvp(lambda p: f(p, 2), (p,), (t,))
    same(value, f(p, 2))
    same(tangent, {"y": np.array([2.0, 3.0]), "k": (np.array([2.0, 0.0]),)})


def test_what_does_not_move_is_none_or_zeros_or_an_error() -> None:
    x, i = mg.constant([1.0, 2.0]), mg.constant([1, 0])

    def f(x: Any, z: Any, i: Any) -> Any:
        return x[i], z * 2, mg.argmax(x), mg.stop_gradient(x), mg.constant(1.0)

    (_, tangent) = mg.jvp(f, (x, x, i), ([1.0, 5.0], None, None))
    same(tangent, (np.array([5.0, 1.0]), None, None, None, None))
    zeros = mg.jvp(f, (x, x, i), (x, None, None), unconnected_gradients="zero")[1]
    same(zeros[1:], (np.zeros(2), 0, np.zeros(2), 0.0))
    with pytest.raises(mg.errors.GradientError, match="result 1 does not depend on what moves"):
        mg.jvp(f, (x, x, i), (x, None, None), unconnected_gradients="raise")


def test_what_is_joined_and_does_not_move_has_zeros_in_its_place() -> None:
    x, still = mg.asarray([1.0, 2.0]), mg.asarray([True, False])
    for join in (mg.concat, mg.stack):
        _, moved = mg.jvp(lambda x, join=join: join([x, x > 0, still]), [x], [mg.ones_like(x)])
        np.testing.assert_array_equal(mg.reshape(moved, (-1,)), [1, 1, 0, 0, 0, 0])


def test_along_variables() -> None:
    v = mg.Variable([1.0, 2.0])
    value, tangent = mg.jvp(lambda v: v * v + v.value(), (v,), ([1.0, 0.0],))
    same((value, tangent), (np.array([2.0, 6.0]), np.array([3.0, 0.0])))
    # a Variable that is read and not passed does not move
    same(
        mg.jvp(lambda x: x * v, (mg.constant([1.0, 1.0]),), ([1.0, 0.0],))[1], np.array([1.0, 0.0])
    )


def test_through_the_doors() -> None:
    def body(x: Any) -> Any:
        return x * x if x > 0 else -x

    def f(x: Any) -> Any:
        return mg.py_function(body, [x], mg.float32)

    x, one = mg.constant(3.0), mg.constant(1.0)
    same(mg.jvp(f, (x,), (one,))[1], 6.0)
    same(mg.jvp(mg.function(f), (x,), (one,))[1], 6.0)
    same(mg.function(lambda x: mg.jvp(f, (x,), (one,))[1])(x), 6.0)
    opaque = lambda x: mg.numpy_function(np.sinh, [x], mg.float32)  # noqa: E731
    assert mg.jvp(opaque, (x,), (one,))[1] is None


def test_through_gradients_by_hand() -> None:
    @mg.custom_gradient
    def f(x: Any) -> Any:
        return mg.numpy_function(np.sinh, [x], mg.float32), lambda g: g * mg.cosh(x)

    x, one = mg.constant(0.5), mg.constant(1.0)
    same(mg.jvp(f, (x,), (one,))[1], np.cosh(0.5))
    same(mg.jvp(mg.function(f), (x,), (one,))[1], np.cosh(0.5))
    same(mg.jvp(mg.recompute_grad(mg.sin), (x,), (one,))[1], np.cos(0.5))


@pytest.mark.parametrize("mode", MODES)
def test_through_control_flow(mode: str) -> None:
    def f(x: Any) -> Any:
        y = mg.cond(x > 0, lambda: x * x, lambda: x)
        _, ys = mg.scan(lambda c, z: (c * z, mg.sin(c)), y, mg.ones(3) * x)
        return mg.while_loop(lambda z: z < 100, lambda z: (z * z,), (mg.sum(ys) + 2,))[0]

    found = MODES[mode](lambda x: mg.jvp(f, (x,), (mg.constant(1.0),))[1])(mg.constant(1.1))
    assert found.item() == pytest.approx(derivatives(f, mg.constant(1.1), 1)[0], rel=1e-5)


RUNS = {
    "cond": lambda x: mg.cond(mg.sum(x) > 0, lambda: mg.sin(x) * x, lambda: x),
    "while_loop": lambda x: mg.while_loop(lambda y: mg.sum(y) > 0.3, lambda y: mg.sin(y) * 0.7, x),
    "fori_loop": lambda x: mg.fori_loop(0, 2, lambda i, y: mg.sin(y), x),
    "scan": lambda x: mg.scan(lambda c, r: (mg.sin(c) * r, c * r), x, mg.stack([x, 2 * x]))[1],
    "map": lambda x: mg.map(lambda r: mg.sin(r) * x, x),
    "py_function": lambda x: mg.py_function(lambda v: mg.sin(v) * v, [x], mg.float64),
}


@pytest.mark.parametrize("name", RUNS)
def test_forward_over_reverse_through_the_runs_of_functions(name: str) -> None:
    traced = mg.function(lambda x: mg.sum(RUNS[name](x)))
    gradient = mg.grad(traced)
    hvp = along(gradient)
    xs = np.stack([X, 0.9 * X])
    np.testing.assert_allclose(hvp(X), slope(gradient), atol=1e-7)
    # twice forward, batched, and one order on
    np.testing.assert_allclose(along(along(traced))(X), np.sum(slope(gradient) * T), atol=1e-6)
    np.testing.assert_allclose(mg.vmap(hvp)(xs), [hvp(X), hvp(0.9 * X)], atol=1e-12)
    np.testing.assert_allclose(along(hvp)(X), slope(hvp), atol=1e-6)


def test_where_the_pullback_would_stop_at_zeros() -> None:
    """sqrt guards cotangents that are 0; a tangent of 1 passes."""
    x = mg.constant([4.0, 0.0])
    safe = lambda x: mg.sqrt(mg.where(x > 0, x, 1.0))  # noqa: E731
    same(mg.jvp(safe, (x,), ([1.0, 1.0],))[1], np.array([0.25, 0.0]))
    same(mg.jvp(mg.recompute_grad(mg.sqrt), (x[:1],), ([1.0],))[1], np.array([0.25]))


@pytest.mark.parametrize(
    ("primals", "tangents", "words"),
    [
        ((1.0,), (1.0, 2.0), "2 tangents came for 1 primals"),
        (1.0, 1.0, "primals is a float"),
        (([1.0],), ({"a": 1.0},), "of its tangents: a nest like"),
        ((np.ones(3),), (np.ones(2),), r"a tangent of float64\[2\] for a primal of float64\[3\]"),
        ((1.0,), (1j,), "is real if that is"),
        ((1,), (1.0,), "only floating and complex tensors move"),
    ],
)
def test_what_does_not_fit_is_refused(primals: Any, tangents: Any, words: str) -> None:
    with pytest.raises(mg.errors.GradientError, match=words):
        mg.jvp(lambda x: x, primals, tangents)


def test_of_elementwise_functions_it_costs_no_pullback() -> None:
    with mg.GradientTape() as tape:
        x = mg.constant(X)
        tape.watch(x)
        mg.jvp(lambda x: mg.sin(x) @ mg.constant(T), (x,), (T,))
    assert [node.op.name for node in tape.nodes].count("cos") == 1
    assert len(tape.nodes) <= 12
