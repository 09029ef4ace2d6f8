"""What a race says: a table for each workload, and a line for each figure to hold."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from benchmarks.race import Outcome
from benchmarks.workload import Workload


def conditions(versions: Mapping[str, str]) -> str:
    """Machine, versions, and what was done so that nobody has an advantage."""
    unset = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("OPENBLAS_")]
    frameworks = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{processor()}, {os.cpu_count()} CPUs, {platform.system()}, "
        f"CPython {platform.python_version()}\n{frameworks}\n"
        "OPENBLAS_* is unset for all, before NumPy is imported: "
        f"{', '.join(unset) or 'none was set'}\nThreads are left at each framework's default.\n"
        "torch runs eagerly; minigrad, jax and tensorflow compile, unless the title says eagerly.\n"
        "Times are per call, over interleaved rounds; ratios are of minima: above 1, minigrad is "
        "faster."
    )


def processor() -> str:
    """The name of the CPU, as well as this system can tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(name: str, workload: Workload, outcome: Outcome) -> str:
    """Times of every framework, and their ratios to minigrad's."""
    lines = [f"{name}: {workload.title}"]
    if outcome.times:
        lines.append(f"  {'':12}{'minimum':>10}{'median':>10}{'peer/minigrad':>16}")
    lines += [
        f"  {framework:12}{spoken(outcome.minimum(framework)):>10}"
        f"{spoken(outcome.median(framework)):>10}{ratio(outcome, framework):>16}"
        for framework in outcome.times
    ]
    lines += [f"  ! {complaint}" for complaint in outcome.complaints]
    return "\n".join(lines)


def ratio(outcome: Outcome, framework: str) -> str:
    """The peer's minimum over minigrad's, where both are known."""
    if framework == "minigrad" or "minigrad" not in outcome.times:
        return ""
    return f"{outcome.minimum(framework) / outcome.minimum('minigrad'):.2f}"


def verdicts(workload: Workload, outcome: Outcome) -> list[tuple[bool | None, str]]:
    """For each target: whether it is held (None: not both sides ran), and the figures."""
    found: list[tuple[bool | None, str]] = []
    for target in workload.targets:
        if not {"minigrad", target.peer} <= outcome.times.keys():
            found.append((None, f"{workload.title}: at most {target}"))
            continue
        ours, peer = outcome.minimum("minigrad"), outcome.minimum(target.peer)
        found.append(
            (
                ours <= target.limit(peer),
                f"{workload.title}: {spoken(ours)}, at most {target} = "
                f"{spoken(target.limit(peer))} ({ours / peer:.2f} x {target.peer})",
            )
        )
    return found


def figures(found: list[tuple[bool | None, str]]) -> str:
    """The closing lines: every figure to hold, and whether it is held."""
    words = {True: "pass", False: "FAIL", None: "not run"}
    return "\n".join(["figures to hold", *(f"  {words[held]:8}{line}" for held, line in found)])


def spoken(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
