"""The two doors to Python: `py_function` stays traced, `numpy_function` is opaque and says so."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from .callbacks import Body, noted, outputs_fit, results_as
from .core.op import CONTEXT, EAGER, Context, Eager, Listener, Op, notice_cells, raw, wrapped
from .core.spec import OPAQUE, Spec
from .errors import SpecError, TraceError
from .escapes import watching
from .replay import Record, Strays, pulled_back
from .tape import GradientTape


@overload
def py_function(
    func: None = None,
    inp: None = None,
    Tout: Any = None,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...
@overload
def py_function(
    func: Callable[..., Any], inp: Any = None, Tout: Any = None, name: str | None = None
) -> Any: ...
def py_function(
    func: Callable[..., Any] | None = None,
    inp: Any = None,
    Tout: Any = None,
    name: str | None = None,
) -> Any:
    """Call `func` on tensors: any Python inside, and still differentiable to any order.

    func: gets the tensors of `inp`, one argument each, and returns what `Tout` declares. inp: a
    list, or one tensor; Python numbers become float32 or int32. Tout: a dtype, a TensorSpec, or a
    nest of them; [] for nothing. Without `func` and `inp`, a decorator.

    Eagerly the body runs in the open. In a traced function it is one ordered node that runs the
    body at each call, once for a forward pass and never again for gradients. In a compiled one
    its ops are traced inline. Raises CallbackError where the result does not fit `Tout`.

    Threads that the body starts are not heard, and what they compute has no derivative, without
    a warning: give them its context, `pool.submit(contextvars.copy_context().run, mg.sin, x)`.
    """
    if inp is None:
        return door(py_function, func, Tout, name)
    body = Body(func, inp, Tout, name, "py_function")
    interpreter = CONTEXT.get().interpreter
    compiles = getattr(interpreter, "compiles", False)
    if isinstance(interpreter, Eager) or compiles:
        with watching(body.known, CONTEXT.get()) as guarded:
            returned = called(body, body.inputs, traced=compiles)
            return body.nested(guarded(results_as(body, returned)))
    body.reject_symbols()
    hidden = body.hidden()
    notice_cells(hidden, CONTEXT.get().listeners)
    outputs = python_call(
        *body.inputs,
        *hidden,
        func=body.func,
        specs=body.specs,
        name=body.name,
        count=len(body.inputs),
        body=body,
    )
    return body.nested(list(outputs[:-1]))


def called(body: Body, inputs: Sequence[Any], *, traced: bool = False) -> Any:
    """What the body returns; its exceptions arrive as themselves, with a note.

    traced: whether it is called for the ops in it, and has no values.
    """
    try:
        return body.func(*inputs)
    except Exception as error:
        noted(error, body, traced=traced and isinstance(error, TraceError))
        raise


def python_call_spec(*inputs: Any, specs: Any, **attrs: Any) -> tuple[Spec, ...]:
    """What `Tout` declares, and the record of the run."""
    return (*specs, OPAQUE)


def python_call_kernel(
    *arrays: Any, func: Any, specs: Any, name: str, count: int, body: Body
) -> tuple[Any, ...]:
    """Run the body, eagerly, under a tape of its own; the tape's nodes are one more output."""
    inputs = [wrapped(x) for x in arrays[:count]]
    sources = (*inputs, *body.hidden())
    tape = GradientTape(persistent=True)
    tape.follow([x for x in sources if x.dtype.kind in "fc"])
    context = CONTEXT.get()
    interpreter, listeners = context.interpreter, context.listeners
    eager = interpreter if isinstance(interpreter, Eager) else EAGER
    strays = Strays(sources, listeners) if listeners else None
    watchers: tuple[Listener, ...] = (tape,) if strays is None else (tape, strays)
    with watching(lambda: sources, Context(eager, watchers)) as guarded:
        returned = results_as(body, called(body, inputs))
        outputs = guarded(returned)
    if strays is not None:
        strays.look(returned)
    record = Record(tape, sources, outputs, name, {} if strays is None else strays.found)
    return (*[raw(y) for y in outputs], record)


python_call = Op(
    python_call_kernel,
    infer=python_call_spec,
    name="py_function",
    stateful=True,
    holomorphic=False,
)


@python_call.defvjp_joint
def python_call_vjp(
    gs: list[Any],
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    needed: Sequence[bool],
    **attrs: Any,
) -> list[Any]:
    """Walk back over the record of the run, whatever it was."""
    return pulled_back("body", outputs[-1], inputs, gs[:-1], needed)


