"""`docs/promises.md` names tests; each is there, and each promise has one."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"


def named_tests() -> set[str]:
    """The names of all test functions below `tests/`."""
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows(text: str) -> list[str]:
    """The lines of the tables, without their heads."""
    return [
        line
        for line in text.splitlines()
        if line.startswith("|") and not re.match(r"\|(---|.*\| held by \|$)", line)
    ]


def missing(text: str, known: set[str]) -> list[str]:
    """What is wrong with a page: tests that do not exist, promises that nothing holds."""
    complaints = [line for line in rows(text) if not re.search(r"`test_\w+`", line)]
    return complaints + [name for name in re.findall(r"`(test_\w+)`", text) if name not in known]


def test_each_promise_names_a_test_that_exists() -> None:
    text = PAGE.read_text("utf-8")
    assert len(rows(text)) > 80
    assert missing(text, named_tests()) == []


def test_a_promise_without_a_test_is_seen() -> None:
    page = "| promise | held by |\n|---|---|\n| a | `test_a` |\n| b | nothing |\n| c | `test_c` |"
    assert missing(page, {"test_a"}) == ["| b | nothing |", "test_c"]
