"""Gradients by hand: `custom_gradient` for any function, `recompute_grad` to save memory."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import Any

from . import tree
from .core.convert import as_tensor
from .core.define import pointwise
from .core.leaving import leaving_allowed
from .core.lowering import Body
from .core.op import CONTEXT, EAGER, Listener, Node, Op, notice_cells, using
from .core.spec import Spec
from .core.tensor import Symbol, Tensor
from .errors import GradientError
from .graph import Graph, evaluate, trace
from .reach import reachable
from .tape import GradientTape
from .variable import assign_variable, read_variable


def keep_first(*arrays: Any, count: int, **attrs: Any) -> tuple[Any, ...]:
    """The results, without the inputs that they were made of."""
    return arrays[:count]


def kept_specs(*inputs: Any, count: int, **attrs: Any) -> tuple[Spec, ...]:
    """The specs of the results."""
    return tuple([Spec(x.shape, x.dtype) for x in inputs[:count]])


def kept_graph(attrs: dict[str, Any]) -> Graph:
    """What remains of a hand-written derivative once derivatives have been taken."""
    specs = attrs["specs"]
    inputs = tuple([Symbol(spec.shape, spec.dtype, None) for spec in specs])
    return Graph("custom_gradient", inputs, (), (), inputs[: attrs["count"]])


# inputs: results, arguments, captures of the backward graph. backward: a graph, or a function.
custom = Op(
    keep_first,
    infer=kept_specs,
    name="custom_gradient",
    holomorphic=False,
    lower=Body(kept_graph, transparent=False),
)


@custom.defvjp_joint
def custom_vjp(
    gs: list[Any],
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    needed: Sequence[bool],
    *,
    count: int,
    arguments: int,
    backward: Any,
    specs: Any,
) -> list[Any]:
    """Ask the user's rule for the cotangents of the arguments."""
    filled = [y * 0 if g is None else g for g, y in zip(gs, outputs, strict=True)]
    captures = inputs[count + arguments :]
    if isinstance(backward, Graph):
        notice_cells(captures, CONTEXT.get().listeners)
        bars = list(evaluate(backward, [*filled, *captures]))
        present = backward.cache["present"]
        answers = iter(bars)
        bars = [next(answers) if there else None for there in present]
    else:
        bars = backward(*filled)
    return [*[None] * count, *bars, *[None] * len(captures)]


class Reads:
    """Listens for the cells of Variables that are read."""

    def __init__(self, followers: Sequence[Listener]) -> None:
        self._followers = followers
        self._cells: dict[Any, None] = {}

    def record(self, node: Node) -> None:
        """Note the cells that `node` reads; one that is only assigned to has no derivative."""
        if node.op.zero_gradient is None:
            for x in node.inputs:
                if hasattr(x, "trainable"):
                    self.notice(x)

    def notice(self, cell: Any) -> None:
        """Note `cell` if a tape wants its derivative, or will."""
        wanted = cell.trainable or any(one.follows((cell,)) for one in self._followers)
        if wanted and cell.dtype.kind in "fc":
            self._cells[cell] = None

    def follows(self, inputs: Any) -> bool:
        """No: it asks for no derivative."""
        return False

    def variables(self) -> list[Any]:
        """The Variables, in the order of their first use."""
        owners = [cell.owner() for cell in self._cells]
        return [variable for variable in owners if variable is not None]


