"""Groups whose values have other layouts than their neighbours: reshaped, transposed, permuted."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg

SHAPES = [(2, 2, 3), (3, 5, 7), (4, 16, 8), (8, 33, 20), (5, 1, 4)]


def flattened(x: Any) -> Any:
    """tanh of the rows laid end to end, in the shape of `x` again."""
    return mg.reshape(mg.tanh(mg.reshape(x, (-1,))), x.shape)


PROGRAMS = {
    "a bias after reshaping back": lambda x: flattened(x) + x[0, 0],
    "a column after reshaping back": lambda x: flattened(x) * x[..., :1],
    "a transposed operand after reshaping back": lambda x: flattened(x) + (x.mT * 3).mT,
    "a flipped operand after reshaping back": lambda x: flattened(x) - mg.flip(x, axis=-1),
    "a mean after reshaping back": lambda x: flattened(x) - mg.mean(x, axis=-1, keepdims=True),
    "a sum over the first axis of a transposed stack": lambda x: mg.sum(x.mT, axis=0),
    "a maximum over the first axis of a transposed stack": lambda x: mg.max(x.mT * 2, axis=0),
    "a centred transposed stack": lambda x: x.mT - mg.mean(x.mT, axis=0),
    "a permuted stack, summed": lambda x: mg.sum(mg.permute_dims(x, (2, 0, 1)), axis=0),
    "two readings of one array": lambda x: mg.mean(mg.sin(x.mT)) + mg.mean(mg.sin(flattened(x))),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_compiled_layouts_give_eager_numbers(name: str, shape: Any, dtype: Any) -> None:
    x = mg.constant((np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype))
    program = PROGRAMS[name]
    compiled = mg.function(program, jit_compile=True)(x)
    np.testing.assert_allclose(np.asarray(compiled), np.asarray(program(x)), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_gradients_of_layouts_are_eager_ones(name: str) -> None:
    x = mg.constant(np.random.default_rng(0).standard_normal((3, 5, 7)))

    def loss(x: Any) -> Any:
        return mg.sum(mg.sin(PROGRAMS[name](x)))

    compiled = mg.function(mg.grad(loss), jit_compile=True)(x)
    np.testing.assert_allclose(np.asarray(compiled), np.asarray(mg.grad(loss)(x)), atol=1e-12)
