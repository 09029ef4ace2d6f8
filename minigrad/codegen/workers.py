"""Objects that are made ahead of their use, by several threads at a time.

llvmlite lets one thread at a time into LLVM. LLVM asks for no such turns where each thread has a
context and a code generator of its own; so threads call the functions of llvmlite's library
directly here. They live while there is something to make.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

STACK_BYTES = 16 << 20
"""LLVM recurses deeper than the stacks of threads allow on some systems."""

MOST = 16
"""Threads of one process, if there are as many processors."""

POINTER = ctypes.c_void_p
TEXT = ctypes.POINTER(POINTER)  # where a message is put
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "ContextCreate": (POINTER, []),
    "ContextDispose": (None, [POINTER]),
    "ParseAssembly": (POINTER, [POINTER, ctypes.c_char_p, TEXT]),
    "VerifyModule": (ctypes.c_bool, [POINTER, TEXT]),
    "DisposeModule": (None, [POINTER]),
    "TargetMachineEmitToMemory": (POINTER, [POINTER, POINTER, ctypes.c_int, TEXT]),
    "GetBufferStart": (POINTER, [POINTER]),
    "GetBufferSize": (ctypes.c_size_t, [POINTER]),
    "DisposeMemoryBuffer": (None, [POINTER]),
    "DisposeString": (None, [POINTER]),
}
"""What is called of llvmlite's library, by its name after LLVMPY_: result and arguments."""


def processors() -> int:
    """How many threads may compute: MINIGRAD_NUM_THREADS, or as many as there are processors."""
    if chosen := os.environ.get("MINIGRAD_NUM_THREADS"):
        return max(int(chosen), 1)
    affinity = getattr(os, "sched_getaffinity", None)  # what this process may use; Linux only
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, MOST)


class Library:
    """The functions of llvmlite's library at `path`, without its turns.

    Raises AttributeError where it lacks one.
    """

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        self.functions = {}
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, f"LLVMPY_{name}")
            function.restype, function.argtypes = result, arguments
            self.functions[name] = function

    def __getattr__(self, name: str) -> Any:
        """The function `name`."""
        try:
            return self.functions[name]
        except KeyError:
            raise AttributeError(name) from None

    def emit_object(self, machine: int, ir: str) -> bytes:
        """The object file made of `ir` by the code generator at the address `machine`.

        Raises RuntimeError where LLVM rejects `ir`.
        """
        said = POINTER()
        context = self.ContextCreate()
        module = buffer = None
        try:
            module = self.ParseAssembly(context, ir.encode(), ctypes.byref(said))
            if not module or said.value or self.VerifyModule(module, ctypes.byref(said)):
                raise RuntimeError(f"LLVM IR parsing error\n{message(said)}")
            buffer = self.TargetMachineEmitToMemory(machine, module, 1, ctypes.byref(said))
            if not buffer:
                raise RuntimeError(message(said))
            return ctypes.string_at(self.GetBufferStart(buffer), self.GetBufferSize(buffer))
        finally:
            if said.value:
                self.DisposeString(said)
            if buffer:
                self.DisposeMemoryBuffer(buffer)
            if module:
                self.DisposeModule(module)
            self.ContextDispose(context)


def message(said: ctypes.c_void_p) -> str:
    """The text at `said`."""
    return ctypes.string_at(said.value).decode(errors="replace") if said.value else ""


class Job:
    """An object that is being made of `ir`, or has been; nothing is made for nobody.

    others: those that it will be linked with; they are made as long as this is kept.
    """

    def __init__(self, key: str, ir: str, *, quick: bool) -> None:
        self.key = key
        self.ir = ir
        self.quick = quick
        self.done = threading.Event()
        self.image: bytes | None = None
        self.others: list[Job | None] = []
        self.error: BaseException | None = None

    def result(self) -> bytes:
        """The object, as soon as it is there."""
        self.done.wait()
        if self.error is not None:
            raise self.error
        assert self.image is not None
        return self.image


class Workers:
    """Up to `most` threads that make objects, each by a `make(machines, job)` of its own.

    machines: gives what a thread has for itself, its code generators.
    """

    def __init__(
        self, most: int, machines: Callable[[], Any], make: Callable[[Any, Job], bytes]
    ) -> None:
        self.most = most
        self.machines = machines
        self.make = make
        self.idle: list[Any] = []
        self.forget()
        if hasattr(os, "register_at_fork"):  # threads do not survive a fork
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Begin anew: nothing is being made."""
        self.lock = threading.Lock()
        self.jobs: weakref.WeakValueDictionary[str, Job] = weakref.WeakValueDictionary()
        self.waiting: deque[weakref.ref[Job]] = deque()
        self.running = 0

    def begin(self, key: str, ir: str, *, quick: bool = False) -> Job | None:
        """Have the object of `ir` made; whoever asks for `key` meanwhile is given the same job.

        quick: by which generator. None where no thread can be started.
        """
        with self.lock:
            job = self.jobs.get(key)
            if job is None:
                job = self.jobs[key] = Job(key, ir, quick=quick)
                self.waiting.append(weakref.ref(job))
                if self.running < self.most:
                    self.running += 1
                    try:
                        start(self.work)
                    except RuntimeError:  # no more threads, or the interpreter ends
                        self.running -= 1
                        if not self.running:  # then nothing else is waiting
                            self.waiting.pop()
                            del self.jobs[key]
                            return None
            return job

    def find(self, key: str) -> Job | None:
        """The job for `key`, if there is one that somebody keeps."""
        return self.jobs.get(key)

    def work(self) -> None:
        """Make what is waiting, until nothing is."""
        lock, machines = self.lock, None
        while True:
            with lock:
                if not self.waiting:
                    self.running -= 1
                    if machines is not None:
                        self.idle.append(machines)
                    return
                job = self.waiting.popleft()()
                if machines is None and self.idle:
                    machines = self.idle.pop()
            if job is not None:
                try:
                    machines = self.machines() if machines is None else machines
                    job.image = self.make(machines, job)
                except BaseException as error:  # whoever waits for it raises it
                    job.error = error
                finally:
                    job.done.set()
                del job  # else what nobody keeps would be kept while this waits


def start(work: Callable[[], None]) -> None:
    """Start a thread, whose stack LLVM finds large enough."""
    before = threading.stack_size(STACK_BYTES)
    try:
        threading.Thread(target=work, name="minigrad compiles").start()
    finally:
        threading.stack_size(before)
