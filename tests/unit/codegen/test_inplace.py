"""Which outputs may lie where an input lies: what a kernel reads where it stores, and before."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit
from minigrad.codegen.fused import code, fused, loops
from minigrad.codegen.inplace import accesses, overwrites
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from tests.unit.codegen.native import needs_llvm, pointer_function
from tests.unit.codegen.programs import data, graph


def group(body: Any, *specs: Spec) -> Graph:
    """The one group of `body`."""
    (node,) = fuse(optimize(trace(body, specs)[0])).nodes
    assert node.op is fused
    made: Graph = node.attrs["graph"]
    return made


def pairs(body: Any, *specs: Spec) -> set[tuple[int, int]]:
    """The outputs of `body`'s group, and the inputs that they may be written over."""
    return set(overwrites(loops(group(body, *specs))))


MATRIX, ROW = Spec((40, 50)), Spec((50,))


def test_elements_may_be_written_where_they_were_read() -> None:
    assert pairs(lambda x, y: [x * y + 1], MATRIX, MATRIX) == {(0, 0), (0, 1)}
    assert pairs(lambda x: [mg.exp(x), mg.sin(x)], MATRIX) == {(0, 0), (1, 0)}


def test_rows_may_be_written_when_they_have_been_read_twice() -> None:
    assert pairs(lambda x: [mg.nn.softmax(x)], MATRIX) == {(0, 0)}


@pytest.mark.parametrize(
    ("body", "specs"),
    [
        (lambda x: [mg.exp(mg.flip(x))], [MATRIX]),
        (lambda x: [mg.exp(x.T)], [Spec((40, 40))]),
        (lambda x: [x + mg.flip(x, axis=0)], [MATRIX]),
        (lambda x, r: [x + r], [Spec((1, 50)), Spec((50, 1))]),
        (lambda x: [mg.astype(x, "float64")], [MATRIX]),
        (lambda x: [mg.sum(x * x, axis=0) + x[0]], [MATRIX]),
    ],
    ids=["flipped", "transposed", "neighbours", "outer", "cast", "sums"],
)
def test_what_is_read_elsewhere_is_not_written_over(body: Any, specs: list[Spec]) -> None:
    assert pairs(body, *specs) == set()


def same_in_place(inner: Graph, seed: int) -> bool:
    """Whether the kernel of a group gives the same, bit for bit, for each pair in one memory."""
    if any(access.place.at for access in accesses(loops(inner).body)):
        return True  # places that come from data are checked elsewhere, and not by the kernel
    arrays = [np.array(x, order="C") for x in data(inner, seed)]
    outputs = [np.empty(y.shape, y.dtype) for y in inner.outputs]
    count = len(arrays) + len(outputs)
    run = pointer_function(code(inner), "kernel", count)
    run(*arrays, *outputs)
    for j, k in overwrites(loops(inner)):
        given = [x.copy() for x in arrays]
        made = [np.empty_like(y) for y in outputs]
        made[j] = given[k].view(made[j].dtype).reshape(made[j].shape)
        pointer_function(code(inner, frozenset({j})), "kernel", count)(*given, *made)
        for y, z in zip(outputs, made, strict=True):
            if y.tobytes() != z.tobytes():
                return False
    return True


@needs_llvm
@pytest.mark.parametrize("seed", range(120))
def test_random_groups_give_the_same_in_place(seed: int) -> None:
    for node in fuse(graph(seed)).nodes:
        if node.op is fused:
            assert same_in_place(node.attrs["graph"], seed)


@needs_llvm
def test_a_loop_that_threads_share_gives_the_same_in_place() -> None:
    large = Spec((1000, 1003))
    for body in (lambda x: [mg.tanh(x) * x], lambda x: [mg.nn.softmax(x)]):
        inner = group(body, large)
        assert overwrites(loops(inner)) and "shared" in str(loops(inner))
        assert same_in_place(inner, 1)


def test_the_check_needs_no_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "available", lambda: False)
    assert pairs(lambda x: [x + 1], MATRIX) == {(0, 0)}
