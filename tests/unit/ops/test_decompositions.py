"""Decompositions, solutions and their derivatives: values, named results, and what has none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import linalg
from minigrad.core.registry import OPS
from minigrad.errors import DegenerateError, GradientError, LinAlgError, SpecError
from minigrad.saved_model.model import dumped, loaded

RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(2, 4, 4))
COMPLEX = SQUARE + 1j * RNG.normal(size=(2, 4, 4))
DEFINITE = SQUARE @ SQUARE.swapaxes(-1, -2) + np.eye(4)
Function = Callable[..., Any]


def gradient(f: Function, x: Any) -> Any:
    """Of the sum of the real parts of what `f` gives."""
    x = mg.constant(x)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.sum(mg.real(f(x)))
    return tape.gradient(y, x)


# values


@pytest.mark.parametrize("x", [SQUARE, COMPLEX], ids=["real", "complex"])
def test_results_are_those_of_numpy(x: Any) -> None:
    def same(found: Any, expected: Any) -> None:
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)

    hermitian = x + x.swapaxes(-1, -2).conj()
    same(linalg.inv(x), np.linalg.inv(x))
    same(linalg.det(x), np.linalg.det(x))
    same(linalg.pinv(x[:, :3]), np.linalg.pinv(x[:, :3]))
    same(linalg.svdvals(x), np.linalg.svdvals(x))
    same(linalg.eigvalsh(hermitian), np.linalg.eigvalsh(hermitian))
    same(linalg.eigvals(x), np.linalg.eig(x).eigenvalues)
    same(linalg.matrix_power(x, 5), np.linalg.matrix_power(x, 5))
    same(linalg.matrix_power(x, -3), np.linalg.matrix_power(x, -3))
    same(linalg.matrix_power(x, 0), np.linalg.matrix_power(x, 0))
    for found, expected in zip(linalg.slogdet(x), np.linalg.slogdet(x), strict=True):
        same(found, expected)
    for found, expected in zip(linalg.qr(x), np.linalg.qr(x), strict=True):
        same(found, expected)


@pytest.mark.parametrize("shape", [(4, 4), (4, 2), (2, 4), (3, 0), (0, 3), (0, 0), (2, 3, 2)])
@pytest.mark.parametrize("full", [True, False])
def test_factors_multiply_to_what_they_are_of(shape: Any, full: bool) -> None:
    x = RNG.normal(size=shape) + 1j * RNG.normal(size=shape)
    k = min(shape[-2:])
    u, s, vh = linalg.svd(x, full_matrices=full)
    expected = np.linalg.svd(x, full_matrices=full)
    assert [y.shape for y in (u, s, vh)] == [y.shape for y in expected]
    np.testing.assert_allclose((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], x, atol=1e-13)
    np.testing.assert_allclose(
        u.mT @ mg.conj(u),
        np.broadcast_to(np.eye(u.shape[-1]), (*shape[:-2], u.shape[-1], u.shape[-1])),
        atol=1e-13,
    )
    mode = "complete" if full else "reduced"
    q, r = linalg.qr(x, mode=mode)
    assert [q.shape, r.shape] == [y.shape for y in np.linalg.qr(x, mode=mode)]
    np.testing.assert_allclose(q @ r, x, atol=1e-13)


def test_eigenvectors_have_the_phase_that_is_promised() -> None:
    for values, v in (linalg.eigh(COMPLEX + COMPLEX.swapaxes(-1, -2).conj()), linalg.eig(COMPLEX)):
        v = v.numpy()
        first = np.argmax(np.abs(v) >= 0.3 * np.abs(v).max(-2, keepdims=True), axis=-2)
        pivot = np.take_along_axis(v, first[..., None, :], -2)
        assert np.all(np.abs(pivot.imag) < 1e-15) and np.all(pivot.real > 0)
        assert values.shape == (2, 4)
    assert linalg.eig(DEFINITE).eigenvalues.dtype == mg.complex128


def test_what_has_several_results_names_them() -> None:
    x = mg.constant(DEFINITE)
    results = [linalg.eigh(x), linalg.eig(x), linalg.qr(x), linalg.slogdet(x), linalg.svd(x)]
    assert [type(y).__name__ for y in results] == [
        *("EighResult", "EigResult", "QRResult", "SlogdetResult", "SVDResult")
    ]
    assert [y._fields for y in results] == [
        *[("eigenvalues", "eigenvectors")] * 2,
        *[("Q", "R"), ("sign", "logabsdet"), ("U", "S", "Vh")],
    ]
    compiled = mg.function(linalg.svd, jit_compile=True)(x)
    assert type(compiled) is linalg.SVDResult


def test_solve_takes_a_vector_for_all_matrices_or_matrices() -> None:
    for shape in ((4,), (4, 1), (4, 3), (2, 4, 3), (5, 1, 4, 3)):
        b = RNG.normal(size=shape)
        found = linalg.solve(SQUARE, b)
        np.testing.assert_allclose(found, np.linalg.solve(SQUARE, b), rtol=1e-9)
    # not a stack of vectors: the standard's rule
    assert linalg.solve(np.eye(2)[None], np.ones((2, 2))).shape == (1, 2, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("shape", [(2, 150, 1), (150, 7), (3, 1, 150, 4)])
@pytest.mark.parametrize("upper", [False, True])
def test_large_triangles_are_solved_as_well_as_any_matrix(
    upper: bool, shape: tuple[int, ...], dtype: str
) -> None:
    full = RNG.normal(size=(2, 150, 150)) + 1j * RNG.normal(size=(2, 150, 150))
    full = full if dtype == "complex64" else full.real
    diagonal = 40 * np.eye(150)
    x = ((np.triu(full) if upper else np.tril(full)) + diagonal).astype(dtype)
    b = RNG.normal(size=shape).astype(dtype)
    found = linalg.solve(x, b)
    expected = np.linalg.solve(x, b)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("upper", [False, True])
def test_a_large_triangle_with_a_zero_on_its_diagonal_is_singular(upper: bool) -> None:
    x = np.triu(np.ones((150, 150))) if upper else np.tril(np.ones((150, 150)))
    x[70, 70] = 0
    with pytest.raises(LinAlgError, match=r"solve: .* is singular"):
        linalg.solve(x, np.ones(150))


def test_a_number_on_the_other_side_of_the_diagonal_counts() -> None:
    x = np.tril(RNG.normal(size=(120, 120))) + 40 * np.eye(120)
    for place, value in (((3, 100), 5.0), ((60, 61), -2.0), ((0, 119), np.nan)):
        other = x.copy()
        other[place] = value
        b = np.ones((120, 2))
        np.testing.assert_allclose(linalg.solve(other, b), np.linalg.solve(other, b), rtol=1e-9)


def test_triangles_of_cholesky() -> None:
    lower, upper = linalg.cholesky(DEFINITE), linalg.cholesky(DEFINITE, upper=True)
    np.testing.assert_allclose(lower @ lower.mT, DEFINITE, rtol=1e-12)
    np.testing.assert_array_equal(upper, lower.mT)
    one_by_one = mg.vmap(linalg.cholesky)(mg.constant(DEFINITE))
    np.testing.assert_array_equal(one_by_one, lower)


def test_rank_and_tolerance() -> None:
    x = np.diag([1.0, 1e-3, 0.0])
    assert linalg.matrix_rank(x).numpy() == 2
    assert linalg.matrix_rank(x, rtol=1e-2).numpy() == 1
    several = linalg.matrix_rank(x, rtol=mg.constant([1e-2, 1e-4, 2.0]))
    assert several.numpy().tolist() == [1, 2, 0]
    np.testing.assert_allclose(linalg.pinv(x, rtol=1e-2), np.diag([1.0, 0, 0]))
    traced = mg.function(
        linalg.matrix_rank, input_signature=[mg.TensorSpec((None, None), "float64")]
    )
    assert traced(x).numpy() == 2
    assert linalg.matrix_rank(np.zeros((2, 0, 3))).numpy().tolist() == [0, 0]


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("keepdims", [True, False])
def test_every_norm_of_matrices(ord: Any, keepdims: bool) -> None:
    found = linalg.matrix_norm(COMPLEX, ord=ord, keepdims=keepdims)
    expected = np.linalg.matrix_norm(COMPLEX, ord=ord, keepdims=keepdims)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected)
    again = linalg.norm(COMPLEX, ord, axis=(1, 2), keepdims=keepdims)
    np.testing.assert_allclose(again, expected)


@pytest.mark.parametrize("ord", [1, 2, 2.5, 3, np.inf])
def test_norms_at_0_have_the_gradient_0(ord: float) -> None:
    found = gradient(lambda x: linalg.vector_norm(x, ord=ord), np.zeros(3))
    assert found.numpy().tolist() == [0, 0, 0]
    assert linalg.vector_norm(np.zeros(0), ord=ord).numpy() == 0


# derivatives


OF_SQUARE: dict[str, Function] = {
    "inv": linalg.inv,
    "det": linalg.det,
    "slogdet": lambda x: linalg.slogdet(x).logabsdet,
    "cholesky": linalg.cholesky,
    "eigh": lambda x: linalg.eigh(x).eigenvectors ** 3,
    "eig": lambda x: mg.real(linalg.eig(x).eigenvectors) ** 3,
    "svd": lambda x: linalg.svd(x).U ** 3,
    "full svd": lambda x: linalg.svd(x[..., :2], full_matrices=True).U[..., :2],
    "qr": lambda x: linalg.qr(x).Q ** 3,
    "complete qr": lambda x: linalg.qr(x[..., :2, :], mode="complete").R,
    "tall qr": lambda x: linalg.qr(x[..., :2], mode="complete").R,
    "pinv": lambda x: linalg.pinv(x[..., :2]),
    "solve": lambda x: linalg.solve(x, x[..., 0, :]),
    "power": lambda x: linalg.matrix_power(x, 3),
    "nuclear norm": lambda x: linalg.matrix_norm(x, ord="nuc"),
    "trace": lambda x: linalg.trace(x @ x, offset=1),
}
ONE = DEFINITE[0] + np.diag([0.0, 1, 2, 3])


@pytest.mark.parametrize("name", OF_SQUARE)
def test_derivatives_traced_with_dims_unknown(name: str, check_traced: Any) -> None:
    check_traced(OF_SQUARE[name], ONE)


@pytest.mark.parametrize("name", OF_SQUARE)
def test_compiled_saved_and_loaded_with_gradients(name: str) -> None:
    f = mg.function(OF_SQUARE[name], jit_compile=True)
    f.get_concrete_function(mg.constant(ONE))
    again = loaded(dumped(f))
    expected = gradient(OF_SQUARE[name], ONE).numpy()
    for g in (f, again):
        np.testing.assert_allclose(g(mg.constant(ONE)), OF_SQUARE[name](ONE), atol=1e-11)
        np.testing.assert_allclose(gradient(g, ONE).numpy(), expected, atol=1e-10)


def test_the_determinant_of_a_singular_matrix_has_a_derivative() -> None:
    x = np.array([[1.0, 2, 3], [4, 5, 6], [5, 7, 9]])
    cofactors = [[3, -6, 3], [3, -6, 3], [-3, 6, -3]]
    np.testing.assert_allclose(gradient(linalg.det, x).numpy(), cofactors, atol=1e-12)
    np.testing.assert_allclose(gradient(linalg.det, np.zeros((1, 1))).numpy(), [[1]])
    nearly = x + 1e-15 * np.eye(3)
    np.testing.assert_allclose(gradient(linalg.det, nearly).numpy(), cofactors, atol=1e-12)


def turned(values: Any) -> Any:
    """A symmetric matrix with these eigenvalues, and no zeros to help rounding."""
    q = np.linalg.qr(SQUARE[0])[0]
    return (q * values) @ q.T


@pytest.mark.parametrize("x", [np.eye(4), turned([1.0, 1, 2, 3])], ids=["identity", "turned"])
def test_vectors_of_equal_eigenvalues_have_no_derivative_and_say_so(x: Any) -> None:
    for f in (lambda x: linalg.eigh(x).eigenvectors, lambda x: linalg.eig(x).eigenvectors):
        with pytest.raises(DegenerateError, match="two of their values are equal"):
            gradient(f, x)
    # a function of the matrix that is smooth: its derivative goes through 0 / 0, and is refused

    def exponential(x: Any) -> Any:
        values, v = linalg.eigh(x)
        return (v * mg.exp(values)) @ v.mT

    for mode in (lambda f: f, mg.function, mg.function(jit_compile=True)):
        with pytest.raises(DegenerateError):
            gradient(mode(exponential), x)
    with pytest.raises(DegenerateError):
        mg.jvp(exponential, [mg.constant(x)], [mg.ones_like(mg.constant(x))])


def test_other_vectors_have_their_derivative_all_the_same(check_gradients: Any) -> None:
    x = turned([1.0, 1, 2, 3])
    check_gradients(lambda x: linalg.eigh(x).eigenvectors[:, 2:], x, second=False)
    check_gradients(lambda x: mg.sum(linalg.eigvalsh(x) ** 2), x, second=False)
    tall = turned([0.0, 0, 2, 3])[:, :3]
    check_gradients(lambda x: linalg.svd(x).U[:, :1], tall, second=False)


def test_vectors_whose_cotangent_happens_to_be_0_are_not_taken_for_unused() -> None:
    """Of equal eigenvalues, the first derivative is 0; the second does not exist."""

    def first(x: Any) -> Any:
        return gradient(lambda x: linalg.eigh(x).eigenvectors[0, 1] ** 2, x)

    with mg.GradientTape() as tape:
        x = mg.constant(np.eye(2))
        tape.watch(x)
        y = mg.sum(first(x))
    with pytest.raises(DegenerateError):
        tape.gradient(y, x)
    quotients, values, unused = mg.ones((2, 2)), mg.ones(2), mg.zeros((2, 2))
    with mg.GradientTape() as tape:
        tape.watch(quotients)
        z = OPS["over_gaps"](quotients, values, unused)
    assert z.numpy().tolist() == [[0, 0], [0, 0]]
    with pytest.raises(DegenerateError):
        tape.gradient(z, quotients)


def test_vectors_of_the_singular_value_0_have_no_derivative() -> None:
    x = np.outer([1.0, 2, 3], [4.0, 5])
    with pytest.raises(DegenerateError):
        gradient(lambda x: linalg.svd(x, full_matrices=False).U, x)
    found = gradient(linalg.svdvals, x).numpy()
    assert np.all(np.isfinite(found))


def test_columns_that_only_fill_up_a_basis_have_no_derivative() -> None:
    x = RNG.normal(size=(4, 2))
    for f in (
        lambda x: linalg.svd(x).U,
        lambda x: linalg.svd(x.mT).Vh,
        lambda x: linalg.qr(x, mode="complete").Q,
    ):
        with pytest.raises(DegenerateError, match="only fill up the basis"):
            gradient(f, x)


def test_qr_of_columns_that_depend_on_each_other_has_no_derivative() -> None:
    for x in (np.ones((3, 2)), np.outer(SQUARE[0, 0], SQUARE[0, 1]), np.zeros((2, 2))):
        with pytest.raises(DegenerateError, match="depend on each other"):
            gradient(lambda x: linalg.qr(x).Q, x)
    # columns of very different lengths are no reason
    assert np.all(np.isfinite(gradient(lambda x: linalg.qr(x).R, np.diag([1.0, 1e-20])).numpy()))


# what is refused


def test_errors_are_of_types_that_users_catch() -> None:
    assert issubclass(LinAlgError, np.linalg.LinAlgError) and issubclass(LinAlgError, ValueError)
    assert issubclass(DegenerateError, (GradientError, LinAlgError))


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (linalg.inv, np.ones((2, 2)), r"inv: float64\[2,2\] came, and one of the matrices is sing"),
        (lambda x: linalg.solve(x, x), np.ones((2, 2)), "solve: .* is singular"),
        (linalg.cholesky, -np.eye(2), "cholesky: .* not positive definite"),
        (linalg.svd, np.full((2, 2), np.nan), "svd: .* found no end: there is an inf or a nan"),
        (linalg.eig, np.full((2, 2), np.inf), "eig: .* found no end"),
    ],
)
def test_values_without_such_a_result_are_refused_in_every_mode(
    f: Function, x: Any, message: str
) -> None:
    for mode in (lambda f: f, mg.function, mg.function(jit_compile=True)):
        with pytest.raises(LinAlgError, match=message):
            mode(f)(mg.constant(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linalg.inv(mg.ones((2, 3))), r"inv: float32\[2,3\] .* must be square"),
        (lambda: linalg.svd(mg.ones(3)), r"svd: float32\[3\] came; a matrix has two axes"),
        (lambda: linalg.det(mg.ones((2, 2), dtype=mg.int32)), "det: int32.* cast with mg.astype"),
        (lambda: linalg.eigh(mg.ones((2, 2), dtype=mg.float16)), "eigh: float16"),
        (lambda: linalg.solve(mg.eye(2), mg.ones((3, 1))), "solve: .* as many rows"),
        (lambda: linalg.qr(mg.eye(2), mode="raw"), 'write "reduced" or "complete"'),
        (lambda: linalg.matrix_power(mg.eye(2), 0.5), "n is an int"),
        (lambda: linalg.pinv(mg.ones((3, 2, 2)), rtol=mg.ones(2)), "do not broadcast"),
        (lambda: linalg.pinv(mg.eye(2), rtol=mg.constant(1)), "pinv: rtol int32"),
        (lambda: linalg.matrix_norm(mg.eye(2), ord=3), "matrix_norm: ord=3 came"),
        (lambda: linalg.vector_norm(mg.ones(2), ord="fro"), "vector_norm: ord='fro' came"),
        (lambda: linalg.vector_norm(mg.ones(2, dtype=mg.int32)), "vector_norm: int32"),
        (lambda: linalg.norm(mg.ones((2, 2, 2)), 1), "such a norm is of a vector or of a matrix"),
    ],
)
def test_what_does_not_fit_is_said_in_words(call: Function, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        call()
