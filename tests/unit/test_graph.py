"""Graphs: traced, closed over what they use, evaluated; and contexts that come and go."""

import linecache
import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.op import CONTEXT, EAGER, using
from minigrad.core.spec import Spec
from minigrad.core.tensor import Symbol
from minigrad.errors import SpecError, TraceError
from minigrad.graph import Graph, Tracer, close, evaluate, trace
from minigrad.passes.verify import verify
from tests.unit.modes import same

FLOATS = Spec((2,), np.float32)


def test_a_trace_writes_nodes_and_computes_nothing() -> None:
    w = mg.constant([3.0, 4.0])
    v = mg.Variable([5.0, 6.0])

    def body(x: Any, y: Any) -> Any:
        assert not mg.executing_eagerly()
        return [x * w + v, y, w]

    graph, tracer = trace(body, [FLOATS, FLOATS], "f")
    assert mg.executing_eagerly() and not tracer.open
    assert [node.op.name for node in graph.nodes] == ["multiply", "read_variable", "add"]
    assert (len(graph.arguments), graph.captures) == (2, (w, v.cell))
    assert graph.outputs[1] is graph.inputs[1] and graph.outputs[2] is graph.inputs[2]
    assert all(type(x) is Symbol for x in (*graph.inputs, *graph.outputs))
    verify(graph)
    x, y = mg.ones(2), mg.zeros(2)
    same(evaluate(graph, [x, y, w, v.cell]), (np.array([8.0, 10.0]), np.zeros(2), w))


def test_nodes_know_the_line_of_the_user() -> None:
    graph, _ = trace(lambda x: [mg.sum(x * 2)], [FLOATS])
    assert {node.where.code.co_filename for node in graph.nodes} == {__file__}
    (line,) = {node.where.line for node in graph.nodes}
    assert "mg.sum(x * 2)" in linecache.getline(__file__, line)


def test_evaluating_copies_under_a_trace_and_is_recorded_under_a_tape() -> None:
    graph, _ = trace(lambda x: [mg.exp(x) * x], [FLOATS])
    copy, _ = trace(lambda x: list(evaluate(graph, [x])), [FLOATS])
    assert [n.op for n in copy.nodes] == [n.op for n in graph.nodes]
    assert not set(copy.outputs) & set(graph.outputs)
    x = mg.constant([1.0, 2.0])
    with mg.GradientTape() as tape:
        tape.watch(x)
        (y,) = evaluate(graph, [x])
    e = np.exp([1.0, 2.0])
    same(tape.gradient(y, x), e * np.array([2.0, 3.0]))


def test_a_symbol_of_an_outer_trace_is_captured_by_the_inner() -> None:
    inner: list[Graph] = []

    def outer(x: Any) -> Any:
        y = x * 2
        graph, _ = trace(lambda z: [z + y], [FLOATS])
        inner.append(graph)
        assert graph.captures == (y,)
        return evaluate(graph, [x, *graph.captures])

    graph, _ = trace(outer, [FLOATS])
    verify(graph)
    same(evaluate(graph, [mg.ones(2)]), (np.full(2, 3.0),))
    with pytest.raises(TraceError, match="is used after that"):
        evaluate(inner[0], [mg.ones(2), *inner[0].captures])


def test_an_exception_in_a_body_closes_the_trace() -> None:
    tracers: list[Any] = []

    def body(x: Any) -> Any:
        tracers.append(CONTEXT.get().interpreter)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trace(body, [FLOATS])
    assert CONTEXT.get().interpreter is EAGER and not tracers[0].open


def test_a_context_is_put_back_whatever_happens_inside() -> None:
    before = CONTEXT.get()
    with pytest.raises(ZeroDivisionError):
        with using(Tracer("t"), ()):
            raise ZeroDivisionError
    assert CONTEXT.get() is before


def test_another_thread_runs_eagerly_while_this_one_traces() -> None:
    seen: list[bool] = []

    def body(x: Any) -> Any:
        thread = threading.Thread(target=lambda: seen.append(mg.executing_eagerly()))
        thread.start()
        thread.join()
        return [x]

    trace(body, [FLOATS])
    assert seen == [True]


def test_the_arity_of_a_graph_is_held() -> None:
    graph, _ = trace(lambda x: [x], [FLOATS])
    with pytest.raises(ValueError, match="zip"):
        evaluate(graph, [])


def test_an_output_may_be_given_twice() -> None:
    tracer = Tracer("t")
    x = tracer.symbol(FLOATS)
    with using(tracer, (tracer,)):
        y = x * x
        z = y + x
    graph = close("t", [x], tracer.nodes, [z, z])
    assert graph.outputs == (z, z) and graph.captures == ()


def test_a_graph_is_freed_from_what_it_derives() -> None:
    graph, _ = trace(lambda x: [x], [FLOATS])
    other, _ = trace(lambda x: [x], [FLOATS])
    graph.cache["a"] = 1
    assert other.cache == {} and "cache" not in repr(graph)


# Variables that are made while tracing


def test_first_values_are_computed_where_they_depend_on_nothing_traced() -> None:
    state = mg.Variable(3.0)

    def body(x: Any) -> Any:
        tracer = CONTEXT.get().interpreter
        assert isinstance(tracer, Tracer)
        constant = mg.reshape(mg.ones((2, 3)) * 2.0, (3, 2))
        known = tracer.known(constant) if isinstance(constant, Symbol) else constant
        same(known, np.full((3, 2), 2.0))
        assert tracer.known(x * 1.0) is None and tracer.known(state * 1.0) is None
        return [x]

    trace(body, [FLOATS])


# what is printed


def test_a_graph_prints_as_python_that_runs() -> None:
    f = mg.function(lambda x, y: mg.exp(x) * y + 1.0, name="f")
    graph = f.graph_for(mg.ones(2), mg.constant(3.0))
    text = str(graph)
    assert text.splitlines()[0].startswith("def f(v0, v1):") and "float32[2]" in text
    assert [line.split("=")[0].strip() for line in text.splitlines()[1:4]] == ["v2", "v3", "v4"]
    for stage in ("traced", "optimized"):
        assert "exp(v0)" in f.compiler_ir(mg.ones(2), mg.constant(3.0), stage=stage)
    with pytest.raises(SpecError, match="the stages are traced, optimized, fused"):
        f.compiler_ir(mg.ones(2), 3.0, stage="machine")
