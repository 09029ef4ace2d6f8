"""Memory that is kept for large results: handed out to one array at a time, and bounded."""

import ctypes
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import fastcall
from minigrad.codegen.call import fast_path
from minigrad.codegen.memory import SMALLEST, Memory
from tests.unit.codegen.native import needs_llvm
from tests.unit.codegen.test_pool import run

SIZE = SMALLEST  # float32 numbers: four times the smallest that is kept


@pytest.fixture(autouse=True)
def kept() -> None:
    """Skip where memory is not kept."""
    if not fast_path() or fastcall.keeper() is None:
        pytest.skip("arrays cannot be told here who frees them")


pytestmark = needs_llvm


def owner(x: Any) -> str | None:
    """The name of who frees the memory of an array."""
    name: str | None = np._core.multiarray.get_handler_name(x)  # type: ignore[attr-defined]
    return name


def results(count: int, size: int = SIZE) -> list[Any]:
    """Arrays that compiled functions have made, with k in the place of x * 0."""
    x = mg.asarray(np.zeros(size, np.float32))
    f = mg.function(lambda x, y: x + y, jit_compile=True)
    return [f(x, mg.asarray(np.float32(k)))._value for k in range(count)]


def test_large_results_say_who_frees_them_and_own_their_memory() -> None:
    (x,) = results(1)
    assert owner(x) == "minigrad"
    assert x.flags.owndata and x.flags.writeable and x.flags.aligned
    (small,) = results(1, 8)
    assert owner(small) == "default_allocator"


def test_memory_is_handed_out_again_when_its_array_is_gone() -> None:
    (x,) = results(1)
    place = x.ctypes.data
    del x
    (y,) = results(1)
    assert y.ctypes.data == place


def test_results_that_live_keep_their_values() -> None:
    draw = np.random.default_rng(0)
    alive: list[tuple[int, Any]] = []
    sizes = [SIZE, SIZE + 16, 2 * SIZE]
    makers = [mg.function(lambda x, y: x + y, jit_compile=True) for _ in sizes]
    zeros = [mg.asarray(np.zeros(n, np.float32)) for n in sizes]
    for k in range(300):
        which = int(draw.integers(3))
        made = makers[which](zeros[which], mg.asarray(np.float32(k)))._value
        alive.append((k, made[5:] if k % 3 else made))  # a view keeps its array
        if draw.random() < 0.6:
            alive.pop(int(draw.integers(len(alive))))
        assert all(x[0] == number and x[-1] == number for number, x in alive)
        assert all(np.all(x == number) for number, x in alive[-3:])


def test_a_result_can_be_made_longer() -> None:
    (x,) = results(1)
    x += 3
    x.resize(2 * SIZE, refcheck=False)
    assert x[SIZE - 1] == 3 and x[SIZE] == 0


def test_what_is_kept_is_bounded() -> None:
    memory = Memory(4 * SMALLEST)
    held = ctypes.c_int64.from_address(memory.code["held"])
    take = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(memory.code["take"])
    give = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
        memory.code["give"]
    )
    sizes = [SMALLEST + 64 * k for k in range(200)]
    blocks = [take(None, n) for n in sizes]
    assert len(set(blocks)) == 200
    for n, block in zip(sizes, blocks, strict=True):
        give(None, block, n)
        assert 0 <= held.value <= 4 * SMALLEST
    assert held.value == sum(sizes[-3:])
    assert take(None, sizes[-1]) == blocks[-1]
    assert held.value == sum(sizes[-3:-1])
    give(None, take(None, 5 * SMALLEST), 5 * SMALLEST)
    give(None, take(None, 8), 8)
    assert held.value == sum(sizes[-3:-1])


def test_a_table_that_is_full_forgets_the_oldest() -> None:
    memory = Memory(1 << 40)
    held = ctypes.c_int64.from_address(memory.code["held"])
    take = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(memory.code["take"])
    give = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
        memory.code["give"]
    )
    blocks = [take(None, SMALLEST) for _ in range(100)]
    for block in blocks:
        give(None, block, SMALLEST)
    assert held.value == 64 * SMALLEST


PROGRAM = (
    "import sys, numpy as np, minigrad as mg\n"
    "f = mg.function(lambda x: x + 1, jit_compile=True)\n"
    "y = f(mg.asarray(np.ones(1 << 20, np.float32)))._value\n"
    "sys.kept = y, y[3:]\n"  # freed after all modules, or never
    "print(np._core.multiarray.get_handler_name(y), int(y.sum()))\n"
)


def test_arrays_may_be_the_last_to_go() -> None:
    assert run(PROGRAM) == f"minigrad {1 << 21}\n"


def test_nothing_is_kept_if_the_user_says_so() -> None:
    assert run(PROGRAM, MINIGRAD_KEEP_BYTES="0") == f"default_allocator {1 << 21}\n"
