"""Programs that an earlier process has compiled: what is recalled, and what must not be."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import minigrad as mg
from minigrad import fingerprints, recipes, runners
from minigrad.codegen import packing, spelling
from minigrad.codegen.spelling import UnknownError, value
from minigrad.core.later import BEGUN
from minigrad.core.spec import Spec
from minigrad.fingerprints import fingerprint
from minigrad.graph import Graph, trace
from tests.unit.codegen.native import needs_llvm

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
W = np.linspace(1, 2, 20, dtype=np.float32).reshape(4, 5)
LARGE = np.linspace(-1, 1, 1 << 20, dtype=np.float32).reshape(1024, 1024)


@pytest.fixture(autouse=True)
def known_sources() -> Iterator[None]:
    """Files that were changed a moment ago would have no fingerprint, and tests nothing to do."""
    fingerprints.surroundings.cache_clear()
    with patch.object(fingerprints, "sources", lambda: [("some.py", 1, 2)]):
        yield
    fingerprints.surroundings.cache_clear()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty cache: the directory its files will be in."""
    # what an earlier test has loaded would have no object here
    with patch.dict(os.environ, MINIGRAD_CACHE_DIR=str(tmp_path)), patch.dict(packing.SQUARES):
        packing.SQUARES.clear()
        packing.begin_square.cache_clear()
        spelling.GRAPHS.clear()
        yield tmp_path / "objects"


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """Let compiling fail: what still works was recalled."""

    def refuse(graph: Graph) -> Any:
        raise AssertionError(f"{graph.name} was compiled, and not recalled")

    with patch("minigrad.compiler.compiled", refuse), patch("minigrad.compiler.program", refuse):
        yield


def bits(ys: Any) -> list[bytes]:
    """The elements of some tensors."""
    return [y.numpy().tobytes() for y in (ys if isinstance(ys, (tuple, list)) else [ys])]


weight = mg.Variable(W)
captured = mg.constant(W)
number = mg.constant(2.5)


def trained(x: Any) -> Any:
    with mg.GradientTape() as tape:
        loss = mg.mean((mg.nn.relu(x @ weight) - 1.0) ** 2)
    weight.assign_sub(0.1 * tape.gradient(loss, weight))
    return loss, weight + 0


def masked(x: Any) -> Any:
    return mg.where(mg.constant(X > 0), x, mg.constant(X) * 3)


def rounds(x: Any) -> Any:
    return mg.fori_loop(0, 5, lambda i, s: mg.sin(s) + 0.5, x)


PROGRAMS: dict[str, tuple[Callable[..., Any], Any]] = {
    "one kernel": (lambda x: mg.sin(x) + 1, X),
    "one product": (lambda x: x @ captured, X),
    "several kernels": (lambda x: mg.nn.softmax(mg.tanh(x @ captured), axis=-1), X),
    "a Variable, written": (trained, X),
    "a captured number": (lambda x: x * number, X),
    "constants": (masked, X),
    "rounds of a loop": (rounds, X),
    "threads and packed operands": (lambda x: mg.sum(mg.exp(x @ x.T), axis=0), LARGE),
    "a look-up": (lambda x: mg.take(x, mg.argmax(x, axis=1), axis=1), X),
    "no result": (lambda x: [weight.assign(weight * 2)][1:] or None, X),
}


@needs_llvm
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_recalled_does_the_same(name: str) -> None:
    f, x = PROGRAMS[name]
    outcomes = []
    for again in (False, True):
        weight.assign(W)
        compiled = mg.function(f, jit_compile=True)
        if again:
            with nothing_compiled():
                results = [compiled(mg.constant(x)) for _ in range(3)]
        else:
            results = [compiled(mg.constant(x)) for _ in range(3)]
        outcomes.append([bits(y) for y in results if y is not None] + [bits(weight + 0)])
    assert outcomes[0] == outcomes[1]


@needs_llvm
def test_what_is_recalled_says_no_in_the_same_words() -> None:
    def picked(x: Any, k: Any) -> Any:
        return mg.take(x * 2, k, axis=1)

    messages = []
    for _ in range(2):
        compiled = mg.function(picked, jit_compile=True)
        compiled(mg.constant(X), mg.constant([1, 2]))
        with pytest.raises(mg.errors.MinigradError) as caught:
            compiled(mg.constant(X), mg.constant([1, 7]))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@needs_llvm
def test_each_shape_of_a_graph_of_unknown_dims_is_recalled() -> None:
    specs = [mg.TensorSpec((None, 4), mg.float32)]
    for again in (False, True):
        f = mg.function(lambda x: mg.cos(x), input_signature=specs, jit_compile=True)
        if again:
            with nothing_compiled():
                assert f(mg.constant(X)).shape == (3, 4) and f(mg.constant(X[:2])).shape == (2, 4)
        else:
            f(mg.constant(X)), f(mg.constant(X[:2]))


