"""One round of a vector loop, while it is written: what is known in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..core.lowering import Value
from .emitter import VectorEmitter
from .folds import Copies
from .loops import DType, Loop, statements
from .names import divided_by, used
from .text import Index
from .uniform import UniformEmitter


@dataclass
class Vector:
    """One round of a vector loop: emitter, variable, position, mask, names.

    start: the round of the loop that `index` counts from.
    filled: how many lanes the mask leaves. ready: scalars from outside of the loop, in every lane,
    by name and dtype.
    calls: whether long functions are called, and not written out.
    """

    emitter: VectorEmitter
    var: str
    start: Index
    index: Index
    mask: Value | None
    filled: int
    ready: dict[tuple[str, DType], Copies]
    calls: bool
    backwards: bool = False
    names: dict[str, Copies] = field(default_factory=dict)


def everywhere(
    loop: Loop, emitter: VectorEmitter, scalars: Mapping[str, Copies]
) -> dict[tuple[str, DType], Copies]:
    """Those of `scalars` that a loop uses, in every lane."""
    found: dict[tuple[str, DType], Copies] = {}
    body, scalar = [*statements(loop.body)], emitter.scalar
    divisors = set(divided_by(body))
    for name, dtype in used(body):
        if name in scalars and (name, dtype) not in found:
            values = [scalar.cast(x, dtype) for x in scalars[name]]
            found[name, dtype] = [emitter.splat(x) for x in values]
            if (name, dtype) in divisors and isinstance(emitter, UniformEmitter):
                for x, vector in zip(values, found[name, dtype], strict=True):
                    emitter.announce(x, vector)
    return found


@contextmanager
def dividing(loop: Loop, vector: Vector) -> Iterator[None]:
    """While `loop` is written: be ready to divide by what each lane knows before it."""
    emitter = vector.emitter
    if not isinstance(emitter, UniformEmitter):
        yield
        return
    outside = dict(emitter.divisors)
    for name, dtype in dict.fromkeys(divided_by(loop.body)):
        if name in vector.names:
            (x,) = vector.names[name]
            emitter.announce_lanes(emitter.cast(x, dtype))
    yield
    emitter.divisors = outside
