"""What holds for every op: infer and kernel agree, and nobody's memory is touched."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.core.registry import OPS
from minigrad.core.spec import SCALARS, Spec
from minigrad.core.tensor import Symbol, Tensor
from minigrad.errors import MinigradError
from minigrad.testing.applications import Application
from minigrad.testing.laws import (
    any_layout_and_nothing_written,
    computed,
    infer_is_kernel,
    inferred,
)
from minigrad.testing.rows import TABLE, TRUSTING
from minigrad.testing.strategies import applications, names
from tests.laws.budget import examples

# not drawn, for their attributes are graphs or Python: why, and where they are under a law
ELSEWHERE = {
    "call": "a traced function; test_mode_laws and test_graph_laws",
    "stateful_call": "a traced function with effects; test_graph_laws and test_tape_machine",
    "fused": "made by the compiler only; test_mode_laws",
    "native_product": "made by the compiler only; test_mode_laws",
    "transformed": "a Fourier transform by a table; test_mode_laws and test_transforms",
    "look_up": "what indexing means in loops; test_mode_laws and test_boxes",
    "add_up": "what its derivative means in loops; test_mode_laws and test_boxes",
    **dict.fromkeys(
        ("multiply_up", "largest_of", "smallest_of", "add_onto", "write_onto"),
        "what x.at means in loops; test_mode_laws and test_boxes",
    ),
    "in_bounds": "checks indices for loops; test_mode_laws and test_boxes",
    **dict.fromkeys(
        ("inv_loop", "solve_loop", "det_loop", "slogdet_loop", "cholesky_lo_loop", "sound"),
        "what functions of matrices mean in loops; test_mode_laws and test_borrowed",
    ),
    **dict.fromkeys(
        ("solve_triangle", "lower_triangle_loop", "upper_triangle_loop"),
        "what solve means for triangles; test_mode_laws and test_substitution",
    ),
    "triangular_factor": "qr where the triangle alone is used; test_narrow",
    "native_borrowed": "made by the compiler only; test_borrowed",
    "native_loop": "made by the compiler only; test_native_loops",
    "came_through": "made by the compiler only; test_native_loops",
    "stretch": "made by the compiler only; test_mode_laws",
    "stateful_stretch": "made by the compiler only; test_mode_laws and test_in_place",
    "escaped": "marks what left a Python body through NumPy; tests of the two doors",
    "custom_gradient": "takes a rule; tests of custom_gradient",
    "py_function": "takes a Python body; tests of the two doors",
    "numpy_function": "takes a Python body; tests of the two doors",
    "pure_numpy_function": "takes a Python body; tests of the two doors",
    "recorded": "a Python body that keeps its record; tests of the two doors",
    "as_read": "what a Python body read of a Variable; tests of the two doors",
    "replay": "the derivative of a Python body; tests of the two doors",
    "is_missing": "tells whether a Python body had a path; tests of the two doors",
    "or_none": "gives None where a Python body had no path; tests of the two doors",
    "is_lossy": "asks what a Python body hid; tests of products with Hessians",
    "at_known_rank": "a function that waits for ranks; test_rank_laws",
    "switch": "takes graphs; test_graph_laws",
    "stateful_switch": "takes graphs; tests of control flow",
    "loop": "takes graphs; test_graph_laws",
    "stateful_loop": "takes graphs; tests of control flow",
    "read_variable": "takes the cell of a Variable; test_graph_laws and test_tape_machine",
    "assign_variable": "takes the cell of a Variable; test_graph_laws and test_tape_machine",
}

every_op = pytest.mark.parametrize("name", names())


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """NumPy warns of inf and nan, which these laws give it on purpose."""
    with np.errstate(all="ignore"):
        yield


# coverage


def test_every_op_can_be_drawn_or_is_covered_elsewhere() -> None:
    covered = {*names(), *ELSEWHERE}
    assert not set(OPS) - covered, "minigrad/testing/rows.py cannot draw these ops"
    assert not (set(TABLE) | set(ELSEWHERE)) - set(OPS), "these ops are gone"
    assert not set(names()) & set(ELSEWHERE)


def test_an_op_that_nobody_taught_to_draw_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLE, "reduce_sum")
    with pytest.raises(LookupError, match="reduce_sum"):
        applications("reduce_sum").validate()
        given(applications("reduce_sum"))(lambda application: None)()


@pytest.mark.parametrize("name", OPS)
def test_every_op_has_a_decision_on_its_derivative(name: str) -> None:
    op = OPS[name]
    decisions = [op.differentiable, op.zero_gradient is not None, op.opaque is not None]
    assert sum(decisions) == 1


# infer and kernel


@every_op
@examples(0.7)
@given(data=st.data())
def test_infer_says_what_the_kernel_does(name: str, data: Any) -> None:
    infer_is_kernel(data.draw(applications(name)))


@pytest.mark.parametrize("name", [name for name in names() if name not in TRUSTING])
@examples(0.7)
@given(data=st.data())
def test_infer_and_kernel_refuse_the_same(name: str, data: Any) -> None:
    """Inputs of two applications mixed: shapes, dtypes and attributes that need not fit.

    Attributes are made by public functions; one that is no axis may meet an IndexError.
    """
    one, other = data.draw(applications(name)), data.draw(applications(name))
    choice = data.draw(st.lists(st.booleans(), min_size=8, max_size=8))
    pairs = itertools.zip_longest(one.inputs, other.inputs)
    inputs = [a if use else b for use, (a, b) in zip(itertools.cycle(choice), pairs, strict=False)]
    if not any(x is None for x in inputs):
        mixed = Application(one.op, tuple(inputs), one.attrs)
        infer_is_kernel(mixed, (MinigradError, IndexError))


def less_known(x: Any, data: Any) -> Any:
    """A symbol for the tensor `x` that knows only some of its dims, or not even how many."""
    if type(x) in SCALARS:
        return x
    if data.draw(st.integers(0, 3)) == 3:
        return Symbol(None, x.dtype, None)
    dims = tuple([n if data.draw(st.booleans()) else None for n in x.shape])
    return Symbol(dims, x.dtype, None)


@every_op
@examples(0.5)
@given(data=st.data())
def test_what_is_inferred_of_unknown_dims_fits_the_result(name: str, data: Any) -> None:
    application = data.draw(applications(name))
    found = computed(application)
    if isinstance(found, Exception) or not any(isinstance(y, Tensor) for y in found):
        return
    symbols = [less_known(x, data) for x in application.tensors()]
    stated = inferred(application, symbols)
    if isinstance(stated, Exception):
        raise AssertionError(
            f"refused {[s.spec for s in symbols if type(s) is Symbol]}"
        ) from stated
    assert len(stated) == len(found)
    assert all(isinstance(spec, Spec) for spec in stated)
    for y, spec in zip(found, stated, strict=True):
        assert spec.is_compatible_with(y), f"{spec} was inferred of {y.spec}"


# memory


@every_op
@examples(0.3)
@given(data=st.data())
def test_kernels_take_any_layout_and_write_to_no_input(name: str, data: Any) -> None:
    application = data.draw(applications(name))
    layouts = [data.draw(st.integers(0, 2)) for _ in application.inputs]
    any_layout_and_nothing_written(application, layouts)


@every_op
@examples(0.3)
@given(data=st.data())
def test_results_share_no_memory_that_a_caller_can_write(name: str, data: Any) -> None:
    application = data.draw(applications(name))
    arrays = [x.copy() if isinstance(x, np.ndarray) else x for x in application.inputs]
    try:
        outputs = application(*[mg.asarray(x) if isinstance(x, np.ndarray) else x for x in arrays])
    except MinigradError:
        return
    kept = [y.numpy().tobytes() for y in outputs]
    for y in outputs:
        for view in (y.numpy(), np.asarray(y)):
            assert not view.flags.writeable
    for x in arrays:
        if isinstance(x, np.ndarray):
            x[...] = 1 - (x != 0)
    copies = [np.array(y) for y in outputs]
    for copy in copies:
        copy[...] = 0
    assert kept == [y.numpy().tobytes() for y in outputs]
