"""Making tensors: values as NumPy, default dtypes, nothing shared with what others may write."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.errors import SpecError
from minigrad.graph import evaluate, trace
from tests.unit.modes import everywhere


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "int32"),
        (2**40, "int64"),
        (1.5, "float32"),
        (1j, "complex64"),
        (True, "bool"),
        ([[1, 2.0]], "float32"),
        ([], "float32"),
        (np.float64(1), "float64"),
        (np.ones(2), "float64"),
        ([np.float64(1), 2], "float64"),
    ],
)
def test_python_numbers_get_default_dtypes_and_arrays_keep_theirs(value: Any, dtype: str) -> None:
    for make in (mg.constant, mg.asarray, mg.convert_to_tensor):
        assert make(value).dtype == dtype
        assert make(value, dtype=mg.complex128).dtype == np.complex128


def test_an_array_that_is_written_to_later_does_not_change_the_tensor() -> None:
    array = np.ones(3)
    x = mg.asarray(array)
    array[0] = 5
    assert x.numpy().tolist() == [1, 1, 1]


def test_a_frozen_array_is_not_copied() -> None:
    array = np.ones(3)
    array.flags.writeable = False
    assert np.shares_memory(mg.asarray(array, copy=False).numpy(), array)


def test_a_tensor_is_taken_as_it_is() -> None:
    x = mg.constant(1.0)
    assert mg.asarray(x) is x
    assert mg.asarray(x, copy=False) is x
    assert mg.from_dlpack(x) is x
    assert mg.is_tensor(x)
    assert not mg.is_tensor(x.numpy())


def test_lists_that_hold_tensors_pass_gradients() -> None:
    x = mg.constant(2.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.sum(mg.asarray([[x, 1.0], [x * x, 0.0]]))
    assert tape.gradient(y, x).item() == 5


def test_from_dlpack_copies() -> None:
    array = np.arange(6.0).reshape(2, 3)[:, ::2]
    x = mg.from_dlpack(array)
    array[:] = 0
    assert x.numpy().tolist() == [[0, 2], [3, 5]]


MADE = {
    "zeros": (lambda: mg.zeros((2, 3)), np.zeros((2, 3), np.float32)),
    "ones": (lambda: mg.ones(2, dtype=mg.int8), np.ones(2, np.int8)),
    "empty": (lambda: mg.empty((0, 2)), np.zeros((0, 2), np.float32)),
    "full": (lambda: mg.full((2,), 3), np.full(2, 3, np.int32)),
    "full 0-d": (lambda: mg.full((), 3.0), np.full((), 3, np.float32)),
    "full of a tensor": (lambda: mg.full(2, mg.constant(1j)), np.full(2, 1j, np.complex64)),
    "full -0": (lambda: mg.full(1, -0.0), np.full(1, -0.0, np.float32)),
    "full by dims": (lambda: mg.full(mg.constant([2, 1]), 5), np.full((2, 1), 5, np.int32)),
    "zeros_like": (lambda: mg.zeros_like(mg.ones((2, 1), dtype=bool)), np.zeros((2, 1), bool)),
    "ones_like": (lambda: mg.ones_like([[1, 2]], dtype=mg.float64), np.ones((1, 2))),
    "empty_like": (lambda: mg.empty_like(np.ones(2)), np.zeros(2)),
    "full_like": (lambda: mg.full_like(np.ones(2), 7), np.full(2, 7.0)),
    "arange": (lambda: mg.arange(4), np.arange(4, dtype=np.int32)),
    "arange float": (lambda: mg.arange(1, 2, 0.25), np.arange(1, 2, 0.25, np.float32)),
    "arange down": (lambda: mg.arange(3, 0, -2), np.array([3, 1], np.int32)),
    "arange none": (lambda: mg.arange(3, 1), np.zeros(0, np.int32)),
    "arange wide": (lambda: mg.arange(2**40, 2**40 + 1), np.array([2**40])),
    "arange dtype": (lambda: mg.arange(3, dtype=mg.float16), np.arange(3, dtype=np.float16)),
    "linspace": (lambda: mg.linspace(0, 1, 5), np.linspace(0, 1, 5, dtype=np.float32)),
    "linspace open": (
        lambda: mg.linspace(0.0, 1j, 2, endpoint=False),
        np.array([0, 0.5j], np.complex64),
    ),
    "eye": (lambda: mg.eye(2), np.eye(2, dtype=np.float32)),
    "eye above": (lambda: mg.eye(2, 3, k=1, dtype=int), np.eye(2, 3, 1, np.int32)),
    "meshgrid": (
        lambda: mg.stack(mg.meshgrid([1, 2], [3, 4])),
        np.array(np.meshgrid([1, 2], [3, 4]), np.int32),
    ),
    "meshgrid ij": (
        lambda: mg.meshgrid([1, 2, 3], [3, 4], indexing="ij")[1],
        np.meshgrid([1, 2, 3], [3, 4], indexing="ij")[1].astype(np.int32),
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_values_are_those_of_numpy(name: str) -> None:
    make, expected = MADE[name]
    np.testing.assert_array_equal(make().numpy(), expected, strict=True)
    assert np.signbit(make().numpy().real).tolist() == np.signbit(expected.real).tolist()


@pytest.mark.parametrize("shape", [(2, 3), (None, 3), None])
def test_likes_know_the_shape_when_the_graph_runs(shape: Any) -> None:
    graph, _ = trace(
        lambda x: [mg.full_like(x, 2), mg.full(mg.shape(x), 1.0)], [Spec(shape, "float64")]
    )
    assert graph.outputs[0].shape == shape
    first, second = evaluate(graph, [mg.zeros((2, 3), dtype=mg.float64), *graph.captures])
    np.testing.assert_array_equal(first.numpy(), np.full((2, 3), 2.0), strict=True)
    np.testing.assert_array_equal(second.numpy(), np.ones((2, 3), np.float32), strict=True)


def test_a_traced_constant_is_not_stored_in_the_graph() -> None:
    graph, _ = trace(lambda x: [x + mg.ones((1000, 1000))], [Spec((), "float32")])
    assert graph.captures == ()


def test_a_fill_passes_its_gradient_to_the_value() -> None:
    x = mg.constant(2.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.sum(mg.full((2, 3), x) * x)
    assert tape.gradient(y, x).item() == 24


RANGES = {
    "linspace": (lambda a: mg.linspace(a[0], a[1], 3), np.array([0.25, 1.125, 2.0])),
    "linspace to a number": (lambda a: mg.linspace(a[0], 0.35, 3), np.array([0.25, 0.3, 0.35])),
    "linspace to a Variable": (lambda a: mg.linspace(BOUND, a[1], 2), np.array([0.5, 2.0])),
    "linspace complex": (lambda a: mg.linspace(a[1], 2j, 2), np.array([2.0, 2.0j])),
    "linspace of half": (
        lambda a: mg.linspace(mg.astype(a[0], mg.float16), 1, 2),
        np.array([0.25, 1.0], np.float16),
    ),
    "linspace of ints": (
        lambda a: mg.linspace(mg.astype(a[1], mg.int32), 3, 3),
        np.array([2.0, 2.5, 3.0], np.float32),
    ),
    "linspace in ints": (
        lambda a: mg.linspace(a[1] - 2, 10, 11, dtype=mg.int32),
        np.arange(11, dtype=np.int32),
    ),
    "linspace of one": (lambda a: mg.linspace(mg.reshape(a[0], (1, 1)), 9, 1), np.array([0.25])),
    "arange": (lambda a: mg.arange(a[0], a[1]), np.array([0.25, 1.25])),
    "arange by a number": (lambda a: mg.arange(a[0], 0.5, 0.1), np.array([0.25, 0.35, 0.45])),
    "arange to a Variable": (lambda a: mg.arange(BOUND), np.array([0.0])),
}
BOUND = mg.Variable(0.5, dtype=mg.float64)


@everywhere
@pytest.mark.parametrize("name", RANGES)
def test_ranges_have_the_precision_of_the_tensors_that_bound_them(name: str, mode: Any) -> None:
    make, expected = RANGES[name]
    found = mode(make)(mg.constant([0.25, 2.0], mg.float64))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_ranges_pass_gradients_to_their_bounds(check_gradients: Any, check_traced: Any) -> None:
    def f(a: Any, b: Any) -> Any:
        return mg.linspace(a, b, 4) * mg.arange(a, a + 3.5, b)

    check_gradients(f, 0.5, 1.0)
    check_traced(f, 0.5, 1.0)


def test_meshgrid_passes_gradients(check_gradients: Any, check_traced: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        rows, columns = mg.meshgrid(x, y)
        return rows * columns**2

    check_gradients(f, [1.0, 2.0], [3.0, -1.0, 0.5])
    check_traced(f, [1.0, 2.0], [3.0, -1.0, 0.5])


REFUSED = {
    "would have to be copied": lambda: mg.asarray(np.ones(2), copy=False),
    "its owner could write to it": lambda: mg.from_dlpack(np.ones(2), copy=False),
    "the shape (2, -1) has a negative dim": lambda: mg.zeros((2, -1)),
    "a shape was needed and 1.5 came": lambda: mg.zeros(1.5),
    "device 'gpu'": lambda: mg.zeros(2, device="gpu"),
    "one number fills a tensor": lambda: mg.full((2, 2), mg.ones(2)),
    "by steps of 0": lambda: mg.arange(1, 2, 0),
    "its bounds are numbers": lambda: mg.arange("a"),
    "bounds are numbers, or tensors of one": lambda: mg.linspace(0, mg.ones(2), 3),
    "num is an int from 0 on": lambda: mg.linspace(0, 1, -1),
    'indexing is "xy" or "ij"': lambda: mg.meshgrid([1], indexing="yx"),
    "a dtype was needed and 'float7' came": lambda: mg.ones(2, dtype="float7"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_made_is_refused(message: str) -> None:
    with pytest.raises(SpecError) as error:
        REFUSED[message]()
    assert message in str(error.value)
