"""LLVM text of the steps that a call consists of: arrays are checked, made, and released.

Numbers that begin with `$` are offsets and flags; `fastcall.py` puts them in.
"""

from __future__ import annotations

KEPT = """
@Memory.capsule = external global i8
declare ptr @Memory.take(ptr, i64)
declare void @Memory.give(ptr, ptr, i64)
"""
UNKEPT = """
@Memory.capsule = internal global i8 0
define internal ptr @Memory.take(ptr %context, i64 %size) {
  %made = call ptr @PyMem_RawMalloc(i64 %size)
  ret ptr %made
}
define internal void @Memory.give(ptr %context, ptr %memory, i64 %size) {
  call void @PyMem_RawFree(ptr %memory)
  ret void
}
"""

MARSHALLING = """
@Py.None = external global i8
@Py.ndarray = external global i8
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare ptr @PyErr_NoMemory()
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyMem_RawMalloc(i64)
declare void @PyMem_RawFree(ptr)
declare ptr @NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)

%Head = type { ptr, ptr, i64, i64, i64, i64, i64, i64, ptr, i64, i64, i64 }
%Input = type { i64, ptr, ptr, i64, ptr, i64, i64, i64 }
%Output = type { ptr, i64, i64, i64, i64, i64, i64, i64 }

; whether `array` is an ndarray of the spec in `record`, laid out as kernels read it
define internal i1 @fits(ptr %table, ptr %record, ptr %array) {
entry:
  %type.at = getelementptr i8, ptr %array, i64 $TYPE
  %type = load ptr, ptr %type.at
  %isarray = icmp eq ptr %type, @Py.ndarray
  br i1 %isarray, label %fields, label %no
fields:
  %descr.at = getelementptr i8, ptr %array, i64 $DESCR
  %descr = load ptr, ptr %descr.at
  %descr.of = getelementptr %Input, ptr %record, i64 0, i32 4
  %descr.wanted = load ptr, ptr %descr.of
  %samedescr = icmp eq ptr %descr, %descr.wanted
  %ndim.at = getelementptr i8, ptr %array, i64 $NDIM
  %ndim.narrow = load i32, ptr %ndim.at
  %ndim = sext i32 %ndim.narrow to i64
  %ndim.of = getelementptr %Input, ptr %record, i64 0, i32 5
  %ndim.wanted = load i64, ptr %ndim.of
  %samendim = icmp eq i64 %ndim, %ndim.wanted
  %flags.at = getelementptr i8, ptr %array, i64 $FLAGS
  %flags = load i32, ptr %flags.at
  %masked = and i32 %flags, $USABLE
  %usable = icmp eq i32 %masked, $USABLE
  %alike = and i1 %samedescr, %samendim
  %fine = and i1 %alike, %usable
  br i1 %fine, label %shape, label %no
shape:
  %dims.at = getelementptr i8, ptr %array, i64 $DIMS
  %dims = load ptr, ptr %dims.at
  %dims.of = getelementptr %Input, ptr %record, i64 0, i32 7
  %dims.place = load i64, ptr %dims.of
  %dims.wanted = getelementptr i64, ptr %table, i64 %dims.place
  br label %next
next:
  %axis = phi i64 [ 0, %shape ], [ %following, %extent ]
  %more = icmp slt i64 %axis, %ndim
  br i1 %more, label %extent, label %yes
extent:
  %n.at = getelementptr i64, ptr %dims, i64 %axis
  %n = load i64, ptr %n.at
  %m.at = getelementptr i64, ptr %dims.wanted, i64 %axis
  %m = load i64, ptr %m.at
  %following = add i64 %axis, 1
  %same = icmp eq i64 %n, %m
  br i1 %same, label %next, label %no
yes:
  ret i1 true
no:
  ret i1 false
}

; whether only one reference to `array` is known to anybody, and its memory is its own
define internal i1 @held_once(ptr %array) {
  %count.at = getelementptr i8, ptr %array, i64 $COUNT
  %count = load i32, ptr %count.at
  %once = icmp eq i32 %count, 1
  %flags.at = getelementptr i8, ptr %array, i64 $FLAGS
  %flags = load i32, ptr %flags.at
  %masked = and i32 %flags, $OWNING
  %owning = icmp eq i32 %masked, $OWNING
  %base.at = getelementptr i8, ptr %array, i64 $BASE
  %base = load ptr, ptr %base.at
  %baseless = icmp eq ptr %base, null
  %weak.at = getelementptr i8, ptr %array, i64 $WEAKREFS
  %weak = load ptr, ptr %weak.at
  %unwatched = icmp eq ptr %weak, null
  %first = and i1 %once, %owning
  %second = and i1 %baseless, %unwatched
  %held = and i1 %first, %second
  ret i1 %held
}

; a new array for an output; null where there is no memory, and an error is set
define internal ptr @fresh(ptr %table, ptr %record) {
entry:
  %descr = load ptr, ptr %record
  %ndim.at = getelementptr %Output, ptr %record, i64 0, i32 1
  %ndim.wide = load i64, ptr %ndim.at
  %ndim = trunc i64 %ndim.wide to i32
  %dims.at = getelementptr %Output, ptr %record, i64 0, i32 2
  %dims.place = load i64, ptr %dims.at
  %dims = getelementptr i64, ptr %table, i64 %dims.place
  %kept.at = getelementptr %Output, ptr %record, i64 0, i32 3
  %size = load i64, ptr %kept.at
  %kept = icmp ne i64 %size, 0
  br i1 %kept, label %large, label %small
small:
  call void @Py_IncRef(ptr %descr)
  %plain = call ptr @NewFromDescr(ptr @Py.ndarray, ptr %descr, i32 %ndim, ptr %dims, ptr null,
    ptr null, i32 0, ptr null)
  ret ptr %plain
large:
  %memory = call ptr @Memory.take(ptr null, i64 %size)
  %none = icmp eq ptr %memory, null
  br i1 %none, label %exhausted, label %taken
exhausted:
  %error = call ptr @PyErr_NoMemory()
  ret ptr null
taken:
  call void @Py_IncRef(ptr %descr)
  %array = call ptr @NewFromDescr(ptr @Py.ndarray, ptr %descr, i32 %ndim, ptr %dims, ptr null,
    ptr %memory, i32 $FRESH, ptr null)
  %failed = icmp eq ptr %array, null
  br i1 %failed, label %back, label %own
back:
  call void @Memory.give(ptr null, ptr %memory, i64 %size)
  ret ptr null
own:
  %flags.at = getelementptr i8, ptr %array, i64 $FLAGS
  %flags = load i32, ptr %flags.at
  %owning = or i32 %flags, $OWN
  store i32 %owning, ptr %flags.at
  call void @Py_IncRef(ptr @Memory.capsule)
  %owner.at = getelementptr i8, ptr %array, i64 $OWNED
  store ptr @Memory.capsule, ptr %owner.at
  ret ptr %array
}

; release `count` objects; nulls among them are none
define internal void @release(ptr %objects, i64 %count) {
entry:
  br label %next
next:
  %k = phi i64 [ 0, %entry ], [ %following, %done ]
  %more = icmp slt i64 %k, %count
  br i1 %more, label %look, label %end
look:
  %at = getelementptr ptr, ptr %objects, i64 %k
  %object = load ptr, ptr %at
  %following = add i64 %k, 1
  %none = icmp eq ptr %object, null
  br i1 %none, label %done, label %drop
drop:
  call void @Py_DecRef(ptr %object)
  br label %done
done:
  br label %next
end:
  ret void
}

; what a call returns that is not accepted
define internal ptr @otherwise(ptr %head, ptr %args, i64 %count) {
  %other.at = getelementptr %Head, ptr %head, i64 0, i32 1
  %other = load ptr, ptr %other.at
  %strict = icmp eq ptr %other, null
  br i1 %strict, label %none, label %served
none:
  call void @Py_IncRef(ptr @Py.None)
  ret ptr @Py.None
served:
  %answer = call ptr @PyObject_Vectorcall(ptr %other, ptr %args, i64 %count, ptr null)
  ret ptr %answer
}
"""
