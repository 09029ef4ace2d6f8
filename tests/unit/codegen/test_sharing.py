"""Loops that threads share: the same values as by one loop, and the same bits for any threads."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import pool, shares
from minigrad.codegen.executable import executable
from minigrad.codegen.fused import llvm
from minigrad.codegen.schedule import loop_nest
from minigrad.core.registry import api
from minigrad.core.spec import Spec
from minigrad.graph import trace
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from tests.unit.codegen import programs
from tests.unit.codegen.native import needs_llvm
from tests.unit.codegen.test_pool import run


@pytest.fixture
def eager_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every loop that can be shared be shared, in as many portions as may be."""
    monkeypatch.setattr(shares, "SHARED", 0)
    monkeypatch.setattr(shares, "SHARE", 64)


@needs_llvm
@pytest.mark.usefixtures("eager_to_share")
@pytest.mark.parametrize("seed", [*range(300, 340), 5387, 6319, 7084])
def test_a_random_program_in_shares_gives_what_numpy_gives(seed: int) -> None:
    graph = programs.graph(seed)
    xs = programs.data(graph, seed)
    expected, got = executable(graph)(*xs), executable(fuse(graph))(*xs)
    for y, z in zip(expected, got, strict=True):
        programs.assert_close(y, z)


BODIES: dict[str, Any] = {
    "map": lambda x: [api.square(x) + 1],
    "sum of all": lambda x: [api.sum(x), api.max(x)],
    "sums of columns": lambda x: [api.sum(x, axis=0), api.max(x, axis=0)],
    "sums of columns, and what is made of them": lambda x: [api.sqrt(api.sum(x * x, axis=0)) + 1],
    "rows": lambda x: [mg.nn.softmax(x)],
    "rows laid flat, and gone through thrice": lambda x: [mg.nn.softmax(api.reshape(x, -1))],
    "rows, columns and all": lambda x: [mg.nn.softmax(x), api.sum(x, axis=0), api.sum(x * x)],
}


@needs_llvm
@pytest.mark.usefixtures("eager_to_share")
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("shape", [(33, 1000), (1003, 65), (300, 300), (5003, 10)])
@pytest.mark.parametrize("name", BODIES)
def test_each_kind_of_loop_in_shares(name: str, shape: tuple[int, ...], dtype: str) -> None:
    if dtype == "int32" and ("rows" in name or "made of them" in name):
        pytest.skip("a function of floats")
    x = (np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype)
    graph = optimize(trace(BODIES[name], [Spec(shape, dtype)])[0])
    compiled = fuse(graph)
    assert any(pool.SUBMIT in llvm(node.attrs["graph"]) for node in compiled.nodes)
    for y, z in zip(executable(graph)(x), executable(compiled)(x), strict=True):
        np.testing.assert_allclose(z, y, rtol=2e-5, atol=2e-4)
        assert z.dtype == y.dtype


@needs_llvm
@pytest.mark.usefixtures("eager_to_share")
def test_what_is_kept_for_a_later_loop_is_not_lost_with_a_share() -> None:
    x = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    body = lambda x: [api.exp(api.tanh(x)) * api.min(api.exp(api.tanh(x)))]  # noqa: E731
    (expected,) = executable(optimize(trace(body, [Spec(x.shape, x.dtype)])[0]))(x)
    (got,) = executable(fuse(optimize(trace(body, [Spec(x.shape, x.dtype)])[0])))(x)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@needs_llvm
@pytest.mark.usefixtures("eager_to_share")
@pytest.mark.parametrize("shape", [(3, 50, 64), (40, 3, 1000)])
def test_a_batch_of_column_sums_in_shares(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    graph = optimize(trace(lambda x: [api.sum(x, axis=1)], [Spec(shape, x.dtype)])[0])
    (got,) = executable(fuse(graph))(x)
    np.testing.assert_allclose(got, x.sum(axis=1), rtol=1e-5, atol=1e-4)


def test_what_is_shared_says_so() -> None:
    body = lambda x: [mg.nn.softmax(x)]  # noqa: E731
    large, small = (
        str(loop_nest(optimize(trace(body, [Spec((rows, 1000), np.float32)])[0]), 64))
        for rows in (4096, 10)
    )
    assert "for i in 4096, shared by 64:" in large
    assert "for i in 10:" in small


def test_each_long_loop_is_shared() -> None:
    graph = optimize(trace(lambda x: [mg.nn.softmax(x)], [Spec((1 << 22,), np.float32)])[0])
    heads = [line for line in str(loop_nest(graph, 64)).splitlines() if line.endswith(":")]
    assert len(heads) == 3
    assert all("shared by" in line for line in heads)


DIGESTS = (
    "import hashlib, numpy as np, minigrad as mg\n"
    "draw = np.random.default_rng(0)\n"
    "x = draw.standard_normal((3001, 1003)).astype(np.float32)\n"
    "bodies = [lambda x: mg.sum(x), lambda x: mg.sum(x, axis=0), mg.nn.softmax, mg.tanh,\n"
    "          lambda x: mg.sum(mg.nn.softmax(x) * x),\n"
    "          lambda x: mg.nn.softmax(mg.reshape(x, -1)), mg.argmax,\n"
    "          lambda x: mg.sum(mg.astype(x, mg.float64)),\n"
    "          lambda x: mg.nn.softmax(mg.reshape(x, (-1, 17))),\n"
    "          lambda x: mg.sum(mg.exp(mg.sum(mg.reshape(x, (-1, 17)), axis=1) / 9))]\n"
    "for body in bodies:\n"
    "    y = mg.function(body, jit_compile=True)(x).numpy()\n"
    "    print(hashlib.sha256(y.tobytes()).hexdigest())\n"
)


@needs_llvm
def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    one, *others = (run(DIGESTS, MINIGRAD_NUM_THREADS=str(n)) for n in (1, 2, 5))
    assert len(one.split()) == 10
    assert others == [one, one]
