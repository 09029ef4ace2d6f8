"""What comes back from a file: functions that have graphs and no Python, and the parts of a Module.

They are used as what was saved: called with tensors or Variables, under tapes, in other functions
and compiled ones, and saved again.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

from .. import tree
from ..concrete import ConcreteFunction, fitted, static_key
from ..core.convert import as_tensor, is_tensor_like
from ..core.spec import SCALARS, Spec
from ..errors import SpecError
from ..function import Function
from ..graph import Graph
from ..module import Module
from ..text import nested_graphs
from ..variable import Cell, Variable


def plain(nest: Any) -> Any:
    """`nest` with dicts in the place of named tuples and dataclasses: files know their fields."""
    kind = type(nest)
    if kind is list or kind is tuple:
        return kind([plain(part) for part in nest])
    if kind is dict:
        return {key: plain(part) for key, part in nest.items()}
    if isinstance(nest, tuple) and hasattr(kind, "_fields"):
        return {name: plain(part) for name, part in zip(kind._fields, nest, strict=True)}
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(nest) if field.init]
        return {name: plain(getattr(nest, name)) for name in names}
    return nest


def owned(graph: Graph) -> tuple[Variable, ...]:
    """The Variables that `graph` uses: captured, or among the inputs of nodes in it."""
    cells: dict[Cell, None] = {x: None for x in graph.captures if isinstance(x, Cell)}
    seen = {graph}
    stack = [graph]
    while stack:
        for node in stack.pop().nodes:
            cells.update({x: None for x in node.inputs if isinstance(x, Cell)})
            inner = [part for part in nested_graphs(node) if part not in seen]
            seen.update(inner)
            stack.extend(inner)
    return tuple([cell.owner() for cell in cells])


class LoadedConcrete(ConcreteFunction):
    """A concrete function that was loaded; its `variables` are those that its graph uses."""

    def _placed(self, args: Any, kwargs: Any) -> list[Any]:
        return super()._placed(plain(args), plain(kwargs))

    def takes(self, nest: Any) -> list[Any] | None:
        """What of the arguments `nest` stands in the places of tensors; None if it does not fit."""
        try:
            leaves = tree.flatten_like(self.structure, nest)
            tensors: list[Any] = []
            places = iter(self.specs)
            for x, static in zip(leaves, self.statics, strict=True):
                if static is not None:
                    if is_tensor_like(x) or static_key(x) != static_key(static[0]):
                        return None
                    continue
                spec = next(places)
                if type(x) is not Spec:
                    tensors.append(fitted(x, spec, self.name))
                elif spec.is_compatible_with(x):
                    tensors.append(x)
                else:
                    return None
        except SpecError:
            return None
        return tensors


class LoadedFunction(Function):
    """A function that was loaded: it has the graphs of its traces, and cannot be traced again.

    concrete_functions: one for each signature. Arguments that fit none raise SpecError, which
    lists them. Where a named tuple or dataclass was an argument, one with these fields is taken,
    or a dict; where one was a result, a dict is given.
    """

    def __init__(
        self,
        name: str,
        signature: inspect.Signature,
        concretes: Sequence[LoadedConcrete],
        *,
        input_signature: Any = None,
        jit_compile: bool = False,
        doc: str | None = None,
    ) -> None:
        def stored(*args: Any, **kwargs: Any) -> Any:
            concrete, tensors = self._prepared(args, kwargs)
            return concrete.run(tensors)

        stored.__name__ = stored.__qualname__ = name
        stored.__doc__ = doc
        stored.__signature__ = signature  # type: ignore[attr-defined]  # for inspect.signature
        super().__init__(
            stored, input_signature=input_signature, jit_compile=jit_compile, name=name
        )
        self.concrete_functions = tuple(concretes)

    @property
    def variables(self) -> list[Variable]:
        """The Variables that it uses."""
        return list(dict.fromkeys([v for f in self.concrete_functions for v in f.variables]))

    @property
    def trainable_variables(self) -> list[Variable]:
        """The Variables that it uses and optimizers are given."""
        return [variable for variable in self.variables if variable.trainable]

    def _prepared(self, args: Any, kwargs: Any) -> tuple[ConcreteFunction, list[Any]]:
        given = self._conformed(plain(args), plain(kwargs))
        found = None
        for concrete in self.concrete_functions:
            tensors = concrete.takes(given)
            if tensors is None:
                continue
            specs = [x if type(x) is Spec else x.spec for x in tensors]
            if specs == list(concrete.specs):
                return concrete, tensors
            found = found or (concrete, tensors)
        if found is not None:
            return found
        leaves, structure = tree.flatten(given)
        came = tree.unflatten(structure, [shown(x) for x in leaves])
        known = "; ".join(shown_signature(concrete) for concrete in self.concrete_functions)
        raise SpecError(
            f"function {self.name}, which was loaded: {called_with(came)} came, and it has graphs "
            f"for {known}: a loaded function cannot be traced again; pass one of these, or save "
            "it with a graph for this signature too"
        )

    def __repr__(self) -> str:
        return f"<mg.saved_model function {self.name}{self.signature}>"


class Shown(str):
    """Text without quotes around it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def shown(x: Any) -> Shown:
    """An argument in a message."""
    if type(x) is Spec:
        return Shown(x)
    tensor_like = is_tensor_like(x) and type(x) not in SCALARS
    return Shown(as_tensor(x).spec if tensor_like else f"{x!r:.60}")


def shown_signature(concrete: ConcreteFunction) -> str:
    """The arguments of a concrete function in a message."""
    places = iter(concrete.specs)
    leaves = [
        shown(next(places)) if static is None else shown(static[0]) for static in concrete.statics
    ]
    return called_with(tree.unflatten(concrete.structure, leaves))


def called_with(nest: Any) -> str:
    """Arguments as between the brackets of a call."""
    args, kwargs = nest
    return f"({', '.join([*map(repr, args), *[f'{k}={v!r}' for k, v in kwargs.items()]])})"


class Part(dict[str, Any]):
    """A part of a loaded Module: `part.w`, `part["w"]`, and `part[0]` for a list's first."""

    def __missing__(self, key: Any) -> Any:
        if type(key) is int and str(key) in self:
            return self[str(key)]
        raise KeyError(key)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no {name!r} here: there are {', '.join(self)}") from None


class LoadedModule(Module):
    """A Module that was loaded: its Variables and functions, by the names they had.

    functions: by path, such as "predict" or "layers.0.__call__". Paths are attributes too:
    `module.layers[0].w`. Calling it calls its function "__call__".
    """

    def __init__(self, variables: dict[str, Variable], functions: dict[str, Any]) -> None:
        self.functions = functions
        for path, variable in variables.items():
            self._put(path, variable)
        for path, function in functions.items():
            self._put(path, function)

    def _put(self, path: str, value: Any) -> None:
        first, *steps = path.split(".")
        if steps:
            place = vars(self).setdefault(first, Part())
            while len(steps) > 1 and isinstance(place.setdefault(steps[0], Part()), Part):
                place = place[steps.pop(0)]
            place[".".join(steps)] = value
        else:
            vars(self)[first] = value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function that was saved as `__call__`."""
        if "__call__" not in self.functions:
            raise SpecError(
                "a loaded Module was called, and was saved without a traced __call__: it has "
                f"{', '.join(self.functions) or 'no functions'}; call one of these"
            )
        return self.functions["__call__"](*args, **kwargs)

    def __repr__(self) -> str:
        return f"<mg.saved_model Module of {', '.join(self.functions) or 'no functions'}>"
