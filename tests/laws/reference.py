"""A tape in its naivest form, over NumPy and six ops: what the real one is compared with."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Value:
    """An array with an identity."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)


class Cell:
    """What a Variable is: an array that is replaced."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)


class Tape:
    """What happened to the values it follows; `World` writes it and walks it back."""

    def __init__(self, *, persistent: bool, variables: bool) -> None:
        self.persistent = persistent
        self.variables = variables
        self.followed: set[Any] = set()
        self.steps: list[tuple[str, tuple[Any, ...], Value]] = []
        self.spent = False

    def reset(self) -> None:
        """Forget everything."""
        self.followed, self.steps, self.spent = set(), [], False


FORWARD: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "sin": np.sin,
    "cos": np.cos,
    "stop_gradient": lambda x: x,
}


class World:
    """The tapes that are open, and the one way to compute."""

    def __init__(self) -> None:
        self.open: list[Tape] = []

    def apply(self, name: str, *inputs: Value) -> Value:
        """The value of an op, noted by each open tape that follows an input."""
        y = Value(FORWARD[name](*[x.array for x in inputs]))
        self.note(name, inputs, y)
        return y

    def read(self, cell: Cell) -> Value:
        """The present value of a cell; tapes may follow a cell because it is read."""
        for tape in self.open:
            if tape.variables:
                tape.followed.add(cell)
        y = Value(cell.array)
        self.note("read", (cell,), y)
        return y

    def note(self, name: str, inputs: tuple[Any, ...], y: Value) -> None:
        """Tell the open tapes."""
        for tape in self.open:
            if tape.followed & set(inputs):
                tape.steps.append((name, inputs, y))
                tape.followed.add(y)

    def without(self, tape: Tape, action: Callable[[], Any]) -> Any:
        """What `action` gives while `tape` does not listen."""
        before = self.open
        self.open = [other for other in before if other is not tape]
        try:
            return action()
        finally:
            self.open = before

    def gradient(
        self, tape: Tape, target: Value, sources: Sequence[Any], seed: Value | None
    ) -> list[Value | None]:
        """The derivative of the sum of `target` by each source; None where there is no path.

        A persistent tape that is open follows what it answers.
        """
        seed = seed or Value(np.ones_like(target.array))

        def answer() -> list[Value | None]:
            return [self._pulled(tape, target, x, seed) for x in sources]

        if tape.persistent:
            return answer()
        found: list[Value | None] = self.without(tape, answer)
        tape.spent, tape.followed = True, set()
        return found

    def _pulled(self, tape: Tape, target: Value, source: Any, seed: Value) -> Value | None:
        """By one walk for each source, through the steps that lie between the two."""
        if source not in tape.followed:
            return None
        between = {source}
        for _, inputs, y in tape.steps:
            if between & set(inputs):
                between.add(y)
        bars: dict[Any, Value] = {target: seed}
        for name, inputs, y in reversed(tape.steps):
            if y not in bars or y is source or name == "stop_gradient":
                continue
            for place, x in enumerate(inputs):
                if x in between:
                    bar = self._rule(name, place, bars[y], inputs)
                    bars[x] = self.apply("add", bars[x], bar) if x in bars else bar
        return bars.get(source)

    def _rule(self, name: str, place: int, g: Value, inputs: tuple[Any, ...]) -> Value:
        """The part of the cotangent `g` that goes to the input at `place`."""
        match name, place:
            case ("add", _) | ("subtract", 0) | ("read", _):
                return g
            case ("subtract", 1):
                return self.apply("multiply", g, Value(-1.0))
            case ("multiply", _):
                return self.apply("multiply", g, inputs[1 - place])
            case ("sin", _):
                return self.apply("multiply", g, self.apply("cos", inputs[0]))
            case ("cos", _):
                down = self.apply("multiply", g, self.apply("sin", inputs[0]))
                return self.apply("multiply", down, Value(-1.0))
        raise AssertionError(f"no rule for {name}")
