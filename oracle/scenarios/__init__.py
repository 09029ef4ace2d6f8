"""The scenarios, a file for each topic."""

from importlib import import_module
from pathlib import Path


def load() -> None:
    """Import every file of scenarios; each adds its own."""
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        import_module(f"{__name__}.{path.stem}")
