"""Laws for one application of an op or a function, and `check_op`: all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..core.convert import as_tensor
from ..core.later import later
from ..core.op import EAGER, Op
from ..core.tensor import tensor_of
from ..errors import LinAlgError, MinigradError, SpecError
from .agree import assert_modes_agree
from .applications import Application, is_inexact
from .grads import check_grads
from .report import LawError, Report, name_of, program_of
from .slopes import outputs_of, pulled_back, randoms

drawing = later("testing.drawing")  # needs Hypothesis, which checks of given inputs do without


# what an op is: specs, and memory


def computed(application: Application) -> Any:
    """The outputs by the kernel, or the error."""
    try:
        return application(*application.tensors())
    except Exception as error:
        return error


def inferred(application: Application, inputs: Sequence[Any]) -> Any:
    """The specs of the outputs by the infer rule, or the error."""
    try:
        specs = application.op.infer(*inputs, **application.attrs)
    except Exception as error:
        return error
    return specs if type(specs) is tuple else (specs,)


def infer_is_kernel(application: Application, refusals: Any = MinigradError) -> None:
    """Infer and kernel give the same, or refuse in the same words."""
    found, stated = computed(application), inferred(application, application.tensors())
    if isinstance(stated, Exception) or isinstance(found, Exception):
        assert isinstance(found, refusals), f"{found!r} came, and infer says {stated!r}"
        if isinstance(stated, Exception):
            assert (type(stated), str(stated)) == (type(found), str(found)), (
                f"infer says {stated!r}, and the kernel {found!r}"
            )
        return
    for k, (y, spec) in enumerate(zip(found, stated, strict=True)):
        good = y.dtype == spec.dtype and spec.known and spec.is_compatible_with(y)
        assert good, f"infer says {spec} of result {k}, and the kernel gives {y.spec}"


def laid_out(x: Any, layout: int) -> Any:
    """The array `x` with its elements elsewhere in memory: backwards, by columns, or in steps."""
    if not isinstance(x, np.ndarray) or x.ndim == 0:
        return x
    if layout == 0:
        return np.ascontiguousarray(x[::-1])[::-1]
    if layout == 1:
        return np.asfortranarray(x)
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def any_layout_and_nothing_written(application: Application, layouts: Sequence[int]) -> None:
    """A kernel takes its inputs wherever their elements lie, and writes to none."""
    found = computed(application)
    if isinstance(found, Exception):
        return
    arrays = [laid_out(x, k) for x, k in zip(application.inputs, layouts, strict=True)]
    before = [x.tobytes() if isinstance(x, np.ndarray) else x for x in arrays]
    again = EAGER.run(
        application.op,
        tuple([tensor_of(x) if isinstance(x, np.ndarray) else x for x in arrays]),
        application.attrs,
    )
    after = [x.tobytes() if isinstance(x, np.ndarray) else x for x in arrays]
    assert before == after, "the kernel writes to an input"
    for y, z in zip(found, again if type(again) is tuple else (again,), strict=True):
        np.testing.assert_allclose(
            z.numpy(), y.numpy(), rtol=1e-3, err_msg="inputs laid out otherwise in memory"
        )


# what its derivative is


def pullback_is_linear(application: Application, seed: int) -> None:
    """The cotangents of 2 g - 3 h are 2 times those of g less 3 times those of h."""
    places = application.smooth()
    ys = outputs_of(application, application.inputs)
    one, other = randoms(ys, seed), randoms(ys, seed + 1)
    both = [np.asarray(2 * g - 3 * h, g.dtype) for g, h in zip(one, other, strict=True)]
    a, b, c = (
        pulled_back(application, application.inputs, gs, places) for gs in (one, other, both)
    )
    for x, y, z in zip(a, b, c, strict=True):
        assert (x is None) == (y is None) == (z is None)
        if x is not None:
            np.testing.assert_allclose(
                2 * x - 3 * y, z, rtol=1e-9, atol=1e-9, err_msg="the pullback is not linear"
            )


def narrow_is_wide(application: Application, seed: int) -> None:
    """The gradient in float32 is float32, and but for rounding that in float64."""
    narrow = [
        x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype == np.float64 else x
        for x in application.inputs
    ]
    wide = [
        x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x
        for x in narrow
    ]
    places = application.smooth()
    ys = outputs_of(application, narrow)
    gs = [g.astype(y.dtype) for g, y in zip(randoms(ys, seed), ys, strict=True)]
    found = pulled_back(application, narrow, gs, places)
    ys = outputs_of(application, wide)
    gs = [g.astype(y.dtype) for g, y in zip(gs, ys, strict=True)]
    expected = pulled_back(application, wide, gs, places)
    for bar, exact in zip(found, expected, strict=True):
        assert (bar is None) == (exact is None)
        if bar is not None:
            assert bar.dtype == np.float32, f"the gradient of a float32 is {bar.dtype}"
            scale = 1 + np.max(np.abs(exact), initial=0)
            np.testing.assert_allclose(
                bar, exact, rtol=1e-4, atol=1e-4 * scale, err_msg="float32 against float64"
            )


def gradients_have_the_spec_of_inputs(application: Application, seed: int) -> None:
    """Also where broadcasting and promotion have to be undone, of empty inputs, at inf and nan."""
    places = application.smooth()
    try:
        ys = outputs_of(application, application.inputs)
    except MinigradError:
        return
    try:
        bars = pulled_back(application, application.inputs, randoms(ys, seed), places)
    except LinAlgError:  # of a singular matrix, or of equal eigenvalues: said, not guessed
        return
    for i, bar in zip(places, bars, strict=True):
        if bar is not None:
            x = application.inputs[i]
            assert (bar.shape, bar.dtype) == (x.shape, x.dtype), (
                f"the gradient of input {i}, {x.dtype}{list(x.shape)}, is "
                f"{bar.dtype}{list(bar.shape)}"
            )


# all of them


def check_op(
    op: Any,
    *inputs: Any,
    order: int = 2,
    examples: int = 30,
    times: float | None = None,
    without: Sequence[str] = (),
    **attrs: Any,
) -> Report:
    """Hold an op or a function to every law there is; a Report of what held.

    op: made by `mg.define`, or any function of tensors: with a custom_gradient, around a
    py_function. inputs, attrs: one application; without inputs, `examples` of them are drawn with
    Hypothesis, as `Domain` and `row` of the op say (a function that is no op needs inputs).
    order: of the derivatives; 0 for a function that has none. times: how often the rounding of
    one op the modes may differ by; None: what the op declares, or 10. without: modes to leave out.

    The laws: infer says what the kernel gives; the kernel takes any layout of memory, writes to
    no input, gives the same twice; derivatives are slopes to the order asked, jvp the transpose
    of vjp, the pullback linear, float32 as float64; eager, traced, compiled, reloaded and vmapped
    agree. Raises LawError, of the smallest application that could be found, with a program to
    paste. Raises SpecError where there is nothing to draw from.
    """
    found = getattr(op, "op", op)
    tolerance = times if times is not None else 10 * getattr(found, "tolerance", 1.0)
    options = {"order": order, "times": tolerance, "without": tuple(without)}
    if inputs or not isinstance(found, Op):
        if not inputs:
            raise SpecError(
                f"check_op of {name_of(op)}: inputs were to be drawn, and it is a function, not "
                "an op; only ops declare what they take; hand in inputs: check_op(f, x1, x2)"
            )
        application = Application(found, tuple(map(as_array, inputs)), attrs)
        return hold(op, application, options, modes=True)
    return check_drawn(op, found, examples, options)


def as_array(x: Any) -> Any:
    """An input of an application: arrays for tensors; Python numbers stay."""
    return x if type(x) in (bool, int, float, complex) else np.asarray(as_tensor(x))


def check_drawn(op: Any, found: Op, examples: int, options: dict[str, Any]) -> Report:
    """Hold drawn applications to the laws: any numbers, smooth ones, and a few in all modes."""
    report = Report(f"check_op of {name_of(op)}")
    decide(report, found)
    report.settle(program_of(check_op, op, (), {}))

    def of_any(application: Application) -> None:
        hold_op(op, application)

    def smooth(application: Application) -> None:
        hold(op, application, options, modes=False)

    def in_modes(application: Application) -> None:
        hold(op, application, options, modes=True)

    drawing.held(of_any, found, examples, smooth=False)
    drawing.held(smooth, found, examples, smooth=True)
    drawing.held(in_modes, found, max(2, examples // 6), smooth=True)
    report.checked.append(f"{examples} applications of any numbers: specs, memory, repetition")
    report.checked.append(f"{examples} smooth ones: derivatives to order {options['order']}")
    report.checked.append(f"{max(2, examples // 6)} in every mode")
    return report


def decide(report: Report, op: Op) -> None:
    """An op says whether it has a derivative."""
    said = [op.differentiable, op.zero_gradient is not None, op.opaque is not None]
    if sum(said) != 1:
        report.failures.append(
            f"of the derivative of {op.name} {'nothing' if not any(said) else 'too much'} is said; "
            f"write one of {op.name}.defvjp(rule, ...) and {op.name}.no_gradient('why')"
        )


def hold_op(op: Any, application: Application) -> None:
    """The laws that need no derivative: of specs and of memory. Raises LawError."""
    report = Report(f"check_op of {name_of(op)}")
    count = len(application.inputs)
    with np.errstate(all="ignore"):
        attempt(report, "infer says what the kernel gives", lambda: infer_is_kernel(application))
        for layout in range(3):
            anywhere = partial(any_layout_and_nothing_written, application, [layout] * count)
            attempt(report, "any layout of memory, nothing written", anywhere)
        if application.op.differentiable:
            specs = partial(gradients_have_the_spec_of_inputs, application, 0)
            attempt(report, "gradients have the specs of their inputs", specs)
    report.settle(program_of(check_op, op, application.inputs, application.attrs))


def hold(op: Any, application: Application, options: dict[str, Any], *, modes: bool) -> Report:
    """All laws, for one application. Raises LawError."""
    report = Report(f"check_op of {name_of(op)}")
    if isinstance(application.op, Op):
        decide(report, application.op)
        hold_op(op, application)
        report.checked.append("specs, and memory")
    arrays = [x for x in application.inputs if isinstance(x, np.ndarray)]

    def forward(*tensors: Any) -> Any:
        rest = iter(tensors)
        return application(
            *[next(rest) if isinstance(x, np.ndarray) else x for x in application.inputs]
        )

    forward.__name__ = name_of(op)
    with np.errstate(all="ignore"):
        smooth = options["order"] > 0 and differentiable(application)
        attempt(report, "the same twice", lambda: repeats(application))
        if smooth:
            inner(report, lambda: check_grads(forward, *arrays, order=options["order"]))
            if all(x.dtype == np.float64 for x in arrays if x.dtype.kind in "fc"):
                attempt(report, "linear", lambda: pullback_is_linear(application, 0))
                attempt(report, "float32", lambda: narrow_is_wide(application, 0))
        if modes:
            times, without = options["times"], options["without"]
            inner(
                report,
                lambda: assert_modes_agree(
                    forward, *arrays, gradients=smooth, times=times, without=without
                ),
            )
    given = {key: value for key, value in options.items() if value != DEFAULTS[key]}
    return report.settle(
        program_of(check_op, op, application.inputs, {**application.attrs, **given})
    )


DEFAULTS = {"order": 2, "times": 10.0, "without": ()}


def differentiable(application: Application) -> bool:
    """Whether there is a derivative to look at: a floating input, a floating result, no excuse."""
    op = application.op
    if isinstance(op, Op) and (op.opaque is not None or not op.differentiable):
        return False
    ys = computed(application)
    return (
        not isinstance(ys, Exception)
        and any(is_inexact(y) for y in ys)
        and bool(application.smooth())
    )


def repeats(application: Application) -> None:
    """The same application gives the same, to the bit."""
    if isinstance(application.op, Op) and application.op.stateful:
        return
    one, other = application(*application.tensors()), application(*application.tensors())
    for y, z in zip(one, other, strict=True):
        np.testing.assert_array_equal(y.numpy(), z.numpy(), err_msg="a second run")


def attempt(report: Report, words: str, law: Callable[[], None]) -> None:
    """Write down whether a law holds."""
    try:
        law()
    except (AssertionError, MinigradError) as error:
        text = " ".join(str(error).split())
        report.failures.append(f"{words}: {text}")
    else:
        if words not in report.checked:
            report.checked.append(words)


def inner(report: Report, check: Callable[[], Report]) -> None:
    """Take over what another check has found."""
    try:
        found = check()
    except LawError as violation:
        found = violation.report
    except MinigradError as error:  # a rule that gives what is no cotangent, or cannot run
        report.failures.append(str(error))
        return
    report.checked += found.checked
    report.refused += found.refused
    report.failures += found.failures
    report.advice += found.advice
