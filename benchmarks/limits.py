"""What this machine can do at most, as NumPy gets it out of all its processors."""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

SIZE = 10**7
"""Numbers of float32 in an array, as in the workloads that are bound by memory."""
TRIES = 12


def limits() -> dict[str, float]:
    """Bytes per second through memory, and operations per second in products, by dtype."""
    return {
        "bandwidth": max(SIZE * 4 * arrays / least(run) for arrays, run in streams()),
        **{name: 2 * n**3 / least(products(name, n)) for name, n in PRODUCTS.items()},
    }


PRODUCTS = {"float32": 2048, "float64": 1536}


def least(run: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs."""
    found = []
    for _ in range(TRIES):
        start = perf_counter()
        run()
        found.append(perf_counter() - start)
    return min(found)


def streams() -> list[tuple[int, Callable[[], object]]]:
    """Copying, adding and reading, each with the number of arrays that go through memory.

    McCalpin, Memory bandwidth and machine balance (1995).
    """
    threads = os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads)
    x, y, z = (np.ones(SIZE, np.float32) for _ in range(3))
    bounds = np.linspace(0, SIZE, threads + 1).astype(int)
    parts = [slice(*pair) for pair in itertools.pairwise(bounds)]

    def shared(run: Callable[[slice], object]) -> Callable[[], object]:
        return lambda: list(pool.map(run, parts))

    return [
        (2, shared(lambda part: np.copyto(z[part], x[part]))),
        (3, shared(lambda part: np.add(x[part], y[part], out=z[part]))),
        (2, shared(lambda part: np.dot(x[part], y[part]))),
    ]


def products(dtype: str, n: int) -> Callable[[], object]:
    """A large product of matrices."""
    x = np.ones((n, n), dtype)
    return lambda: x @ x
