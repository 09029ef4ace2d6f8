"""The text of an LLVM module: functions under construction, their blocks, loops and branches.

Loops are written with explicit phi nodes, so a finished module needs no middle end: code
generation alone makes it fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

Index = str | int
"""An i64 of the text: the name of a value, or a constant known while writing."""

NONTEMPORAL = "!nontemporal !0"
UNLIKELY = "!prof !1"
METADATA = '!0 = !{i32 1}\n!1 = !{!"branch_weights", i32 1, i32 4000}\n'
ATTRIBUTES = "attributes #0 = { nounwind }\nattributes #1 = { nounwind noinline optnone }\n"


class Module:
    """Functions that are compiled together, and what they share: declarations and constants."""

    def __init__(self) -> None:
        self.functions: list[Function] = []
        self.definitions: dict[str, str] = {}
        self.assembly: list[str] = []  # lines of functions that are no text of LLVM's

    def function(
        self,
        name: str,
        parameters: Sequence[str],
        *,
        internal: bool = False,
        quick: bool = False,
    ) -> Function:
        """Open `void @name(parameters)`; each parameter is LLVM text such as "ptr noalias %x".

        internal: not visible outside the module, so that LLVM may inline it away.
        quick: to be compiled in half the time, as what it calls is what takes time when it runs.
        """
        function = Function(self, name, tuple(parameters), internal=internal, quick=quick)
        self.functions.append(function)
        return function

    def declare(self, result: str, name: str, parameters: str) -> None:
        """Declare the intrinsic or imported function `result @name(parameters)`, once."""
        self.definitions.setdefault(name, f"declare {result} @{name}({parameters})")

    def define(self, name: str, text: str) -> None:
        """Enter the complete `text` of the constant or function `name`, once."""
        self.definitions.setdefault(name, text)

    def render(self) -> str:
        """The whole module as LLVM assembly."""
        assembly = [f'module asm "{line}"' for line in self.assembly]
        parts = [
            *assembly,
            *self.definitions.values(),
            *(function.render() for function in self.functions),
        ]
        return "\n".join([*parts, ATTRIBUTES, METADATA])


@dataclass
class Carried:
    """The values a loop hands from one round to the next.

    Inside the loop `values` are those at the start of the round, and the body sets `following`;
    after the loop `values` are the final ones. `index` is the loop counter, an i64.
    """

    index: str
    values: list[str]
    following: list[str] = field(default_factory=list)


class Function:
    """A function under construction: lines are appended, names and labels are made unique."""

    def __init__(
        self,
        module: Module,
        name: str,
        parameters: tuple[str, ...],
        *,
        internal: bool,
        quick: bool = False,
    ):
        self.module = module
        self.name = name
        self.parameters = parameters
        self.internal = internal
        self.quick = quick
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self.block = "entry"
        self.counter = 0
        self.pairs: dict[str, tuple[str, str]] = {}  # the parts that complex values are made of

    def render(self) -> str:
        """The function as LLVM assembly."""
        linkage = "internal " if self.internal else ""
        group = f"#{int(self.quick)}"
        head = f"define {linkage}void @{self.name}({', '.join(self.parameters)}) {group} {{"
        return "\n".join([head, "entry:", *self.allocas, *self.lines, "  ret void", "}"])

    def render_value(self, kind: str, value: str) -> str:
        """The same as a function inside the module that returns `value`, of LLVM type `kind`."""
        head = f'define internal fastcc {kind} @"{self.name}"({", ".join(self.parameters)}) #0 {{'
        return "\n".join([head, "entry:", *self.allocas, *self.lines, f"  ret {kind} {value}", "}"])

    def name_value(self) -> str:
        """A name no other value of this function has."""
        self.counter += 1
        return f"%v{self.counter}"

    def let(self, instruction: str) -> str:
        """Append `instruction`, and return the name of its result."""
        name = self.name_value()
        self.lines.append(f"  {name} = {instruction}")
        return name

    def do(self, instruction: str) -> None:
        """Append an `instruction` that has no result."""
        self.lines.append(f"  {instruction}")

    def scratch(self, size: int, align: int = 64) -> str:
        """A pointer to `size` bytes on the stack, which live as long as the call."""
        name = self.name_value()
        self.allocas.append(f"  {name} = alloca [{size} x i8], align {align}")
        return name

    # Indices: constants are folded while writing.

    def plus(self, i: Index, j: Index) -> Index:
        """`i + j`; neither wraps nor is negative where used as an index."""
        if isinstance(i, int) and isinstance(j, int):
            return i + j
        if i == 0 or j == 0:
            return j if i == 0 else i
        return self.let(f"add nsw i64 {i}, {j}")

    def times(self, i: Index, j: Index) -> Index:
        """`i * j`, of indices."""
        if isinstance(i, int) and isinstance(j, int):
            return i * j
        if i == 0 or j == 0:
            return 0
        if i == 1 or j == 1:
            return j if i == 1 else i
        return self.let(f"mul nsw i64 {i}, {j}")

    def address(self, pointer: str, index: Index, kind: str, *, beyond: bool = False) -> str:
        """The address of element `index` of the array of LLVM type `kind` at `pointer`.

        beyond: there may be none of that number, or before the first; then nobody reads it.
        """
        if index == 0:
            return pointer
        within = "" if beyond else " inbounds"
        return self.let(f"getelementptr{within} {kind}, ptr {pointer}, i64 {index}")

    # Control flow.

    def label(self, hint: str) -> str:
        """A label no other block of this function has; `place` it once."""
        self.counter += 1
        return f"{hint}{self.counter}"

    def place(self, label: str) -> None:
        """Start the block `label`; the block before must have been ended by a branch."""
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str) -> None:
        """End the block: go to `label`."""
        self.do(f"br label %{label}")

    def branch(self, condition: str, then: str, other: str, *, unlikely: bool = False) -> None:
        """End the block: to `then` if the i1 `condition` holds, else to `other`.

        unlikely: lay the code out for `other`.
        """
        weights = f", {UNLIKELY}" if unlikely else ""
        self.do(f"br i1 {condition}, label %{then}, label %{other}{weights}")

    def phi(self, kind: str, *incoming: tuple[str, str]) -> str:
        """The value that belongs to the block control came from: pairs (value, block)."""
        return self.let(f"phi {kind} " + ", ".join(f"[ {v}, %{b} ]" for v, b in incoming))

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What is written inside runs only if the i1 `condition` holds; it yields no values."""
        inside, after = self.label("then"), self.label("after")
        self.branch(condition, inside, after)
        self.place(inside)
        yield
        self.jump(after)
        self.place(after)

    @contextmanager
    def loop(
        self,
        low: Index,
        high: Index,
        step: int = 1,
        carried: Sequence[tuple[str, str]] = (),
        *,
        surely: bool = False,
    ) -> Iterator[Carried]:
        """Repeat what is written inside for index low, low + step, ... below high.

        carried: (LLVM type, initial value) of the values handed from round to round.
        surely: there is a first round, even if numbers do not show it.
        """
        body, after, before = self.label("loop"), self.label("after"), self.block
        surely = surely or (isinstance(low, int) and isinstance(high, int) and low < high)
        if surely:
            self.jump(body)
        else:
            self.branch(self.let(f"icmp slt i64 {low}, {high}"), body, after)
        self.place(body)
        kinds = ["i64", *(kind for kind, _ in carried)]
        starts = [str(low), *(value for _, value in carried)]
        names = [self.name_value() for _ in kinds]
        heads = len(self.lines)
        self.lines += names  # replaced below: the phis need the names that the body makes
        state = Carried(names[0], names[1:])
        yield state
        if len(state.following) != len(carried):
            raise ValueError(
                f"loop: {len(carried)} carried values need as many following ones; the body "
                f"set {len(state.following)}; assign `following` inside the loop"
            )
        following = [self.let(f"add nuw nsw i64 {names[0]}, {step}"), *state.following]
        latch = self.block
        for k, (kind, name) in enumerate(zip(kinds, names, strict=True)):
            edges = f"[ {starts[k]}, %{before} ], [ {following[k]}, %{latch} ]"
            self.lines[heads + k] = f"  {name} = phi {kind} {edges}"
        self.branch(self.let(f"icmp slt i64 {following[0]}, {high}"), body, after)
        self.place(after)
        if surely:
            state.values = list(state.following)
        else:
            edges_of = zip(carried, state.following, strict=True)
            state.values = [self.phi(k, (v, before), (f, latch)) for (k, v), f in edges_of]
