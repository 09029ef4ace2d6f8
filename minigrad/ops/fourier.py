"""Fourier transforms along axes: complex ones, and those between real signals and half spectra.

The ops behind `mg.fft`. A transform is a product with a symmetric matrix, so its derivative is a
transform again; `norm` says which side the factor 1 / n is on, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import along_axes
from ..core.define import primitive
from ..core.lowering import Composed
from ..core.registry import api
from ..core.spec import Spec, canonical_axis, complex_dtype, real_dtype, spec_of
from ..core.tensor import Tensor
from ..errors import SpecError
from .fit import given_length, known_length, length_batch, length_of, with_length
from .spectra import along_axis, mirrored, scale_of

# of the other direction, with the same factor
DUAL: dict[Any, Any] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def check_norm(norm: Any) -> None:
    """Refuse what is no norm. Raises SpecError."""
    if not isinstance(norm, str) or norm not in DUAL:
        raise SpecError(
            f"fft: norm={norm!r} came; it says which transform is divided by n; "
            'write "backward", "ortho" or "forward"'
        )


def check_signal(x: Any, dtypes: str, axes: tuple[int, ...], norm: str) -> None:
    """Refuse other dtypes than those of the characters `dtypes`, and axes without elements.

    Raises SpecError.
    """
    check_norm(norm)
    if getattr(x, "dtype", np.dtype(object)).char not in dtypes:
        names = " and ".join([np.dtype(char).name for char in dtypes])
        raise SpecError(
            f"fft: {spec_of(x)} came; this transform is defined for {names}; "
            "cast with mg.astype(x, mg.float32), or take mg.real(x), first"
        )
    if x.shape is None:
        return
    for axis in axes:
        if x.shape[canonical_axis("fft", axis, len(x.shape))] == 0:
            raise SpecError(
                f"fft: axis {axis} of {x.spec} has no elements; a transform is of at least one; "
                "pad the axis, by n or by s"
            )


def fourier_spec(x: Any, *, axes: tuple[int, ...], inverse: bool, norm: str) -> Spec:
    """The shape of `x`, complex."""
    check_signal(x, "fdFD", axes, norm)
    return Spec(x.shape, complex_dtype(x.dtype))


def fourier_means(x: Any, *, axes: tuple[int, ...], inverse: bool, norm: str) -> Any:
    """One axis after the other by loops; None where they do not pay."""
    if x.dtype.kind == "f":
        y = real_fourier_by_halves(x, axes, inverse=inverse, norm=norm)
        if y is not None:
            return y
        x = api.astype(x, complex_dtype(x.dtype))
    y = x
    for axis in reversed(axes):
        y = None if y is None else step_along(y, axis, inverse=inverse, norm=norm)
    return y if axes else None


def step_along(x: Any, axis: int, *, inverse: bool, norm: str) -> Any:
    """The transform of complex numbers along one axis by loops; None where they do not pay."""
    n, kind = x.shape[axis], "inverse" if inverse else "forward"
    return along_axis(kind, x, axis, n, scale_of(norm, n, inverse=inverse))


def real_fourier_by_halves(x: Any, axes: tuple[int, ...], *, inverse: bool, norm: str) -> Any:
    """The transform of real numbers by loops, of half of the spectrum; None where that is none.

    The other half are mirror images, along all axes; and the inverse is the conjugate.
    """
    if not axes or len(set(axes)) < len(axes):
        return None
    *others, last = axes
    n = x.shape[last]
    y = along_axis("real", x, last, n, scale_of(norm, n, inverse=inverse))
    for axis in reversed(others):
        y = None if y is None else step_along(y, axis, inverse=False, norm=outward(norm, inverse))
    if y is None:
        return None
    rest = api.flip(mirrored(y, n, last), axis=axes)
    for axis in others:  # the first number along each is its own image
        rest = api.roll(rest, 1, axis=axis)
    # of the inverse, what came first is the conjugate
    parts = [api.conj(y), rest] if inverse else [y, api.conj(rest)]
    return api.concat(parts, axis=last)


def outward(norm: str, inverse: bool) -> str:
    """The norm of a forward transform that is divided as one of `norm`, `inverse` or not."""
    return str(DUAL[norm]) if inverse else norm


@primitive(infer=fourier_spec, lower=Composed(fourier_means), linear="jointly")
def fourier(x: Any, /, *, axes: tuple[int, ...], inverse: bool, norm: str) -> Any:
    """The discrete Fourier transform of `x` along `axes`, or the inverse; always complex.

    norm: "backward", "ortho" or "forward", the transform that is divided by n.
    """
    if x.dtype.char not in "fdFD":
        raise TypeError("floating dtypes only")
    if not axes:
        return x.astype(complex_dtype(x.dtype))
    y = (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=as_literal(norm))
    return np.ascontiguousarray(y)


def as_literal(norm: str) -> Any:
    """`norm`, which to a type checker of NumPy is one of three strings."""
    return norm


# the matrix is symmetric; where cotangents are complex, the walk back takes the conjugate
fourier.defvjp(
    lambda g, y, x, *, axes, inverse, norm: fourier(g, axes=axes, inverse=inverse, norm=norm)
)
fourier.defbatch(along_axes)


# half of a spectrum says all of it where the signal is real


def real_fourier_spec(x: Any, *, axis: int, norm: str, doubled: bool) -> Spec:
    """n // 2 + 1 complex numbers for n real ones."""
    check_signal(x, "fd", (axis,), norm)
    n = None if x.shape is None else x.shape[axis]
    half = None if n is None else n // 2 + 1
    shape = None if x.shape is None else with_length("fft", x.shape, axis, half)
    return Spec(shape, complex_dtype(x.dtype))


