"""split: forward graphs with residuals, and backward graphs that run nothing again."""

import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import OPAQUE, Spec
from minigrad.graph import Graph, evaluate, trace
from minigrad.passes.split import split
from minigrad.passes.verify import verify
from tests.unit.modes import same

FLOATS = Spec((2,), np.float32)


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def made(body: Any, *specs: Spec) -> Any:
    return split(trace(body, specs or [FLOATS])[0])


def test_the_forward_graph_gives_what_the_rules_read_besides_its_outputs() -> None:
    cut = made(lambda x: [mg.exp(x) * mg.sin(x)])
    verify(cut.forward)
    assert cut.outputs == 1 and len(cut.forward.outputs) == 1 + len(cut.residuals)
    assert names(cut.forward) == ["exp", "sin", "multiply"]
    exp, sin = cut.forward.nodes[0].outputs[0], cut.forward.nodes[1].outputs[0]
    assert set(cut.residuals) == {exp, sin}
    backward, places, targets = cut.backward((True, False, False))
    verify(backward)
    assert targets == (0,) and "exp" not in names(backward) and "sin" not in names(backward)
    x, g = mg.constant([1.0, 2.0]), mg.constant([1.0, 10.0])
    outputs = evaluate(cut.forward, [x])
    available = [x, *outputs]
    (bar,) = evaluate(backward, [g, *[available[i] for i in places]])
    v = np.array([1.0, 2.0])
    same(bar, np.array([1.0, 10.0]) * np.exp(v) * (np.sin(v) + np.cos(v)))


def test_a_linear_graph_keeps_nothing() -> None:
    assert made(lambda x: [x * 2.0 + 1.0]).residuals == ()


def test_outputs_are_not_kept_twice() -> None:
    cut = made(lambda x: [mg.exp(x)])
    assert cut.residuals == () and len(cut.forward.outputs) == 1


def test_what_stateful_nodes_give_is_always_kept() -> None:
    v = mg.Variable([1.0, 2.0])
    cut = made(lambda x: [x + v])
    read = next(node for node in cut.forward.nodes if node.op.name == "read_variable")
    assert cut.residuals == read.outputs
    record = made(lambda x: [mg.py_function(lambda x: x * x, [x], FLOATS)])
    assert [y.dtype for y in record.residuals] == [OPAQUE.dtype]


@pytest.mark.parametrize("given", [(True, False), (False, True), (True, True)])
def test_there_is_one_backward_graph_for_each_pattern_of_cotangents(given: Any) -> None:
    cut = made(lambda x, y: [mg.sin(x), mg.exp(y)], FLOATS, FLOATS)
    pattern = (*given, *[False] * len(cut.residuals))
    backward, _, targets = cut.backward(pattern)
    assert cut.backward(pattern)[0] is backward
    assert targets == tuple(i for i, wanted in enumerate(given) if wanted)
    assert len(backward.arguments) == len(targets)


def test_no_cotangents_give_nothing() -> None:
    backward, _, targets = made(lambda x: [mg.floor(x)]).backward((True,))
    assert targets == () and backward.outputs == ()


def test_nested_calls_are_opened_and_hand_written_derivatives_are_not() -> None:
    inner = mg.function(mg.exp)
    clipped = mg.custom_gradient(lambda x: (x * 1.0, lambda g: mg.clip(g, -1, 1)))
    cut = made(lambda x: [clipped(inner(x))])
    assert names(cut.forward) == ["exp", "multiply", "custom_gradient"]


def test_a_residual_may_be_differentiated_itself() -> None:
    cut = made(lambda x: [mg.exp(x) * mg.sin(x)])
    kept = set(cut.residuals)
    pattern = tuple(y in kept for y in cut.forward.outputs)
    assert any(pattern)
    backward, _, targets = cut.backward(pattern)
    verify(backward)
    assert targets == (0,)


def test_the_split_of_a_graph_is_made_once() -> None:
    graph, _ = trace(lambda x: [x * x], [FLOATS])
    assert split(graph) is split(graph) and split(split(graph).forward) is split(graph)


def test_threads_may_ask_for_backward_graphs_at_once() -> None:
    def body(x: Any) -> Any:
        ys = [x]
        for _ in range(30):
            ys.append(mg.sin(ys[-1]) * x)
        return ys

    cut = made(body)
    barrier = threading.Barrier(4)
    failures: list[Exception] = []

    def work(n: int) -> None:
        barrier.wait()
        try:
            for i in range(6):
                pattern = [False] * len(cut.forward.outputs)
                pattern[1 + (n * 7 + i) % 30] = True
                verify(cut.backward(tuple(pattern))[0])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
