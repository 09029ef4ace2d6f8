"""Op, Node and `apply`: what can be done, one time it was done, and the one door to doing it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any, Protocol

import numpy as np

from ..errors import TraceError, leak_message
from .convert import PLAIN, as_operand, as_tensor
from .lowering import Lowering
from .quiet import quietly
from .refusals import refusal
from .registry import OPS
from .spec import default_dtype
from .tensor import Symbol, Tensor, tensor_of
from .where import LIBRARY, Where

Inputs = tuple[Any, ...]
Attrs = dict[str, Any]
Outputs = Any  # a Tensor, or a tuple of Tensors
NO_ATTRS: Attrs = {}  # of all nodes without: nobody writes to attributes


MADE_LATE = "it is made when all derivatives have been taken; differentiate before"
"""Why ops that the compiler makes have no derivative; no file may name one."""


class Op:
    """A NumPy function, and the three things that NumPy does not know of it.

    kernel: NumPy arrays and Python numbers in, array (or tuple of arrays) out.
    infer: what is known of the result before it is computed; raises the op's own errors.
    vjps: one rule per input, `rule(g, y, *inputs, **attrs)`; None where an input has none.
    joint_vjp: one rule for all inputs, `rule(gs, outputs, inputs, needed, **attrs)`.
    zero_gradient, opaque: why there is no derivative: none to have, or none to be known.
    cut: what kind of end it is to the path of a gradient, in explanations; "" where it is none.
    titled: what to call an application in words to users, by its attributes; None for the name.
    flat: why the derivative is zero for real numbers, of an op that has one for complex numbers.
    lower: the loop body; None leaves the op to its kernel.
    prepare: makes, of the attributes, the kernel for them, for ops where that takes time.
    begin: has other threads begin with that; what it gives is kept until `prepare` has been called.
    stateful: keeps its place among effects; never merged, dropped or folded.
    broadcasts: inputs broadcast and promote; the tape undoes both.
    elementwise: each element of the result is made of those in the same place of the inputs.
    linear: "jointly" in all floating inputs, as a sum is, or "wholly", in those of any dtype; or
        in "each", as a product is.
    domain: for each input, where those who draw inputs are to draw it; a Domain, or None.
    row: draws inputs and attributes, `row(pen)`, where signature and domain do not tell them.
    tolerance: how often the rounding of one op its results may differ by, between modes.
    holomorphic: `vjps` are written as for real numbers, and right for complex ones if conjugated.
    batch: the batching rule, see `core/batch.py`; elementwise ops need none, others can do without.
    draws: what it gives differs from example to example, even of equal inputs.
    like: the input, by number, of which only shape and dtype are read, if there is one.
    rounds: how often the graph that is the attribute `body` is run, as far as a node tells; for
        ops that run one again and again.
    pruned: the node that gives no more than what is used of its outputs; for ops that run graphs.
    parts: by the number of an output, the op that gives it alone, up to rounding, in less time.
    saving: the attributes by which the op gives more outputs: what its derivative needs of a run,
        `saving(attrs, inputs)`; None for an op whose derivative needs only inputs and outputs.
    """

    def __init__(
        self,
        kernel: Callable[..., Any],
        *,
        infer: Callable[..., Any],
        name: str | None = None,
        lower: Lowering | None = None,
        stateful: bool = False,
        broadcasts: bool = False,
        elementwise: bool = False,
        linear: str = "",
        holomorphic: bool = True,
        domain: Any = None,
        row: Callable[..., Any] | None = None,
        tolerance: float = 1.0,
        saving: Callable[[Attrs, Inputs], Attrs] | None = None,
    ) -> None:
        self.name = name or kernel.__name__
        self.kernel = kernel
        self.infer = infer
        self.lower = lower
        self.stateful = stateful
        self.broadcasts = broadcasts
        self.elementwise = elementwise
        self.linear = linear
        self.holomorphic = holomorphic
        self.domain = domain
        self.row = row
        self.tolerance = tolerance
        self.saving = saving
        self.vjps: tuple[Callable[..., Any] | None, ...] | None = None
        self.steps: dict[Any, Any] = {}
        self.joint_vjp: Callable[..., Any] | None = None
        self.zero_gradient: str | None = None
        self.opaque: str | None = None
        self.cut = ""
        self.flat: str | None = None
        self.titled: Callable[[Attrs], str] | None = None
        self.prepare: Callable[..., Callable[..., Any]] | None = None
        self.begin: Callable[..., Any] | None = None
        self.batch: Callable[..., Any] | None = None
        self.draws = False
        self.like: int | None = None
        self.rounds: Callable[[Node], int | None] | None = None
        self.pruned: Callable[[Node, set[Any]], Node] | None = None
        self.parts: dict[int, Op] = {}
        self.__doc__ = kernel.__doc__
        self.__name__ = self.name
        self.__module__ = kernel.__module__
        if self.name in OPS:
            raise ValueError(f"the op {self.name} is defined twice; rename one of them")
        OPS[self.name] = self

    def defvjp(self, *rules: Callable[..., Any] | None) -> None:
        """State the derivative: for each input, `rule(g, y, *inputs, **attrs)`, or None."""
        self.vjps = rules
        self.steps = {}

    def defvjp_joint(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """State the derivative for all inputs at once; see `joint_vjp`. Usable as decorator."""
        self.joint_vjp = rule
        return rule

    def defbatch(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """State what the op does to many examples at once. Usable as decorator."""
        self.batch = rule
        return rule

    def no_gradient(self, reason: str, *, cut: str = "no derivative") -> None:
        """State that the derivative is zero or has no meaning, and why."""
        self.zero_gradient, self.cut = reason, cut

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the kernel; asked for seldom, and it takes longer than the rest of an op."""
        return inspect.signature(self.kernel)

    @property
    def differentiable(self) -> bool:
        """Whether a derivative rule is known."""
        return self.vjps is not None or self.joint_vjp is not None

    def __repr__(self) -> str:
        return f"<mg.Op {self.name}{self.__signature__}>"

    def __call__(op, /, *inputs: Any, **attrs: Any) -> Any:  # noqa: N805  (it reads as apply)
        """Apply the op: the one door. Runs it by the current interpreter, and tells listeners.

        inputs: tensors, or whatever `mg.asarray` takes; attrs: static parameters.
        """
        context = CONTEXT.get()
        interpreter, listeners = context.interpreter, context.listeners
        for x in inputs:
            if type(x) not in PLAIN:
                inputs = tuple([as_operand(x) for x in inputs])
                break
        outputs = interpreter.run(op, inputs, attrs)
        if listeners:
            made = outputs if type(outputs) is tuple else (outputs,)
            tell(listeners, op, inputs, attrs, made, sys._getframe(1))
        return outputs


