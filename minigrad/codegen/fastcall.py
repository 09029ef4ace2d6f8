"""How NumPy's arrays lie in memory, for the builtin that calls kernels, and whether they do here.

The builtin reads the fields of arrays at fixed offsets. They are tried out on arrays whose
contents are known before the first use.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import math
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from .memory import SMALLEST, Memory, handler_is_known, memory

Array = np.ndarray[Any, np.dtype[Any]]

CONTIGUOUS, OWNDATA, ALIGNED, WRITEABLE = 0x0001, 0x0004, 0x0100, 0x0400
NUMPY_ABI = 0x02000000
NEW_FROM_DESCR = 94  # slot of PyArray_NewFromDescr in NumPy's table of C functions

HEAD = object.__basicsize__
# where a PyArrayObject keeps its fields, in bytes from its start
TYPE, DATA, NDIM, DIMS = HEAD - 8, HEAD, HEAD + 8, HEAD + 16
DESCR, FLAGS = HEAD + 40, HEAD + 48


class ArraySpec(NamedTuple):
    """The shape and dtype of an array that goes in or comes out."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Signature(NamedTuple):
    """What the kernel `entry` takes and gives.

    donated: output number -> input number, for outputs written into the memory of an input,
    which is then returned itself. packed: a single output comes in a tuple, too.
    """

    entry: str
    inputs: Sequence[ArraySpec]
    outputs: Sequence[ArraySpec]
    donated: Mapping[int, int] = MappingProxyType({})
    packed: bool = False

    @property
    def alone(self) -> bool:
        """Whether the result is one array, and not a tuple."""
        return len(self.outputs) == 1 and not self.packed


def is_kept(spec: ArraySpec) -> bool:
    """Whether the memory of an output is kept for the next ones."""
    return size_of(spec) >= SMALLEST and keeper() is not None


def size_of(spec: ArraySpec) -> int:
    """The bytes of an array."""
    return math.prod(spec.shape) * spec.dtype.itemsize


@functools.cache
def keeper() -> Memory | None:
    """Who keeps the memory of large outputs; None where arrays cannot be told."""
    return memory() if handler_is_known(array_api()) else None


# Whether the builtin can be trusted here.


@functools.cache
def layout_is_known() -> bool:
    """Whether objects and arrays are laid out in memory as the builtin reads them: tried out."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    if ctypes.sizeof(ctypes.c_void_p) != 8 or HEAD != 16:
        return False
    frozen = np.zeros((2, 3))
    frozen.flags.writeable = False
    fortran = np.zeros((2, 3, 4), np.int8, order="F")
    samples: list[Array] = [
        np.array(1, np.float32),
        np.arange(5),
        fortran,
        frozen,
        np.zeros((0, 7), np.bool_),
    ]
    return numpy_abi_is_known() and all(layout_holds(sample) for sample in samples)


def layout_holds(array: Array) -> bool:
    """Whether the fields of `array` are where this file looks for them."""

    def field(kind: Any, offset: int, base: int = id(array)) -> Any:
        return kind.from_address(base + offset).value

    pointer, integer = ctypes.c_size_t, ctypes.c_int32
    if field(pointer, TYPE) != id(np.ndarray) or field(integer, NDIM) != array.ndim:
        return False
    if field(pointer, DESCR) != id(array.dtype) or field(integer, FLAGS) != array.flags.num:
        return False
    dims = field(pointer, DIMS) if array.ndim else 0
    extents = (field(ctypes.c_int64, 8 * axis, dims) for axis in range(array.ndim))
    return bool(field(pointer, DATA) == array.ctypes.data and tuple(extents) == array.shape)


@functools.cache
def array_api() -> Any:
    """NumPy's table of C functions, as an array of addresses."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule = importlib.import_module("numpy._core._multiarray_umath")._ARRAY_API
    return ctypes.cast(pointer(capsule, None), ctypes.POINTER(ctypes.c_size_t))


def numpy_abi_is_known() -> bool:
    """Whether NumPy's table of C functions is the one whose slots this file counts."""
    try:
        table = array_api()
    except (ImportError, AttributeError, ValueError):
        return False
    if ctypes.CFUNCTYPE(ctypes.c_uint)(table[0])() != NUMPY_ABI:
        return False
    return bool(table[2] == id(np.ndarray) and table[3] == id(np.dtype))
