"""Work shared by threads: every chunk once, by whom and how many at a time whatever."""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

from minigrad.codegen import jit, pool
from tests.unit.codegen.native import needs_llvm

posix = pytest.mark.skipif(os.name != "posix", reason="threads are POSIX threads")

TASK = """
define void @task(ptr %counts, i64 %chunk) {
  %place = getelementptr i64, ptr %counts, i64 %chunk
  %old = atomicrmw add ptr %place, i64 1 monotonic
  ret void
}
"""

Submit = Callable[[int, int, int], None]


def task() -> tuple[jit.Code, int]:
    """The code, and the address, of a function that counts the calls of each chunk."""
    code = jit.compile_module(TASK, ["task"])
    return code, code["task"]


def submitting(address: int) -> Submit:
    """The native function `submit` at `address`."""
    function: Submit = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
        address
    )
    return function


def every_chunk_once(submit: Submit, jobs: int, count: int) -> bool:
    """Whether `jobs` jobs of `count` chunks, one after the other, did each chunk once."""
    code, address = task()
    counts = np.zeros(count, np.int64)
    for _ in range(jobs):
        submit(address, counts.ctypes.data, count)
    assert code is not None
    return bool(np.all(counts == jobs))


@needs_llvm
@posix
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 17, 1000])
def test_each_chunk_is_done_once(count: int, workers: int) -> None:
    shared = pool.Pool(workers)
    assert every_chunk_once(submitting(shared.code["submit"]), 300, count)


@needs_llvm
def test_one_thread_does_the_same() -> None:
    assert every_chunk_once(submitting(pool.Alone().code["submit"]), 3, 17)


@needs_llvm
@posix
def test_jobs_of_several_threads_at_once() -> None:
    shared = pool.Pool(2)
    submit = submitting(shared.code["submit"])  # ctypes gives the interpreter away meanwhile
    right: list[bool] = []
    askers = [
        threading.Thread(target=lambda: right.append(every_chunk_once(submit, 300, 50)))
        for _ in range(4)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert right == [True] * 4


@needs_llvm
@posix
def test_nothing_is_shared_where_workers_were_late() -> None:
    shared = pool.Pool(1)
    never = ctypes.c_int64(1 << 62)
    ctypes.memmove(shared.address + pool.PLACES["alone"], ctypes.byref(never), 8)
    assert every_chunk_once(submitting(shared.code["submit"]), 20, 50)
    number = ctypes.c_int64.from_address(shared.address + pool.PLACES["number"])
    assert number.value == 0, "a job was opened to workers"


SLEEPER = """
declare i32 @usleep(i32)
define void @task(ptr %times, i64 %chunk) {
  %place = getelementptr i32, ptr %times, i64 %chunk
  %time = load i32, ptr %place
  call i32 @usleep(i32 %time)
  ret void
}
"""


@needs_llvm
@posix
@pytest.mark.parametrize("last, late", [(50, False), (400, True)])
def test_a_worker_may_take_as_long_as_its_chunk_takes(last: int, late: bool) -> None:
    shared = pool.Pool(1)
    code = jit.compile_module(SLEEPER, ["task"], {"usleep": shared.function("usleep")})
    times = np.array([40_000, last * 1000], np.int32)
    alone = ctypes.c_int64.from_address(shared.address + pool.PLACES["alone"])
    for _ in range(5):  # who asks does both, where the worker is not awake by then
        submitting(shared.code["submit"])(code["task"], times.ctypes.data, 2)
        if alone.value:
            break
    assert bool(alone.value) == late


def run(program: str, **environment: str) -> str:
    """What `program` prints, run by another interpreter."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LARGE = (
    "import os, numpy as np, minigrad as mg\n"
    "x = np.ones((256, 300), np.float32)\n"
    "product = mg.function(lambda x, y: x @ y, jit_compile=True)\n"
    "right = lambda: bool(np.all(product(x, x.T.copy()).numpy() == 300))\n"
    "print(right())\n"
)


@needs_llvm
@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_the_number_of_threads_can_be_chosen(threads: str) -> None:
    count = (
        "from minigrad.codegen import pool\n"
        "print(pool.processors(), *[getattr(made, 'workers', 0) for made in pool.kept])\n"
    )
    printed = run(LARGE + count, MINIGRAD_NUM_THREADS=threads)
    assert printed == f"True\n{threads} {int(threads) - 1}\n"


@needs_llvm
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    fork = (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if all(right() for _ in range(20)) else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
        "print(right())\n"
    )
    assert run(LARGE + fork, MINIGRAD_NUM_THREADS="3") == "True\n0\nTrue\n"
