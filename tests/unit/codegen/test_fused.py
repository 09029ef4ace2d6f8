"""Fusion groups as native code against the NumPy kernels of their nodes."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen.executable import executable
from minigrad.codegen.fused import fused, llvm, prepared
from minigrad.codegen.schedule import loop_nest
from minigrad.core.registry import api
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from tests.unit.codegen import programs
from tests.unit.codegen.native import needs_llvm

SIZES = (1, 7, 63, 64, 65, 1000)
DTYPES = ("bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float32", "float64")


def graph_of(body: Any, *specs: Spec) -> Graph:
    """The optimized graph of `body`."""
    return optimize(trace(body, specs)[0])


def both(body: Any, *xs: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The outputs of `body` by NumPy kernels and by fused groups, of which there must be one."""
    graph = graph_of(body, *[Spec(x.shape, x.dtype) for x in xs])
    compiled = fuse(graph)
    assert any(node.op is fused for node in compiled.nodes)
    captured = [x._value for x in graph.captures]
    return executable(graph)(*xs, *captured), executable(compiled)(*xs, *captured)


def assert_same(body: Any, *xs: Any, tolerance: float = 1e-6) -> None:
    """Fused groups give what NumPy gives."""
    for expected, got in zip(*both(body, *xs), strict=True):
        programs.assert_close(expected, got, tolerance)


@needs_llvm
@pytest.mark.parametrize("seed", range(120))
def test_a_random_program_gives_what_numpy_gives(seed: int) -> None:
    graph = programs.graph(seed)
    xs = programs.data(graph, seed)
    expected, got = executable(graph)(*xs), executable(fuse(graph))(*xs)
    for y, z in zip(expected, got, strict=True):
        programs.assert_close(y, z)


@needs_llvm
@pytest.mark.parametrize("vector_bytes", [16, 32])
@pytest.mark.parametrize("seed", range(200, 215))
def test_loops_for_narrower_machines_give_the_same(seed: int, vector_bytes: int) -> None:
    graph = programs.graph(seed)
    compiled = fuse(graph)
    for node in compiled.nodes:
        if node.op is fused:
            group = node.attrs["graph"]
            group.cache["twin"] = None  # not what an equal group was made for
            group.cache["loops"] = loop_nest(group, vector_bytes)
    xs = programs.data(graph, seed)
    for y, z in zip(executable(graph)(*xs), executable(compiled)(*xs), strict=True):
        programs.assert_close(y, z)


@needs_llvm
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_maps_and_reductions_of_every_length_and_dtype(n: int, dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 120, (3, n)).astype(dtype)

    def body(x: Any) -> list[Any]:
        largest = api.max(x, axis=1) if x.dtype != np.bool_ else api.any(x, axis=1)
        return [api.where(x > 1, x, 0), api.sum(x, axis=0), api.sum(x), largest]

    for expected, got in zip(*both(body, x), strict=True):
        assert expected.dtype == got.dtype
        np.testing.assert_array_equal(got, expected)


@needs_llvm
def test_nan_and_inf_spread_as_in_numpy() -> None:
    x = np.array([[1, np.nan, 3], [np.inf, -np.inf, 0], [np.inf, 2, 1], [-0.0, 0, -1]], np.float32)

    def body(x: Any) -> list[Any]:
        rows = [f(x, axis=1) for f in (api.max, api.min, api.sum)]
        return [*rows, api.maximum(x, 0), mg.nn.softmax(x), api.any(x != x, axis=0)]

    assert_same(body, x)


@needs_llvm
def test_arrays_that_are_strided_unaligned_or_read_only() -> None:
    base = np.arange(400, dtype=np.float32).reshape(20, 20)
    unaligned = np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(np.float32).reshape(20, 20)
    reversed_, frozen = base[::-1, ::-1], base.copy()
    frozen.flags.writeable = False
    for x in (base.T, reversed_, unaligned, frozen, np.repeat(base, 2, axis=1)[:, ::2]):
        graph = graph_of(lambda x: [api.square(x) + 1], Spec((20, 20), np.float32))
        (got,) = executable(fuse(graph))(x)
        np.testing.assert_array_equal(got, np.square(x) + 1)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1_000_003,), (1000, 1003), (7, 200_001)])
