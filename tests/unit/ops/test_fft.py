"""Fourier transforms: values and dtypes as NumPy, lengths, derivatives, and what is refused."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SpecError
from minigrad.saved_model.model import dumped, loaded

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(2, 5, 4))
COMPLEX = REAL + 1j * RNG.normal(size=(2, 5, 4))
ONE_AXIS = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
SEVERAL = ["fftn", "ifftn", "rfftn", "irfftn"]
NEED_REAL = ("rfft", "ihfft", "rfftn")


def signal(name: str, dtype: Any) -> Any:
    """What the transform takes, in single or double precision."""
    wide = REAL if name in NEED_REAL else COMPLEX
    return wide.astype(np.result_type(dtype, np.float32 if name in NEED_REAL else np.complex64))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("name", ONE_AXIS)
def test_transforms_of_one_axis_are_those_of_numpy(name: str, norm: Any, dtype: Any) -> None:
    x = signal(name, dtype)
    for options in ({}, {"n": 3}, {"n": 8, "axis": 1}, {"n": 1}, {"axis": 0}):
        found = getattr(mg.fft, name)(x, norm=norm, **options)
        expected = getattr(np.fft, name)(x, norm=norm, **options)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SEVERAL)
def test_transforms_of_several_axes_are_those_of_numpy(name: str) -> None:
    x = signal(name, "float64")
    for options in (
        {},
        {"axes": (1,)},
        {"axes": (2, 0)},
        {"axes": (0, 2), "s": (3, 6)},
        {"axes": (-1, 1), "s": (-1, 7)},
    ):
        found = getattr(mg.fft, name)(x, norm="ortho", **options)
        lengths = [
            x.shape[a] if n == -1 else n
            for a, n in zip(options.get("axes", ()), options.get("s", ()), strict=False)
        ]
        given = {**options, "s": lengths} if lengths else options
        expected = getattr(np.fft, name)(x, norm="ortho", **given)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", [*ONE_AXIS, *SEVERAL])
def test_derivatives_with_dims_unknown_compiled_and_loaded(name: str, check_traced: Any) -> None:
    transform = getattr(mg.fft, name)

    def f(x: Any) -> Any:
        y = transform(x, axes=(0, 1)) if name in SEVERAL else transform(x, axis=0)
        return mg.real(y) * mg.imag(y) if y.dtype.kind == "c" else y

    x = REAL[0]
    check_traced(f, x)
    specs = [mg.TensorSpec((None, 4), mg.float64)]
    compiled = mg.function(f, jit_compile=True, input_signature=specs)
    compiled.get_concrete_function()
    for g in (compiled, loaded(dumped(compiled))):
        t = mg.constant(x)
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(t)
            y, z = f(t), g(t)
        np.testing.assert_allclose(z, y, atol=1e-12)
        np.testing.assert_allclose(tape.gradient(z, t), tape.gradient(y, t), atol=1e-12)


@pytest.mark.parametrize("name", ["irfft", "hfft"])
@pytest.mark.parametrize("jit", [False, True])
def test_the_length_is_found_where_the_only_dim_is_unknown(name: str, jit: bool) -> None:
    specs = [mg.TensorSpec((None,), mg.complex128)]
    f = mg.function(getattr(mg.fft, name), input_signature=specs, jit_compile=jit)
    for x in (COMPLEX[0, :, 0], COMPLEX[0, 0]):
        np.testing.assert_allclose(f(mg.constant(x)), getattr(np.fft, name)(x), atol=1e-12)


def test_a_lowpass_by_multiplying_the_spectrum(check_gradients: Any) -> None:
    def lowpass(x: Any) -> Any:
        spectrum = mg.fft.rfft(x, n=8)
        kept = mg.constant(np.arange(5) < 3, mg.float64)
        return mg.fft.irfft(spectrum * kept, n=8)

    check_gradients(lowpass, REAL[0, 0])


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_frequencies_and_shifts(n: int) -> None:
    for dtype in (None, mg.float64):
        found = mg.fft.fftfreq(n, d=0.5, dtype=dtype)
        assert found.dtype == (dtype or mg.float32)
        np.testing.assert_allclose(found, np.fft.fftfreq(n, 0.5))
        np.testing.assert_allclose(mg.fft.rfftfreq(n, d=2, dtype=dtype), np.fft.rfftfreq(n, 2))
    x = RNG.normal(size=(n, 3))
    specs = [mg.TensorSpec((None, 3), mg.float64)]
    for name in ("fftshift", "ifftshift"):
        ours, theirs = getattr(mg.fft, name), getattr(np.fft, name)
        np.testing.assert_array_equal(ours(x), theirs(x))
        np.testing.assert_array_equal(ours(x, axes=0), theirs(x, axes=0))
        np.testing.assert_array_equal(mg.function(ours, input_signature=specs)(x), theirs(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.fft.fft(mg.ones(4, dtype=mg.int32)), "fft: int32.* is defined for float32 and"),
        (lambda: mg.fft.rfft(mg.ones(4) * 1j), "fft: complex64.* take mg.real"),
        (lambda: mg.fft.fft(mg.ones(0)), "axis 0 of float32.0. has no elements"),
        (lambda: mg.fft.irfft(mg.ones(1)), "of 0 points along axis 0; n is at least 1"),
        (lambda: mg.fft.fft(mg.ones(4), n=0), "fft: 0 points came"),
        (lambda: mg.fft.fft(mg.ones(4), norm="none"), "fft: norm='none' came"),
        (lambda: mg.fft.fft(mg.ones(4), axis=1), "axis 1 of a tensor with 1 axes"),
        (lambda: mg.fft.fftn(mg.ones((2, 2)), s=(2, 2)), "without axes"),
        (lambda: mg.fft.fftn(mg.ones((2, 2)), s=(2,), axes=(0, 1)), "1 lengths for the axes"),
        (lambda: mg.fft.fftn(mg.ones((2, 2)), axes=(0, 0)), "names one axis twice"),
        (lambda: mg.fft.rfftn(mg.ones(())), "along no axes"),
        (lambda: mg.fft.fftfreq(0), "fftfreq: 0 points came"),
        (lambda: mg.fft.fftfreq(4, dtype=mg.int32), "frequencies are real"),
    ],
)
def test_what_does_not_fit_is_said_in_words(call: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        call()
