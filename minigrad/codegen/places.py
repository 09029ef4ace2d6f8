"""Where the values of a loop nest are in memory: inputs, outputs, and what is kept for later."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from .arithmetic import computed
from .arrange import Arrangement
from .cost import STACK, STANDING, WIDEST
from .dims import Nesting
from .loops import Buffer, Place
from .phases import Phases
from .views import Limit, Map, Source


class Places:
    """The buffers of a nest, by tensor, and the elements of them that loops come to.

    own: what is kept from one pass to the next, column sums that are no outputs, and what running
    results along the rows have come to.
    """

    def __init__(self, nesting: Nesting, phases: Phases):
        self.nesting, self.phases = nesting, phases
        self.vars = variables(nesting.found)
        self.inputs = buffers("x", "input", nesting.graph.inputs)
        self.outputs = buffers("y", "output", nesting.graph.outputs)
        self.own = self.kept_buffers()

    def kept_buffers(self) -> dict[Any, Buffer]:
        """Buffers for the values to keep; what does not fit on the stack is made again instead."""
        found: dict[Any, Buffer] = {}
        count = math.prod(self.nesting.space.extents[d] for d in self.nesting.found.cols)
        for y in self.nesting.makers:
            dtype = computed(y.dtype)
            apart = dtype != y.dtype or self.result_of(y) is None
            if (self.phases.is_column_sum(y) and apart) or self.phases.runs_over_rows(y):
                found[y] = Buffer(f"s{len(found)}", (count,), dtype, "sums")
        left = STACK if self.nesting.found.standing is None else STANDING // WIDEST
        for y in list(self.phases.kept):
            if self.result_of(y) is not None:
                continue
            left -= count * y.dtype.itemsize
            if left < 0:
                del self.phases.kept[y]
            else:
                found[y] = Buffer(f"s{len(found)}", (count,), y.dtype, "scratch")
        return found

    def result_of(self, y: Any) -> Any:
        """The output that holds the value `y`; None if there is none."""
        outputs = self.nesting.graph.outputs
        return next((z for z in outputs if self.nesting.source(z) is y), None)

    def place(self, buffer: Buffer, offset: int, strides: Map) -> Place:
        """An element of `buffer`, by loop variables."""
        pairs = [(self.vars[d], strides[d]) for d in self.nesting.found.order if strides.get(d)]
        return Place(buffer, offset, tuple(pairs))

    def input(self, source: Source, at: tuple[tuple[str, int], ...] = ()) -> Place:
        """Where the elements of a view of an input are, or those `at` places of a table."""
        found = self.place(self.buffer(source.base), source.offset, source.strides)
        return replace(found, at=at)

    def buffer(self, x: Any) -> Buffer:
        """The buffer of an input; of what counts, that of numbers."""
        if x in self.nesting.counts:
            return Buffer("", tuple(x.shape), x.dtype, "number")
        return self.outputs[x] if x in self.nesting.space.scattered else self.inputs[x]

    def number(self, limit: Limit) -> Place:
        """What is to stay below a limit; what is negative is large as an unsigned number."""
        extents = self.nesting.space.extents
        farthest = sum(abs(s) * (extents[d] - 1) for d, s in limit.strides.items())
        short = farthest + abs(limit.offset) + limit.extent < 2**31
        dtype = np.dtype(np.uint32 if short else np.uint64)
        return self.place(Buffer("", (), dtype, "number"), limit.offset, limit.strides)

    def output(self, y: Any) -> Place:
        """Where the elements of the output `y` are."""
        return self.place(self.outputs[y], 0, self.nesting.space.maps[y])

    def kept(self, y: Any) -> Place:
        """Where a value is kept from one pass to the next, or a sum from one row to the next."""
        if y in self.own:
            return self.state(y)
        result = self.result_of(y)
        # along the other dims of the result, its elements are equal: the first stands for all; but
        # only those of this row are sure to be there, as rows may be made in any order
        along, strides = self.phases.changing[y], self.nesting.space.maps[result]
        if not self.phases.is_column_sum(y):
            along |= {*self.nesting.found.order} - {*self.nesting.found.cols}
        strides = {d: stride for d, stride in strides.items() if d in along}
        return self.place(self.outputs[result], 0, strides)

    def state(self, y: Any) -> Place:
        """Where something of `y`, a number for each column, is in a buffer of its own."""
        cols = [d for d in self.nesting.found.cols if d in self.phases.changing[y]]
        strides, stride = {}, 1
        for dim in reversed(cols):
            strides[dim], stride = stride, stride * self.nesting.space.extents[dim]
        return self.place(self.own[y], 0, strides)


def variables(found: Arrangement) -> dict[int, str]:
    """The loop variables: b for batches, i for rows, j for columns."""
    names = {}
    for letter, dims in zip("bij", found[:3], strict=True):
        for k, dim in enumerate(dims):
            names[dim] = letter if len(dims) == 1 else f"{letter}{k}"
    return names


def buffers(
    letter: str, role: Literal["input", "output"], tensors: tuple[Any, ...]
) -> dict[Any, Buffer]:
    """One buffer per tensor."""
    return {x: Buffer(f"{letter}{k}", tuple(x.shape), x.dtype, role) for k, x in enumerate(tensors)}
