"""Memory of large results, kept for the next ones: pages that are new cost more than the work.

NumPy lets an array say who frees its memory (NEP 49). Large results of native code name the two
functions below, which keep what is given back, up to a limit, and hand it out again for an array
of the same size. They run under the interpreter's lock, as all that makes and frees arrays.
"""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any

import numpy as np

from . import jit

SMALLEST = 1 << 17
"""Bytes of a result from which on its memory is kept; the C library keeps what is smaller."""
LIMIT = 1 << 28
"""Bytes that are kept; MINIGRAD_KEEP_BYTES says another number, 0 for nothing."""
SLOTS = 64
"""Blocks that are kept."""
GET_HANDLER = 305  # slot of PyDataMem_GetHandler in NumPy's table of C functions
OWNED = object.__basicsize__ + 72
"""Where an array keeps the capsule of who frees its memory, in bytes from its start."""

TEXT = """
%Block = type { ptr, i64 }
@blocks = internal global [SLOTS x %Block] zeroinitializer
@held = global i64 0
@turn = internal global i64 0
declare i32 @posix_memalign(ptr, i64, i64)
declare ptr @calloc(i64, i64)
declare ptr @realloc(ptr, i64)
declare void @free(ptr)

define ptr @take(ptr %context, i64 %size) nounwind {
entry:
  %result = alloca ptr
  br label %look
look:
  %k = phi i64 [ 0, %entry ], [ %next, %other ]
  %block = getelementptr [SLOTS x %Block], ptr @blocks, i64 0, i64 %k
  %at = getelementptr %Block, ptr %block, i64 0, i32 1
  %length = load i64, ptr %at
  %fits = icmp eq i64 %length, %size
  br i1 %fits, label %found, label %other
found:
  %kept = load ptr, ptr %block
  store ptr null, ptr %block
  store i64 0, ptr %at
  %held = load i64, ptr @held
  %less = sub i64 %held, %size
  store i64 %less, ptr @held
  ret ptr %kept
other:
  %next = add i64 %k, 1
  %more = icmp slt i64 %next, SLOTS
  br i1 %more, label %look, label %new
new:
  %failed = call i32 @posix_memalign(ptr %result, i64 64, i64 %size)
  %fine = icmp eq i32 %failed, 0
  %made = load ptr, ptr %result
  %answer = select i1 %fine, ptr %made, ptr null
  ret ptr %answer
}

define internal void @evict(ptr %block) nounwind {
  %at = getelementptr %Block, ptr %block, i64 0, i32 1
  %length = load i64, ptr %at
  %memory = load ptr, ptr %block
  call void @free(ptr %memory)
  store ptr null, ptr %block
  store i64 0, ptr %at
  %held = load i64, ptr @held
  %less = sub i64 %held, %length
  store i64 %less, ptr @held
  ret void
}

define void @give(ptr %context, ptr %memory, i64 %size) nounwind {
entry:
  %large = icmp sgt i64 %size, LIMIT
  %small = icmp slt i64 %size, SMALLEST
  %unfit = or i1 %large, %small
  br i1 %unfit, label %release, label %room
release:
  call void @free(ptr %memory)
  ret void
room:
  %turn = load i64, ptr @turn
  %k = urem i64 %turn, SLOTS
  %following = add i64 %turn, 1
  store i64 %following, ptr @turn
  %block = getelementptr [SLOTS x %Block], ptr @blocks, i64 0, i64 %k
  call void @evict(ptr %block)
  %held = load i64, ptr @held
  %sum = add i64 %held, %size
  %full = icmp sgt i64 %sum, LIMIT
  br i1 %full, label %room, label %keep
keep:
  store i64 %sum, ptr @held
  store ptr %memory, ptr %block
  %at = getelementptr %Block, ptr %block, i64 0, i32 1
  store i64 %size, ptr %at
  ret void
}

define ptr @zeroed(ptr %context, i64 %count, i64 %size) nounwind {
  %made = call ptr @calloc(i64 %count, i64 %size)
  ret ptr %made
}

define ptr @resized(ptr %context, ptr %memory, i64 %size) nounwind {
  %made = call ptr @realloc(ptr %memory, i64 %size)
  ret ptr %made
}
"""


class Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


class Memory:
    """The functions, and the capsule by which arrays name them; there is one, and it stays."""

    def __init__(self, limit: int) -> None:
        symbols = ["take", "give", "zeroed", "resized", "held"]
        library = ctypes.CDLL(None)
        used = ("posix_memalign", "calloc", "realloc", "free")
        imports = {x: ctypes.cast(getattr(library, x), ctypes.c_void_p).value or 0 for x in used}
        self.code = jit.compile_module(memory_ir(limit), symbols, imports)
        addresses = [self.code[name] for name in ("take", "zeroed", "resized", "give")]
        self.handler = Handler(b"minigrad", 1, None, *addresses)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = (
            ctypes.py_object,
            [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
        )
        self.capsule = new(ctypes.addressof(self.handler), b"mem_handler", None)
        # arrays may be freed when all modules are gone: this object, and its code, never are
        for kept in (self, jit.linker()):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


def memory_ir(limit: int) -> str:
    """The text of the functions that keep up to `limit` bytes."""
    text = TEXT
    for name, number in (("SLOTS", SLOTS), ("LIMIT", limit), ("SMALLEST", SMALLEST)):
        text = text.replace(name, str(number))
    return text


@functools.cache
def bytes_kept() -> int:
    """How many bytes are kept at most; 0 where none can be, or shall."""
    limit = int(os.environ.get("MINIGRAD_KEEP_BYTES", LIMIT))
    return max(limit, 0) if os.name == "posix" else 0


@functools.cache
def memory() -> Memory | None:
    """The memory that is kept; None where none is."""
    return Memory(bytes_kept()) if bytes_kept() else None


def begin_memory() -> Any:
    """Have another thread begin with the code of `memory`; keep the result till then."""
    return jit.begin(memory_ir(bytes_kept())) if bytes_kept() else None


def handler_is_known(api: Any) -> bool:
    """Whether arrays name who frees them where this file looks for it. api: NumPy's functions."""
    array = np.zeros(3)
    get = ctypes.PYFUNCTYPE(ctypes.py_object)(api[GET_HANDLER])

    def owner(x: Any) -> int:
        return ctypes.c_size_t.from_address(id(x) + OWNED).value

    return bool(owner(array) == id(get()) and owner(array[1:]) == 0)
