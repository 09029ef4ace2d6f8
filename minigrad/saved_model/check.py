"""Whether a node that a file describes is one that tracing could have written.

Its attributes have the types that the op's kernel declares; what comes out is inferred again; and
the graphs in it take and give what the node gives and takes. Everything raises SaveError.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from ..core.define import WAITING
from ..core.lowering import Reduce
from ..core.op import Op
from ..core.spec import SCALARS, Spec
from ..core.tensor import Symbol
from ..errors import SaveError
from ..graph import Graph
from .limits import damaged, require

# What a value is: of tensors and numbers, of Variables' cells, of records of runs
VALUE, CELL, RECORD = "a tensor", "a Variable", "the record of a run"
Roles = dict[Any, str]
CALLS = ("call", "stateful_call")
LOOPS = ("loop", "stateful_loop")
SWITCHES = ("switch", "stateful_switch")


# attributes


@functools.cache
def declared(op: Op) -> tuple[dict[str, Any], frozenset[str]]:
    """The attributes of `op` with their types, and the names of those without a default."""
    try:
        hints = get_type_hints(op.kernel)
    except NameError:  # of a name that only type checkers see
        hints = {}
    parameters = inspect.signature(op.kernel).parameters.values()
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    kinds = {p.name: hints.get(p.name, Any) for p in named}
    if op.name == "custom_gradient":
        kinds = {"count": int, "arguments": int, "backward": Graph}
    needed = kinds.keys() - {p.name for p in named if p.default is not p.empty}
    return kinds, frozenset(needed)


def check_attributes(op: Op, attrs: Mapping[str, Any]) -> None:
    """Each attribute is one of the op's, and of the type that it declares."""
    kinds, needed = declared(op)
    require(needed <= attrs.keys() <= kinds.keys(), f"the attributes {sorted(attrs)} of {op.name}")
    for name, value in attrs.items():
        fits = conforms(value, kinds[name])
        if name == "dtype":
            fits = isinstance(value, np.dtype)
        elif name == "axes" and isinstance(op.lower, Reduce) and fits and value is not None:
            fits = value == tuple(sorted(set(value))) and min(value, default=0) >= 0
        require(fits, f"{op.name} with {name} =", value)


def conforms(value: Any, kind: Any) -> bool:
    """Whether `value` is of the annotated type `kind`; True is no int, and 1 is no float."""
    if kind is Any:
        return True
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(conforms(value, part) for part in inner)
    if origin is tuple and type(value) is tuple:
        if inner[1:] == (...,):
            return all(conforms(part, inner[0]) for part in value)
        return len(value) == len(inner) and all(map(conforms, value, inner))
    if origin is not None:
        return type(value) in (tuple, list) and all(conforms(part, inner[0]) for part in value)
    return type(value) is kind or (kind is types.NoneType and value is None)


# what comes out


def inferred(op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> list[Spec]:
    """The specs of the outputs, by the op's own rule."""
    try:
        specs = op.infer(*inputs, **attrs)
    except SaveError:
        raise
    except Exception as error:
        raise damaged(f"{op.name} refuses: {type(error).__name__}: {error!s:.200}") from None
    return list(specs) if type(specs) is tuple else [specs]


def agreed(op: Op, stated: Sequence[Spec], found: Sequence[Spec]) -> list[Spec]:
    """What the file and the op say of the outputs together."""
    require(len(stated) == len(found), f"{op.name} of {len(stated)} outputs, not {len(found)}")
    for ours, theirs in zip(stated, found, strict=True):
        if not ours.is_compatible_with(theirs):
            raise damaged(f"{op.name} giving {ours} where it is {theirs}")
    return [both(ours, theirs) for ours, theirs in zip(stated, found, strict=True)]


def both(x: Spec, y: Spec) -> Spec:
    """What two specs of one tensor say together."""
    if x.shape is None or y.shape is None or x.dtype.kind == "O":
        return y if x.shape is None else x
    dims = [m if n is None else n for n, m in zip(x.shape, y.shape, strict=True)]
    return Spec(dims, x.dtype)


# the graphs in a node


def expected_roles(
    op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any], roles: Mapping[Graph, Any]
) -> Sequence[str | None]:
    """What each input of a node must be; None for what may be anything.

    roles: of the inputs of graphs. Raises SaveError where graphs among `attrs` do not fit.
    """
    count = len(inputs)
    if op.name in CALLS:
        graph = attrs["graph"]
        fits(op, graph, inputs)
        return list(roles[graph])
    if op.name in SWITCHES:
        return [VALUE, *switch_roles(op, inputs, attrs, roles)]
    if op.name in LOOPS:
        return loop_roles(op, inputs, attrs, roles)
    if op.name == "custom_gradient":
        check_custom(inputs, **attrs)
        return [VALUE] * attrs["count"] + [None] * (count - attrs["count"])
    if op.name == "replay":
        check_replay(count, **attrs)
        return [RECORD] + [None] * (count - 1)
    if op.name == "is_lossy":
        return [RECORD] * count
    if op.name == "at_known_rank":
        check_task(count, **attrs)
    if op.name in ("read_variable", "assign_variable"):
        return [CELL, VALUE][:count]
    return [VALUE] * count


