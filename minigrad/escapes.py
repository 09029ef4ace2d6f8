"""Values that left a body through NumPy and came back: found, so that no gradient is wrong.

A tape follows tensors. What a body computes from `x.numpy()`, `float(x)` or `x.item()` comes back
as a constant, and the derivative would silently lack a term. While a body runs, `Escapes` notes
each followed tensor that leaves, and which results are made with constants that came after. Those
results pass through the op `escaped`, whose value is theirs and whose derivative is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .core.leaving import WATCHER
from .core.op import CONTEXT, Context, Node, Op, here, raw
from .core.spec import Spec
from .core.tensor import Tensor
from .errors import EscapedGradientError


class Escapes:
    """Listens while a body runs.

    given: finds the tensors that the body has from outside, by argument or by name; asked only
    when something has left.
    """

    def __init__(self, given: Callable[[], Sequence[Any]]) -> None:
        self._given = given
        self._known: set[Any] = set()
        self._made: set[Any] = set()
        self._smooth: set[Any] = set()  # of what was made: what has a path to something followed
        self._tainted: set[Any] = set()
        self._waiting: list[Node] = []  # most bodies let nothing out: then nothing is looked at
        self.record: Callable[[Node], None] = self._waiting.append
        self.escaped: dict[Any, str] = {}
        self._tapes = CONTEXT.get().listeners

    def leaves(self, x: Any) -> None:
        """The value of `x` is being taken out."""
        if x.dtype.kind not in "fc":
            return
        self._catch_up()
        if self._is_followed(x):
            if not self.escaped:
                self._known.update(self._given())
            self.escaped.setdefault(x, str(here()))

    def _is_followed(self, x: Any) -> bool:
        if x in self._made:
            return x in self._smooth
        return any(tape.follows((x,)) for tape in self._tapes)

    def _catch_up(self) -> None:
        """Look at the nodes that were recorded since the last look."""
        for node in self._waiting:
            self._look(node)
        self._waiting.clear()

    def _look(self, node: Node) -> None:
        """See what is made of what."""
        if self.escaped and any(map(self._is_suspect, node.inputs)):
            self._tainted.update(node.outputs)
        if node.op.differentiable and any(
            isinstance(x, Tensor) and self._is_followed(x) for x in node.inputs
        ):
            self._smooth.update(node.outputs)
        self._made.update(node.outputs)

    def _is_suspect(self, x: Any) -> bool:
        """Whether `x` may hold what escaped: a float, or a tensor that came from nowhere."""
        if isinstance(x, Tensor):
            return x in self._tainted or not (x in self._made or x in self._known)
        return type(x) in (float, complex)

    def notice(self, cell: Any) -> None:
        """Variables are read by nodes, which are recorded."""

    def follows(self, inputs: Any) -> bool:
        """No: it asks for no derivative."""
        return False

    def guarded(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """The results of the body; those that may lack a term of their derivative, marked."""
        if not self.escaped:
            return list(outputs)
        self._catch_up()
        place = next(iter(self.escaped.values()))
        sources = tuple(self.escaped)
        return [
            escaped(y, *sources, where=place) if y.dtype.kind in "fc" and self._is_suspect(y) else y
            for y in outputs
        ]


class watching:  # noqa: N801  (it reads as the function it would be)
    """A block in which a body runs; gives the function that marks its results afterwards."""

    def __init__(self, given: Callable[[], Sequence[Any]]) -> None:
        self._given = given

    def __enter__(self) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        interpreter, listeners = CONTEXT.get()
        self._watches = bool(listeners)
        if not listeners:
            return list
        escapes = Escapes(self._given)
        self._watcher = WATCHER.set(escapes.leaves)
        self._context = CONTEXT.set(Context(interpreter, (*listeners, escapes)))
        return escapes.guarded

    def __exit__(self, *exception: object) -> None:
        if self._watches:
            CONTEXT.reset(self._context)
            WATCHER.reset(self._watcher)


def first_kernel(y: Any, *sources: Any, where: str) -> Any:
    """The result itself."""
    return raw(y)


def first_spec(y: Any, *sources: Any, where: str) -> Spec:
    """The spec of the result."""
    return Spec(y.shape, y.dtype)


escaped = Op(first_kernel, infer=first_spec, name="escaped", holomorphic=False)
escaped.cut = "escape"


@escaped.defvjp_joint
def escaped_vjp(gs: list[Any], outputs: Any, inputs: Any, needed: Any, *, where: str) -> NoReturn:
    """Refuse: the derivative would lack what went through NumPy."""
    raise EscapedGradientError(
        f"gradient through a py_function: {inputs[1].spec} left it as a NumPy or Python value at "
        f"{where}, and what came back is a constant: the derivative would silently lack a term; "
        "compute with minigrad's functions on the tensor (a comparison may decide: `if x > 0:`), "
        "or say that the cut is meant, mg.stop_gradient(x).numpy()"
    )
