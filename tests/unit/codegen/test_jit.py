"""Compilation, loading and the cache of objects on disk."""

import ctypes
import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minigrad.codegen import cache, jit
from tests.unit.codegen.native import needs_llvm

IR = "define double @twice(double %x) {\n  %y = fadd double %x, %x\n  ret double %y\n}\n"
STACKED = """define double @twice(double %x) {
  %place = alloca double
  store double %x, ptr %place
  %again = load double, ptr %place
  %y = fadd double %x, %again
  ret double %y
}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache of objects: the directory its files will be in."""
    monkeypatch.setenv("MINIGRAD_CACHE_DIR", str(tmp_path))
    return tmp_path / "objects"


@pytest.fixture
def no_compiler(monkeypatch):
    """A function after whose call nothing can be compiled: what still works was cached."""

    def refuse(*args, **kwargs):
        raise AssertionError("compiled, though it should be in the cache")

    return lambda: monkeypatch.setattr(jit, "emit_object", refuse)


def call(code, x):
    """The function `twice` of `code` at x."""
    return ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(code["twice"])(x)


@needs_llvm
def test_a_module_is_compiled_and_called(folder):
    assert call(jit.compile_module(IR, ["twice"]), 1.5) == 3


@needs_llvm
def test_code_lives_as_long_as_its_object(folder):
    codes = [jit.compile_module(IR, ["twice"]) for _ in range(50)]
    assert len({code["twice"] for code in codes}) == 50
    assert [call(code, 2.0) for code in codes] == [4.0] * 50


@needs_llvm
def test_imported_symbols_are_bound_at_load_time_and_not_in_the_object(folder, no_compiler):
    ir = """@number = external global double
    define double @twice(double %x) {
      %n = load double, ptr @number
      %y = fmul double %x, %n
      ret double %y
    }
    """
    two, ten = ctypes.c_double(2), ctypes.c_double(10)
    first = jit.compile_module(ir, ["twice"], {"number": ctypes.addressof(two)})
    no_compiler()
    second = jit.compile_module(ir, ["twice"], {"number": ctypes.addressof(ten)})
    assert (call(first, 3.0), call(second, 3.0)) == (6, 30)


@needs_llvm
def test_what_llvm_rejects_raises(folder):
    with pytest.raises(RuntimeError, match="IR parsing error"):
        jit.compile_module("define void @f() { ret i32 1 }", ["f"])


@needs_llvm
def test_assembly_shows_the_instructions():
    assert "twice" in jit.assembly(IR)


@needs_llvm
def test_sroa_turns_stack_into_registers(folder):
    assert call(jit.compile_module(STACKED, ["twice"], sroa=True), 1.5) == 3
    assert len(jit.assembly(STACKED, sroa=True)) < len(jit.assembly(STACKED))


@needs_llvm
def test_an_object_is_read_from_the_cache(folder, no_compiler):
    jit.compile_module(IR, ["twice"])
    assert len(list(folder.iterdir())) == 1
    no_compiler()
    assert call(jit.compile_module(IR, ["twice"]), 4.0) == 8


@needs_llvm
def test_what_decides_the_object_decides_its_key():
    choices = itertools.product((IR, IR + "\n"), (False, True), (False, True))
    keys = {jit.cache_key(ir, sroa=sroa, quick=quick) for ir, sroa, quick in choices}
    assert len(keys) == 8


@needs_llvm
def test_what_is_compiled_quickly_does_the_same(folder):
    assert call(jit.compile_module(IR, ["twice"], quick=True), 1.5) == 3
    assert call(jit.compile_module(IR, ["twice"]), 1.5) == 3
    assert len(list(folder.iterdir())) == 2


@needs_llvm
@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-1], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b"x" * 900],
    ids=["truncated", "empty", "altered", "foreign"],
)
def test_a_damaged_object_is_rebuilt(folder, damage):
    jit.compile_module(IR, ["twice"])
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert cache.read(path.name) is None and not path.exists()
    path.write_bytes(damage(whole))
    assert call(jit.compile_module(IR, ["twice"]), 1.0) == 2
    assert path.read_bytes()[:64] == whole[:64]


