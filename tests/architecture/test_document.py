"""docs/architecture.md is a map of what is there: its files exist, and nothing large is missing."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
TOLD = ("core", "codegen", "passes")  # subpackages of which the map tells every module


def named_files(text: str) -> list[str]:
    """The paths in backquotes: of Python files, and of folders, which end with a slash."""
    return re.findall(r"`([\w/]+(?:\.py|/))`", text)


def missing(text: str) -> list[str]:
    """The named files that are neither in the package nor in the repository."""
    homes = (ROOT / "minigrad", ROOT)
    return [name for name in named_files(text) if not any((home / name).exists() for home in homes)]


def unmapped(text: str) -> list[str]:
    """What is not named: modules and subpackages directly under minigrad, and modules of TOLD."""
    named = set(named_files(text))
    package = ROOT / "minigrad"
    wanted = [path.name for path in package.glob("*.py")]
    wanted += [
        f"{folder}/{path.name}"
        for folder in TOLD
        for path in package.glob(f"{folder}/*.py")
        if path.name != "__init__.py"
    ]
    wanted += [f"{path.parent.name}/" for path in package.glob("*/__init__.py")]
    return sorted(set(wanted) - named - {"core/"})


def test_every_file_that_is_named_exists() -> None:
    assert missing(TEXT) == []


def test_every_module_is_on_the_map() -> None:
    assert unmapped(TEXT) == []


def test_a_wrong_map_is_seen() -> None:
    assert missing("see `core/op.py`, `nowhere.py` and `nothing/`") == ["nowhere.py", "nothing/"]
    assert "tape.py" in unmapped("only `core/op.py`") and "ops/" in unmapped("")
    assert "codegen/jit.py" in unmapped("all of `codegen/`")
