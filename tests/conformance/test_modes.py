"""Every function of the standard does the same eagerly, traced, with dims unknown, and compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import tree
from tests.conformance.standard import BINARY, FUNCTIONS, REDUCTIONS, UNARY, parsed

Arrays = tuple[np.ndarray[Any, Any], ...]

X = np.array([[0.3, 0.9, 0.4], [0.7, 0.2, 0.9]])
Y = np.array([[0.5, 0.8, 0.6], [0.1, 0.9, 0.2]])
COUNTS = np.array([[3, 1, 2], [1, 5, 3]])
LINE = np.array([2.0, 3.0, 5.0])
PLACES = np.array([[2, 0], [1, 1]])
INTEGER = ["bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor"]
NO_TENSORS = "no tensor goes in"

# what is called, and with which arrays; a text says why there is nothing to be traced
CALLS: dict[str, str | tuple[Callable[..., Any], Arrays]] = {
    **{name: (getattr(mg, name), (X,)) for name in UNARY.split()},
    **{name: (getattr(mg, name), (X, Y)) for name in BINARY.split()},
    **{name: (getattr(mg, name), (COUNTS, COUNTS)) for name in INTEGER},
    **{name: (lambda x, name=name: getattr(mg, name)(x, axis=0), (X,)) for name in REDUCTIONS},
    "acosh": (mg.acosh, (X + 1,)),
    "bitwise_invert": (mg.bitwise_invert, (COUNTS,)),
    **dict.fromkeys(("arange", "empty", "eye", "linspace", "ones", "zeros"), NO_TENSORS),
    **dict.fromkeys(("isdtype", "broadcast_shapes", "__array_namespace_info__"), NO_TENSORS),
    **dict.fromkeys(("can_cast", "finfo", "iinfo", "result_type"), "what comes out is no tensor"),
    **{name: (getattr(mg, name), (X,)) for name in ("empty_like", "ones_like", "zeros_like")},
    **{name: (getattr(mg, name), (X,)) for name in ("asarray", "from_dlpack", "tril", "triu")},
    "full": (lambda x: mg.full((2, 2), x[0, 0]), (X,)),
    "full_like": (lambda x: mg.full_like(x, 3.0), (X,)),
    "meshgrid": (mg.meshgrid, (LINE, LINE[:2])),
    "astype": (lambda x: mg.astype(x, mg.float32), (X,)),
    "clip": (lambda x, low: mg.clip(x, low, 0.8), (X, Y)),
    "where": (lambda x, y: mg.where(x > y, x, y), (X, Y)),
    "take": (lambda x, i: mg.take(x, i, axis=1), (X, PLACES)),
    "take_along_axis": (mg.take_along_axis, (X, PLACES)),
    "matmul": (lambda x, y: mg.matmul(x, y.mT), (X, Y)),
    "matrix_transpose": (mg.matrix_transpose, (X,)),
    "tensordot": (mg.tensordot, (X, Y)),
    "vecdot": (mg.vecdot, (X, Y)),
    "broadcast_arrays": (mg.broadcast_arrays, (X, LINE)),
    "broadcast_to": (lambda x: mg.broadcast_to(x, (4, 2, 3)), (X,)),
    "concat": (lambda x, y: mg.concat([x, y], axis=1), (X, Y)),
    "expand_dims": (lambda x: mg.expand_dims(x, axis=1), (X,)),
    "flip": (mg.flip, (X,)),
    "moveaxis": (lambda x: mg.moveaxis(x, 0, 1), (X,)),
    "permute_dims": (lambda x: mg.permute_dims(x, (1, 0)), (X,)),
    "repeat": (lambda x: mg.repeat(x, 2, axis=1), (X,)),
    "reshape": (lambda x: mg.reshape(x, (3, -1)), (X,)),
    "roll": (lambda x: mg.roll(x, 1, axis=1), (X,)),
    "squeeze": (lambda x: mg.squeeze(x, axis=1), (X[:, :1],)),
    "stack": (lambda x, y: mg.stack([x, y]), (X, Y)),
    "tile": (lambda x: mg.tile(x, (2, 1)), (X,)),
    "unstack": (mg.unstack, (X,)),
    "argmax": (mg.argmax, (X,)),
    "argmin": (lambda x: mg.argmin(x, axis=1), (X,)),
    "nonzero": (mg.nonzero, (COUNTS - 1,)),
    "searchsorted": (mg.searchsorted, (LINE, X * 6)),
    "isin": (mg.isin, (COUNTS, np.array([1, 3]))),
    **{
        name: (getattr(mg, name), (COUNTS,))
        for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values")
    },
    "argsort": (mg.argsort, (X,)),
    "sort": (lambda x: mg.sort(x, axis=0, descending=True), (X,)),
    "cumulative_prod": (lambda x: mg.cumulative_prod(x, axis=1), (X,)),
    "cumulative_sum": (lambda x: mg.cumulative_sum(x, axis=1, include_initial=True), (X,)),
    **{name: (getattr(mg, name), (X,)) for name in ("prod", "std", "sum", "var")},
    "diff": (lambda x: mg.diff(x, axis=0), (X,)),
}

NAMES = [parsed(line)[0] for line in FUNCTIONS]
# what becomes a dim must be known while tracing
KNOWN = {"unstack": "how many come out"}


CALLED = {name: call for name, call in CALLS.items() if not isinstance(call, str)}


def is_smooth(name: str) -> bool:
    """Whether floats go in and come out."""
    f, arrays = CALLED[name]
    outputs = tree.flatten(f(*arrays))[0]
    return arrays[0].dtype.kind == "f" and any(y.dtype.kind == "f" for y in outputs)


def assert_same(found: Any, expected: Any) -> None:
    """Nests of one form, with equal dtypes and numbers."""
    (ours, form), (theirs, structure) = tree.flatten(found), tree.flatten(expected)
    assert form == structure and ours
    for y, z in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-12, strict=True)


def test_the_table_has_every_function() -> None:
    assert sorted(CALLS) == sorted(NAMES)


@pytest.mark.parametrize("name", CALLED)
def test_functions_of_the_standard_do_the_same_in_all_modes(name: str) -> None:
    f, arrays = CALLED[name]
    xs = [mg.constant(x) for x in arrays]
    expected = f(*xs)
    specs = [mg.TensorSpec(x.shape, x.dtype) for x in arrays]
    loose = [mg.TensorSpec((None,) * x.ndim, x.dtype) for x in arrays]
    for signature in (specs, *([] if name in KNOWN else [loose])):
        assert_same(mg.function(f, input_signature=signature)(*xs), expected)
        assert_same(mg.function(f, input_signature=signature, jit_compile=True)(*xs), expected)


@pytest.mark.parametrize("name", [name for name in CALLED if is_smooth(name)])
def test_derivatives_of_the_standard_are_the_same_in_all_modes(name: str) -> None:
    f, arrays = CALLED[name]
    xs = [mg.constant(x) for x in arrays]

    def total(*inputs: Any) -> Any:
        parts = [y for y in tree.flatten(f(*inputs))[0] if y.dtype.kind == "f"]
        return mg.sum(mg.stack([mg.sum(mg.exp(mg.astype(y, mg.float64))) for y in parts]))

    def derivatives(*inputs: Any) -> Any:
        with mg.GradientTape() as outer:
            outer.watch([x for x in inputs if x.dtype.kind == "f"])
            with mg.GradientTape() as inner:
                inner.watch([x for x in inputs if x.dtype.kind == "f"])
                y = total(*inputs)
            first = inner.gradient(y, list(inputs), unconnected_gradients="zero")
            size = mg.sum(mg.stack([mg.sum(g * g) for g in first if g.dtype.kind == "f"]))
        return first, outer.gradient(size, list(inputs), unconnected_gradients="zero")

    expected = derivatives(*xs)
    assert_same(mg.function(derivatives)(*xs), expected)
    assert_same(mg.function(derivatives, jit_compile=True)(*xs), expected)
