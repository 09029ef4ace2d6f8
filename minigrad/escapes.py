"""Values that left a body through NumPy and came back: found, so that no gradient is wrong.

A tape follows tensors. What a body computes from `x.numpy()`, `float(x)` or `x.item()` comes back
as a constant, and the derivative would silently lack a term. While a body runs, `Escapes` notes
each followed tensor that leaves, and which results are made with constants that came after. Those
results pass through the op `escaped`, whose value is theirs and whose derivative is an error.

What came after may be harmless: a body that logs `float(x)` goes on with numbers of its own. A
number is taken for what escaped unless it is known that it is not, by being the very object

- that a line of the code says, as the 2.0 in `2.0 * x` (`float(x)` makes an object of its own);
- or that a name of the body, or an attribute of what it names, held when the first value left.

Numbers that minigrad's own functions make are as good as those that these were given. A number
computed in Python after something has left is suspect, whatever of, and so is a tensor made of
such values, as by `mg.constant`: make it first. `mg.stop_gradient(x).numpy()` says that a value
is meant to leave. Watched is one run of one body: what a body hands on to a later one by a
Python variable is not followed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FrameType
from typing import Any, NoReturn

from .core.leaving import WATCHER
from .core.op import CONTEXT, Context, Listener, Node, Op, raw
from .core.spec import Spec
from .core.tensor import Tensor
from .core.where import LIBRARY, here
from .errors import EscapedGradientError


class Escapes:
    """Listens while a body runs.

    given: finds the tensors that the body has from outside, by argument or by name; asked only
    when something has left.
    """

    def __init__(self, given: Callable[[], Sequence[Any]], tapes: Sequence[Listener]) -> None:
        self._given = given
        self._known: set[Any] = set()
        self._made: set[Any] = set()
        self._smooth: set[Any] = set()  # of what was made: what has a path to something followed
        self._tainted: set[Any] = set()
        self._waiting: list[Node] = []  # most bodies let nothing out: then nothing is looked at
        self.record: Callable[[Node], None] = self._waiting.append
        self._before: list[Any] = []  # numbers that were there when the first value left
        self.escaped: dict[Any, str] = {}
        self._tapes = tapes

    def leaves(self, x: Any) -> None:
        """The value of `x` is being taken out."""
        if x.dtype.kind not in "fc":
            return
        self._catch_up()
        if self._is_followed(x):
            if not self.escaped:
                self._known.update(self._given())
                self._before = list(held(sys._getframe(1)))
                self.record = self._look  # at once, while it shows where numbers come from
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
        if self.escaped and (
            any(self._is_suspect(x) for x in node.inputs) or self._is_given_suspects()
        ):
            self._tainted.update(node.outputs)
        if node.op.differentiable and any(
            isinstance(x, Tensor) and self._is_followed(x) for x in node.inputs
        ):
            self._smooth.update(node.outputs)
        self._made.update(node.outputs)

    def _is_suspect(self, x: Any) -> bool:
        """Whether `x` may hold what escaped: a number, or a tensor that came from nowhere."""
        if isinstance(x, Tensor):
            return x in self._tainted or not (x in self._made or x in self._known)
        return type(x) in NUMBERS and not self._is_own(x)

    def _is_own(self, x: Any) -> bool:
        """Whether the number `x`, an input of the node being recorded, cannot be what escaped."""
        library, own = self._origin()
        if any(x is number for number in own):
            return True
        if library is None:
            return False
        # or else made by the library, of what it was given
        given = list(arguments(library))
        return not any(x is y for y in given) and all(
            any(y is number for number in own) or not may_hold_numbers(y) for y in given
        )

    def _is_given_suspects(self) -> bool:
        """Whether the user gave a suspect number for the node being recorded, as input or not."""
        library, own = self._origin()
        numbers = () if library is None else numbers_in(arguments(library))
        return any(not any(x is number for number in own) for x in numbers)

    def _origin(self) -> tuple[FrameType | None, list[Any]]:
        """The function of the library that the user has called, and the numbers known for own."""
        frame: FrameType | None = sys._getframe(1)
        library = None
        while frame is not None and LIBRARY[frame.f_code.co_filename]:
            library, frame = frame, frame.f_back
        own = list(self._before) if library is None else [*self._before, *defaults(library)]
        while frame is not None:
            own += numbers_in(frame.f_code.co_consts)
            frame = frame.f_back
        return library, own

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


NUMBERS = (float, complex)


def numbers_in(values: Any) -> Iterator[Any]:
    """The numbers among `values` and in tuples there."""
    for x in values:
        if type(x) in NUMBERS:
            yield x
        elif type(x) is tuple:
            yield from numbers_in(x)


def held(frame: FrameType | None) -> Iterator[Any]:
    """The numbers that names in the user's frames lead to, or attributes of what they name."""
    while frame is not None:
        if not LIBRARY[frame.f_code.co_filename]:
            named = [frame.f_globals.get(name) for name in frame.f_code.co_names]
            for x in (*frame.f_locals.values(), *named):
                yield from numbers_in((x,))
                yield from numbers_in(getattr(x, "__dict__", {}).values())
        frame = frame.f_back


def arguments(frame: FrameType) -> Iterator[Any]:
    """What the function of `frame` was given, with the entries of its *args and **kwargs."""
    code: CodeType = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 4) + bool(code.co_flags & 8)  # CO_VARARGS, CO_VARKEYWORDS
    for name in code.co_varnames[:count]:
        x = frame.f_locals.get(name)
        if isinstance(x, dict):
            yield from x.values()
        elif isinstance(x, (tuple, list)):
            yield from x
        else:
            yield x


def defaults(frame: FrameType) -> Iterator[Any]:
    """The numbers that the function of `frame` takes where it is given none."""
    function = frame.f_globals.get(frame.f_code.co_name)
    yield from numbers_in(getattr(function, "__defaults__", None) or ())
    yield from numbers_in((getattr(function, "__kwdefaults__", None) or {}).values())


def may_hold_numbers(x: Any) -> bool:
    """Whether `x`, given to a function of the library, could carry a number that escaped."""
    harmless = isinstance(x, (Tensor, Op, int, str, type(None), type(...)))
    return not (harmless or hasattr(x, "cell"))


class watching:  # noqa: N801  (it reads as the function it would be)
    """A block in which a body runs, in `context`; gives the function that marks its results."""

    def __init__(self, given: Callable[[], Sequence[Any]], context: Context) -> None:
        self._given = given
        self._context = context

    def __enter__(self) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        interpreter, listeners = self._context.interpreter, self._context.listeners
        self._watches = bool(listeners)
        if not listeners:
            return list
        escapes = Escapes(self._given, listeners)
        self._watcher = WATCHER.set(escapes.leaves)
        self._outside = CONTEXT.set(Context(interpreter, (*listeners, escapes)))
        return escapes.guarded

    def __exit__(self, *exception: object) -> None:
        if self._watches:
            CONTEXT.reset(self._outside)
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
