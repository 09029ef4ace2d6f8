"""Fourier transforms as native code: the steps of `ops/spectra.py`, each a loop over vectors.

On the way the real and the imaginary parts lie apart, in one of two rooms by turns; those of short
transforms are on the stack. Of a long one, the result is the second room as long as it is not made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..graph import Graph
from ..ops.spectra import ON_STACK, Step, lanes_of, steps_of, strip_of
from .arithmetic import COMPLEX
from .butterflies import Complex, transformed
from .emitter import VectorEmitter
from .loops import Buffer, Loop, LoopNest, Place, Statement, Transform
from .places import buffers
from .terms import Term, fma
from .text import Function, Index

SHARE = 30_000
"""Nanoseconds that a thread computes in a row."""


def transform_nest(graph: Graph, vector_bytes: int) -> LoopNest:
    """The loop nest of a graph that is one transform, of all rows."""
    (node,) = graph.nodes
    inputs = list(buffers("x", "input", graph.inputs).values())
    outputs = list(buffers("y", "output", graph.outputs).values())
    found = (inputs[0], *outputs)
    if node.attrs["columns"]:
        body = strips(found, inputs[1], node.attrs)
        return LoopNest(graph.name, inputs, outputs, [], body, vector_bytes)
    rows = math.prod(inputs[0].shape[:-1])
    places = [Place(b, 0, (("i", b.shape[-1]),) if rows > 1 else ()) for b in found]
    statement = Transform(tuple(places), inputs[1], **node.attrs)
    each = max(1.0, statement.points * math.log2(statement.points) / 4)
    share = max(1, int(SHARE / each))
    loop = Loop("i", rows, [statement], share=share if rows >= 2 * share else 0)
    return LoopNest(
        graph.name, inputs, outputs, [], [loop] if rows > 1 else [statement], vector_bytes
    )


def strips(found: Sequence[Buffer], table: Buffer, attrs: dict[str, Any]) -> list[Statement]:
    """The transforms of all columns, in strips; the last strip may overlap the one before."""
    shape, dtype = found[0].shape, found[0].dtype
    n, m = shape[-2:]
    rows, strip = math.prod(shape[:-2]), strip_of(n, dtype)
    cost = max(1.0, strip * n * math.log2(n) / 4)
    share = max(1, int(SHARE / cost))

    def statement(offset: int) -> Transform:
        steps = ([("i", n * m)] if rows > 1 else []) + ([("j", strip)] if not offset else [])
        return Transform(tuple([Place(b, offset, tuple(steps)) for b in found]), table, **attrs)

    whole, total = m // strip, rows * (m // strip)
    shared = share if total >= 2 * share else 0
    inner = Loop("j", whole, [statement(0)], share=shared if rows == 1 else 0)
    body: list[Statement] = [inner, *[statement(m - strip)] * (m % strip > 0)]
    outer = max(1, share // whole)
    if rows == 1:
        return body
    return [Loop("i", rows, body, share=outer if shared and rows >= 2 * outer else 0)]


@dataclass
class Apart:
    """Complex numbers in memory whose parts are apart; `imag` further.

    pitch: how far apart in memory the numbers are that follow each other.
    """

    pointer: str
    dtype: np.dtype[Any]
    imag: int
    pitch: int = 1

    def load(self, e: VectorEmitter, index: Index) -> Complex:
        """The numbers from `index` on."""
        index = e.function.times(index, self.pitch)
        further = e.function.plus(index, self.imag)
        parts = [e.load(self.pointer, k, self.dtype) for k in (index, further)]
        return Complex(*[Term(e, x) for x in parts])

    def store(self, e: VectorEmitter, index: Index, x: Complex) -> None:
        """Store numbers from `index` on."""
        index = e.function.times(index, self.pitch)
        e.store(x.re.value, self.pointer, index)
        e.store(x.im.value, self.pointer, e.function.plus(index, self.imag))


@dataclass
class Pairs:
    """Complex numbers in memory as the user has them; pitch: as of `Apart`."""

    pointer: str
    dtype: np.dtype[Any]
    pitch: int = 1

    def load(self, e: VectorEmitter, index: Index) -> Complex:
        """The numbers from `index` on."""
        index = e.function.times(index, self.pitch)
        x = e.load(self.pointer, index, COMPLEX[self.dtype])
        return Complex(*[Term(e, p) for p in e.parts(x)])

    def store(self, e: VectorEmitter, index: Index, x: Complex) -> None:
        """Store numbers from `index` on."""
        index = e.function.times(index, self.pitch)
        e.store(e.pair(x.re.value, x.im.value), self.pointer, index)


Memory = Apart | Pairs


class Rooms(NamedTuple):
    """Where numbers are on the way: before the first step, and after each."""

    first: Memory
    after: list[Memory]


class Writer:
    """Writes one transform into a function. pointers: of x, y, and what room there is for it."""

    def __init__(self, f: Function, statement: Transform, pointers: Sequence[str]):
        self.f, self.statement = f, statement
        self.dtype = statement.table.dtype
        self.points = statement.points
        x = statement.places[0].buffer
        self.strip = strip_of(self.points, x.dtype) if statement.columns else 0
        self.lanes = self.strip or lanes_of(self.dtype)
        self.table = f"%{statement.table.name}"
        self.sign = 1 if statement.kind in ("inverse", "half") else -1
        self.steps = steps_of(self.points, self.dtype, columns=statement.columns)
        pitch = x.shape[-1] if statement.columns else 1
        self.x, self.y = [Pairs(pointer, self.dtype, pitch) for pointer in pointers[:2]]
        f.module.declare("i64", "llvm.smin.i64", "i64, i64")
        pitch = self.strip or 1
        size = 2 * self.points * pitch * self.dtype.itemsize
        long = self.points > ON_STACK
        begins = [pointers[2], pointers[1]] if long else [f.scratch(size), f.scratch(size)]
        self.rooms = [Apart(begin, self.dtype, self.points * pitch, pitch) for begin in begins]

    def write(self) -> None:
        """The whole transform."""
        kind = self.statement.kind
        rooms = self.places()
        if kind == "half":
            self.join(self.x, rooms.first, self.half_spectrum)
        source = rooms.first
        for step, target in zip(self.steps, rooms.after, strict=True):
            self.step(step, source, target)
            source = target
        if kind == "real":
            self.join(source, self.y, self.real_spectrum)

    def places(self) -> Rooms:
        """Rooms by turns, so that nothing is read where the result is written."""
        count, kind = len(self.steps), self.statement.kind
        if kind == "real":
            return Rooms(self.x, [self.rooms[(count - 1 - k) % 2] for k in range(count)])
        found: list[Memory] = [self.rooms[(count - 2 - k) % 2] for k in range(-1, count - 1)]
        return Rooms(found[0] if kind == "half" else self.x, [*found[1:], self.y])

    # Steps.

    def step(self, step: Step, source: Memory, target: Memory) -> None:
        """One step over all numbers."""
        if step.spread:
            total = step.points * step.stride
            self.vectors(total, lambda e, k: self.side_by_side(e, step, k, source, target))
            return
        if step.points == 1:
            self.of_one(step, 0, [], source, target)
            return
        with self.f.loop(0, step.points) as state:
            begin = self.f.plus(self.f.times(state.index, 2 * (step.radix - 1)), step.begin)
            scalar = VectorEmitter(self.f, 1)
            found = [
                scalar.load(self.table, self.f.plus(begin, k), self.dtype)
                for k in range(2 * (step.radix - 1))
            ]
            self.of_one(step, state.index, found, source, target)

    def of_one(
        self, step: Step, number: Index, factors: Sequence[Any], source: Memory, target: Memory
    ) -> None:
        """Number `number` of each of the transforms that are interleaved."""
        f, stride = self.f, step.stride
        begin, end = f.times(number, stride), f.times(number, stride * step.radix)

        def body(e: VectorEmitter, k: Index) -> None:
            turns = [Term(e, e.splat(x)) for x in factors]
            pairs = [Complex(*turns[j : j + 2]) for j in range(0, len(turns), 2)]
            ys = self.butterfly(e, step, f.plus(begin, k), pairs, source)
            for j, y in enumerate(ys):
                target.store(e, f.plus(f.plus(end, k), j * stride), y)

        self.vectors(stride, body)

    def side_by_side(
        self, e: VectorEmitter, step: Step, k: Index, source: Memory, target: Memory
    ) -> None:
        """Numbers from `k` on, of several places of transforms of which few are interleaved."""
        f, stride, radix, total = self.f, step.stride, step.radix, step.points * step.stride
        if step.points == 1:
            for j, y in enumerate(self.butterfly(e, step, k, [], source)):
                target.store(e, f.plus(k, j * stride), y)
            return
        begins = [step.begin + 2 * j * total for j in range(radix - 1)]
        table = [Apart(self.table, self.dtype, total) for _ in begins]
        turns = [t.load(e, f.plus(k, begin)) for t, begin in zip(table, begins, strict=True)]
        ys = self.butterfly(e, step, k, turns, source)
        assert isinstance(target, Apart)
        end = f.times(k, radix)
        for half, parts in ((0, [y.re for y in ys]), (target.imag, [y.im for y in ys])):
            self.interleave(e, [x.value for x in parts], target.pointer, f.plus(end, half), stride)

    def interleave(
        self, e: VectorEmitter, xs: Sequence[Any], pointer: str, begin: Index, unit: int
    ) -> None:
        """Store `unit` numbers of each of `xs` in turn."""
        radix, lanes = len(xs), e.lanes
        if unit == 1 and radix & (radix - 1) == 0:
            while len(xs) > 1:
                half, n = len(xs) // 2, e.lanes
                order = [k // 2 + k % 2 * n for k in range(2 * n)]
                if n == 1:
                    break
                xs = [e.shuffled(xs[k], xs[k + half], order) for k in range(half)]
                e = e.with_lanes(2 * n)
            for k, x in enumerate(xs):
                e.store(x, pointer, self.f.plus(begin, k))
        elif unit == 1:
            for k, x in enumerate(xs):
                e.store_strided(x, pointer, self.f.plus(begin, k), radix)
        else:
            few = e.with_lanes(unit)
            for group in range(0, lanes, unit):
                for k, x in enumerate(xs):
                    piece = e.shuffled(x, x, range(group, group + unit)) if lanes > unit else x
                    few.store(piece, pointer, self.f.plus(begin, group * radix + k * unit))

    def butterfly(
        self, e: VectorEmitter, step: Step, k: Index, turns: Sequence[Complex], source: Memory
    ) -> list[Complex]:
        """What becomes of the numbers from `k` on, and of those that stand with them."""
        apart = step.points * step.stride
        xs = [source.load(e, self.f.plus(k, j * apart)) for j in range(step.radix)]
        first, *rest = transformed(xs, self.sign)
        if turns:
            return [first, *[y.times(turn) for y, turn in zip(rest, turns, strict=True)]]
        scale = 1.0 if self.statement.kind in ("real", "half") else self.statement.scale
        return [y.scaled(scale) for y in (first, *rest)]

    def vectors(self, count: int, body: Callable[[VectorEmitter, Index], None]) -> None:
        """`body` for vectors of numbers 0 to `count`; the last ones overlap those before.

        Of columns, each number is a vector of those side by side.
        """
        if self.strip:
            emitter = VectorEmitter(self.f, self.strip)
            if count == 1:
                body(emitter, 0)
                return
            with self.f.loop(0, count) as state:
                body(emitter, state.index)
            return
        lanes = min(self.lanes, 1 << count.bit_length() - 1)
        emitter, last = VectorEmitter(self.f, lanes), count - lanes
        if last == 0:
            body(emitter, 0)
            return
        with self.f.loop(0, count, lanes) as state:
            index = state.index
            if count % lanes:
                index = self.f.let(f"call i64 @llvm.smin.i64(i64 {index}, i64 {last})")
            body(emitter, index)

    # Between real numbers and half of a spectrum.

    def join(self, source: Memory, target: Memory, ends: Callable[..., None]) -> None:
        """Between a spectrum of half of the points and half of that of all; `ends` makes both."""
        f, points = self.f, self.points
        begin = self.steps[-1].begin
        table = Apart(self.table, self.dtype, points)
        scale = self.statement.join_scale
        back = self.statement.kind == "half"

        def body(e: VectorEmitter, k: Index) -> None:
            x = source.load(e, f.plus(k, 1))
            mirror = f.let(f"sub i64 {points - e.lanes}, {k}")
            order = range(e.lanes - 1, -1, -1)
            other = [Term(e, e.shuffled(p.value, p.value, order)) for p in source.load(e, mirror)]
            turn = table.load(e, f.plus(k, begin + 1))
            a, b, c, d = x.re, x.im, other[0], other[1]
            across, along = (b + d), (a - c)
            # of `half`, with i times the factor
            first = fma(turn.re, across, turn.im * along)
            second = fma(turn.im, across, -(turn.re * along))
            if back:
                first, second = -first, -second
            real, imag = fma(a + c, scale, first), fma(b - d, scale, second)
            target.store(e, f.plus(k, 1), Complex(real, imag))

        self.vectors(points - 1, body)
        ends(source, target)

    def real_spectrum(self, source: Memory, target: Memory) -> None:
        """Both ends of the spectrum of real numbers, which are real."""
        e, scale = VectorEmitter(self.f, 1), self.statement.scale
        x = source.load(e, 0)
        zero = x.re.like(0.0)
        target.store(e, 0, Complex((x.re + x.im) * scale, zero))
        target.store(e, self.points, Complex((x.re - x.im) * scale, zero))

    def half_spectrum(self, source: Memory, target: Memory) -> None:
        """Both ends of half a spectrum, of which only the real parts count."""
        e, scale = VectorEmitter(self.f, 1), self.statement.scale
        x, y = source.load(e, 0), source.load(e, self.points)
        target.store(e, 0, Complex((x.re + y.re) * scale, (x.re - y.re) * scale))


def write_transform(f: Function, statement: Transform, pointers: Sequence[str]) -> None:
    """Write a transform; `pointers` to x, y, and the room for its steps, if it has any."""
    Writer(f, statement, pointers).write()
