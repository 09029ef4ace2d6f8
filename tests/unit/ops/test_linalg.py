"""Products and norms: values as NumPy, derivatives, and what is refused."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.registry import OPS
from minigrad.core.spec import Spec
from minigrad.errors import SpecError

RNG = np.random.default_rng(0)
SHAPES = {
    "matrices": ((3, 4), (4, 2)),
    "vector and matrix": ((4,), (4, 2)),
    "matrix and vector": ((3, 4), (4,)),
    "vectors": ((4,), (4,)),
    "batches": ((2, 3, 4), (2, 4, 2)),
    "batch and matrix": ((2, 5, 3, 4), (4, 2)),
    "matrix and batch": ((3, 4), (5, 4, 2)),
    "matrix and many vectors": ((3, 4), (2, 5, 4, 1)),
    "matrix and no vectors": ((3, 4), (0, 4, 1)),
    "vector and batch": ((4,), (5, 4, 2)),
    "batch and vector": ((5, 3, 4), (4,)),
    "broadcast batches": ((2, 1, 3, 4), (5, 4, 2)),
    "nothing to sum": ((3, 0), (0, 2)),
    "no rows": ((2, 0, 4), (4, 2)),
}
AXES: list[tuple[Any, Any, Any]] = [
    ((2, 3, 4), (5, 4, 3, 2), ((2, 0), (1, 3))),
    ((2, 3, 4), (4, 3, 2), ((-1, 0), (0, 2))),
    ((2, 3, 4), (4, 2, 3), ((0, 2), (1, 0))),
    ((2, 3), (4,), 0),
    ((2, 3), (3, 4), 1),
    ((2, 3, 4), (3, 4, 5), 2),
    ((2, 3), (2, 3), ((0, 1), (0, 1))),
]


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_matmul_is_that_of_numpy_and_differentiable_twice(
    shapes: Any, check_gradients: Any
) -> None:
    x1, x2 = (RNG.normal(size=shape) for shape in shapes)
    found = mg.matmul(x1, x2)
    assert found.shape == (x1 @ x2).shape
    np.testing.assert_allclose(found.numpy(), x1 @ x2, rtol=1e-13)
    check_gradients(mg.matmul, x1, x2)


def test_many_vectors_are_multiplied_as_the_rows_of_one_matrix() -> None:
    each = mg.function(mg.vmap(mg.matmul, (None, 0)))
    graph = each.get_concrete_function(mg.ones((3, 4)), mg.ones((5, 4))).graph
    (product,) = [node for node in graph.nodes if node.op is OPS["matrix_product"]]
    assert product.outputs[0].shape == (5, 3)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *[(bool, bool), (np.int32, np.int8), (np.uint8, np.int64), (np.float32, np.float64)],
        *[(np.int32, np.float32), (np.complex64, np.float32), (np.float16, np.float16)],
    ],
)
def test_matmul_promotes_as_numpy(left: Any, right: Any) -> None:
    x1, x2 = np.ones((2, 3)).astype(left), np.eye(3).astype(right)
    found = mg.matmul(x1, x2)
    assert found.dtype == (x1 @ x2).dtype
    np.testing.assert_array_equal(found.numpy(), x1 @ x2)
    assert OPS["matrix_product"].infer(Spec((2, 3), left), Spec((3, 3), right)) == found.spec


def test_a_batch_times_a_matrix_is_one_product() -> None:
    with mg.GradientTape() as tape:
        x = mg.ones((2, 3, 4))
        tape.watch(x)
        mg.matmul(x, mg.ones((4, 5)))
    assert [node.op.name for node in tape._nodes] == ["reshape_to", "matrix_product", "reshape_to"]


@pytest.mark.parametrize(
    ("x1", "x2", "message"),
    [
        ((2, 3), (2, 4), r"the last axis of x1 \(3\) must equal the second last of x2 \(2\)"),
        ((2, 2, 3), (4, 3, 1), r"matmul: .* do not broadcast"),
        ((), (2, 2), "both need an axis to sum over"),
        ((3,), (2,), r"the last axis of x1 \(3\)"),
    ],
)
def test_matmul_says_what_does_not_fit(x1: Any, x2: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        mg.matmul(mg.ones(x1), mg.ones(x2))


def test_the_spec_of_a_product_says_as_much_as_is_known() -> None:
    infer = OPS["matrix_product"].infer
    assert infer(Spec((None, 3)), Spec((3, 4))).shape == (None, 4)
    assert infer(Spec((None, 2, 3)), Spec((7, None, 4))).shape == (7, 2, 4)
    assert infer(Spec(None), Spec((3, 4))).shape is None


@pytest.mark.parametrize(("shape1", "shape2", "axes"), AXES)
def test_tensordot(shape1: Any, shape2: Any, axes: Any, check_gradients: Any) -> None:
    x1, x2 = RNG.normal(size=shape1), RNG.normal(size=shape2)
    found, expected = mg.tensordot(x1, x2, axes=axes), np.tensordot(x1, x2, axes)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    check_gradients(lambda a, b: mg.tensordot(a, b, axes=axes), x1, x2)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (-1, "axes -1 came; axes are summed in pairs"),
        (((0, 1), (0,)), "axes are summed in pairs"),
        (3, "tensordot: axis -3"),
        (((0, 0), (0, 1)), "names one axis twice"),
        (((0,), (1,)), r"axis 0 of x1 \(2\) is summed with axis 1 of x2 \(3\)"),
    ],
)
def test_tensordot_says_what_axes_are(axes: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        mg.tensordot(mg.ones((2, 3)), mg.ones((2, 3)), axes=axes)


def test_vecdot_conjugates_the_first_and_broadcasts(check_gradients: Any) -> None:
    x1, x2 = RNG.normal(size=(2, 3)), RNG.normal(size=3)
    np.testing.assert_allclose(mg.vecdot(x1 * 1j, x2 * 1j).numpy(), np.vecdot(x1, x2))
    assert mg.vecdot(mg.ones(3, dtype=mg.int8), mg.ones(3, dtype=mg.int8)).dtype == np.int8
    assert mg.vecdot(x1, x1, axis=0).shape == (3,)
    check_gradients(mg.vecdot, x1, x2)
    with pytest.raises(SpecError, match="axis -1 is 3 long in x1 and 1 in x2"):
        mg.vecdot(mg.ones((2, 3)), mg.ones((2, 1)))


def test_outer(check_gradients: Any) -> None:
    x1, x2 = RNG.normal(size=2), RNG.normal(size=3)
    np.testing.assert_array_equal(mg.linalg.outer(x1, x2).numpy(), np.outer(x1, x2))
    check_gradients(mg.linalg.outer, x1, x2)
    with pytest.raises(SpecError, match="an outer product is of two vectors"):
        mg.linalg.outer(mg.ones((2, 2)), mg.ones(2))


def test_gradients_of_complex_products_are_conjugated() -> None:
    x1, x2 = (RNG.normal(size=(2, 2)) + 1j * RNG.normal(size=(2, 2)) for _ in range(2))
    a, b = mg.constant(x1), mg.constant(x2)
    with mg.GradientTape() as tape:
        tape.watch([a, b])
        y = mg.sum(mg.real(a @ b))
    da, db = tape.gradient(y, [a, b])
    np.testing.assert_allclose(da.numpy(), np.ones((2, 2)) @ x2.conj().T)
    np.testing.assert_allclose(db.numpy(), x1.conj().T @ np.ones((2, 2)))


@pytest.mark.parametrize("offset", [0, 1, -1, 2, -2, 5, -5])
@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (2, 3, 3)])
def test_diagonal_and_trace(shape: Any, offset: int, check_gradients: Any) -> None:
    x = RNG.normal(size=shape)
    expected = np.diagonal(x, offset, -2, -1)
    np.testing.assert_array_equal(mg.linalg.diagonal(x, offset=offset).numpy(), expected)
    np.testing.assert_allclose(mg.linalg.trace(x, offset=offset).numpy(), expected.sum(-1))
    check_gradients(lambda x: mg.linalg.trace(x, offset=offset), x, second=False)


@pytest.mark.parametrize("ord", [2, 1, 0, 3, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_vector_norm(ord: float, axis: Any) -> None:
    x = RNG.normal(size=(3, 4))
    flat = x.reshape(12) if axis in (None, (0, 1)) else x
    expected = np.linalg.norm(flat, ord=ord, axis=0)
    found = mg.linalg.vector_norm(x, axis=axis, ord=ord)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)


def test_the_length_of_a_vector_of_0_has_the_gradient_0(check_gradients: Any) -> None:
    x = mg.zeros(3)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.linalg.vector_norm(x)
    assert tape.gradient(y, x).numpy().tolist() == [0, 0, 0]
    check_gradients(mg.linalg.vector_norm, np.array([3.0, 4.0]))


@pytest.mark.parametrize("ord", ["fro", 1, -1, np.inf, -np.inf])
def test_matrix_norm(ord: Any) -> None:
    x = RNG.normal(size=(2, 3, 4))
    expected = np.linalg.norm(x, ord=ord, axis=(-2, -1), keepdims=True)
    found = mg.linalg.matrix_norm(x, ord=ord, keepdims=True)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)


def test_cross(check_gradients: Any) -> None:
    x1, x2 = RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))
    np.testing.assert_allclose(
        mg.linalg.cross(x1, x2, axis=0).numpy(), np.cross(x1, x2, axis=0), rtol=1e-13
    )
    check_gradients(mg.linalg.cross, x1.T, x2.T)
    with pytest.raises(SpecError, match="axis -1 must have 3 elements in both"):
        mg.linalg.cross(mg.ones(3), mg.ones(2))
