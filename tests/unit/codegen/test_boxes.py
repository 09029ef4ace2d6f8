"""Joins, shifts, margins and look-ups in loops: NumPy's values, exact gradients, no copies."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import compiler, tree
from minigrad.codegen import jit
from minigrad.codegen.call import fast_path
from minigrad.codegen.fused import fused, loops
from minigrad.codegen.loops import Load, statements
from minigrad.codegen.objects import holders_are_counted
from minigrad.codegen.schedule import loop_nest
from minigrad.core.lowering import Move
from minigrad.core.spec import Spec
from minigrad.errors import IndexSpecError
from minigrad.graph import trace
from minigrad.ops.lookup import in_bounds
from minigrad.passes.fuse import fuse

needs_llvm = pytest.mark.skipif(not jit.available(), reason="without LLVM there is no native code")
RANDOM = np.random.default_rng(5)
X = mg.asarray(RANDOM.standard_normal((37, 53)).astype(np.float32))
Y = mg.asarray(RANDOM.standard_normal((37, 41)).astype(np.float32))
ROWS = mg.asarray(RANDOM.integers(-37, 37, 20).astype(np.int32))
COLUMNS = mg.asarray(RANDOM.integers(0, 41, (37, 4)))

BOXES: dict[str, Callable[[Any, Any], Any]] = {
    "columns joined": lambda x, y: mg.concat([x, y], axis=1),
    "rows joined, of several dtypes": lambda x, y: mg.concat([x[:, :41], y > 0, y], axis=0),
    "stacked in the middle": lambda x, y: mg.stack([x, x * 2, x], axis=1),
    "margins of a number": lambda x, y: mg.pad(x, ((2, 3), (0, 1)), constant_values=1.5),
    "margins turned and sliced": lambda x, y: mg.pad(x, ((2, 3), (4, 1))).T[::-1, 3:],
    "margins around margins": lambda x, y: mg.pad(mg.pad(x, 1), ((2, 3), (4, 1))),
    "margins around a column": lambda x, y: mg.pad(x[:, :1], ((1, 1), (3, 3))),
    "margins in the folds of a reshape": lambda x, y: mg.reshape(mg.pad(x, 1), (-1,)),
    "rolled along both axes": lambda x, y: mg.roll(x, (-2, 5), axis=(0, 1)),
    "rolled round and round": lambda x, y: mg.roll(x, 60, axis=1),
    "rolled flat": lambda x, y: mg.roll(x, 7),
    "triangles": lambda x, y: mg.tril(x) + mg.triu(x, k=2) + mg.tril(x, k=-60),
    "five points": lambda x, y: x[2:, 1:-1] + x[:-2, 1:-1] + x[1:-1, 2:] + x[1:-1, :-2],
    "backwards and one row": lambda x, y: x[3] * x[::-1, 5:6],
    "every other row": lambda x, y: x[::2],
    "a diagonal": lambda x, y: mg.linalg.diagonal(x, offset=-3),
    "a box set": lambda x, y: x.at[3:5, ::-1].set(2 * x[:2]),
    "a number set": lambda x, y: x.at[3:5].set(1.0) + x.at[-1, 2].set(x[0, 0]),
    "a row added to": lambda x, y: x.at[3:5].add(x[1]),
    "margins around what is made with margins": lambda x, y: mg.pad(mg.pad(x * 2, 1) + 1, 1),
    "a mask with margins": lambda x, y: mg.where(mg.pad(x > 0, ((0, 0), (1, 0))), 1.0, x[:, :1]),
    "triangles far away": lambda x, y: mg.tril(x, k=2**31 - 2) + mg.triu(x, k=-(2**31) - 5),
}
LOOKUPS: dict[str, Callable[[Any, Any], Any]] = {
    "rows": lambda x, y: mg.take(x, ROWS, axis=0),
    "columns": lambda x, y: mg.take(x, mg.abs(ROWS), axis=1),
    "elements": lambda x, y: x[ROWS, mg.abs(ROWS)],
    "rows of columns": lambda x, y: x[ROWS, 3:7],
    "with an int, apart": lambda x, y: x[ROWS, None, ::2] + x[mg.reshape(ROWS, (20, 1, 1)), -1],
    "of a transpose": lambda x, y: x.T[5:50, ROWS],
    "along rows": lambda x, y: mg.take_along_axis(x, COLUMNS, axis=1),
    "of what is made": lambda x, y: mg.take(mg.exp(x), mg.argmax(y, axis=1), axis=1),
    "added to rows": lambda x, y: x.at[ROWS].add(x[:20] * 2),
    "added to columns": lambda x, y: x.at[:, mg.abs(ROWS)].add(x[:, :20]),
    "of some rows, turned": lambda x, y: x[1:, mg.abs(ROWS)],
    "beside a sum of columns": lambda x, y: x[ROWS] + mg.sum(x, axis=0),
    "multiplied in places": lambda x, y: x.at[ROWS].multiply(x[:20]),
}
CASES = BOXES | LOOKUPS
IN_LIBRARY = {"every other row", "multiplied in places"}
"""What has no box: elements with gaps between them; and products in places."""


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_function_gives_what_is_given_eagerly(name: str) -> None:
    def body(x: Any, y: Any) -> Any:
        return mg.value_and_grad(lambda x: mg.sum(CASES[name](x, y) ** 2))(x)

    for f in (lambda x, y: CASES[name](x, y) * 2, body):
        found = mg.function(f, jit_compile=True)(X, Y)
        expected = f(X, Y)
        for a, b in zip(tree.flatten(found)[0], tree.flatten(expected)[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
            assert a.dtype == b.dtype


@pytest.mark.parametrize("name", [name for name in CASES if name not in IN_LIBRARY])
def test_all_of_it_is_in_loops(name: str) -> None:
    graph = trace(lambda x, y: [CASES[name](x, y) * 2], [X.spec, Y.spec])[0]
    ops = {node.op for node in compiler.fused(graph).graph.nodes}
    views = {op for op in ops if isinstance(op.lower, Move) and op.lower != Move("pad")}
    assert ops - views - {in_bounds} == {fused}


def test_memory_outside_of_an_array_is_not_read() -> None:
    """An element at the end of mapped memory: what follows must not be touched."""
    x = mg.asarray(np.ones((1, 1), np.float32))

    @mg.function(jit_compile=True)
    def spread(x: Any) -> Any:
        return mg.pad(x, ((3000, 3000), (500, 500))) + 1

    y = spread(x).numpy()
    assert y[3000, 500] == 2 and y.sum() == y.size + 1


def test_places_are_checked_before_anything_runs() -> None:
    f = mg.function(lambda x, i: mg.take(x, i, axis=0) * 2, jit_compile=True)
    with pytest.raises(IndexSpecError, match="index 37 is out of bounds for axis 0 with size 37"):
        f(X, mg.asarray([0, 37]))
    with pytest.raises(IndexSpecError, match="index -38 is out of bounds"):
        f(X, mg.asarray([0, -38]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_indices_of_any_integer_dtype_name_the_same_places(dtype: str) -> None:
    indices = np.asarray([0, 100, 299 % 128, 5], dtype)
    table = mg.asarray(np.arange(300.0))
    f = mg.function(lambda x, i: mg.take(x, i, axis=0) + 1, jit_compile=True)
    np.testing.assert_array_equal(f(table, mg.asarray(indices)), indices.astype(float) + 1)
    if dtype.startswith("i"):
        np.testing.assert_array_equal(f(table, mg.asarray(-indices - 1)), 300.0 - indices)


def test_many_rows_are_added_to_few() -> None:
    """Shares add up for themselves, and are added in a fixed order."""
    places = mg.asarray(RANDOM.integers(0, 10, 300_000).astype(np.int32))
    weights = mg.asarray(RANDOM.standard_normal((300_000, 4)).astype(np.float32))

    @mg.function(jit_compile=True)
    def histogram(places: Any, weights: Any) -> Any:
        return mg.zeros((10, 4)).at[places].add(mg.exp(weights))

    found = histogram(places, weights).numpy()
    expected = np.zeros((10, 4))
    np.add.at(expected, places.numpy(), np.exp(weights.numpy().astype(np.float64)))
    np.testing.assert_allclose(found, expected, rtol=2e-4)
    np.testing.assert_array_equal(found, histogram(places, weights).numpy())  # in any order


def test_a_loop_says_where_it_reads() -> None:
    graph = trace(lambda x: [mg.tril(mg.pad(x, ((0, 0), (1, 0)))) * 2], [X.spec])[0]
    (node,) = compiler.fused(graph).graph.nodes
    text = str(loops(node.attrs["graph"]))
    assert "v3_5 = less_equal(v1_4, v2)" in text
    assert "v6_7 = x0[53 j0 + j1_1]" in text


def test_an_embedding_and_a_bias_are_learned_together() -> None:
    """Sums in places, and of columns, of the same rows."""
    table, bias = mg.asarray(RANDOM.random((10, 128))), mg.asarray(RANDOM.random(128))
    places = mg.asarray(RANDOM.integers(0, 10, 64))

    def slopes(table: Any, bias: Any, places: Any) -> Any:
        def loss(table: Any, bias: Any) -> Any:
            return mg.sum(mg.tanh(table[places] + bias) ** 2)

        return mg.grad(loss, argnums=(0, 1))(table, bias)

    found = mg.function(slopes, jit_compile=True)(table, bias, places)
    for a, b in zip(found, slopes(table, bias, places), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_numbers_of_far_elements_are_not_cut_off() -> None:
    def body(x: Any) -> list[Any]:
        return [mg.pad(x, ((0, 2**32),)) * 2]

    graph = compiler.ready_to_fuse(trace(body, [Spec((10,), np.int8)])[0])
    nest = loop_nest(fuse(graph).nodes[0].attrs["graph"], 64)
    buffers = [s.place.buffer for s in statements(nest.body) if isinstance(s, Load)]
    assert {b.dtype for b in buffers if b.role == "number"} == {np.dtype(np.uint64)}


ARRIVING: dict[str, Callable[[Any, Any, Any], Any]] = {
    "added": lambda x, i, v: x.at[i].add(v),
    "set": lambda x, i, v: x.at[i].set(v),
    "largest": lambda x, i, v: x.at[i].max(v),
    "smallest": lambda x, i, v: x.at[i].min(v),
    "multiplied": lambda x, i, v: x.at[i].multiply(v),
    "in columns": lambda x, i, v: x.at[:, i].add(v[0, :20]),
    "of what is computed": lambda x, i, v: mg.sin(x).at[i].add(mg.cos(v)),
    "of a view": lambda x, i, v: x.T.at[:, i].set(v.T),
}


@pytest.mark.parametrize("name", ARRIVING)
def test_what_arrives_in_places_does_so_in_loops(name: str) -> None:
    function = ARRIVING[name]
    v = mg.asarray(RANDOM.standard_normal((20, 53)).astype(np.float32))
    graph = trace(lambda x, i, v: [function(x, i, v)], [X.spec, ROWS.spec, v.spec])[0]
    ops = {
        node.op for node in compiler.fused(graph).graph.nodes if node.op.lower != Move("permute")
    }
    assert ops == {fused, in_bounds}
    found = mg.function(function, jit_compile=True)(X, ROWS, v)
    np.testing.assert_allclose(found, function(X, ROWS, v), rtol=1e-5, atol=1e-6)


def test_the_last_that_arrives_stays_in_long_loops_too() -> None:
    places = mg.asarray(np.zeros(1 << 20, np.int32))
    values = mg.asarray(np.arange(1 << 20, dtype=np.float32))
    last = mg.function(lambda x, i, v: x.at[i].set(v), jit_compile=True)
    assert last(mg.zeros((2,)), places, values).numpy().tolist() == [2**20 - 1, 0]


def test_nothing_is_added_where_nothing_arrives() -> None:
    """Not even 0, which would make 0 of -0."""
    add = mg.function(lambda x, i: x.at[i].add(1.0), jit_compile=True)
    found = add(mg.asarray([-0.0, 2.0]), mg.asarray([1, 1]))
    assert np.signbit(found.numpy()).tolist() == [True, False]
    assert float(found[1]) == 4


@pytest.mark.skipif(not fast_path() or not holders_are_counted(), reason="never in place here")
@needs_llvm
def test_a_table_is_added_to_where_it_is() -> None:
    table = mg.Variable(mg.ones((100, 8)))

    @mg.function(jit_compile=True)
    def step(i: Any, v: Any) -> None:
        table.assign(table.at[i].add(v))

    places, values = mg.asarray([1, 2, 2]), mg.ones((3, 8))
    step(places, values)
    begin = table.cell._value.ctypes.data
    step(places, values)
    assert table.cell._value.ctypes.data == begin
    assert table.numpy()[:4, 0].tolist() == [1, 3, 5, 1]


def test_a_look_up_is_one_native_call_with_its_check() -> None:
    f = mg.function(lambda x, i: mg.tanh(mg.take(x, i, axis=0)), jit_compile=True)
    program = f.compiler_ir(X, ROWS, stage="program")
    assert program.count("in_bounds") == 1
    assert "(v2,) = kernels(v0, v1)" in program


@needs_llvm
def test_who_called_says_where_an_index_was_wrong() -> None:
    f = mg.function(lambda x, i: mg.tanh(mg.take(x, i, axis=0)), jit_compile=True)
    with pytest.raises(IndexSpecError, match="index 40 is out of bounds") as caught:
        f(X, mg.asarray([3, 40]))
    assert any("test_boxes.py" in note for note in caught.value.__notes__)


def test_a_wrong_index_leaves_variables_as_they_were() -> None:
    """What was written over before the look at the index would be lost."""
    table, count = mg.Variable(mg.ones((10, 4))), mg.Variable(mg.zeros(()))

    @mg.function(jit_compile=True)
    def step(i: Any) -> Any:
        count.assign(count + 1.0)
        found = mg.argmax(table * mg.astype(i, mg.float32), axis=0)
        table.assign(table * 2.0)
        table.assign(table.at[i + found].add(1.0))
        return mg.sum(table)

    step(mg.asarray([1, 2, 3, 4]))
    held = table.numpy().copy()
    for _ in range(3):
        with pytest.raises(IndexSpecError):
            step(mg.asarray([1, 2, 3, 40]))
    assert table.numpy().tolist() == held.tolist()
    assert float(count.numpy()) == 1


@pytest.mark.parametrize("portable", ["0", "1"])
def test_a_wrong_index_in_a_round_of_a_loop_is_found(
    portable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGRAD_PORTABLE_CALL", portable)

    @mg.function(jit_compile=True)
    def walk(links: Any, start: Any) -> Any:
        return mg.fori_loop(0, 10, lambda k, i: links[i], start)

    start = mg.asarray(0)
    assert int(walk(mg.asarray([1, -1, 0]), start)) == 1
    with pytest.raises(IndexSpecError, match="index 9 is out of bounds for axis 0 with size 3"):
        walk(mg.asarray([1, 2, 9]), start)


def test_no_index_is_checked_where_the_dtype_has_no_others() -> None:
    f = mg.function(lambda x, i: x[i] * 2, jit_compile=True)
    x, i = mg.asarray(np.arange(256.0)), mg.asarray(np.arange(255, -1, -1, dtype=np.uint8))
    assert "in_bounds" not in f.compiler_ir(x, i, stage="program")
    np.testing.assert_array_equal(f(x, i), np.arange(255, -1, -1) * 2.0)


def test_running_results_go_on_in_every_column_behind_a_margin() -> None:
    def f(x: Any) -> Any:
        return mg.cumulative_sum(mg.pad(x, ((0, 2), (3, 0)), constant_values=1), axis=0)

    x = mg.asarray(np.arange(20.0).reshape(4, 5))
    np.testing.assert_array_equal(mg.function(f, jit_compile=True)(x), f(x))


def test_what_arrives_once_does_not_arrive_for_every_row_of_what_is_around() -> None:
    x = mg.asarray(np.arange(16.0, dtype=np.float32).reshape(2, 8))
    f = lambda x: [mg.sum(x * mg.cos(x), axis=0), x.at[mg.asarray([-2])].add(x[0])]  # noqa: E731
    for found, expected in zip(mg.function(f, jit_compile=True)(x), f(x), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5)


def test_what_arrived_and_is_not_needed_is_left_out() -> None:
    x = mg.asarray(np.array([0.3, 0.7]))

    def f(x: Any) -> Any:
        arrived = x.at[mg.asarray([0, 0, -1])].add(x[0])
        taken = mg.take(arrived, mg.asarray([0, -1, 0]), axis=0)
        return mg.sin(x), taken, mg.repeat(taken, 3, axis=0)

    def both(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            ys = f(x)
        return (*f(x), tape.gradient(ys, x))

    for y, z in zip(mg.function(both, jit_compile=True)(x), both(x), strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy())
