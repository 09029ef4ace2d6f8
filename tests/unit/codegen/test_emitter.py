"""The Emitter and its loops against NumPy, dtype by dtype."""

import operator

import numpy as np
import pytest

from minigrad.codegen import jit
from minigrad.codegen.emitter import VectorEmitter, supports
from minigrad.codegen.text import Module
from tests.unit.codegen.native import compile_kernel, elementwise, needs_llvm

pytestmark = needs_llvm

INTEGERS = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
HALF, BOOL = np.dtype(np.float16), np.dtype(np.bool_)
DTYPES = [BOOL, *INTEGERS, *FLOATS]


def numbers(dtype, seed=0, size=67):
    """Some numbers of `dtype`: small, extreme and, of floats, special."""
    rng = np.random.default_rng(seed)
    match dtype.kind:
        case "b":
            return rng.integers(0, 2, size).astype(dtype)
        case "f":
            special = [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, -0.5, 1.5, 2.5, -2.5]
            return rng.permutation([*special, *rng.normal(0, 9, size - 10)]).astype(dtype)
    info = np.iinfo(dtype)
    middle = rng.integers(max(info.min, -99), 99, size - 3)
    return rng.permutation(np.array([info.min, info.max, 1, *middle], object).astype(dtype))


def same(dtype):
    """An id for a parametrized dtype."""
    return dtype.name


@pytest.mark.parametrize("target", DTYPES, ids=same)
@pytest.mark.parametrize("source", DTYPES, ids=same)
def test_cast_is_astype(source, target):
    x = numbers(source)
    if source.kind == "f" and target.kind in "iu":
        x = (
            np.abs(np.nan_to_num(x, posinf=5, neginf=7))
            if target.kind == "u"
            else np.nan_to_num(x, posinf=5, neginf=-7)
        )
    values = elementwise(lambda e, v: e.cast(v, target), target, x)
    np.testing.assert_array_equal(values, x.astype(target))


@pytest.mark.parametrize("target", [t for t in INTEGERS if t.kind == "u"], ids=same)
@pytest.mark.parametrize("source", FLOATS, ids=same)
def test_negative_numbers_wrap_in_unsigned_dtypes_as_in_numpy(source, target):
    large = [2.0**31 - 128, -(2.0**31)]
    if target.itemsize == 8:  # of others, NumPy's own loops differ from their ends beyond int32
        large = [*large, -(2.0**62), -(2.0**63), 2.0**63, 1.8e19, 2.0**64 - 2.0**40, np.nan]
    x = np.array([-0.5, -1, -2.5, -100.7, -129, -1e9, 0.5, 200.5, *large], source)
    with np.errstate(invalid="ignore"):
        expected = x.astype(target)
    np.testing.assert_array_equal(elementwise(lambda e, v: e.cast(v, target), target, x), expected)


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS, ids=same)
def test_arithmetic_is_that_of_numpy(dtype, name):
    x1, x2 = numbers(dtype, 1), numbers(dtype, 2)
    with np.errstate(all="ignore"):
        expected = getattr(operator, name)(x1, x2)
    values = elementwise(lambda e, a, b: getattr(e, name)(a, b), dtype, x1, x2)
    np.testing.assert_array_equal(values, expected)


def test_sums_and_products_of_masks_are_logical():
    x1, x2 = numbers(BOOL, 1), numbers(BOOL, 2)
    expected = {"add": x1 | x2, "mul": x1 & x2}
    for name, values in expected.items():
        got = elementwise(lambda e, a, b, name=name: getattr(e, name)(a, b), BOOL, x1, x2)
        np.testing.assert_array_equal(got, values)


@pytest.mark.parametrize("dtype", FLOATS, ids=same)
def test_division_and_negation(dtype):
    x1, x2 = numbers(dtype, 1), numbers(dtype, 2)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(
            elementwise(lambda e, a, b: e.div(a, b), dtype, x1, x2), x1 / x2
        )
    negated = elementwise(lambda e, a: e.neg(a), dtype, x1)
    np.testing.assert_array_equal(np.signbit(negated), np.signbit(-x1))


