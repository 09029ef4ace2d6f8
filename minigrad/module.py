"""Module: an object whose attributes hold Variables, found by walking them in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .core.later import later
from .variable import Variable

base = later("optimizers.base")


class Module:
    """Base of objects with state: layers, models, and whatever owns Variables.

    Variables are found in attributes, in the order of assignment, and in what they hold: Modules,
    lists, tuples, dicts, random generators and optimizers. Each is listed once, under the first
    path that leads to it, such as "layers.0.w".
    """

    def named_variables(self) -> Iterator[tuple[str, Variable]]:
        """The paths and Variables, of this Module and of those in it."""
        for path, found in walk(self, "", set()):
            if isinstance(found, Variable):
                yield path, found

    @property
    def variables(self) -> list[Variable]:
        """All Variables."""
        return [variable for _, variable in self.named_variables()]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The Variables that optimizers are given."""
        return [variable for variable in self.variables if variable.trainable]

    @property
    def submodules(self) -> list[Module]:
        """The Modules in this one, at any depth."""
        return [
            found for path, found in walk(self, "", set()) if path and isinstance(found, Module)
        ]

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """A copy of all values: arrays by path, to be given to `load_state_dict`."""
        return {path: np.array(variable.numpy()) for path, variable in self.named_variables()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave.

        Raises SaveError where paths, shapes or dtypes do not fit; nothing is changed then.
        """
        base.load(dict(self.named_variables()), state, type(self).__name__)


def walk(found: Any, path: str, seen: set[Any]) -> Iterator[tuple[str, Any]]:
    """Variables and Modules in `found`, each once, with the paths that lead to them."""
    start = f"{path}." if path else ""
    children: Any
    match found:
        case Variable():
            if found not in seen:
                seen.add(found)
                yield path, found
            return
        case Module():
            if found in seen:
                return
            seen.add(found)
            yield path, found
            children = vars(found).items()
        case dict():
            children = found.items()
        case list() | tuple():
            children = dict(enumerate(found)).items()
        case _ if hasattr(found, "named_variables"):
            children = dict(found.named_variables()).items()
        case _:
            return
    for name, child in list(children):
        yield from walk(child, f"{start}{name}", seen)
