"""Linear algebra: the array API standard's extension `linalg`, complete.

Functions act on the matrices in the last two axes; axes before them are stacks. Decompositions
take float32, float64, complex64 and complex128. All are differentiable to any order but the rank;
a matrix without inverse or decomposition raises `LinAlgError`, and a derivative that does not
exist, as that of eigenvectors of equal eigenvalues, `DegenerateError`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .core.convert import as_tensor
from .core.registry import api
from .core.spec import as_int, as_truth, canonical_axis
from .core.tensor import Tensor
from .errors import SpecError
from .neighbours.surface import surface
from .norms import matrix_norm, norm, vector_norm
from .ops.axes import matrix_transpose
from .ops.diagonals import diagonal_of
from .ops.eigen import general_eigen, hermitian_eigen, hermitian_eigenvalues
from .ops.factors import (
    is_whole,
    orthogonal_complement,
    orthogonal_factors,
    singular_factors,
    singular_values,
)
from .ops.fit import fitted, length_of
from .ops.linalg import matmul, matrix_product, outer, tensordot, vecdot
from .ops.matrices import (
    adjoint,
    check_matrix,
    cholesky_factor,
    determinant,
    inverse,
    sign_and_log,
    solve_matrix,
)
from .ops.rank import pseudo_inverse, rank_of

__all__ = [
    "EigResult",
    "EighResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
surface(__name__, __all__)


class EigResult(NamedTuple):
    """What `eig` gives: complex eigenvalues (..., n), and as many vectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class EighResult(NamedTuple):
    """What `eigh` gives: real eigenvalues (..., n), ascending, and orthonormal columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """What `qr` gives: orthonormal columns, and the triangle that multiplies them."""

    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    """What `slogdet` gives: the sign (of complex matrices, the phase), and log of the size."""

    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    """What `svd` gives: left vectors as columns, values descending, right vectors as rows."""

    U: Tensor
    S: Tensor
    Vh: Tensor


# square matrices


def inv(x: Any, /) -> Any:
    """The inverse of each matrix.

    x: (..., n, n). Raises LinAlgError where one is singular. Array API, linalg: inv.
    """
    return inverse(as_tensor(x))


def solve(x1: Any, x2: Any, /) -> Any:
    """The y with x1 @ y = x2.

    x1: (..., n, n). x2: (n,), one right side for all matrices; else (..., n, k), whose leading
    axes broadcast. Raises LinAlgError where one of `x1` is singular. Array API, linalg: solve.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x2.ndim is None:
        raise SpecError(
            f"solve: {x1.spec} and {x2.spec}: whether the right side is a vector or matrices is "
            "not known while tracing; give it a TensorSpec with a rank, such as (None, None)"
        )
    if x2.ndim == 1:
        return api.squeeze(solve_matrix(x1, api.expand_dims(x2, axis=1)), axis=-1)
    return solve_matrix(x1, x2)


def det(x: Any, /) -> Any:
    """The determinant of each matrix.

    x: (..., n, n). Returns (...). The derivative exists for singular matrices too, the second one
    raises LinAlgError there. Array API, linalg: det.
    """
    return determinant(as_tensor(x))


def slogdet(x: Any, /) -> SlogdetResult:
    """Sign and logarithm of the size of the determinant of each matrix.

    x: (..., n, n). Returns two of (...): the sign 0, and -inf, where a matrix is singular; a
    derivative there raises LinAlgError. Array API, linalg: slogdet.
    """
    return SlogdetResult(*sign_and_log(as_tensor(x)))


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """The triangle L with L @ L^H = x, or U with U^H @ U = x.

    x: (..., n, n), Hermitian and positive definite; of another its Hermitian part is taken.
    Raises LinAlgError where that is not positive definite. Array API, linalg: cholesky.
    """
    return cholesky_factor(as_tensor(x), upper=as_truth("upper", upper))


def matrix_power(x: Any, n: int, /) -> Any:
    """Each matrix times itself, `n` factors in all.

    x: (..., m, m). n: an int; 0 gives the identity, and less than 0 powers of the inverse.
    Array API, linalg: matrix_power.
    """
    x = as_tensor(x)
    check_matrix("matrix_power", x, square=True)
    n = as_int("matrix_power", "n", n)
    if n == 0:
        ones = api.ones_like(x)
        return api.tril(ones) * api.triu(ones)
    square, left, found = x if n > 0 else inverse(x), abs(n), None
    while left:
        if left % 2:
            found = square if found is None else matrix_product(found, square)
        left //= 2
        square = matrix_product(square, square) if left else square
    return found


# decompositions


def eigh(x: Any, /) -> EighResult:
    """Eigenvalues and eigenvectors of Hermitian matrices.

    x: (..., n, n); of a matrix that is not Hermitian its Hermitian part is taken. Returns real
    values, ascending, and orthonormal vectors as columns. In each, the first component of at
    least 0.3 of the size of the largest is real and positive, so the result is unique.
    Derivatives of vectors raise DegenerateError where two eigenvalues are equal; those of values
    exist for what is symmetric in equal ones. Array API, linalg: eigh.
    """
    return EighResult(*hermitian_eigen(as_tensor(x)))


def eigvalsh(x: Any, /) -> Any:
    """The eigenvalues of Hermitian matrices, real and ascending; see `eigh`.

    x: (..., n, n). Returns (..., n). Array API, linalg: eigvalsh.
    """
    return hermitian_eigenvalues(as_tensor(x))


