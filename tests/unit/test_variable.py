"""Variables: read, assigned, captured, created once; and methods that own them."""

import copy
import gc
import pickle
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SpecError, TraceError
from tests.unit.modes import everywhere, same, words

F32 = mg.float32


def test_a_variable_is_used_wherever_a_tensor_is() -> None:
    v = mg.Variable([1.0, 2.0], name="v")
    assert (v.shape, v.dtype, v.name, v.trainable, v.ndim, len(v)) == ((2,), F32, "v", True, 1, 2)
    same([v + 1, 1 - v, v * v, v[0], mg.exp(v), -v, v @ v], [
        np.array([2.0, 3.0]), np.array([0.0, -1.0]), np.array([1.0, 4.0]), 1.0,
        np.exp([1.0, 2.0]), np.array([-1.0, -2.0]), 5.0,
    ])  # fmt: skip
    assert float(v[1]) == 2 and (v > 1).numpy().tolist() == [False, True]
    assert repr(v) == (
        "<mg.Variable 'v': shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>"
    )
    assert np.asarray(v).tolist() == [1, 2] and (np.ones(2, np.float32) * v).shape == (2,)


def test_a_tensor_that_was_read_keeps_its_value() -> None:
    v = mg.Variable([1.0, 2.0])
    before, array = v.value(), v.numpy()
    v.assign([5.0, 6.0])
    same([before, array, v], [np.array([1.0, 2.0])] * 2 + [np.array([5.0, 6.0])])


def test_a_variable_does_not_share_memory_that_others_write() -> None:
    array = np.ones(2, np.float32)
    v = mg.Variable(array)
    array[:] = 7
    same(v, np.ones(2))
    v.assign(array)
    array[:] = 9
    same(v, np.full(2, 7.0))
    with pytest.raises(ValueError, match="read-only"):
        v.numpy()[0] = 1


def test_assignments_return_the_variable() -> None:
    v = mg.Variable(1.0)
    assert v.assign(2) is v and v.assign_add(3) is v and v.assign_sub(1.0) is v
    assert v.numpy() == 4 and v.dtype == F32


@everywhere
@pytest.mark.parametrize(
    "value",
    [mg.ones(3), mg.ones((2, 1)), np.ones(2), mg.ones(2, dtype=mg.int32), 1.0, [[1.0, 2.0]]],
    ids=str,
)
def test_an_assignment_that_does_not_fit_changes_nothing(mode: Any, value: Any) -> None:
    v, w = mg.Variable([1.0, 2.0]), mg.Variable(0.0)

    def body() -> None:
        v.assign(value)
        w.assign(1.0)

    with pytest.raises(SpecError, match=r"a Variable keeps its shape and dtype|assign"):
        mode(body)()
    same([v, w], [np.array([1.0, 2.0]), 0.0])


def test_the_message_of_an_assignment_that_does_not_fit() -> None:
    v = mg.Variable([1.0, 2.0])
    with pytest.raises(SpecError) as error:
        v.assign(np.ones(3))
    assert words(error.value) == (
        "assign: float64[3] to a Variable of float32[2]: a Variable keeps its shape and dtype; "
        "reshape the value, or write mg.astype(value, mg.float32)"
    )


def test_items_of_a_variable_are_not_assigned() -> None:
    v = mg.Variable([1.0, 2.0])
    with pytest.raises(TypeError, match=r"write v\.assign\(v\.at\[0\]\.set\(\.\.\.\)\)"):
        v[0] = 3.0


