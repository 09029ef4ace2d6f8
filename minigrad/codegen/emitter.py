"""The Emitter of loop bodies in LLVM IR text, with the memory access that loops need around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.lowering import Value
from . import exact, items, vecmath, vecmath_complex, vecmath_normal
from .arithmetic import BOOL, Arithmetic, lane_type, spelled_lane
from .items import memory_dtype
from .text import NONTEMPORAL, Carried, Index

ROUNDINGS = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "roundeven"}


class VectorEmitter(Arithmetic):
    """Writes loop bodies into a Function, on vectors of `lanes` lanes (1: scalars).

    lanes: a power of two. Several emitters of different lanes may write into one Function.
    """

    def with_lanes(self, lanes: int) -> VectorEmitter:
        """An emitter of another number of lanes, writing into the same Function."""
        return self if lanes == self.lanes else VectorEmitter(self.function, lanes)

    @property
    def scalar(self) -> VectorEmitter:
        """The emitter of scalars into the same Function."""
        return self.with_lanes(1)

    # Functions of one or two operands.

    def div(self, x1: Value, x2: Value) -> Value:
        """The quotient; of floats, correctly rounded."""
        return self.math("divide", x1, x2) if x1.dtype.kind == "c" else super().div(x1, x2)

    def math(self, name: str, *xs: Value) -> Value:
        """A function by its array API name; which ones: `supports`."""
        if xs[0].dtype.kind == "c":
            return vecmath_complex.apply(self, name, *xs)
        match name:
            case "maximum" | "minimum":
                return self.extremum(name, *xs)
            case "abs":
                return self.absolute(*xs)
            case "sign":
                return self.sign(*xs)
            case "copysign":
                return self.intrinsic("copysign", *xs)
        if name in ROUNDINGS:
            return self.intrinsic(ROUNDINGS[name], *xs) if xs[0].dtype.kind == "f" else xs[0]
        if name in exact.RULES and exact.supported(name, xs[0].dtype):
            return exact.RULES[name](self, *xs)
        if name in vecmath_normal.RULES and vecmath_normal.supported(xs[-1].dtype):
            return vecmath_normal.RULES[name](self, *xs)
        if xs[0].dtype.kind != "f":
            raise TypeError(
                f"native code: {name} of {xs[0].dtype} was asked for, but it is a function of "
                f"float32 or float64; cast the operand first"
            )
        return vecmath.apply(self, name, *xs)

    def extremum(self, name: str, x1: Value, x2: Value) -> Value:
        """np.maximum or np.minimum: NaN if either is NaN."""
        relation = ">" if name == "maximum" else "<"
        if x1.dtype.kind != "f":
            return self.select(self.compare(relation, x1, x2), x1, x2)
        if is_constant(x2):
            x1, x2 = x2, x1
        # The machine's own instruction returns its second operand where either is NaN.
        larger = self.select(self.compare(relation, x1, x2), x1, x2)
        return larger if is_constant(x1) else self.select(self.is_nan(x1), x1, larger)

    def absolute(self, x: Value) -> Value:
        """np.abs: the most negative integer stays what it is."""
        match x.dtype.kind:
            case "f":
                return self.intrinsic("fabs", x)
            case "i":
                return self.intrinsic("abs", x, more="i1 false")
        return x

    def sign(self, x: Value) -> Value:
        """np.sign: -1, 0 or 1; NaN of NaN."""
        if x.dtype.kind == "b":
            return x
        zero, one = self.const(0, x.dtype), self.const(1, x.dtype)
        positive = self.select(self.compare(">", x, zero), one, zero)
        if x.dtype.kind == "u":
            return positive
        signed = self.select(self.compare("<", x, zero), self.const(-1, x.dtype), positive)
        return self.select(self.is_nan(x), x, signed) if x.dtype.kind == "f" else signed

    # Vectors made of scalars, and scalars made of vectors.

    def splat(self, x: Value) -> Value:
        """The scalar `x` in every lane."""
        if self.lanes == 1:
            return x
        if x.dtype.kind == "c":
            return self.pair(*map(self.splat, self.scalar.parts(x)))
        lane, kind = lane_type(x.dtype), self.type_of(x.dtype)
        if is_constant(x):
            return Value(f"splat ({lane} {x.text})", x.dtype)
        first = self.function.let(f"insertelement {kind} poison, {lane} {x.text}, i64 0")
        lanes = f"<{self.lanes} x i32> zeroinitializer"
        return self.let(f"shufflevector {kind} {first}, {kind} poison, {lanes}", x.dtype)

    def iota(self, dtype: Any = np.int64) -> Value:
        """0, 1, 2, ... over the lanes, in an integer dtype."""
        dtype = np.dtype(dtype)
        if self.lanes == 1:
            return Value("0", dtype)
        lane = lane_type(dtype)
        return Value("<" + ", ".join(f"{lane} {k}" for k in range(self.lanes)) + ">", dtype)

    def lane(self, x: Value, k: int) -> Value:
        """Lane `k` of `x`, a scalar."""
        if self.lanes == 1:
            return x
        if x.dtype.kind == "c":
            return self.scalar.pair(*(self.lane(p, k) for p in self.parts(x)))
        return self.let(f"extractelement {self.type_of(x.dtype)} {x.text}, i64 {k}", x.dtype)

    def shuffled(self, one: Value, other: Value, order: Sequence[int]) -> Value:
        """Lanes of two vectors by number, those of `other` after those of `one`."""
        if one.dtype.kind == "c":
            pairs = zip(self.parts(one), self.parts(other), strict=True)
            parts = [self.shuffled(*pair, order) for pair in pairs]
            return self.with_lanes(len(order)).pair(*parts)
        if len(order) == 1:
            return self.lane(one, order[0])
        return items.shuffled(self, one, other, order)

    def fenced(self, x: Value) -> Value:
        """`x`, of which LLVM does not see how it was made; only where that can be said."""
        if x.dtype.kind != "f" or x.dtype.itemsize < 4:
            return x
        kind, name = self.type_of(x.dtype), f"llvm.arithmetic.fence.{self.suffix(x.dtype)}"
        self.function.module.declare(kind, name, kind)
        return self.let(f"call {kind} @{name}({kind} {x.text})", x.dtype)

    def first_lanes(self, count: Index) -> Value:
        """The mask of the lanes whose number is below `count`."""
        if isinstance(count, int):
            flags = ("true" if k < count else "false" for k in range(self.lanes))
            texts = [f"i1 {flag}" for flag in flags]
            return Value(texts[0][3:] if self.lanes == 1 else f"<{', '.join(texts)}>", BOOL)
        return self.compare("<", self.iota(), self.splat(Value(count, np.dtype(np.int64))))

    def fold(self, x: Value, combine: Callable[[VectorEmitter, Value, Value], Value]) -> Value:
        """Combine the lanes of `x` to one scalar, halves first: `combine(emitter, x1, x2)`."""
        emitter = self
        while emitter.lanes > 1:
            half = emitter.lanes // 2
            orders = [range(half), range(half, 2 * half)]
            parts = [emitter.shuffled(x, x, order) for order in orders]
            emitter = emitter.with_lanes(half)
            x = combine(emitter, *parts)
        return x

    def reduce(self, name: str, x: Value) -> Value:
        """The scalar "add", "mul", "maximum", "minimum", "and" or "or" of all lanes."""
        match name:
            case "add" | "mul":
                return self.fold(x, lambda e, a, b: getattr(e, name)(a, b))
            case "and" | "or":
                return self.fold(x, lambda e, a, b: e.bitwise(name, a, b))
        return self.fold(x, lambda e, a, b: e.math(name, a, b))

    # Memory. A bool takes a byte there, and a float16 two.

    def load(
        self,
        pointer: str,
        index: Index,
        dtype: Any,
        *,
        mask: Value | None = None,
        align: int | None = None,
    ) -> Value:
        """The lanes from element `index` on of the array of `dtype` at `pointer`.

        mask: lanes to load; the others are zero, and their memory is not touched.
        align: of the address in bytes; None means that of one element.
        """
        dtype = np.dtype(dtype)
        stored = memory_dtype(dtype)
        kind, align = self.type_of(stored), align or dtype.alignment
        address = self.function.address(pointer, index, lane_type(stored))
        if mask is None or self.lanes == 1:
            loaded = self.let(f"load {kind}, ptr {address}, align {align}", stored)
        else:
            masks = self.type_of(BOOL)
            name = f"llvm.masked.load.{self.suffix(stored)}.p0"
            self.function.module.declare(kind, name, f"ptr, i32, {masks}, {kind}")
            operands = f"ptr {address}, i32 {align}, {masks} {mask.text}, {kind} zeroinitializer"
            loaded = self.let(f"call {kind} @{name}({operands})", stored)
        return self.from_memory(loaded, dtype)

    def store(
        self,
        x: Value,
        pointer: str,
        index: Index,
        *,
        mask: Value | None = None,
        align: int | None = None,
        nontemporal: bool = False,
    ) -> None:
        """Store the lanes of `x` from element `index` on of the array at `pointer`.

        mask: lanes to store. align: as in `load`. nontemporal: past the caches; wants an address
        aligned to the whole vector, and the function to end with a fence.
        """
        align = align or x.dtype.alignment
        x = self.to_memory(x)
        kind = self.type_of(x.dtype)
        address = self.function.address(pointer, index, lane_type(x.dtype))
        if mask is None or self.lanes == 1:
            hint = f", {NONTEMPORAL}" if nontemporal else ""
            self.function.do(f"store {kind} {x.text}, ptr {address}, align {align}{hint}")
            return
        masks = self.type_of(BOOL)
        name = f"llvm.masked.store.{self.suffix(x.dtype)}.p0"
        self.function.module.declare("void", name, f"{kind}, ptr, i32, {masks}")
        operands = f"{kind} {x.text}, ptr {address}, i32 {align}, {masks} {mask.text}"
        self.function.do(f"call void @{name}({operands})")

    def prefetch(self, pointer: str, index: Index, dtype: Any, *, written: bool) -> None:
        """Have the line of element `index` of the array of `dtype` at `pointer` come near.

        written: it will be stored to. There may be none of that number.
        """
        kind = lane_type(memory_dtype(np.dtype(dtype)))
        address, how = self.function.address(pointer, index, kind, beyond=True), int(written)
        self.function.module.declare("void", "llvm.prefetch.p0", "ptr, i32, i32, i32")
        self.function.do(f"call void @llvm.prefetch.p0(ptr {address}, i32 {how}, i32 3, i32 1)")

    def gather(
        self, pointer: str, indices: Value, dtype: Any, *, mask: Value | None = None
    ) -> Value:
        """The elements at `indices`, an integer vector, of the array of `dtype` at `pointer`."""
        dtype = np.dtype(dtype)
        if self.lanes == 1:
            return self.load(pointer, self.scalar_index(indices), dtype)
        stored = memory_dtype(dtype)
        kind, lane, masks = self.type_of(stored), lane_type(stored), self.type_of(BOOL)
        pointers = f"<{self.lanes} x ptr>"
        places = f"{self.type_of(indices.dtype)} {indices.text}"
        addresses = self.function.let(f"getelementptr inbounds {lane}, ptr {pointer}, {places}")
        name = f"llvm.masked.gather.{self.suffix(stored)}.v{self.lanes}p0"
        self.function.module.declare(kind, name, f"{pointers}, i32, {masks}, {kind}")
        chosen = mask.text if mask else "splat (i1 true)"
        operands = f"{pointers} {addresses}, i32 {dtype.alignment}, {masks} {chosen}"
        loaded = self.let(f"call {kind} @{name}({operands}, {kind} zeroinitializer)", stored)
        return self.from_memory(loaded, dtype)

    def load_strided(
        self,
        pointer: str,
        index: Index,
        stride: int,
        dtype: Any,
        *,
        mask: Value | None = None,
    ) -> Value:
        """The elements `index`, `index + stride`, ... of the array of `dtype` at `pointer`.

        stride: in elements; 0 repeats one element, -1 reverses.
        """
        if stride == 1 or self.lanes == 1:
            return self.load(pointer, index, dtype, mask=mask)
        if stride == 0:
            return self.splat(self.scalar.load(pointer, index, dtype))
        start = self.function.address(pointer, index, lane_type(memory_dtype(np.dtype(dtype))))
        places = ", ".join(f"i64 {k * stride}" for k in range(self.lanes))
        return self.gather(start, Value(f"<{places}>", np.dtype(np.int64)), dtype, mask=mask)

    def store_strided(
        self, x: Value, pointer: str, index: Index, stride: int, *, mask: Value | None = None
    ) -> None:
        """Store the lanes of `x` at the elements `index`, `index + stride`, ...; not 0 apart."""
        if stride == 1 or self.lanes == 1:
            self.store(x, pointer, index, mask=mask)
            return
        align, x = x.dtype.alignment, self.to_memory(x)
        kind, lane, masks = self.type_of(x.dtype), lane_type(x.dtype), self.type_of(BOOL)
        start = self.function.address(pointer, index, lane)
        places = ", ".join(f"i64 {k * stride}" for k in range(self.lanes))
        pointers = f"<{self.lanes} x ptr>"
        addresses = self.function.let(
            f"getelementptr inbounds {lane}, ptr {start}, <{self.lanes} x i64> <{places}>"
        )
        name = f"llvm.masked.scatter.{self.suffix(x.dtype)}.v{self.lanes}p0"
        self.function.module.declare("void", name, f"{kind}, {pointers}, i32, {masks}")
        chosen = mask.text if mask else "splat (i1 true)"
        operands = f"{kind} {x.text}, {pointers} {addresses}, i32 {align}"
        self.function.do(f"call void @{name}({operands}, {masks} {chosen})")

    def scalar_index(self, x: Value) -> str:
        """The scalar integer `x` as an index."""
        return self.cast(x, np.int64).text

    def suffix(self, dtype: np.dtype[Any]) -> str:
        """How the names of intrinsics spell the type of a value."""
        lane = spelled_lane(dtype)
        return lane if self.lanes == 1 else f"v{self.lanes}{lane}"

    def from_memory(self, x: Value, dtype: np.dtype[Any]) -> Value:
        """What was loaded, as it is kept in registers."""
        return items.from_memory(self, x, dtype)

    def to_memory(self, x: Value) -> Value:
        """`x` as it is stored."""
        return items.to_memory(self, x)

    # Loops.

    @contextmanager
    def loop(
        self,
        low: Index,
        high: Index,
        step: int = 1,
        carried: Sequence[Value] = (),
        *,
        surely: bool = False,
    ) -> Iterator[Loop]:
        """Repeat what is written inside for index low, low + step, ... below high.

        carried: initial values, of this emitter's lanes, handed from round to round.
        surely: there is a first round, even if numbers do not show it.
        """
        dtypes = [x.dtype for x in carried]
        pairs = [(self.type_of(x.dtype), x.text) for x in carried]
        with self.function.loop(low, high, step, pairs, surely=surely) as state:
            loop = Loop(state, dtypes)
            yield loop
            state.following = [x.text for x in loop.following]
        loop.take(state)


class Loop:
    """A loop being written: `index`, and `values` at the start of the round.

    Assign `following` inside; after the loop, `values` are the final ones.
    """

    def __init__(self, state: Carried, dtypes: Sequence[np.dtype[Any]]):
        self.index = state.index
        self.dtypes = dtypes
        self.following: Sequence[Value] = ()
        self.values: list[Value] = []
        self.take(state)

    def take(self, state: Carried) -> None:
        """Read the names of the values out of `state`."""
        named = zip(state.values, self.dtypes, strict=True)
        self.values = [Value(text, dtype) for text, dtype in named]


def supports(name: str, dtype: Any) -> bool:
    """Whether `VectorEmitter.math` knows the function `name` for lanes of `dtype`."""
    kind = np.dtype(dtype).kind
    if name in ("maximum", "minimum", "abs", "sign") or name in ROUNDINGS:
        return kind in "biu" or vecmath.is_float(dtype)
    if name in exact.RULES:
        return exact.supported(name, np.dtype(dtype))
    if name in vecmath_normal.RULES:
        return vecmath_normal.supported(np.dtype(dtype))
    return (name == "copysign" and vecmath.is_float(dtype)) or vecmath.supported(name, dtype)


def is_constant(x: Value) -> bool:
    """Whether `x` was known while writing."""
    return not x.text.startswith("%")
