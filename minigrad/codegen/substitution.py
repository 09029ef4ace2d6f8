"""Triangles solved by substitution: a loop over matrices of any size, like those of NumPy.

It takes what the loops of `numpy.linalg` take: addresses of the operands, sizes, and steps in
bytes. Columns of the right side go side by side; NaN in the first place says that there is a zero
on the diagonal.
"""

from __future__ import annotations

import functools

import numpy as np

from ..core.lowering import Value
from . import jit
from .emitter import VectorEmitter
from .text import Function, Index, Module

TRIANGLES = ("lower_triangle", "upper_triangle")
ENTRY = "minigrad_substitution"
TOGETHER = 4
"""Vectors that are computed at once: what is added to one has to wait for what was before."""
DOUBLE = np.dtype(np.float64)


@functools.cache
def compiled(name: str) -> jit.Code:
    """The loop `name`, made once."""
    module = Module()
    parameters = ["ptr %operands", "ptr %sizes", "ptr %steps", "ptr %unused"]
    Writer(module.function(ENTRY, parameters), lower=name == TRIANGLES[0]).write()
    return jit.compile_module(module.render(), [ENTRY])


def substitution(name: str) -> int:
    """The address of the loop `name`, one of `TRIANGLES`."""
    return compiled(name)[ENTRY]


class Writer:
    """Writes the loop for lower or for upper triangles."""

    def __init__(self, function: Function, *, lower: bool) -> None:
        self.f, self.lower = function, lower
        self.one = VectorEmitter(function, 1)
        self.vector = VectorEmitter(function, jit.host().vector_bytes // DOUBLE.itemsize)

    def word(self, table: str, k: int, kind: str = "i64") -> str:
        """An entry of a table."""
        return self.f.let(f"load {kind}, ptr {self.f.address(table, k, 'i64')}")

    def number(self, pointer: str, offset: Index) -> Value:
        """The number that is so many bytes further."""
        return self.one.load(self.f.address(pointer, offset, "i8"), 0, DOUBLE)

    def write(self) -> None:
        """All matrices."""
        f = self.f
        operands = [self.word("%operands", k, "ptr") for k in range(3)]
        self.count, self.rows, self.columns = [self.word("%sizes", k) for k in range(3)]
        steps = [self.word("%steps", k) for k in range(9)]
        self.a_row, self.a_column, self.b_row, self.b_column, self.y_row, _ = steps[3:]
        with f.loop(0, self.count) as state:
            self.a, self.b, self.y = [
                f.address(x, f.times(state.index, step), "i8")
                for x, step in zip(operands, steps[:3], strict=True)
            ]
            self.copy()
            self.solve()
            self.mark()

    def copy(self) -> None:
        """Let the solution begin as the right side."""
        f = self.f
        with f.loop(0, self.rows) as row, f.loop(0, self.columns) as column:
            place = f.plus(f.times(row.index, self.b_row), f.times(column.index, self.b_column))
            target = f.address(self.y, f.times(row.index, self.y_row), "i8")
            self.one.store(self.number(self.b, place), target, column.index)

    def solve(self) -> None:
        """All rows, one after the other."""
        f = self.f
        with f.loop(0, self.rows) as state:
            last = f.let(f"sub i64 {self.rows}, 1")
            row = state.index if self.lower else f.let(f"sub i64 {last}, {state.index}")
            first: Index = 0
            for vector, together in ((self.vector, TOGETHER), (self.vector, 1), (self.one, 1)):
                first = self.through(row, first, vector, together)

    def through(self, row: str, first: Index, e: VectorEmitter, together: int) -> Index:
        """Row `row` in so many vectors at once, as long as columns are left; where that ends."""
        f, width = self.f, e.lanes * together
        end = self.columns
        if width > 1:
            left = f.let(f"sub i64 {self.columns}, {first}")
            whole = f.let(f"sdiv i64 {left}, {width}")
            end = str(f.plus(first, f.times(whole, width)))
        with f.loop(first, end, width) as state:
            self.columns_of(row, state.index, e, together)
        return end

    def columns_of(self, row: str, column: str, e: VectorEmitter, together: int) -> None:
        """Some columns of a row: what the rows before give is taken away, and the rest divided."""
        f = self.f
        places = [f.plus(column, e.lanes * k) for k in range(together)]
        own = f.address(self.y, f.times(row, self.y_row), "i8")
        line = f.address(self.a, f.times(row, self.a_row), "i8")
        start = [e.load(own, place, DOUBLE) for place in places]
        low, high = (0, row) if self.lower else (f.plus(row, 1), self.rows)
        with e.loop(low, high, carried=start) as state:
            factor = self.number(line, f.times(state.index, self.a_column))
            other = f.address(self.y, f.times(state.index, self.y_row), "i8")
            state.following = [
                e.sub(x, e.mul(e.splat(factor), e.load(other, place, DOUBLE)))
                for x, place in zip(state.values, places, strict=True)
            ]
        pivot = e.splat(self.number(line, f.times(row, self.a_column)))
        for x, place in zip(state.values, places, strict=True):
            e.store(e.div(x, pivot), own, place)

    def mark(self) -> None:
        """Put NaN in the first place if there is a zero on the diagonal."""
        f, e = self.f, self.one
        none = [e.const(False, np.bool_)]
        with e.loop(0, self.rows, carried=none) as state:
            step = f.plus(self.a_row, self.a_column)
            pivot = self.number(self.a, f.times(state.index, step))
            zero = e.compare("==", pivot, e.const(0.0, DOUBLE))
            state.following = [e.bitwise("or", state.values[0], zero)]
        with f.when(state.values[0].text):
            e.store(e.const(np.nan, DOUBLE), self.y, 0)
