"""What tells one signature of a function from another, and the difference in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import tree
from .core.spec import Spec
from .errors import SpecError


def checked_signature(signature: Any) -> tuple[Any, ...] | None:
    """`signature` as a tuple. Raises SpecError unless it is a nest of TensorSpecs."""
    if signature is None:
        return None
    found = tuple(signature) if isinstance(signature, (list, tuple)) else signature
    leaves = tree.flatten(found)[0]
    if type(found) is not tuple or not all(isinstance(leaf, Spec) for leaf in leaves):
        raise SpecError(
            f"function with input_signature={signature!r:.80}: it lists one TensorSpec, or nest "
            "of them, for each argument; write input_signature=[mg.TensorSpec((None, 3), "
            "mg.float32)]"
        )
    return found


def differences(old: tuple[Any, ...], new: tuple[Any, ...], parameters: Sequence[str]) -> list[str]:
    """What changed between two signatures, argument by argument."""
    if old[0] != new[0]:
        return [f"the nest of the arguments was {old[0]!r}, is {new[0]!r}"]
    args, kwargs = tree.unflatten(old[0], range(len(old) - 1))
    names = [*parameters, *[f"argument {i}" for i in range(len(parameters), len(args))]]
    paths = [path for name, x in zip(names, args, strict=False) for path in tree.paths(x, name)]
    paths += [path for name, x in kwargs.items() for path in tree.paths(x, name)]
    return [
        f"argument {path!r} was {described(a)}, is {described(b)}"
        for path, a, b in zip(paths, old[1:], new[1:], strict=True)
        if a != b
    ]


def described(part: Any) -> str:
    """One part of a signature in words."""
    first, second = part
    if isinstance(first, type):
        return f"{first.__name__} {second if first in (float, complex) else repr(second)}"
    return str(Spec(first, second))
