"""What `jit_compile=True` promises: all of it compiles, for each shape, with its gradients."""

import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import TraceError, UncompilableError
from tests.unit.modes import both, same, words

F32 = mg.float32
UNKNOWN = [mg.TensorSpec((None,), F32)]


def test_a_decision_on_a_value_in_a_compiled_body_names_its_line() -> None:
    def body(x: Any) -> Any:
        if x > 0:
            return x
        return -x

    f = mg.function(lambda x: mg.py_function(body, [x], F32), jit_compile=True)
    with pytest.raises(TraceError, match=r"write mg\.cond or mg\.where") as caught:
        f(mg.constant(1.0))
    assert "made at test_compiled.py:LINE" in words(caught.value)
    line = body.__code__.co_firstlineno + 1
    assert f"test_compiled.py:{line})" in str(caught.value)


def test_a_compiled_function_of_unknown_dims_is_traced_once_and_compiled_for_each_shape() -> None:
    f = mg.function(lambda x: mg.sin(x) * 2, jit_compile=True, input_signature=UNKNOWN)
    for n in (0, 1, 3, 8, 3):
        x = np.arange(n, dtype=np.float32)
        same(f(x), np.sin(x) * 2)
        assert n == 0 or f"float32[{n}]" in f.compiler_ir(x, stage="loops")
    assert f.trace_count == 1


def test_the_gradient_of_a_compiled_function_is_compiled() -> None:
    f = mg.function(lambda x: mg.sum(mg.sin(x) * x), jit_compile=True)
    outer = mg.function(lambda x: mg.grad(f)(x)).graph_for(mg.ones(3))
    calls = [node for node in outer.nodes if node.op.name == "call"]
    assert len(calls) == 2 and all(node.attrs["jit"] for node in calls)


def test_a_python_body_is_fused_with_what_is_around_it() -> None:
    def f(x: Any) -> Any:
        return mg.py_function(lambda y: mg.exp(y) * y, [mg.sin(x)], F32) + 1.0

    fused = mg.function(f, jit_compile=True).compiler_ir(mg.ones(4), stage="loops")
    assert fused.count("->") == 1 and all(name in fused for name in ("sin", "exp", "add"))


def test_every_stage_of_the_compiler_can_be_read() -> None:
    f = mg.function(lambda x: mg.sum(mg.tanh(x) * x), jit_compile=True)
    signs = {
        "traced": "reduce_sum(",
        "optimized": "reduce_sum(",
        "fused": "tanh",
        "loops": "for ",
        "llvm": "define ",
        "assembly": "ret",
    }
    for stage, sign in signs.items():
        assert sign in f.compiler_ir(mg.ones(8), stage=stage)


def test_what_does_not_compile_is_refused_before_the_first_effect() -> None:
    v = mg.Variable(1.0)

    @mg.function(jit_compile=True)
    def f(x: Any) -> Any:
        v.assign(x)
        return mg.numpy_function(np.sinh, [x], F32)

    with pytest.raises(UncompilableError):
        f(mg.constant(5.0))
    same(v.value(), 1.0)


@both
@pytest.mark.parametrize("door", [mg.py_function, mg.numpy_function])
def test_bodies_run_on_the_thread_that_calls(mode: Any, door: Any) -> None:
    seen = []

    def body(x: Any) -> Any:
        seen.append(threading.current_thread())
        return x

    f = mode(lambda x: door(body, [x], F32))
    thread = threading.Thread(target=f, args=(mg.constant(1.0),))
    thread.start()
    thread.join()
    f(mg.constant(1.0))
    assert seen == [thread, threading.current_thread()]


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc"])
def test_what_is_constant_in_pieces_has_no_gradient(name: str) -> None:
    x = mg.constant(1.5)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = getattr(mg, name)(x)
        z = mg.astype(x > 1, F32) * mg.astype(mg.argmax(mg.stack([x, x])), F32)
    assert tape.gradient(y, x) is None
    assert tape.gradient(z, x) is None
    assert "no derivative" in str(tape.explain(y, x)) or "constant" in str(tape.explain(y, x))


def test_sign_has_the_gradient_zero() -> None:
    same(mg.grad(mg.sign)(mg.constant(1.5)), 0.0)


@pytest.mark.parametrize("kind", ["fori_loop", "while_loop", "scan", "map", "cond"])
def test_a_variable_that_a_body_uses_by_name_may_be_assigned_afterwards(kind: str) -> None:
    """The step of every recurrent network: weights in the loop, and an optimizer behind it."""

    def body(w: mg.Variable, x: Any) -> Any:
        match kind:
            case "fori_loop":
                return mg.fori_loop(0, 3, lambda i, y: y * w, x)
            case "while_loop":
                return mg.while_loop(lambda y: mg.sum(y) < 50.0, lambda y: (y * w,), (x,))[0]
            case "scan":
                return mg.scan(lambda c, v: (c * w + v, c), x[0], x)[1]
            case "map":
                return mg.map(lambda v: v * w, x)
        return mg.cond(mg.sum(x) > 0, lambda: x * w, lambda: x)

    def trained(mode: Any) -> list[Any]:
        w, optimizer = mg.Variable(2.0), mg.optimizers.Adam(0.1)

        @mode
        def step(x: Any) -> Any:
            with mg.GradientTape() as tape:
                loss = mg.sum(body(w, x) ** 2)
            optimizer.apply_gradients([(tape.gradient(loss, w), w)])
            return loss

        x = mg.constant([1.0, 0.5, 0.25])
        return [*[step(x).item() for _ in range(3)], w.numpy()]

    expected = trained(lambda f: f)
    np.testing.assert_allclose(trained(mg.function), expected, rtol=1e-5)
    np.testing.assert_allclose(trained(mg.function(jit_compile=True)), expected, rtol=1e-5)


def test_the_report_of_what_compiles_says_of_loops_what_the_compiler_makes_of_them() -> None:
    x = mg.ones(4)
    loops = {
        "compiles": lambda x: mg.fori_loop(0, 5, lambda i, y: mg.sin(y) * 2, x),
        "runs its rounds one by one, compiled but for the library calls in them": (
            lambda x: mg.fori_loop(0, 5, lambda i, y: mg.sort(y) * 2, x)
        ),
        "runs the branch that is chosen, compiled": (
            lambda x: mg.cond(mg.sum(x) > 0, lambda: mg.sin(x), lambda: x)
        ),
    }
    for verdict, body in loops.items():
        f = mg.function(body, jit_compile=True)
        lines = f.capability_report(x).splitlines()
        (line,) = [line for line in lines if line.startswith(("loop", "switch"))]
        assert verdict in line
        text = f.compiler_ir(x, stage="fused")
        assert ("native_loop(" in text) == (verdict == "compiles")
        assert "library call: loop" not in text
