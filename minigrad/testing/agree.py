"""`assert_modes_agree`: one function in every mode, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..batching import vmap
from ..core.convert import as_tensor
from ..core.spec import Spec
from ..core.tensor import Tensor
from ..errors import MinigradError, SaveError, SpecError, TraceError, UncompilableError
from ..function import function
from ..ops.join import stack
from ..saved_model.model import dumped, loaded
from .modes import assert_close, with_gradient
from .report import Report, name_of, program_of

MODES = ("traced", "unknown dims", "compiled", "reloaded", "vmapped")
# what a mode may say instead of an answer: no graph, no native code, no file of it
REFUSALS = (UncompilableError, SaveError, TraceError)
Results = list[Any]


def assert_modes_agree(
    f: Callable[..., Any],
    *inputs: Any,
    gradients: bool = True,
    times: float = 10.0,
    without: Sequence[str] = (),
) -> Report:
    """Hold `f` at `inputs` to one answer: eager, traced, compiled, reloaded and vmapped.

    f: takes tensors, gives a tensor or a nest of them. gradients: compare those of the inputs
    too, in every mode but vmapped. times: how often the rounding of one op results may differ.
    without: modes to leave out, of "traced", "unknown dims", "compiled", "reloaded", "vmapped".

    A mode that refuses `f` in words (an opaque body has no native code) is no disagreement: the
    Report lists it under `refused`. Raises LawError where modes differ, and SpecError for a mode
    that is none.
    """
    for mode in without:
        if mode not in MODES:
            raise SpecError(
                f"assert_modes_agree: to leave out {mode!r} was asked for; the modes are "
                f"{', '.join(MODES)}; name some of these"
            )
    report = Report(f"assert_modes_agree of {name_of(f)}")
    tensors = [as_tensor(x) for x in inputs]

    def forward(*xs: Any) -> Results:
        return list(tree.flatten(f(*xs))[0])

    def both(*xs: Any) -> Results:
        return with_gradient(forward, *xs)

    with np.errstate(all="ignore"):
        body = both if gradients else forward
        expected = body(*tensors)
        for words, answer in answers(forward, body, tensors, without):
            compare(report, words, answer, expected, times)
        if "vmapped" not in without and tensors:
            compare_vmapped(report, forward, tensors, times)
    options: dict[str, Any] = {"gradients": gradients, "times": times, "without": tuple(without)}
    return report.settle(program_of(assert_modes_agree, f, inputs, options))


def answers(
    forward: Callable[..., Results],
    body: Callable[..., Results],
    tensors: Sequence[Tensor],
    without: Sequence[str],
) -> Iterator[tuple[str, Callable[[], Results]]]:
    """What each mode is called, and how to have its answer."""
    backward = body is not forward

    def around(g: Callable[..., Results]) -> Results:
        return with_gradient(g, *tensors) if backward else g(*tensors)

    if "traced" not in without:
        yield "traced", lambda: function(body)(*tensors)
        if backward:
            yield "traced, a tape around it", lambda: around(function(forward))
    if "unknown dims" not in without:
        specs = [Spec((None,) * x.ndim, x.dtype) for x in tensors]
        yield "unknown dims", lambda: function(body, input_signature=specs)(*tensors)
    if "compiled" not in without:
        yield "compiled", lambda: function(body, jit_compile=True)(*tensors)
        if backward:
            yield (
                "compiled, a tape around it",
                lambda: around(function(forward, jit_compile=True)),
            )
    if "reloaded" not in without:
        yield (
            "reloaded",
            lambda: around(loaded(dumped(function(forward).get_concrete_function(*tensors)))),
        )


def compare(
    report: Report, words: str, answer: Callable[[], Results], expected: Results, times: float
) -> None:
    """Write down whether a mode gives what is expected."""
    try:
        found = list(tree.flatten(answer())[0])
    except REFUSALS as error:
        report.refused.append(f"{words}: {str(error).splitlines()[0]}")
        return
    except MinigradError as error:
        report.failures.append(f"{words}: eager gives an answer, and this {error!r}")
        return
    try:
        assert_close(found, expected, times)
        report.checked.append(words)
    except AssertionError as error:
        report.failures.append(f"{words}: {difference(found, expected, error)}")


def difference(found: Results, expected: Results, error: AssertionError) -> str:
    """Where two lists of tensors differ most, in a line."""
    if len(found) != len(expected):
        return f"{len(found)} results and gradients, where eager has {len(expected)}"
    for k, (y, z) in enumerate(zip(found, expected, strict=True)):
        if (y.shape, y.dtype) != (z.shape, z.dtype):
            return f"result {k} is {y.spec}, where eager has {z.spec}"
    gaps = [
        np.abs(np.subtract(y.numpy(), z.numpy(), dtype=complex))
        for y, z in zip(found, expected, strict=True)
    ]
    worst = [float(np.nan_to_num(gap, nan=np.inf).max(initial=0.0)) for gap in gaps]
    k = int(np.argmax(worst))
    index = np.unravel_index(int(np.argmax(np.nan_to_num(gaps[k], nan=np.inf))), gaps[k].shape)
    place = tuple(int(i) for i in index)
    return (
        f"result {k} at {list(place)} is {found[k].numpy()[place]!r}, where eager has "
        f"{expected[k].numpy()[place]!r}"
    )


def compare_vmapped(
    report: Report, forward: Callable[..., Results], tensors: Sequence[Tensor], times: float
) -> None:
    """Two examples at once are what two calls give."""
    turned = [as_tensor(np.roll(x.numpy().ravel(), 1).reshape(x.shape)) for x in tensors]
    try:
        rows = [forward(*tensors), forward(*turned)]
        expected = [stack(list(pair)) for pair in zip(*rows, strict=True)]
    except (MinigradError, ValueError) as error:
        report.refused.append(f"vmapped: of another example, {str(error).splitlines()[0]}")
        return
    stacks = [stack([x, y]) for x, y in zip(tensors, turned, strict=True)]
    compare(report, "vmapped", lambda: vmap(forward)(*stacks), expected, times)
