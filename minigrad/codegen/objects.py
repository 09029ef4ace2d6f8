"""Where CPython and NumPy keep the fields of objects that native code reads and writes.

The offsets are those of CPython with an interpreter's lock, on 64-bit machines, and of NumPy 2.
They are tried out on objects whose contents are known before the first use.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
import weakref
from typing import Any

import numpy as np

from ..core.tensor import tensor_of
from ..variable import Cell

Array = np.ndarray[Any, np.dtype[Any]]

CONTIGUOUS, OWNDATA, ALIGNED, WRITEABLE = 0x0001, 0x0004, 0x0100, 0x0400
NUMPY_ABI = 0x02000000
NEW_FROM_DESCR = 94  # slot of PyArray_NewFromDescr in NumPy's table of C functions

HEAD = object.__basicsize__
# where a PyArrayObject keeps its fields, in bytes from its start
TYPE, DATA, NDIM, DIMS = HEAD - 8, HEAD, HEAD + 8, HEAD + 16
BASE, DESCR, FLAGS, WEAKREFS = HEAD + 32, HEAD + 40, HEAD + 48, HEAD + 56
COUNT = 0
"""Where an object counts its references; the lower 32 bits in all versions."""
BYTES = bytes.__basicsize__ - 1
"""Where the content of a bytes object begins."""


def word(address: int, kind: Any = ctypes.c_size_t) -> Any:
    """What is in memory at `address`."""
    return kind.from_address(address).value


@functools.cache
def layout_is_known() -> bool:
    """Whether objects and arrays are laid out in memory as this file says: tried out."""
    if sys.implementation.name != "cpython" or sys.byteorder != "little":
        return False
    if ctypes.sizeof(ctypes.c_void_p) != 8 or HEAD != 16:  # 32 without an interpreter's lock
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
    content = b"twelve bytes"
    if ctypes.string_at(id(content) + BYTES, len(content)) != content:
        return False
    holders = slot_of_tensors() and slot_of_cells()
    return bool(numpy_abi_is_known() and all(map(layout_holds, samples)) and holders)


def layout_holds(array: Array) -> bool:
    """Whether the fields of `array` are where this file looks for them."""
    start, integer = id(array), ctypes.c_int32
    if word(start + TYPE) != id(np.ndarray) or word(start + NDIM, integer) != array.ndim:
        return False
    if word(start + DESCR) != id(array.dtype) or word(start + FLAGS, integer) != array.flags.num:
        return False
    dims = word(start + DIMS) if array.ndim else 0
    extents = tuple([word(dims + 8 * axis, ctypes.c_int64) for axis in range(array.ndim)])
    return bool(word(start + DATA) == array.ctypes.data and extents == array.shape)


@functools.cache
def holders_are_counted() -> bool:
    """Whether it shows in memory that a cell alone holds its array: tried out."""
    cell = Cell(np.zeros(3), None, trainable=False)
    start = id(cell._value)
    alone = word(start + COUNT, ctypes.c_int32), word(start + BASE), word(start + WEAKREFS)
    shared = cell._value
    view = shared[1:]
    reference = weakref.ref(shared)
    count = word(start + COUNT, ctypes.c_int32)  # the cell, `shared`, and `view`
    seen = bool(word(start + WEAKREFS)) and reference() is shared
    return bool(alone == (1, 0, 0) and count == 3 and seen and word(id(view) + BASE) == start)


@functools.cache
def slot_of_tensors() -> int:
    """Where a Tensor keeps its array, in bytes from its start; 0 if that is not clear."""
    array = np.zeros(1)
    return slot(tensor_of(array), array)


@functools.cache
def slot_of_cells() -> int:
    """Where a cell keeps its array, in bytes from its start; 0 if that is not clear."""
    array = np.zeros(1)
    return slot(Cell(array, None, trainable=False), array)


def slot(holder: object, value: object) -> int:
    """Where the fields of `holder` name `value`; 0 unless that is one place."""
    places = range(HEAD, type(holder).__basicsize__, 8)
    found = [place for place in places if word(id(holder) + place) == id(value)]
    return found[0] if len(found) == 1 else 0


@functools.cache
def array_api() -> Any:
    """NumPy's table of C functions, as an array of addresses."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule = importlib.import_module("numpy._core._multiarray_umath")._ARRAY_API
    return ctypes.cast(pointer(capsule, None), ctypes.POINTER(ctypes.c_size_t))


def numpy_abi_is_known() -> bool:
    """Whether NumPy's table of C functions is the one whose slots are counted here."""
    try:
        table = array_api()
    except (ImportError, AttributeError, ValueError):
        return False
    if ctypes.CFUNCTYPE(ctypes.c_uint)(table[0])() != NUMPY_ABI:
        return False
    return bool(table[2] == id(np.ndarray) and table[3] == id(np.dtype))


# where a PyUFuncObject keeps its fields
COUNTS, LOOPS, CONTEXTS = HEAD, HEAD + 16, HEAD + 24
ROWS, NAME, KINDS = HEAD + 32, HEAD + 40, HEAD + 48


def loop_of(ufunc: np.ufunc, dtypes: str) -> int | None:
    """The address of the inner loop of `ufunc` for `dtypes`, a character each; None if not clear.

    It takes the addresses of the operands, of the sizes and of the steps, and nothing else.
    """
    if not layout_is_known():
        return None
    start, number = id(ufunc), ctypes.c_int32
    counts = [word(start + COUNTS + 4 * k, number) for k in range(3)]
    if counts != [ufunc.nin, ufunc.nout, ufunc.nargs]:
        return None
    name = ufunc.__name__.encode() + b"\0"
    if word(start + ROWS, number) != ufunc.ntypes:
        return None
    if ctypes.string_at(word(start + NAME), len(name)) != name:
        return None
    kinds = [kind.replace("->", "") for kind in ufunc.types]
    numbers = bytes([np.dtype(c).num for kind in kinds for c in kind])
    if dtypes not in kinds or ctypes.string_at(word(start + KINDS), len(numbers)) != numbers:
        return None
    row, contexts = 8 * kinds.index(dtypes), word(start + CONTEXTS)
    if contexts and word(contexts + row):
        return None
    return int(word(word(start + LOOPS) + row)) or None
