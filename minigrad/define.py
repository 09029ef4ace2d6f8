"""Ops of your own: kernel, derivative and loop body in one place, by the decorators of our own ops.

    @mg.define.pointwise(lambda b, x: b.div(x, b.add(b.const(1.0, x.dtype), b.math("abs", x))))
    def softsign(x, /):
        \"\"\"x / (1 + |x|), elementwise.\"\"\"
        return x / (1 + np.abs(x))

    softsign.defvjp(lambda g, y, x: g / mg.square(1 + mg.abs(x)))

A new op is differentiated to any order, traced, printed, vmapped, compiled and saved as others
are; `mg.testing.check_op(softsign)` holds it to their laws. Files hold its name alone: who loads
one must have defined the op first. A function that is written in ops needs none of this.
"""

from __future__ import annotations

import functools
import inspect
import keyword
from collections.abc import Callable
from typing import Any

import numpy as np

# all that define ops: only when they have can a name be known to be free
from . import batch, compiler, fft, linalg, nn, random, special
from .core import define as ours
from .core.define import Domain, PointwiseFunction
from .core.lowering import Emitter, Lowering, Move, Pointwise, Reduce, Value
from .core.op import Op
from .core.registry import OPS
from .core.spec import Spec, broadcast_shapes
from .core.where import LIBRARY
from .errors import DefinitionError

__all__ = ["Domain", "Emitter", "Move", "Op", "Pointwise", "PointwiseFunction", "Reduce", "Spec"]
__all__ += ["Value", "broadcast_shapes", "forget", "pointwise", "primitive"]

DEFINE = (batch, compiler, fft, linalg, nn, random, special)


def pointwise(
    rule: Callable[..., Any] | Pointwise | None = None, **properties: Any
) -> Callable[[Callable[..., Any]], PointwiseFunction]:
    """Make an op of a NumPy kernel that acts elementwise and broadcasts.

    rule: the loop body, `rule(emitter, *elements)`; None leaves the op to its kernel. domain: a
    `Domain` for each input, for `check_op`. Further properties are those of `Op`. What is made
    has `defvjp` and `no_gradient`, of which one is due. Shape and dtype of the result follow from
    the kernel. Raises DefinitionError for a name that is taken, or is none.
    """

    def define(kernel: Callable[..., Any]) -> PointwiseFunction:
        claim(kernel)
        return ours.pointwise(rule, public=False, **properties)(guarded(kernel))

    return define


def primitive(
    *, infer: Callable[..., Any], lower: Lowering | None = None, **properties: Any
) -> Callable[[Callable[..., Any]], Op]:
    """Make an op of a NumPy kernel with attributes, which are keyword arguments.

    infer: `infer(*inputs, **attrs)` gives the Spec of the result, or a tuple of Specs; raises
    SpecError for what does not fit. lower: a `Reduce` or `Move`; None leaves it to the kernel.
    row: draws inputs and attributes for `check_op`, `row(pen)`. Further properties are those of
    `Op`; `defvjp` or `no_gradient` is due, and `defbatch` makes vmap quick. Raises
    DefinitionError for a name that is taken, or is none.
    """

    def define(kernel: Callable[..., Any]) -> Op:
        claim(kernel)
        made = ours.primitive(infer=infer, lower=lower, public=False, **properties)
        return made(guarded(kernel))

    return define


def forget(op: Any) -> None:
    """Make the name of an op of yours free again: graphs that have the op keep it.

    Raises DefinitionError for an op of minigrad, or one that is not defined.
    """
    found: Any = getattr(op, "op", op)
    if not isinstance(found, Op) or is_ours(found) or found not in OPS.values():
        raise DefinitionError(
            f"forget: {op!r} was to be forgotten, and it is no op that you have defined; "
            "pass what mg.define.pointwise or mg.define.primitive has made"
        )
    del OPS[found.name]


def guarded(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` on arrays that it cannot write to: tensors never change."""

    @functools.wraps(kernel)
    def call(*arrays: Any, **attrs: Any) -> Any:
        return kernel(*map(frozen, arrays), **attrs)

    return call


def frozen(x: Any) -> Any:
    """A view of the array `x` that cannot be written to; anything else as it is."""
    if type(x) is not np.ndarray or not x.flags.writeable:
        return x
    view = x.view()
    view.flags.writeable = False
    return view


def claim(kernel: Callable[..., Any]) -> None:
    """Make the name of `kernel` free, or raise DefinitionError.

    An op that is defined again in the same place, as when a cell of a notebook is run twice,
    takes the place of the first.
    """
    name = getattr(kernel, "__name__", "")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise DefinitionError(
            f"define: an op named {name!r} was to be made; graphs print as Python, so its name "
            "must be one that Python can call; write the kernel with def, under a name"
        )
    if name not in OPS:
        return
    known: Op = OPS[name]
    if is_ours(known):
        raise DefinitionError(
            f"define: an op named {name!r} was to be made, and minigrad has one; a name means one "
            f"op, for graphs and files name theirs; call it otherwise, such as my_{name}"
        )
    if origin(known.kernel) != origin(kernel):
        raise DefinitionError(
            f"define: an op named {name!r} was to be made in {' '.join(origin(kernel))}, and "
            f"{' '.join(origin(known.kernel))} has made one; a name means one op, for graphs and "
            "files name theirs; rename one, or mg.define.forget the first"
        )
    del OPS[name]


def is_ours(op: Op) -> bool:
    """Whether `op` is defined by minigrad itself."""
    kernel: Any = inspect.unwrap(op.kernel)
    return LIBRARY[kernel.__code__.co_filename] and op.__module__.startswith("minigrad.")


def origin(kernel: Callable[..., Any]) -> tuple[str, str]:
    """The module of a kernel, and its name there."""
    return kernel.__module__, kernel.__qualname__
