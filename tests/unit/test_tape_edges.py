"""Derivatives at kinks, ties, infinities and of nothing; and whole Jacobians."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GradientError
from tests.unit.modes import everywhere, same


def vector(*numbers: float) -> Any:
    return mg.constant(list(map(float, numbers)))


# ties and edges


@everywhere
def test_ties_of_reductions_share_and_those_of_maximum_go_to_the_first(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            high, low = mg.max(x), mg.min(x)
        with mg.GradientTape(persistent=True) as pairs:
            a, b = x * 1.0, x * 1.0
            pairs.watch([a, b])
            first, last = mg.maximum(a, b), mg.minimum(a, b)
        return (
            tape.gradient(high, x),
            tape.gradient(low, x),
            pairs.gradient(first, [a, b]),
            pairs.gradient(last, [a, b]),
        )

    share, one, zero = np.full(2, 0.5), np.ones(2), np.zeros(2)
    same(mode(body)(vector(3, 3)), (share, share, [one, zero], [one, zero]))


@everywhere
def test_kinks_have_the_derivative_that_was_settled(mode: Any) -> None:
    def slope(f: Any, x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)

    def body(x: Any) -> Any:
        kinks = (mg.abs, lambda z: mg.clip(z, 0.0, 1.0), lambda z: mg.clip(z, -1.0, 0.0), mg.sign)
        return [slope(f, x) for f in (*kinks, mg.floor, mg.round, lambda z: z > 0, mg.argmax)]

    none = [None] * 4
    same(mode(body)(vector(0)), [np.array([n]) for n in (0.0, 1.0, 1.0, 0.0)] + none)


@everywhere
def test_corners_have_the_derivative_that_was_settled(mode: Any) -> None:
    def slope(f: Any, *xs: Any) -> Any:
        return mg.grad(lambda *xs: mg.sum(f(*xs)), tuple(range(len(xs))))(*xs)

    zero, twos = vector(0), vector(2, 2)
    window = mg.zeros((1, 2, 2, 1), dtype=mg.float64)
    corners = [
        (mg.linalg.vector_norm, (vector(0, 0),), [[0, 0]]),
        (mg.std, (twos,), [[0, 0]]),
        (mg.hypot, (zero, zero), [[0], [0]]),
        (mg.atan2, (zero, zero), [[0], [0]]),
        (mg.nn.relu, (zero,), [[0]]),
        (lambda x: mg.nn.leaky_relu(x, 0.25), (zero,), [[0.25]]),
        (lambda x: mg.sort(x, descending=True) * vector(3, 5), (twos,), [[3, 5]]),
        (lambda x: mg.nn.max_pool2d(x, 2), (window,), [np.full((1, 2, 2, 1), 0.25)]),
    ]
    for f, xs, expected in corners:
        found = mode(lambda *xs, f=f: slope(f, *xs))(*xs)
        for g, values in zip(found, expected, strict=True):
            np.testing.assert_array_equal(g, values)


@everywhere
def test_powers_of_0_and_to_0_have_all_their_derivatives(mode: Any) -> None:
    def derivatives(x: Any, y: Any) -> Any:
        by_x, by_y = (lambda x, y, i=i: mg.grad(mg.pow, i)(x, y) for i in (0, 1))
        return [by_x(x, y), by_y(x, y), mg.grad(by_x, 1)(x, y), mg.grad(by_y, 0)(x, y)]

    for (x, y), expected in {
        (0.5, 0.0): [0, np.log(0.5), 2, 2],
        (0.0, 2.0): [0, 0, 0, 0],
        (3.0, 2.0): [6, 9 * np.log(3), 3 + 6 * np.log(3), 3 + 6 * np.log(3)],
    }.items():
        found = mode(derivatives)(mg.asarray(np.float64(x)), mg.asarray(np.float64(y)))
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    at_corner = mode(derivatives)(mg.asarray(np.float64(0)), mg.asarray(np.float64(0)))
    assert [g.item() for g in at_corner[:2]] == [0, 0]


@everywhere
def test_zero_times_infinity_is_avoided_where_the_mathematics_is_finite(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            root = mg.sum(mg.sqrt(x) * 0.0)
            with np.errstate(divide="ignore"):
                branch = mg.sum(mg.where(x > 0, mg.log(x), x))
        return tape.gradient(root, x), tape.gradient(branch, x)

    same(mode(body)(vector(0, 4)), (np.zeros(2), np.array([1.0, 0.25])))


@everywhere
def test_nan_passes_through(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return y, tape.gradient(y, x)

    y, dy = mode(body)(vector(np.nan, 1))
    same(y, np.array([np.nan, 1.0]))
    same(dy, np.array([np.nan, 2.0]))


@everywhere
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0)])
def test_gradients_of_scalars_and_of_nothing_have_their_shape(mode: Any, shape: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.sum(mg.exp(x) * 2.0)
        return y, tape.gradient(y, x)

    y, dy = mode(body)(mg.zeros(shape))
    assert (y.shape, dy.shape, dy.dtype) == ((), shape, mg.float32)


def test_a_chain_of_twenty_thousand_ops_is_walked_without_recursion() -> None:
    x = mg.constant(1.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = x
        for _ in range(20_000):
            y = y + x
    assert tape.gradient(y, x).item() == 20_001


# jacobians


@everywhere
def test_jacobian_has_the_axes_of_target_then_source(mode: Any) -> None:
    def body(x: Any, w: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch([x, w])
            y = mg.matmul(w, x)
        return tape.jacobian(y, {"x": x, "w": w})

    w = np.arange(6.0).reshape(2, 3)
    x = np.array([1.0, 2.0, 3.0])
    found = mode(body)(mg.constant(x), mg.constant(w))
    same(found["x"], w)
    same(found["w"], np.einsum("ij,k->ijk", np.eye(2), x))


@everywhere
def test_jacobian_without_a_path(mode: Any) -> None:
    def body(x: Any, u: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch([x, u])
            y = x * x
        with pytest.raises(GradientError, match="no recorded op"):
            tape.jacobian(y, u, unconnected_gradients="raise")
        return tape.jacobian(y, [x, u]), tape.jacobian(y, u, unconnected_gradients="zero")

    found = mode(body)(vector(1, 2), vector(1, 2, 3))
    same(found, ([np.diag([2.0, 4.0]), None], np.zeros((2, 3))))


def test_jacobian_of_a_scalar_and_of_nothing() -> None:
    x = vector(1, 2)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = mg.sum(x * x)
        empty = mg.zeros((0, 2)) * x
    same(tape.jacobian(y, x), np.array([2.0, 4.0]))
    assert tape.jacobian(empty, x).shape == (0, 2, 2)


@everywhere
def test_batch_jacobian_is_the_diagonal_of_the_jacobian(mode: Any) -> None:
    def body(x: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = mg.stack([x[:, 0] * x[:, 1], x[:, 1] ** 2], axis=1)
        return tape.batch_jacobian(y, x), tape.jacobian(y, x)

    x = np.arange(1.0, 7.0).reshape(3, 2)
    blocks, whole = mode(body)(mg.constant(x))
    assert blocks.shape == (3, 2, 2)
    same(blocks, np.einsum("ijik->ijk", np.asarray(whole)))


def test_batch_jacobian_without_a_path() -> None:
    x, u = mg.ones((2, 3)), mg.ones((2, 2))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([x, u])
        y = x * x
    assert tape.batch_jacobian(y, u) is None
    zeros = tape.batch_jacobian(y, u, unconnected_gradients="zero")
    same(zeros, np.zeros((2, 3, 2)))
    with pytest.raises(GradientError, match="no recorded op"):
        tape.batch_jacobian(y, u, unconnected_gradients="raise")


def test_batch_jacobian_of_different_batches_is_refused() -> None:
    x = mg.ones((2, 3))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, scalar = mg.sum(x, axis=0), mg.sum(x)
        nothing = x[:, :0]
    with pytest.raises(GradientError, match=r"float32\[3\] by float32\[2,3\]: both begin with"):
        tape.batch_jacobian(y, x)
    with pytest.raises(GradientError, match="both begin with"):
        tape.batch_jacobian(scalar, x)
    assert tape.batch_jacobian(nothing, x).shape == (2, 0, 3)


def test_a_jacobian_of_unknown_length_says_what_to_declare() -> None:
    @mg.function(input_signature=[mg.TensorSpec((None,))])
    def f(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return tape.jacobian(y, x)

    with pytest.raises(GradientError, match=r"float32\[\?\].*known"):
        f(vector(1, 2))

    @mg.function(input_signature=[mg.TensorSpec((None, 2))])
    def g(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return tape.batch_jacobian(y, x)

    with pytest.raises(GradientError, match=r"float32\[\?,2\].*known"):
        g(mg.ones((3, 2)))


@pytest.mark.parametrize("wrap", [lambda f: f, mg.function])
def test_a_persistent_tape_records_what_it_is_asked_inside_its_own_block(wrap: Any) -> None:
    @wrap
    def penalty(x: Any) -> Any:
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(x)
            g = tape.gradient(x * x * x, x)
            squared, product = g * g, g * x
        return tape.gradient(squared, x), tape.gradient(product, x)

    found = [float(y) for y in penalty(mg.constant(3.0, mg.float64))]
    assert found == [36 * 3.0**3, 9 * 3.0**2]


@pytest.mark.parametrize("made", [lambda f: f, mg.function, mg.function(jit_compile=True)])
@pytest.mark.parametrize("f", [mg.special.erf, mg.special.gammaln, mg.exp, mg.sinh])
def test_rules_do_not_run_for_booleans_and_integers(made: Any, f: Any) -> None:
    """They need not be defined for them: -x is not, for a boolean."""
    x = mg.constant([1.0, 2.0])
    for cut in (lambda x: x > 1, lambda x: mg.astype(x, mg.uint8), lambda x: mg.sort(x > 1)):
        assert mg.grad(made(lambda x, cut=cut: mg.sum(f(cut(x)))))(x) is None


def test_a_jacobian_in_progress_makes_the_tape_no_more_persistent_than_it_is():
    seen = []

    @mg.custom_gradient
    def double(x):
        return x * 2, lambda g: seen.append(tape.persistent) or g * 2

    x = mg.constant([1.0, 2.0])
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = double(x)
    np.testing.assert_array_equal(tape.jacobian(y, x).numpy(), 2 * np.eye(2))
    assert seen == [False, False]
    with pytest.raises(mg.errors.GradientError, match="a second gradient"):
        tape.gradient(y, x)
