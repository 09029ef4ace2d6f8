"""Valid applications of every op of the registry: inputs and attributes, as Hypothesis strategies.

Pointwise ops are drawn from their signature and `Domain`; other primitives by TABLE. An op that
neither knows fails loudly, in `applications` and in a test of its own: a new op is under every law
the moment it can be drawn.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import minigrad as mg
from minigrad.core.define import Domain, pointwise_spec
from minigrad.core.op import Op
from minigrad.core.registry import OPS
from minigrad.core.tensor import Tensor
from tests.laws import matrices as matrices_and_spectra
from tests.laws.draws import ANY, FLOATS, INTEGERS, Array, Pen, Shape

Drawn = tuple[tuple[Any, ...], dict[str, Any]]
POINTWISE = pointwise_spec(np.positive).__code__  # what infer rules of pointwise ops share

PROGRAMS = ("minigrad.__main__", "minigrad.tour")

# every module, so that no op is missing because nobody has asked for it yet
for _module in pkgutil.walk_packages(mg.__path__, "minigrad."):
    if _module.name not in PROGRAMS:
        importlib.import_module(_module.name)

# not drawn, for their attributes are graphs or Python: why, and where they are under a law
ELSEWHERE = {
    "call": "a traced function; test_mode_laws and test_graph_laws",
    "stateful_call": "a traced function with effects; test_graph_laws and test_tape_machine",
    "fused": "made by the compiler only; test_mode_laws",
    "native_product": "made by the compiler only; test_mode_laws",
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
    "switch": "takes graphs; test_graph_laws",
    "stateful_switch": "takes graphs; tests of control flow",
    "loop": "takes graphs; test_graph_laws",
    "stateful_loop": "takes graphs; tests of control flow",
    "read_variable": "takes the cell of a Variable; test_graph_laws and test_tape_machine",
    "assign_variable": "takes the cell of a Variable; test_graph_laws and test_tape_machine",
}

# adjoints whose inputs are made by derivative rules only: they trust them to fit
TRUSTING = {"or_zeros", "piece_like", "image_gradient", "filter_gradient", "windows_added"}
TRUSTING |= matrices_and_spectra.TRUSTING


class Application(NamedTuple):
    """One application of an op to arrays and Python numbers."""

    op: Op
    inputs: tuple[Any, ...]
    attrs: dict[str, Any]

    def tensors(self) -> list[Any]:
        """The inputs, arrays as tensors."""
        return [mg.constant(x) if isinstance(x, np.ndarray) else x for x in self.inputs]

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        """The outputs of the op on other inputs, always as a tuple."""
        outputs = self.op(*inputs, **self.attrs)
        return outputs if type(outputs) is tuple else (outputs,)

    def smooth(self) -> list[int]:
        """The places of the inputs that can have a derivative."""
        return [i for i, x in enumerate(self.inputs) if is_inexact(x)]


def is_inexact(x: Any) -> bool:
    """Whether `x` is an array or tensor of floats or complex numbers."""
    return isinstance(x, (np.ndarray, Tensor)) and x.dtype.kind in "fc"


def is_pointwise(op: Op) -> bool:
    """Whether `op` was made by the decorator `pointwise`."""
    return getattr(op.infer, "__code__", None) is POINTWISE


def names(wanted: Callable[[Op], bool] = lambda op: True) -> list[str]:
    """The names of the ops that can be drawn, of those that are `wanted`."""
    return [name for name, op in OPS.items() if can_be_drawn(op) and wanted(op)]


def can_be_drawn(op: Op) -> bool:
    """Whether `applications` knows inputs for `op`."""
    return op.name in TABLE or is_pointwise(op)


@st.composite
def applications(
    draw: Any,
    name: str,
    dtypes: Sequence[Any] = ANY,
    *,
    smooth: bool = False,
    numbers: bool = True,
) -> Application:
    """Applications of the op `name` to arrays of `dtypes`.

    smooth: at points where it has derivatives, if it has any. numbers: Python numbers may stand
    among the inputs of pointwise ops. Raises LookupError for an op that nobody taught it to draw.
    """
    op = OPS[name]
    pen = Pen(draw, [np.dtype(dtype) for dtype in dtypes], smooth=smooth)
    if name in TABLE:
        inputs, attrs = TABLE[name](pen)
    elif is_pointwise(op):
        inputs, attrs = pointwise_inputs(op, pen, numbers=numbers)
    else:
        raise LookupError(
            f"no inputs can be drawn for the op {name}: it is not pointwise, and TABLE in "
            "tests/laws/strategies.py has no row for it; add one that draws inputs and attributes"
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
    dtypes = (np.float64, np.complex128) if pen.smooth else ANY
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


def membership_inputs(pen: Pen) -> Drawn:
    pair = repeating(pen, pen.shape()), repeating(pen, pen.shape())
    return pair, {"invert": pen.of(False, True)}


# images


def image_inputs(pen: Pen) -> tuple[Array, Array, Array, dict[str, Any]]:
    """Images, filters, their convolution, and the attributes of it."""
    dims = [pen.count(1, 2), pen.count(3, 5), pen.count(3, 4), pen.count(1, 2)]
    x = pen.array(tuple(dims))
    w = pen.array((pen.count(1, 3), pen.count(1, 3), dims[3], pen.count(1, 2)), x.dtype)
    strides = (pen.count(1, 2), pen.count(1, 2))
    attrs = {"strides": strides, "padding": pen.of("VALID", "SAME")}
    return x, w, pen.array(OPS["convolution"].kernel(x, w, **attrs).shape, x.dtype), attrs


def polygamma_inputs(pen: Pen) -> Drawn:
    return (pen.array(pen.shape(), None, Domain(0.3, 3.0)),), {"n": pen.count(1, 3)}


def image_row(order: str) -> Any:
    """A row for convolution and its adjoints: which of x, w, g are the inputs."""

    def row(pen: Pen) -> Drawn:
        x, w, g, attrs = image_inputs(pen)
        found = {"x": x, "w": w, "g": g}
        return tuple([found[name] for name in order]), attrs

    return row


def windows_inputs(pen: Pen) -> Drawn:
    x = pen.array((pen.count(1, 2), pen.count(2, 5), pen.count(2, 4), pen.count(1, 2)))
    size, strides = [(pen.count(1, 2), pen.count(1, 3)) for _ in range(2)]
    return (x,), {"size": (size[0], min(size[1], 2)), "strides": strides}


def windows_added_inputs(pen: Pen) -> Drawn:
    (x,), attrs = windows_inputs(pen)
    return (pen.array(OPS["windows_of"].kernel(x, **attrs).shape, x.dtype), x), attrs


# random numbers


def random(dtypes: Sequence[Any], shape: Callable[[Pen], Shape] = Pen.shape, **attrs: Any) -> Any:
    """A row for ops that draw from a state."""

    def row(pen: Pen) -> Drawn:
        drawn = {"shape": shape(pen), "dtype": np.dtype(pen.of(*dtypes))}
        return (random_state(pen),), {**drawn, **{name: draw(pen) for name, draw in attrs.items()}}

    return row


def random_state(pen: Pen) -> Array:
    """A state: two words of a key, and the number of the draw."""
    return np.array([pen.count(0, 2**64 - 1) for _ in range(3)], np.uint64)


def random_like_inputs(pen: Pen) -> Drawn:
    return (random_state(pen), pen.array(pen.shape())), {"dtype": np.dtype(pen.of(*FLOATS))}


TABLE: dict[str, Callable[[Pen], Drawn]] = {
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
    "place_of_max": along_axis(),
    "place_of_min": along_axis(),
    "accumulate_sum": along_axis(),
    "accumulate_product": along_axis(),
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
    "stays": gather_inputs,
    "take_along": along_inputs,
    "put_along": put_inputs,
    "order_of": along_axis(
        lambda pen: {"descending": pen.of(False, True), "stable": pen.of(True, False)}
    ),
    "nonzero_places": lambda pen: ((repeating(pen, pen.shape(1)),), {}),
    "unique_places": lambda pen: ((repeating(pen, pen.shape()),), {}),
    "sorted_place": sorted_place_inputs,
    "membership": membership_inputs,
    "digamma_derivative": polygamma_inputs,
    "convolution": image_row("xw"),
    "image_gradient": image_row("gwx"),
    "filter_gradient": image_row("xgw"),
    "windows_of": windows_inputs,
    "windows_added": windows_added_inputs,
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
