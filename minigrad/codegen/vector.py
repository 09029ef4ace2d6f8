"""One round of a vector loop, while it is written: what is known in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.lowering import Pointwise, Scan, Value
from ..core.op import Op
from .emitter import VectorEmitter
from .folds import Copies
from .loops import DType
from .text import Index


@dataclass
class Vector:
    """One round of a vector loop: emitter, variable, position, mask, names.

    filled: how many lanes the mask leaves. ready: scalars from outside of the loop, in every lane,
    by name and dtype.
    calls: whether long functions are called, and not written out.
    """

    emitter: VectorEmitter
    var: str
    index: Index
    mask: Value | None
    filled: int
    ready: dict[tuple[str, DType], Copies]
    calls: bool
    backwards: bool = False
    names: dict[str, Copies] = field(default_factory=dict)


def mapped(emitter: VectorEmitter, op: Op | None, xs: Sequence[Value]) -> Value:
    """The body of an op, of running results one step; of None, the operand."""
    if op is None:
        return xs[0]
    if isinstance(op.lower, Scan):
        return op.lower.combine(emitter, *xs)
    assert isinstance(op.lower, Pointwise)
    return op.lower.rule(emitter, *xs)
