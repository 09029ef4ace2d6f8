"""Optimizers against their formulas, their state, schedules and clipping."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GradientError, SaveError, SpecError

optimizers = mg.optimizers
GRADIENTS = [np.array(g) for g in ([0.3, -2.0, 0.0], [1.0, 0.5, -0.1], [-0.2, 0.2, 5.0])]


def sgd(g: Any, x: Any, s: Any, t: int) -> Any:
    return x - 0.1 * g


def momentum(g: Any, x: Any, s: Any, t: int) -> Any:
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g
    return x - s["v"]


def nesterov(g: Any, x: Any, s: Any, t: int) -> Any:
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g
    return x - (0.9 * s["v"] + 0.1 * g)


def adam(g: Any, x: Any, s: Any, t: int) -> Any:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
    return x - 0.1 * (s["m"] / (1 - 0.9**t)) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)


def adamw(g: Any, x: Any, s: Any, t: int) -> Any:
    return adam(g, x, s, t) - 0.1 * 0.01 * x


def adagrad(g: Any, x: Any, s: Any, t: int) -> Any:
    s["a"] = s.get("a", 0.1) + g * g
    return x - 0.1 * g / (np.sqrt(s["a"]) + 1e-8)


def rmsprop(g: Any, x: Any, s: Any, t: int) -> Any:
    s["a"] = 0.9 * s.get("a", 0) + 0.1 * g * g
    return x - 0.1 * g / (np.sqrt(s["a"]) + 1e-8)


def rmsprop_momentum(g: Any, x: Any, s: Any, t: int) -> Any:
    s["v"] = 0.5 * s.get("v", 0) + (x - rmsprop(g, x, s, t))
    return x - s["v"]


CASES: dict[str, tuple[Any, Any]] = {
    "sgd": (lambda: optimizers.SGD(0.1), sgd),
    "momentum": (lambda: optimizers.SGD(0.1, momentum=0.9), momentum),
    "nesterov": (lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True), nesterov),
    "adam": (lambda: optimizers.Adam(0.1), adam),
    "adamw": (lambda: optimizers.AdamW(0.1), adamw),
    "adagrad": (lambda: optimizers.Adagrad(0.1), adagrad),
    "rmsprop": (lambda: optimizers.RMSprop(0.1), rmsprop),
    "rmsprop with momentum": (lambda: optimizers.RMSprop(0.1, momentum=0.5), rmsprop_momentum),
}


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("case", CASES)
def test_steps_follow_the_formula(case: str, dtype: Any, rtol: float) -> None:
    make, formula = CASES[case]
    optimizer, slots = make(), {}
    v = mg.Variable(np.array([1.0, -2.0, 3.0], dtype))
    expected = v.numpy().astype(np.float64)
    for t, g in enumerate(GRADIENTS, 1):
        optimizer.apply([mg.constant(g.astype(dtype))], [v])
        expected = formula(g, expected, slots, t)
        np.testing.assert_allclose(v.numpy(), expected, rtol=rtol)
    assert v.dtype == dtype and optimizer.step.numpy() == 3


@pytest.mark.parametrize("case", CASES)
def test_steps_go_downhill_on_complex_numbers_too(case: str) -> None:
    optimizer, z = CASES[case][0](), mg.Variable(np.array([3 + 4j]))
    for _ in range(200):
        with mg.GradientTape() as tape:
            loss = mg.sum(mg.square(mg.abs(z)))
        optimizer.apply([tape.gradient(loss, z)], [z])
    assert abs(z.numpy()[0]) < 4


@pytest.mark.parametrize("case", CASES)
def test_a_restored_optimizer_goes_on_as_the_first_would(case: str) -> None:
    first, v = CASES[case][0](), mg.Variable(np.array([1.0, -2.0, 3.0]))
    first.apply([GRADIENTS[0]], [v])
    state, value = first.state_dict(), v.numpy().copy()
    first.apply([GRADIENTS[1]], [v])
    second, w = CASES[case][0](), mg.Variable(value)
    second.load_state_dict(state, [w])
    second.apply([GRADIENTS[1]], [w])
    np.testing.assert_array_equal(v.numpy(), w.numpy())
    assert second.step.numpy() == 2


@pytest.mark.parametrize("jit", [None, False, True])
def test_a_gradient_that_is_none_in_the_run_of_a_graph_counts_as_zeros(jit: bool | None) -> None:
    """Eagerly the Variable is left alone; a graph has its step, whatever the run brings."""
    optimizer = optimizers.SGD(0.1, momentum=0.5)
    v, w = mg.Variable([1.0]), mg.Variable([1.0])

    def step(rounds: Any) -> None:
        with mg.GradientTape() as tape:
            loss = mg.sum(mg.fori_loop(0, rounds, lambda i, y: y + v, mg.zeros(1)) + w)
        optimizer.apply(tape.gradient(loss, [v, w]), [v, w])

    done = step if jit is None else mg.function(step, jit_compile=jit)
    done(mg.constant(1))
    done(mg.constant(0))
    np.testing.assert_allclose(v.numpy(), [0.9 if jit is None else 0.9 - 0.05], rtol=1e-6)
    np.testing.assert_allclose(w.numpy(), [0.9 - 0.15], rtol=1e-6)


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    optimizer = optimizers.Adam()
    optimizer.build([mg.Variable([1.0])])
    with pytest.raises(SaveError, match=r"missing in it: \['0\.mean', '0\.square'\]"):
        optimizer.load_state_dict({"step": np.int32(5)})
    state = {**optimizer.state_dict(), "step": np.int32(5), "0.square": np.zeros(2, np.float32)}
    with pytest.raises(SaveError, match=r"0\.square was to be loaded from float32\[2\]"):
        optimizer.load_state_dict(state)
    assert optimizer.step.numpy() == 0


def test_slots_are_named_and_not_trainable() -> None:
    optimizer, v = optimizers.Adam(), mg.Variable([1.0], name="w")
    optimizer.build([v])
    assert [x.name for x in optimizer.variables] == ["step", "w/mean", "w/square"]
    assert not any(x.trainable for x in optimizer.variables)


def test_a_gradient_of_none_leaves_its_variable() -> None:
    v, w = mg.Variable([1.0]), mg.Variable([1.0])
    optimizers.SGD(0.5).apply_gradients([(None, v), (mg.ones(1), w)])
    assert (v.numpy(), w.numpy()) == (1.0, 0.5)


def test_steps_that_cannot_be_made_change_nothing() -> None:
    optimizer, v = optimizers.SGD(0.5), mg.Variable([1.0, 2.0], name="w")
    with pytest.raises(GradientError, match=r"no gradient for any of 1 Variables \(w\)"):
        optimizer.apply([None], [v])
    with pytest.raises(SpecError, match=r"a gradient of float32\[1\] for the Variable w"):
        optimizer.apply([mg.ones(1)], [v])
    with pytest.raises(SpecError, match=r"pairs are \(gradient, Variable\), in this order"):
        optimizer.apply_gradients([(v, mg.ones(2))])
    with pytest.raises(SpecError, match="one Variable came twice"):
        optimizer.apply([mg.ones(2), mg.ones(2)], [v, v])
    with pytest.raises(SpecError, match="1 gradients and 2 Variables"):
        optimizer.apply([mg.ones(2)], [v, v])
    with pytest.raises(SpecError, match=r"write apply\(gradients, variables\), or apply_gradients"):
        optimizer.apply([(mg.ones(2), v)])
    assert v.numpy().tolist() == [1, 2] and optimizer.step.numpy() == 0


@pytest.mark.parametrize("jit", [None, False, True])
def test_a_step_without_any_gradient_is_refused_by_the_name_it_was_asked_by(jit: Any) -> None:
    v = mg.Variable([1.0], name="w")
    optimizer = optimizers.SGD(0.1)
    steps = {
        "apply": lambda: optimizer.apply([None], [v]),
        "apply_gradients": lambda: optimizer.apply_gradients([(None, v)]),
    }
    for name, step in steps.items():
        done = step if jit is None else mg.function(step, jit_compile=jit)
        with pytest.raises(GradientError, match=rf"^{name}: no gradient for any of 1 Variables"):
            done()


# learning rates


SCHEDULES: list[tuple[Any, list[tuple[int, float]]]] = [
    (optimizers.Constant(0.3), [(0, 0.3), (9, 0.3)]),
    (optimizers.ExponentialDecay(1.0, 10, 0.25), [(0, 1), (5, 0.5), (20, 0.0625)]),
    (optimizers.ExponentialDecay(1.0, 10, 0.25, staircase=True), [(9, 1), (10, 0.25)]),
    (optimizers.CosineDecay(1.0, 10), [(0, 1), (5, 0.5), (10, 0), (99, 0)]),
    (optimizers.CosineDecay(1.0, 10, final=0.2), [(5, 0.6), (10, 0.2)]),
    (optimizers.Warmup(1.0, 4), [(0, 0.25), (3, 1), (9, 1)]),
    (optimizers.Warmup(optimizers.CosineDecay(1.0, 10), 4), [(1, 0.5), (4, 1), (9, 0.5)]),
]


@pytest.mark.parametrize(("schedule", "points"), SCHEDULES)
def test_schedules(schedule: Any, points: Any) -> None:
    for step, rate in points:
        assert schedule(step).item() == pytest.approx(rate, abs=1e-7)
        assert schedule(mg.constant(step)).item() == pytest.approx(rate, abs=1e-7)


@pytest.mark.parametrize("rate", [optimizers.Constant(0.5), mg.Variable(0.5), mg.constant(0.5)])
def test_a_rate_may_be_a_schedule_or_a_variable(rate: Any) -> None:
    v = mg.Variable(np.array([1.0], np.float64))
    optimizers.SGD(rate).apply([mg.ones(1, dtype=mg.float64)], [v])
    assert v.numpy().tolist() == [0.5]


# clipping


def test_clipping_scales_all_gradients_together() -> None:
    grads = [mg.constant([3.0]), None, mg.constant([[4.0]])]
    clipped, norm = optimizers.clip_by_global_norm(grads, 1.0)
    assert norm.item() == 5 and clipped[1] is None
    np.testing.assert_allclose([clipped[0].item(), clipped[2].item()], [0.6, 0.8], rtol=1e-6)
    same, _ = optimizers.clip_by_global_norm(grads, 10.0)
    assert [same[0].item(), same[2].item()] == [3, 4]
    assert optimizers.global_norm([mg.constant([3j]), mg.constant([4.0])]).item() == 5
    with pytest.raises(SpecError, match="norm=0 came"):
        optimizers.clip_by_global_norm(grads, 0)


# inside functions


@pytest.mark.parametrize("case", CASES)
def test_a_traced_step_makes_its_slots_and_agrees_with_an_eager_one(case: str) -> None:
    def training(make_step: Any) -> Any:
        optimizer, v = CASES[case][0](), mg.Variable(np.array([1.0, -2.0, 3.0]))

        def step(target: Any) -> Any:
            with mg.GradientTape() as tape:
                loss = mg.sum(mg.square(v - target))
            optimizer.apply([tape.gradient(loss, v)], [v])
            return loss

        run = make_step(step)
        return [run(mg.constant(g)).item() for g in GRADIENTS], v.numpy(), optimizer.step.numpy()

    eager, traced = training(lambda f: f), training(mg.function)
    for a, b in zip(eager, traced, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