def test_an_object_under_another_key_is_not_taken(folder):
    cache.write("a", b"image")
    (folder / "b").write_bytes((folder / "a").read_bytes())
    assert cache.read("a") == b"image"
    assert cache.read("b") is None


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are not those of POSIX")
def test_the_cache_is_private(folder):
    cache.write("a", b"image")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "a").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are not those of POSIX")
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o770])
def test_a_directory_open_to_others_is_not_used(folder, mode):
    folder.mkdir()
    folder.chmod(mode)
    cache.write("a", b"image")
    assert cache.read("a") is None and not list(folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are not those of POSIX")
def test_a_link_is_not_used(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    cache.write("a", b"image")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="only root gives away")
def test_a_directory_below_that_of_somebody_else_is_not_used(folder, tmp_path):
    """Its owner could put another in its place, also where it is sticky."""
    os.chown(tmp_path, 12345, -1)
    tmp_path.chmod(0o1777)
    cache.write("a", b"image")
    assert cache.read("a") is None


@needs_llvm
def test_without_a_place_for_the_cache_code_is_compiled_each_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MINIGRAD_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert call(jit.compile_module(IR, ["twice"]), 1.0) == 2
    assert cache.directory() is None


def test_without_a_home_there_is_no_cache(monkeypatch):
    def no_home():
        raise RuntimeError("could not determine home directory")

    for name in ("MINIGRAD_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert cache.directory() is None
    cache.write("a", b"image")
    assert cache.read("a") is None


def test_the_cache_is_where_the_platform_wants_it(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIGRAD_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache.base_directory() == tmp_path / "minigrad"


def test_the_files_unused_for_longest_are_evicted(folder, monkeypatch):
    for k in range(6):
        cache.write(f"key{k}", bytes(1000))
        os.utime(folder / f"key{k}", (k, k))
    cache.read("key0")  # used just now
    monkeypatch.setattr(cache, "CAPACITY", 3200)
    cache.evict(folder)
    assert {path.name for path in folder.iterdir()} == {"key0", "key4", "key5"}


def test_the_cache_stays_about_as_large_as_it_may_be(folder, monkeypatch):
    monkeypatch.setattr(cache, "CAPACITY", 20_000)
    sizes = []
    for k in range(600):
        cache.write(f"key{k}", bytes(1000))
        sizes.append(sum(path.stat().st_size for path in folder.iterdir()))
    assert max(sizes) < 20_000 + 5 * cache.SWEEP * 1100
    assert min(sizes[300:]) <= 20_000  # it has been looked at


WRITER = """
import sys
from minigrad.codegen import cache
cache.CAPACITY, cache.SWEEP = 4000, 2
for turn in range(150):
    key = f"key{turn % 7}"
    image = key.encode() * 100
    cache.write(key, image)
    found = cache.read(key)
    assert found in (None, image), found
"""


def test_processes_share_the_cache(folder):
    command = [sys.executable, "-c", WRITER]
    root = Path(__file__).parents[3]
    writers = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 3
    assert all(path.name.startswith("key") for path in folder.iterdir())


@needs_llvm
def test_threads_compile_at_the_same_time(folder):
    def work(k):
        ir = IR.replace("%x, %x", f"%x, {k}.0")
        return call(jit.compile_module(ir, ["twice"]), 1.0)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, [*range(20), *range(20)])) == [1.0 + k for k in range(20)] * 2


def test_llvm_can_be_disabled(monkeypatch):
    monkeypatch.setenv("MINIGRAD_DISABLE_LLVM", "1")
    assert not jit.available()


def test_llvmlite_is_imported_at_the_first_compile():
    script = (
        "import sys, minigrad.codegen.call, minigrad.codegen.emitter\n"
        "from minigrad.codegen import jit\n"
        "jit.available()\n"
        "assert 'llvmlite' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])


@needs_llvm
def test_functions_that_modules_share_are_found_by_the_beginning_of_their_names(
    folder, monkeypatch
):
    kept = {}

    def number(name):
        kept[name] = jit.compile_module(IR.replace("@twice", f'@"{name}"'), [name])
        return kept[name][name]

    monkeypatch.setitem(jit.shared, "minigrad.times", number)
    ir = """declare double @"minigrad.times.2"(double)
    declare void @"minigrad.unknown"()
    define double @twice(double %x) {
      %y = call double @"minigrad.times.2"(double %x)
      ret double %y
    }
    """
    assert call(jit.compile_module(ir, ["twice"]), 1.5) == 3
    assert kept.keys() == {"minigrad.times.2"}


@pytest.mark.parametrize(
    ("triple", "cpu", "features", "choices"),
    [
        ("x86_64-linux", "skylake", "+avx2,-avx512f", "-avx512f,-prefer-256-bit"),
        ("x86_64-linux", "x86-64-v3", "", "-prefer-256-bit"),
        ("x86_64-linux", "generic", "+avx2,-avx512f", "+avx2,-avx512f,-prefer-256-bit"),
        ("aarch64-linux", "neoverse-v1", "+sve", "+sve"),
    ],
)
def test_llvm_is_told_what_the_name_of_a_processor_does_not_say(triple, cpu, features, choices):
    assert jit.Host(triple, cpu, features).choices == choices
