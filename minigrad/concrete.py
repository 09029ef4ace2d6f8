"""A traced function of one signature, and `call`: the ordinary op that runs its graph."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import tree
from .core.convert import as_tensor, holds, is_tensor_like
from .core.later import later
from .core.lowering import Body
from .core.op import CONTEXT, EAGER, Attrs, Inputs, Op, notice_cells, raw, wrapped
from .core.spec import Spec
from .core.tensor import Tensor, tensor_of
from .errors import SpecError, UncompilableError
from .graph import Graph, Tracer, evaluate, saved
from .tree import Structure

compilable = later("compilable")
runners = later("runners")
saved_model = later("saved_model")
split = later("passes.split")


def call_spec(*inputs: Any, graph: Graph, jit: bool) -> tuple[Spec, ...]:
    """The specs of the graph's outputs."""
    return tuple([y.spec for y in graph.outputs])


def run_graph(*inputs: Any, graph: Graph, jit: bool) -> tuple[Any, ...]:
    """Run a graph, compiled or not, on the values of its arguments and captures."""
    outputs: tuple[Any, ...] = runners.runner(graph, jit=jit)(*inputs)
    return outputs


def keeping_residuals(attrs: Attrs, inputs: Inputs) -> Attrs:
    """The attributes by which a call gives what its derivative needs, behind its results."""
    return {**attrs, "graph": split.split(attrs["graph"]).forward}


def call_op(name: str, *, stateful: bool) -> Op:
    """An op whose attribute is a graph. Graphs with effects have an op of their own."""
    return Op(
        run_graph,
        infer=call_spec,
        name=name,
        lower=Body(lambda attrs: attrs["graph"]),
        stateful=stateful,
        holomorphic=False,
        saving=keeping_residuals,
    )


call = call_op("call", stateful=False)
stateful_call = call_op("stateful_call", stateful=True)


def call_of(graph: Graph) -> Op:
    """The op that runs `graph`."""
    if "stateful" not in graph.cache:
        graph.cache["stateful"] = any(node.op.stateful for node in graph.nodes)
    return stateful_call if graph.cache["stateful"] else call


def call_vjp(
    gs: list[Any],
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    needed: Any,
    *,
    graph: Graph,
    jit: bool,
) -> list[Any]:
    """Run the backward graph on the residuals that the forward run left among its outputs."""
    made = graph.cache.get("split") or split.split(graph)
    if made.forward is not graph:
        raise AssertionError("a call was recorded without its residuals")
    given = tuple([g is not None for g in gs])
    backward, places, targets = made.backward(given)
    available = (*inputs, *outputs)
    bars: list[Any] = [None] * len(inputs)
    if targets:
        cotangents = [g for g in gs if g is not None]
        captures = [available[x] if type(x) is int else x for x in places]
        answers = differentiable(backward, [*cotangents, *captures], jit)
        for i, bar in zip(targets, answers, strict=True):
            bars[i] = bar
    return bars


for _op in (call, stateful_call):
    _op.defvjp_joint(call_vjp)


def differentiable(graph: Graph, inputs: Sequence[Any], jit: bool) -> tuple[Any, ...]:
    """The outputs of `graph` on arguments and captures, as one node for all who listen.

    With residuals kept if a tape follows one of its inputs.
    """
    notice_cells(inputs, CONTEXT.get().listeners)
    op = call_of(graph)
    outputs: tuple[Any, ...] = op(*inputs, **saved(op, inputs, {"graph": graph, "jit": jit}))
    return outputs[: len(graph.outputs)]