def test_copies_and_pickles_are_variables_of_their_own() -> None:
    v = mg.Variable([1.0, 2.0], name="v", trainable=False)
    for twin in (copy.copy(v), copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert twin is not v and (twin.name, twin.trainable) == ("v", False)
        twin.assign([3.0, 4.0])
    same(v, np.array([1.0, 2.0]))


def test_variables_are_hashed_by_identity() -> None:
    a, b = mg.Variable(1.0), mg.Variable(1.0)
    assert len({a, b, a}) == 2 and {a: 1}[a] == 1


# in functions


def test_a_function_sees_the_present_value_and_its_assignments_last() -> None:
    v = mg.Variable(1.0)

    @mg.function
    def f(x: Any) -> Any:
        before = v.value()
        v.assign(v * x)
        v.assign_add(1.0)
        return before, v.value(), v * 2.0

    same(f(mg.constant(3.0)), (1.0, 4.0, 8.0))
    v.assign(10.0)
    same(f(mg.constant(3.0)), (10.0, 31.0, 62.0))
    same(v, 31.0)
    assert f.trace_count == 1


def test_effects_of_nested_functions_keep_program_order() -> None:
    v = mg.Variable(1.0)
    double = mg.function(lambda: v.assign(v * 2.0) is None)
    add = mg.function(lambda: v.assign_add(1.0) is None)

    @mg.function
    def f() -> Any:
        double()
        a = v.value()
        add()
        b = v.value()
        double()
        return a, b, v.value()

    same(f(), (2.0, 3.0, 6.0))
    same(v, 6.0)


def test_a_variable_as_argument_is_captured_by_reference() -> None:
    f = mg.function(lambda v, x: v.assign_add(x) * 2.0)
    a, b = mg.Variable(1.0), mg.Variable(10.0)
    same([f(a, 1.0), f(b, 1.0), f(a, 1.0)], [4.0, 22.0, 6.0])
    assert f.trace_count == 2


def test_an_exception_in_a_run_keeps_the_effects_before_it_and_none_after() -> None:
    v, w = mg.Variable(0.0), mg.Variable(0.0)

    def fail(x: Any) -> Any:
        raise ZeroDivisionError

    @mg.function
    def f(x: Any) -> Any:
        v.assign(1.0)
        y = mg.numpy_function(fail, [x], F32)
        w.assign(1.0)
        return y

    with pytest.raises(ZeroDivisionError):
        f(1.0)
    same([v, w], [1.0, 0.0])


def test_assigning_in_a_traced_body_that_fails_changes_nothing() -> None:
    v = mg.Variable(0.0)

    @mg.function
    def f() -> None:
        v.assign(1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        f()
    same(v, 0.0)


# created once


def test_a_function_that_creates_variables_traces_its_body_once() -> None:
    runs = []
    made: list[Any] = []

    @mg.function
    def f(x: Any) -> Any:
        runs.append(1)
        if not made:
            made.append(mg.Variable(mg.ones((2,)) * 3.0, name="made"))
        return x * made[0]

    x = mg.constant([1.0, 2.0])
    for _ in range(2):
        with mg.GradientTape() as tape:
            y = f(x)
        same(tape.gradient(y, made[0]), np.array([1.0, 2.0]))
        assert tape.watched_variables() == (made[0],)
    assert len(runs) == 1 and len(made) == 1
    same(f(mg.ones((1, 2))), np.full((1, 2), 3.0))
    assert len(runs) == 2 and len(made) == 1


def test_a_variable_that_only_the_trace_holds_lives_as_long_as_the_function() -> None:
    @mg.function
    def count() -> Any:
        n = mg.Variable(0.0)
        n.assign_add(1.0)
        return n.value()

    gc.collect()
    same([count(), count()], [1.0, 2.0])
    with mg.GradientTape() as tape:
        y = count()
    gc.collect()
    (variable,) = tape.watched_variables()
    same(tape.gradient(y, variable), 1.0)
    alive = weakref.ref(variable)
    del count, tape, variable, y
    gc.collect()
    assert alive() is None


def test_variables_made_in_every_trace_are_refused() -> None:
    @mg.function
    def f(x: Any) -> Any:
        return x * mg.Variable(2.0)

    same(f(mg.ones(2)), np.full(2, 2.0))
    with pytest.raises(TraceError) as error:
        f(mg.ones(3))
    assert words(error.value) == (
        "function f made 1 Variables in its trace number 2: Variables may be made in the first "
        "trace only, for each call must mean the same ones; make them outside, or keep them in an "
        "attribute"
    )
    same(f(mg.ones(2)), np.full(2, 2.0))
    assert f.trace_count == 1


def test_a_first_value_that_depends_on_an_argument_is_refused() -> None:
    f = mg.function(lambda x: mg.Variable(x * 2) and x)
    with pytest.raises(TraceError, match="a first value is needed now; compute it inside `with mg"):
        f(mg.ones(2))


def test_first_values_computed_while_tracing_are_those_computed_eagerly() -> None:
    made: list[Any] = []

    @mg.function
    def f(x: Any) -> Any:
        if not made:
            with mg.init_scope():
                made.append(mg.Variable(mg.arange(3.0) * 2))
            made.append(mg.Variable(lambda: mg.arange(3.0) * 2))
            made.append(mg.Variable(mg.reshape(mg.arange(3.0) * 2, (3,))))
        return x * sum(made)

    same(f(mg.ones(3)), np.array([0.0, 6.0, 12.0]))


# methods


class Model:
    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.w: Any = None
        self.runs = 0

    @mg.function
    def call(self, x: Any, power: int = 1) -> Any:
        self.runs += 1
        if self.w is None:
            self.w = mg.Variable(mg.ones((2,)) * self.scale)
        return (x * self.w) ** power

    @mg.function
    def through_python(self, x: Any) -> Any:
        return mg.py_function(self.body, [x], F32)

    def body(self, x: Any) -> Any:
        return x * self.w


def test_each_instance_has_its_own_traces_and_variables() -> None:
    a, b = Model(2.0), Model(3.0)
    x = mg.ones(2)
    for _ in range(2):
        same([a.call(x), b.call(x)], [np.full(2, 2.0), np.full(2, 3.0)])
    assert a.runs == b.runs == a.call.trace_count == 1
    same(a.call(x, power=3), np.full(2, 8.0))
    assert (a.runs, b.runs) == (2, 1)
    assert "power" in a.call.explain_retrace()


def test_a_method_is_freed_with_its_instance() -> None:
    model = Model(2.0)
    model.call(mg.ones(2))
    model.through_python(mg.ones(2))
    alive = [weakref.ref(model), weakref.ref(model.call.graph_for(mg.ones(2)))]
    alive.append(weakref.ref(model.w))
    del model
    gc.collect()
    assert [ref() for ref in alive] == [None] * 3


def test_a_method_called_on_a_temporary_instance_works() -> None:
    same(Model(2.0).call(mg.ones(2)), np.full(2, 2.0))


def test_copies_of_an_instance_trace_for_themselves() -> None:
    model = Model(2.0)
    model.call(mg.ones(2))
    for twin in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin.w = mg.Variable([5.0, 5.0])
        same(twin.call(mg.ones(2)), np.full(2, 5.0))
    same(model.call(mg.ones(2)), np.full(2, 2.0))


@dataclass
class Scale:
    """Equal to others by value, and so not hashable."""

    factor: float

    @mg.function
    def __call__(self, x: Any) -> Any:
        return x * self.factor


def test_instances_that_compare_by_value_have_traces_as_well() -> None:
    a, b = Scale(2.0), Scale(2.0)
    b.factor = 5.0
    same([a(mg.ones(2)), b(mg.ones(2))], [np.full(2, 2.0), np.full(2, 5.0)])
    assert a == Scale(2.0)


def test_an_instance_without_a_dict_is_refused_with_the_reason() -> None:
    class Slotted:
        __slots__ = ()

        @mg.function
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(SpecError, match="method call of a Slotted, which has no place to keep"):
        Slotted().call(mg.ones(2))


def test_class_and_static_methods() -> None:
    class Maths:
        factor = 3.0

        @staticmethod
        @mg.function
        def double(x: Any) -> Any:
            return x * 2

        @classmethod
        def scaled(cls, x: Any) -> Any:
            return mg.function(lambda x: x * cls.factor)(x)

    same([Maths.double(1.5), Maths().double(mg.ones(2))], [3.0, np.full(2, 2.0)])
    same(Maths.scaled(mg.ones(1)), np.full(1, 3.0))


def test_a_method_of_the_class_takes_the_instance() -> None:
    model = Model(2.0)
    same(Model.call(model, mg.ones(2)), np.full(2, 2.0))


def test_lists_of_python_numbers_are_added_in_the_dtype_of_the_variable() -> None:
    for dtype in (mg.float16, mg.float32, mg.float64, mg.int64):
        v = mg.Variable([1, 2], dtype=dtype)
        assert v.assign_add([1, 1]) is v and v.assign_sub([[4, 5]][0]) is v
        assert v.assign_add(np.asarray([2, 3], dtype)) is v
        assert (v.dtype, v.numpy().tolist()) == (dtype, [0, 1])


def test_an_integer_variable_takes_no_fraction() -> None:
    v = mg.Variable([1, 2])
    for change in (v.assign, v.assign_add, v.assign_sub):
        with pytest.raises(SpecError, match=r"assign: float(32|64)\[2\] to a Variable of int32"):
            change([0.5, 1])
    with pytest.raises(SpecError, match="assign"):
        mg.Variable(1).assign(2.7)
    assert v.numpy().tolist() == [1, 2]


@pytest.mark.parametrize("sign", ["+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^"])
def test_operators_in_place_do_not_make_a_tensor_of_a_variable(sign: str) -> None:
    scope = {"v": (v := mg.Variable([1.0, 2.0]))}
    with pytest.raises(TypeError) as error:
        exec(f"v {sign}= 2.0", scope)
    remedy = {"+": "v.assign_add(...)", "-": "v.assign_sub(...)"}
    remedy = remedy.get(sign, f"v.assign(v {sign} ...)")
    assert str(error.value) == (
        f"v {sign}= ... on a Variable: the name would stand for a tensor from then on, and the "
        f"Variable stay as it was; write {remedy}, or v = v {sign} ... for a tensor"
    )
    assert scope["v"] is v and v.numpy().tolist() == [1, 2]
