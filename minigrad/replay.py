"""Derivatives of a body that has run: from the record of the run, to any order.

The record of a run is a list of nodes, hence a program. First derivatives walk it backwards, as a
tape does. Higher ones do so while another tape listens, which has been told of the nodes; what
stateful nodes gave stays as it was recorded, and the Python body never runs again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from .core.convert import as_value
from .core.define import primitive
from .core.op import CONTEXT, EAGER, Listener, Node, Op, raw, using
from .core.spec import OPAQUE, Spec
from .core.tensor import Tensor
from .errors import GradientError
from .pullback import pullback
from .tape import GradientTape
from .variable import Cell


class Run(Protocol):
    """What is kept of a run that only took its shape when it happened."""

    def check(self) -> None:
        """Raise GradientError where a derivative would not be right."""

    def pulled(
        self, given: Sequence[int], asked: Sequence[int], gs: Sequence[Any], own: Sequence[Any] = ()
    ) -> list[Any]:
        """Cotangents of the inputs `asked`, from those of the outputs `given`; None for no path.

        own: what `own` gave, for cells as they are now; () for the inputs themselves.
        """

    def own(self, values: Sequence[Any]) -> Sequence[Any]:
        """What `run` is to be given for the inputs, which have these values."""

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The outputs again, made of what `own` gave, by ops that whoever listens can record."""


class Record:
    """What happened in one run of a body: the tape's nodes, between its inputs and outputs."""

    __opaque_input__ = True

    def __init__(
        self,
        tape: GradientTape,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        name: str,
        strays: Mapping[Any, str] = MappingProxyType({}),
    ) -> None:
        self.tape = tape
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.name = name
        self.strays = strays

    def check(self) -> None:
        """Raise GradientError where the run used what is followed and the node was not given."""
        given = set(self.inputs)
        read = [x for x in self.tape.watched if x not in given and not isinstance(x, Tensor)]
        for x, where in (*[(x, "") for x in read], *self.strays.items()):
            what = f"{x.spec}" if isinstance(x, Tensor) else f"the Variable {x.name!r}, {x.spec},"
            raise GradientError(
                f"the body of py_function {self.name!r} used {what}{where} by a way that tracing "
                "could not foresee: its gradient would be lost; pass it in inp, and use it as an "
                "argument"
            )

    def pulled(
        self, given: Sequence[int], asked: Sequence[int], gs: Sequence[Any], own: Sequence[Any] = ()
    ) -> list[Any]:
        """Cotangents of the inputs `asked`, from those of the outputs `given`; None for no path.

        The record itself is walked: nothing is computed again.
        """
        sources = [self.inputs[i] for i in asked]
        bars: dict[Any, Any] = {}
        for i, g in zip(given, gs, strict=True):
            y = self.outputs[i]
            bars[y] = bars[y] + g if y in bars else g
        found = pullback(self.tape.nodes, bars, sources, self.tape.reach(sources))
        return [found.get(x) for x in sources]

    def own(self, values: Sequence[Any]) -> Sequence[Any]:
        """The inputs of the run: they have these values, and its nodes are of them."""
        return self.inputs

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The outputs; whoever listens is told how they were made. Nothing is computed again.

        So rules that close over tensors of the run are differentiated with the rest.
        """
        for listener in CONTEXT.get().listeners:
            for node in self.tape.nodes:
                listener.record(node)
        return list(self.outputs)


class Strays:
    """Listens for tensors that a body uses without being given them, and that others follow."""

    def __init__(self, given: Iterable[Any], followers: Sequence[Listener]) -> None:
        self._known = set(given)
        self._followers = followers
        self.found: dict[Any, str] = {}

    def record(self, node: Node) -> None:
        """Look where the inputs of `node` come from."""
        self.look(node.inputs, node)
        self._known.update(node.outputs)

    def look(self, xs: Iterable[Any], node: Node | None = None) -> None:
        """Find those of `xs` that came from nowhere and are followed; they are used by `node`."""
        for x in xs:
            if isinstance(x, Tensor) and x not in self._known:
                self._known.add(x)
                if any(follower.follows((x,)) for follower in self._followers):
                    self.found[x] = "" if node is None else f" at {node.where}"

    def notice(self, cell: Any) -> None:
        """Variables are noticed by the tape of the run."""

    def follows(self, inputs: Any) -> bool:
        """No: it asks for no derivative."""
        return False


def again(
    nodes: Iterable[Node], known: dict[Any, Any], kept: Mapping[Any, Any] = MappingProxyType({})
) -> None:
    """Apply `nodes` that have run to other values, `known`, and enter there what comes out.

    Pure nodes are computed. Stateful ones do not run: their outputs are what `kept` has for them,
    or the outputs themselves; with a derivative where they have one. So a Variable is as it was
    when it was read, and the derivative is by what `known` has for it.
    """
    for node in nodes:
        inputs = [known.get(x, x) for x in node.inputs]
        values = tuple([kept.get(y, y) for y in node.outputs])
        if node.op.name == "read_variable":
            cell = known.get(node.inputs[0])
            outputs: Any = values if cell is None else as_read(cell, values[0])
        elif not node.op.stateful:
            outputs = node.op(*inputs, **node.attrs)
        elif node.op.differentiable:
            outputs = recorded(*inputs, node=node, values=values)
        else:
            outputs = values
        known.update(
            zip(node.outputs, outputs if type(outputs) is tuple else (outputs,), strict=True)
        )


@primitive(infer=lambda x, value: value.spec, public=False)
def as_read(x: Any, value: Any, /) -> Any:
    """What was read of a Variable, with the derivative by `x`, its value now."""
    return value


as_read.defvjp(lambda g, y, x, value: g, None)


def recorded_kernel(*inputs: Any, node: Node, values: Sequence[Any]) -> tuple[Any, ...]:
    """What came out when `node` ran."""
    return tuple([raw(y) for y in values])


def recorded_spec(*inputs: Any, node: Node, values: Sequence[Any]) -> tuple[Spec, ...]:
    """The specs of what came out."""
    return tuple([y.spec if isinstance(y, Tensor) else OPAQUE for y in values])


recorded = Op(recorded_kernel, infer=recorded_spec, name="recorded", holomorphic=False)


@recorded.defvjp_joint
def recorded_vjp(
    gs: list[Any],
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    needed: Sequence[bool],
    *,
    node: Node,
    values: Sequence[Any],
) -> Sequence[Any]:
    """The rule of the op that ran."""
    assert node.op.joint_vjp is not None  # read_variable alone has the other kind
    answers: Sequence[Any] = node.op.joint_vjp(gs, outputs, inputs, needed, **node.attrs)
    return answers


# A program is "body", or ("vjp", program, how many inputs it has, which of its outputs have
# cotangents, which of its inputs are asked for).
Program = Any


def run_program(record: Run, program: Program, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of a program on tensors, by ops that whoever listens can record."""
    if program == "body":
        return record.run(inputs)
    _, inner, count, given, needed = program
    xs, gs = inputs[:count], inputs[count:]
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.follow([x for x in xs if x.dtype.kind in "fc"])
        ys = run_program(record, inner, xs)
    # a derivative of a lower order may turn out to have no path
    pairs = [(ys[i], g) for i, g in zip(given, gs, strict=True) if ys[i] is not None]
    targets, cotangents = [y for y, _ in pairs], [g for _, g in pairs]
    return list(tape.gradient(targets, [xs[i] for i in needed], cotangents))


