"""The rounds of a loop in native code: the kernels of its body called one after the other.

The driver is LLVM text as kernels are. It knows the kernels by name, and reads from a table where
the arrays of a call begin and how far apart the parts of two rounds are. Python is not asked in
between: a round costs its kernels, and some nanoseconds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from ..core.op import Node
from ..core.tensor import Symbol, Tensor
from ..graph import Graph
from . import jit
from .driver import (
    Array,
    Calls,
    begin_kernel,
    contiguous,
    is_check,
    is_native,
    is_view,
    size_of,
    truth_of,
)

PATIENCE = 0.02
"""Seconds that native code may run before Python looks whether it was interrupted."""
FIRST = 64
"""How many rounds are run before it is known how long they take."""


class Rounds:
    """A loop of the body `graph`, compiled.

    The body takes what is carried, then what comes slice by slice, then what stays; it gives what
    is carried on, then what is stacked. graph: of groups, products and views, its shapes known.
    until: the last that it gives is no more than a truth: whether there is another round.
    """

    def __init__(self, graph: Graph, carried: int, scanned: int, *, until: bool = False) -> None:
        self.graph = graph
        self.carried = carried
        begun = [begin_kernel(node) for node in graph.nodes if is_native(node)]
        driver = Driver(graph, carried, scanned, until=until)
        del begun  # kept so far, as what is made ahead is made for those who keep it
        self.others = [x if type(x) is int else contiguous(x._value) for x in driver.others]
        self.code = driver.calls.compiled(driver.lines(), "rounds")
        prototype = ctypes.CFUNCTYPE(
            ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
        )
        self._run = prototype(self.code["rounds"])

    def __call__(
        self,
        carry: Sequence[Array],
        slices: Sequence[Array],
        fixed: Sequence[Array],
        stacks: Sequence[Array],
        count: int | None,
        *,
        keep: bool,
    ) -> list[Array] | None:
        """Run `count` rounds, and fill `stacks`; what was carried, or None if one may not go on.

        slices, stacks: of `count` parts along the first axis, which may go backwards.
        count: None where the body says when it was the last.
        keep: all that was carried, `(count + 1, ...)` for each, the first values included;
        otherwise the last values alone.
        """
        slots = count + 1 if keep and count is not None else 2
        held = [np.empty((slots, *x.shape), x.dtype) for x in carry]
        for kept, x in zip(held, carry, strict=True):
            kept[0] = x
        moving = [contiguous_parts(x) for x in slices]
        still = [contiguous(x) for x in fixed]
        self._check([kept[0] for kept in held], [x[0] for x in moving], still)
        others = [np.empty(x, np.uint8) if type(x) is int else x for x in self.others]
        arrays: list[Any] = [*held, *moving, *stacks, *still, *others]
        steps = [x.strides[0] for x in arrays[: len(held) + len(moving) + len(stacks)]]
        addresses = [x.__array_interface__["data"][0] for x in arrays]
        words = [-1 if keep else 1, *steps, *addresses]
        table = (ctypes.c_int64 * len(words))(*words)
        begin, size = 0, FIRST
        while count is None or begin < count:
            start = perf_counter()
            end = begin + size if count is None else min(begin + size, count)
            begin = self._run(ctypes.addressof(table), begin, end)
            if begin < 0:
                return None
            if begin < end:
                break
            if perf_counter() - start < PATIENCE:
                size *= 2
        return held if keep else [kept[begin & 1] for kept in held]

    def until(self, carry: Sequence[Array], fixed: Sequence[Array]) -> list[Array] | None:
        """Run rounds until one is the last; what was carried, or None if one may not go on."""
        # one place for all rounds; np.broadcast_to takes 8 us for that
        holds = np.ndarray((2,), np.bool_, np.empty(1, np.bool_), strides=(0,))
        return self(carry, [], fixed, [holds], None, keep=False)

    def _check(self, *groups: Sequence[Array]) -> None:
        """Hold that arrays are what the code was made for: it would read beyond others."""
        arrays = [x for group in groups for x in group]
        for x, spec in zip(arrays, self.graph.inputs, strict=True):
            if x.shape != spec.shape or x.dtype != spec.dtype:
                raise AssertionError(f"{x.dtype}{x.shape} came for {spec.spec} of a compiled loop")


def rounds(graph: Graph, carried: int, scanned: int) -> Rounds | None:
    """The loop of `graph`, in fusion groups; None where a round needs more than its kernels."""
    if not jit.available():
        return None
    return Rounds(graph, carried, scanned) if all_native(graph, carried) else None


def all_native(graph: Graph, carried: int) -> bool:
    """Whether a round of `graph` needs no more than kernels, and hands on what it was given."""
    operands = [x for node in graph.nodes for x in node.inputs]
    values = [*graph.inputs, *operands, *graph.outputs]
    if not all(isinstance(x, Tensor) and x.spec.known for x in values):
        return False
    pairs = zip(graph.inputs, graph.outputs[:carried], strict=False)
    if any(x.shape != y.shape or x.dtype != y.dtype for x, y in pairs):
        return False
    return all(is_native(node) or is_view(node) for node in graph.nodes)


def contiguous_parts(x: Array) -> Array:
    """`x`, or a copy of which native code can read each part along the first axis."""
    part = x[:1].reshape(x.shape[1:]) if len(x) else x
    usable = part.flags.c_contiguous and np.may_share_memory(part, x)
    return x if usable and x.flags.aligned and x.dtype.isnative else contiguous(x)


class Driver:
    """Writes the function that runs the rounds, and plans where each value lies.

    The table begins with a mask for the number of the slot of what is carried; then, for what
    moves, how far apart two parts are; then where each array begins. others: the arrays at the end:
    constants of the body, and, by their number of bytes, places for what a round forgets.
    """

    def __init__(self, graph: Graph, carried: int, scanned: int, *, until: bool = False) -> None:
        self.calls = Calls()
        self.others: list[Any] = []
        self._head: list[str] = []
        self._lines: list[str] = []
        self._end = "round"  # the block that a round ends in
        self._steps = scanned + len(graph.outputs)
        self._arrays = 0
        self._word("mask", 0)
        held = [self._array(f"held{i}") for i in range(carried)]
        moving = [self._array(f"slice{i}") for i in range(scanned)]
        stacks = [self._array(f"stack{i}") for i in range(len(graph.outputs) - carried)]
        fixed = [self._array(f"fixed{i}") for i in range(len(graph.inputs) - carried - scanned)]
        given = [self._part(name, "here") for name in held]
        given += [self._part(name, "t") for name in moving]
        self._values: dict[Any, str] = dict(zip(graph.inputs, [*given, *fixed], strict=True))
        # where what a round gives is to be: the first place is where it is made
        places = [*[(name, "there") for name in held], *[(name, "t") for name in stacks]]
        copies = []
        for y, place in zip(graph.outputs, places, strict=True):
            if y in self._values or not isinstance(y, Symbol):
                copies.append((y, self._part(*place)))
            else:
                self._values[y] = self._part(*place)
        for node in graph.nodes:
            if is_native(node):
                pointers = [self._pointer(x) for x in (*node.inputs, *node.outputs)]
                self._lines.append(self.calls.kernel(node, pointers))
            else:
                self._view(node, copies)
        for y, target in copies:
            self._lines.append(self.calls.copy(target, self._pointer(y), size_of(y)))
        self._more = ["  %more = icmp slt i64 %following, %end"]
        if until:
            self._more = [
                f"  %truth = load i8, ptr {self._pointer(graph.outputs[-1])}",
                "  %another = icmp ne i8 %truth, 0",
                "  %left = icmp slt i64 %following, %end",
                "  %more = and i1 %another, %left",
            ]

    def lines(self) -> list[str]:
        """The function `i64 @rounds(ptr table, i64 begin, i64 end)`: where it got to."""
        return [
            "define i64 @rounds(ptr %table, i64 %begin, i64 %end) nounwind {",
            "entry:",
            *self._head,
            "  br label %round",
            "round:",
            f"  %t = phi i64 [ %begin, %entry ], [ %following, %{self._end} ]",
            "  %following = add i64 %t, 1",
            "  %here = and i64 %t, %mask",
            "  %there = and i64 %following, %mask",
            *self._lines,
            *self._more,
            "  br i1 %more, label %round, label %done",
            "done:",
            *self.calls.ending("%following"),
        ]

    def _word(self, name: str, place: int, kind: str = "i64") -> str:
        """Load an entry of the table, before the first round."""
        self._head += [
            f"  %{name}.at = getelementptr i64, ptr %table, i64 {place}",
            f"  %{name} = load {kind}, ptr %{name}.at",
        ]
        return f"%{name}"

    def _array(self, name: str) -> str:
        """The pointer to the next array; for what moves, its step too."""
        place, self._arrays = self._arrays, self._arrays + 1
        if place < self._steps:
            self._word(f"{name}.step", 1 + place)
        return self._word(name, 1 + self._steps + place, "ptr")

    def _part(self, array: str, index: str) -> str:
        """The pointer to the part of `array` with the number `index`, in this round."""
        name = f"{array}.{index}"
        self._lines += [
            f"  {name}.bytes = mul i64 %{index}, {array}.step",
            f"  {name} = getelementptr i8, ptr {array}, i64 {name}.bytes",
        ]
        return name

    def _view(self, node: Node, copies: list[tuple[Any, str]]) -> None:
        """Let what `node` gives be where its input is; what is to be elsewhere is copied there."""
        x, (y,) = node.inputs[0], node.outputs
        if is_check(node):
            self._end = f"sure{self.calls.checks}"
            self._lines += self.calls.check(self._pointer(truth_of(node)))
        if y in self._values:
            copies.append((y, self._values[y]))
        self._values[y] = self._pointer(x)

    def _pointer(self, x: Any) -> str:
        """The pointer to a value; a new constant or a new place for what is forgotten."""
        if x not in self._values:
            self.others.append(size_of(x) if isinstance(x, Symbol) else x)
            self._values[x] = self._array(f"other{len(self._values)}")
        return self._values[x]
