"""numpy_function: opaque and honest, eagerly, in functions, and where it is not wanted."""

import gc
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import CallbackError, GradientError, SpecError, UncompilableError
from tests.unit.modes import both, same, words

F32, F64 = mg.float32, mg.float64


def test_the_documented_example() -> None:
    @mg.function(input_signature=[mg.TensorSpec(None, mg.float32)])
    def f(x: Any) -> Any:
        y = mg.numpy_function(np.sinh, [x], mg.float32)
        return y * y

    assert repr(f(mg.constant(1.0))) == "<mg.Tensor: shape=(), dtype=float32, numpy=1.3810978>"
    same(f(mg.ones((2, 2))), np.full((2, 2), np.sinh(1.0) ** 2))
    assert f.trace_count == 1


# what the body gets


@both
def test_the_body_gets_read_only_arrays_and_never_scalars(mode: Any) -> None:
    seen: list[Any] = []

    def body(*xs: Any) -> Any:
        seen.extend((type(x), x.shape, str(x.dtype), x.flags.writeable) for x in xs)
        return xs[0]

    f = mode(lambda x: mg.numpy_function(body, [x, 1.5, 2, np.float64(3), mg.sum(x)], F32))
    f(mg.ones((2, 1)))
    shapes = [((2, 1), "float32"), ((), "float32"), ((), "int32"), ((), "float64"), ((), "float32")]
    assert seen == [(np.ndarray, shape, dtype, False) for shape, dtype in shapes]


@both
def test_writing_into_an_argument_raises_and_changes_nothing(mode: Any) -> None:
    x, v = mg.ones(2), mg.Variable([1.0, 2.0])

    def body(a: Any) -> Any:
        a += 1
        return a

    for given in (x, v):
        with pytest.raises(ValueError, match="read-only"):
            mode(lambda given=given: mg.numpy_function(body, [given], F32))()
    same([x, v], [np.ones(2), np.array([1.0, 2.0])])


@both
def test_a_buffer_that_the_body_reuses_does_not_change_earlier_results(mode: Any) -> None:
    buffer = np.zeros(2, np.float32)

    def body(a: Any) -> Any:
        buffer[:] = a
        return buffer

    f = mode(lambda x: mg.numpy_function(body, [x], F32))
    first = f(mg.ones(2))
    second = f(mg.ones(2) * 5)
    buffer[:] = 9
    same([first, second], [np.ones(2), np.full(2, 5.0)])


@both
def test_an_argument_that_is_returned_or_kept_does_not_tie_tensors_together(mode: Any) -> None:
    kept: list[Any] = []
    f = mode(lambda x: mg.numpy_function(lambda a: kept.append(a) or a, [x], F32) + 1)
    v = mg.Variable([1.0, 2.0])
    y = f(v.value())
    v.assign([5.0, 6.0])
    same([y, kept[0]], [np.array([2.0, 3.0]), np.array([1.0, 2.0])])


# Tout


@dataclass
class Pair:
    first: Any
    second: Any


@both
@pytest.mark.parametrize(
    ("tout", "body", "expected"),
    [
        (F32, lambda a: a * 2, 4.0),
        ([F32], lambda a: [a], [2.0]),
        ([F32], lambda a: a, [2.0]),
        ((F32, mg.int32), lambda a: (a, np.array(3, np.int32)), (2.0, 3)),
        ([F32, F32], lambda a: (a, a), [2.0, 2.0]),
        ({"a": F32}, lambda a: {"a": a}, {"a": 2.0}),
        (Pair(F32, F32), lambda a: Pair(a, a * 2), Pair(2.0, 4.0)),
        (mg.TensorSpec((None,), F32), lambda a: np.array([a, a]), np.array([2.0, 2.0])),
        ([], lambda a: None, []),
        ([], lambda a: [], []),
        (F32, lambda a: 7, 7.0),
        (mg.bool, lambda a: True, True),
        (F32, lambda a: [1.0, 2.0], np.array([1.0, 2.0], np.float32)),
        (mg.complex64, lambda a: ((1, 2.5),), np.array([[1, 2.5]], np.complex64)),
        (F32, lambda a: a.astype(np.float32).item(), 2.0),
        (mg.complex64, lambda a: 1j, 1j),
        (F32, lambda a: mg.constant(5.0), 5.0),
    ],
)
def test_results_come_in_the_nest_of_tout(mode: Any, tout: Any, body: Any, expected: Any) -> None:
    found = mode(lambda x: mg.numpy_function(body, [x], tout))(mg.constant(2.0))
    same(found, expected)