class ConcreteFunction:
    """A function traced for one signature.

    graph: what it does. structure: the nest of its arguments. specs: of the leaves that are
    tensors. signature: of the Python function. variables: made while tracing, kept alive here.
    Calling it checks shapes and dtypes, and never traces.
    """

    def __init__(
        self,
        graph: Graph,
        structure: Structure,
        statics: Sequence[Any],
        result: Structure,
        constants: Sequence[Any],
        *,
        jit: bool,
        signature: inspect.Signature | None = None,
        variables: Sequence[Any] = (),
    ) -> None:
        self.graph = graph
        self.signature = signature
        self.variables = tuple(variables)
        self.structure = structure
        self.statics = statics  # per leaf of the arguments: (value,) of a Python value, or None
        self.result = result
        self.constants = constants  # per leaf of the result, likewise
        self.jit = jit
        self.specs = tuple([x.spec for x in graph.arguments])
        self.name = graph.name
        self._tensors_only = all(c is None for c in constants)
        self._single = self._tensors_only and result == tree.LEAF
        self._runner: Callable[..., tuple[Any, ...]] | None = None
        self._captured: list[Any] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph. Raises SpecError for tensors of another shape or dtype.

        The tensors alone, in order; or all arguments as the function itself takes them, where
        Python values left out are those of the trace, and those given must be equal to them.
        """
        tensors = [] if kwargs else tree.flatten(args)[0]
        if kwargs or len(tensors) != len(self.specs):
            tensors = self._placed(args, kwargs)
        pairs = zip(tensors, self.specs, strict=True)
        return self.run([fitted(x, spec, self.name) for x, spec in pairs])

    def _placed(self, args: Any, kwargs: Any) -> list[Any]:
        """What stands in the places of tensors when the arguments are bound by name."""
        try:
            if self.signature is None:
                raise SpecError(f"{len(self.specs)} tensors are wanted, by position")
            traced = [MISSING if static is None else static[0] for static in self.statics]
            traced_args, traced_kwargs = tree.unflatten(self.structure, traced)
            bound = self.signature.bind(*traced_args, **traced_kwargs)
            bound.arguments.update(self.signature.bind_partial(*args, **kwargs).arguments)
            leaves = tree.flatten_like(self.structure, (bound.args, bound.kwargs))
        except (TypeError, SpecError) as error:
            raise SpecError(
                f"concrete function {self.name}: {error}; it takes "
                f"{', '.join(map(str, self.specs)) or 'no tensors'}; pass those"
            ) from None
        for x, static in zip(leaves, self.statics, strict=True):
            if static is not None and static_key(x) != static_key(static[0]):
                raise SpecError(
                    f"concrete function {self.name}: {x!r:.60} came where {static[0]!r:.60} was "
                    "traced: Python values are part of the signature; leave it out, or call the "
                    "function itself, which traces again"
                )
        tensors = [x for x, s in zip(leaves, self.statics, strict=True) if s is None]
        if missing := sum(x is MISSING for x in tensors):
            raise SpecError(
                f"concrete function {self.name}: {missing} of {len(self.specs)} tensors are "
                f"missing: it takes {', '.join(map(str, self.specs))}; pass those"
            )
        return tensors

    def run(self, tensors: Sequence[Any]) -> Any:
        """The nest of results for argument tensors that fit."""
        context = CONTEXT.get()
        interpreter, listeners = context.interpreter, context.listeners
        if interpreter is EAGER and not listeners:
            return self.compute([raw(x) for x in tensors])
        graph = self.graph
        inputs = (*tensors, *graph.captures)
        if isinstance(interpreter, Tracer) and interpreter.compiles:
            notice_cells(inputs, listeners)
            outputs: tuple[Any, ...] = evaluate(graph, inputs)
        else:
            outputs = differentiable(graph, inputs, self.jit)
        return self.assembled(outputs)

    def compute(self, values: list[Any]) -> Any:
        """As `run`, for the arrays of tensors, and while nobody listens."""
        run = self._runner
        if run is None:
            # the runner last: who finds it finds all
            self._captured = [raw(x) for x in self.graph.captures]
            run = self._runner = runners.runner(self.graph, jit=self.jit)
        arrays = run(*values, *self._captured)
        if self._single and type(arrays[0]) is np.ndarray:
            return tensor_of(arrays[0])
        return self.assembled([wrapped(y) for y in arrays])

    @functools.cached_property
    def direct(self) -> Callable[..., Any]:
        """What computes the nest of results of tensors in native code alone, if that can be.

        While nobody listens. It returns None for anything but tensors of the specs; always, where
        it takes Python to run the graph. NOTHING stands for a result of None.
        """
        void = not self.graph.outputs
        if not self.jit or (void and (self.result != tree.LEAF or self.constants[0] != (None,))):
            return refusing
        captured = [raw(x) for x in self.graph.captures]
        native: Callable[..., Any] | None
        native = runners.direct(self.graph, captured, single=self._single)
        if native is None:
            return refusing
        if self._single or void:
            return native
        if not self._tensors_only:
            result, constants = self.result, self.constants
            return lambda *xs: None if (ys := native(*xs)) is None else nest(ys, result, constants)
        if self.result.kind is tuple and all(child == tree.LEAF for child in self.result.children):
            return native
        build = tree.builder(self.result)
        return lambda *xs: None if (ys := native(*xs)) is None else build(ys)

    def assembled(self, outputs: Sequence[Any]) -> Any:
        """The nest of results, tensors and Python values in their places."""
        return self._nested(outputs)

    @functools.cached_property
    def _nested(self) -> Callable[[Any], Any]:
        """What makes the nest of results of the tensors among them."""
        if self._tensors_only:
            return tree.builder(self.result)
        return lambda outputs: nest(outputs, self.result, self.constants)

    def check_compilable(self) -> None:
        """Raise UncompilableError if `jit` is asked of a graph that cannot be compiled."""
        if self.jit:
            compilable.reject_opaque(self.graph)

    def __reduce__(self) -> Any:
        return saved_model.reduced(self)

    def __repr__(self) -> str:
        specs = ", ".join(map(str, self.specs))
        return f"<mg.ConcreteFunction {self.name}({specs}) of {len(self.graph.nodes)} nodes>"


def blame_opaque(tracer: Tracer, error: Exception) -> None:
    """Raise UncompilableError if a trace that was to be compiled failed behind opaque nodes.

    What they give has only the shape that was declared; the error may come of that.
    """
    blocked = [node for node in tracer.nodes if node.op.opaque is not None]
    if tracer.compiles and blocked:
        raise UncompilableError(compilable.rejection(tracer.name, blocked)) from error


def nest(outputs: Sequence[Any], result: Structure, constants: Sequence[Any]) -> Any:
    """The nest `result` of tensors, and of Python values where there are `constants`."""
    tensors = iter(outputs)
    return tree.unflatten(result, [next(tensors) if c is None else c[0] for c in constants])


def refusing(*args: Any) -> None:
    """Stands for native code where there is none: no call is for it."""


NOTHING: tuple[Any, ...] = ()  # what native code gives that only writes Variables
MISSING = object()  # a tensor that is to be given


def static_key(x: Any) -> Any:
    """What stands for the Python value `x` in a signature: its type and value, or itself."""
    if isinstance(x, (float, complex)):
        return (type(x), repr(x))  # 0.0 == -0.0, and nan != nan
    try:
        hash(x)
    except TypeError:
        raise SpecError(
            f"an argument of type {type(x).__name__}, {x!r:.60}, came: Python values are part of "
            "the signature and must be hashable; pass a tensor, a nest of lists, tuples and "
            "dicts, or a hashable object"
        ) from None
    return (type(x), x)


def fitted(x: Any, spec: Spec, name: str) -> Tensor:
    """`x` as a tensor of `spec`; Python numbers convert, anything else must fit as it is."""
    tensor = as_tensor(x)
    if not is_tensor_like(x) and holds(spec.dtype, tensor):
        tensor = as_tensor(x, spec.dtype)
    if not spec.is_compatible_with(tensor):
        argument = f"argument {spec.name!r}" if spec.name else "an argument"
        raise SpecError(
            f"function {name}: {argument} of {tensor.spec} came where {spec} is declared: shapes "
            "and dtypes must fit the signature; reshape it or cast it with "
            f"mg.astype(x, mg.{spec.dtype}), or widen the TensorSpec"
        )
    return tensor
