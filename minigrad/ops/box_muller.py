"""Normal numbers of random words, by arithmetic that gives the same bits in NumPy and in loops.

Box and Muller (1958): a radius of one word, √(-2 log u), and a part of a turn of another. What
libraries have for log and cos differs in the last bit; so both are spelt out here, once, in sums
and products that are rounded one by one. They are series, exact to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..core.define import primitive
from ..core.lowering import Pointwise
from ..core.registry import api
from ..core.spec import Spec, broadcast_shapes, spec_of
from ..errors import SpecError

BLOCK = 16384  # words; with its temporaries a block stays in the cache
FLOATS = {np.dtype(np.uint32): np.dtype(np.float32), np.dtype(np.uint64): np.dtype(np.float64)}
FLOAT64, INT64 = np.dtype(np.float64), np.dtype(np.int64)
SQRT_HALF = 0x3FE6A09E667F3BCD  # its bits


def turn_series(start: float, first: int, count: int) -> list[float]:
    """Of the series of the sine (first: 1) or the cosine (0) of a quarter turn: what z^k takes."""
    found, quarter = [start], math.pi / 2
    for k in range(first, first + 2 * (count - 1), 2):
        found.append(-found[-1] * (quarter * quarter) / ((k + 1) * (k + 2)))
    return found


# by the size of the words: for log((1 + s) / (1 - s)) = 2 s + s³ P(s²), and for the quarter turn
LOGARITHM = {4: [2 / k for k in range(3, 11, 2)], 8: [2 / k for k in range(3, 25, 2)]}
SINE = {4: turn_series(math.pi / 2, 1, 5), 8: turn_series(math.pi / 2, 1, 10)}
COSINE = {4: turn_series(1.0, 0, 6), 8: turn_series(1.0, 0, 11)}


class Spelling(NamedTuple):
    """What else than operators a formula needs of the values it is written for."""

    cast: Callable[[Any, Any], Any]
    bits: Callable[[Any], Any]  # of float64, as int64
    floats: Callable[[Any], Any]  # float64 of these bits
    where: Callable[[Any, Any, Any], Any]
    root: Callable[[Any], Any]
    nearest: Callable[[Any], Any]  # whole number, halves to even


ARRAYS = Spelling(
    lambda x, dtype: x.astype(dtype, copy=False),
    lambda x: x.view(INT64),
    lambda x: x.view(FLOAT64),
    np.where,
    np.sqrt,
    np.rint,
)


def series(z: Any, coefficients: list[float]) -> Any:
    """The sum of coefficients[k] z^k, by Horner's rule."""
    y = z * coefficients[-1] + coefficients[-2]
    for c in coefficients[-3::-1]:
        y = y * z + c
    return y


def spelt_radius(word: Any, size: int, spelling: Spelling) -> Any:
    """√(-2 log u) for u = (word + 1/2) / 2^32, or with the 53 upper bits of a word of 8 bytes."""
    floats, exponent = FLOATS[np.dtype(f"u{size}")], 32 if size == 4 else 53
    u = spelling.cast(word if size == 4 else word >> 11, FLOAT64) + 0.5
    bits = spelling.bits(u)
    e = (bits - SQRT_HALF) >> 52
    f = spelling.cast(spelling.floats(bits - (e << 52)) - 1.0, floats)
    s = f / (f + 2.0)
    z = s * s
    whole = spelling.cast(e - exponent, floats) * math.log(2)
    logarithm = whole + (s * z * series(z, LOGARITHM[size]) + s * 2.0)
    return spelling.root(logarithm * -2.0)


def spelt_turn(word: Any, size: int, spelling: Spelling) -> tuple[Any, Any, Any]:
    """Of a turn times the 24 or 53 upper bits of `word`, read as a fraction: quarters, and a rest.

    Returns the number of quarters, and sine and cosine of what is left, at most an eighth.
    """
    shift, bits = (8, 24) if size == 4 else (11, 53)
    quarters = spelling.cast(word >> shift, FLOATS[np.dtype(f"u{size}")]) * 2.0 ** (2 - bits)
    nearest = spelling.nearest(quarters)
    d = quarters - nearest
    z = d * d
    number = spelling.cast(nearest, np.dtype(f"i{size}"))
    return number, d * series(z, SINE[size]), series(z, COSINE[size])