def real_fourier_means(x: Any, *, axis: int, norm: str, doubled: bool) -> Any:
    """The same by loops, where they pay."""
    n = x.shape[axis]
    scale = scale_of(norm, n, inverse=False)
    return along_axis("real", x, axis, n, scale, weighted=doubled)


@primitive(
    infer=real_fourier_spec,
    lower=Composed(real_fourier_means),
    linear="jointly",
    holomorphic=False,
)
def real_fourier(x: Any, /, *, axis: int, norm: str, doubled: bool) -> Any:
    """The first half of the spectrum of real `x` along `axis`; the op behind `rfft`.

    doubled: times two where a number stands for its mirror image too.
    """
    if x.dtype.char not in "fd":
        raise TypeError("real floating dtypes only")
    y = np.ascontiguousarray(np.fft.rfft(x, axis=axis, norm=as_literal(norm)))
    if doubled:
        mirrored(y, x.shape[axis], axis)[...] *= 2
    return y


def half_fourier_spec(y: Any, n: Any, *, axis: int, norm: str, halved: bool) -> Spec:
    """n real numbers for n // 2 + 1 complex ones."""
    check_signal(y, "fdFD", (axis,), norm)
    length = known_length("fft", n)
    dtype = real_dtype(y.dtype)
    if y.shape is None:
        return Spec(None, dtype)
    have = y.shape[canonical_axis("fft", axis, len(y.shape))]
    if length is not None and (length < 1 or have not in (None, length // 2 + 1)):
        raise SpecError(
            f"fft: {y.spec} came as half of a spectrum of {length} points along axis {axis}; "
            "n is at least 1, and half of it n // 2 + 1 numbers; state n, at least 1"
        )
    return Spec(with_length("fft", y.shape, axis, length), dtype)


def half_fourier_means(y: Any, n: Any, *, axis: int, norm: str, halved: bool) -> Any:
    """The same by loops, where they pay."""
    if not isinstance(n, int):
        return None
    scale = scale_of(norm, n, inverse=True)
    return along_axis("half", y, axis, n, scale, weighted=halved)


@primitive(
    infer=half_fourier_spec, lower=Composed(half_fourier_means), linear="each", holomorphic=False
)
def half_fourier(y: Any, n: Any, /, *, axis: int, norm: str, halved: bool) -> Any:
    """The real signal of `n` points whose half spectrum is `y` along `axis`; behind `irfft`.

    n: an int, or a 0-d tensor of integers where a trace does not know it. halved: numbers that
    stand for their mirror image too count half.
    """
    length = given_length("fft", n)
    if y.dtype.char not in "fdFD" or length < 1 or y.shape[axis] != length // 2 + 1:
        raise ValueError("no half of a spectrum")
    if halved:
        y = y.copy()
        mirrored(y, length, axis)[...] *= 0.5
    return np.ascontiguousarray(np.fft.irfft(y, length, axis=axis, norm=as_literal(norm)))


def real_fourier_vjp(
    g: Tensor, y: Tensor, x: Tensor, *, axis: int, norm: str, doubled: bool
) -> Any:
    """Back with the same factor; mirror images count once."""
    n = length_of(x, axis)
    return half_fourier(g, n, axis=axis, norm=DUAL[norm], halved=not doubled)


def half_fourier_vjp(
    g: Tensor, y: Tensor, x: Tensor, n: Any, *, axis: int, norm: str, halved: bool
) -> Any:
    """Back with the same factor; a number counts in its mirror image too."""
    return real_fourier(g, axis=axis, norm=DUAL[norm], doubled=not halved)


real_fourier.defvjp(real_fourier_vjp)
real_fourier.defbatch(along_axes)
half_fourier.defvjp(half_fourier_vjp, None)
half_fourier.defbatch(length_batch)
