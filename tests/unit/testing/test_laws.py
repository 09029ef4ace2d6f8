"""Each law that our own ops are held to can fail."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import minigrad as mg
from minigrad.define import Spec, primitive
from minigrad.testing import LawError, check_op, laws
from minigrad.testing.applications import Application


def application(rule: Any, dtype: str = "float64") -> Application:
    """The op `plus_one`, with a derivative that is `rule(g, y, x)`."""

    @primitive(infer=lambda x: Spec(x.shape, x.dtype))
    def plus_one(x: Any, /) -> Any:
        return np.add(x, 1, dtype=x.dtype)

    plus_one.defvjp(rule)
    return Application(plus_one, (np.array([0.5, 2.0], dtype),), {})


def test_a_pullback_that_is_not_linear() -> None:
    laws.pullback_is_linear(application(lambda g, y, x: g), 0)
    with pytest.raises(AssertionError, match="not linear"):
        laws.pullback_is_linear(application(lambda g, y, x: mg.abs(g)), 0)


def test_a_gradient_that_float32_spoils() -> None:
    spoiled = application(lambda g, y, x: (g + 1e6) - 1e6, "float32")
    with pytest.raises(AssertionError, match="float32 against float64"):
        laws.narrow_is_wide(spoiled, 0)


def test_a_gradient_of_another_shape() -> None:
    with pytest.raises(LawError, match="a cotangent has the shape of its input") as caught:
        check_op(application(lambda g, y, x: g[:1]).op, np.array([0.5, 2.0]))
    assert "check_op(plus_one, x0)" in caught.value.program


def test_a_gradient_of_another_dtype() -> None:
    laws.gradients_have_the_spec_of_inputs(application(lambda g, y, x: g), 0)
    with (
        patch.object(laws, "pulled_back", lambda *_: [np.ones(2, np.float32)]),
        pytest.raises(AssertionError, match="the gradient of input 0"),
    ):
        laws.gradients_have_the_spec_of_inputs(application(lambda g, y, x: g), 0)


def test_a_kernel_that_depends_on_the_layout_of_memory() -> None:
    @primitive(infer=lambda x: Spec(x.shape, x.dtype))
    def by_memory(x: Any, /) -> Any:
        return x + x.flags.c_contiguous

    by_memory.no_gradient("of a test")
    with pytest.raises(AssertionError, match="laid out otherwise"):
        laws.any_layout_and_nothing_written(Application(by_memory, (np.ones(3),), {}), [0])


def test_an_infer_rule_that_refuses_in_other_words() -> None:
    def refuse(x: Any) -> Any:
        raise mg.errors.SpecError("no")

    @primitive(infer=refuse)
    def willing(x: Any, /) -> Any:
        return x + 0

    willing.no_gradient("of a test")
    with pytest.raises(AssertionError, match="infer says SpecError"):
        laws.infer_is_kernel(Application(willing, (np.ones(3),), {}))
