"""Inputs for ops on matrices and spectra: well-conditioned, with values that lie apart.

Where a law asks for smooth points, derivatives exist at all that is drawn here. Else one in four
is of any numbers, empty or singular as it may be.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .applications import Array
from .draws import Drawn, Pen, Row, Shape

NORMS = ("backward", "ortho", "forward")


def sides(pen: Pen) -> tuple[Shape, int, int]:
    """The axes of a stack, and two dims."""
    return pen.shape(0, 1), pen.dim(), pen.dim()


def near(pen: Pen, base: Array, batch: Shape, dtype: Any = None, part: float = 0.1) -> Array:
    """Numbers within 0.3 of `base`; now and then any, where that need not be smooth."""
    dtype = pen.dtype() if dtype is None else dtype
    shape = (*batch, *base.shape)
    if not pen.smooth and pen.of(False, False, False, True):
        return pen.array(shape, dtype)
    if dtype.kind not in "fc":
        return np.broadcast_to(base, shape).astype(dtype)
    drawn = Pen(pen.draw, pen.dtypes, smooth=True)
    drawn._arrays = pen._arrays
    pen._arrays += 1
    return (base + part * drawn.array(shape, dtype)).astype(dtype)


def apart(m: int, n: int) -> Array:
    """A diagonal whose numbers, and sums with small ones beside them, lie apart."""
    y = np.zeros((m, n))
    np.fill_diagonal(y, 1 + 2 * np.arange(min(m, n)))
    return y


def square(**attrs: Callable[[Pen], Any]) -> Row:
    """A row for ops on square matrices; their Hermitian part is positive definite."""

    def row(pen: Pen) -> Drawn:
        batch, n, _ = sides(pen)
        x = near(pen, apart(n, n), batch)
        return (x,), {name: draw(pen) for name, draw in attrs.items()}

    return row


def general_inputs(pen: Pen) -> Drawn:
    """Square matrices with real eigenvalues, or with a pair of complex ones."""
    batch, n, _ = sides(pen)
    base = apart(n, n)
    if n > 1 and pen.of(False, True):
        base[:2, :2] = [[1, 2], [-2, 1]]
    return (near(pen, base, batch),), {}


def rectangle(pen: Pen) -> Drawn:
    """Matrices of full rank."""
    batch, m, n = sides(pen)
    return (near(pen, apart(m, n), batch),), {}


def solve_inputs(pen: Pen) -> Drawn:
    batch, n, k = sides(pen)
    x1 = near(pen, apart(n, n), pen.part_of(batch))
    return (x1, pen.array((*pen.part_of(batch), n, k))), {}


def cut_inputs(pen: Pen) -> Drawn:
    """Matrices, and a tolerance: one, or one for each."""
    (x,), _ = rectangle(pen)
    rtol: Any = pen.of(1e-9, 1e-3)
    if pen.of(False, True):
        rtol = np.full(pen.part_of(x.shape[:-2]), rtol, pen.of(np.float64, np.float32))
    return (x, rtol), {}


def columns(pen: Pen) -> Drawn:
    """Columns of any direction."""
    (x,), attrs = rectangle(pen)
    return (pen.array(x.shape, x.dtype) if pen.smooth else x,), attrs


def values_inputs(pen: Pen) -> tuple[Array, Array]:
    """Values that lie apart, and cotangents of as many vectors."""
    batch, m, n = sides(pen)
    dtype = pen.dtype()
    values = near(pen, 1.0 + 2 * np.arange(n), batch, dtype)
    return values, pen.array((*batch, max(m, 1), n), dtype)


def gaps_inputs(pen: Pen) -> Drawn:
    values, bars = values_inputs(pen)
    return (pen.array((*values.shape, values.shape[-1]), values.dtype), values, bars), {}


def over_values_inputs(pen: Pen) -> Drawn:
    values, bars = values_inputs(pen)
    return (pen.array(bars.shape, values.dtype), values, bars), {}


def basis_inputs(pen: Pen) -> Drawn:
    """Orthonormal columns; a whole basis where it must be smooth, for what is missing is not."""
    batch, m, n = sides(pen)
    dtype = pen.dtype()
    k = m if pen.smooth else min(m, n)
    q = near(pen, apart(m, k), batch, dtype)
    if q.size and dtype.char in "fdFD" and np.all(np.isfinite(q)):
        q = np.linalg.qr(q)[0]
    return (q,), {}


def zeros_like_inputs(pen: Pen) -> Drawn:
    x = pen.array(pen.shape())
    return (np.zeros(x.shape, x.dtype), x), {}


def diagonal_inputs(pen: Pen) -> Drawn:
    return (pen.array(pen.shape(2)),), {"offset": pen.count(-2, 2)}


def on_diagonal_inputs(pen: Pen) -> Drawn:
    (like,), attrs = diagonal_inputs(pen)
    v = np.diagonal(like, attrs["offset"], -2, -1)
    return (pen.array(v.shape), like), attrs


# lengths and spectra


def length(pen: Pen, n: int) -> Any:
    """`n` as an int, or as an array."""
    return pen.of(n, np.array(n, np.int32))


def fit_inputs(pen: Pen) -> Drawn:
    x = pen.array(pen.shape(1))
    axis = pen.count(-x.ndim, x.ndim - 1)
    return (x, length(pen, pen.count(int(pen.smooth), 4))), {"axis": axis}


def fourier_inputs(pen: Pen) -> Drawn:
    x = pen.array(pen.shape())
    axes = pen.some_axes(x.ndim)
    return (x,), {"axes": axes, "inverse": pen.of(False, True), "norm": pen.of(*NORMS)}


def real_fourier_inputs(pen: Pen) -> Drawn:
    shape = list(pen.shape(1))
    axis = pen.axis(len(shape))
    shape[axis] = pen.count(int(pen.smooth), 6)
    attrs = {"axis": axis, "norm": pen.of(*NORMS), "doubled": pen.of(False, True)}
    return (pen.array(tuple(shape)),), attrs


def half_fourier_inputs(pen: Pen) -> Drawn:
    shape = list(pen.shape(1))
    axis = pen.axis(len(shape))
    n = pen.count(int(pen.smooth), 6)
    shape[axis] = n // 2 + 1
    attrs = {"axis": axis, "norm": pen.of(*NORMS), "halved": pen.of(False, True)}
    return (pen.array(tuple(shape)), length(pen, n)), attrs


ROWS: dict[str, Row] = {
    "inverse": square(),
    "solve_matrix": solve_inputs,
    "determinant": square(),
    "cofactor": square(),
    "sign_and_log": square(),
    "cholesky_factor": square(upper=lambda pen: pen.of(False, True)),
    "pseudo_inverse": cut_inputs,
    "rank_of": cut_inputs,
    "hermitian_eigenvalues": square(),
    "hermitian_eigen": square(),
    "general_eigen": general_inputs,
    "singular_values": rectangle,
    "singular_factors": rectangle,
    "orthogonal_factors": rectangle,
    "independent": square(),
    "orthogonal_complement": basis_inputs,
    "undetermined": zeros_like_inputs,
    "pivot_mask": columns,
    "over_gaps": gaps_inputs,
    "over_values": over_values_inputs,
    "diagonal_of": diagonal_inputs,
    "on_diagonal": on_diagonal_inputs,
    "fit_axis": fit_inputs,
    "fourier": fourier_inputs,
    "real_fourier": real_fourier_inputs,
    "half_fourier": half_fourier_inputs,
}

# adjoints whose inputs are made by derivative rules only: they trust them to fit
TRUSTING = {"undetermined", "over_gaps", "over_values", "on_diagonal"}
