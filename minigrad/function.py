"""`mg.function`: a Python function, traced once per signature, called as the op `call`."""

from __future__ import annotations

import functools
import inspect
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from . import tree
from .concrete import NOTHING, ConcreteFunction, blame_opaque, fitted, refusing, static_key
from .core.convert import as_tensor, is_tensor_like
from .core.later import later
from .core.op import CONTEXT, EAGER, ORDINARY
from .core.spec import Spec
from .core.tensor import Symbol, Tensor
from .core.turns import turn
from .core.where import here
from .errors import RetraceWarning, SpecError, TraceError
from .graph import Graph, Tracer, traced_by
from .signatures import checked_signature, differences

stages = later("stages")

RETRACES_BEFORE_A_WARNING = 8


class Function:
    """A Python function that is traced to a graph once per signature, and then runs the graph.

    A signature is the nest of the arguments, shapes and dtypes of the tensors among them, and
    type and value of everything else. Made by `mg.function`.
    """

    def __init__(
        self,
        python_function: Callable[..., Any],
        *,
        input_signature: Sequence[Any] | None = None,
        jit_compile: bool = False,
        name: str | None = None,
    ) -> None:
        if not callable(python_function):
            raise SpecError(
                f"function of {type(python_function).__name__} {python_function!r:.60}: a "
                "callable is traced; pass the function itself, without calling it"
            )
        functools.update_wrapper(self, python_function, updated=())
        self.python_function = python_function
        self.input_signature = checked_signature(input_signature)
        self.jit_compile = jit_compile
        self.name = name or str(getattr(python_function, "__name__", "function"))
        self.signature = inspect.signature(python_function)
        self._simple = all(
            p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            for p in self.signature.parameters.values()
        )
        self._count = len(self.signature.parameters)
        self._concrete: dict[Any, ConcreteFunction] = {}
        self._recent: dict[Any, ConcreteFunction] = {}  # those of tensors only, by a quick key
        self._direct: Callable[..., Any] = refusing  # the last of them, if native code is all of it
        self._plain = input_signature is None
        self._keys: list[Any] = []  # of all traces, in order; for explain_retrace

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method, each instance has its own traces; they go when it goes."""
        if instance is None:
            return self
        traces = traces_of(instance, self.name)
        made = traces.get(self)
        if made is None:
            made = traces[self] = self._for(traces.holder)
        return Method(made, instance)

    def _for(self, holder: Callable[[], Any]) -> Function:
        method = self.python_function

        @functools.wraps(method)
        def bound(*args: Any, **kwargs: Any) -> Any:
            return method(holder(), *args, **kwargs)

        parameters = list(self.signature.parameters.values())[1:]
        signature = self.signature.replace(parameters=parameters)
        bound.__signature__ = signature  # type: ignore[attr-defined]  # for inspect.signature
        return Function(
            bound,
            input_signature=self.input_signature,
            jit_compile=self.jit_compile,
            name=self.name,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph for these arguments; trace it first if they are of a new signature."""
        context = CONTEXT.get()
        if context is ORDINARY and not kwargs:
            # tensors only, and nobody listens: a tenth of the time of what follows
            found = self._direct(*args)
            if found is not None:
                return None if found is NOTHING else found
        interpreter, listeners = context.interpreter, context.listeners
        key = None
        if interpreter is EAGER and self._plain and not (kwargs or listeners):
            values = []
            parts = []
            for x in args:
                if type(x) is not Tensor:
                    break
                value = x._value
                values.append(value)
                parts.append(value.shape)
                parts.append(value.dtype)
            else:
                key = tuple(parts)
                concrete = self._recent.get(key)
                if concrete is not None:
                    self._direct = concrete.direct
                    return concrete.compute(values)
        if type(interpreter) is Tracer and interpreter.compiles:
            args, kwargs = self._conformed(args, kwargs)
            return self.python_function(*args, **kwargs)
        concrete, tensors = self._prepared(args, kwargs)
        if any(type(x) is Spec for x in tensors):
            raise SpecError(
                f"function {self.name}: a TensorSpec came among the arguments: it describes a "
                f"tensor and has no value; pass a tensor, or write "
                f"{self.name}.get_concrete_function(...)"
            )
        if key is not None and len(tensors) == len(args):  # no default is a tensor
            self._recent[key] = concrete
        return concrete.run(tensors)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The function for one signature, given by TensorSpecs, tensors, or Python values.

        Without arguments, that of `input_signature`.
        """
        if not args and not kwargs and self.input_signature is not None:
            args = self.input_signature
        return self._prepared(args, kwargs)[0]

    def graph_for(self, *args: Any, **kwargs: Any) -> Graph:
        """The graph for these arguments; printed, it is Python that runs."""
        return self._prepared(args, kwargs)[0].graph

    def compiler_ir(self, *args: Any, stage: str = "optimized", **kwargs: Any) -> str:
        """What the compiler makes of the function for these arguments, as text.

        stage: "traced" and "optimized", graphs as Python; "fused", the groups, and why they end
        where they end; "program", what is called natively, and where values lie; "loops", the loop
        nests of groups; "llvm" and "assembly", their code.
        """
        text: str = stages.compiler_ir(*self._prepared(args, kwargs), stage)
        return text

    def capability_report(self, *args: Any, **kwargs: Any) -> str:
        """Node by node, with its line: compiles, is a library call, or blocks compilation.

        Nothing is run, no callback is called.
        """
        text: str = stages.capability_report(self._prepared(args, kwargs)[0])
        return text

    @property
    def trace_count(self) -> int:
        """How often the Python function has been traced."""
        return len(self._keys)

    def explain_retrace(self) -> str:
        """Which argument of the last trace differed from the trace before, from what to what."""
        if len(self._keys) < 2:
            return f"{self.name} was traced {len(self._keys)} times; nothing was retraced"
        changes = differences(self._keys[-2], self._keys[-1], list(self.signature.parameters))
        return (
            f"trace {len(self._keys)} of {self.name}: {'; '.join(changes)}. Python values are part "
            "of the signature: pass tensors for what changes often, or a TensorSpec with None dims"
        )

    def __repr__(self) -> str:
        return f"<mg.Function {self.name}{self.signature}>"

    # how it finds its graph

    def _conformed(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments with defaults filled in, and fitted to `input_signature`."""
        if kwargs or not self._simple or len(args) != self._count:
            try:
                bound = self.signature.bind(*args, **kwargs)
            except TypeError as error:
                raise SpecError(
                    f"function {self.name}: {error}; it takes {self.signature}; pass those"
                ) from None
            bound.apply_defaults()
            args, kwargs = bound.args, dict(sorted(bound.kwargs.items()))
        if self.input_signature is None:
            return args, kwargs
        declared = len(self.input_signature)
        if len(args) < declared:
            raise SpecError(
                f"function {self.name}: {len(args)} arguments for an input_signature of "
                f"{declared}: each spec describes one argument; pass as many"
            )
        return (*self._fitted(args[:declared]), *args[declared:]), kwargs

    def _fitted(self, args: Any) -> Any:
        specs, wanted = tree.flatten(self.input_signature)
        try:
            leaves = tree.flatten_like(wanted, tuple(args))
        except SpecError as error:
            raise SpecError(f"function {self.name}, by its input_signature: {error}") from None
        pairs = zip(leaves, specs, strict=True)
        return tree.unflatten(
            wanted, [x if isinstance(x, Spec) else fitted(x, s, self.name) for x, s in pairs]
        )

    def _prepared(self, args: Any, kwargs: Any) -> tuple[ConcreteFunction, list[Any]]:
        """The concrete function for the arguments, and those of them that are tensors."""
        args, kwargs = self._conformed(args, kwargs)
        leaves, structure = tree.flatten((args, kwargs))
        key: list[Any] = [structure]
        tensors: list[Any] = []
        for i, x in enumerate(leaves):
            if isinstance(x, (np.ndarray, np.generic)):
                x = leaves[i] = as_tensor(x)
            if isinstance(x, (Tensor, Spec)):
                tensors.append(x)
                key.append((x.shape, x.dtype))
            else:
                key.append(static_key(x))
        if self.input_signature is not None:
            specs = tree.flatten(self.input_signature)[0]
            key[1 : 1 + len(specs)] = [(s.shape, s.dtype) for s in specs]
        found = self._concrete.get(tuple(key))
        if found is None:
            found = self._traced(tuple(key), leaves, structure)
        return found, tensors

    def _traced(self, key: Any, leaves: list[Any], structure: Any) -> ConcreteFunction:
        with turn(self):
            interpreter = CONTEXT.get().interpreter
            known = self._concrete if type(interpreter) is not Tracer else interpreter.functions
            local_key = key if known is self._concrete else (self, key)
            found: ConcreteFunction | None = self._concrete.get(key) or known.get(local_key)
            if found is not None:  # made by another thread meanwhile, or earlier in this trace
                return found
            made = self._trace(leaves, structure)
            self._keys.append(key)
            outer = any(isinstance(x, Symbol) for x in made.graph.captures)
            (known if outer else self._concrete)[local_key if outer else key] = made
            if len(self._keys) == RETRACES_BEFORE_A_WARNING:
                where = here()
                warnings.warn_explicit(
                    self.explain_retrace(), RetraceWarning, where.code.co_filename, where.line
                )
            return made

    def _trace(self, leaves: list[Any], structure: Any) -> ConcreteFunction:
        declared = [] if self.input_signature is None else tree.flatten(self.input_signature)[0]
        specs = []
        statics: list[Any] = []
        for i, x in enumerate(leaves):
            if isinstance(x, (Tensor, Spec)):
                given = declared[i] if i < len(declared) else x.spec
                specs.append(Spec(given.shape, given.dtype, given.name))
                statics.append(None)
            else:
                statics.append((x,))
        result: list[Any] = []

        def body(*symbols: Symbol) -> list[Any]:
            places = iter(symbols)
            filled = [next(places) if s is None else s[0] for s in statics]
            args, kwargs = tree.unflatten(structure, filled)
            outputs, form = tree.flatten(self.python_function(*args, **kwargs))
            constants = [None if is_tensor_like(y) else (y,) for y in outputs]
            result.extend((form, constants))
            return [as_tensor(y) for y in outputs if is_tensor_like(y)]

        tracer = Tracer(self.name, compiles=self.jit_compile)
        try:
            graph, _ = traced_by(tracer, body, specs)
        except SpecError as error:
            blame_opaque(tracer, error)
            raise
        if tracer.variables and self._keys:
            raise TraceError(
                f"function {self.name} made {len(tracer.variables)} Variables in its trace number "
                f"{len(self._keys) + 1}: Variables may be made in the first trace only, for each "
                "call must mean the same ones; make them outside, or keep them in an attribute"
            )
        concrete = ConcreteFunction(
            graph,
            structure,
            statics,
            result[0],
            result[1],
            jit=self.jit_compile,
            signature=self.signature,
            variables=tracer.variables,
        )
        concrete.check_compilable()
        return concrete


