"""Native products of matrices, of every layout and every size at an edge, against float64."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from minigrad.codegen import jit, packing, pool, x86
from minigrad.codegen.blocking import GROUP_BYTES, PANEL_BYTES, Layout, Plan, Product
from minigrad.codegen.blocking import plan as planned
from minigrad.codegen.gemm import render
from minigrad.codegen.products import product_of_views, registers
from tests.unit.codegen.native import Array, needs_llvm, pointer_function

MACHINES = [(64, 32), (32, 16), (16, 16), (16, 32)]


def whole(*shape: int) -> Layout:
    """The layout of a contiguous array."""
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    return Layout(0, tuple(strides))


def turned(rows: int) -> Layout:
    """The layout of the transpose of a contiguous array, with this many rows itself."""
    return Layout(0, (1, rows))


def matrix(rng: Any, rows: int, columns: int, dtype: str, *, transposed: bool) -> Array:
    """A random matrix; transposed: a view of one that lies the other way round."""
    shape = (columns, rows) if transposed else (rows, columns)
    x: Array = rng.standard_normal(shape).astype(dtype)
    return x.T if transposed else x


def problem(m: int, n: int, k: int, x1: Array, x2: Array) -> Product:
    """The product of two arrays as they lie in memory."""
    layouts = [Layout(0, tuple(s // x.itemsize for s in x.strides)) for x in (x1, x2)]
    return Product(x1.dtype, (), m, n, k, *layouts)


def run(product: Product, plan: Plan, x1: Array, x2: Array) -> Array:
    """The product as native code computes it by `plan`; around y nothing may be written."""
    text = render(product, plan, "kernel")
    code = jit.compile_module(text, ["kernel"])
    size = int(np.prod(product.batch)) * product.rows * product.columns
    guarded = np.full(size + 64, 77, product.dtype)
    y = guarded[32 : 32 + size]
    base1, base2 = (x if x.base is None else x.base for x in (x1, x2))
    pointer_function(code, "kernel", 3)(base1, base2, y)
    assert np.all(guarded[:32] == 77) and np.all(guarded[-32:] == 77)
    return y.reshape(*product.batch, product.rows, product.columns)


def assert_product(y: Array, x1: Array, x2: Array) -> None:
    """`y` is x1 @ x2, but for what summing in any order may lose."""
    exact = x1.astype(np.float64) @ x2.astype(np.float64)
    scale = np.abs(x1).astype(np.float64) @ np.abs(x2).astype(np.float64)
    allowed = np.finfo(y.dtype).eps * (1 + x1.shape[-1]) * scale
    assert np.all(np.abs(y - exact) <= allowed + 1e-300)


@needs_llvm
@pytest.mark.parametrize("turn", list(itertools.product((False, True), repeat=2)))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [(1, 1, 1), (1, 17, 3), (7, 1, 9), (8, 48, 16), (9, 49, 17), (33, 67, 5), (25, 130, 40)],
)
def test_every_size_and_layout(m: int, n: int, k: int, dtype: str, turn: Any) -> None:
    rng = np.random.default_rng(0)
    x1 = matrix(rng, m, k, dtype, transposed=turn[0])
    x2 = matrix(rng, k, n, dtype, transposed=turn[1])
    product = problem(m, n, k, x1, x2)
    width = jit.host().vector_bytes
    plan = planned(product, width, registers(width))
    assert_product(run(product, plan, x1, x2), x1, x2)


@needs_llvm
@pytest.mark.parametrize("turn", list(itertools.product((False, True), repeat=2)))
@pytest.mark.parametrize("packed", [False, True])
def test_blocks_of_rows_and_of_depth_add_up(packed: bool, turn: Any) -> None:
    rng = np.random.default_rng(0)
    m, n, k = 45, 77, 50
    x1 = matrix(rng, m, k, "float32", transposed=turn[0])
    x2 = matrix(rng, k, n, "float32", transposed=turn[1])
    plan = Plan(lanes=16, rows=6, vectors=2, block=12, depth=16, packed=packed or turn[1])
    assert_product(run(problem(m, n, k, x1, x2), plan, x1, x2), x1, x2)


@needs_llvm
@pytest.mark.parametrize("turn", list(itertools.product((False, True), repeat=2)))
@pytest.mark.parametrize(("group", "band"), [(2, 6), (3, 12), (9, 18)])
def test_groups_of_panels_meet_bands_of_rows(group: int, band: int, turn: Any) -> None:
    rng = np.random.default_rng(0)
    m, n, k = 45, 277, 50
    x1 = matrix(rng, m, k, "float32", transposed=turn[0])
    x2 = matrix(rng, k, n, "float32", transposed=turn[1])
    plan = Plan(16, 6, 2, block=24, depth=16, packed=True, strips=turn[0], group=group, band=band)
    assert_product(run(problem(m, n, k, x1, x2), plan, x1, x2), x1, x2)
    some = plan._replace(panels=group, share=1)  # units of work
    assert_product(run(problem(m, n, k, x1, x2), some, x1, x2), x1, x2)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [3, 8, 13])
def test_strips_of_scattered_rows(rows: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    m, n, k = 45, 77, 50
    lanes = 64 // np.dtype(dtype).itemsize
    plan = Plan(lanes, rows, 2, block=2 * rows, depth=16, packed=True, strips=True)
    for x1 in (rng.standard_normal((k, m)).T, rng.standard_normal((2 * m, 3 * k))[::2, ::3]):
        x1, x2 = x1.astype(dtype, order="K"), rng.standard_normal((k, n)).astype(dtype)
        assert_product(run(problem(m, n, k, x1, x2), plan, x1, x2), x1, x2)


@needs_llvm
@pytest.mark.parametrize("turn", list(itertools.product((False, True), repeat=2)))
@pytest.mark.parametrize(("m", "n", "k"), [(200, 250, 300), (700, 90, 200), (17, 1000, 300)])
def test_work_is_shared_without_gaps(m: int, n: int, k: int, turn: Any) -> None:
    rng = np.random.default_rng(0)
    x1 = matrix(rng, m, k, "float32", transposed=turn[0])
    x2 = matrix(rng, k, n, "float32", transposed=turn[1])
    product = problem(m, n, k, x1, x2)
    plan = planned(product, jit.host().vector_bytes, registers(jit.host().vector_bytes))
    assert pool.SUBMIT in render(product, plan, "kernel")
    for share in (1, plan.share, 2):
        changed = plan._replace(share=share)
        assert_product(run(product, changed, x1, x2), x1, x2)


@needs_llvm
def test_a_large_batch_is_shared() -> None:
    rng = np.random.default_rng(0)
    x1, x2 = rng.standard_normal((97, 20, 30)), rng.standard_normal((97, 30, 80))
    layouts = Layout(0, (600, 30, 1)), Layout(0, (2400, 80, 1))
    product = Product(x1.dtype, (97,), 20, 80, 30, *layouts)
    plan = planned(product, jit.host().vector_bytes, registers(jit.host().vector_bytes))
    assert 1 < plan.share < 97
    assert_product(run(product, plan, x1, x2), x1, x2)


@needs_llvm
@pytest.mark.parametrize("machine", MACHINES)
def test_plans_for_other_machines_are_right_too(machine: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    m, n, k = 19, 37, 23
    x1 = matrix(rng, m, k, "float64", transposed=False)
    x2 = matrix(rng, k, n, "float64", transposed=True)
    product = problem(m, n, k, x1, x2)
    assert_product(run(product, planned(product, *machine), x1, x2), x1, x2)


@needs_llvm
def test_operands_without_a_contiguous_axis() -> None:
    rng = np.random.default_rng(0)
    large1, large2 = rng.standard_normal((20, 60)), rng.standard_normal((60, 80))
    x1, x2 = large1[::2, ::3], large2[::3, ::2]
    product = problem(10, 40, 20, x1, x2)
    width = jit.host().vector_bytes
    plan = planned(product, width, registers(width))
    assert plan.packed
    assert_product(run(product, plan, x1, x2), x1, x2)


@needs_llvm
def test_a_batch_broadcasts_by_strides_of_zero() -> None:
    rng = np.random.default_rng(0)
    x1, x2 = rng.standard_normal((3, 2, 5, 7)), rng.standard_normal((2, 7, 11))
    layouts = Layout(0, (70, 35, 7, 1)), Layout(0, (0, 77, 11, 1))
    product = Product(x1.dtype, (3, 2), 5, 11, 7, *layouts)
    width = jit.host().vector_bytes
    y = run(product, planned(product, width, registers(width)), x1, x2)
    assert_product(y, x1, x2)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("machine", [None, (32, 16), (16, 32)])
@pytest.mark.parametrize(("size", "channels", "out"), [((2, 3), 3, 5), ((5, 9), 1, 70)])
def test_windows_are_multiplied_where_they_lie(
    size: tuple[int, int], channels: int, out: int, machine: Any, dtype: str
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 12, 14, channels)).astype(dtype)
    seen = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))[:, ::2, ::3]
    seen = seen.transpose(0, 1, 2, 4, 5, 3)
    for x1, depths in ((seen, seen.shape[3:]), (seen.transpose(3, 4, 5, 0, 1, 2), seen.shape[:3])):
        x2 = rng.standard_normal((*depths, out)).astype(dtype)
        product = product_of_views(x1, x2)
        assert product.levels
        width = jit.host().vector_bytes
        plan = planned(product, *(machine or (width, registers(width))))
        rows, columns = x1.reshape(-1, product.depth), x2.reshape(-1, out)
        for depth in (plan.depth, product.step):  # in one block, and in many
            y = run(product, plan._replace(depth=depth), x, x2)
            assert_product(y.reshape(-1, out), rows, columns)


def test_levels_of_windows_are_no_more_than_memory_needs() -> None:
    x = np.zeros((2, 6, 7, 4), np.float32)
    seen = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    product = product_of_views(seen.transpose(0, 1, 2, 4, 5, 3), np.zeros((3, 3, 4, 8)))
    assert (product.batch, product.rows, product.depth) == ((2, 4), 5, 36)
    assert product.levels == ((3, 28), (12, 1))
    assert product_of_views(x, np.zeros((4, 8))).levels == ()
    assert product_of_views(x, np.zeros((4, 8))).rows == 84


@needs_llvm
@pytest.mark.parametrize("packed", [False, True])
def test_a_long_sum_is_rounded_block_by_block(packed: bool) -> None:
    x1, x2 = np.full((3, 1 << 16), 0.1, np.float32), np.ones((1 << 16, 20), np.float32)
    y = run(problem(3, 20, 1 << 16, x1, x2), Plan(16, 3, 2, 3, 256, packed), x1, x2)
    np.testing.assert_allclose(y, 65536 * np.float64(np.float32(0.1)), rtol=1e-5)


@needs_llvm
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("m", "n", "k", "rows", "vectors"), [(14, 50, 40, 6, 2), (5, 9, 1, 5, 1), (30, 96, 33, 14, 2)]
)
def test_assembly_gives_the_bits_that_llvm_gives(
    m: int, n: int, k: int, rows: int, vectors: int, dtype: str, packed: bool, monkeypatch: Any
) -> None:
    if not x86.is_known(np.dtype(dtype)):
        pytest.skip("no assembly for this machine")
    rng = np.random.default_rng(7)
    x1, x2 = [matrix(rng, *shape, dtype, transposed=False) for shape in ((m, k), (k, n))]
    x1[m // 2, k // 2], x2[k // 3, n // 4], x1[0] = np.inf, -np.inf, -0.0
    found = problem(m, n, k, x1, x2)
    plan = Plan(x86.BYTES // x1.itemsize, rows, vectors, rows * 2, 16, packed)
    plan = plan._replace(ahead=0 if packed else 3)
    made = run(found, plan, x1, x2)
    assert ("prefetcht0" in render(found, plan, "kernel")) is not packed
    assert "module asm" in render(found, plan, "kernel")
    monkeypatch.setattr(x86, "is_known", lambda *args: False)
    assert "module asm" not in render(found, plan, "kernel")
    assert made.tobytes() == run(found, plan, x1, x2).tobytes()


@needs_llvm
@pytest.mark.parametrize(("m", "n", "k"), [(32, 500, 300), (9, 257, 600), (1, 300, 1000)])
def test_few_rows_meet_a_large_operand_where_it_lies(m: int, n: int, k: int) -> None:
    rng = np.random.default_rng(0)
    x1, x2 = [matrix(rng, *shape, "float32", transposed=False) for shape in ((m, k), (k, n))]
    width = jit.host().vector_bytes
    product = problem(m, n, k, x1, x2)
    plan = planned(product, width, registers(width))
    assert plan.ahead
    assert not plan.packed
    assert plan.depth < k
    assert_product(run(product, plan, x1, x2), x1, x2)
    assert planned(product._replace(rows=200), width, registers(width)).packed


@needs_llvm
def test_rows_too_far_apart_for_an_instruction_are_asked_for_by_llvm() -> None:
    far = Layout(0, (1 << 27, 1))
    product = Product(np.dtype(np.float32), (), 8, 1000, 100, whole(8, 100), far)
    plan = planned(product, x86.BYTES, 32)
    assert plan.ahead
    assert "module asm" not in render(product, plan, "kernel")


@needs_llvm
def test_infinities_stay_in_their_rows_and_columns() -> None:
    """Lanes beyond the last column are computed with, and not stored."""
    x1, x2 = np.ones((5, 6), np.float32), np.ones((6, 19), np.float32)
    x1[2, 3] = np.inf
    product = problem(5, 19, 6, x1, x2)
    plan = Plan(lanes=16, rows=4, vectors=2, block=5, depth=6, packed=True)
    y = run(product, plan, x1, x2)
    assert np.all(np.isinf(y[2]))
    assert np.all(np.delete(y, 2, axis=0) == 6)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("m", [1, 3, 128, 1000])
@pytest.mark.parametrize("n", [1, 10, 100, 1000])
@pytest.mark.parametrize("k", [1, 100, 5000])
def test_a_plan_keeps_to_the_registers_and_to_the_stack(
    k: int, n: int, m: int, machine: tuple[int, int]
) -> None:
    vector_bytes, count = machine
    product = Product(np.dtype(np.float32), (), m, n, k, whole(m, k), turned(k))
    plan = planned(product, vector_bytes, count)
    assert plan.rows * plan.vectors + plan.vectors + 1 <= count
    assert plan.depth * plan.width * 4 <= PANEL_BYTES
    assert plan.group == 1 or plan.group * plan.depth * plan.width * 4 <= GROUP_BYTES
    assert plan.depth == k or plan.depth % plan.lanes == 0
    assert plan.block == m or plan.block % plan.rows == 0


def test_the_text_is_small_and_the_same_every_time() -> None:
    product = Product(np.dtype(np.float32), (), 999, 999, 999, whole(999, 999), turned(999))
    plan = planned(product, 64, 32)
    text = render(product, plan, "kernel")
    assert text == render(product, plan, "kernel")
    assert text.count("\n") < 1500


@needs_llvm
def test_threads_that_need_the_same_square_at_once_share_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is made a second time would take the place of code that kernels are linked to."""
    made: list[str] = []
    compile_module = packing.jit.compile_module

    def slowly(text: str, names: list[str]) -> Any:
        made.extend(names)
        time.sleep(0.05)
        return compile_module(text, names)

    monkeypatch.setattr(packing, "SQUARES", {})
    monkeypatch.setattr(packing.jit, "compile_module", slowly)
    name = packing.square_name(np.dtype(np.float32), 8, 3).strip('"')
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(packing.square_code, [name] * 4))
    assert made == [name]
    assert all(code is found[0] for code in found)
