"""Make the notebooks of their sources: `python -m tutorials.notebooks`, after a change of one.

A source is Python with `# %%` above each cell of code and `# %% [markdown]` above each cell of
text, which editors and jupytext open as a notebook. Notebooks hold no outputs: the tests run them.
"""

import re
from pathlib import Path
from typing import Any

import nbformat

HERE = Path(__file__).parent
MARK = re.compile(r"^# %%(?P<kind>.*)$", re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def sources() -> list[Path]:
    """The sources of all tutorials, in order."""
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def notebook(source: str) -> Any:
    """The notebook that a source describes. What stands above its first cell is left out."""
    marks = list(MARK.finditer(source))
    ends = [mark.start() for mark in marks[1:]] + [len(source)]
    cells = [
        cell(i, mark["kind"].strip(), source[mark.end() : end].strip("\n"))
        for i, (mark, end) in enumerate(zip(marks, ends, strict=True))
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def cell(index: int, kind: str, text: str) -> Any:
    """One cell. kind: what stands behind `# %%`; ids count up, so that they never change."""
    match kind:
        case "":
            return nbformat.v4.new_code_cell(text, id=f"cell-{index}")
        case "[markdown]":
            lines = [line.removeprefix("#").removeprefix(" ") for line in text.splitlines()]
            return nbformat.v4.new_markdown_cell("\n".join(lines), id=f"cell-{index}")
    raise ValueError(f"cell {index} is marked {kind!r}; write `# %%` or `# %% [markdown]`")


def written(source: Path) -> str:
    """The text of the notebook file that belongs to the file `source`."""
    return nbformat.writes(notebook(source.read_text("utf-8"))) + "\n"


def main() -> None:
    """Write every notebook beside its source."""
    for source in sources():
        path = source.with_suffix(".ipynb")
        path.write_text(written(source), "utf-8")
        print(path.relative_to(HERE.parent))


if __name__ == "__main__":
    main()
