"""What holds for the derivative of every op: it is the slope, to any order, in the dtype asked."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.core.op import Op
from minigrad.core.registry import OPS
from minigrad.errors import MinigradError
from minigrad.testing.applications import Application, is_inexact
from minigrad.testing.draws import ANY
from minigrad.testing.laws import (
    gradients_have_the_spec_of_inputs,
    narrow_is_wide,
    pullback_is_linear,
)
from minigrad.testing.slopes import (
    inner,
    is_slope,
    moved,
    outputs_of,
    pulled_back,
    randoms,
)
from minigrad.testing.strategies import applications, names
from tests.laws.budget import examples

REAL = (np.float64,)
COMPLEX = (np.complex128,)
SEEDS = st.integers(0, 999)


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """NumPy warns of inf and nan, which some laws give it on purpose."""
    with np.errstate(all="ignore"):
        yield


def is_differentiable(op: Op) -> bool:
    """Whether `op` states a rule."""
    return op.differentiable


def takes_complex(op: Op) -> bool:
    """Whether a smooth application of `op` to complex numbers can be drawn."""
    found: list[bool] = []

    @examples(0.2)
    @given(applications(op.name, COMPLEX, smooth=True, numbers=False))
    def probe(application: Application) -> None:
        try:
            ys = application(*application.tensors())
            found.append(any(is_inexact(y) for y in ys) and bool(application.smooth()))
        except MinigradError:
            found.append(False)

    probe()
    return any(found)


DIFFERENTIABLE = names(is_differentiable)
# asked once, of each op by itself: rules that complex numbers never reach need no law
WITH_COMPLEX = [name for name in DIFFERENTIABLE if takes_complex(OPS[name])]
every_rule = pytest.mark.parametrize("name", DIFFERENTIABLE)


@every_rule
@examples(0.5)
@given(data=st.data(), seed=SEEDS)
def test_the_gradient_is_the_slope(name: str, data: Any, seed: int) -> None:
    assert_slopes(data.draw(applications(name, REAL, smooth=True)), seed)


@pytest.mark.parametrize("name", WITH_COMPLEX)
@examples(0.4)
@given(data=st.data(), seed=SEEDS)
def test_the_gradient_of_complex_numbers_is_the_slope(name: str, data: Any, seed: int) -> None:
    """By the conjugate convention: a step d changes the loss by the real part of conj(bar) d."""
    dtypes = data.draw(st.sampled_from([COMPLEX, (*COMPLEX, *REAL)]))
    assert_slopes(data.draw(applications(name, dtypes, smooth=True)), seed)


def assert_slopes(application: Application, seed: int) -> None:
    """The cotangent of each input is the slope of <g, y> along a random direction."""
    inputs, places = application.inputs, application.smooth()
    ys = outputs_of(application, inputs)
    gs = randoms(ys, seed)
    bars = pulled_back(application, inputs, gs, places)
    for i, bar in zip(places, bars, strict=True):
        direction = randoms([inputs[i]], seed + i + 1)
        if bar is not None:
            assert (bar.shape, bar.dtype) == (inputs[i].shape, inputs[i].dtype)

        def loss(step: float, i: int = i, direction: Any = direction) -> float:
            return inner(gs, outputs_of(application, moved(inputs, [i], direction, step)))

        assert_slope(loss, inner([bar], direction), 1e-6, f"input {i}: {bar}")


def assert_slope(loss: Any, found: float, tolerance: float, words: str = "") -> None:
    """`found` is the derivative of `loss` at 0, if it has one there."""
    verdict = is_slope(loss, found, tolerance)
    assume(verdict is not None)
    assert verdict, words


# to a dtype among their attributes, or of real numbers to complex ones
CONVERSIONS = {"cast", "fill", "fourier"}
HOLOMORPHIC = [name for name in WITH_COMPLEX if OPS[name].holomorphic and name not in CONVERSIONS]


@pytest.mark.parametrize("name", HOLOMORPHIC)
@examples(0.3)
@given(data=st.data(), seed=SEEDS)
def test_the_gradient_is_the_complex_step_to_rounding(name: str, data: Any, seed: int) -> None:
    application = data.draw(applications(name, REAL, smooth=True))
    inputs, places = application.inputs, application.smooth()
    gs = randoms(outputs_of(application, inputs), seed)
    directions = randoms([inputs[i] for i in places], seed + 1)
    h = 1e-20
    ys = outputs_of(application, moved(inputs, places, directions, 1j * h))
    slope = sum(float(np.sum(g * (y.imag / h))) for g, y in zip(gs, ys, strict=True))
    found = inner(pulled_back(application, inputs, gs, places), directions)
    assert found == pytest.approx(slope, rel=1e-10, abs=1e-10)


@every_rule
@examples(0.3)
@given(data=st.data(), seed=SEEDS)
def test_the_gradient_of_the_gradient_is_its_slope(name: str, data: Any, seed: int) -> None:
    """<bar(x, g), u> is differentiated, in the inputs and in the cotangent."""
    application = data.draw(applications(name, REAL, smooth=True))
    inputs, places = application.inputs, application.smooth()
    gs = randoms(outputs_of(application, inputs), seed)
    sources = [inputs[i] for i in places]
    us = randoms(sources, seed + 1)
    directions = randoms([*sources, *gs], seed + 2)

    def bars_of(tensors: list[Any], cotangents: list[Any]) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch([tensors[i] for i in places])
            ys = [y for y in application(*tensors) if is_inexact(y)]
        found: list[Any] = tape.gradient(ys, [tensors[i] for i in places], cotangents)
        return found

    def loss(step: float) -> float:
        tensors = [
            mg.constant(x) if isinstance(x, np.ndarray) else x
            for x in moved(inputs, places, directions[: len(places)], step)
        ]
        pairs = zip(gs, directions[len(places) :], strict=True)
        bars = bars_of(tensors, [mg.constant(g + step * d) for g, d in pairs])
        return inner([None if bar is None else bar.numpy() for bar in bars], us)

    tensors, cotangents = application.tensors(), list(map(mg.constant, gs))
    with mg.GradientTape() as tape:
        followed = [*[tensors[i] for i in places], *cotangents]
        tape.watch(followed)
        bars = bars_of(tensors, cotangents)
        total = [mg.sum(bar * u) for bar, u in zip(bars, us, strict=True) if bar is not None]
    assume(total)
    seconds = tape.gradient(total, followed)
    found = inner([None if s is None else s.numpy() for s in seconds], directions)
    assert_slope(loss, found, 1e-5)


@every_rule
@examples(0.2)
@given(data=st.data(), seed=SEEDS)
def test_the_pullback_is_linear(name: str, data: Any, seed: int) -> None:
    pullback_is_linear(data.draw(applications(name, REAL, smooth=True)), seed)


@every_rule
@examples(0.2)
@given(data=st.data(), seed=SEEDS)
def test_the_gradient_in_float32_is_that_in_float64(name: str, data: Any, seed: int) -> None:
    narrow_is_wide(data.draw(applications(name, (np.float32,), smooth=True)), seed)


@every_rule
@examples(0.4)
@given(data=st.data(), seed=SEEDS)
def test_gradients_have_the_spec_of_their_inputs(name: str, data: Any, seed: int) -> None:
    """Also of empty inputs, at inf and nan, and where dtypes are mixed."""
    gradients_have_the_spec_of_inputs(data.draw(applications(name, ANY)), seed)


@pytest.mark.parametrize("name", names(lambda op: op.zero_gradient is not None))
@examples(0.2)
@given(data=st.data())
def test_where_there_is_no_derivative_the_answer_is_none_with_the_reason(
    name: str, data: Any
) -> None:
    application = data.draw(applications(name, REAL, smooth=True))
    tensors = application.tensors()
    sources = [tensors[i] for i in application.smooth()]
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(sources)
        try:
            ys = application(*tensors)
        except MinigradError:  # bits of floats
            return
        targets = [mg.astype(y, mg.float64) * 2 for y in ys]
    for x in sources:
        assert tape.gradient(targets, x) is None
        assert tape.explain(targets, x).op == name
