"""Random bits in loops: the blocks of Philox 4x64-10, four words each.

A block is a function of the key and of a counter, which is made of the number of the block, from 1
on, and of the number of the draw. It is that of NumPy's generator of this name. Salmon et al.,
SC 2011.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..graph import Graph
from .loops import Buffer, Draw, Loop, LoopNest, Place, Statement
from .text import Function, Index

MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
"""What is added to the key from round to round."""
ROUNDS = 10
BLOCK = 32
"""Bytes of a block."""
SHARE = 1 << 12
"""Blocks that a thread makes in a row: some 30 us."""


def draw_nest(graph: Graph, vector_bytes: int) -> LoopNest:
    """The loop nest of a graph that is one draw of bits."""
    (x,), (y,) = graph.inputs, graph.outputs
    state = Buffer("x0", tuple(x.shape), x.dtype, "input")
    bits = Buffer("y0", tuple(y.shape), y.dtype, "output")
    count = BLOCK // y.dtype.itemsize  # elements of a block
    whole, rest = divmod(math.prod(y.shape), count)
    begin, body = Place(state, 0, ()), list[Statement]()
    if whole:
        block = Draw(Place(bits, 0, (("i", count),)), begin, count)
        body.append(Loop("i", whole, [block], share=SHARE if whole > SHARE else 0))
    if rest:
        body.append(Draw(Place(bits, whole * count, ()), begin, rest))
    return LoopNest(graph.name, [state], [bits], [], body, vector_bytes)


def write_block(
    f: Function, draw: Draw, indices: Mapping[str, Index], state: str, target: str
) -> None:
    """Write a block of bits from the address `target` on; the `state` is at an address as well."""
    size = draw.place.buffer.dtype.itemsize
    number: Index = draw.place.offset * size // BLOCK
    for name, stride in draw.place.strides:
        number = f.plus(number, f.times(indices[name], stride * size // BLOCK))
    key0, key1, serial = [f.let(f"load i64, ptr {f.address(state, k, 'i64')}") for k in range(3)]
    words = [str(f.plus(number, 1)), "0", serial, "0"]
    key = [key0, key1]
    for k in range(ROUNDS):
        if k:
            key = [f.let(f"add i64 {x}, {step}") for x, step in zip(key, STEPS, strict=True)]
        words = mixed(f, words, key)
    lane = f"i{8 * size}"
    for k in range(draw.count):
        word, part = divmod(k * size, 8)  # of a word, the low half comes first on every machine
        text = words[word] if part == 0 else f.let(f"lshr i64 {words[word]}, {8 * part}")
        text = text if size == 8 else f.let(f"trunc i64 {text} to {lane}")
        f.do(f"store {lane} {text}, ptr {f.address(target, k, lane)}, align {size}")


def mixed(f: Function, words: Sequence[str], key: Sequence[str]) -> list[str]:
    """One round."""
    high0, low0 = multiplied(f, words[0], MULTIPLIERS[0])
    high1, low1 = multiplied(f, words[2], MULTIPLIERS[1])
    first = f.let(f"xor i64 {f.let(f'xor i64 {high1}, {words[1]}')}, {key[0]}")
    third = f.let(f"xor i64 {f.let(f'xor i64 {high0}, {words[3]}')}, {key[1]}")
    return [first, low1, third, low0]


def multiplied(f: Function, x: str, number: int) -> tuple[str, str]:
    """The high and the low word of the product of `x` and a number."""
    product = f.let(f"mul i128 {f.let(f'zext i64 {x} to i128')}, {number}")
    high = f.let(f"trunc i128 {f.let(f'lshr i128 {product}, 64')} to i64")
    return high, f.let(f"trunc i128 {product} to i64")