@needs_llvm
def test_another_process_recalls_it(tmp_path: Path) -> None:
    code = (
        "import sys, minigrad as mg, numpy as np\n"
        "f = mg.function(lambda x: mg.sum(mg.sin(x) * 2, axis=0), jit_compile=True)\n"
        "y = f(mg.constant(np.arange(12.0).reshape(3, 4)))\n"
        "print(y.numpy().tobytes().hex(), 'minigrad.compiler' in sys.modules)"
    )
    package = Path(mg.__file__).parent
    copied = tmp_path / "minigrad"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("__pycache__"))
    time.sleep(fingerprints.SETTLED / 1e9)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def said() -> list[str]:
        command = [sys.executable, "-c", code]
        found = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return found.stdout.split()

    first, second = said(), said()
    assert (first[1], second[1]) == ("True", "False") and first[0] == second[0]
    with (copied / "passes" / "dce.py").open("a") as file:
        file.write("\n")
    assert said()[1] == "True"
    time.sleep(fingerprints.SETTLED / 1e9)
    assert said()[0] == first[0] and said()[1] == "False"


@needs_llvm
@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:40] + b"x" * 60, None])
def test_a_recipe_that_is_damaged_or_lacks_an_object_is_written_anew(
    folder: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    f, x = PROGRAMS["several kernels"]
    first = bits(mg.function(f, jit_compile=True)(mg.constant(x)))
    keys = [recipes.key_of(mg.function(f, jit_compile=True).graph_for(mg.constant(x)))]
    objects = [path for path in folder.iterdir() if path.name not in keys]
    for path in [folder / str(keys[0])] if damage else objects:
        path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    spelling.GRAPHS.clear()  # as in another process, which has no code yet
    for _ in range(2):
        assert bits(mg.function(f, jit_compile=True)(mg.constant(x))) == first
    with nothing_compiled():
        assert bits(mg.function(f, jit_compile=True)(mg.constant(x))) == first


@needs_llvm
def test_nothing_is_remembered_of_source_that_changed_before_it_was_read(folder: Path) -> None:
    fingerprints.surroundings()
    changed = patch.object(fingerprints, "sources", lambda: [("some.py", 1, 3)])
    with changed, patch.object(fingerprints, "read", {"minigrad.compiler"}):
        mg.function(lambda x: x + 1, jit_compile=True)(mg.constant(X))
    with pytest.raises(AssertionError, match="was compiled"), nothing_compiled():
        mg.function(lambda x: x + 1, jit_compile=True)(mg.constant(X))


@needs_llvm
def test_a_module_that_is_read_later_is_to_be_what_it_was(tmp_path: Path) -> None:
    late, path = ModuleType("minigrad.late"), tmp_path / "late.py"
    path.write_text("1")
    late.__file__ = str(path)
    fingerprints.surroundings.cache_clear()
    there = [*fingerprints.files_below(str(tmp_path))]
    with patch.object(fingerprints, "sources", lambda: there):
        fingerprints.surroundings()
        with patch.dict(sys.modules, {"minigrad.late": late}):
            path.write_text("22")
            assert not fingerprints.unchanged()
            path.unlink()
            assert not fingerprints.unchanged()
        with patch.object(fingerprints, "sources", list):  # it changed, but nothing was read of it
            assert fingerprints.unchanged()


def test_files_that_may_still_change_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name, age in (("a.py", 100), ("inner/b.py", 50)):
        (tmp_path / name).write_text("1")
        os.utime(tmp_path / name, ns=(0, BEGUN - age * 10**9))
    found = fingerprints.files_below(str(tmp_path))
    assert sorted(Path(name).name for name, *_ in found) == ["a.py", "b.py"]
    with patch.object(fingerprints, "PACKAGE", tmp_path):
        assert sources_of(tmp_path) is None  # they were put there after this process began
        with patch.object(fingerprints, "BEGUN", time.time_ns() + 2 * fingerprints.SETTLED):
            before = sources_of(tmp_path)
            assert before is not None
            times = (tmp_path / "a.py").stat()
            (tmp_path / "a.py").write_text("2")  # the size stays, and so does the time of a change
            os.utime(tmp_path / "a.py", ns=(times.st_atime_ns, times.st_mtime_ns))
            assert sources_of(tmp_path) != before
        assert sources_of(tmp_path / "nowhere") is None


def sources_of(folder: Path) -> Any:
    """What `sources` says of the package in `folder`."""
    with patch.object(fingerprints, "PACKAGE", folder):
        return SOURCES()


SOURCES = fingerprints.sources

# what decides, and what does not


def graph_of(f: Callable[..., Any], *specs: Any) -> Graph:
    """The graph of a function that gives one tensor."""
    wanted = [Spec(*spec) for spec in specs] or [Spec((3, 4), "float32")]
    return trace(lambda *xs: [f(*xs)], wanted)[0]


NAN = float("nan")
APART: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda k, x: x + k, (1, 1.0, 2, -0.0, 0.0, NAN, -NAN, 1j)),
    (lambda k, x: x + mg.constant(k), (1.0, 2.0, np.float64(1.0), -0.0, 0.0)),
    (lambda k, x: x + mg.constant(k * W[:3, :4]), (1, 2)),
    (lambda axis, x: mg.sum(x, axis=axis), (0, 1, (0, 1))),
    (lambda f, x: f(f(x)), (mg.sin, mg.cos, mg.tanh, lambda x: x, lambda x: mg.sin(mg.sin(x)))),
    (lambda place, x: x[place], (slice(0, 1), slice(0, 2), slice(1, 2), slice(None), 0)),
    (lambda shape, x: mg.sin(mg.reshape(x, shape)), ((12,), (4, 3), (1, 12))),
    (lambda dtype, x: mg.astype(x, dtype), ("float64", "int32", "int64", "bool")),
    (lambda turned, x: x - x[0] if turned else x[0] - x, (False, True)),
    (lambda k, x: mg.function(lambda x: x * k)(x), (1, 2)),
    (lambda k, x: mg.fori_loop(0, k, lambda i, s: s * 2, x), (2, 3)),
    (lambda k, x: mg.cond(x[0, 0] > 0, lambda: x * k, lambda: x), (2, 3)),
]


