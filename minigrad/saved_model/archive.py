"""The file: a zip of stored JSON and .npy members, written at once and read with suspicion.

Members are stored, not compressed, so what they take is bounded by the length of the file; and
they are found by names that the reader makes itself. Nothing is unpacked to disk.
"""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from typing import IO, Any, NoReturn

import numpy as np

from ..core.spec import DTYPES, Spec
from ..errors import SaveError
from . import limits
from .limits import damaged, require

Array = np.ndarray[Any, Any]
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member, so that equal models are equal files


# writing


def json_bytes(value: Any) -> bytes:
    """`value` as JSON text for people: one row per node. Raises SaveError where it is too large."""
    data = laid_out(value).encode("utf-8")
    if not is_small(data):
        raise SaveError(
            f"a model was to be saved whose graphs take {len(data)} bytes of JSON: a file holds "
            f"up to {limits.JSON_BYTES} bytes and {limits.JSON_VALUES} values, so that loading it "
            "is bounded; write repeated parts as loops (mg.scan), or save several functions apart"
        )
    return data


def laid_out(value: Any, indent: str = "", levels: int = 3) -> str:
    """JSON with lists and objects spread over lines, down to so many levels."""
    deeper = indent + " "
    if levels and type(value) is dict and value:
        rows = [
            f"{deeper}{json.dumps(key)}: {laid_out(part, deeper, levels - 1)}"
            for key, part in value.items()
        ]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if levels and type(value) is list and value and type(value[0]) is dict:
        rows = [deeper + laid_out(part, deeper, levels - 1) for part in value]
        return "[\n" + ",\n".join(rows) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)


def write_zip(file: IO[bytes], members: Mapping[str, bytes | Array]) -> None:
    """Write a zip of `members` to an open file: text as it is, arrays as .npy, little-endian."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            if isinstance(data, bytes):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
                continue
            info = zipfile.ZipInfo(name, EPOCH)
            info.file_size = data.nbytes + 10_000  # an upper bound, which tells large files
            little = np.asarray(data, data.dtype.newbyteorder("<"), order="C")
            with archive.open(info, "w") as member:
                np.lib.format.write_array(member, little, version=(1, 0), allow_pickle=False)


def write_file(path: Any, members: Mapping[str, bytes | Array]) -> None:
    """Put a zip of `members` at `path`: all of it, or, after a crash, what was there before."""
    target = os.path.realpath(os.fspath(path))
    # a folder that nobody else may enter, on the same disk, so that the last step is a rename
    folder = tempfile.mkdtemp(prefix=".minigrad-", dir=os.path.dirname(target))
    try:
        written = os.path.join(folder, "model")
        with open(written, "xb") as file:
            write_zip(file, members)
            file.flush()
            os.fsync(file.fileno())
        os.replace(written, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# reading


class Archive:
    """The members of a file, checked before anything of their size is allocated."""

    def __init__(self, file: IO[bytes]) -> None:
        length = file.seek(0, io.SEEK_END)
        self.zip = zipfile.ZipFile(file)
        self.members: dict[str, zipfile.ZipInfo] = {}
        self.taken: set[str] = set()
        for member in self.zip.infolist():
            name = member.filename
            require(name not in self.members, f"the member {name!r:.60} twice")
            require(member.compress_type == zipfile.ZIP_STORED, f"{name!r:.60} compressed")
            require(not member.flag_bits & 1, f"{name!r:.60} encrypted")
            require(member.file_size == member.compress_size, f"{name!r:.60} of two sizes")
            self.members[name] = member
        total = sum(member.file_size for member in self.members.values())
        require(total <= length, f"members of {total} bytes in a file of {length}")

    def read(self, name: str) -> bytes:
        """The bytes of a member, whose checksum is right."""
        require(name in self.members, f"no member {name}")
        self.taken.add(name)
        return self.zip.read(self.members[name])

    def json(self, name: str) -> Any:
        """What a JSON member holds."""
        data = self.read(name)
        require(is_small(data), f"{name} of {len(data)} bytes")
        return json.loads(data.decode("utf-8"), parse_constant=no_constant)

    def array(self, name: str, spec: Spec) -> Array:
        """The array of an .npy member, which is to be of `spec`."""
        stream = io.BytesIO(self.read(name))
        version = np.lib.format.read_magic(stream)
        require(version == (1, 0), f"{name} of the .npy version {version}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        known = dtype.newbyteorder("=")
        require(known in DTYPES.values() and not dtype.hasobject, f"{name} of dtype {dtype!s:.40}")
        require(Spec(shape, known) == spec, f"{name} of {Spec(shape, known)}, listed as {spec}")
        data = stream.getbuffer()[stream.tell() :]
        wanted = known.itemsize * math.prod(shape)
        require(len(data) == wanted, f"{name} of {len(data)} bytes, not {wanted}")
        flat = np.frombuffer(data, dtype)
        return np.array(flat.reshape(shape, order="F" if fortran else "C"), known, order="C")

    def finish(self) -> None:
        """Raise SaveError for members that nothing has asked for."""
        for name in self.members.keys() - self.taken:
            raise damaged(f"a member {name!r:.60}, which nothing refers to")


def is_small(data: bytes) -> bool:
    """Whether parsing JSON text is bounded in memory: each value takes a bracket or a comma."""
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    return len(data) <= limits.JSON_BYTES and values <= limits.JSON_VALUES


def no_constant(text: str) -> NoReturn:
    """Raise SaveError for NaN and Infinity, which are no JSON."""
    raise damaged(f"the number {text}")
