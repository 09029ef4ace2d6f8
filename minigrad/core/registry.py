"""The one late binding: `Tensor.__add__` must say `add`, and `add` must know Tensor.

`api` starts empty; defining a function fills it. `OPS` holds every op by name: tests, the
compiler and the serializer follow it, so that a new op is covered the moment it is defined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Functions(Generic[T]):
    """Functions by name; to a type checker, each gives a T."""

    def __getattr__(self, name: str) -> Callable[..., T]:
        raise AttributeError(f"nothing is published as {name}; import the module that defines it")


api: Any = Functions[Any]()


def functions() -> Any:
    """`api` again, for those who say what its functions give."""
    return api


OPS: dict[str, Any] = {}


def publish(name: str, function: Any) -> None:
    """Make `function` known as `api.name`. Raises ValueError where the name is taken."""
    if hasattr(api, name):
        raise ValueError(
            f"{name} is defined twice; the first is {getattr(api, name)!r}; rename one"
        )
    setattr(api, name, function)


# methods of Tensor that the functions of these names take over when they are defined: what they
# do is written there, but a method that calls a function takes 0.1 us more than the function
OPERATORS = {
    "add": "__add__",
    "subtract": "__sub__",
    "multiply": "__mul__",
    "divide": "__truediv__",
    "negative": "__neg__",
    "less": "__lt__",
    "less_equal": "__le__",
    "greater": "__gt__",
    "greater_equal": "__ge__",
}
