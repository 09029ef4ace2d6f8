"""`native_loop`: an op that means so many rounds of a graph of kernels, run by one native call.

It is a kernel as others are, and stands among them in a stretch. What it needs for itself comes as
one more output, which nobody reads: there what is carried waits in turn with its output, so that
the last round writes the results.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.op import Node, Op
from ..core.spec import Spec
from ..core.tensor import Symbol
from ..graph import Graph
from . import jit
from .driver import KERNELS, Kernel, begin_kernel, is_check, is_native, size_of
from .executable import executable
from .fastcall import spread_ir, spread_name
from .fused import ENTRY
from .rounds import Driver, all_native

LONGEST = 0.1
"""Seconds of a loop, about, beyond which Python is to look whether it was interrupted."""
CALL = 1e-8
"""Seconds of a call of a kernel, about."""
ELEMENT = 5e-10
"""Seconds in which an element is read or written and computed with, about."""
LINE = 64
"""Bytes at a multiple of which values begin."""


def native_loop_node(
    node: Node, graph: Graph, *, carried: int, scanned: int, count: int, reverse: bool
) -> Node | None:
    """The node of `count` rounds of `graph`, in groups, in the place of `node`; None if it is none.

    graph: takes what is carried, what comes slice by slice, and what stays; gives what is carried
    on, and what is stacked. reverse: the first round has the last slice.
    """
    if not jit.available() or not all_native(graph, carried) or count * cost(graph) > LONGEST:
        return None
    if any(map(is_check, graph.nodes)):  # it could not say so
        return None
    begun = [begin_kernel(step) for step in graph.nodes if is_native(step)]
    size = layout(graph, Driver(graph, carried, scanned), carried)[1]
    del begun  # kept so far, as what is made ahead is made for those who keep it
    room = Symbol((size,), np.dtype(np.uint8), None)
    attrs = {"graph": graph, "carried": carried, "scanned": scanned, "count": count, "room": size}
    attrs["reverse"] = reverse
    return node.replaced(node.inputs, (*node.outputs, room), attrs, native_loop)


def cost(graph: Graph) -> float:
    """About how many seconds a round takes."""
    seconds = 0.0
    for node in filter(is_native, graph.nodes):
        inner = node.attrs["graph"]
        values = [y for step in inner.nodes for y in (*step.inputs, *step.outputs)]
        sizes = [math.prod(x.shape) for x in values if isinstance(x, Symbol)]
        seconds += CALL + ELEMENT * sum(sizes)
    return seconds


def layout(graph: Graph, driver: Driver, carried: int) -> tuple[list[int], int]:
    """Where in the room lies what is carried, then what a round forgets; and the bytes of all."""
    sizes = [size_of(x) for x in graph.inputs[:carried]]
    sizes += [x if type(x) is int else 0 for x in driver.others]
    lines = [-(-size // LINE) * LINE for size in sizes]
    starts = [sum(lines[:k]) for k in range(len(lines))]
    return starts, max(sum(lines), 1)


def loop_spec(
    *inputs: Any, graph: Graph, carried: int, scanned: int, count: int, room: int, reverse: bool
) -> tuple[Spec, ...]:
    """What is carried out of the last round, what is stacked, and the room."""
    last = [y.spec for y in graph.outputs[:carried]]
    stacks = [Spec((count, *y.shape), y.dtype) for y in graph.outputs[carried:]]
    return (*last, *stacks, Spec((room,), np.uint8))


def run_loop(
    *inputs: Any, graph: Graph, carried: int, scanned: int, count: int, room: int, reverse: bool
) -> tuple[Any, ...]:
    """The rounds one by one: the same meaning, and the reference."""
    run = executable(graph)
    carry, slices = inputs[:carried], inputs[carried : carried + scanned]
    stacks = [np.empty((count, *y.shape), y.dtype) for y in graph.outputs[carried:]]
    for t in reversed(range(count)) if reverse else range(count):
        outputs = run(*carry, *[np.asarray(x[t]) for x in slices], *inputs[carried + scanned :])
        carry = outputs[:carried]
        for stack, y in zip(stacks, outputs[carried:], strict=True):
            stack[t] = y
    return (*[np.array(x) for x in carry], *stacks, np.zeros(room, np.uint8))


class Writer:
    """Writes the kernel: it fills the table that `Driver` reads, and calls its function."""

    def __init__(
        self, graph: Graph, carried: int, scanned: int, count: int, room: int, reverse: bool
    ) -> None:
        self.graph, self.carried, self.count = graph, carried, count
        self.driver = Driver(graph, carried, scanned)
        self.lines: list[str] = []
        self.words: list[str] = []
        starts, _ = layout(graph, self.driver, carried)
        inputs, outputs = len(graph.inputs), len(graph.outputs)
        self.pointers = inputs + outputs + 1
        own = f"%p{inputs + outputs}"
        slots = [self.slots(k, own, starts[k]) for k in range(carried)]
        moving = [size_of(x) for x in graph.inputs[carried : carried + scanned]]
        stacked = [size_of(y) for y in graph.outputs[carried:]]
        parts = [f"%p{k}" for k in range(carried, carried + scanned)]
        parts += [f"%p{inputs + k}" for k in range(carried, outputs)]
        sizes = [*moving, *stacked]
        if reverse:
            ends = [size * max(count - 1, 0) for size in sizes]
            parts = [self.beyond(part, end) for part, end in zip(parts, ends, strict=True)]
            sizes = [-size for size in sizes]
        self.words = ["1", *[step for _, step in slots], *map(str, sizes)]
        self.words += [begin for begin, _ in slots]
        self.words += [self.address(part) for part in parts]
        self.words += [self.address(f"%p{k}") for k in range(carried + scanned, inputs)]
        for start, x in zip(starts[carried:], self.driver.others, strict=True):
            whole = self.driver.calls.constant(x) if type(x) is not int else None
            self.words.append(self.address(whole or self.beyond(own, start)))

    def let(self, value: str) -> str:
        """A new name for what an instruction gives."""
        name = f"%w{len(self.lines)}"
        self.lines.append(f"  {name} = {value}")
        return name

    def address(self, pointer: str) -> str:
        """A pointer as a number."""
        return self.let(f"ptrtoint ptr {pointer} to i64")

    def beyond(self, pointer: str, size: int) -> str:
        """The pointer `size` bytes further."""
        return self.let(f"getelementptr i8, ptr {pointer}, i64 {size}")

    def slots(self, k: int, room: str, start: int) -> tuple[str, str]:
        """Where what is carried first lies, as a number, and how far the other place is from there.

        It is copied there; the last round writes to its output.
        """
        output, other = f"%p{len(self.graph.inputs) + k}", self.beyond(room, start)
        first, second = (output, other) if self.count % 2 == 0 else (other, output)
        self.lines.append(self.driver.calls.copy(first, f"%p{k}", size_of(self.graph.inputs[k])))
        begin = self.address(first)
        return begin, self.let(f"sub i64 {self.address(second)}, {begin}")

    def code(self) -> jit.Code:
        """The kernel, compiled."""
        parameters = ", ".join([f"ptr %p{k}" for k in range(self.pointers)])
        table = [f"  %table = alloca [{len(self.words)} x i64]"]
        stores = []
        for k, word in enumerate(self.words):
            stores += [
                f"  %t{k} = getelementptr i64, ptr %table, i64 {k}",
                f"  store i64 {word}, ptr %t{k}",
            ]
        call = f"  %status = call i64 @rounds(ptr %table, i64 0, i64 {self.count})"
        kernel = [
            f"define void @{ENTRY}({parameters}) {{",
            *table,
            *self.lines,
            *stores,
            *([call] if self.count else []),
            "  ret void",
            "}",
        ]
        text = [*self.driver.lines(), *kernel, spread_ir(ENTRY, self.pointers)]
        return self.driver.calls.compiled(text, ENTRY, spread_name(ENTRY))


def code(node: Node, over: frozenset[int] = frozenset()) -> jit.Code:
    """The native code of a loop; made once, and kept with its graph."""
    graph, count = node.attrs["graph"], node.attrs["count"]
    key = ("rounds", count, node.attrs["reverse"])
    if key not in graph.cache:
        graph.cache[key] = Writer(**node.attrs).code()
    made: jit.Code = graph.cache[key]
    return made


native_loop = Op(run_loop, infer=loop_spec, name="native_loop", holomorphic=False)
native_loop.opaque = "it is made when all derivatives have been taken; differentiate before"
KERNELS[native_loop] = Kernel(code)
