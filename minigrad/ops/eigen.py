"""Eigenvalues and eigenvectors of the matrices in the last two axes.

The ops behind `eigh`, `eigvalsh`, `eig` and `eigvals` of `mg.linalg`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import as_it_is
from ..core.define import primitive
from ..core.registry import api
from ..core.spec import Spec, complex_dtype, real_dtype
from ..core.tensor import Tensor
from .linalg import matrix_product
from .matrices import (
    added,
    adjoint,
    check_dtype,
    check_matrix,
    converged,
    hermitian,
    hermitian_array,
    solve_matrix,
)
from .vectors import inner_products, over_gaps, unturned, upright

# Hermitian matrices


def eigenvalues_spec(x: Any) -> Spec:
    """As many real numbers as there are rows."""
    check_matrix("eigvalsh", x, square=True)
    return Spec(x.shape and x.shape[:-1], real_dtype(x.dtype))


@primitive(infer=eigenvalues_spec, holomorphic=False)
def hermitian_eigenvalues(x: Any, /) -> Any:
    """The eigenvalues of the Hermitian part of each matrix, ascending; behind `eigvalsh`."""
    check_dtype(x)
    x = hermitian_array(x)
    if not np.isfinite(x).all():  # LAPACK gives 0 for NaN where it computes no vectors
        return converged("eigvalsh", np.linalg.eigh, x)[0]
    return converged("eigvalsh", np.linalg.eigvalsh, x)


def hermitian_eigenvalues_vjp(g: Tensor, y: Tensor, x: Tensor) -> Any:
    """d lambda = v^H dx v. Of equal values any orthogonal vectors serve."""
    v = hermitian_eigen(x)[1]
    return matrix_product(v * g[..., None, :], adjoint(v))


hermitian_eigenvalues.defvjp(hermitian_eigenvalues_vjp)
hermitian_eigenvalues.defbatch(as_it_is)


def hermitian_eigen_spec(x: Any) -> tuple[Spec, Spec]:
    """The values, real, and the vectors."""
    check_matrix("eigh", x, square=True)
    return Spec(x.shape and x.shape[:-1], real_dtype(x.dtype)), Spec(x.shape, x.dtype)


@primitive(infer=hermitian_eigen_spec, holomorphic=False)
def hermitian_eigen(x: Any, /) -> Any:
    """Eigenvalues, ascending, and eigenvectors of the Hermitian part of each matrix; `eigh`."""
    check_dtype(x)
    values, v = converged("eigh", np.linalg.eigh, hermitian_array(x))
    return values, v * upright(v)


@hermitian_eigen.defvjp_joint
def hermitian_eigen_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any) -> tuple[Any]:
    """In the basis of the vectors: values on the diagonal, quotients by gaps off it."""
    (g_values, g), (values, v) = gs, outputs
    inner = None if g_values is None else v * g_values[..., None, :]
    if g is not None:
        g = unturned(g, v)
        mixed = over_gaps(matrix_product(adjoint(v), g), values, g)
        inner = added(inner, matrix_product(v, mixed))
    return (hermitian(matrix_product(inner, adjoint(v))),)


hermitian_eigen.defbatch(as_it_is)
hermitian_eigen.parts = {0: hermitian_eigenvalues}


# general matrices


def general_eigen_spec(x: Any) -> tuple[Spec, Spec]:
    """The values and the vectors, complex."""
    check_matrix("eig", x, square=True)
    dtype = complex_dtype(x.dtype)
    return Spec(x.shape and x.shape[:-1], dtype), Spec(x.shape, dtype)


@primitive(infer=general_eigen_spec, holomorphic=False)
def general_eigen(x: Any, /) -> Any:
    """Eigenvalues and eigenvectors of length 1 of each matrix, always complex; behind `eig`."""
    check_dtype(x)
    values, v = converged("eig", np.linalg.eig, x)
    dtype = complex_dtype(x.dtype)
    v = v.astype(dtype)
    return values.astype(dtype), v * upright(v)


@general_eigen.defvjp_joint
def general_eigen_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any) -> tuple[Any]:
    """Boeddeker et al. (2017), equation 4.77; and vectors keep their length and phase."""
    (g_values, g), (values, v) = gs, outputs
    turned = adjoint(v)
    inner = None if g_values is None else g_values[..., :, None] * turned
    if g is not None:
        g = unturned(g, v)
        g = g - v * api.real(inner_products(v, g))
        # by the conjugate gaps
        mixed = api.conj(over_gaps(api.conj(matrix_product(turned, g)), values, g))
        inner = added(inner, matrix_product(mixed, turned))
    return (solve_matrix(turned, inner),)


general_eigen.defbatch(as_it_is)
