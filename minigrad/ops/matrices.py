"""Square matrices: inverse, solution, determinant and Cholesky factor.

The ops behind the functions of `mg.linalg`. All act on the matrices in the last two axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.batch import alone, as_it_is, is_shared, raised
from ..core.define import primitive
from ..core.lowering import Composed
from ..core.registry import api
from ..core.spec import Spec, broadcast_shapes, promote, real_dtype, spec_of
from ..core.tensor import Tensor
from ..errors import LinAlgError, SpecError
from .axes import matrix_transpose
from .borrowed import borrow, borrowed
from .cofactors import written_cofactors, written_determinant
from .linalg import matrix_product
from .triangles import solved

CHARACTERS = frozenset("fdFD")  # of the dtypes that LAPACK has


def check_matrix(name: str, x: Any, *, square: bool = False) -> None:
    """Refuse what holds no matrices of floating dtype in its last two axes.

    Raises SpecError, in the name of the function `name`.
    """
    if getattr(x, "dtype", np.dtype(object)).char not in CHARACTERS:
        raise SpecError(
            f"{name}: {spec_of(x)} came; it is defined for float32, float64, complex64 and "
            "complex128; cast with mg.astype(x, mg.float32) first"
        )
    if x.shape is not None and len(x.shape) < 2:
        raise SpecError(
            f"{name}: {x.spec} came; a matrix has two axes, the last ones; "
            "make them with mg.reshape or x[:, None]"
        )
    if square and x.shape is not None and None not in (n := x.shape[-2:]) and n[0] != n[1]:
        raise SpecError(
            f"{name}: {x.spec} came; the matrices in the last two axes must be square; "
            "for others there are mg.linalg.pinv, svd and qr"
        )


def check_dtype(*xs: Any) -> None:
    """Let the kernel fail where LAPACK does not have the dtype: NumPy would convert integers."""
    if any(x.dtype.char not in CHARACTERS for x in xs):
        raise TypeError("floating dtypes only")


NOT_FINITE = "the algorithm found no end: there is an inf or a nan, or numbers too far apart"
CHECK = "see mg.isfinite(x), and scale the matrix"


def refused(name: str, x: Any, rule: str, remedy: str) -> LinAlgError:
    """What to raise where LAPACK finds that `x` has no such thing."""
    return LinAlgError(f"{name}: {Spec(x.shape, x.dtype)} came, and {rule}; {remedy}")


def converged(name: str, decompose: Callable[..., Any], x: Any, **options: Any) -> Any:
    """What the iteration `decompose`, of numpy.linalg, makes of the array `x`.

    Raises LinAlgError, in the name of the function `name`, where it finds no end.
    """
    try:
        return decompose(x, **options)
    except np.linalg.LinAlgError:
        raise refused(name, x, NOT_FINITE, CHECK) from None


def square_spec(name: str) -> Callable[..., Spec]:
    """The infer rule of ops that give a square matrix for a square matrix."""

    def infer(x: Any, **attrs: Any) -> Spec:
        check_matrix(name, x, square=True)
        return Spec(x.shape, x.dtype)

    return infer


def adjoint(x: Any) -> Any:
    """The conjugate transpose of each matrix."""
    turned = matrix_transpose(x)
    return api.conj(turned) if x.dtype.kind == "c" else turned


def hermitian(x: Any) -> Any:
    """The Hermitian part of each matrix."""
    return (x + adjoint(x)) / 2


def hermitian_array(x: Any) -> Any:
    """The same of an array, for kernels."""
    return (x + x.swapaxes(-1, -2).conj()) / 2


def added(x: Any, y: Any) -> Any:
    """The sum; None counts as 0."""
    return y if x is None else x if y is None else x + y


# inverse and solution

SINGULAR = "one of the matrices is singular: no inverse exists"
INSTEAD = "add a multiple of mg.eye(n), or use mg.linalg.pinv"


@primitive(infer=square_spec("inv"), lower=Composed(borrowed("inv")))
def inverse(x: Any, /) -> Any:
    """The inverse of each matrix; the op behind `inv`. Raises LinAlgError where there is none."""
    check_dtype(x)
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        raise refused("inv", x, SINGULAR, INSTEAD) from None


def inverse_vjp(g: Tensor, y: Tensor, x: Tensor) -> Any:
    """d(1/x) = -1/x dx 1/x."""
    turned = matrix_transpose(y)
    return -matrix_product(matrix_product(turned, g), turned)


borrow("inv", inverse)
inverse.defvjp(inverse_vjp)
inverse.defbatch(as_it_is)


def solution_spec(x1: Any, x2: Any) -> Spec:
    """The shape of `x2`, batches broadcast."""
    check_matrix("solve", x1, square=True)
    check_matrix("solve", x2)
    dtype = promote(x1, x2)
    if x1.shape is None or x2.shape is None:
        return Spec(None, dtype)
    sides = {x1.shape[-2], x1.shape[-1], x2.shape[-2]} - {None}
    if len(sides) > 1:
        raise SpecError(
            f"solve: {x1.spec} and {x2.spec}: the right side has as many rows as the matrix "
            f"({x1.shape[-1]}), not {x2.shape[-2]}; transpose it with .mT, or reshape it"
        )
    batch = broadcast_shapes("solve", Spec(x1.shape[:-2], dtype), Spec(x2.shape[:-2], dtype))
    return Spec((*(batch or ()), *(sides or {None}), x2.shape[-1]), dtype)


@primitive(infer=solution_spec, broadcasts=True, lower=Composed(borrowed("solve")))
def solve_matrix(x1: Any, x2: Any, /) -> Any:
    """The y with x1 @ y = x2, for each pair of matrices; the op behind `solve`."""
    check_dtype(x1, x2)
    if x2.ndim < 2:
        raise ValueError("a matrix has two axes")
    try:
        return solved(x1, x2)
    except np.linalg.LinAlgError:
        raise refused("solve", x1, SINGULAR, INSTEAD) from None


borrow("solve", solve_matrix)
solve_matrix.defvjp(
    lambda g, y, x1, x2: (
        -matrix_product(solve_matrix(matrix_transpose(x1), g), matrix_transpose(y))
    ),
    lambda g, y, x1, x2: solve_matrix(matrix_transpose(x1), g),
)


@solve_matrix.defbatch
def solve_batch(op: Any, n: Any, x1: Tensor, x2: Tensor) -> Any:
    """Examples are one more axis of the batch."""
    rank = max(x1.ndim, x2.ndim) - 1
    return op(*[alone(x) if is_shared(n, x) else raised(x, rank) for x in (x1, x2)])


def times_inverse_adjoint(x: Any, r: Any) -> Any:
    """`x` times the inverse of the adjoint of `r`."""
    return adjoint(solve_matrix(r, adjoint(x)))


# determinant


def determinant_spec(x: Any) -> Spec:
    """One number for each matrix."""
    check_matrix("det", x, square=True)
    return Spec(x.shape and x.shape[:-2], x.dtype)


def determinant_by_loop(x: Any) -> Any:
    """What `determinant` means in native code; None for large matrices."""
    y = written_determinant(x)
    return borrowed("det", fails=False)(x) if y is None else y


@primitive(infer=determinant_spec, lower=Composed(determinant_by_loop))
def determinant(x: Any, /) -> Any:
    """The determinant of each matrix; the op behind `det`."""
    check_dtype(x)
    return np.asarray(np.linalg.det(x))


@primitive(infer=square_spec("det"), lower=Composed(written_cofactors))
def cofactor(x: Any, /) -> Any:
    """The matrix of cofactors of each matrix: det(x) times the transpose of the inverse.

    It exists for singular matrices too; there it is put together from singular values.
    """
    check_dtype(x)
    try:
        with np.errstate(all="ignore"):
            turned = np.ascontiguousarray(np.linalg.inv(x).swapaxes(-1, -2))
            y = np.linalg.det(x)[..., None, None] * turned
        if np.all(np.isfinite(y)):  # good to rounding, however near to a singular matrix
            return y
    except np.linalg.LinAlgError:
        pass
    u, s, vh = converged("det", np.linalg.svd, x)
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
    phase = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    return phase * np.matmul(u.conj() * others[..., None, :], vh.conj()).astype(x.dtype)


borrow("det", determinant)
determinant.defvjp(lambda g, y, x: g[..., None, None] * cofactor(x))
determinant.defbatch(as_it_is)


def cofactor_vjp(g: Tensor, y: Tensor, x: Tensor) -> Any:
    """Of det(x) times the transposed inverse, both factors. Raises where x is singular."""
    turned = matrix_transpose(inverse(x))
    inner = api.sum(g * y, axis=(-2, -1), keepdims=True)
    return inner * turned - matrix_product(matrix_product(y, matrix_transpose(g)), turned)


cofactor.defvjp(cofactor_vjp)
cofactor.defbatch(as_it_is)


def sign_spec(x: Any) -> tuple[Spec, Spec]:
    """A number of the dtype of `x` for each matrix, and a real one."""
    check_matrix("slogdet", x, square=True)
    shape = x.shape and x.shape[:-2]
    return Spec(shape, x.dtype), Spec(shape, real_dtype(x.dtype))


@primitive(infer=sign_spec, holomorphic=False, lower=Composed(borrowed("slogdet", fails=False)))
def sign_and_log(x: Any, /) -> Any:
    """Sign of the determinant of each matrix, and the logarithm of its size; behind `slogdet`."""
    check_dtype(x)
    sign, logarithm = np.linalg.slogdet(x)
    return np.asarray(sign), np.asarray(logarithm)


borrow("slogdet", sign_and_log)


@sign_and_log.defvjp_joint
def sign_and_log_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any) -> tuple[Any]:
    """d log det = tr(dx / x): its real part is that of the size, its imaginary the phase."""
    (x,), (g_sign, g_log), sign = inputs, gs, outputs[0]
    g = g_log
    if g_sign is not None and x.dtype.kind == "c":
        turning = 1j * api.imag(g_sign * api.conj(sign))
        g = turning if g is None else g + turning
    if g is None:
        return (api.zeros_like(x),)  # the sign of a real determinant stays
    return (g[..., None, None] * adjoint(inverse(x)),)


sign_and_log.defbatch(as_it_is)


# Cholesky factor


def factor_by_loop(x: Any, *, upper: bool) -> Any:
    """What `cholesky_factor` means in native code; None for large matrices."""
    y = borrowed("cholesky_lo")(hermitian(x))
    return y if y is None or not upper else adjoint(y)


@primitive(infer=square_spec("cholesky"), holomorphic=False, lower=Composed(factor_by_loop))
def cholesky_factor(x: Any, /, *, upper: bool) -> Any:
    """The Cholesky factor of the Hermitian part of each matrix; the op behind `cholesky`."""
    check_dtype(x)
    try:
        y = np.linalg.cholesky(hermitian_array(x))
    except np.linalg.LinAlgError:
        rule = "the Hermitian part of one of the matrices is not positive definite"
        raise refused("cholesky", x, rule, "add a multiple of mg.eye(n)") from None
    # in row-major order: others compute with that in another order, and round otherwise
    return np.ascontiguousarray(y.swapaxes(-1, -2).conj()) if upper else y


borrow("cholesky_lo", cholesky_factor, upper=False)


def cholesky_vjp(g: Tensor, y: Tensor, x: Tensor, *, upper: bool) -> Any:
    """Murray (2016), equation 9, and the same for complex matrices."""
    if upper:
        g, y = adjoint(g), adjoint(y)
    product = matrix_product(adjoint(y), g)
    # the lower triangle with half of the diagonal
    lower = (api.tril(product) + api.tril(product, k=-1)) / 2
    turned = adjoint(y)
    return adjoint(solve_matrix(turned, adjoint(solve_matrix(turned, hermitian(lower)))))


cholesky_factor.defvjp(cholesky_vjp)
cholesky_factor.defbatch(as_it_is)
