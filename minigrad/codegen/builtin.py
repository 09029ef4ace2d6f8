"""The body of the builtin that calls kernels, as LLVM text; it is one for all kernels.

What a kernel takes and gives is in a table, which lies in the array that is the builtin's `self`.
Words of 8 bytes: who is called with what the guards reject (or 0: return None), the kernel, how
many inputs and outputs, whether the result comes without a tuple. Then for each input descriptor,
flags, ndim and dims; for each output the input it is written into (or -1), the bytes of memory
that is kept (or 0), descriptor, ndim and dims.
"""

from __future__ import annotations

import ctypes
import functools
import re

import numpy as np

from . import jit
from .fastcall import (
    ALIGNED,
    CONTIGUOUS,
    DATA,
    DESCR,
    DIMS,
    FLAGS,
    NDIM,
    NEW_FROM_DESCR,
    OWNDATA,
    TYPE,
    WRITEABLE,
    Array,
    Signature,
    array_api,
    is_kept,
    keeper,
    size_of,
)
from .memory import OWNED

HEADING = 5
"""Words in front of what is said of the inputs."""


def spread_name(entry: str) -> str:
    """The symbol of the kernel `entry`, called with a pointer to its pointers."""
    return f"{entry}.spread"


def spread_ir(signature: Signature) -> str:
    """The function `spread_name`, to go with the kernel's text."""
    pointers = range(len(signature.inputs) + len(signature.outputs))
    lines = [f'define void @"{spread_name(signature.entry)}"(ptr %arrays) {{']
    for k in pointers:
        lines.append(f"  %at{k} = getelementptr ptr, ptr %arrays, i64 {k}")
        lines.append(f"  %x{k} = load ptr, ptr %at{k}")
    lines.append(f"  call void @{signature.entry}({', '.join(f'ptr %x{k}' for k in pointers)})")
    return "\n".join([*lines, "  ret void", "}", ""])


def table(signature: Signature, kernel: int, other: int) -> Array:
    """What the builtin is to know. kernel: the address of `spread_name`. other: that of who is
    called with what the guards reject, or 0."""
    inputs, outputs, donated = signature.inputs, signature.outputs, signature.donated
    words = [other, kernel, len(inputs), len(outputs), int(signature.alone)]
    for k, spec in enumerate(inputs):
        flags = CONTIGUOUS | ALIGNED | (WRITEABLE if k in donated.values() else 0)
        words += [id(spec.dtype), flags, len(spec.shape), *spec.shape]
    for k, spec in enumerate(outputs):
        kept = size_of(spec) if is_kept(spec) else 0
        words += [donated.get(k, -1), kept, id(spec.dtype), len(spec.shape), *spec.shape]
    return np.array(words, np.int64)