apply = Op.__call__


class Node:
    """One application of an op: on a tape, one that happened; in a graph, one that will."""

    # no __init__: it would take 120 of the 200 ns in which one is made; `tell` and `written` do it
    __slots__ = ("_code", "_instruction", "attrs", "inputs", "op", "outputs")
    op: Op
    inputs: Inputs
    attrs: Attrs
    outputs: tuple[Any, ...]
    _code: CodeType
    _instruction: int

    @property
    def where(self) -> Where:
        """The user's line that asked for it."""
        return Where(self._code, self._instruction)

    def ascribe(self, where: Where) -> None:
        """Say that it was asked for at `where`."""
        self._code, self._instruction = where

    @property
    def title(self) -> str:
        """What to call it in words to users: the name that it was given, or that of its op."""
        titled = self.op.titled
        return str(self.attrs.get("name") or (titled(self.attrs) if titled else self.op.name))

    @property
    def rounds(self) -> int | None:
        """How many rounds a loop makes, where that is known before it runs; else None."""
        return None if self.op.rounds is None else self.op.rounds(self)

    @classmethod
    def written(
        cls, where: Where, op: Op, inputs: Inputs, attrs: Attrs, outputs: tuple[Any, ...]
    ) -> Node:
        """An application that was asked for at `where`, and not by who makes it."""
        node = cls.__new__(cls)
        node.op, node.inputs, node.attrs, node.outputs = op, inputs, attrs, outputs
        node._code, node._instruction = where
        return node

    def replaced(
        self,
        inputs: Inputs,
        outputs: tuple[Any, ...],
        attrs: Attrs | None = None,
        op: Op | None = None,
    ) -> Node:
        """The same application, of the same line, between other tensors; or what stands for it."""
        node = Node.__new__(Node)
        node.op, node.attrs = op or self.op, self.attrs if attrs is None else attrs
        node.inputs, node.outputs = inputs, outputs
        node._code, node._instruction = self._code, self._instruction
        return node

    def __repr__(self) -> str:
        return f"<Node {self.op.name} at {self.where}>"


class Listener(Protocol):
    """What wants to know of every node: a tape, a graph in the making."""

    def record(self, node: Node) -> None:
        """Take notice of `node`."""

    def notice(self, cell: Any) -> None:
        """Take notice that the cell of a Variable is about to be read."""

    def follows(self, inputs: Any) -> bool:
        """Whether it would want derivatives of a node with these inputs."""


def tell(
    listeners: tuple[Listener, ...],
    op: Op,
    inputs: Inputs,
    attrs: Attrs,
    outputs: tuple[Any, ...],
    frame: FrameType,
) -> None:
    """Tell `listeners` of an application, which the user asked for on `frame` or below it."""
    while LIBRARY[(code := frame.f_code).co_filename] and frame.f_back is not None:
        frame = frame.f_back
    node = Node()
    node.op = op
    node.inputs = inputs
    node.attrs = attrs
    node.outputs = outputs
    # code and instruction, not the frame: a frame would keep every local variable alive
    node._code = code
    node._instruction = frame.f_lasti
    for listener in listeners:
        listener.record(node)


