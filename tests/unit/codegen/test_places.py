"""Places of extremes in native code: NumPy's, at ties, zeros of both signs, and nan."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg

RANDOM = np.random.default_rng(3)
SHAPES = [(37, 130), (9, 1001), (3000, 10), (5, 6, 70), (3, 8200), (8197,), ()]
DTYPES = ["float32", "float64", "int64", "int8", "uint32", "bool"]


def draws(shape: Any, dtype: str) -> Any:
    """Arrays with many ties; of floats, some with zeros of both signs, infinities and nan."""
    few = RANDOM.integers(0, 4, shape)
    yield few.astype(dtype)
    yield RANDOM.integers(0, 2, shape).astype(dtype) * 0
    if dtype.startswith("float"):
        yield RANDOM.choice([0.0, -0.0], shape).astype(dtype)
        yield RANDOM.choice([np.inf, -np.inf], shape).astype(dtype)
        for share in (0.5, 0.01):
            x = np.where(RANDOM.random(shape) < share, np.nan, RANDOM.normal(size=shape))
            x = np.where(RANDOM.random(shape) < share, np.inf, x)
            yield np.asarray(x, dtype)
    else:
        limits = np.iinfo(dtype) if dtype != "bool" else None
        if limits is not None:
            yield RANDOM.choice([limits.min, limits.max, 0], shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_the_first_extreme_or_nan_has_the_place(name: str, shape: Any, dtype: str) -> None:
    axes = [None, *range(len(shape))]

    @mg.function(jit_compile=True)
    def found(x: Any) -> Any:
        return [getattr(mg, name)(x, axis=axis) for axis in axes]

    for x in draws(shape, dtype):
        for axis, place in zip(axes, found(x), strict=True):
            expected = np.asarray(getattr(np, name)(x, axis=axis))
            np.testing.assert_array_equal(place.numpy(), expected, strict=True)


def test_what_is_searched_is_made_in_the_same_loops() -> None:
    @mg.function(jit_compile=True)
    def found(x: Any) -> Any:
        return mg.argmax(mg.exp(-x * x), axis=-1, keepdims=True)

    x = mg.asarray(RANDOM.normal(size=(40, 300)))
    assert found.compiler_ir(x, stage="loops").count("y0") == 2  # named, and stored to
    expected = np.argmin(x.numpy() ** 2, axis=-1, keepdims=True)
    np.testing.assert_array_equal(found(x).numpy(), expected)