BUILTIN = """
@Py.None = external global i8
@Py.ndarray = external global i8
@Memory.capsule = external global i8
declare void @Py.IncRef(ptr)
declare void @Py.DecRef(ptr)
declare ptr @Py.NewTuple(i64)
declare i32 @Py.SetItem(ptr, i64, ptr)
declare ptr @Py.NoMemory()
declare ptr @Py.Vectorcall(ptr, ptr, i64, ptr)
declare ptr @Py.NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @Memory.take(ptr, i64)
declare void @Memory.give(ptr, ptr, i64)

define ptr @fastcall(ptr %self, ptr %args, i64 %given) {
entry:
  %table.at = getelementptr i8, ptr %self, i64 DATA
  %table = load ptr, ptr %table.at
  %inputs.at = getelementptr i64, ptr %table, i64 2
  %inputs = load i64, ptr %inputs.at
  %outputs.at = getelementptr i64, ptr %table, i64 3
  %outputs = load i64, ptr %outputs.at
  %begin = getelementptr i64, ptr %table, i64 HEADING
  %total = add i64 %inputs, %outputs
  %pointers = alloca ptr, i64 %total
  %results = alloca ptr, i64 %outputs
  %fits = icmp eq i64 %given, %inputs
  br i1 %fits, label %inputs.next, label %miss

inputs.next:
  %k = phi i64 [ 0, %entry ], [ %k.following, %dims.done ]
  %record = phi ptr [ %begin, %entry ], [ %record.following, %dims.done ]
  %is.input = icmp slt i64 %k, %inputs
  br i1 %is.input, label %guard, label %outputs.next
guard:
  %x.at = getelementptr ptr, ptr %args, i64 %k
  %x = load ptr, ptr %x.at
  %type.at = getelementptr i8, ptr %x, i64 TYPE
  %type = load ptr, ptr %type.at
  %is.array = icmp eq ptr %type, @Py.ndarray
  br i1 %is.array, label %array, label %miss
array:
  %descr.at = getelementptr i8, ptr %x, i64 DESCR
  %descr = load i64, ptr %descr.at
  %descr.wanted = load i64, ptr %record
  %same.descr = icmp eq i64 %descr, %descr.wanted
  %flags.at = getelementptr i8, ptr %x, i64 FLAGS
  %flags = load i32, ptr %flags.at
  %flags.wanted.at = getelementptr i64, ptr %record, i64 1
  %flags.wanted = load i32, ptr %flags.wanted.at
  %flags.masked = and i32 %flags, %flags.wanted
  %same.flags = icmp eq i32 %flags.masked, %flags.wanted
  %ndim.at = getelementptr i8, ptr %x, i64 NDIM
  %ndim = load i32, ptr %ndim.at
  %ndim.wanted.at = getelementptr i64, ptr %record, i64 2
  %ndim.wanted = load i32, ptr %ndim.wanted.at
  %same.ndim = icmp eq i32 %ndim, %ndim.wanted
  %same.some = and i1 %same.descr, %same.flags
  %same = and i1 %same.some, %same.ndim
  br i1 %same, label %shaped, label %miss
shaped:
  %dims.at = getelementptr i8, ptr %x, i64 DIMS
  %dims = load ptr, ptr %dims.at
  %dims.wanted = getelementptr i64, ptr %record, i64 3
  %rank = zext i32 %ndim to i64
  br label %dims.next
dims.next:
  %axis = phi i64 [ 0, %shaped ], [ %axis.following, %dim ]
  %is.axis = icmp slt i64 %axis, %rank
  br i1 %is.axis, label %dim, label %dims.done
dim:
  %dim.at = getelementptr i64, ptr %dims, i64 %axis
  %extent = load i64, ptr %dim.at
  %wanted.at = getelementptr i64, ptr %dims.wanted, i64 %axis
  %wanted = load i64, ptr %wanted.at
  %axis.following = add i64 %axis, 1
  %same.dim = icmp eq i64 %extent, %wanted
  br i1 %same.dim, label %dims.next, label %miss
dims.done:
  %data.at = getelementptr i8, ptr %x, i64 DATA
  %data = load ptr, ptr %data.at
  %pointer.at = getelementptr ptr, ptr %pointers, i64 %k
  store ptr %data, ptr %pointer.at
  %record.following = getelementptr i64, ptr %dims.wanted, i64 %rank
  %k.following = add i64 %k, 1
  br label %inputs.next

outputs.next:
  %j = phi i64 [ 0, %inputs.next ], [ %j.following, %made ]
  %out = phi ptr [ %record, %inputs.next ], [ %out.following, %made ]
  %is.output = icmp slt i64 %j, %outputs
  br i1 %is.output, label %output, label %run
output:
  %source = load i64, ptr %out
  %size.at = getelementptr i64, ptr %out, i64 1
  %size = load i64, ptr %size.at
  %y.descr.at = getelementptr i64, ptr %out, i64 2
  %y.descr = load ptr, ptr %y.descr.at
  %y.ndim.at = getelementptr i64, ptr %out, i64 3
  %y.ndim = load i32, ptr %y.ndim.at
  %y.dims = getelementptr i64, ptr %out, i64 4
  %y.rank = zext i32 %y.ndim to i64
  %out.following = getelementptr i64, ptr %y.dims, i64 %y.rank
  %is.fresh = icmp slt i64 %source, 0
  br i1 %is.fresh, label %fresh, label %donated
donated:
  %given.at = getelementptr ptr, ptr %args, i64 %source
  %given.array = load ptr, ptr %given.at
  call void @Py.IncRef(ptr %given.array)
  br label %made
fresh:
  %is.kept = icmp ne i64 %size, 0
  br i1 %is.kept, label %take, label %allocate
take:
  %taken = call ptr @Memory.take(ptr null, i64 %size)
  %is.none = icmp eq ptr %taken, null
  br i1 %is.none, label %exhausted, label %allocate
allocate:
  %memory = phi ptr [ null, %fresh ], [ %taken, %take ]
  %new.flags = phi i32 [ 0, %fresh ], [ NEW_FLAGS, %take ]
  call void @Py.IncRef(ptr %y.descr)
  %new = call ptr @Py.NewFromDescr(
      ptr @Py.ndarray, ptr %y.descr, i32 %y.ndim, ptr %y.dims, ptr null,
      ptr %memory, i32 %new.flags, ptr null
  )
  %is.failure = icmp eq ptr %new, null
  br i1 %is.failure, label %failed, label %allocated
allocated:
  br i1 %is.kept, label %own, label %made
own:
  %own.at = getelementptr i8, ptr %new, i64 FLAGS
  %own.flags = load i32, ptr %own.at
  %owning = or i32 %own.flags, OWNDATA
  store i32 %owning, ptr %own.at
  call void @Py.IncRef(ptr @Memory.capsule)
  %owner.at = getelementptr i8, ptr %new, i64 OWNED
  store ptr @Memory.capsule, ptr %owner.at
  br label %made
made:
  %y = phi ptr [ %given.array, %donated ], [ %new, %allocated ], [ %new, %own ]
  %y.data.at = getelementptr i8, ptr %y, i64 DATA
  %y.data = load ptr, ptr %y.data.at
  %place = add i64 %inputs, %j
  %y.pointer.at = getelementptr ptr, ptr %pointers, i64 %place
  store ptr %y.data, ptr %y.pointer.at
  %result.at = getelementptr ptr, ptr %results, i64 %j
  store ptr %y, ptr %result.at
  %j.following = add i64 %j, 1
  br label %outputs.next

run:
  %kernel.at = getelementptr i64, ptr %table, i64 1
  %kernel = load ptr, ptr %kernel.at
  call void %kernel(ptr %pointers)
  %alone.at = getelementptr i64, ptr %table, i64 4
  %alone = load i64, ptr %alone.at
  %is.alone = icmp ne i64 %alone, 0
  br i1 %is.alone, label %bare, label %pack
bare:
  %only = load ptr, ptr %results
  ret ptr %only
pack:
  %tuple = call ptr @Py.NewTuple(i64 %outputs)
  %no.tuple = icmp eq ptr %tuple, null
  br i1 %no.tuple, label %release, label %items.next
items.next:
  %i = phi i64 [ 0, %pack ], [ %i.following, %item ]
  %is.item = icmp slt i64 %i, %outputs
  br i1 %is.item, label %item, label %packed
item:
  %item.at = getelementptr ptr, ptr %results, i64 %i
  %item.array = load ptr, ptr %item.at
  %set = call i32 @Py.SetItem(ptr %tuple, i64 %i, ptr %item.array)
  %i.following = add i64 %i, 1
  br label %items.next
packed:
  ret ptr %tuple

exhausted:
  %error = call ptr @Py.NoMemory()
  br label %release
failed:
  br i1 %is.kept, label %back, label %release
back:
  call void @Memory.give(ptr null, ptr %memory, i64 %size)
  br label %release
release:
  %left = phi i64
      [ %j, %exhausted ], [ %j, %failed ], [ %j, %back ],
      [ %outputs, %pack ], [ %left.following, %drop ]
  %is.left = icmp sgt i64 %left, 0
  br i1 %is.left, label %drop, label %error.out
drop:
  %left.following = sub i64 %left, 1
  %drop.at = getelementptr ptr, ptr %results, i64 %left.following
  %dropped = load ptr, ptr %drop.at
  call void @Py.DecRef(ptr %dropped)
  br label %release
error.out:
  ret ptr null

miss:
  %other = load ptr, ptr %table
  %strict = icmp eq ptr %other, null
  br i1 %strict, label %none, label %serve
none:
  call void @Py.IncRef(ptr @Py.None)
  ret ptr @Py.None
serve:
  %served = call ptr @Py.Vectorcall(ptr %other, ptr %args, i64 %given, ptr null)
  ret ptr %served
}
"""