def notice_cells(inputs: Iterable[Any], listeners: Iterable[Listener]) -> None:
    """Tell `listeners` of the cells of Variables among `inputs`, which are about to be read."""
    for x in inputs:
        if hasattr(x, "trainable"):
            for listener in listeners:
                listener.notice(x)


class Interpreter(Protocol):
    """What gives an application its meaning: computing it, or only inferring its spec."""

    open: bool
    eager: bool

    def run(self, op: Op, inputs: Inputs, attrs: Attrs) -> Outputs:
        """The outputs of `op` on `inputs`."""


class Eager:
    """Computes at once, by the op's kernel.

    stepwise: None, or what runs a graph op by op in the place of its executable.
    """

    open = True
    eager = True
    stepwise: Callable[[Any], Callable[..., tuple[Any, ...]]] | None = None

    def run(self, op: Op, inputs: Inputs, attrs: Attrs) -> Outputs:
        """The outputs of `op`, computed. Where the kernel fails, `infer` finds the words."""
        try:
            # written out: a comprehension costs 100 ns more, empty attributes 50
            if len(inputs) == 1:
                x = inputs[0]
                value = x._value if type(x) is Tensor else raw(x)
                y = op.kernel(value, **attrs) if attrs else op.kernel(value)
            elif len(inputs) == 2 and not attrs:
                x, z = inputs
                y = op.kernel(
                    x._value if type(x) is Tensor else raw(x),
                    z._value if type(z) is Tensor else raw(z),
                )
            else:
                y = op.kernel(*[raw(x) for x in inputs], **attrs)
        except Exception as error:
            if isinstance(error, RuntimeWarning) and op.opaque is None and not op.stateful:
                y = quietly(op.kernel, *[raw(x) for x in inputs], **attrs)
            else:
                explain_failure(op, inputs, attrs, error)
                raise
        if type(y) is np.ndarray:
            return tensor_of(y)
        return self._other(op, inputs, attrs, y)

    def _other(self, op: Op, inputs: Inputs, attrs: Attrs, y: Any) -> Outputs:
        """Results that are not one array: several, NumPy scalars, or of Python numbers only."""
        if inputs and not any(isinstance(x, Tensor) for x in inputs) and type(y) is not tuple:
            numbers = [x for x in inputs if type(x) in PLAIN]
            if numbers:
                dtype = default_dtype(*map(type, numbers))
                tensors = [as_tensor(x, dtype) if type(x) in PLAIN else x for x in inputs]
                return self.run(op, tuple(tensors), attrs)
        if type(y) is tuple:
            return tuple([wrapped(part) for part in y])
        return wrapped(y)


def raw(x: Any) -> Any:
    """What a kernel gets for the input `x`: the array of a tensor, anything else as it is."""
    return x._value if isinstance(x, Tensor) else x


def wrapped(y: Any) -> Any:
    """What an output of a kernel becomes: numbers and arrays tensors, other objects themselves."""
    if type(y) is np.ndarray:
        return tensor_of(y)
    if isinstance(y, (np.ndarray, np.generic, bool, int, float, complex)):
        return tensor_of(np.asarray(y))
    return y


def explain_failure(op: Op, inputs: Inputs, attrs: Attrs, error: Exception) -> None:
    """Raise what the op's own `infer` says of inputs that its kernel refused; else return."""
    for x in inputs:
        if isinstance(x, Symbol):
            if x.trace is not None and not x.trace.open:
                raise TraceError(leak_message(x)) from None
            return
    if isinstance(error, Warning):
        return
    spec: Any = None
    try:
        spec = op.infer(*inputs, **attrs)
    except Exception as better:
        raise better from None
    found = refusal(op.name, inputs, attrs, spec, error)
    if found is not error:
        raise found from error


EAGER = Eager()


class Context:
    """Who runs ops here and now, and who listens. Never changed; no tuple, which unpacks slowly."""

    __slots__ = ("interpreter", "listeners")

    def __init__(self, interpreter: Interpreter, listeners: tuple[Listener, ...]) -> None:
        self.interpreter = interpreter
        self.listeners = listeners


ORDINARY = Context(EAGER, ())
"""What is where nothing else is said, or no longer."""
CONTEXT: ContextVar[Context] = ContextVar("minigrad", default=ORDINARY)


class using:  # noqa: N801  (it reads as the function it would be, and takes a third of its time)
    """Run the block with another interpreter and other listeners."""

    __slots__ = ("_context", "_token")

    def __init__(self, interpreter: Interpreter, listeners: tuple[Listener, ...]) -> None:
        self._context = Context(interpreter, listeners)

    def __enter__(self) -> None:
        self._token = CONTEXT.set(self._context)

    def __exit__(self, *exception: object) -> None:
        CONTEXT.reset(self._token)
