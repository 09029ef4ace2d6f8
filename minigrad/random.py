"""Random numbers from generators with an explicit state, the same eagerly, traced and compiled.

    generator = mg.random.Generator(seed=0)
    w = generator.normal((784, 10), std=0.05)

The state is a Variable: inside `mg.function` each call draws new numbers, in program order, and
saving the state saves the stream. Bits are those of Philox 4x64-10, on every platform.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .core.convert import as_tensor
from .core.registry import api
from .core.spec import Spec, as_dtype, canonical_axis
from .core.tensor import Tensor
from .errors import SpecError
from .neighbours.surface import surface
from .ops.random_ops import (
    STATE,
    WORDS,
    next_state,
    random_integers,
    random_normal,
    random_order,
    random_states,
    random_uniform,
    random_uniform_like,
)
from .ops.special_functions import erfinv
from .variable import Variable

__all__ = ["Generator"]
surface(__name__, __all__)

Shape = int | tuple[int, ...]


class Generator:
    """A stream of random numbers: a key, and how many draws were made of it.

    seed: a whole number from 0 on, of any size; None takes one from the operating system.
    state: the Variable of three uint64 that the next draw depends on; assigning an earlier
    value repeats what followed it.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and (not hasattr(seed, "__index__") or seed < 0):
            raise SpecError(
                f"Generator: seed={seed!r} came; a seed is a whole number from 0 on, or None for "
                "one that differs every time; write, say, mg.random.Generator(0)"
            )
        key = np.random.SeedSequence(seed).generate_state(2, STATE)
        self.state = Variable(np.array([*key, 0], STATE), "random state", trainable=False)

    @classmethod
    def from_state(cls, state: Any) -> Generator:
        """The generator that continues from `state`, three uint64 of another's `state`."""
        generator = cls(0)
        generator.state.assign(as_tensor(state))
        return generator

    def named_variables(self) -> Iterator[tuple[str, Variable]]:
        """The state, by name: how a Module that holds a generator finds it."""
        yield "state", self.state

    def __repr__(self) -> str:
        return f"<mg.random.Generator of {self.state!r}>"

    def split(self, n: int = 2) -> list[Generator]:
        """`n` generators with keys of their own, which share nothing with each other."""
        states = self._draw(random_states, shape=(n, WORDS), dtype=STATE)
        return [Generator.from_state(states[i]) for i in range(n)]

    def _draw(self, op: Any, *inputs: Any, **attrs: Any) -> Any:
        """What `op` makes of the present state, which then steps on."""
        state = self.state.value()
        self.state.assign(next_state(state))
        return op(state, *inputs, **attrs)

    # distributions

    def uniform(
        self, shape: Shape = (), low: Any = 0.0, high: Any = 1.0, dtype: Any = np.float32
    ) -> Any:
        """Numbers spread evenly over low <= u < high; high itself comes only by rounding.

        low, high: numbers, or tensors that broadcast with `shape`; gradients pass to them.
        """
        dtype = floating("uniform", dtype)
        u = self._draw(random_uniform, shape=dims(shape), dtype=dtype)
        return scaled(u, low, high)

    def uniform_like(self, x: Any, dtype: Any = None) -> Any:
        """Numbers spread evenly over 0 <= u < 1, in the shape of `x` and its dtype."""
        x = as_tensor(x)
        dtype = floating("uniform_like", x.dtype if dtype is None else dtype)
        return self._draw(random_uniform_like, x, dtype=dtype)

    def normal(
        self, shape: Shape = (), mean: Any = 0.0, std: Any = 1.0, dtype: Any = np.float32
    ) -> Any:
        """Normal numbers. mean, std: numbers or tensors; gradients pass to them."""
        dtype = floating("normal", dtype)
        wide = np.dtype(np.float32) if dtype == np.float16 else dtype
        z = api.astype(self._draw(random_normal, shape=dims(shape), dtype=wide), dtype)
        z = z if is_plain(std, 1) else z * std
        return z if is_plain(mean, 0) else z + mean

    def truncated_normal(
        self,
        shape: Shape = (),
        low: float = -2.0,
        high: float = 2.0,
        mean: Any = 0.0,
        std: Any = 1.0,
        dtype: Any = np.float32,
    ) -> Any:
        """Normal numbers between low and high standard deviations from the mean."""
        ends = [math.erf(low * math.sqrt(0.5)), math.erf(high * math.sqrt(0.5))]
        u = self._draw(random_uniform, shape=dims(shape), dtype=np.dtype(np.float64))
        z = api.clip(erfinv(scaled(u, *ends)) * math.sqrt(2), low, high)
        return api.astype(z, floating("truncated_normal", dtype)) * std + mean

    def integers(
        self, low: int, high: int | None = None, shape: Shape = (), dtype: Any = np.int32
    ) -> Any:
        """Whole numbers, each as likely, from `low` up to but not `high`.

        With `high` of None, from 0 up to but not `low`. Raises SpecError where there are none,
        or where they do not fit `dtype`.
        """
        low, high = (0, low) if high is None else (low, high)
        dtype = as_dtype(dtype)
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        if limits is None or not limits.min <= low < high <= limits.max + 1:
            raise SpecError(
                f"integers: from {low} up to {high}, in {dtype}: low must be below high, both in "
                "the range of an integer dtype; correct them, or choose a wider dtype"
            )
        return self._draw(random_integers, shape=dims(shape), dtype=dtype, low=low, high=high)

    def bernoulli(self, probability: Any = 0.5, shape: Shape | None = None) -> Any:
        """True with the given probability, else False.

        probability: a number or tensor. shape: None for that of `probability`.
        """
        if shape is None:
            p = as_tensor(probability)
            return api.less(self._draw(random_uniform_like, p, dtype=np.dtype(np.float32)), p)
        return api.less(self.uniform(shape), probability)

    def categorical(self, logits: Any, dtype: Any = np.int32) -> Any:
        """For each row of `logits`, a class drawn with the probabilities of their softmax.

        logits: (..., classes), floating. Returns (...), by the largest of logits plus Gumbel
        noise.
        """
        logits = as_tensor(logits)
        u = self.uniform_like(logits, dtype=np.float64)
        noise = -api.log(-api.log(u + 2.0**-54))
        return api.astype(api.argmax(logits + noise, axis=-1), as_dtype(dtype))

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """The numbers 0 ... x - 1 in random order, or the tensor `x` shuffled along `axis`."""
        if isinstance(x, (int, np.integer)):
            return self._draw(random_order, shape=(int(x),), dtype=np.dtype(np.int32))
        x = as_tensor(x)
        axis = canonical_axis("permutation", axis, x.ndim)
        order = self._draw(random_order, shape=(x.shape[axis],), dtype=np.dtype(np.int32))
        return api.take(x, order, axis=axis)


def dims(shape: Any) -> tuple[int, ...]:
    """`shape` as a tuple of numbers. Raises SpecError where one is unknown."""
    found = Spec(shape).shape
    if found is None or None in found:
        raise SpecError(
            f"random numbers of shape {shape}: how many must be known; "
            "use generator.uniform_like(x) for the shape of a tensor"
        )
    return found  # type: ignore[return-value]  # no None in it


def floating(name: str, dtype: Any) -> np.dtype[Any]:
    """`dtype`, which must be floating. Raises SpecError for others."""
    found = as_dtype(dtype)
    if found.kind != "f":
        raise SpecError(
            f"{name}: dtype {found} came; these numbers are real; write dtype=mg.float32, and "
            "generator.integers for whole numbers"
        )
    return found


def is_plain(value: Any, number: float) -> bool:
    """Whether `value` is the Python number `number`."""
    return type(value) in (int, float) and value == number


def scaled(u: Tensor, low: Any, high: Any) -> Any:
    """Numbers from 0 to 1 moved to where they are from `low` to `high`."""
    return u if is_plain(low, 0) and is_plain(high, 1) else u * (high - low) + low
