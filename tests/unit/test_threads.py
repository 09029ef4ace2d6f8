"""Threads that share functions: right answers, one trace, no deadlock; and pools after a fork.

MINIGRAD_TEST_SECONDS=30 in the environment lets them run for longer.
"""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import minigrad as mg

F32 = mg.float32
THREADS = 8
SECONDS = float(os.environ.get("MINIGRAD_TEST_SECONDS", "1.5"))
PATIENCE = SECONDS + 60
W = mg.Variable(np.linspace(0.5, 1.5, 8, dtype=np.float32))
BIG = mg.Variable(np.linspace(-1, 1, 256 * 256, dtype=np.float32).reshape(256, 256))


def in_threads(work, count=THREADS):
    """Run `work(i)` in many threads at once; what they raise is raised here."""
    errors = []
    ready = threading.Barrier(count)

    def run(i):
        try:
            ready.wait()
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a deadlock"
    if errors:
        raise errors[0]


@mg.function
def through_numpy(x):
    return mg.numpy_function(np.sinh, [x], F32) * W


@mg.function
def through_python(x):
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.py_function(lambda x: mg.tanh(x * W) if mg.sum(x) > 1 else x * x * W, [x], F32)
    return tape.gradient(y, [x, W])


@mg.function(jit_compile=True)
def compiled(x):
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.scan(lambda c, v: (mg.tanh(c * W + v), c), x, mg.stack([x, x, x]))[1]
    return tape.gradient(y, [x, W])


@mg.function(jit_compile=True)
def shared_work(x):
    return mg.sum(mg.tanh(BIG @ BIG * x[0]), axis=0)


FUNCTIONS = (through_numpy, through_python, compiled, shared_work)


def arrays(result):
    return [x.numpy() for x in (result if isinstance(result, (list, tuple)) else [result])]


def test_threads_that_call_the_same_functions_get_their_own_answers():
    inputs = [mg.constant(np.linspace(-i, 1 + i / 4, 8, dtype=np.float32)) for i in range(THREADS)]
    expected = [[arrays(f(x)) for f in FUNCTIONS] for x in inputs]
    end = time.monotonic() + SECONDS
    calls = [0] * THREADS

    def work(i):
        while time.monotonic() < end:
            for f, answers in zip(FUNCTIONS, expected[i], strict=True):
                for found, answer in zip(arrays(f(inputs[i])), answers, strict=True):
                    np.testing.assert_array_equal(found, answer)
            with mg.GradientTape() as tape:
                tape.watch(inputs[i])
                y = through_numpy(inputs[i]) + mg.sin(inputs[i])
            np.testing.assert_allclose(
                tape.gradient(y, inputs[i]).numpy(), np.cos(inputs[i].numpy()), rtol=1e-5
            )
            calls[i] += 1

    in_threads(work)
    assert min(calls) > 0


def slowly_traced(traced, jit_compile):
    @mg.function(jit_compile=jit_compile)
    def f(x):
        traced.append(x.shape)
        time.sleep(0.005)
        return mg.py_function(lambda x: mg.sin(x) * 2, [x], F32)

    return f


@pytest.mark.parametrize("jit_compile", [False, True])
def test_threads_that_trace_compile_and_call_at_once_trace_once_per_signature(jit_compile):
    for _ in range(5):
        traced = []
        f = slowly_traced(traced, jit_compile)

        def work(i, f=f):
            n = 3 + i % 2
            x = mg.ones(n)
            with mg.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            np.testing.assert_allclose(y.numpy(), np.full(n, 2 * np.sin(1)), rtol=1e-6)
            dx = tape.gradient(y, x).numpy()
            np.testing.assert_allclose(dx, np.full(n, 2 * np.cos(1)), rtol=1e-6)

        in_threads(work)
        assert sorted(traced) == [(3,), (4,)]
        assert f.trace_count == 2


FORKING = """
import os, sys, warnings
import numpy as np, minigrad as mg
warnings.simplefilter("ignore")
x = mg.constant(np.linspace(-1, 1, 512 * 512, dtype=np.float32).reshape(512, 512))
f = mg.function(lambda x: mg.tanh(x @ x) * 2, jit_compile=True)
before = f(x).numpy()
for _ in range(3):
    child = os.fork()
    if not child:
        same = all((f(x).numpy() == before).all() for _ in range(5))
        fresh = mg.function(lambda x: mg.sum(mg.sin(x @ x), axis=0), jit_compile=True)
        os._exit(0 if same and np.isfinite(fresh(x).numpy()).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (f(x).numpy() == before).all()
print("right")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_leaves_parent_and_child_a_pool_that_works():
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "right\n", done.stderr
