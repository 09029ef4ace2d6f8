"""Modules that `import minigrad` does not need: loaded when something of theirs is first asked for.

The compiler and all that it stands on take longer to load than NumPy; many programs never use
them. The layers of the package hold for these names as for imports.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from ..errors import SpecError

# versions of the array API standard that the names of the package keep to
API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


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


def namespace(api_version: str | None = None) -> Any:
    """The package itself, for those who write for any array library; they may name a version.

    Raises SpecError for a version of the array API standard that is not held.
    """
    if api_version not in (None, *API_VERSIONS):
        raise SpecError(
            f"__array_namespace__: api_version {api_version!r} was asked for; the array API "
            f"standard is held in the versions {', '.join(API_VERSIONS)}; name one of these"
        )
    return sys.modules["minigrad"]
