"""What tells one program from another, before it is compiled: the graph, the compiler, the machine.

The fingerprint of a graph is a hash of all that decides its code. Two graphs of one fingerprint
mean the same, so it leaves nothing out: what it does not know has none, and is compiled.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .codegen import jit
from .codegen.spelling import UnknownError, spelled
from .core.later import BEGUN
from .graph import Graph
from .passes.fold import known_captures

PACKAGE = Path(__file__).parent
SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a file shows in its time, on any file system."""
FOREIGN = ("NPY_", "OPENBLAS_")
"""How variables of the environment begin that decide how NumPy computes constants."""


def fingerprint(graph: Graph) -> str | None:
    """A hash of all that decides the code of `graph`; None where that is not known.

    What its nodes do and to what, the source of the compiler, and the machine. Names, and the
    lines of the user, decide nothing.
    """
    here = surroundings()
    if here is None:
        return None
    try:
        text = repr((here, spelled(graph, known_captures)))
    except UnknownError:
        return None
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def surroundings() -> tuple[Any, ...] | None:
    """What decides the code of all graphs: this package, others, and the machine."""
    before = modules()
    files = sources()
    if files is None:
        return None
    read.update(before)
    variables = [
        (name, setting)
        for name, setting in sorted(os.environ.items())
        if name.startswith(("MINIGRAD_", *FOREIGN)) and name != "MINIGRAD_CACHE_DIR"
    ]
    return jit.circumstances(), sys.version, np.__version__, variables, files


read: set[str] = set()
"""Modules that are known to have been read as `surroundings` says."""


def unchanged() -> bool:
    """Whether the source was what `surroundings` says, when what there is of it was read.

    Only files of modules that were read since are looked at: all would take a millisecond or two.
    """
    here = surroundings()
    if here is None:
        return False
    new = {name: path for name, path in modules().items() if name not in read}
    known = {path: found for path, *found in here[-1]} if new else {}
    if not all(path in known for path in new.values()):
        return bool(here[-1] == sources())
    try:
        same = all(marks(os.stat(path)) == tuple(known[path]) for path in new.values())
    except OSError:
        return False
    if same:
        read.update(new)
    return same


def modules() -> dict[str, str]:
    """The modules of this package that have been read, and their files."""
    begin = f"{__package__}."
    # a copy, as other threads may import
    found = [(name, module) for name, module in list(sys.modules.items()) if name.startswith(begin)]
    return {name: path for name, module in found if (path := getattr(module, "__file__", None))}


def sources() -> list[tuple[str, int, int, int]] | None:
    """Name, size and times of the files of this package; None where the times do not tell.

    Modules are read while the program runs. If a file was changed since that began, or so shortly
    before that it may have been changed again without a trace, nobody knows what was read.
    """
    try:
        found = sorted(files_below(str(PACKAGE)))
    except OSError:
        return None
    latest = max((max(changed, touched) for _, _, changed, touched in found), default=BEGUN)
    if latest + SETTLED > BEGUN:
        return None
    return found


def marks(status: os.stat_result) -> tuple[int, int, int]:
    """By what a change of a file shows: its size, and when content and place were changed."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def files_below(folder: str) -> Iterator[tuple[str, int, int, int]]:
    """The modules in `folder`: path, size, and when content and place were changed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield entry.path, *marks(entry.stat())
            elif entry.is_dir() and entry.name != "__pycache__":
                yield from files_below(entry.path)