def replay_kernel(record: Run, *arrays: Any, program: Program, asked: Any) -> tuple[Any, ...]:
    """Cotangents of the inputs that are asked for; None where the run had no path to one."""
    record.check()
    with using(EAGER, ()):
        tensors = [as_value(x) for x in arrays]
        own = record.own(tensors[: body_inputs(program)])
        if program[1] == "body":
            bars = record.pulled(program[3], program[4], tensors[program[2] :], own)
        else:
            bars = run_program(record, program, [*own, *tensors[len(own) :]])
    return tuple([None if bar is None else raw(bar) for bar in bars])


def body_inputs(program: Program) -> int:
    """How many inputs the body has that `program` differentiates."""
    _, inner, count, _, _ = program
    return int(count) if inner == "body" else body_inputs(inner)


def own_cell(cell: Any, x: Any) -> Any:
    """A cell for `cell` that has the value `x`, and that a tape can follow.

    What runs again may read it and assign it: nobody else sees that. `x` itself where it is no
    value.
    """
    return Cell(x._value, cell.name, trainable=False) if type(x) in (Tensor, Cell) else x


def replay_spec(record: Any, *inputs: Any, program: Program, asked: Any) -> tuple[Spec, ...]:
    """Cotangents have the specs of their inputs."""
    return tuple([inputs[i].spec for i in asked])


replay_op = Op(replay_kernel, infer=replay_spec, name="replay", holomorphic=False)


def pulled_back(
    program: Program, record: Any, inputs: Sequence[Any], gs: Sequence[Any], needed: Sequence[bool]
) -> list[Any]:
    """The cotangents of `inputs`, by a `replay` node that differentiates `program`."""
    given = tuple([i for i, g in enumerate(gs) if g is not None])
    asked = tuple([i for i, need in enumerate(needed) if need and inputs[i].dtype.kind in "fc"])
    bars: list[Any] = [None] * len(inputs)
    if given and asked:
        derivative = ("vjp", program, len(inputs), given, asked)
        cotangents = [gs[i] for i in given]
        answers = replay_op(record, *inputs, *cotangents, program=derivative, asked=asked)
        for i, bar in zip(asked, answers, strict=True):
            bars[i] = bar
    return bars


@replay_op.defvjp_joint
def replay_vjp(
    hs: list[Any],
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    needed: Sequence[bool],
    *,
    program: Program,
    **attrs: Any,
) -> list[Any]:
    """The derivative of a replay is a replay of the next order."""
    record, *xs = inputs
    return [None, *pulled_back(program, record, xs, hs, needed[1:])]
