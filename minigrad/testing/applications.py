"""Applications: an op, inputs for it and attributes, by which every law is stated."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..core.define import pointwise_spec
from ..core.op import Op
from ..core.tensor import Tensor
from ..core.where import HOME
from ..ops.create import constant
from .report import importing, literal, name_of

Array = np.ndarray[Any, Any]
POINTWISE = pointwise_spec(np.positive).__code__  # what infer rules of pointwise ops share
# what is not loaded to find ops: programs, and what needs optional libraries
WITHOUT_OPS = ("minigrad.__main__", "minigrad.tour", "minigrad.testing")


@cache
def load_all() -> None:
    """Load every module, so that no op is missing because nobody has asked for it yet."""
    for module in pkgutil.walk_packages([HOME], "minigrad."):
        if not module.name.startswith(WITHOUT_OPS):
            importlib.import_module(module.name)


class Application(NamedTuple):
    """One application of an op to arrays and Python numbers."""

    op: Op
    inputs: tuple[Any, ...]
    attrs: dict[str, Any]

    def tensors(self) -> list[Any]:
        """The inputs, arrays as tensors."""
        return [constant(x) if isinstance(x, np.ndarray) else x for x in self.inputs]

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        """The outputs of the op on other inputs, always as a tuple."""
        outputs = self.op(*inputs, **self.attrs)
        return outputs if type(outputs) is tuple else (outputs,)

    def as_lines(self, name: str) -> str:
        """The lines that bind `name` to this application."""
        inputs = literal(self.inputs)
        attrs = ", ".join([f"{key!r}: {literal(value)}" for key, value in self.attrs.items()])
        lines = [*importing(self.op), "from minigrad.testing.applications import Application"]
        op = f"getattr({name_of(self.op)}, 'op', {name_of(self.op)})"
        return "\n".join([*lines, f"{name} = Application({op}, {inputs}, {{{attrs}}})"])

    def smooth(self) -> list[int]:
        """The places of the inputs that can have a derivative."""
        return [i for i, x in enumerate(self.inputs) if is_inexact(x)]


def is_inexact(x: Any) -> bool:
    """Whether `x` is an array or tensor of floats or complex numbers."""
    return isinstance(x, (np.ndarray, Tensor)) and x.dtype.kind in "fc"


def is_pointwise(op: Op) -> bool:
    """Whether `op` was made by the decorator `pointwise`."""
    return getattr(op.infer, "__code__", None) is POINTWISE
