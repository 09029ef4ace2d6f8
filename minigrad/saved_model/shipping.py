"""How a concrete function travels to another process: as the bytes of its file."""

from __future__ import annotations

from typing import Any

from ..concrete import ConcreteFunction
from .model import dumped, loaded


def reduced(concrete: ConcreteFunction) -> tuple[Any, ...]:
    """What pickle and copy keep of a concrete function. Raises SaveError for Python bodies."""
    return loaded, (dumped(concrete),)
