"""The command line of the oracle: `python -m oracle`, or `make oracle`."""

import argparse
import subprocess
import sys
from typing import Any

from benchmarks.process import Worker, WorkerError
from benchmarks.venvs import python_of
from oracle.chance import NAME, described
from oracle.intended import INTENDED
from oracle.judge import Verdict, expected_of, judge
from oracle.observe import at_length
from oracle.scenario import SCENARIOS, Observations
from oracle.scenarios import load

FRAMEWORKS = ("tensorflow", "minigrad")
OUTCOMES = ("agree", "differ as intended", "differ unexpectedly")


class Players:
    """A process for each framework; one that died is started again."""

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}

    def ask(self, framework: str, **request: str) -> dict[str, Any]:
        """One answer of one framework. Raises WorkerError."""
        worker = self.workers.get(framework)
        if worker is None:
            python = python_of(framework)
            worker = self.workers[framework] = Worker(framework, python, "oracle.worker")
        try:
            return worker.ask(**request)
        except WorkerError:
            if not is_alive(worker):
                self.workers.pop(framework).close()
            raise

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers.values():
            worker.close()


def is_alive(worker: Worker) -> bool:
    """Whether a process that gave no answer can give others; one that was killed may linger."""
    try:
        worker.process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return True
    return False


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser("oracle", description="Compare minigrad with TensorFlow.")
    parser.add_argument("names", nargs="*", help="scenarios, or parts of their names; else all")
    parser.add_argument("--random", type=int, default=0, help="so many drawn by chance besides")
    parser.add_argument("--list", action="store_true", help="say which scenarios there are")
    parser.add_argument("--verbose", action="store_true", help="show every observation")
    parser.add_argument("--intended", action="store_true", help="show what differs on purpose")
    return parser.parse_args()


def play(players: Players, name: str, *, verbose: bool) -> Verdict:
    """Run one scenario in both frameworks, and judge it."""
    seen: dict[str, Observations] = {}
    for framework in FRAMEWORKS:
        try:
            seen[framework] = players.ask(framework, play=name)["observations"]
        except WorkerError as error:
            return Verdict([f"{framework}: {error}"], [])
    if verbose:
        for framework, observations in seen.items():
            for label, observation in observations.items():
                print(f"    {framework:10}  {label}: {at_length(observation)}")
    return judge(seen["tensorflow"], seen["minigrad"], expected_of(name))


def progress(text: str) -> None:
    """Say on a terminal, in one line, where we are."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


def chosen(parts: list[str], count: int) -> list[str]:
    """The names of the scenarios to play; of those drawn by chance, the ones named in full."""
    written = [name for name in SCENARIOS if not parts or any(part in name for part in parts)]
    drawn = [part for part in parts if NAME.fullmatch(part)]
    return [*written, *drawn, *[f"random_{seed}" for seed in range(count)]]


def told(name: str, verdict: Verdict, *, intended: bool) -> str:
    """How a scenario came out, in the words of the last line; prints what there is to say."""
    lines = [f"DIFFER  {name}, {line}" for line in verdict.complaints]
    if verdict.complaints and NAME.fullmatch(name):
        lines.append(f"        {name} is {described(name)}")
    if intended:
        lines += [f"as intended  {name}, {line}" for line in verdict.intended]
    for line in lines:
        progress("")
        print(line, flush=True)
    if verdict.complaints:
        return OUTCOMES[2]
    return OUTCOMES[1] if verdict.intended else OUTCOMES[0]


def main() -> int:
    """Play, compare, and say by the exit code whether anything differs that should not."""
    asked = arguments()
    load()
    names = chosen(asked.names, asked.random)
    if not names or asked.list:
        print("\n".join(SCENARIOS if asked.list else [f"no scenario is called {asked.names}"]))
        return 0 if asked.list else 1
    if lost := sorted({one.scenario for one in INTENDED} - SCENARIOS.keys()):
        print(f"oracle: differences are stated of scenarios that do not exist: {', '.join(lost)}")
        return 1
    players = Players()
    counts = dict.fromkeys(OUTCOMES, 0)
    try:
        versions = [f"{f} {players.ask(f)['version']}" for f in FRAMEWORKS]
        print(f"{' and '.join(versions)}, {len(names)} scenarios", flush=True)
        for i, name in enumerate(names, 1):
            progress(f"{i}/{len(names)} {name}")
            if asked.verbose:
                print(f"\n{name}")
            verdict = play(players, name, verbose=asked.verbose)
            counts[told(name, verdict, intended=asked.intended)] += 1
    except (WorkerError, FileNotFoundError) as error:
        print(f"oracle: {error}", file=sys.stderr)
        return 1
    finally:
        players.close()
    progress("")
    print(", ".join(f"{n} {outcome}" for outcome, n in counts.items()))
    return 1 if counts[OUTCOMES[2]] else 0


if __name__ == "__main__":
    sys.exit(main())
