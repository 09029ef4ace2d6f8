"""What products make of their operands themselves: which groups, and that it is the same."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.codegen.products import native_product, parts_of
from minigrad.graph import Graph
from minigrad.passes.begin import begin_products
from minigrad.passes.fuse import fuse
from minigrad.passes.products import native_products
from tests.unit.codegen.native import needs_llvm
from tests.unit.graphs import documented, squeezed
from tests.unit.passes.test_finish import assert_same, random


def begun(graph: Graph) -> int:
    """How many operands the products of a compiled graph make themselves."""
    products = [node for node in graph.nodes if node.op is native_product]
    return sum(sum(parts_of(node.attrs["graph"]).made) for node in products)


def test_the_docstring_shows_what_happens() -> None:
    graph, after = documented(begin_products)
    assert squeezed(begin_products(native_products(fuse(graph)))) == after


@needs_llvm
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(2, 3, 2), (7, 5, 3), (20, 1030, 13), (129, 300, 260), (600, 1100, 65), (4100, 130, 17)],
)
def test_rows_columns_and_elements_beside_an_operand(m: int, k: int, n: int, dtype: Any) -> None:
    """Of any size, in several blocks, and shared among threads."""
    x, w = random(m, k, dtype=dtype), random(k, n, dtype=dtype) / 16
    columns, rows, beside = [random(*shape, dtype=dtype) for shape in ((k,), (m, 1), (m, k))]
    bodies = [
        (lambda x, w, c: [mg.maximum(x + c, 0.0) @ w], columns),
        (lambda x, w, r: [(x * r) @ w], rows),
        (lambda x, w, z: [mg.where(z > 0, x, 0.5) @ w], beside),
        (lambda x, w, z: [nn.relu((x - z) @ w + 1.0)], beside),
    ]
    for body, more in bodies:
        graph = assert_same(body, x, w, more)
        if k > 100 and n < 100:  # neither ragged rows, nor made again for many columns
            assert begun(graph) == 1


@needs_llvm
def test_operands_that_others_need_are_made_once() -> None:
    def twice(x: Any, w: Any) -> list[Any]:
        y = nn.relu(x)
        return [y @ w, y]

    x, w = random(40, 30), random(30, 50)
    assert begun(assert_same(twice, x, w)) == 0
    assert begun(assert_same(lambda x: [nn.relu(x) @ nn.relu(x)], random(30, 30))) == 0
    assert begun(assert_same(lambda x, w: [nn.softmax(x) @ w], x, w)) == 0  # rows are summed up


@needs_llvm
def test_what_takes_long_is_not_made_again_for_other_columns() -> None:
    x, w = random(700, 600), random(600, 1024)
    assert begun(assert_same(lambda x, w: [mg.tanh(x) @ w], x, w)) == 0
    assert begun(assert_same(lambda x, w: [mg.tanh(x) @ w], x, w[:, :64].copy())) == 1


@needs_llvm
def test_masks_integers_batches_and_moved_operands() -> None:
    p, v = random(2, 3, 24, 40), random(2, 3, 40, 8)
    scaled = lambda p, v, m: [mg.where(m, p * 0.3, 0.0) @ v]  # noqa: E731
    assert begun(assert_same(scaled, p, v, random(24, 40) > 0)) == 1
    assert begun(assert_same(scaled, p, v, random(2, 1, 1, 40) > 0)) == 1
    counts = random(2, 3, 24, 40).astype(np.int16)
    assert begun(assert_same(lambda n, v: [mg.astype(n, v.dtype) @ v], counts, v)) == 1
    transposed = lambda p, v: [nn.relu(p).mT @ v]  # noqa: E731
    assert begun(assert_same(transposed, random(2, 3, 40, 24), v)) == 0
    joined = lambda p, v: [mg.reshape(nn.relu(p), (144, 40)) @ v[0, 0]]  # noqa: E731
    assert begun(assert_same(joined, p, v)) == 1


@needs_llvm
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(2, 260, 270), (7, 1030, 150), (40, 300, 260), (700, 1100, 65), (600, 300, 515)],
)
def test_second_operands(m: int, k: int, n: int, dtype: Any) -> None:
    """Of any size, in several blocks, and shared among threads; also where both are made."""
    x, w = random(m, k, dtype=dtype), random(k, n, dtype=dtype) / 16
    columns, rows, beside = [random(*shape, dtype=dtype) for shape in ((n,), (k, 1), (k, n))]
    bodies = [
        (lambda x, w, c: [x @ mg.maximum(w + c, 0.0)], columns, 1),
        (lambda x, w, r: [x @ (w * r)], rows, 1),
        (lambda x, w, z: [x @ mg.where(z > 0, w, 0.5)], beside, 1),
        (lambda x, w, z: [nn.relu(nn.relu(x) @ (w - z) + 1.0)], beside, 2),
    ]
    for body, more, operands in bodies:
        graph = assert_same(body, x, w, more)
        if m > 100:  # else threads share the loops before, and would not share the product
            assert begun(graph) == operands


@needs_llvm
def test_second_operands_of_other_dtypes_and_of_a_batch() -> None:
    counts = random(300, 200).astype(np.int8)
    scaled = lambda x, n: [x @ (mg.astype(n, x.dtype) * 0.5)]  # noqa: E731
    assert begun(assert_same(scaled, random(20, 300), counts)) == 1
    assert begun(assert_same(scaled, random(3, 20, 300), counts)) == 1
    halved = lambda x, w: [x @ (w * 0.5)]  # noqa: E731
    assert begun(assert_same(halved, random(2, 3, 20, 300), random(2, 3, 300, 200))) == 1
    assert begun(assert_same(halved, random(2, 3, 20, 300), random(1, 3, 300, 200))) == 0
    turned = lambda x, w: [x @ (w * 0.5).mT]  # noqa: E731
    assert begun(assert_same(turned, random(20, 300), random(200, 300))) == 0


@needs_llvm
def test_second_operands_that_are_small_or_take_long_are_stored() -> None:
    halved = lambda x, w: [x @ (w * 0.5)]  # noqa: E731
    assert begun(assert_same(halved, random(40, 128), random(128, 256))) == 0
    assert begun(assert_same(halved, random(40, 128), random(128, 272))) == 1
    long = lambda x, w: [x @ mg.tanh(w)]  # noqa: E731
    assert begun(assert_same(long, random(40, 128), random(128, 272))) == 0


@needs_llvm
def test_a_network_begins_and_finishes_its_products() -> None:
    def network(x: Any, w1: Any, w2: Any) -> list[Any]:
        y = nn.relu(nn.relu(x) @ w1)
        return [mg.tanh((y * 0.5) @ w2), y]

    graph = assert_same(network, random(64, 30), random(30, 48) / 4, random(48, 32) / 4)
    first, second = [parts_of(node.attrs["graph"]) for node in graph.nodes]
    assert first.made == (True, False)
    assert first.after is not None  # it makes the operand of the second as well
    assert second.made == (False, False)


@needs_llvm
def test_numbers_that_are_none_stay_so() -> None:
    x = random(33, 70)
    x[3, 69], x[4, 5], x[32, 0] = np.nan, np.inf, -0.0
    w = np.ones((70, 18), np.float32)
    compiled = mg.function(lambda x, w: nn.relu(x) @ w, jit_compile=True)
    found = compiled(mg.asarray(x), mg.asarray(w)).numpy()
    np.testing.assert_allclose(found, np.maximum(x, 0) @ w, rtol=1e-5)
