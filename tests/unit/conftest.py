"""What the unit tests share: derivatives held against central differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg

Check = Callable[..., None]


def along(f: Callable[..., Any], xs: list[Any], direction: list[Any]) -> float:
    """The derivative of the scalar `f` along `direction`, by a central difference."""
    h = 1e-6
    ahead, behind = (
        f(*[mg.constant(x + s * h * d) for x, d in zip(xs, direction, strict=True)])
        for s in (1, -1)
    )
    return (ahead.item() - behind.item()) / (2 * h)


@pytest.fixture
def check_gradients() -> Check:
    """`check(f, *xs)`: first and second derivatives of `f` at float64 arrays, by the tape.

    f may give any shape: a random sum of the elements is differentiated, along a random
    direction; the second derivative is that of the first along another.
    """

    def check(f: Callable[..., Any], *xs: Any, second: bool = True) -> None:
        rng = np.random.default_rng(0)
        xs_ = [np.asarray(x, np.float64) for x in xs]
        weights = rng.normal(size=f(*map(mg.constant, xs_)).shape)
        directions = [[rng.normal(size=x.shape) for x in xs_] for _ in range(2)]

        def scalar(*ys: Any) -> Any:
            return mg.sum(f(*ys) * weights)

        def slope(*ys: Any, of: Callable[..., Any] = scalar, direction: Any = directions[0]) -> Any:
            with mg.GradientTape() as tape:
                tape.watch(ys)
                z = of(*ys)
            found = tape.gradient(z, ys, unconnected_gradients="zero")
            return sum(mg.sum(g * d) for g, d in zip(found, direction, strict=True))

        tensors = [mg.constant(x) for x in xs_]
        expected = along(scalar, xs_, directions[0])
        assert slope(*tensors).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
        if second:
            expected = along(slope, xs_, directions[1])
            found = slope(*tensors, of=slope, direction=directions[1]).item()
            assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)

    return check
