"""Names of other libraries: the error says what they are here."""

import re
from functools import reduce
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.neighbours.attributes import ATTRIBUTES
from minigrad.neighbours.names import ELSEWHERE, unknown
from tests.unit.modes import everywhere, words

NAMESPACES = (mg, mg.fft, mg.linalg, mg.nn, mg.optimizers, mg.random, mg.special)


def check_hinted(text: str) -> None:
    """Assert that all names of the package in `text` are there."""
    for hinted in re.findall(r"mg\.([a-zA-Z_][\w.]*)", text):
        for k, part in enumerate(parts := hinted.split(".")):
            assert hasattr(reduce(getattr, parts[:k], mg), part), hinted


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_of_another_library_is_not_here_and_its_hint_is(name: str) -> None:
    *space, last = name.split(".")
    module = ".".join(["minigrad", *space])
    with pytest.raises(AttributeError, match=f"{module} has no '{last}'; write mg") as error:
        reduce(getattr, name.split("."), mg)
    check_hinted(str(error.value))


@everywhere
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_what_other_tensors_have_is_told_here(mode: Any, name: str) -> None:
    def ask(x: Any) -> Any:
        assert not hasattr(x, name) and getattr(x, name, None) is None and name not in dir(x)
        assert not hasattr(type(x), name)
        return getattr(x, name)

    with pytest.raises(
        AttributeError, match=f"a tensor has no attribute '{name}'.*write "
    ) as error:
        mode(ask)(mg.ones(2))
    check_hinted(str(error.value))
    assert hasattr(mg.Variable(1.0), name) == name.startswith("assign")


def test_the_words_for_an_attribute() -> None:
    common = "it has those of the array API standard, others are functions; write "
    for name, remedy in {
        "sum": "mg.sum(x)",
        "backward": "mg.grad(f)(x), or tape.gradient(y, x) of a mg.GradientTape",
        "detach": "mg.stop_gradient(x)",
        "mul_": "x = x + 1, or x = x.at[i].set(y), as a tensor never changes, "
        "or v.assign(y) of a Variable",
    }.items():
        with pytest.raises(AttributeError) as error:
            getattr(mg.ones(2), name)
        assert words(error.value) == f"a tensor has no attribute {name!r}: {common}{remedy}"
    assert {"shape", "numpy", "at", "__add__"} <= {*dir(mg.ones(2))}


def test_protocols_that_tensors_do_not_have_are_not_there() -> None:
    x = mg.ones(2)
    assert not hasattr(x, "__array_interface__") and not hasattr(x, "_repr_png_")
    assert np.asarray(x).tolist() == [1, 1]


@pytest.mark.parametrize("space", NAMESPACES)
def test_dir_lists_the_public_names_and_no_others(space: Any) -> None:
    assert dir(space) == sorted(space.__all__)
    assert all(hasattr(space, name) for name in space.__all__)


def test_a_slip_of_the_pen_is_seen() -> None:
    assert unknown("sqroot", mg.__all__).startswith("minigrad has no 'sqroot'; write mg.sqrt")
    assert unknown("zzz", mg.__all__) == "minigrad has no 'zzz'; dir(minigrad) lists what it has"
    assert not hasattr(mg, "__wrapped__")
    with pytest.raises(AttributeError, match=r"minigrad.nn has no 'rellu'; write mg.nn.relu"):
        _ = mg.nn.rellu  # type: ignore[attr-defined]
