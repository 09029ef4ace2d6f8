"""Discrete Fourier transforms: the array API standard's extension `fft`.

Signals are float32, float64, complex64 or complex128; spectra are complex of the same precision.
norm is "backward" (the inverse is divided by n), "forward" (the transform is) or "ortho" (both by
the root of n). n, and s for several axes, cut an axis to a length or fill it up with zeros; they
are ints. All transforms are differentiable to any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .core.convert import as_tensor
from .core.refusals import allocated
from .core.registry import api
from .core.spec import as_dtype, as_number, canonical_axes, canonical_axis, index_of
from .core.tensor import Tensor
from .errors import SpecError
from .neighbours.surface import surface
from .ops.axes import several_axes
from .ops.fit import fitted, length_of
from .ops.fourier import DUAL, check_norm, check_signal, fourier, half_fourier, real_fourier
from .ops.shape import is_static

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]
surface(__name__, __all__)

Axes = Sequence[int] | None


def fft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Discrete Fourier transform along `axis`.

    x: floating or complex. n: length to cut or pad the axis to; None leaves it. Returns complex
    numbers of the shape of `x`, but n along `axis`. Array API, fft: fft.
    """
    return transformed(x, None if n is None else (n,), (axis,), norm, inverse=False)


def ifft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Inverse of `fft`. Array API, fft: ifft."""
    return transformed(x, None if n is None else (n,), (axis,), norm, inverse=True)


def fftn(x: Any, /, *, s: Axes = None, axes: Axes = None, norm: str = "backward") -> Any:
    """Discrete Fourier transform along several axes.

    s: lengths to cut or pad the axes to, -1 for what it is; needs axes. axes: None for all.
    Array API, fft: fftn.
    """
    return transformed(x, s, axes, norm, inverse=False)


def ifftn(x: Any, /, *, s: Axes = None, axes: Axes = None, norm: str = "backward") -> Any:
    """Inverse of `fftn`. Array API, fft: ifftn."""
    return transformed(x, s, axes, norm, inverse=True)


def rfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Discrete Fourier transform of a real signal: the half of it that says all.

    x: floating, not complex. Returns n // 2 + 1 complex numbers along `axis`.
    Array API, fft: rfft.
    """
    return rfftn(x, s=None if n is None else (n,), axes=(axis,), norm=norm)


def irfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Inverse of `rfft`: a real signal from the first half of its spectrum.

    n: length of the signal; None for 2 (m - 1), where m is that of `x`. The imaginary part of
    the first number, and for even n of the last, has no effect. Array API, fft: irfft.
    """
    return irfftn(x, s=None if n is None else (n,), axes=(axis,), norm=norm)


def rfftn(x: Any, /, *, s: Axes = None, axes: Axes = None, norm: str = "backward") -> Any:
    """Discrete Fourier transform of a real signal along several axes, the last one by half.

    s, axes: as of `fftn`. Array API, fft: rfftn.
    """
    x, lengths, places = settled(x, s, axes, norm)
    check_signal(x, "fd", (), norm)
    if not places:
        raise no_last_axis("rfftn", x)
    for n, axis in zip(lengths, places, strict=True):
        x = x if n is None else fitted(x, n, axis)
    y = real_fourier(x, axis=places[-1], norm=norm, doubled=False)
    return along_all(y, places[:-1], norm, inverse=False)


def irfftn(x: Any, /, *, s: Axes = None, axes: Axes = None, norm: str = "backward") -> Any:
    """Inverse of `rfftn`: a real signal along several axes.

    s: lengths of the signal, as n of `irfft` for the last of the axes. Array API, fft: irfftn.
    """
    x, lengths, places = settled(x, s, axes, norm)
    check_signal(x, "fdFD", (), norm)
    if not places:
        raise no_last_axis("irfftn", x)
    for n, axis in zip(lengths[:-1], places[:-1], strict=True):
        x = x if n is None else fitted(x, n, axis)
    last, n = places[-1], lengths[-1]
    if n is None:
        n = 2 * (length_of(x, last) - 1)
    y = along_all(fitted(x, n // 2 + 1, last), places[:-1], norm, inverse=True)
    return half_fourier(y, n, axis=last, norm=norm, halved=False)


def hfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Discrete Fourier transform, real, of a signal that is its own mirror image conjugated.

    x: half of the signal. n: length of the result; None for 2 (m - 1). Array API, fft: hfft.
    """
    check_norm(norm)
    return irfft(api.conj(as_tensor(x)), n=n, axis=axis, norm=DUAL[norm])


def ihfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Inverse of `hfft`: half of the signal whose transform is the real `x`.

    Array API, fft: ihfft.
    """
    check_norm(norm)
    return api.conj(rfft(x, n=n, axis=axis, norm=DUAL[norm]))


# frequencies, and their order


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of the numbers that `fft` gives for `n` points.

    d: distance of the points. dtype: floating, not complex; None for float32.
    device: None or "cpu". Array API, fft: fftfreq.
    """
    n = counted("fftfreq", n)
    order = allocated(f"fftfreq: {n} points", lambda: (np.arange(n) + n // 2) % n - n // 2)
    return frequencies("fftfreq", order, n, d, dtype, device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of the numbers that `rfft` gives for `n` points; see `fftfreq`.

    Array API, fft: rfftfreq.
    """
    n = counted("rfftfreq", n)
    order = allocated(f"rfftfreq: {n} points", lambda: np.arange(n // 2 + 1))
    return frequencies("rfftfreq", order, n, d, dtype, device)


def fftshift(x: Any, /, *, axes: int | Axes = None) -> Any:
    """`x` with the frequency 0 in the middle. axes: None for all. Array API, fft: fftshift."""
    return shifted("fftshift", x, axes, lambda n: n // 2)


def ifftshift(x: Any, /, *, axes: int | Axes = None) -> Any:
    """Inverse of `fftshift`. Array API, fft: ifftshift."""
    return shifted("ifftshift", x, axes, lambda n: n - n // 2)


# options settled


def settled(x: Any, s: Any, axes: Any, norm: str) -> tuple[Tensor, list[Any], tuple[int, ...]]:
    """The tensor, the length wanted along each axis (None for what it is), and the axes."""
    check_norm(norm)
    x = as_tensor(x)
    if axes is None:
        if s is not None:
            raise SpecError(
                f"fft: s={s!r} came without axes; a length belongs to an axis; name the axes too"
            )
        places = canonical_axes("fft", None, x.ndim)
        if places is None:
            raise SpecError(
                f"fft: {x.spec} came without axes; which axes there are is not known while "
                "tracing; name them, as in axes=(-2, -1), and give a TensorSpec with a rank"
            )
    else:
        named = several_axes(axes)
        canonical_axes("fft", named, x.ndim)  # in range, and none named twice
        places = tuple([canonical_axis("fft", axis, x.ndim) for axis in named])
    lengths: list[Any] = [None] * len(places)
    if s is not None:
        lengths = [None if index_of(n) == -1 else counted("fft", n) for n in several_axes(s)]
    if len(lengths) != len(places):
        raise SpecError(
            f"fft: {len(lengths)} lengths for the axes {axes!r}; there is one for each; "
            "name as many, -1 for what an axis has"
        )
    return x, lengths, places


def counted(name: str, n: Any) -> int:
    """`n` as a number of points. Raises SpecError where it is none."""
    found = index_of(n)
    if found is None or found < 1:
        raise SpecError(
            f"{name}: {n!r} points came; a transform is of an int number of points, at least 1; "
            "write, say, 8"
        )
    return found


def transformed(x: Any, s: Any, axes: Any, norm: str, *, inverse: bool) -> Any:
    """The complex transform along axes cut or padded to lengths."""
    x, lengths, places = settled(x, s, axes, norm)
    for n, axis in zip(lengths, places, strict=True):
        x = x if n is None else fitted(x, n, axis)
    return fourier(x, axes=tuple(sorted(places)), inverse=inverse, norm=norm)


def along_all(x: Tensor, axes: tuple[int, ...], norm: str, *, inverse: bool) -> Any:
    """The complex transform along `axes`, if there are any."""
    return fourier(x, axes=tuple(sorted(axes)), inverse=inverse, norm=norm) if axes else x


def no_last_axis(name: str, x: Tensor) -> SpecError:
    """What to raise where there is no axis to halve."""
    return SpecError(
        f"{name} of {x.spec} along no axes: the last axis is halved, so there must be one; "
        "name it, as in axes=(-1,)"
    )


def frequencies(name: str, order: Any, n: int, d: float, dtype: Any, device: Any) -> Any:
    """The whole numbers `order` as frequencies."""
    wanted = as_dtype(np.float32 if dtype is None else dtype)
    if wanted.kind != "f":
        raise SpecError(
            f"{name}: dtype={dtype!r} came; frequencies are real; write mg.float32 or mg.float64"
        )
    with np.errstate(all="ignore"):
        step = np.float64(as_number(name, "d", d))
        return api.asarray((order / (n * step)).astype(wanted), device=device)


def shifted(name: str, x: Any, axes: Any, shift: Any) -> Any:
    """`x` rolled along `axes` by what `shift` says of their lengths."""
    x = as_tensor(x)
    for axis in canonical_axes(name, axes, x.ndim) or ():
        n = length_of(x, axis)
        if is_static(x) or type(n) is int:
            x = api.roll(x, shift(n), axis=axis)
        else:
            first = n - shift(n)
            order = (api.cumulative_sum(api.full((n,), 1, dtype="int64"), axis=0) - 1 + first) % n
            x = api.take(x, order, axis=axis)
    return x
