"""Decisions on values: one meaning eagerly, traced and compiled, and derivatives of any order."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import MinigradError, SpecError, UncompilableError
from tests.unit.modes import both, derivatives, everywhere, same, words

F32 = mg.float32


def value_and_slope(f: Callable[..., Any], *xs: Any) -> list[Any]:
    """The value of `f`, and its gradient by each argument."""
    given = [mg.constant(x, mg.float64) for x in xs]
    value, grads = mg.value_and_grad(f, argnums=tuple(range(len(xs))))(*given)
    return [value.item(), *[np.asarray(g) for g in grads]]


# cond and switch


@everywhere
@pytest.mark.parametrize("x", [2.0, -2.0])
def test_cond_runs_the_branch_that_is_chosen_and_has_its_gradient(mode: Any, x: float) -> None:
    f = mode(lambda x: mg.cond(x > 0, lambda: x * x, lambda: mg.sin(x)))
    expected = [4.0, 4.0] if x > 0 else [np.sin(x), np.cos(x)]
    same(value_and_slope(f, x), expected)


@everywhere
def test_branches_give_nests_and_may_give_different_shapes(mode: Any) -> None:
    def f(x: Any) -> Any:
        full = {"a": x * 2, "b": [mg.sum(x)]}
        return mg.cond(mg.sum(x) > 0, lambda: full, lambda: {"a": x[:1], "b": [mg.max(x)]})

    f = mode(f)
    same(f(mg.constant([1.0, 2.0])), {"a": np.array([2.0, 4.0]), "b": [3.0]})
    same(f(mg.constant([-1.0, -2.0])), {"a": np.array([-1.0]), "b": [-1.0]})


@everywhere
@pytest.mark.parametrize("index, expected", [(0, 3.0), (1, 9.0), (2, 27.0), (7, 27.0), (-1, 27.0)])
def test_switch_takes_the_last_branch_out_of_range(mode: Any, index: int, expected: float) -> None:
    branches = [lambda x: x, lambda x: x * x, lambda x: x**3]
    f = mode(lambda i, x: mg.switch(i, [lambda b=b: b(x) for b in branches]))
    assert f(mg.constant(index), mg.constant(3.0)).item() == expected


@both
def test_only_the_chosen_branch_has_effects(mode: Any) -> None:
    calls: list[str] = []

    def says(name: str) -> Callable[[Any], Any]:
        return lambda x: (calls.append(name), x)[1]

    @mode
    def f(x: Any) -> Any:
        return mg.cond(
            x > 0,
            lambda: mg.numpy_function(says("yes"), [x], F32),
            lambda: mg.numpy_function(says("no"), [x], F32),
        )

    f(mg.constant(1.0)), f(mg.constant(-1.0)), f(mg.constant(1.0))
    assert calls == ["yes", "no", "yes"]


@everywhere
def test_a_branch_may_assign(mode: Any) -> None:
    v = mg.Variable(1.0)

    @mode
    def f(x: Any) -> Any:
        mg.cond(x > 0, lambda: v.assign_add(x).value(), lambda: v.value())
        return v * 1

    same([f(mg.constant(2.0)), f(mg.constant(-5.0)), v.value()], [3.0, 3.0, 3.0])


@everywhere
def test_a_branch_that_does_not_use_the_source_has_no_say_in_its_gradient(mode: Any) -> None:
    f = mode(lambda x, y: mg.cond(y > 0, lambda: x * y, lambda: y * 3))
    same(value_and_slope(f, 2.0, 5.0), [10.0, 5.0, 2.0])
    value, dy = mg.value_and_grad(f, argnums=1)(mg.constant(2.0), mg.constant(-5.0))
    same([value, dy], [-15.0, 3.0])


# loops


@everywhere
@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_a_trip_count_known_at_run_time_has_gradients_to_the_third_order(
    mode: Any, rounds: int
) -> None:
    def power(x: Any) -> Any:
        n = mg.astype(mg.stop_gradient(x) * 0, mg.int32) + rounds
        return mg.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * x), (0, x))[1]

    f = mode(power)
    x = mg.constant(1.5, mg.float64)
    k = rounds + 1
    expected = [k * 1.5**rounds, k * rounds * 1.5 ** max(rounds - 1, 0)]
    expected.append(k * rounds * (rounds - 1) * 1.5 ** max(rounds - 2, 0))
    found = []
    for _ in expected:
        f = mg.grad(f)
        slope = f(x)
        found.append(0.0 if slope is None else slope.item())  # None: x does not come in at all
        if slope is None:
            break
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-12)
    assert rounds < 2 or len(found) == 3


NO_ROUNDS: dict[str, Callable[[Any, Any], Any]] = {
    "while": lambda x, w: mg.while_loop(lambda y: mg.sum(y) < 0, lambda y: y * w, x),
    "counted": lambda x, w: mg.fori_loop(3, 3, lambda i, y: y * w, x),
    "scan": lambda x, w: mg.scan(lambda y, _: (y * w, y), x, mg.zeros((0, 2)))[0],
    "branch": lambda x, w: mg.cond(mg.sum(x) < 0, lambda: x * w, lambda: x * 1.0),
}


@everywhere
@pytest.mark.parametrize("name", NO_ROUNDS)
def test_what_only_rounds_use_has_no_gradient_where_there_were_none(mode: Any, name: str) -> None:
    """As with a branch that was not taken, in every mode: what came in goes out."""
    f = mode(NO_ROUNDS[name])
    x, w = mg.constant([1.0, 2.0]), mg.constant([3.0, 4.0])
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([x, w])
        y = f(x, w)
    dx, dw = tape.gradient(y, [x, w], mg.constant([5.0, 6.0]))
    same([y, dx], [np.array([1.0, 2.0]), np.array([5.0, 6.0])])
    assert dw is None
    same(tape.gradient(y, w, unconnected_gradients="zero"), np.zeros(2))
    for jit in (False, True):
        inside = mg.function(mg.grad(lambda x, w: mg.sum(f(x, w)), (0, 1)), jit_compile=jit)
        dx, dw = inside(x, w)
        same(dx, np.ones(2))
        assert dw is None


@everywhere
def test_a_loop_that_runs_until_it_converges(mode: Any) -> None:
    def root(a: Any) -> Any:
        return mg.while_loop(
            lambda y: mg.abs(y * y - a) > 1e-12, lambda y: 0.5 * (y + a / y), (a,)
        )[0]

    same(value_and_slope(mode(root), 2.0), [2**0.5, 0.5 / 2**0.5])


@everywhere
def test_a_loop_stops_at_its_maximum(mode: Any) -> None:
    f = mode(
        lambda x: mg.while_loop(lambda y: y < 1e9, lambda y: y * x, (x,), maximum_iterations=3)[0]
    )
    same(value_and_slope(f, 3.0), [81.0, 4 * 27.0])


@everywhere
def test_loop_variables_come_back_in_the_nest_they_came_in(mode: Any) -> None:
    def f(x: Any) -> Any:
        alone = mg.while_loop(lambda y: y < 10, lambda y: y * 2, x)
        pair = mg.while_loop(
            lambda i, d: i < 2, lambda i, d: (i + 1, {"y": d["y"] + x}), [0, {"y": x}]
        )
        return alone, pair

    alone, pair = mode(f)(mg.constant(3.0))
    same([alone, pair], [12.0, [2, {"y": 9.0}]])
    assert isinstance(pair, list)


@everywhere
def test_fori_loop_counts_from_lower_to_upper(mode: Any) -> None:
    f = mode(lambda n, x: mg.fori_loop(2, n, lambda i, y: y * x + mg.astype(i, x.dtype), x))
    same(f(mg.constant(5), mg.constant(2.0)), ((2 * 2 + 2) * 2 + 3) * 2 + 4)
    same(f(mg.constant(1), mg.constant(2.0)), 2.0)


NO_FUNCTIONS = {
    "cond: true_fn": lambda x: mg.cond(x > 0, x, x),
    "switch: branch 1": lambda x: mg.switch(0, [lambda: x, x]),
    "while_loop: cond": lambda x: mg.while_loop(x, lambda y: y, x),
    "while_loop: body": lambda x: mg.while_loop(lambda y: y < 3, x, x),
    "fori_loop: body": lambda x: mg.fori_loop(0, 3, x, lambda i, y: y),
    "scan: f": lambda x: mg.scan(x, lambda c, y: (c, y), x),
    "map: fn": lambda x: mg.map(x, lambda y: y),
}


@everywhere
@pytest.mark.parametrize("name", NO_FUNCTIONS)
def test_what_is_called_is_a_function(mode: Any, name: str) -> None:
    with pytest.raises(SpecError, match=f"{name} is .*; pass a function, such as lambda") as error:
        mode(NO_FUNCTIONS[name])(mg.constant(1.0))
    assert "look at the order of the arguments" in str(error.value)


@everywhere
@pytest.mark.parametrize("bound", [2.5, True, [2, 3]], ids=str)
def test_fori_loop_counts_from_one_integer_to_another(mode: Any, bound: Any) -> None:
    spec = mg.asarray(bound).spec
    for first, last, name in ((0, bound, "upper"), (bound, 9, "lower")):
        with pytest.raises(SpecError) as error:
            mode(lambda x, a=first, b=last: mg.fori_loop(a, b, lambda i, y: y + 1, x))(mg.ones(2))
        assert words(error.value) == (
            f"fori_loop: {name} of {spec} came: rounds are counted from one 0-d integer to "
            "another; write mg.astype(n, mg.int32), or take one element"
        )


@everywhere
def test_bounds_of_fori_loop_promote_as_numbers_do(mode: Any) -> None:
    def counted(lower: Any, upper: Any) -> Any:
        return mg.fori_loop(
            lower, upper, lambda i, last: mg.astype(i, mg.int64), mg.asarray(-1, dtype=mg.int64)
        )

    f = mode(counted)
    same(f(mg.asarray(0, dtype=mg.uint8), mg.asarray(300)), 299)
    same(f(0, mg.asarray(3, dtype=mg.uint64)), 2)
    with pytest.raises(SpecError, match="no integer dtype holds both"):
        f(mg.asarray(0, dtype=mg.int64), mg.asarray(3, dtype=mg.uint64))
    with pytest.raises(SpecError, match="300 was to become a tensor of uint8, and does not fit"):
        f(mg.asarray(0, dtype=mg.uint8), 300)


@everywhere
def test_scan_is_the_loop_it_says(mode: Any) -> None:
    def f(w: Any, xs: Any) -> Any:
        last, ys = mg.scan(lambda h, x: (mg.tanh(h @ w + x), mg.sum(h)), mg.zeros_like(xs[0]), xs)
        return mg.sum(last) + mg.sum(ys * ys)

    def unrolled(w: Any, xs: Any) -> Any:
        h, total = mg.zeros_like(xs[0]), 0.0
        for t in range(4):
            total = total + mg.sum(h) ** 2
            h = mg.tanh(h @ w + xs[t])
        return total + mg.sum(h)

    draw = np.random.default_rng(3)
    w, xs = draw.normal(size=(3, 3)), draw.normal(size=(4, 2, 3))
    same(value_and_slope(mode(f), w, xs), value_and_slope(unrolled, w, xs), 1e-10)


@everywhere
def test_scan_takes_and_gives_nests_and_may_have_no_xs(mode: Any) -> None:
    def f(x: Any) -> Any:
        def step(carry: Any, item: Any) -> Any:
            return {"c": carry["c"] + item["a"]}, (item["b"] * carry["c"],)

        first = mg.scan(step, {"c": x[0] * 0}, {"a": x, "b": x})
        count, nothing = mg.scan(lambda c, _: (c + 1, None), 0, length=3)
        assert nothing is None
        return first, count

    same(
        mode(f)(mg.constant([1.0, 2.0, 3.0])),
        (({"c": 6.0}, (np.array([0.0, 2.0, 9.0]),)), 3),
    )


@pytest.mark.parametrize("jit", [False, True])
def test_what_no_rounds_stack_has_the_shape_that_a_round_would_give(jit: bool) -> None:
    spec = mg.TensorSpec((None, None), mg.float64)

    @mg.function(input_signature=[spec], jit_compile=jit)
    def f(x: Any) -> Any:
        return mg.scan(lambda z, row: (z + mg.sum(row), row * z), mg.sum(x), x)[1]

    assert f(mg.zeros((0, 3), dtype=mg.float64)).shape == (0, 3)
    assert f(mg.zeros((2, 5), dtype=mg.float64)).shape == (2, 5)


@everywhere
def test_a_scan_of_no_rounds_that_stacks_none_gives_none(mode: Any) -> None:
    f = mode(lambda c, xs: mg.scan(lambda c, x: (c * 2, None), c, xs))
    carry, ys = f(mg.constant(2.0), mg.zeros((0,)))
    same(carry, 2.0)
    assert ys is None


@everywhere
def test_a_scan_of_no_rounds_stacks_nothing(mode: Any) -> None:
    f = mode(lambda c, xs: mg.scan(lambda c, x: (c + x, mg.stack([c, x])), c, xs))
    carry, ys = f(mg.constant(2.0), mg.zeros((0,)))
    same(carry, 2.0)
    assert ys.shape == (0, 2)


@everywhere
def test_map_is_a_loop_over_the_first_axis(mode: Any) -> None:
    f = mode(lambda x: mg.map(lambda row: {"s": mg.sum(row), "r": row * 2}, x))
    x = np.arange(6.0).reshape(3, 2)
    same(f(mg.constant(x)), {"s": x.sum(1), "r": x * 2})


@everywhere
def test_loops_nest_and_are_differentiated_twice(mode: Any) -> None:
    def f(x: Any) -> Any:
        def row(total: Any, i: Any) -> Any:
            inner = mg.while_loop(
                lambda k, y: k < i, lambda k, y: (k + 1, mg.sin(y) * x), (mg.zeros_like(i), x)
            )[1]
            grown = mg.cond(inner > 0, lambda: inner * x, lambda: inner)
            return total + grown, None

        return mg.scan(row, x * 0, mg.arange(4))[0]

    x = mg.constant(0.7, mg.float64)
    np.testing.assert_allclose(derivatives(mode(f), x, 2), derivatives(f, x, 2), rtol=1e-10)
    h = 1e-6
    slope = (f(x + h).item() - f(x - h).item()) / (2 * h)
    np.testing.assert_allclose(derivatives(f, x, 1), [slope], rtol=1e-7)


@everywhere
def test_weights_used_in_a_loop_have_their_gradient(mode: Any) -> None:
    v = mg.Variable(2.0)
    c = mg.constant(3.0)
    f = mode(lambda x: mg.fori_loop(0, 2, lambda i, y: y * v + c, x))
    with mg.GradientTape() as tape:
        tape.watch(c)
        y = f(mg.constant(1.0))
    same([y, *tape.gradient(y, [v, c])], [13.0, 2 * 2.0 + 3.0, 3.0])


@both
def test_bodies_of_python_run_once_a_round_and_have_exact_gradients(mode: Any) -> None:
    runs: list[float] = []

    def bend(y: Any) -> Any:
        runs.append(float(mg.stop_gradient(y)))
        return y * y if y < 2 else 3 * y

    @mode
    def f(x: Any) -> Any:
        return mg.fori_loop(0, 3, lambda i, y: mg.py_function(bend, [y], mg.float64), x)

    same(value_and_slope(f, 1.5), [1.5 * 1.5 * 9, 3.0 * 9])
    np.testing.assert_allclose(runs, [1.5, 2.25, 6.75])


def test_a_body_of_ops_in_a_compiled_loop_is_compiled() -> None:
    def f(x: Any) -> Any:
        return mg.fori_loop(
            0, 3, lambda i, y: mg.py_function(lambda y: mg.sin(y) + x, [y], mg.float64), x
        )

    same(value_and_slope(mg.function(f, jit_compile=True), 0.5), value_and_slope(f, 0.5), 1e-12)


@both
def test_effects_in_a_loop_happen_once_a_round_in_program_order(mode: Any) -> None:
    v, seen = mg.Variable(0.0), []

    @mode
    def f(n: Any) -> Any:
        def body(i: Any) -> Any:
            mg.numpy_function(lambda i, now: seen.append((int(i), float(now))), [i, v], [])
            v.assign_add(2.0)
            return i + 1

        return mg.while_loop(lambda i: i < n, body, (mg.constant(0),))[0]

    f(mg.constant(3))
    assert seen == [(0, 0.0), (1, 2.0), (2, 4.0)]
    same(v.value(), 6.0)


@everywhere
def test_loops_accept_unknown_lengths(mode: Any) -> None:
    spec = [mg.TensorSpec((None, 2), mg.float64)]
    kept = {} if mode is not mg.function else {"input_signature": spec}
    total = lambda xs: mg.sum(mg.scan(lambda c, x: (c * x, c + x), xs[0], xs)[1] ** 2)  # noqa: E731
    f = mg.function(total, **kept) if kept else mode(total)
    for n in (1, 4):
        xs = np.random.default_rng(n).normal(size=(n, 2))
        same(value_and_slope(f, xs), value_and_slope(total, xs), 1e-10)


# what is refused


def traced(f: Callable[..., Any], *xs: Any) -> Any:
    return mg.function(f)(*[mg.constant(x) for x in xs])


@pytest.mark.parametrize(
    "body, rule",
    [
        (lambda i, y: (i + 1, mg.concat([y, y])), "shape"),
        (lambda i, y: (i + 1, mg.astype(y, mg.float64)), "dtype"),
        (lambda i, y: (i + 1, [y]), "nest"),
        (lambda i, y: i + 1, "nest"),
    ],
)
def test_a_loop_variable_keeps_shape_dtype_and_nest(body: Any, rule: str) -> None:
    def f(x: Any) -> Any:
        return mg.while_loop(lambda i, y: i < 3, body, (0, x))

    with pytest.raises(SpecError, match=rule) as caught:
        traced(f, [1.0, 2.0])
    assert str(caught.value).startswith("while_loop: ")


def test_a_carry_keeps_its_shape() -> None:
    with pytest.raises(SpecError, match="scan") as caught:
        traced(lambda x: mg.scan(lambda c, v: (mg.stack([c, v]), v), x[0], x), [1.0, 2.0])
    assert "goes out as float32[2]" in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: mg.cond(x[0] > 0, lambda: x, lambda: mg.astype(x, mg.float64)),
        lambda x: mg.cond(x[0] > 0, lambda: x, lambda: [x]),
        lambda x: mg.switch(0, []),
        lambda x: mg.while_loop(lambda y: y, lambda y: y, (x,)),
        lambda x: mg.while_loop(lambda y: y > 0, lambda y: y, (x,)),
        lambda x: mg.scan(lambda c, v: c, x[0], x),
        lambda x: mg.scan(lambda c, v: (c, v), x[0], (x, x[1:])),
        lambda x: mg.scan(lambda c, v: (c, v), x[0], x, length=7),
        lambda x: mg.scan(lambda c, v: (c, v), x[0]),
        lambda x: mg.scan(lambda c, v: (c, v), x[0], x[0]),
        lambda x: mg.map(lambda v: v, x[0]),
    ],
)
def test_what_does_not_fit_is_refused_in_the_words_of_the_library(wrong: Any) -> None:
    with pytest.raises(MinigradError) as caught:
        traced(wrong, [1.0, 2.0])
    assert ":" in str(caught.value) and ";" in str(caught.value)


@both
def test_an_exception_in_a_round_leaves_everything_as_it_was(mode: Any) -> None:
    v = mg.Variable(1.0)

    def body(i: Any) -> Any:
        if int(i) == 2:
            raise ValueError("round two")
        return i

    @mode
    def f(x: Any) -> Any:
        def step(i: Any, y: Any) -> Any:
            mg.py_function(body, [i], mg.int32)
            return i + 1, y * v

        return mg.while_loop(lambda i, y: i < 5, step, (0, x))[1]

    with mg.GradientTape() as tape:
        with pytest.raises(ValueError, match="round two"):
            f(mg.constant(1.0))
        y = v * v
    same([v.value(), tape.gradient(y, v)], [1.0, 2.0])


def test_opaque_nodes_in_branches_and_rounds_are_rejected_by_name() -> None:
    def opaque(x: Any) -> Any:
        return np.sinh(x)

    @mg.function(jit_compile=True)
    def f(x: Any) -> Any:
        return mg.while_loop(
            lambda y: y < 9, lambda y: y + mg.numpy_function(opaque, [y], F32), (x,)
        )[0]

    with pytest.raises(UncompilableError, match="opaque") as caught:
        f(mg.constant(1.0))
    assert "test_control.py:LINE" in words(caught.value)


def test_a_dropped_function_frees_its_loops() -> None:
    class Held:
        def __call__(self, y: Any) -> Any:
            return y * 2

    def used() -> weakref.ref[Held]:
        held = Held()
        f = mg.function(lambda x: mg.fori_loop(0, 3, lambda i, y: held(y), x))
        mg.grad(f)(mg.constant(1.0))
        return weakref.ref(held)

    gone = used()
    gc.collect()
    assert gone() is None
