"""`stretch`: an op that means a graph of kernels, run by one native call.

What no one sees outside of it lies in an arena. Variables are read and assigned inside; what
replaces the array of one is written over it, where nobody else holds it and nothing reads it later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple

from ..core.lowering import Body
from ..core.op import MADE_LATE, Node, Op
from ..core.spec import Spec
from ..core.tensor import Symbol
from ..graph import Graph
from ..text import named
from ..variable import assign_variable, read_variable
from . import jit
from .arena import Interval, offsets
from .call import begin_builtins, make_callable
from .driver import (
    Calls,
    arguments,
    begin_kernel,
    is_check,
    is_native,
    kernel,
    kernel_text,
    longest_first,
    size_of,
    truth_of,
)
from .executable import executable
from .fastcall import CALLING, ArraySpec, Signature, spread_name
from .fused import ENTRY, fused, loops, signature
from .inplace import overwrites
from .repeat import long_ones

NAME = "stretch"

Callee = Callable[..., Any]


def stretch_spec(*inputs: Any, graph: Graph) -> tuple[Spec, ...]:
    """The specs of the graph's outputs."""
    return tuple([y.spec for y in graph.outputs])


def run_stretch(*inputs: Any, graph: Graph) -> tuple[Any, ...]:
    """The outputs of a stretch of kernels."""
    made: tuple[Any, ...] = prepared(graph=graph)(*inputs)
    return made


def prepared(*, graph: Graph) -> Callee:
    """The function of arrays and cells that does what `graph` says; made once, kept with it.

    Without LLVM it is the graph's own functions: the same meaning, and the reference.
    """
    if not jit.available():
        return executable(graph)
    if "native" not in graph.cache:
        graph.cache["native"] = make_callable(*compiled(graph), partial(reference, graph))
    made: Callee = graph.cache["native"]
    return made


def reference(graph: Graph, *args: Any) -> Any:
    """What a stretch gives, kernel by kernel: where one may not go on, it says why."""
    return executable(graph)(*args)


def compiled(graph: Graph) -> tuple[jit.Code, Signature]:
    """The native code of a stretch, and how it is called; made once, and kept with it."""
    if "code" not in graph.cache:
        found = plan(graph)
        inputs = [ArraySpec(tuple(x.shape), x.dtype) for x in graph.inputs]
        outputs = [ArraySpec(tuple(y.shape), y.dtype) for y in found.outputs]
        called = Signature(
            NAME,
            inputs,
            outputs,
            packed=True,
            arena=found.arena,
            cells=frozenset(k for k, x in enumerate(graph.inputs) if x in found.cells),
            written=found.written,
            over=found.over,
            checked=any(map(is_check, graph.nodes)),
        )
        begin_builtins()
        ahead = begin_kernels(graph, found)
        graph.cache["code"] = Text(graph, found).compiled(), called
        del ahead  # kept so far, as what is made ahead is made for those who keep it
    made: tuple[jit.Code, Signature] = graph.cache["code"]
    return made


def begun(*, graph: Graph) -> Any:
    """Have other threads compile the kernels; whoever keeps what this gives can wait for them."""
    if not jit.available() or "code" in graph.cache:
        return None
    return begin_kernels(graph, plan(graph))


def begin_kernels(graph: Graph, found: Plan) -> list[Any]:
    """As `begun`, of a stretch that is planned."""
    kernels = [node for node in graph.nodes if is_native(node)]
    if len(kernels) == 1:
        return []  # it is compiled with its call, here
    pairs = zip(kernels, found.aliased, strict=True)
    return [begin_kernel(node, over) for node, over in longest_first(pairs)]


def native_code(node: Node) -> tuple[jit.Code, Signature] | None:
    """The native code of `node`, and how it is called; None where it is not of kernels."""
    if is_native(node):
        return kernel(node, inside=False), signature(node.attrs["graph"])
    return compiled(node.attrs["graph"]) if node.op in (stretch, stateful_stretch) else None


class Plan(NamedTuple):
    """Where the values of a stretch lie.

    outputs: what the code gives, values for cells last. cells: the inputs that are cells.
    written: output number -> number of the input that is its cell. over: those of the outputs
    that may be written over the old array. offsets: of values in the arena, by what they are
    views of. inside: values that lie in the memory of an output, by its number. arena: its bytes.
    aliased: for each kernel, which of its outputs may be in the memory of an input.
    """

    outputs: list[Any]
    cells: frozenset[Any]
    written: dict[int, int]
    over: frozenset[int]
    offsets: dict[Any, int]
    inside: dict[Any, int]
    arena: int
    aliased: list[frozenset[int]]


