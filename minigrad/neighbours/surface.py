"""What namespaces say of names that they do not have, and what `dir` lists of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ..core.later import later

names = later("neighbours.names")


def surface(module: str, public: Sequence[str], elsewhere: Mapping[str, str] = {}) -> None:
    """Let a namespace list the names `public`, and say of others what they are here.

    elsewhere: names that are loaded when they are asked for, with the modules they are in; a name
    that is the last part of its module is that module.
    """
    space = module.partition(".")[2]
    contents = vars(sys.modules[module])

    def missing(name: str) -> Any:
        """What `name` is, loaded now. Raises AttributeError, which says what to write."""
        if name in elsewhere:
            found = import_module(elsewhere[name])
            return found if elsewhere[name].endswith(f".{name}") else getattr(found, name)
        words = names.unknown(name, public, space)
        raise AttributeError(words, name=name, obj=sys.modules[module])

    def listed() -> list[str]:
        """The public names."""
        return sorted(public)

    # not written in the module: type checkers would take any name for one that is there
    contents.update(__getattr__=missing, __dir__=listed)
