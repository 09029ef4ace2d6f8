"""einsum: held against NumPy's, on equations that Hypothesis writes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.errors import SpecError
from tests.laws.budget import examples
from tests.unit.conftest import Check
from tests.unit.modes import everywhere

SHAPES = {"i": 2, "j": 3, "k": 1, "l": 4}


@st.composite
def equations(draw: Any) -> tuple[str, list[tuple[int, ...]]]:
    """An equation with "..." in some places, and shapes that fit it."""
    letters = st.lists(st.sampled_from("ijkl"), max_size=3).map("".join)
    parts, shapes = [], []
    dots = (2, 3) if draw(st.booleans()) else ()
    for _ in range(draw(st.integers(1, 3))):
        part = draw(letters)
        rest = tuple(draw(st.sampled_from([n, 1])) for n in dots[draw(st.integers(0, len(dots))) :])
        place = draw(st.integers(0, len(part)))
        parts.append(part[:place] + "..." * bool(dots) + part[place:])
        front, back = (tuple(SHAPES[s] for s in p) for p in (part[:place], part[place:]))
        shapes.append((*front, *rest, *back))
    used = sorted({*"".join(parts).replace(".", "")})
    equation = ",".join(parts)
    if draw(st.booleans()):
        chosen = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
        equation += "->" + "..." * bool(dots) + chosen
    return equation, shapes


@examples(2)
@given(equations(), st.integers(0, 99))
def test_einsum_is_numpys(drawn: tuple[str, list[tuple[int, ...]]], seed: int) -> None:
    equation, shapes = drawn
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=shape) for shape in shapes]
    ours = mg.einsum(equation, *xs)
    theirs = np.einsum(equation, *xs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "equation", ["ij,jk->ik", "ij,ij->i", "ii,jk->", "...j,jk->...k", "ij,jk,ki->k", "ij->ji"]
)
def test_derivatives(equation: str, check_gradients: Check) -> None:
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(3, 3)) for _ in equation.partition("->")[0].split(",")]
    check_gradients(lambda *xs: mg.einsum(equation, *xs), *xs)


@everywhere
def test_unknown_dims_are_those_of_the_call(mode: Any) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 3, 5))
    wrapped = mode(lambda a, b: mg.einsum("bij,bjk->bki", a, b))
    if hasattr(wrapped, "get_concrete_function"):
        specs = [
            mg.TensorSpec((None, None, 3), "float64"),
            mg.TensorSpec((None, 3, None), "float64"),
        ]
        wrapped = wrapped.get_concrete_function(*specs)
    np.testing.assert_allclose(wrapped(mg.constant(a), mg.constant(b)), (a @ b).mT, rtol=1e-9)


def test_the_dtype_is_that_of_the_operands() -> None:
    x = mg.constant(np.array([[1, 2], [3, 4]], np.int8))
    assert mg.einsum("ij,j->i", x, x[0]).dtype == mg.int8
    assert mg.einsum("ii", mg.astype(x, mg.float32)).dtype == mg.float32


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij", [(3,)], "'ij' in 'ij' names 2 axes, and float32\\[3\\] has 1"),
        ("i", [(3, 3)], "names 1 axes"),
        ("i,i", [(2,), (3,)], "'i' is 2 and 3; correct the equation"),
        ("i,i", [(1,), (3,)], "'i' is 1 and 3"),
        ("i->j", [(2,)], "each letter of the result stands there once"),
        ("i->ii", [(2,)], "each letter of the result stands there once"),
        ("i.j", [(2,)], "an equation has letters"),
        ("i,j", [(2,)], "of 1 operands"),
        ("i->...", [(2, 2)], "names 1 axes"),
    ],
)
def test_what_does_not_fit_is_refused(equation: str, shapes: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        mg.einsum(equation, *map(mg.ones, shapes))
    with pytest.raises(SpecError, match=message):
        mg.function(lambda *xs: mg.einsum(equation, *xs))(*map(mg.ones, shapes))
