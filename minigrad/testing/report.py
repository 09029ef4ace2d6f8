"""What a check says: what it looked at, what it found, and the lines that show it again."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.tensor import Tensor


@dataclass
class Report:
    """The findings of one check: `print` it to see them all.

    checked: what held, in words. refused: what was not looked at, and why. failures: what does
    not hold. advice: what to do about it, or about how exact the check can be.
    """

    title: str
    checked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = [f"{self.title}: {'holds' if not self.failures else 'does not hold'}"]
        rows += [f"  fails: {line}" for line in self.failures]
        rows += [f"  holds: {line}" for line in self.checked]
        rows += [f"  not looked at: {line}" for line in self.refused]
        rows += [f"  advice: {line}" for line in self.advice]
        return "\n".join(rows)

    def settle(self, program: str) -> Report:
        """Itself, if nothing failed. Raises LawError, with the lines that show it again."""
        if self.failures:
            raise LawError(str(self), self, program)
        return self


class LawError(AssertionError):
    """A law that does not hold; `report` says which, `program` is a few lines that show it."""

    def __init__(self, words: str, report: Report, program: str) -> None:
        super().__init__(words)
        self.report = report
        self.program = program


def name_of(f: Any) -> str:
    """What a function or op is called."""
    return str(getattr(f, "__name__", None) or type(f).__name__)


def literal(x: Any) -> str:
    """A value as Python that makes it again: arrays and tensors by their elements."""
    if isinstance(x, Tensor):
        return f"mg.constant({literal(x.numpy())})"
    if isinstance(x, np.ndarray):
        with np.printoptions(threshold=sys.maxsize, precision=17, floatmode="unique"):
            if 0 in x.shape:
                return f"np.zeros({x.shape}, {x.dtype.name!r})"
            return f"np.array({spelled(x.tolist())}, {x.dtype.name!r})"
    if isinstance(x, np.dtype):
        return f"np.dtype({x.name!r})"
    if isinstance(x, tuple):
        return f"({', '.join(map(literal, x))}{',' * (len(x) == 1)})"
    return spelled(x)


def spelled(x: Any) -> str:
    """Numbers and lists of them as Python; inf and nan by NumPy's names."""
    if isinstance(x, list):
        return f"[{', '.join(map(spelled, x))}]"
    if isinstance(x, float) and not np.isfinite(x):
        return f"float('{x}')"
    if isinstance(x, complex) and not np.isfinite(x):
        return f"complex({spelled(x.real)}, {spelled(x.imag)})"
    return repr(x)


def written(name: str, value: Any) -> str:
    """The lines that bind `name` to `value`. Raises ValueError for what they cannot make."""
    if hasattr(value, "as_lines"):
        return str(value.as_lines(name))
    if isinstance(value, (Tensor, np.ndarray, np.dtype, bool, int, float, complex, str)):
        return f"{name} = {literal(value)}"
    if value is None or (
        isinstance(value, (tuple, list)) and all(type(x) in (int, float, str, bool) for x in value)
    ):
        return f"{name} = {literal(value)}"
    raise ValueError(f"{name} cannot be written as a line: {type(value).__name__}")


def called(f: Any) -> str:
    """The name that a program gives to `f`; one without a name is f."""
    name = name_of(f)
    return name if name.isidentifier() else "f"


def importing(f: Any) -> list[str]:
    """The lines that bring `f` under its name; a comment where no line could."""
    name, module = name_of(f), getattr(f, "__module__", None)
    path = getattr(sys.modules.get(module or ""), "__file__", None)
    if module is None or getattr(sys.modules.get(module), name, None) is None or path is None:
        return [f"# put the definition of {called(f)} here{place(f)}: it is no name of a module"]
    if "minigrad" in module.split("."):
        return [f"from {module} import {name}"]
    folder = Path(path).parent
    return [f"sys.path.insert(0, {str(folder)!r})", f"from {Path(path).stem} import {name}"]


def place(f: Any) -> str:
    """File and line of a function, for a sentence."""
    try:
        code = inspect.unwrap(f).__code__
    except (AttributeError, ValueError):
        return ""
    return f" ({code.co_filename}:{code.co_firstlineno})"


def program_of(
    check: Callable[..., Any], f: Any, inputs: Sequence[Any], options: Mapping[str, Any]
) -> str:
    """A few lines to paste: the inputs, and the check of `f` on them."""
    names = [f"x{i}" for i in range(len(inputs))]
    lines = ["import sys", "", "import numpy as np", "", "import minigrad as mg"]
    lines += [f"from minigrad.testing import {check.__name__}"]
    lines += [*importing(f), ""]
    lines += [f"{name} = {literal(x)}" for name, x in zip(names, inputs, strict=True)]
    given = [called(f), *names, *[f"{key}={literal(v)}" for key, v in options.items()]]
    lines.append(f"{check.__name__}({', '.join(given)})")
    return "\n".join(lines) + "\n"
