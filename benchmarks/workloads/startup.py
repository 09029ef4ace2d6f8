"""What stands before the first result, and what a step needs: compile times, and memory."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.frameworks import values
from benchmarks.vocabulary import written_with
from benchmarks.workload import Data, Run, Workload

LINKS = 1000


def chained(v: Any, x: Any) -> Any:
    """LINKS operations, all to be compiled."""
    for k in range(LINKS // 4):
        x = 0.5 * v.tanh(x) + v.cos(x * (1 + k / LINKS))
    return x


def alone(what: str, workload: str, framework: str) -> Callable[[Data], Run]:
    """What a process of its own says of a workload."""

    def side(data: Data) -> Run:
        command = [sys.executable, "-m", "benchmarks.alone", what, framework, workload]
        return lambda: float(subprocess.check_output(command).split()[-1])

    return side


def said_alone(what: str, workload: str, *frameworks: str) -> dict[str, Callable[[Data], Run]]:
    """The same for several frameworks."""
    return {name: alone(what, workload, name) for name in frameworks}


def nothing(rng: np.random.Generator) -> Data:
    return {}


measured = partial(Workload, data=nothing, clock="own", seconds=0.0, rounds=2)

WORKLOADS = {
    "chain_compiled": Workload(
        f"a chain of {LINKS} operations on a vector of 1000 (see its first call)",
        lambda rng: {"x": rng.standard_normal(1000, np.float32)},
        values(written_with(chained, "numpy", "minigrad", "jax", "tensorflow")),
    ),
    **{
        f"cold_{name}": measured(
            f"first call of {name} in a fresh process, nothing cached",
            sides=said_alone("cold", name, *compilers),
        )
        for name, compilers in (
            ("chain_compiled", ("minigrad", "jax", "tensorflow")),
            ("mlp", ("minigrad", "jax", "tensorflow")),
            ("lenet", ("minigrad", "jax", "tensorflow")),
            ("transformer", ("minigrad", "jax", "tensorflow", "inductor")),
        )
    },
    **{
        f"warm_{name}": measured(
            f"first call of {name} in a fresh process, objects cached by an earlier one",
            sides=said_alone("warm", name, "minigrad", "jax"),
        )
        for name in ("mlp", "transformer")
    },
    "memory_mlp": measured(
        "memory that a step of mlp takes beyond what is there before",
        sides=said_alone("memory", "mlp", "minigrad", "jax", "torch", "tensorflow"),
        unit="B",
    ),
    "memory_transformer": measured(
        "memory that transformer_large takes beyond what is there before",
        sides=said_alone("memory", "transformer_large", "minigrad", "jax", "torch", "tensorflow"),
        unit="B",
    ),
}
