"""Indexing and functional updates: by NumPy's rules for any key, and differentiable twice."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.core.registry import OPS
from minigrad.core.spec import Spec
from minigrad.errors import IndexSpecError, SpecError
from minigrad.graph import evaluate, trace
from minigrad.ops.index import gathered_shape, parsed_key, scatter_add
from minigrad.ops.slice import numpy_key, place_slice

X = np.random.default_rng(3).normal(size=(3, 4))
V = np.array([1.0, 2.0, -3.0, 0.5])
KEYS = {
    "int": 1,
    "last": -1,
    "two ints": (0, 1),
    "slice": np.s_[1:],
    "steps": np.s_[::-1, ::2],
    "ellipsis": np.s_[..., 0],
    "new axis": np.s_[None, :, 1],
    "array": np.array([0, 0, 2]),
    "list": [0, -1],
    "array behind": np.s_[:, np.array([1, 1, 3])],
    "two arrays": np.s_[np.array([0, 0]), np.array([1, 1])],
    "int and array": np.s_[0, np.array([1, 1])],
    "outer": np.s_[np.array([[0], [1]]), np.array([1, 1, 2])],
    "mask": X > 0,
    "mask behind": np.s_[:, V > 0],
    "apart": np.s_[None, np.array([0, 0, 1]), None, ::2],
    "scalar mask": True,
    "nothing": np.s_[0:0],
}
keys = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
COMBINED = {"add": np.add, "multiply": np.multiply, "max": np.maximum, "min": np.minimum}


@st.composite
def arrays_and_keys(draw: Any) -> tuple[Any, Any]:
    """An array, and a key with parts of every kind, most of which fit it."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4).map(tuple))
    bounds = st.none() | st.integers(-5, 5)
    steps = st.sampled_from([None, 1, 2, -1, -3])
    shapes = st.sampled_from([(), (2,), (1,), (3, 2), (0,)])
    bools = st.tuples(st.integers(0, 3), st.integers(0, 2)).flatmap(
        lambda ends: st.integers(0, 2**16).map(
            lambda seed: np.random.default_rng(seed).random(shape[ends[0] : sum(ends)]) < 0.5
        )
    )
    parts = st.one_of(
        st.integers(-3, 2),
        st.builds(slice, bounds, bounds, steps),
        st.sampled_from([None, ..., True, False, [0], [0, -1], [], np.int8(0)]),
        shapes.map(lambda dims: np.arange(-1, np.prod(dims, dtype=int) - 1).reshape(dims) % 2),
        bools,
    )
    key = draw(st.lists(parts, max_size=4))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    return x, key[0] if len(key) == 1 and draw(st.booleans()) else tuple(key)


def corner(shape: tuple[int, ...], *key: Any) -> tuple[Any, Any]:
    """A key that is easy to get wrong, on an array of `shape`."""
    return np.arange(float(np.prod(shape))).reshape(shape), key


CORNERS = [
    corner((2, 3, 4), [0, 1], slice(None), [0, 1]),
    corner((2, 3, 4), 0, slice(None), [0, 1]),
    corner((2, 3, 4), slice(None), [0, 1], 0),
    corner((3, 1, 3), slice(0, 2), np.zeros((3, 2), int), ..., np.array([True, True, False])),
    corner((3, 0, 3), slice(None), np.zeros((0, 2), int), [5]),
    corner((4, 4), np.zeros(0, bool)),
    corner((), None, False, ..., False),
    corner((0,), False, [0, -1]),
]


@pytest.mark.parametrize("example", CORNERS, ids=lambda example: str(example[1]))
def test_a_key_in_a_corner_does_what_it_does_in_numpy(example: tuple[Any, Any]) -> None:
    for half in (lambda: 0.0, lambda: 1.0):
        check_key(*example, half)


@given(arrays_and_keys(), st.randoms(use_true_random=False))
def test_any_key_does_what_it_does_in_numpy(example: tuple[Any, Any], random: Any) -> None:
    check_key(*example, random.random)


