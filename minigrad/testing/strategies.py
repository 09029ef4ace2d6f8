"""Hypothesis strategies for what minigrad takes: shapes, specs, tensors, applications, programs.

from minigrad.testing import strategies as mgst

@given(x=mgst.tensors(shape=mgst.shapes(low=1)))
def test_that_norms_are_positive(x): ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.define import Domain
from ..core.op import Op
from ..core.registry import OPS
from ..core.spec import Spec
from ..core.tensor import Tensor
from ..errors import SpecError
from ..ops.create import constant
from .applications import Application, is_pointwise, load_all
from .draws import ANY, FLOATS, Drawn, Pen, Shape
from .extra import st
from .programs import Program, programs
from .rows import TABLE

__all__ = ["Application", "Pen", "Program", "applications", "dtypes", "names", "programs"]
__all__ += ["shapes", "specs", "tensors"]


def dtypes(kinds: str = "fc") -> st.SearchStrategy[np.dtype[Any]]:
    """The dtypes of `kinds`: "b" bool, "i" and "u" whole, "f" real, "c" complex numbers.

    float16 is left out. Raises SpecError where no dtype is left.
    """
    found = [dtype for dtype in ANY if dtype.kind in kinds and dtype.char != "e"]
    if not found:
        raise SpecError(
            f"dtypes: the kinds {kinds!r} were asked for, and no dtype is of them; "
            'name some of "b", "i", "u", "f", "c"'
        )
    return st.sampled_from(sorted(found, key=lambda dtype: (dtype.kind != "f", -dtype.itemsize)))


@st.composite
def shapes(draw: Any, low: int = 0, high: int = 3, *, empty: bool = False) -> Shape:
    """Shapes of `low` to `high` axes, each 1 to 3 long; or of length 0, if `empty`."""
    return Pen(draw, FLOATS, smooth=not empty).shape(low, high)


@st.composite
def tensors(
    draw: Any,
    shape: Any = None,
    dtype: Any = "float64",
    *,
    domain: Domain | None = None,
    smooth: bool = True,
) -> Tensor:
    """Tensors of floats, of which many a property fails on the smallest.

    shape: a tuple, a strategy for one, or None for any. dtype: a dtype, or a strategy for one.
    domain: where the numbers lie; None: from -3 to 3. smooth: no two elements are equal, and none
    lies on a kink of the domain; else 0, inf, nan and the largest numbers come as well.
    """
    if shape is None:
        shape = shapes(empty=not smooth)
    found = draw(shape) if isinstance(shape, st.SearchStrategy) else tuple(shape)
    kind = draw(dtype) if isinstance(dtype, st.SearchStrategy) else np.dtype(dtype)
    return constant(Pen(draw, [kind], smooth=smooth).array(found, kind, domain))


@st.composite
def specs(draw: Any, of: Any = None, *, ranked: bool = False) -> Spec:
    """Specs that know some of the dims, or not even how many there are.

    of: a tensor or a Spec that they are compatible with; None: any. ranked: know the rank.
    """
    shape = draw(shapes()) if of is None else of.shape
    dtype = draw(dtypes()) if of is None else of.dtype
    if shape is None or (not ranked and draw(st.integers(0, 4)) == 4):
        return Spec(None, dtype)
    return Spec(tuple([draw(st.sampled_from([n, None])) for n in shape]), dtype)


def names(wanted: Callable[[Op], bool] = lambda op: True) -> list[str]:
    """The names of the ops that can be drawn, of those that are `wanted`."""
    load_all()
    return [name for name, op in OPS.items() if can_be_drawn(op) and wanted(op)]


def can_be_drawn(op: Op) -> bool:
    """Whether `applications` knows inputs for `op`."""
    return op.row is not None or op.name in TABLE or is_pointwise(op)


@st.composite
def applications(
    draw: Any,
    of: str | Op,
    dtypes: Sequence[Any] = ANY,
    *,
    smooth: bool = False,
    numbers: bool = True,
) -> Application:
    """Applications of an op, or of one of minigrad's by its name, to arrays of `dtypes`.

    smooth: at points where it has derivatives, if it has any. numbers: Python numbers may stand
    among the inputs of pointwise ops. Raises LookupError for an op that nobody taught it to draw.
    """
    if isinstance(of, str) and of not in OPS:
        load_all()
    op = OPS[of] if isinstance(of, str) else of
    pen = Pen(draw, [np.dtype(dtype) for dtype in dtypes], smooth=smooth)
    row = op.row or TABLE.get(op.name)
    if row is not None:
        inputs, attrs = row(pen)
    elif is_pointwise(op):
        inputs, attrs = pointwise_inputs(op, pen, numbers=numbers)
    else:
        raise LookupError(
            f"no inputs can be drawn for the op {op.name}: it is not pointwise, and has no row "
            "that draws them; write @primitive(..., row=lambda pen: ((pen.array((2, 3)),), {})), "
            "or for an op of minigrad's a row of TABLE in minigrad/testing/rows.py"
        )
    return Application(op, inputs, attrs)


def pointwise_inputs(op: Op, pen: Pen, *, numbers: bool) -> Drawn:
    """Arrays that broadcast, and Python numbers in place of some of them, now and then."""
    count = len(inspect.signature(op.kernel).parameters)
    domains = op.domain or (None,) * count
    shape = pen.shape()
    inputs: list[Any] = []
    for i, domain in enumerate(domains):
        if op.name == "where" and i == 0 and pen.smooth:
            inputs.append(pen.integers(pen.part_of(shape), 0, 2, np.bool_))
        else:
            inputs.append(pen.array(pen.part_of(shape), None, domain))
    if numbers and pen.of(False, False, True):
        for i in pen.draw(st.sets(st.integers(0, count - 1), min_size=1)):
            kind = pen.of(float) if pen.smooth else pen.of(float, int, bool, complex)
            inputs[i] = as_number(pen.array((), np.float64, domains[i]).item(), kind)
    return tuple(inputs), {}


def as_number(value: float, kind: type) -> Any:
    """`value` as a Python number of `kind`; what int cannot hold becomes 2."""
    if kind is int and not abs(value) < 1e3:
        return 2
    return kind(value)
