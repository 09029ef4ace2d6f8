"""NumPy's functions on tensors: minigrad's function of that name, traced and differentiable.

NumPy hands its calls over by the protocols `__array_ufunc__` (NEP 13) and `__array_function__`
(NEP 18). Arguments are bound by NumPy's own signature, and passed on by name. What has no
counterpart raises, and says what to write; nothing turns into a NumPy array behind a tape's back.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Any, NoReturn

import numpy as np

from .. import tree
from ..core.op import CONTEXT
from ..core.registry import api
from ..errors import SpecError
from . import functions, ufuncs

Function = Callable[..., Any]
FOUND: dict[Any, Function] = {}  # ufuncs that were called before, and what they are here

# ufuncs whose methods are functions of their own
METHODS = {
    "reduce": {
        "add": "sum",
        "multiply": "prod",
        "maximum": "max",
        "minimum": "min",
        "logical_and": "all",
        "logical_or": "any",
    },
    "accumulate": {"add": "cumulative_sum", "multiply": "cumulative_prod"},
}
NO_VALUE: Any = getattr(np, "_NoValue", None)  # NumPy's mark of an option that was not given


def array_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What the NumPy ufunc gives for `inputs`, of which one is a tensor. NEP 13."""
    if method == "__call__" and not options:
        function = FOUND.get(ufunc)
        if function is not None:
            return function(*inputs)
    elif options.get("out") is not None:
        raise SpecError(
            f"np.{ufunc.__name__} of {said(inputs)} was to write into out=: tensors are immutable, "
            "and arrays cannot be followed by a tape; write y = f(x), and a = a + x for a += x"
        )
    name = ufunc.__name__
    options = {key: x for key, x in options.items() if not is_default(key, x)}
    if method == "reduce" and name in METHODS["reduce"]:
        axis = options.pop("axis", 0)
        return called(METHODS[method][name], ufunc, inputs, {**options, "axis": axis})
    if method == "accumulate" and name in METHODS["accumulate"]:
        return called(METHODS[method][name], ufunc, inputs, {"axis": 0, **options})
    if method == "outer" and len(inputs) == 2 and not options:
        x1, x2 = map(api.asarray, inputs)
        lead = (slice(None),) * (x1.ndim or 0)
        return array_ufunc(ufunc, "__call__", (x1[(*lead, *[None] * x2.ndim)], x2), {})
    function = ufunc_here(ufunc) if method == "__call__" else None
    if function is None or not {*options} <= {"dtype", "axis"}:
        label = name if method == "__call__" else f"{name}.{method}"
        refuse(f"{home_of(ufunc)}.{label}", inputs, options)
    FOUND[ufunc] = function
    if "dtype" in options:
        inputs = tuple([api.astype(api.asarray(x), options["dtype"]) for x in inputs])
    return function(*inputs, **{key: x for key, x in options.items() if key == "axis"})


def ufunc_here(ufunc: Any) -> Function | None:
    """minigrad's function that does what `ufunc` of NumPy or SciPy does; None if there is none."""
    name = ufunc.__name__
    if home_of(ufunc) != "np":
        special = package().special
        name = ufuncs.SPECIAL.get(name, name)
        return getattr(special, name) if name in special.__all__ else None
    found: Function | None = ufuncs.ROWS.get(name)
    name = ufuncs.UFUNCS.get(name, name)
    return found or (getattr(package(), name) if name in package().__all__ else None)


def home_of(ufunc: Any) -> str:
    """Where the ufunc can be found; nobody but SciPy publishes ones of its own."""
    return "np" if getattr(np, ufunc.__name__, None) is ufunc else "scipy.special"


def called(name: str, ufunc: Any, inputs: Any, options: dict[str, Any]) -> Any:
    """The function `name` with options that it has; NumPy's other ones are refused."""
    function = getattr(package(), name)
    if not {*options} <= {*parameters(function)}:
        refuse(f"np.{ufunc.__name__}", inputs, options)
    return function(*inputs, **options)


def is_default(key: str, value: Any) -> bool:
    """Whether the option `key` of a ufunc says nothing: what NumPy would do in any case."""
    said_nothing = value is True if key == "where" else value is None and key != "axis"
    return said_nothing or key in ("order", "subok", "casting")