def fits(op: Op, graph: Graph, inputs: Sequence[Any], what: str = "a graph") -> None:
    """The graph takes what it is given."""
    require(
        len(graph.inputs) == len(inputs),
        f"{op.name} with {len(inputs)} inputs for {what} that takes {len(graph.inputs)}",
    )
    for x, wanted in zip(inputs, graph.inputs, strict=True):
        if type(x) in SCALARS:
            require(wanted.shape in ((), None), f"{op.name} of a number where {wanted.spec} goes")
        else:
            good = x is not None and wanted.spec.is_compatible_with(x.spec)
            require(good, f"{op.name} of {getattr(x, 'spec', x)} where {wanted.spec} goes")


def merged(op: Op, columns: Sequence[Sequence[str | None]]) -> list[str | None]:
    """What each input must be for several graphs."""
    result: list[str | None] = []
    for column in zip(*columns, strict=True):
        several = {role for role in column if role is not None}
        require(len(several) < 2, f"{op.name} with an input that is {' and '.join(several)}")
        result.append(several.pop() if several else None)
    return result


def switch_roles(
    op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any], roles: Mapping[Graph, Any]
) -> list[str | None]:
    """The inputs of the branches, which all take the same, and give as much."""
    branches = attrs["branches"]
    require(branches and type(branches) is tuple and inputs, "a switch without branches or index")
    index = inputs[0]
    whole = type(index) in (int, bool) or (type(index) is Symbol and index.dtype.kind in "iub")
    require(whole and getattr(index, "shape", ()) in ((), None), "a switch by no whole number")
    kinds = [y.dtype for y in branches[0].outputs]
    for graph in branches:
        fits(op, graph, inputs[1:])
        require([y.dtype for y in graph.outputs] == kinds, "branches that give different things")
    return merged(op, [roles[graph] for graph in branches])


def loop_roles(
    op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any], roles: Mapping[Graph, Any]
) -> list[str | None]:
    """The inputs of a loop: what is carried and scanned are tensors; the rest is for the body."""
    condition, body = attrs["condition"], attrs["body"]
    carried, scanned, length = attrs["carried"], attrs["scanned"], attrs["length"]
    start = carried + scanned
    sound = min(carried, scanned, length or 0) >= 0 and start <= len(inputs)
    require(sound and (condition is None or not scanned), "a loop over more than it is given")
    require(condition is not None or scanned or length is not None, "a loop that nothing ends")
    slices = []
    for x in inputs[carried:start]:
        good = type(x) not in SCALARS and x is not None and x.shape != ()
        require(good, "a loop over something without a first axis")
        slices.append(Spec(None if x.shape is None else x.shape[1:], x.dtype))
    given = [*inputs[:carried], *slices, *inputs[start:]]
    fits(op, body, given, "a body")
    require(len(body.outputs) >= carried, "a loop that does not carry on what it carries")
    for x, y in zip(body.inputs[:carried], body.outputs, strict=False):
        same = x.dtype == y.dtype and x.shape == y.shape
        require(same, f"a loop that carries {x.spec} in and {y.spec} out")
    columns = [roles[body]]
    if condition is not None:
        fits(op, condition, given, "a condition")
        answer = [(y.dtype.kind, y.shape in ((), None)) for y in condition.outputs]
        require(answer == [("b", True)], "a loop whose condition is no truth value")
        columns.append(roles[condition])
    several = merged(op, columns)
    require(all(role in (VALUE, None) for role in several[:start]), "a loop that carries no tensor")
    return [VALUE] * start + several[start:]


def check_custom(
    inputs: Sequence[Any], count: int, arguments: int, backward: Graph, **_: Any
) -> None:
    """A hand-written rule takes one cotangent per result, and what it captures."""
    sound = count > 0 and arguments >= 0 and count + arguments <= len(inputs)
    require(sound, f"a custom_gradient of {count} results and {arguments} arguments")
    wanted = len(inputs) - arguments  # a cotangent for each result, and the captures
    require(len(backward.inputs) == wanted, "a custom_gradient whose rule takes something else")
    present = backward.cache.get("present")
    good = (
        present is not None and len(present) == arguments and sum(present) == len(backward.outputs)
    )
    require(good, "a custom_gradient whose rule gives something else")


def check_replay(count: int, program: Any, asked: Any, **_: Any) -> None:
    """The derivative of a run: what it is of, outermost last."""
    length = count - 1
    require(type(program) is tuple and program[-1:] == (asked,), "a replay that asks two things")
    while program != "body":
        require(type(program) is tuple and len(program) == 5 and program[0] == "vjp", "a replay")
        _, inner, n, given, needed = program
        sound = type(n) is int and conforms((given, needed), PLACES) and given and needed
        require(sound and n + len(given) == length, "a replay of another number of tensors")
        require(max(needed) < n and min(needed) >= 0, "a replay that asks for what is not there")
        program, length = inner, n


def check_task(count: int, task: Any) -> None:
    """A function that waited for ranks, or a derivative of one, outermost first."""
    while type(task) is tuple and len(task) == 5 and task[0] == "vjp":
        _, task, n, given, needed = task
        sound = type(n) is int and conforms((given, needed), PLACES) and given and needed
        require(sound and n + len(given) == count, "a derivative of another number of tensors")
        require(
            max(needed) < n and min((*given, *needed)) >= 0, "a derivative by what is not there"
        )
        count = n
    applies = type(task) is tuple and len(task) == 4 and task[0] == "apply"
    require(applies and type(task[1]) is str and task[1] in WAITING, "a function of unknown rank")
    require(type(task[2]) is tuple and type(task[3]) is tuple, "a function without arguments")


PLACES = tuple[tuple[int, ...], tuple[int, ...]]
