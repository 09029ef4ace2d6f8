"""`check_grads`: derivatives against differences, complex steps, and each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..core.convert import as_tensor
from ..errors import MinigradError, SpecError
from ..forward import jvp
from ..tape import GradientTape
from .applications import Array, is_inexact
from .report import Report, name_of, program_of
from .slopes import Slope, best_slope, inner, randoms

# relative to the larger of 1, the slope and the loss: what differences are good to
TOLERANCE = {"d": 1e-6, "D": 1e-6, "f": 2e-2, "F": 2e-2}
EXACT = {"d": 1e-9, "D": 1e-9, "f": 1e-4, "F": 1e-4}  # what two exact derivatives agree to
MOST = 64  # entries of one input that are looked at
TINY = 1e-20  # the complex step: its square is lost beside any number


class Entry(NamedTuple):
    """One entry of one input: what the gradient says, and what differences say."""

    place: int
    at: tuple[int, ...]
    part: str  # "" for real numbers
    x: Any
    found: float
    slope: Slope

    @property
    def error(self) -> float:
        """How far the two are apart, relative to the larger of 1 and both."""
        scale = max(1.0, abs(self.found), abs(self.slope.value))
        return abs(self.found - self.slope.value) / scale

    def __str__(self) -> str:
        index = f"[{', '.join(map(str, self.at))}]" if self.at else "(a number)"
        return (
            f"input {self.place}, entry {index}{self.part}, where it is {self.x:.6g}: the "
            f"gradient says {self.found:.9g}, differences say {self.slope.value:.9g} "
            f"(step {self.slope.step:.0e}, good to {self.slope.error:.0e})"
        )


class Case:
    """A function at a point, with a cotangent for each of its floating outputs."""

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any], seed: int) -> None:
        self.f = f
        self.inputs = [widened(x) for x in inputs]
        self.places = [i for i, x in enumerate(self.inputs) if is_inexact(x)]
        self.gs = randoms(self.outputs(self.inputs), seed)
        self.directions = randoms([self.inputs[i] for i in self.places], seed + 1)

    def tensors(self, inputs: Sequence[Any]) -> list[Any]:
        """Arrays as tensors."""
        return [as_tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]

    def floats(self, *tensors: Any) -> list[Any]:
        """The outputs that can have a derivative."""
        return [y for y in tree.flatten(self.f(*tensors))[0] if is_inexact(y)]

    def outputs(self, inputs: Sequence[Any]) -> list[Array]:
        """Those as arrays, for arrays."""
        return [y.numpy() for y in self.floats(*self.tensors(inputs))]

    def moved(self, steps: Sequence[Any]) -> list[Any]:
        """The inputs, those at `places` moved."""
        found: list[Any] = list(self.inputs)
        for i, step in zip(self.places, steps, strict=True):
            found[i] = np.asarray(found[i] + step)
        return found

    def loss(self, steps: Callable[[float], Sequence[Any]]) -> Callable[[float], float]:
        """<g, f> as a function of a step."""
        return lambda t: inner(self.gs, self.outputs(self.moved(steps(t))))

    def bars(self, *tensors: Any) -> list[Any]:
        """The cotangents of the inputs at `places`, as tensors or None."""
        with GradientTape() as tape:
            sources = [tensors[i] for i in self.places]
            tape.watch(sources)
            ys = self.floats(*tensors)
        found: list[Any] = tape.gradient(ys, sources, list(map(as_tensor, self.gs)))
        return found

    def scaled(self, factor: float) -> Case:
        """The same, of other cotangents."""
        case = copy(self)
        case.gs = [np.asarray(factor * g, g.dtype) for g in self.gs]
        return case

    def why(self, place: int) -> str:
        """Why there is no gradient of one input."""
        tensors = self.tensors(self.inputs)
        with GradientTape(persistent=True) as tape:
            tape.watch(tensors[place])
            ys = self.floats(*tensors)
        return str(tape.explain(ys, tensors[place]))


def widened(x: Any) -> Any:
    """An input as an array; a Python float is one of float64, whole numbers stay as they are."""
    if type(x) in (bool, int):
        return x
    if type(x) in (float, complex):
        return np.asarray(x)
    return np.asarray(as_tensor(x))


def check_grads(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 2,
    rtol: float | None = None,
    seed: int = 0,
) -> Report:
    """Hold the derivatives of `f` at `inputs` against what they mean; a Report of what held.

    f: takes the inputs, gives a tensor or a nest; its floating results are weighed by random
    cotangents. inputs: arrays or tensors, floating ones are moved; others stay as they are. order:
    how often to differentiate, 1 or more. rtol: what may differ, relative to the larger of 1 and
    the slope; None: 1e-6 for float64, 2e-2 for float32. seed: of cotangents and directions.

    The gradient is held entry by entry against central differences, extrapolated, with the best
    of a sweep of steps; along a direction against a step into the complex plane, if `f` takes one
    (Squire and Trapp, 1998); <g, J t> by jvp against <Jᵀ g, t>; and higher orders against
    differences of the order below. Raises LawError, whose report names the worst entry. Raises
    SpecError where there is nothing to differentiate.
    """
    report = Report(f"check_grads of {name_of(f)}")
    with np.errstate(all="ignore"):
        case = Case(f, inputs, seed)
        refuse_nothing(case, f)
        chars = {x.dtype.char for x in (*case.gs, *[case.inputs[i] for i in case.places])}
        narrow = bool(chars & {"f", "F"})
        tolerance = rtol or (TOLERANCE["f"] if narrow else TOLERANCE["d"])
        exact = EXACT["f"] if narrow else EXACT["d"]
        if narrow:
            report.advice.append(
                "float32 leaves differences three digits; pass float64 inputs to see more"
            )
        bars = [None if b is None else b.numpy() for b in case.bars(*case.tensors(case.inputs))]
        check_specs(case, bars, report)
        if not report.failures:
            check_entries(case, bars, tolerance, narrow, report)
            check_complex(case, bars, tolerance, report)
            check_transpose(case, bars, exact, report)
            check_linear(case, bars, exact, report)
            if order > 1 and not report.failures:
                check_higher(case, order, seed, narrow, report)
    options = {"order": order, "seed": seed} | ({} if rtol is None else {"rtol": rtol})
    return report.settle(program_of(check_grads, f, inputs, options))


def refuse_nothing(case: Case, f: Any) -> None:
    """Raise SpecError where no input, or no output, can have a derivative."""
    kinds = ", ".join([str(getattr(x, "dtype", type(x).__name__)) for x in case.inputs])
    for what, there in (("input", case.places), ("result", case.gs)):
        if not there:
            raise SpecError(
                f"check_grads of {name_of(f)}: derivatives were asked for, and no {what} is "
                f"floating (the inputs are {kinds or 'none'}); whole numbers have no derivative; "
                "pass float64 arrays, and return a floating tensor"
            )
    if any(x.dtype.char == "e" for x in (*case.gs, *[case.inputs[i] for i in case.places])):
        raise SpecError(
            f"check_grads of {name_of(f)}: derivatives in float16 were asked for; differences of "
            "three digits leave none; check it in float64, and hold float16 against that"
        )


def check_specs(case: Case, bars: Sequence[Any], report: Report) -> None:
    """Each gradient has the shape and dtype of its input."""
    for i, bar in zip(case.places, bars, strict=True):
        x = case.inputs[i]
        if bar is not None and (bar.shape, bar.dtype) != (x.shape, x.dtype):
            report.failures.append(
                f"the gradient of input {i} is {bar.dtype.name}{list(bar.shape)}, and the input "
                f"{x.dtype.name}{list(x.shape)}; a gradient has the spec of its input: sum over "
                "axes that were broadcast, and cast back"
            )


def entries(case: Case, bars: Sequence[Any], narrow: bool) -> Iterator[Entry]:
    """Some entries of each input, all if they are few."""
    rng = np.random.default_rng(0)
    for k, (i, bar) in enumerate(zip(case.places, bars, strict=True)):
        x = case.inputs[i]
        chosen = range(x.size) if x.size <= MOST else sorted(rng.choice(x.size, MOST, False))
        for n in chosen:
            index = tuple(int(j) for j in np.unravel_index(int(n), x.shape))
            parts = {"": 1.0} if x.dtype.kind == "f" else {" (real)": 1.0, " (imaginary)": 1j}
            for part, unit in parts.items():
                basis = np.zeros(x.shape, x.dtype)
                basis[index] = unit
                size = max(1.0, abs(x[index]))

                def steps(t: float, k: int = k, basis: Array = basis) -> list[Any]:
                    return [t * basis if j == k else 0 for j in range(len(case.places))]

                slope = best_slope(case.loss(steps), size, narrow=narrow)
                found = 0.0 if bar is None else float(np.real(np.conj(bar[index]) * unit))
                yield Entry(i, index, part, x[index], found, slope)


def check_entries(
    case: Case, bars: Sequence[Any], tolerance: float, narrow: bool, report: Report
) -> None:
    """Each entry of the gradient is the slope along it."""
    seen = list(entries(case, bars, narrow))
    wrong = [e for e in seen if not e.error <= max(tolerance, 3 * e.slope.error_relative)]
    if not wrong:
        report.checked.append(f"{len(seen)} entries, against differences")
        return
    worst_entry = max(wrong, key=lambda e: e.error if math.isfinite(e.error) else math.inf)
    report.failures.append(str(worst_entry))
    report.failures.append(f"{len(wrong)} of {len(seen)} entries differ{pattern(wrong)}")
    place = worst_entry.place
    if bars[case.places.index(place)] is None:
        report.failures.append(f"there is no gradient of input {place}: {case.why(place)}")
    left, right = worst_entry.slope.left, worst_entry.slope.right
    if worst_entry.slope.kink:
        report.advice.append(
            f"a kink or a jump is near that entry: the slope is {left:.6g} before it and "
            f"{right:.6g} behind; check at another point, or declare it: Domain(kinks=...)"
        )
    elif not math.isfinite(worst_entry.slope.value):
        report.advice.append("the function is not finite there; check where it is")
    else:
        report.advice.append(
            "the function is smooth there: the derivative rule is wrong, or a part of the path "
            "is not followed (tape.explain tells)"
        )


def pattern(wrong: Sequence[Entry]) -> str:
    """Whether all differ by one factor, for that points at the mistake."""
    ratios = [e.found / e.slope.value for e in wrong if abs(e.slope.value) > 1e-3]
    if len(ratios) < 2 or max(ratios) - min(ratios) > 1e-3 * max(1.0, abs(ratios[0])):
        return ""
    return f", all by the factor {ratios[0]:.6g}"


def along(case: Case) -> Callable[[float], list[Any]]:
    """Steps along the random directions."""
    return lambda t: [np.asarray(t * d, d.dtype) for d in case.directions]


def check_complex(case: Case, bars: Sequence[Any], tolerance: float, report: Report) -> None:
    """The slope along a direction, by a step into the complex plane, is exact to rounding."""
    if any(x.dtype.char != "d" for x in (*case.gs, *[case.inputs[i] for i in case.places])):
        report.refused.append("the complex step: it is for functions of float64")
        return
    try:
        ys = case.outputs(case.moved([TINY * 1j * d for d in case.directions]))
        slope = math.fsum(
            float(np.sum(g * (y.imag / TINY))) for g, y in zip(case.gs, ys, strict=True)
        )
    except (MinigradError, TypeError, ValueError) as error:
        words = str(error).split(";")[0].splitlines()[:1]
        report.refused.append(f"the complex step: {' '.join(words)}")
        return
    by_differences = best_slope(case.loss(along(case)), 1.0, narrow=False).value
    if not abs(slope - by_differences) <= 10 * tolerance * max(1.0, abs(slope)):
        report.refused.append("the complex step: the function is not analytic in its inputs")
        return
    found = inner(bars, case.directions)
    if abs(found - slope) <= 1e-10 * max(1.0, abs(slope)):
        report.checked.append("along a direction, against a complex step, to 1e-10")
    else:
        report.failures.append(
            f"along a direction the gradient says {found:.15g}, and a complex step {slope:.15g}"
        )


def check_transpose(case: Case, bars: Sequence[Any], exact: float, report: Report) -> None:
    """<g, J t> = <Jᵀ g, t>."""
    tensors = case.tensors(case.inputs)

    def moving(*xs: Any) -> list[Any]:
        inputs = list(tensors)
        for i, x in zip(case.places, xs, strict=True):
            inputs[i] = x
        return case.floats(*inputs)

    primals = [tensors[i] for i in case.places]
    _, tangents = jvp(moving, primals, list(map(as_tensor, case.directions)))
    forward = inner([None if t is None else t.numpy() for t in tangents], case.gs)
    backward = inner(bars, case.directions)
    if abs(forward - backward) <= exact * max(1.0, abs(forward), abs(backward)):
        report.checked.append("<g, J t> by jvp against <Jᵀ g, t> by the tape")
    else:
        report.failures.append(
            f"<g, J t> by jvp is {forward:.15g}, and <Jᵀ g, t> by the tape {backward:.15g}: "
            "forward and backward derivatives are two; the pullback must be linear in g"
        )


def check_linear(case: Case, bars: Sequence[Any], exact: float, report: Report) -> None:
    """The cotangents of -3 g are -3 times those of g."""
    turned = case.scaled(-3.0).bars(*case.tensors(case.inputs))
    for i, bar, other in zip(case.places, bars, turned, strict=True):
        if (bar is None) != (other is None) or (
            bar is not None and not np.allclose(-3 * bar, other.numpy(), exact, exact)
        ):
            report.failures.append(
                f"the gradient of input {i} for the cotangents -3 g is not -3 times that for g; "
                "a rule is linear in g: it multiplies and adds g, and does nothing else with it"
            )
            return
    report.checked.append("linear in the cotangents")


def check_higher(case: Case, order: int, seed: int, narrow: bool, report: Report) -> None:
    """The derivative of each derivative is its slope along a direction."""
    for n in range(2, order + 1):
        below = case

        def derivative(*tensors: Any, below: Case = below) -> list[Any]:
            return [bar for bar in below.bars(*tensors) if bar is not None]

        case = Case(derivative, case.inputs, seed + n)
        if not case.gs:
            report.refused.append(f"order {n}: there is no gradient of order {n - 1}")
            return
        bars = [None if b is None else b.numpy() for b in case.bars(*case.tensors(case.inputs))]
        found = inner(bars, case.directions)
        slope = best_slope(case.loss(along(case)), 1.0, narrow=narrow)
        error = abs(found - slope.value) / max(1.0, abs(found), abs(slope.value))
        tolerance = TOLERANCE["f"] if narrow else 1e-5
        if error <= max(tolerance, 3 * slope.error_relative):
            report.checked.append(f"order {n}, along a direction, against differences")
        else:
            if slope.kink:
                report.advice.append(
                    f"a kink or a jump of the derivative of order {n - 1} is near (slopes "
                    f"{slope.left:.6g} and {slope.right:.6g}); check at another point, or order="
                    f"{n - 1}"
                )
            report.failures.append(
                f"order {n}, along a direction: the derivative says {found:.9g}, differences of "
                f"the order below say {slope.value:.9g}; the rule must be written in minigrad's "
                "functions of its inputs, and use no constants made of them"
            )
            return
