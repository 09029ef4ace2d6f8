"""What a race says: a table for each workload, and a line for each figure to hold."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from statistics import geometric_mean

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
        "torch and autograd run eagerly, inductor is torch compiled; minigrad, jax and tensorflow "
        "compile, unless the title says eagerly.\n"
        "First calls trace and compile, with empty caches.\n"
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


def table(name: str, workload: Workload, outcome: Outcome, limits: Mapping[str, float]) -> str:
    """Times of every framework, and their ratios to minigrad's."""
    lines = [f"{name}: {workload.title}"]
    bound = limit(workload, limits)
    if outcome.times:
        head = f"  {'':12}{'minimum':>10}{'median':>10}{'peer/minigrad':>16}{'first call':>13}"
        lines.append(head + (f"{'of the limit':>15}" if bound else ""))
    for framework in outcome.times:
        least, middle = outcome.minimum(framework), outcome.median(framework)
        first = outcome.first[framework] if workload.clock == "ours" else 0
        line = (
            f"  {framework:12}{spoken(least, workload.unit):>10}{spoken(middle, workload.unit):>10}"
            f"{ratio(outcome, framework):>16}{spoken(first) if first else '':>13}"
        )
        lines.append((line + (f"{bound / least:15.0%}" if bound else "")).rstrip())
    lines += [f"  ! {complaint}" for complaint in outcome.complaints]
    return "\n".join(lines)


def limit(workload: Workload, limits: Mapping[str, float]) -> float:
    """The seconds that this machine needs at least, as far as that is known; else 0."""
    if workload.operations:
        return workload.operations / limits[workload.dtype]
    return workload.bytes / limits["bandwidth"]


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


def standing(outcomes: Mapping[str, Outcome]) -> str:
    """Where minigrad stands over all workloads: geometric means, and what is lost."""
    best: dict[str, float] = {}
    by_peer: dict[str, list[float]] = {}
    for name, outcome in outcomes.items():
        peers = [peer for peer in outcome.times if peer != "minigrad"]
        if "minigrad" not in outcome.times or not peers:
            continue
        ratios = {peer: outcome.minimum(peer) / outcome.minimum("minigrad") for peer in peers}
        best[name] = min(ratios.values())
        for peer, found in ratios.items():
            by_peer.setdefault(peer, []).append(found)
    if not best:
        return "no workload was run by minigrad and a peer"
    means = [f"{peer} {geometric_mean(found):.2f}" for peer, found in by_peer.items()]
    lost = sorted((found, name) for name, found in best.items() if found < 1)
    return (
        f"peer/minigrad, geometric means: best peer {geometric_mean(best.values()):.2f} over "
        f"{len(best)} workloads; {', '.join(means)}\n"
        f"lost: {', '.join(f'{name} {found:.2f}' for found, name in lost) or 'none'}"
    )


def compiling(outcomes: Mapping[str, Outcome]) -> str:
    """First calls against those of JAX, where both compile."""
    pairs = {
        name: outcome.first["minigrad"] / outcome.first["jax"]
        for name, outcome in outcomes.items()
        if {"minigrad", "jax"} <= outcome.first.keys()
    }
    if not pairs:
        return "first calls: jax did not run"
    slow = sorted((found, name) for name, found in pairs.items() if found > 0.5)[::-1]
    return (
        f"first calls, minigrad/jax: geometric mean {geometric_mean(pairs.values()):.2f}\n"
        f"above 0.5: {', '.join(f'{name} {found:.2f}' for found, name in slow) or 'none'}"
    )


def bounds(limits: Mapping[str, float]) -> str:
    """The limits of the machine in words."""
    return (
        f"limits, measured with NumPy on all processors: memory {limits['bandwidth'] / 1e9:.3g} "
        f"GB/s; products {limits['float32'] / 1e9:.4g} GFLOP/s in float32, "
        f"{limits['float64'] / 1e9:.4g} in float64"
    )


def figures(found: list[tuple[bool | None, str]]) -> str:
    """The closing lines: every figure to hold, and whether it is held."""
    words = {True: "pass", False: "FAIL", None: "not run"}
    return "\n".join(["figures to hold", *(f"  {words[held]:8}{line}" for held, line in found)])


def spoken(seconds: float, unit: str = "s") -> str:
    """A time, or another quantity of `unit`, as it suits it."""
    if unit == "B":
        return f"{seconds / 1e6:.3g} MB"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
