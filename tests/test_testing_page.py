"""docs/testing.md says what happens: its Python runs, its mistake is found, shrunk, replayed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minigrad.core.registry import OPS
from tests.test_readme import check

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "testing.md").read_text("utf-8")
REPLAY = "minigrad_replays/test_huber_py_test_the_derivative_of_huber.py"


@pytest.fixture(autouse=True)
def without_the_ops_of_the_page() -> Iterator[None]:
    known = dict(OPS)
    yield
    OPS.clear()
    OPS.update(known)


def block(head: str) -> str:
    """The block of the page that opens with ```head."""
    found = re.search(rf"^```{re.escape(head)}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert found, head
    return found[1]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own, in `folder`."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True
    )


def test_the_python_of_the_page_gives_what_it_says() -> None:
    assert check(TEXT) >= 4


def test_the_mistake_of_the_page_is_found_shrunk_kept_and_replayed(tmp_path: Path) -> None:
    file = tmp_path / "test_huber.py"
    file.write_text(block("python file=test_huber.py"), "utf-8")
    tests = ("-m", "pytest", "-q", "-p", "minigrad.testing.plugin", file.name)

    found = run(tmp_path, *tests)
    assert found.returncode == 1
    place = 0
    for line in block("text output=test_huber.py").splitlines():
        place = found.stdout.find(line, place)
        assert place >= 0, f"{line!r} is not in, or not in this place of\n{found.stdout}"
    (x,) = re.findall(r"^x0? = mg\.constant\(np\.array\((.*), 'float64'\)\)$", found.stdout, re.M)
    assert 1 < abs(float(x)) < 1.1  # one number, just beyond the kink

    again = run(tmp_path, REPLAY)
    assert again.returncode == 1
    assert "LawError: check_grads of huber: does not hold" in again.stderr

    right = file.read_text("utf-8").replace("g * x  #", "g * mg.clip(x, -1.0, 1.0)  #")
    file.write_text(right, "utf-8")
    assert run(tmp_path, REPLAY).returncode == 0
    passed = run(tmp_path, *tests)
    assert passed.returncode == 0, passed.stdout
    assert not (tmp_path / REPLAY).exists()
