"""The optimizers: each states what it keeps for a Variable, and what a step changes."""

from __future__ import annotations

import math
from typing import Any

from ..core.registry import api
from ..ops.exponential import expm1, sqrt
from .base import Optimizer
from .schedules import Rate

Change = tuple[Any, list[Any]]


class SGD(Optimizer):
    """Stochastic gradient descent.

    momentum: what remains of the velocity after a step; 0 for none. nesterov: look ahead along
    the velocity. v becomes momentum v + rate g, and x becomes x - v, or, with nesterov,
    x - (momentum v + rate g) with the new v. Sutskever et al. (2013).
    """

    def __init__(
        self, learning_rate: Rate = 0.01, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(learning_rate)
        self.momentum = momentum
        self.nesterov = nesterov
        self.slots = {"velocity": 0.0} if momentum else {}

    def change(self, g: Any, x: Any, slots: list[Any], *scalars: Any) -> Change:
        """The velocity, or without momentum just rate g."""
        (rate,) = scalars
        if not slots:
            return rate * g, []
        velocity = self.momentum * slots[0] + rate * g
        ahead = self.momentum * velocity + rate * g if self.nesterov else velocity
        return ahead, [velocity]


class Adam(Optimizer):
    """Steps of the mean of gradients, divided by the root of the mean of their squares.

    beta1, beta2: what remains of the two means after a step. eps: added to the root, after its
    bias is corrected, so that it bounds steps where gradients vanish; the unit of a gradient.
    Kingma and Ba (2015), algorithm 1.
    """

    slots = {"mean": 0.0, "square": 0.0}  # noqa: RUF012  (a table, not written to)

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps

    def scalars(self, rate: Any, step: Any) -> tuple[Any, ...]:
        """The rate and the root, each with its correction for means that start at 0."""
        return adam_scalars(self, rate, step)

    def change(self, g: Any, x: Any, slots: list[Any], *scalars: Any) -> Change:
        """rate m / (√v + eps), with m and v corrected."""
        return adam_change(self, g, slots, *scalars)


def share_seen(beta: float, step: Any) -> Any:
    """1 - beta^step: by expm1, which keeps the digits of the first steps."""
    return -expm1(step * math.log(beta)) if beta else api.ones_like(step)


def adam_scalars(hyper: Adam | AdamW, rate: Any, step: Any) -> tuple[Any, Any]:
    """The rate and the factor of the root, each corrected."""
    return rate / share_seen(hyper.beta1, step), 1 / sqrt(share_seen(hyper.beta2, step))


def adam_change(
    hyper: Adam | AdamW, g: Any, slots: list[Any], rate: Any, correction: Any
) -> Change:
    """What Adam subtracts, and its new means."""
    mean = hyper.beta1 * slots[0] + (1 - hyper.beta1) * g
    square = hyper.beta2 * slots[1] + (1 - hyper.beta2) * squared(g)
    return rate * mean / (sqrt(square) * correction + hyper.eps), [mean, square]


def squared(g: Any) -> Any:
    """|g|², in the dtype of `g`."""
    return g * g if g.dtype.kind == "f" else api.astype(api.square(api.abs(g)), g.dtype)


class AdamW(Optimizer):
    """Adam with decay of the weights, apart from the gradient: x also loses rate × decay × x.

    weight_decay: the part lost per step and rate; the others as in Adam.
    Loshchilov and Hutter (2019).
    """

    slots = {"mean": 0.0, "square": 0.0}  # noqa: RUF012  (a table, not written to)

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.weight_decay = weight_decay

    def scalars(self, rate: Any, step: Any) -> tuple[Any, ...]:
        """Those of Adam, and the part of the weights that is lost."""
        return *adam_scalars(self, rate, step), rate * self.weight_decay

    def change(self, g: Any, x: Any, slots: list[Any], *scalars: Any) -> Change:
        """What Adam changes, and the decay."""
        change, new = adam_change(self, g, slots, *scalars[:2])
        return change + scalars[2] * x, new


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

    initial: the sum to start with; it bounds the first steps. eps: added to the root.
    Duchi, Hazan and Singer (2011).
    """

    def __init__(self, learning_rate: Rate = 1e-2, initial: float = 0.1, eps: float = 1e-8) -> None:
        super().__init__(learning_rate)
        self.eps = eps
        self.slots = {"sum": initial}

    def change(self, g: Any, x: Any, slots: list[Any], *scalars: Any) -> Change:
        """rate g / (√sum + eps)."""
        (rate,) = scalars
        total = slots[0] + squared(g)
        return rate * g / (sqrt(total) + self.eps), [total]


class RMSprop(Optimizer):
    """Gradients divided by the root of the mean of their recent squares.

    rho: what remains of the mean after a step. momentum: of the velocity; 0 for none. eps: added
    to the root. Tieleman and Hinton (2012).
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        rho: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        self.rho = rho
        self.momentum = momentum
        self.eps = eps
        self.slots = {"square": 0.0, **({"velocity": 0.0} if momentum else {})}

    def change(self, g: Any, x: Any, slots: list[Any], *scalars: Any) -> Change:
        """rate g / (√square + eps), or the velocity that it feeds."""
        (rate,) = scalars
        square = self.rho * slots[0] + (1 - self.rho) * squared(g)
        change = rate * g / (sqrt(square) + self.eps)
        if not self.momentum:
            return change, [square]
        velocity = self.momentum * slots[1] + change
        return velocity, [square, velocity]
