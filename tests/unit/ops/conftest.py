"""What the tests of ops share: that traces which know less of the shapes compute the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.graph import evaluate, trace

Check = Callable[..., None]


@pytest.fixture
def check_traced() -> Check:
    """`check(f, *xs)`: `f` and its gradient traced, with dims known, unknown, and half known."""

    def with_gradients(f: Callable[..., Any]) -> Callable[..., list[Any]]:
        def both(*xs: Any) -> list[Any]:
            with mg.GradientTape() as tape:
                tape.watch(xs)
                y = f(*xs)
                z = mg.sum(y * y)
            return [y, *tape.gradient(z, list(xs), unconnected_gradients="zero")]

        return both

    def check(f: Callable[..., Any], *arrays: Any) -> None:
        both = with_gradients(f)
        xs = [mg.constant(np.asarray(x, np.float64)) for x in arrays]
        expected = both(*xs)
        for keep in (lambda i: True, lambda i: False, lambda i: i % 2):
            dims = [tuple([n if keep(i) else None for i, n in enumerate(x.shape)]) for x in xs]
            graph, _ = trace(both, [Spec(shape, np.float64) for shape in dims])
            for symbol, found, right in zip(
                graph.outputs, evaluate(graph, [*xs, *graph.captures]), expected, strict=True
            ):
                np.testing.assert_allclose(found.numpy(), right.numpy(), rtol=1e-12)
                assert found.dtype == right.dtype
                assert symbol.spec.is_compatible_with(found), f"{symbol} promised, {found} came"

    return check
