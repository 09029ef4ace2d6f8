"""What holds for every op transformed: jvp is the transpose of vjp, vmap is a loop."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.errors import MinigradError
from minigrad.testing.applications import Application, is_inexact
from minigrad.testing.slopes import inner, outputs_of, pulled_back, randoms
from minigrad.testing.strategies import applications, names
from tests.laws.budget import examples

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


# many examples at once


class Batch(NamedTuple):
    """An application, and examples of its inputs: stacks along an axis, or None for shared ones."""

    application: Application
    stacks: list[Any]
    axes: list[int | None]
    size: int

    def given(self) -> list[Any]:
        """The inputs of the vmapped function."""
        pairs = zip(self.stacks, self.application.tensors(), strict=True)
        return [x if stack is None else mg.constant(stack) for stack, x in pairs]

    def example(self, i: int) -> list[Any]:
        """The inputs of example number `i`."""
        return [
            x if axis is None else mg.constant(np.take(stack, i, axis))
            for x, stack, axis in zip(
                self.application.tensors(), self.stacks, self.axes, strict=True
            )
        ]


# inputs that examples cannot differ in, for then their shapes would
SHAPES = {"reshape_dynamic": [1], "broadcast_dynamic": [1]}


def drawn_batch(data: Any, application: Application) -> Batch:
    """Some inputs stacked along some axis: each example has the elements in another order."""
    size = data.draw(st.sampled_from([2, 3, 1]), "size")
    places = [
        i
        for i, x in enumerate(application.inputs)
        if isinstance(x, np.ndarray)
        and i not in SHAPES.get(application.op.name, [])
        and not (x.dtype == bool and "key" in application.attrs)
    ]
    chosen = data.draw(st.sets(st.sampled_from(places), min_size=1), "batched") if places else ()
    stacks: list[Any] = [None] * len(application.inputs)
    axes: list[int | None] = [None] * len(application.inputs)
    for i in chosen:
        x = application.inputs[i]
        axes[i] = data.draw(st.integers(0, x.ndim), "axis")
        rows = [np.roll(x.ravel(), k).reshape(x.shape) for k in range(size)]
        stacks[i] = np.stack(rows, axes[i])
    return Batch(application, stacks, axes, size)


def in_a_loop(f: Any, batch: Batch) -> Any:
    """The results of `f` for each example, stacked; or the error of one of them."""
    try:
        rows = [f(*batch.example(i)) for i in range(batch.size)]
    except MinigradError as error:
        return error
    return [None if y[0] is None else np.stack(y) for y in zip(*rows, strict=True)]


def assert_equal(found: Any, expected: Any, *, close: bool) -> None:
    """Lists of arrays, of equal shapes and dtypes, with equal elements."""
    assert len(found) == len(expected)
    for y, z in zip(found, expected, strict=True):
        assert (y is None) == (z is None)
        if y is not None:
            assert (y.shape, y.dtype) == (z.shape, z.dtype)
            # sums may be taken in another order
            coarse = {"e": 4e-3, "f": 1e-4, "F": 1e-4}.get(z.dtype.char, 1e-9)
            tolerance = {"rtol": coarse, "atol": min(coarse, coarse**1.33)}
            np.testing.assert_allclose(np.asarray(y), z, **tolerance if close else {"rtol": 0})


OF_EXAMPLES = names(lambda op: not op.draws)


every_op = pytest.mark.parametrize("name", OF_EXAMPLES)
with_a_rule = pytest.mark.parametrize(
    "name", names(lambda op: op.batch is not None and not op.draws)
)


def assert_loop(batch: Batch, mode: Any) -> None:
    """`vmap` of the application gives what a loop gives, or both refuse."""
    expected = in_a_loop(batch.application, batch)
    f = mode(mg.vmap(batch.application, in_axes=tuple(batch.axes)))
    if isinstance(expected, Exception):
        with pytest.raises(MinigradError):
            f(*batch.given())
    else:
        assert_equal(f(*batch.given()), expected, close=True)


@every_op
@examples(0.2)
@given(data=st.data())
def test_vmap_is_a_loop(name: str, data: Any) -> None:
    batch = drawn_batch(data, data.draw(applications(name, smooth=True)))
    if any(axis is not None for axis in batch.axes):
        assert_loop(batch, lambda f: f)


@with_a_rule
@examples(1.0)
@given(data=st.data())
def test_a_batching_rule_is_a_loop(name: str, data: Any) -> None:
    """Also of empty tensors, and of any dtypes."""
    batch = drawn_batch(data, data.draw(applications(name, smooth=data.draw(st.booleans()))))
    if any(axis is not None for axis in batch.axes):
        assert_loop(batch, lambda f: f)


@every_op
@examples(0.1)
@given(data=st.data())
def test_vmap_in_a_function_is_a_loop(name: str, data: Any) -> None:
    batch = drawn_batch(data, data.draw(applications(name, smooth=True)))
    if any(axis is not None for axis in batch.axes):
        assert_loop(batch, mg.function)


@with_a_rule
@examples(0.1)
@given(data=st.data())
def test_vmap_of_vmap_is_two_loops(name: str, data: Any) -> None:
    batch = drawn_batch(data, data.draw(applications(name, REAL, smooth=True)))
    if not any(axis is not None for axis in batch.axes):
        return
    turned = [
        s if axis is None else np.flip(s, axis)
        for s, axis in zip(batch.stacks, batch.axes, strict=True)
    ]
    two = [batch, batch._replace(stacks=turned)]
    expected = [in_a_loop(batch.application, one) for one in two]
    if any(isinstance(found, Exception) for found in expected):
        return
    given_twice = [
        x if axis is None else mg.stack([x, mg.flip(x, axis=axis)])
        for x, axis in zip(batch.given(), batch.axes, strict=True)
    ]
    inner = mg.vmap(batch.application, in_axes=tuple(batch.axes))
    outer = mg.vmap(inner, in_axes=tuple([None if a is None else 0 for a in batch.axes]))
    stacks = [None if y[0] is None else np.stack(y) for y in zip(*expected, strict=True)]
    assert_equal(outer(*given_twice), stacks, close=True)