def eig(x: Any, /) -> EigResult:
    """Eigenvalues and eigenvectors of any square matrices.

    x: (..., n, n). Returns values and vectors, always complex, the vectors as columns of length
    1, and of the phase that `eigh` says; the order is that of LAPACK. Derivatives do not exist
    where eigenvalues meet. Array API, linalg: eig.
    """
    return EigResult(*general_eigen(as_tensor(x)))


def eigvals(x: Any, /) -> Any:
    """The eigenvalues of any square matrices, complex, in the order of `eig`.

    x: (..., n, n). Returns (..., n). Array API, linalg: eigvals.
    """
    # by `eig`, for LAPACK orders values otherwise where it computes no vectors, and the
    # derivative is made of vectors
    return general_eigen(as_tensor(x))[0]


def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """Singular value decomposition: U * S @ Vh = x.

    x: (..., m, n). Returns U (..., m, k), S (..., k) descending, and Vh (..., k, n), where k is
    the smaller of m and n; full_matrices fills U and Vh up to square ones. U has the phase that
    `eigh` says. Derivatives of U and Vh raise DegenerateError where two singular values are
    equal, where one is 0 and the matrix not square, and for what is only filled up.
    Array API, linalg: svd.
    """
    u, s, vh = singular_factors(as_tensor(x))
    if as_truth("full_matrices", full_matrices):
        u, vh = filled_up(u), adjoint(filled_up(adjoint(vh)))
    return SVDResult(u, s, vh)


def svdvals(x: Any, /) -> Any:
    """The singular values of each matrix, descending.

    x: (..., m, n). Returns (..., k), k the smaller of m and n. Array API, linalg: svdvals.
    """
    return singular_values(as_tensor(x))


def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """QR decomposition: Q @ R = x, where Q has orthonormal columns and R is upper triangular.

    x: (..., m, n). mode: "reduced" for Q (..., m, k) and R (..., k, n), k the smaller of m and n;
    "complete" for Q (..., m, m) and R (..., m, n). The diagonal of R is real. Derivatives raise
    DegenerateError where the first k columns depend on each other, and for the columns of Q that
    are only filled up. Array API, linalg: qr.
    """
    if not isinstance(mode, str) or mode not in ("reduced", "complete"):
        raise SpecError(
            f'qr: mode={mode!r} came; it says how many columns Q has; write "reduced" or "complete"'
        )
    x = as_tensor(x)
    q, r = orthogonal_factors(x)
    if mode == "complete":
        q, r = filled_up(q), fitted(r, length_of(x, -2), -2)
    return QRResult(q, r)


def filled_up(q: Tensor) -> Any:
    """The orthonormal columns of `q`, and those that are missing to a basis."""
    return q if is_whole(q) else api.concat([q, orthogonal_complement(q)], axis=-1)


# matrices of any rank


def pinv(x: Any, /, *, rtol: Any = None) -> Any:
    """The Moore-Penrose inverse of each matrix.

    x: (..., m, n). rtol: the share of the largest singular value up to which others count as 0,
    a number or one for each matrix; None for the larger of m and n, times the rounding error of
    1. Returns (..., n, m). The derivative takes the rank to stay. Array API, linalg: pinv.
    """
    return pseudo_inverse(*with_tolerance("pinv", as_tensor(x), rtol))


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """How many singular values of each matrix are not 0, int32.

    x: (..., m, n). rtol: as of `pinv`. Array API, linalg: matrix_rank.
    """
    return rank_of(*with_tolerance("matrix_rank", as_tensor(x), rtol))


def with_tolerance(name: str, x: Tensor, rtol: Any) -> tuple[Tensor, Any]:
    """The matrices, and the tolerance for them as a float or a tensor."""
    check_matrix(name, x)
    if rtol is None:
        m, n = length_of(x, -2), length_of(x, -1)
        eps = float(np.finfo(x.dtype).eps)
        if type(m) is type(n) is int:
            return x, max(m, n) * eps
        return x, api.astype(api.maximum(m, n), "float64") * eps
    if isinstance(rtol, (int, float)):
        return x, float(rtol)
    rtol = as_tensor(rtol)
    if rtol.ndim and x.ndim is not None and rtol.ndim + 2 >= x.ndim:
        # one matrix, and several tolerances
        x = api.broadcast_arrays(x, api.expand_dims(rtol, axis=(-2, -1)))[0]
    return x, rtol


# products and diagonals


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross product of the vectors along `axis`.

    x1, x2: numeric; `axis` has 3 elements in both, other axes broadcast. Returns the broadcast
    shape, in the dtype to which both promote. Raises SpecError for vectors of another length.
    Array API, linalg: cross.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    for x in (x1, x2):
        if x.shape is not None and x.shape[canonical_axis("cross", axis, x.ndim)] not in (3, None):
            raise SpecError(
                f"cross: {x1.spec} and {x2.spec}: axis {axis} must have 3 elements in both; "
                "name the axis that has, or pad with a 0"
            )

    def turned(x: Tensor, by: int) -> Any:
        return api.roll(x, -by, axis=axis)

    return turned(x1, 1) * turned(x2, 2) - turned(x1, 2) * turned(x2, 1)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonal of each matrix.

    x: (..., m, n), of any dtype. offset: places above the main diagonal, negative for below.
    Returns (..., k), where k elements lie on it. Array API, linalg: diagonal.
    """
    return diagonal_of(as_tensor(x), offset=as_int("diagonal", "offset", offset))


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum of the diagonal of each matrix.

    x: (..., m, n). offset: as of `diagonal`. dtype: of the sum; None keeps floating dtypes and
    widens integers to 64 bits. Returns (...). Array API, linalg: trace.
    """
    return api.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)
