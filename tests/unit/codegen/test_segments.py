"""Loops cut where conditions change: no condition is left, and the values are NumPy's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import compiler
from minigrad.codegen.fused import fused, loops
from minigrad.codegen.loops import Load, Loop, LoopNest, statements
from minigrad.core.spec import Spec
from minigrad.graph import trace

RANDOM = np.random.default_rng(11)
X = mg.asarray(RANDOM.standard_normal((36, 60)).astype(np.float32))
Y = mg.asarray(RANDOM.standard_normal((36, 60)).astype(np.float32))

MOVES: dict[str, Callable[[Any, Any], Any]] = {
    "stacked along a last axis": lambda x, y: mg.stack([x, y], axis=-1),
    "three computed and stacked": lambda x, y: mg.stack([x * y, mg.exp(x), x - y], axis=2),
    "eight stacked": lambda x, y: mg.stack([x * k for k in range(8)], axis=2),
    "stacked in front": lambda x, y: mg.stack([x, y], axis=0),
    "joined in short rows": lambda x, y: mg.concat([x[:, :5], y[:, :3]], axis=1),
    "one column more": lambda x, y: mg.concat([x, y[:, :1]], axis=1),
    "joined rows": lambda x, y: mg.concat([x, y * 2], axis=0),
    "rolled": lambda x, y: mg.roll(x, (3, -5), axis=(0, 1)),
    "margins alone": lambda x, y: mg.pad(x, ((0, 3), (2, 1)), constant_values=-0.0),
    "margins of several shifts": lambda x, y: sum(
        mg.pad(x, ((k, 4 - k), (4 - k, k))) for k in range(5)
    ),
    "every second column set": lambda x, y: x.at[:, ::2].set(y[:, :30]),
    "every third row from behind set": lambda x, y: x.at[::-3].set(y[:12]),
    "a part of a grid added to": lambda x, y: x.at[4:20:4, 1::3].add(y[:4, :20]),
    "a box added to": lambda x, y: x.at[2:5, 3].add(1.5),
    "a sum of what is put together": lambda x, y: mg.sum(mg.stack([x, mg.sin(y)], axis=-1) ** 2),
    "a largest of margins": lambda x, y: mg.max(mg.pad(x, 2, constant_values=-9.0), axis=0),
}
SLICES: list[Any] = [
    np.s_[::2],
    np.s_[:, ::2],
    np.s_[:, 1::3],
    np.s_[::-4, 2:40:2],
    np.s_[5, ::5],
    np.s_[:, 7::7],
    np.s_[3::11, None, ::-2],
    np.s_[:, ::20],
    np.s_[::50],
]


def nests(function: Any, *xs: Any) -> list[LoopNest]:
    """The loop nests of a function."""
    graph = trace(lambda *xs: [function(*xs)], [Spec(x.shape, x.dtype) for x in xs])[0]
    nodes = compiler.fused(graph).graph.nodes
    return [loops(node.attrs["graph"]) for node in nodes if node.op is fused]


@pytest.mark.parametrize("name", MOVES)
def test_what_is_put_together_has_the_values_that_it_has_eagerly(name: str) -> None:
    function = MOVES[name]
    np.testing.assert_allclose(
        mg.function(function, jit_compile=True)(X, Y), function(X, Y), rtol=1e-6, atol=1e-6
    )


AT_EDGES = {"margins of several shifts", "a largest of margins"}
"""Those of which a few rows keep conditions, together."""


@pytest.mark.parametrize("name", sorted(MOVES.keys() - AT_EDGES))
def test_it_is_put_together_in_loops_without_conditions(name: str) -> None:
    graph = trace(lambda x, y: [MOVES[name](x, y)], [X.spec, Y.spec])[0]
    assert {node.op for node in compiler.fused(graph).graph.nodes} == {fused}
    long = [
        loop
        for nest in nests(MOVES[name], X, Y)
        for loop in statements(nest.body)
        if isinstance(loop, Loop) and loop.extent > 16
    ]
    assert not any(isinstance(s, Load) and s.inside for loop in long for s in loop.body)


@pytest.mark.parametrize("key", SLICES, ids=str)
def test_the_derivative_of_a_slice_puts_it_back(key: Any) -> None:
    def slope(x: Any) -> Any:
        return mg.grad(lambda x: mg.sum(mg.sin(x[key]) ** 2))(x)

    np.testing.assert_allclose(mg.function(slope, jit_compile=True)(X), slope(X), rtol=1e-6)


def test_a_slice_by_small_steps_is_put_back_by_one_loop() -> None:
    def slope(x: Any) -> Any:
        return mg.grad(lambda x: mg.sum(x[:, ::2] * x[:, 1::2]))(x)

    (nest,) = nests(slope, X)
    assert "for k in 2" in str(nest)


def test_numbers_that_wrap_around_do_so_in_segments_too() -> None:
    """What lies before a margin is a large number, as conditions compare unsigned ones."""
    (nest,) = nests(lambda x: mg.pad(x, ((0, 0), (40, 0))) * 2, X)
    assert not any(isinstance(s, Load) and s.inside for s in statements(nest.body))


def test_numbers_that_are_cast_twice_are_known_in_segments() -> None:
    def f(x: Any) -> Any:
        y = mg.pad(mg.concat([x[..., 1:], x], axis=-1)[::3], ((1, 2),))
        z = mg.astype(mg.astype(y, mg.int64), mg.uint8)
        return mg.vecdot(z, z)

    x = np.arange(-50, 62, dtype=np.int32).reshape(2, 7, 8)
    expected = f(mg.asarray(x)).numpy()
    np.testing.assert_array_equal(mg.function(f, jit_compile=True)(x).numpy(), expected)


def test_many_changes_leave_conditions_where_they_are() -> None:
    (nest,) = nests(lambda x, y: mg.tril(x) + y, X, Y)
    assert sum(isinstance(s, Loop) for s in statements(nest.body)) == 2


@pytest.mark.parametrize("n", [31, 62, 63, 64, 127])
def test_what_a_segment_keeps_for_later_ends_where_its_row_does(n: int) -> None:
    def f(x: Any) -> Any:
        return mg.nn.softmax(mg.where(x > 0, x, -mg.inf).at[..., 0].set(1), axis=-1)

    x = np.random.default_rng(0).normal(size=(3, n))
    ours = mg.function(f, jit_compile=True)(x).numpy()
    np.testing.assert_allclose(ours, f(mg.constant(x)).numpy(), rtol=1e-12)


def test_segments_of_rows_abreast_are_read_as_far_as_each_of_them_goes() -> None:
    def f(x: Any) -> Any:
        y = mg.abs(mg.pad(x, ((3, 1), (3, 2)), constant_values=1))
        z = mg.vmap(lambda row: mg.sum(mg.tanh(row)) * row)(y)
        other = z.at[mg.asarray([-60], dtype=mg.int32)].set(z[0])
        return mg.sum(mg.sin(z)) + mg.sum(other * other)

    x = RANDOM.standard_normal((65, 1)).astype(np.float32)
    gradient = mg.function(mg.grad(f), jit_compile=True)
    expected = mg.grad(f)(mg.asarray(x)).numpy()
    for _ in range(3):
        dirty = [np.full(1000 * k, 1e30, np.float32) for k in range(1, 40)]
        del dirty  # what is not written may be read as this
        np.testing.assert_allclose(gradient(x).numpy(), expected, rtol=1e-4, atol=1e-4)
