"""Attributes, specs and nests as JSON, and back: a closed set of values, each of them exact.

None, booleans, ints, finite floats and strings are themselves, a tuple is an array. Everything
else is an object of one key that names its kind::

    {"float": "inf"}  {"complex": [0.0, 1.0]}  {"list": [1, 2]}  {"ellipsis": true}
    {"dtype": "float32"}  {"spec": "float32[?,3]"}  {"graph": 0}  {"constant": 2}
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Iterator
from types import EllipsisType
from typing import Any

import numpy as np

from ..core.spec import DTYPES, OPAQUE, Shape, Spec
from ..errors import SaveError
from ..graph import Graph
from ..tree import LEAF, Structure
from . import limits
from .limits import damaged, require

Json = Any
# what stands for a graph or tensor: the kind and the place in the list of its kind
Refer = Callable[[Any], tuple[str, int]]
Look = Callable[[str, Any], Any]

SPECIAL_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
SPEC = re.compile(r"(\w{1,16})\[(\.\.\.|(?:\?|\d{1,19})(?:,(?:\?|\d{1,19}))*|)\]", re.ASCII)


class Unsaveable(Exception):  # noqa: N818  (never leaves the package)
    """A value that has no form in a file; who catches it knows where the value stood."""


# values


def to_json(value: Any, refer: Refer) -> Json:
    """`value` as JSON. refer: gives kind and place of a Graph or Tensor, for it may be shared.

    Raises Unsaveable for what is none of the kinds.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        if abs(value) < limits.INTEGER:
            return value
    elif kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    elif kind is complex:
        return {"complex": [to_json(value.real, refer), to_json(value.imag, refer)]}
    elif kind is tuple or kind is list:
        if len(value) <= limits.TUPLE:
            parts = [to_json(part, refer) for part in value]
            return parts if kind is tuple else {"list": parts}
    elif kind is EllipsisType:
        return {"ellipsis": True}
    elif isinstance(value, np.dtype) and value.name in DTYPES:
        return {"dtype": value.name}
    elif kind is Spec:
        name = {} if value.name is None else {"name": str(value.name)}
        return {"spec": spec_text(value), **name}
    elif kind is Graph or hasattr(value, "__array_priority__"):
        where, place = refer(value)
        return {where: place}
    raise Unsaveable(f"{kind.__name__} {value!r:.60}")


def from_json(value: Json, look: Look, depth: int = 0) -> Any:
    """What `to_json` wrote. look: gives what stands at a place in the list of a kind."""
    require(depth <= limits.NESTING, "a value is nested too deeply")
    kind = type(value)
    if value is None or kind in (bool, str, float):
        return value
    if kind is int:
        require(abs(value) < limits.INTEGER, f"a number of {value.bit_length()} bits")
        return value
    if kind is list:
        require(len(value) <= limits.TUPLE, f"an attribute of {len(value)} entries")
        return tuple([from_json(part, look, depth + 1) for part in value])
    name = "spec" if kind is dict and "spec" in value else only_key(value)
    inner = value[name]
    match name:
        case "float" if type(inner) is str and inner in SPECIAL_FLOATS:
            return SPECIAL_FLOATS[inner]
        case "complex" if type(inner) is list and len(inner) == 2:
            parts = [from_json(part, look, depth + 1) for part in inner]
            require(all(type(part) is float for part in parts), "a complex number of no floats")
            return complex(*parts)
        case "list" if type(inner) is list:
            return list(from_json(inner, look, depth + 1))
        case "dtype" if type(inner) is str and inner in DTYPES:
            return DTYPES[inner]
        case "spec" if value.keys() <= {"spec", "name"}:
            spec = spec_from(inner)
            name = value.get("name")
            require(name is None or type(name) is str, "a spec of the name", name)
            return Spec(spec.shape, spec.dtype, name)
        case "ellipsis" if inner is True:
            return ...
        case "graph" | "constant":
            return look(name, inner)
    raise damaged(f"the value {reprlib.repr(value)}")


