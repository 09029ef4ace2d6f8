"""NumPy's functions on tensors: minigrad's function of that name, traced and differentiable."""

import textwrap
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import tree
from minigrad.errors import SpecError
from tests.unit.modes import everywhere, same

X = np.array([[0.5, 1.5, -2.5], [3.5, 0.25, 5.0]])

# each is run on an array and on a tensor; floats come out
SMOOTH = """
np.sin(x); x * np.float32(2); np.arctan2(x, 2.0); np.power(np.abs(x), 1.5); np.true_divide(x, x + 9)
np.add(x, x, dtype=np.float32); np.add.reduce(x); np.add.reduce(x, axis=None); np.add.outer(x, x)
np.multiply.reduce(x, axis=1); np.maximum.reduce(x); np.add.accumulate(x, axis=1); np.deg2rad(x)
np.degrees(x); np.exp2(x); np.fmax(x, 1.0); np.fmin(x, 1.0); np.divmod(x, 2.0); np.fabs(x)
np.float_power(np.abs(x), 2); np.vecdot(x, x); np.matvec(x, x[0]); np.vecmat(x[:, 0], x)
np.sum(x); np.sum(x, 0); np.sum(a=x, axis=1, keepdims=True); np.mean(x, axis=0); np.std(x, ddof=1)
np.var(x, 0); np.var(x, correction=1); np.max(x, 1); np.amin(x); np.prod(x, -1); np.ptp(x, 0)
np.cumsum(x); np.cumsum(x, 1); np.cumprod(x, 0); np.sort(x); np.sort(x, axis=None)
np.concatenate([x, x], 1); np.concatenate((x, np.ones((2, 3)))); np.stack([x, x], -1)
np.vstack([x, x[0]]); np.hstack([x, x]); np.hstack([x[0], x[1]]); np.dstack([x, x])
np.column_stack([x[0], x[1]]); np.append(x, 1.0); np.reshape(x, (3, -1))
np.reshape(x, 6, order="F"); np.ravel(x); np.transpose(x); np.swapaxes(x, 0, 1)
np.moveaxis(x, 0, 1); np.rollaxis(x, 1); np.expand_dims(x, 0); np.squeeze(x[None])
np.tile(x, (2, 1)); np.repeat(x, 2); np.repeat(x, 2, axis=1); np.roll(x, 1); np.flip(x, 0)
np.pad(x, 1); np.clip(x, 0, 3); np.clip(x, min=1); np.where(x > 2, x, 0.0); np.take(x, [1, 2])
np.take(x, [1], axis=1); np.broadcast_to(x, (2, 2, 3)); np.split(x, 3, 1)
np.copy(x); np.meshgrid(x[0], x[1]); np.nan_to_num(x / 0.5)
np.broadcast_arrays(x, x[0]); np.dot(x, x.T); np.dot(x[0], x[1]); np.dot(x, 2.0); np.inner(x, x)
np.outer(x, x); np.vdot(x, x); np.tensordot(x, x, 2); np.einsum("ij,kj->ik", x, x); np.trace(x)
np.diagonal(x, 1); np.linalg.vector_norm(x); np.linalg.norm(x); np.linalg.norm(x, axis=0)
np.linalg.norm(x, 1, axis=(1, 0)); np.linalg.norm(x, axis=(0, 1), keepdims=True); np.dstack(x)
np.dstack([x[0], x[1]]); np.linalg.trace(x); np.matmul(x, x.T); np.triu(x)
np.tril(x, k=1); np.real(x); np.asarray(x) * 0 + x
"""
# no floats that a derivative could pass through
OTHERS = """
np.round(x); np.around(x); np.zeros_like(x); np.full_like(x, 7); np.ones_like(x, dtype=np.int64)
np.any(x); np.all(x > 0, axis=0); np.argmax(x, 1); np.argsort(x); np.count_nonzero(x, axis=0)
np.isclose(x, x + 1e-9); np.isnan(x); np.logical_or.reduce(x > 3); np.invert(x > 3); np.shape(x)
np.ndim(x); np.size(x); np.size(x, 1); np.allclose(x, x); np.array_equal(x, x); np.angle(x + 0j)
np.result_type(x, np.float32); np.iscomplexobj(x); np.array2string(x)
"""


def expressions(text: str) -> list[str]:
    return [part.strip() for part in textwrap.dedent(text).replace("\n", ";").split(";") if part]


def value(expression: str, x: Any) -> Any:
    y = eval(expression, {"np": np, "x": x})
    return tuple(y) if isinstance(y, list) else y


