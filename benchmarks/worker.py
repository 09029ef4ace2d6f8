"""One framework's process: reads a line of JSON, works, writes a line of JSON.

    {"do": "prepare", "workload": "mlp"} -> {"inputs": [...], "results": [...], "first": seconds}
    {"do": "time", "seconds": 0.2}       -> {"times": [seconds per unit, ...]}
    {"do": "limits"}                     -> {"bandwidth": bytes per second, ...}

What a framework prints goes to stderr; an exception is answered as {"error": "..."}.
"""

import sys
from collections.abc import Iterable
from functools import partial
from importlib import metadata
from itertools import repeat
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.limits import limits
from benchmarks.process import serve
from benchmarks.vocabulary import VOCABULARIES
from benchmarks.workload import SEED, Data, Run, Workload
from benchmarks.workloads import WORKLOADS

FIRST = "tiny_call"
"""The workload that is run before all others, so that the first calls of those are their own."""
SHORTEST = 2e-3  # seconds in one measurement: the clock's own cost is then below 0.01 %


class Prepared:
    """A workload of one framework, ready to be timed.

    first: seconds of the first call, which compiles. results: of the call that is compared.
    """

    def __init__(self, workload: Workload, framework: str) -> None:
        self.workload = workload
        self.data: Data = workload.data(np.random.default_rng(SEED))
        self.run: Run = workload.sides[framework](self.data)
        self.loops = 1
        start = perf_counter()
        self.results = self.run()
        self.first = perf_counter() - start
        for _ in range(workload.checks - 1):
            self.results = self.run()
        require_precision(self.data, self.results, framework)

    def calibrate(self) -> None:
        """Settle how many runs make one measurement long enough to be read off the clock."""
        while self.workload.clock == "ours" and self.measure() * self.loops < SHORTEST:
            self.loops *= 2

    def measure(self) -> float:
        """Seconds per run."""
        if self.workload.clock == "own":
            return float(self.run())
        run = self.run
        start = perf_counter()
        for _ in repeat(None, self.loops):
            run()
        return (perf_counter() - start) / self.loops

    def times(self, seconds: float) -> list[float]:
        """Seconds per unit, measured again and again for `seconds`; one first run is not kept."""
        self.run()
        found: list[float] = []
        end = perf_counter() + seconds
        while not found or perf_counter() < end:
            found.append(self.measure() / self.workload.units)
        return found


def load(framework: str) -> None:
    """Load what is loaded at the first use of all, and what formulas are written in."""
    Prepared(WORKLOADS[FIRST], framework)
    if framework in VOCABULARIES:
        VOCABULARIES[framework]()


def require_precision(data: Data, results: Any, framework: str) -> None:
    """Raise TypeError for results that are of fewer bits than what they were computed from."""
    given = max((x.dtype.itemsize for x in data.values() if x.dtype.kind == "f"), default=0)
    for y in results if isinstance(results, tuple) else (results,):
        dtype = np.asarray(y).dtype
        if dtype.kind == "f" and dtype.itemsize < given:
            raise TypeError(f"{framework} made {dtype} of numbers of {8 * given} bits")


def digest(arrays: Iterable[Any]) -> list[list[float]]:
    """What is compared of each array."""
    return [summary(np.asarray(array, np.float64).ravel()) for array in arrays]


def summary(x: np.ndarray) -> list[float]:
    """Size, mean magnitude, mean, root mean square, and up to 100 elements spread over `x`."""
    spread = x[:: max(1, x.size // 100)][:100]
    means = np.abs(x).mean(), x.mean(), np.sqrt((x * x).mean())
    return [float(x.size), *map(float, (*means, *spread))]


def answer(request: dict[str, Any], framework: str, prepared: list[Prepared]) -> dict[str, Any]:
    """Do what one line asks. `prepared` holds the workload of the last "prepare"."""
    match request:
        case {"do": "prepare", "workload": name}:
            if not prepared and framework in WORKLOADS[FIRST].sides:
                load(framework)
            prepared.clear()  # first, so that two workloads never share the memory
            prepared.append(Prepared(WORKLOADS[name], framework))
            results = prepared[0].results
            prepared[0].calibrate()
            return {
                "inputs": digest(prepared[0].data.values()),
                "results": digest(results if isinstance(results, tuple) else [results]),
                "first": prepared[0].first,
            }
        case {"do": "time", "seconds": seconds}:
            return {"times": prepared[0].times(seconds)}
        case {"do": "limits"}:
            return limits()
        case {"do": "version"}:
            name = {"tensorflow": "tensorflow-cpu", "inductor": "torch"}.get(framework, framework)
            return {"version": version(name) or version(framework)}
    raise ValueError(f"a request is to prepare, to time or to say a version, not {request}")


def version(distribution: str) -> str:
    """The installed version, or an empty string."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    serve(partial(answer, framework=sys.argv[1], prepared=[]))
