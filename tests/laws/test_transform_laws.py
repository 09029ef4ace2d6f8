"""What holds for every op under the transformations: jvp is the transpose of vjp."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.laws.budget import examples
from tests.laws.slopes import inner, outputs_of, pulled_back, randoms
from tests.laws.strategies import Application, applications, is_inexact, names

REAL = (np.float64,)
COMPLEX = (np.complex128, np.float64)
SEEDS = st.integers(0, 999)


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """NumPy warns of inf and nan, which some laws give it on purpose."""
    with np.errstate(all="ignore"):
        yield


# forward mode

every_rule = pytest.mark.parametrize("name", names(lambda op: op.differentiable))


def pushed(application: Application, steps: Any, *, traced: bool) -> list[Any]:
    """The tangents of the floating outputs, as arrays or None, by jvp."""
    tensors = application.tensors()
    places = application.smooth()

    def f(*moving: Any) -> Any:
        inputs = list(tensors)
        for i, x in zip(places, moving, strict=True):
            inputs[i] = x
        return [y for y in application(*inputs) if is_inexact(y)]

    def both(*moving: Any) -> Any:
        return mg.jvp(f, moving, list(map(mg.constant, steps)))

    ys, tangents = (mg.function(both) if traced else both)(*[tensors[i] for i in places])
    for y, t in zip(ys, tangents, strict=True):
        assert t is None or (y.shape, y.dtype) == (t.shape, t.dtype)
    return [None if t is None else t.numpy() for t in tangents]


def assert_transposed(application: Application, seed: int, *, traced: bool) -> None:
    """<g, J t> = <Jᵀ g, t>."""
    inputs, places = application.inputs, application.smooth()
    gs = randoms(outputs_of(application, inputs), seed)
    steps = randoms([inputs[i] for i in places], seed + 1)
    forward = inner(pushed(application, steps, traced=traced), gs)
    backward = inner(pulled_back(application, inputs, gs, places), steps)
    narrow = any(g.dtype in ("float32", "complex64") for g in gs)
    tolerance = 1e-5 if narrow else 1e-9
    assert forward == pytest.approx(backward, rel=tolerance, abs=tolerance, nan_ok=True)


@every_rule
@examples(0.4)
@given(data=st.data(), seed=SEEDS)
def test_jvp_is_the_transpose_of_vjp(name: str, data: Any, seed: int) -> None:
    assert_transposed(data.draw(applications(name, REAL, smooth=True)), seed, traced=False)


@every_rule
@examples(0.2)
@given(data=st.data(), seed=SEEDS)
def test_jvp_of_complex_numbers_is_the_transpose_of_vjp(name: str, data: Any, seed: int) -> None:
    application = data.draw(applications(name, COMPLEX, smooth=True))
    try:
        application(*application.tensors())
    except mg.errors.SpecError:  # not defined for complex numbers
        return
    assert_transposed(application, seed, traced=False)


@every_rule
@examples(0.1)
@given(data=st.data(), seed=SEEDS)
def test_jvp_in_a_function_is_the_transpose_of_vjp(name: str, data: Any, seed: int) -> None:
    assert_transposed(data.draw(applications(name, REAL, smooth=True)), seed, traced=True)
