"""The body of the builtins that call kernels: one piece of native code, and a table for each.

The table says which arguments are taken, what they are checked for, which arrays are made, and
where the kernel is. It is the content of a bytes object, which is the builtin's `self`. So no
code is made for a call but the kernel's own.

What an array in a cell is replaced by may be written over it, if the cell alone holds it. Nothing
between that check and the end of the kernel can run Python.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..core.tensor import Tensor
from ..variable import Cell
from . import jit
from .entry import CALL
from .marshalling import KEPT, MARSHALLING, UNKEPT
from .memory import OWNED, SMALLEST, Memory, begin_memory, bytes_kept, handler_is_known, memory
from .objects import (
    ALIGNED,
    BASE,
    BYTES,
    CONTIGUOUS,
    COUNT,
    DATA,
    DESCR,
    DIMS,
    FLAGS,
    NDIM,
    NEW_FROM_DESCR,
    OWNDATA,
    TYPE,
    WEAKREFS,
    WRITEABLE,
    array_api,
    holders_are_counted,
    slot_of_cells,
    slot_of_tensors,
)

ON_STACK = 1 << 15
"""Bytes of an arena up to which it is on the stack."""


class ArraySpec(NamedTuple):
    """The shape and dtype of an array that goes in or comes out."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """The size of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


class Signature(NamedTuple):
    """What the kernel `entry` takes and gives.

    packed: a single output comes in a tuple, too. arena: bytes of memory that the kernel is given
    behind the outputs, 0 for none. cells: the inputs that are given as cells, whose arrays are
    taken. written: output number -> number of the cell among the inputs whose array it becomes;
    such outputs are not returned. over: those of them that may be written over the array that is
    replaced, if nobody else holds it. checked: whether the kernel may give up.
    """

    entry: str
    inputs: Sequence[ArraySpec]
    outputs: Sequence[ArraySpec]
    packed: bool = False
    arena: int = 0
    cells: frozenset[int] = frozenset()
    written: Mapping[int, int] = MappingProxyType({})
    over: frozenset[int] = frozenset()
    checked: bool = False

    @property
    def returned(self) -> list[int]:
        """The outputs that are returned, by number."""
        return [k for k in range(len(self.outputs)) if k not in self.written]

    @property
    def alone(self) -> bool:
        """Whether the result is one array, and not a tuple."""
        return len(self.returned) == 1 and not self.packed

    @property
    def pointers(self) -> int:
        """How many pointers the kernel takes."""
        return len(self.inputs) + len(self.outputs) + bool(self.arena)


def spread_name(entry: str) -> str:
    """The symbol of the function that takes all pointers in an array."""
    return f"{entry}.spread"


CALLING = "nounwind noinline optnone"
"""The attributes of a function that only calls."""


def spread_ir(entry: str, count: int) -> str:
    """`i64 entry.spread(ptr pointers)`, which calls the kernel `entry` of `count` pointers: 0."""
    lines = [f'define i64 @"{spread_name(entry)}"(ptr %pointers) {CALLING} {{']
    for k in range(count):
        lines += [
            f"  %at{k} = getelementptr ptr, ptr %pointers, i64 {k}",
            f"  %p{k} = load ptr, ptr %at{k}",
        ]
    arguments = ", ".join([f"ptr %p{k}" for k in range(count)])
    return "\n".join([*lines, f"  call void @{entry}({arguments})", "  ret i64 0", "}", ""])


# The table: words of eight bytes. A record for each input and for each output follows the head.

HEAD_WORDS, RECORD = 12, 8


