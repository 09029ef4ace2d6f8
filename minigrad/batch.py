"""The interpreter of `vmap`: ops on tensors that look as for one example, and stand for many.

`Batch` applies each op to all examples at once: by the op's batching rule, as it is where it is
elementwise, or to one example after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .core.batch import is_shared, raised
from .core.op import CONTEXT, Attrs, Context, Inputs, Op, Outputs, notice_cells, using
from .core.registry import api
from .core.tensor import Symbol, Tensor
from .core.where import here
from .errors import SpecError, TraceError, leak_message, made_at
from .graph import Graph

# rules of ops that run graphs or Python: `rule(batch, op, inputs, attrs)`; filled by batching.py
BODIES: dict[str, Callable[..., Any]] = {}


class Batched(Symbol):
    """A tensor of one example, standing for all: `payload` has them along its first axis."""

    __slots__ = ("payload",)

    def __init__(self, payload: Tensor, trace: Batch) -> None:
        super().__init__(payload.shape[1:], payload.dtype, trace, here())
        self.payload = payload

    @property
    def _value(self) -> Any:  # type: ignore[override]  # as in Symbol: reading it must raise
        if not self.trace.open:
            raise TraceError(leak_message(self))
        raise TraceError(
            f"the value of {self.spec} was asked for in {self._owner}: it stands for "
            f"{self.trace.count} examples, which differ; for a decision write mg.where or mg.cond, "
            "for a loop mg.while_loop; for NumPy code mg.numpy_function with vmap_method"
            f"{made_at(self)}"
        )

    def __repr__(self) -> str:
        return f"<mg.Batched: shape={self.shape}, dtype={self.dtype}, of {self.trace.count}>"


class Batch:
    """The interpreter that applies ops to many examples: how many, and who does the work.

    size: an int, or a 0-d tensor where a trace does not know it. outer: interpreter and listeners
    of the function that calls; they see ops on all examples.
    """

    compiles = True  # Python bodies run in the open: they get tensors as the function does

    def __init__(self, size: Any, outer: Context, name: str = "a vmapped function") -> None:
        self.size = size
        self.outer = outer
        self.name = name
        self.open = True
        self.eager = outer.interpreter.eager  # then what examples share has a value

    @property
    def count(self) -> str:
        """How many examples there are, in words."""
        return str(self.size) if type(self.size) is int else "all"

    def run(self, op: Op, inputs: Inputs, attrs: Attrs) -> Outputs:
        """The outputs of `op` for all examples; once where they share all inputs."""
        for x in inputs:
            if type(x) is Batched and not x.trace.open:
                raise TraceError(leak_message(x))
        notice_cells(inputs, self.outer.listeners)
        token = CONTEXT.set(self.outer)
        try:
            if not any(self.holds(x) for x in inputs) and not draws(op, attrs):
                return op(*inputs, **attrs)
            return self._apply(op, inputs, attrs)
        finally:
            CONTEXT.reset(token)

    def _apply(self, op: Op, inputs: Inputs, attrs: Attrs) -> Outputs:
        if op.name in BODIES:
            return BODIES[op.name](self, op, inputs, attrs)
        if op.elementwise:
            return self.wrap(op(*self._aligned(inputs), **attrs))
        found: Any = NotImplemented
        if op.batch is not None:
            found = op.batch(op, self.size, *[self.laid(x) for x in inputs], **attrs)
        if found is NotImplemented:
            return self.one_by_one(op, inputs, attrs)
        return tuple([self.wrap(y) for y in found]) if type(found) is tuple else self.wrap(found)

    # what is in a tensor, and back

    def holds(self, x: Any) -> bool:
        """Whether `x` differs between the examples of this batch."""
        if type(x) is Batched:
            return x.trace is self
        return type(x) is Kept and x.batch is self

    def payload(self, x: Any) -> Any:
        """What `x` stands for outside."""
        return x.payload if type(x) is Batched and x.trace is self else x

    def laid(self, x: Any) -> Any:
        """The same with the examples along a first axis, of length 1 where they share it."""
        if self.holds(x):
            return x.payload
        return api.insert_axes(x, axes=(0,)) if isinstance(x, Tensor) else x

    def whole(self, x: Any) -> Any:
        """The same with a row for each example."""
        if self.holds(x):
            return x.payload
        return api.broadcast_to(x, (self.size, *api.dims_of(x))) if isinstance(x, Tensor) else x

    def wrap(self, y: Any) -> Any:
        """What `y`, a result for all examples, is in one; of one row, what they share."""
        if not isinstance(y, Tensor):
            return y
        if y.shape is None:
            raise SpecError(
                f"vmap: a result of unknown rank came while {self.name} was traced: the axis of "
                "the examples is counted among known ones; state the shape by mg.ensure_shape"
            )
        return api.drop_axes(y, axes=(0,)) if is_shared(self.size, y) else Batched(y, self)

    def _aligned(self, inputs: Inputs) -> list[Any]:
        """The inputs of an elementwise op, so that axes of examples meet."""
        rank = max(x.ndim for x in inputs if isinstance(x, Tensor))
        return [raised(x.payload, rank) if self.holds(x) else x for x in inputs]

    # contexts

    @contextmanager
    def inside(self) -> Iterator[None]:
        """A block whose ops are those of one example."""
        with using(self, ()):
            yield

    # without a rule

    def one_by_one(self, op: Op, inputs: Inputs, attrs: Attrs) -> Outputs:
        """The op on one example after the other, in their order; the results stacked."""
        if type(self.size) is not int:
            raise SpecError(
                f"vmap: {op.name} has no batching rule for these inputs, and is applied to each "
                "example: how many there are must be known while tracing; give the argument a "
                "known first dim"
            )
        if self.size == 0:
            specs = op.infer(*inputs, **attrs)
            several = specs if type(specs) is tuple else (specs,)
            dims = [[n or 0 for n in spec.shape or ()] for spec in several]  # None: of no example
            empty = [
                self.wrap(api.zeros((0, *shape), dtype=spec.dtype))
                for shape, spec in zip(dims, several, strict=True)
            ]
            return tuple(empty) if type(specs) is tuple else empty[0]
        rows = [
            op(*[x.payload[i] if self.holds(x) else x for x in inputs], **attrs)
            for i in range(self.size)
        ]
        if type(rows[0]) is not tuple:
            return self.wrap(stacked(op, rows))
        return tuple([self.wrap(stacked(op, column)) for column in zip(*rows, strict=True)])


@dataclass(frozen=True, eq=False)
class Kept:
    """The record of a run that was one of many examples; an input of nodes inside of vmap.

    inputs, outputs: for each, which axis counts the examples outside; None where the record is
    of tensors as they are inside.
    """

    record: Any
    batch: Batch
    inputs: Sequence[int] | None = None
    outputs: Sequence[int] | None = None

    __opaque_input__ = True


def stacked(op: Op, column: Sequence[Any]) -> Any:
    """The results of all examples together; None where there is none.

    Raises SpecError where their shapes differ.
    """
    if any(y is None for y in column):
        return None
    if not isinstance(column[0], Tensor):
        return tuple(column)
    if len({y.shape for y in column}) > 1:
        raise SpecError(
            f"vmap: {op.name} gives {' and '.join(str(y.spec) for y in column[:9])} for several "
            "examples; results stand side by side where they have one shape; keep it, as "
            "mg.where does, or call the function on one example after the other"
        )
    return api.stack(list(column))


def draws(op: Op, attrs: Attrs) -> bool:
    """Whether the op draws random numbers, itself or in a graph among its attributes."""
    return op.draws or any(
        draws_inside(graph)
        for value in attrs.values()
        for graph in (value if isinstance(value, tuple) else (value,))
        if isinstance(graph, Graph)
    )


def draws_inside(graph: Graph) -> bool:
    """Whether a node of `graph` draws random numbers."""
    if "draws" not in graph.cache:
        graph.cache["draws"] = any(draws(node.op, node.attrs) for node in graph.nodes)
    return bool(graph.cache["draws"])
