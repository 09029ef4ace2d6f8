"""Threads take turns: one at a time does what must be done once, and none waits in a circle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# who is at what, and who waits for what; both only while it lasts
BUSY: dict[Any, int] = {}
WAITING: dict[int, Any] = {}
CHANGED = threading.Condition()


@contextmanager
def turn(task: Any) -> Iterator[None]:
    """A block for one thread at a time per `task`; the same thread may enter again.

    A thread whose turn would never come, because the one before it waits for it in the end, goes
    ahead: what is done once is then done twice, which is better than never.
    """
    me = threading.get_ident()
    with CHANGED:
        while BUSY.get(task, me) != me and not in_circle(task, me):
            WAITING[me] = task
            try:
                CHANGED.wait()
            finally:
                del WAITING[me]
        before = BUSY.get(task)
        BUSY[task] = me
    try:
        yield
    finally:
        with CHANGED:
            if before is None:
                BUSY.pop(task, None)
            else:
                BUSY[task] = before
            CHANGED.notify_all()


def in_circle(task: Any, me: int) -> bool:
    """Whether the thread that is at `task` waits, in the end, for the thread `me`."""
    owner = BUSY.get(task)
    seen: set[int] = set()
    while owner is not None and owner not in seen:
        if owner == me:
            return True
        seen.add(owner)
        owner = BUSY.get(WAITING[owner]) if owner in WAITING else None
    return False
