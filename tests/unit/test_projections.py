"""Products of slices are made before a compiled scan, all at once; with the same derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import projections

RANDOM = np.random.default_rng(0)
SLICES = mg.asarray(RANDOM.normal(size=(6, 3, 17)) / 4)
WEIGHTS = mg.asarray(RANDOM.normal(size=(17, 18)) / 4)
STATE = mg.asarray(RANDOM.normal(size=(3, 18)))


def rows(h: Any, w: Any, xs: Any) -> Any:
    return mg.scan(lambda h, x: (mg.tanh(h + x @ w), h), h, xs)


def twice(h: Any, w: Any, xs: Any) -> Any:
    """The slice and the matrix have other uses, and one product is stacked as it is."""

    def step(h: Any, x: Any) -> Any:
        y = x @ w
        return mg.sin(h + (x[:, :1] * x) @ (w * 2) + mg.sum(w)), (y, x)

    return mg.scan(step, h, xs)


def turned(h: Any, w: Any, xs: Any) -> Any:
    """By a part of the transpose of what is read in the round."""
    matrix = mg.concat([w.T, w.T * 0.5])
    return mg.scan(lambda h, x: (mg.tanh(h * (x @ matrix[9:27].T)), None), h, xs)[0]


def vectors(h: Any, w: Any, xs: Any) -> Any:
    def step(v: Any, x: Any) -> Any:
        v = mg.tanh(v + w.T @ x + x @ w)
        return v, v * x[0]

    return mg.scan(step, h[0], xs[:, 0])


def flattened(h: Any, w: Any, xs: Any) -> Any:
    parts = mg.reshape(xs, (6, 3, 17, 1))
    return mg.scan(lambda h, x: (mg.tanh(h + mg.reshape(x, (3, 17)) @ w), h), h, parts)


def nested(h: Any, w: Any, xs: Any) -> Any:
    def outer(h: Any, x: Any) -> Any:
        inner = mg.scan(lambda v, z: (mg.tanh(v + z @ w), v), h[0], x)
        return h + inner[0], inner[1]

    return mg.scan(outer, h, xs)


PROGRAMS: tuple[Callable[..., Any], ...] = (rows, twice, turned, vectors, flattened, nested)
given = pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)


def total(f: Callable[..., Any]) -> Callable[..., Any]:
    """The sum of the squares of all that `f` gives."""
    return lambda *xs: sum(mg.sum(y**2) for y in mg.tree.flatten(f(*xs))[0] if y is not None)


def assert_alike(ours: Any, theirs: Any) -> None:
    for x, y in zip(mg.tree.flatten(ours)[0], mg.tree.flatten(theirs)[0], strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-9, atol=1e-12)


def products_in_rounds(f: Any, *xs: Any) -> int:
    """How many products there are in the rounds of the loops of `f`."""
    bodies = [mg.function(f, jit_compile=True).graph_for(*xs)]
    count = 0
    while bodies:
        inner = [node.attrs["body"] for node in bodies.pop().nodes if node.rounds is not None]
        count += sum(node.op.name == "matrix_product" for graph in inner for node in graph.nodes)
        bodies += inner
    return count


@given
def test_values_and_derivatives_are_those_of_a_python_loop(program: Any) -> None:
    def slopes(*xs: Any) -> Any:
        return mg.value_and_grad(total(program), (0, 1, 2))(*xs)

    def second(*xs: Any) -> Any:
        return mg.grad(lambda *ys: sum(mg.sum(g**2) for g in slopes(*ys)[1]), (0, 1, 2))(*xs)

    def along(h: Any, w: Any, xs: Any) -> Any:
        return mg.jvp(total(program), (h, w, xs), (h * 0.5, w + 1, xs * 2))[1]

    def examples(h: Any, w: Any, xs: Any) -> Any:
        many = mg.stack([w, w * 2])
        return mg.vmap(lambda w: slopes(h, w, xs))(many), mg.vmap(lambda x: slopes(h, w, x))(
            mg.stack([xs, xs * 2])
        )

    values = (STATE, WEIGHTS, SLICES)
    for f in (program, slopes, second, along, examples):
        assert_alike(mg.function(f, jit_compile=True)(*values), f(*values))


@given
def test_no_round_multiplies_a_slice_by_what_stays(program: Any) -> None:
    remain = products_in_rounds(program, STATE, WEIGHTS, SLICES)
    assert remain == {"twice": 1}.get(program.__name__, 0)  # what is made of a slice is none


def test_a_weight_that_is_a_variable_has_its_gradient() -> None:
    weights = mg.Variable(WEIGHTS)

    @mg.function(jit_compile=True)
    def slope() -> Any:
        with mg.GradientTape() as tape:
            y = total(rows)(STATE, weights, SLICES)
        return tape.gradient(y, weights)

    assert_alike(slope(), mg.grad(total(rows), 1)(STATE, WEIGHTS, SLICES))


def test_what_is_small_or_would_take_much_memory_stays_in_the_rounds() -> None:
    values = (STATE, WEIGHTS, SLICES)
    assert products_in_rounds(rows, mg.ones((3, 4)), mg.ones((5, 4)), mg.ones((6, 3, 5))) == 1
    assert products_in_rounds(rows, STATE, WEIGHTS, SLICES[:1]) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projections, "MEMORY", 6 * 3 * 18 * 8)
        patch.setattr(projections, "CACHED", 0)
        assert products_in_rounds(rows, *values) == 0
        assert products_in_rounds(rows, STATE[:, :3], mg.ones((100, 3)), mg.ones((6, 3, 100))) == 0
        wide = mg.ones((3, 80)), mg.ones((17, 80)), mg.ones((6, 3, 17))
        assert products_in_rounds(rows, *wide) == 1
        patch.setattr(projections, "MEMORY", 6 * 3 * 18 * 8 - 1)
        assert products_in_rounds(rows, *values) == 1
