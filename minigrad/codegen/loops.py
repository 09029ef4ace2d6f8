"""The loop nest of a group: what is decided before a line of LLVM is written, and can be read.

softmax(x0: float32[4096,1000]) -> y0: float32[4096,1000]
for i in 4096:
    for j in 1000 by 32 x 2:
        v1 = x0[1000 i + j]
        v2 = reduce_max(v2, v1)
    ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from ..core.op import Op
from ..ops.spectra import join_scale

DType: TypeAlias = np.dtype[Any]
Operand: TypeAlias = "str | bool | int | float | complex"
"""The name of a value of the nest, or a Python number."""


@dataclass(frozen=True)
class Buffer:
    """An array in memory: an input or output of the kernel, or one of its own.

    role: what the kernel has for itself is "scratch", one row, or "sums", which outlive rows;
    "number" is no memory at all, its element k is k.
    lanes: so many rows of "scratch" side by side, each for a lane of its own.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    role: Literal["input", "output", "scratch", "sums", "number"]
    lanes: int = 1

    def __str__(self) -> str:
        lanes = f", in {self.lanes} lanes" if self.lanes > 1 else ""
        return f"{self.name}: {self.dtype}[{','.join(map(str, self.shape))}]{lanes}"


@dataclass(frozen=True)
class Place:
    """The element of a buffer at `offset` plus, for each loop variable, its stride times it.

    at: the same for values that say where, by name.
    """

    buffer: Buffer
    offset: int
    strides: tuple[tuple[str, int], ...]
    at: tuple[tuple[str, int], ...] = ()

    def stride(self, var: str) -> int:
        """How many elements further one step of the loop over `var` leads."""
        return dict(self.strides).get(var, 0)

    def __str__(self) -> str:
        steps = (*self.at, *self.strides)
        terms = [var if stride == 1 else f"{stride} {var}" for var, stride in steps]
        terms += [str(self.offset)] if self.offset or not terms else []
        number = " + ".join(terms)
        return number if self.buffer.role == "number" else f"{self.buffer.name}[{number}]"


@dataclass(frozen=True)
class Load:
    """`name` is the element at `place`; where the mask `inside` is false, it is `otherwise`."""

    name: str
    place: Place
    inside: str = ""
    otherwise: bool | int | float | complex = 0

    def __str__(self) -> str:
        condition = f" if {self.inside} else {self.otherwise}" if self.inside else ""
        return f"{self.name} = {self.place}{condition}"


@dataclass(frozen=True)
class Apply:
    """`name`, of `dtype`, is `op` of operands that are first cast to `dtypes`; None only casts."""

    name: str
    op: Op | None
    operands: tuple[Operand, ...]
    dtypes: tuple[DType, ...]
    dtype: DType

    @property
    def function(self) -> Op | None:
        """The op, unless it only casts."""
        return None if self.op is None or self.op.name == "cast" else self.op

    def __str__(self) -> str:
        function = self.dtype if self.function is None else self.function.name
        return f"{self.name} = {function}({', '.join(map(str, self.operands))})"


@dataclass(frozen=True)
class Store:
    """The element at `place` becomes `value`; `past` the caches, where lines are whole."""

    place: Place
    value: Operand
    past: bool = False

    def __str__(self) -> str:
        return f"{self.place} = {self.value}{'  # past the caches' if self.past else ''}"


@dataclass(frozen=True)
class Fetch:
    """Have what is at `place` come near, if there is anything; `written`: it will be stored to."""

    place: Place
    written: bool = False

    def __str__(self) -> str:
        return f"fetch {self.place}{', to store to it' if self.written else ''}"


@dataclass(frozen=True)
class Fold:
    """Combine `value` into `name` by the reduction `op`; `name` is known behind the loop.

    dtype: of the accumulators in the lanes of a vector. wide: of `name`, in which what has been
    accumulated in lanes and blocks is combined. compensated: keep what rounding loses then.
    """

    name: str
    op: Op
    value: Operand
    dtype: DType
    wide: DType
    compensated: bool = False

    def __str__(self) -> str:
        how = "" if self.wide == self.dtype else f"  # in {self.wide}"
        how = "  # compensated" if self.compensated else how
        return f"{self.name} = {self.op.name}({self.name}, {self.value}){how}"


@dataclass(frozen=True)
class Scan:
    """`name` is what `op` makes of `operands` and all before them in the loop, in `dtype`."""

    name: str
    op: Op
    operands: tuple[Operand, ...]
    dtype: DType

    def __str__(self) -> str:
        return f"{self.name} = {self.op.name}({', '.join(map(str, self.operands))}), so far"


@dataclass(frozen=True)
class Update:
    """Combine `value` into the element at `place`, which lives in memory, by `op`."""

    place: Place
    op: Op
    value: Operand

    def __str__(self) -> str:
        return f"{self.place} = {self.op.name}({self.place}, {self.value})"


@dataclass(frozen=True)
class Draw:
    """The `count` elements from `place` on become random bits of the state in `state`."""

    place: Place
    state: Place
    count: int

    def __str__(self) -> str:
        return f"{self.place}, {self.count} = random bits of {self.state.buffer.name}"