def array_function(
    function: Function, types: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """What the NumPy function gives for arguments that hold tensors. NEP 18."""
    if not all(kind is np.ndarray or hasattr(kind, "spec") for kind in types):
        return NotImplemented
    name = full_name(function)
    converts = name in functions.CONVERSIONS or (
        name == "broadcast_arrays" and any(x is None or isinstance(x, str) for x in args)
    )
    if converts and is_followed(args, options):
        refuse(f"np.{name}", args, options)
    if converts or name in functions.QUESTIONS:
        args, options = tree.map(plain, (args, options))
        return function(*args, **options)
    row = functions.ROWS.get(name)
    if row is not None:
        try:
            inspect.signature(row).bind(*args, **options)
        except TypeError:
            refuse(f"np.{name}", args, options)
        y = row(*args, **options)
        if y is NotImplemented:
            refuse(f"np.{name}", args, options)
        return y
    target = function_here(name)
    if target is None:
        refuse(f"np.{name}", args, options)
    positional, named = by_our_names(function, target, args, options)
    return target(*positional, **named)


def full_name(function: Any) -> str:
    """The name of a NumPy function behind `np.`, with its submodule."""
    module = function.__module__.removeprefix("numpy").removeprefix(".")
    return f"{module}.{function.__name__}" if module else function.__name__


def package() -> Any:
    """minigrad itself, whose names are public."""
    return sys.modules["minigrad"]


@cache
def function_here(name: str) -> Function | None:
    """minigrad's function of the same name, in the same submodule; None if there is none."""
    module, _, last = name.rpartition(".")
    last = functions.RENAMED.get(name, last)
    if module not in ("", "linalg", "fft") or (module and module not in package().__all__):
        return None
    space = getattr(package(), module) if module else package()
    return getattr(space, last) if last in space.__all__ else None


@cache
def parameters(function: Function) -> dict[str, inspect.Parameter]:
    """The parameters of a function of NumPy or minigrad, by name."""
    return dict(inspect.signature(function).parameters)


def by_our_names(
    function: Function, target: Function, args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of `target` for which it does what NumPy's `function` does for these.

    The first ones go by position, the others by name. What `target` does not take must be left
    as NumPy has it; a default of None says nothing, but for an axis, where it means all.
    """
    theirs = inspect.signature(function)
    bound = theirs.bind(*args, **options)
    bound.apply_defaults()
    ours = parameters(target)
    given: list[tuple[str, Any]] = list(bound.arguments.items())
    by_position = [n for n, p in ours.items() if p.kind is inspect.Parameter.POSITIONAL_ONLY]
    positional = [value for _, value in given[: len(by_position)]]
    named = {}
    for key, value in given[len(by_position) :]:
        default = theirs.parameters[key].default
        untouched = value is default or (
            type(value) is type(default) and plain_equal(value, default)
        )
        if untouched and (value is NO_VALUE or (value is None and key != "axis")):
            continue
        if key in ours:
            named[key] = value
        elif not untouched:
            refuse(f"np.{full_name(function)} with {key}=", args, options)
    return positional, named


def plain_equal(value: Any, default: Any) -> bool:
    """Whether two Python values of one type are equal; arrays and tensors are never plain."""
    return isinstance(value, (bool, int, float, str)) and value == default


def plain(x: Any) -> Any:
    """A tensor as an array, anything else as it is."""
    return x.__array__() if hasattr(x, "spec") and hasattr(x, "__array__") else x


def is_followed(*args: Any) -> bool:
    """Whether a tape or trace wants derivatives of what comes of `args`."""
    leaves = [x for x in tree.flatten(args)[0] if hasattr(x, "spec")]
    return any(listener.follows(leaves) for listener in CONTEXT.get().listeners)


def said(args: Any) -> str:
    """What to call the arguments in a message: the tensors among them."""
    leaves = [x for x in tree.flatten(args)[0] if hasattr(x, "spec")]
    return ", ".join(str(x.spec) for x in leaves[:3]) or "tensors"


def refuse(name: str, args: Any, options: Any) -> NoReturn:
    """Raise the error of a NumPy function that has no counterpart."""
    word = name.split()[0]
    near = get_close_matches(word.split(".")[-1], package().__all__, 1, 0.75)
    raise SpecError(
        f"{name} of {said((args, options))}: it has no counterpart here that can be traced and "
        f"differentiated, and NumPy's would cut the gradient; write it in minigrad's functions"
        f"{f' (mg.{near[0]}?)' if near else ''}, {word}(x.numpy(), ...) for a constant, or "
        "mg.numpy_function"
    )
