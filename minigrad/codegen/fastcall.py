"""The body of the builtin that calls a kernel, as LLVM text, and whether it can be trusted here.

The body reads the fields of NumPy's arrays at fixed offsets. They are tried out on arrays whose
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

from .memory import OWNED, SMALLEST, Memory, handler_is_known, memory

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


# The builtin as LLVM text.


def wrapper_name(signature: Signature) -> str:
    """The symbol of the builtin's body."""
    return f"{signature.entry}.fastcall"


def wrapper_ir(signature: Signature) -> str:
    """The body of the builtin: guards, allocation and the call, to go with the kernel's text.

    No address is written into it: what it refers to is in `wrapper_imports`.
    """
    names = sorted(wrapper_imports(signature))
    outputs = [(k, s) for k, s in enumerate(signature.outputs) if k not in signature.donated]
    lines = [f"@{name} = external global i8" for name in names]
    lines += [f"@dims{k} = internal constant {dims_constant(spec.shape)}" for k, spec in outputs]
    lines += [
        f'define ptr @"{wrapper_name(signature)}"(ptr %self, ptr %args, i64 %count) {{',
        f"  %fits = icmp eq i64 %count, {len(signature.inputs)}",
        "  br i1 %fits, label %guard0, label %miss",
    ]
    for k, spec in enumerate(signature.inputs):
        lines += guard(k, spec, writable=k in signature.donated.values())
    lines += [f"guard{len(signature.inputs)}:"]
    allocated: list[int] = []
    for k, spec in outputs:
        lines += allocation(k, spec, allocated)
        allocated.append(k)
    lines += kernel_call(signature)
    lines += MISS
    return "\n".join([*lines, "}", ""])


MISS = [
    "miss:",
    "  %strict = icmp eq ptr %self, @Py.None",
    "  br i1 %strict, label %none, label %other",
    "none:",
    "  call void @Py.IncRef(ptr @Py.None)",
    "  ret ptr @Py.None",
    "other:",
    "  %served = call ptr @Py.Vectorcall(ptr %self, ptr %args, i64 %count, ptr null)",
    "  ret ptr %served",
]


def guard(k: int, spec: ArraySpec, *, writable: bool) -> list[str]:
    """Check that argument `k` is an array of `spec`, and load its data pointer."""
    lines = [f"guard{k}:"]

    def field(kind: str, name: str, offset: int, base: str = f"%x{k}") -> str:
        lines.append(f"  %{name}.at{k} = getelementptr i8, ptr {base}, i64 {offset}")
        lines.append(f"  %{name}{k} = load {kind}, ptr %{name}.at{k}")
        return f"%{name}{k}"

    def check(kind: str, value: str, expected: str) -> None:
        test = f"%is{k}.{len(lines)}"
        following = f"guard{k}.{len(lines)}"
        lines.append(f"  {test} = icmp eq {kind} {value}, {expected}")
        lines.append(f"  br i1 {test}, label %{following}, label %miss")
        lines.append(f"{following}:")

    needed = CONTIGUOUS | ALIGNED | (WRITEABLE if writable else 0)
    field("ptr", "x", 8 * k, "%args")
    check("ptr", field("ptr", "type", TYPE), "@Py.ndarray")
    check("ptr", field("ptr", "descr", DESCR), f"@{descr_name(spec)}")
    check("i32", field("i32", "ndim", NDIM), str(len(spec.shape)))
    flags = field("i32", "flags", FLAGS)
    lines.append(f"  %masked{k} = and i32 {flags}, {needed}")
    check("i32", f"%masked{k}", str(needed))
    if spec.shape:
        dims = field("ptr", "dims", DIMS)
        for axis, extent in enumerate(spec.shape):
            check("i64", field("i64", f"dim{axis}.", 8 * axis, dims), str(extent))
    field("ptr", "in", DATA)
    lines.append(f"  br label %guard{k + 1}")
    return lines


def allocation(k: int, spec: ArraySpec, allocated: Sequence[int]) -> list[str]:
    """Make the array of output `k`, or release those `allocated` before it and fail."""
    shape = f"i32 {len(spec.shape)}, ptr @dims{k}"
    release = [f"  call void @Py.DecRef(ptr %y{j})" for j in allocated]
    kept = is_kept(spec)
    data = f"ptr %memory{k}, i32 {CONTIGUOUS | ALIGNED | WRITEABLE}" if kept else "ptr null, i32 0"
    return [
        *(taken(k, spec, release) if kept else ()),
        f"  call void @Py.IncRef(ptr @{descr_name(spec)})",  # the next call steals it
        f"  %y{k} = call ptr @Py.NewFromDescr(ptr @Py.ndarray, ptr @{descr_name(spec)}, "
        f"{shape}, ptr null, {data}, ptr null)",
        f"  %failed{k} = icmp eq ptr %y{k}, null",
        f"  br i1 %failed{k}, label %fail{k}, label %made{k}",
        f"fail{k}:",
        *release,
        *([f"  call void @Memory.give(ptr null, ptr %memory{k}, i64 {size_of(spec)})"] * kept),
        "  ret ptr null",
        f"made{k}:",
        *(owned(k) if kept else ()),
        f"  %out.at{k} = getelementptr i8, ptr %y{k}, i64 {DATA}",
        f"  %out{k} = load ptr, ptr %out.at{k}",
    ]


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


