"""What all optimizers share: steps, slots, the checks on gradients, and their state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.convert import as_tensor
from ..core.registry import api
from ..errors import GradientError, SaveError, SpecError
from ..ops.exponential import sqrt
from ..variable import Variable
from .schedules import Rate, rate_at


class Optimizer:
    """Change Variables against their gradients.

    learning_rate: a number, a schedule, or a Variable. A number is fixed into functions that were
    traced with it; what is to change later is a schedule or a Variable.
    step: the Variable that counts the steps done.

    An optimizer of your own gives `slots`, the names and first values of what it keeps for each
    Variable; `change`, what a step subtracts from a Variable; and, if it needs more numbers than
    the rate, `scalars`.
    """

    slots: dict[str, float] = {}  # noqa: RUF012  (a table, not written to)

    def __init__(self, learning_rate: Rate) -> None:
        self.learning_rate = learning_rate
        self.step = Variable(np.zeros((), np.int32), "step", trainable=False)
        self._slots: dict[Variable, list[Variable]] = {}

    def scalars(self, rate: Any, step: Any) -> tuple[Any, ...]:
        """What all changes of a step share: the rate, or what is made of it and the step.

        rate, step: 0-d, float64; step counts from 1. It is computed once per step.
        """
        return (rate,)

    def change(self, g: Any, x: Any, slots: list[Any], *scalars: Any) -> tuple[Any, list[Any]]:
        """What to subtract from a Variable of value `x` and gradient `g`, and its new slots.

        scalars: those of the step, in the dtype of x.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no change")

    # stepping

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> None:
        """Do one step with pairs of a gradient and its Variable.

        A gradient of None leaves its Variable as it is. In a graph, one that is None only in a run,
        of what a branch not taken or rounds that did not run would use, counts as zeros there:
        velocities and means go on. Raises GradientError where all are None, and SpecError where a
        gradient does not have the shape of its Variable.
        """
        self._step(checked_pairs("apply_gradients", grads_and_vars))

    def _step(self, grads_and_vars: Sequence[tuple[Any, Any]]) -> None:
        """Do one step with pairs that fit."""
        pairs = [(g, v) for g, v in grads_and_vars if g is not None]
        self.build([v for _, v in pairs])
        done = self.step.value()
        rate = as_tensor(rate_at(self.learning_rate, done), np.float64)
        scalars = self.scalars(rate, api.astype(done, np.float64) + 1)
        cast = {
            dtype: [api.astype(x, dtype) for x in scalars]
            for dtype in dict.fromkeys(v.dtype for _, v in pairs)
        }
        for g, variable in pairs:
            x, slots = variable.value(), self._slots[variable]
            values = [slot.value() for slot in slots]
            change, new = self.change(as_tensor(g, x.dtype), x, values, *cast[x.dtype])
            variable.assign(x - change)
            for slot, value in zip(slots, new, strict=True):
                slot.assign(value)
        self.step.assign(done + 1)

    def apply(self, grads: Sequence[Any], variables: Sequence[Any] | None = None) -> None:
        """Do one step, as `apply_gradients` does; both are lists of one length."""
        if variables is None:
            raise SpecError(
                "apply: gradients came without their Variables: it takes two lists of one length; "
                "write apply(gradients, variables), or apply_gradients(pairs) for pairs of both"
            )
        if len(grads) != len(variables):
            raise SpecError(
                f"apply: {len(grads)} gradients and {len(variables)} Variables came; they are "
                "paired one for one; ask the tape for the gradients of just these Variables"
            )
        self._step(checked_pairs("apply", zip(grads, variables, strict=True)))

    def build(self, variables: Iterable[Any]) -> None:
        """Make the slots of `variables` now; a first step does it otherwise."""
        for variable in variables:
            if variable not in self._slots:
                self._slots[variable] = [
                    Variable(
                        np.full(variable.shape, first, variable.dtype),
                        f"{variable.name or 'variable'}/{name}",
                        trainable=False,
                    )
                    for name, first in self.slots.items()
                ]

    # state

    def named_variables(self) -> Iterator[tuple[str, Variable]]:
        """The step counter and all slots, with names that follow the order of first use."""
        yield "step", self.step
        for i, slots in enumerate(self._slots.values()):
            yield from ((f"{i}.{name}", v) for name, v in zip(self.slots, slots, strict=True))

    @property
    def variables(self) -> list[Variable]:
        """The step counter and all slots."""
        return [variable for _, variable in self.named_variables()]

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """A copy of the state: arrays by name, to be given to `load_state_dict`."""
        return {name: np.array(v.numpy()) for name, v in self.named_variables()}

    def load_state_dict(self, state: dict[str, Any], variables: Iterable[Any] = ()) -> None:
        """Put back what `state_dict` gave.

        variables: those that are optimized, in the order of the first step; needed where this
        optimizer has not made a step yet. Raises SaveError where names or shapes do not fit;
        nothing is changed then.
        """
        self.build(variables)
        load(dict(self.named_variables()), state, type(self).__name__)


