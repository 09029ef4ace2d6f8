"""mg.function: when it traces, what it takes and gives back, and what it refuses."""

import warnings
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import RetraceWarning, SpecError
from tests.unit.modes import same, words

F32 = mg.float32
Point = namedtuple("Point", "x y")


@dataclass
class Layer:
    w: Any
    b: Any
    name: str = "layer"


# signatures


def test_a_function_is_traced_once_per_shape_and_dtype() -> None:
    runs = []

    @mg.function
    def f(x: Any) -> Any:
        runs.append(x.spec)
        return x + 1

    for _ in range(3):
        same(f(mg.zeros(2)), np.ones(2))
        same(f(mg.zeros(3)), np.ones(3))
        same(f(mg.zeros(2, dtype=mg.int32)), np.ones(2))
    assert len(runs) == f.trace_count == 3


def test_python_values_are_told_apart_by_type_and_value() -> None:
    f = mg.function(lambda x, k: x * k)
    x = mg.constant(2.0)
    for k in (1, 1.0, True, 0.0, -0.0, "nan", 1 + 0j):
        if k == "nan":
            k = float("nan")
        f(x, k)
        f(x, k)
    assert f.trace_count == 7
    f(x, float("nan"))
    assert f.trace_count == 7, "nan is one value"
    assert np.signbit(f(x, -0.0).numpy()) and not np.signbit(f(x, 0.0).numpy())


def test_complex_python_values_keep_their_signs_and_nans_apart() -> None:
    f = mg.function(lambda k: mg.constant(k))
    for k in (complex(0.0, 0.0), complex(0.0, -0.0), complex(float("nan"), 0)) * 2:
        f(k)
    f(complex(float("nan"), 0))
    assert f.trace_count == 3


def test_arrays_are_tensors_and_python_numbers_are_not() -> None:
    f = mg.function(lambda x: x + 0)
    assert f(np.float64(2.0)).dtype == mg.float64
    f(np.array(3.0))
    f(mg.constant(4.0, mg.float64))
    assert f.trace_count == 1
    assert f(2.0) == 2.0
    assert f.trace_count == 2


def test_none_and_strings_are_part_of_the_signature() -> None:
    f = mg.function(lambda x, how=None: x if how is None else -x)
    x = mg.constant(1.0)
    assert [f(x).item(), f(x, "minus").item(), f(x, how=None).item()] == [1, -1, 1]
    assert f.trace_count == 2


def test_positions_keywords_and_defaults_mean_one_signature() -> None:
    @mg.function
    def f(x: Any, /, y: Any = 2.0, *rest: Any, scale: Any = 1.0, **more: Any) -> Any:
        return x * y * scale + sum(rest) + sum(more.values())

    x = mg.constant(3.0)
    assert f(x).item() == f(x, 2.0).item() == f(x, y=2.0, scale=1.0).item() == 6
    assert f.trace_count == 1
    assert f(x, 2.0, x, x, scale=x, other=x).item() == 27
    assert f.trace_count == 2


def test_keywords_in_another_order_are_the_same_call() -> None:
    f = mg.function(lambda **named: named["a"] - named["b"])
    a, b = mg.constant(3.0), mg.constant(1.0)
    assert f(a=a, b=b).item() == f(b=b, a=a).item() == 2
    assert f.trace_count == 1
    g = mg.function(lambda nest: nest["a"] - nest["b"])
    assert g({"a": a, "b": b}).item() == g({"b": b, "a": a}).item() == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f(), "missing a required argument: 'x'"),
        (lambda f: f(1.0, 2.0, 3.0), "too many positional arguments"),
        (lambda f: f(1.0, z=2.0), "unexpected keyword argument 'z'"),
    ],
)
def test_calls_that_python_would_refuse_are_refused_by_name(call: Any, message: str) -> None:
    def scaled(x: Any, y: Any = 1.0) -> Any:
        return x * y

    f = mg.function(scaled)
    with pytest.raises((TypeError, SpecError), match=f"scaled.*{message}"):
        call(f)
    assert f.trace_count == 0


def test_unhashable_python_values_are_refused() -> None:
    f = mg.function(lambda x: x)
    with pytest.raises(SpecError) as error:
        f({1, 2})
    assert words(error.value) == (
        "an argument of type set, {1, 2}, came: Python values are part of the signature and must "
        "be hashable; pass a tensor, a nest of lists, tuples and dicts, or a hashable object"
    )