VMAP_METHODS = ("sequential", "expand_dims", "broadcast_all")


@overload
def numpy_function(
    func: None = None,
    inp: None = None,
    Tout: Any = None,
    stateful: bool = True,
    name: str | None = None,
    vmap_method: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...
@overload
def numpy_function(
    func: Callable[..., Any],
    inp: Any = None,
    Tout: Any = None,
    stateful: bool = True,
    name: str | None = None,
    vmap_method: str | None = None,
) -> Any: ...
def numpy_function(
    func: Callable[..., Any] | None = None,
    inp: Any = None,
    Tout: Any = None,
    stateful: bool = True,
    name: str | None = None,
    vmap_method: str | None = None,
) -> Any:
    """Call `func` on NumPy arrays, as one opaque op: whatever it does, nothing sees inside.

    func: gets read-only arrays, one for each of `inp`, and returns what `Tout` declares: a dtype,
    a TensorSpec, or a nest of them; [] for nothing. stateful: runs at every call, in program
    order; False lets equal calls be merged, unused ones dropped, constant ones folded. Without
    `func` and `inp`, a decorator.

    vmap_method: how `mg.vmap` calls it: "sequential", once for each example; "expand_dims", once
    for all, what they share with an axis of length 1 in front; "broadcast_all", once for all, every
    array with the axis of examples. None: it cannot.

    Its gradient is None: `tape.explain` says so, and `mg.custom_gradient` gives it one. Compiled
    functions reject it. Raises CallbackError where the result does not fit `Tout`.
    """
    if inp is None:
        return door(numpy_function, func, Tout, name, stateful=stateful, vmap_method=vmap_method)
    if vmap_method not in (None, *VMAP_METHODS):
        raise SpecError(
            f"numpy_function: vmap_method={vmap_method!r} came: it says how vmap calls the body; "
            f"write one of {', '.join(map(repr, VMAP_METHODS))}"
        )
    body = Body(func, inp, Tout, name, "numpy_function")
    op = opaque_call if stateful else pure_opaque_call
    attrs = {"func": body.func, "specs": body.specs, "name": body.name, "body": body}
    if vmap_method is not None:
        attrs["vmap_method"] = vmap_method
    outputs = op(*body.inputs, **attrs)
    return body.nested(list(outputs))


def opaque_kernel(
    *arrays: Any, func: Any, specs: Any, name: str, body: Body, vmap_method: str | None = None
) -> tuple[Any, ...]:
    """Run `func` on read-only views; copy what it returns, so that nobody can change it later."""
    views = []
    for x in arrays:
        view = np.asarray(x).view()
        view.flags.writeable = False
        views.append(view)
    return tuple([np.array(y) for y in outputs_fit(body, called(body, views))])


def opaque_spec(*inputs: Any, specs: Any, **attrs: Any) -> tuple[Spec, ...]:
    """What `Tout` declares."""
    return tuple(specs)


opaque_call = Op(opaque_kernel, infer=opaque_spec, name="numpy_function", stateful=True)
pure_opaque_call = Op(opaque_kernel, infer=opaque_spec, name="pure_numpy_function")
for _op in (opaque_call, pure_opaque_call):
    _op.opaque = "its body is NumPy code, which minigrad cannot see into"


def door(function: Callable[..., Any], func: Any, Tout: Any, name: Any, **options: Any) -> Any:
    """`function` as a decorator, with its options given and its inputs to come."""
    options = {"Tout": Tout, "name": name, **options}
    if func is None:
        return lambda body: Door(function, body, options)
    return Door(function, func, options)


class Door:
    """A Python function with one of the doors before it: called with inputs, for its results."""

    def __init__(self, function: Callable[..., Any], func: Any, options: dict[str, Any]) -> None:
        functools.update_wrapper(self, func, updated=())
        self.function = function
        self.func = func
        self.options = options

    def __call__(self, *inputs: Any) -> Any:
        """Call the Python function on `inputs`, through the door."""
        return self.function(self.func, list(inputs), **self.options)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method, it is given the instance as it is."""
        if instance is None:
            return self
        return Door(self.function, types.MethodType(self.func, instance), self.options)

    def __repr__(self) -> str:
        return f"<mg.{self.function.__name__} {getattr(self.func, '__name__', self.func)}>"
