"""What a Python function uses without being given it: tensors and Variables, found by name.

A body in a graph runs later, so that the graph must know beforehand what its derivatives can go
to. Names tell: those of closures, defaults and globals lead to values; and where one is an object,
a module or another function, the names that the code mentions lead on from there.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .core.tensor import Tensor
from .core.where import LIBRARY

CONTAINERS = (list, tuple, set, frozenset)
MOST = 10_000  # values looked at: a body is no place to search a data set


def reachable(func: Callable[..., Any]) -> list[Any]:
    """Tensors and Variables that `func` can use by name, itself or in functions that it calls."""
    return list(Search(func).found)


class Search:
    """Follows names from a function until nothing new is found."""

    def __init__(self, func: Any) -> None:
        self.found: dict[Any, None] = {}
        self.names: set[str] = set()  # mentioned by any code on the way
        self._owners: list[Any] = []  # objects whose attributes some name may mean
        self._seen: dict[int, Any] = {}  # by id, and kept alive here
        self.visit(func)
        known = -1
        while known != (known := len(self.names) + len(self._seen)):
            for owner in list(self._owners):
                self.visit_all(attributes(owner, self.names))

    def visit_all(self, values: Iterable[Any]) -> None:
        """Look at each of `values`."""
        for value in values:
            self.visit(value)

    def visit(self, value: Any) -> None:
        """Note what `value` is, or where it leads."""
        if isinstance(value, Tensor) or (hasattr(value, "cell") and hasattr(value, "assign")):
            self.found[value] = None
            return
        if id(value) in self._seen or len(self._seen) > MOST:
            return
        self._seen[id(value)] = value
        match value:
            case types.FunctionType():
                self.visit_function(value)
            case types.MethodType():
                self.visit_all((value.__func__, value.__self__))
            case functools.partial():
                self.visit_all((value.func, *value.args, *value.keywords.values()))
            case dict():
                self.visit_all(value.values())
            case _ if isinstance(value, CONTAINERS):
                self.visit_all(value)
            case types.ModuleType() | type():
                self._owners.append(value)
            case _ if hasattr(value, "__dict__"):
                self.visit_object(value)

    def visit_object(self, value: Any) -> None:
        """An object may be called, may wrap a function, and has attributes."""
        self._owners.append(value)
        self.visit_all(getattr(value, name, None) for name in ("__wrapped__", "python_function"))
        self.visit(vars(type(value)).get("__call__"))
        variables = getattr(value, "variables", None)
        if isinstance(variables, (list, tuple)):
            self.visit_all(variables)
        if hasattr(type(value), "named_variables"):  # a random generator, whose state has no name
            self.visit_all(variable for _, variable in value.named_variables())

    def visit_function(self, func: types.FunctionType) -> None:
        """A function has a closure, defaults, and names; one of minigrad's own has nothing new."""
        wrapped = getattr(func, "__wrapped__", None)
        self.visit(wrapped)
        self.visit_all(closed_over(func))
        self.visit_all((*(func.__defaults__ or ()), *(func.__kwdefaults__ or {}).values()))
        if LIBRARY[func.__code__.co_filename]:
            return
        mentioned = set(names(func.__code__))
        self.names |= mentioned
        self.visit_all(func.__globals__[name] for name in mentioned if name in func.__globals__)


def closed_over(func: Any) -> Iterator[Any]:
    """The values in the closure of `func`, if it has one."""
    for cell in getattr(func, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a name that is assigned later
            continue


def names(code: types.CodeType) -> Iterator[str]:
    """The globals and attributes that `code` mentions, in functions inside of it as well."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names(constant)


def attributes(owner: Any, mentioned: set[str]) -> Iterator[Any]:
    """What the attributes of `owner` that are `mentioned` hold.

    Of modules only tensors and Variables: their functions are not the user's to differentiate.
    """
    if isinstance(owner, types.ModuleType):
        held = vars(owner)
        for name in mentioned & held.keys():
            if isinstance(held[name], Tensor) or hasattr(held[name], "cell"):
                yield held[name]
        return
    classes = owner.__mro__ if isinstance(owner, type) else type(owner).__mro__
    for held in (*([] if isinstance(owner, type) else [vars(owner)]), *map(vars, classes)):
        for name in mentioned & held.keys():
            yield unwrapped(held[name])


def unwrapped(attribute: Any) -> Any:
    """The function inside of a property, static method or class method."""
    if isinstance(attribute, property):
        return attribute.fget
    return getattr(attribute, "__func__", attribute)
