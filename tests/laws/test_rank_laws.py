"""What waits for ranks and dims: traced with little known it gives what it gives eagerly."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.define import WAITING
from minigrad.errors import MinigradError
from minigrad.testing.modes import assert_close
from minigrad.text import source

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.5, 7.0]], np.float32)
Function = Callable[[Any], Any]

# by name; where it differs from that of the function that waits, it begins with it and a space
FUNCTIONS: dict[str, Function] = {
    "sum": lambda x: mg.sum(x, axis=-1),
    "sum of two": lambda x: mg.sum(x, axis=(0, -1), keepdims=True),
    "sum of all": lambda x: mg.sum(x),
    "mean": lambda x: mg.mean(x, axis=-1),
    "max": lambda x: mg.max(x, axis=-1, keepdims=True),
    "min": lambda x: mg.min(x, axis=0),
    "var": lambda x: mg.var(x, axis=-1, correction=1),
    "prod": lambda x: mg.prod(x, axis=-1),
    "any": lambda x: mg.any(x > 2, axis=-1),
    "all": lambda x: mg.all(x > 2, axis=-1),
    "argmax": lambda x: mg.argmax(x, axis=-1),
    "argmin": lambda x: mg.argmin(x, axis=0, keepdims=True),
    "cumulative_sum": lambda x: mg.cumulative_sum(x, axis=-1),
    "cumulative_prod": lambda x: mg.cumulative_prod(x, axis=-1),
    "diff": lambda x: mg.diff(x, axis=-1),
    "concat": lambda x: mg.concat([x, 2 * x], axis=-1),
    "stack": lambda x: mg.stack([x, x * x], axis=-1),
    "split": lambda x: mg.split(x, [1], axis=-1)[1],
    "unstack": lambda x: mg.unstack(mg.ensure_shape(x, (2, 3)), axis=-1)[2],
    "roll": lambda x: mg.roll(x, 1, axis=-1),
    "roll of all": lambda x: mg.roll(x, 1),
    "tile": lambda x: mg.tile(x, (2, 1)),
    "repeat": lambda x: mg.repeat(x, 2, axis=-1),
    "pad": lambda x: mg.pad(x, 1),
    "expand_dims": lambda x: mg.expand_dims(x, axis=(0, -1)),
    "squeeze": lambda x: mg.squeeze(x[..., None], axis=-1),
    "squeeze of all": lambda x: mg.squeeze(x[None]),
    "moveaxis": lambda x: mg.moveaxis(x, 0, -1),
    "swapaxes": lambda x: mg.core.registry.api.swapaxes(x, 0, -1),
    "permute_dims": lambda x: mg.permute_dims(x, (-1, 0)),
    "flip": lambda x: mg.flip(x, axis=-1),
    "flip of all": lambda x: mg.flip(x),
    "take_along_axis": lambda x: mg.take_along_axis(x, mg.constant([[0], [1]]), axis=-1),
    "argsort": lambda x: mg.argsort(x, axis=-1),
    "sort": lambda x: mg.sort(-x, axis=-1),
    "take": lambda x: mg.take(x, mg.constant([0, 1]), axis=-1),
    "tensordot": lambda x: mg.tensordot(x, x, axes=((1,), (1,))),
    "tensordot of a known": lambda x: mg.tensordot(x, mg.ones((3, 2)), axes=1),
    "matmul": lambda x: x @ mg.ones((3, 2)),
    "matmul by a vector": lambda x: x @ x[0],
    "matmul by itself": lambda x: x @ x.mT,
    "meshgrid": lambda x: mg.meshgrid(x[0], x[1])[0],
    "einsum": lambda x: mg.einsum("ij,kj->ik", x, x),
    "softmax_cross_entropy": lambda x: mg.nn.softmax_cross_entropy(x, mg.constant([0, 1])),
    "largest_along": lambda x: mg.nn.log_softmax(x, axis=-1),
    "softmax": lambda x: mg.nn.softmax(x),
    "logsumexp": lambda x: mg.nn.logsumexp(x, axis=0),
    "layer_norm": lambda x: mg.nn.layer_norm(x, mg.ones(3), mg.zeros(3)),
    "attention": lambda x: mg.nn.scaled_dot_product_attention(x, x, x),
    "trace": lambda x: mg.linalg.trace(x),
    "vector_norm": lambda x: mg.linalg.vector_norm(x, axis=-1),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "reshape": lambda x: mg.reshape(x, (3, -1)),
    "an index": lambda x: x[0],
    "an index from behind": lambda x: x[..., 0],
    "a range": lambda x: mg.astype(mg.arange(mg.shape(x)[0]), mg.float32)[:, None] * x,
    "a range by steps": lambda x: mg.arange(1.0, mg.shape(x)[-1], 0.5) * x[0, 0],
    "a slice": lambda x: x[: mg.shape(x)[0] - 1],
    "a slice from behind": lambda x: x[..., mg.shape(x)[0] - 1 :: 2],
    "two slices": lambda x: x[None, mg.shape(x)[0] - 1 :, ..., : mg.shape(x)[0]],
    "a broadcast": lambda x: mg.broadcast_to(x[0], (mg.shape(x)[0], 3)),
    "a reshape": lambda x: mg.reshape(x, mg.shape(x)[::-1]),
    "zeros and ones": lambda x: mg.zeros(mg.shape(x)) + x * mg.ones((mg.shape(x)[0], 3)),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)
little_known = pytest.mark.parametrize("shape", [None, (None, None)], ids=["no rank", "no dims"])


def test_every_function_that_waits_is_here() -> None:
    assert not {name.split(" ")[0] for name in FUNCTIONS} & WAITING ^ WAITING


def slope(f: Function) -> Function:
    """The gradient of the sum of the sines of `f`; zeros where it is constant."""

    def by_x(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
            y = mg.sin(y) if y.dtype.kind == "f" else y
        return tape.gradient(y, x, unconnected_gradients="zero")

    return by_x


ORDERS = {"values": lambda f: f, "slopes": slope, "curvatures": lambda f: slope(slope(f))}


@little_known
@every_function
def test_what_is_traced_with_little_known_is_what_is_eager(name: str, shape: Any) -> None:
    f, x = FUNCTIONS[name], mg.constant(X)
    signature = [mg.TensorSpec(shape, mg.float32)]
    for order in ORDERS.values():
        expected = order(f)(x)
        inside = mg.function(order(f), input_signature=signature)
        outside = order(mg.function(f, input_signature=signature))
        assert_close([inside(x), outside(x)], [expected] * 2, 10)
    compiled = mg.function(slope(f), input_signature=signature, jit_compile=True)
    assert_close([compiled(x)], [slope(f)(x)], 10)


@every_function
def test_what_waits_is_printed_and_saved(name: str, tmp_path: Any) -> None:
    f, x = FUNCTIONS[name], mg.constant(X)
    traced = mg.function(slope(f), input_signature=[mg.TensorSpec(None, mg.float32)])
    graph = traced.get_concrete_function().graph
    again = source(graph).function()(x, *graph.captures)
    assert_close([again[0]], [slope(f)(x)])
    mg.saved_model.save(traced, tmp_path / "model.mg")
    assert_close([mg.saved_model.load(tmp_path / "model.mg")(x)], [slope(f)(x)])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_axis_that_the_actual_rank_lacks_is_refused_with_the_line(jit_compile: bool) -> None:
    @mg.function(input_signature=[mg.TensorSpec(None, mg.float32)], jit_compile=jit_compile)
    def f(x: Any) -> Any:
        return mg.sum(x, axis=1)

    assert f(mg.ones((2, 3))).numpy().tolist() == [3, 3]
    with pytest.raises(MinigradError, match=r"sum: axis 1 of a tensor with 1 axes") as caught:
        f(mg.ones(3))
    assert any("test_rank_laws.py" in note for note in getattr(caught.value, "__notes__", []))


def test_one_trace_serves_tensors_of_every_rank() -> None:
    f = mg.function(
        slope(lambda x: mg.max(x, axis=-1)), input_signature=[mg.TensorSpec(None, mg.float32)]
    )
    eager = slope(lambda x: mg.max(x, axis=-1))
    for x in (X[0], X, X[None]):
        assert_close([f(mg.constant(x))], [eager(mg.constant(x))])
    assert f.trace_count == 1


def test_results_of_numpy_functions_have_axes_when_they_are_there() -> None:
    @mg.function
    def f(x: Any) -> Any:
        y = mg.numpy_function(np.sinh, [x], mg.float32)
        return mg.sum(y, axis=-1), mg.concat([y, x], axis=-1), y[: mg.shape(y)[0] - 1]

    found = [y.numpy() for y in f(mg.constant(X))]
    y = np.sinh(X)
    for z, expected in zip(found, (y.sum(-1), np.concatenate([y, X], -1), y[:1]), strict=True):
        np.testing.assert_allclose(z, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 0), (None, None), None], ids=str)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_softmax_of_nothing_is_nothing_and_the_sum_of_no_exponentials_is_0(
    shape: Any, jit_compile: bool
) -> None:
    x = mg.ones((2, 0))

    def results(x: Any) -> list[Any]:
        first = [mg.nn.softmax(x), mg.nn.log_softmax(x), mg.nn.logsumexp(x)]
        return [*first, *[slope(f)(x) for f in (mg.nn.softmax, mg.nn.logsumexp)]]

    f = mg.function(
        results, input_signature=[mg.TensorSpec(shape, mg.float32)], jit_compile=jit_compile
    )
    for found in (results(x), f(x)):
        assert [y.shape for y in found] == [(2, 0), (2, 0), (2,), (2, 0), (2, 0)]
        assert found[2].numpy().tolist() == [-np.inf, -np.inf]
    assert mg.nn.logsumexp(x, axis=None).numpy() == -np.inf
