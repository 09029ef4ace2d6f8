"""`python -m minigrad`: the tour runs to its end, shows what it promises, and can fail."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minigrad import terminal

ROOT = Path(__file__).parents[1]
SECONDS = 240  # a busy machine; alone it takes some ten


def python(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What Python answers in `folder`, with this minigrad on its path."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "96", **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The output of one tour, and the folder it ran in."""
    folder = tmp_path_factory.mktemp("tour")
    done = python("-W", "error::RuntimeWarning", "-m", "minigrad", folder=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout, folder / "tour_output"


def test_every_check_of_the_tour_holds(tour: tuple[str, Path]) -> None:
    assert tour[0].count("✓") == 6 and "✗" not in tour[0]


def test_the_tour_learns_to_read(tour: tuple[str, Path]) -> None:
    (percent,) = re.findall(r"✓ ([\d.]+)% of the held-out images are read rightly", tour[0])
    assert 95 <= float(percent) <= 100


def test_the_tour_shows_what_it_promises(tour: tuple[str, Path]) -> None:
    shown = [
        r"gradient against differences: [\d.]+e-\d+ off at worst",
        r"the path is cut by\s+(│\s+)?stretched\s+(│\s+)?at\s+(│\s+)?\S*tour\.py:\d+",
        r"1 node has no compiled",
        r"stretched\s+(│\s+)?at\s+(│\s+)?\S*tour\.py:\d+",
        r"_of_product\(v\d+, v\d+",
        r"for i in 128 by \d+:",
        r"sqrt\(v\d+\)",
        r"define void @",
        r"NumPy by hand +\d+ µs",
        r"eager +\d+ µs",
        r"traced +\d+ µs",
        r"compiled +\d+ µs",
    ]
    assert [pattern for pattern in shown if not re.search(pattern, tour[0])] == []


def test_the_tour_writes_its_pictures_and_says_where(tour: tuple[str, Path]) -> None:
    text, folder = tour
    assert sorted(path.name for path in folder.iterdir()) == [
        "learning_curve.png",
        "training_step.svg",
    ]
    assert all(f"tour_output/{path.name}" in text for path in folder.iterdir())
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(folder / "training_step.svg").getroot().tag.endswith("svg")


def test_without_llvm_the_tour_runs_and_says_so(tmp_path: Path) -> None:
    hurry = "import minigrad.tour as tour; tour.EPOCHS, tour.SECONDS = 10, 1; tour.main()"
    done = python("-c", hurry, folder=tmp_path, MINIGRAD_DISABLE_LLVM="1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "llvmlite is not here" in done.stdout


def test_a_model_that_does_not_learn_ends_the_tour_with_an_error(tmp_path: Path) -> None:
    untrained = "import minigrad.tour as tour; tour.EPOCHS = 1; tour.WANTED = 0.99; tour.main()"
    done = python("-c", untrained, folder=tmp_path)
    assert done.returncode == 1
    assert "this does not hold" in done.stderr and "at least 99%" in done.stderr


@pytest.mark.parametrize("missing", ["sklearn", "matplotlib", "tqdm"])
def test_a_missing_extra_is_named(missing: str, tmp_path: Path) -> None:
    code = (
        f"import runpy, sys; sys.modules[{missing!r}] = None; "
        "runpy.run_module('minigrad', run_name='__main__')"
    )
    done = python("-c", code, folder=tmp_path)
    assert done.returncode == 1
    assert f"needs {missing}" in done.stderr and "minigrad[tour]" in done.stderr
    assert "Traceback" not in done.stderr


def test_text_is_cut_and_wrapped_at_the_width(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show("    first\n" + "x" * 500 + "\nlast", first=2)
    terminal.quote("word " * 50)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= terminal.WIDTH
    assert "  │ ... 1 more lines" in lines
    assert " ".join(lines).count("word") == 50


def test_a_claim_that_does_not_hold_ends_the_program() -> None:
    with pytest.raises(SystemExit, match="this does not hold: one is two"):
        terminal.check(1 == 2, "one is two")
