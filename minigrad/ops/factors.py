"""Singular values, orthogonal factors, and what makes a basis of them whole.

The ops behind `svd`, `svdvals` and `qr` of `mg.linalg`. The rule of the decomposition into
singular values is Townsend's (2016), for complex matrices too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import as_it_is
from ..core.define import primitive
from ..core.op import MADE_LATE
from ..core.registry import api
from ..core.spec import Spec, promote, real_dtype
from ..core.tensor import Tensor
from ..errors import DegenerateError, SpecError
from .fit import fitted, length_of
from .linalg import matrix_product
from .matrices import (
    added,
    adjoint,
    check_dtype,
    check_matrix,
    converged,
    hermitian,
    square_spec,
    times_inverse_adjoint,
)
from .vectors import TOGETHER, over_gaps, over_values, unturned, upright

# singular values


def smaller(m: int | None, n: int | None) -> int | None:
    """The smaller of two dims, as far as known."""
    return 0 if 0 in (m, n) else None if m is None or n is None else min(m, n)


def singular_values_spec(x: Any) -> Spec:
    """As many real numbers as rows or columns, whichever are fewer."""
    check_matrix("svdvals", x)
    return Spec(x.shape and (*x.shape[:-2], smaller(*x.shape[-2:])), real_dtype(x.dtype))


@primitive(infer=singular_values_spec, holomorphic=False)
def singular_values(x: Any, /) -> Any:
    """The singular values of each matrix, descending; the op behind `svdvals`."""
    check_dtype(x)
    return converged("svdvals", np.linalg.svd, x, compute_uv=False)


def singular_values_vjp(g: Tensor, y: Tensor, x: Tensor) -> Any:
    """d s = re(u^H dx v). Of equal values any orthogonal vectors serve."""
    u, _, vh = singular_factors(x)
    return matrix_product(u * g[..., None, :], vh)


singular_values.defvjp(singular_values_vjp)
singular_values.defbatch(as_it_is)


def singular_factors_spec(x: Any) -> tuple[Spec, Spec, Spec]:
    """Left vectors as columns, values, right vectors as rows."""
    check_matrix("svd", x)
    if x.shape is None:
        return Spec(None, x.dtype), Spec(None, real_dtype(x.dtype)), Spec(None, x.dtype)
    *batch, m, n = x.shape
    k = smaller(m, n)
    return (
        Spec((*batch, m, k), x.dtype),
        Spec((*batch, k), real_dtype(x.dtype)),
        Spec((*batch, k, n), x.dtype),
    )


@primitive(infer=singular_factors_spec, holomorphic=False)
def singular_factors(x: Any, /) -> Any:
    """The reduced singular value decomposition of each matrix; the op behind `svd`."""
    check_dtype(x)
    u, s, vh = converged("svd", np.linalg.svd, x, full_matrices=False)
    phases = upright(u)
    return u * phases, s, vh * phases.swapaxes(-1, -2).conj()


@singular_factors.defvjp_joint
def singular_factors_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any) -> tuple[Any]:
    """In the bases of both; and what leads out of them, where one is no whole basis."""
    (g_u, g_s, g_vh), (u, s, vh) = gs, outputs
    if g_u is None and g_vh is None:
        return (matrix_product(u * g_s[..., None, :], vh),)
    g_u = api.zeros_like(u) if g_u is None else g_u
    g_v = api.zeros_like(adjoint(vh)) if g_vh is None else adjoint(g_vh)
    v = adjoint(vh)
    if u.dtype.kind == "c":
        g_u = unturned(g_u, u, (g_v, v))
    left, right = matrix_product(adjoint(u), g_u), matrix_product(vh, g_v)
    skew = (left - adjoint(left)) * s[..., None, :] + (right - adjoint(right)) * s[..., :, None]
    # over the differences of squares
    sums = s[..., None, :] + s[..., :, None]
    inner = over_gaps(skew, s, api.concat([g_u, g_v], axis=-2)) / api.where(sums == 0, 1, sums)
    first, second = matrix_product(u, inner), None
    if u.dtype.kind == "c":
        phase = api.imag(api.sum(api.conj(u) * g_u, axis=-2, keepdims=True))
        first = first + u * (1j * over_values(phase, s, g_u))
    if g_s is not None:
        first = first + u * g_s[..., None, :]
    if not is_whole(u):
        first = first + over_values(g_u - matrix_product(u, left), s, g_u)
    if not is_whole(v):
        second = matrix_product(u, adjoint(over_values(g_v - matrix_product(v, right), s, g_v)))
    return (added(matrix_product(first, vh), second),)


def is_whole(v: Tensor) -> bool:
    """Whether the columns are known to be a basis, as many as they are long."""
    return v.shape is not None and v.shape[-1] is not None and v.shape[-1] == v.shape[-2]


singular_factors.defbatch(as_it_is)
singular_factors.parts = {1: singular_values}


# orthogonal factors


def orthogonal_factors_spec(x: Any) -> tuple[Spec, Spec]:
    """Orthonormal columns, and the triangle above the diagonal."""
    check_matrix("qr", x)
    if x.shape is None:
        return Spec(None, x.dtype), Spec(None, x.dtype)
    *batch, m, n = x.shape
    k = smaller(m, n)
    return Spec((*batch, m, k), x.dtype), Spec((*batch, k, n), x.dtype)


@primitive(infer=orthogonal_factors_spec, holomorphic=False)
def orthogonal_factors(x: Any, /) -> Any:
    """The reduced QR decomposition of each matrix; the op behind `qr`."""
    check_dtype(x)
    q, r = np.linalg.qr(x)
    return q, r


@orthogonal_factors.defvjp_joint
def orthogonal_factors_vjp(gs: Any, outputs: Any, inputs: Any, needed: Any) -> tuple[Any]:
    """Of the first columns as Walter and Lehmann (2018); the others are q times theirs of r.

    Raises DegenerateError where the first columns depend on each other.
    """
    (g_q, g_r), (q, r) = gs, outputs
    k = length_of(r, -2)
    square = fitted(r, k, -1)
    wide = square is not r
    regular = independent(square)
    if g_r is None:
        outer, rows = None, -matrix_product(adjoint(q), g_q)
    else:
        outer, rows = matrix_product(q, g_r), matrix_product(g_r, adjoint(r))
        if wide:  # what comes to q from the columns that q decides on
            first = matrix_product(fitted(g_r, k, -1), adjoint(square))
            g_q = added(g_q, matrix_product(q, adjoint(rows - first)))
            rows = first
        rows = rows if g_q is None else rows - matrix_product(adjoint(q), g_q)
    upper = api.triu(rows, k=1)
    whole = upper + adjoint(upper) + hermitian(rows - upper - api.tril(rows, k=-1))
    bar = times_inverse_adjoint(added(matrix_product(q, whole), g_q), regular)
    if not wide:
        return (bar,)
    if outer is None:
        return (fitted(bar, length_of(r, -1), -1),)
    own = matrix_product(q, fitted(g_r, k, -1))
    return (outer + fitted(bar - own, length_of(r, -1), -1),)


orthogonal_factors.defbatch(as_it_is)


@primitive(infer=lambda x: orthogonal_factors_spec(x)[1], public=False)
def triangular_factor(x: Any, /) -> Any:
    """The triangle of `qr` alone, where nobody asks for the columns."""
    check_dtype(x)
    return np.linalg.qr(x, mode="r")


triangular_factor.opaque = MADE_LATE
orthogonal_factors.parts = {1: triangular_factor}


@primitive(infer=square_spec("qr"))
def independent(r: Any, /) -> Any:
    """`r`, square triangles. Raises DegenerateError where a diagonal has a 0, up to rounding."""
    check_dtype(r)
    if r.ndim < 2 or r.shape[-1] != r.shape[-2]:
        raise ValueError("triangles are square")
    sizes = np.abs(r)
    rounding = TOGETHER * np.finfo(r.dtype).eps * sizes.sum(-2)  # of each column, by its own size
    if np.any(np.diagonal(sizes, 0, -2, -1) <= rounding):
        raise DegenerateError(
            "qr: a derivative was asked for where the first columns depend on each other, up to "
            "rounding: of those that add nothing new, Q is any that fits; leave them out, or use "
            "mg.linalg.svd"
        )
    return r


independent.defvjp(lambda g, y, r: g)
independent.defbatch(as_it_is)


# what fills up a basis


def complement_spec(q: Any) -> Spec:
    """As many columns as are missing."""
    check_matrix("svd or qr, all of the basis", q)
    if q.shape is None:
        return Spec(None, q.dtype)
    *batch, m, k = q.shape
    if None not in (m, k) and m < k:
        raise SpecError(
            f"svd or qr: {q.spec} came as a basis to fill up: columns of length {m} are at most "
            f"{m}; transpose it"
        )
    return Spec((*batch, m, None if m is None or k is None else m - k), q.dtype)


@primitive(infer=complement_spec, holomorphic=False)
def orthogonal_complement(q: Any, /) -> Any:
    """Orthonormal columns that make, with the orthonormal columns of `q`, a basis."""
    check_dtype(q)
    m, k = q.shape[-2:]
    if m < k:
        raise ValueError("more columns than a basis has")
    return np.linalg.qr(q, mode="complete")[0][..., k:]


@primitive(infer=lambda g, x: Spec(x.shape, promote(g, x)))
def undetermined(g: Any, x: Any, /) -> Any:
    """Zeros like `x`, for a cotangent `g` of zeros. Raises DegenerateError for any other."""
    if np.any(g != 0):
        raise DegenerateError(
            "svd or qr: the derivative of the columns or rows that only fill up the basis was "
            "asked for: they are any that fit, and have no derivative; use full_matrices=False, or "
            'mode="reduced", or only the first k of them'
        )
    return np.zeros(x.shape, np.result_type(g, x))


undetermined.no_gradient("it is 0 wherever it is defined")
undetermined.defbatch(as_it_is)
orthogonal_complement.defvjp(lambda g, y, q: undetermined(g, q))
orthogonal_complement.defbatch(as_it_is)