def custom_gradient(func: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function whose derivative is what it says: `func` returns `(result, grad)`.

    grad: called with one cotangent per leaf of the result; returns one per tensor argument, in
    their order, or a single one. It is written in minigrad's functions for higher orders; around
    a numpy_function it gives an opaque op a derivative. Where `func` uses Variables that are not
    among its arguments, `grad` takes them as `variables=`, a list, and returns
    `(gradients of the arguments, gradients of the variables)`. A rule may use its own function, as
    that of an exponential does: eagerly its derivatives are of any order, in traced functions of
    the first three. Raises GradientError where `func` or `grad` return something else.
    """

    name = getattr(func, "__name__", type(func).__name__)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        leaves = [as_tensor(x) if hasattr(x, "__array__") else x for x in leaves]
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        given_args, given_kwargs = tree.unflatten(structure, leaves)
        context = CONTEXT.get()
        interpreter, listeners = context.interpreter, context.listeners
        unheard = interpreter is EAGER and not listeners
        reads = Reads(listeners)
        # in the open: the rule may use what is computed here, and be differentiated itself
        with leaving_allowed(), using(interpreter, () if unheard else (*listeners, reads)):
            returned = func(*given_args, **given_kwargs)
        if not (isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])):
            raise GradientError(
                f"custom_gradient of {name}: {type(returned).__name__} came back: the "
                "function returns its result and the rule for its gradient; end it with "
                "`return y, grad`"
            )
        result, grad = returned
        ys, form = tree.flatten(result)
        ys = [as_tensor(y) for y in ys]
        if unheard:
            return tree.unflatten(form, ys)
        variables = reads.variables()
        rule = checked(grad, name, len(tensors), variables)
        sources = [*tensors, *[variable.value() for variable in variables]]
        within = WITHIN.get()
        if within.count(func) >= ORDERS:
            return tree.unflatten(form, [untraced(y) for y in ys])
        token = WITHIN.set((*within, func))
        try:
            return tree.unflatten(form, attached(ys, sources, rule, name))
        finally:
            WITHIN.reset(token)

    return wrapper


# the functions whose rules are being traced, one in the other: a rule may use its own function,
# and is then traced for derivatives up to this order
WITHIN: ContextVar[tuple[Any, ...]] = ContextVar("rules being traced", default=())
ORDERS = 3


@pointwise(lambda b, x: x, public=False)
def untraced(x: Any, /) -> Any:
    """`x` itself, where the rule of its derivative is not traced any more."""
    return x


untraced.no_gradient(f"a rule that uses its own function is traced {ORDERS} times, not for ever")


def attached(
    ys: list[Tensor], tensors: list[Tensor], rule: Callable[..., Any], name: str
) -> tuple[Any, ...]:
    """`ys` as outputs of a node that knows the rule; traced, the rule is a graph of its own."""
    backward: Any = rule
    captures: tuple[Any, ...] = ()
    if any(isinstance(x, Symbol) for x in (*ys, *tensors)):
        present: list[bool] = []

        def body(*gs: Symbol) -> list[Any]:
            bars = rule(*gs)
            present.extend(bar is not None for bar in bars)
            return [bar for bar in bars if bar is not None]

        backward, _ = trace(body, [y.spec for y in ys], f"gradient of {name}")
        backward.cache["present"] = tuple(present)
        captures = backward.captures
    inputs = (*ys, *tensors, *captures)
    specs = tuple([x.spec for x in inputs])
    outputs: tuple[Any, ...] = custom(
        *inputs, count=len(ys), arguments=len(tensors), backward=backward, specs=specs
    )
    return outputs


def checked(
    grad: Callable[..., Any], name: str, count: int, variables: Sequence[Any]
) -> Callable[..., list[Any]]:
    """`grad`, its answer as a list: one entry per tensor argument, then one per Variable."""
    if variables and not takes_variables(grad):
        used = ", ".join(f"{v.name!r}, {v.spec}" for v in variables)
        raise GradientError(
            f"custom_gradient of {name}: its function uses Variables ({used}) and its rule has no "
            "place for their gradients, which would be lost: write grad(*gs, variables) and return "
            "(gradients of the arguments, gradients of the variables), or pass them as arguments"
        )

    def rule(*gs: Any) -> list[Any]:
        if not variables:
            return one_each(grad(*gs), count, "tensor arguments", name)
        answer = grad(*gs, variables=list(variables))
        if not (isinstance(answer, (list, tuple)) and len(answer) == 2):
            raise GradientError(
                f"custom_gradient of {name}: the rule gave a {type(answer).__name__}: with "
                "Variables it gives two lists; return (gradients of the arguments, gradients of "
                "the variables)"
            )
        bars = one_each(answer[0], count, "tensor arguments", name)
        return bars + one_each(answer[1], len(variables), "Variables", name)

    return rule


def takes_variables(grad: Callable[..., Any]) -> bool:
    """Whether a rule can be called with `variables=`."""
    try:
        parameters = inspect.signature(grad).parameters
    except ValueError:  # of something built in
        return False
    kinds = {p.kind for p in parameters.values()}
    return "variables" in parameters or inspect.Parameter.VAR_KEYWORD in kinds


def one_each(answer: Any, count: int, what: str, name: str) -> list[Any]:
    """The cotangents that a rule gave, None or a tensor for each of `count`."""
    bars = list(answer) if isinstance(answer, (list, tuple)) else [answer]
    if len(bars) != count:
        raise GradientError(
            f"custom_gradient of {name}: the rule gave {len(bars)} cotangents for {count} {what}: "
            "one belongs to each, None where there is none; return as many"
        )
    return [None if bar is None else as_tensor(bar) for bar in bars]


class Beginning:
    """Listens to a run, so that it can be run again from where it began, and leave no trace.

    Variables are noted before they are read or assigned, with the states of generators: those
    that are `named` at once, for what runs in Python while a graph does tells nobody.
    """

    def __init__(self, named: Sequence[Any]) -> None:
        self._values: dict[Any, Tensor] = {}
        self._opaque: Node | None = None
        for variable in named:
            self.notice(variable.cell)

    def record(self, node: Node) -> None:
        """Note a node that cannot be run again."""
        if self._opaque is None:
            self._opaque = next(opaque_effects(node), None)

    def notice(self, cell: Any) -> None:
        """Note the value of `cell`, which is about to be used."""
        if cell not in self._values:
            self._values[cell] = read_variable(cell)

    def follows(self, inputs: Any) -> bool:
        """No: it asks for no derivative."""
        return False

    @contextmanager
    def again(self, name: str) -> Iterator[None]:
        """A block in which Variables are as they were; afterwards they are as they are now.

        Raises GradientError where the run has had effects outside of Variables.
        """
        if self._opaque is not None:
            raise GradientError(
                f"recompute_grad of {name}: it calls the numpy_function {self._opaque.title!r} at "
                f"{self._opaque.where}, which is stateful: the second run would repeat its "
                "effects and may get other numbers; declare it stateful=False if it has none, or "
                "call it outside"
            )
        present = {cell: read_variable(cell) for cell in self._values}
        for cell, value in self._values.items():
            assign_variable(cell, value)
        try:
            yield
        finally:
            for cell, value in present.items():
                assign_variable(cell, value)


def opaque_effects(node: Node) -> Iterator[Node]:
    """What `node` is, or has in its bodies, of code that nobody can see into and has effects."""
    if node.op.stateful and node.op.opaque is not None:
        yield node
    elif node.op.stateful:
        several = [x for x in node.attrs.values() if isinstance(x, tuple)]
        for body in (*node.attrs.values(), *chain(*several)):
            if isinstance(body, Graph):
                yield from chain(*map(opaque_effects, body.nodes))


def recompute_grad(func: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that keeps nothing for its gradient but its arguments, and runs twice.

    Tensors that it uses by name, and all Variables, have their gradient. The second run begins
    with Variables and random generators as they were when the first began, so that it draws the
    same numbers; what it assigns is undone. Its Python code runs twice. `gradient` raises
    GradientError where it calls a numpy_function that is stateful: that cannot be undone.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        found = reachable(func)
        hidden = [x for x in found if x.dtype.kind in "fc"]
        named = set(hidden)

        def block(values: Any, args: Any, kwargs: Any) -> Any:
            tensors = [x for x in tree.flatten((args, kwargs))[0] if isinstance(x, Tensor)]
            context = CONTEXT.get()
            interpreter, listeners = context.interpreter, context.listeners
            others = tuple([one for one in listeners if not isinstance(one, GradientTape)])
            with using(interpreter, others):
                beginning = Beginning([x for x in found if not isinstance(x, Tensor)])

            def grad(*gs: Any, variables: Sequence[Any] = ()) -> Any:
                others = [v for v in variables if v not in named]
                with (
                    beginning.again(getattr(func, "__name__", type(func).__name__)),
                    GradientTape(watch_accessed_variables=False) as tape,
                ):
                    floats = [x for x in tensors if x.dtype.kind in "fc"]
                    tape.watch([*hidden, *others, *floats])
                    again = tree.flatten(func(*args, **kwargs))[0]
                bars = tape.gradient(again, [*hidden, *tensors, *others], list(gs))
                if not variables:
                    return bars
                count = len(hidden) + len(tensors)
                bar_of = dict(zip(others, bars[count:], strict=True))
                # those that are named have theirs as arguments
                return bars[:count], [bar_of.get(v) for v in variables]

            # where nobody listens, no gradient will be asked
            with using(interpreter, (*others, beginning) if listeners else ()):
                return func(*args, **kwargs), grad

        return custom_gradient(block)([as_tensor(x) for x in hidden], args, kwargs)

    return wrapper


def init_scope() -> Any:
    """A block whose ops run at once and are recorded by nobody, even inside a trace."""
    return using(EAGER, ())
