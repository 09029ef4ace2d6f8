"""How an op is written: `pointwise`, `primitive` and `composite` decorate the function itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from ..errors import SpecError
from .lowering import Lowering, Pointwise
from .op import Op
from .registry import OPERATORS, api, publish
from .short_way import short_way
from .spec import SCALARS, Spec, UnknownRankError, broadcast_shapes, default_dtype, spec_of
from .tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Domain:
    """Where one input of an op is meant to be, for those who draw inputs.

    low, high: an interval in which the op is defined and smooth enough to be checked by
    differences. kinks: points in it where the derivative jumps. integer: only whole numbers.
    """

    low: float = -3.0
    high: float = 3.0
    kinks: tuple[float, ...] = ()
    integer: bool = False


def primitive(
    *,
    infer: Callable[..., Any],
    lower: Lowering | None = None,
    public: bool = True,
    **properties: Any,
) -> Callable[[Callable[..., Any]], Op]:
    """Make an op of a NumPy kernel with canonical attributes.

    infer: `infer(*inputs, **attrs)` gives the Spec of the result, or a tuple of Specs; it raises
    SpecError for inputs that do not fit. public: make it known to `api` by its name.
    Further properties are those of `Op`.
    """

    def define(kernel: Callable[..., Any]) -> Op:
        op = Op(kernel, infer=infer, lower=lower, **properties)
        if public:
            publish(op.name, op)
        return op

    return define


class PointwiseFunction(Protocol):
    """What `pointwise` makes: a function that applies an op, and lets its rules be stated."""

    op: Op
    __name__: str

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        """Apply the op."""

    def defvjp(self, *rules: Callable[..., Any] | None) -> None:
        """State the derivative, as `Op.defvjp`."""

    def no_gradient(self, reason: str, *, cut: str = "no derivative") -> None:
        """State that there is none, as `Op.no_gradient`."""


def pointwise(
    rule: Callable[..., Any] | Pointwise | None = None, *, public: bool = True, **properties: Any
) -> Callable[[Callable[..., Any]], PointwiseFunction]:
    """Make an op of a NumPy kernel that acts elementwise and broadcasts; the function that does it.

    rule: the loop body, `rule(emitter, *elements)`; None leaves the op to its kernel.
    public: make it known to `api` by its name.
    The spec of the result is derived: shapes broadcast, the dtype is what the kernel gives.
    """
    lower = Pointwise(rule) if callable(rule) else rule

    def define(kernel: Callable[..., Any]) -> PointwiseFunction:
        infer = pointwise_spec(kernel)
        op = Op(kernel, infer=infer, lower=lower, broadcasts=True, elementwise=True, **properties)
        function: Any = functools.update_wrapper(short_way(op), kernel)
        function.op, function.defvjp, function.no_gradient = op, op.defvjp, op.no_gradient
        if public:
            publish(op.name, function)
        if public and op.name in OPERATORS:
            setattr(Tensor, OPERATORS[op.name], function)
        made: PointwiseFunction = function
        return made

    return define


def composite(function: F) -> F:
    """Make a function written in ops public: it settles options, and has no rules of its own."""
    publish(function.__name__, function)
    return function


# the functions that wait for ranks: a file may name them, and no others
WAITING: set[str] = {"sum", "matmul"}


def ranked(function: F) -> F:
    """Make a function that counts axes wait where a trace does not know how many there are.

    It becomes one node then, which does the same when the graph runs; see `ranks.py`.
    """

    @functools.wraps(function)
    def with_rank(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except UnknownRankError as error:
            return api.once_ranked(function.__name__, args, kwargs, error)

    WAITING.add(function.__name__)
    waiting: Any = with_rank
    return cast(F, waiting)


def pointwise_spec(kernel: Callable[..., Any]) -> Callable[..., Spec]:
    """The infer rule of an elementwise kernel."""
    name = kernel.__name__

    def infer(*xs: Any, **attrs: Any) -> Spec:
        shape = broadcast_shapes(name, *xs)
        key = tuple([(type(x), x) if type(x) in SCALARS else x.dtype for x in xs])
        return Spec(shape, result_dtype(kernel, key, tuple(attrs.items()), xs))

    return infer


def result_dtype(
    kernel: Callable[..., Any], key: tuple[Any, ...], attrs: tuple[Any, ...], xs: tuple[Any, ...]
) -> np.dtype[Any]:
    """The dtype of a kernel's result: asked of the kernel, on arrays without elements.

    So infer and kernel cannot disagree. Raises SpecError where the kernel refuses the dtypes.
    """
    try:
        return _result_dtype(kernel, key, attrs)
    except (TypeError, ValueError, OverflowError) as error:
        text = str(error).splitlines()[0]
        count = "positional argument" in text
        remedy = "pass as many as it takes" if count else "cast with mg.astype(x, dtype) first"
        came = " and ".join(str(spec_of(x)) for x in xs)
        raise SpecError(f"{kernel.__name__}: not defined for {came} ({text}); {remedy}") from None


@functools.lru_cache(maxsize=4096)
def _result_dtype(
    kernel: Callable[..., Any], key: tuple[Any, ...], attrs: tuple[Any, ...]
) -> np.dtype[Any]:
    if key and all(isinstance(k, tuple) for k in key):
        # Python numbers only: they become tensors of the default dtypes
        dtype = default_dtype(*[k[0] for k in key])
        return np.asarray(kernel(*[np.empty(0, dtype)] * len(key), **dict(attrs))).dtype
    probes = [k[1] if isinstance(k, tuple) else np.empty(0, k) for k in key]
    with np.errstate(all="ignore"):
        return np.asarray(kernel(*probes, **dict(attrs))).dtype