def builtin_ir() -> str:
    """The text of the builtin, its numbers filled in."""
    numbers = {
        "NEW_FLAGS": CONTIGUOUS | ALIGNED | WRITEABLE,
        "OWNDATA": OWNDATA,
        "OWNED": OWNED,
        "HEADING": HEADING,
        **{"TYPE": TYPE, "DATA": DATA, "NDIM": NDIM, "DIMS": DIMS, "DESCR": DESCR, "FLAGS": FLAGS},
    }
    return re.sub(r"\b[A-Z_]+\b", lambda word: str(numbers[word[0]]), BUILTIN)


@functools.cache
def builtin() -> jit.Code:
    """The code of the builtin."""
    return jit.compile_module(builtin_ir(), ["fastcall"], builtin_imports())


def builtin_imports() -> dict[str, int]:
    """The addresses that the builtin refers to, by symbol."""

    def address(name: str) -> int:
        return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0

    kept = keeper()
    keeping = dict.fromkeys(("take", "give", "capsule"), id(None))  # then no table asks for them
    if kept:
        keeping = {name: kept.code[name] for name in ("take", "give")}
        keeping["capsule"] = id(kept.capsule)
    return {
        "Py.None": id(None),
        "Py.ndarray": id(np.ndarray),
        "Py.IncRef": address("Py_IncRef"),
        "Py.DecRef": address("Py_DecRef"),
        "Py.NewTuple": address("PyTuple_New"),
        "Py.SetItem": address("PyTuple_SetItem"),
        "Py.NoMemory": address("PyErr_NoMemory"),
        "Py.Vectorcall": address("PyObject_Vectorcall"),
        "Py.NewFromDescr": array_api()[NEW_FROM_DESCR],
        **{f"Memory.{name}": where for name, where in keeping.items()},
    }
