"""One body run eagerly, traced and compiled, and messages without the places of files."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import tree

# how a body is run: as it is, traced, or compiled; the same is expected of all
MODES = {
    "eager": lambda body: body,
    "function": mg.function,
    "compiled": mg.function(jit_compile=True),
}
everywhere = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
# where Python sees values, which compiled functions refuse
both = pytest.mark.parametrize("mode", list(MODES.values())[:2], ids=list(MODES)[:2])


def words(error: Any) -> str:
    """The message of `error`, without line numbers, folders and addresses."""
    text = re.sub(r"(?:[\w.\-]*/)+([\w.\-]+\.py):\d+", r"\1:LINE", str(error))
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def same(ours: Any, theirs: Any, rtol: float = 1e-6) -> None:
    """Nests of equal structure and numbers; None only where None is."""
    mine, structure = tree.flatten(ours)
    expected, form = tree.flatten(theirs)
    assert structure == form
    for y, z in zip(mine, expected, strict=True):
        assert (y is None) == (z is None), f"{ours} where {theirs} was expected"
        if y is not None:
            np.testing.assert_allclose(np.asarray(y), np.asarray(z), rtol=rtol, atol=1e-6)


def derivatives(f: Callable[..., Any], x: Any, order: int) -> list[float]:
    """Derivatives of the scalar `f` at the scalar `x`, from the first up to `order`."""
    found = []
    for _ in range(order):
        f = mg.grad(f)
        found.append(f(x).item())
    return found