@pytest.mark.parametrize("relation", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("dtype", DTYPES, ids=same)
def test_comparisons_are_those_of_numpy(dtype, relation):
    names = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
    x1, x2 = numbers(dtype, 1), numbers(dtype, 2)
    x2[::3] = x1[::3]
    values = elementwise(lambda e, a, b: e.compare(relation, a, b), BOOL, x1, x2)
    np.testing.assert_array_equal(values, getattr(operator, names[relation])(x1, x2))


@pytest.mark.parametrize("name", ["and", "or", "xor"])
@pytest.mark.parametrize("dtype", [BOOL, *INTEGERS], ids=same)
def test_bitwise_is_that_of_numpy(dtype, name):
    x1, x2 = numbers(dtype, 1), numbers(dtype, 2)
    values = elementwise(lambda e, a, b: e.bitwise(name, a, b), dtype, x1, x2)
    np.testing.assert_array_equal(values, getattr(np, f"bitwise_{name}")(x1, x2))
    inverted = elementwise(lambda e, a: e.invert(a), dtype, x1)
    np.testing.assert_array_equal(inverted, ~x1)


@pytest.mark.parametrize("dtype", INTEGERS, ids=same)
def test_shifts_beyond_the_width_are_those_of_numpy(dtype):
    x = numbers(dtype)
    counts = np.resize(np.array([0, 1, 3, 7, 8, 15, 31, 63, 64, 100]), x.size).astype(dtype)
    left = elementwise(lambda e, a, b: e.bitwise("shl", a, b), dtype, x, counts)
    right = elementwise(lambda e, a, b: e.bitwise("shr", a, b), dtype, x, counts)
    np.testing.assert_array_equal(left, x << counts)
    np.testing.assert_array_equal(right, x >> counts)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("dtype", DTYPES, ids=same)
def test_extrema_spread_nan(dtype, name):
    x1, x2 = numbers(dtype, 1), numbers(dtype, 2)
    values = elementwise(lambda e, a, b: e.math(name, a, b), dtype, x1, x2)
    np.testing.assert_array_equal(values, getattr(np, name)(x1, x2))
    one = dtype.type(1)
    for order in (slice(None), slice(None, None, -1)):  # a constant on either side
        body = lambda e, a, order=order: e.math(name, *[a, e.const(one, dtype)][order])  # noqa: E731
        np.testing.assert_array_equal(elementwise(body, dtype, x1), getattr(np, name)(x1, one))


@pytest.mark.parametrize("name", ["abs", "sign", "floor", "ceil", "trunc", "round"])
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS, ids=same)
def test_functions_of_one_argument(dtype, name):
    x = numbers(dtype)
    assert supports(name, dtype)
    values = elementwise(lambda e, a: e.math(name, a), dtype, x)
    expected = getattr(np, name)(x)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(np.signbit(values), np.signbit(expected))


def test_functions_of_floats_refuse_integers():
    assert not supports("exp", np.int32)
    with pytest.raises(TypeError, match="cast the operand"):
        elementwise(lambda e, a: e.math("exp", a), np.int32, numbers(np.dtype(np.int32)))


@pytest.mark.parametrize("dtype", DTYPES, ids=same)
def test_constants_and_select(dtype):
    x = numbers(dtype)
    c = numbers(dtype, 3)[5]

    def body(e, a):
        return e.select(e.compare("==", a, a), e.const(c, dtype), a)

    expected = np.where(x == x, c, x)
    np.testing.assert_array_equal(elementwise(body, dtype, x), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=same)
def test_masked_lanes_are_zero_and_their_memory_is_not_touched(dtype):
    x = np.concatenate([numbers(dtype)[:5], np.ones(11, dtype)])
    output = np.ones(16, dtype)

    def write(e, source, target):
        mask = e.first_lanes(5)
        loaded = e.load(source, 0, dtype, mask=mask)
        e.store(e.compare("!=", loaded, e.const(0, dtype)), target, 0)
        e.store(loaded, target, 0, mask=mask)

    flags = np.ones(64, np.uint8)
    compile_kernel(lambda e, s, t: write(e, s, t), 2, 16)(x, flags)
    np.testing.assert_array_equal(flags[5 * dtype.itemsize : 16], 0)
    compile_kernel(
        lambda e, s, t: e.store(e.load(s, 0, dtype), t, 0, mask=e.first_lanes(5)), 2, 16
    )(x, output)
    np.testing.assert_array_equal(output, x)


