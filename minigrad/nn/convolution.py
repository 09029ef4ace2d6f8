"""Convolution of images, and its two adjoints: three products, each the derivative of the others.

Images are (n, height, width, channels), filters (height, width, channels in, channels out).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..core.batch import alone, folded, is_shared
from ..core.convert import as_tensor
from ..core.define import primitive
from ..core.lowering import Contract
from ..core.registry import api
from ..core.spec import Spec, index_of, promote, said
from ..errors import SpecError
from ..ops.margins import pad_with
from ..ops.shape import identity

PATCHES = 1 << 21  # elements of patches held at a time: they should stay in the cache


class Window(NamedTuple):
    """How a window of `size` moves along one axis: by `stride`, over `before` + n + `after`."""

    size: int
    stride: int
    before: int
    after: int
    steps: int


def window(n: int, size: int, stride: int, padding: str) -> Window:
    """The window on an axis of length `n`; "SAME" pads so that ceil(n / stride) places fit."""
    if padding == "VALID":
        return Window(size, stride, 0, 0, (n - size) // stride + 1 if n >= size else 0)
    steps = -(-n // stride)
    missing = max((steps - 1) * stride + size - n, 0)
    return Window(size, stride, missing // 2, missing - missing // 2, steps)


def padded(x: Any, rows: Window, columns: Window) -> Any:
    """`x` with zeros around its images."""
    if not any((rows.before, rows.after, columns.before, columns.after)):
        return x
    return np.pad(x, ((0, 0), rows[2:4], columns[2:4], (0, 0)))


def patches(x: Any, rows: Window, columns: Window) -> Any:
    """The windows of padded images `x`, one per row: (n * places, height * width * channels)."""
    count = x.shape[0] * rows.steps * columns.steps
    return seen(x, rows, columns).reshape(count, rows.size * columns.size * x.shape[3])


def seen(x: Any, rows: Window, columns: Window) -> Any:
    """A view of padded images `x`: (n, places, places, height, width, channels)."""
    n, _, _, channels = x.shape
    s0, s1, s2, s3 = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (n, rows.steps, columns.steps, rows.size, columns.size, channels),
        (s0, s1 * rows.stride, s2 * columns.stride, s1, s2, s3),
        writeable=False,
    )


def windows(x: Any, w: Any, strides: tuple[int, int], padding: str) -> tuple[Window, Window]:
    """The windows of the size of `w` along the two axes of the images `x`."""
    return (
        window(x.shape[1], w.shape[0], strides[0], padding),
        window(x.shape[2], w.shape[1], strides[1], padding),
    )


def blocks(n: int, elements: int) -> Iterator[slice]:
    """Slices of `n` images, each with patches of at most PATCHES elements, or one image."""
    step = max(1, PATCHES // max(1, elements))
    yield from (slice(start, start + step) for start in range(0, n, step))


def checked(x: Any, w: Any, strides: tuple[int, int], padding: str) -> tuple[Window, Window]:
    """The windows of a convolution that is possible. Raises ValueError for one that is not."""
    if x.ndim != 4 or w.ndim != 4 or x.shape[3] != w.shape[2]:
        raise ValueError("x is (n, height, width, channels), w (height, width, channels, out)")
    rows, columns = windows(x, w, strides, padding)
    if padding == "VALID" and 0 in (rows.steps, columns.steps):
        raise ValueError("the filter is larger than the image")
    return rows, columns


def conv2d_spec(x: Any, w: Any, *, strides: tuple[int, int], padding: str) -> Spec:
    """(n, places, places, channels out). Raises SpecError where x and w do not fit."""
    dtype = promote(x, w)
    if x.shape is None or w.shape is None:
        return Spec((None, None, None, None), dtype)
    if len(x.shape) != 4 or len(w.shape) != 4:
        raise SpecError(
            f"conv2d: x is {x.spec}, w is {w.spec}: x has axes (n, height, width, channels) and w "
            "(height, width, channels in, channels out); add what is missing with mg.expand_dims"
        )
    if x.shape[3] != w.shape[2] and None not in (x.shape[3], w.shape[2]):
        raise SpecError(
            f"conv2d: x is {x.spec} with {x.shape[3]} channels, w is {w.spec} for {w.shape[2]}: "
            "axis 3 of x must be as long as axis 2 of w; channels come last in x"
        )
    places: list[int | None] = []
    for n, size, stride in zip(x.shape[1:3], w.shape[:2], strides, strict=True):
        if n is None or (size is None and padding == "VALID"):
            places.append(None)
            continue
        if padding == "VALID" and size > n:
            raise SpecError(
                f"conv2d: x is {x.spec}, w is {w.spec}: a filter of {size} does not fit into {n} "
                'places; use a smaller filter, or padding="SAME"'
            )
        places.append(window(n, size or 1, stride, padding).steps)
    return Spec((x.shape[0], *places, w.shape[3]), dtype)


# What compiled code makes of them: products of views, in which windows are seen, and not copied.


def margins(x: Any, w: Any, strides: tuple[int, int], padding: str) -> tuple[Any, ...]:
    """How much is added around the images `x`: a pair for each axis."""
    rows, columns = windows(x, w, strides, padding)
    return ((0, 0), rows[2:4], columns[2:4], (0, 0))


def convolution_views(x: Any, w: Any, *, strides: tuple[int, int], padding: str) -> Any:
    """The windows of `x`, and `w`; None where there is padding."""
    if np.any(margins(x, w, strides, padding)):
        return None
    return seen(x, *windows(x, w, strides, padding)), w


def filter_gradient_views(x: Any, g: Any, w: Any, *, strides: tuple[int, int], padding: str) -> Any:
    """The windows of `x`, seen from each of their elements, and `g`; None with padding."""
    if np.any(margins(x, w, strides, padding)):
        return None
    return seen(x, *windows(x, w, strides, padding)).transpose(3, 4, 5, 0, 1, 2), g


def convolution_means(x: Any, w: Any, *, strides: tuple[int, int], padding: str) -> Any:
    """The convolution of images padded first."""
    widths = margins(x, w, strides, padding)
    if not np.any(widths):
        return None
    return convolution(pad_with(x, widths=widths, value=0), w, strides=strides, padding="VALID")


def filter_gradient_means(x: Any, g: Any, w: Any, *, strides: tuple[int, int], padding: str) -> Any:
    """The gradient for images padded first."""
    widths = margins(x, w, strides, padding)
    if not np.any(widths):
        return None
    x = pad_with(x, widths=widths, value=0)
    return filter_gradient(x, g, w, strides=strides, padding="VALID")


class Phases(NamedTuple):
    """An axis of pixels as places of `pixels` each, from `offset` pixels before the first one on.

    Of each place the first `filled` pixels meet elements of the filter, in `size` places of the
    cotangent, which has to have `before` and `after` more for that. length: how many places.
    """

    pixels: int
    filled: int
    size: int
    length: int
    offset: int
    before: int
    after: int

    @classmethod
    def of(cls, n: int, axis: Window) -> Phases:
        """The phases of an axis of `n` pixels."""
        first, offset = divmod(axis.before, axis.stride)
        size, end = -(-axis.size // axis.stride), -(-(axis.before + n) // axis.stride)
        filled = min(axis.stride, axis.size)
        sizes = end - first, offset, size - 1 - first, end - axis.steps
        return cls(axis.stride, filled, size, *sizes)


def image_gradient_means(g: Any, w: Any, x: Any, *, strides: tuple[int, int], padding: str) -> Any:
    """A convolution of padded cotangents, by steps of one, with filters turned round.

    Pixels that are a step apart meet the same elements of the filters. So a place gives all the
    pixels of one step: they are further channels, which are laid side by side afterwards. Where
    some meet fewer elements, each phase is a convolution by itself.

    Where a filter or a cotangent holds infinities or NaN, more pixels become NaN than by the
    kernel: those that meet them by the zeros of the padding.
    """
    n, height, width, channels = x.shape
    axes = zip((height, width), windows(x, w, strides, padding), strict=True)
    down, across = [Phases.of(length, axis) for length, axis in axes]
    if any(p.size * p.filled > k for p, k in zip((down, across), w.shape[:2], strict=True)):
        y = apart(g, w, down, across)
    else:
        y = together(g, w, down, across)
    if (down.pixels, across.pixels) == (1, 1):
        return y
    y = api.reshape(y, (n, down.length, across.length, down.filled, across.filled, channels))
    empty = [(0, p.pixels - p.filled) for p in (down, across)]
    y = padded_by(y, (0, 0), (0, 0), (0, 0), *empty)
    y = identity(api.permute_dims(y, (0, 1, 3, 2, 4, 5)))
    y = api.reshape(y, (n, down.length * down.pixels, across.length * across.pixels, channels))
    return y[:, down.offset : down.offset + height, across.offset : across.offset + width]


def together(g: Any, w: Any, down: Phases, across: Phases) -> Any:
    """The pixels of all phases, as channels, where all meet as many elements of the filter."""
    channels, filled = w.shape[2], down.filled * across.filled * w.shape[2]
    steps = (down.size, down.filled, across.size, across.filled)
    turned = api.flip(api.reshape(w, (*steps, channels, w.shape[3])), axis=(0, 2))
    # a copy, for a product reads filters row by row
    turned = identity(api.permute_dims(turned, (0, 2, 5, 1, 3, 4)))
    filters = api.reshape(turned, (down.size, across.size, w.shape[3], filled))
    g = padded_by(g, (0, 0), (down.before, down.after), (across.before, across.after))
    return convolution(g, filters, strides=(1, 1), padding="VALID")


def apart(g: Any, w: Any, down: Phases, across: Phases) -> Any:
    """The same, phase by phase: the last ones meet fewer elements, and nothing meets zeros.

    With a filter of 3 x 3 and steps of two that is 9 products for each place, not 16.
    """
    found = []
    for i in range(down.filled):
        for k in range(across.filled):
            some = w[i :: down.pixels, k :: across.pixels]
            turned = identity(api.permute_dims(api.flip(some, axis=(0, 1)), (0, 1, 3, 2)))
            sizes = zip((down, across), some.shape[:2], strict=True)
            widths = [(p.before - p.size + size, p.after) for p, size in sizes]
            met = padded_by(g, (0, 0), *widths)
            found.append(convolution(met, turned, strides=(1, 1), padding="VALID"))
    return api.stack(found, axis=3)


def padded_by(x: Any, *widths: tuple[int, int]) -> Any:
    """`x` with zeros around it: `widths` before and after along its first axes."""
    if not np.any(widths):
        return x
    return pad_with(x, widths=(*widths, *[(0, 0)] * (x.ndim - len(widths))), value=0)


@primitive(
    infer=conv2d_spec,
    lower=Contract(convolution_views, convolution_means),
    broadcasts=True,
    public=False,
    linear="each",
)
def convolution(x: Any, w: Any, /, *, strides: tuple[int, int], padding: str) -> Any:
    """Sums over windows of `x` times `w`; the op behind `conv2d`."""
    rows, columns = checked(x, w, strides, padding)
    filters = w.reshape(-1, w.shape[3])
    y = np.empty(
        (x.shape[0], rows.steps, columns.steps, w.shape[3]), np.result_type(x.dtype, w.dtype)
    )
    for some in blocks(x.shape[0], rows.steps * columns.steps * filters.shape[0]):
        out = y[some].reshape(-1, w.shape[3])
        np.matmul(patches(padded(x[some], rows, columns), rows, columns), filters, out=out)
    return y


@primitive(
    infer=lambda g, w, x, **attrs: Spec(x.shape, promote(g, w)),
    lower=Contract(lambda g, w, x, **attrs: None, image_gradient_means),
    broadcasts=True,
    public=False,
    linear="each",
)
def image_gradient(g: Any, w: Any, x: Any, /, *, strides: tuple[int, int], padding: str) -> Any:
    """The adjoint of `convolution` in its images; `x` gives their shape only."""
    rows, columns = checked(x, w, strides, padding)
    filters = w.reshape(-1, w.shape[3]).T
    y = np.empty(x.shape, np.result_type(g.dtype, w.dtype))
    height, width = (
        n + a.before + a.after for n, a in zip(x.shape[1:3], (rows, columns), strict=True)
    )
    for some in blocks(x.shape[0], rows.steps * columns.steps * filters.shape[1]):
        part = np.matmul(g[some].reshape(-1, w.shape[3]), filters)
        n = len(y[some])
        part = part.reshape(n, rows.steps, columns.steps, rows.size, columns.size, x.shape[3])
        total = np.zeros((n, height, width, x.shape[3]), y.dtype)
        for i in range(rows.size):
            for k in range(columns.size):
                total[:, places(rows, i), places(columns, k)] += part[:, :, :, i, k]
        y[some] = total[:, rows.before :, columns.before :][:, : x.shape[1], : x.shape[2]]
    return y


def places(axis: Window, i: int) -> slice:
    """Where element `i` of the window comes to lie on the padded axis, place by place."""
    return slice(i, i + axis.steps * axis.stride - axis.stride + 1, axis.stride)


@primitive(
    infer=lambda x, g, w, **attrs: Spec(w.shape, promote(x, g)),
    lower=Contract(filter_gradient_views, filter_gradient_means),
    broadcasts=True,
    public=False,
    linear="each",
)
def filter_gradient(x: Any, g: Any, w: Any, /, *, strides: tuple[int, int], padding: str) -> Any:
    """The adjoint of `convolution` in its filters; `w` gives their shape only."""
    rows, columns = checked(x, w, strides, padding)
    size = w.shape[0] * w.shape[1] * w.shape[2]
    y = np.zeros((size, w.shape[3]), np.result_type(x.dtype, g.dtype))
    for some in blocks(x.shape[0], rows.steps * columns.steps * size):
        part = patches(padded(x[some], rows, columns), rows, columns)
        y += np.matmul(part.T, g[some].reshape(-1, w.shape[3]))
    return y.reshape(w.shape)


@convolution.defbatch
def convolution_batch(op: Any, n: Any, x: Any, w: Any, **attrs: Any) -> Any:
    """More images; or, of shared images, more channels out. One by one where both differ."""
    if not is_shared(n, x):
        return folded(1)(op, n, x, w, **attrs)
    *size, channels = api.dims_of(w)[1:]
    y = op(alone(x), api.reshape(api.moveaxis(w, 0, 3), (*size, n * channels)), **attrs)
    return api.moveaxis(api.reshape(y, (*api.dims_of(y)[:3], n, channels)), 3, 0)


@image_gradient.defbatch
def image_gradient_batch(op: Any, n: Any, g: Any, w: Any, x: Any, **attrs: Any) -> Any:
    """More images, where they share the filters."""
    return folded(2)(lambda g, x, w, **attrs: op(g, w, x, **attrs), n, g, x, w, **attrs)


convolution.defvjp(
    lambda g, y, x, w, **attrs: image_gradient(g, w, x, **attrs),
    lambda g, y, x, w, **attrs: filter_gradient(x, g, w, **attrs),
)
image_gradient.defvjp(
    lambda h, y, g, w, x, **attrs: convolution(h, w, **attrs),
    lambda h, y, g, w, x, **attrs: filter_gradient(h, g, w, **attrs),
    None,
)
filter_gradient.defvjp(
    lambda h, y, x, g, w, **attrs: image_gradient(g, h, x, **attrs),
    lambda h, y, x, g, w, **attrs: convolution(x, h, **attrs),
    None,
)


def conv2d(x: Any, w: Any, strides: int | tuple[int, int] = 1, padding: str = "VALID") -> Any:
    """Convolution (cross-correlation) of images with filters.

    x: (n, height, width, channels in). w: (height, width, channels in, channels out).
    strides: steps of the filter in pixels, one number or (vertical, horizontal).
    padding: "VALID" stays inside the image; "SAME" adds zeros, evenly, the odd one after, so
    that ceil(height / stride) places fit. Returns (n, places, places, channels out).
    Raises SpecError where shapes do not fit, or strides or padding are not of these.
    """
    x, w = as_tensor(x), as_tensor(w)
    if not isinstance(padding, str) or padding not in ("VALID", "SAME"):
        raise SpecError(
            f'conv2d: padding={padding!r} came; padding is "VALID" or "SAME"; '
            "for another one, mg.pad the images first"
        )
    return convolution(x, w, strides=pair("conv2d", "strides", strides), padding=padding)


def pair(name: str, option: str, value: Any) -> tuple[int, int]:
    """`value`, one number or two, as two numbers from 1 on. Raises SpecError for others."""
    several = value if isinstance(value, (tuple, list)) else (value, value)
    first, second = [index_of(v) or 0 for v in several] if len(several) == 2 else (0, 0)
    if min(first, second) < 1:
        raise SpecError(
            f"{name}: {option}={said(value)} came; it counts pixels, vertically and horizontally; "
            "write a number from 1 on, or two of them"
        )
    return first, second