def check_key(array: Any, key: Any, chance: Any) -> None:
    """Hold value, spec (known, and known in part, by chance), and adjoint of `array[key]`."""
    x = mg.constant(array)
    try:
        expected = array[key]
    except IndexError:
        with pytest.raises(IndexError) as error:
            x[key]
        assert isinstance(error.value, IndexSpecError)
        return
    np.testing.assert_array_equal(x[key].numpy(), np.asarray(expected), strict=True)
    parts, indices = parsed_key(x, key)
    assert gathered_shape(x, indices, parts) == expected.shape

    def less(dims: Any) -> Any:
        return tuple([n if chance() < 0.5 else None for n in dims])

    known = Spec(less(array.shape), np.float64)
    unsure = tuple([Spec(less(index.shape), index.dtype) for index in indices])
    promised = Spec(gathered_shape(known, unsure, parts), np.float64)
    assert promised.is_compatible_with(expected)

    g = np.random.default_rng(0).normal(size=expected.shape)
    summed = np.zeros(array.shape)
    np.add.at(summed, key, g)
    place = scatter_add if indices else place_slice
    found = place(g, x, *indices, key=parts)
    np.testing.assert_allclose(found.numpy(), summed, strict=True)


@keys
def test_what_is_taken_has_derivatives(key: Any, check_gradients: Any, check_traced: Any) -> None:
    check_gradients(lambda x: x[key] ** 2, X)
    check_traced(lambda x: x[key], X)


@keys
@pytest.mark.parametrize("name", COMBINED)
def test_updates_are_those_of_numpy_and_repeat(name: str, key: Any) -> None:
    for v in (np.linspace(-2, 2, X[key].size).reshape(X[key].shape), 1.5, np.float32(0.5)):
        expected = X.copy()
        COMBINED[name].at(expected, key, v)
        found = getattr(mg.constant(X).at[key], name)(v)
        np.testing.assert_allclose(found.numpy(), expected, strict=True)


@keys
def test_set_writes_what_numpy_writes_and_leaves_x_alone(key: Any) -> None:
    x = mg.constant(X)
    for v in (np.arange(float(X[key].size)).reshape(X[key].shape), 7):
        expected = X.copy()
        expected[key] = v
        np.testing.assert_array_equal(x.at[key].set(v).numpy(), expected, strict=True)
    np.testing.assert_array_equal(x.numpy(), X)


@keys
@pytest.mark.parametrize("name", ["set", "divide", "power", *COMBINED])
def test_updates_have_derivatives_in_x_and_v(
    name: str, key: Any, check_gradients: Any, check_traced: Any
) -> None:
    rng = np.random.default_rng(1)
    x = np.abs(X) + 1 if name == "power" else X

    def update(x: Any, v: Any) -> Any:
        return getattr(x.at[key], name)(v)

    for shape in (X[key].shape, ()):
        v = rng.uniform(0.5, 1.5, size=shape)
        check_gradients(lambda x, v: update(x, v) ** 2, x, v)
    check_traced(update, x, 1.25)


def test_set_gives_no_gradient_to_what_was_overwritten() -> None:
    x, v = mg.constant(V), mg.constant([1.0, 2.0, 3.0], mg.float64)
    with mg.GradientTape() as tape:
        tape.watch([x, v])
        y = mg.sum(x.at[[0, 0, 2]].set(v))
    gx, gv = tape.gradient(y, [x, v])
    assert gx.numpy().tolist() == [0, 1, 0, 1]
    assert gv.numpy().tolist() == [0, 1, 1]


