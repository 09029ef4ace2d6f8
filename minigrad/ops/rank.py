"""The pseudo-inverse and the rank: singular values up to a share of the largest count as 0.

The ops behind `pinv` and `matrix_rank` of `mg.linalg`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import raised, whole
from ..core.define import primitive
from ..core.spec import Spec, broadcast_shapes, spec_of
from ..core.tensor import Tensor
from ..errors import SpecError
from .linalg import matrix_product
from .matrices import adjoint, check_dtype, check_matrix, converged


def cut_spec(name: str, x: Any, rtol: Any) -> Any:
    """The batch of `x`, to which `rtol` must broadcast."""
    check_matrix(name, x)
    if isinstance(rtol, float):
        return x.shape and x.shape[:-2]
    if getattr(rtol, "dtype", np.dtype(object)).char not in "fd":
        raise SpecError(
            f"{name}: rtol {spec_of(rtol)} came; the share of the largest singular value that "
            "counts as 0 is a float, or a tensor of them; write, say, 1e-6"
        )
    if x.shape is None or rtol.shape is None:
        return x.shape and x.shape[:-2]
    batch = Spec(x.shape[:-2], rtol.dtype)
    both = broadcast_shapes(name, batch, rtol)
    if both is None or not batch.is_compatible_with(Spec(both, rtol.dtype)):
        raise SpecError(
            f"{name}: rtol {rtol.spec} for {x.spec}: there is one number for all matrices, or one "
            "for each; give it the shape of the axes before the last two"
        )
    return x.shape[:-2]


def pseudo_spec(x: Any, rtol: Any) -> Spec:
    """The spec with the last two axes exchanged."""
    batch = cut_spec("pinv", x, rtol)
    return Spec(x.shape and (*batch, x.shape[-1], x.shape[-2]), x.dtype)


def cut(s: Any, rtol: Any) -> Any:
    """Which singular values count."""
    largest = s.max(-1, keepdims=True, initial=0)
    if isinstance(rtol, np.ndarray):
        if (
            rtol.dtype.char not in "fd"
            or np.broadcast_shapes(rtol.shape, s.shape[:-1]) != (s.shape[:-1])
        ):
            raise ValueError("one tolerance for each matrix")
        rtol = rtol[..., None]
    return s > rtol * largest


@primitive(infer=pseudo_spec, holomorphic=False)
def pseudo_inverse(x: Any, rtol: Any, /) -> Any:
    """The Moore-Penrose inverse of each matrix; the op behind `pinv`.

    rtol: which share of the largest singular value counts as 0, a number or one for each matrix.
    """
    check_dtype(x)
    u, s, vh = converged("pinv", np.linalg.svd, x, full_matrices=False)
    large = cut(s, rtol)
    shares = np.where(large, 1 / np.where(large, s, 1), 0).astype(s.dtype)
    return np.matmul(vh.swapaxes(-1, -2).conj() * shares[..., None, :], u.swapaxes(-1, -2).conj())


def pseudo_inverse_vjp(g: Tensor, y: Tensor, x: Tensor, rtol: Any) -> Any:
    """Golub and Pereyra (1973), equation 4.12, transposed; the rank is taken to stay."""
    h, p = adjoint(g), adjoint(y)
    first = matrix_product(matrix_product(p, g), p)
    left = h - matrix_product(x, matrix_product(y, h))
    right = h - matrix_product(matrix_product(h, y), x)
    return (
        matrix_product(matrix_product(left, y), p)
        + matrix_product(p, matrix_product(y, right))
        - first
    )


pseudo_inverse.defvjp(pseudo_inverse_vjp, None)


def cut_batch(op: Any, n: Any, x: Tensor, rtol: Any) -> Any:
    """Examples are one more axis of the batch, for which there may be a tolerance each."""
    if isinstance(rtol, Tensor):
        rtol = raised(rtol, x.ndim - 3)
    return op(whole(n, x), rtol)


pseudo_inverse.defbatch(cut_batch)


@primitive(infer=lambda x, rtol: Spec(cut_spec("matrix_rank", x, rtol), np.int32))
def rank_of(x: Any, rtol: Any, /) -> Any:
    """How many singular values of each matrix are not 0, int32; the op behind `matrix_rank`."""
    check_dtype(x)
    s = converged("matrix_rank", np.linalg.svd, x, compute_uv=False)
    return np.asarray(cut(s, rtol).sum(-1, dtype=np.int32))


rank_of.no_gradient("a rank is a whole number")
rank_of.defbatch(cut_batch)
