"""Files changed at random: each is a model, or an error in our words; and none does harm."""

import copy
import io
import json
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.errors import SaveError, UncompilableError
from minigrad.saved_model.model import dumped, loaded, read
from tests.unit.saved_model.doctored import members, one_graph, packed
from tests.unit.saved_model.models import MODELS

FILES = {name: dumped(build()) for name, build in MODELS.items()}


def harmless(data: bytes) -> None:
    """Load `data`: a model, or an error of ours."""
    try:
        loaded(data)
    except (SaveError, UncompilableError) as error:
        assert str(error)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_bytes_that_were_flipped(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    found = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    harmless(bytes(found))


STRANGE = st.one_of(
    st.sampled_from([None, True, -1, 0, 1, 2, 3, 2**40, 2**63, 0.5, "", "v0", "v1", "v7", "*"]),
    st.sampled_from(
        ["float32[3]", "float64[...]", "object", "bool[]", [], {}, [0], [None], "call"]
    ),
    st.sampled_from([{"graph": 0}, {"constant": 0}, {"variable": 0}, {"dtype": "int8"}]),
    st.sampled_from([{"tuple": ["*"]}, {"value": 1}, {"list": []}, {"float": "nan"}]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    if type(value) not in (dict, list):
        return [path]
    inner = value.items() if type(value) is dict else enumerate(value)
    return [path, *[p for key, part in inner for p in places(part, (*path, key))]]


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_json_that_was_edited(data: st.DataObject) -> None:
    """One or two entries replaced by strange ones, moved, dropped or doubled."""
    parts = members(FILES[data.draw(st.sampled_from(sorted(FILES)))])
    member = data.draw(st.sampled_from(["manifest.json", "graphs.json", "graphs.json"]))
    whole = json.loads(parts[member])
    for _ in range(data.draw(st.integers(1, 2))):
        paths = [path for path in places(whole) if path]
        path = data.draw(st.sampled_from(paths)) if paths else ()
        if not path:
            break
        place = whole
        for step in path[:-1]:
            place = place[step]
        match data.draw(st.sampled_from(["replace", "drop", "copy", "double"])):
            case "replace":
                place[path[-1]] = copy.deepcopy(data.draw(STRANGE))
            case "drop":
                del place[path[-1]]
            case "double" if type(place) is list:
                place.insert(path[-1], copy.deepcopy(place[path[-1]]))
            case _:
                other = whole
                for step in data.draw(st.sampled_from(paths)):
                    other = other[step]
                place[path[-1]] = copy.deepcopy(other)
    harmless(packed(parts | {member: json.dumps(whole).encode()}))


def test_what_survives_the_fuzz_can_be_called_without_harm() -> None:
    """Every op put in the place of `sin`: it is refused, or it runs, or it says what is wrong."""
    survivors = 0
    for name in mg.core.registry.OPS:
        for count in (1, 2):
            data = one_graph({"op": name, "inputs": ["v0"] * count, "outputs": ["float32[3]"]})
            for jit in (False, True):
                try:
                    f = read(io.BytesIO(data), {}, jit)
                except (SaveError, UncompilableError):
                    continue
                survivors += 1
                with np.errstate(all="ignore"):
                    try:
                        y = f(mg.ones(3))
                    except Exception:
                        continue
                assert y.shape == (3,)
    assert survivors > 40
