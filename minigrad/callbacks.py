"""What the two doors share: their inputs and `Tout`, and the check of what a body returned."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import tree
from .core.convert import as_tensor, holds, is_tensor_like
from .core.spec import DTYPES, SCALARS, Spec, as_dtype
from .core.tensor import Symbol, Tensor
from .core.where import here
from .errors import CallbackError, SpecError, TraceError, made_at
from .reach import closed_over, reachable

KINDS = "biufc"  # of dtypes that are numbers
ANY_SHAPE = {dtype: Spec(None, dtype) for dtype in DTYPES.values()}  # what most declare


class Body:
    """One use of a Python function at a door: what it is given, what it declares, where it is.

    inputs: as tensors. specs: the leaves of `Tout`. hidden: what it uses without being given it;
    None where that is to be found. Nothing global holds it: the graph does.
    """

    def __init__(
        self,
        func: Any,
        inp: Any,
        Tout: Any,
        name: str | None,
        door: str,
        hidden: list[Any] | None = None,
    ) -> None:
        if not callable(func):
            raise SpecError(
                f"{door} of {type(func).__name__} {func!r:.60}: a callable is called; pass the "
                f"function itself, as in mg.{door}(f, [x], mg.float32)"
            )
        self.func = func
        self.door = door
        self.name = name or getattr(func, "__name__", type(func).__name__)
        self.single = not isinstance(inp, (list, tuple))
        given = [inp] if self.single else inp
        self.inputs = [x if type(x) is Tensor else as_tensor(x) for x in given]
        leaves, self.structure = tree.flatten(Tout)
        self.specs = tuple([declared(leaf, self) for leaf in leaves])
        self.where = here()
        self._hidden = hidden

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Body) and self._meaning == other._meaning

    def __hash__(self) -> int:
        return hash(self._meaning)

    @property
    def _meaning(self) -> tuple[Any, ...]:
        return (self.door, self.func, self.specs, self.structure)

    def nested(self, outputs: Sequence[Any]) -> Any:
        """The outputs in the nest of `Tout`."""
        return tree.unflatten(self.structure, outputs)

    def hidden(self) -> list[Any]:
        """Tensors and Variables' cells that the function uses without being given them."""
        if self._hidden is not None:
            return self._hidden
        found: dict[Any, None] = {}
        given = set(self.inputs)
        for value in reachable(self.func):
            cell = getattr(value, "cell", None) if not isinstance(value, Tensor) else None
            if cell is not None and getattr(cell, "dtype", np.dtype(bool)).kind in "fc":
                found[cell] = None
            elif type(value) is Tensor and value.dtype.kind in "fc" and value not in given:
                found[value] = None
        self._hidden = list(found)
        return self._hidden

    def known(self) -> list[Any]:
        """All that it has from outside: what it is given, and what is hidden."""
        return [*self.inputs, *self.hidden()]

    def reject_symbols(self) -> None:
        """Raise TraceError where the function, which will run later, closes over a symbol."""
        for value in closed_over(inspect.unwrap(self.func)):
            if isinstance(value, Symbol):
                raise TraceError(
                    f"the body of {self.door} {self.name!r} uses {value.spec} by its closure: a "
                    "traced tensor has a value only as an argument, for the body runs when the "
                    f"graph does; pass it in inp, and use it as an argument{made_at(value)}"
                )

    def __repr__(self) -> str:
        return f"{self.door} {self.name}"


def declared(leaf: Any, body: Body) -> Spec:
    """One leaf of `Tout` as a spec; a dtype alone leaves the shape unknown."""
    if isinstance(leaf, np.dtype) and leaf in ANY_SHAPE:
        return ANY_SHAPE[leaf]
    if isinstance(leaf, Spec):
        return leaf
    if leaf is None:
        raise SpecError(
            f"{body.door} {body.name}: no Tout was given: what comes back must be declared; "
            "write a dtype or mg.TensorSpec for each result, or [] for none"
        )
    return Spec(None, as_dtype(leaf))


def returned_leaves(body: Body, returned: Any) -> list[Any]:
    """The leaves of what the body returned. Raises CallbackError where its nest is another."""
    if not body.specs:
        if returned is None or (isinstance(returned, (list, tuple)) and not returned):
            return []
        raise mismatch(body, f"a {type(returned).__name__}", "nothing", "return None")
    if body.structure.kind in (list, tuple) and isinstance(returned, (list, tuple)):
        returned = body.structure.kind(returned)
    if body.structure == tree.LEAF:
        if isinstance(returned, (list, tuple)) and any(is_tensor_like(x) for x in returned):
            raise mismatch(
                body,
                f"a {type(returned).__name__} of {len(returned)}",
                "one value",
                "return it alone, or declare Tout=[...]",
            )
        return [returned]
    if body.structure.kind is list and len(body.specs) == 1 and is_tensor_like(returned):
        return [returned]
    leaves, structure = tree.flatten(returned)
    if len(leaves) != len(body.specs) or structure != body.structure:
        raise mismatch(
            body,
            f"{len(leaves)} values nested as {structure!r}"
            if structure != tree.LEAF
            else f"one {type(returned).__name__}",
            f"{len(body.specs)} nested as {body.structure!r}",
            "return that nest",
        )
    return leaves


