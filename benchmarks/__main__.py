"""The command line of the benchmarks: `python -m benchmarks`, or `make bench`."""

import argparse
import re
import sys
from pathlib import Path

from benchmarks.race import Worker, WorkerError, race
from benchmarks.report import conditions, figures, table, verdicts
from benchmarks.venvs import PACKAGES, python_of
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "RESULTS.md"
DEFAULT_PEERS = ["jax", "torch"]


def words(text: str) -> list[str]:
    """The names in `text`, parted by spaces or commas."""
    return re.findall(r"[^\s,]+", text)


def arguments() -> argparse.Namespace:
    """What was asked for. Unknown names are refused with the known ones."""
    parser = argparse.ArgumentParser("benchmarks", description="Race minigrad and its peers.")
    parser.add_argument("--peers", type=words, help=f"of {', '.join(PACKAGES)}; or none")
    parser.add_argument("--workloads", type=words, help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    asked = parser.parse_args()
    asked.peers = [] if asked.peers == ["none"] else asked.peers or DEFAULT_PEERS
    asked.workloads = asked.workloads or list(WORKLOADS)
    for kind, names, known in (
        ("peer", asked.peers, PACKAGES),
        ("workload", asked.workloads, WORKLOADS),
    ):
        if unknown := [name for name in names if name not in known]:
            parser.error(f"no {kind} is called {', '.join(unknown)}; known: {', '.join(known)}")
    return asked


def main() -> int:
    """Race, print, and say by the exit code whether everything ran and agreed."""
    asked = arguments()
    workers: dict[str, Worker] = {}
    said: list[str] = []
    held: list[tuple[bool | None, str]] = []
    complaints = 0

    def say(text: str) -> None:
        said.append(text)
        print(text, end="\n\n", flush=True)

    try:
        for framework in ["numpy", "minigrad", *asked.peers]:
            workers[framework] = Worker(framework, python_of(framework))
        say(conditions({name: w.ask(do="version")["version"] for name, w in workers.items()}))
        for name in asked.workloads:
            outcome = race(name, WORKLOADS[name], workers, asked.rounds)
            say(table(name, WORKLOADS[name], outcome))
            held += verdicts(WORKLOADS[name], outcome)
            complaints += len(outcome.complaints)
        if held:
            say(figures(held))
    except (WorkerError, FileNotFoundError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    finally:
        for worker in workers.values():
            worker.close()
    if asked.save:
        RESULTS.write_text("# Results\n\n```text\n" + "\n\n".join(said) + "\n```\n", "utf-8")
        print(f"written to {RESULTS}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
