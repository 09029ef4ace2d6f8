"""What holds for every program: passes keep its value, its text means it, gradients agree."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.codegen import jit
from minigrad.codegen.executable import executable
from minigrad.compiler import fused
from minigrad.core.spec import Spec
from minigrad.core.tensor import Tensor, tensor_of
from minigrad.graph import Graph, evaluate, trace
from minigrad.passes.cse import cse
from minigrad.passes.dce import dce
from minigrad.passes.fold import fold
from minigrad.passes.inline import inline
from minigrad.passes.lift import lift
from minigrad.passes.pipeline import optimize
from minigrad.passes.simplify import simplify
from minigrad.passes.specialize import specialize
from minigrad.passes.verify import verify
from minigrad.testing.modes import assert_close, assert_same
from minigrad.testing.programs import Program, programs, state
from minigrad.text import source
from tests.laws.budget import examples

PASSES = (inline, fold, simplify, cse, dce, optimize)


def graph_of(program: Program, specs: Any = None, *, compiles: bool = False) -> Graph:
    """The program, traced: its results, and what it leaves in `state`."""

    def body(*tensors: Any) -> list[Any]:
        return [*program.function(*tensors), state.value()]

    specs = specs or [Spec.from_tensor(x) for x in program.arrays]
    return trace(body, specs, compiles=compiles)[0]


def values_of(graph: Graph, program: Program) -> list[Any]:
    """The outputs of a graph of the program, op by op."""
    state.assign(1.0)
    return list(evaluate(graph, [*program.tensors(), *graph.captures]))


# passes


@pytest.mark.parametrize("step", PASSES, ids=lambda step: step.__name__)
@examples()
@given(program=programs(effects=True))
def test_a_pass_keeps_every_value(step: Callable[[Graph], Graph], program: Program) -> None:
    graph = verify(graph_of(program))
    before = str(graph)
    assert_same(values_of(verify(step(graph)), program), program.run())
    assert str(graph) == before, "the pass has changed the graph it was given"


@examples()
@given(program=programs(effects=True), steps=st.lists(st.sampled_from(PASSES), max_size=6))
def test_passes_keep_values_in_any_order(
    program: Program, steps: list[Callable[[Graph], Graph]]
) -> None:
    graph = graph_of(program)
    for step in steps:
        graph = verify(step(graph), step.__name__)
    assert_same(values_of(graph, program), program.run())


@examples()
@given(program=programs(effects=True))
def test_lifting_makes_variables_inputs_and_outputs(program: Program) -> None:
    graph = inline(graph_of(program, None))
    lifted = lift(graph)
    verify(lifted.graph)
    expected = program.run()
    state.assign(1.0)
    values = [
        capture if isinstance(capture, Tensor) else tensor_of(capture._value)
        for capture in graph.captures
    ]
    names = [node.op.name for node in lifted.graph.nodes]
    if "py_function" in names:  # Python may read any Variable: they stay where they are
        return
    assert not {"read_variable", "assign_variable"} & set(names)
    outputs = evaluate(lifted.graph, [*program.tensors(), *values])
    assert_same(outputs[: len(expected)], expected)
    assigned = [output for _, output in lifted.writes]
    assert len(assigned) <= 1, "only `state` is assigned"
    assert_same([outputs[i] for i in assigned], expected[-1:] * len(assigned))


@examples()
@given(program=programs(effects=True), data=st.data())
def test_specializing_a_graph_of_unknown_dims_keeps_every_value(
    program: Program, data: Any
) -> None:
    known = [Spec.from_tensor(x) for x in program.arrays]
    specs = [
        Spec(tuple([data.draw(st.sampled_from([n, None])) for n in x.shape]), x.dtype)
        for x in program.arrays
    ]
    try:
        graph = graph_of(program, specs)
    except mg.errors.MinigradError:  # what asks for a dim that is not known
        return
    verify(graph)
    assert_same(values_of(graph, program), program.run())
    captured = [Spec(x.shape, x.dtype) for x in graph.captures]
    special = verify(specialize(graph, [*known, *captured]))
    assert_same(values_of(special, program), program.run())


@pytest.mark.parametrize("native", [True, False], ids=["native", "numpy"])
@examples(0.7)
@given(program=programs(effects=True))
def test_fusing_keeps_every_value_but_for_rounding(native: bool, program: Program) -> None:
    with nullcontext() if native else patch.object(jit, "available", lambda: False):
        verify(fused(graph_of(program, compiles=True)).graph)
        compiled = mg.function(program.function, jit_compile=True)
        assert_close(program.run(compiled), program.run(), 100)


# text


@examples()
@given(program=programs(effects=True))
def test_a_printed_graph_means_the_graph(program: Program) -> None:
    graph = graph_of(program)
    text = source(graph)
    state.assign(1.0)
    outputs = text.function()(*program.tensors(), *graph.captures)
    assert_same(outputs, program.run())


@examples()
@given(program=programs(effects=True))
def test_the_executable_is_the_graph(program: Program) -> None:
    graph = graph_of(program)
    state.assign(1.0)
    given = [x if not isinstance(x, Tensor) else x.numpy() for x in graph.captures]
    outputs = executable(graph)(*program.arrays, *given)
    assert_same([tensor_of(np.asarray(y)) for y in outputs], program.run())


@examples(0.5)
@given(program=programs(effects=True))
def test_a_printed_graph_that_is_traced_again_prints_the_same(program: Program) -> None:
    graph = inline(graph_of(program))
    text = source(graph)
    constants = {name for name in text.namespace if name.startswith("constant")}
    again = trace(lambda *xs: list(text.function()(*xs)), [x.spec for x in graph.inputs])[0]
    if not constants and not graph.captures:
        assert str(again) == str(graph)


# gradients


def with_gradients(f: Callable[..., Any]) -> Callable[..., list[Any]]:
    """The results of `f`, and their gradients by the arguments; None left out."""

    def body(*tensors: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch(tensors)
            results = f(*tensors)
            targets = [mg.sin(y) for y in results]
        bars = tape.gradient(targets, [*tensors, *tape.watched_variables()])
        return [*results, *[bar for bar in bars if bar is not None]]

    return body


MODES: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "outside of a function": lambda f: with_gradients(mg.function(f)),
    "inside of a function": lambda f: mg.function(with_gradients(f)),
    "on the border of two": lambda f: mg.function(with_gradients(mg.function(f))),
    "around a function of functions": lambda f: with_gradients(mg.function(mg.function(f))),
    "outside of a compiled function": lambda f: with_gradients(mg.function(f, jit_compile=True)),
    "inside of a compiled function": lambda f: mg.function(with_gradients(f), jit_compile=True),
    "around a compiled function in a traced one": lambda f: with_gradients(
        mg.function(mg.function(f, jit_compile=True))
    ),
}


@pytest.mark.parametrize("mode", MODES)
@examples(0.7)
@given(program=programs(effects=True))
def test_gradients_agree(mode: str, program: Program) -> None:
    expected = program.run(with_gradients(program.function))
    assert_close(program.run(MODES[mode](program.function)), expected, 100)


@pytest.mark.parametrize("mode", MODES)
@examples(0.4)
@given(program=programs(most=8))
def test_second_gradients_agree(mode: str, program: Program) -> None:
    expected = program.run(with_gradients(with_gradients(program.function)))
    assert_close(program.run(with_gradients(MODES[mode](program.function))), expected, 1000)


@examples(0.4)
@given(program=programs(most=8))
def test_second_gradients_agree_inside_of_one_trace(program: Program) -> None:
    both = with_gradients(with_gradients(program.function))
    expected = program.run(both)
    assert_close(program.run(mg.function(both)), expected, 1000)
    assert_close(program.run(mg.function(both, jit_compile=True)), expected, 1000)
