"""What every test runs under: a Hypothesis profile, and a compile cache of its own."""

import os
import tempfile
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import settings

from minigrad import runners
from minigrad.codegen import spelling

# SciPy and scikit-learn ask for it when they are first imported, to take tensors as they are
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# deadline=None: the first example of a compiled law pays for the compiler
settings.register_profile("dev", max_examples=10, deadline=None)
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("long", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_cache_dir = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Compile into a fresh directory, so that no test is answered by what an older run left.

    The workers of pytest-xdist inherit it: what one has compiled, the other need not.
    """
    if not hasattr(config, "workerinput"):
        config.stash[_cache_dir] = tempfile.TemporaryDirectory(prefix="minigrad-tests-")
        os.environ["MINIGRAD_CACHE_DIR"] = config.stash[_cache_dir].name


@pytest.fixture(autouse=True)
def compiled_as_patched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Neither recall nor remember what a test compiles that patches the compiler."""
    if "monkeypatch" not in request.fixturenames:
        yield
        return
    spelling.GRAPHS.clear()
    with (
        patch.object(runners, "recalled", lambda graph: None),
        patch.object(runners, "remember", lambda graph, native: None),
    ):
        yield
    spelling.GRAPHS.clear()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the compile cache of this run."""
    if _cache_dir in config.stash:
        config.stash[_cache_dir].cleanup()
