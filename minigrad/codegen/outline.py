"""Functions of vectors, written once and called: what keeps long loops quick to compile.

A polynomial takes LLVM some milliseconds wherever it is written out. A call takes none, and costs
the loop little, as it works on several registers at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.lowering import Value
from ..core.op import Op
from .bodies import instructions, mapped
from .emitter import VectorEmitter, is_constant
from .loops import DType
from .text import Function

LONG = 12
"""Instructions of a body from which on it is worth a call."""


def is_worth_a_call(op: Op, xs: Sequence[Value], dtype: DType) -> bool:
    """Whether `op` of `xs` is long. What is known while writing is better written out."""
    if any(map(is_constant, xs)):
        return False
    return (instructions(op, tuple([x.dtype for x in xs]), dtype) or 0) >= LONG


def called(emitter: VectorEmitter, op: Op, xs: Sequence[Value], dtype: DType) -> Value:
    """The value of `op` of `xs`, in `dtype`, by a call of its function."""
    module, kinds = emitter.function.module, [emitter.type_of(x.dtype) for x in xs]
    lanes = "".join(f".{x.dtype}" for x in xs)
    name, result = f"{op.name}{lanes}.{dtype}.{emitter.lanes}", emitter.type_of(dtype)
    if name not in module.definitions:
        parameters = [f"{kind} %x{k}" for k, kind in enumerate(kinds)]
        body = Function(module, name, tuple(parameters), internal=True)
        inside = VectorEmitter(body, emitter.lanes)
        values = [Value(f"%x{k}", x.dtype) for k, x in enumerate(xs)]
        y = inside.cast(mapped(inside, op, values), dtype)
        module.define(name, body.render_value(result, y.text))
    passed = ", ".join(f"{kind} {x.text}" for kind, x in zip(kinds, xs, strict=True))
    return emitter.let(f'call fastcc {result} @"{name}"({passed})', dtype)