@pytest.mark.parametrize("stride", [-2, -1, 0, 1, 3])
@pytest.mark.parametrize("dtype", DTYPES, ids=same)
def test_strided_loads(dtype, stride):
    x = numbers(dtype)
    output = np.empty(16, dtype)
    start = 40 if stride < 0 else 2

    def write(e, source, target):
        e.store(e.load_strided(source, start, stride, dtype), target, 0)

    compile_kernel(write, 2, 16)(x, output)
    np.testing.assert_array_equal(output, x[start + stride * np.arange(16)])


@pytest.mark.parametrize("lanes", [1, 8])
def test_gather(lanes):
    x = numbers(np.dtype(np.float32))
    places = np.random.default_rng(0).integers(0, x.size, 8)
    output = np.empty(8, np.float32)

    def write(e, source, indices, target):
        with e.loop(0, 8, lanes) as loop:
            loaded = e.gather(source, e.load(indices, loop.index, np.int64), np.float32)
            e.store(loaded, target, loop.index)

    compile_kernel(write, 3, lanes)(x, places, output)
    np.testing.assert_array_equal(output, x[places])


REDUCTIONS = {"add": np.add, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS, ids=same)
def test_horizontal_reductions(dtype, name):
    x = numbers(dtype)[:16] if dtype.kind != "f" else np.resize([1, 2, 3], 16).astype(dtype)
    output = np.empty(1, dtype)

    def write(e, source, target):
        e.scalar.store(e.reduce(name, e.load(source, 0, dtype)), target, 0)

    kernel = compile_kernel(write, 2, 16)
    kernel(x, output)
    assert output[0] == REDUCTIONS[name].reduce(x, dtype=dtype)
    if dtype.kind == "f":
        x[11] = np.nan
        kernel(x, output)
        assert np.isnan(output[0])


@pytest.mark.parametrize(("name", "expected"), [("and", np.all), ("or", np.any)])
def test_horizontal_logic(name, expected):
    def write(e, source, target):
        e.scalar.store(e.reduce(name, e.load(source, 0, BOOL)), target, 0)

    kernel = compile_kernel(write, 2, 8)
    for pattern in ([0] * 8, [1] * 8, [0] * 7 + [1], [1] * 5 + [0] + [1] * 2):
        output = np.empty(1, BOOL)
        kernel(np.array(pattern, BOOL), output)
        assert output[0] == expected(pattern)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 64, 100])
