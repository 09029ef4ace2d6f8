"""Who wants to know that a tensor leaves for NumPy or Python, where no tape can follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Watcher = Callable[[Any], None]

WATCHER: ContextVar[Watcher | None] = ContextVar("minigrad.leaving", default=None)


def leaving(x: Any) -> None:
    """Tell whoever watches that the value of `x` is being taken out."""
    watcher = WATCHER.get()
    if watcher is not None:
        watcher(x)


@contextmanager
def leaving_allowed() -> Iterator[None]:
    """A block in which values may leave: its derivative is stated by other means."""
    token = WATCHER.set(None)
    try:
        yield
    finally:
        WATCHER.reset(token)
