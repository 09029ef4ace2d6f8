"""`vmap`: a function of one example made one of many, by an interpreter that carries them along.

Inside, tensors look as for one example. `Batch` applies each op to all examples at once: by the
op's batching rule, as it is where it is elementwise, or to one example after the other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import tree
from .core.batch import is_shared, raised
from .core.convert import as_tensor
from .core.op import CONTEXT, Attrs, Context, Inputs, Op, Outputs, here, using
from .core.registry import api
from .core.spec import canonical_axis
from .core.tensor import Symbol, Tensor, made_at
from .errors import SpecError, TraceError
from .graph import Graph

Axes = Any  # an int, None, or a nest of them that begins as that of the arguments

# rules of ops that run graphs or Python: `rule(batch, op, inputs, attrs)`, filled by others
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
            raise TraceError(leaked(self))
        raise TraceError(
            f"the value of {self.spec} was asked for in {self._owner}: it stands for "
            f"{self.trace.count} examples, which differ; for a decision write mg.where or mg.cond, "
            "for a loop mg.while_loop; for NumPy code mg.numpy_function with vmap_method"
            f"{made_at(self)}"
        )

    def __repr__(self) -> str:
        return f"<mg.Batched: shape={self.shape}, dtype={self.dtype}, of {self.trace.count}>"


def leaked(x: Batched) -> str:
    """What to say of an example that is used when the others are gone."""
    return (
        f"{x.spec} was made in {x._owner}, and is used after that: it stands for all examples "
        "there, and for nothing outside; return it instead of keeping it in a variable, list or "
        f"attribute{made_at(x)}"
    )


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
                raise TraceError(leaked(x))
        token = CONTEXT.set(self.outer)
        try:
            if not any(self.holds(x) for x in inputs) and not draws(op, attrs):
                for x in inputs:
                    if hasattr(x, "trainable"):
                        for listener in self.outer.listeners:
                            listener.notice(x)
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
        return type(x) is Batched and x.trace is self

    def payload(self, x: Any) -> Any:
        """What `x` stands for outside."""
        return x.payload if self.holds(x) else x

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
    def inside(self, listeners: tuple[Any, ...] = ()) -> Iterator[None]:
        """A block whose ops are those of one example."""
        with using(self, listeners):
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
            empty = [self.wrap(api.zeros((0, *s.shape), dtype=s.dtype)) for s in several]
            return tuple(empty) if type(specs) is tuple else empty[0]
        rows = [
            op(*[x.payload[i] if self.holds(x) else x for x in inputs], **attrs)
            for i in range(self.size)
        ]
        if type(rows[0]) is not tuple:
            return self.wrap(api.stack(rows))
        return tuple([self.wrap(stacked(column)) for column in zip(*rows, strict=True)])


def stacked(column: Sequence[Any]) -> Any:
    """The results of all examples together; None where there is none."""
    if any(y is None for y in column):
        return None
    return api.stack(list(column)) if isinstance(column[0], Tensor) else tuple(column)


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


# the function of functions


def vmap(func: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Any]:
    """A function of many examples at once, made of `func`, which is written for one.

    in_axes: which axis of each argument counts the examples; None for what they share. An int for
    all arguments, or a tuple with one entry per argument, each an int, None or a nest like the
    argument. Keyword arguments are shared. out_axes: likewise, where it comes in the results;
    None for a result that all share. Arguments and results are nests; None stays None.

    Where ops have no batching rule they are applied example by example, and everything is right
    that is right in a loop. Each example draws its own random numbers. Variables are shared: they
    can be read, and assigned what all examples share. A Python decision on what differs between
    examples raises TraceError; mg.cond computes both branches then, and mg.while_loop goes on
    until all are done. `mg.numpy_function` says by `vmap_method` how it is to be called.
    Nests, and mixes with derivatives and functions in any order. Raises SpecError for axes that
    do not fit, or lengths that differ.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        name = f"vmap of {getattr(func, '__name__', 'a function')}"
        leaves, structure = tree.flatten(tuple(args))
        axes = spread_axes(name, "in_axes", in_axes, args if type(in_axes) is not list else [*args])
        moved = [fronted(name, x, axis) for x, axis in zip(leaves, axes, strict=True)]
        batch = Batch(common_size(name, moved, axes), CONTEXT.get(), name)
        try:
            with batch.inside():
                pairs = zip(moved, axes, strict=True)
                given = [x if axis is None else Batched(x, batch) for x, axis in pairs]
                returned = func(*tree.unflatten(structure, given), **kwargs)
                outputs, form = tree.flatten(returned)
                outputs = [y if y is None else as_tensor(y) for y in outputs]
            places = spread_axes(name, "out_axes", out_axes, returned)
            pairs = zip(outputs, places, strict=True)
            return tree.unflatten(form, [placed(name, batch, y, axis) for y, axis in pairs])
        finally:
            batch.open = False

    return wrapper


def spread_axes(name: str, option: str, axes: Axes, nest: Any) -> list[int | None]:
    """One axis, or None, for each leaf of `nest`; an axis stands for all below it."""
    structure = tree.flatten(nest)[1]
    if axes is None or hasattr(axes, "__index__"):
        return [axes] * tree.count(structure)
    outer, form = tree.flatten(axes)
    found: list[int | None] = []
    try:
        for axis, part in zip(outer, tree.flatten_like(form, nest), strict=True):
            if axis is not None:
                axis.__index__()
            found.extend([axis] * tree.count(tree.flatten(part)[1]))
    except (SpecError, AttributeError):
        raise SpecError(
            f"{name}: {option}={axes!r} came for a nest {structure!r}: it is an int or None, or a "
            "nest of them that begins as this one, as a tuple with one entry per argument"
        ) from None
    return found


def fronted(name: str, x: Any, axis: int | None) -> Any:
    """The argument `x` with its `axis` of examples in front."""
    if axis is None:
        return x
    tensor = as_tensor(x)
    if tensor.ndim == 0:
        raise SpecError(
            f"{name}: {tensor.spec} came with in_axes={axis}: it has no axis that could count "
            "examples; write in_axes=None for what they share, as in in_axes=(0, None)"
        )
    return api.moveaxis(tensor, canonical_axis(name, axis, tensor.ndim), 0)


def common_size(name: str, moved: Sequence[Any], axes: Sequence[Any]) -> Any:
    """How many examples there are, an int or a 0-d tensor: all axes say the same."""
    mapped = [x for x, axis in zip(moved, axes, strict=True) if axis is not None]
    known = {x.shape[0] for x in mapped} - {None}
    if not mapped or len(known) > 1:
        raise SpecError(
            f"{name}: examples are counted by axes of "
            f"{', '.join(str(x.shape[0]) for x in mapped) or 'no argument'}: at least one argument "
            "has such an axis, and all have the same length; correct in_axes"
        )
    return known.pop() if known else api.dims_of(mapped[0])[0]


def placed(name: str, batch: Batch, y: Any, axis: int | None) -> Any:
    """The result `y` outside, its examples along `axis`."""
    if y is None:
        return None
    if axis is None:
        if batch.holds(y):
            raise SpecError(
                f"{name}: a result of {y.spec} came with out_axes=None: it differs between the "
                "examples; give it an axis, or reduce what it is made of"
            )
        return y
    whole = batch.whole(y)
    place = canonical_axis(name, axis, whole.ndim)
    return api.moveaxis(whole, 0, place) if place else whole
