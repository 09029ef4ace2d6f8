"""Which products have their operands laid out, and which are left as they are."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.codegen.products import native_product
from minigrad.compiler import fused
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.layout import lay_out
from minigrad.passes.pipeline import optimize
from minigrad.passes.verify import verify
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed


def gradients(strides: int, padding: str, *specs: Spec) -> Graph:
    """The graph of both gradients of a convolution."""

    def both(x: Any, w: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch([x, w])
            y = nn.conv2d(x, w, strides, padding)
        return list(tape.gradient(y, [x, w]))

    return optimize(trace(both, specs)[0])


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(lay_out)
    assert squeezed(lay_out(graph)) == after


@needs_llvm
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
def test_all_three_products_of_a_convolution_become_native(padding: str) -> None:
    graph = gradients(1, padding, Spec((2, 9, 9, 4)), Spec((3, 3, 4, 8)))
    verify(lay_out(graph), "lay_out")
    names = [node.op.name for node in fused(graph).graph.nodes]
    assert names.count(native_product.name) == 2
    assert not {"convolution", "image_gradient", "filter_gradient"} & set(names)


@pytest.mark.parametrize(
    ("strides", "first", "second"),
    [
        (2, Spec((2, 9, 9, 4)), Spec((3, 3, 4, 8))),  # its image gradient is no convolution
        (1, Spec((2, 9, 9, 4), np.float16), Spec((3, 3, 4, 8), np.float16)),
        (1, Spec((2, 9, 9, 512)), Spec((3, 3, 512, 512))),
        (1, Spec((0, 9, 9, 4)), Spec((3, 3, 4, 8))),
    ],
)
def test_what_is_left_to_the_library(strides: int, first: Spec, second: Spec) -> None:
    graph = gradients(strides, "VALID", first, second)
    assert lay_out(graph) is graph


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_a_place_is_found_by_loops(axis: int | None) -> None:
    graph = trace(lambda x: [mg.argmax(x * 2, axis=axis)], [Spec((6, 700))])[0]
    after = lay_out(graph)
    verify(after, "lay_out")
    names = {node.op.name for node in after.nodes}
    assert "place_of_max" not in names and "reduce_min" in names


def test_a_place_shares_the_extreme_with_who_asks_for_it() -> None:
    graph = trace(lambda x: [mg.argmax(x, axis=1), mg.max(x, axis=1)], [Spec((6, 7))])[0]
    assert [node.op.name for node in lay_out(graph).nodes].count("reduce_max") == 1


@pytest.mark.parametrize("spec", [Spec((4, 3), np.float16), Spec((0, 3)), Spec((3,), np.complex64)])
def test_places_without_lanes_stay_with_the_library(spec: Spec) -> None:
    graph = trace(lambda x: [mg.argmin(x, axis=-1)], [spec])[0]
    assert lay_out(graph) is graph
