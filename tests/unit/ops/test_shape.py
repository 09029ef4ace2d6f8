"""Shapes, axes, broadcasting, joining: as NumPy, differentiable twice, traced with less known."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.errors import SpecError
from minigrad.graph import trace
from minigrad.ops.broadcast import broadcast_like, reduce_sum, sum_like, unbroadcast
from minigrad.ops.join import piece_like
from minigrad.ops.shape import STATIC_FORMS, reshape_like

M = np.arange(12.0).reshape(3, 4) / 5 - 1
C = np.arange(24.0).reshape(2, 3, 4) / 9 - 1
V = np.array([0.5, -1.0, 2.0, 3.0])


class Case(NamedTuple):
    """A function of minigrad, and the same of NumPy, on some arrays."""

    f: Any
    numpy: Any
    arrays: tuple[Any, ...] = (M,)


def product(xs: Any) -> Any:
    """Something that every part counts in."""
    return mg.prod(mg.stack(xs), axis=0) if isinstance(xs[0], mg.Tensor) else np.prod(xs, axis=0)


CASES = {
    "reshape": Case(lambda x: mg.reshape(x, (2, 3, 2)), lambda x: x.reshape(2, 3, 2)),
    "reshape -1": Case(lambda x: mg.reshape(x, (6, -1)), lambda x: x.reshape(6, 2)),
    "reshape flat": Case(lambda x: mg.reshape(x, -1), np.ravel),
    "reshape by dims": Case(
        lambda x: mg.reshape(x, (mg.shape(x)[1], -1)), lambda x: x.reshape(4, 3)
    ),
    "reshape_like": Case(reshape_like, lambda x, y: x.reshape(y.shape), (M, M.reshape(2, 6))),
    "expand_dims": Case(lambda x: mg.expand_dims(x, axis=-1), lambda x: x[..., None]),
    "expand_dims two": Case(lambda x: mg.expand_dims(x, (0, 2)), lambda x: x[None, :, None]),
    "squeeze": Case(
        lambda x: mg.squeeze(x, (0, -1)), lambda x: x[0, :, 0], (M[:1, :, None][..., :1],)
    ),
    "permute_dims": Case(
        lambda x: mg.permute_dims(x, (2, 0, -2)), lambda x: x.transpose(2, 0, 1), (C,)
    ),
    "matrix_transpose": Case(mg.matrix_transpose, lambda x: x.swapaxes(1, 2), (C,)),
    "moveaxis": Case(lambda x: mg.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), (C,)),
    "moveaxis two": Case(
        lambda x: mg.moveaxis(x, (2, 0), (0, 1)), lambda x: np.moveaxis(x, (2, 0), (0, 1)), (C,)
    ),
    "swapaxes": Case(lambda x: mg.swapaxes(x, 0, -1), lambda x: x.swapaxes(0, -1), (C,)),
    "flip": Case(mg.flip, np.flip),
    "flip one": Case(lambda x: mg.flip(x, axis=-1), lambda x: np.flip(x, -1)),
    "broadcast_to": Case(
        lambda x: mg.broadcast_to(x, (2, 3, 4)),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
        (M[:, :1],),
    ),
    "broadcast_to large": Case(
        lambda x: mg.broadcast_to(x, (900, 4)), lambda x: np.broadcast_to(x, (900, 4)), (V,)
    ),
    "broadcast_arrays": Case(
        lambda x, y: product(mg.broadcast_arrays(x, y)),
        lambda x, y: x * y,
        (M[:, :1], V),
    ),
    "broadcast_like": Case(broadcast_like, lambda x, y: np.broadcast_to(x, y.shape), (M[:, :1], C)),
    "sum_like": Case(sum_like, lambda x, y: x.sum((0, 2))[:, None], (C, M[:, :1])),
    "operators broadcast": Case(lambda x, y, z: x * y + z, lambda x, y, z: x * y + z, (C, V, 2.0)),
    "sum": Case(mg.sum, np.sum),
    "sum axes": Case(lambda x: mg.sum(x, axis=(0, -1)), lambda x: x.sum((0, 2)), (C,)),
    "sum of no axes": Case(lambda x: mg.sum(x, axis=()), lambda x: x),
    "sum keepdims": Case(
        lambda x: mg.sum(x, axis=1, keepdims=True), lambda x: x.sum(1, keepdims=True)
    ),
    "concat": Case(
        lambda x, y: mg.concat([x, y, x], axis=-1),
        lambda x, y: np.concatenate([x, y, x], -1),
        (M, M[:, :2]),
    ),
    "concat flat": Case(
        lambda x, y: mg.concat([x, y], axis=None), lambda x, y: np.r_[x.ravel(), y], (M, V)
    ),
    "piece_like": Case(
        lambda g, x, y: piece_like(g, x, y, axis=1, index=1),
        lambda g, x, y: g[:, 3:],
        (M, M[:, :3], M[:, :1]),
    ),
    "stack": Case(
        lambda x, y: mg.stack([x, y], axis=-1), lambda x, y: np.stack([x, y], -1), (M, M + 1)
    ),
    "unstack": Case(
        lambda x: product(mg.unstack(mg.ensure_shape(x[:2], (2, 4)))), lambda x: x[0] * x[1]
    ),
    "split": Case(
        lambda x: product(mg.split(x[:, :4], [2], axis=1)), lambda x: x[:, :2] * x[:, 2:]
    ),
    "split in part": Case(lambda x: mg.split(x, [1, 3], axis=1)[1], lambda x: x[:, 1:3]),
    "roll": Case(lambda x: mg.roll(x, 1, axis=-1), lambda x: np.roll(x, 1, -1)),
    "roll two": Case(
        lambda x: mg.roll(x, (1, -1), axis=(0, 1)), lambda x: np.roll(x, (1, -1), (0, 1))
    ),
    "roll flat": Case(lambda x: mg.roll(x, 5), lambda x: np.roll(x, 5)),
    "tile": Case(lambda x: mg.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3))),
    "tile fewer": Case(lambda x: mg.tile(x, 2), lambda x: np.tile(x, 2)),
    "repeat": Case(lambda x: mg.repeat(x, 3, axis=1), lambda x: np.repeat(x, 3, 1)),
    "repeat flat": Case(lambda x: mg.repeat(x, 2), lambda x: np.repeat(x, 2)),
    "repeat by a tensor": Case(
        lambda x: mg.repeat(x, mg.constant([1, 0, 2]), axis=0), lambda x: x[[0, 2, 2]]
    ),
    "repeat each": Case(lambda x: mg.repeat(x, [1, 0, 2], axis=0), lambda x: x[[0, 2, 2]]),
    "pad": Case(
        lambda x: mg.pad(x, ((1, 0), (0, 2)), constant_values=3),
        lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=3),
    ),
    "tril": Case(mg.tril, np.tril, (C,)),
    "triu": Case(lambda x: mg.triu(x, k=1), lambda x: np.triu(x, k=1)),
    "identity": Case(mg.identity, lambda x: x),
    "ensure_shape": Case(lambda x: mg.ensure_shape(x, (None, 4)), lambda x: x),
}
parametrize = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@parametrize
def test_values_are_those_of_numpy(case: Case) -> None:
    found = case.f(*map(mg.constant, case.arrays)).numpy()
    np.testing.assert_array_equal(found, case.numpy(*map(np.asarray, case.arrays)), strict=True)


@parametrize
def test_derivatives_are_those_of_differences(case: Case, check_gradients: Any) -> None:
    check_gradients(lambda *xs: mg.exp(case.f(*xs)), *case.arrays)


@parametrize
def test_a_trace_that_knows_less_computes_the_same(case: Case, check_traced: Any) -> None:
    check_traced(case.f, *case.arrays)


def gradient_op_names(f: Any, *xs: Any) -> list[str]:
    """The op names of the graph of the gradient of `f`, for arrays of known shapes."""

    def body(*symbols: Any) -> list[Any]:
        with mg.GradientTape() as tape:
            tape.watch(symbols)
            y = f(*symbols)
        return [g for g in tape.gradient(y, symbols) if g is not None]

    graph, _ = trace(body, [Spec.from_tensor(np.asarray(x)) for x in xs])
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize("name", [name for name in CASES if name != "reshape by dims"])
def test_where_shapes_are_known_gradients_are_made_of_plain_ops(name: str) -> None:
    case = CASES[name]
    names = gradient_op_names(lambda *xs: case.f(*xs) * 2, *case.arrays)
    assert {name for name in names if name in STATIC_FORMS} <= set(op_names(case))


def op_names(case: Case) -> list[str]:
    """The op names of the graph of a case itself."""
    graph, _ = trace(
        lambda *xs: [case.f(*xs)], [Spec.from_tensor(np.asarray(x)) for x in case.arrays]
    )
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize(
    ("shape", "axes"), [((4,), (0, 1)), ((3, 1), (0, 2)), ((), (0, 1, 2)), ((2, 1, 1), (1, 2))]
)
def test_unbroadcast_is_one_plain_sum(shape: Any, axes: Any) -> None:
    graph, _ = trace(
        lambda g, x: [unbroadcast(g, x)], [Spec((2, 3, 4), "float32"), Spec(shape, "float32")]
    )
    assert [node.attrs["axes"] for node in graph.nodes if node.op is reduce_sum] == [axes]
    assert graph.outputs[0].shape == shape


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "complex64"])
def test_sums_widen_integers_to_the_default(dtype: str) -> None:
    x = np.array([[1, 0], [1, 1]], dtype)
    wide = {"bool": "int32", "int8": "int32", "uint16": "uint32"}
    assert mg.sum(x).dtype == wide.get(dtype, dtype)
    assert mg.sum(x).item() == 3
    assert mg.sum(x, dtype=mg.float64).dtype == np.float64


def test_concat_promotes() -> None:
    found = mg.concat([mg.constant([1]), mg.constant([2.5])])
    assert found.dtype == np.float64
    assert found.numpy().tolist() == [1, 2.5]


def test_shape_is_a_tensor_of_the_run_time_lengths() -> None:
    graph, _ = trace(lambda x: [mg.shape(x)], [Spec((None, 3), "float32")])
    (found,) = evaluate_on(graph, mg.zeros((5, 3)))
    assert found.dtype == np.int32
    assert found.numpy().tolist() == [5, 3]


def evaluate_on(graph: Any, *xs: Any) -> Any:
    """The outputs of `graph` on tensors."""
    return mg.graph.evaluate(graph, [*xs, *graph.captures])


def test_ensure_shape_tells_a_trace_what_it_could_not_know() -> None:
    graph, _ = trace(lambda x: [mg.ensure_shape(x, (None, 3))], [Spec(None, "float32")])
    assert graph.outputs[0].shape == (None, 3)
    with pytest.raises(SpecError, match="must agree"):
        evaluate_on(graph, mg.zeros((3, 4)))


REFUSED = {
    "reshape: float32[2,3] has 6 elements and the shape (4, 2) holds 8": lambda x: mg.reshape(
        x, (4, 2)
    ),
    "float32[2,3] has 6 elements and the shape (4, -1) holds a multiple of 4": lambda x: mg.reshape(
        x, (4, -1)
    ),
    "one dim may be -1": lambda x: mg.reshape(x, (-1, -1)),
    "a shape was needed and 'ab' came": lambda x: mg.reshape(x, "ab"),
    "squeeze: axis 0 of float32[2,3] has length 2": lambda x: mg.squeeze(x, 0),
    "expand_dims: axis 5": lambda x: mg.expand_dims(x, axis=5),
    "every axis is named once": lambda x: mg.permute_dims(x, (0, 0)),
    "a matrix has two axes": lambda x: mg.matrix_transpose(x[0]),
    "each axis goes to one place": lambda x: mg.moveaxis(x, (0, 1), (0, 0)),
    "flip: axis 2": lambda x: mg.flip(x, axis=2),
    "broadcast_to: float32[2,3] to the shape (3, 2)": lambda x: mg.broadcast_to(x, (3, 2)),
    "float32[2,3] and float32[3,2] differ in axis 1": lambda x: mg.concat([x, x.mT]),
    "differ in the number of axes": lambda x: mg.concat([x, x[0]]),
    "no tensors came": lambda x: mg.concat([]),
    "equal parts need a known length": lambda x: mg.split(x, 2, axis=1),
    "there is one shift for all axes": lambda x: mg.roll(x, (1, 2, 3), axis=(0, 1)),
    "one for all or one for each": lambda x: mg.repeat(x, [1, 2, 3], axis=0),
    "each axis has two, none negative": lambda x: mg.pad(x, ((1, -1), (0, 0))),
    "a triangle is that of a matrix": lambda x: mg.tril(x[0]),
    "sum: axis 2 of a tensor with 2 axes": lambda x: mg.sum(x, axis=2),
    "names one axis twice": lambda x: mg.sum(x, axis=(0, -2)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_is_refused_alike_eagerly_and_traced(message: str) -> None:
    with pytest.raises(SpecError) as eager:
        REFUSED[message](mg.zeros((2, 3)))
    with pytest.raises(SpecError) as traced:
        trace(lambda x: [REFUSED[message](x)], [Spec((2, 3), "float32")])
    assert message in str(eager.value)
    assert str(eager.value) == str(traced.value)


def test_only_what_gives_as_many_tensors_as_a_dim_refuses_an_unknown_rank() -> None:
    for f in (lambda x: mg.sum(x, axis=0), lambda x: mg.argmax(x, axis=0)):
        assert mg.function(f, input_signature=[mg.TensorSpec(None)])(mg.ones((2, 3))).shape == (3,)
    with pytest.raises(SpecError, match="how many tensors come out"):
        mg.function(lambda x: mg.unstack(x), input_signature=[mg.TensorSpec(None)])(mg.ones(3))