@pytest.mark.parametrize("v", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
def test_multiply_has_a_derivative_where_factors_are_0(v: Any, check_gradients: Any) -> None:
    check_gradients(lambda x, v: x.at[[0, 0, 1]].multiply(v), V, v, second=False)


def test_updates_keep_the_dtype() -> None:
    x = mg.constant([1, 2, 3])
    assert x.at[0].add(1.9).numpy().tolist() == [2, 2, 3]
    assert x.at[0].set(1.9).dtype == x.at[1:].max(2.5).dtype == np.int32
    assert mg.constant([True, False]).at[1].max(True).numpy().tolist() == [True, True]


@pytest.mark.parametrize("rows", [3, 400])
def test_what_arrives_in_what_lies_otherwise_in_memory_is_not_lost(rows: int) -> None:
    rng = np.random.default_rng(0)
    x, v, places = rng.normal(size=(4, 5)), rng.normal(size=(rows, 4)), rng.integers(-5, 5, rows)
    expected = np.array(x.T)
    np.add.at(expected, places, v)
    f = lambda x, i, v: x.mT.at[i].add(v)  # noqa: E731
    for run in (f, mg.function(f, jit_compile=True)):
        found = run(mg.asarray(x), mg.asarray(places), mg.asarray(v))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_many_rows_are_added_as_often_as_they_come() -> None:
    rng = np.random.default_rng(0)
    x, g, rows = np.zeros((20, 6)), rng.normal(size=(64, 6)), rng.integers(-20, 20, 64)
    expected = x.copy()
    np.add.at(expected, rows, g)
    np.testing.assert_allclose(scatter_add(g, x, rows, key=("array",)).numpy(), expected)
    with pytest.raises(IndexSpecError, match="index 20 on axis 0"):
        scatter_add(g, x, rows + 1 + (rows == -20), key=("array",))


@pytest.mark.parametrize("shape, index", [((0, 5), 7), ((0, 4, 0), 0), ((2, 0), -1)])
def test_an_index_into_nothing_is_refused_alike_eagerly_and_traced(
    shape: tuple[int, ...], index: int
) -> None:
    def f(x: Any) -> Any:
        return mg.take(x, mg.asarray([index]), axis=len(shape) - 1)

    for g in (f, mg.function(f)):
        with pytest.raises(IndexSpecError):
            g(mg.zeros(shape))


@pytest.mark.parametrize("change", ["add", "multiply", "max", "min"])
def test_a_row_is_broadcast_over_indices_of_several_axes(change: str) -> None:
    """NumPy's `ufunc.at` reads past the end of such a row."""
    x, v, rows = np.arange(100.0), mg.constant([-3.0, 300.0]), np.arange(100).reshape(50, 2)
    combine = {"add": np.add, "multiply": np.multiply, "max": np.maximum, "min": np.minimum}
    found = getattr(mg.constant(x).at[rows], change)(v).numpy()
    np.testing.assert_array_equal(found, combine[change](x.reshape(50, 2), [-3.0, 300.0]).ravel())


def test_an_index_may_be_traced() -> None:
    graph, _ = trace(
        lambda x, i: [x[i], x[1:, i], x[mg.argmax(x, axis=0)[0]], x[x > 0]],
        [Spec((None, 4), "float64"), Spec((), "int32")],
    )
    assert [y.shape for y in graph.outputs] == [(4,), (None,), (4,), (None,)]
    found = evaluate(graph, [mg.constant(X), mg.constant(-1), *graph.captures])
    expected = [X[-1], X[1:, -1], X[X[:, 0].argmax()], X[X > 0]]
    for y, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(y.numpy(), right)


def test_of_a_mask_that_is_known_a_trace_knows_the_count() -> None:
    graph, _ = trace(lambda x: [x[X > 0], x[:, V > 0]], [Spec((3, 4), "float64")])
    assert [y.shape for y in graph.outputs] == [X[X > 0].shape, (3, 3)]


def test_a_key_is_a_hashable_attribute_that_means_what_was_written() -> None:
    graph, _ = trace(lambda x: [x[::2, None, ..., -1]], [Spec((3, 4), "float32")])
    (node,) = graph.nodes
    assert node.attrs == {"key": ((None, None, 2), None, ..., -1)}
    assert numpy_key(node.attrs["key"]) == np.s_[::2, None, ..., -1]


def test_a_loop_over_a_tensor_ends() -> None:
    assert [x.item() for x in mg.constant(V)] == V.tolist()


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_take_along_one_axis(axis: Any, check_gradients: Any, check_traced: Any) -> None:
    i = np.array([[1, 0], [2, 2]])
    np.testing.assert_array_equal(mg.take(X, i, axis=axis).numpy(), np.take(X, i, axis))
    check_gradients(lambda x: mg.take(x, i, axis=axis) ** 2, X)
    check_traced(lambda x: mg.take(x, i, axis=axis), X)
    assert mg.take(X, 1, axis=axis).shape == np.take(X, 1, axis).shape


@pytest.mark.parametrize(
    ("indices", "axis"),
    [([[0, 0], [1, 3], [2, -1]], 1), ([[0, -1]], 1), ([[1, 0, 0, 2]], 0), ([5, 11], None)],
)
def test_take_along_axis(indices: Any, axis: Any, check_gradients: Any, check_traced: Any) -> None:
    i = np.array(indices)
    expected = np.take_along_axis(X, i, axis)
    np.testing.assert_array_equal(mg.take_along_axis(X, i, axis=axis).numpy(), expected)
    check_gradients(lambda x: mg.take_along_axis(x, i, axis=axis) ** 2, X)
    check_traced(lambda x: mg.take_along_axis(x, i, axis=axis), X)


@pytest.mark.parametrize("indices", [np.array([0, 0, 0]), np.array(0), np.array([[True] * 3])])
@pytest.mark.parametrize("columns", [3, 0])
def test_what_is_put_along_an_axis_is_refused_by_the_kernel_too(indices: Any, columns: int) -> None:
    """Indices of fewer axes, or which are no integers, even where nothing is put."""
    g = mg.zeros((1, columns))
    with pytest.raises(IndexSpecError, match="integers, with as many axes as x"):
        OPS["put_along"](g, g, indices[..., :columns] if indices.ndim else indices, axis=0)


@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable_and_differentiable(descending: bool, check_gradients: Any) -> None:
    x = np.array([[3, 1, 2, 1], [0, 0, 5, 4]])
    order = mg.argsort(x, descending=descending).numpy()
    assert order.tolist() == (
        [[0, 2, 1, 3], [2, 3, 0, 1]] if descending else [[1, 3, 2, 0], [0, 1, 3, 2]]
    )
    expected = np.sort(X, 0)[:: -1 if descending else 1]
    found = mg.sort(X, axis=0, descending=descending)
    np.testing.assert_array_equal(found.numpy(), expected)
    check_gradients(lambda x: mg.sort(x, axis=0, descending=descending) * X, X)


REFUSED = {
    "index 3 on axis 1 of float32[2,3]: an index is from -3 to 2": lambda x: x[:, 3],
    "index 2 on axis 0": lambda x: x[2],
    "index 5 on axis 1": lambda x: x[:, [0, 5]],
    "index -4 on axis 1 of float32[2,3]": lambda x: mg.take(x, [-4], axis=1),
    "3 indices and 0 Ellipsis came": lambda x: x[0, 0, 0],
    "0 indices and 2 Ellipsis came": lambda x: x[..., ...],
    "a mask of shape (3,) came": lambda x: x[np.array([True, False, True])],
    "integers and bools index": lambda x: x[1.5],
    "bounds and steps are ints": lambda x: x[:1.5],
    "a slice with a step of 0": lambda x: x[::0],
    "do not broadcast": lambda x: x[[0, 1], [0, 1, 2]],
    "float32[4] to the shape (3,)": lambda x: x.at[0].set(mg.zeros(4)),
    "float32[1,3] to the shape (3,)": lambda x: x.at[0].set(mg.zeros((1, 3))),
    "float32[1,2] to the shape (2,)": lambda x: x.at[[0, 1], 0].add(mg.zeros((1, 2))),
    "quotients are not integers": lambda x: mg.astype(x, mg.int32).at[0].divide(2),
    "as many axes as x": lambda x: mg.take_along_axis(x, [0]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_is_refused_alike_eagerly_and_traced(message: str) -> None:
    with pytest.raises(SpecError) as eager:
        REFUSED[message](mg.zeros((2, 3)))
    with pytest.raises(SpecError) as traced:
        trace(lambda x: [REFUSED[message](x)], [Spec((2, 3), "float32")])
    assert message in str(eager.value)
    assert str(eager.value) == str(traced.value)


def test_a_single_element_that_is_looked_up_has_no_axes():
    found = OPS["look_up"].kernel(np.ones(2, np.float32), np.array(0), axes=(None,), shape=())
    assert (np.shape(found), found.dtype) == ((), np.float32)


UPDATES = {
    "take": lambda x, i: mg.take(x, i, axis=0),
    "take of the columns": lambda x, i: mg.take(x, i, axis=1),
    "index": lambda x, i: x[i, :1],
    "two": lambda x, i: x[i, i],
    "set": lambda x, i: x.at[i].set(0),
    "add": lambda x, i: x.at[i].add(1),
    "multiply": lambda x, i: x.at[i].multiply(2),
    "along": lambda x, i: mg.take_along_axis(x, i[:, None], axis=0),
    "gradient": lambda x, i: mg.grad(lambda x: mg.sum(x[i] ** 2))(x),
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_unsigned_index_beyond_all_signed_ones_is_out_of_range(name: str) -> None:
    """NumPy takes 2^64 - 1 for -1."""
    x = mg.asarray(np.arange(9.0).reshape(3, 3))
    beyond, inside = (mg.asarray(np.array([n, 0], np.uint64)) for n in (2**64 - 1, 2))
    f = UPDATES[name]
    for run in (f, mg.function(f), mg.function(f, jit_compile=True)):
        with pytest.raises(IndexError):
            run(x, beyond)
        expected = f(x, mg.astype(inside, mg.int64)).numpy()
        np.testing.assert_array_equal(run(x, inside).numpy(), expected)
