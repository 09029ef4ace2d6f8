"""Runs the public suite of the array API standard, fetched beforehand, and prints the counts.

    ARRAY_API_TESTS=/path/to/array-api-tests python tests/conformance/suite.py

Any interpreter will do that has the library and the suite's requirements: so are others measured.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
XFAILS = Path(__file__).with_name("xfails.txt")
VERSION = "2025.12"
NEEDED = {"pytest": "pytest", "hypothesis": "hypothesis", "ndindex": "ndindex"}
NEEDED["pytest_jsonreport"] = "pytest-json-report"
HOW = """{problem}

The suite is fetched outside of this repository, with the text of the standard beside it:

    git clone --recurse-submodules https://github.com/data-apis/array-api-tests
    make conformance ARRAY_API_TESTS=/path/to/array-api-tests
"""
OUTCOMES = ("passed", "failed", "error", "xfailed", "xpassed", "skipped")


def suite_folder() -> Path:
    """Where the suite is, by the environment. Exits with what to do where it is not whole."""
    named = os.environ.get("ARRAY_API_TESTS")
    if not named:
        sys.exit(HOW.format(problem="ARRAY_API_TESTS does not say where the suite is."))
    folder = Path(named).expanduser().resolve()
    spec = Path("array-api", "spec", VERSION)
    for part in (Path("array_api_tests"), spec):
        if not (folder / part).is_dir():
            sys.exit(HOW.format(problem=f"ARRAY_API_TESTS={named} holds no {part}."))
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        sys.exit(f"the suite needs more: {sys.executable} -m pip install {' '.join(missing)}")
    return folder


def command(options: argparse.Namespace, more: list[str]) -> list[str]:
    """How pytest is called."""
    parts = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "--tb=short", "-W", "ignore"]
    parts += ["-p", "no:cacheprovider", "--disable-deadline", "--max-examples", options.examples]
    if options.module == "minigrad":
        parts += ["--xfails-file", str(XFAILS)]
    return [*parts, *more]


def environment(module: str) -> dict[str, str]:
    """What the suite reads: which library, by which version of the standard."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "ARRAY_API_TESTS_MODULE": module,
        "ARRAY_API_TESTS_VERSION": VERSION,
        "PYTHONPATH": os.pathsep.join(paths),
    }


def counts(text: str) -> dict[str, int]:
    """How many tests had which outcome, of the last line of pytest."""
    last = next((line for line in reversed(text.splitlines()) if " in " in line), "")
    found = {name.rstrip("s"): int(n) for n, name in re.findall(r"(\d+) ([a-z]+)", last)}
    return {name: found.get(name, 0) for name in OUTCOMES}


def released(module: str) -> str:
    """The version of the library that `module` is of."""
    try:
        return version(module.removeprefix("array_api_compat.").partition(".")[0])
    except PackageNotFoundError:
        return "?"


def main() -> int:
    """Run it; 0 where nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", default="minigrad", help="the library, as it is imported")
    parser.add_argument("--examples", default="100", help="how many examples each test draws")
    options, more = parser.parse_known_args()
    folder, start = suite_folder(), time.perf_counter()
    run = subprocess.Popen(
        command(options, more),
        cwd=folder,
        env=environment(options.module),
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = []
    for line in run.stdout or ():
        lines.append(line)
        print(line, end="", flush=True)
    code = run.wait()
    found = counts("".join(lines))
    print(f"\n{options.module} {released(options.module)}, array API {VERSION}, ", end="")
    print(f"{options.examples} examples, {time.perf_counter() - start:.0f} s")
    print(", ".join(f"{n} {name}" for name, n in found.items()))
    return code


if __name__ == "__main__":
    sys.exit(main())
