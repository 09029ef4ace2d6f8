"""Threads that native code shares its work with: they wait and work without Python.

A job is a function, called with an argument and the numbers of its chunks. Chunks are claimed one
by one, by the thread that asks as well, so it never waits for a thread that has not begun. While
one job is under way, others run in the threads that ask, alone.
"""

from __future__ import annotations

import _thread
import ctypes
import functools
import os
import sys
import time

from . import jit
from .workers import processors

SUBMIT = "minigrad.submit"
"""What kernels call: `void submit(void task(ptr argument, i64 chunk), ptr argument, i64 count)`."""
DECLARATION = f'declare void @"{SUBMIT}"(ptr, ptr, i64)'
POSIX = (
    "pthread_mutex_lock",
    "pthread_mutex_unlock",
    "pthread_cond_wait",
    "pthread_cond_broadcast",
    "sched_yield",
    "clock_gettime",
)
LINUX = ("sched_getcpu", "sched_setaffinity")
SPINS = 40
"""How often a worker looks for the next job, yielding in between, before it sleeps: some 20 us."""
PATIENCE = 2000
"""How often who asks looks whether the last worker is done, before it yields: some 100 us."""
LATE = 200_000
"""Nanoseconds that waiting for the last worker may take, besides as long as two chunks took who
asks: the worker may have just begun with one. Where it took longer, processors are busy with
something else, and there is no sharing for ten times as long."""
LINE = 64
"""Bytes of a cache line: what many threads write has one of its own."""

# Bytes from the start of the pool. `state` of the job: 0 none, 1 open to workers, 2 closed until
# the last worker has left. Workers enter under the mutex, and so see what was written before.
PLACES = {
    "mutex": 0,
    "awake": 2 * LINE,
    "number": 4 * LINE,
    "state": 4 * LINE + 8,
    "sleeping": 4 * LINE + 16,
    "task": 4 * LINE + 24,
    "argument": 4 * LINE + 32,
    "count": 4 * LINE + 40,
    "alone": 4 * LINE + 48,
    "processor": 4 * LINE + 56,
    "next": 5 * LINE,
    "inside": 6 * LINE,
    "allowed": 7 * LINE,
}
MASK = 128
"""Bytes of a set of processors."""
BYTES = 7 * LINE + MASK

# all of it is there before the first shared loop, and it seldom runs: it is compiled quickly
QUICK = "attributes #0 = { nounwind noinline optnone }\n"

SERIAL = """
define void @submit(ptr %task, ptr %argument, i64 %count) #0 {
entry:
  br label %loop
loop:
  %chunk = phi i64 [ 0, %entry ], [ %following, %loop ]
  call void %task(ptr %argument, i64 %chunk)
  %following = add i64 %chunk, 1
  %more = icmp slt i64 %following, %count
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

SHARED = """
%Time = type { i64, i64 }
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @sched_yield()
declare i32 @clock_gettime(i32, ptr)

define internal i64 @now() #0 {
  %time = alloca %Time
  call i32 @clock_gettime(i32 CLOCK, ptr %time)
  %seconds = load i64, ptr %time
  %rest = getelementptr %Time, ptr %time, i64 0, i32 1
  %nanoseconds = load i64, ptr %rest
  %scaled = mul i64 %seconds, 1000000000
  %sum = add i64 %scaled, %nanoseconds
  ret i64 %sum
}

define internal i64 @work() #0 {
entry:
  %task = load ptr, ptr %at.task
  %argument = load ptr, ptr %at.argument
  %count = load i64, ptr %at.count
  br label %claim
claim:
  %made = phi i64 [ 0, %entry ], [ %more, %run ]
  %chunk = atomicrmw add ptr %at.next, i64 1 acq_rel
  %mine = icmp slt i64 %chunk, %count
  br i1 %mine, label %run, label %done
run:
  call void %task(ptr %argument, i64 %chunk)
  %more = add i64 %made, 1
  br label %claim
done:
  ret i64 %made
}

define void @submit(ptr %task, ptr %argument, i64 %count) #0 {
entry:
  %time = call i64 @now()
  call i32 @pthread_mutex_lock(ptr %at.mutex)
  %state = load atomic i64, ptr %at.state acquire, align 8
  %until = load atomic i64, ptr %at.alone monotonic, align 8
  %none = icmp eq i64 %state, 0
  %welcome = icmp sge i64 %time, %until
  %free = and i1 %none, %welcome
  br i1 %free, label %open, label %alone
alone:
  call i32 @pthread_mutex_unlock(ptr %at.mutex)
  br label %loop
loop:
  %chunk = phi i64 [ 0, %alone ], [ %following, %loop ]
  call void %task(ptr %argument, i64 %chunk)
  %following = add i64 %chunk, 1
  %more = icmp slt i64 %following, %count
  br i1 %more, label %loop, label %done
