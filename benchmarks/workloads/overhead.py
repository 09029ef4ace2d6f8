"""What a framework costs before any arithmetic: import, dispatch, tape, and a compiled call."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.frameworks import eager_gradients, values
from benchmarks.workload import Data, Run, Target, Workload

CALLS = 100  # in one run, so that the timer's own cost is spread


def vectors(*names: str) -> Callable[[np.random.Generator], Data]:
    """Vectors of 8 float32 numbers."""
    return lambda rng: {name: rng.standard_normal(8, np.float32) for name in names}


# --- import -----------------------------------------------------------------------------------


def import_in_a_new_process(module: str, data: Data) -> Run:
    """Seconds that `import module` takes in a fresh interpreter, measured inside it."""
    code = f"from time import perf_counter as t; s = t(); import {module}; print(t() - s)"
    return lambda: float(subprocess.check_output([sys.executable, "-c", code]))


# --- one operation ----------------------------------------------------------------------------


def repeated(add: Callable[[Any, Any], Any], x1: Any, x2: Any) -> Run:
    """CALLS calls of `add`; the result of the last one."""

    def run() -> Any:
        for _ in range(CALLS):
            y = add(x1, x2)
        return y

    return run


def add_in_numpy(data: Data) -> Run:
    return repeated(np.add, data["x1"], data["x2"])


def add_in_minigrad(data: Data) -> Run:
    import minigrad as mg

    return repeated(mg.add, mg.asarray(data["x1"]), mg.asarray(data["x2"]))


def add_in_torch(data: Data) -> Run:
    import torch

    torch.set_grad_enabled(False)
    return repeated(torch.add, torch.from_numpy(data["x1"]), torch.from_numpy(data["x2"]))


def recorded_add_in_minigrad(data: Data) -> Run:
    import minigrad as mg

    x1, x2 = mg.asarray(data["x1"]), mg.asarray(data["x2"])
    run = repeated(mg.add, x1, x2)

    def recorded() -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x1)
            return run()

    return recorded


def recorded_add_in_torch(data: Data) -> Run:
    import torch

    torch.set_grad_enabled(True)
    x1 = torch.from_numpy(data["x1"]).requires_grad_()
    run = repeated(torch.add, x1, torch.from_numpy(data["x2"]))
    return lambda: run().detach()


# --- many operations, and one compiled call -----------------------------------------------------


def chain(framework: Any, x: Any, w: Any, b: Any) -> Any:
    """Thirty operations, each too small to matter."""
    for _ in range(10):
        x = framework.tanh(x * w + b)
    return x


def few(framework: Any, x: Any, w: Any, b: Any) -> Any:
    """Three operations, fused by whoever compiles."""
    return framework.tanh(x * w + b)


WORKLOADS = {
    "import": Workload(
        "import in a fresh process",
        data=lambda rng: {},
        sides={
            "numpy": partial(import_in_a_new_process, "numpy"),
            "minigrad": partial(import_in_a_new_process, "minigrad"),
            "jax": partial(import_in_a_new_process, "jax"),
            "torch": partial(import_in_a_new_process, "torch"),
            "tensorflow": partial(import_in_a_new_process, "tensorflow"),
        },
        targets=(Target("numpy", times=1.5),),
        clock="own",
        seconds=1.0,
    ),
    "dispatch": Workload(
        "add two vectors of 8, eagerly",
        data=vectors("x1", "x2"),
        sides={"numpy": add_in_numpy, "minigrad": add_in_minigrad, "torch": add_in_torch},
        targets=(Target("numpy", plus=0.9e-6),),
        units=CALLS,
    ),
    "dispatch_recorded": Workload(
        "add two vectors of 8, eagerly, recorded for a gradient (NumPy: not recorded)",
        data=vectors("x1", "x2"),
        sides={
            "numpy": add_in_numpy,
            "minigrad": recorded_add_in_minigrad,
            "torch": recorded_add_in_torch,
        },
        targets=(Target("numpy", plus=1.8e-6),),
        units=CALLS,
    ),
    "chain": Workload(
        "30 operations on vectors of 8, eagerly, forward and gradient",
        data=vectors("x", "w", "b"),
        sides=eager_gradients({"minigrad": chain, "torch": chain}, wrt=3),
        targets=(Target("torch", times=0.8),),
    ),
    "tiny_call": Workload(
        "one compiled call on 3 vectors of 8",
        data=vectors("x", "w", "b"),
        sides=values(
            {
                "numpy": few,
                "minigrad": few,
                "jax": lambda jax, *xs: few(jax.numpy, *xs),
                "torch": few,
                "tensorflow": few,
            }
        ),
        targets=(Target("jax", times=0.6),),
    ),
}
