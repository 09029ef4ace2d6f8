"""Spec: what is known of a tensor, compared, merged, and refused."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec, as_dtype, broadcast_shapes, canonical_axes, canonical_axis
from minigrad.errors import SpecError


def test_a_spec_is_shape_and_dtype_as_far_as_known() -> None:
    specs = [Spec((2, None), np.float32, "x"), Spec(None, "int64"), Spec(3), Spec(())]
    assert [str(s) for s in specs] == ["float32[2,?]", "int64[...]", "float32[3]", "float32[]"]
    assert [s.ndim for s in specs] == [2, None, 1, 0]
    assert [s.known for s in specs] == [False, False, True, True]
    assert repr(specs[0]) == "TensorSpec(shape=(2, None), dtype=float32, name='x')"
    assert Spec.from_tensor(np.ones((2, 3))) == Spec((2, 3), np.float64)


def test_names_do_not_count() -> None:
    assert Spec((2,), "float32", "a") == Spec([2], np.float32, "b") != Spec((2,), "float64")
    assert len({Spec((2,), name="a"), Spec((2,), name="b"), Spec((3,))}) == 2


@pytest.mark.parametrize(
    ("spec", "other", "fits"),
    [
        (Spec((2, None)), Spec((2, 3)), True),
        (Spec((2, None)), Spec((None, None)), True),
        (Spec((2, None)), Spec((3, 3)), False),
        (Spec((2, None)), Spec((2,)), False),
        (Spec(None), Spec((2, 3, 4)), True),
        (Spec(()), Spec(None), True),
        (Spec((2,)), Spec((2,), "float64"), False),
        (Spec((2,)), np.ones(2, np.float32), True),
        (Spec((2,)), mg.ones(2), True),
    ],
)
def test_unknown_fits_everything(spec: Spec, other: Any, fits: bool) -> None:
    assert spec.is_compatible_with(other) is fits


@pytest.mark.parametrize("dtype", ["float33", object, "U3", "M8[s]", 3, None, "O"])
def test_what_is_no_dtype_is_refused(dtype: Any) -> None:
    with pytest.raises(SpecError, match=r"a dtype was needed and .* came; minigrad has bool, int8"):
        as_dtype(dtype)


def test_dtypes_by_any_name() -> None:
    names: list[Any] = [float, int, bool, complex, "float64", np.float16, np.dtype(">f4")]
    found = [str(as_dtype(name)) for name in names]
    assert found == ["float32", "int32", "bool", "complex64", "float64", "float16", "float32"]


@pytest.mark.parametrize("shape", [(-1,), (2, "a"), "ab", 1.5, (2.0,)])
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(SpecError, match=r"a shape was needed|has a negative dim"):
        Spec(shape)


def test_unknown_dims_broadcast_to_what_they_must_be() -> None:
    def shape(*shapes: Any) -> Any:
        return broadcast_shapes("add", *[Spec(s) for s in shapes])

    assert shape((None, 3), (2, 1)) == (2, 3)
    assert shape((None,), (1,)) == (None,)
    assert shape((None,), (None,)) == (None,)
    assert shape((None, 3), (3,)) == (None, 3)
    assert shape((0,), (1,)) == (0,) and shape((None,), (0,)) == (0,)
    assert shape(None, (2,)) is None
    assert broadcast_shapes("add", Spec((2,)), 3.0) == (2,)
    with pytest.raises(SpecError, match="on axis -2, 2 and 3 differ"):
        shape((2, 1), (None, 5), (3, 1))


@pytest.mark.parametrize("axis", [2, -3, "a", None, 1.0])
def test_an_axis_out_of_range_is_refused(axis: Any) -> None:
    with pytest.raises(SpecError, match=r"sum: axis .* of a tensor with 2 axes; .* from -2 to 1"):
        canonical_axis("sum", axis, 2)


def test_axes_are_sorted_and_named_once() -> None:
    assert canonical_axes("sum", (-1, 0), 3) == (0, 2)
    assert canonical_axes("sum", None, 2) == (0, 1) and canonical_axes("sum", None, None) is None
    with pytest.raises(SpecError, match="names one axis twice"):
        canonical_axes("sum", (0, -2), 2)
    with pytest.raises(SpecError, match="of a tensor of unknown rank"):
        canonical_axes("sum", 0, None)
