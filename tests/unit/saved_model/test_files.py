"""The file itself: readable, equal for equal models, written at once, versioned, and kept."""

import json
import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SaveError
from minigrad.saved_model import archive, load, save
from minigrad.saved_model.model import dumped, loaded
from tests.unit.saved_model.doctored import doctored
from tests.unit.saved_model.models import GOLDEN, MODELS, Network, Point


def test_a_file_is_a_stored_zip_of_json_and_npy(tmp_path: Path) -> None:
    save(Network(), tmp_path / "model.mg")
    with zipfile.ZipFile(tmp_path / "model.mg") as file:
        names = file.namelist()
        assert names[:2] == ["manifest.json", "graphs.json"]
        assert names[2:6] == [f"variables/{i}.npy" for i in range(4)]
        assert names[6:] == ["constants/0.npy"]
        assert {member.compress_type for member in file.infolist()} == {zipfile.ZIP_STORED}
        head = json.loads(file.read("manifest.json"))
        graphs = file.read("graphs.json").decode()
    assert head["format_version"] == 1 and head["minigrad"] == mg.__version__
    assert head["ops"]["tanh"] == 1
    assert head["variables"][0] == {
        "name": "w",
        "path": "w",
        "spec": "float32[3,4]",
        "trainable": True,
    }
    # one row per node; the file of the user's line, and not the folder
    assert (
        '{"op": "matrix_product", "inputs": ["v0", "v7"], "outputs": ["float32[?,4]"], '
        '"at": "models.py:' in graphs
    )
    assert str(Path(__file__).parent) not in graphs


def test_weights_can_be_read_by_numpy_alone(tmp_path: Path) -> None:
    model = Network()
    save(model, tmp_path / "model.mg")
    with zipfile.ZipFile(tmp_path / "model.mg") as file, file.open("variables/0.npy") as member:
        np.testing.assert_array_equal(np.load(member, allow_pickle=False), model.w.numpy())


def test_equal_models_are_equal_files() -> None:
    assert dumped(Network()) == dumped(Network())


@pytest.mark.parametrize("dtype", [d for d in mg.core.spec.DTYPES if d != "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_kept_in_every_dtype_and_order(dtype: str, order: Any) -> None:
    value = np.asarray(np.arange(6).reshape(2, 3), dtype, order=order)
    f = mg.function(lambda: mg.constant(value) * 1, input_signature=[])
    variable = mg.Variable(value)
    g = mg.function(lambda: variable.value(), input_signature=[])
    for found in (loaded(dumped(f))(), loaded(dumped(g))()):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, value)


# writing


def test_a_crash_leaves_the_old_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "model.mg"
    save(MODELS["control"](), path)
    before = path.read_bytes()

    def crash(*args: Any) -> None:
        raise KeyboardInterrupt

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(archive.os, name, crash)
            with pytest.raises(KeyboardInterrupt):
                save(Network(), path)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["model.mg"]
    save(Network(), path)
    assert path.read_bytes() != before


def test_what_is_being_written_is_nobody_elses(tmp_path: Path, monkeypatch: Any) -> None:
    seen = []
    replace = os.replace

    def looked(source: str, target: str) -> None:
        seen.append((os.stat(os.path.dirname(source)).st_mode & 0o777, os.path.dirname(source)))
        replace(source, target)

    monkeypatch.setattr(archive.os, "replace", looked)
    save(MODELS["control"](), tmp_path / "model.mg")
    assert seen[0][0] == 0o700 and seen[0][1].startswith(str(tmp_path))
    umask = os.umask(0)
    os.umask(umask)
    assert os.stat(tmp_path / "model.mg").st_mode & 0o777 == 0o666 & ~umask


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.mg").write_bytes(b"")
    (tmp_path / "link.mg").symlink_to(tmp_path / "real.mg")
    save(MODELS["control"](), tmp_path / "link.mg")
    assert (tmp_path / "link.mg").is_symlink()
    assert (tmp_path / "real.mg").read_bytes() == dumped(MODELS["control"]())


def test_threads_that_save_to_one_path_leave_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "model.mg"
    models = [Network(), MODELS["control"]()]
    for model in models:
        dumped(model)  # traced
    threads = [threading.Thread(target=save, args=(m, path)) for m in models * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in [dumped(model) for model in models]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_file_is_pythons_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing.mg")


# versions


def edited(change: Any) -> bytes:
    """A file whose manifest was changed."""
    return doctored(dumped(MODELS["control"]()), manifest=change)


def test_a_format_of_the_future_says_which_minigrad_wrote_it() -> None:
    data = edited(lambda head: head | {"format_version": 2, "minigrad": "9.9"})
    with pytest.raises(SaveError, match=r"format version 2.*minigrad 9\.9.*versions up to 1"):
        loaded(data)


@pytest.mark.parametrize(
    ("ops", "words"),
    [({"exp": 2}, "'exp' in version 2.*has version 1"), ({"expo": 1}, "'expo'.*does not have it")],
)
def test_an_op_of_another_version_is_named(ops: Any, words: str) -> None:
    data = edited(lambda head: head | {"ops": head["ops"] | ops, "minigrad": "9.9"})
    with pytest.raises(SaveError, match=f"{words}"):
        loaded(data)
    with pytest.raises(SaveError, match=r"minigrad 9\.9"):
        loaded(data)


# files of this format version, which must be read as long as 1.x lives


X = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
CALLS: dict[str, Any] = {
    "network": lambda m: [
        m.predict(mg.constant(X[:, :3])),
        m.loss(mg.constant(X[:2, :3])),
        m.lookup(2.0)[0],
        *m.variables,
    ],
    "control": lambda f: [f(mg.constant([0.5, 1.0, -3.0], mg.float64)), mg.grad(f)(np.ones(3))],
    "nests": lambda f: [f(Point(mg.ones(2), mg.zeros(3)))[0]],
    "attributes": lambda f: [*f(mg.constant(X))],
    "python": lambda f: [mg.grad(lambda x: mg.sum(f(x)))(np.array([0.5, 2.0]))],
}


def test_every_model_has_a_golden_file() -> None:
    assert {path.name for path in GOLDEN.glob("v1-*.mg")} == {f"v1-{name}.mg" for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_a_golden_file_is_still_what_it_was(name: str) -> None:
    model = MODELS[name]()
    found = load(GOLDEN / f"v1-{name}.mg")
    ours, theirs = (CALLS[name](one) for one in (model, found))
    for y, z in zip(ours, theirs, strict=True):
        if name == "nests":
            y, z = y.x, z["x"]
        np.testing.assert_allclose(np.asarray(z), np.asarray(y), rtol=1e-6)
