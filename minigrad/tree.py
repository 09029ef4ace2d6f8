"""Nests of lists, tuples, dicts, named tuples and dataclasses: taken apart, and put together."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from .errors import SpecError


class Structure(NamedTuple):
    """What remains of a nest when its leaves are taken out; hashable, comparable.

    kind: the type of the container, or None for a leaf. keys: of a dict, or field names.
    """

    kind: type | None
    keys: tuple[Any, ...]
    children: tuple[Structure, ...]

    def __repr__(self) -> str:
        return repr(unflatten(self, [STAR] * count(self)))


class _Star:
    def __repr__(self) -> str:
        return "*"


STAR = _Star()
LEAF = Structure(None, (), ())
LEAVES: set[type] = set()  # types met that are no containers: asked once each


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """Leaves of `tree`, in order, and its structure. Any other object, None too, is a leaf."""
    if type(tree) in LEAVES:
        return [tree], LEAF
    leaves: list[Any] = []
    return leaves, _collect(tree, leaves)


def _collect(tree: Any, leaves: list[Any]) -> Structure:
    kind = type(tree)
    if kind in LEAVES:
        leaves.append(tree)
        return LEAF
    if kind is list or kind is tuple:
        for part in tree:
            if type(part) not in LEAVES:
                break
        else:  # the common nest, at a third of the time
            leaves += tree
            return tuple.__new__(Structure, (kind, (), (LEAF,) * len(tree)))
    parts = _open(tree)
    if parts is None:
        LEAVES.add(kind)
        leaves.append(tree)
        return LEAF
    keys, values = parts
    return Structure(kind, keys, tuple([_collect(value, leaves) for value in values]))


def _open(tree: Any) -> tuple[tuple[Any, ...], Any] | None:
    kind = type(tree)
    if kind is tuple or kind is list:
        return (), tree
    if kind is dict:
        return tuple(tree), tree.values()
    if isinstance(tree, tuple) and hasattr(kind, "_fields"):
        return tuple(kind._fields), tree
    if dataclasses.is_dataclass(kind):
        names = tuple(field.name for field in dataclasses.fields(tree) if field.init)
        return names, [getattr(tree, name) for name in names]
    return None


def unflatten(structure: Structure, leaves: Any) -> Any:
    """The nest of `structure` whose leaves are `leaves`, in order.

    Raises SpecError where their numbers differ.
    """
    leaves = list(leaves)
    kind, _, children = structure
    if kind is None and len(leaves) == 1:
        return leaves[0]
    if kind is list and children.count(LEAF) == len(children) == len(leaves):
        return leaves  # the common case, at a third of the time
    if len(leaves) != count(structure):
        raise SpecError(
            f"a nest of {count(structure)} leaves was to be filled with {len(leaves)}; "
            "each place takes one value; pass as many as the structure has"
        )
    return _build(structure, iter(leaves))


def _build(structure: Structure, leaves: Iterator[Any]) -> Any:
    kind, keys, children = structure
    if kind is None:
        return next(leaves)
    values = [_build(child, leaves) for child in children]
    if kind is list:
        return values
    if kind is tuple:
        return tuple(values)
    if kind is dict:
        return dict(zip(keys, values, strict=True))
    if issubclass(kind, tuple):
        return kind(*values)
    return kind(**dict(zip(keys, values, strict=True)))


def builder(structure: Structure) -> Callable[[Any], Any]:
    """As `unflatten` of `structure`, made once, for sequences of the right number of leaves.

    It is written as Python, some 100 ns where `unflatten` walks the structure in some microseconds.
    """
    names: dict[str, Any] = {}
    numbers = itertools.count()

    def written(part: Structure) -> str:
        kind, keys, children = part
        if kind is None:
            return f"y[{next(numbers)}]"
        inside = [written(child) for child in children]
        if kind is list:
            return f"[{', '.join(inside)}]"
        if kind is tuple:
            return f"({', '.join(inside)}{',' * (len(inside) == 1)})"
        name = f"n{len(names)}"
        names[name] = partial(_build, Structure(kind, keys, (LEAF,) * len(children)))
        return f"{name}(iter([{', '.join(inside)}]))"

    made: Callable[[Any], Any] = eval(f"lambda y: {written(structure)}", names)
    return made


def flatten_like(structure: Structure, tree: Any) -> list[Any]:
    """What stands in `tree` where `structure` has its leaves; nests may stand there, too.

    Lists may stand for tuples, and the keys of dicts come in any order. Raises SpecError where
    `tree` has another container, key or length than `structure`.
    """
    try:
        return _like(structure, tree)
    except SpecError:
        raise SpecError(
            f"a nest like {structure!r} was wanted, and {flatten(tree)[1]!r} came: containers, "
            "keys and lengths must be equal; rearrange it"
        ) from None


def _like(structure: Structure, tree: Any) -> list[Any]:
    if structure.kind is None:
        return [tree]
    if type(tree) is dict and structure.kind is dict and tree.keys() == set(structure.keys):
        tree = {key: tree[key] for key in structure.keys}
    parts = _open(tree)
    rows = (list, tuple)
    if (
        parts is None
        or not (type(tree) is structure.kind or (type(tree) in rows and structure.kind in rows))
        or parts[0] != structure.keys
        or len(parts[1]) != len(structure.children)
    ):
        raise SpecError("the nests differ")
    pairs = zip(structure.children, parts[1], strict=True)
    return [leaf for child, value in pairs for leaf in _like(child, value)]


def places(structure: Structure, other: Structure) -> list[int] | None:
    """Where each leaf of `structure` stands among those of `other`; None where the nests differ.

    The keys of dicts come in any order.
    """
    if structure.kind is not other.kind or len(structure.children) != len(other.children):
        return None
    if structure.kind is None:
        return [0]
    order: Any = range(len(structure.children))
    if structure.keys != other.keys:
        if structure.kind is not dict or set(structure.keys) != set(other.keys):
            return None
        order = [other.keys.index(key) for key in structure.keys]
    starts = [0, *itertools.accumulate(count(child) for child in other.children)]
    found: list[int] = []
    for child, i in zip(structure.children, order, strict=True):
        inside = places(child, other.children[i])
        if inside is None:
            return None
        found += [starts[i] + place for place in inside]
    return found


def leaves_as(structure: Structure, tree: Any) -> list[Any] | None:
    """The leaves of `tree`, in the order of `structure`; None where it is another nest."""
    leaves, form = flatten(tree)
    if form == structure:
        return leaves
    order = places(structure, form)
    return None if order is None else [leaves[i] for i in order]


def count(structure: Structure) -> int:
    """How many leaves `structure` has."""
    if structure.kind is None:
        return 1
    return sum(count(child) for child in structure.children)


def map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`function` of each leaf of `tree`, and of the leaves in the same places of `others`.

    Raises SpecError where a structure differs from that of `tree`.
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in others:
        other_leaves, other_structure = flatten(other)
        if other_structure != structure:
            raise SpecError(
                f"two nests were to be walked together: {structure!r} and {other_structure!r}; "
                "their structures must be equal; rearrange one of them"
            )
        columns.append(other_leaves)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])


def paths(tree: Any, root: str = "") -> list[str]:
    """The place of each leaf as Python would write it: `x[0]['w'].bias`."""
    parts = _open(tree)
    if parts is None:
        return [root]
    keys, values = parts
    if type(tree) is dict:
        steps = [f"[{key!r}]" for key in keys]
    elif keys:
        steps = [f".{key}" for key in keys]
    else:
        steps = [f"[{i}]" for i in range(len(values))]
    return [
        path
        for step, value in zip(steps, values, strict=True)
        for path in paths(value, root + step)
    ]