@dataclass(frozen=True)
class Transform:
    """A Fourier transform of a row: `places` of x, y, and the room for its steps, if it has any.

    columns: of a strip of columns. table: of its factors. Others: as of the op `transformed`.
    """

    places: tuple[Place, ...]
    table: Buffer
    kind: str
    n: int
    scale: float
    weighted: bool
    columns: bool

    @property
    def points(self) -> int:
        """Of the complex transform that it is made of."""
        return self.n // 2 if self.kind in ("real", "half") else self.n

    @property
    def join_scale(self) -> float:
        """What sums and differences of two halves of a spectrum are multiplied by."""
        return join_scale(self.kind, self.scale, self.weighted)

    def __str__(self) -> str:
        x, y, *_ = self.places
        what = f"{self.kind} Fourier transform of {self.n} points"
        return f"{y}, ... = {what}{' along columns' * self.columns} from {x}"


@dataclass
class Loop:
    """Repeat `body` for `var` from 0 to `extent`.

    lanes: so many rounds at once, in a vector. unroll: so many vectors in turn, each with
    accumulators of its own. chunk: what lanes have accumulated is combined after so many rounds.
    block: so many rounds of a loop around others are made in lockstep, statement by statement.
    backwards: from the last round to the first.
    carries: rounds go on with what the one before has left in memory: one thread, no lanes.
    each: not a loop of its own: the rounds of the block around it, each by itself.
    calls: long functions are called in it, and not written out.
    copies: it copies an input to an output, which may be in the same place already.
    share: so many rounds are what a thread does in a row; 0 where threads do not share the loop.
    """

    var: str
    extent: int
    body: list[Statement] = field(default_factory=list)
    lanes: int = 1
    unroll: int = 1
    chunk: int = 0
    block: int = 1
    vector: bool = False
    each: bool = False
    backwards: bool = False
    carries: bool = False
    calls: bool = False
    copies: bool = False
    share: int = 0

    @property
    def folds(self) -> list[Fold]:
        """The reductions that this loop makes."""
        return [statement for statement in self.body if isinstance(statement, Fold)]

    @property
    def past(self) -> list[Place]:
        """Where this loop stores past the caches."""
        return [s.place for s in self.body if isinstance(s, Store) and s.past]

    @property
    def scans(self) -> list[Scan]:
        """The running results that this loop makes."""
        return [statement for statement in self.body if isinstance(statement, Scan)]

    def meets_itself(self, statement: Statement) -> bool:
        """Whether two rounds may write to one element, so that one must come after the other."""
        if not isinstance(statement, Store | Update) or not statement.place.at:
            return False
        places = dict(statement.place.at)
        known = {s.name for s in self.body if isinstance(s, Load | Apply | Scan)}
        return not statement.place.stride(self.var) or not known.isdisjoint(places)

    def head(self) -> str:
        """The first line of the loop."""
        if self.each:
            return f"for each {self.var} of the block:"
        turns = f" x {self.unroll}" if self.unroll > 1 else ""
        by = f" by {self.lanes}" if self.vector else f" by {self.block}" if self.block > 1 else ""
        by += turns
        chunk = f", in chunks of {self.chunk}" if 0 < self.chunk < self.extent else ""
        shared = f", shared by {self.share}" if self.share else ""
        by += ", backwards" if self.backwards else ""
        calls = ", calling functions" if self.calls else ""
        return f"for {self.var} in {self.extent}{by}{chunk}{calls}{shared}:"


Statement: TypeAlias = Load | Apply | Store | Fetch | Fold | Scan | Update | Draw | Transform | Loop


@dataclass
class LoopNest:
    """A kernel before it is LLVM: buffers, and the loops over them.

    vector_bytes: the width of the registers that it is made for.
    """

    name: str
    inputs: list[Buffer]
    outputs: list[Buffer]
    scratch: list[Buffer]
    body: list[Statement]
    vector_bytes: int

    def __str__(self) -> str:
        inputs = ", ".join(map(str, self.inputs))
        head = f"{self.name}({inputs}) -> {', '.join(map(str, self.outputs))}"
        rows = [f"    {buffer.role} {buffer}" for buffer in self.scratch]
        return "\n".join([head, *rows, *lines(self.body, 1)])


def own_buffers(body: list[Statement]) -> list[Buffer]:
    """The buffers in `body` that are neither inputs nor outputs."""
    places = [s.place for s in statements(body) if isinstance(s, Load | Store | Update)]
    return [*dict.fromkeys(p.buffer for p in places if p.buffer.role in ("scratch", "sums"))]


def lines(body: list[Statement], depth: int) -> Iterator[str]:
    """The text of statements, indented."""
    for statement in body:
        if isinstance(statement, Loop):
            yield "    " * depth + statement.head()
            yield from lines(statement.body, depth + 1)
        else:
            yield "    " * depth + str(statement)


def statements(body: list[Statement]) -> Iterator[Statement]:
    """All statements, those inside of loops after their loop."""
    for statement in body:
        yield statement
        if isinstance(statement, Loop):
            yield from statements(statement.body)
