"""Elements of small tensors, made by themselves."""

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import compiler
from minigrad.codegen.fused import fused
from minigrad.core.spec import Spec
from minigrad.graph import trace
from minigrad.passes.pipeline import optimize
from minigrad.passes.sink import DEEPEST, SMALL, sink
from minigrad.passes.verify import verify
from tests.unit.graphs import documented, squeezed


def test_as_documented() -> None:
    graph, after = documented(sink)
    assert squeezed(sink(graph)) == after


def lorenz(y: Any) -> Any:
    """The derivative of a state of three numbers. Lorenz (1963)."""
    return mg.stack(
        [10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]], axis=-1
    )


def step(y: Any) -> Any:
    """One step of Heun's method."""
    k = lorenz(y)
    return y + 0.005 * (k + lorenz(y + 0.01 * k))


def test_a_state_is_taken_apart_once() -> None:
    graph = sink(optimize(trace(lambda y: [step(y)], [Spec((3,))])[0]))
    verify(graph, "sink")
    taken = [node for node in graph.nodes if node.op.name == "take_slice"]
    assert len({node.inputs[0] for node in taken}) == 1


def test_elements_are_those_that_are_made_eagerly() -> None:
    y = mg.asarray(np.asarray([1.0, -2.0, 0.5], np.float32))

    def several(y: Any) -> Any:
        turned = mg.stack([y[::-1], mg.broadcast_to(y[1], (3,))], axis=1)  # (3, 2)
        joined = mg.concat([turned.T[0], y[:1] * 2])
        twice = mg.stack([(y * 2)[0], (y * 3)[1]])[1] * mg.where((y > 0)[0], y * 2, 1.0)[2]
        return turned[2, 0] + joined[3], mg.sin(joined)[1:2], mg.sum(step(y)), step(y)[2], twice

    for a, b in zip(mg.function(several, jit_compile=True)(y), several(y), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_elements_of_constants_are_constants() -> None:
    def f(x: Any) -> Any:
        y = mg.zeros_like(x).at[mg.asarray([-1, 0])].add(x[:2] * 0.5)
        return mg.zeros_like(y).at[mg.asarray([1, 0])].add(y[:2] * 0.5)[-1]

    x = mg.asarray(np.array([1, 2, 3], np.uint8))
    np.testing.assert_array_equal(mg.function(f, jit_compile=True)(x), f(x))


def test_large_tensors_and_long_chains_are_left_whole() -> None:
    def long(x: Any) -> Any:
        for _ in range(DEEPEST + 10):
            x = mg.sin(x)
        return [x[0], x[1]]

    for shape, sunk in (((SMALL + 1,), 0), ((SMALL,), 2 * DEEPEST)):
        graph = sink(optimize(trace(long, [Spec(shape)])[0]))
        scalars = [n for n in graph.nodes if n.op.name == "sin" and n.outputs[0].shape == ()]
        assert len(scalars) == sunk


def test_rounds_of_a_differential_equation_are_native() -> None:
    y = mg.asarray(np.asarray([1.0, 2.0, 3.0], np.float32))

    def solved(y: Any) -> Any:
        return mg.scan(lambda y, t: (step(y), step(y)), y, mg.arange(50))[1]

    graph = compiler.fused(trace(lambda y: [step(y)], [y.spec])[0]).graph
    assert {node.op for node in graph.nodes} == {fused}
    found = mg.function(solved, jit_compile=True)(y)
    np.testing.assert_allclose(found, solved(y), rtol=1e-3)
