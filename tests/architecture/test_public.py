"""Everything public is documented, and every op has decided on its derivative."""

import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import minigrad as mg
from minigrad.core.registry import OPS

PROMISED = ["distribute", "errors", "fft", "linalg", "nn", "optimizers", "random"]
PROMISED += ["saved_model", "special", "testing", "visualize"]
importlib.import_module("minigrad.saved_model")  # and all ops that a file may hold
PUBLIC_MODULES = [
    f"minigrad.{name}" for name in PROMISED if importlib.util.find_spec(f"minigrad.{name}")
]


def public_names(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public objects of a module: those of `__all__`, or those that it defines."""
    if hasattr(module, "__all__"):
        yield from ((name, getattr(module, name)) for name in module.__all__)
        return
    for name, value in vars(module).items():
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__:
            yield name, value


def documentation(value: Any) -> str:
    """The docstring of `value` itself; what it has from its class or its base does not count."""
    text = value.__doc__ or ""
    inherited = type(value).__mro__ if not isinstance(value, type) else value.__mro__[1:]
    return "" if text in {cls.__doc__ for cls in inherited} else text.strip()


def undocumented(value: Any, name: str) -> list[str]:
    """What of `value` has no docstring: itself, and the public methods of a class."""
    if not (inspect.ismodule(value) or callable(value)) or is_dtype(value):
        return []
    missing = [] if documentation(value) else [name]
    if isinstance(value, type):
        missing += [
            f"{name}.{key}"
            for key, member in vars(value).items()
            if not key.startswith("_")
            and (callable(member) or isinstance(member, property | classmethod | staticmethod))
            and not (member.__doc__ or "").strip()
        ]
    return missing


def is_dtype(value: Any) -> bool:
    """Whether `value` is a dtype or a type that is not ours, and so is documented elsewhere."""
    return isinstance(value, type) and not value.__module__.startswith("minigrad")


def test_minigrad_says_what_is_public() -> None:
    assert len(mg.__all__) == len(set(mg.__all__)) > 0
    assert [name for name in mg.__all__ if not hasattr(mg, name)] == []


@pytest.mark.parametrize("module", ["minigrad", *PUBLIC_MODULES])
def test_every_public_name_has_a_docstring(module: str) -> None:
    found = importlib.import_module(module)
    missing = [line for name, value in public_names(found) for line in undocumented(value, name)]
    assert documentation(found) and not missing, f"{module}: no docstring: {', '.join(missing)}"


# --- derivatives ------------------------------------------------------------------------------


def decisions(op: Any) -> list[str]:
    """What has been said about the derivative of `op`; exactly one answer is right."""
    said = {
        "a rule (defvjp)": op.joint_vjp if op.vjps is None else op.vjps,
        "zero (no_gradient)": op.zero_gradient,
        "opaque": op.opaque,
    }
    return [answer for answer, given in said.items() if given is not None]


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_has_one_decision_on_its_derivative(name: str) -> None:
    said = decisions(OPS[name])
    assert len(said) == 1, (
        f"{name}: said of its derivative: {said or 'nothing'}; write one of {name}.defvjp(...), "
        f"{name}.no_gradient('why') or opaque='why'"
    )


# --- the checks above can fail ----------------------------------------------------------------


def test_a_missing_docstring_is_seen() -> None:
    class Bare:
        def method(self) -> None: ...

    class ChildError(Exception): ...

    def bare() -> None: ...

    Bare.__module__ = ChildError.__module__ = "minigrad.made_up"
    assert undocumented(Bare, "Bare") == ["Bare", "Bare.method"]
    assert undocumented(ChildError, "ChildError") == ["ChildError"]
    assert undocumented(bare, "bare") == ["bare"]
    assert undocumented(ModuleType("bare"), "bare") == ["bare"]


def test_a_missing_decision_is_seen() -> None:
    class Undecided:
        vjps = joint_vjp = zero_gradient = opaque = None

    assert decisions(Undecided()) == []
