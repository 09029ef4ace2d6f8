"""Every name of the array API standard is there, and takes what the standard lets people pass."""

import inspect
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SpecError
from minigrad.neighbours.protocols import API_VERSIONS
from tests.conformance.standard import (
    ATTRIBUTES,
    CONSTANTS,
    DTYPES,
    EXTENSIONS,
    FUNCTIONS,
    INSPECTION,
    METHODS,
    OPERATORS,
    VERSION,
    departures,
    parsed,
)


@pytest.mark.parametrize("line", FUNCTIONS)
def test_functions_have_the_signature_of_the_standard(line: str) -> None:
    name, standard = parsed(line)
    assert departures(inspect.signature(getattr(mg, name)), standard) == []
    assert name in mg.__all__


@pytest.mark.parametrize(("extension", "line"), EXTENSIONS)
def test_extensions_have_the_signatures_of_the_standard(extension: str, line: str) -> None:
    name, standard = parsed(line)
    module = getattr(mg, extension)
    assert departures(inspect.signature(getattr(module, name)), standard) == []
    assert name in module.__all__ and extension in mg.__all__


@pytest.mark.parametrize("line", METHODS)
def test_methods_have_the_signature_of_the_standard(line: str) -> None:
    name, standard = parsed(line)
    assert departures(inspect.signature(getattr(mg.Tensor, name)), standard) == []


@pytest.mark.parametrize("line", INSPECTION)
def test_what_is_asked_of_the_library_has_the_signature_of_the_standard(line: str) -> None:
    name, standard = parsed(line)
    info = mg.__array_namespace_info__()
    assert departures(inspect.signature(getattr(info, name)), standard) == []


@pytest.mark.parametrize(
    ("ours", "complaint"),
    [
        ("f(x, *, n=1)", "m=2 is missing"),
        ("f(x, *, n=1, m)", "m=2 is m="),
        ("f(x, *, n=1, m=3)", "m=2 is m=3 by default"),
        ("f(x, /, n=1, m=2, *, k)", "k must be given"),
        ("f(n, m=2, /, x=0)", "n=1 is missing"),
        ("f(x, m=2, n=1, /)", "m=2 is not taken by name"),
        ("f(*x, n=1, m=2)", "x is *x"),
    ],
)
def test_departures_from_a_signature_are_seen(ours: str, complaint: str) -> None:
    standard = parsed("f(x, /, *, n=1, m=2)")[1]
    assert departures(standard, standard) == []
    assert departures(parsed("f(x, n=1, m=2, k=0)")[1], standard) == []
    assert any(line.startswith(complaint) for line in departures(parsed(ours)[1], standard))


def test_departures_of_arguments_by_place_are_seen() -> None:
    standard = parsed("f(x, /, axis)")[1]
    assert departures(parsed("f(x, n=1, axis=0)")[1], standard) == ["axis is not at place 1"]
    assert departures(parsed("f(x, *, axis)")[1], standard) == ["axis is not at place 1"]


def test_constants_dtypes_and_attributes_are_there() -> None:
    assert all(name in mg.__all__ for name in (*CONSTANTS, *DTYPES))
    assert set(mg.__all__) <= set(dir(mg))
    assert (mg.e, mg.pi, mg.inf, mg.newaxis) == (np.e, np.pi, np.inf, None)
    assert np.isnan(mg.nan)
    assert [np.dtype(name) for name in DTYPES] == [getattr(mg, name) for name in DTYPES]
    x = mg.ones((2, 3))
    assert [getattr(x, name) is not None for name in ATTRIBUTES] == [True] * len(ATTRIBUTES)


def test_the_version_is_stated_and_others_can_be_asked_for() -> None:
    assert mg.__array_api_version__ == VERSION == API_VERSIONS[-1]
    x = mg.ones(2)
    assert all(x.__array_namespace__(api_version=v) is mg for v in (None, *API_VERSIONS))
    with pytest.raises(SpecError, match=r"'2020\.12' was asked for"):
        x.__array_namespace__(api_version="2020.12")


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_in_place_leave_the_tensor_and_rebind_the_name(name: str) -> None:
    # the standard lets libraries whose arrays never change fall back on the operators
    assert not hasattr(mg.Tensor, f"__i{name}__")
    symbols = {"add": "+", "mod": "%", "mul": "*", "pow": "**", "sub": "-", "floordiv": "//"}
    symbols |= {"truediv": "/", "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>"}
    integers = name in ("and", "or", "xor", "lshift", "rshift")
    x = y = mg.constant([[1, 2], [3, 4]], mg.int32 if integers else mg.float32)
    space: dict[str, Any] = {"x": x, "y": y}
    exec(f"x {symbols.get(name, '@')}= y", space)
    assert space["x"] is not y
    np.testing.assert_array_equal(space["x"].numpy(), getattr(y, f"__{name}__")(y).numpy())
    np.testing.assert_array_equal(y.numpy(), [[1, 2], [3, 4]])


def test_item_assignment_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"x = x\.at\[0\]\.set"):
        mg.ones(2)[0] = 1