def memory_report(graph: Graph) -> str:
    """Where the values of a stretch lie, a line each, by the names that it prints."""
    found, names = plan(graph), named(graph)
    numbers = {k: names[y] for k, y in enumerate(found.outputs) if y in names}
    rows = [f"arena of {found.arena} bytes"]
    rows += [f"{names[x]} in the arena at {offset}" for x, offset in found.offsets.items()]
    inside = [(x, k) for x, k in found.inside.items() if names[x] != numbers[k]]
    rows += [f"{names[x]} in the memory of {numbers[k]}" for x, k in inside]
    for k in sorted(found.over):
        cell = graph.inputs[found.written[k]]
        rows.append(f"{numbers[k]} over the old value of {names[cell]}, if nobody else holds it")
    return "\n".join(rows)


class Storage:
    """Memory that values take in turn: an output's, or a place in the arena.

    begin, end: the first and last kernel that needs it.
    """

    def __init__(self, size: int, begin: int) -> None:
        self.size = size
        self.begin = self.end = begin
        self.output: int | None = None


def plan(graph: Graph) -> Plan:
    """Where the values of `graph` shall lie."""
    return Planning(graph).plan()


class Planning:
    """Decides where the values of a stretch lie: kernel by kernel, then the arena as a whole."""

    def __init__(self, graph: Graph) -> None:
        self.kernels = [node for node in graph.nodes if is_native(node)]
        self.origins = origins(graph)
        assigned = [node for node in graph.nodes if node.op is assign_variable]
        places = {x: k for k, x in enumerate(graph.inputs)}
        self.cells = frozenset(
            node.inputs[0] for node in graph.nodes if node.op in (read_variable, assign_variable)
        )
        self.outputs = [*graph.outputs, *[node.inputs[1] for node in assigned]]
        first = len(graph.outputs)
        self.written = {first + k: places[node.inputs[0]] for k, node in enumerate(assigned)}
        self.cell_of = {self.origin(node.inputs[1]): node.inputs[0] for node in assigned}
        self.number = {self.origin(y): k for k, y in enumerate(self.outputs)}
        self.last = {self.origin(x): k for k, node in enumerate(self.kernels) for x in node.inputs}
        self.sure = self.look_at_checks(graph)
        self.storage: dict[Any, Storage] = {}
        self.over: set[int] = set()
        self.aliased: list[frozenset[int]] = []

    def look_at_checks(self, graph: Graph) -> int:
        """The number of the first kernel that runs when nothing can fail any more."""
        before = sure = 0
        for node in graph.nodes:
            before += is_native(node)
            if is_check(node):
                sure = before
                x = self.origin(truth_of(node))
                self.last[x] = max(self.last.get(x, 0), before - 1)
        return sure

    def origin(self, x: Any) -> Any:
        """What `x` is a view of."""
        return self.origins.get(x, x)

    def plan(self) -> Plan:
        """Go through the kernels, then lay out the arena."""
        for k, node in enumerate(self.kernels):
            self.aliased.append(frozenset(self.placed(k, node)))
        owned = {x: s for x, s in self.storage.items() if s.output is None}
        distinct = list(dict.fromkeys(owned.values()))
        starts, size = offsets([Interval(s.size, s.begin, s.end) for s in distinct])
        start = dict(zip(distinct, starts, strict=True))
        inside = {x: s.output for x, s in self.storage.items() if s.output is not None}
        return Plan(
            self.outputs,
            self.cells,
            self.written,
            frozenset(self.over),
            {x: start[s] for x, s in owned.items()},
            inside,
            size,
            self.aliased,
        )

    def placed(self, k: int, node: Node) -> list[int]:
        """Place the outputs of kernel `k`; those that may lie where an input lies."""
        pairs = overwrites(loops(node.attrs["graph"])) if node.op is fused else frozenset()
        times = Counter([self.origin(x) for x in node.inputs])
        # what is needed no more, and by which number: tensors are not compared, they are found
        free = {self.origin(x): i for i, x in enumerate(node.inputs)}
        free = {x: i for x, i in free.items() if self.last[x] == k and times[x] == 1}
        found = []
        for j, y in enumerate(node.outputs):
            takes = {x: None for x, i in free.items() if (j, i) in pairs}
            number = self.number.get(y)
            if number in self.written:
                if self.may_write_over(y, k, takes):
                    self.over.add(number)
                    found += [j] if self.cell_of[y] in takes else []
                continue
            took = next((x for x in takes if self.fits(x, y)), None)
            if took is not None:
                self.storage[y] = self.storage[took]
                self.storage[y].output = number
                del free[took]
                found.append(j)
            elif number is None:
                self.storage[y] = Storage(size_of(y), k)
            if number is None:
                self.storage[y].end = self.last.get(y, k)
        return found

    def may_write_over(self, y: Any, k: int, takes: Collection[Any]) -> bool:
        """Whether kernel `k` may write `y` over the array that it replaces."""
        cell = self.cell_of[y]
        return k >= self.sure and (self.last.get(cell, -1) < k or cell in takes)

    def fits(self, x: Any, y: Any) -> bool:
        """Whether `x` lies in the arena by itself, in memory that suits `y`."""
        storage = self.storage.get(x)
        return storage is not None and storage.output is None and storage.size == size_of(y)


