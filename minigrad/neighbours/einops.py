"""einops on tensors: a backend in minigrad's functions, which einops finds among its subclasses."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..core.convert import is_tensor_like
from ..core.registry import api
from ..core.spec import DTYPES
from ..core.tensor import Tensor


def backend_base() -> Any:
    """The class whose subclasses einops asks; any other where it is not installed."""
    try:
        return import_module("einops._backends").AbstractBackend
    except (ImportError, AttributeError):
        return object


BASE = backend_base()


class Dims(tuple[Any, ...]):
    """Lengths of axes, of which a trace does not know some: no key for einops' caches."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # caches would keep the trace, and compare symbols


class MinigradBackend(BASE):  # type: ignore[valid-type,misc]  # found at run time
    """What einops needs of a library; each method is traced and differentiable."""

    framework_name = "minigrad"

    def is_appropriate_type(self, tensor: Any) -> bool:
        """Whether `tensor` is a Tensor or Variable."""
        return isinstance(tensor, Tensor) or hasattr(tensor, "__as_tensor__")

    def from_numpy(self, x: Any) -> Any:
        """The array as a tensor."""
        return api.asarray(x)

    def to_numpy(self, x: Any) -> Any:
        """The tensor as an array."""
        return x.numpy()

    def arange(self, start: int, stop: int) -> Any:
        """Whole numbers in order."""
        return api.arange(start, stop, dtype=DTYPES["int64"])

    def shape(self, x: Any) -> Any:
        """Lengths of the axes: ints, and tensors where a trace does not know them."""
        x = api.asarray(x)
        return x.shape if x.spec.known else Dims(api.dims_of(x))

    def reshape(self, x: Any, shape: Any) -> Any:
        """`x` in another shape."""
        return api.reshape(x, tuple(shape))

    def transpose(self, x: Any, axes: Any) -> Any:
        """`x` with its axes in another order."""
        return api.permute_dims(x, tuple(axes))

    def reduce(self, x: Any, operation: str, axes: Any) -> Any:
        """Sum, mean, max, min, prod, any or all over `axes`."""
        return getattr(api, operation)(x, axis=tuple(axes))

    def stack_on_zeroth_dimension(self, tensors: list[Any]) -> Any:
        """Tensors side by side along a new first axis."""
        return api.stack(tensors)

    def add_axis(self, x: Any, new_position: int) -> Any:
        """`x` with a further axis of length 1."""
        return api.expand_dims(x, axis=new_position)

    def tile(self, x: Any, repeats: Any) -> Any:
        """`x` laid side by side with itself."""
        return api.tile(x, tuple(repeats))

    def concat(self, tensors: Any, axis: int) -> Any:
        """Tensors one after the other."""
        return api.concat(tensors, axis=axis)

    def is_float_type(self, x: Any) -> bool:
        """Whether means of `x` are of its own dtype."""
        return is_tensor_like(x) and x.dtype.kind in "fc"

    def einsum(self, pattern: str, *x: Any) -> Any:
        """Sums of products by labels."""
        return api.einsum(pattern, *x)
