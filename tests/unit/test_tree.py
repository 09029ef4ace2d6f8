"""Nests: taken apart, put together, and told apart."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest

from minigrad import tree
from minigrad.errors import SpecError

Point = namedtuple("Point", "x y")


@dataclass
class Layer:
    w: Any
    b: Any = None
    cache: Any = field(default=0, init=False)


@dataclass(frozen=True)
class Frozen:
    value: Any


NESTS = [
    1,
    None,
    [],
    (),
    {},
    [1, (2, {"a": 3, "b": [4]}), Point(5, Layer(6, [7]))],
    {"z": 1, "a": {"y": 2}, 3: 4},
    Frozen(Frozen((1, 2))),
    "text",
    [[], [[]], ((),)],
]


@pytest.mark.parametrize("nest", NESTS, ids=repr)
def test_what_is_taken_apart_is_put_together_again(nest: Any) -> None:
    leaves, structure = tree.flatten(nest)
    again = tree.unflatten(structure, leaves)
    assert again == nest and type(again) is type(nest)
    assert tree.count(structure) == len(leaves) == len(tree.paths(nest))
    assert hash(structure) == hash(tree.flatten(again)[1])


def test_leaves_come_in_the_order_of_python() -> None:
    assert tree.flatten(NESTS[5])[0] == [1, 2, 3, 4, 5, 6, 7]
    assert tree.flatten({"z": 1, "a": 2})[0] == [1, 2]


def test_structures_differ_by_container_key_and_length() -> None:
    different = [[1], (1,), {"a": 1}, {"b": 1}, [1, 2], [[1]], 1, Layer(1), Frozen(1), [None, 1]]
    structures = [tree.flatten(nest)[1] for nest in different]
    assert len(set(structures)) == len(different) - 1  # [1, 2] and [None, 1] are alike


def test_other_objects_are_leaves() -> None:
    for leaf in ({1, 2}, OrderedDict(a=1), range(3), "ab", Layer, b"x", frozenset()):
        assert tree.flatten(leaf) == ([leaf], tree.LEAF)


def test_a_structure_prints_as_its_nest() -> None:
    assert repr(tree.flatten({"a": [1, (2,)], "b": None})[1]) == "{'a': [*, (*,)], 'b': *}"


def test_too_few_or_many_leaves_are_refused() -> None:
    structure = tree.flatten([1, (2, 3)])[1]
    for leaves in ([1, 2], [1, 2, 3, 4], []):
        with pytest.raises(SpecError, match=f"3 leaves was to be filled with {len(leaves)}"):
            tree.unflatten(structure, leaves)


def test_nests_may_stand_where_a_leaf_does() -> None:
    structure = tree.flatten({"a": 0, "b": [0, 0]})[1]
    assert tree.flatten_like(structure, {"b": ([1, 2], 3), "a": {"x": 4}}) == [{"x": 4}, [1, 2], 3]
    with pytest.raises(SpecError) as error:
        tree.flatten_like(structure, {"a": 0, "b": [1, 2, 3]})
    assert str(error.value) == (
        "a nest like {'a': *, 'b': [*, *]} was wanted, and {'a': *, 'b': [*, *, *]} came: "
        "containers, keys and lengths must be equal; rearrange it"
    )


@pytest.mark.parametrize("nest", NESTS, ids=repr)
def test_a_builder_builds_what_unflatten_builds(nest: Any) -> None:
    leaves, structure = tree.flatten(nest)
    build = tree.builder(structure)
    for given in (leaves, [object() for _ in leaves]):
        again = build(tuple(given))
        assert again == tree.unflatten(structure, given)
        assert tree.flatten(again) == (given, structure)


@pytest.mark.parametrize("wrong", [{"a": 0}, {"a": 0, "c": [1, 2]}, {"a": 0, "b": 1}, [0, [1, 2]]])
def test_another_nest_is_refused(wrong: Any) -> None:
    structure = tree.flatten({"a": 0, "b": [0, 0]})[1]
    with pytest.raises(SpecError, match="was wanted, and"):
        tree.flatten_like(structure, wrong)


def test_map_walks_several_nests_together() -> None:
    a, b = {"x": 1, "y": [2]}, {"x": 10, "y": [20]}
    assert tree.map(lambda x, y: x + y, a, b) == {"x": 11, "y": [22]}
    with pytest.raises(SpecError, match="two nests were to be walked together"):
        tree.map(lambda x, y: x, a, {"x": 1, "y": 2})


def test_paths_are_written_as_python_would() -> None:
    nest = {"w": [1, Point(2, Layer(3))], 4: 5}
    assert tree.paths(nest, "x") == [
        "x['w'][0]",
        "x['w'][1].x",
        "x['w'][1].y.w",
        "x['w'][1].y.b",
        "x[4]",
    ]


@pytest.mark.parametrize(
    "ours, theirs, expected",
    [
        (1, 2, [0]),
        ([1, (2, 3)], [4, (5, 6)], [0, 1, 2]),
        ({"a": 1, "b": 2}, {"b": 1, "a": 2}, [1, 0]),
        ({"a": [1, 2], "b": 3, "c": {}}, {"c": {}, "b": 1, "a": [2, 3]}, [1, 2, 0]),
        ([{"a": 1, "b": 2}, 3], [{"b": 1, "a": 2}, 3], [1, 0, 2]),
        ({"a": 1}, {"b": 1}, None),
        ({"a": 1, "b": 2}, {"a": 1}, None),
        ({"a": {"x": 1}, "b": 2}, {"b": 1, "a": {"y": 2}}, None),
        ([1, 2], (1, 2), None),
        ([1, 2], [1], None),
        (Point(1, 2), (1, 2), None),
    ],
)
def test_leaves_are_found_in_a_nest_whose_keys_come_in_another_order(
    ours: Any, theirs: Any, expected: Any
) -> None:
    structure, other = (tree.flatten(nest)[1] for nest in (ours, theirs))
    assert tree.places(structure, other) == expected
