"""The command line of the benchmarks: `python -m benchmarks`, or `make bench`."""

import argparse
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.alone import CACHES
from benchmarks.process import Worker, WorkerError
from benchmarks.race import Outcome, race
from benchmarks.report import bounds, compiling, conditions, figures, standing, table, verdicts
from benchmarks.venvs import PEERS, python_of
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "RESULTS.md"
DEFAULT_PEERS = ["jax", "torch"]


def words(text: str) -> list[str]:
    """The names in `text`, parted by spaces or commas."""
    return re.findall(r"[^\s,]+", text)


def arguments() -> argparse.Namespace:
    """What was asked for. Unknown names are refused with the known ones."""
    parser = argparse.ArgumentParser("benchmarks", description="Race minigrad and its peers.")
    parser.add_argument("--peers", type=words, help=f"of {', '.join(PEERS)}; or all, or none")
    parser.add_argument("--workloads", type=words, help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    asked = parser.parse_args()
    spelled = {"none": [], "all": PEERS, "": DEFAULT_PEERS}
    asked.peers = spelled.get(" ".join(asked.peers or []), asked.peers)
    asked.workloads = asked.workloads or list(WORKLOADS)
    for kind, names, known in (
        ("peer", asked.peers, PEERS),
        ("workload", asked.workloads, WORKLOADS),
    ):
        if unknown := [name for name in names if name not in known]:
            parser.error(f"no {kind} is called {', '.join(unknown)}; known: {', '.join(known)}")
    return asked


def main() -> int:
    """Race, print, and say by the exit code whether everything ran and agreed."""
    asked = arguments()
    with TemporaryDirectory() as folder:  # nobody finds what an earlier run has compiled
        os.environ |= dict.fromkeys(CACHES, folder)
        workers: dict[str, Worker] = {}
        try:
            for framework in ["numpy", "minigrad", *asked.peers]:
                workers[framework] = Worker(framework, python_of(framework))
            said, complaints = races(asked, workers)
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


def races(asked: argparse.Namespace, workers: dict[str, Worker]) -> tuple[list[str], int]:
    """All races; what is said of them, and how many complaints there were."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        print(text, end="\n\n", flush=True)

    limits = workers["numpy"].ask(do="limits")
    say(conditions({name: w.ask(do="version")["version"] for name, w in workers.items()}))
    say(bounds(limits))
    held: list[tuple[bool | None, str]] = []
    outcomes: dict[str, Outcome] = {}
    for name in asked.workloads:
        outcome = outcomes[name] = race(name, WORKLOADS[name], workers, asked.rounds)
        say(table(name, WORKLOADS[name], outcome, limits))
        held += verdicts(WORKLOADS[name], outcome)
    ours = {name: o for name, o in outcomes.items() if WORKLOADS[name].clock == "ours"}
    say(standing(ours))
    say(compiling(ours))
    if held:
        say(figures(held))
    return said, sum(len(outcome.complaints) for outcome in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