@pytest.mark.parametrize("func", [3, None, "f", mg.constant(1.0)])
def test_what_cannot_be_called_cannot_be_traced(func: Any) -> None:
    if func is None:
        with pytest.raises(SpecError, match="a callable is traced"):
            mg.function()(func)
    else:
        with pytest.raises(SpecError, match="a callable is traced; pass the function itself"):
            mg.function(func)


# nests


def test_nests_go_in_and_come_out() -> None:
    @mg.function
    def f(nest: Any) -> Any:
        point, [layer, (z,)] = nest["point"], nest["rest"]
        return {
            "point": Point(point.y, point.x),
            "layer": Layer(layer.w * 2.0, z, layer.name),
            "plain": (1, None, "text", [z]),
        }

    x, y, z = (mg.constant(float(i)) for i in range(3))
    found = f({"point": Point(x, y), "rest": [Layer(y, x, "first"), (z,)]})
    assert isinstance(found["point"], Point) and isinstance(found["layer"], Layer)
    assert found["layer"].name == "first" and found["plain"][:3] == (1, None, "text")
    same(found["point"], Point(1.0, 0.0))
    same([found["layer"].w, found["layer"].b, found["plain"][3][0]], [2.0, 2.0, 2.0])


def test_a_function_may_return_nothing_or_its_argument() -> None:
    assert mg.function(lambda x: None)(mg.constant(1.0)) is None
    assert mg.function(lambda x: [])(mg.constant(1.0)) == []
    x = mg.constant([1.0, 2.0])
    a, b = mg.function(lambda x: (x, x))(x)
    same((a, b), (np.array([1.0, 2.0]),) * 2)


def test_arrays_and_variables_that_are_returned_become_tensors() -> None:
    v = mg.Variable([1.0, 2.0])
    f = mg.function(lambda: (v, np.ones(2)))
    a, b = f()
    assert isinstance(a, mg.Tensor) and isinstance(b, mg.Tensor)
    v.assign([5.0, 6.0])
    same(a, np.array([1.0, 2.0]))
    same(f()[0], np.array([5.0, 6.0]))


def test_results_do_not_share_memory_that_the_caller_can_write() -> None:
    array = np.ones(2)
    f = mg.function(lambda: array)
    y = f()
    array[:] = 7
    same((y, f()), (np.ones(2), np.ones(2)))


# retracing


def test_explain_retrace_names_the_argument_that_changed() -> None:
    @mg.function
    def f(x: Any, rate: Any, *, mode: Any = "a") -> Any:
        return mg.sum(mg.asarray(x)) * rate

    assert "nothing was retraced" in f.explain_retrace()
    x = mg.ones(2)
    f(x, 0.5)
    f(x, 0.25)
    assert f.explain_retrace() == (
        "trace 2 of f: argument 'rate' was float 0.5, is float 0.25. Python values are part of "
        "the signature: pass tensors for what changes often, or a TensorSpec with None dims"
    )
    f(mg.ones(3), 0.25)
    assert "argument 'x' was float32[2], is float32[3]" in f.explain_retrace()
    f(mg.ones(3), 0.25, mode="b")
    assert "argument 'mode' was str 'a', is str 'b'" in f.explain_retrace()
    f([mg.ones(3)], 0.25, mode="b")
    assert "the nest of the arguments was" in f.explain_retrace()


def test_explain_retrace_points_into_nests() -> None:
    f = mg.function(lambda nest, *rest: nest["w"][0])
    f({"w": [mg.ones(2)]}, 1)
    f({"w": [mg.ones(3)]}, 2)
    assert "argument \"nest['w'][0]\" was float32[2], is float32[3]" in f.explain_retrace()
    assert "was int 1, is int 2" in f.explain_retrace()


def test_a_function_that_is_traced_again_and_again_warns_with_the_reason() -> None:
    f = mg.function(lambda x, step: x * step)
    x = mg.constant(1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(20):
            f(x, step)
    (warning,) = caught
    assert warning.category is RetraceWarning and warning.filename == __file__
    assert "argument 'step' was int 6, is int 7" in str(warning.message)


def test_a_method_warns_at_the_line_of_the_user_as_well() -> None:
    class Model:
        @mg.function
        def call(self, step: Any) -> Any:
            return mg.constant(step)

    model = Model()
    with pytest.warns(RetraceWarning) as caught:
        for step in range(10):
            model.call(step)
    assert [warning.filename for warning in caught] == [__file__]
