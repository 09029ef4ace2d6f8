"""Work on whole arrays that is little arithmetic: reductions, copies, stencils, products."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.frameworks import values
from benchmarks.vocabulary import written_with
from benchmarks.workload import Data, Workload

MATRIX = 4 * 4096 * 1000
"""Bytes of the matrix that most of these read."""
COMPILED = ("numpy", "minigrad", "jax", "torch", "tensorflow")


def drawn(
    dtype: type = np.float32, **shapes: tuple[int, ...]
) -> Callable[[np.random.Generator], Data]:
    """Normally distributed arrays."""
    return lambda rng: {
        name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()
    }


def product_of(n: int, dtype: type, batch: tuple[int, ...] = ()) -> Workload:
    """Square matrices multiplied."""
    count = int(np.prod(batch, dtype=int))
    pairs = f"{count} pairs of matrices" if batch else "matrices"
    return Workload(
        f"product of {pairs} of {n} x {n}, {np.dtype(dtype)}",
        drawn(dtype, x=(*batch, n, n), y=(*batch, n, n)),
        values(written_with(lambda _, x, y: x @ y, *COMPILED)),
        operations=2 * count * n**3,
        dtype=np.dtype(dtype).name,
    )


def stencil(v: Any, x: Any, w: Any) -> Any:
    """Nine neighbours, weighted; the edge is left out."""
    n, m = x.shape
    return sum(w[i, j] * x[i : n - 2 + i, j : m - 2 + j] for i in range(3) for j in range(3))


def accelerations(v: Any, places: Any, masses: Any) -> Any:
    """What bodies do to each other, Plummer's way, with a softened distance."""
    x, y, z = places[0], places[1], places[2]
    dx, dy, dz = x[None, :] - x[:, None], y[None, :] - y[:, None], z[None, :] - z[:, None]
    square = dx * dx + dy * dy + dz * dz + 0.01
    pull = masses / (square * v.sqrt(square))
    return v.sum(pull * dx, 1), v.sum(pull * dy, 1), v.sum(pull * dz, 1)


def bodies(rng: np.random.Generator) -> Data:
    """2000 bodies."""
    masses = rng.random(2000).astype(np.float32)
    return {"places": rng.standard_normal((3, 2000)).astype(np.float32), "masses": masses}


WORKLOADS = {
    "logsumexp": Workload(
        "logsumexp of 4096 rows of 1000",
        drawn(x=(4096, 1000)),
        values(written_with(lambda v, x: v.logsumexp(x, -1), *COMPILED)),
        bytes=MATRIX,
    ),
    "column_sum": Workload(
        "sums of the columns of a matrix of 4096 x 1000",
        drawn(x=(4096, 1000)),
        values(written_with(lambda v, x: v.sum(x, 0), *COMPILED)),
        bytes=MATRIX,
    ),
    "argmax": Workload(
        "argmax of 4096 rows of 1000",
        drawn(x=(4096, 1000)),
        values(written_with(lambda v, x: v.argmax(x, axis=-1), *COMPILED)),
        bytes=MATRIX,
    ),
    "argmax_columns": Workload(
        "argmax of the columns of a matrix of 4096 x 1000",
        drawn(x=(4096, 1000)),
        values(written_with(lambda v, x: v.argmax(x, axis=0), *COMPILED)),
        bytes=MATRIX,
    ),
    "cumulative_sum": Workload(
        "cumulative sums along 4096 rows of 1000",
        drawn(x=(4096, 1000)),
        values(written_with(lambda v, x: v.cumsum(x, 1), *COMPILED)),
        bytes=2 * MATRIX,
    ),
    "cumulative_sum_columns": Workload(
        "cumulative sums down the columns of a matrix of 4096 x 1000",
        drawn(x=(4096, 1000)),
        values(written_with(lambda v, x: v.cumsum(x, 0), *COMPILED)),
        bytes=2 * MATRIX,
    ),
    "transpose": Workload(
        "a matrix of 4096 x 1000, and the transpose of another added",
        drawn(x=(1000, 4096), y=(4096, 1000)),
        values(written_with(lambda v, x, y: v.transpose(x, (1, 0)) + y, *COMPILED)),
        bytes=3 * MATRIX,
    ),
    "normal_equations": Workload(
        "a matrix of 4096 x 1000 times a vector, and its transpose times the result",
        drawn(x=(4096, 1000), w=(1000,)),
        values(
            written_with(
                lambda v, x, w: v.matvec(v.transpose(x, (1, 0)), v.matvec(x, w)), *COMPILED
            )
        ),
        bytes=MATRIX,
    ),
    "stencil": Workload(
        "3 x 3 stencil by slices of an image of 2000 x 2000",
        drawn(x=(2000, 2000), w=(3, 3)),
        values(written_with(stencil, *COMPILED)),
        bytes=2 * 4 * 2000 * 2000,
    ),
    "bodies": Workload(
        "accelerations of 2000 bodies", bodies, values(written_with(accelerations, *COMPILED))
    ),
    "product": product_of(2048, np.float32),
    "product_small": product_of(256, np.float32),
    "product_double": product_of(512, np.float64),
    "products": product_of(64, np.float32, (64,)),
}
