"""py_function: any Python, run once, in its place among effects; still a tensor's function."""

import gc
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import CallbackError, SpecError, TraceError
from tests.unit.modes import both, same, words

F32 = mg.float32
ONE = mg.TensorSpec((), F32)


def where() -> str:
    """How this file and a line number stand in a message."""
    return "test_py_function.py:LINE"


# what the body gets


@both
def test_the_body_gets_tensors_and_may_decide_on_their_values(mode: Any) -> None:
    def signed_square(x: Any) -> Any:
        assert isinstance(x, mg.Tensor)
        if x > 0:
            return x * x
        return -x * x

    f = mode(lambda x: mg.py_function(signed_square, [x], F32))
    same([f(mg.constant(3.0)), f(mg.constant(-3.0))], [9.0, -9.0])


@both
def test_python_numbers_become_float32_and_int32(mode: Any) -> None:
    seen: list[Any] = []

    def body(*xs: Any) -> Any:
        seen.extend((x.shape, str(x.dtype)) for x in xs)
        return xs[0]

    mode(lambda: mg.py_function(body, [1.5, 2, True, np.float64(1), [1.0, 2.0]], F32))()
    assert seen == [
        ((), "float32"),
        ((), "int32"),
        ((), "bool"),
        ((), "float64"),
        ((2,), "float32"),
    ]


@both
def test_a_bare_tensor_is_one_input_and_an_empty_list_is_none(mode: Any) -> None:
    x = mg.constant([1.0, 2.0])
    same(mode(lambda x: mg.py_function(lambda y: y * 2, x, F32))(x), np.array([2.0, 4.0]))
    same(mode(lambda: mg.py_function(lambda: mg.constant(3.0), [], F32))(), 3.0)


@both
def test_variables_in_inp_come_as_tensors_and_have_their_gradient(mode: Any) -> None:
    v = mg.Variable(3.0)
    f = mode(lambda x: mg.py_function(lambda x, w: x * w * w, [x, v], F32))
    with mg.GradientTape() as tape:
        y = f(mg.constant(2.0))
    same(tape.gradient(y, v), 12.0)


# Tout


@dataclass
class Pair:
    first: Any
    second: Any


@both
@pytest.mark.parametrize(
    ("tout", "body", "expected"),
    [
        (F32, lambda x: x, 2.0),
        ("float32", lambda x: x, 2.0),
        ([F32], lambda x: [x], [2.0]),
        ([F32], lambda x: x, [2.0]),
        ((F32, F32), lambda x: (x, x * 2), (2.0, 4.0)),
        ([F32, F32], lambda x: (x, x * 2), [2.0, 4.0]),
        ((F32, mg.int32), lambda x: [x, mg.constant(7)], (2.0, 7)),
        ({"a": F32, "b": [F32]}, lambda x: {"a": x, "b": [x * 2]}, {"a": 2.0, "b": [4.0]}),
        (Pair(F32, ONE), lambda x: Pair(x, x * 2), Pair(2.0, 4.0)),
        (mg.TensorSpec((None,), F32), lambda x: mg.stack([x, x]), np.array([2.0, 2.0])),
        (mg.TensorSpec((2,), F32), lambda x: mg.stack([x, x]), np.array([2.0, 2.0])),
        ([], lambda x: None, []),
        ([], lambda x: [], []),
        ([], lambda x: (), []),
        (F32, lambda x: 5, 5.0),
        (mg.int32, lambda x: 5, 5),
        (F32, lambda x: np.float32(5), 5.0),
        (F32, lambda x: mg.Variable(5.0), 5.0),
    ],
)
def test_results_come_in_the_nest_of_tout(mode: Any, tout: Any, body: Any, expected: Any) -> None:
    found = mode(lambda x: mg.py_function(body, [x], tout))(mg.constant(2.0))
    same(found, expected)


@both
def test_a_scalar_of_python_takes_the_declared_dtype(mode: Any) -> None:
    found = mode(lambda: mg.py_function(lambda: (1, 2.5), [], (mg.float64, mg.float64)))()
    assert [y.dtype for y in found] == [mg.float64, mg.float64]


@both
@pytest.mark.parametrize(
    ("tout", "body", "message"),
    [
        (F32, lambda x: (x, x), r"declares float32\[\.\.\.\].*tuple of 2|one value.*tuple of 2"),
        ([F32, F32], lambda x: x, "2 nested as"),
        ([F32, F32], lambda x: [x], "2 nested as"),
        ([F32, F32], lambda x: [x, x, x], "2 nested as.* and 3 values"),
        ([], lambda x: x, "declares nothing"),
        (F32, lambda x: None, "None"),
        ([F32, F32], lambda x: [x, None], "None as result 1"),
        (F32, lambda x: mg.astype(x, mg.float64), r"float32.*and float64\[\] as result 0 came"),
        (F32, lambda x: np.float64(1), r"and float64\[\] as result 0 came"),
        (mg.int32, lambda x: 2.5, r"declares int32.*2\.5"),
        (mg.TensorSpec((2,), F32), lambda x: x, r"declares float32\[2\], and float32\[\]"),
        (mg.TensorSpec((None,), F32), lambda x: x, r"declares float32\[\?\], and float32\[\]"),
        (F32, lambda x: "text", "str"),
        (F32, lambda x: {"a": x}, "one value|1 values nested|dict"),
        ({"a": F32}, lambda x: {"b": x}, "nested as"),
    ],
)
def test_what_tout_does_not_declare_is_refused(
    mode: Any, tout: Any, body: Any, message: str
) -> None:
    with pytest.raises(CallbackError, match=message):
        mode(lambda x: mg.py_function(body, [x], tout))(mg.constant(2.0))


