"""Tapes, Variables and functions in any order, compared with a naive reference at every answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

import minigrad as mg
from minigrad.core.op import CONTEXT, EAGER, Context
from minigrad.errors import GradientError
from tests.laws.budget import examples
from tests.laws.reference import Cell, Tape, Value, World

MG = {name: getattr(mg, name) for name in ("add", "subtract", "multiply", "sin", "cos")}
MG["stop_gradient"] = mg.stop_gradient
UNARY = st.sampled_from(["sin", "cos", "stop_gradient"])
BINARY = st.sampled_from(["add", "subtract", "multiply"])
ARRAYS = st.lists(st.sampled_from([0.5, -1.0, 0.0, 2.0]), min_size=2, max_size=2)
# how many others came later: few, so that steps build upon each other
AGO = st.integers(0, 3)
PLACES = st.lists(AGO, max_size=2)
LARGE = 50.0
KEPT = {"values": 8, "variables": 2, "tapes": 3}

SHARED = mg.Variable(np.array([0.25, -0.5]), name="shared")


def mixed(x: Any, y: Any) -> Any:
    """Reads a Variable, and does not use all of y."""
    return mg.sin(x * SHARED) + mg.stop_gradient(y) * x


def mixed_by_reference(world: World, x: Value, y: Value, shared: Cell) -> Value:
    """The same."""
    wave = world.apply("sin", world.apply("multiply", x, world.read(shared)))
    return world.apply("add", wave, world.apply("multiply", world.apply("stop_gradient", y), x))


def slope(x: Any, y: Any) -> Any:
    """A gradient taken inside: of x y cos(x), by x. In a trace x and y are never the same."""
    x = x * 1.0
    with mg.GradientTape() as tape:
        tape.watch(x)
        z = x * y * mg.cos(x)
    return tape.gradient(z, x)


def slope_by_reference(world: World, x: Value, y: Value, shared: Cell) -> Value:
    """The same."""
    x = world.apply("multiply", x, Value(1.0))
    tape = Tape(persistent=False, variables=True)
    tape.followed.add(x)
    world.open = [*world.open, tape]
    z = world.apply("multiply", world.apply("multiply", x, y), world.apply("cos", x))
    world.open = [other for other in world.open if other is not tape]
    (found,) = world.gradient(tape, z, [x], None)
    assert found is not None
    return found


FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Value]]] = {
    "mixed": (mixed, mixed_by_reference),
    "traced mixed": (mg.function(mixed), mixed_by_reference),
    "compiled mixed": (mg.function(mixed, jit_compile=True), mixed_by_reference),
    "slope": (slope, slope_by_reference),
    "traced slope": (mg.function(slope), slope_by_reference),
    "compiled slope": (mg.function(slope, jit_compile=True), slope_by_reference),
    "py_function": (
        lambda x, y: mg.py_function(mixed, [x, y], mg.TensorSpec((2,), mg.float64)),
        mixed_by_reference,
    ),
    "traced py_function": (
        mg.function(lambda x, y: mg.py_function(mixed, [x, y], mg.TensorSpec((2,), mg.float64))),
        mixed_by_reference,
    ),
}


def assert_twins(x: Any, twin: Value) -> None:
    """Both hold the same."""
    np.testing.assert_allclose(x.numpy(), twin.array, rtol=1e-9, atol=1e-9)


class TapeMachine(RuleBasedStateMachine):
    """Every tensor, Variable and tape has a twin in the reference world."""

    @initialize(arrays=st.tuples(ARRAYS, ARRAYS))
    def begin(self, arrays: Any) -> None:
        """A world with two tensors and two Variables."""
        self.world = World()
        self.values: list[Any] = []
        self.tapes: list[Any] = []
        self.open: list[Any] = []
        SHARED.assign(np.array([0.25, -0.5]))
        self.shared = Cell(SHARED.numpy())
        self.variables = [(SHARED, self.shared)]
        self.make_variable([1.0, 0.5])
        for array in arrays:
            self.make(array)

    def teardown(self) -> None:
        """Close what is open."""
        CONTEXT.set(Context(EAGER, ()))

    def keep(self, kind: str, pair: Any) -> None:
        """Have the twins in the world, unless they are large; the oldest of their kind go.

        All tensors still hold what they held when they were made.
        """
        if kind != "values" or np.all(np.abs(pair[1].array) < LARGE):
            held = getattr(self, kind)
            held.append(pair)
            del held[: -KEPT[kind]]
        for x, twin in self.values:
            assert_twins(x, twin)

    def one_of(self, kind: str, ago: int) -> Any:
        """The twins that came so long ago."""
        held = getattr(self, kind)
        return held[-1 - ago % len(held)]

    # values

    @rule(array=ARRAYS)
    def make(self, array: list[float]) -> None:
        """A new tensor."""
        self.keep("values", (mg.constant(np.array(array)), Value(np.array(array))))

    @rule(name=UNARY, x=AGO)
    def one(self, name: str, x: int) -> None:
        """An op of one tensor."""
        (a, twin) = self.one_of("values", x)
        self.keep("values", (MG[name](a), self.world.apply(name, twin)))

    @rule(name=BINARY, x=AGO, y=AGO)
    def two(self, name: str, x: int, y: int) -> None:
        """An op of two tensors, which may be the same."""
        (a, twin), (b, other) = self.one_of("values", x), self.one_of("values", y)
        self.keep("values", (MG[name](a, b), self.world.apply(name, twin, other)))

    @rule(name=st.sampled_from(list(FUNCTIONS)), x=AGO, y=AGO)
    def call(self, name: str, x: int, y: int) -> None:
        """A function, plain, traced, compiled, or a Python body."""
        (a, twin), (b, other) = self.one_of("values", x), self.one_of("values", y)
        function, reference = FUNCTIONS[name]
        self.keep("values", (function(a, b), reference(self.world, twin, other, self.shared)))

    # Variables

    @rule(array=ARRAYS)
    def make_variable(self, array: list[float]) -> None:
        """A new Variable."""
        self.keep("variables", (mg.Variable(np.array(array)), Cell(np.array(array))))

    @rule(v=AGO)
    def read(self, v: int) -> None:
        """The present value of a Variable, as a tensor."""
        variable, cell = self.one_of("variables", v)
        self.keep("values", (variable.value(), self.world.read(cell)))

    @rule(v=AGO, x=AGO)
    def use(self, v: int, x: int) -> None:
        """Read a Variable in an op."""
        (variable, cell), (a, twin) = self.one_of("variables", v), self.one_of("values", x)
        self.keep(
            "values", (variable * a, self.world.apply("multiply", self.world.read(cell), twin))
        )

    @rule(v=AGO, x=AGO)
    def assign(self, v: int, x: int) -> None:
        """Replace the value of a Variable; what was read of it stays."""
        (variable, cell), (a, twin) = self.one_of("variables", v), self.one_of("values", x)
        variable.assign(a)
        cell.array = twin.array

    # tapes

    @rule(persistent=st.booleans(), variables=st.booleans(), x=AGO)
    def open_tape(self, persistent: bool, variables: bool, x: int) -> None:
        """A new tape listens, inside of those that are open, and watches a tensor."""
        tape = mg.GradientTape(persistent, watch_accessed_variables=variables)
        pair = (tape, Tape(persistent=persistent, variables=variables))
        self.keep("tapes", pair)
        self.enter(pair)
        self.watch(0, x)

    def enter(self, pair: Any) -> None:
        """Open the twins."""
        pair[0].__enter__()
        self.open.append(pair)
        self.world.open = [*self.world.open, pair[1]]

    @precondition(lambda self: self.open)
    @rule()
    def close_tape(self) -> None:
        """The innermost tape stops to listen."""
        tape, twin = self.open.pop()
        tape.__exit__(None, None, None)
        self.world.open = [other for other in self.world.open if other is not twin]

    @precondition(lambda self: self.tapes)
    @rule(t=AGO)
    def open_again(self, t: int) -> None:
        """A tape that is closed records on; one that is open says so."""
        pair = self.one_of("tapes", t)
        if any(pair is other for other in self.open):
            with pytest.raises(GradientError, match="records already"):
                pair[0].__enter__()
        else:
            self.enter(pair)

    @precondition(lambda self: self.tapes)
    @rule(t=AGO, x=AGO)
    def watch(self, t: int, x: int) -> None:
        """Follow a tensor from here on."""
        (tape, twin), (a, value) = self.one_of("tapes", t), self.one_of("values", x)
        tape.watch(a)
        twin.followed.add(value)

    @precondition(lambda self: self.tapes)
    @rule(t=AGO, v=AGO)
    def watch_variable(self, t: int, v: int) -> None:
        """Follow a Variable from here on."""
        (tape, twin), (variable, cell) = self.one_of("tapes", t), self.one_of("variables", v)
        tape.watch(variable)
        twin.followed.add(cell)

    @precondition(lambda self: self.tapes)
    @rule(t=AGO)
    def reset(self, t: int) -> None:
        """Forget."""
        tape, twin = self.one_of("tapes", t)
        tape.reset()
        twin.reset()

    @precondition(lambda self: self.tapes)
    @rule(t=AGO, name=BINARY, x=AGO, y=AGO)
    def unrecorded(self, t: int, name: str, x: int, y: int) -> None:
        """An op that one tape does not hear."""
        tape, deaf = self.one_of("tapes", t)
        (a, twin), (b, other) = self.one_of("values", x), self.one_of("values", y)
        with tape.stop_recording():
            z = MG[name](a, b)
        result = self.world.without(deaf, lambda: self.world.apply(name, twin, other))
        self.keep("values", (z, result))

    # answers

    @precondition(lambda self: self.tapes)
    @rule(t=AGO, y=AGO, xs=PLACES, vs=PLACES, seed=st.none() | AGO, again=st.booleans())
    def gradient(
        self, t: int, y: int, xs: list[int], vs: list[int], seed: int | None, again: bool
    ) -> None:
        """Ask a tape, open or closed; and again, for the derivative of what it answered."""
        pair, target = self.one_of("tapes", t), self.one_of("values", y)
        sources = [self.one_of("values", x) for x in [*xs, *range(4)]]
        sources += [self.one_of("variables", v) for v in vs]
        bar = None if seed is None else self.one_of("values", seed)
        for answer in self.answers(pair, target, sources, bar):
            if again:
                self.answers(pair, answer, sources, bar)

    def answers(self, pair: Any, target: Any, sources: list[Any], bar: Any) -> list[Any]:
        """What tape and twin say, twin by twin; two of them are kept, as tensors like others."""
        tape, twin = pair
        y, value = target
        g, seed = bar or (None, None)
        if twin.spent:
            with pytest.raises(GradientError, match="not persistent"):
                tape.gradient(y, [x for x, _ in sources], g)
            return []
        found = tape.gradient(y, [x for x, _ in sources], g)
        expected = self.world.gradient(twin, value, [x for _, x in sources], seed)
        assert [x is None for x in found] == [x is None for x in expected]
        answers = [pair for pair in zip(found, expected, strict=True) if pair[0] is not None]
        for answer in answers:
            assert_twins(*answer)
        for answer in answers[:2]:
            self.keep("values", answer)
        return answers[:2]

    @precondition(lambda self: self.tapes)
    @rule(t=AGO, y=AGO, x=AGO)
    def explain(self, t: int, y: int, x: int) -> None:
        """The explanation says the same as the gradient would."""
        (tape, twin), (target, value) = self.one_of("tapes", t), self.one_of("values", y)
        source, start = self.one_of("values", x)
        if twin.spent:
            return
        persistent, twin.persistent = twin.persistent, True
        (expected,) = self.world.without(
            twin, lambda: self.world.gradient(twin, value, [start], None)
        )
        twin.persistent = persistent
        assert tape.explain(target, source).connected == (expected is not None)


TestTapes = TapeMachine.TestCase
TestTapes.settings = examples(4)