def outputs_fit(body: Body, returned: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays that a NumPy body returned, checked against `Tout`."""
    arrays = []
    for i, (y, spec) in enumerate(zip(returned_leaves(body, returned), body.specs, strict=True)):
        if y is None or isinstance(y, Symbol):
            raise mismatch(body, f"{y!r} as result {i}", str(spec), "return an array")
        array = np.asarray(y, scalar_dtype(body, i, y, spec))
        check(body, i, Spec(array.shape, array.dtype) if array.dtype.kind in KINDS else y, spec)
        arrays.append(array)
    return arrays


def results_as(body: Body, returned: Any) -> list[Tensor]:
    """The tensors that a traced body returned, checked against `Tout`."""
    if body.structure is tree.LEAF and type(returned) is Tensor:
        (spec,) = body.specs
        if spec.shape is None and returned._value.dtype is spec.dtype:
            return [returned]  # the usual case, in a fifth of the time
    tensors = []
    for i, (y, spec) in enumerate(zip(returned_leaves(body, returned), body.specs, strict=True)):
        if y is None:
            raise mismatch(body, f"None as result {i}", str(spec), "return a tensor")
        try:
            tensor = as_tensor(y, scalar_dtype(body, i, y, spec))
        except SpecError:
            came = f"{type(y).__name__} {y!r:.40} as result {i}"
            raise mismatch(body, came, str(spec), "return a tensor") from None
        check(body, i, tensor.spec, spec)
        tensors.append(tensor)
    return tensors


def scalar_dtype(body: Body, i: int, y: Any, spec: Spec) -> Any:
    """The declared dtype for Python numbers, which take it; None for what has its own."""
    if type(y) not in SCALARS and not (
        isinstance(y, (list, tuple)) and all(type(x) in SCALARS for x in tree.flatten(y)[0])
    ):
        return None
    try:
        if holds(spec.dtype, as_tensor(y)):
            return spec.dtype
    except SpecError:  # rows of different lengths
        raise mismatch(body, f"{y!r:.60} as result {i}", str(spec), "return an array") from None
    raise mismatch(body, f"{y!r:.60} as result {i}", str(spec), "declare what can hold it")


def check(body: Body, i: int, came: Any, spec: Spec) -> None:
    """Raise CallbackError unless `came` is what `spec` declares."""
    if not isinstance(came, Spec):
        raise mismatch(body, f"{type(came).__name__} as result {i}", str(spec), "return an array")
    if came.dtype != spec.dtype:
        remedy = (
            f"return y.astype(np.{spec.dtype})"
            if body.door == "numpy_function"
            else f"return mg.astype(y, mg.{spec.dtype})"
        )
        raise mismatch(body, f"{came} as result {i}", str(spec), f"{remedy}, or declare it")
    if not spec.is_compatible_with(came):
        raise mismatch(
            body,
            f"{came} as result {i}",
            str(spec),
            "reshape the result, or correct the TensorSpec",
        )


def described(func: Callable[..., Any]) -> str:
    """A callable by name, with its file and line where it has one."""
    code = getattr(inspect.unwrap(func), "__code__", None)
    name = getattr(func, "__name__", type(func).__name__)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name


def mismatch(body: Body, came: str, declared: str, remedy: str) -> CallbackError:
    """The error of a body that broke its declaration."""
    return CallbackError(
        f"{body.door} of {described(body.func)}: Tout declares {declared}, and {came} came: the "
        f"result must be what is declared, in number, dtype and shape; {remedy} "
        f"(called at {body.where})"
    )


def noted(error: BaseException, body: Body, *, traced: bool = False) -> None:
    """Tell an exception of a body, which passes as itself, where the body was called.

    traced: whether it says that a value is not there, where a compiled function is traced.
    """
    note = f"raised in {body.door} {body.name!r}, called at {body.where}"
    if traced:
        note += (
            "; a compiled function traces the body as if it stood there, so it has no values "
            "either; in a function without jit_compile=True it runs as Python"
        )
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
