"""Derivatives of a body that has run: from the record of the run, to any order.

The record of a run is a list of nodes, hence a program. First derivatives walk it backwards, as a
tape does. Higher ones replay its pure nodes under a tape; what stateful nodes gave stays as it
was recorded, and the Python body never runs again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .core.op import EAGER, Op, raw, using
from .core.spec import Spec
from .core.tensor import Tensor
from .errors import GradientError
from .tape import GradientTape, pullback


class Record:
    """What happened in one run of a body: the tape's nodes, between its inputs and outputs."""

    __opaque_input__ = True

    def __init__(
        self, tape: GradientTape, inputs: Sequence[Any], outputs: Sequence[Any], name: str
    ) -> None:
        self.tape = tape
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.name = name

    def check(self) -> None:
        """Raise GradientError where the run read a Variable that the node was not given."""
        given = set(self.inputs)
        for cell in self.tape.watched:
            if not isinstance(cell, Tensor) and cell not in given:
                raise GradientError(
                    f"the body of py_function {self.name!r} read the Variable {cell.name!r}, "
                    f"{cell.spec}, by a way that tracing could not foresee: its gradient would "
                    "be lost; pass the Variable in inp, and use it as an argument"
                )

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The outputs again, for other tensors in place of the inputs."""
        known: dict[Any, Any] = dict(zip(self.inputs, values, strict=True))
        for node in self.tape.nodes:
            if node.op.stateful and node.op.name != "read_variable":
                continue
            if node.op.name == "read_variable":
                known[node.outputs[0]] = known.get(node.inputs[0], node.outputs[0])
                continue
            outputs = node.op(*[known.get(x, x) for x in node.inputs], **node.attrs)
            pairs = zip(
                node.outputs, outputs if type(outputs) is tuple else (outputs,), strict=True
            )
            known.update(pairs)
        return [known.get(y, y) for y in self.outputs]


# A program is "body", or ("vjp", program, how many inputs it has, which of its outputs have
# cotangents, which of its inputs are asked for).
Program = Any


def run_program(record: Record, program: Program, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of a program on tensors, by ops that whoever listens can record."""
    if program == "body":
        return record.run(inputs)
    _, inner, count, given, needed = program
    xs, gs = inputs[:count], inputs[count:]
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([x for x in xs if isinstance(x, Tensor) and x.dtype.kind in "fc"])
        ys = run_program(record, inner, xs)
    targets = [ys[i] for i in given]
    return list(tape.gradient(targets, [xs[i] for i in needed], list(gs)))


def first_order(record: Record, program: Program, gs: Sequence[Any]) -> list[Any]:
    """The first derivative by walking the record itself: nothing is computed again."""
    _, _, _, given, needed = program
    sources = [record.inputs[i] for i in needed]
    bars: dict[Any, Any] = {}
    for i, g in zip(given, gs, strict=True):
        y = record.outputs[i]
        bars[y] = bars[y] + g if y in bars else g
    reach = set(sources)
    for node in record.tape.nodes:
        if not reach.isdisjoint(node.inputs):
            reach.update(node.outputs)
    found = pullback(record.tape.nodes, bars, sources, reach)
    return [found.get(x) for x in sources]


def replay_kernel(record: Record, *arrays: Any, program: Program, asked: Any) -> tuple[Any, ...]:
    """Cotangents of the inputs that are asked for; None where the run had no path to one."""
    record.check()
    with using(EAGER, ()):
        tensors = [Tensor(x) if hasattr(x, "__array_interface__") else x for x in arrays]
        if program[1] == "body":
            bars = first_order(record, program, tensors[program[2] :])
        else:
            bars = run_program(record, program, [value_of(x) for x in tensors])
    return tuple([None if bar is None else raw(bar) for bar in bars])


def value_of(x: Any) -> Any:
    """A tensor as it is; the present value of a cell, so that a tape can watch it."""
    return x if isinstance(x, Tensor) else Tensor(x._value)


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