@both
def test_the_message_of_a_broken_declaration(mode: Any) -> None:
    def doubled(x: Any) -> Any:
        return mg.astype(x, mg.float64) * 2

    with pytest.raises(CallbackError) as error:
        mode(lambda x: mg.py_function(doubled, [x], F32))(mg.ones(3))
    assert words(error.value) == (
        f"py_function of doubled ({where()}): Tout declares float32[...], and float64[3] as "
        "result 0 came: the result must be what is declared, in number, dtype and shape; return "
        f"mg.astype(y, mg.float32), or declare it (called at {where()})"
    )


@both
def test_a_missing_or_wrong_declaration_is_refused(mode: Any) -> None:
    with pytest.raises(SpecError, match="no Tout was given: what comes back must be declared"):
        mode(lambda x: mg.py_function(lambda x: x, [x]))(1.0)
    with pytest.raises(SpecError, match="a dtype was needed and 'floaty' came"):
        mode(lambda x: mg.py_function(lambda x: x, [x], "floaty"))(1.0)
    with pytest.raises(SpecError, match="py_function of int 3: a callable is called"):
        mode(lambda x: mg.py_function(3, [x], F32))(1.0)
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        mg.py_function(lambda x: x, [1.0], F32, stateful=True)  # type: ignore[call-overload]


def test_a_static_shape_of_tout_is_known_while_tracing() -> None:
    shapes = []

    @mg.function
    def f(x: Any) -> Any:
        y = mg.py_function(lambda x: x, [x], mg.TensorSpec((2, None), F32))
        z = mg.py_function(lambda x: x, [x], F32)
        shapes.extend([y.shape, z.shape])
        return y + z

    f(mg.ones((2, 2)))
    assert shapes == [(2, None), None]


# decorators


@both
def test_decorator_forms(mode: Any) -> None:
    @mg.py_function(Tout=F32)
    def product(x: Any, y: Any) -> Any:
        """Product of two."""
        return x * y

    @mg.py_function(Tout=(F32, F32), name="both")
    def swapped(x: Any, y: Any) -> Any:
        return y, x

    wrapped = mg.py_function(lambda x: -x, Tout=F32)
    x, y = mg.constant(2.0), mg.constant(3.0)
    f = mode(lambda x, y: (product(x, y), swapped(x, y), wrapped(x)))
    same(f(x, y), (6.0, (3.0, 2.0), -2.0))
    assert (product.__name__, product.__doc__) == ("product", "Product of two.")


@both
def test_a_decorated_method_gets_its_instance(mode: Any) -> None:
    class Model:
        def __init__(self) -> None:
            self.w = mg.Variable(3.0)

        @mg.py_function(Tout=F32)
        def call(self, x: Any) -> Any:
            return x * self.w

    model = Model()
    with mg.GradientTape() as tape:
        y = mode(lambda x: model.call(x))(mg.constant(2.0))
    same((y, tape.gradient(y, model.w)), (6.0, 2.0))


# exceptions


@both
def test_an_exception_arrives_as_itself_with_the_place_of_the_call(mode: Any) -> None:
    raised = ValueError("boom")

    def body(x: Any) -> Any:
        raise raised

    f = mode(lambda x: mg.py_function(body, [x], F32, name="risky"))
    for _ in range(2):
        with pytest.raises(ValueError) as error:
            f(mg.constant(1.0))
        assert error.value is raised
    notes = [words(note) for note in raised.__notes__]
    assert notes[0] == f"raised in py_function 'risky', called at {where()}"
    assert len(notes) <= 2, "the same note is not added at every run"


def test_a_decision_on_values_in_a_compiled_function_is_told_that_the_body_is_traced() -> None:
    def leaky(x: Any) -> Any:
        return x if x > 0 else 0.1 * x

    f = mg.function(lambda x: mg.py_function(leaky, [x], F32), jit_compile=True)
    with pytest.raises(TraceError) as error:
        f(mg.constant(1.0))
    assert [words(note) for note in error.value.__notes__] == [
        f"raised in py_function 'leaky', called at {where()}; a compiled function traces the body "
        "as if it stood there, so it has no values either; in a function without jit_compile=True "
        "it runs as Python"
    ]