def test_sums_are_at_least_as_accurate_as_numpy(shape: tuple[int, ...], dtype: str) -> None:
    x = np.random.default_rng(0).random(shape).astype(dtype)
    body = lambda x: [api.sum(x), api.sum(x, axis=-1), api.sum(x, axis=0)]  # noqa: E731
    graph = graph_of(body, Spec(x.shape, x.dtype))
    wide = x.astype(np.longdouble)
    exact = [wide.sum(), wide.sum(axis=-1), wide.sum(axis=0)]
    results = zip(executable(graph)(x), executable(fuse(graph))(x), exact, strict=True)
    for ours_by_numpy, ours, best in results:
        unit = np.finfo(dtype).eps * np.max(np.abs(best))
        error, allowed = np.max(np.abs(ours - best)), np.max(np.abs(ours_by_numpy - best))
        assert error <= max(allowed, 2 * unit)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_division_by_one_number_per_row_is_correctly_rounded(dtype: str) -> None:
    """It is made of products, and special values must come out as those of a division."""
    draw = np.random.default_rng(0)
    x = (draw.standard_normal((40, 100)) * 10.0 ** draw.integers(-20, 20, (40, 100))).astype(dtype)
    x[:, :5] = [0, -0.0, np.inf, -np.inf, np.nan]
    d = (draw.standard_normal((40, 1)) * 10.0 ** draw.integers(-20, 20, (40, 1))).astype(dtype)
    info = np.finfo(dtype)
    d[:9, 0] = [0, -0.0, np.inf, -np.inf, np.nan, info.tiny, info.max, info.tiny / 8, 1]
    expected, got = both(lambda x, d: [x / d, x / 3, x / 8], x, d)
    for y, z in zip(expected, got, strict=True):
        np.testing.assert_array_equal(np.signbit(z), np.signbit(y))
        np.testing.assert_array_equal(z, y)


@needs_llvm
def test_integers_wrap_as_in_numpy() -> None:
    x = np.array([120, 100, -128, 127], np.int8)
    assert_same(lambda x: [x + x, x * x, -x, api.abs(x), api.sum(x), api.prod(x)], x)


@needs_llvm
def test_a_value_that_is_kept_in_a_wider_result_is_read_where_it_is() -> None:
    """What repeats along the columns is made once a row, and found in the result later."""

    def body(x: Any) -> list[Any]:
        wide = api.repeat(api.sign(x), 3)
        return [wide, mg.nn.softmax(wide)]

    assert_same(body, np.linspace(-2, 2, 7).astype(np.float32))


@needs_llvm
def test_what_is_looked_up_is_kept_for_the_next_pass() -> None:
    """Where finding the places is more than is done twice."""

    def body(x: Any) -> list[Any]:
        ordered = api.sort(x, axis=1)
        return [ordered - api.max(ordered, axis=0)]

    assert_same(body, np.random.default_rng(0).normal(size=(8, 1)).astype(np.float32))


@needs_llvm
def test_many_column_sums_may_be_results_seen_through_a_view() -> None:
    """There is no room to keep them, and no need: they are where they are stored."""

    def body(x: Any) -> list[Any]:
        imaginary = api.imag(x)
        squares = api.sum(imaginary * imaginary, axis=0, keepdims=True)
        return [imaginary, api.argmax(imaginary), squares]

    assert_same(body, np.ones((2, 7, 1300), np.float32))


@needs_llvm
def test_what_has_no_elements_is_left_to_numpy() -> None:
    graph = graph_of(lambda x: [x + 1, api.sum(x, axis=0)], Spec((0, 3), np.float32))
    compiled = fuse(graph)
    assert not any(node.op is fused for node in compiled.nodes)
    empty, zeros = executable(compiled)(np.zeros((0, 3), np.float32))
    assert empty.shape == (0, 3)
    np.testing.assert_array_equal(zeros, np.zeros(3))


@needs_llvm
def test_the_text_of_a_group_is_the_same_every_time() -> None:
    """The object cache goes by it."""
    texts = set()
    for _ in range(2):
        graph = fuse(graph_of(lambda x: [mg.nn.softmax(x)], Spec((8, 100), np.float32)))
        texts.add(llvm(graph.nodes[0].attrs["graph"]))
    assert len(texts) == 1


def test_a_group_without_llvm_is_its_numpy_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_DISABLE_LLVM", "1")
    graph = fuse(graph_of(lambda x: [mg.nn.softmax(x)], Spec((3, 5), np.float32)))
    (node,) = graph.nodes
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    (y,) = prepared(**node.attrs)(x)
    np.testing.assert_allclose(y.sum(axis=1), np.ones(3), rtol=1e-6)
    assert "native" not in node.attrs["graph"].cache


def test_fusing_imports_no_llvm() -> None:
    """Groups are the same with and without it, and reading them costs no compiler."""
    program = (
        "import sys, numpy as np\n"
        "from minigrad.core.spec import Spec\n"
        "from minigrad.graph import trace\n"
        "from minigrad.passes.fuse import fuse, fusion_report\n"
        "print(fusion_report(fuse(trace(lambda x: [x * x + 1], [Spec((3,))])[0])))\n"
        "assert 'llvmlite' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "group 0: multiply, add\n", done.stderr
