"""The plugin writes what Hypothesis drew; without Hypothesis, checks of given inputs still work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own, in `folder`."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True
    )


SUITE = """
import minigrad as mg
from hypothesis import given, settings
from minigrad.testing import strategies as mgst

@settings(database=None, derandomize=True, max_examples=50)
@given(program=mgst.programs(most=4))
def test_no_program_has_a_sine(program):
    assert "mg.sin" not in program.source

@settings(database=None, derandomize=True)
@given(application=mgst.applications("reduce_sum", smooth=True), scale=mgst.tensors(()))
def test_no_sum_is_along_an_axis(application, scale):
    assert application.attrs["axes"] is None

def test_of_no_drawn_arguments():
    assert False
"""


def test_programs_applications_and_tensors_are_written_down_and_run_again(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE, "utf-8")
    plugin = ("-p", "minigrad.testing.plugin", "--minigrad-replays", "kept")
    found = run(tmp_path, "-m", "pytest", "-q", *plugin, "test_it.py")
    assert found.returncode == 1
    assert found.stdout.count("minigrad: the failing program") == 2
    assert "# def program(x0, x1, x2):" in found.stdout
    files = sorted((tmp_path / "kept").iterdir())
    assert [file.name for file in files] == [
        "test_it_py_test_no_program_has_a_sine.py",
        "test_it_py_test_no_sum_is_along_an_axis.py",
    ]
    for file in files:
        again = run(tmp_path, str(file))
        assert "AssertionError" in again.stderr, again.stderr


WITHOUT = """
import sys
sys.modules["hypothesis"] = None

import numpy as np
import minigrad as mg
from minigrad.testing import assert_modes_agree, assert_pure, check_grads, check_op

check_grads(mg.sin, 0.5)
check_op(mg.sin, np.array([0.5]))
assert_pure(np.sin, np.array([0.5]))
assert_modes_agree(mg.sin, np.array([0.5]), without=["compiled"])
for ask in (lambda: mg.testing.strategies, lambda: check_op(mg.sin)):
    try:
        ask()
    except ModuleNotFoundError as error:
        print(error)
"""


def test_without_hypothesis_only_drawing_is_missing_and_says_so(tmp_path: Path) -> None:
    found = run(tmp_path, "-c", WITHOUT)
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert len(lines) == 2 and len(set(lines)) == 1
    assert "hypothesis is not installed" in lines[0]
    assert "pip install 'minigrad[testing]'" in lines[0]


@pytest.mark.parametrize("name", ["strategys", "checks"])
def test_a_name_that_is_not_there_is_an_attribute_error(name: str) -> None:
    import minigrad.testing

    with pytest.raises(AttributeError, match=f"no '{name}'; it has"):
        getattr(minigrad.testing, name)