def taken(k: int, spec: ArraySpec, release: Sequence[str]) -> list[str]:
    """Take memory for output `k`, or release what has been made before it and fail."""
    return [
        f"  %memory{k} = call ptr @Memory.take(ptr null, i64 {size_of(spec)})",
        f"  %none{k} = icmp eq ptr %memory{k}, null",
        f"  br i1 %none{k}, label %exhausted{k}, label %taken{k}",
        f"exhausted{k}:",
        *release,
        f"  %error{k} = call ptr @Py.NoMemory()",
        "  ret ptr null",
        f"taken{k}:",
    ]


def owned(k: int) -> list[str]:
    """Let output `k` own its memory, and name who takes it back."""
    return [
        f"  %flags.out{k} = getelementptr i8, ptr %y{k}, i64 {FLAGS}",
        f"  %plain{k} = load i32, ptr %flags.out{k}",
        f"  %owning{k} = or i32 %plain{k}, {OWNDATA}",
        f"  store i32 %owning{k}, ptr %flags.out{k}",
        "  call void @Py.IncRef(ptr @Memory.capsule)",
        f"  %owner{k} = getelementptr i8, ptr %y{k}, i64 {OWNED}",
        f"  store ptr @Memory.capsule, ptr %owner{k}",
    ]


def kernel_call(signature: Signature) -> list[str]:
    """Run the kernel, and return the output, or a tuple of the outputs."""
    inputs, donated = range(len(signature.inputs)), signature.donated
    outputs = range(len(signature.outputs))
    pointers = [f"ptr %in{k}" for k in inputs]
    pointers += [f"ptr %in{donated[k]}" if k in donated else f"ptr %out{k}" for k in outputs]
    results = [f"%x{donated[k]}" if k in donated else f"%y{k}" for k in outputs]
    lines = [f"  call void @{signature.entry}({', '.join(pointers)})"]
    lines += [f"  call void @Py.IncRef(ptr %x{donated[k]})" for k in outputs if k in donated]
    if signature.alone:
        return [*lines, f"  ret ptr {results[0]}"]
    # PyTuple_Pack takes references of its own
    packed = ", ".join([f"i64 {len(results)}", *(f"ptr {result}" for result in results)])
    lines.append(f"  %tuple = call ptr (i64, ...) @Py.Pack({packed})")
    lines += [f"  call void @Py.DecRef(ptr {result})" for result in results]
    return [*lines, "  ret ptr %tuple"]


def dims_constant(shape: tuple[int, ...]) -> str:
    """The shape as an LLVM constant; one element for no axes, since none would be no type."""
    extents = shape or (0,)
    return f"[{len(extents)} x i64] [" + ", ".join(f"i64 {n}" for n in extents) + "]"


def descr_name(spec: ArraySpec) -> str:
    """The symbol that stands for NumPy's descriptor of the dtype of `spec`."""
    return f"Py.descr.{spec.dtype.name}"


def wrapper_imports(signature: Signature) -> dict[str, int]:
    """The addresses that `wrapper_ir` refers to, by symbol."""

    def address(name: str) -> int:
        return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0

    new_from_descr = array_api()[NEW_FROM_DESCR]
    keeping = {}
    if kept := keeper():  # symbols that the text does not name do no harm
        keeping = {f"Memory.{name}": kept.code[name] for name in ("take", "give")}
        keeping["Memory.capsule"] = id(kept.capsule)
    specs = (*signature.inputs, *signature.outputs)
    return {
        "Py.None": id(None),
        "Py.ndarray": id(np.ndarray),
        "Py.IncRef": address("Py_IncRef"),
        "Py.DecRef": address("Py_DecRef"),
        "Py.Pack": address("PyTuple_Pack"),
        "Py.NoMemory": address("PyErr_NoMemory"),
        "Py.Vectorcall": address("PyObject_Vectorcall"),
        "Py.NewFromDescr": new_from_descr,
        **keeping,
        **{descr_name(spec): id(spec.dtype) for spec in specs},
    }


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