def spelt_choice(number: Any, sine: Any, cosine: Any, spelling: Spelling) -> Any:
    """The cosine of `number` quarters and a rest."""
    y = spelling.where((number & 1) > 0, sine, cosine)
    return spelling.where(((number + 1) & 2) > 0, -y, y)


def spelt_point(radius: Any, word: Any, quarters: Any, size: int, spelling: Spelling) -> Any:
    """`radius` times the cosine of the turn of `word` and so many `quarters`."""
    number, sine, cosine = spelt_turn(word, size, spelling)
    number = number + spelling.cast(quarters, np.dtype(f"i{size}"))
    return radius * spelt_choice(number, sine, cosine, spelling)


def size_of(*words: Any) -> int:
    """How many bytes all the words have. Raises SpecError where they are none."""
    dtypes = {x.dtype for x in words}
    if len(dtypes) > 1 or dtypes.isdisjoint(FLOATS):
        raise SpecError(
            "random words are uint32 or uint64, all of one dtype, and "
            f"{' and '.join(str(spec_of(x)) for x in words)} came; take them from random_bits"
        )
    return int(words[0].dtype.itemsize)


def radius_spec(words: Any) -> Spec:
    """Floats of the size of the words."""
    return Spec(words.shape, FLOATS[np.dtype(f"u{size_of(words)}")])


def point_spec(radius: Any, words: Any, quarters: Any) -> Spec:
    """Those of the radius, where it is of the size of the words."""
    floats = FLOATS[np.dtype(f"u{size_of(words, quarters)}")]
    if radius.dtype != floats:
        raise SpecError(f"a radius for words of {words.dtype} is {floats}, not {radius.dtype}")
    return Spec(broadcast_shapes("point_of_words", radius, words, quarters), floats)


def spelt(name: str) -> Pointwise:
    """The loop body of a formula, which the emitter knows by its name; it takes words as such."""
    return Pointwise(
        lambda b, *words: b.math(name, *words),
        kinds="uf",
        operands=lambda inputs, output: inputs,
        cheap=False,
    )


@primitive(
    infer=radius_spec, lower=spelt("radius"), public=False, broadcasts=True, elementwise=True
)
def radius_of_words(words: Any, /) -> Any:
    """The radius of a normal point in the plane, for each word."""
    return spelt_radius(np.asarray(words), size_of(words), ARRAYS)


@primitive(infer=point_spec, lower=spelt("point"), public=False, broadcasts=True, elementwise=True)
def point_of_words(radius: Any, words: Any, quarters: Any, /) -> Any:
    """The abscissa of the point that is a random part of a turn on, and so many quarters.

    The product is of the op, so that it is never part of a sum that rounds once.
    """
    point_spec(radius, words, quarters)
    x: list[Any] = [np.asarray(value) for value in (radius, words, quarters)]
    return spelt_point(x[0], x[1], x[2], size_of(words), ARRAYS)


for _op in (radius_of_words, point_of_words):
    _op.no_gradient("random numbers do not depend on any tensor; scale and shift them instead")


def normal_of_words(words: Any, shape: tuple[int, ...]) -> Any:
    """Normal numbers of an even number of words, in ops: the first half of these make radii.

    The numbers are those by the cosine, then those by the sine, which is that three quarters on.
    """
    pairs = api.reshape(words, (2, -1))
    later = api.asarray(np.array([[0], [3]], words.dtype))
    numbers = point_of_words(radius_of_words(pairs[0]), pairs[1], later)
    return api.reshape(api.reshape(numbers, (-1,))[: math.prod(shape)], shape)


def normal_numbers(words: Any, shape: tuple[int, ...]) -> Any:
    """The same of an array, block by block."""
    size, pairs = words.dtype.itemsize, words.size // 2
    y: Any = np.empty((2, pairs), FLOATS[words.dtype])
    for start in range(0, pairs, BLOCK):
        block = slice(start, min(start + BLOCK, pairs))
        radius = spelt_radius(words[:pairs][block], size, ARRAYS)
        number, sine, cosine = spelt_turn(words[pairs:][block], size, ARRAYS)
        y[0, block] = radius * spelt_choice(number, sine, cosine, ARRAYS)
        y[1, block] = radius * spelt_choice(number + 3, sine, cosine, ARRAYS)
    return y.reshape(-1)[: math.prod(shape)].reshape(shape)
