"""Objects made ahead by threads: the same objects, and what happens to them meanwhile."""

import gc
import os
import threading

import pytest

from minigrad.codegen import fastcall, jit
from minigrad.codegen.workers import Workers
from tests.unit.codegen.native import needs_llvm
from tests.unit.codegen.test_jit import IR, call


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache of objects: the directory its files will be in."""
    monkeypatch.setenv("MINIGRAD_CACHE_DIR", str(tmp_path))
    return tmp_path / "objects"


@pytest.fixture
def several(monkeypatch):
    """Two threads, however many processors there are."""
    monkeypatch.setenv("MINIGRAD_NUM_THREADS", "2")
    jit.workers.cache_clear()
    yield
    jit.workers.cache_clear()


def texts(count):
    """Different functions `twice`."""
    return [IR.replace("%x, %x", f"%x, {k}.0") for k in range(count)]


@needs_llvm
def test_what_threads_make_is_what_is_made_in_turns(folder, several):
    jobs = [jit.begin(ir) for ir in texts(20)]
    assert [job.result() for job in jobs] == [jit.emit_object(ir, sroa=False) for ir in texts(20)]


@needs_llvm
def test_threads_make_quickly_what_is_to_be_made_quickly(folder, several):
    jobs = [jit.begin(ir, quick=True) for ir in texts(3)]
    made = [jit.emit_object(ir, sroa=False, quick=True) for ir in texts(3)]
    assert [job.result() for job in jobs] == made


@needs_llvm
def test_what_was_begun_is_waited_for_and_not_made_again(folder, several, monkeypatch):
    monkeypatch.delattr(jit, "emit_object")
    jobs = [jit.begin(ir) for ir in texts(5)]
    codes = [jit.compile_module(ir, ["twice"]) for ir in texts(5)]
    assert [call(code, 1.0) for code in codes] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert len(jobs) == len(list(folder.iterdir())) == 5


@needs_llvm
def test_what_builtins_need_is_begun_before_they_ask_for_it(folder, several, monkeypatch):
    monkeypatch.delattr(jit, "emit_object")
    begun = fastcall.begin_body()
    assert fastcall.body.__wrapped__()["call"]
    assert begun[0] is not None
    assert [job.result() for job in begun if job is not None]
    assert len(list(folder.iterdir())) == 1 + fastcall.keeps()


@needs_llvm
def test_what_modules_share_is_begun_with_them(folder, several, monkeypatch):
    shared = IR.replace("@twice", '@"minigrad.times.2"')
    monkeypatch.setitem(jit.shared, "minigrad.times", lambda name: 0)
    monkeypatch.setitem(jit.ahead, "minigrad.times", lambda name: jit.begin(shared))
    declared = 'declare double @"minigrad.times.2"(double)\n'
    job = jit.begin(declared + IR)
    assert [other.result() for other in job.others] == [jit.emit_object(shared, sroa=False)]
    assert jit.begin(IR).others == []


@needs_llvm
def test_what_was_begun_and_is_wrong_raises_where_it_is_wanted(folder, several):
    wrong = "define void @f() { ret i32 1 }"
    job = jit.begin(wrong)
    with pytest.raises(RuntimeError, match="value doesn't match function result type"):
        jit.compile_module(wrong, ["f"])
    assert job is not None
    assert call(jit.compile_module(IR, ["twice"]), 1.0) == 2


@needs_llvm
def test_one_processor_makes_nothing_ahead(folder, monkeypatch):
    monkeypatch.setenv("MINIGRAD_NUM_THREADS", "1")
    jit.workers.cache_clear()
    assert jit.begin(IR) is None
    assert call(jit.compile_module(IR, ["twice"]), 1.0) == 2
    jit.workers.cache_clear()


@needs_llvm
def test_another_library_is_used_in_turns(folder, several, monkeypatch):
    monkeypatch.setattr("minigrad.codegen.workers.FUNCTIONS", {"Unknown": (None, [])})
    assert jit.begin(IR) is None
    assert call(jit.compile_module(IR, ["twice"]), 1.0) == 2


@needs_llvm
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_makes_by_itself_what_was_begun_before(folder, several):
    gate = threading.Event()
    workers = jit.workers()
    make = workers.make
    workers.make = lambda machine, job: gate.wait() and make(machine, job)
    job = jit.begin(IR)
    child = os.fork()
    if not child:
        os._exit(int(call(jit.compile_module(IR, ["twice"]), 1.0)))
    _, status = os.waitpid(child, 0)
    gate.set()
    assert os.waitstatus_to_exitcode(status) == 2
    assert job.result()


def waiting_workers(most=1):
    """Workers that note what they make, and wait with it till the gate opens."""
    gate, made = threading.Event(), []

    def make(machine, job):
        gate.wait()
        made.append(job.key)
        return job.ir.encode()

    return Workers(most, object, make), gate, made


def test_the_same_is_made_once():
    workers, gate, made = waiting_workers(2)
    first, second, other = (workers.begin(key, key) for key in "aab")
    assert first is second and workers.find("a") is first
    gate.set()
    assert (first.result(), other.result()) == (b"a", b"b")
    assert sorted(made) == ["a", "b"]


def test_what_nobody_waits_for_is_not_made():
    workers, gate, made = waiting_workers()
    first, second, third = (workers.begin(key, key) for key in "abc")
    del second
    gc.collect()
    gate.set()
    assert (first.result(), third.result()) == (b"a", b"c")
    assert made == ["a", "c"]
    assert workers.find("b") is None
