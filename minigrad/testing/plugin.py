"""A pytest plugin: failing programs are printed as a few lines to paste, and kept as files.

    pytest -p minigrad.testing.plugin

Of a test that fails by a LawError, or one of Hypothesis whose arguments can be written down, the
report gets a section "minigrad: the failing program", after shrinking. The same lines stand in a
file of the folder `minigrad_replays` (`--minigrad-replays`), which `python FILE` runs again; a
test that passes again takes its file away.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest

from .report import LawError, importing, written

HEADING = "minigrad: the failing program"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the folder."""
    parser.getgroup("minigrad").addoption(
        "--minigrad-replays",
        default="minigrad_replays",
        metavar="DIR",
        help="where failing programs are kept, relative to the root of the tests",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Print the program of a test that fails, and keep it; drop the file of one that passes."""
    report: Any = yield
    if call.when == "call":
        path = item.config.rootpath / item.config.getoption("--minigrad-replays") / file_of(item)
        if call.excinfo is None:
            path.unlink(missing_ok=True)
        elif report.failed:
            program = program_of_failure(item, call.excinfo.value)
            if program:
                path.parent.mkdir(parents=True, exist_ok=True)
                head = f'"""What failed in {item.nodeid}; run this file to see it again."""\n\n'
                path.write_text(head + program, "utf-8")
                words = f"{program}\n# kept in {path}; run it with python"
                report.sections.append((HEADING, words))
    return report  # type: ignore[no-any-return]  # wrappers return what they wrap


def file_of(item: pytest.Item) -> str:
    """The name of the replay file of a test."""
    return re.sub(r"\W+", "_", item.nodeid).strip("_")[-150:] + ".py"


def program_of_failure(item: pytest.Item, error: BaseException) -> str:
    """The lines that show the failure again; "" where they cannot be written."""
    while isinstance(error, BaseExceptionGroup):  # Hypothesis found several: the first will do
        error = error.exceptions[0]
    if isinstance(error, LawError):
        return error.program
    function: Any = getattr(item, "obj", None)
    test = getattr(function, "hypothesis", None)
    if test is None:
        return ""
    frame = frame_of(test.inner_test.__code__, error.__traceback__)
    names = [name for name in test.inner_test.__code__.co_varnames if name in (frame or {})]
    names = names[: test.inner_test.__code__.co_argcount]
    try:
        pieces = [written(name, (frame or {})[name]) for name in names]
    except ValueError:
        return ""
    lines = ["import sys", "", "import numpy as np", "", "import minigrad as mg"]
    lines += [*importing(function), "", *pieces]
    given = ", ".join([f"{name}={name}" for name in names])
    lines.append(f"{function.__name__}.hypothesis.inner_test({given})")
    return "\n".join(lines) + "\n"


def frame_of(code: Any, trace: TracebackType | None) -> dict[str, Any] | None:
    """The local names of the call of `code` that a traceback goes through."""
    for frame, _ in traceback.walk_tb(trace):
        if frame.f_code is code:
            return frame.f_locals
    return None