def table(
    signature: Signature,
    kernel: int,
    other: Any,
    *,
    captured: Sequence[Any] = (),
    tensors: bool = False,
) -> bytes:
    """The table of a builtin.

    kernel: the address of its spread function. other: who serves calls that are not accepted;
    None: they return None. captured: the last inputs, arrays and cells that are not passed.
    tensors: the arguments and results are tensors, not arrays.
    """
    count = len(signature.inputs) - len(captured)
    shapes: list[int] = []
    start = HEAD_WORDS + RECORD * (len(signature.inputs) + len(signature.outputs))

    def dims(spec: ArraySpec) -> int:
        place = start + len(shapes)
        shapes.extend(spec.shape or (0,))
        return place

    def given(k: int, spec: ArraySpec) -> list[int]:
        if k in signature.cells:
            kind, slot = id(Cell), slot_of_cells()
        elif tensors and k < count:
            kind, slot = id(Tensor), slot_of_tensors()
        else:
            kind, slot = id(np.ndarray), 0
        source = (k, 0) if k < count else (-1, id(captured[k - count]))
        return [*source, kind, slot, id(spec.dtype), len(spec.shape), 0, dims(spec)]

    def made(k: int, spec: ArraySpec) -> list[int]:
        kept = spec.bytes if spec.bytes >= SMALLEST and keeper() is not None else 0
        over = k in signature.over and holders_are_counted()
        return [id(spec.dtype), len(spec.shape), dims(spec), kept, signature.written.get(k, -1),
                int(over), 0, 0]  # fmt: skip

    words = [
        kernel,
        0 if other is None else id(other),
        count,
        len(signature.inputs),
        len(signature.outputs),
        len(signature.returned),
        signature.arena,
        int(not signature.alone),
        id(Tensor) if tensors else 0,
        slot_of_tensors(),
        0,
        0,
    ]
    for k, spec in enumerate(signature.inputs):
        words += given(k, spec)
    for k, spec in enumerate(signature.outputs):
        words += made(k, spec)
    return np.array([*words, *shapes], np.int64).tobytes()


@functools.cache
def keeps() -> bool:
    """Whether the memory of large outputs is kept, and arrays can be told so."""
    return bytes_kept() > 0 and handler_is_known(array_api())


def keeper() -> Memory | None:
    """Who keeps the memory of large outputs; None where nobody does."""
    return memory() if keeps() else None


@functools.cache
def body() -> jit.Code:
    """The native code of all builtins: `call` is a METH_FASTCALL function."""
    return jit.compile_module(body_ir(), ["call"], imports())


def begin_body() -> list[Any]:
    """Have other threads begin with what `body` takes; keep the result till then."""
    return [jit.begin(body_ir()), begin_memory() if keeps() else None]


def body_ir() -> str:
    """The text of `body`."""
    text = "".join([MARSHALLING, KEPT if keeps() else UNKEPT, CALL])
    numbers = {
        "BYTES": BYTES, "TYPE": TYPE, "DATA": DATA, "NDIM": NDIM, "DIMS": DIMS, "BASE": BASE,
        "DESCR": DESCR, "FLAGS": FLAGS, "WEAKREFS": WEAKREFS, "COUNT": COUNT, "OWNED": OWNED,
        "USABLE": CONTIGUOUS | ALIGNED, "OWNING": OWNDATA | WRITEABLE, "OWN": OWNDATA,
        "FRESH": CONTIGUOUS | ALIGNED | WRITEABLE, "ONSTACK": ON_STACK,
        "INPUTS": 8 * HEAD_WORDS, "RECORD": 8 * RECORD,
    }  # fmt: skip
    for name in sorted(numbers, key=len, reverse=True):
        text = text.replace(f"${name}", str(numbers[name]))
    return text


def imports() -> dict[str, int]:
    """The addresses that the text refers to, by symbol."""
    found = {"Py.None": id(None), "Py.ndarray": id(np.ndarray)}
    for name in FUNCTIONS:
        function = getattr(ctypes.pythonapi, name)
        found[name] = ctypes.cast(function, ctypes.c_void_p).value or 0
    found["NewFromDescr"] = array_api()[NEW_FROM_DESCR]
    if kept := keeper():
        found |= {f"Memory.{name}": kept.code[name] for name in ("take", "give")}
        found["Memory.capsule"] = id(kept.capsule)
    return found


FUNCTIONS = (
    "Py_IncRef",
    "Py_DecRef",
    "PyTuple_New",
    "PyTuple_SetItem",
    "PyType_GenericAlloc",
    "PyErr_NoMemory",
    "PyObject_Vectorcall",
    "PyMem_RawMalloc",
    "PyMem_RawFree",
)
