"""Loops that end whole: one body instead of two, and the same values."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import shares
from minigrad.codegen.executable import executable
from minigrad.codegen.fused import fused, llvm, loops
from minigrad.codegen.loops import Buffer, Load, Loop, Place, Store
from minigrad.codegen.whole import ends_whole
from minigrad.core.registry import api
from minigrad.core.spec import Spec
from minigrad.graph import Graph, trace
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from tests.unit.codegen.native import needs_llvm
from tests.unit.codegen.test_inplace import same_in_place


def group(body: Any, *shape: int) -> Graph:
    """The one group of `body`, of a float32 array of `shape`."""
    (node,) = fuse(optimize(trace(body, [Spec(shape)])[0])).nodes
    assert node.op is fused
    inner: Graph = node.attrs["graph"]
    return inner


def long(x: Any) -> list[Any]:
    """A body that is long."""
    return [mg.tanh(x) * mg.exp(x)]


@needs_llvm
def test_a_long_body_is_written_once_where_a_tail_would_repeat_it() -> None:
    whole, with_rest = llvm(group(long, 6400)), llvm(group(long, 6403))
    assert with_rest.count("fdiv") == whole.count("fdiv") == 1
    assert "masked" not in with_rest


@needs_llvm
def test_loops_that_are_short_or_light_or_add_up_have_a_tail() -> None:
    for body, size in (
        (long, 67),
        (lambda x: [x + 1], 6403),
        (lambda x: [api.sum(mg.tanh(x))], 6403),
    ):
        assert "masked" in llvm(group(body, size))


@needs_llvm
def test_what_is_written_over_what_it_reads_has_a_tail_and_is_right() -> None:
    for body, shape in ((long, (6403,)), (long, (100_003,)), (mg.nn.softmax, (5003, 10))):
        found = group(lambda x, body=body: [*body(x)] if body is long else [body(x)], *shape)
        assert same_in_place(found, 1)


@needs_llvm
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("size", [257, 300, 319, 321, 1000, 6401])
def test_values_and_what_lies_around_them(
    size: int, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shared:
        monkeypatch.setattr(shares, "SHARED", 0)
        monkeypatch.setattr(shares, "SHARE", 64)
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    inner = group(long, size)
    (y,) = executable(inner)(x)
    (z,) = mg.function(long, jit_compile=True)(mg.asarray(x))
    np.testing.assert_allclose(z.numpy(), y, rtol=1e-6)


@needs_llvm
@pytest.mark.parametrize("rows", [4 * 64 + 1, 1003, 5003, 100_000])
def test_short_rows_abreast_are_written_once(rows: int) -> None:
    x = np.random.default_rng(0).standard_normal((rows, 10)).astype(np.float32)
    inner = group(lambda x: [mg.nn.softmax(x)], rows, 10)
    assert llvm(inner).count("= fdiv") <= 2
    (y,) = executable(inner)(x)
    z = mg.function(mg.nn.softmax, jit_compile=True)(mg.asarray(x))
    np.testing.assert_allclose(z.numpy(), y, rtol=1e-6)


@needs_llvm
def test_what_reads_what_it_writes_does_not_end_whole() -> None:
    x, y = (Buffer(f"{role[0]}0", (1000,), np.dtype("f4"), role) for role in ("input", "output"))
    here, there = (Place(buffer, 0, (("i", 1),)) for buffer in (x, y))
    work = [s for s in loops(group(long, 1000)).body[0].body if not isinstance(s, Load | Store)]

    def loop(source: Place, target: Place) -> Loop:
        body = [Load("v1", source), *work, Store(target, "v1")]
        return Loop("i", 1000, body, lanes=16, vector=True)

    assert ends_whole(loop(here, there))
    assert not ends_whole(loop(there, there))
