"""Modules that `import minigrad` does not need: loaded when something of theirs is first asked for.

The compiler and all that it stands on take longer to load than NumPy; many programs never use
them. The layers of the package hold for these names as for imports.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

BEGUN = time.time_ns()
"""When loading this package began, in nanoseconds since the epoch."""


class Later:
    """A module to be; its attributes load it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


def later(name: str) -> Any:
    """The module `name`, of the package minigrad, loaded at the first use of its contents."""
    return Later(f"minigrad.{name}")
