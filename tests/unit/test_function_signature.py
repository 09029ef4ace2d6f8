"""input_signature and concrete functions: what is declared, what fits, what is refused."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SpecError
from tests.unit.modes import same, words

F32 = mg.float32
Point = namedtuple("Point", "x y")


@dataclass
class Layer:
    w: Any
    b: Any
    name: str = "layer"


# input_signature


def test_unknown_dims_trace_once() -> None:
    @mg.function(input_signature=[mg.TensorSpec((None, 3), F32), mg.TensorSpec(None, F32)])
    def f(x: Any, y: Any) -> Any:
        return mg.sum(x, axis=0) + mg.sum(y), mg.shape(x), mg.reshape(x, (-1,))

    for n in (0, 1, 5):
        total, shape, flat = f(mg.ones((n, 3)), mg.ones((2,) * n))
        same(total, np.full(3, n + 2.0**n))
        assert shape.numpy().tolist() == [n, 3] and flat.shape == (3 * n,)
    assert f.trace_count == 1


def test_lists_arrays_and_numbers_stand_where_a_spec_stands() -> None:
    @mg.function(input_signature=[mg.TensorSpec((None,), F32), mg.TensorSpec((), F32)])
    def f(x: Any, s: Any) -> Any:
        return x * s

    x = np.array([1, 2], np.float32)
    for given in ([1.0, 2.0], (1, 2), x, mg.constant(x), mg.Variable(x), [mg.constant(1.0), 2.0]):
        y = f(given, 3)
        assert y.dtype == F32
        same(y, np.array([3.0, 6.0]))
    assert f.trace_count == 1


def test_signatures_are_nests_like_the_arguments() -> None:
    spec = mg.TensorSpec((2,), F32)

    @mg.function(input_signature=[{"a": spec, "b": [spec, spec]}])
    def f(nest: Any) -> Any:
        return nest["a"] - nest["b"][0] + nest["b"][1]

    one = [1.0, 1.0]
    same(f({"b": [one, [2.0, 3.0]], "a": mg.ones(2)}), np.array([2.0, 3.0]))
    with pytest.raises(SpecError, match="function f, by its input_signature: a nest like"):
        f({"a": one})


@pytest.mark.parametrize(
    "given",
    [
        mg.ones((2, 4)),
        mg.ones(3),
        mg.ones((2, 3), dtype=mg.float64),
        np.ones((2, 3)),
        mg.ones((2, 3), dtype=mg.int32),
        [[1.0, 2.0]],
    ],
)
def test_what_does_not_fit_the_signature_is_refused(given: Any) -> None:
    spec = mg.TensorSpec((None, 3), F32, name="pixels")
    f = mg.function(lambda x: x, input_signature=[spec], name="f")
    with pytest.raises(SpecError, match=r"function f: argument 'pixels' of .* came where float32"):
        f(given)
    assert f.trace_count == 0


def test_the_mismatch_message_in_full() -> None:
    f = mg.function(lambda x: x, input_signature=[mg.TensorSpec((None, 3), F32, "x")], name="f")
    with pytest.raises(SpecError) as error:
        f(np.ones((2, 3)))
    assert words(error.value) == (
        "function f: argument 'x' of float64[2,3] came where float32[?,3] is declared: shapes and "
        "dtypes must fit the signature; reshape it or cast it with mg.astype(x, mg.float32), or "
        "widen the TensorSpec"
    )


def test_a_python_number_that_the_dtype_cannot_hold_is_refused() -> None:
    f = mg.function(lambda x: x, input_signature=[mg.TensorSpec((), mg.int32)])
    assert f(3).item() == 3
    for lossy in (1.5, 2**40, 1j):
        with pytest.raises(SpecError, match="came where int32"):
            f(lossy)


@pytest.mark.parametrize("bad", [[F32], ["x"], mg.TensorSpec((), F32), 3, [mg.TensorSpec(()), 1]])
def test_a_signature_of_something_else_is_refused_when_it_is_stated(bad: Any) -> None:
    with pytest.raises(SpecError, match=r"input_signature.*TensorSpec"):
        mg.function(lambda *args: args, input_signature=bad)


def test_fewer_arguments_than_the_signature_has_are_refused() -> None:
    spec = mg.TensorSpec((), F32)
    f = mg.function(lambda *args: args[0], input_signature=[spec, spec])
    with pytest.raises(SpecError, match="1 arguments for an input_signature of 2"):
        f(1.0)


def test_arguments_behind_the_signature_are_python_values_or_tensors() -> None:
    f = mg.function(lambda x, k=2: x * k, input_signature=[mg.TensorSpec((None,), F32)])
    same(f([1.0]), np.array([2.0]))
    same(f([1.0, 2.0], 3), np.array([3.0, 6.0]))
    same(f([1.0, 2.0], k=mg.constant(4.0)), np.array([4.0, 8.0]))
    assert f.trace_count == 3


# concrete functions


def test_a_concrete_function_never_traces() -> None:
    f = mg.function(lambda x, y: x - y)
    g = f.get_concrete_function(mg.TensorSpec((None,), F32), mg.TensorSpec((), F32))
    same(g(mg.ones(2), 3), np.full(2, -2.0))
    same(g(mg.ones(4), mg.constant(3.0)), np.full(4, -2.0))
    same(g(y=3.0, x=mg.ones(1)), np.full(1, -2.0))
    assert f.trace_count == 1


@pytest.mark.parametrize(
    "given", [np.ones(2), mg.ones(2, dtype=mg.int32), mg.ones((2, 2)), mg.constant(1.0), 2.0]
)
def test_a_concrete_function_refuses_other_shapes_and_dtypes(given: Any) -> None:
    g = mg.function(lambda x: x * 2).get_concrete_function(mg.TensorSpec((2,), F32))
    with pytest.raises(SpecError, match=r"came where float32\[2\] is declared"):
        g(given)


def test_a_concrete_function_keeps_its_python_values() -> None:
    f = mg.function(lambda x, k: x * k)
    g = f.get_concrete_function(mg.TensorSpec((), F32), 2)
    assert g(3.0).item() == g(3.0, 2).item() == g(mg.constant(3.0), k=2).item() == 6
    with pytest.raises(SpecError, match="3 came where 2 was traced"):
        g(3.0, 3)
    with pytest.raises(SpecError, match=r"True came where|2\.0 came where 2 was traced"):
        g(3.0, 2.0)
    with pytest.raises(SpecError, match=r"0 tensors for 1|missing"):
        g()


def test_get_concrete_function_of_a_signature_needs_no_arguments() -> None:
    f = mg.function(lambda x: x * 2, input_signature=[mg.TensorSpec((None,), F32)])
    g = f.get_concrete_function()
    assert str(g.specs[0]) == "float32[?]" and f.trace_count == 1
    same(g(mg.ones(2)), np.full(2, 2.0))
    assert f.get_concrete_function(mg.ones(3)) is g


def test_specs_among_the_arguments_make_no_call() -> None:
    f = mg.function(lambda x: x * 2)
    with pytest.raises(SpecError, match="get_concrete_function"):
        f(mg.TensorSpec((2,), F32))


def test_a_default_that_is_a_tensor_is_given_at_every_call():
    three = mg.constant(3.0)
    f = mg.function(lambda x, y=three: x * y)
    assert [float(f(mg.constant(2.0))) for _ in range(3)] == [6.0] * 3
    assert float(f(mg.constant(2.0), mg.constant(5.0))) == 10.0
    g = mg.function(lambda *xs: sum(xs))
    for n in (1, 3, 1, 2, 3):
        assert float(g(*[mg.constant(1.0)] * n)) == n
    assert g.trace_count == 3