open:
  %here = call i32 @here()
  store i32 %here, ptr %at.processor
  store ptr %task, ptr %at.task
  store ptr %argument, ptr %at.argument
  store i64 %count, ptr %at.count
  store atomic i64 0, ptr %at.next release, align 8
  store atomic i64 1, ptr %at.state release, align 8
  %number = atomicrmw add ptr %at.number, i64 1 release
  %sleeping = load i64, ptr %at.sleeping
  %nobody = icmp eq i64 %sleeping, 0
  br i1 %nobody, label %share, label %wake
wake:
  call i32 @pthread_cond_broadcast(ptr %at.awake)
  br label %share
share:
  call i32 @pthread_mutex_unlock(ptr %at.mutex)
  %made = call i64 @work()
  call i32 @pthread_mutex_lock(ptr %at.mutex)
  store atomic i64 2, ptr %at.state release, align 8
  call i32 @pthread_mutex_unlock(ptr %at.mutex)
  %first = load atomic i64, ptr %at.inside acquire, align 8
  %over = icmp eq i64 %first, 0
  br i1 %over, label %close, label %late
late:
  %begin = call i64 @now()
  br label %wait
wait:
  %turn = phi i64 [ 0, %late ], [ %turns, %relax ], [ %turns, %yield ]
  %inside = load atomic i64, ptr %at.inside acquire, align 8
  %left = icmp eq i64 %inside, 0
  br i1 %left, label %judge, label %again
again:
  %turns = add i64 %turn, 1
  %patient = icmp slt i64 %turns, PATIENCE
  br i1 %patient, label %relax, label %yield
relax:
  call void @relax()
  br label %wait
yield:
  call i32 @sched_yield()
  br label %wait
judge:
  %end = call i64 @now()
  %took = sub i64 %end, %begin
  %worked = sub i64 %begin, %time
  %twice = shl i64 %worked, 1
  %some = or i64 %made, 1
  %fair = sdiv i64 %twice, %some
  %most = add i64 %fair, LATE
  %slow = icmp sgt i64 %took, %most
  br i1 %slow, label %rest, label %close
rest:
  %ten = mul i64 %took, 10
  %later = add i64 %end, %ten
  store atomic i64 %later, ptr %at.alone monotonic, align 8
  br label %close
close:
  store atomic i64 0, ptr %at.state release, align 8
  br label %done
done:
  ret void
}

define void @worker() #0 {
entry:
  br label %idle
idle:
  %last = phi i64 [ 0, %entry ], [ %number, %job ], [ %number, %move ]
  br label %spin
spin:
  %turn = phi i64 [ 0, %idle ], [ %turns, %more ]
  %seen = load atomic i64, ptr %at.number acquire, align 8
  %new = icmp ne i64 %seen, %last
  br i1 %new, label %lock, label %more
more:
  call i32 @sched_yield()
  %turns = add i64 %turn, 1
  %patient = icmp slt i64 %turns, SPINS
  br i1 %patient, label %spin, label %lock
lock:
  call i32 @pthread_mutex_lock(ptr %at.mutex)
  br label %look
look:
  %number = load atomic i64, ptr %at.number acquire, align 8
  %state = load atomic i64, ptr %at.state acquire, align 8
  %fresh = icmp ne i64 %number, %last
  %open = icmp eq i64 %state, 1
  %enter = and i1 %fresh, %open
  br i1 %enter, label %place, label %sleep
sleep:
  %before = load i64, ptr %at.sleeping
  %one = add i64 %before, 1
  store i64 %one, ptr %at.sleeping
  call i32 @pthread_cond_wait(ptr %at.awake, ptr %at.mutex)
  %during = load i64, ptr %at.sleeping
  %less = sub i64 %during, 1
  store i64 %less, ptr %at.sleeping
  br label %look
place:
  %theirs = load i32, ptr %at.processor
  %ours = call i32 @here()
  %crowded = icmp eq i32 %theirs, %ours
  br i1 %crowded, label %move, label %job
move:
  call i32 @pthread_mutex_unlock(ptr %at.mutex)
  call void @leave(i32 %ours)
  %there = call i32 @here()
  %stuck = icmp eq i32 %theirs, %there
  br i1 %stuck, label %idle, label %lock
job:
  %entered = atomicrmw add ptr %at.inside, i64 1 acq_rel
  call i32 @pthread_mutex_unlock(ptr %at.mutex)
  call i64 @work()
  %leaving = atomicrmw sub ptr %at.inside, i64 1 acq_rel
  br label %idle
}
"""

# Linux leaves a thread that was woken where it is, or puts it where the one that woke it runs;
# so a worker goes elsewhere by itself.
ON_LINUX = """
declare i32 @sched_getcpu()
declare i32 @sched_setaffinity(i32, i64, ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal i32 @here() #0 {
  %processor = call i32 @sched_getcpu()
  ret i32 %processor
}

