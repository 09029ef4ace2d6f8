"""Reductions and running sums: as NumPy, differentiable twice, at ties and at zeros too."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.core.tensor import tensor_of
from minigrad.errors import SpecError
from minigrad.graph import trace
from minigrad.ops.accumulate import recurrence

X = np.random.default_rng(5).normal(size=(3, 4))
AXES = [None, 0, -1, (0, 1), ()]
SMOOTH = ["sum", "prod", "max", "min", "mean", "var", "std"]
ZEROS = X.copy()
ZEROS[0, 1] = ZEROS[1, 2] = ZEROS[2, 2] = 0  # columns with none, one and two


def gradient(f: Any, *xs: Any) -> Any:
    tensors = [mg.constant(x) for x in xs]
    with mg.GradientTape() as tape:
        tape.watch(tensors)
        y = f(*tensors)
    return [g.numpy() for g in tape.gradient(y, tensors)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", [*SMOOTH, "any", "all", "count_nonzero"])
def test_values_are_those_of_numpy(name: str, axis: Any, keepdims: bool) -> None:
    found = getattr(mg, name)(ZEROS, axis=axis, keepdims=keepdims)
    expected = np.asarray(getattr(np, name)(ZEROS, axis=axis, keepdims=keepdims))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14, strict=True)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "float16", "float32", "complex64"])
@pytest.mark.parametrize("name", [*SMOOTH, "any", "all", "argmax", "argmin"])
def test_dtypes_are_those_of_numpy(name: str, dtype: str) -> None:
    x = np.array([[1, 0, 1], [1, 1, 1]]).astype(dtype)
    found, expected = getattr(mg, name)(x, axis=0), getattr(np, name)(x, axis=0)
    totals = {"bool": "int32", "int8": "int32", "uint32": "uint32"}  # NumPy's have 64 bits
    wanted = totals.get(dtype) if name in ("sum", "prod") else None
    assert found.dtype == getattr(mg, name)(x).dtype == (wanted or expected.dtype)
    np.testing.assert_allclose(found.numpy(), expected)


@pytest.mark.parametrize("axis", [None, 0, (0, 1), ()])
@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_those_of_differences(
    name: str, axis: Any, check_gradients: Any, check_traced: Any
) -> None:
    f = getattr(mg, name)
    check_gradients(lambda x: mg.exp(f(x, axis=axis)), X)
    check_traced(lambda x: f(x, axis=axis), X)
    check_traced(lambda x: f(x, axis=axis, keepdims=True), X)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_the_product_has_derivatives_where_elements_are_0(axis: Any, check_gradients: Any) -> None:
    check_gradients(lambda x: mg.prod(x, axis=axis), ZEROS)
    check_gradients(lambda x: mg.prod(x) * mg.sum(x), np.array([1.0, 0.0, 2.0]))


def test_the_product_over_some_axes_of_three(check_gradients: Any) -> None:
    check_gradients(lambda x: mg.prod(x, axis=(0, 2)), np.stack([ZEROS, X]))


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_derivative_evenly(name: str) -> None:
    sign = 1 if name == "max" else -1
    (g,) = gradient(
        lambda x: getattr(mg, name)(x, axis=1), sign * np.array([[1.0, 3, 3], [5, 2, 1]])
    )
    assert g.tolist() == [[0, 0.5, 0.5], [1, 0, 0]]


def test_the_derivative_of_the_maximum_of_nan_is_finite() -> None:
    (g,) = gradient(mg.max, np.array([1.0, np.nan]))
    assert np.isfinite(g).all()


def test_the_derivative_of_std_is_0_where_it_is_0() -> None:
    (g,) = gradient(lambda x: mg.sum(mg.std(x, axis=1)), np.array([[2.0, 2.0], [1.0, 3.0]]))
    assert g.tolist() == [[0, 0], [-0.5, 0.5]]


@pytest.mark.parametrize("correction", [0, 1, 0.5])
def test_var_is_of_two_passes_and_corrected(correction: float) -> None:
    x = np.array([1e4, 1e4 + 1, 1e4 + 2], np.float32)  # E[x^2] - E[x]^2 would lose all digits
    assert mg.var(x, correction=correction).item() == pytest.approx(2 / (3 - correction))


def test_var_of_complex_numbers_is_real() -> None:
    z = X + 1j * X[::-1]
    np.testing.assert_allclose(mg.var(z, axis=0).numpy(), np.var(z, axis=0), strict=True)
    (g,) = gradient(mg.var, z)
    np.testing.assert_allclose(g, 2 * (z - z.mean()) / z.size)


def test_statistics_of_nothing_are_nan_without_a_warning() -> None:
    assert np.isnan(mg.mean(mg.zeros((0, 2)), axis=0).numpy()).all()
    assert np.isnan(mg.mean(mg.zeros(0)).item())
    assert np.isnan(mg.var(mg.zeros(1), correction=1).item())
    assert mg.sum(mg.zeros(0)).item() == 0
    assert mg.prod(mg.zeros(0)).item() == 1
    assert mg.max(mg.zeros((0, 2)), axis=1).shape == (0,)


def test_means_of_float16_do_not_overflow() -> None:
    assert mg.mean(mg.full(3, 60000, dtype=mg.float16)).item() == np.float16(60000)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_of_extremes(name: str, axis: Any, keepdims: bool) -> None:
    found = getattr(mg, name)(ZEROS, axis=axis, keepdims=keepdims)
    expected = np.asarray(getattr(np, name)(ZEROS, axis=axis, keepdims=keepdims))
    np.testing.assert_array_equal(found.numpy(), expected, strict=True)


@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_running_sums_and_products(
    name: str, initial: bool, check_gradients: Any, check_traced: Any
) -> None:
    def f(x: Any) -> Any:
        return getattr(mg, name)(x, axis=1, include_initial=initial)

    expected = getattr(np, name)(ZEROS, axis=1, include_initial=initial)
    np.testing.assert_allclose(f(ZEROS).numpy(), expected, strict=True)
    check_gradients(lambda x: mg.exp(f(x)), ZEROS)
    check_traced(f, ZEROS)
    assert getattr(mg, name)(np.array([1, 2], np.int8)).dtype == np.int32


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_recurrence_is_the_loop_it_says(axis: int, backwards: bool, check_gradients: Any) -> None:
    a, b = X, ZEROS
    rows = zip(np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0), strict=True)
    y, expected = 0.0, []
    for factor, term in reversed(list(rows)) if backwards else rows:
        y = term + factor * y
        expected.append(y)
    expected = expected[::-1] if backwards else expected
    found = recurrence(a, b, axis=axis, backwards=backwards)
    np.testing.assert_allclose(found.numpy(), np.stack(expected, axis))
    check_gradients(lambda a, b: recurrence(a, b, axis=axis, backwards=backwards), a, b)


REFUSED = {
    "nothing has no extreme": lambda x: mg.max(x[:0], axis=0),
    "max: axis 2 of a tensor with 2 axes": lambda x: mg.max(x, axis=2),
    "argmax, argmin: float32[0,3] along axis None": lambda x: mg.argmax(x[:0]),
    "argmin: axis (0,)": lambda x: mg.argmin(x, axis=(0,)),
    "only one axis goes without saying": lambda x: mg.cumulative_sum(x),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_is_refused_alike_eagerly_and_traced(message: str) -> None:
    with pytest.raises(SpecError) as eager:
        REFUSED[message](mg.zeros((2, 3)))
    with pytest.raises(SpecError) as traced:
        trace(lambda x: [REFUSED[message](x)], [Spec((2, 3), "float32")])
    assert message in str(eager.value)
    assert str(eager.value) == str(traced.value)


def test_of_an_unknown_rank_everything_can_be_reduced() -> None:
    def body(x: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = mg.var(x, keepdims=True) + mg.mean(x) + mg.max(x) * mg.prod(x)
        return [y, tape.gradient(y, x)]

    graph, _ = trace(body, [Spec(None, "float64")])
    x = mg.constant(X)
    for found, expected in zip(
        mg.graph.evaluate(graph, [x, *graph.captures]), body(x), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), strict=True)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((10**6,), 0),
        ((10**5, 8), 0),
        ((10**5, 8), None),
        ((8, 10**5), 1),
        ((300, 400, 7), (0, 1)),
        ((300, 400, 7), (0, 2)),
        ((7, 10**4, 9), 1),
        ((10**5, 1), 0),
    ],
)
def test_sums_of_many_narrow_numbers_are_exact_to_rounding(shape: Any, axis: Any) -> None:
    """Added one by one, they would be wrong by the number of them."""
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    for array in (values, np.asfortranarray(values), values[::-1]):
        x, exact = tensor_of(array), array.astype(np.float64)
        np.testing.assert_allclose(mg.sum(x, axis=axis).numpy(), exact.sum(axis=axis), rtol=1e-6)
        compiled = mg.function(lambda x: mg.sum(x * 1.0, axis=axis), jit_compile=True)
        np.testing.assert_allclose(compiled(x).numpy(), exact.sum(axis=axis), rtol=2e-6)
        shifted = (x + 100).numpy().astype(np.float64)
        np.testing.assert_allclose(mg.var(x + 100, axis=axis).numpy(), shifted.var(axis), rtol=1e-4)
