"""LLVM text of the function that all builtins run: from arguments to the kernel and back.

`objects` are where arrays come from, `arrays` what has come; `made` are arrays for outputs, null
for one that is written over its cell's; `shells` are the tensors for results. The order matters:
first what the collector tracks is made, as that may run Python, and arrays may change hands.
Between the look at an array and the end of the kernel nothing can.
"""

from __future__ import annotations

CALL = """
define ptr @call(ptr %self, ptr %args, i64 %count) nounwind {
entry:
  %head = getelementptr i8, ptr %self, i64 $BYTES
  %expected.at = getelementptr %Head, ptr %head, i64 0, i32 2
  %expected = load i64, ptr %expected.at
  %inputs.at = getelementptr %Head, ptr %head, i64 0, i32 3
  %inputs = load i64, ptr %inputs.at
  %outputs.at = getelementptr %Head, ptr %head, i64 0, i32 4
  %outputs = load i64, ptr %outputs.at
  %results.at = getelementptr %Head, ptr %head, i64 0, i32 5
  %results = load i64, ptr %results.at
  %arena.at = getelementptr %Head, ptr %head, i64 0, i32 6
  %arena = load i64, ptr %arena.at
  %packed.at = getelementptr %Head, ptr %head, i64 0, i32 7
  %packed.word = load i64, ptr %packed.at
  %packed = icmp ne i64 %packed.word, 0
  %shell.at = getelementptr %Head, ptr %head, i64 0, i32 8
  %shell.type = load ptr, ptr %shell.at
  %shelled = icmp ne ptr %shell.type, null
  %shell.slot.at = getelementptr %Head, ptr %head, i64 0, i32 9
  %shell.slot = load i64, ptr %shell.slot.at
  %input.records = getelementptr i8, ptr %head, i64 $INPUTS
  %output.records = getelementptr %Input, ptr %input.records, i64 %inputs
  %fits = icmp eq i64 %count, %expected
  br i1 %fits, label %room, label %unfit
unfit:
  %unserved = call ptr @otherwise(ptr %head, ptr %args, i64 %count)
  ret ptr %unserved
room:
  %objects = alloca ptr, i64 %inputs
  %arrays = alloca ptr, i64 %inputs
  %all = add i64 %inputs, %outputs
  %one.more = add i64 %all, 1
  %pointers = alloca ptr, i64 %one.more
  %both = add i64 %outputs, %results
  %made = alloca ptr, i64 %both
  %shells = getelementptr ptr, ptr %made, i64 %outputs
  br label %clear
clear:
  %c = phi i64 [ 0, %room ], [ %c.next, %cleared ]
  %c.more = icmp slt i64 %c, %both
  br i1 %c.more, label %cleared, label %tuples
cleared:
  %c.at = getelementptr ptr, ptr %made, i64 %c
  store ptr null, ptr %c.at
  %c.next = add i64 %c, 1
  br label %clear

tuples:
  br i1 %packed, label %tuple.new, label %shells.begin
tuple.new:
  %tuple.made = call ptr @PyTuple_New(i64 %results)
  %tuple.failed = icmp eq ptr %tuple.made, null
  br i1 %tuple.failed, label %give.up, label %shells.begin
give.up:
  ret ptr null
shells.begin:
  %tuple = phi ptr [ null, %tuples ], [ %tuple.made, %tuple.new ]
  br i1 %shelled, label %shell, label %guards
shell:
  %s = phi i64 [ 0, %shells.begin ], [ %s.next, %shell.kept ]
  %s.more = icmp slt i64 %s, %results
  br i1 %s.more, label %shell.new, label %guards
shell.new:
  %shell.made = call ptr @PyType_GenericAlloc(ptr %shell.type, i64 0)
  %shell.failed = icmp eq ptr %shell.made, null
  br i1 %shell.failed, label %undo, label %shell.kept
shell.kept:
  %s.at = getelementptr ptr, ptr %shells, i64 %s
  store ptr %shell.made, ptr %s.at
  %s.next = add i64 %s, 1
  br label %shell

guards:
  br label %guard
guard:
  %g = phi i64 [ 0, %guards ], [ %g.next, %guarded ]
  %g.more = icmp slt i64 %g, %inputs
  br i1 %g.more, label %holder, label %memory
holder:
  %g.record = getelementptr %Input, ptr %input.records, i64 %g
  %g.from = load i64, ptr %g.record
  %g.passed = icmp sge i64 %g.from, 0
  %g.baked.at = getelementptr %Input, ptr %g.record, i64 0, i32 1
  %g.arg.at = getelementptr ptr, ptr %args, i64 %g.from
  %g.object.at = select i1 %g.passed, ptr %g.arg.at, ptr %g.baked.at
  %g.object = load ptr, ptr %g.object.at
  %g.slot.at = getelementptr %Input, ptr %g.record, i64 0, i32 3
  %g.slot = load i64, ptr %g.slot.at
  %g.bare = icmp eq i64 %g.slot, 0
  br i1 %g.bare, label %arrived, label %typed
typed:
  %g.type.at = getelementptr i8, ptr %g.object, i64 $TYPE
  %g.type = load ptr, ptr %g.type.at
  %g.type.of = getelementptr %Input, ptr %g.record, i64 0, i32 2
  %g.type.wanted = load ptr, ptr %g.type.of
  %g.right = icmp eq ptr %g.type, %g.type.wanted
  br i1 %g.right, label %unwrapped, label %miss
unwrapped:
  %g.inner.at = getelementptr i8, ptr %g.object, i64 %g.slot
  %g.inner = load ptr, ptr %g.inner.at
  %g.none = icmp eq ptr %g.inner, null
  br i1 %g.none, label %miss, label %arrived
arrived:
  %g.array = phi ptr [ %g.object, %holder ], [ %g.inner, %unwrapped ]
  %g.fits = call i1 @fits(ptr %head, ptr %g.record, ptr %g.array)
  br i1 %g.fits, label %guarded, label %miss
guarded:
  %g.object.to = getelementptr ptr, ptr %objects, i64 %g
  store ptr %g.object, ptr %g.object.to
  %g.array.to = getelementptr ptr, ptr %arrays, i64 %g
  store ptr %g.array, ptr %g.array.to
  %g.data.at = getelementptr i8, ptr %g.array, i64 $DATA
  %g.data = load ptr, ptr %g.data.at
  %g.data.to = getelementptr ptr, ptr %pointers, i64 %g
  store ptr %g.data, ptr %g.data.to
  %g.next = add i64 %g, 1
  br label %guard

miss:
  call void @release(ptr %shells, i64 %results)
  br i1 %packed, label %miss.tuple, label %missed
miss.tuple:
  call void @Py_DecRef(ptr %tuple)
  br label %missed
missed:
  %served = call ptr @otherwise(ptr %head, ptr %args, i64 %count)
  ret ptr %served

; the arena is of 64 bytes more than asked, and begins at a multiple of 64
memory:
  %arena.whole = add i64 %arena, 64
  %arena.none = icmp eq i64 %arena, 0
  br i1 %arena.none, label %allocate, label %arena.some
arena.some:
  %arena.small = icmp sle i64 %arena, $ONSTACK
  br i1 %arena.small, label %arena.stack, label %arena.take
arena.stack:
  %arena.here = alloca i8, i64 %arena.whole, align 64
  br label %arena.known
arena.take:
  %arena.taken = call ptr @Memory.take(ptr null, i64 %arena.whole)
  %arena.failed = icmp eq ptr %arena.taken, null
  br i1 %arena.failed, label %exhausted, label %arena.known
exhausted:
  %error = call ptr @PyErr_NoMemory()
  br label %undo
arena.known:
  %arena.block = phi ptr [ null, %arena.stack ], [ %arena.taken, %arena.take ]
  %arena.begin = phi ptr [ %arena.here, %arena.stack ], [ %arena.taken, %arena.take ]
  %arena.address = ptrtoint ptr %arena.begin to i64
  %arena.up = add i64 %arena.address, 63
  %arena.even = and i64 %arena.up, -64
  %arena.aligned = inttoptr i64 %arena.even to ptr
  %arena.to = getelementptr ptr, ptr %pointers, i64 %all
  store ptr %arena.aligned, ptr %arena.to
  br label %allocate

allocate:
  %block = phi ptr [ null, %memory ], [ %arena.block, %arena.known ]
  br label %output
output:
  %o = phi i64 [ 0, %allocate ], [ %o.next, %placed ]
  %o.more = icmp slt i64 %o, %outputs
  br i1 %o.more, label %place, label %run
place:
  %o.record = getelementptr %Output, ptr %output.records, i64 %o
  %o.over.at = getelementptr %Output, ptr %o.record, i64 0, i32 5
  %o.over = load i64, ptr %o.over.at
  %o.may = icmp ne i64 %o.over, 0
  br i1 %o.may, label %inspect, label %new
inspect:
  %o.cell.at = getelementptr %Output, ptr %o.record, i64 0, i32 4
  %o.cell = load i64, ptr %o.cell.at
  %o.old.at = getelementptr ptr, ptr %arrays, i64 %o.cell
  %o.old = load ptr, ptr %o.old.at
  %o.free = call i1 @held_once(ptr %o.old)
  br i1 %o.free, label %placed, label %new
new:
  %o.made = call ptr @fresh(ptr %head, ptr %o.record)
  %o.made.to = getelementptr ptr, ptr %made, i64 %o
  store ptr %o.made, ptr %o.made.to
  %o.failed = icmp eq ptr %o.made, null
  br i1 %o.failed, label %undo.block, label %placed
placed:
  %o.array = phi ptr [ %o.old, %inspect ], [ %o.made, %new ]
  %o.data.at = getelementptr i8, ptr %o.array, i64 $DATA
  %o.data = load ptr, ptr %o.data.at
  %o.place = add i64 %inputs, %o
  %o.data.to = getelementptr ptr, ptr %pointers, i64 %o.place
  store ptr %o.data, ptr %o.data.to
  %o.next = add i64 %o, 1
  br label %output

run:
  %kernel = load ptr, ptr %head
  %status = call i64 %kernel(ptr %pointers)
  %refused = icmp ne i64 %status, 0
  %large = icmp ne ptr %block, null
  br i1 %refused, label %refuse, label %ran
; nothing has been written over yet: it is as if it had not been called
refuse:
  br i1 %large, label %refuse.give, label %refuse.all
refuse.give:
  call void @Memory.give(ptr null, ptr %block, i64 %arena.whole)
  br label %refuse.all
refuse.all:
  call void @release(ptr %made, i64 %both)
  br i1 %packed, label %miss.tuple, label %missed
ran:
  br i1 %large, label %run.give, label %finish
run.give:
  call void @Memory.give(ptr null, ptr %block, i64 %arena.whole)
  br label %finish

finish:
  br label %result
result:
  %r = phi i64 [ 0, %finish ], [ %r.next, %result.done ]
  %r.count = phi i64 [ 0, %finish ], [ %r.total, %result.done ]
  %r.last = phi ptr [ null, %finish ], [ %r.latest, %result.done ]
  %r.more = icmp slt i64 %r, %outputs
  br i1 %r.more, label %result.one, label %end
result.one:
  %r.at = getelementptr ptr, ptr %made, i64 %r
  %r.array = load ptr, ptr %r.at
  %r.next = add i64 %r, 1
  %r.cell.at = getelementptr %Output, ptr %output.records, i64 %r, i32 4
  %r.cell = load i64, ptr %r.cell.at
  %r.written = icmp sge i64 %r.cell, 0
  br i1 %r.written, label %write, label %hand
write:
  %r.inplace = icmp eq ptr %r.array, null
  br i1 %r.inplace, label %result.done, label %swap
swap:
  %w.object.at = getelementptr ptr, ptr %objects, i64 %r.cell
  %w.object = load ptr, ptr %w.object.at
  %w.slot.at = getelementptr %Input, ptr %input.records, i64 %r.cell, i32 3
  %w.slot = load i64, ptr %w.slot.at
  %w.at = getelementptr i8, ptr %w.object, i64 %w.slot
  %w.old = load ptr, ptr %w.at
  store ptr %r.array, ptr %w.at
  store ptr %w.old, ptr %r.at
  br label %result.done
hand:
  store ptr null, ptr %r.at
  br i1 %shelled, label %fill, label %handed
fill:
  %f.at = getelementptr ptr, ptr %shells, i64 %r.count
  %f.shell = load ptr, ptr %f.at
  store ptr null, ptr %f.at
  %f.slot = getelementptr i8, ptr %f.shell, i64 %shell.slot
  store ptr %r.array, ptr %f.slot
  br label %handed
handed:
  %h.object = phi ptr [ %r.array, %hand ], [ %f.shell, %fill ]
  %h.total = add i64 %r.count, 1
  br i1 %packed, label %pack, label %result.done
pack:
  %p.status = call i32 @PyTuple_SetItem(ptr %tuple, i64 %r.count, ptr %h.object)
  br label %result.done
result.done:
  %r.total = phi i64 [ %r.count, %write ], [ %r.count, %swap ], [ %h.total, %handed ],
    [ %h.total, %pack ]
  %r.latest = phi ptr [ %r.last, %write ], [ %r.last, %swap ], [ %h.object, %handed ],
    [ %h.object, %pack ]
  br label %result
end:
  call void @release(ptr %made, i64 %outputs)
  %answer = select i1 %packed, ptr %tuple, ptr %r.last
  ret ptr %answer

undo.block:
  %undo.large = icmp ne ptr %block, null
  br i1 %undo.large, label %undo.give, label %undo
undo.give:
  call void @Memory.give(ptr null, ptr %block, i64 %arena.whole)
  br label %undo
undo:
  call void @release(ptr %made, i64 %both)
  br i1 %packed, label %undo.tuple, label %failed
undo.tuple:
  call void @Py_DecRef(ptr %tuple)
  br label %failed
failed:
  ret ptr null
}
"""
