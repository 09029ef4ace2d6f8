"""Derivatives of compiled loops of known length: loops too, to any order, and just as exact."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit

needs_llvm = pytest.mark.skipif(not jit.available(), reason="without LLVM there is no native code")
STATE = mg.asarray(np.linspace(-1, 1, 12).reshape(3, 4))
MATRIX = mg.asarray(np.linspace(-0.4, 0.5, 16).reshape(4, 4))
SLICES = mg.asarray(np.sin(np.arange(9 * 12.0)).reshape(9, 3, 4))


def rnn(h: Any, w: Any, xs: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = mg.tanh(h @ w + x @ w)
        return h, mg.sum(h, axis=0)

    last, rows = mg.scan(step, h, xs)
    return mg.sum(last) + mg.sum(rows**2)


def gated(h: Any, w: Any, xs: Any) -> Any:
    """Of two that are carried, one has no cotangent after the last round."""

    def step(carry: Any, x: Any) -> Any:
        h, c = carry
        z = h @ w + x
        c = mg.nn.sigmoid(z) * c + mg.tanh(z[:, ::-1])
        h = mg.tanh(c) * mg.nn.sigmoid(x)
        return (h, c), h

    return mg.sum(mg.scan(step, (h, h * 0.5), xs)[1] ** 2)


def delayed(h: Any, w: Any, xs: Any) -> Any:
    """The last rounds have other paths than those before."""

    def step(carry: Any, x: Any) -> Any:
        a, b, c = carry
        return (mg.sin(b @ w) + x, mg.exp(-mg.square(c)), a), c * x

    return mg.sum(mg.scan(step, (h, h * 2, h * 3), xs)[1])


def counted(h: Any, w: Any, xs: Any) -> Any:
    return mg.sum(mg.fori_loop(0, 7, lambda i, h: mg.sin(h @ w) + xs[i], h))


def nested(h: Any, w: Any, xs: Any) -> Any:
    def outer(h: Any, x: Any) -> Any:
        h = mg.fori_loop(0, 3, lambda i, h: mg.tanh(h @ w) + x, h)
        return h, mg.mean(h)

    return mg.sum(mg.scan(outer, h, xs)[1])


def stages(h: Any, w: Any, xs: Any) -> Any:
    """A matrix is used several times in a round, and by itself."""

    def step(h: Any, x: Any) -> Any:
        k = mg.tanh(h @ w)
        k = mg.tanh((h + 0.1 * k) @ w + w[0])
        return h + 0.1 * k, x[0, 0] * mg.sum(w)

    last, rows = mg.scan(step, h, xs)
    return mg.sum(last**2) + mg.sum(rows)


def by_vectors(h: Any, w: Any, xs: Any) -> Any:
    def step(v: Any, x: Any) -> Any:
        v = mg.tanh(w @ v + x[0] @ w)
        return v, v * 2

    return mg.sum(mg.scan(step, h[0], xs)[1] ** 2)


PROGRAMS = (rnn, gated, delayed, counted, nested, stages, by_vectors)


def gradients(f: Any) -> Any:
    return lambda *xs: mg.grad(f, argnums=(0, 1, 2))(*xs)


def assert_alike(found: Any, expected: Any) -> None:
    for x, y in zip(mg.tree.flatten(found)[0], mg.tree.flatten(expected)[0], strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rounds", [1, 2, 3, 9])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_gradients_taken_inside_and_outside_are_those_of_a_python_loop(
    program: Any, rounds: int
) -> None:
    xs = SLICES if program is counted else SLICES[:rounds]
    expected = gradients(program)(STATE, MATRIX, xs)
    compiled = mg.function(program, jit_compile=True)
    inside = mg.function(gradients(program), jit_compile=True)
    assert_alike(inside(STATE, MATRIX, xs), expected)
    assert_alike(gradients(compiled)(STATE, MATRIX, xs), expected)


@needs_llvm
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_no_loop_back_needs_python(program: Any) -> None:
    f = mg.function(gradients(program), jit_compile=True)
    text = f.compiler_ir(STATE, MATRIX, SLICES, stage="program")
    assert " native_loop(" in text and " replay(" not in text and " loop(" not in text


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_second_derivatives_are_those_of_a_python_loop(program: Any) -> None:
    def second(h: Any, w: Any, xs: Any) -> Any:
        return gradients(lambda *ys: sum(mg.sum(g**2) for g in gradients(program)(*ys)))(h, w, xs)

    given = (STATE, MATRIX, SLICES)
    assert_alike(mg.function(second, jit_compile=True)(*given), second(*given))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_matrices_of_derivatives_are_those_of_a_python_loop(program: Any) -> None:
    def hessian(f: Any) -> Any:
        return lambda h: mg.hessian(lambda h: f(h, MATRIX, SLICES))(h)

    def jacobian(f: Any) -> Any:
        return lambda w: mg.jacobian(lambda w: f(STATE, w, SLICES) * w[:, 0])(w)

    compiled = mg.function(program, jit_compile=True)
    for made, x in ((hessian, STATE), (jacobian, MATRIX)):
        expected = made(program)(x)
        assert_alike(mg.function(made(program), jit_compile=True)(x), expected)
        assert_alike(mg.function(made(program))(x), expected)
        assert_alike(made(compiled)(x), expected)


@pytest.mark.parametrize("many", [False, True])
def test_a_hessian_has_as_many_loops_as_two_gradients(many: bool) -> None:
    """One there, one back, and each once more for the way back of both, for all rows."""
    h = STATE if many else STATE[:2, :2]

    def loss(h: Any) -> Any:
        return mg.sum(mg.fori_loop(0, 5, lambda i, h: mg.sin(h) * mg.flip(h), h) ** 2)

    graph = mg.function(mg.hessian(loss), jit_compile=True).graph_for(h)
    assert sum(node.rounds is not None for node in graph.nodes) == 4


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_forward_mode_and_many_examples_agree_with_a_python_loop(program: Any) -> None:
    def along(h: Any, w: Any, xs: Any) -> Any:
        return mg.jvp(program, (h, w, xs), (h * 0.5, w + 1, xs * 2))[1]

    def examples(h: Any, w: Any, xs: Any) -> Any:
        many = mg.stack([h, h * 2, mg.sin(h)])
        return mg.vmap(gradients(program), (0, None, None))(many, w, xs)

    for f in (along, examples):
        given = (STATE, MATRIX, SLICES)
        assert_alike(mg.function(f, jit_compile=True)(*given), f(*given))


def test_what_has_no_cotangent_yet_is_no_zero_to_be_multiplied() -> None:
    """The slope of the square root is infinite in the last round, where nothing depends on it."""

    def f(x: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            return mg.sqrt(c - 1.0), c

        return mg.sum(mg.scan(step, x, length=2)[1])

    x = mg.constant([5.0 - 2.0, 2.0])  # 2 becomes 1, and 1 becomes 0
    slope = mg.function(mg.grad(f), jit_compile=True)(x)
    np.testing.assert_allclose(slope.numpy(), mg.grad(f)(x).numpy())
    assert np.isfinite(slope.numpy()).all()


def test_a_sum_over_rounds_of_nothing_but_negative_zeros_is_one() -> None:
    def slopes(h: Any, w: Any) -> Any:
        def loss(h: Any, w: Any) -> Any:
            return mg.sum(mg.fori_loop(0, 5, lambda i, h: h + w * w, h) * -0.0)

        return mg.grad(loss, argnums=(0, 1))(h, w)

    for mode in (slopes, mg.function(slopes), mg.function(slopes, jit_compile=True)):
        for g in mode(mg.ones(3), mg.ones(3)):
            assert np.all(np.signbit(g.numpy()))


def test_a_body_of_float16_sums_as_it_would_round_by_round() -> None:
    given = [mg.astype(x, mg.float16) for x in (STATE, MATRIX, SLICES)]
    expected = gradients(rnn)(*given)
    found = mg.function(gradients(rnn), jit_compile=True)(*given)
    for x, y in zip(found, expected, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=2e-2, atol=2e-2)


@needs_llvm
def test_what_a_round_adds_to_a_matrix_is_one_product_behind_the_loop() -> None:
    f = mg.function(gradients(rnn), jit_compile=True)
    text = f.compiler_ir(STATE, MATRIX, SLICES, stage="optimized")
    back = text[text.index("def gradient_of_scan_body") :]
    body, program = back[: back.index("def lambda")], back[back.index("def lambda") :]
    assert "[4,4]" not in body.split("return")[1] and "matrix_product" in program


@needs_llvm
def test_a_loop_takes_what_all_rounds_share_once() -> None:
    def f(h: Any, w: Any) -> Any:
        return mg.scan(lambda h, x: (h * w + x, None), h, mg.broadcast_to(w, (50, 3, 4)))[0]

    w = STATE * 0.1
    compiled = mg.function(f, jit_compile=True)
    assert "scanned=0" in compiled.compiler_ir(STATE, w, stage="optimized")
    assert_alike([compiled(STATE, w)], [f(STATE, w)])


@needs_llvm
def test_a_loop_does_without_what_nobody_uses() -> None:
    def f(h: Any, xs: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            h, n = carry
            return (mg.tanh(h + x[0]), n + mg.sum(x[1])), (h * 2, mg.exp(n))

        return mg.scan(step, (h, mg.sum(h)), (xs, xs))[0][0]

    compiled = mg.function(f, jit_compile=True)
    text = compiled.compiler_ir(STATE, SLICES, stage="optimized")
    assert "carried=1, scanned=1" in text and "exp" not in text
    assert_alike([compiled(STATE, SLICES)], [f(STATE, SLICES)])


@needs_llvm
def test_a_variable_that_rounds_read_is_read_before_them() -> None:
    weight = mg.Variable(MATRIX)

    def loss(h: Any, xs: Any) -> Any:
        return (
            rnn(h, weight * 1, xs)
            + mg.while_loop(
                lambda n, x: n < mg.astype(mg.sum(weight) * 0, mg.int32) + 3,
                lambda n, x: (n + 1, x * mg.sum(weight)),
                (mg.constant(0), mg.constant(1.0, dtype=mg.float64)),
            )[1]
        )

    @mg.function(jit_compile=True)
    def train(h: Any, xs: Any) -> Any:
        with mg.GradientTape() as tape:
            y = loss(h, xs)
        g = tape.gradient(y, weight)
        weight.assign_sub(0.1 * g)
        return y, g

    for _ in range(3):
        with mg.GradientTape() as tape:
            expected = loss(STATE, SLICES)
        slope = tape.gradient(expected, weight)
        before = weight.numpy().copy()
        found, g = train(STATE, SLICES)
        assert_alike([found, g], [expected, slope])
        np.testing.assert_allclose(weight.numpy(), before - 0.1 * g.numpy())


@pytest.mark.parametrize("columns", [0, 1])
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_rounds_of_nothing_have_gradients_of_nothing(columns: int, rows: int, count: int) -> None:
    def f(w: Any, xs: Any, b: Any) -> Any:
        return mg.sum(mg.scan(lambda c, x: (mg.tanh(x[None] @ w + b + c), None), b * 0, xs)[0])

    shapes = (rows, columns), (count, rows), (1, columns)
    xs = [np.sin(np.arange(float(np.prod(shape))).reshape(shape)) for shape in shapes]
    gradient = mg.grad(f, argnums=(0, 1, 2))
    for g, expected in zip(
        mg.function(gradient, jit_compile=True)(*xs), gradient(*xs), strict=True
    ):
        if g is None or expected is None:  # where there was no round, nothing came through
            continue
        assert g.shape == expected.shape
        np.testing.assert_allclose(g, expected, rtol=1e-12)
