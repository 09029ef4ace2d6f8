"""Hypothesis' strategies for array API libraries draw tensors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.array_api import make_strategies_namespace

import minigrad as mg
from tests.laws.budget import examples

xps = make_strategies_namespace(mg)


@examples(1)
@given(xps.arrays(xps.scalar_dtypes(), xps.array_shapes(max_dims=3, max_side=4)))
def test_arrays_are_tensors(x: Any) -> None:
    assert type(x) is mg.Tensor and 1 <= x.ndim <= 3


@examples(1)
@given(
    xps.arrays(mg.float32, st.tuples(st.just(3)), elements={"min_value": -4, "max_value": 4}),
    xps.indices((3,), allow_newaxis=True),
)
def test_elements_and_indices_are_as_asked_for(x: Any, key: Any) -> None:
    assert mg.all(mg.abs(x) <= 4)
    assert isinstance(x[key], mg.Tensor)


@examples(1)
@given(xps.mutually_broadcastable_shapes(2, max_dims=3, max_side=3))
def test_shapes_that_broadcast_do(drawn: Any) -> None:
    x, y = (mg.ones(shape) for shape in drawn.input_shapes)
    assert (x + y).shape == drawn.result_shape


@pytest.mark.parametrize(
    "name",
    ["boolean", "integer", "unsigned_integer", "floating", "complex", "numeric", "real", "scalar"],
)
def test_dtypes_are_those_of_minigrad(name: str) -> None:
    strategy = getattr(xps, f"{name}_dtypes")()

    @examples(0.5)
    @given(strategy)
    def check(dtype: Any) -> None:
        assert mg.zeros(1, dtype=dtype).dtype == dtype

    check()
