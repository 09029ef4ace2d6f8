"""einops on tensors: rearranged, reduced, repeated and multiplied, traced and differentiable."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from einops import asnumpy, einsum, pack, parse_shape, rearrange, reduce, repeat, unpack
from einops.array_api import rearrange as standard_rearrange

import minigrad as mg
from tests.unit.modes import everywhere, same

X = np.random.default_rng(0).normal(size=(2, 4, 6))

BODIES: dict[str, Any] = {
    "split and permuted": lambda x: rearrange(x, "b (h w) c -> b c h w", h=2),
    "flattened": lambda x: rearrange(x, "b h c -> (b h) c"),
    "of a list": lambda x: rearrange([x, 2 * x], "n b h c -> b (n h) c"),
    "summed": lambda x: reduce(x, "b h c -> b c", "sum"),
    "in blocks": lambda x: reduce(x, "b (h h2) (w w2) -> b h w", "mean", h2=2, w2=3),
    "largest": lambda x: reduce(x, "b h c -> h", "max"),
    "smallest of all": lambda x: reduce(x, "b h c ->", "min"),
    "multiplied": lambda x: reduce(x, "b h c -> b 1 c", "prod"),
    "repeated": lambda x: repeat(x, "b h c -> b (2 h) k c", k=3),
    "product": lambda x: einsum(x, x, "batch i c, batch j c -> batch i j"),
    "diagonal": lambda x: einsum(rearrange(x, "b (i j) (i2 c) -> b i j i2 c", i=2, i2=2),
                                 "b i j i2 c -> j c"),
    "standard": lambda x: standard_rearrange(x, "b h c -> c (h b)") if hasattr(x, "spec")
    else rearrange(x, "b h c -> c (h b)"),
}  # fmt: skip


@everywhere
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_patterns_give_what_they_give_for_arrays(mode: Any, body: Any) -> None:
    same(mode(body)(mg.constant(X)), body(X), rtol=1e-9)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_patterns_are_differentiable(body: Any) -> None:
    d = np.random.default_rng(1).normal(size=X.shape)
    weights = np.cos(np.arange(np.size(body(X)), dtype=float)).reshape(np.shape(body(X)))
    slope = np.sum(mg.grad(lambda x: mg.sum(body(x) * weights))(mg.constant(X)).numpy() * d)
    ahead, behind = (np.sum(body(X + h * d) * weights) for h in (1e-6, -1e-6))
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_packed_and_unpacked_again() -> None:
    xs = [mg.constant(X), mg.constant(X[0])]
    packed, shapes = pack(xs, "* c")
    assert packed.shape == (12, 6)
    same(unpack(packed, shapes, "* c"), [X, X[0]])
    assert isinstance(asnumpy(xs[0]), np.ndarray)
    assert parse_shape(xs[0], "b _ c") == {"b": 2, "c": 6}
    same(rearrange(mg.Variable(X), "b h c -> c h b"), X.T)


def test_dims_that_a_trace_does_not_know_are_those_of_the_call() -> None:
    @mg.function(input_signature=[mg.TensorSpec((None, None, 6), "float64")])
    def f(x: Any) -> Any:
        return reduce(rearrange(x, "b (h k) c -> (b k) (h c)", k=2), "n m -> m", "mean")

    for x in (X, X[:, :2]):
        n, h, c = x.shape
        same(
            f(mg.constant(x)), x.reshape(n, h // 2, 2 * c).reshape(n, -1, 2, c).mean((0, 2)).ravel()
        )
    assert f.trace_count == 1


@pytest.mark.parametrize("order", ["import einops, minigrad", "import minigrad, einops"])
def test_the_backend_is_found_whoever_comes_first(order: str) -> None:
    code = f"{order}; print(einops.rearrange(minigrad.ones((2, 3)), 'a b -> b a').shape)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "(3, 2)"


def test_a_wrong_pattern_is_einops_error() -> None:
    with pytest.raises(Exception, match="rearrange"):
        rearrange(mg.ones((2, 3)), "a b c -> c b a")
