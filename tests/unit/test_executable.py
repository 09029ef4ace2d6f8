"""Graphs run as Python over kernels: the same values, the user's lines in errors, nothing kept."""

import gc
import linecache
import traceback
import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.codegen.executable import executable, loud, quiet
from minigrad.core.spec import Spec
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from minigrad.text import source
from tests.unit.graphs import EXAMPLES, STATE, assert_same, graph_of, run, traced

FLOATS = Spec((3,), np.float64)
ANY = Spec(None, np.float64)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_executable_gives_what_the_graph_gives(name: str) -> None:
    graph, inputs = traced(name)
    expected = run(graph, inputs)
    STATE.assign(np.ones(3))
    assert_same(executable(graph)(*inputs), expected)


def test_an_executable_is_made_once() -> None:
    graph = traced("gradient")[0]
    assert executable(graph) is executable(graph)


def test_outputs_without_axes_are_arrays() -> None:
    graph = graph_of(lambda x: [mg.sum(x) * 2, mg.sin(mg.sum(x))], FLOATS)
    assert_same(executable(graph)(np.zeros(3)), [np.array(0.0), np.array(0.0)])
    assert [type(y) for y in executable(graph_of(lambda x: [mg.sin(x)], ANY))(np.array(0.5))] == [
        np.ndarray
    ]


def test_cells_are_passed_as_they_are() -> None:
    graph, inputs = traced("with_variables")
    STATE.assign(np.ones(3))
    first, last = executable(graph)(*inputs)
    np.testing.assert_array_equal(first, np.ones(3))
    np.testing.assert_array_equal(last, STATE.numpy())
    np.testing.assert_allclose(last, (1 + inputs[0]) * 3)


def failing() -> tuple[Any, str]:
    """A graph whose second node can fail, and the place of that node."""
    graph = graph_of(lambda x, y: [mg.exp(mg.sin(x) + y)], ANY, ANY)
    return graph, str(graph.nodes[1].where)


def test_a_kernel_that_fails_raises_what_its_op_says() -> None:
    graph, where = failing()
    with pytest.raises(mg.errors.SpecError, match=r"add: float64\[3\] and float64\[4\]") as caught:
        executable(graph)(np.ones(3), np.ones(4))
    with pytest.raises(mg.errors.SpecError) as eager:
        mg.ones(3, dtype=mg.float64) + mg.ones(4, dtype=mg.float64)
    assert str(caught.value) == str(eager.value)
    assert caught.value.__notes__ == [f"in add, written at {where}"]


def test_tracebacks_show_the_line_of_the_graph() -> None:
    with pytest.raises(mg.errors.SpecError) as caught:
        executable(failing()[0])(np.ones(3), np.ones(4))
    lines = "".join(traceback.format_exception(caught.value)).splitlines()
    assert "    v3 = add(v2, v1)                                # float64[...]" in lines


def test_an_error_of_a_callback_stays_itself() -> None:
    problem = ValueError("no")

    def body(x: Any) -> Any:
        raise problem

    graph = graph_of(lambda x: [mg.numpy_function(body, [x], mg.float64)], FLOATS)
    with pytest.raises(ValueError, match="no") as caught:
        executable(graph)(np.ones(3))
    assert caught.value is problem
    assert f"in body, written at {graph.nodes[0].where}" in problem.__notes__


def test_numpy_does_not_warn_inside_and_warns_again_after() -> None:
    graph = graph_of(lambda x: [mg.log(x), mg.exp(x)], FLOATS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert executable(graph)(np.array([0.0, -1.0, 1e9]))[0][0] == -np.inf
        with pytest.raises(RuntimeWarning):
            np.log(np.zeros(1))
    with np.errstate(divide="raise"):
        executable(graph)(np.zeros(3))
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))


def test_numpy_warns_again_after_an_error() -> None:
    before = np.geterr()
    with pytest.raises(mg.errors.SpecError):
        executable(failing()[0])(np.ones(3), np.ones(4))
    assert np.geterr() == before


def test_quiet_is_what_errstate_is() -> None:
    token = quiet()
    inside = np.geterr()
    loud(token)
    with np.errstate(all="ignore"):
        assert inside == np.geterr()


def test_nothing_is_kept_of_an_executable_that_is_gone() -> None:
    graph = graph_of(lambda x: [mg.sin(x)], FLOATS)
    run_it = executable(graph)
    filename = run_it.__code__.co_filename
    assert linecache.getline(filename, 4).startswith("        v1 = sin(v0)")
    gone = weakref.ref(run_it)
    gc.disable()
    try:
        del graph, run_it
        assert gone() is None and filename not in linecache.cache
    finally:
        gc.enable()


def test_intermediate_arrays_are_freed_as_soon_as_they_can_be() -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0

    def watched(x: Any) -> Any:
        nonlocal most
        most = max(most, sum(ref() is not None for ref in alive))
        y = x.copy()
        alive.append(weakref.ref(y))
        return y

    graph = graph_of(lambda x: [mg.sin(mg.sin(mg.sin(mg.sin(mg.sin(x)))))], FLOATS)
    text = source(graph, kernels=True)
    text.namespace["sin"] = watched
    text.function()(np.ones(3))
    assert most == 1


def test_frames_of_executables_are_not_the_users() -> None:
    run_it: Any = executable(graph_of(lambda x: [mg.sin(x)], FLOATS))
    assert run_it.__globals__["__name__"].startswith("minigrad.")


def test_the_line_of_a_node_made_inside_is_the_users() -> None:
    wheres = []

    def body(x: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        wheres.extend(str(node.where) for node in tape.nodes)
        return y

    executable(graph_of(lambda x: [mg.py_function(body, [x], mg.float64)], FLOATS))(np.ones(3))
    assert all(where.startswith(__file__) for where in wheres) and wheres


def test_a_fusion_group_is_called_by_its_name() -> None:
    graph = graph_of(lambda x: [mg.sum(mg.sin(x) * 2), mg.cos(x)], FLOATS)
    fused = fuse(optimize(graph))
    inputs = (np.arange(3.0),)
    text = source(fused, kernels=True)
    assert len(fused.nodes) == 1 and "fused" not in text.namespace
    assert [callable(kernel) for kernel in text.namespace.values()] == [True]
    for y, z in zip(executable(fused)(*inputs), run(graph, inputs), strict=True):
        assert isinstance(y, np.ndarray)
        np.testing.assert_allclose(y, z, rtol=1e-14)


def test_a_long_graph_is_made_and_run_without_recursion() -> None:
    def body(x: mg.Tensor) -> list[mg.Tensor]:
        for _ in range(2000):
            x = mg.negative(x)
        return [x]

    np.testing.assert_array_equal(executable(graph_of(body, FLOATS))(np.ones(3))[0], np.ones(3))
