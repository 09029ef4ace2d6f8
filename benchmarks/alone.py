"""A figure that only a fresh process can say: `python -m benchmarks.alone WHAT PEER WORKLOAD`.

cold: seconds of the first call, where nothing has been cached. warm: the same where an earlier
process has left what it compiled. memory: bytes that a later call takes beyond what the process
holds before it, the median of several processes.
"""

import ctypes
import gc
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.vocabulary import VOCABULARIES
from benchmarks.workload import SEED, Run
from benchmarks.workloads import WORKLOADS

CACHES = ("MINIGRAD_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
"""Environment variables that say where each framework caches what it compiles."""

GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""glibc returns to the system what is freed: what it kept would hide what a call takes."""

PROCESSES = 3
"""From process to process, the memory that threads of XLA take at once differs twofold."""


def first_call(framework: str, workload: str) -> tuple[float, Run]:
    """Seconds of the first call, and what was called. Imports come before, as does the data."""
    data = WORKLOADS[workload].data(np.random.default_rng(SEED))
    run = WORKLOADS[workload].sides[framework](data)
    if framework in VOCABULARIES:
        VOCABULARIES[framework]()
    start = perf_counter()
    run()
    return perf_counter() - start, run


def held(name: str) -> int:
    """Bytes of memory that the process holds (VmRSS), or held at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def memory(framework: str, workload: str) -> float:
    """Bytes beyond those held before, at the worst moment of some calls.

    minigrad is told to keep no memory between calls, as what it keeps would not show.
    """
    os.environ["MINIGRAD_KEEP_BYTES"] = "0"
    _, run = first_call(framework, workload)
    for _ in range(3):
        run()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the most that was held
    before = held("VmRSS")
    for _ in range(5):
        run()
    return held("VmHWM") - before


def main(what: str, framework: str, workload: str) -> float:
    """The figure. A cache is made, and used twice where it is to be warm."""
    if what == "bytes":
        return memory(framework, workload)
    if what == "seconds":
        return first_call(framework, workload)[0]
    if what == "memory":
        return statistics.median(
            said("bytes", framework, workload, GIVES_BACK) for _ in range(PROCESSES)
        )
    with tempfile.TemporaryDirectory() as folder:
        # jax keeps what it has compiled if told to, however little time it took
        jax = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        caches = jax | dict.fromkeys(CACHES, folder)
        if what == "warm":
            said("seconds", framework, workload, caches)
        return said("seconds", framework, workload, caches)


def said(what: str, framework: str, workload: str, environment: dict[str, str]) -> float:
    """What a process with these environment variables besides its own says."""
    command = [sys.executable, "-m", "benchmarks.alone", what, framework, workload]
    return float(subprocess.check_output(command, env={**os.environ, **environment}).split()[-1])


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
