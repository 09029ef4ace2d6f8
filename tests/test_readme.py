"""README.md says what happens: its Python runs, and gives what its comments promise.

A comment behind an expression, or in the lines below it, is what the expression gives: its repr,
or what it prints, wherever the lines are broken. An error is promised by `# raises` and the name
of its class.
"""

import ast
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(text: str) -> Iterator[str]:
    """The Python blocks of a Markdown text, moved down to the lines they stand on in it."""
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield "\n" * text.count("\n", 0, match.start(1)) + match[1]


def promised(lines: list[str], statement: ast.stmt) -> str:
    """The comment behind a statement, or in the lines below it; an empty string for none."""
    assert statement.end_lineno and statement.end_col_offset
    behind = lines[statement.end_lineno - 1].encode()[statement.end_col_offset :].decode().strip()
    comments = [behind] if behind else []
    if not comments:
        for line in lines[statement.end_lineno :]:
            if not line.startswith("#"):
                break
            comments.append(line)
    return "\n".join(re.sub("^# ?", "", comment) for comment in comments)


def given(statement: ast.stmt, names: dict[str, Any]) -> str:
    """Run one statement; what it prints, and the repr of an expression that is not None."""
    out = StringIO()
    with redirect_stdout(out):
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), README.name, "eval"), names)
            if value is not None:
                print(repr(value))
        else:
            exec(compile(ast.Module([statement], []), README.name, "exec"), names)
    return out.getvalue().strip()


def check(text: str) -> int:
    """Run every block of `text` in one namespace; how many promises were kept."""
    names: dict[str, Any] = {"__name__": "readme"}
    kept = 0
    for block in blocks(text):
        lines = block.splitlines()
        for statement in ast.parse(block).body:
            promise = promised(lines, statement) if isinstance(statement, ast.Expr) else ""
            if promise.startswith("raises "):
                with pytest.raises(Exception) as caught:
                    given(statement, names)
                assert f"raises {type(caught.value).__name__}" == promise.split(":")[0]
            elif found := given(statement, names):
                assert found.split() == promise.split(), f"{README.name}:{statement.lineno}"
            else:
                assert not promise, f"{README.name}:{statement.lineno} gives nothing"
            kept += bool(promise)
    return kept


def test_the_readme_keeps_its_promises() -> None:
    assert check(README.read_text("utf-8")) >= 5


@pytest.mark.parametrize(
    "block",
    ["1 + 1  # 3", "1 + 1", "print(1)\n# 2", "x = 1\nNone  # 1", "1 / 0  # raises ValueError"],
)
def test_a_broken_promise_is_caught(block: str) -> None:
    with pytest.raises(AssertionError):
        check(f"```python\n{block}\n```")


def test_a_promise_kept_is_counted() -> None:
    text = "```python\nx = 2  # a remark\nx + 1  # 3\nprint(x)\n# 2\n```\n"
    assert check(text + "```python\n1 / 0  # raises ZeroDivisionError: that is so\n```\n") == 3


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text("utf-8"))
    assert [link for link in links if not (README.parent / link).exists()] == []
    assert links