@needs_llvm
@pytest.mark.parametrize(("f", "choices"), APART)
def test_what_decides_the_code_decides_the_fingerprint(
    f: Callable[..., Any], choices: tuple[Any, ...]
) -> None:
    found = [fingerprint(graph_of(partial(f, choice))) for choice in choices]
    assert None not in found and len(set(found)) == len(choices)


@needs_llvm
def test_shapes_and_dtypes_decide_the_fingerprint() -> None:
    specs = [((3,),), ((4,),), ((3,), "float64"), ((3, 1),), ((3,), "int32")]
    found = [fingerprint(graph_of(lambda x: x + x, spec)) for spec in specs]
    assert None not in found and len(set(found)) == len(specs)


@needs_llvm
def test_names_and_lines_decide_nothing() -> None:
    def other(z: Any) -> Any:
        return mg.sin(z) + 1

    assert fingerprint(graph_of(lambda x: mg.sin(x) + 1)) == fingerprint(graph_of(other))


@needs_llvm
def test_the_order_of_results_decides() -> None:
    specs = [Spec((3,), "float32")]
    one = trace(lambda x: [mg.sin(x), mg.cos(x)], specs)[0]
    two = trace(lambda x: (ys := [mg.sin(x), mg.cos(x)]) and ys[::-1], specs)[0]
    assert fingerprint(one) != fingerprint(two)


@needs_llvm
def test_what_surrounds_the_graph_decides() -> None:
    graph = graph_of(mg.sin)
    found = [fingerprint(graph)]
    for name in ("MINIGRAD_CPU", "MINIGRAD_SOMETHING", "OPENBLAS_CORETYPE"):
        fingerprints.surroundings.cache_clear()
        with patch.dict(os.environ, {name: "other"}):
            found.append(fingerprint(graph))
    fingerprints.surroundings.cache_clear()
    with patch.object(fingerprints, "sources", lambda: [("some.py", 1, 3)]):
        found.append(fingerprint(graph))
    fingerprints.surroundings.cache_clear()
    assert len(set(found)) == 5 and fingerprint(graph) == found[0]


def test_what_is_not_known_has_no_fingerprint() -> None:
    class Mine:
        pass

    for x in (Mine(), lambda x: x, {1, 2}, np.dtype("f4,f4"), mg.Variable(1.0)):
        with pytest.raises(UnknownError):
            value(x, lambda graph: {})


@needs_llvm
def test_ops_of_others_have_no_fingerprint() -> None:
    def twice(x: Any, /) -> Any:
        return x * 2

    op = mg.define.pointwise(lambda b, x: b.add(x, x))(twice)
    try:
        assert fingerprint(graph_of(op)) is None
        y = mg.function(op, jit_compile=True)(mg.constant(X))
        np.testing.assert_array_equal(y.numpy(), X * 2)
    finally:
        del mg.core.registry.OPS["twice"]


@needs_llvm
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_recipe_says_how_code_is_called(name: str) -> None:
    f, x = PROGRAMS[name]
    graph = mg.function(f, jit_compile=True).graph_for(mg.constant(x))
    native = runners.alone(graph)
    assert native is not None
    code, signature = native
    found = recipes.followed(recipes.recipe(code, signature))
    assert found is not None and found[1] == signature and found[0].addresses != code.addresses
