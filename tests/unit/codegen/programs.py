"""Random programs of the ops that fuse: maps, reductions, moves, joins and look-ups."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.compiler import ready_to_fuse
from minigrad.core.registry import api
from minigrad.core.spec import Spec
from minigrad.errors import SpecError
from minigrad.graph import Graph, trace
from minigrad.passes.pipeline import optimize

LENGTHS = (1, 2, 3, 7, 8, 33, 63, 64, 65, 130, 1000)
SHORT = (1, 2, 3, 7, 8, 17, 33)
DTYPES = ("float32", "float64", "int32", "int64", "bool", "int8", "uint8")
FUNCTIONS = ("tanh", "abs", "negative", "square", "exp", "sqrt", "sin")
LARGEST = 100_000


def shape_of_rank(choose: random.Random, rank: int) -> tuple[int, ...]:
    """A shape of up to some ten thousand elements."""
    shape = tuple(choose.choice(LENGTHS if rank < 3 else SHORT) for _ in range(rank))
    return shape if np.prod(shape) < LARGEST else (7, *shape[1:])


def broadcasting(choose: random.Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to `shape`."""
    ones = [1 if choose.random() < 0.3 else n for n in shape]
    return tuple(ones[choose.randrange(len(ones) + 1) if choose.random() < 0.3 else 0 :])


def elementwise(choose: random.Random, x: Any, values: list[Any]) -> Any:
    """One more value, element by element."""
    other = choose.choice(values)
    match choose.choice("aaammffwc"):
        case "a":
            names = ["add", "multiply", "maximum"]
            if x.dtype != np.bool_ and other.dtype != np.bool_:
                names += ["subtract", "minimum"]
            return getattr(api, choose.choice(names))(x, other)
        case "m":
            return x * 2 if x.dtype != np.bool_ else api.logical_not(x)
        case "f":
            floating = x if x.dtype.kind == "f" else api.astype(x, "float32")
            return getattr(api, choose.choice(FUNCTIONS))(floating * 0.25)
        case "w":
            return api.where(api.less(x, choose.choice(values)), x, other)
    return api.astype(x, choose.choice(DTYPES))


def reduced(choose: random.Random, x: Any) -> Any:
    """A reduction of `x` along some axes, or all."""
    axes = tuple(sorted(choose.sample(range(x.ndim), choose.randint(0, x.ndim)))) or None
    name = choose.choice(("sum", "sum", "max", "min", "any", "all", "mean"))
    return getattr(api, name)(x, axis=axes, keepdims=choose.random() < 0.6)


def moved(choose: random.Random, x: Any, shape: tuple[int, ...]) -> Any:
    """The elements of `x` in other places."""
    axis = choose.randrange(x.ndim) if x.ndim else 0
    match choose.choice("rensfbpltciud"):
        case "r":
            return api.reshape(x, (-1,))
        case "e":
            return api.expand_dims(x, axis=choose.randint(0, x.ndim))
        case "n":
            return api.permute_dims(x, tuple(choose.sample(range(x.ndim), x.ndim)))
        case "s":
            return x[..., ::2] if x.shape else x
        case "f":
            return api.flip(x)
        case "p":
            widths = [(choose.randint(0, 3), choose.randint(0, 3)) for _ in x.shape]
            return api.pad(x, widths, constant_values=choose.choice((0, 1)))
        case "l":
            return api.roll(x, choose.randint(-40, 40), axis=axis)
        case "t":
            return choose.choice((api.tril, api.triu))(x, k=choose.randint(-3, 9))
        case "c":
            return api.concat([x, api.flip(x), x[..., :3]][: choose.randint(2, 3)], axis=axis)
        case "i":
            n = x.shape[axis]
            places = np.asarray([choose.randrange(-n, n) for _ in range(choose.randint(1, 40))])
            return api.take(
                x, api.asarray(places, dtype=choose.choice(("int32", "int64"))), axis=axis
            )
        case "u":
            updated = x.at[choose.choice((0, -1, slice(1, None), slice(None, None, -1)))]
            return choose.choice((updated.set, updated.add))(x[0])
        case "d":
            n = len(x)
            return x.at[api.asarray([choose.randrange(n) for _ in range(n)])].add(x)
    return api.broadcast_to(x, np.broadcast_shapes(x.shape, shape))


def program(seed: int) -> tuple[Callable[..., list[Any]], list[Spec]]:
    """A function of tensors that returns some of what it makes, and the specs of its inputs."""
    choose = random.Random(seed)
    shape = shape_of_rank(choose, choose.choice((0, 1, 1, 2, 2, 2, 3, 3)))
    specs = []
    for _ in range(choose.randint(1, 4)):
        own = broadcasting(choose, shape) if choose.random() < 0.6 else shape
        specs.append(Spec(own, choose.choice(DTYPES[:2] if choose.random() < 0.6 else DTYPES)))

    def body(*xs: Any) -> list[Any]:
        values = list(xs)
        for _ in range(choose.randint(1, 14)):
            x = choose.choice(values[-4:])
            try:
                kind = choose.choice("eeeerrm")
                if kind == "e":
                    y = elementwise(choose, x, values)
                else:
                    y = reduced(choose, x) if kind == "r" else moved(choose, x, shape)
            except (SpecError, ValueError, TypeError, IndexError):
                continue  # shapes that do not fit: no such step then
            if np.prod(y.shape) < LARGEST:
                values.append(y)
        made = values[len(xs) :] or [api.abs(xs[0])]
        return list(dict.fromkeys([made[-1], *[y for y in made if choose.random() < 0.25]]))

    return body, specs


def graph(seed: int) -> Graph:
    """The graph of a random program, made ready to be fused."""
    body, specs = program(seed)
    return ready_to_fuse(optimize(trace(body, specs)[0]))


def data(graph: Graph, seed: int) -> list[Any]:
    """Arrays for the inputs of a graph: whole numbers or others, now and then nan and inf."""
    draw = np.random.default_rng(seed)
    arrays = []
    for spec in graph.arguments:
        if spec.dtype.kind != "f":
            x = draw.integers(0, 2 if spec.dtype == np.bool_ else 100, spec.shape)
        elif seed % 2:
            x = draw.integers(-3, 4, spec.shape)
        else:
            x = draw.standard_normal(spec.shape)
        array = np.asarray(x).astype(spec.dtype)
        if spec.dtype.kind == "f" and seed % 5 == 0 and array.size > 3:
            array.flat[draw.integers(array.size)] = np.nan
            array.flat[draw.integers(array.size)] = np.inf
        arrays.append(array)
    return [*arrays, *[x._value for x in graph.captures]]


def assert_close(expected: Any, got: Any, tolerance: float = 2e-4) -> None:
    """Same shape and dtype; floats equal but for rounding, relative to the largest element."""
    assert (expected.shape, expected.dtype) == (got.shape, got.dtype)
    if expected.dtype.kind != "f":
        # a float at the edge of two integers, or of a comparison, may be rounded to either side
        assert np.mean(expected != got) < 0.02 or np.sum(expected != got) <= 2
        return
    finite = np.where(np.isfinite(expected), np.abs(expected), 0)
    limit = tolerance * max(1.0, finite.max(initial=0.0))
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=limit)
