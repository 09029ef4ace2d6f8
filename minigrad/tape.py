"""GradientTape: the nodes that touched something it follows, walked backwards for gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import numpy as np

from . import tree
from .core.convert import as_tensor
from .core.later import later
from .core.op import CONTEXT, EAGER, ORDINARY, Context, Node, using
from .core.quiet import loud, quiet
from .core.registry import api
from .core.tensor import Tensor, tensor_of
from .cotangents import key_of, seeds, units, zeros
from .errors import GradientError
from .explain import Explanation, disconnected, explain
from .pullback import dependents, pullback


class UnconnectedGradients(StrEnum):
    """What `gradient` answers where there is no path: None, zeros, or an error with the reason."""

    NONE = "none"
    ZERO = "zero"
    RAISE = "raise"


many = later("rows")
FEW = 4  # below so many rows, one walk for each is quicker than one for all
CHUNK = 128  # how many rows go along in one walk: what it holds grows with them
DEFAULT = UnconnectedGradients.NONE  # by its own name: looked up in the enum it takes 200 ns


class GradientTape:
    """Record ops on what it follows, and differentiate them.

    persistent: `gradient` may be asked more than once; the record is kept until `reset`.
    watch_accessed_variables: follow every trainable Variable that is read.
    A tape follows the context it was opened in; other threads do not leak into it.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = persistent
        self.listens_to_itself = persistent
        self.watch_accessed_variables = watch_accessed_variables
        self._watched: dict[Any, None] = {}
        self._followed: set[Any] = set()
        self._nodes: list[Node] = []
        self._spent = self._freed = False
        self._outside = self._inside = ORDINARY

    def __enter__(self) -> GradientTape:
        context = CONTEXT.get()
        if self in context.listeners:
            raise GradientError(
                "a tape was entered that records already: one block per tape at a time; "
                "open another mg.GradientTape() inside"
            )
        self._outside = context
        self._inside = Context(context.interpreter, (*context.listeners, self))
        CONTEXT.set(self._inside)
        return self

    def __exit__(self, *exception: object) -> None:
        context = CONTEXT.get()
        if context is self._inside:  # as it is where blocks end in the order of their beginnings
            left = self._outside
        else:
            left = Context(context.interpreter, without(self, context.listeners))
        if left.interpreter is EAGER and not left.listeners:
            left = ORDINARY  # calls of native code ask which it is
        CONTEXT.set(left)
        self._outside = self._inside = ORDINARY  # or tape and context would name each other

    @property
    def nodes(self) -> Sequence[Node]:
        """What was recorded, in order."""
        return self._nodes

    @property
    def watched(self) -> Iterable[Any]:
        """The tensors and cells that are followed because someone asked, or read them."""
        return self._watched

    # listening

    def record(self, node: Node) -> None:
        """Keep `node` if it touches what the tape follows; its outputs are followed then."""
        followed = self._followed
        if not followed.isdisjoint(node.inputs):
            self._nodes.append(node)
            for y in node.outputs:  # `update` takes twice as long for one
                followed.add(y)

    def notice(self, cell: Any) -> None:
        """Follow the cell of a Variable that is being read."""
        if self.watch_accessed_variables and cell.trainable and cell.dtype.kind in "fc":
            self._watched[cell] = None
            self._followed.add(cell)

    def follows(self, inputs: Iterable[Any]) -> bool:
        """Whether the tape would record a node with these inputs."""
        return not self._followed.isdisjoint(inputs)

    def watch(self, tensors: Any) -> None:
        """Follow each tensor of the nest `tensors`, from here on.

        Raises GradientError for integers and bools, which have no derivative.
        """
        if type(tensors) is Tensor and tensors._value.dtype.kind in "fc":
            self._watched[tensors] = None
            self._followed.add(tensors)
            return
        sources = [key_of(x, "watch") for x in tree.flatten(tensors)[0]]
        for source in sources:
            if source.dtype.kind not in "fc":
                raise GradientError(
                    f"watch: {source.spec} was to be followed: derivatives exist for floating and "
                    "complex dtypes only; cast first, as in x = mg.astype(x, mg.float32)"
                )
        self.follow(sources)

    def follow(self, keys: Iterable[Any]) -> None:
        """Follow tensors and cells, which are known to have derivatives."""
        self._watched.update(dict.fromkeys(keys))
        self._followed.update(keys)

    def watched_variables(self) -> tuple[Any, ...]:
        """The Variables that are followed, in the order of their first use."""
        owners = [x.owner() for x in self._watched if not isinstance(x, Tensor)]
        return tuple([variable for variable in owners if variable is not None])

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Record nothing inside the block."""
        context = CONTEXT.get()
        with using(context.interpreter, without(self, context.listeners)):
            yield

    def reset(self) -> None:
        """Forget everything, watched tensors included."""
        self._watched.clear()
        self._followed.clear()
        self._nodes.clear()
        self._spent = self._freed = False

    # answering

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str | UnconnectedGradients = UnconnectedGradients.NONE,
    ) -> Any:
        """Derivative of the sum of `target` with respect to `sources`, in the nest of `sources`.

        target: a tensor or a nest; sources: watched tensors and Variables, or what was made of
        them. output_gradients: cotangents of the targets, in their nest; None for ones.
        unconnected_gradients: "none" gives None where no path leads, "zero" zeros, "raise" a
        GradientError that says why.
        """
        self._check_unspent()
        leaves, structure = tree.flatten(sources)
        results = self._results(target, leaves, output_gradients, unconnected_gradients)
        if not self.persistent:
            self._spend(kept=any([g is None for g in results]))
        return tree.unflatten(structure, results)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str | UnconnectedGradients = UnconnectedGradients.NONE,
    ) -> Any:
        """Derivative of every element of the tensor `target`, by one walk for many where it can be.

        Returns, in the nest of `sources`, tensors of shape `target.shape + source.shape`.
        """
        key_of(target, "jacobian")
        check_known(target, target.shape, "jacobian")
        leaves, structure = tree.flatten(sources)
        columns = self._columns(target, leaves, unconnected_gradients, 1, target.size)
        answers = [
            None if g is None else api.reshape(g, (*target.shape, *api.dims_of(as_tensor(x))))
            for x, g in zip(leaves, columns, strict=True)
        ]
        return tree.unflatten(structure, answers)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: str | UnconnectedGradients = UnconnectedGradients.NONE,
    ) -> Any:
        """Derivative of each row of `target` by the same row of `source`: the diagonal blocks.

        target: (n, ...). source: (n, ...). Returns (n, *target.shape[1:], *source.shape[1:]).
        """
        for x in (target, source):
            key_of(x, "batch_jacobian")
        if not target.shape or not source.shape or source.shape[0] != target.shape[0]:
            raise GradientError(
                f"batch_jacobian of {target.spec} by {source.spec}: both begin with the same "
                "batch axis; use jacobian where they do not"
            )
        check_known(target, (*target.shape, *source.shape), "batch_jacobian")
        n, *rest = target.shape
        size = int(np.prod(rest, dtype=np.int64))
        (column,) = self._columns(target, [source], unconnected_gradients, n, size)
        if column is None:
            return None
        blocks = api.moveaxis(column, 0, 1)
        return api.reshape(blocks, (n, *rest, *source.shape[1:]))

    def explain(self, target: Any, source: Any) -> Explanation:
        """Say in words how the gradient of `target` by `source` flows, or why it does not."""
        if self._freed:
            self._check_unspent()
        targets = [key_of(y, "explain") for y in tree.flatten(target)[0]]
        return explain(self._nodes, targets, key_of(source, "explain"), self._watched)

    # in their service

    def _check_unspent(self) -> None:
        if self._spent:
            raise GradientError(
                "a second gradient was asked of a tape that is not persistent: its record was "
                "freed by the first; write mg.GradientTape(persistent=True), or ask once for a "
                "list of sources"
            )

    def _results(
        self, target: Any, leaves: Sequence[Any], output_gradients: Any, mode: Any
    ) -> list[Any]:
        """The gradient by each of the sources `leaves`. The record stays as it is."""
        missing = mode if type(mode) is UnconnectedGradients else unconnected(mode)
        keys = [x if type(x) is Tensor else key_of(x, "gradient") for x in leaves]
        followed = self._followed
        with Aside(self):
            bars = seeds(target, output_gradients)
            # of what is not followed, some uses may not have been recorded
            wanted = [x for x in keys if x in followed]
            found = pullback(self._nodes, bars, wanted, self.reach(wanted))
            results = [found.get(x) if x in followed else None for x in keys]
            if missing is not DEFAULT and any([g is None for g in results]):
                pairs = list(zip(results, leaves, strict=True))
                if missing is UnconnectedGradients.ZERO:
                    return [zeros(x) if g is None else g for g, x in pairs]
                source = next(x for g, x in pairs if g is None)
                raise disconnected(self.explain(target, source))
        return results

    def reach(self, keys: Iterable[Any]) -> set[Any]:
        """What depends on the sources, which are followed: all that is, if all that is watched."""
        if set(keys).issuperset(self._watched):
            return self._followed
        return dependents(self._nodes, keys)

    def _columns(
        self, target: Any, leaves: Sequence[Any], mode: Any, rows: int, size: int
    ) -> list[Any]:
        """The gradients by `leaves` for ones in each column of `target`, as a matrix, in rows."""
        self._check_unspent()
        columns = self._together(target, leaves, mode, rows, size) if size >= FEW else None
        if columns is None:
            seeds = units(target, rows, size, 1)
            found = [self._results(target, leaves, tensor_of(seed[0]), mode) for seed in seeds]
            several = zip(*found, strict=True)
            columns = [None if c[0] is None else api.stack(list(c))[:size] for c in several]
        if not self.persistent:
            self._spend(kept=any([g is None for g in columns]))
        return columns

    def _together(
        self, target: Any, leaves: Sequence[Any], mode: Any, rows: int, size: int
    ) -> list[Any] | None:
        """The same by one walk for many rows; None where each needs its own."""
        missing = unconnected(mode)
        keys = [key_of(x, "gradient") for x in leaves]
        if target.dtype.kind not in "fc":
            return None
        wanted = [x for x in keys if x in self._followed]
        y = key_of(target, "gradient")
        with Aside(self):
            found = None
            if rows == 1 and many.is_tall(y, wanted):
                found = many.walked_forward(self._nodes, y, wanted, CHUNK)
            if found is None:
                seeds = units(target, rows, size, CHUNK)
                found = many.walked_back(self._nodes, y, seeds, wanted, self.reach(wanted))
            if found is None or missing is DEFAULT or all([x in found for x in keys]):
                return None if found is None else [found.get(x) for x in keys]
            if missing is UnconnectedGradients.RAISE:
                return None  # one row gives the error
            nothing = [zeros(x) for x in leaves]
            return [
                found[x] if x in found else api.broadcast_to(o, (size, *api.dims_of(o)))
                for x, o in zip(keys, nothing, strict=True)
            ]

    def _spend(self, *, kept: bool) -> None:
        """Free the record of a tape that was asked once; kept: the nodes stay, for `explain`."""
        self._spent = True
        self._followed.clear()
        if not kept:
            self._freed = True
            self._nodes.clear()


class Aside:
    """A block in which a tape answers: aside, unless it is persistent, and without warnings.

    A persistent tape that is asked inside its own `with` records its answer too, so that what is
    made of the answer can be differentiated. One block for both takes 3 us less than two.
    """

    def __init__(self, tape: GradientTape) -> None:
        self.tape = tape

    def __enter__(self) -> None:
        context = CONTEXT.get()
        interpreter, listeners = context.interpreter, context.listeners
        self._listens = self.tape in listeners and not self.tape.listens_to_itself
        if self._listens:
            self._context = CONTEXT.set(Context(interpreter, without(self.tape, listeners)))
        self._warnings = quiet()

    def __exit__(self, *exception: object) -> None:
        loud(self._warnings)
        if self._listens:
            CONTEXT.reset(self._context)


def without(tape: GradientTape, listeners: tuple[Any, ...]) -> tuple[Any, ...]:
    """`listeners`, but for `tape`."""
    return tuple([listener for listener in listeners if listener is not tape])


def unconnected(mode: Any) -> UnconnectedGradients:
    """What to answer where there is no path. Raises GradientError for an unknown word."""
    try:
        return UnconnectedGradients(mode)
    except ValueError:
        raise GradientError(
            f"gradient: unconnected_gradients={mode!r} came; it says what to answer where no path "
            'leads to a source; write "none", "zero" or "raise"'
        ) from None


def check_known(target: Any, shape: Any, asked: str) -> None:
    """Raise GradientError where a dim is unknown that says how many walks there are."""
    if shape is None or None in shape:
        raise GradientError(
            f"{asked} of {target.spec}: it walks back once for each element, so their number must "
            "be known while tracing; declare the dims, or return the target and ask outside"
        )
