"""Graphs from JSON: built one after the other, each node checked before it is believed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

from ..callbacks import Body
from ..core.op import Node, Op
from ..core.registry import OPS
from ..core.spec import Spec
from ..core.tensor import Symbol, Tensor
from ..core.where import Where
from ..errors import SaveError
from ..graph import Graph
from ..interop import VMAP_METHODS
from ..passes.fold import known_captures
from ..tree import unflatten
from ..variable import Variable
from . import check, limits
from .bodies import PYTHON, is_unsaved
from .limits import damaged, require
from .values import Json, from_json, nest_from_json, spec_from

VALUE_NAME = re.compile(r"v(\d{1,9})", re.ASCII)
PLACE = re.compile(r"([^\n]{0,200}):(\d{1,9})", re.ASCII)
COMPILED_BY_CHOICE = ("call", "stateful_call", "switch", "stateful_switch", "loop", "stateful_loop")


def taken(value: Json, what: str, **kinds: Any) -> list[Any]:
    """The entries of an object, which are of these kinds; those of `type | None` may lack."""
    require(type(value) is dict and value.keys() <= kinds.keys(), f"{what} with other entries")
    found = []
    for name, kind in kinds.items():
        entry = value.get(name)
        require(isinstance(entry, kind), f"{what} with {name} =", entry)
        require(type(entry) is not bool or kind is bool, f"{what} with {name} =", entry)
        found.append(entry)
    return found


class Reader:
    """Makes graphs again of what `Writer` wrote.

    callbacks: what names of Python bodies are bound to. jit: compile or not; None as saved.
    """

    def __init__(
        self,
        constants: Sequence[Tensor],
        variables: Sequence[Variable],
        ops: frozenset[str],
        callbacks: Mapping[str, Callable[..., Any]],
        jit: bool | None,
    ) -> None:
        self.constants = constants
        self.variables = variables
        self.ops = ops
        self.callbacks = callbacks
        self.jit = jit
        self.graphs: list[Graph] = []
        self.roles: dict[Graph, list[str | None]] = {}
        self._sizes: dict[Graph, tuple[int, int]] = {}

    def look(self, kind: str, place: Any) -> Any:
        """What stands at a place in the list of its kind; of graphs, only of those before."""
        several = self.graphs if kind == "graph" else self.constants
        require(type(place) is int and 0 <= place < len(several), kind, place)
        return several[place]

    def variable(self, place: Any) -> Variable:
        """The Variable at a place."""
        good = type(place) is int and 0 <= place < len(self.variables)
        require(good, "variable", place)
        found: Variable = self.variables[place]
        return found

    def add(self, json: Json) -> None:
        """Make the next graph."""
        name, inputs, captures, nodes, outputs, present = taken(
            json,
            "a graph",
            **{"name": str, "inputs": list, "captures": list, "nodes": list, "outputs": list},
            present=list | None,
        )
        try:
            graph = self._made(name[: limits.NAME], inputs, captures, nodes, outputs)
        except SaveError as error:
            error.add_note(f"in graph {len(self.graphs)}, {name!r:.60}")
            raise
        if present is not None:
            require(all(type(there) is bool for there in present), "a rule that gives maybe")
            graph.cache["present"] = tuple(present)
        self.graphs.append(graph)

    def _made(self, name: str, inputs: Json, captures: Json, nodes: Json, outputs: Json) -> Graph:
        specs = [spec_from(text, opaque=True) for text in inputs]
        symbols = [Symbol(spec.shape, spec.dtype, None) for spec in specs]
        require(len(captures) <= len(symbols), "a graph of more captures than inputs")
        bound = tuple([self._capture(x) for x in captures])
        graph = Graph(name, tuple(symbols), bound, (), ())
        building = Building(self, graph)
        made = tuple([building.node(i, node) for i, node in enumerate(nodes)])
        ends = tuple([building.output(text) for text in outputs])
        graph.nodes, graph.outputs = made, ends
        self.roles[graph] = [building.roles.get(x) for x in symbols]
        self._sizes[graph] = building.size, building.depth
        return graph

    def _capture(self, json: Json) -> Any:
        if json is None:
            return None
        require(type(json) is dict and len(json) == 1, "the capture", json)
        if "variable" in json:
            return self.variable(json["variable"]).cell
        return self.look("constant", json.get("constant"))


class Building:
    """One graph in the making: its values by number, and what each of them is."""

    def __init__(self, reader: Reader, graph: Graph) -> None:
        self.reader = reader
        self.values: list[Any] = list(graph.inputs)
        self.roles: check.Roles = {}
        self.size = self.depth = 0
        for x in graph.inputs:
            if x.dtype.kind == "O":
                self.roles[x] = check.RECORD
        symbols = graph.inputs[len(graph.arguments) :]
        for symbol, x in zip(symbols, graph.captures, strict=True):
            if x is not None:
                require(x.spec == symbol.spec, f"a capture of {x.spec} as {symbol.spec}")
                self.roles[symbol] = check.VALUE if type(x) is Tensor else check.CELL
        # as in the trace, which inferred by the values of small tensors
        self.known = known_captures(graph)

    def node(self, i: int, json: Json) -> Node:
        """The node that `json` describes. Raises SaveError with its number."""
        try:
            return self._node(json)
        except SaveError as error:
            name = json.get("op") if type(json) is dict else None
            error.add_note(f"in node {i}, {name!r:.40}")
            raise

    def _node(self, json: Json) -> Node:
        name, inputs, outputs, attrs, at = taken(
            json, "a node", op=str, inputs=list, outputs=list, attrs=dict | None, at=str | None
        )
        if name not in OPS or name not in self.reader.ops or is_unsaved(OPS[name]):
            raise damaged(f"the op {name!r:.40}")
        op = OPS[name]
        xs = tuple([self._input(x) for x in inputs])
        stated = [spec_from(text, opaque=True) for text in outputs]
        found = self._attributes(op, attrs or {}, xs)
        wanted = check.expected_roles(op, xs, found, self.reader.roles)
        for x, role in zip(xs, wanted, strict=True):
            self.use(x, role)
        graphs = [g for g in flattened(found.values()) if type(g) is Graph]
        self._measure(op, graphs)
        specs = check.inferred(op, [self.known.get(x, x) for x in xs], found)
        symbols = [Symbol(s.shape, s.dtype, None) for s in check.agreed(op, stated, specs)]
        for y in symbols:
            self.roles[y] = check.RECORD if y.dtype.kind == "O" else check.VALUE
        self.values.extend(symbols)
        return placed(op, xs, tuple(symbols), found, at or ":0")

    def _input(self, json: Json) -> Any:
        """A value of the graph by its name, or a number, a tensor, a cell, None."""
        if type(json) is str:
            found = VALUE_NAME.fullmatch(json)
            i = int(found[1]) if found else len(self.values)
            require(i < len(self.values), "a value that nothing has made,", json)
            return self.values[i]
        if type(json) is dict and "variable" in json:
            return self.reader.variable(json["variable"]).cell
        x = from_json(json, self.reader.look)
        good = x is None or type(x) in (bool, int, float, complex, Tensor)
        require(good, "the input", json)
        return x

    def _attributes(self, op: Op, json: Json, xs: tuple[Any, ...]) -> dict[str, Any]:
        if op.name in PYTHON:
            return self._python(op, json, len(xs))
        attrs = {name: from_json(value, self.reader.look) for name, value in json.items()}
        check.check_attributes(op, attrs)
        if op.name in COMPILED_BY_CHOICE and self.reader.jit is not None:
            attrs["jit"] = self.reader.jit
        if op.name == "custom_gradient":
            attrs["specs"] = tuple([x.spec if hasattr(x, "spec") else Spec(()) for x in xs])
        return attrs

    def _python(self, op: Op, json: Json, count: int) -> dict[str, Any]:
        """The attributes of a node that runs a Python function which the caller has bound."""
        kinds = {"callback": str, "Tout": object, "vmap_method": str | None}
        name, declared, how = taken(json, "a callback", **kinds)
        require(how in (None, *VMAP_METHODS), "a callback with vmap_method =", how)
        require(name in self.reader.callbacks, f"a callback {name!r:.40} that is not listed")
        structure, specs = nest_from_json(declared, declared_spec)
        door = op.name.removeprefix("pure_")
        # nothing is hidden: what it uses must be in its inputs, for those of the graph are fixed
        nest = unflatten(structure, specs)
        body = Body(self.reader.callbacks[name], [], nest, name, door, hidden=[])
        attrs = {"func": body.func, "specs": body.specs, "name": name, "body": body}
        if door == "py_function":
            return {**attrs, "count": count}
        return attrs if how is None else {**attrs, "vmap_method": how}

    def use(self, x: Any, role: str | None) -> None:
        """Note that `x` is used as `role`. Raises SaveError where it is something else."""
        if role is None:
            return
        if type(x) is not Symbol:
            have = check.CELL if hasattr(x, "trainable") else check.VALUE
        else:
            have = self.roles.setdefault(x, role)
        require(have == role, f"{have} where {role} goes")

    def output(self, json: Json) -> Symbol:
        """A value by its name, which the graph gives back."""
        x = self._input(json)
        require(type(x) is Symbol, "the output", json)
        require(self.roles.setdefault(x, check.VALUE) != check.CELL, "a Variable as an output")
        made: Symbol = x
        return made

    def _measure(self, op: Op, graphs: Sequence[Graph]) -> None:
        """Count the nodes and the depth of graphs that stand in graphs."""
        self.size += 1
        for graph in graphs:
            size, depth = self.reader._sizes[graph]
            self.size += size
            self.depth = max(self.depth, 1 + depth)
            effects = any(node.op.stateful for node in graph.nodes)
            require(
                op.stateful or not effects or op.name == "custom_gradient", f"effects in {op.name}"
            )
        require(self.size <= limits.NODES, f"a graph of more than {limits.NODES} nodes")
        require(self.depth <= limits.NESTING, "graphs nested too deeply")


def flattened(values: Any) -> list[Any]:
    """`values`, those in tuples and lists among them."""
    result: list[Any] = []
    for value in values:
        result.extend(value if type(value) in (tuple, list) else (value,))
    return result


def declared_spec(json: Json) -> Spec:
    """A leaf of `Tout`."""
    spec = from_json(json, lambda kind, place: None)
    require(type(spec) is Spec, "Tout of", json)
    found: Spec = spec
    return found


def placed(op: Op, inputs: Any, outputs: Any, attrs: dict[str, Any], at: str) -> Node:
    """A node that was written at `at`, file:line."""
    found = PLACE.fullmatch(at)
    if found is None:
        raise damaged(f"the place {at!r:.40}")
    where = Where(code_at(found[1] or "a saved model", int(found[2])), 0)
    return Node.written(where, op, inputs, attrs, outputs)


def code_at(filename: str, line: int) -> CodeType:
    """Code that does nothing, but is known to be written at a place: messages name it."""
    return NOTHING.replace(
        co_filename=filename, co_firstlineno=max(line, 1), co_linetable=b"", co_name="saved"
    )


NOTHING = (lambda: None).__code__