class Traces(dict[Any, Any]):
    """The traced methods of one instance, kept in its `__dict__`: the two go together.

    A copy or pickle of the instance has none: `holder` is another instance.
    """

    def __init__(self, holder: Callable[[], Any] = lambda: None) -> None:
        super().__init__()
        self.holder = holder

    def __reduce__(self) -> Any:
        return Traces, ()


def traces_of(instance: Any, name: str) -> Traces:
    """The traces that belong to `instance`."""
    try:
        attributes = instance.__dict__
        traces = attributes.get("__traces__")
        if traces is None or traces.holder() is not instance:
            traces = attributes["__traces__"] = Traces(weakref.ref(instance))
    except (AttributeError, TypeError):
        raise SpecError(
            f"method {name} of a {type(instance).__name__}, which has no place to keep traces: "
            'they live in the __dict__ of the instance; leave __slots__ out, or put "__dict__" '
            'and "__weakref__" among them'
        ) from None
    made: Traces = traces
    return made


class Method:
    """A function and the instance it belongs to, which lives at least as long as the call."""

    def __init__(self, function: Function, instance: Any) -> None:
        self.__wrapped__ = function
        self.__self__ = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the traced method."""
        return self.__wrapped__(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)


@overload
def function(
    func: None = None,
    *,
    input_signature: Sequence[Any] | None = None,
    jit_compile: bool = False,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], Function]: ...
@overload
def function(
    func: Callable[..., Any],
    *,
    input_signature: Sequence[Any] | None = None,
    jit_compile: bool = False,
    name: str | None = None,
) -> Function: ...
def function(
    func: Callable[..., Any] | None = None,
    *,
    input_signature: Sequence[Any] | None = None,
    jit_compile: bool = False,
    name: str | None = None,
) -> Any:
    """Make a traced function of a Python function; usable as a decorator, with or without options.

    input_signature: TensorSpecs, one per argument, nested as the arguments; traces once, and
    None dims take any length. jit_compile: fuse and compile to native code; all of it compiles
    or UncompilableError is raised before anything runs. name: for messages.
    """
    options: dict[str, Any] = {
        "input_signature": input_signature,
        "jit_compile": jit_compile,
        "name": name,
    }
    if func is None:
        return lambda body: Function(body, **options)
    return Function(func, **options)
