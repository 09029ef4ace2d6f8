"""Ops that a test defines go when it ends."""

from collections.abc import Iterator

import pytest

from minigrad.core.registry import OPS


@pytest.fixture(autouse=True)
def without_traces() -> Iterator[None]:
    known = dict(OPS)
    yield
    OPS.clear()
    OPS.update(known)
