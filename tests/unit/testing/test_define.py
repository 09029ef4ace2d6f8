"""Ops of users: defined in one place, at home everywhere, under the laws, refused in words."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen import jit
from minigrad.core.registry import OPS
from minigrad.define import Domain, Spec, forget, pointwise, primitive
from minigrad.errors import DefinitionError, SaveError
from minigrad.saved_model.model import dumped, loaded
from minigrad.testing import LawError, check_op
from minigrad.testing.strategies import Pen

needs_llvm = pytest.mark.skipif(not jit.available(), reason="llvmlite is not installed")


def softsign() -> Any:
    """A pointwise op with a loop body and a kink in its second derivative."""

    @pointwise(
        lambda b, x: b.div(x, b.add(b.const(1.0, x.dtype), b.math("abs", x))),
        domain=(Domain(kinks=(0.0,)),),
    )
    def softsign(x: Any, /) -> Any:
        """x / (1 + |x|)."""
        return x / (1 + np.abs(x))

    softsign.defvjp(lambda g, y, x: g / mg.square(1 + mg.abs(x)))
    return softsign


def spread_spec(x: Any, *, axis: int) -> Spec:
    return Spec(
        None if x.shape is None else [n for i, n in enumerate(x.shape) if i != axis], x.dtype
    )


def spread_row(pen: Pen) -> Any:
    shape = pen.shape(1)
    return (pen.array(shape, np.float64),), {"axis": pen.axis(len(shape))}


def squares(rule: Any, **options: Any) -> Any:
    """A primitive with an attribute: the sum of squares along an axis."""

    @primitive(infer=spread_spec, row=spread_row, **options)
    def squares(x: Any, /, *, axis: int) -> Any:
        """The sum of squares along `axis`."""
        return np.sum(x * x, axis=axis)

    squares.defvjp(rule)
    return squares


def right(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    return 2 * x * mg.expand_dims(g, axis=axis)


def test_an_op_of_ones_own_is_under_every_law() -> None:
    for op in (softsign(), squares(right)):
        report = check_op(op, examples=10)
        assert not report.failures and len(report.checked) == 3


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda g, y, x, *, axis: 3 * x * mg.expand_dims(g, axis=axis), "the gradient says"),
        (lambda g, y, x, *, axis: 2 * x * mg.sum(g), "the gradient says"),
        (lambda g, y, x, *, axis: mg.expand_dims(g, axis=axis) * mg.constant(2 * x.numpy()), ""),
    ],
)
def test_a_wrong_derivative_is_found_and_shrunk(rule: Any, words: str) -> None:
    with pytest.raises(LawError) as caught:
        check_op(squares(rule), examples=10)
    assert words in str(caught.value)
    assert "axis=0" in caught.value.program
    # what shrinking leaves: an axis or two of two, for a wrong sum of cotangents needs two of them
    inputs = caught.value.program.split("x0 = np.array(")[1].split("\n")[0]
    assert inputs.count(".") <= 4


@needs_llvm
def test_a_wrong_loop_body_is_found() -> None:
    @pointwise(lambda b, x: b.math("sin", x))
    def cosine(x: Any, /) -> Any:
        return np.cos(x)

    cosine.defvjp(lambda g, y, x: -g * mg.sin(x))
    with pytest.raises(LawError, match="compiled"):
        check_op(cosine, np.array([0.5, 1.0]))


def test_a_wrong_infer_rule_is_found() -> None:
    @primitive(infer=lambda x: Spec(x.shape, "float64"), row=lambda pen: ((pen.array((2,)),), {}))
    def twice(x: Any, /) -> Any:
        return x + x

    twice.defvjp(lambda g, y, x: 2 * g)
    with pytest.raises(LawError, match="infer says"):
        check_op(twice, examples=20)


def test_a_kernel_that_writes_to_its_input_is_stopped_and_changes_nothing() -> None:
    @primitive(infer=lambda x: Spec(x.shape, x.dtype))
    def zeroed(x: Any, /) -> Any:
        x[...] = 0
        return x

    zeroed.no_gradient("of a test")
    x = mg.constant([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        zeroed(x)
    assert x.numpy().tolist() == [1.0, 2.0]


def test_rules_for_one_output_are_refused_where_there_are_two() -> None:
    @primitive(infer=lambda x: (Spec(x.shape, x.dtype), Spec((), x.dtype)))
    def square_and_sum(x: Any, /) -> Any:
        return x * x, np.sum(x, dtype=x.dtype)

    square_and_sum.defvjp(lambda g, y, x: 2 * g[0] * x + g[1])
    with pytest.raises(mg.errors.GradientError, match="defvjp_joint"):
        mg.grad(lambda x: mg.sum(square_and_sum(x)[0]))(mg.constant([1.0, 2.0]))


def test_an_op_without_a_decision_on_its_derivative_is_found() -> None:
    @pointwise()
    def undecided(x: Any, /) -> Any:
        return x + 1

    with pytest.raises(LawError, match="nothing is said"):
        check_op(undecided)


def test_a_function_is_checked_at_given_inputs_only() -> None:
    with pytest.raises(mg.errors.SpecError, match="hand in inputs"):
        check_op(lambda x: x * 2)

    @mg.custom_gradient
    def f(x: Any) -> Any:
        return mg.sin(x), lambda g: g * mg.cos(x) * 1.5

    with pytest.raises(LawError, match="the gradient says"):
        check_op(f, np.array([0.3, 0.6]))


def test_graphs_print_compile_and_batch_ops_of_ones_own() -> None:
    op = softsign()
    x = mg.constant([1.0, -3.0])
    f = mg.function(op)
    assert "softsign(" in str(f.graph_for(x))
    np.testing.assert_allclose(mg.function(op, jit_compile=True)(x).numpy(), [0.5, -0.75])
    np.testing.assert_allclose(mg.vmap(op)(x).numpy(), [0.5, -0.75])


def test_files_hold_the_name_alone_and_loading_asks_for_the_definition() -> None:
    op = softsign()
    x = mg.constant([1.0, -3.0])
    data = dumped(mg.function(op).get_concrete_function(x))
    np.testing.assert_allclose(loaded(data)(x).numpy(), [0.5, -0.75])
    forget(op)
    with pytest.raises(SaveError, match=r"'softsign'.*import the module that defines it"):
        loaded(data)


# names


def test_a_name_that_minigrad_has_is_refused_whatever_is_loaded() -> None:
    for name in ("exp", "determinant"):
        kernel = eval("lambda x: x")
        kernel.__name__ = name
        with pytest.raises(DefinitionError, match=f"minigrad has one.*my_{name}"):
            pointwise()(kernel)


def test_two_ops_of_one_name_are_refused_and_one_defined_again_is_not() -> None:
    first = softsign()
    again = softsign()
    assert OPS["softsign"] is again.op is not first.op

    def softsign_elsewhere(x: Any) -> Any:
        return x

    softsign_elsewhere.__name__ = "softsign"
    with pytest.raises(DefinitionError, match=r"has made one.*rename one"):
        pointwise()(softsign_elsewhere)
    forget(again)
    assert pointwise()(softsign_elsewhere).op is OPS["softsign"]


def test_what_is_no_name_and_no_op_of_ones_own_is_refused() -> None:
    with pytest.raises(DefinitionError, match="write the kernel with def"):
        pointwise()(lambda x: x)
    with pytest.raises(DefinitionError, match="no op that you have defined"):
        forget(mg.exp)


@needs_llvm
@pytest.mark.parametrize(("tolerance", "holds"), [(1.0, False), (1e4, True)])
def test_how_rough_a_loop_body_may_be_is_declared_on_the_op(tolerance: float, holds: bool) -> None:
    @pointwise(
        lambda b, x: b.mul(b.math("sin", x), b.const(1 + 1e-8, x.dtype)), tolerance=tolerance
    )
    def rough_sine(x: Any, /) -> Any:
        return np.sin(x)

    rough_sine.defvjp(lambda g, y, x: g * mg.cos(x))
    with nullcontext() if holds else pytest.raises(LawError, match="compiled"):
        check_op(rough_sine, np.array([0.5, 1.0]))
