"""Arithmetic on a vector of lanes as LLVM IR text: one instruction or intrinsic per method."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.lowering import Value
from .text import Function

FLOAT16, FLOAT32, FLOAT64 = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)
BOOL = np.dtype(np.bool_)
INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
HALF = np.dtype(np.uint16)
"""The bits of a float16, as they are in memory."""
COMPLEX64, COMPLEX128 = np.dtype(np.complex64), np.dtype(np.complex128)
COMPLEX: dict[np.dtype[Any], np.dtype[Any]] = {FLOAT32: COMPLEX64, FLOAT64: COMPLEX128}
"""By the dtype of their parts."""

# relation -> predicates of (floats, signed integers, unsigned integers and masks)
RELATIONS = {
    "<": ("olt", "slt", "ult"),
    "<=": ("ole", "sle", "ule"),
    ">": ("ogt", "sgt", "ugt"),
    ">=": ("oge", "sge", "uge"),
    "==": ("oeq", "eq", "eq"),
    "!=": ("une", "ne", "ne"),
}


def computed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that numbers of `dtype` are computed in: of float16, float32, as in NumPy."""
    return FLOAT32 if dtype == FLOAT16 else dtype


def part(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the real and of the imaginary part of complex numbers."""
    return FLOAT32 if dtype == COMPLEX64 else FLOAT64


def lane_type(dtype: np.dtype[Any]) -> str:
    """The LLVM type of one lane in a register: a bool is an i1 there, a float16 a float.

    What has no kind is moved only, and is as good as an integer.
    """
    dtype = computed(dtype)
    match dtype.kind:
        case "b":
            return "i1"
        case "i" | "u" | "V":
            return f"i{8 * dtype.itemsize}"
        case "f" if dtype.itemsize in (4, 8):
            return "float" if dtype.itemsize == 4 else "double"
    raise TypeError(
        f"native code: lanes of {dtype} were asked for, but those are of bool, integers, float16, "
        f"float32 or float64, and complex numbers are pairs; cast the operand first"
    )


def spelled_lane(dtype: np.dtype[Any]) -> str:
    """How the names of intrinsics spell the type of a lane."""
    lane = lane_type(dtype)
    return {"float": "f32", "double": "f64"}.get(lane, lane)


def literal(value: Any, dtype: np.dtype[Any]) -> str:
    """The scalar `value` in `dtype`, as an LLVM constant."""
    match dtype.kind:
        case "f":
            with np.errstate(over="ignore"):
                (bits,) = struct.unpack("<Q", struct.pack("<d", dtype.type(value)))
            return f"0x{bits:016X}"
        case "b":
            return "true" if value else "false"
        case "V":
            return str(value)
    return str(int(np.asarray(value).astype(dtype)))


def known_number(x: Value) -> float | None:
    """The number that is `x` in every lane, of floats; None unless it is known while writing."""
    if x.dtype.kind != "f" or x.text.startswith("%"):
        return None
    _, marked, digits = x.text.rpartition("0x")
    bits = bytes.fromhex(digits.rstrip(")")) if marked else b""
    return struct.unpack(">d", bits)[0] if len(bits) == 8 else None


class Arithmetic:
    """Writes instructions on vectors of `lanes` lanes, or on scalars if `lanes` is 1.

    exact: forbid the fusing of a product and a sum, as error-free transforms need.
    """

    def __init__(self, function: Function, lanes: int, *, exact: bool = False):
        self.function = function
        self.lanes = lanes
        self.fast = "" if exact else " contract"

    def type_of(self, dtype: np.dtype[Any]) -> str:
        """The LLVM type of a value of lane dtype `dtype`: of complex numbers, two vectors."""
        if dtype.kind == "c":
            parts = self.type_of(part(dtype))
            return f"{{ {parts}, {parts} }}"
        return self.vector(lane_type(dtype))

    def vector(self, kind: str) -> str:
        """The LLVM type of `lanes` lanes of the LLVM type `kind`."""
        return kind if self.lanes == 1 else f"<{self.lanes} x {kind}>"

    def let(self, instruction: str, dtype: np.dtype[Any]) -> Value:
        """Append an instruction whose result has lanes of `dtype`."""
        return Value(self.function.let(instruction), dtype)

    def const(self, value: Any, dtype: Any) -> Value:
        """The scalar `value` in every lane."""
        dtype = np.dtype(dtype)
        if dtype.kind == "c":
            number, of = dtype.type(value), part(dtype)
            return self.pair(self.const(number.real, of), self.const(number.imag, of))
        text = literal(value, dtype)
        return Value(text if self.lanes == 1 else f"splat ({lane_type(dtype)} {text})", dtype)

    def intrinsic(self, name: str, *xs: Value, more: str = "") -> Value:
        """Call `llvm.name`, overloaded on the type of its operands; `more`: further arguments."""
        dtype = xs[0].dtype
        kind, lane = self.type_of(dtype), spelled_lane(dtype)
        full = f"llvm.{name}.{lane if self.lanes == 1 else f'v{self.lanes}{lane}'}"
        rest = f", {more.split()[0]}" if more else ""
        self.function.module.declare(kind, full, ", ".join([kind] * len(xs)) + rest)
        arguments = ", ".join(f"{kind} {x.text}" for x in xs) + (f", {more}" if more else "")
        return self.let(f"call {kind} @{full}({arguments})", dtype)

    def binary(self, instruction: str, x1: Value, x2: Value) -> Value:
        """`instruction x1, x2`, of operands of one type; of complex ones, of each part."""
        if x1.dtype.kind == "c":
            return self.partwise(functools.partial(self.binary, instruction), x1, x2)
        kind = self.type_of(x1.dtype)
        return self.let(f"{instruction} {kind} {x1.text}, {x2.text}", x1.dtype)

    def add(self, x1: Value, x2: Value) -> Value:
        """The sum; of masks, the logical or."""
        return self.binary(self.spelled(x1, "fadd", "add", "or"), x1, x2)

    def sub(self, x1: Value, x2: Value) -> Value:
        """The difference; of masks, the exclusive or."""
        return self.binary(self.spelled(x1, "fsub", "sub", "xor"), x1, x2)

    def mul(self, x1: Value, x2: Value) -> Value:
        """The product; of masks, the logical and."""
        if x1.dtype.kind == "c":
            (a, b), (c, d) = self.parts(x1), self.parts(x2)
            real = self.sub(self.mul(a, c), self.mul(b, d))
            return self.pair(real, self.add(self.mul(a, d), self.mul(b, c)))
        return self.binary(self.spelled(x1, "fmul", "mul", "and"), x1, x2)

    def spelled(self, x: Value, floating: str, integer: str, mask: str) -> str:
        """The instruction for the kind of `x`, with its flags."""
        match x.dtype.kind:
            case "f" | "c":
                return floating + self.fast
            case "b":
                return mask
        return integer

    def div(self, x1: Value, x2: Value) -> Value:
        """The quotient of floats, correctly rounded."""
        return self.binary("fdiv", x1, x2)

    def fma(self, x1: Value, x2: Value, x3: Value) -> Value:
        """`x1 * x2 + x3`, rounded once where the machine can."""
        return self.intrinsic("fmuladd", x1, x2, x3)

    def neg(self, x: Value) -> Value:
        """`-x`."""
        if x.dtype.kind == "c":
            return self.partwise(self.neg, x)
        if x.dtype.kind == "f":
            return self.let(f"fneg {self.type_of(x.dtype)} {x.text}", x.dtype)
        return self.binary("sub", self.const(0, x.dtype), x)

    def bitwise(self, name: str, x1: Value, x2: Value) -> Value:
        """`name` is "and", "or", "xor", "shl", "shr"; masks or integers.

        Shifts by the width of the integer or more give 0, or -1 from a negative one, as NumPy.
        """
        if name in ("and", "or", "xor"):
            return self.binary(name, x1, x2)
        bits = 8 * x1.dtype.itemsize
        inside = self.binary_mask("icmp ult", x2, self.const(bits, x2.dtype))
        if name == "shr" and x1.dtype.kind == "i":
            return self.binary("ashr", x1, self.select(inside, x2, self.const(bits - 1, x2.dtype)))
        count = self.select(inside, x2, self.const(0, x2.dtype))
        shifted = self.binary("shl" if name == "shl" else "lshr", x1, count)
        return self.select(inside, shifted, self.const(0, x1.dtype))

    def shift(self, instruction: str, x: Value, count: int) -> Value:
        """`x` shifted by a constant less than its width: "shl", "lshr" or "ashr"."""
        return self.binary(instruction, x, self.const(count, x.dtype))

    def invert(self, x: Value) -> Value:
        """Bitwise not of an integer, logical not of a mask."""
        ones = "true" if x.dtype == BOOL else "-1"
        text = ones if self.lanes == 1 else f"splat ({lane_type(x.dtype)} {ones})"
        return self.binary("xor", x, Value(text, x.dtype))

    def binary_mask(self, instruction: str, x1: Value, x2: Value) -> Value:
        """A comparison instruction: its result is a mask."""
        return self.let(f"{instruction} {self.type_of(x1.dtype)} {x1.text}, {x2.text}", BOOL)

    def compare(self, relation: str, x1: Value, x2: Value) -> Value:
        """A mask; `relation` is one of < <= > >= == !=; all but != are false on NaN.

        Complex numbers have no order.
        """
        if x1.dtype.kind == "c":
            pairs = zip(self.parts(x1), self.parts(x2), strict=True)
            parts = [self.compare(relation, *pair) for pair in pairs]
            return self.bitwise({"==": "and", "!=": "or"}[relation], *parts)
        floating, signed, unsigned = RELATIONS[relation]
        match x1.dtype.kind:
            case "f":
                return self.binary_mask(f"fcmp {floating}", x1, x2)
            case "i":
                return self.binary_mask(f"icmp {signed}", x1, x2)
        return self.binary_mask(f"icmp {unsigned}", x1, x2)

    def is_nan(self, x: Value) -> Value:
        """A mask of the lanes that are NaN."""
        return self.binary_mask("fcmp uno", x, x)

    def select(self, mask: Value, x1: Value, x2: Value) -> Value:
        """`x1` where `mask`, else `x2`."""
        if x1.dtype.kind == "c":
            return self.partwise(functools.partial(self.select, mask), x1, x2)
        kind, masks = self.type_of(x1.dtype), self.type_of(BOOL)
        operands = f"{masks} {mask.text}, {kind} {x1.text}, {kind} {x2.text}"
        return self.let(f"select {operands}", x1.dtype)

    def any(self, mask: Value) -> str:
        """An i1: whether some lane of `mask` is true."""
        if self.lanes == 1:
            return mask.text
        whole = f"i{self.lanes}"
        bits = self.function.let(f"bitcast {self.type_of(BOOL)} {mask.text} to {whole}")
        return self.function.let(f"icmp ne {whole} {bits}, 0")

    def bitcast(self, x: Value, dtype: np.dtype[Any]) -> Value:
        """The bits of `x` read as `dtype`, of the same width."""
        source, target = self.type_of(x.dtype), self.type_of(dtype)
        if source == target:
            return Value(x.text, dtype)
        return self.let(f"bitcast {source} {x.text} to {target}", dtype)

    def convert(self, instruction: str, x: Value, dtype: np.dtype[Any]) -> Value:
        """A conversion instruction from the lanes of `x` to `dtype`."""
        source, target = self.type_of(x.dtype), self.type_of(dtype)
        return self.let(f"{instruction} {source} {x.text} to {target}", dtype)

    def cast(self, x: Value, dtype: Any) -> Value:
        """`x` in `dtype`, as NumPy's astype; complex numbers become real by their real part."""
        dtype = np.dtype(dtype)
        if dtype == x.dtype:
            return x
        if x.dtype == FLOAT16:
            return self.cast(Value(x.text, FLOAT32), dtype)
        if dtype == BOOL:
            return self.compare("!=", x, self.const(0, x.dtype))
        if x.dtype.kind == "c":
            if dtype.kind == "c":
                return self.partwise(lambda p: self.cast(p, part(dtype)), x)
            return self.cast(self.parts(x)[0], dtype)
        if dtype.kind == "c":
            return self.pair(self.cast(x, part(dtype)), self.const(0, part(dtype)))
        if dtype == FLOAT16:
            return self.halved(x)
        match x.dtype.kind, dtype.kind:
            case "f", "f":
                wider = dtype.itemsize > x.dtype.itemsize
                return self.convert("fpext" if wider else "fptrunc", x, dtype)
            case "f", _:
                return self.truncate(x, dtype)
            case kind, "f":
                return self.convert("sitofp" if kind == "i" else "uitofp", x, dtype)
        return self.resize(x, dtype)

    # Complex numbers: pairs of real ones.

    def parts(self, x: Value) -> tuple[Value, Value]:
        """The real and the imaginary part of a complex number."""
        dtype, known = part(x.dtype), self.function.pairs.get(x.text)
        if known is None:
            whole = f"extractvalue {self.type_of(x.dtype)} {x.text}"
            known = self.function.let(f"{whole}, 0"), self.function.let(f"{whole}, 1")
        return Value(known[0], dtype), Value(known[1], dtype)

    def pair(self, real: Value, imag: Value) -> Value:
        """The complex number of two parts."""
        dtype = COMPLEX[real.dtype]
        kind, of = self.type_of(dtype), self.type_of(real.dtype)
        if real.text.startswith("%") or imag.text.startswith("%"):
            first = self.function.let(f"insertvalue {kind} poison, {of} {real.text}, 0")
            text = self.function.let(f"insertvalue {kind} {first}, {of} {imag.text}, 1")
        else:
            text = f"{{ {of} {real.text}, {of} {imag.text} }}"
        self.function.pairs[text] = real.text, imag.text
        return Value(text, dtype)

    def partwise(self, rule: Callable[..., Value], *xs: Value) -> Value:
        """`rule` of the real parts of `xs`, and of the imaginary ones."""
        return self.pair(*(rule(*parts) for parts in zip(*map(self.parts, xs), strict=True)))

    # float16.

    def halved(self, x: Value) -> Value:
        """The number `x` rounded to float16, as a float: NumPy takes integers by way of float32."""
        if (x.dtype.kind in "bu" and x.dtype.itemsize == 1) or x.dtype == np.int8:
            return Value(self.cast(x, FLOAT32).text, FLOAT16)  # exact
        x = self.narrowed_to_odd(x) if x.dtype == FLOAT64 else self.cast(x, FLOAT32)
        return self.from_half(self.to_half(x))

    def narrowed_to_odd(self, x: Value) -> Value:
        """The float64 `x` in float32, of which the last bit is set where something is lost.

        So rounding it to float16 is as good as rounding `x`: it is no tie where `x` is none.
        Boldo and Melquiond (2008).
        """
        magnitude = self.intrinsic("fabs", x)
        near = self.cast(magnitude, FLOAT32)
        back, bits = self.cast(near, FLOAT64), self.bitcast(near, INT32)
        one, zero = self.const(1, INT32), self.const(0, INT32)
        up, down = self.compare("<", back, magnitude), self.compare(">", back, magnitude)
        step = self.select(up, one, self.select(down, self.const(-1, INT32), zero))
        even = self.compare("==", self.bitwise("and", bits, one), zero)
        odd = self.add(bits, self.select(even, step, zero))
        # by bits: LLVM makes a rounding of x itself of a copysign, and calls a library for it
        narrow = self.bitcast(self.cast(x, FLOAT32), INT32)
        sign = self.bitwise("and", narrow, self.const(-(2**31), INT32))
        return self.bitcast(self.bitwise("or", odd, sign), FLOAT32)

    def to_half(self, x: Value) -> Value:
        """The bits of the float16 nearest to the float `x`."""
        narrow, half = self.vector("half"), self.type_of(HALF)
        rounded = self.function.let(f"fptrunc {self.type_of(FLOAT32)} {x.text} to {narrow}")
        return self.let(f"bitcast {narrow} {rounded} to {half}", HALF)

    def from_half(self, bits: Value) -> Value:
        """The float16 of these bits."""
        narrow, half = self.vector("half"), self.type_of(HALF)
        x = self.function.let(f"bitcast {half} {bits.text} to {narrow}")
        return self.let(f"fpext {narrow} {x} to {self.type_of(FLOAT32)}", FLOAT16)

    def resize(self, x: Value, dtype: np.dtype[Any]) -> Value:
        """The integer or mask `x` in the integer `dtype`; what does not fit is cut off."""
        if x.dtype == BOOL:
            return self.convert("zext", x, dtype)
        if x.dtype.itemsize == dtype.itemsize:
            return Value(x.text, dtype)
        if x.dtype.itemsize > dtype.itemsize:
            return self.convert("trunc", x, dtype)
        return self.convert("sext" if x.dtype.kind == "i" else "zext", x, dtype)

    def truncate(self, x: Value, dtype: np.dtype[Any]) -> Value:
        """The float `x` in the integer `dtype`, toward zero.

        By way of int32 or int64, as the machine does for NumPy: negatives wrap in the unsigned
        and the narrow types. The freeze makes lanes out of range arbitrary, not undefined.
        """
        small = dtype.itemsize < 4 or dtype == INT32
        through = INT32 if small else INT64
        if dtype == np.uint64:  # of which the upper half is no int64
            upper = self.compare(">=", x, self.const(2.0**63, x.dtype))
            x = self.select(upper, self.sub(x, self.const(2.0**63, x.dtype)), x)
        whole = self.convert("fptosi", x, through)
        frozen = self.let(f"freeze {self.type_of(through)} {whole.text}", through)
        if dtype == np.uint64:
            half = self.select(upper, self.const(-(2**63), INT64), self.const(0, INT64))
            frozen = self.bitwise("xor", frozen, half)
        return self.resize(frozen, dtype)
