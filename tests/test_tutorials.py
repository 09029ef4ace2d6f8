"""The tutorials run from top to bottom, as their readers run them, and are what their sources say.

What they claim they assert, in their own cells; here they are only run, each in a fresh kernel.
"""

import os
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tutorials.notebooks import notebook, sources, written

ROOT = Path(__file__).parents[1]
SECONDS = 60  # for one notebook, on a busy machine; they are written to take less than 15


def run(document: Any, folder: Path) -> None:
    """Execute every cell of a notebook in a new kernel that finds this minigrad."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    client = NotebookClient(document, timeout=SECONDS, resources={"metadata": {"path": folder}})
    client.execute(env={**os.environ, "PYTHONPATH": path})


def test_there_are_tutorials() -> None:
    assert [path.stem[:2] for path in sources()] == ["01", "05"]


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_a_notebook_is_what_its_source_says(source: Path) -> None:
    found = source.with_suffix(".ipynb").read_text("utf-8")
    assert found == written(source), "run `python -m tutorials.notebooks`"


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(source: Path, tmp_path: Path) -> None:
    document = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    start = time.perf_counter()
    run(document, tmp_path)
    assert time.perf_counter() - start < SECONDS
    code = [cell for cell in document.cells if cell.cell_type == "code"]
    assert code and all(cell.execution_count for cell in code)
    assert not list(tmp_path.iterdir()), "a tutorial leaves no files behind"


def test_a_cell_that_fails_is_seen(tmp_path: Path) -> None:
    document = notebook("# %%\nimport minigrad as mg\n\n# %%\nassert mg.constant(1.0) == 2.0\n")
    with pytest.raises(CellExecutionError, match="AssertionError"):
        run(document, tmp_path)


def test_sources_become_cells() -> None:
    made = notebook("# above\n# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nx = 1\n\nx\n")
    assert [(cell.cell_type, cell.source) for cell in made.cells] == [
        ("markdown", "# Title\n\ntext"),
        ("code", "x = 1\n\nx"),
    ]
    with pytest.raises(ValueError, match=r"\[raw\]"):
        notebook("# %% [raw]\n")
