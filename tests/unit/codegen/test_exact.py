"""Whole quotients, remainders and neighbours: NumPy's, to the bit."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen.emitter import supports
from minigrad.codegen.exact import RULES
from minigrad.ops.arithmetic import floor_divide
from tests.unit.codegen.native import Array, elementwise, needs_llvm

pytestmark = needs_llvm

INTEGERS = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
# of quotients of infinite numbers, the floor: the kernel of the op says so
REFERENCES: dict[str, Any] = {
    "floor_divide": floor_divide.op.kernel,
    "remainder": np.remainder,
    "nextafter": np.nextafter,
}
DIVISORS = [1, 2, 3, 5, 7, 10, 64, 100, -1, -2, -7, -64]
SPECIAL = [0.0, 1.0, 2.5, 1e-45, 1e-40, 3e38, np.inf]
SPECIAL = np.array([*SPECIAL, *(-x for x in SPECIAL), np.nan])


def same(dtype: np.dtype[Any]) -> str:
    """An id for a parametrized dtype."""
    return dtype.name


def check(name: str, x1: Array, x2: Any, *, lanes: int = 16) -> None:
    """The function `name` of x1 and x2 is the reference, to the bit; a number x2 is written out."""
    dtype = x1.dtype
    if isinstance(x2, np.ndarray):
        values = elementwise(lambda e, a, b: e.math(name, a, b), dtype, x1, x2, lanes=lanes)
    else:
        values = elementwise(
            lambda e, a: e.math(name, a, e.const(x2, dtype)), dtype, x1, lanes=lanes
        )
        x2 = np.full(x1.shape, x2, dtype)
    with np.errstate(all="ignore"):
        expected = REFERENCES[name](x1, x2)
    agree = values == expected
    if dtype.kind == "f":
        agree &= np.signbit(values) == np.signbit(expected)
        agree |= np.isnan(values) & np.isnan(expected)
    wrong = np.flatnonzero(~agree)[:3]
    assert agree.all(), [(name, x1[k], x2[k], values[k], expected[k]) for k in wrong]


def whole_numbers(dtype: np.dtype[Any], seed: int) -> Array:
    """Integers of all sizes, many of them small, and some the largest and smallest."""
    rng, info = np.random.default_rng(seed), np.iinfo(dtype)
    any_size = rng.integers(info.min, info.max, 3000, dtype, endpoint=True)
    small = rng.integers(max(info.min, -9), 9, 3000, dtype, endpoint=True)
    extreme = np.array([info.min, info.max, 0, 1, -1 if info.min else 1], dtype)
    edges = np.array([x.ravel() for x in np.meshgrid(extreme, extreme)])
    return np.concatenate([rng.permutation(np.concatenate([any_size, small])), edges[seed]])


def floats(dtype: np.dtype[Any], seed: int) -> Array:
    """Floats of all sizes, moderate ones, quarters, and the special ones."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**63, 9000, np.uint64) * np.uint64(2) + np.uint64(seed)
    any_size = bits.view(np.float64) if dtype == np.float64 else bits.astype(np.uint32).view("f4")
    quarters = rng.integers(-20, 20, 9000) / 4
    parts = [any_size, rng.normal(0, 10, 9000), quarters, rng.choice(SPECIAL, 9000)]
    with np.errstate(over="ignore"):
        return np.choose(rng.integers(0, 4, 9000), [part.astype(dtype) for part in parts])


def test_every_function_is_compared_here() -> None:
    assert set(RULES) == set(REFERENCES)
    assert supports("remainder", np.uint8) and not supports("nextafter", np.int32)
    assert not supports("remainder", np.bool_) and not supports("remainder", np.float16)


@pytest.mark.parametrize("lanes", [1, 16, 64])
@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", INTEGERS, ids=same)
def test_division_of_integers(dtype: np.dtype[Any], name: str, lanes: int) -> None:
    check(name, whole_numbers(dtype, 0), whole_numbers(dtype, 1), lanes=lanes)


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", INTEGERS, ids=same)
def test_division_of_integers_by_a_number(dtype: np.dtype[Any], name: str) -> None:
    x, info = whole_numbers(dtype, 0), np.iinfo(dtype)
    for number in [0, info.min, info.max, *DIVISORS]:
        if info.min <= number:
            check(name, x, number)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("dtype", FLOATS, ids=same)
def test_floats_of_all_sizes(dtype: np.dtype[Any], name: str) -> None:
    check(name, floats(dtype, 0), floats(dtype, 1))
    pairs = [part.ravel() for part in np.meshgrid(SPECIAL, SPECIAL)]
    with np.errstate(over="ignore"):
        check(name, *(part.astype(dtype) for part in pairs))


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", FLOATS, ids=same)
def test_quotients_that_are_nearly_whole(dtype: np.dtype[Any], name: str) -> None:
    x, rng = floats(dtype, 0), np.random.default_rng(1)
    with np.errstate(all="ignore"):
        whole = (x / rng.integers(1, 1000, x.size)).astype(dtype)
        large = (x / np.exp(rng.uniform(0, 80, x.size))).astype(dtype)
    check(name, x, whole)
    check(name, x, np.nextafter(whole, dtype.type(0)))
    check(name, x, large)
    for number in [1.5, -1.5, 0.1, 3.0, 1e-3, 1e30, 0.0, np.inf, -np.inf]:
        check(name, x, number)


@pytest.mark.parametrize("op", [mg.floor_divide, mg.remainder])
@pytest.mark.parametrize("dtype", FLOATS, ids=same)
def test_compiled_division_by_one_number_is_that_of_numpy(dtype: np.dtype[Any], op: Any) -> None:
    x = mg.constant(floats(dtype, 0)[:1003])
    for number in [0.7, -3.0, 1e-30, 1e30, 1e-42, 0.0, np.inf, np.nan]:
        compiled = mg.function(op, jit_compile=True)
        for divisor in (number, mg.constant(number, dtype)):
            np.testing.assert_array_equal(compiled(x, divisor).numpy(), op(x, divisor).numpy())


def test_division_of_integers_is_part_of_a_loop() -> None:
    i = mg.constant(np.arange(-500, 503, dtype=np.int32))

    @mg.function(jit_compile=True)
    def arithmetic(i: Any) -> Any:
        return (i * 3 + 7) % 11 + i // 5

    assert "group 1" not in arithmetic.compiler_ir(i, stage="fused")
    np.testing.assert_array_equal(arithmetic(i).numpy(), (i.numpy() * 3 + 7) % 11 + i.numpy() // 5)
