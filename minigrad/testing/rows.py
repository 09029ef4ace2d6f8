"""How inputs and attributes of each op are drawn: TABLE has a row for every op but pointwise ones.

A new op is under every law the moment it has a row here. A row is a function of a `Pen`, which
gives the inputs and the attributes of one valid application. Pointwise ops need none: they are
drawn from their signature and `Domain`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.registry import OPS
from . import matrices as matrices_and_spectra
from .applications import Array
from .draws import ANY, FLOATS, INTEGERS, Drawn, Pen, Row, Shape
from .extra import st
from .images import (
    image_row,
    point_inputs,
    polygamma_inputs,
    random,
    random_like_inputs,
    random_words,
    windows_added_inputs,
    windows_inputs,
)

# adjoints whose inputs are made by derivative rules only: they trust them to fit
TRUSTING = {"or_zeros", "piece_like", "image_gradient", "filter_gradient", "windows_added"}
TRUSTING |= matrices_and_spectra.TRUSTING


# shapes


def with_like(pen: Pen) -> Drawn:
    """Two arrays; the first broadcasts to the second, of which only the shape counts."""
    shape = pen.shape()
    return (pen.array(pen.part_of(shape)), pen.array(shape)), {}


def with_part(pen: Pen) -> Drawn:
    """Two arrays; the second, of which only the shape counts, broadcasts to the first."""
    (x, like), attrs = with_like(pen)
    return (like, x), attrs


def reshape_inputs(pen: Pen) -> Drawn:
    shape = pen.shape()
    dims = list(pen.reshaped(shape))
    if dims and 0 not in dims and pen.of(False, True):
        dims[pen.axis(len(dims))] = -1
    return (pen.array(shape),), {"shape": tuple(dims)}


def promised_inputs(pen: Pen) -> Drawn:
    shape = pen.shape()
    promise = pen.of(None, tuple([pen.of(n, None) for n in shape]))
    return (pen.array(shape),), {"shape": promise}


def to_other_shape(*, as_array: bool) -> Any:
    """A row for reshaping to a shape that is an array, or that of an array."""

    def row(pen: Pen) -> Drawn:
        shape = pen.shape()
        other = pen.reshaped(shape)
        second = np.array(other, np.int32) if as_array else pen.array(other)
        return (pen.array(shape), second), {}

    return row


def insert_inputs(pen: Pen) -> Drawn:
    shape = pen.shape()
    axes = pen.some_axes(len(shape) + 1)
    return (pen.array(shape),), {"axes": axes if len(axes) <= 1 else axes[:1]}


def drop_inputs(pen: Pen) -> Drawn:
    shape = list(pen.shape())
    axes = pen.some_axes(len(shape))
    for axis in axes:
        shape[axis] = 1
    return (pen.array(tuple(shape)),), {"axes": axes}


def along_axes(pen: Pen) -> Drawn:
    """A row for reductions and the like."""
    x = pen.array(pen.shape())
    return (x,), {"axes": pen.axes(x.ndim)}


def along_axis(attrs: Callable[[Pen], dict[str, Any]] = lambda pen: {}) -> Any:
    """A row for ops along one axis."""

    def row(pen: Pen) -> Drawn:
        x = pen.array(pen.shape(1))
        return (x,), {"axis": pen.axis(x.ndim), **attrs(pen)}

    return row


def permute_inputs(pen: Pen) -> Drawn:
    shape = pen.shape()
    return (pen.array(shape),), {"axes": tuple(pen.draw(st.permutations(range(len(shape)))))}


def broadcast_inputs(pen: Pen) -> Drawn:
    shape = pen.shape()
    return (pen.array(pen.part_of(shape)),), {"shape": shape}


def broadcast_dynamic_inputs(pen: Pen) -> Drawn:
    (x,), attrs = broadcast_inputs(pen)
    return (x, np.array(attrs["shape"], np.int32)), {}


def recurrence_inputs(pen: Pen) -> Drawn:
    shape = pen.shape(1)
    attrs = {"axis": pen.axis(len(shape)), "backwards": pen.of(False, True)}
    return (pen.array(shape), pen.array(shape)), attrs


def same_inputs(pen: Pen) -> Drawn:
    shape, dtype = pen.shape(), pen.dtype()
    return (pen.array(shape, dtype), pen.array(shape, dtype)), {}


def cast_inputs(pen: Pen) -> Drawn:
    x = pen.array(pen.shape())
    dtypes: Any = (np.float64, np.complex128) if pen.smooth else ANY
    if x.dtype.kind == "c":  # astype takes the real part first
        dtypes = (np.complex128, np.complex64)
    return (x,), {"dtype": np.dtype(pen.of(*dtypes))}


def fill_inputs(pen: Pen) -> Drawn:
    value: Any = pen.array(())
    if pen.of(False, True):
        value = pen.of(0, 1, 0.5, True)
    dtype = pen.dtype() if pen.smooth else pen.of(*ANY)
    if np.iscomplexobj(value):  # a complex number in a real array is a warning of NumPy
        dtype = np.dtype(np.complex128)
    return (value,), {"shape": pen.shape(), "dtype": dtype}


# several


def join_inputs(pen: Pen) -> Drawn:
    shape = pen.shape(1)
    axis = pen.axis(len(shape))
    shapes = [
        tuple([pen.dim() if i == axis else n for i, n in enumerate(shape)])
        for _ in range(pen.count(1, 3))
    ]
    return tuple([pen.array(shape) for shape in shapes]), {"axis": axis}


def piece_inputs(pen: Pen) -> Drawn:
    xs, attrs = join_inputs(pen)
    whole = np.concatenate(xs, attrs["axis"]).shape
    return (pen.array(whole), *xs), {**attrs, "index": pen.count(0, len(xs) - 1)}


def split_inputs(pen: Pen) -> Drawn:
    (x,), attrs = along_axis()(pen)
    places = sorted(pen.draw(st.lists(st.integers(0, x.shape[attrs["axis"]]), max_size=2)))
    return (x,), {**attrs, "places": tuple(places)}


def rotate_inputs(pen: Pen) -> Drawn:
    x = pen.array(pen.shape())
    axes = pen.some_axes(x.ndim)
    return (x,), {"shifts": tuple([pen.count(-4, 4) for _ in axes]), "axes": axes}


def pad_inputs(pen: Pen) -> Drawn:
    x = pen.array(pen.shape())
    widths = tuple([(pen.count(0, 2), pen.count(0, 2)) for _ in range(x.ndim)])
    return (x,), {"widths": widths, "value": pen.of(0, 1)}


def matrices(**attrs: Callable[[Pen], Any]) -> Any:
    """A row for ops on the matrices in the last two axes."""

    def row(pen: Pen) -> Drawn:
        return (pen.array(pen.shape(2)),), {name: draw(pen) for name, draw in attrs.items()}

    return row


def matrix_product_inputs(pen: Pen) -> Drawn:
    batch = pen.shape(0, 1)
    m, k, n = pen.dim(), pen.dim(), pen.dim()
    x1 = pen.array((*pen.part_of(batch), m, k))
    return (x1, pen.array((*pen.part_of(batch), k, n))), {}


def tensor_product_inputs(pen: Pen) -> Drawn:
    shape1, shape2 = list(pen.shape()), list(pen.shape())
    n = pen.count(0, min(len(shape1), len(shape2)))
    axes1, axes2 = (
        tuple(pen.draw(st.permutations(range(len(shape))))[:n]) for shape in (shape1, shape2)
    )
    for a1, a2 in zip(axes1, axes2, strict=True):
        shape2[a2] = shape1[a1]
    return (pen.array(tuple(shape1)), pen.array(tuple(shape2))), {"axes1": axes1, "axes2": axes2}


# indexing


def slice_inputs(pen: Pen) -> Drawn:
    x = pen.array(pen.shape())
    return (x,), {"key": pen.key(x.shape, arrays=False)[0]}


def place_inputs(pen: Pen) -> Drawn:
    (x,), attrs = slice_inputs(pen)
    taken = OPS["take_slice"].kernel(x, **attrs)
    return (pen.array(pen.part_of(taken.shape)), x), attrs


def gather_inputs(pen: Pen) -> Drawn:
    x = pen.array(pen.shape())
    key, indices = pen.key(x.shape, arrays=True)
    return (x, *indices), {"key": key}


def scatter(*, first: bool, same: bool = False, **attrs: Callable[[Pen], Any]) -> Any:
    """A row for ops that put `v` in places of `x`. first: `x` is. same: of one dtype."""

    def row(pen: Pen) -> Drawn:
        (x, *indices), drawn = gather_inputs(pen)
        taken = OPS["gather"].kernel(x, *indices, **drawn)
        v = pen.array(pen.part_of(taken.shape), x.dtype if same else None)
        pair = (x, v) if first else (v, x)
        return (*pair, *indices), {**drawn, **{name: draw(pen) for name, draw in attrs.items()}}

    return row


def along_inputs(pen: Pen) -> Drawn:
    shape = pen.shape(1)
    axis = pen.axis(len(shape))
    n = shape[axis]
    others = tuple([pen.of(m, 1) for m in shape])
    indices = (*others[:axis], pen.dim() if n else 0, *others[axis + 1 :])
    dtype = pen.of(np.int64, np.int32)
    return (pen.array(shape), pen.integers(indices, -n, max(n, 1), dtype)), {"axis": axis}


def put_inputs(pen: Pen) -> Drawn:
    (x, indices), attrs = along_inputs(pen)
    taken = OPS["take_along"].kernel(x, indices, **attrs)
    return (pen.array(taken.shape), x, indices), attrs


# finding


def repeating(pen: Pen, shape: Shape) -> Array:
    """An array whose elements are few, so that some are 0 and some are equal; now and then nan."""
    dtype = pen.dtype()
    values = pen.integers(shape, 0, 4, np.uint8).astype(dtype)
    if dtype.kind in "fc" and pen.of(False, True):
        values = np.where(values == 3, dtype.type(np.nan), values)
    return values


def sorted_place_inputs(pen: Pen) -> Drawn:
    x = repeating(pen, (pen.count(0, 4),))
    return (np.sort(x), pen.array(pen.shape(), x.dtype)), {"right": pen.of(False, True)}


def range_inputs(pen: Pen) -> Drawn:
    bounds = [np.asarray(pen.count(-5, 5), np.int32) for _ in range(2)]
    return (*bounds, np.asarray(pen.of(-2, -1, 1, 3), np.int32)), {}


def slice_places_inputs(pen: Pen) -> Drawn:
    ends: list[Any] = []
    bounds = []
    for low, high in ((-6, 6), (-6, 6), (1, 3)):
        number = pen.count(low, high)
        ends.append(pen.of("array", None, number))
        if ends[-1] == "array":
            bounds.append(np.asarray(number, np.int32))
    return (np.asarray(pen.count(0, 5), np.int32), *bounds), {"part": tuple(ends)}


def membership_inputs(pen: Pen) -> Drawn:
    pair = repeating(pen, pen.shape()), repeating(pen, pen.shape())
    return pair, {"invert": pen.of(False, True)}


TABLE: dict[str, Row] = {
    "shape_of": lambda pen: ((pen.array(pen.shape()),), {}),
    "check_shape": promised_inputs,
    "reshape_to": reshape_inputs,
    "reshape_like": to_other_shape(as_array=False),
    "reshape_dynamic": to_other_shape(as_array=True),
    "insert_axes": insert_inputs,
    "drop_axes": drop_inputs,
    "permute": permute_inputs,
    "transpose_last": matrices(),
    "reverse": along_axes,
    "broadcast": broadcast_inputs,
    "broadcast_dynamic": broadcast_dynamic_inputs,
    "broadcast_like": with_like,
    "sum_like": with_part,
    "or_zeros": same_inputs,
    "fill": fill_inputs,
    "cast": cast_inputs,
    **{f"reduce_{name}": along_axes for name in ("sum", "prod", "max", "min", "any", "all")},
    "upper_bound": along_axes,
    "place_of_max": along_axis(),
    "place_of_min": along_axis(),
    "accumulate_sum": along_axis(lambda pen: {"backwards": pen.of(False, True)}),
    "accumulate_product": along_axis(lambda pen: {"backwards": pen.of(False, True)}),
    "recurrence": recurrence_inputs,
    "join": join_inputs,
    "piece_like": piece_inputs,
    "split_at": split_inputs,
    "rotate": rotate_inputs,
    "pad_with": pad_inputs,
    "lower_triangle": matrices(k=lambda pen: pen.count(-2, 2)),
    "upper_triangle": matrices(k=lambda pen: pen.count(-2, 2)),
    "matrix_product": matrix_product_inputs,
    "tensor_product": tensor_product_inputs,
    "take_slice": slice_inputs,
    "place_slice": place_inputs,
    "gather": gather_inputs,
    "scatter_add": scatter(first=False),
    "scatter_product": scatter(first=False),
    "scatter_extreme": scatter(first=False, largest=lambda pen: pen.of(True, False)),
    "set_at": scatter(first=True, same=True),
    "add_at": scatter(first=True, same=True),
    "stays": gather_inputs,
    "take_along": along_inputs,
    "put_along": put_inputs,
    "order_of": along_axis(
        lambda pen: {"descending": pen.of(False, True), "stable": pen.of(True, False)}
    ),
    "nonzero_places": lambda pen: ((repeating(pen, pen.shape(1)),), {}),
    "unique_places": lambda pen: ((repeating(pen, pen.shape()),), {}),
    "range_length": range_inputs,
    "counting": lambda pen: ((np.asarray(pen.count(0, 5)),), {"dtype": pen.dtype()}),
    "places_of_slice": slice_places_inputs,
    "sorted_place": sorted_place_inputs,
    "membership": membership_inputs,
    "digamma_derivative": polygamma_inputs,
    "convolution": image_row("xw"),
    "image_gradient": image_row("gwx", finite=True),
    "filter_gradient": image_row("xgw"),
    "windows_of": windows_inputs,
    "windows_added": windows_added_inputs,
    "random_bits": random((np.uint32, np.uint64)),
    "radius_of_words": random_words(1),
    "point_of_words": point_inputs,
    "random_uniform": random(FLOATS),
    "random_uniform_like": random_like_inputs,
    "random_normal": random(FLOATS),
    "random_integers": random(
        INTEGERS[:4], low=lambda pen: pen.count(-5, 0), high=lambda pen: pen.count(1, 9)
    ),
    "random_order": random(INTEGERS, lambda pen: (pen.count(0, 5),)),
    "random_states": random((np.uint64,), lambda pen: (pen.count(0, 4), 3)),
    **matrices_and_spectra.ROWS,
}
