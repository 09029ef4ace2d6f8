"""A Tensor is an array with operators; a Symbol is a tensor whose value comes later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from ..errors import SpecError, TraceError, leak_message, made_at
from .leaving import leaving
from .registry import Functions, functions
from .spec import OPAQUE, SCALARS, DType, Shape, Spec

api: Functions[Tensor] = functions()


class Tensor:
    """An immutable array that remembers nothing and can be followed by tapes.

    Made by `mg.constant`, `mg.asarray` and every op. Operators, indexing, attributes and methods
    are those of the Python array API standard; `hash` and `in` go by identity.
    """

    # no __init__: it would take 90 of the 160 ns in which one is made, which every op does
    __slots__ = ("__weakref__", "_value")
    __array_priority__ = 1000
    _value: np.ndarray[Any, Any]

    # what it is

    @property
    def shape(self) -> Any:
        """Lengths of the axes, a tuple of ints; None for an unknown dim, or an unknown rank."""
        return self._value.shape

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        dtype: DType = self._value.dtype
        return dtype

    @property
    def ndim(self) -> Any:
        """Number of axes; None where the rank is unknown."""
        shape = self.shape
        return None if shape is None else len(shape)

    @property
    def size(self) -> Any:
        """Number of elements; None where a dim is unknown."""
        shape = self.shape
        return None if shape is None or None in shape else int(np.prod(shape, dtype=np.int64))

    @property
    def device(self) -> str:
        """Where the elements live: always "cpu"."""
        return "cpu"

    @property
    def spec(self) -> Spec:
        """Shape and dtype together."""
        return Spec(self.shape, self.dtype)

    @property
    def mT(self) -> Tensor:  # noqa: N802  (the standard's name)
        """The matrices of the last two axes, transposed."""
        return api.matrix_transpose(self)

    @property
    def T(self) -> Tensor:  # noqa: N802  (the standard's name)
        """The transpose of a matrix. Raises SpecError unless it has two axes."""
        if self.ndim is None:
            return api.permute_dims(self, (1, 0))
        if self.ndim != 2:
            raise SpecError(
                f"x.T of {self.spec}: T is defined for two axes; "
                "write x.mT for stacks of matrices, or mg.permute_dims(x, axes)"
            )
        return api.matrix_transpose(self)

    @property
    def at(self) -> Any:
        """Functional updates: `x.at[i].set(v)` is `x` with `v` at `i`; also add, multiply, ..."""
        return api.At(self)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The elements as a read-only NumPy array that shares memory; copy it to write."""
        leaving(self)
        view = self._value.view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The only element, as a Python number. Raises SpecError where there are more."""
        if self.size != 1:
            raise SpecError(
                f"item of {self.spec}: one element becomes a Python number; "
                "index down to one, or write x.numpy().tolist()"
            )
        leaving(self)
        return self._value.item()

    def to_device(self, device: str, /, *, stream: Any = None) -> Tensor:
        """Itself: there is only "cpu"."""
        if device != "cpu" or stream is not None:
            raise SpecError(f'to_device({device!r}): minigrad computes on "cpu" only; leave it out')
        return self

    def set_shape(self, shape: Any) -> None:
        """State a shape that tracing could not know. Raises SpecError where it cannot be."""
        if not self.spec.is_compatible_with(Spec(shape, self.dtype)):
            raise SpecError(
                f"set_shape({shape}) of {self.spec}: the new shape must agree in every known "
                "dim; correct it, or reshape the tensor"
            )

    # Python's protocols

    def __repr__(self) -> str:
        value = self._value
        text = str(value) if value.ndim == 0 else repr(value)
        return f"<mg.Tensor: shape={value.shape}, dtype={value.dtype}, numpy={text}>"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"len of {self.spec}: only tensors with axes have a length; use x.size")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        return iter([self[i] for i in range(len(self))])

    def __bool__(self) -> bool:
        return bool(self._one_value("a truth value", "mg.any(x) or mg.all(x)"))

    def __int__(self) -> int:
        return int(self._one_value("an int", "x.numpy()"))

    def __float__(self) -> float:
        leaving(self)
        return float(self._one_value("a float", "x.numpy()"))

    def __complex__(self) -> complex:
        leaving(self)
        return complex(self._one_value("a complex", "x.numpy()"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"an index of {self.spec}: only integers index; write int(x)")
        return int(self._one_value("an index", "an index array"))

    def _one_value(self, what: str, remedy: str) -> Any:
        if self._value.size != 1:
            raise SpecError(
                f"{what} of {self.spec}: only one element has one; index down to it, "
                f"or write {remedy}"
            )
        return self._value.item()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        return np.array(array, dtype) if copy or dtype not in (None, self.dtype) else array

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        return api.array_namespace(api_version)

    def __array_ufunc__(self, ufunc: Any, method: str, /, *inputs: Any, **options: Any) -> Any:
        return api.array_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return api.array_function(function, types, args, options)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        # copied, for a consumer may write, told not to (PyTorch does), and tensors never change;
        # by copy=False it is shared, and marked as read-only
        return self.numpy().__dlpack__(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy is not False
        )

    def __dlpack_device__(self) -> Any:
        return self._value.__dlpack_device__()

    def __reduce__(self) -> Any:
        return tensor_of, (np.asarray(self._value),)

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self

    __hash__ = object.__hash__

    # operators

    def __getitem__(self, key: Any) -> Tensor:
        return api.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(
            f"x[{key!r}] = ... on {self.spec}: tensors are immutable; "
            f"write x = x.at[{key!r}].set(...)"
        )

    def __neg__(self) -> Tensor:
        return api.negative(self)

    def __pos__(self) -> Tensor:
        return api.positive(self)

    def __abs__(self) -> Tensor:
        return api.abs(self)

    def __invert__(self) -> Tensor:
        return api.bitwise_invert(self)

    def __add__(self, other: Any) -> Tensor:
        return api.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return api.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return api.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return api.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return api.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return api.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return api.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return api.divide(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return api.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return api.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return api.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return api.remainder(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return api.pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return api.pow(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return api.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return api.matmul(other, self)

    def __and__(self, other: Any) -> Tensor:
        return api.bitwise_and(self, other)

    def __rand__(self, other: Any) -> Tensor:
        return api.bitwise_and(other, self)

    def __or__(self, other: Any) -> Tensor:
        return api.bitwise_or(self, other)

    def __ror__(self, other: Any) -> Tensor:
        return api.bitwise_or(other, self)

    def __xor__(self, other: Any) -> Tensor:
        return api.bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return api.bitwise_xor(other, self)

    def __lshift__(self, other: Any) -> Tensor:
        return api.bitwise_left_shift(self, other)

    def __rlshift__(self, other: Any) -> Tensor:
        return api.bitwise_left_shift(other, self)

    def __rshift__(self, other: Any) -> Tensor:
        return api.bitwise_right_shift(self, other)

    def __rrshift__(self, other: Any) -> Tensor:
        return api.bitwise_right_shift(other, self)

    def __lt__(self, other: Any) -> Tensor:
        return api.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return api.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return api.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return api.greater_equal(self, other)

    def __eq__(self, other: Any) -> Any:
        return api.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return api.not_equal(self, other)


def tensor_of(value: np.ndarray[Any, Any]) -> Tensor:
    """The tensor of the elements of an array, which nobody else may write to."""
    made = Tensor()
    made._value = value
    return made


class Symbol(Tensor):
    """A tensor with a spec and no value yet: what flows while a function is traced.

    trace: the interpreter that made it; it can be used only while that one is open.
    where: the code and instruction that made it, for messages.
    """

    __slots__ = ("_shape", "dtype", "trace", "where")

    def __init__(self, shape: Shape, dtype: DType, trace: Any, where: Any = None) -> None:
        self._shape = shape
        self.dtype = dtype  # type: ignore[misc]  # a slot here, a property in Tensor
        self.trace = trace
        self.where = where

    @property
    def shape(self) -> Any:
        """Lengths of the axes as far as known; None where the rank is unknown."""
        return self._shape

    @property
    def spec(self) -> Spec:
        """Shape and dtype together; of what is no array, OPAQUE."""
        return OPAQUE if self.dtype.kind == "O" else Spec(self._shape, self.dtype)

    @property
    def _value(self) -> Any:  # type: ignore[override]  # a symbol has none: reading it must raise
        if self.trace is not None and not self.trace.open:
            raise TraceError(leak_message(self))
        compiled = getattr(self.trace, "compiles", False)
        raise TraceError(
            f"the value of {self.spec} was asked for while {self._owner} was traced: a traced "
            "tensor has a shape and a dtype, its value comes when the graph runs; for a decision "
            "write mg.cond or mg.where, for a loop mg.while_loop, for other Python "
            + ("leave jit_compile=True out" if compiled else "mg.py_function")
            + made_at(self)
        )

    @property
    def _owner(self) -> str:
        return getattr(self.trace, "name", None) or "a function"

    def set_shape(self, shape: Any) -> None:
        """State a shape that tracing could not know. Raises SpecError where it cannot be."""
        super().set_shape(shape)
        merged = Spec(shape, self.dtype).shape
        if merged is not None and self._shape is not None:
            merged = tuple(m if n is None else n for n, m in zip(self._shape, merged, strict=True))
        self._shape = self._shape if merged is None else merged

    def __repr__(self) -> str:
        return f"<mg.Symbol: shape={self.shape}, dtype={self.dtype}>"

    def __len__(self) -> int:
        if self.shape and self.shape[0] is None:
            raise TraceError(
                f"len of {self.spec} while {self._owner} was traced: the dim is known only when "
                "the graph runs; use mg.shape(x)[0], or give the argument a known dim"
            )
        return super().__len__()

    def __reduce__(self) -> Any:
        return self._value


def is_number(x: Any) -> bool:
    """Whether `x` is a Python number, which stays one in a node and is weak in promotion."""
    return type(x) in SCALARS
