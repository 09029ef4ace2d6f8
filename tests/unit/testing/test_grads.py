"""`check_grads` sees wrong derivatives, names the worst entry, and tells what else may be."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import LawError, Report, check_grads

X = np.array([[0.3, -0.7], [1.1, 0.4]])


def broken(rule: Any, forward: Any = mg.sin) -> Any:
    """A function whose derivative is `rule(x, g)`."""

    @mg.custom_gradient
    def f(x: Any) -> Any:
        return forward(x), lambda g: rule(x, g)

    return f


def report_of(f: Any, *inputs: Any, **options: Any) -> Report:
    """What is said of a derivative that is wrong."""
    with pytest.raises(LawError) as caught:
        check_grads(f, *inputs, **options)
    return caught.value.report


def test_right_derivatives_pass_and_every_way_was_taken() -> None:
    report = check_grads(lambda x, y: mg.sum(mg.sin(x) @ y), X, X + 1, order=3)
    words = "\n".join(report.checked)
    assert not report.failures and not report.refused
    for part in ("8 entries", "complex step", "by jvp", "order 2", "order 3"):
        assert part in words


def test_the_worst_entry_is_named_and_a_common_factor() -> None:
    report = report_of(broken(lambda x, g: 2 * g * mg.cos(x)), X)
    assert "input 0, entry [" in report.failures[0]
    assert "4 of 4 entries differ, all by the factor 2" in report.failures[1]
    assert "the derivative rule is wrong" in report.advice[0]


def test_one_wrong_entry_among_many_is_found() -> None:
    wrong = np.ones((3, 4))
    wrong[2, 1] = 1.001
    report = report_of(
        broken(lambda x, g: g * mg.cos(x) * wrong), np.linspace(0, 1, 12).reshape(3, 4)
    )
    assert "input 0, entry [2, 1]" in report.failures[0]
    assert "1 of 12 entries differ" in report.failures[1]


def test_an_error_below_what_differences_see_is_found_by_the_complex_step() -> None:
    report = report_of(broken(lambda x, g: g * mg.cos(x) * (1 + 1e-8)), X)
    assert "a complex step" in report.failures[0]


def test_a_pullback_that_is_not_linear_is_found() -> None:
    report = report_of(broken(lambda x, g: mg.abs(g) * mg.cos(x)), np.array([0.3]), order=1)
    assert any("not -3 times" in line for line in report.failures)


def test_a_wrong_second_derivative_is_found() -> None:
    def constant_of(x: Any, g: Any) -> Any:
        return g * mg.stop_gradient(mg.cos(x))

    assert "order 2" in report_of(broken(constant_of), X).failures[0]
    assert not check_grads(broken(constant_of), X, order=1).failures


def test_a_missing_gradient_is_explained() -> None:
    def f(x: Any) -> Any:
        return mg.numpy_function(np.sin, [x], mg.TensorSpec(x.shape, x.dtype))

    report = report_of(f, X)
    assert any(
        "there is no gradient of input 0" in line and "sin" in line for line in report.failures
    )


def test_a_kink_is_suspected() -> None:
    report = report_of(lambda x: mg.maximum(x, 0.0), np.array([1e-8, 1.0]))
    assert "entry [0]" in report.failures[0]
    assert "a kink or a jump is near" in report.advice[0]


def test_float32_is_advised_against_and_still_checked() -> None:
    report = check_grads(mg.sin, X.astype(np.float32))
    assert "float64" in report.advice[0]
    assert report_of(broken(lambda x, g: 1.2 * g * mg.cos(x)), X.astype(np.float32)).failures


def test_complex_inputs_are_checked_in_both_parts() -> None:
    z = np.array([1 + 2j, 0.3 - 1j])
    assert "4 entries" in check_grads(lambda z: z * mg.conj(z) * z, z).checked[0]
    report = report_of(broken(lambda x, g: g * mg.conj(mg.cos(x)) * 1j), z)
    assert "(real)" in report.failures[0] or "(imaginary)" in report.failures[0]


@pytest.mark.parametrize(
    ("f", "x", "words"),
    [
        (mg.sin, np.array([1, 2]), "no input is floating"),
        (lambda x: mg.argmax(x), X, "no result is floating"),
        (mg.sin, X.astype(np.float16), "check it in float64"),
    ],
)
def test_what_has_no_derivative_to_check_is_refused(f: Any, x: Any, words: str) -> None:
    with pytest.raises(mg.errors.SpecError, match=words):
        check_grads(f, x)


def test_the_program_of_a_failure_fails_again(tmp_path: Any) -> None:
    with pytest.raises(LawError) as caught:
        check_grads(lambda x: mg.stop_gradient(x) * x, 2.0)
    program = caught.value.program
    assert "x0 = 2.0" in program and "put the definition of f here" in program
    scope = {"f": lambda x: mg.stop_gradient(x) * x}
    with pytest.raises(LawError):
        exec(program, scope)
