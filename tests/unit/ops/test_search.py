"""Finding elements, and each once: values, traces with dims that only values tell, derivatives."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SpecError
from tests.unit.modes import everywhere

X = np.array([[3.0, 0.0, 1.0], [1.0, 3.0, -2.0]])
REPEATED = [X, np.array([2, 2, 0, 5, 0], np.uint8), np.array([1j, 0, 1j]), np.zeros((0, 2))]


def gradient(f: Any, *xs: Any) -> list[Any]:
    tensors = [mg.constant(x) for x in xs]
    with mg.GradientTape() as tape:
        tape.watch(tensors)
        y = f(*tensors)
    return [None if g is None else g.numpy() for g in tape.gradient(y, tensors)]


@pytest.mark.parametrize("x", REPEATED)
@everywhere
def test_nonzero_gives_an_index_for_each_axis(mode: Any, x: Any) -> None:
    places = mode(mg.nonzero)(mg.constant(x))
    assert type(places) is tuple
    for found, expected in zip(places, np.nonzero(x), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected, strict=True)
    np.testing.assert_array_equal(mg.constant(x)[places].numpy(), x[np.nonzero(x)])


@pytest.mark.parametrize("x", REPEATED)
@everywhere
def test_elements_once_rebuild_what_they_came_from(mode: Any, x: Any) -> None:
    found = mode(mg.unique_all)(mg.constant(x))
    values, counts = np.unique(x, return_counts=True)
    np.testing.assert_array_equal(found.values.numpy(), values, strict=True)
    np.testing.assert_array_equal(found.counts.numpy(), counts, strict=True)
    np.testing.assert_array_equal(x.reshape(-1)[found.indices.numpy()], values)
    np.testing.assert_array_equal(values[found.inverse_indices.numpy()], x)
    first = [list(x.reshape(-1)).index(value) for value in values]
    assert found.indices.numpy().tolist() == first
    assert {part.dtype.name for part in found[1:]} == {"int64"}


def test_parts_of_unique_are_parts_of_the_whole() -> None:
    whole = mg.unique_all(X)
    for part in (mg.unique_counts(X), mg.unique_inverse(X)):
        for name, found in part._asdict().items():
            np.testing.assert_array_equal(found.numpy(), getattr(whole, name).numpy())
    np.testing.assert_array_equal(mg.unique_values(X).numpy(), whole.values.numpy())
    assert type(mg.unique_values(X)) is mg.Tensor


def test_nans_differ_and_zeros_do_not() -> None:
    found = mg.unique_all(mg.constant([np.nan, 0.0, np.nan, -0.0]))
    np.testing.assert_array_equal(found.values.numpy(), np.float32([0, np.nan, np.nan]))
    assert found.counts.numpy().tolist() == [2, 1, 1]
    assert found.inverse_indices.numpy()[[1, 3]].tolist() == [0, 0]


def test_the_derivative_of_a_unique_value_goes_to_its_first_element() -> None:
    (g,) = gradient(lambda x: mg.sum(mg.exp(mg.unique_values(x))), X)
    firsts = np.array([[1, 1, 1], [0, 0, 1]])
    np.testing.assert_allclose(g, np.exp(X) * firsts)
    compiled = mg.function(jit_compile=True)(lambda x: mg.sum(mg.exp(mg.unique_values(x))))
    np.testing.assert_allclose(gradient(compiled, X)[0], g)
    assert gradient(lambda x: mg.sum(mg.unique_counts(x).counts), X) == [None]


def test_dims_that_only_values_tell_are_not_known_in_a_trace() -> None:
    seen = []

    @mg.function
    def f(x: Any) -> Any:
        found = mg.unique_all(x)
        rows, columns = mg.nonzero(x)
        seen.append([y.shape for y in (*found, rows, columns)])
        return mg.shape(found.values), mg.shape(rows)

    several, many = f(mg.constant(X))
    assert seen == [[(None,), (None,), (2, 3), (None,), (None,), (None,)]]
    assert (several.numpy().tolist(), many.numpy().tolist()) == ([4], [5])


@pytest.mark.parametrize("side", ["left", "right"])
@everywhere
def test_searchsorted_finds_what_numpy_does(mode: Any, side: str) -> None:
    x, order = np.array([5.0, 1.0, 3.0, 3.0]), np.array([1, 2, 3, 0])
    wanted = np.array([[3.0, 0.5], [9.0, 4.0]])
    f = mode(lambda x, v, order: mg.searchsorted(x, v, side=side, sorter=order))
    found = f(mg.constant(x), mg.constant(wanted), mg.constant(order))
    np.testing.assert_array_equal(found.numpy(), np.searchsorted(x, wanted, side, order))
    assert mg.searchsorted(np.sort(x), 3, side=side).item() == np.searchsorted(np.sort(x), 3, side)


@pytest.mark.parametrize("invert", [False, True])
@everywhere
def test_isin_finds_what_numpy_does(mode: Any, invert: bool) -> None:
    x, among = np.arange(6).reshape(2, 3), np.array([[1, 7], [4, 1]])
    f = mode(lambda x, among: mg.isin(x, among, invert=invert))
    expected = np.isin(x, among, invert=invert)
    np.testing.assert_array_equal(f(mg.constant(x), mg.constant(among)).numpy(), expected)
    assert mg.isin(4, among).item() is True
    assert mg.isin(x, 4, invert=invert).numpy().sum() == (5 if invert else 1)


def test_many_examples_are_found_at_once() -> None:
    rows = mg.constant(np.array([[1.0, 2.0, 2.0], [0.0, 9.0, 9.0]]))
    shared = mg.constant([1.0, 2.0, 5.0])
    for f in (
        lambda row: mg.searchsorted(shared, row),
        lambda row: mg.searchsorted(row, shared),
        lambda row: mg.isin(row, shared),
        lambda row: mg.isin(shared, row),
        lambda row: mg.unique_inverse(row).inverse_indices,
        lambda row: mg.diff(row, n=2),
    ):
        expected = np.stack([f(row).numpy() for row in rows])
        np.testing.assert_array_equal(mg.vmap(f)(rows).numpy(), expected)
    with pytest.raises(
        SpecError, match=r"vmap: nonzero_places gives int64\[1,3\] and int64\[1,2\]"
    ):
        mg.vmap(mg.nonzero)(rows)
    assert mg.vmap(lambda row: mg.nonzero(row)[0])(rows[:0]).shape == (0, 0)


# differences


@pytest.mark.parametrize("n", [0, 1, 2, 4])
@pytest.mark.parametrize("axis", [0, -1])
def test_differences_are_those_of_numpy(
    axis: int, n: int, check_gradients: Any, check_traced: Any
) -> None:
    ends = X[:, :1], X[:, -1:]
    for options in ({}, {"prepend": ends[0]}, {"prepend": ends[0], "append": ends[1]}):
        if options and (axis == 0 or n == 0):  # NumPy forgets the ends for n=0
            continue
        found = mg.diff(X, axis=axis, n=n, **options)
        np.testing.assert_array_equal(found.numpy(), np.diff(X, n, axis, **options), strict=True)
    check_gradients(lambda x: mg.exp(mg.diff(x, axis=axis, n=n)), X)
    check_gradients(lambda x, y: mg.exp(mg.diff(x, n=n, prepend=y, append=y)), X, ends[0])
    check_traced(lambda x: mg.diff(x, axis=axis, n=n), X)


def test_differences_of_bools_say_whether_neighbours_differ() -> None:
    assert mg.diff([True, True, False]).numpy().tolist() == [False, True]


# neighbours of floats, signs, and limits that the standard names


@everywhere
def test_nextafter_copysign_and_signbit(mode: Any) -> None:
    x, y = np.array([1.0, -0.0, 0.0, -3.0]), np.array([2.0, -1.0, 1.0, np.nan])
    f = mode(lambda x, y: (mg.nextafter(x, y), mg.copysign(x, y), mg.signbit(x)))
    for found, function in zip(
        f(mg.constant(x), mg.constant(y)),
        (np.nextafter, np.copysign, lambda x, y: np.signbit(x)),
        strict=True,
    ):
        np.testing.assert_array_equal(found.numpy(), function(x, y), strict=True)


def test_derivatives_of_nextafter_and_copysign() -> None:
    x, y = np.array([1.0, -2.0, 3.0]), np.array([5.0, 1.0, -1.0])
    assert gradient(lambda x, y: mg.sum(mg.nextafter(x, y)), x, y)[0].tolist() == [1, 1, 1]
    by_x, by_y = gradient(lambda x, y: mg.sum(mg.copysign(x, y)), x, y)
    assert (by_x.tolist(), by_y) == ([1, -1, -1], None)


@everywhere
def test_hypot_neither_overflows_nor_loses_small_sides(mode: Any) -> None:
    tiny = float(np.finfo(np.float64).smallest_subnormal)
    sides = [(1e300, 1e300), (1e-300, 1e-300), (3.0, -4.0), (0.0, -0.0), (np.inf, np.nan)]
    sides += [(np.nan, -np.inf), (np.nan, 1.0), (tiny, 0.0), (-np.inf, np.inf)]
    x, y = np.array(sides).T
    found = mode(mg.hypot)(mg.constant(x), mg.constant(y)).numpy()
    np.testing.assert_allclose(found, np.hypot(x, y), rtol=4e-16)


@everywhere
def test_shifts_by_more_than_all_bits_leave_nothing(mode: Any) -> None:
    x, n = np.array([1, -8, 100], np.int8), np.array([7, 8, 1], np.int8)
    f = mode(lambda x, n: (x << n, x >> n))
    left, right = f(mg.constant(x), mg.constant(n))
    np.testing.assert_array_equal(left.numpy(), np.left_shift(x, n), strict=True)
    np.testing.assert_array_equal(right.numpy(), np.right_shift(x, n), strict=True)


def test_quotients_of_infinite_numbers_are_the_floor_of_the_division() -> None:
    x = mg.constant(np.array([np.inf, -np.inf, np.inf, 1.0, -1.0, -7.0, np.inf, 0.0]))
    y = mg.constant(np.array([2.0, 2.0, -2.0, -np.inf, np.inf, 2.0, np.inf, -np.inf]))
    found = (x // y).numpy()
    np.testing.assert_array_equal(found, [np.inf, -np.inf, -np.inf, -0.0, -0.0, -4, np.nan, -0.0])
    assert np.signbit(found[[3, 4, 7]]).all()
    assert (mg.constant(np.inf) // 2).dtype == mg.float32
    assert (5 // mg.constant([2, 3])).numpy().tolist() == [2, 1]


def test_expm1_and_tanh_of_complex_numbers_have_the_limits_of_the_standard() -> None:
    inf, nan = np.inf, np.nan
    cases = {
        -0.0: 0,
        complex(inf, 0): complex(inf, 0),
        complex(nan, 0): complex(nan, 0),
        complex(-inf, 2): complex(-1, 0),
        complex(-inf, inf): complex(-1, 0),
        complex(-inf, nan): complex(-1, 0),
        complex(inf, inf): complex(inf, nan),
        complex(1, inf): complex(nan, nan),
    }
    with np.errstate(all="ignore"):
        found = mg.expm1(np.array(list(cases), np.complex128)).numpy()
        one = mg.expm1(complex(0.5, 1)).numpy()
        edges = mg.tanh(np.array([complex(inf, 2), complex(-inf, -2)])).numpy()
    expected = np.array(list(cases.values()), np.complex128)
    np.testing.assert_array_equal(found.real, expected.real)
    np.testing.assert_array_equal(found.imag, expected.imag)
    assert not np.signbit(found[0].real)
    np.testing.assert_allclose(one, np.exp(np.complex64(0.5 + 1j)) - 1, rtol=1e-6, strict=True)
    assert edges.real.tolist() == [1, -1]
    assert np.signbit(edges.imag).tolist() == [False, True]


# what is refused


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("places are counted along axes", lambda: mg.nonzero(mg.constant(1))),
        ("it has one axis, in ascending order", lambda: mg.searchsorted(X, 1.0)),
        ("side 'middle' came", lambda: mg.searchsorted([1], 1, side="middle")),
        ("n is an int from 0 on", lambda: mg.diff([1, 2], n=-1)),
        ("and 1.5 came", lambda: mg.diff([1, 2], n=1.5)),
        ("diff: axis 1 of a tensor with 1 axes", lambda: mg.diff([1, 2], axis=1)),
        ("do not broadcast", lambda: mg.broadcast_shapes((2, 3), (4,))),
        ("a shape was needed", lambda: mg.broadcast_shapes("ab")),
    ],
)
def test_messages(message: str, call: Any) -> None:
    with pytest.raises(SpecError, match=message):
        call()


def test_shapes_broadcast_without_tensors() -> None:
    assert mg.broadcast_shapes() == ()
    assert mg.broadcast_shapes((5, 1), (3,), 1) == (5, 3)
    assert mg.broadcast_shapes((None, 3), (4, 1), (1,)) == (4, 3)
    assert mg.broadcast_shapes((None,), (1,)) == (None,)


def test_axes_out_of_range_are_index_errors_too() -> None:
    for call in (lambda: mg.expand_dims(X, axis=4), lambda: mg.sum(X, axis=2)):
        with pytest.raises(IndexError, match="an axis is an int from"):
            call()
