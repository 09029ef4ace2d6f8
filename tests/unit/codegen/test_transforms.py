"""Fourier transforms in native code: of all lengths and axes, as exact as they can be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.spectra import ON_STACK, radices, roots, transformed
from tests.unit.codegen.native import needs_llvm

LENGTHS = (16, 18, 25, 27, 32, 39, 49, 60, 64, 100, 121, 243, 500, 512, 1000, 1024, 4500)
LONG = (2 * ON_STACK, 5 * ON_STACK, 3**9)
DTYPES = [np.dtype(np.complex64), np.dtype(np.complex128)]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def numbers(*shape: int, dtype: Any) -> Any:
    """Complex numbers from the normal distribution."""
    rng = np.random.default_rng(sum(shape))
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def report(f: Callable[..., Any], *xs: Any) -> str:
    """Which ops are in loops, and which are calls."""
    text: str = mg.function(f, jit_compile=True).compiler_ir(*xs, stage="fused")
    return text.split("\n\n")[-1]


def assert_exact(f: Callable[..., Any], x: Any, units: float = 6) -> None:
    """Compiled, `f` gives what it does eagerly in float64, but for rounding."""
    y = mg.function(f, jit_compile=True)(x).numpy()
    wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    exact = f(mg.constant(wide)).numpy()
    eager = f(mg.constant(x)).numpy()
    assert (y.dtype, y.shape) == (eager.dtype, eager.shape)
    largest = np.max(np.abs(exact))
    assert np.max(np.abs(y - exact)) <= units * np.finfo(y.dtype).eps * largest


@needs_llvm
@each_dtype
@pytest.mark.parametrize("n", (*LENGTHS, *LONG))
def test_transforms_of_any_length(n: int, dtype: Any) -> None:
    x = numbers(3, n, dtype=dtype)
    assert "library call" not in report(mg.fft.fft, x)
    assert_exact(mg.fft.fft, x)
    assert_exact(mg.fft.ifft, x)


@needs_llvm
@each_dtype
@pytest.mark.parametrize("n", [2 * n for n in (*LENGTHS, *LONG)])
def test_transforms_of_real_numbers_and_back(n: int, dtype: Any) -> None:
    spectrum = numbers(2, n // 2 + 1, dtype=dtype)
    x = numbers(2, n, dtype=dtype).real.copy()
    assert "library call" not in report(mg.fft.rfft, x)
    assert "library call" not in report(mg.fft.irfft, spectrum)
    assert_exact(mg.fft.rfft, x)
    assert_exact(mg.fft.irfft, spectrum)


@needs_llvm
@each_dtype
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_and_norm(axis: int, norm: Any, dtype: Any) -> None:
    x = numbers(32, 40, 36, dtype=dtype)
    assert_exact(lambda x: mg.fft.fft(x, axis=axis, norm=norm), x)
    assert_exact(lambda x: mg.fft.ifftn(x, norm=norm), x)
    assert_exact(lambda x: mg.fft.rfft(mg.real(x), axis=axis, norm=norm), x)
    assert_exact(lambda x: mg.fft.irfft(x, axis=axis, norm=norm), x)


@needs_llvm
@each_dtype
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (1, 0), (0, 1, 2), (2, 0)])
def test_whole_spectra_of_real_numbers_are_made_of_halves(axes: Any, norm: Any, dtype: Any) -> None:
    x = numbers(18, 32, 21, dtype=dtype).real.copy()
    for f in (mg.fft.fftn, mg.fft.ifftn):
        assert "library call" not in report(lambda x, f=f: f(x, axes=axes, norm=norm), x)
        assert_exact(lambda x, f=f: f(x, axes=axes, norm=norm), x)


@needs_llvm
@pytest.mark.parametrize("shape", [(512, 512), (3, 64, 50), (2, 1024, 7), (2048, 24), (20, 40, 3)])
def test_columns_are_transformed_side_by_side(shape: Any) -> None:
    x = numbers(*shape, dtype=np.complex64)
    assert_exact(lambda x: mg.fft.fft(x, axis=-2), x)
    assert_exact(lambda x: mg.fft.ifftn(x, axes=(0, 1)), x)
    assert_exact(lambda x: mg.abs(mg.fft.fftn(x)), x.real.copy())


@needs_llvm
def test_a_transform_along_columns_needs_no_python() -> None:
    f = mg.function(lambda x: mg.fft.fftn(x) * 2.0, jit_compile=True)
    text = f.compiler_ir(numbers(256, 256, dtype=np.complex64), stage="program")
    assert "permute" not in text[text.rindex("def ") :]


@needs_llvm
def test_rows_that_threads_share() -> None:
    x = numbers(3000, 200, dtype=np.complex64)
    assert_exact(lambda x: mg.fft.ifft(mg.fft.fft(x) * 2), x)
    assert_exact(lambda x: mg.fft.irfft(mg.fft.rfft(x) * 1j), x.real.copy())


@needs_llvm
@each_dtype
def test_gradients_are_transforms_too(dtype: Any) -> None:
    def slope(x: Any) -> Any:
        return mg.grad(lambda x: mg.sum(mg.abs(mg.fft.rfft(x) * (1 + 2j) - 1) ** 2))(x)

    def slope_back(x: Any) -> Any:
        return mg.grad(lambda x: mg.sum(mg.fft.irfft(x) ** 2))(x)

    assert_exact(slope, numbers(5, 200, dtype=dtype).real.copy(), 20)
    assert_exact(slope_back, numbers(5, 101, dtype=dtype), 20)


@needs_llvm
def test_the_ends_of_half_a_spectrum_count_by_their_real_parts() -> None:
    x = numbers(33, dtype=np.complex128)
    real = x.copy()
    real[[0, -1]] = x[[0, -1]].real
    back = mg.function(mg.fft.irfft, jit_compile=True)
    np.testing.assert_array_equal(back(x).numpy(), back(real).numpy())


def test_infinities_and_nan_spread_over_all() -> None:
    x = np.ones(64, np.complex64)
    x[5] = np.inf
    y = mg.function(mg.fft.fft, jit_compile=True)(x).numpy()
    assert not np.isfinite(y).any()


@pytest.mark.parametrize("n", [8, 17, 34, 2 * 17 * 16])
def test_other_lengths_are_calls_of_the_library(n: int) -> None:
    x = numbers(n, dtype=np.complex64)
    assert "call 0: fourier" in report(mg.fft.fft, x)
    np.testing.assert_array_equal(
        mg.function(mg.fft.fft, jit_compile=True)(x).numpy(), np.fft.fft(x)
    )


def test_odd_numbers_of_real_points_are_calls_of_the_library() -> None:
    assert "call 0: real_fourier" in report(mg.fft.rfft, np.ones(125, np.float32))


def test_lengths_are_products_of_small_numbers() -> None:
    assert radices(1000) == [8, 5, 5, 5] and radices(32) == [8, 4] and radices(16) == [4, 4]
    assert radices(17) is None and radices(2 * 17) is None
    for n in LENGTHS:
        assert np.prod(radices(n) or []) == n


def test_roots_are_exact_to_rounding() -> None:
    n = 24 * 35
    found = roots(np.arange(n), n)
    assert np.max(np.abs(np.abs(found) - 1)) < 2.3e-16
    eighth = np.sqrt(0.5)
    np.testing.assert_array_equal(found[:: n // 4], [1, 1j, -1, -1j])
    np.testing.assert_allclose(found[n // 8], eighth + 1j * eighth, rtol=2e-16)


def test_the_op_is_made_after_derivatives() -> None:
    x = mg.constant(numbers(16, dtype=np.complex64))
    table = mg.constant(np.zeros(1, np.float32))
    options: Any = {"kind": "forward", "n": 16, "scale": 1.0, "weighted": False, "columns": False}
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = transformed(x, table, **options)[0]
        target = mg.sum(mg.real(y))
    assert tape.gradient(target, x) is None
    np.testing.assert_allclose(y.numpy(), np.fft.fft(x.numpy()), rtol=1e-5)
    assert "differentiate before" in str(tape.explain(target, x))