def test_a_loop_of_unknown_length_carries_sums_and_masks_its_tail(size):
    x = np.arange(size + 1, dtype=np.float64)[:size]
    length, output = np.array([size]), np.full(2, np.nan)

    def write(e, source, count, target):
        n = e.scalar.load(count, 0, np.int64).text
        zero = e.const(0, np.float64)
        with e.loop(0, n, e.lanes, [zero, zero]) as loop:
            left = e.function.let(f"sub i64 {n}, {loop.index}")
            loaded = e.load(source, loop.index, np.float64, mask=e.first_lanes(left))
            total, rounds = loop.values
            loop.following = [e.add(total, loaded), e.add(rounds, e.const(1, np.float64))]
        e.scalar.store(e.reduce("add", loop.values[0]), target, 0)
        e.scalar.store(e.lane(loop.values[1], 0), target, 1)

    compile_kernel(write, 3, 16)(x, length, output)
    np.testing.assert_array_equal(output, [x.sum(), -(-size // 16)])


def test_loops_nest_and_take_branches_inside():
    x, output = np.arange(12, dtype=np.int32), np.zeros(3, np.int32)

    def write(e, source, target):
        zero = e.const(0, np.int32)
        with e.loop(0, 3) as rows:
            start = e.function.times(rows.index, 4)
            with e.loop(0, 4, 1, [zero]) as columns:
                element = e.load(source, e.function.plus(start, columns.index), np.int32)
                columns.following = [e.add(columns.values[0], element)]
            total = columns.values[0]
            with e.function.when(e.compare(">", total, e.const(6, np.int32)).text):
                e.store(total, target, rows.index)

    compile_kernel(write, 2, 1)(x, output)
    np.testing.assert_array_equal(output, [0, 22, 38])


def test_a_loop_whose_values_are_not_handed_on_is_refused():
    e = VectorEmitter(Module().function("k", []), 4)
    with (
        pytest.raises(ValueError, match="assign `following`"),
        e.loop(0, 8, 4, [e.const(0, np.float32)]),
    ):
        pass


def test_nontemporal_stores_write():
    memory = np.zeros(64 + 16, np.float32)
    skip = -memory.ctypes.data % 64 // 4
    target = memory[skip : skip + 64]

    def write(e, pointer):
        with e.loop(0, 64, 16) as loop:
            e.store(e.const(2.5, np.float32), pointer, loop.index, align=64, nontemporal=True)

    compile_kernel(write, 1, 16)(target)
    assert (target == 2.5).all() and memory.sum() == 64 * 2.5


def test_scratch_memory_and_splats():
    output = np.empty(8, np.float32)

    def write(e, target):
        room = e.function.scratch(32)
        e.store(e.cast(e.iota(np.int32), np.float32), room, 0)
        third = e.scalar.load(room, 3, np.float32)
        e.store(e.add(e.splat(third), e.splat(e.scalar.const(1, np.float32))), target, 0)

    compile_kernel(write, 1, 8)(output)
    np.testing.assert_array_equal(output, 4)


def close_to_halves():
    """Numbers at, and next to, all float16 and the middles between two of them."""
    with np.errstate(all="ignore"):
        halves = np.arange(1 << 16, dtype=np.uint16).view(HALF).astype(np.float64)
        halves = halves[np.isfinite(halves)]
        middles = (halves[1:] + halves[:-1]) / 2
        near = [middles * (1 + step) for step in (0, 2.0**-52, -(2.0**-52), 2.0**-30, -(2.0**-30))]
    special = [np.nan, np.inf, -np.inf, 65519.999, 65520.0, 1e300, -1e300, 1e-300, -0.0]
    return np.concatenate([halves, *near, special])


halves_here = pytest.mark.skipif(not jit.converts_halves(), reason="no instructions for float16")


@halves_here
@pytest.mark.parametrize("dtype", FLOATS, ids=same)
def test_floats_become_halves_by_one_rounding(dtype):
    with np.errstate(all="ignore"):
        x = close_to_halves().astype(dtype)
        expected = x.astype(HALF)
    found = elementwise(lambda e, v: e.cast(v, HALF), HALF, x)
    np.testing.assert_array_equal(found.view(np.uint16), expected.view(np.uint16))


@halves_here
@pytest.mark.parametrize("dtype", [BOOL, *INTEGERS], ids=same)
def test_integers_become_halves_as_in_numpy(dtype):
    x = numbers(dtype, size=400)
    if dtype.itemsize > 1:
        x = np.concatenate([x, np.arange(0, min(np.iinfo(dtype).max, 70_000), 7).astype(dtype)])
    with np.errstate(over="ignore"):
        expected = x.astype(HALF)
    np.testing.assert_array_equal(elementwise(lambda e, v: e.cast(v, HALF), HALF, x), expected)


@halves_here
@pytest.mark.parametrize("target", DTYPES, ids=same)
def test_halves_become_all_else_as_in_numpy(target):
    x = np.arange(1 << 16, dtype=np.uint16).view(HALF)
    if target.kind in "iu":
        limits = np.iinfo(target)
        x = x[(x > max(limits.min, -60_000)) & (x < min(limits.max, 60_000))]
    np.testing.assert_array_equal(
        elementwise(lambda e, v: e.cast(v, target), target, x), x.astype(target)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=same)
def test_what_is_fenced_keeps_its_bits(dtype):
    x = numbers(dtype)
    assert elementwise(lambda e, v: e.fenced(v), dtype, x).tobytes() == x.tobytes()
