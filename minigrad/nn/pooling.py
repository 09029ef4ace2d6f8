"""Pooling of images, and the pair it is made of: windows taken out, and windows added up.

Images are (n, height, width, channels).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batch import folded
from ..core.convert import as_tensor
from ..core.define import primitive
from ..core.registry import api
from ..core.spec import Spec
from ..core.tensor import Tensor
from ..errors import SpecError
from .convolution import pair

Pair = tuple[int, int]


def windows_spec(x: Any, *, size: Pair, strides: Pair) -> Spec:
    """(n, places, places, height, width, channels). Raises SpecError where none fits."""
    if x.shape is None:
        return Spec((None, None, None, *size, None), x.dtype)
    if len(x.shape) != 4:
        raise SpecError(
            f"pooling of {x.spec}: images have axes (n, height, width, channels); "
            "add what is missing with mg.expand_dims"
        )
    if any(n is not None and n < k for n, k in zip(x.shape[1:3], size, strict=True)):
        raise SpecError(
            f"pooling of {x.spec}: a window of {size} does not fit into the image; "
            "use a smaller size, or mg.pad the image"
        )
    places = [
        None if n is None else (n - k) // s + 1
        for n, k, s in zip(x.shape[1:3], size, strides, strict=True)
    ]
    return Spec((x.shape[0], *places, *size, x.shape[3]), x.dtype)


@primitive(infer=windows_spec, public=False, linear="jointly")
def windows_of(x: Any, /, *, size: Pair, strides: Pair) -> Any:
    """The windows of the images `x`: (n, places, places, height, width, channels)."""
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
    return view[:, :: strides[0], :: strides[1]].transpose(0, 1, 2, 4, 5, 3)


@primitive(infer=lambda g, x, **attrs: Spec(x.shape, g.dtype), public=False, linear="jointly")
def windows_added(g: Any, x: Any, /, *, size: Pair, strides: Pair) -> Any:
    """The adjoint of `windows_of`: each pixel gets the sum of what windows hold of it.

    `x` gives the shape of the images only.
    """
    y = np.zeros(x.shape, g.dtype)
    rows, columns = g.shape[1:3]
    for i in range(size[0]):
        for k in range(size[1]):
            down = slice(i, i + rows * strides[0] - strides[0] + 1, strides[0])
            across = slice(k, k + columns * strides[1] - strides[1] + 1, strides[1])
            y[:, down, across] += g[:, :, :, i, k]
    return y


windows_of.defbatch(folded(1))
windows_added.defbatch(folded(2))
windows_of.defvjp(lambda g, y, x, **attrs: windows_added(g, x, **attrs))
windows_added.defvjp(lambda h, y, g, x, **attrs: windows_of(h, **attrs), None)


def windowed(name: str, x: Any, size: Any, strides: Any) -> tuple[Tensor, Pair]:
    """The windows to pool of `x`, and the two axes inside them."""
    x = as_tensor(x)
    size = pair(name, "size", size)
    strides = size if strides is None else pair(name, "strides", strides)
    tiles = x.ndim == 4 and x.spec.known and strides == size
    if tiles and x.shape[1] % size[0] == x.shape[2] % size[1] == 0 and x.size:
        # windows that tile the image are a reshape of it, which moves nothing
        n, height, width, channels = x.shape
        places = height // size[0], width // size[1]
        tiled = api.reshape(x, (n, places[0], size[0], places[1], size[1], channels))
        return tiled, (2, 4)
    return windows_of(x, size=size, strides=strides), (3, 4)


def max_pool2d(x: Any, size: int | Pair, strides: int | Pair | None = None) -> Any:
    """The largest value in each window of `size` pixels.

    x: (n, height, width, channels). size, strides: one number, or (vertical, horizontal);
    strides of None: the size, so that windows do not overlap. Windows stay inside the image.
    Returns (n, places, places, channels). Values that tie share the derivative evenly.
    """
    taken, axes = windowed("max_pool2d", x, size, strides)
    return api.max(taken, axis=axes)


def avg_pool2d(x: Any, size: int | Pair, strides: int | Pair | None = None) -> Any:
    """The mean of each window of `size` pixels; arguments and result as in `max_pool2d`."""
    taken, axes = windowed("avg_pool2d", x, size, strides)
    return api.mean(taken, axis=axes)