@both
def test_an_error_of_an_op_in_the_body_is_that_of_the_op(mode: Any) -> None:
    f = mode(lambda x: mg.py_function(lambda x: x + mg.ones(4), [x], F32))
    with pytest.raises(SpecError, match=r"^add: float32\[3\] and float32\[4\] do not broadcast"):
        f(mg.ones(3))


@both
def test_an_exception_leaves_the_context_clean(mode: Any) -> None:
    def body(x: Any) -> Any:
        x * x
        raise ZeroDivisionError

    x = mg.constant(3.0)
    f = mode(lambda x: mg.py_function(body, [x], F32))
    with mg.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(ZeroDivisionError):
            f(x)
        y = x * x
    assert mg.executing_eagerly()
    assert tape.gradient(y, x).item() == 6
    assert mg.function(lambda x: x * 2)(x).item() == 6


@both
def test_keyboard_interrupts_pass(mode: Any) -> None:
    def body(x: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mode(lambda x: mg.py_function(body, [x], F32))(mg.constant(3.0))
    assert mg.executing_eagerly()


# effects


def test_bodies_and_assignments_happen_in_program_order() -> None:
    log: list[Any] = []
    v = mg.Variable(0.0)

    def note(x: Any) -> Any:
        log.append((x.item(), float(v.numpy())))
        v.assign_add(10.0)
        return x

    @mg.function
    def f(x: Any) -> Any:
        mg.py_function(note, [x], F32)
        v.assign_add(1.0)
        mg.py_function(note, [x + 1], F32)
        mg.numpy_function(lambda a: log.append(a.item()), [x + 2], [])
        return v.value()

    same(f(mg.constant(1.0)), 21.0)
    assert log == [(1.0, 0.0), (2.0, 11.0), 3.0]


def test_a_body_runs_at_every_call_and_even_if_nothing_uses_it() -> None:
    runs: list[int] = []

    @mg.function
    def f(x: Any) -> Any:
        mg.py_function(lambda: runs.append(1), [], [])
        mg.py_function(lambda: runs.append(1), [], [])
        return x

    for n in (1, 2, 3):
        f(1.0)
        assert len(runs) == 2 * n


def test_a_body_runs_eagerly_inside_a_function() -> None:
    seen: list[bool] = []
    inner = mg.function(lambda x: x * 3)

    def body(x: Any) -> Any:
        seen.append(mg.executing_eagerly())
        return inner(x)

    same(mg.function(lambda x: mg.py_function(body, [x], F32))(mg.constant(2.0)), 6.0)
    assert seen == [True] and inner.trace_count == 1


def test_a_body_may_call_the_function_it_belongs_to() -> None:
    @mg.function
    def factorial(n: Any) -> Any:
        return mg.py_function(lambda n: n * factorial(n - 1) if n > 1 else n, [n], ONE)

    same(factorial(mg.constant(5.0)), 120.0)
    assert factorial.trace_count == 1


def test_a_traced_tensor_in_a_closure_is_refused_with_its_place() -> None:
    @mg.function
    def f(x: Any) -> Any:
        y = x * 2
        return mg.py_function(lambda z: z + y, [x], F32)

    with pytest.raises(TraceError, match=r"pass it in inp.*test_py_function\.py:\d+"):
        f(mg.constant(1.0))


def test_a_body_that_returns_a_leaked_symbol_is_refused() -> None:
    leaked: list[Any] = []
    mg.function(lambda x: leaked.append(x * 2) or x)(1.0)
    mg.function(lambda x: leaked.append(x * 2) or x)(mg.constant(1.0))
    with pytest.raises(TraceError, match="is used after that"):
        mg.py_function(lambda: leaked[-1] * 1, [], F32)
    with pytest.raises((TraceError, CallbackError)):
        mg.function(lambda: mg.py_function(lambda: leaked[-1], [], F32))()


def test_results_do_not_share_memory_that_the_body_can_write() -> None:
    buffer = np.zeros(2, np.float32)

    def body(x: Any) -> Any:
        buffer[:] = x.numpy()
        return buffer

    for f in (
        lambda x: mg.py_function(body, [x], F32),
        mg.function(lambda x: mg.py_function(body, [x], F32)),
    ):
        first = f(mg.ones(2))
        second = f(mg.ones(2) * 5)
        same([first, second], [np.ones(2), np.full(2, 5.0)])


def test_a_dropped_function_frees_the_body() -> None:
    class Token:
        def __call__(self, x: Any) -> Any:
            return x * x

    def used() -> weakref.ref[Token]:
        token = Token()
        f = mg.function(lambda x: mg.py_function(token, [x], F32))
        x = mg.constant(2.0)
        with mg.GradientTape() as tape:
            tape.watch(x)
            assert tape.gradient(f(x), x).item() == 4
        mg.py_function(token, [x], F32)
        return weakref.ref(token)

    alive = used()
    gc.collect()
    assert alive() is None
