"""Unknown dims become known ones, everywhere in the graph."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.passes.pipeline import optimize
from minigrad.passes.specialize import specialize
from minigrad.passes.verify import verify
from tests.unit.graphs import EXAMPLES, assert_same, documented, graph_of, run, squeezed, traced


def test_as_documented() -> None:
    before, after = documented(specialize)
    assert squeezed(specialize(before, [Spec((2, 3), np.float32)])) == after


@pytest.mark.parametrize("name", EXAMPLES)
def test_values_stay(name: str) -> None:
    graph, inputs = traced(name)
    special = verify(specialize(graph, [Spec(x.shape, x.dtype) for x in inputs]))
    assert_same(run(special, inputs), run(graph, inputs))


@pytest.mark.parametrize("shape", [(4, 3), (1, 3), (0, 3)])
def test_everything_is_known_of_a_gradient_with_shapes_at_run_time(shape: Any) -> None:
    graph, inputs = traced("of_unknown_dims")
    assert not all(y.spec.known for y in graph.outputs)
    inputs = (np.arange(float(np.prod(shape))).reshape(shape), *inputs[1:])
    special = optimize(specialize(graph, [Spec(x.shape, x.dtype) for x in inputs]), check=True)
    assert all(y.spec.known for node in special.nodes for y in node.outputs)
    dynamic = {"shape_of", "sum_like", "broadcast_like", "reshape_dynamic", "reshape_like"}
    assert dynamic.isdisjoint(node.op.name for node in special.nodes)
    assert_same(run(special, inputs), run(graph, inputs))


def test_captured_shapes_are_known() -> None:
    shape = mg.constant([3, 1])
    graph = graph_of(lambda x: [mg.sin(mg.reshape(x, shape))], Spec((None,)))
    special = specialize(graph, [Spec((3,)), shape.spec])
    assert special.outputs[0].shape == (3, 1)


def test_an_unknown_rank_becomes_known() -> None:
    graph = graph_of(lambda x: [mg.sum(mg.sin(x) * 2, axis=None)], Spec(None, np.float32))
    special = specialize(graph, [Spec((2, 5), np.float32)])
    assert special.nodes[0].outputs[0].shape == (2, 5)


def test_what_the_user_promised_is_kept() -> None:
    def body(x: Any) -> list[Any]:
        y = mg.numpy_function(np.sort, [x], mg.float32)
        y.set_shape((None, 3))
        return [y]

    special = specialize(graph_of(body, Spec((None, 3))), [Spec((2, 3))])
    assert special.outputs[0].shape == (None, 3)


def test_a_spec_that_does_not_fit_is_refused() -> None:
    graph = graph_of(lambda x: [mg.sin(x)], Spec((None, 3)))
    with pytest.raises(mg.errors.SpecError, match=r"input 0 of float32\[2,4\]"):
        specialize(graph, [Spec((2, 4))])


def test_what_cannot_be_is_said_in_the_words_of_the_op() -> None:
    graph = graph_of(lambda x: [mg.reshape(x, (2, 3))], Spec((None,)))
    with pytest.raises(mg.errors.SpecError, match="reshape: "):
        specialize(graph, [Spec((5,))])