def origins(graph: Graph) -> dict[Any, Any]:
    """What the values are views of that moves give: kernels' outputs, inputs, and cells."""
    found: dict[Any, Any] = {}
    for node in graph.nodes:
        if not is_native(node) and node.op is not assign_variable:
            x = node.inputs[0]
            found[node.outputs[0]] = found.get(x, x)
    return found


class Text:
    """Writes the code of a stretch: `void stretch.spread(ptr pointers)`."""

    def __init__(self, graph: Graph, found: Plan) -> None:
        self.plan = found
        self.calls = Calls()
        self.steps = [node for node in graph.nodes if is_native(node) or is_check(node)]
        self.origins = origins(graph)
        self.lines: list[str] = []
        self.places = {x: k for k, x in enumerate(graph.inputs)}
        numbers = {self.origins.get(y, y): k for k, y in enumerate(found.outputs)}
        count = len(graph.inputs)
        self.places |= {y: count + k for y, k in numbers.items()}
        self.places |= {x: count + k for x, k in found.inside.items()}
        self.room = count + len(found.outputs)
        self.known: dict[Any, str] = {}

    def compiled(self) -> jit.Code:
        """The module. That of a single kernel holds the kernel, too."""
        symbol = spread_name(NAME)
        head = [f'define i64 @"{symbol}"(ptr %pointers) {CALLING} {{']
        only = kernel_text(self.steps[0], self.plan.aliased[0]) if len(self.steps) == 1 else None
        if only is not None:
            (node,) = self.steps
            pointers = [self.pointer(x) for x in (*node.inputs, *node.outputs)]
            call = f"  call void @{ENTRY}({arguments(pointers)})"
            lines = [only, *head, *self.lines, call, *self.calls.ending()]
            return self.calls.compiled(lines, symbol, parted=True)
        over = iter(self.plan.aliased)
        for long in long_ones(self.steps):
            self.lines += self.calls.check(self.pointer(long))
        for node in self.steps:
            if is_check(node):
                pointer = self.pointer(truth_of(node))
                self.lines += self.calls.check(pointer)
                continue
            pointers = [self.pointer(x) for x in (*node.inputs, *node.outputs)]
            self.lines.append(self.calls.kernel(node, pointers, next(over)))
        lines = [*head, *self.lines, *self.calls.ending()]
        return self.calls.compiled(lines, symbol, quick=True)

    def pointer(self, x: Any) -> str:
        """The pointer to the elements of `x`."""
        x = self.origins.get(x, x)
        if x not in self.known:
            if type(x) is not Symbol:
                self.known[x] = self.calls.constant(x)
            elif x in self.places:
                self.known[x] = self.loaded(self.places[x])
            else:
                name = f"%v{len(self.known)}"
                offset = self.plan.offsets[x]
                base = self.loaded(self.room)
                self.lines.append(f"  {name} = getelementptr i8, ptr {base}, i64 {offset}")
                self.known[x] = name
        return self.known[x]

    def loaded(self, place: int) -> str:
        """A pointer that the code is given."""
        name = f"%p{len(self.lines)}"
        self.lines += [
            f"  {name}.at = getelementptr ptr, ptr %pointers, i64 {place}",
            f"  {name} = load ptr, ptr {name}.at",
        ]
        return name


def stretch_op(name: str, *, stateful: bool) -> Op:
    """An op that means a graph of kernels. Graphs that assign Variables have an op of their own."""
    op = Op(
        run_stretch,
        infer=stretch_spec,
        name=name,
        lower=Body(lambda attrs: attrs["graph"]),
        stateful=stateful,
    )
    # how an executable binds it: attributes are settled before the first call
    op.prepare, op.begin = prepared, begun
    op.opaque = MADE_LATE
    return op


stretch = stretch_op("stretch", stateful=False)
stateful_stretch = stretch_op("stateful_stretch", stateful=True)
