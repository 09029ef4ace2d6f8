"""What a scenario is: a small program that runs in both frameworks, and says what it saw.

    @scenario
    def a_tie_of_maximum(xp):
        x = xp.constant(2.0)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = xp.maximum(x, 2.0)
        yield "value", y
        yield "gradient", tape.gradient(y, x)

`xp` is the framework under minigrad's names. What is yielded is an observation and its name. A
function without arguments is called at once; if it raises, that is the observation.
"""

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from oracle.chance import NAME, chance
from oracle.observe import observed

Program = Callable[[Any], Iterator[tuple[str, Any]]]
Observations = dict[str, Any]

SCENARIOS: dict[str, Program] = {}


class BrokenScenarioError(Exception):
    """A scenario that cannot say anything: it raised where nothing was to be observed."""


def scenario(program: Program) -> Program:
    """Add a program to the scenarios, under its own name."""
    name = program.__name__
    if name in SCENARIOS or not inspect.isgeneratorfunction(program):
        raise BrokenScenarioError(f"{name}: a scenario has a name of its own, and yields")
    SCENARIOS[name] = program
    return program


def play(name: str, xp: Any) -> Observations:
    """Run one scenario in one framework. Raises BrokenScenarioError."""
    found: Observations = {}
    seed = NAME.fullmatch(name)
    program = chance(int(seed[1])) if seed else SCENARIOS[name]
    try:
        for label, value in program(xp):
            if label in found:
                raise BrokenScenarioError(f"two observations are called {label!r}")
            found[label] = looked_at(value)
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"
        raise BrokenScenarioError(f"{name}, after {list(found) or 'nothing'}: {said}") from error
    return found


def looked_at(value: Any) -> Any:
    """An observation as JSON; of a function, what it returns or that it raises."""
    if not inspect.isfunction(value):
        return observed(value)
    try:
        return observed(value())
    except Exception as error:
        if is_slip(error):
            raise
        return {"raises": type(error).__name__, "message": str(error)}


def is_slip(error: Exception) -> bool:
    """Whether an error speaks of the scenario, not of the framework: a name that is not there."""
    absent_from = getattr(error, "obj", None)
    return isinstance(error, NameError | ImportError) or (
        isinstance(error, AttributeError)
        and (isinstance(absent_from, ModuleType) or hasattr(absent_from, "trace_count_of"))
    )


def raised(call: Callable[[], Any]) -> str:
    """The name of the class of what `call` raises, where it is the user's own exception."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "nothing"
