"""Object files on disk, in a directory only the user can write to: they hold code that will run."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import sys
from pathlib import Path

MAGIC = b"minigrad object 1\n"
CAPACITY = 256 << 20
"""Bytes of object files kept; beyond, those unused for longest are removed."""

SWEEP = 64
"""Writes, of all processes together, between two looks at the size of the directory."""

BINARY = getattr(os, "O_BINARY", 0)  # Windows would write other ends of lines


def read(key: str) -> bytes | None:
    """The object stored under `key`; None if there is none. A damaged file is removed."""
    folder = directory()
    if folder is None:
        return None
    path = folder / key
    try:
        content = path.read_bytes()
        image = unseal(key, content)
        if image is None:
            path.unlink()
        else:
            os.utime(path)  # so that eviction finds what is unused, not what is old
        return image
    except OSError:
        return None


def write(key: str, image: bytes) -> None:
    """Store the object `image` under `key`, if there is a place to store it."""
    folder = directory()
    if folder is None:
        return
    try:
        temporary = folder / f"tmp-{os.getpid()}-{os.urandom(8).hex()}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(seal(key, image))
            os.replace(temporary, folder / key)
        except OSError:
            os.unlink(temporary)
            raise
        if is_due(key):
            evict(folder)
    except OSError:
        return  # a full or read-only disk costs time, not correctness


def seal(key: str, image: bytes) -> bytes:
    """What is written to disk: the image behind a checksum of it and its key."""
    return MAGIC + hashlib.sha256(key.encode() + image).digest() + image


def unseal(key: str, content: bytes) -> bytes | None:
    """The image in `content`; None if it is truncated, altered or another key's."""
    image = content[len(MAGIC) + 32 :]
    return image if content == seal(key, image) else None


def is_due(key: str) -> bool:
    """Whether to look at the size of the directory after writing `key`: keys are hashes, so that
    one in SWEEP is, and processes that write little do it no more often."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % SWEEP == 0


def evict(folder: Path) -> None:
    """Remove the files unused for longest until the rest is within CAPACITY."""
    files = []
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):  # another process may evict at the same time
            status = entry.stat(follow_symlinks=False)
            files.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= CAPACITY:
            return
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size


def directory() -> Path | None:
    """The directory of the objects; None if there is none that could be trusted."""
    base = base_directory()
    return None if base is None else private_directory(base / "objects")


def base_directory() -> Path | None:
    """Where the user wants caches kept: MINIGRAD_CACHE_DIR, or the platform's place for them."""
    if chosen := os.environ.get("MINIGRAD_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local, "minigrad") if local else None
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache, "minigrad")
    try:
        home = Path.home()
    except RuntimeError:
        return None
    below = Path("Library", "Caches") if sys.platform == "darwin" else Path(".cache")
    return home / below / "minigrad"


@functools.cache
def private_directory(path: Path) -> Path | None:
    """`path`, made if need be; None unless it is ours, writable, and closed to others."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        own, parent = path.lstat(), path.parent.stat()
    except OSError:
        return None
    if not stat.S_ISDIR(own.st_mode) or not os.access(path, os.W_OK | os.X_OK):
        return None
    if hasattr(os, "getuid"):
        # the owner of a directory may rename what is in it, and so may those who write there,
        # unless it is sticky
        replaceable = parent.st_uid not in (0, os.getuid()) or (
            parent.st_mode & 0o022 and not parent.st_mode & stat.S_ISVTX
        )
        if own.st_uid != os.getuid() or own.st_mode & 0o077 or replaceable:
            return None
    return path
