"""Learning rates that change: records that are called with the number of steps done.

`schedule(step)` takes a whole number, or a tensor of one inside a compiled step, and gives the
rate as a 0-d tensor. An optimizer takes a schedule wherever it takes a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.convert import as_tensor
from ..core.registry import api

Rate = float | Callable[[Any], Any]


def steps_done(step: Any) -> Any:
    """`step` as a floating tensor: what schedules compute with."""
    return api.astype(as_tensor(step), np.float64)


def rate_at(rate: Any, step: Any) -> Any:
    """The learning rate meant by `rate` after `step` steps: a number, Variable or schedule."""
    return rate(step) if callable(rate) else rate


@dataclass(frozen=True)
class Constant:
    """Always `rate`."""

    rate: float

    def __call__(self, step: Any) -> Any:
        """The rate after `step` steps."""
        return as_tensor(self.rate)


@dataclass(frozen=True)
class ExponentialDecay:
    """`initial` times `decay` to the power step / `steps`.

    staircase: with whole powers only, so that the rate falls every `steps` steps.
    """

    initial: float
    steps: int
    decay: float
    staircase: bool = False

    def __call__(self, step: Any) -> Any:
        """The rate after `step` steps."""
        power = steps_done(step) / self.steps
        power = api.floor(power) if self.staircase else power
        return self.initial * api.exp(power * math.log(self.decay))


@dataclass(frozen=True)
class CosineDecay:
    """From `initial` along half a cosine to `final`, reached at `steps` and kept.

    Loshchilov and Hutter (2017), without restarts.
    """

    initial: float
    steps: int
    final: float = 0.0

    def __call__(self, step: Any) -> Any:
        """The rate after `step` steps."""
        done = api.minimum(steps_done(step) / self.steps, 1.0)
        return self.final + (self.initial - self.final) * 0.5 * (1 + api.cos(math.pi * done))


@dataclass(frozen=True)
class Warmup:
    """Linearly from near 0 up to `rate` in `steps` steps; then `rate`.

    rate: a number, or a schedule, whose steps are then counted from the end of the warm-up.
    """

    rate: Rate
    steps: int

    def __call__(self, step: Any) -> Any:
        """The rate after `step` steps."""
        done = steps_done(step)
        later = rate_at(self.rate, api.maximum(done - self.steps, 0.0))
        return api.minimum((done + 1) / max(self.steps, 1), 1.0) * later
