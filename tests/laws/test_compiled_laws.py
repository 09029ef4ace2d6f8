"""Compiled code against NumPy, on every dtype, odd sizes and odd memory: a few of `make fuzz`."""

import warnings
from typing import Any
from unittest.mock import patch

import pytest

from tools.fuzz import Check
from tools.programs import Program


@pytest.mark.parametrize("seed", range(24))
def test_a_random_program_compiles_to_what_numpy_computes(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        Check(Program(seed)).run()


def test_a_difference_is_seen() -> None:
    def compiled_wrong(f: Any, **_: Any) -> Any:
        return lambda *xs: [y * 1.5 + 1 if y.dtype.kind == "f" else y for y in f(*xs)]

    program = Program(0)
    Check(program).run()
    with patch("minigrad.function", compiled_wrong), pytest.raises(AssertionError):
        Check(program).run()
