"""Variables become inputs and outputs, in program order."""

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.codegen.executable import executable
from minigrad.core.spec import Spec
from minigrad.passes.fold import fold
from minigrad.passes.lift import lift
from minigrad.passes.verify import verify
from tests.unit.graphs import documented, graph_of, lines, run, squeezed, traced

FLOATS = Spec((3,), np.float64)


def test_as_documented() -> None:
    before, after = documented(lift)
    graph, writes = lift(before)
    assert squeezed(verify(graph)) == after
    assert writes == ((1, 1),)


def test_the_new_values_are_those_of_the_variables() -> None:
    graph, (x, cell) = traced("with_variables")
    expected = run(graph, (x, cell))
    after = cell._value
    lifted, writes = lift(graph)
    outputs = executable(verify(lifted))(x, np.ones(3))
    assert writes == ((1, 2),)
    np.testing.assert_array_equal(outputs[2], after)
    for y, z in zip(outputs, expected, strict=False):
        np.testing.assert_array_equal(y, z)


def test_a_variable_that_is_only_read_is_not_written() -> None:
    variable = mg.Variable(np.ones(3))
    lifted, writes = lift(graph_of(lambda x: [x + variable], FLOATS))
    assert lines(lifted) == ["def graph(v0, v1):", "v2 = add(v0, v1)", "return (v2,)"]
    assert writes == ()


def test_the_old_value_read_before_an_assignment_stays_old() -> None:
    variable = mg.Variable(np.ones(3))

    def body(x: Any) -> list[Any]:
        old = variable.value()
        variable.assign(x)
        return [old]

    lifted, writes = lift(graph_of(body, FLOATS))
    assert lines(lifted) == ["def graph(v0, v1):", "return (v1, v0)"]
    assert writes == ((1, 1),)


def test_two_variables_can_exchange_their_values() -> None:
    first, second = mg.Variable(np.zeros(3)), mg.Variable(np.ones(3))

    def body(x: Any) -> list[Any]:
        a, b = first.value(), second.value()
        first.assign(b)
        second.assign(a)
        return [x]

    lifted, writes = lift(graph_of(body, FLOATS))
    assert lines(lifted) == ["def graph(v0, v1, v2):", "return (v0, v2, v1)"]
    assert writes == ((1, 1), (2, 2))


def test_python_bodies_keep_their_place_among_assignments() -> None:
    variable = mg.Variable(np.zeros(3))
    seen = []

    def look(x: Any) -> Any:
        seen.append(variable.numpy().copy())
        return x

    def body(x: Any) -> list[Any]:
        variable.assign(x)
        mg.numpy_function(look, [x], mg.float64)
        variable.assign(2 * x)
        return [variable.value()]

    lifted, writes = lift(graph_of(body, FLOATS))
    assert writes == ()
    executable(lifted)(np.ones(3), variable.cell)
    np.testing.assert_array_equal(seen[0], np.ones(3))


def test_a_cell_that_another_node_uses_stays() -> None:
    variable, other = mg.Variable(np.zeros(3)), mg.Variable(np.zeros(3))
    inner = mg.function(lambda z: variable.assign_add(z).value(), name="inner")

    def body(x: Any) -> list[Any]:
        variable.assign(x)
        other.assign(x)
        return [inner(x)]

    lifted, writes = lift(graph_of(body, FLOATS))
    assert [node.op.name for node in lifted.nodes] == ["assign_variable", "stateful_call"]
    assert [lifted.captures[i - 1] for i, _ in writes] == [other.cell]


def test_a_constant_can_be_assigned() -> None:
    variable = mg.Variable(0.0)

    def body(x: Any) -> list[Any]:
        variable.assign(mg.sin(0.5))
        return [x]

    lifted, writes = lift(fold(graph_of(body, FLOATS)))
    assert lines(verify(lifted))[1:] == ["v2 = identity(constant)", "return (v0, v2)"]
    assert writes == ((1, 1),)
