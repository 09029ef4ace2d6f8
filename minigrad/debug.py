"""Looking for the op that made the first NaN or infinity: `with mg.debug.check_numerics():`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from .core.op import CONTEXT, EAGER, Attrs, Eager, Inputs, Node, Op, Outputs, raw, using, wrapped
from .core.quiet import loud, quiet
from .core.tensor import Tensor
from .core.where import Where, here
from .errors import NumericsError, TraceError
from .graph import Graph
from .pullback import differentiated

KINDS = {"NaN": np.isnan, "inf": np.isinf}
# what to write where an op left its domain
DOMAINS = {
    "log": "keep its argument positive, as in mg.log(mg.maximum(x, 1e-12)), or use mg.log1p or "
    "mg.special.xlogy",
    "log2": "keep its argument positive, as in mg.log2(mg.maximum(x, 1e-12))",
    "log10": "keep its argument positive, as in mg.log10(mg.maximum(x, 1e-12))",
    "sqrt": "keep its argument from becoming negative, as in mg.sqrt(mg.maximum(x, 0.0))",
    "divide": "keep the divisor from 0, as in x / mg.where(y == 0, 1.0, y)",
    "exp": "subtract the maximum first, as mg.nn.softmax and mg.nn.logsumexp do",
    "power": "keep its base positive, or write exp(y * log(x)) with a log that is safe",
    "acos": "mg.clip its argument to -1 and 1",
    "asin": "mg.clip its argument to -1 and 1",
}
# what to write where its derivative is not finite
SLOPES = {
    "sqrt": "keep its argument above 0, where its slope is infinite, as in "
    "mg.sqrt(mg.maximum(x, 1e-12))",
    "acos": "keep its argument from -1 and 1, where its slope is infinite, by mg.clip",
    "asin": "keep its argument from -1 and 1, where its slope is infinite, by mg.clip",
}
MASKED = (
    "if that is a branch of mg.where that is not taken, it is computed nevertheless: choose twice, "
    "as in mg.where(x > 0, mg.log(mg.where(x > 0, x, 1.0)), 0.0)"
)


def check_numerics(*, inf: bool = True) -> AbstractContextManager[None]:
    """Inside of the block, raise at the op that makes the first NaN or infinity.

    inf: whether infinities count as well; NaN always does. Values that were NaN or infinite
    before pass: what is looked for is where they come from. Functions, compiled ones too, are run
    op by op, so that the op and your line are known; gradients say which op is differentiated.
    Only this thread or coroutine is affected. Raises NumericsError there, TraceError where the
    block stands in a function that is being traced.
    """
    return checking(here(), inf=inf)


@contextmanager
def checking(where: Where, *, inf: bool) -> Iterator[None]:
    """The block of `check_numerics`, which was asked for in the line `where`."""
    context = CONTEXT.get()
    interpreter, listeners = context.interpreter, context.listeners
    if not isinstance(interpreter, Eager):
        raise TraceError(
            f"mg.debug.check_numerics was entered at {where} while a function is traced: there "
            "are no values yet; put the call of the function into the block"
        )
    with using(Checking(inf=inf), listeners):
        yield


class Checking(Eager):
    """Computes at once, and looks at what comes out."""

    def __init__(self, *, inf: bool) -> None:
        self._inf = inf
        self._within: list[tuple[Graph, Node]] = []  # the graphs that are being run, and where

    def run(self, op: Op, inputs: Inputs, attrs: Attrs) -> Outputs:
        """The outputs of `op`. Raises NumericsError where they are the first not to be finite."""
        before = quiet()
        try:
            outputs = EAGER.run(op, inputs, attrs)
        finally:
            loud(before)
        several = outputs if type(outputs) is tuple else (outputs,)
        arrays = [y._value for y in several if is_float(y)]
        for kind, test in KINDS.items():
            if kind == "inf" and not self._inf:
                continue
            bad = next((y for y in arrays if np.any(test(y))), None)
            if bad is not None and not any(
                np.any(test(x) | np.isnan(x))
                for x in [np.asarray(raw(x)) for x in inputs if is_float(x) or type(x) is float]
            ):
                raise self._error(op, inputs, kind, test(bad))
        return outputs

    def stepwise(self, graph: Graph) -> Callable[..., tuple[Any, ...]]:
        """What runs `graph` node by node, and knows which one it is at."""

        def steps(*values: Any) -> tuple[Any, ...]:
            known = dict(zip(graph.inputs, map(wrapped, values), strict=True))
            with using(self, ()):
                for node in graph.nodes:
                    self._within.append((graph, node))
                    try:
                        outputs = node.op(*[known.get(x, x) for x in node.inputs], **node.attrs)
                    finally:
                        self._within.pop()
                    several = outputs if type(outputs) is tuple else (outputs,)
                    known.update(zip(node.outputs, several, strict=True))
            return tuple([raw(known.get(y, y)) for y in graph.outputs])

        return steps

    def _error(self, op: Op, inputs: Inputs, kind: str, bad: Any) -> NumericsError:
        """The op, forward or backward, and the user's line; what came, and what to write."""
        name, way, place = op.name, "forward", str(here())
        culprit = differentiated()
        if self._within:
            graph, node = self._within[-1]
            origins = graph.cache.get("origins", {})
            name = next((origins[y] for y in node.outputs if y in origins), op.name)
            place, way = str(node.where), f"backward, {op.name}" if origins else way
        elif culprit is not None:
            name, way, place = culprit.op.name, f"backward, {op.name}", str(culprit.where)
        first = [int(i) for i in np.argwhere(bad)[0]]
        came = ", ".join(filter(None, map(described, inputs))) or "no tensors"
        known = DOMAINS if way == "forward" else {**DOMAINS, **SLOPES}
        remedies = [known[name]] if name in DOMAINS else []
        if name in DOMAINS or meets_zero(op, inputs, bad):
            remedies.append(MASKED)
        remedy = "; ".join(remedies) or "bring its arguments into a smaller range"
        return NumericsError(
            f"check_numerics: {name} at {place} ({way}) made {int(np.sum(bad))} {kind} among "
            f"{bad.size} elements, the first at {first}, and {came} came: of finite numbers "
            f"finite ones are to be made; {remedy}"
        )


def is_float(x: Any) -> bool:
    """Whether `x` is a tensor of floating or complex numbers."""
    return type(x) is Tensor and x._value.dtype.kind in "fc"


def described(x: Any) -> str:
    """A floating input: its spec, and the range of its values."""
    if not is_float(x):
        return ""
    array = x._value
    if array.size == 0 or array.dtype.kind == "c":
        return str(x.spec)
    return f"{x.spec} from {np.nanmin(array):.6g} to {np.nanmax(array):.6g}"


def meets_zero(op: Op, inputs: Inputs, bad: Any) -> bool:
    """Whether a cotangent of 0 met an infinity: the sign of a branch that is not taken."""
    if op.name not in ("multiply", "divide"):
        return False
    return any(np.any(np.broadcast_to(raw(x), bad.shape)[bad] == 0) for x in inputs)
