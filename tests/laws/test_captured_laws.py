"""What a body captures is a Variable or a tensor: its derivatives are the same, in every mode.

Bodies whose derivative runs later by itself, by recomputation or a rule by hand, stand in all that
controls the flow. Tapes are opened inside of the function, so that all of it is one graph.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit
from tests.unit.modes import MODES, everywhere, same

RANDOM = np.random.default_rng(0)
MATRIX = np.eye(3) + 0.2 * RANDOM.normal(size=(3, 3))
X = mg.constant(RANDOM.normal(size=(2, 3)))
TANGENT = mg.constant(RANDOM.normal(size=(2, 3)))
ZERO = mg.constant(0)

Function = Callable[..., Any]

# what a step computes of what it is given, and of what it captures
STEPS: dict[str, Function] = {
    "product": lambda b, w: mg.tanh(b @ w),
    "slice": lambda b, w: mg.sin(b * w[1]),
    "take": lambda b, w: mg.sin(b + mg.take(w, mg.constant([2, 0]), axis=0)),
    "solve": lambda b, w: mg.tanh(mg.linalg.solve(w, b.T).T),
}


def recomputed(step: Function, w: Any) -> Function:
    """`step` of the captured `w`, kept for its gradient by its argument alone."""
    return mg.recompute_grad(lambda b: step(b, w))


def by_hand(step: Function, w: Any) -> Function:
    """`step` of `w`, which is captured if it is a Variable, with a rule that reads it."""

    def pulled(b: Any, w: Any, g: Any) -> list[Any]:
        b, w = mg.identity(b), mg.identity(w)
        with mg.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([b, w])
            y = step(b, w)
        return list(tape.gradient(y, [b, w], g))

    if isinstance(w, mg.Variable):

        @mg.custom_gradient
        def of_variable(b: Any) -> Any:
            def grad(g: Any, variables: Any) -> Any:
                bar, other = pulled(b, w, g)
                return bar, [other]

            return step(b, w), grad

        return of_variable

    @mg.custom_gradient
    def of_tensor(b: Any, w: Any) -> Any:
        return step(b, w), lambda g: pulled(b, w, g)

    return lambda b: of_tensor(b, w)


def in_its_rule_alone(step: Function, w: Any) -> Function:
    """A rule that reads `w`, for a function that does not; no derivative passes to it."""

    @mg.custom_gradient
    def scaled(b: Any) -> Any:
        return mg.sin(b), lambda g, variables=(): g * mg.cos(b) * w[1]

    return lambda b: scaled(b) + step(b, w)


WAYS = {"recomputed": recomputed, "by hand": by_hand, "in its rule alone": in_its_rule_alone}

FRAMES: dict[str, Callable[[Function, Any], Any]] = {
    "none": lambda f, x: f(x),
    "cond": lambda f, x: mg.cond(mg.sum(x) < 1e9, lambda: f(x), lambda: x),
    "switch": lambda f, x: mg.switch(ZERO + 1, [lambda: x, lambda: f(x), lambda: -x]),
    "fori_loop": lambda f, x: mg.fori_loop(0, 2, lambda i, b: f(b), x),
    "while_loop": lambda f, x: mg.while_loop(
        lambda i, b: i < 2, lambda i, b: (i + 1, f(b)), (ZERO, x)
    )[1],
    "scan": lambda f, x: mg.scan(lambda b, t: (f(b) + t, b), x, mg.stack([x, -x]))[0],
    "map": lambda f, x: mg.map(f, mg.stack([x, x * 2])),
    "cond in a loop": lambda f, x: mg.fori_loop(
        0, 2, lambda i, b: mg.cond(i < 1, lambda: f(b), lambda: mg.sin(b)), x
    ),
    "function in a loop": lambda f, x: mg.fori_loop(0, 2, lambda i, b: mg.function(f)(b), x),
}


def first(f: Function, w: Any, x: Any) -> Any:
    """The gradients by what is given and what is captured."""
    with mg.GradientTape() as tape:
        tape.watch([x, w])
        y = mg.sum(f(x))
    return tape.gradient(y, [x, w])


def second(f: Function, w: Any, x: Any) -> Any:
    """The gradients of a sum of squares of gradients."""
    with mg.GradientTape() as tape:
        tape.watch([x, w])
        y = sum(mg.sum(g * g) for g in first(f, w, x))
    return tape.gradient(y, [x, w])


def along(f: Function, w: Any, x: Any) -> Any:
    """The derivative along a direction."""
    return mg.jvp(f, (x,), (TANGENT,))[1]


def curvature(f: Function, w: Any, x: Any) -> Any:
    """The Hessian times a direction."""
    return mg.hvp(lambda x: mg.sum(f(x)), x, TANGENT)


DERIVATIVES = {"first": first, "second": second, "jvp": along, "hvp": curvature}


def expected(way: str, step: str, frame: str) -> dict[str, Any]:
    """The derivatives of a captured tensor, eagerly."""

    def of(name: str) -> Any:
        w = mg.constant(MATRIX)
        f = WAYS[way](STEPS[step], w)
        return DERIVATIVES[name](lambda x: FRAMES[frame](f, x), w, X)

    return {name: of(name) for name in DERIVATIVES}


def found(mode: Any, capture: Any, way: str, step: str, frame: str, order: str) -> Any:
    """A derivative of what is captured, in a function of the mode, as the second call gives it."""
    w = capture(MATRIX)
    f = WAYS[way](STEPS[step], w)
    run = mode(lambda x: DERIVATIVES[order](lambda x: FRAMES[frame](f, x), w, x))
    run(X)
    result = run(X)
    np.testing.assert_array_equal(w.numpy(), MATRIX)
    return result


# what NumPy computes, kernel by kernel, in one loop and one branch
CASES = [
    (step, frame)
    for step in STEPS
    for frame in (FRAMES if step in ("product", "slice") else ("fori_loop", "cond"))
]


@pytest.mark.parametrize(("step", "frame"), CASES)
@pytest.mark.parametrize("way", WAYS)
def test_a_captured_variable_has_the_derivatives_of_a_tensor(
    way: str, step: str, frame: str
) -> None:
    for order, right in expected(way, step, frame).items():
        for mode in MODES.values():
            for capture in (mg.constant, mg.Variable):
                same(found(mode, capture, way, step, frame, order), right, rtol=1e-9)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("way", WAYS)
def test_a_captured_variable_has_them_without_a_compiler(
    way: str, frame: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGRAD_DISABLE_LLVM", "1")
    assert not jit.available()
    for order, right in expected(way, "product", frame).items():
        run = found(MODES["compiled"], mg.Variable, way, "product", frame, order)
        same(run, right, rtol=1e-9)


@everywhere
def test_a_rule_by_hand_reads_a_variable_when_the_gradient_is_asked(mode: Any) -> None:
    w, x, xs = mg.Variable(2.0), mg.constant(0.0), mg.constant([1.0, 2.0])

    @mg.custom_gradient
    def scaled(b: Any) -> Any:
        return b * 1.0, lambda g, variables=(): g * w

    def f(x: Any, xs: Any) -> Any:
        w.assign(2.0)
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.cond(x < 1, lambda: scaled(x), lambda: x)
        slope = tape.gradient(y, x)
        w.assign(mg.exp(x) * 3)  # with what follows, this could run before what is not used there
        return slope, mg.exp(mg.sort(xs * w))

    same(mode(f)(x, xs)[0], 2.0)


@everywhere
def test_random_numbers_are_drawn_again_in_a_loop(mode: Any) -> None:
    def slopes(mode: Any, wrapped: Any) -> Any:
        generator = mg.random.Generator(0)
        step = wrapped(lambda b: mg.nn.dropout(mg.sin(b), 0.5, generator))
        run = mode(mg.grad(lambda x: mg.sum(mg.fori_loop(0, 2, lambda i, b: step(b), x))))
        return [run(mg.ones((64,))) for _ in range(2)]

    same(slopes(mode, mg.recompute_grad), slopes(MODES["eager"], lambda f: f))
