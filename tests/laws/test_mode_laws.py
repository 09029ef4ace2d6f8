"""Every op gives the same in every mode, forward and backward."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.codegen import jit
from minigrad.core.op import Op
from minigrad.core.registry import OPS
from minigrad.errors import MinigradError
from minigrad.testing.draws import ANY, FLOATS
from minigrad.testing.modes import Outputs, Program, assert_close, assert_same, with_gradient
from minigrad.testing.strategies import applications, names, specs
from tests.laws.budget import examples


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """NumPy warns of inf and nan, which these laws give it on purpose."""
    with np.errstate(all="ignore"):
        yield


def is_differentiable(op: Op) -> bool:
    """Whether `op` states a rule."""
    return op.differentiable


every_op = pytest.mark.parametrize("name", names())
every_rule = pytest.mark.parametrize("name", names(is_differentiable))


def drawn(name: str, data: Any, dtypes: Any = ANY, *, smooth: bool = False) -> Program | None:
    """A program of the op; None where it refuses what was drawn."""
    program = Program(data.draw(applications(name, dtypes, smooth=smooth)))
    try:
        program.forward(*program.tensors)
    except MinigradError:
        return None
    return program


# their public functions, or their derivatives, count axes among known ones
RANKED = {"tensor_product", "cofactor", "over_gaps", "over_values"}


# traced


@every_op
@examples(0.4)
@given(data=st.data())
def test_traced_is_eager_to_the_bit(name: str, data: Any) -> None:
    program = drawn(name, data)
    if program is not None:
        expected = program.forward(*program.tensors)
        traced = mg.function(program.forward)
        assert_same(traced(*program.tensors), expected)
        known = [data.draw(specs(spec, ranked=name in RANKED)) for spec in program.specs]
        open_ended = mg.function(program.forward, input_signature=known)
        assert_same(open_ended(*program.tensors), expected)


@every_rule
@examples(0.3)
@given(data=st.data())
def test_gradients_are_the_same_inside_and_outside_of_a_trace(name: str, data: Any) -> None:
    program = drawn(name, data, FLOATS, smooth=True)
    assert program is not None
    expected = program.gradient(*program.tensors)
    assert_same(mg.function(program.gradient)(*program.tensors), expected)
    assert_same(with_gradient(mg.function(program.forward), *program.tensors), expected)


@every_rule
@examples(0.3)
@given(data=st.data())
def test_gradients_are_the_same_with_unknown_dims(name: str, data: Any) -> None:
    program = drawn(name, data, FLOATS, smooth=True)
    assert program is not None
    expected = program.gradient(*program.tensors)
    known = [data.draw(specs(spec, ranked=name in RANKED)) for spec in program.specs]
    inside = mg.function(program.gradient, input_signature=known)
    assert_close(inside(*program.tensors), expected)
    outside = mg.function(program.forward, input_signature=known)
    assert_close(with_gradient(outside, *program.tensors), expected)


# compiled


def compiling(native: bool) -> Any:
    """Compile to native code, or leave the groups to NumPy, as where llvmlite is missing."""
    if native and not jit.available():
        pytest.skip("llvmlite is not installed, or is disabled")
    return nullcontext() if native else patch.object(jit, "available", lambda: False)


by_native_code_and_by_numpy = pytest.mark.parametrize("native", [True, False], ids=str)


@by_native_code_and_by_numpy
@every_op
@examples(0.3)
@given(data=st.data())
def test_compiled_is_eager_but_for_rounding(name: str, native: bool, data: Any) -> None:
    program = drawn(name, data)
    if program is not None:
        expected = program.forward(*program.tensors)
        with compiling(native):
            compiled = mg.function(program.forward, jit_compile=True)
            assert_close(compiled(*program.tensors), expected, OPS[name].tolerance)


@by_native_code_and_by_numpy
@every_rule
@examples(0.3)
@given(data=st.data())
def test_compiled_gradients_are_eager_ones_but_for_rounding(
    name: str, native: bool, data: Any
) -> None:
    # of one dtype: where two are mixed, the larger error of the smaller one is right
    program = drawn(name, data, [data.draw(st.sampled_from(FLOATS))], smooth=True)
    assert program is not None
    expected = program.gradient(*program.tensors)
    with compiling(native):
        inside = mg.function(program.gradient, jit_compile=True)
        assert_close(inside(*program.tensors), expected, 10 * OPS[name].tolerance)
        outside = mg.function(program.forward, jit_compile=True)
        assert_close(with_gradient(outside, *program.tensors), expected, 10 * OPS[name].tolerance)


@every_op
@examples(0.3)
@given(data=st.data())
def test_later_calls_leave_earlier_results_alone(name: str, data: Any) -> None:
    program = drawn(name, data, FLOATS, smooth=True)
    if program is None or not program.tensors:
        return
    compiled = mg.function(program.forward, jit_compile=True)
    first: Outputs = compiled(*program.tensors)
    kept = [y.numpy().copy() for y in first]
    others = [mg.constant(np.flip(x.numpy())) for x in program.tensors]
    try:
        compiled(*others)
    except MinigradError:  # such as a shape that is flipped
        return
    for y, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(y.numpy(), before)
