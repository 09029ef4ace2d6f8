"""Dtypes as the array API standard has them: promotion, casts, kinds, limits, defaults."""

import array
import itertools
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SpecError
from tests.conformance.standard import DTYPES

SIGNED, UNSIGNED = (("int8", "int16", "int32", "int64"), ("uint8", "uint16", "uint32", "uint64"))


def promoted(a: str, b: str) -> str | None:
    """The dtype that the standard's tables give to two together; None where they give none."""
    for row in (("bool",), SIGNED, UNSIGNED):
        if a in row and b in row:
            return max(a, b, key=row.index)
    floats = {"float32": (0, 32), "float64": (0, 64), "complex64": (1, 32), "complex128": (1, 64)}
    if a in floats and b in floats:
        kind, bits = map(max, floats[a], floats[b])
        return {(0, 32): "float32", (0, 64): "float64", (1, 32): "complex64"}.get(
            (kind, bits), "complex128"
        )
    if {a, b} & set(SIGNED) and {a, b} & set(UNSIGNED):
        signed, unsigned = (a, b) if a in SIGNED else (b, a)
        place = max(SIGNED.index(signed), UNSIGNED.index(unsigned) + 1)
        return SIGNED[place] if place < len(SIGNED) else None
    return None


PAIRS = [pair for pair in itertools.product(DTYPES, DTYPES) if promoted(*pair)]


def test_the_tables_of_promotion_are_whole() -> None:
    assert len(PAIRS) == 1 + 16 + 16 + 16 + 2 * (4 * 4 - 4)
    assert promoted("int8", "uint32") == "int64"
    assert promoted("uint64", "int64") is promoted("int32", "float32") is None


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_dtypes_promote_as_the_standard_says(a: str, b: str) -> None:
    wanted = promoted(a, b)
    x, y = mg.ones((), dtype=a), mg.ones((2,), dtype=b)
    assert mg.result_type(a, b) == mg.result_type(x, b) == mg.result_type(x, y) == wanted
    assert mg.add(x, y).dtype == mg.multiply(y, x).dtype == mg.where(True, x, y).dtype == wanted
    assert mg.concat([x[None], y]).dtype == wanted
    assert mg.can_cast(a, wanted) and mg.can_cast(y, wanted)
    assert mg.can_cast(wanted, a) == (a == wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_numbers_are_weak(dtype: str) -> None:
    x = mg.ones(2, dtype=dtype)
    numbers: list[Any] = [True]
    numbers += [] if x.dtype.kind == "b" else [1]
    numbers += [1.0] if x.dtype.kind in "fc" else []
    numbers += [1j] if x.dtype.kind == "c" else []
    for number in numbers:
        assert mg.result_type(x, number) == mg.result_type(number, dtype) == dtype
        assert (x * number).dtype == (number * x).dtype == dtype


def test_numbers_alone_have_the_default_dtypes() -> None:
    info = mg.__array_namespace_info__()
    for number, kind in ((1, "integral"), (1.0, "real floating"), (1j, "complex floating")):
        default = info.default_dtypes(device="cpu")[kind]
        assert mg.result_type(number) == mg.asarray(number).dtype == default
        assert mg.isdtype(default, kind)
    assert mg.result_type(True, 1) == mg.int32
    assert info.default_dtypes()["indexing"] == mg.argsort(mg.ones(2)).dtype
    with pytest.raises(SpecError, match="nothing came"):
        mg.result_type()


def test_integers_beyond_int64_stay_integers() -> None:
    x = mg.asarray([2**63 + 1, 1])
    assert x.dtype == mg.uint64
    assert x.numpy().tolist() == [2**63 + 1, 1]
    with pytest.raises(SpecError, match="rectangular and numeric"):
        mg.asarray([2**63, -1])


def test_buffers_keep_their_dtype() -> None:
    for code, dtype in (("d", mg.float64), ("b", mg.int8), ("Q", mg.uint64)):
        numbers = array.array(code, [1, 2])
        for buffer in (numbers, memoryview(numbers)):
            assert mg.asarray(buffer).dtype == dtype
            assert mg.asarray(buffer).numpy().tolist() == [1, 2]
    assert mg.asarray(range(3)).dtype == mg.int32


@pytest.mark.parametrize("name", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
def test_totals_are_as_wide_as_the_default_integer_at_least(name: str) -> None:
    wide = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32"}
    wide["uint16"] = "uint32"
    for dtype in DTYPES:
        x = mg.ones(3, dtype=dtype)
        assert getattr(mg, name)(x).dtype == wide.get(dtype, dtype)
        assert getattr(mg, name)(x, dtype=mg.float64).dtype == mg.float64


# kinds and limits


def test_kinds_are_those_of_the_standard() -> None:
    info = mg.__array_namespace_info__()
    assert info.dtypes() == {name: np.dtype(name) for name in DTYPES}
    for kind in ("bool", "signed integer", "unsigned integer", "real floating", "complex floating"):
        found = info.dtypes(kind=kind, device="cpu")
        assert found == {
            name: np.dtype(name) for name in DTYPES if mg.isdtype(np.dtype(name), kind)
        }
        assert found
    both = info.dtypes(kind=("bool", "integral"))
    assert both == info.dtypes(kind="bool") | info.dtypes(kind="integral")
    assert mg.isdtype(mg.float16, "real floating")
    assert mg.isdtype(mg.int8, (mg.bool, "integral")) and mg.isdtype(mg.int8, mg.int8)
    assert not mg.isdtype(mg.int8, mg.int16) and not mg.isdtype(mg.bool, "numeric")
    with pytest.raises(SpecError, match="the kind 'floating' came"):
        mg.isdtype(mg.int8, "floating")
    with pytest.raises(SpecError, match="computes on"):
        info.dtypes(device="gpu")


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "bool"])
def test_limits_are_python_numbers(dtype: str) -> None:
    floating = np.dtype(dtype).kind in "fc"
    limits = getattr(mg, "finfo" if floating else "iinfo")
    for found in (limits(dtype), limits(np.dtype(dtype)), limits(mg.ones(1, dtype=dtype))):
        theirs = np.finfo(dtype) if floating else np.iinfo(dtype)
        assert (found.bits, found.max, found.min) == (theirs.bits, theirs.max, theirs.min)
        assert {type(found.max), type(found.min)} == {float if floating else int}
        assert found.dtype == np.empty(0, dtype).real.dtype
        if floating:
            assert (found.eps, found.smallest_normal) == (theirs.eps, theirs.smallest_normal)
    with pytest.raises(SpecError, match="write mg"):
        getattr(mg, "iinfo" if floating else "finfo")(dtype)


def test_the_library_says_what_it_can() -> None:
    info = mg.__array_namespace_info__()
    assert info.capabilities() == {
        "boolean indexing": True,
        "data-dependent shapes": True,
        "max dimensions": 64,
    }
    assert mg.ones((1,) * 64).ndim == 64
    assert info.default_device() in info.devices() == ("cpu",)