def only_key(value: Json) -> str:
    """The one key of an object."""
    require(type(value) is dict and len(value) == 1, "the value", value)
    return str(next(iter(value)))


# specs


def spec_text(spec: Spec) -> str:
    """A spec as `float32[2,?]`; that of a value that is no array as `object`."""
    return "object" if spec.dtype.kind == "O" else str(spec)


def spec_from(text: Json, *, opaque: bool = False) -> Spec:
    """The spec that `text` means. opaque: `object` is allowed."""
    if opaque and text == "object":
        return OPAQUE
    found = SPEC.fullmatch(text) if type(text) is str and len(text) < 2000 else None
    if found is None or found[1] not in DTYPES:
        raise damaged(f"the spec {reprlib.repr(text)}")
    return Spec(shape_from(found[2]), DTYPES[found[1]])


def shape_from(text: str) -> Shape:
    """The shape between the brackets of a spec."""
    if text == "...":
        return None
    dims = tuple([None if n == "?" else int(n) for n in text.split(",")]) if text else ()
    known = [n for n in dims if n]
    if len(dims) > limits.RANK or math.prod(known) > limits.ELEMENTS:
        raise damaged(f"the shape [{text:.60}]")
    return dims


# nests


def nest_to_json(structure: Structure, leaves: Iterator[Json], refer: Refer) -> Json:
    """A nest whose leaves are the JSON values `leaves`, in order.

    Named tuples and dataclasses are kept by their names of fields: a file names no classes.
    """
    kind, keys, children = structure
    if kind is None:
        return next(leaves)
    parts = [nest_to_json(child, leaves, refer) for child in children]
    if kind is list:
        return {"list": parts}
    if kind is tuple:
        return {"tuple": parts}
    name = "dict" if kind is dict else "fields"
    written = [to_json(key, refer) for key in keys]
    return {name: [list(pair) for pair in zip(written, parts, strict=True)]}


def nest_from_json(value: Json, leaf: Callable[[Json], Any]) -> tuple[Structure, list[Any]]:
    """The structure that `nest_to_json` wrote, and what `leaf` makes of its leaves.

    Where there were fields, a dict comes back.
    """
    leaves: list[Any] = []

    def opened(value: Json, depth: int) -> Structure:
        require(depth <= limits.NESTING, "a nest is nested too deeply")
        name = next(iter(value)) if type(value) is dict and len(value) == 1 else ""
        inner = value[name] if name in ("list", "tuple", "dict", "fields") else None
        if type(inner) is not list:
            leaves.append(leaf(value))
            return LEAF
        if name in ("list", "tuple"):
            kind = list if name == "list" else tuple
            return Structure(kind, (), tuple([opened(part, depth + 1) for part in inner]))
        require(
            all(type(pair) is list and len(pair) == 2 for pair in inner), f"a {name} of no pairs"
        )
        keys = tuple([from_json(pair[0], no_reference) for pair in inner])
        require(len(set(keys)) == len(keys), f"a {name} with equal keys")
        return Structure(dict, keys, tuple([opened(pair[1], depth + 1) for pair in inner]))

    return opened(value, 0), leaves


def no_reference(kind: str, place: Any) -> Any:
    """Raise SaveError: graphs and tensors are no keys."""
    raise damaged(f"a {kind} as a key")


def refer_to_none(value: Any) -> tuple[str, int]:
    """Raise Unsaveable: graphs and tensors are no Python values."""
    raise Unsaveable(f"{type(value).__name__} {value!r:.60}")


def unsaveable(what: str, why: Unsaveable) -> SaveError:
    """The error of a value that stands at `what` and has no form in a file."""
    return SaveError(
        f"{what} was to be saved, and is {why}: files hold tensors, Variables, numbers, strings, "
        "None, dtypes and TensorSpecs, and lists, tuples and dicts of them, but no other objects; "
        "let the function close over it, or pass one of these"
    )
