"""Functions in threads, in failure, out of their trace, dropped, and of many nodes."""

import gc
import threading
import time
import weakref
from collections import namedtuple
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SpecError, TraceError
from tests.unit.modes import words

F32 = mg.float32
Point = namedtuple("Point", "x y")


@dataclass
class Layer:
    w: Any
    b: Any
    name: str = "layer"


# threads


def test_two_threads_call_one_function_and_it_is_traced_once() -> None:
    runs = []
    barrier = threading.Barrier(4)

    @mg.function
    def f(x: Any) -> Any:
        runs.append(1)
        return mg.sum(x * x)

    found: list[float] = []

    def work(n: int) -> None:
        barrier.wait()
        for _ in range(20):
            x = mg.constant([float(n), 1.0])
            with mg.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            found.append(tape.gradient(y, x).numpy()[0] - 2 * n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1 and found == [0.0] * 80


def test_functions_that_trace_each_other_in_two_threads_do_not_wait_for_each_other() -> None:
    @mg.function
    def f(x: Any, depth: int) -> Any:
        time.sleep(0.05)
        return g(x, depth - 1) + 1 if depth else x

    @mg.function
    def g(x: Any, depth: int) -> Any:
        time.sleep(0.05)
        return f(x, depth - 1) * 2 if depth else x

    x = mg.constant(1.0)
    found: dict[str, float] = {}
    threads = [
        threading.Thread(target=lambda: found.update(f=f(x, 2).item()), daemon=True),
        threading.Thread(target=lambda: found.update(g=g(x, 3).item()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert found == {"f": 3.0, "g": 6.0}


def test_a_body_that_waits_for_threads_which_trace_does_not_hang() -> None:
    helper = mg.function(lambda x: x * 2)
    found: list[float] = []

    @mg.function
    def f(x: Any) -> Any:
        thread = threading.Thread(target=lambda: found.append(helper(mg.constant(3.0)).item()))
        thread.daemon = True
        thread.start()
        thread.join(timeout=5)
        return x

    f(mg.constant(1.0))
    assert found == [6.0]


# errors while tracing, and memory


def test_an_exception_while_tracing_leaves_nothing_behind() -> None:
    fail = [True]

    @mg.function
    def f(x: Any) -> Any:
        y = x * 2
        if fail[0]:
            raise ZeroDivisionError("in the body")
        return y

    x = mg.constant(1.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(ZeroDivisionError, match="in the body"):
            f(x)
        assert mg.executing_eagerly() and f.trace_count == 0 and len(tape.nodes) == 0
        fail[0] = False
        y = f(x)
    assert tape.gradient(y, x).item() == 2


def test_a_leaked_symbol_says_where_it_was_made() -> None:
    leaked = []

    @mg.function
    def f(x: Any) -> Any:
        leaked.append(x * 2)
        return x

    f(mg.ones(3))
    for use in (lambda s: s + 1, float, lambda s: s.numpy(), mg.function(lambda s: s * 2), bool):
        with pytest.raises(TraceError, match=r"test_function_limits\.py:\d+\)$"):
            use(leaked[0])
    with pytest.raises(TraceError) as error:
        leaked[0] + 1
    assert words(error.value) == (
        "float32[3] was made while f was traced, and is used after that: a traced tensor has a "
        "meaning only inside its trace; return it from the function instead of keeping it in a "
        "variable, list or attribute (it was made at test_function_limits.py:LINE)"
    )
    with pytest.raises(TraceError, match="was made while f was traced"):
        mg.function(lambda: leaked[0])()


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x if x > 0 else -x,
        lambda x: float(x),
        lambda x: x.numpy(),
        lambda x: np.asarray(x),
        lambda x: [0, 1][x],
        lambda x: x.item(),
        lambda x: range(mg.astype(x, mg.int32)),
    ],
)
def test_asking_a_traced_tensor_for_its_value_names_the_way_out(use: Any) -> None:
    with pytest.raises((TraceError, TypeError), match=r"mg\.cond|only integers index"):
        mg.function(use)(mg.constant(1.0))
    assert mg.executing_eagerly()


def test_the_trace_error_in_full() -> None:
    @mg.function
    def f(x: Any) -> Any:
        return x if x > 0 else -x

    with pytest.raises(TraceError) as error:
        f(mg.constant(1.0))
    assert words(error.value) == (
        "the value of bool[] was asked for while f was traced: a traced tensor has a shape and a "
        "dtype, its value comes when the graph runs; for a decision write mg.cond or mg.where, "
        "for a loop mg.while_loop, for other Python mg.py_function (it was made at "
        "test_function_limits.py:LINE)"
    )


def test_shape_errors_are_those_of_eager_code() -> None:
    def body(x: Any, y: Any) -> Any:
        return x + y

    messages = []
    for f in (body, mg.function(body)):
        with pytest.raises(SpecError) as error:
            f(mg.ones((2, 3)), mg.ones(4))
        messages.append(words(error.value))
    assert messages[0] == messages[1]
    assert messages[0].startswith("add: float32[2,3] and float32[4] do not broadcast: on axis -1")


def test_dropping_a_function_frees_its_graph_and_its_closure() -> None:
    class Token:
        def __call__(self, x: Any) -> Any:
            return x

    token = Token()
    alive = weakref.ref(token)
    weight = mg.constant([1.0, 2.0])
    body = partial(lambda func, x: mg.numpy_function(func, [x * weight], F32) * x, token)
    f = mg.function(body)
    with mg.GradientTape() as tape:
        tape.watch(weight)
        tape.gradient(f(mg.ones(2)), weight)
    graph = weakref.ref(f.graph_for(mg.ones(2)))
    del f, body, token, tape
    gc.collect()
    assert graph() is None and alive() is None


def test_graphs_of_ten_thousand_nodes() -> None:
    @mg.function
    def f(x: Any) -> Any:
        y = x
        for _ in range(10_000):
            y = y + x
        return y

    x = mg.constant(1.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert y.item() == tape.gradient(y, x).item() == 10_001
