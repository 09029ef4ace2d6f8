"""Random numbers as pure functions of a state: the same state gives the same numbers anywhere.

A state is three uint64: two of a key, and the number of the draw. The bits come from Philox
4x64-10 (Salmon et al., SC 2011), a counter-based generator, keyed by the key, with a counter made
of the number of the draw and the place in it. NumPy guarantees the stream of its Philox; what
is made of the bits here is spelt out, as NumPy's distributions may change.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.batch import alone, has_one_row, whole
from ..core.define import composite, primitive
from ..core.lowering import Composed, Draw
from ..core.registry import api
from ..core.spec import Shape, Spec
from ..core.tensor import Tensor
from ..errors import SpecError
from .box_muller import normal_numbers, normal_of_words

WORDS = 3  # of a state
STATE = np.dtype(np.uint64)


def words(state: Any, n: int) -> Any:
    """`n` random uint64 of the draw that `state` stands for."""
    if state.shape != (WORDS,) or state.dtype != STATE:
        raise ValueError("a state is three uint64")
    counter = np.array([0, 0, state[2], 0], STATE)
    return np.random.Philox(key=state[:2], counter=counter).random_raw(n)


def half_words(state: Any, n: int) -> Any:
    """`n` random uint32: the halves of words, the low one first on every machine."""
    return words(state, (n + 1) // 2).astype("<u8", copy=False).view("<u4")[:n]


def drawn_spec(state: Any, *, shape: Shape, dtype: Any, **options: Any) -> Spec:
    """The shape and dtype asked for. Raises SpecError where the state is none."""
    if state.dtype != STATE or not state.spec.is_compatible_with(Spec((WORDS,), STATE)):
        raise SpecError(
            f"random numbers from the state {state.spec}: a state is {WORDS} uint64, two of a key "
            "and the number of the draw; take it from mg.random.Generator(seed)"
        )
    return Spec(shape, dtype)


@primitive(infer=drawn_spec, lower=Draw(), public=False)
def random_bits(state: Any, /, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """The words of the draw, as uint64, or as uint32: their halves, the low one first."""
    drawn = words if dtype == np.uint64 else half_words
    return drawn(state, math.prod(shape)).reshape(shape)


# In loops the ops below are made of bits, by arithmetic that rounds nothing.


def uniform_of_bits(state: Any, shape: Any, dtype: Any) -> Any:
    """As `uniform_numbers`, in ops; None where loops have no such numbers."""
    if dtype == np.float64:
        bits = random_bits(state, shape=shape, dtype=np.dtype(np.uint64))
        return api.astype(api.bitwise_right_shift(bits, 11), dtype) * 2.0**-53
    if dtype == np.float32:
        bits = random_bits(state, shape=shape, dtype=np.dtype(np.uint32))
        return api.astype(api.bitwise_right_shift(bits, 8), dtype) * 2.0**-24
    return None


def normal_of_bits(state: Any, *, shape: Any, dtype: Any) -> Any:
    """As `random_normal`, in ops."""
    wanted = np.dtype(np.uint64 if dtype == np.float64 else np.uint32)
    bits = random_bits(state, shape=((math.prod(shape) + 1) // 2 * 2,), dtype=wanted)
    return normal_of_words(bits, shape)


def integers_of_bits(state: Any, *, shape: Any, dtype: Any, low: int, high: int) -> Any:
    """As `random_integers`, in ops."""
    bits = random_bits(state, shape=shape, dtype=STATE)
    return api.astype(api.astype(scaled_words(bits, low, high), np.int64), dtype)


def scaled_words(bits: Any, low: int, high: int) -> Any:
    """`low` plus the high word of the products of `bits` and the extent, modulo 2^64.

    bits: an array or a tensor of uint64.
    """
    extent, ones = high - low, 0xFFFFFFFF
    small, large = extent & ones, extent >> 32
    middle = (bits >> 32) * small + (((bits & ones) * small) >> 32)
    cross = (bits & ones) * large + (middle & ones)
    offset = (bits >> 32) * large + (middle >> 32) + (cross >> 32)
    # two's complement: adding `low` modulo 2^64 is right for negative ones too
    return offset + low % 2**64


def uniform_numbers(state: Any, shape: Any, dtype: Any) -> Any:
    """Multiples of 2^-53 (float64) or 2^-24 (others), from 0 up to but not 1."""
    if dtype == np.float64:
        return ((words(state, math.prod(shape)) >> np.uint64(11)) * 2.0**-53).reshape(shape)
    bits = half_words(state, math.prod(shape)) >> np.uint32(8 if dtype == np.float32 else 21)
    return (bits.astype(dtype) * dtype.type(2.0 ** (-24 if dtype == np.float32 else -11))).reshape(
        shape
    )


@primitive(
    infer=drawn_spec,
    lower=Composed(lambda state, *, shape, dtype: uniform_of_bits(state, shape, dtype)),
    public=False,
)
def random_uniform(state: Any, /, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """Numbers spread evenly over 0 <= u < 1, in float16 (11 bits), float32 (24) or float64 (53)."""
    return uniform_numbers(state, shape, dtype)


@primitive(
    infer=lambda state, x, *, dtype: drawn_spec(state, shape=x.shape, dtype=dtype),
    lower=Composed(lambda state, x, *, dtype: uniform_of_bits(state, x.shape, dtype)),
    public=False,
)
def random_uniform_like(state: Any, x: Any, /, *, dtype: Any) -> Any:
    """As `random_uniform`, in the shape of `x`, which may be known only when it runs."""
    return uniform_numbers(state, x.shape, dtype)


@primitive(infer=drawn_spec, lower=Composed(normal_of_bits), public=False)
def random_normal(state: Any, /, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """Standard normal numbers in float32 or float64, in pairs by Box and Muller (1958)."""
    drawn = words if dtype == np.float64 else half_words
    return normal_numbers(drawn(state, (math.prod(shape) + 1) // 2 * 2), shape)


@primitive(infer=drawn_spec, lower=Composed(integers_of_bits), public=False)
def random_integers(
    state: Any, /, *, shape: tuple[int, ...], dtype: Any, low: int, high: int
) -> Any:
    """Whole numbers from `low` up to but not `high`: the high word of 64 bits times the range.

    Off from even by at most range / 2^64, relatively (Lemire 2019, without the rejection).
    """
    bits = words(state, math.prod(shape))
    return scaled_words(bits, low, high).astype(np.int64).astype(dtype).reshape(shape)


@primitive(infer=drawn_spec, public=False)
def random_order(state: Any, /, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """The numbers 0 ... n - 1 in random order, by sorting random words."""
    return np.argsort(words(state, shape[0]), kind="stable").astype(dtype)


@primitive(infer=drawn_spec, public=False)
def random_states(state: Any, /, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """New states, one per row: keys of random words, draws counted from 0."""
    states = np.zeros(shape, STATE)
    states[:, :2] = words(state, 2 * shape[0]).reshape(-1, 2)
    return states


for _op in (random_uniform, random_uniform_like, random_normal):
    _op.no_gradient("random numbers do not depend on any tensor; scale and shift them instead")
for _op in (random_bits, random_integers, random_order, random_states):
    _op.no_gradient("random whole numbers are piecewise constant")


# of many examples, each draws numbers of its own, all from the one state


def drawn_batch(op: Any, n: Any, state: Tensor, *, shape: Any, **attrs: Any) -> Any:
    """A longer draw; states that differ between examples are drawn from one by one."""
    if not has_one_row(state) or type(n) is not int:
        return NotImplemented
    return op(alone(state), shape=(n, *shape), **attrs)


@random_uniform_like.defbatch
def drawn_like_batch(op: Any, n: Any, state: Tensor, x: Tensor, *, dtype: Any) -> Any:
    """In the shape of all examples."""
    return op(alone(state), whole(n, x), dtype=dtype) if has_one_row(state) else NotImplemented


@random_order.defbatch
def order_batch(op: Any, n: Any, state: Tensor, *, shape: Any, dtype: Any) -> Any:
    """The order of random numbers, example by example."""
    if not has_one_row(state) or type(n) is not int:
        return NotImplemented
    numbers = random_uniform(alone(state), shape=(n, *shape), dtype=np.dtype(np.float64))
    return api.astype(api.argsort(numbers, axis=1), dtype)


@random_states.defbatch
def states_batch(op: Any, n: Any, state: Tensor, *, shape: Any, dtype: Any) -> Any:
    """As many states as all examples need."""
    if not has_one_row(state) or type(n) is not int:
        return NotImplemented
    found = op(alone(state), shape=(n * shape[0], WORDS), dtype=dtype)
    return api.reshape(found, (n, *shape))


for _op in (random_bits, random_uniform, random_normal, random_integers):
    _op.defbatch(drawn_batch)
for _op in (
    *(random_bits, random_uniform, random_uniform_like, random_normal),
    *(random_integers, random_order, random_states),
):
    _op.draws = True


@composite
def next_state(state: Tensor, /) -> Any:
    """The state of the draw after that of `state`."""
    return state + api.asarray(np.array([0, 0, 1], STATE))
