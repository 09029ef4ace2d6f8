"""Functions as JSON: their parameters, and for each signature a graph and two nests."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from .. import tree
from ..concrete import ConcreteFunction
from ..core.spec import Spec
from ..core.tensor import Symbol
from ..errors import SaveError
from . import limits
from .limits import require
from .loaded import LoadedConcrete, LoadedFunction, owned
from .read import Reader, taken
from .values import (
    Json,
    Unsaveable,
    from_json,
    nest_from_json,
    nest_to_json,
    no_reference,
    refer_to_none,
    to_json,
    unsaveable,
)
from .write import Writer

KINDS = {kind.name: kind for kind in inspect._ParameterKind}
TENSOR = "*"  # a leaf of a nest that is a tensor


class Unsaved:
    """A default value that was no part of the file; an argument without it fits nothing."""

    def __repr__(self) -> str:
        return "<not saved>"


# writing


def function_to_json(path: str | None, function: Any, writer: Writer, signatures: Any) -> Json:
    """A Function, or a concrete one by itself.

    signatures: the arguments of `get_concrete_function`, for each graph to be saved; None for all
    that there are.
    """
    if isinstance(function, ConcreteFunction):
        traces = [trace_to_json(function, writer)]
        json: Json = {"path": path, "kind": "concrete", "name": function.name}
        json |= {"jit_compile": function.jit, "parameters": None, "input_signature": None}
        if function.signature is not None:
            json["parameters"] = parameters_to_json(function.signature)
        return {**json, "doc": None, "traces": traces}
    wanted = [trace_to_json(one, writer) for one in concretes_of(function, signatures)]
    declared = None
    if function.input_signature is not None:
        specs, structure = tree.flatten(function.input_signature)
        leaves = iter([to_json(spec, refer_to_none) for spec in specs])
        declared = nest_to_json(structure, leaves, refer_to_none)
    return {
        "path": path,
        "kind": "function",
        "name": function.name,
        "jit_compile": function.jit_compile,
        "parameters": parameters_to_json(function.signature),
        "input_signature": declared,
        "doc": inspect.getdoc(function.python_function),
        "traces": wanted,
    }


def concretes_of(function: Any, signatures: Any) -> list[ConcreteFunction]:
    """The concrete functions of a Function that are to be saved."""
    if signatures is not None:
        return [
            function.get_concrete_function(*(one if isinstance(one, (tuple, list)) else (one,)))
            for one in signatures
        ]
    if isinstance(function, LoadedFunction):
        return list(function.concrete_functions)
    if not function._concrete and function.input_signature is not None:
        return [function.get_concrete_function()]
    return list(function._concrete.values())


def trace_to_json(concrete: ConcreteFunction, writer: Writer) -> Json:
    """The graph of one signature, with the nests of arguments and results."""
    name = concrete.name
    if any(isinstance(x, Symbol) for x in concrete.graph.captures):
        raise SaveError(
            f"{name} was to be saved, and its graph uses a tensor of the trace in which it was "
            "made: that has no value outside; pass the tensor as an argument"
        )
    arguments = leaves_to_json(concrete.statics, f"an argument of {name}")
    results = leaves_to_json(concrete.constants, f"a result of {name}")
    try:
        return {
            "graph": writer.graph(concrete.graph),
            "arguments": nest_to_json(concrete.structure, arguments, refer_to_none),
            "results": nest_to_json(concrete.result, results, refer_to_none),
        }
    except Unsaveable as why:
        raise unsaveable(f"a key of a dict among arguments or results of {name}", why) from None


def leaves_to_json(statics: Sequence[Any], what: str) -> Iterator[Json]:
    """The leaves of a nest: tensors, and Python values as they are."""
    try:
        values = [None if s is None else to_json(s[0], refer_to_none) for s in statics]
    except Unsaveable as why:
        raise unsaveable(what, why) from None
    pairs = zip(statics, values, strict=True)
    return iter([TENSOR if s is None else {"value": value} for s, value in pairs])


def parameters_to_json(signature: inspect.Signature) -> Json:
    """The parameters of a Python function; a default that no file can hold is left out."""
    rows = []
    for p in signature.parameters.values():
        row: dict[str, Json] = {"name": p.name, "kind": p.kind.name}
        if p.default is not p.empty:
            try:
                row["default"] = {"value": to_json(p.default, refer_to_none)}
            except Unsaveable:
                row["default"] = {}
        rows.append(row)
    return rows


# reading


def function_from_json(json: Json, reader: Reader) -> tuple[str | None, Any]:
    """The path of a function, and the function."""
    path, kind, name, jit, parameters, declared, doc, traces = taken(
        json,
        "a function",
        **{"path": str | None, "kind": str, "name": str, "jit_compile": bool},
        **{"parameters": list | None, "input_signature": dict | None, "doc": str | None},
        traces=list,
    )
    require(len(name) <= limits.NAME and traces, f"a function {name!r:.40} without graphs")
    jit = jit if reader.jit is None else reader.jit
    signature = None if parameters is None else parameters_from_json(parameters)
    made = [trace_from_json(trace, reader, jit, signature) for trace in traces]
    for concrete in made:
        concrete.check_compilable()
    if kind == "concrete":
        require(len(made) == 1, f"a concrete function {name!r:.40} of several graphs")
        return path, made[0]
    require(kind == "function" and signature is not None, f"a {kind!r:.20} without parameters")
    return path, LoadedFunction(
        name,
        signature or inspect.Signature(),
        made,
        input_signature=None if declared is None else specs_from_json(declared),
        jit_compile=jit,
        doc=doc,
    )


def trace_from_json(
    json: Json, reader: Reader, jit: bool, signature: inspect.Signature | None
) -> LoadedConcrete:
    """A concrete function, whose nests have places for what its graph takes and gives."""
    place, arguments, results = taken(json, "a trace", graph=int, arguments=dict, results=object)
    graph = reader.look("graph", place)
    structure, statics = nest_from_json(arguments, leaf)
    result, constants = nest_from_json(results, leaf)
    whole = structure.kind is tuple and [part.kind for part in structure.children] == [tuple, dict]
    require(whole, f"arguments of {graph.name} that are no arguments")
    named = all(type(key) is str for key in structure.children[1].keys)
    require(named, f"arguments of {graph.name} by other names than strings")
    for x, role in zip(graph.arguments, reader.roles[graph], strict=False):
        require(role in (None, "a tensor"), f"{graph.name} taking {role} as an argument {x.spec}")
    bound = all(x is not None for x in graph.captures)
    require(bound, f"{graph.name} with an input that nothing is bound to")
    require(all(y.dtype.kind != "O" for y in graph.outputs), f"{graph.name} giving no tensor")
    for leaves, symbols in ((statics, graph.arguments), (constants, graph.outputs)):
        require(leaves.count(None) == len(symbols), f"a nest that does not fit {graph.name}")
    made = LoadedConcrete(
        graph, structure, statics, result, constants, jit=jit, signature=signature
    )
    made.variables = owned(graph)
    return made


def leaf(json: Json) -> Any:
    """None for a tensor, else the Python value in a tuple."""
    if json == TENSOR:
        return None
    require(type(json) is dict and json.keys() == {"value"}, "the leaf", json)
    return (from_json(json["value"], no_reference),)


def specs_from_json(json: Json) -> Any:
    """An `input_signature`."""
    structure, specs = nest_from_json(json, lambda part: from_json(part, no_reference))
    require(all(type(spec) is Spec for spec in specs), "an input_signature of no TensorSpecs")
    require(structure.kind is tuple, "an input_signature that is no tuple")
    return tree.unflatten(structure, specs)


def parameters_from_json(rows: Json) -> inspect.Signature:
    """The signature of a Python function."""
    require(len(rows) <= limits.NAME, f"{len(rows)} parameters")
    parameters = []
    for row in rows:
        name, kind, default = taken(row, "a parameter", name=str, kind=str, default=dict | None)
        require(kind in KINDS and name.isidentifier(), f"a parameter {name!r:.40}, {kind!r:.40}")
        value: Any = inspect.Parameter.empty
        if default is not None:
            value = from_json(default["value"], no_reference) if "value" in default else Unsaved()
        parameters.append(inspect.Parameter(name, KINDS[kind], default=value))
    return inspect.Signature(parameters)