def checked_pairs(asked: str, grads_and_vars: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The pairs, if the method `asked` can make a step with them; see `apply_gradients`."""
    pairs = list(grads_and_vars)
    if all(g is None for g, _ in pairs):
        names = ", ".join(str(getattr(v, "name", None) or "unnamed") for _, v in pairs)
        raise GradientError(
            f"{asked}: no gradient for any of {len(pairs)} Variables ({names}): all are "
            "None, so no path leads from the target to them; ask tape.explain(loss, variable)"
        )
    for g, v in pairs:
        if not hasattr(v, "assign"):
            raise SpecError(
                f"{asked}: {v!r:.80} came as a Variable: pairs are (gradient, Variable), "
                "in this order; write zip(gradients, variables), or apply(gradients, variables)"
            )
        shape = None if g is None else as_tensor(g).shape
        if shape is not None and None not in shape and shape != v.shape:
            raise SpecError(
                f"{asked}: a gradient of {as_tensor(g).spec} for the Variable "
                f"{v.name or ''} of {v.spec}: both must have one shape; check the order of pairs"
            )
    if len({v for _, v in pairs}) < len(pairs):
        raise SpecError(
            f"{asked}: one Variable came twice in a step: each is changed once; "
            "add its gradients first"
        )
    return pairs


def load(variables: dict[str, Variable], state: dict[str, Any], what: str) -> None:
    """Assign the arrays of `state` to Variables by name: all, or, where one misfits, none."""
    if variables.keys() != state.keys():
        missing = sorted(variables.keys() - state.keys()) or "none"
        unknown = sorted(state.keys() - variables.keys()) or "none"
        raise SaveError(
            f"{what}: the state was to be loaded; missing in it: {missing}; unknown here: "
            f"{unknown}; both sides must name the same; load into what was built the same way"
        )
    tensors = {name: as_tensor(np.asarray(state[name])) for name in variables}
    for name, tensor in tensors.items():
        if tensor.spec != variables[name].spec:
            raise SaveError(
                f"{what}: {name} was to be loaded from {tensor.spec} into {variables[name].spec}: "
                "shape and dtype must be equal; load into what was built the same way"
            )
    for name, tensor in tensors.items():
        variables[name].assign(tensor)


def global_norm(tensors: Iterable[Any]) -> Any:
    """Square root of the sum of the squares of all elements of all `tensors`; None is skipped."""
    squares = [api.sum(api.square(api.abs(as_tensor(x)))) for x in tensors if x is not None]
    total: Any = squares[0] if squares else as_tensor(0.0)
    for square in squares[1:]:
        total = total + square
    return sqrt(total)


def clip_by_global_norm(grads: Sequence[Any], norm: float) -> tuple[list[Any], Any]:
    """Gradients scaled down together, where their global norm is above `norm`.

    grads: tensors or None, which stays None. norm: a number above 0. Returns the list and the
    norm before. Pascanu, Mikolov and Bengio (2013).
    """
    if not isinstance(norm, (int, float)) or not norm > 0:
        raise SpecError(
            f"clip_by_global_norm: norm={norm!r} came; it is a length that gradients may have; "
            "write a number above 0"
        )
    found = global_norm(grads)
    scale = norm / api.maximum(found, norm)
    return [None if g is None else g * api.astype(scale, g.dtype) for g in grads], found
