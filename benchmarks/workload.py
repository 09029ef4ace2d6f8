"""What is raced: a workload, and the figure that it has to hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

SEED = 2025

Data = Mapping[str, np.ndarray]
Run = Callable[[], Any]
Side = Callable[[Data], Run]


class Target(NamedTuple):
    """minigrad's time is to be at most `times` that of `peer`, plus `plus` seconds."""

    peer: str
    times: float = 1.0
    plus: float = 0.0

    def limit(self, seconds: float) -> float:
        """What minigrad may take where the peer took `seconds`."""
        return self.times * seconds + self.plus

    def __str__(self) -> str:
        factor = f"{self.times:g} x " if self.times != 1 else ""
        return f"{factor}{self.peer}" + (f" + {self.plus * 1e6:g} µs" if self.plus else "")


@dataclass(frozen=True)
class Workload:
    """One piece of work, written once for each framework.

    title: what is computed, with its size.
    data: from a seeded generator to the input arrays, the same in every process.
    sides: for each framework, a function of the data that gets everything ready (arrays
        converted, code compiled at the first run) and returns the function to be timed, which
        returns its results when they are there, or, where `clock` is "own", the seconds it took.
    units: how many pieces of work one run does; times are per unit.
    checks: the run whose results are compared across frameworks; the fifth of a training loop.
    seconds: how long a framework is timed for in each round. rounds: the most there are.
    bytes: what has to go through memory at least. operations: on numbers of `dtype`, in products
        of matrices. One of them gives the fraction of what the machine could do; 0 if neither.
    unit: of what is measured: seconds, or bytes where `clock` is "own".
    """

    title: str
    data: Callable[[np.random.Generator], Data]
    sides: Mapping[str, Side]
    targets: tuple[Target, ...] = ()
    units: int = 1
    checks: int = 1
    clock: str = "ours"
    seconds: float = 0.2
    rounds: int = 100
    bytes: int = 0
    operations: int = 0
    dtype: str = "float32"
    unit: str = "s"
