"""Tensor: an immutable array with operators, and Python's protocols."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.tensor import Symbol
from minigrad.errors import IndexSpecError, SpecError, TraceError
from tests.unit.modes import same, words

F32 = mg.float32


def test_what_a_tensor_says_of_itself() -> None:
    x = mg.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert (x.shape, x.dtype, x.ndim, x.size, x.device) == ((2, 3), F32, 2, 6, "cpu")
    assert str(x.spec) == "float32[2,3]" and len(x) == 2
    assert x.T.shape == x.mT.shape == (3, 2)
    with pytest.raises(SpecError, match=r"x\.T of float32\[2\]: T is defined for two axes"):
        _ = mg.ones(2).T


def test_printing_follows_tensorflow() -> None:
    assert repr(mg.constant(1.3810978)) == "<mg.Tensor: shape=(), dtype=float32, numpy=1.3810978>"
    assert repr(mg.constant([1, 2])) == (
        "<mg.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>"
    )


def test_python_numbers_have_the_default_dtypes_and_arrays_keep_theirs() -> None:
    values = [True, 1, 1.0, 1j, [1, 2.0], np.float64(1), np.ones(2, np.int16), 2**40, []]
    found = " ".join(str(mg.constant(value).dtype) for value in values)
    assert found == "bool int32 float32 complex64 float32 float64 int16 int64 float32"
    assert mg.constant(1, mg.float64).dtype == mg.float64


@pytest.mark.parametrize("value", ["text", [[1.0], [1.0, 2.0]], object(), {"a": 1}, None])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(SpecError, match="was to become a tensor"):
        mg.constant(value)


def test_a_tensor_never_changes() -> None:
    array = np.ones(2)
    x = mg.constant(array)
    array[:] = 7
    same(x, np.ones(2))
    for view in (x.numpy(), np.asarray(x)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1
    np.array(x)[0] = 5
    np.from_dlpack(x)[0] = 5
    same(x, np.ones(2))
    with pytest.raises(TypeError) as error:
        x[0] = 3.0  # type: ignore[misc]
    assert str(error.value) == (
        "x[0] = ... on float64[2]: tensors are immutable; write x = x.at[0].set(...)"
    )


def test_an_array_that_is_frozen_and_owned_is_shared_and_views_of_others_are_not() -> None:
    array = np.ones(2)
    frozen = array.view()
    frozen.flags.writeable = False
    x = mg.constant(frozen)
    array[:] = 7
    same(x, np.ones(2))
    owned = np.ones(2)
    owned.flags.writeable = False
    assert np.shares_memory(mg.constant(owned).numpy(), owned)


def test_in_place_operators_make_new_tensors() -> None:
    x = y = mg.ones(2)
    y += 1
    y *= 3
    same((x, y), (np.ones(2), np.full(2, 6.0)))


def test_scalars_become_python_numbers() -> None:
    x = mg.constant(3.75)
    assert (x.item(), float(x), int(x), complex(x), bool(x)) == (3.75, 3.75, 3, 3.75 + 0j, True)
    assert float(mg.constant([2.0])) == 2.0
    assert [10, 20, 30][mg.constant(1)] == 20
    assert list(range(mg.constant(3))) == [0, 1, 2]
    with pytest.raises(TypeError, match=r"only integers index; write int\(x\)"):
        [10][mg.constant(0.0)]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (bool, r"a truth value of float32\[2\]: only one element has one; .*mg\.any\(x\) or mg"),
        (float, "a float of"),
        (int, "an int of"),
        (lambda x: x.item(), r"item of float32\[2\]: one element becomes a Python number"),
    ],
)
def test_several_elements_are_no_python_number(ask: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        ask(mg.ones(2))


def test_iteration_goes_over_the_first_axis() -> None:
    rows = list(mg.constant([[1.0, 2.0], [3.0, 4.0]]))
    same(rows, [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    a, b = mg.constant([1, 2])
    assert (a.item(), b.item()) == (1, 2)
    for ask in (len, iter):
        with pytest.raises(TypeError, match="only tensors with axes have a length"):
            ask(mg.constant(1.0))


def test_tensors_are_hashed_by_identity() -> None:
    x, y = mg.constant(1.0), mg.constant(1.0)
    assert len({x, y, x}) == 2 and {x: "a"}[x] == "a"


def test_copies_and_pickles() -> None:
    x = mg.constant([1.0, 2.0])
    assert copy.copy(x) is x and copy.deepcopy([x])[0] is x
    again = pickle.loads(pickle.dumps(x))
    assert type(again) is mg.Tensor and again.dtype == F32
    same(again, x)


def test_numpy_leaves_operators_and_functions_to_tensors() -> None:
    x, a = mg.constant([1.0, 4.0]), np.ones(2, np.float32)
    for y in (a + x, a * x, a - x, a @ x, np.sqrt(x), np.add(a, x), np.float32(2) * x, a < x):
        assert isinstance(y, mg.Tensor)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = np.sqrt(x) * a
    same(tape.gradient(y, x), np.array([0.5, 0.25]))
    assert isinstance(np.sin(np.asarray(x)), np.ndarray)


def test_reflected_operators() -> None:
    x = mg.constant([1, 2])
    same([1 - x, 2 * x, 2**x, 7 // x, 7 % x, 4 / x], [
        np.array([0, -1]), np.array([2, 4]), np.array([2, 4]), np.array([7, 3]),
        np.array([0, 1]), np.array([4.0, 2.0]),
    ])  # fmt: skip
    same([6 & x, 1 | x, 3 ^ x, 1 << x, 8 >> x, ~x], [
        np.array([0, 2]), np.array([1, 3]), np.array([2, 1]), np.array([2, 4]),
        np.array([4, 2]), np.array([-2, -3]),
    ])  # fmt: skip
    assert (x == 1).numpy().tolist() == [True, False] and (x != 1).numpy().tolist() == [False, True]


def test_python_numbers_are_weak() -> None:
    for dtype in (mg.float16, mg.float32, mg.float64, mg.int8, mg.uint8):
        assert (mg.ones(2, dtype=dtype) * 2).dtype == dtype
    assert (mg.ones(2, dtype=mg.float16) * 2.5).dtype == mg.float16
    assert (mg.ones(2, dtype=mg.int32) * 2.5).dtype == mg.float64, "as NumPy has it"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda x: x[5], "from -2 to 1"),
        (lambda x: x[0, 0, 0], "3 indices and 0 Ellipsis came"),
        (lambda x: x[1.5], "integers and bools index"),
    ],
)
def test_indices_out_of_range_or_of_no_kind(ask: Any, message: str) -> None:
    x = mg.ones((2, 3))
    with pytest.raises(IndexSpecError, match=message):
        ask(x)
    with pytest.raises(IndexSpecError, match=message):
        mg.function(ask)(x)


def test_text_is_no_index() -> None:
    with pytest.raises(SpecError, match="str of dtype <U1 was to become a tensor"):
        mg.ones(2)["a"]


def test_shapes_and_devices_are_stated() -> None:
    x = mg.ones((2, 3))
    x.set_shape((None, 3))
    assert x.to_device("cpu") is x
    with pytest.raises(SpecError, match=r"set_shape\(\(3, 3\)\) of float32\[2,3\]"):
        x.set_shape((3, 3))
    with pytest.raises(SpecError, match='minigrad computes on "cpu" only'):
        x.to_device("cuda")


# symbols


def test_a_symbol_knows_what_tracing_knows() -> None:
    seen: list[Any] = []

    @mg.function(input_signature=[mg.TensorSpec((None, 3), F32), mg.TensorSpec(None, F32)])
    def f(x: Any, y: Any) -> Any:
        assert isinstance(x, Symbol)
        seen.extend([x.shape, x.ndim, x.size, y.shape, y.ndim, y.size, repr(x)])
        y.set_shape((None, 3))
        x.set_shape((2, None))
        seen.extend([y.shape, x.shape, len(x)])
        with pytest.raises(TraceError, match=r"use mg\.shape\(x\)\[0\]"):
            len(y)
        return x + y

    same(f(mg.ones((2, 3)), mg.ones((2, 3))), np.full((2, 3), 2.0))
    assert seen[:6] == [(None, 3), 2, None, None, None, None]
    assert seen[6] == "<mg.Symbol: shape=(None, 3), dtype=float32>"
    assert seen[7:] == [(None, 3), (2, 3), 2]


def test_a_symbol_is_neither_pickled_nor_converted() -> None:
    def body(x: Any) -> Any:
        for ask in (pickle.dumps, np.asarray, copy.copy, np.from_dlpack, str):
            if ask in (copy.copy, str):
                ask(x)
                continue
            with pytest.raises(TraceError, match="was asked for while body was traced"):
                ask(x)
        return x

    same(mg.function(body)(mg.ones(1)), np.ones(1))


def test_a_symbol_inside_init_scope_has_no_value() -> None:
    def body(x: Any) -> Any:
        with mg.init_scope():
            assert mg.executing_eagerly() and mg.ones(1).item() == 1
            x + 1
        return x

    with pytest.raises(TraceError, match="its value comes when the graph runs"):
        mg.function(body)(mg.ones(1))
    assert mg.executing_eagerly()


def test_the_words_for_a_shape_that_does_not_broadcast() -> None:
    with pytest.raises(SpecError) as error:
        mg.ones((2, 3)) + mg.ones((2, 4))
    assert words(error.value) == (
        "add: float32[2,3] and float32[2,4] do not broadcast: on axis -1, 3 and 4 differ and "
        "neither is 1; reshape one of them, or insert an axis with x[..., None]"
    )


def test_numbers_are_formatted_as_python_formats_them() -> None:
    assert f"{mg.constant(0.12345):.3f} {mg.Variable(2):d}" == "0.123 2"
    assert f"{mg.constant(1.0)}" == "<mg.Tensor: shape=(), dtype=float32, numpy=1.0>"
