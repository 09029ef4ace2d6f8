"""Variable: the one mutable thing. It owns a cell; reading and assigning the cell are ops."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from .core.convert import as_tensor, holds
from .core.define import primitive
from .core.op import CONTEXT
from .core.registry import api
from .core.spec import SCALARS, DType, Spec
from .core.tensor import Symbol, Tensor
from .errors import SpecError, TraceError


class Cell:
    """Where a Variable keeps its array: an input of nodes that is read when they run.

    Arrays in a cell are replaced, and written to only by compiled code that finds that nobody
    else holds them; so tensors read earlier keep their values.
    trainable: whether tapes watch the cell by themselves.
    """

    __slots__ = ("__weakref__", "_value", "dtype", "name", "owner", "shape", "trainable")
    __opaque_input__ = True

    def __init__(self, value: np.ndarray[Any, Any], name: str | None, trainable: bool) -> None:
        self._value = value
        self.shape = value.shape
        self.dtype: DType = value.dtype
        self.name = name
        self.trainable = trainable
        self.owner: Callable[[], Any] = lambda: None

    @property
    def spec(self) -> Spec:
        """Shape and dtype, which never change."""
        return Spec(self.shape, self.dtype)

    def __repr__(self) -> str:
        return f"<mg.Cell of {self.name or 'a Variable'}: {self.spec}>"


@primitive(infer=lambda cell: cell.spec, stateful=True, public=False)
def read_variable(cell: Any, /) -> Any:
    """The present value of a cell."""
    return cell._value


read_variable.defvjp(lambda g, y, cell: g)


def assigned_spec(cell: Any, value: Any) -> tuple[Spec, ...]:
    """Nothing comes out of an assignment. Raises SpecError where the value does not fit."""
    if value.dtype != cell.dtype or not cell.spec.is_compatible_with(value.spec):
        raise SpecError(
            f"assign: {value.spec} to a Variable of {cell.spec}: a Variable keeps its shape and "
            f"dtype; reshape the value, or write mg.astype(value, mg.{cell.dtype})"
        )
    return ()


@primitive(infer=assigned_spec, stateful=True, public=False)
def assign_variable(cell: Any, value: Any, /) -> Any:
    """Put an array into a cell; it is shared, for arrays of tensors are never written to."""
    value = np.asarray(value)
    if value.shape != cell.shape or value.dtype != cell.dtype:
        raise ValueError("the value does not fit the cell")
    cell._value = value
    return ()


assign_variable.no_gradient(
    "an assignment writes state; the path of a gradient ends there", cut="assignment"
)


class Variable:
    """A tensor whose value can be replaced; usable wherever a tensor is, watched by tapes.

    value: what `mg.constant` takes; shape and dtype stay those of the first value.
    name: for messages and saved files. trainable: whether tapes watch it by themselves, and
    optimizers are given it.
    """

    __array_priority__ = 1000

    def __init__(
        self, value: Any, name: str | None = None, trainable: bool = True, dtype: Any = None
    ) -> None:
        first: Any = as_tensor(value() if callable(value) else value, dtype)
        interpreter = CONTEXT.get().interpreter
        if isinstance(first, Symbol):
            first = interpreter.known(first) if hasattr(interpreter, "known") else None
        if first is None:
            raise TraceError(
                f"a Variable was made of {value!r:.60}, which depends on what is traced and has no "
                "value yet: a first value is needed now; compute it inside "
                "`with mg.init_scope():`"
            )
        self.cell = Cell(np.array(first._value), name, trainable)
        self.cell.owner = weakref.ref(self)
        created = getattr(interpreter, "created", None)
        if created is not None:
            created(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        shape: tuple[int, ...] = self.cell.shape
        return shape

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return self.cell.dtype

    @property
    def spec(self) -> Spec:
        """Shape and dtype together."""
        return self.cell.spec

    @property
    def name(self) -> str | None:
        """The name given to it."""
        return self.cell.name

    @property
    def trainable(self) -> bool:
        """Whether tapes watch it by themselves."""
        return self.cell.trainable

    def value(self) -> Tensor:
        """The present value, as a tensor that later assignments do not change."""
        for listener in CONTEXT.get().listeners:
            listener.notice(self.cell)
        present: Tensor = read_variable(self.cell)
        return present

    read_value = value
    __as_tensor__ = value

    def numpy(self) -> np.ndarray[Any, Any]:
        """The present value as a read-only NumPy array."""
        return self.value().numpy()

    def assign(self, value: Any) -> Variable:
        """Replace the value. Raises SpecError unless `value` has the same shape and dtype."""
        assign_variable(self.cell, self._cast(value))
        return self

    def assign_add(self, delta: Any) -> Variable:
        """Replace the value by its sum with `delta`."""
        return self.assign(self.value() + (delta if type(delta) in SCALARS else self._cast(delta)))

    def assign_sub(self, delta: Any) -> Variable:
        """Replace the value by its difference to `delta`."""
        return self.assign(self.value() - (delta if type(delta) in SCALARS else self._cast(delta)))

    def _cast(self, value: Any) -> Tensor:
        """`value` as a tensor; Python numbers in the dtype of the Variable, where it holds them."""
        if isinstance(value, Tensor):
            return value
        tensor = as_tensor(value)
        plain = not hasattr(value, "dtype") and holds(self.dtype, tensor)
        return as_tensor(value, self.dtype) if plain else tensor

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        if getattr(CONTEXT.get().interpreter, "created", None) is not None:
            return f"<mg.Variable{name}: shape={self.shape}, dtype={self.dtype}>"
        value = self.cell._value
        text = str(value) if value.ndim == 0 else repr(value)
        return f"<mg.Variable{name}: shape={self.shape}, dtype={self.dtype}, numpy={text}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "cell":
            raise AttributeError(name)
        return getattr(self.value(), name)

    def __format__(self, spec: str) -> str:
        return format(self.value(), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return self.value().__array__(dtype, copy)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            f"v[{key!r}] = ... on a Variable: a Variable is replaced as a whole; "
            f"write v.assign(v.at[{key!r}].set(...))"
        )

    def __reduce__(self) -> Any:
        return restored, (np.array(self.cell._value), self.name, self.trainable)

    __hash__ = object.__hash__


def restored(value: np.ndarray[Any, Any], name: str | None, trainable: bool) -> Variable:
    """The Variable of a pickle or copy."""
    return Variable(value, name, trainable)


def _forward(name: str) -> Any:
    method = getattr(Tensor, name)

    def forward(self: Variable, *others: Any, **options: Any) -> Any:
        return method(self.value(), *others, **options)

    forward.__name__ = name
    return forward


def _refusing(operator: str, remedy: str) -> Any:
    def refuse(self: Variable, other: Any) -> NoReturn:
        raise TypeError(
            f"v {operator} ... on a Variable: the name would stand for a tensor from then on, and "
            f"the Variable stay as it was; write {remedy}"
        )

    return refuse


# Python looks operators up on the type, so each is handed on by name; copies are Variables
_OWN = {*vars(Variable), *vars(object), "__copy__", "__deepcopy__"}
for _name in dir(Tensor):
    if _name.startswith("__") and callable(getattr(Tensor, _name)) and _name not in _OWN:
        setattr(Variable, _name, _forward(_name))
for _name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"):
    setattr(Variable, _name, _forward(_name))

_IN_PLACE = {
    **{"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%"},
    **{"pow": "**", "matmul": "@", "and": "&", "or": "|", "xor": "^", "lshift": "<<"},
    "rshift": ">>",
}
for _name, _sign in _IN_PLACE.items():
    _named = f"v.assign_{_name}(...)" if _name in ("add", "sub") else f"v.assign(v {_sign} ...)"
    setattr(
        Variable,
        f"__i{_name}__",
        _refusing(f"{_sign}=", f"{_named}, or v = v {_sign} ... for a tensor"),
    )

api.Variable = Variable