define internal void @leave(i32 %processor) #0 {
  %set = alloca [MASK x i8], align 8
  call void @llvm.memcpy.p0.p0.i64(ptr %set, ptr %at.allowed, i64 MASK, i1 false)
  %byte = lshr i32 %processor, 3
  %bit = and i32 %processor, 7
  %narrow = trunc i32 %bit to i8
  %flag = shl i8 1, %narrow
  %others = xor i8 %flag, -1
  %place = getelementptr i8, ptr %set, i32 %byte
  %old = load i8, ptr %place
  %new = and i8 %old, %others
  store i8 %new, ptr %place
  call i32 @sched_setaffinity(i32 0, i64 MASK, ptr %set)
  ret void
}
"""

ELSEWHERE = """
@calls = internal global i32 0
define internal i32 @here() #0 {
  %number = atomicrmw add ptr @calls, i32 1 monotonic
  ret i32 %number
}
define internal void @leave(i32 %processor) #0 {
  ret void
}
"""

RELAX = {
    "x86": "declare void @llvm.x86.sse2.pause()\n"
    "define internal void @relax() #0 {\n  call void @llvm.x86.sse2.pause()\n  ret void\n}\n",
    "": "define internal void @relax() #0 {\n  ret void\n}\n",
}


kept: list[Alone | Pool] = []
"""What native code and threads refer to as long as the process runs."""


@functools.cache
def submit() -> int:
    """The address of `submit`, for modules whose kernels call it. Starts the threads."""
    made: Pool | Alone = Pool(processors() - 1) if is_shared() else Alone()
    return made.code["submit"]


def is_shared() -> bool:
    """Whether there is more than one thread."""
    return os.name == "posix" and processors() > 1


jit.shared[SUBMIT] = lambda name: submit()
jit.ahead[SUBMIT] = functools.cache(
    lambda name: jit.begin(shared_ir() if is_shared() else SERIAL + QUICK, quick=True)
)


class Alone:
    """One thread: `submit` runs the chunks one after the other."""

    def __init__(self) -> None:
        self.code = jit.compile_module(SERIAL + QUICK, ["submit"], quick=True)
        kept.append(self)


class Pool:
    """Threads of this process, and the memory through which they are given work."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.library = ctypes.CDLL(None)
        self.memory = ctypes.create_string_buffer(BYTES + LINE)
        self.address = -(-ctypes.addressof(self.memory) // LINE) * LINE
        names = {name: self.function(name) for name in (POSIX + LINUX if on_linux() else POSIX)}
        names["pool"] = self.address
        self.code = jit.compile_module(shared_ir(), ["submit", "worker"], names, quick=True)
        kept.append(self)
        self.start()
        os.register_at_fork(after_in_child=self.start)  # threads do not survive a fork

    def function(self, name: str) -> int:
        """The address of a function of the C library."""
        return ctypes.cast(getattr(self.library, name), ctypes.c_void_p).value or 0

    def start(self) -> None:
        """Forget any job, and start the threads; they sleep most of the time."""
        ctypes.memset(self.address, 0, BYTES)
        for kind, name in (("mutex", "mutex"), ("cond", "awake")):
            initialise = getattr(self.library, f"pthread_{kind}_init")
            initialise(ctypes.c_void_p(self.address + PLACES[name]), None)
        if on_linux():
            flags = sum(1 << number for number in os.sched_getaffinity(0) if number < 8 * MASK)
            ctypes.memmove(self.address + PLACES["allowed"], flags.to_bytes(MASK, "little"), MASK)
        worker = ctypes.CFUNCTYPE(None)(self.code["worker"])
        for _ in range(self.workers):
            _thread.start_new_thread(worker, ())


def on_linux() -> bool:
    """Whether threads can be told where to run."""
    return sys.platform.startswith("linux")


def shared_ir() -> str:
    """The text of `submit` and `worker`; the pool itself is imported."""
    x86 = jit.host().triple.startswith(("x86_64", "i686"))
    text = SHARED + (ON_LINUX if on_linux() else ELSEWHERE) + RELAX["x86" if x86 else ""]
    for name, place in sorted(PLACES.items(), key=lambda item: -len(item[0])):
        text = text.replace(f"%at.{name}", f"getelementptr (i8, ptr @pool, i64 {place})")
    numbers = {"SPINS": SPINS, "PATIENCE": PATIENCE, "LATE": LATE, "MASK": MASK}
    for name, number in {**numbers, "CLOCK": time.CLOCK_MONOTONIC}.items():
        text = text.replace(name, str(number))
    return "@pool = external global i8\n" + text + QUICK
