"""The way from Python into native code: arrays are checked, results allocated, pointers passed.

A kernel is `void @entry(ptr input..., ptr output...)` over the data of C-contiguous arrays of
fixed shapes and dtypes. Two implementations make a Python callable of it: a builtin function
whose body is native too, some 70 ns for small arrays, and ctypes, some microseconds, which runs
anywhere. MINIGRAD_PORTABLE_CALL=1 chooses the second.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import SpecError
from ..variable import Cell
from . import jit, pool
from .fastcall import ArraySpec, Signature, begin_body, body, spread_ir, spread_name, table
from .objects import Array, layout_is_known
from .parts import only_calls

METH_FASTCALL = 0x0080
ALIGNMENT = 64
"""Bytes; an arena begins at a multiple of it."""

Callee = Callable[..., Any]


def compile_callable(
    ir: str,
    signature: Signature,
    imports: Mapping[str, jit.Import] | None = None,
    *,
    sroa: bool = False,
) -> Callee:
    """Compile the LLVM assembly `ir`, and make a Python function of its kernel.

    The function takes one array per input, and returns the output array, or a tuple of them if
    their number is not one. Arrays of another layout or byte order are converted; Python scalars
    are taken in the dtype wanted; another shape or dtype raises.
    imports, sroa: as in `jit.compile_module`.
    """
    entry, count = signature.entry, signature.pointers
    return make_callable(kernel_code(ir, entry, count, imports, sroa=sroa), signature)


def kernel_code(
    ir: str,
    entry: str,
    count: int,
    imports: Mapping[str, jit.Import] | None = None,
    *,
    sroa: bool = False,
    inside: bool = False,
) -> jit.Code:
    """The code of a kernel of `count` pointers, with the function that builtins call.

    imports, sroa: as in `jit.compile_module`. inside: without that; other native code calls it.
    """
    begin_builtins()
    if not inside:
        text, symbols = ir + spread_ir(entry, count), [entry, spread_name(entry)]
        return jit.compile_module(text, symbols, imports, sroa=sroa, parted=not sroa)
    ahead, quick = None, only_calls(ir)
    if pool.SUBMIT in ir and not pool.kept:
        ahead = jit.begin(ir, quick=quick)  # while the pool is made, once
    code = jit.compile_module(ir, [entry], imports, quick=quick)
    del ahead  # kept so far, as what is made ahead is made for those who keep it
    return code


def begin_kernel(ir: str, entry: str, count: int, *, inside: bool) -> Any:
    """Have other threads begin with what `kernel_code` will do; keep the result till then."""
    if inside:
        return jit.begin(ir, quick=only_calls(ir))
    return jit.begin_parts(ir + spread_ir(entry, count))


def make_callable(code: jit.Code, signature: Signature, reference: Callee | None = None) -> Callee:
    """The Python function of the kernel in `code`, which it keeps alive.

    `code` has the function of `spread_ir`. reference: does the same more slowly; it is asked where
    the kernel gives up, and says why.
    """
    if not fast_path():
        return PortableCall(code, signature, reference)
    strict = builtin(code, signature, None)
    return builtin(code, signature, Conforming(signature, strict, reference))


@functools.cache
def begin_builtins() -> list[Any]:
    """Have other threads begin with what the first of all builtins will wait for; it is kept."""
    return begin_body() if fast_path() else []


def fast_path() -> bool:
    """Whether kernels are called through builtins; else through ctypes."""
    return os.environ.get("MINIGRAD_PORTABLE_CALL") != "1" and layout_is_known()


class PortableCall:
    """A kernel called through ctypes."""

    def __init__(self, code: jit.Code, signature: Signature, reference: Callee | None):
        self.code = code  # kept: the code is unloaded with it
        self.signature = signature
        self.reference = reference
        prototype = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
        self.kernel = prototype(code[spread_name(signature.entry)])

    def __call__(self, *args: Any) -> Any:
        """Convert, allocate, call; what is written to cells is put into them."""
        signature = self.signature
        inputs = conforming(signature, args)
        outputs = [np.empty(spec.shape, spec.dtype) for spec in signature.outputs]
        addresses = [array.ctypes.data for array in (*inputs, *outputs)]
        room = np.empty(signature.arena + ALIGNMENT, np.uint8)
        addresses.append(-(-room.ctypes.data // ALIGNMENT) * ALIGNMENT)
        pointers = (ctypes.c_void_p * len(addresses))(*addresses)
        if self.kernel(ctypes.addressof(pointers)):
            assert self.reference is not None
            return self.reference(*args)
        for k, cell in signature.written.items():
            args[cell]._value = outputs[k]
        results = [outputs[k] for k in signature.returned]
        return results[0] if signature.alone else tuple(results)


class MethodDefinition(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def builtin(
    code: jit.Code,
    signature: Signature,
    other: Callee | None,
    *,
    captured: Sequence[Any] = (),
    tensors: bool = False,
) -> Callee:
    """The builtin function of the kernel in `code`; it keeps alive whatever it refers to.

    other: serves the calls that its guards reject; None: those return None. captured, tensors: as
    in `table`.
    """
    common = body()
    definition = MethodDefinition(
        signature.entry.encode(), common["call"], METH_FASTCALL, b"A compiled kernel."
    )
    address = code[spread_name(signature.entry)]
    content = table(signature, address, other, captured=captured, tensors=tensors)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    # the third is what CPython calls the module: any object, released last of all
    kept = (definition, common, code, signature, other, captured)
    function: Callee = make(ctypes.addressof(definition), content, kept)
    return function


def tensor_callable(code: jit.Code, signature: Signature, captured: Sequence[Any]) -> Callee | None:
    """A builtin of tensors that returns a Tensor, or a tuple of them; None where there is none.

    Called with anything but tensors of the specs wanted, it returns None.
    captured: the last inputs: arrays that nobody writes to, and cells, each once.
    """
    count = len(signature.inputs) - len(captured)
    cells = {count + k: x for k, x in enumerate(captured) if type(x) is Cell}
    if not fast_path() or cells.keys() != signature.cells:
        return None
    if len(set(cells.values())) < len(cells) or any(
        type(x) not in (Cell, np.ndarray) for x in captured
    ):
        return None
    columns = list(zip(captured, signature.inputs[count:], strict=True))
    fixed = [x if type(x) is Cell else conforming_one(signature, 0, x, spec) for x, spec in columns]
    return builtin(code, signature, None, captured=tuple(fixed), tensors=True)


class Conforming:
    """Serves the calls that the guards of a builtin reject: makes arrays fit, and calls again."""

    def __init__(self, signature: Signature, strict: Callee, reference: Callee | None) -> None:
        self.signature = signature
        self.strict = strict
        self.reference = reference

    def __call__(self, *args: Any) -> Any:
        """Convert what was rejected; cells are stood in for."""
        signature = self.signature
        given: list[Any] = list(conforming(signature, args))
        for k in signature.cells:
            given[k] = Cell(given[k], None, trainable=False)
        result = self.strict(*given)
        if result is None and signature.checked and self.reference is not None:
            return self.reference(*args)
        if result is None:
            raise RuntimeError(
                f"{self.signature.entry}: called with arrays made to fit, which its guards "
                f"reject; this is a fault of minigrad: set MINIGRAD_PORTABLE_CALL=1"
            )
        for k in signature.written.values():
            args[k]._value = given[k]._value
        return result


def conforming(signature: Signature, args: Sequence[Any]) -> list[Array]:
    """The arguments as contiguous, aligned arrays of native byte order; copies where needed."""
    if len(args) != len(signature.inputs):
        raise SpecError(
            f"{signature.entry}: called with {len(args)} arrays; the kernel takes "
            f"{len(signature.inputs)}; pass one array per input"
        )
    arrays = [x._value if k in signature.cells else x for k, x in enumerate(args)]
    columns = enumerate(zip(arrays, signature.inputs, strict=True))
    return [conforming_one(signature, k, x, spec) for k, (x, spec) in columns]


def conforming_one(signature: Signature, k: int, x: Any, spec: ArraySpec) -> Array:
    """Argument `k` as an array of `spec` that native code may read."""
    array = np.asarray(x, dtype=spec.dtype if type(x) in (bool, int, float) else None)
    if array.shape != spec.shape or not same_dtype(array.dtype, spec.dtype):
        raise SpecError(
            f"{signature.entry}: input {k} is {array.dtype}{list(array.shape)}, but the kernel "
            f"was compiled for {spec.dtype}{list(spec.shape)}; cast or reshape it, or compile "
            f"for it"
        )
    usable = array.flags.c_contiguous and array.flags.aligned
    if not usable or array.dtype != spec.dtype:
        array = np.array(array, spec.dtype, order="C")
    # long and long long are two objects for one dtype: the same bytes, viewed as the other
    return array if array.dtype is spec.dtype else array.view(spec.dtype)


def same_dtype(dtype: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Whether the two differ in byte order at most."""
    return dtype is other or dtype.newbyteorder("=") == other
