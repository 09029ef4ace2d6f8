"""Runs every framework of a workload in turns, each in a process that lives through all of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.process import Worker, WorkerError
from benchmarks.workload import Workload

REST = 0.25  # seconds between turns: threads of OpenMP spin for 0.2 after their last work
TOLERANCE = 2e-3  # of the mean magnitude; float32 sums in another order differ by less


@dataclass
class Outcome:
    """What one workload gave: seconds per framework, those of first calls, and complaints."""

    first: dict[str, float] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def minimum(self, framework: str) -> float:
        """The least time, which other programs disturbed least; in seconds."""
        return min(self.times[framework])

    def median(self, framework: str) -> float:
        """The median time, in seconds."""
        return median(self.times[framework])


def race(name: str, workload: Workload, workers: Mapping[str, Worker], rounds: int) -> Outcome:
    """Prepare a workload everywhere, compare the results, then time it in `rounds` turns."""
    outcome = Outcome()
    digests: dict[str, dict[str, Any]] = {}
    for framework in workload.sides:
        if framework in workers:
            try:
                digests[framework] = workers[framework].ask(do="prepare", workload=name)
                outcome.times[framework] = []
                outcome.first[framework] = digests[framework]["first"]
            except WorkerError as error:
                outcome.complaints.append(f"{framework}: {error}")
    if workload.clock == "ours":
        outcome.complaints += disagreements(digests)
    for _ in range(min(rounds, workload.rounds)):
        for framework in list(outcome.times):
            time.sleep(REST)
            try:
                reply = workers[framework].ask(do="time", seconds=workload.seconds)
                outcome.times[framework] += reply["times"]
            except WorkerError as error:
                outcome.complaints.append(f"{framework}: {error}")
                del outcome.times[framework]
    return outcome


def disagreements(digests: Mapping[str, dict[str, Any]]) -> list[str]:
    """Which frameworks had other inputs or other results than the first one."""
    if not digests:
        return []
    first, *others = digests
    return [
        f"{other}: its {what} differ from those of {first}"
        for other in others
        for what in ("inputs", "results")
        if not alike(digests[first][what], digests[other][what])
    ]


def alike(digest1: Sequence[Sequence[float]], digest2: Sequence[Sequence[float]]) -> bool:
    """Whether two digests are those of equal arrays, up to rounding."""
    return len(digest1) == len(digest2) and all(
        size1 == size2
        and all(abs(a - b) <= TOLERANCE * magnitude for a, b in zip(found1, found2, strict=True))
        for (size1, magnitude, *found1), (size2, _, *found2) in zip(digest1, digest2, strict=True)
    )
