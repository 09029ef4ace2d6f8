"""`native_loop`: an op that means so many rounds of a graph of kernels, run by one native call.

It is a kernel as others are, and stands among them in a stretch. What it needs for itself comes as
one more output, which nobody reads: there what is carried waits in turn with its output, so that
the last round writes the results. Where a round may fail, or nobody knows how many there are, one
more output says whether it came through; who calls kernels looks at that, and goes another way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.lowering import Require
from ..core.op import MADE_LATE, Node, Op
from ..core.spec import Spec
from ..core.tensor import Symbol, Tensor, tensor_of
from ..graph import Graph
from . import jit
from .driver import KERNELS, Kernel, begin_kernel, is_native, size_of, stores
from .executable import executable
from .fastcall import spread_ir, spread_name
from .fused import ENTRY
from .rounds import Driver, Rounds, all_native

LONGEST = 0.1
"""Seconds of a loop, about, beyond which Python is to look whether it was interrupted."""
PATIENCE = 0.02
"""Seconds, about, after which a loop of which nobody knows how long it takes is a long one."""
CALL = 1e-8
"""Seconds of a call of a kernel, about."""
ELEMENT = 5e-10
"""Seconds in which an element is read or written and computed with, about."""
LINE = 64
"""Bytes at a multiple of which values begin."""
LONG = "long"
"""Where the cache of a graph has the truth whether a loop of it was found to be a long one."""


def native_loop_nodes(
    node: Node,
    graph: Graph,
    *,
    carried: int,
    scanned: int,
    count: int | None,
    reverse: bool = False,
    begin: Any = None,
) -> list[Node] | None:
    """The nodes of so many rounds of `graph`, in groups, in the place of `node`, or None.

    graph: takes what is carried, what comes slice by slice, and what stays; gives what is carried
    on, and what is stacked. reverse: the first round has the last slice. count: None for a loop
    that goes on while the last that `graph` gives is true; begin: whether it does at all.
    """
    if not jit.available() or not all_native(graph, carried):
        return None
    until = count is None
    if count is None:
        count = max(1, int(PATIENCE / max(cost(graph), CALL)))
        graph.cache[LONG] = tensor_of(np.zeros((), np.bool_))
    elif count * cost(graph) > LONGEST:
        return None
    begun = [begin_kernel(step) for step in graph.nodes if is_native(step)]
    driver = Driver(graph, carried, scanned, until=until)
    del begun  # kept so far, as what is made ahead is made for those who keep it
    attrs: dict[str, Any] = {"graph": graph, "carried": carried, "scanned": scanned}
    attrs["count"] = count
    attrs |= {"reverse": reverse, "until": until, "fails": until or driver.calls.checks > 0}
    attrs["room"] = layout(graph, driver, carried)[1]
    room = Symbol((attrs["room"],), np.dtype(np.uint8), None)
    inputs = (*node.inputs, begin) if until else node.inputs
    if not attrs["fails"]:
        return [node.replaced(inputs, (*node.outputs, room), attrs, native_loop)]
    first, *others = node.outputs
    unsure = Symbol(first.shape, first.dtype, first.trace, first.where)
    fault = Symbol((), np.dtype(np.bool_), None)
    return [
        node.replaced(inputs, (unsure, *others, fault, room), attrs, native_loop),
        node.replaced((unsure, fault), (first,), {}, came_through),
    ]


def long_ones(nodes: Iterable[Node]) -> Iterator[Tensor]:
    """For each loop without an end in sight, the truth whether it was found to be a long one.

    Then what calls it had better not begin.
    """
    for node in nodes:
        if node.op is native_loop:
            graph = node.attrs["graph"]
            if node.attrs["until"]:
                yield graph.cache[LONG]
            yield from long_ones(graph.nodes)


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
    *inputs: Any,
    graph: Graph,
    carried: int,
    count: int,
    room: int,
    fails: bool,
    until: bool,
    **_: Any,
) -> tuple[Spec, ...]:
    """What is carried out of the last round, what is stacked, whether it failed, and the room."""
    last = [y.spec for y in graph.outputs[:carried]]
    rows = graph.outputs[carried : len(graph.outputs) - until]
    stacks = [Spec((count, *y.shape), y.dtype) for y in rows]
    return (*last, *stacks, *[Spec((), np.bool_)] * fails, Spec((room,), np.uint8))


def run_loop(
    *inputs: Any,
    graph: Graph,
    carried: int,
    scanned: int,
    count: int,
    room: int,
    reverse: bool,
    until: bool,
    fails: bool,
) -> tuple[Any, ...]:
    """The rounds one by one: the same meaning, and the reference. It raises what a round does."""
    ending = (*[np.zeros((), np.bool_)] * fails, np.zeros(room, np.uint8))
    if until:
        return (*run_until(inputs, graph, carried), *ending)
    run = executable(graph)
    carry, slices = inputs[:carried], inputs[carried : carried + scanned]
    stacks = [np.empty((count, *y.shape), y.dtype) for y in graph.outputs[carried:]]
    for t in reversed(range(count)) if reverse else range(count):
        outputs = run(*carry, *[np.asarray(x[t]) for x in slices], *inputs[carried + scanned :])
        carry = outputs[:carried]
        for stack, y in zip(stacks, outputs[carried:], strict=True):
            stack[t] = y
    return (*[np.array(x) for x in carry], *stacks, *ending)


def run_until(inputs: Sequence[Any], graph: Graph, carried: int) -> list[Any]:
    """What is carried out of a loop that has no end in sight; it can be interrupted."""
    *values, holds = inputs
    carry, fixed = values[:carried], values[carried:]
    if not holds:
        return [np.array(x) for x in carry]
    if "until" not in graph.cache:
        graph.cache["until"] = Rounds(graph, carried, 0, until=True)
    native: Rounds = graph.cache["until"]
    last = native.until(carry, fixed)
    if last is None:  # a round fails, and is to say why
        steps = executable(graph)
        while holds:
            *carry, holds = steps(*carry, *fixed)
    return carry if last is None else last


def raise_nothing(y: Any, fault: Any, /) -> Any:
    """`y`, of a loop that has come to its end."""
    return y


class Writer:
    """Writes the kernel: it fills the table that `Driver` reads, and calls its function."""

    def __init__(
        self,
        graph: Graph,
        carried: int,
        scanned: int,
        count: int,
        reverse: bool,
        until: bool,
        fails: bool,
        **_: Any,
    ) -> None:
        self.graph, self.carried, self.count = graph, carried, count
        self.until, self.fails = until, fails
        self.driver = Driver(graph, carried, scanned, until=until)
        self.lines: list[str] = []
        self.words: list[str] = []
        self.places: list[str] = []
        starts = layout(graph, self.driver, carried)[0]
        self.inputs, results = len(graph.inputs), len(graph.outputs) - until
        self.first = self.inputs + until  # the first output
        self.fault = f"%p{self.first + results}"
        self.pointers = self.first + results + fails + 1
        own = f"%p{self.pointers - 1}"
        slots = [self.slots(k, own, starts[k]) for k in range(carried)]
        sizes = [size_of(x) for x in graph.inputs[carried : carried + scanned]]
        sizes += [size_of(y) for y in graph.outputs[carried:results]]
        parts = [f"%p{k}" for k in range(carried, carried + scanned)]
        parts += [f"%p{self.first + k}" for k in range(carried, results)]
        if reverse:
            ends = [size * max(count - 1, 0) for size in sizes]
            pairs = zip(parts, ends, strict=True)
            parts = [self.beyond(p, n) for p, n in pairs]
            sizes = [-size for size in sizes]
        if until:  # all rounds say in one place whether there is another
            self.lines.append("  %more = alloca i8")
            parts, sizes = [*parts, "%more"], [*sizes, 0]
        self.words = ["1", *[step for _, step in slots], *map(str, sizes)]
        self.words += [begin for begin, _ in slots]
        self.words += [self.address(part) for part in parts]
        self.words += [self.address(f"%p{k}") for k in range(carried + scanned, self.inputs)]
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

        It is copied there; the last round, if it is known, writes to its output.
        """
        output, other = f"%p{self.first + k}", self.beyond(room, start)
        even = self.until or self.count % 2 == 0
        first, second = (output, other) if even else (other, output)
        self.lines.append(self.driver.calls.copy(first, f"%p{k}", size_of(self.graph.inputs[k])))
        self.places.append(other)
        begin = self.address(first)
        return begin, self.let(f"sub i64 {self.address(second)}, {begin}")

    def code(self) -> jit.Code:
        """The kernel, compiled."""
        parameters = ", ".join([f"ptr %p{k}" for k in range(self.pointers)])
        call = f"  %reached = call i64 @rounds(ptr %table, i64 0, i64 {self.count})"
        kernel = [
            f"define void @{ENTRY}({parameters}) nounwind {{",
            f"  %table = alloca [{len(self.words)} x i64]",
            *self.lines,
            *stores("table", [f"i64 {word}" for word in self.words]),
            *([f"  store i8 0, ptr {self.fault}"] if self.fails else []),
            *(self.deciding(call) if self.until else self.counting(call)),
            "}",
        ]
        text = [*self.driver.lines(), *kernel, spread_ir(ENTRY, self.pointers)]
        return self.driver.calls.compiled(text, ENTRY, spread_name(ENTRY))

    def counting(self, call: str) -> list[str]:
        """The end of a kernel of so many rounds."""
        lines = [call] if self.count else []
        if self.fails and self.count:
            lines += [
                "  %failed = icmp slt i64 %reached, 0",
                "  %fault = zext i1 %failed to i8",
                f"  store i8 %fault, ptr {self.fault}",
            ]
        return [*lines, "  ret void"]

    def deciding(self, call: str) -> list[str]:
        """The end of a kernel that goes on while it is told to, but not for ever."""
        copies = [
            self.driver.calls.copy(f"%p{self.first + k}", place, size_of(self.graph.inputs[k]))
            for k, place in enumerate(self.places)
        ]
        return [
            f"  %begins = load i8, ptr %p{self.inputs}",
            "  %begin = icmp ne i8 %begins, 0",
            "  br i1 %begin, label %run, label %done",
            "run:",
            call,
            "  %failed = icmp slt i64 %reached, 0",
            "  %again = load i8, ptr %more",
            "  %open = icmp ne i8 %again, 0",
            "  %left = or i1 %failed, %open",
            "  %fault = zext i1 %left to i8",
            f"  store i8 %fault, ptr {self.fault}",
            "  %beyond = icmp sgt i64 %reached, 0",
            "  %long = and i1 %open, %beyond",
            "  br i1 %long, label %note, label %end",
            "note:",
            f"  store i8 1, ptr {self.driver.calls.constant(self.graph.cache[LONG])}",
            "  br label %end",
            "end:",
            "  %odd = trunc i64 %reached to i1",
            "  br i1 %odd, label %turn, label %done",
            "turn:",  # the last round has written to the other place
            *copies,
            "  br label %done",
            "done:",
            "  ret void",
        ]


def code(node: Node) -> jit.Code:
    """The native code of a loop; made once, and kept with its graph."""
    graph, count = node.attrs["graph"], node.attrs["count"]
    key = ("rounds", count, node.attrs["reverse"])
    if key not in graph.cache:
        graph.cache[key] = Writer(**node.attrs).code()
    made: jit.Code = graph.cache[key]
    return made


came_through = Op(
    raise_nothing,
    infer=lambda y, fault: y.spec,
    name="came_through",
    lower=Require(truth=1),
    holomorphic=False,
)
came_through.opaque = MADE_LATE
native_loop = Op(run_loop, infer=loop_spec, name="native_loop", holomorphic=False)
native_loop.opaque = MADE_LATE
KERNELS[native_loop] = Kernel(lambda node, over, inside: code(node))
