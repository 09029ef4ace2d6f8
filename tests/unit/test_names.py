"""Names of other libraries: the error says what they are here."""

import re

import pytest

import minigrad as mg
from minigrad.neighbours.names import ELSEWHERE, unknown


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_of_another_library_is_not_here_and_its_hint_is(name: str) -> None:
    with pytest.raises(AttributeError, match=f"minigrad has no '{name}'; write mg") as error:
        getattr(mg, name)
    for hinted in re.findall(r"mg\.([a-zA-Z_][\w.]*)", str(error.value)):
        space = mg
        for part in hinted.split("."):
            assert hasattr(space, part), hinted
            space = getattr(space, part)


def test_a_slip_of_the_pen_is_seen() -> None:
    assert unknown("sqroot", mg.__all__).startswith("minigrad has no 'sqroot'; write mg.sqrt")
    assert unknown("zzz", mg.__all__) == "minigrad has no 'zzz'; dir(minigrad) lists what it has"
    assert not hasattr(mg, "__wrapped__")