@both
@pytest.mark.parametrize(
    ("tout", "body", "message"),
    [
        (F32, lambda a: a.astype(np.float64), r"float32\[\.\.\.\], and float64\[\] as result 0"),
        (F32, lambda a: (a, a), "one value, and a tuple of 2"),
        ([F32, F32], lambda a: a, "2 nested as"),
        ([F32, F32], lambda a: [a, a, a], "and 3 values nested as"),
        ([], lambda a: a, "declares nothing, and a ndarray came"),
        (F32, lambda a: None, "None as result 0"),
        (mg.int32, lambda a: 1.5, r"declares int32\[\.\.\.\], and 1\.5 as result 0"),
        (mg.int32, lambda a: [1, 1.5], r"declares int32\[\.\.\.\], and \[1, 1\.5\] as result 0"),
        (F32, lambda a: [[1.0], [1.0, 2.0]], r"\[\[1\.0\], \[1\.0, 2\.0\]\] as result 0"),
        (mg.TensorSpec((3,), F32), lambda a: a, r"declares float32\[3\], and float32\[\]"),
        (F32, lambda a: "text", "str as result 0"),
        (F32, lambda a: np.array(["text"]), "ndarray as result 0"),
        (F32, lambda a: np.array([None]), "ndarray as result 0"),
        (F32, lambda a: np.array(["2020-01-01"], "M8[D]"), "ndarray as result 0"),
        (F32, lambda a: object(), "object as result 0"),
    ],
)
def test_what_tout_does_not_declare_is_refused(
    mode: Any, tout: Any, body: Any, message: str
) -> None:
    with pytest.raises(CallbackError, match=message):
        mode(lambda x: mg.numpy_function(body, [x], tout))(mg.constant(2.0))


@both
def test_the_message_of_a_wrong_dtype_ends_with_the_cast_to_write(mode: Any) -> None:
    def halved(a: Any) -> Any:
        return a / np.float64(2)

    with pytest.raises(CallbackError) as error:
        mode(lambda x: mg.numpy_function(halved, [x], F32))(mg.ones(3))
    assert words(error.value) == (
        "numpy_function of halved (test_numpy_function.py:LINE): Tout declares float32[...], and "
        "float64[3] as result 0 came: the result must be what is declared, in number, dtype and "
        "shape; return y.astype(np.float32), or declare it (called at test_numpy_function.py:LINE)"
    )


def test_what_is_no_callable_or_declares_nothing_is_refused() -> None:
    with pytest.raises(SpecError, match=r"numpy_function of int 3: .* mg\.numpy_function\(f, "):
        mg.numpy_function(3, [1.0], F32)  # type: ignore[call-overload]
    with pytest.raises(SpecError, match="no Tout was given"):
        mg.numpy_function(np.sin, [1.0])


@both
def test_decorator_forms(mode: Any) -> None:
    @mg.numpy_function(Tout=F32)
    def hypotenuse(a: Any, b: Any) -> Any:
        return np.hypot(a, b)

    class Model:
        scale = np.float32(3)

        @mg.numpy_function(Tout=F32, stateful=False)
        def call(self, a: Any) -> Any:
            return a * self.scale

    model = Model()
    f = mode(lambda x, y: (hypotenuse(x, y), model.call(x)))
    same(f(mg.constant(3.0), mg.constant(4.0)), (5.0, 9.0))


# exceptions


@both
def test_an_exception_arrives_as_itself_with_the_place_of_the_call(mode: Any) -> None:
    raised = KeyError("boom")

    def body(a: Any) -> Any:
        raise raised

    x = mg.constant(2.0)
    f = mode(lambda x: mg.numpy_function(body, [x], F32, name="risky"))
    with mg.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(KeyError) as error:
            f(x)
        y = x * x
    assert error.value is raised
    note = "raised in numpy_function 'risky', called at test_numpy_function.py:LINE"
    assert note in [words(line) for line in raised.__notes__]
    assert tape.gradient(y, x).item() == 4


# gradients


@both
def test_the_gradient_is_none_and_explain_names_op_and_line(mode: Any) -> None:
    f = mode(lambda x: mg.numpy_function(np.sinh, [x], F32) * 2.0 + x)
    x, w = mg.constant([1.0, 2.0]), mg.constant([1.0, 2.0])
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([x, w])
        y = f(w) + x
        z = mg.numpy_function(np.sinh, [w], F32)
    same(tape.gradient(y, [x, w]), [np.ones(2), np.ones(2)])
    assert tape.gradient(z, w) is None
    same(tape.gradient(z, w, unconnected_gradients="zero"), np.zeros(2))
    found = tape.explain(z, w)
    assert (found.connected, found.kind, found.op) == (False, "opaque", "sinh")
    assert found.where.startswith(__file__) and "mg.custom_gradient" in found.remedy