@pytest.mark.parametrize("expression", expressions(SMOOTH))
def test_the_function_of_that_name_is_applied_and_differentiated(expression: str) -> None:
    x = mg.constant(X)
    theirs = tree.flatten(value(expression, X))[0]
    with mg.GradientTape() as tape:
        tape.watch(x)
        ours = tree.flatten(value(expression, x))[0]
    assert len(ours) == len(theirs)
    for y, z in zip(ours, theirs, strict=True):
        assert type(y) is mg.Tensor and (y.shape, y.dtype) == (np.shape(z), z.dtype)
        same(y, z)
    step, direction = 1e-6, np.cos(np.arange(6.0)).reshape(2, 3)
    ahead, behind = (
        sum(np.sum(y, dtype=float) for y in tree.flatten(value(expression, X + s * direction))[0])
        for s in (step, -step)
    )
    slope = np.sum(tape.gradient(ours, x).numpy() * direction)
    rough = "float32" in expression and expression.startswith("np.add")
    assert rough or abs(slope - (ahead - behind) / (2 * step)) < 1e-6 * max(1.0, abs(slope))


@pytest.mark.parametrize("expression", expressions(OTHERS))
def test_functions_without_a_derivative_give_what_numpy_gives(expression: str) -> None:
    ours, theirs = value(expression, mg.constant(X)), value(expression, X)
    assert isinstance(ours, mg.Tensor) == isinstance(theirs, (np.ndarray, np.generic))
    np.testing.assert_array_equal(ours, theirs)
    assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None)


@everywhere
def test_numpy_code_is_traced_and_compiled(mode: Any) -> None:
    def body(x: Any) -> Any:
        centred = x - np.mean(x, axis=0)
        return np.sum(np.tanh(np.concatenate([centred, np.sqrt(np.abs(x))], axis=1)) ** 2)

    f, x = mode(body), mg.constant(X)
    same(f(x), body(X))
    same(mg.grad(lambda x: f(x))(x), mg.grad(body)(x))


def test_variables_and_symbols_go_the_same_way() -> None:
    v = mg.Variable(X)
    with mg.GradientTape() as tape:
        y = np.sum(np.add(v, 1.0, dtype=np.float64))
    same(tape.gradient(y, v), np.ones((2, 3)))
    shapes: list[Any] = []
    mg.function(lambda x: shapes.append((np.shape(x), np.ndim(x))) or np.sum(x))(mg.constant(X))
    assert shapes == [((2, 3), 2)]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("np.convolve(x[0], x[1])", r"np.convolve of float64\[3\], float64\[3\]: it has no"),
        ("np.median(x)", r"\(mg.mean\?\), np.median\(x.numpy\(\), ...\) for a constant"),
        ("np.sum(x, where=x > 1)", r"np.sum with where= of float64\[2,3\], bool\[2,3\]"),
        ("np.sum(x, initial=1.0)", "np.sum with initial="),
        ("np.sum(x, out=np.zeros(()))", "np.sum with out="),
        ("np.mean(x, dtype=np.float32)", "np.mean with dtype="),
        ("np.std(x, mean=3.0)", "np.std of"),
        ("np.sort(x, order='a')", "np.sort of"),
        ("np.pad(x, 1, 'wrap')", "np.pad of"),
        ("np.add(x, x, out=np.zeros((2, 3)))", r"was to write into out=.*a = a \+ x for a \+= x"),
        ("np.add(x, x, where=x > 0)", "np.add of"),
        ("np.add.at(x, [0], 1)", "np.add.at of"),
        ("np.add.reduceat(x, [0])", "np.add.reduceat of"),
        ("np.add.reduce(x, where=x > 0)", "np.add of"),
        ("np.spacing(x)", "np.spacing of"),
        ("np.linalg.cond(x)", "np.linalg.cond of"),
        ("np.put(x, [0], 1.0)", "np.put of"),
    ],
)
def test_what_has_no_counterpart_says_what_to_write(expression: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as error:
        value(expression, mg.constant(X))
    assert isinstance(error.value, TypeError)
    assert "write" in str(error.value)


def test_functions_that_take_arrays_in_give_arrays_unless_a_tape_follows() -> None:
    x = mg.constant(X)
    assert type(np.atleast_1d(x)) is np.ndarray
    assert np.histogram2d(x[0], x[1])[0].sum() == 3
    assert np.broadcast_arrays(x, None)[1].shape == (2, 3)
    with mg.GradientTape() as tape:
        tape.watch(x)
        assert type(np.atleast_1d(mg.ones(3))) is np.ndarray
        for ask in (np.atleast_1d, lambda x: np.broadcast_arrays(x, None), np.histogram):
            with pytest.raises(SpecError, match="would cut the gradient"):
                ask(x * 2.0)


def test_adding_to_an_array_in_place_is_refused() -> None:
    a = np.ones(3)
    with pytest.raises(SpecError, match=r"a = a \+ x"):
        a += mg.ones(3)
    assert isinstance(a + mg.ones(3), mg.Tensor)


def test_other_libraries_arrays_have_their_say() -> None:
    class Other:
        def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
            return "theirs"

    assert np.concatenate([mg.ones(2), Other()]) == "theirs"  # type: ignore[list-item]


def test_conversion_to_arrays_stays_as_it_was() -> None:
    x = mg.constant(X)
    assert type(np.asarray(x)) is np.ndarray and type(np.array(x, np.float32)) is np.ndarray
    np.testing.assert_allclose(x, X)
