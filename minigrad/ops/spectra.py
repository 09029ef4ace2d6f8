"""Fourier transforms along an axis by loops: their steps, and the factors between them.

Stockham's form of the fast transform (Cochran et al., 1967): n points are r interleaved transforms
of m = n / r points; each step makes r of the numbers that stand m apart into r side by side, and
what was done stays in order. Those of real numbers are complex ones of half of the points.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple, cast

import numpy as np

from ..core.define import primitive
from ..core.lowering import Transform
from ..core.op import MADE_LATE
from ..core.registry import api
from ..core.spec import Spec, complex_dtype, real_dtype
from ..core.tensor import Tensor, tensor_of

PRIMES = (5, 3, 7, 11, 13)
SHORTEST, LONGEST = 16, 1 << 23
"""Points that are worth loops, and for which there is a table."""
ON_STACK = 1 << 12
"""Points up to which the steps of a transform go on the stack."""
STRIP = 1 << 17
"""Bytes of a strip of columns, at most, that are transformed together."""


class Step(NamedTuple):
    """One of the steps: `radix` numbers of each of so many `points` at once.

    stride: how many transforms are interleaved. begin: of its factors in the table. spread: there
    is a factor for each number, not one for all that are interleaved, as those are few.
    """

    radix: int
    points: int
    stride: int
    begin: int
    spread: bool

    @property
    def end(self) -> int:
        """Where its factors end in the table; there are none in the last step."""
        each = self.points * (self.stride if self.spread else 1)
        return self.begin + (2 * (self.radix - 1) * each if self.points > 1 else 0)


def lanes_of(dtype: Any) -> int:
    """How many numbers a step takes at once."""
    return 16 if real_dtype(dtype) == np.float32 else 8


def strip_of(n: int, dtype: Any) -> int:
    """How many columns of `n` points of a complex dtype are transformed together; 0 for none."""
    lanes = lanes_of(dtype)
    fitting = [w for w in (lanes, lanes // 2) if n * w * dtype.itemsize <= STRIP]
    return fitting[0] if fitting else 0


def radices(n: int) -> list[int] | None:
    """Small numbers whose product is `n`, those that are powers of two in front; None if none."""
    found, twos = [], (n & -n).bit_length() - 1
    rest = n >> twos
    while twos:
        bits = 2 if twos in (2, 4) else min(twos, 3)
        found.append(1 << bits)
        twos -= bits
    for prime in PRIMES:
        while rest % prime == 0:
            found.append(prime)
            rest //= prime
    return found if rest == 1 else None


def steps_of(n: int, dtype: Any, *, columns: bool) -> list[Step]:
    """The steps of a complex transform of `n` points; of columns, each point is a vector."""
    found: list[Step] = []
    count, stride, begin = n, 1, 0
    for radix in radices(n) or []:
        count //= radix
        few = not columns and stride < lanes_of(dtype) and stride & (stride - 1) == 0
        found.append(Step(radix, count, stride, begin, few))
        begin = found[-1].end
        stride *= radix
    return found


def roots(k: Any, n: int) -> Any:
    """e^(2 pi i k / n) for integers `k`, of angles of at most an eighth of a turn."""
    quarters, rest = np.divmod(4 * (k % n), n)
    beyond = 2 * rest > n
    angle = np.where(beyond, n - rest, rest) * (math.pi / 2 / n)
    cosine, sine = np.cos(angle), np.sin(angle)
    found = np.where(beyond, sine + 1j * cosine, cosine + 1j * sine)
    return found * np.array([1, 1j, -1, -1j])[quarters]


def halves(x: Any) -> list[Any]:
    """The real parts of `x`, then the imaginary ones."""
    return [x.real.ravel(), x.imag.ravel()]


def factors(n: int, dtype: Any, *, inverse: bool, columns: bool) -> list[Any]:
    """What the numbers of each step are multiplied by after it, in the order of the table."""
    parts: list[Any] = []
    for step in steps_of(n, dtype, columns=columns):
        if step.points == 1:
            continue
        powers = np.outer(np.arange(1, step.radix), np.arange(step.points))
        found = roots(-powers if not inverse else powers, step.points * step.radix)
        if step.spread:
            for row in np.repeat(found, step.stride, axis=1):
                parts += halves(row)
        else:
            parts.append(np.stack([found.T.real, found.T.imag], axis=-1).ravel())
    return parts


@functools.lru_cache(maxsize=16)
def table(kind: str, n: int, dtype: Any, scale: float, *, weighted: bool, columns: bool) -> Tensor:
    """The factors of a transform; of a real one, also of what joins the halves of its spectrum."""
    real = kind in ("real", "half")
    inverse = kind in ("inverse", "half")
    parts = factors(n // 2 if real else n, dtype, inverse=inverse, columns=columns)
    if real:
        turned = roots(np.arange(n // 2) * (-1 if kind == "real" else 1), n)
        parts += halves(turned * join_scale(kind, scale, weighted))
    flat = np.concatenate(parts) if parts else np.zeros(1)
    return tensor_of(flat.astype(real_dtype(dtype)))


def join_scale(kind: str, scale: float, weighted: bool) -> float:
    """What sums and differences of two halves of a spectrum are multiplied by."""
    if kind == "real":
        return scale if weighted else scale / 2
    return scale / 2 if weighted else scale


def transformed_spec(
    x: Any, table: Any, *, kind: str, n: int, scale: float, weighted: bool, columns: bool
) -> tuple[Spec, ...]:
    """The result, and room for the steps of a long transform."""
    if columns:
        return (Spec(x.shape, x.dtype),)
    last = {"real": n // 2 + 1, "half": n}.get(kind, n)
    dtype = real_dtype(x.dtype) if kind == "half" else complex_dtype(x.dtype)
    points = n // 2 if kind in ("real", "half") else n
    made = Spec((*x.shape[:-1], last), dtype)
    room = Spec((*x.shape[:-1], 2 * points), real_dtype(x.dtype))
    return (made, room) if points > ON_STACK else (made,)


@primitive(infer=transformed_spec, lower=Transform(), public=False)
def transformed(
    x: Any, table: Any, /, *, kind: str, n: int, scale: float, weighted: bool, columns: bool
) -> tuple[Any, ...]:
    """A transform of `n` points along the last axis times `scale`, and room that it takes.

    columns: along the axis before the last, of complex numbers.
    kind: "forward" or "inverse", of complex numbers; "real" to the half of a spectrum, "half" back.
    weighted: numbers with a mirror image count twice in "real", half in "half". table: `table`.
    """
    attrs: dict[str, Any] = {"kind": kind, "n": n, "scale": scale, "weighted": weighted}
    specs = transformed_spec(x, table, **attrs, columns=columns)
    axis = -2 if columns else -1
    y: Any
    if kind == "half":
        if weighted:
            x = x.copy()
            mirrored(x, n)[...] *= 0.5
        y = np.fft.irfft(x, n, norm="forward")
    elif kind == "real":
        y = np.fft.rfft(x)
        if weighted:
            mirrored(y, n)[...] *= 2
    else:
        run: Any = np.fft.fft if kind == "forward" else np.fft.ifft
        y = run(x, axis=axis, norm="backward" if kind == "forward" else "forward")
    made = np.ascontiguousarray(y * real_dtype(y.dtype).type(scale))
    return (made, *[np.empty(cast(Any, spec.shape), spec.dtype) for spec in specs[1:]])


def mirrored(y: Any, n: int, axis: int = -1) -> Any:
    """Of a half spectrum of `n` points, what has a mirror image: all but the ends."""
    return y[(slice(None),) * (axis % y.ndim) + (slice(1, (n + 1) // 2),)]


transformed.opaque = MADE_LATE


def along_last(kind: str, x: Tensor, n: int, scale: float, *, weighted: bool = False) -> Any:
    """`transformed`, if loops are worth it for these numbers; else None."""
    real = kind in ("real", "half")
    points, dtype = (n // 2 if real else n), complex_dtype(x.dtype)
    fits = x.dtype.kind == ("f" if kind == "real" else "c") and (n % 2 == 0 or not real)
    if not fits or not SHORTEST <= points <= LONGEST or radices(points) is None:
        return None
    made = table(kind, n, dtype, scale, weighted=weighted, columns=False)
    attrs: dict[str, Any] = {"kind": kind, "n": n, "scale": scale, "weighted": weighted}
    return transformed(x, made, **attrs, columns=False)[0]


def along_columns(kind: str, x: Tensor, axis: int, n: int, scale: float) -> Any:
    """`transformed` along another axis than the last, of complex numbers; else None.

    Numbers side by side are transformed together.
    """
    m, strip = math.prod(x.shape[axis + 1 :]), strip_of(n, x.dtype)
    fits = kind in ("forward", "inverse") and 0 < strip <= m
    if not fits or n < SHORTEST or radices(n) is None:
        return None
    made = table(kind, n, x.dtype, scale, weighted=False, columns=True)
    whole = api.reshape(x, (*x.shape[:axis], n, m))
    attrs: dict[str, Any] = {"kind": kind, "n": n, "scale": scale, "weighted": False}
    return api.reshape(transformed(whole, made, **attrs, columns=True)[0], x.shape)


def along_axis(kind: str, x: Tensor, axis: int, n: int, scale: float, **options: Any) -> Any:
    """The same along any axis."""
    if axis == x.ndim - 1:
        return along_last(kind, x, n, scale, **options)
    y = along_columns(kind, x, axis, n, scale) if x.dtype.kind == "c" else None
    if y is not None:
        return y
    y = along_last(kind, api.moveaxis(x, axis, -1), n, scale, **options)
    return None if y is None else api.moveaxis(y, -1, axis)


def scale_of(norm: str, n: int, *, inverse: bool) -> float:
    """What a transform of `n` points is multiplied by."""
    divided = norm == ("backward" if inverse else "forward")
    return 1 / n if divided else 1 / math.sqrt(n) if norm == "ortho" else 1.0
