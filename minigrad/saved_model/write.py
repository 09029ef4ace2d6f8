"""Graphs as JSON: each once, after those it needs, with what they share in lists beside them."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from ..callbacks import Body
from ..core.op import Node
from ..core.registry import OPS
from ..core.tensor import Symbol, Tensor
from ..errors import SaveError
from ..graph import Graph
from ..text import named, nested_graphs
from ..variable import Cell
from . import limits
from .archive import Array, json_bytes
from .bodies import PYTHON, is_unsaved, refusal, with_bodies
from .values import Json, Unsaveable, nest_to_json, spec_text, to_json, unsaveable

OP_VERSIONS: dict[str, int] = {}  # of ops whose meaning has changed; all others are at 1


class Writer:
    """Collects what a model is made of.

    callbacks: the names of bodies that stay Python. Raises SaveError, in words of the function
    and line, for whatever has no form in a file.
    """

    def __init__(self, callbacks: Collection[str] = ()) -> None:
        self.named = dict.fromkeys(callbacks)  # by name: the Body met under it
        self.bound: dict[str, Json] = {}
        self.variables: dict[Cell, int] = {}
        self.paths: dict[Cell, str] = {}  # in the Module, of those that it owns
        self.constants: dict[Tensor, int] = {}
        self.graphs: list[Json] = []
        self.ops: dict[str, int] = {}
        self._places: dict[Graph, int] = {}
        self._sizes: dict[Graph, tuple[int, int]] = {}  # nodes, written out; graphs in graphs

    # what is shared

    def refer(self, value: Any) -> tuple[str, int]:
        """Kind and place of a graph, a tensor, or the cell of a Variable."""
        if type(value) is Graph:
            return "graph", self.graph(value)
        if isinstance(value, Cell):
            return "variable", self.variables.setdefault(value, len(self.variables))
        if type(value) is not Tensor:
            raise Unsaveable(f"{type(value).__name__} {value!r:.60}")
        return "constant", self.constants.setdefault(value, len(self.constants))

    def is_named(self, body: Body) -> bool:
        """Whether `body` is to be bound by its name when the file is loaded.

        Raises SaveError where two functions have one name.
        """
        if body.name not in self.named:
            return False
        known = self.named[body.name] = self.named[body.name] or body
        if known.func != body.func or known.door != body.door:
            raise SaveError(
                f"callbacks={list(self.named)} with {body.door} {body.name!r} called at "
                f"{known.where} and at {body.where}: two functions have this name, and one is "
                f"bound to it when the file is loaded; pass one of them mg.{body.door}(..., "
                "name=...)"
            )
        return True

    # graphs

    def graph(self, graph: Graph) -> int:
        """The place of `graph` in the list of graphs."""
        if graph not in self._places:
            written = with_bodies(graph, self.is_named)
            self._measure(graph, written)
            json = self._written(written)
            self._places[graph] = len(self.graphs)
            self.graphs.append(json)
        return self._places[graph]

    def _measure(self, graph: Graph, written: Graph) -> None:
        """Write the graphs in a graph, and see that all together are not too large."""
        size, depth = len(written.nodes), 0
        for node in written.nodes:
            for inner in nested_graphs(node):
                self.graph(inner)
                size += self._sizes[inner][0]
                depth = max(depth, 1 + self._sizes[inner][1])
        if size > limits.NODES or depth > limits.NESTING:
            raise SaveError(
                f"{graph.name} was to be saved, which has {size} nodes when the functions in it "
                f"are written out, {depth} deep: a file holds up to {limits.NODES} nodes, "
                f"{limits.NESTING} deep; write repeated parts as loops, with mg.scan"
            )
        self._sizes[graph] = (size, depth)

    def _written(self, graph: Graph) -> Json:
        values = named(graph)
        json = {
            "name": graph.name[: limits.NAME],
            "inputs": [spec_text(x.spec) for x in graph.inputs],
            "captures": [self._capture(x) for x in graph.captures],
            "nodes": [self._node(graph, node, values) for node in graph.nodes],
            "outputs": [values[y] for y in graph.outputs],
        }
        if "present" in graph.cache:
            json["present"] = list(graph.cache["present"])
        return json

    def _capture(self, x: Any) -> Json:
        """What an input of a graph is bound to; None where the caller alone knows it."""
        if type(x) is Tensor or isinstance(x, Cell):
            kind, place = self.refer(x)
            return {kind: place}
        return None

    def _node(self, graph: Graph, node: Node, values: dict[Any, str]) -> Json:
        op = node.op
        if is_unsaved(op) or OPS.get(op.name) is not op:
            raise SaveError(
                f"{graph.name} was to be saved with a node {op.name} of {node.where} in it: it is "
                "no op that another process would know; save the function it was made of"
            )
        self.ops[op.name] = OP_VERSIONS.get(op.name, 1)
        inputs = node.inputs
        if op.name in PYTHON:
            attrs = self._python(graph, node)
            inputs = inputs[: node.attrs.get("count", len(inputs))]
        else:
            attrs = {k: self._attribute(graph, node, k, v) for k, v in plain(node).items()}
        json: Json = {"op": op.name, "inputs": [self._input(graph, x, values) for x in inputs]}
        json["outputs"] = [spec_text(y.spec) for y in node.outputs]
        if attrs:
            json["attrs"] = attrs
        where = node.where
        # without the folder, which is nobody's business
        json["at"] = f"{os.path.basename(where.code.co_filename)[:200]}:{where.line}"
        return json

    def _input(self, graph: Graph, x: Any, values: dict[Any, str]) -> Json:
        if type(x) is Symbol and x in values:
            return values[x]
        if isinstance(x, Cell):
            return {"variable": self.refer(x)[1]}
        try:
            return to_json(x, self.refer)
        except Unsaveable as why:
            raise unsaveable(f"an input of a node in {graph.name}", why) from None

    def _attribute(self, graph: Graph, node: Node, name: str, value: Any) -> Json:
        if node.op.name == "custom_gradient" and name == "backward" and type(value) is not Graph:
            raise SaveError(
                f"{graph.name} was to be saved with a custom_gradient of {node.where} in it whose "
                "rule is a Python function: a rule becomes a graph where a traced tensor goes into "
                "the function or comes out of it, and here only constants do; leave the "
                "custom_gradient out, or give it an argument of the traced function"
            )
        try:
            return to_json(value, self.refer)
        except Unsaveable as why:
            what = f"the attribute {name!r} of {node.op.name} at {node.where} in {graph.name}"
            raise unsaveable(what, why) from None

    def _python(self, graph: Graph, node: Node) -> Json:
        """The attributes of a node that runs Python which the loader will bind."""
        body = node.attrs["body"]
        if not self.is_named(body):
            raise refusal(graph.name, node, "its body is Python, which nothing sees into")
        if node.op.name == "py_function" and any(
            x is node.outputs[-1] for step in graph.nodes for x in step.inputs
        ):
            raise refusal(
                graph.name, node, "a derivative of it is taken here, which needs what it uses"
            )
        leaves = iter([to_json(spec, self.refer) for spec in body.specs])
        declared = nest_to_json(body.structure, leaves, self.refer)
        self.bound[body.name] = {"door": body.door, "Tout": declared}
        how = {k: v for k, v in node.attrs.items() if k == "vmap_method"}
        return {"callback": body.name, "Tout": declared, **how}

    # the file

    def members(self, manifest: dict[str, Json]) -> dict[str, bytes | Array]:
        """The members of the file, the manifest first."""
        variables = [
            {
                "name": cell.name,
                "path": self.paths.get(cell),
                "spec": str(cell.spec),
                "trainable": cell.trainable,
            }
            for cell in self.variables
        ]
        head = {
            **manifest,
            "ops": dict(sorted(self.ops.items())),
            "callbacks": self.bound,
            "variables": variables,
            "constants": [str(x.spec) for x in self.constants],
        }
        members: dict[str, bytes | Array] = {
            "manifest.json": json_bytes(head),
            "graphs.json": json_bytes(self.graphs),
        }
        for i, cell in enumerate(self.variables):
            members[f"variables/{i}.npy"] = cell._value
        for i, x in enumerate(self.constants):
            members[f"constants/{i}.npy"] = x._value
        return members

    def check_names(self) -> None:
        """Raise SaveError for a name of `callbacks` that no body has."""
        if missing := [name for name, body in self.named.items() if body is None]:
            raise SaveError(
                f"callbacks={list(self.named)} was given, and nothing that is saved calls Python "
                f"by the name {missing[0]!r}: a name is that of the function, or the name= of "
                "the mg.numpy_function or mg.py_function; correct it, or leave it out"
            )


def plain(node: Node) -> dict[str, Any]:
    """The attributes of `node`, but what the loader finds out by itself, and folders."""
    attrs = dict(node.attrs)
    if node.op.name == "custom_gradient":
        del attrs["specs"]
    if node.op.name == "escaped":
        attrs["where"] = os.path.basename(attrs["where"])
    return attrs