def test_the_words_of_explain_and_of_raise() -> None:
    @mg.function
    def f(x: Any) -> Any:
        return mg.exp(mg.numpy_function(np.sinh, [x * 2.0], F32))

    x = mg.constant(1.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    expected = (
        "the gradient is None: the path is cut by sinh at test_numpy_function.py:LINE (opaque): "
        "its body is NumPy code, which minigrad cannot see into; write the body with minigrad's "
        "functions and use mg.py_function, or give it a derivative with mg.custom_gradient"
    )
    assert words(tape.explain(y, x)) == expected
    with pytest.raises(GradientError) as error:
        tape.gradient(y, x, unconnected_gradients="raise")
    assert words(error.value) == expected


@both
def test_custom_gradient_gives_it_one_to_the_second_order(mode: Any) -> None:
    runs: list[int] = []

    @mg.custom_gradient
    def sinh(x: Any) -> Any:
        y = mg.numpy_function(lambda a: runs.append(1) or np.sinh(a), [x], F64)
        return y, lambda g: g * mg.cosh(x)

    x = mg.constant([0.5, 1.0], F64)
    f = mode(lambda x: sinh(x) * 3.0)
    with mg.GradientTape() as second:
        second.watch(x)
        with mg.GradientTape() as first:
            first.watch(x)
            y = f(x)
        dx = first.gradient(y, x)
    v = x.numpy()
    same([y, dx, second.gradient(dx, x)], [3 * np.sinh(v), 3 * np.cosh(v), 3 * np.sinh(v)])
    assert len(runs) == 1


# effects


def test_a_stateful_call_runs_every_time_in_program_order_and_is_never_merged() -> None:
    log: list[Any] = []
    v = mg.Variable(0.0)

    def note(a: Any) -> Any:
        log.append((a.item(), v.numpy().item()))
        return a

    @mg.function
    def f(x: Any) -> Any:
        mg.numpy_function(note, [x], F32)
        v.assign_add(1.0)
        mg.numpy_function(note, [x], F32)
        mg.numpy_function(note, [mg.constant(7.0)], F32)
        v.assign_add(1.0)
        return mg.numpy_function(note, [x], F32)

    for n in range(3):
        f(mg.constant(1.0))
        assert log == [(1.0, 2 * n), (1.0, 2 * n + 1), (7.0, 2 * n + 1), (1.0, 2 * n + 2)]
        log.clear()


def counting(runs: list[Any]) -> Any:
    def body(*arrays: Any) -> Any:
        runs.append([a.tolist() for a in arrays])
        return sum(arrays)

    return body


def test_stateless_calls_are_merged_dropped_and_folded_in_graphs() -> None:
    merged, dropped, folded, apart = [], [], [], []  # type: ignore[var-annotated]
    bodies = [counting(runs) for runs in (merged, dropped, folded, apart)]

    @mg.function
    def f(x: Any) -> Any:
        pure = {"Tout": F32, "stateful": False}
        a = mg.numpy_function(bodies[0], [x], **pure)
        b = mg.numpy_function(bodies[0], [x], **pure)
        mg.numpy_function(bodies[1], [x], **pure)
        c = mg.numpy_function(bodies[2], [mg.constant([1.0, 2.0]), 3.0], **pure)
        d = mg.numpy_function(bodies[3], [x], **pure)
        e = mg.numpy_function(bodies[3], [x * 2], **pure)
        return a + b + c + d + e

    for n in (1, 2, 3):
        same(f(mg.ones(2)), np.array([9.0, 10.0]))
        assert (len(merged), len(dropped), len(folded), len(apart)) == (n, 0, 1, 2 * n)


def test_a_stateless_call_that_fails_on_constants_fails_when_it_runs() -> None:
    def body(a: Any) -> Any:
        raise ZeroDivisionError

    f = mg.function(lambda: mg.numpy_function(body, [mg.constant(1.0)], F32, stateful=False))
    f.get_concrete_function()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            f()


def test_eagerly_each_call_runs_whether_stateful_or_not() -> None:
    runs: list[Any] = []
    for _ in range(2):
        mg.numpy_function(counting(runs), [1.0], F32, stateful=False)
    assert len(runs) == 2


def test_the_body_may_call_minigrad_and_runs_on_the_calling_thread() -> None:
    inner = mg.function(lambda x: x * 3)
    threads = []

    def body(a: Any) -> Any:
        threads.append(threading.get_ident())
        assert mg.executing_eagerly()
        return inner(mg.constant(a)).numpy()

    f = mg.function(lambda x: mg.numpy_function(body, [x], F32))
    same(f(mg.constant(2.0)), 6.0)
    assert threads == [threading.get_ident()]


@both
def test_ops_in_the_body_are_not_followed_by_tapes(mode: Any) -> None:
    w = mg.Variable(3.0)
    f = mode(lambda x: mg.numpy_function(lambda a: (mg.constant(a) * w).numpy(), [x], F32))
    with mg.GradientTape(persistent=True) as tape:
        y = f(mg.constant(2.0))
    same(y, 6.0)
    assert tape.gradient(y, w) is None


def test_a_dropped_function_frees_the_body() -> None:
    class Token:
        def __call__(self, a: Any) -> Any:
            return a

    def used() -> weakref.ref[Token]:
        token = Token()
        f = mg.function(lambda x: mg.numpy_function(token, [x], F32))
        f(mg.constant(2.0))
        mg.numpy_function(token, [1.0], F32)
        mg.function(lambda x: mg.numpy_function(token, [x], F32, stateful=False))(1.0)
        return weakref.ref(token)

    alive = used()
    gc.collect()
    assert alive() is None


# not compilable


def test_compiled_functions_reject_every_such_node_before_anything_runs() -> None:
    runs: list[Any] = []
    v = mg.Variable(0.0)

    def first(a: Any) -> Any:
        runs.append(1)
        return a

    @mg.function
    def inner(x: Any) -> Any:
        return mg.numpy_function(first, [x], F32)

    @mg.function(jit_compile=True)
    def step(x: Any) -> Any:
        v.assign(1.0)
        mg.py_function(lambda x: mg.numpy_function(first, [x], F32, name="third"), [x], F32)
        return inner(x) + mg.numpy_function(np.sinh, [x], F32, name="second")

    for _ in range(2):
        with pytest.raises(UncompilableError) as error:
            step(mg.constant(1.0))
    assert (runs, v.numpy()) == ([], 0)
    here = "test_numpy_function.py:LINE"
    assert words(error.value) == (
        "function step was to be compiled (jit_compile=True), and 3 nodes have no compiled form:\n"
        f"  third at {here} (defined at {here}): its body is NumPy code, which minigrad cannot "
        "see into\n"
        f"  first at {here} (defined at {here}): its body is NumPy code, which minigrad cannot "
        "see into\n"
        f"  second at {here}: its body is NumPy code, which minigrad cannot see into\n"
        "compiled code cannot call back into NumPy, so nothing was run. Ways out: write the body "
        "with minigrad's functions, directly or in mg.py_function, which is traced and fused; "
        "call it outside of the compiled function; or leave jit_compile=True out"
    )


def test_a_concrete_function_with_python_in_it_is_rejected_by_a_compiled_one() -> None:
    runs: list[Any] = []
    plain = mg.function(lambda x: mg.py_function(lambda x: runs.append(1) or x * 2, [x], F32))
    concrete = plain.get_concrete_function(mg.TensorSpec((), F32))
    outer = mg.function(lambda x: concrete(x) + 1, jit_compile=True)
    with pytest.raises(UncompilableError, match="1 node has no compiled form"):
        outer(mg.constant(1.0))
    assert runs == []


def test_capability_report_runs_no_callback() -> None:
    runs: list[Any] = []

    @mg.function
    def f(x: Any) -> Any:
        return mg.exp(x) + mg.numpy_function(counting(runs), [x], F32, name="opaque_one")

    report = f.capability_report(mg.ones(2))
    lines = {line.split()[0]: line for line in report.splitlines()}
    assert "blocks" in lines["opaque_one"] and "test_numpy_function.py:" in lines["opaque_one"]
    assert "compiles" in lines["exp"] and runs == []


def test_branches_and_loops_are_searched_for_what_cannot_be_compiled() -> None:
    def opaque(x: Any) -> Any:
        return mg.numpy_function(np.sinh, [x], mg.TensorSpec((), F32), name="hidden")

    @mg.function(jit_compile=True)
    def f(x: Any) -> Any:
        return mg.cond(x > 0, lambda: opaque(x), lambda: x)

    with pytest.raises(UncompilableError, match=r"1 node has no compiled form:\n  hidden at"):
        f(mg.constant(1.0))
