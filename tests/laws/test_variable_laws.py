"""The gradient by a Variable that a function only reads is that by a tensor in its place.

However deep it is read: in functions, loops, branches and bodies, for one example or for many,
and with the tape inside of what is traced.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg

Program = Callable[[Any, Any], Any]
EXAMPLES = [-1.0, 0.4, 1.3]


def plain(w: Any, x: Any) -> Any:
    return mg.sin(x * w)


def called(w: Any, x: Any) -> Any:
    return mg.function(lambda x: mg.sin(x * w))(x)


def called_compiled(w: Any, x: Any) -> Any:
    return mg.function(lambda x: mg.sin(x * w), jit_compile=True)(x)


def called_in_called(w: Any, x: Any) -> Any:
    return mg.function(lambda x: called(w, x) * w)(x)


def given(w: Any, x: Any) -> Any:
    return mg.function(lambda w, x: mg.sin(x * w))(w, x)


def scanned(w: Any, x: Any) -> Any:
    return mg.scan(lambda c, t: (mg.sin(c * w + t), c * w), x, mg.constant([0.1, 0.2]))[0]


def counted(w: Any, x: Any) -> Any:
    return mg.fori_loop(0, 3, lambda i, y: mg.sin(y * w), x)


def repeated(w: Any, x: Any) -> Any:
    return mg.while_loop(lambda y: mg.abs(y) < 5.0, lambda y: (y * w + mg.sign(y),), (x,))[0]


def mapped(w: Any, x: Any) -> Any:
    return mg.sum(mg.map(lambda t: mg.sin(t * w * x), mg.constant([0.5, 1.5])))


def chosen(w: Any, x: Any) -> Any:
    return mg.cond(x > 0.0, lambda: mg.sin(x * w), lambda: x * w * w)


def chosen_call(w: Any, x: Any) -> Any:
    return mg.cond(x > 0.0, lambda: called_compiled(w, x), lambda: called(w, x) * w)


def chosen_alike(w: Any, x: Any) -> Any:
    return mg.cond(mg.constant(True), lambda: mg.sin(x * w), lambda: x)


def switched(w: Any, x: Any) -> Any:
    i = mg.astype(x > 0.0, mg.int32)
    return mg.switch(i, [lambda: x * w, lambda: mg.cos(x) * w * w])


def chosen_in_a_loop(w: Any, x: Any) -> Any:
    return mg.fori_loop(0, 3, lambda i, y: chosen(w, y), x)


def python(w: Any, x: Any) -> Any:
    return mg.py_function(lambda x: mg.sin(x * w), [x], mg.float32)


def computed_again(w: Any, x: Any) -> Any:
    return mg.recompute_grad(lambda x: mg.sin(x * w))(x)


def loop_computed_again(w: Any, x: Any) -> Any:
    return mg.recompute_grad(lambda x: counted(w, x))(x)


def mapping_computed_again(w: Any, x: Any) -> Any:
    return mg.recompute_grad(lambda x: mapped(w, x))(x)


PROGRAMS = [
    *(plain, called, called_compiled, called_in_called, given, scanned, counted, repeated, mapped),
    *(chosen, chosen_call, chosen_alike, switched, chosen_in_a_loop, python, computed_again),
    *(loop_computed_again, mapping_computed_again),
]
every_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: str(f.__name__))
every_mode = pytest.mark.parametrize(
    "mode",
    [lambda f: f, mg.function, mg.function(jit_compile=True)],
    ids=["eager", "traced", "jit"],
)


def by_tape(program: Program, w: Any, xs: Any) -> Any:
    """The gradient of a loss of many examples, which has another path to `w` beside them."""
    with mg.GradientTape() as tape:
        if not isinstance(w, mg.Variable):
            tape.watch(w)
        loss = mg.sum(mg.vmap(lambda x: program(w, x))(xs)) + 0.5 * w * w
    return tape.gradient(loss, w)


def one_by_one(program: Program, w: Any, xs: Any) -> Any:
    """The same, of a loss of one example after the other."""
    with mg.GradientTape() as tape:
        if not isinstance(w, mg.Variable):
            tape.watch(w)
        loss = 0.5 * w * w
        for i in range(len(EXAMPLES)):
            loss = loss + program(w, xs[i])
    return tape.gradient(loss, w)


def for_each(program: Program, w: Any, xs: Any) -> Any:
    """A gradient for each example."""

    def one(x: Any) -> Any:
        with mg.GradientTape() as tape:
            if not isinstance(w, mg.Variable):
                tape.watch(w)
            y = program(w, x) + 0.5 * w * w
        return tape.gradient(y, w)

    return mg.vmap(one)(xs)


def twice(program: Program, w: Any, xs: Any) -> Any:
    """A second derivative of the loss of many examples."""
    with mg.GradientTape() as tape:
        if not isinstance(w, mg.Variable):
            tape.watch(w)
        g = by_tape(program, w, xs)
    return tape.gradient(g, w)


def jacobian(program: Program, w: Any, xs: Any) -> Any:
    """The derivatives of what the examples give, in one walk."""
    with mg.GradientTape() as tape:
        if not isinstance(w, mg.Variable):
            tape.watch(w)
        y = mg.vmap(mg.vmap(lambda x: program(w, x)))(mg.stack([xs, xs + 0.1]))
    return tape.jacobian(y, w)


@every_mode
@every_program
@pytest.mark.parametrize("derivative", [by_tape, one_by_one, for_each, twice, jacobian])
def test_a_variable_has_the_gradient_of_a_tensor_in_its_place(
    derivative: Callable[[Program, Any, Any], Any], program: Program, mode: Any
) -> None:
    xs = mg.constant(EXAMPLES)
    expected = derivative(program, mg.constant(1.2), xs)
    variable = mg.Variable(1.2)
    found = mode(lambda xs: derivative(program, variable, xs))(xs)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-5, atol=2e-5)


@every_mode
@every_program
def test_the_gradient_by_a_variable_is_what_differences_say(program: Program, mode: Any) -> None:
    """So that the law above does not hold for two wrong gradients."""
    xs, variable = mg.constant(EXAMPLES), mg.Variable(1.2)

    def loss(w: float) -> float:
        xs_ = [mg.constant(x) for x in EXAMPLES]
        return sum(float(program(mg.constant(w), x)) for x in xs_) + 0.5 * w * w

    slope = (loss(1.2 + 1e-2) - loss(1.2 - 1e-2)) / 2e-2
    found = mode(lambda xs: by_tape(program, variable, xs))(xs)
    np.testing.assert_allclose(found.numpy(), slope, rtol=5e-3, atol=5e-3)
