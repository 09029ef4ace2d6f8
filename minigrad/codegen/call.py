"""The way from Python into native code: arrays are checked, results allocated, pointers passed.

A kernel is `void @entry(ptr input..., ptr output...)` over the data of C-contiguous arrays of
fixed shapes and dtypes. Two implementations make a Python callable of it: a builtin function
whose body is native too, some 70 ns for small arrays, and ctypes, some microseconds, which runs
anywhere and which the builtin falls back on. MINIGRAD_PORTABLE_CALL=1 chooses the second.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import SpecError
from . import jit
from .builtin import builtin, spread_ir, spread_name, table
from .fastcall import Array, ArraySpec, Signature, layout_is_known

METH_FASTCALL = 0x0080

Callee = Callable[..., Any]


def compile_callable(
    ir: str, signature: Signature, imports: Mapping[str, int] | None = None, *, sroa: bool = False
) -> Callee:
    """Compile the LLVM assembly `ir`, and make a Python function of its kernel.

    The function takes one array per input, and returns the output array, or a tuple of them if
    their number is not one. Arrays of another layout or byte order are converted; Python scalars
    are taken in the dtype wanted; another shape or dtype raises.
    imports, sroa: as in `jit.compile_module`.
    """
    fast = fast_path()
    symbols = [spread_name(signature.entry) if fast else signature.entry]
    code = jit.compile_module(callable_ir(ir, signature), symbols, imports, sroa=sroa)
    return make_callable(code, signature, fast=fast)


def begin_callable(ir: str, signature: Signature) -> Any:
    """Have another thread begin with what `compile_callable` will do; keep the result till then."""
    return jit.begin(callable_ir(ir, signature))


def callable_ir(ir: str, signature: Signature) -> str:
    """The kernel `ir`, and what is compiled with it so that Python can call it."""
    return ir + spread_ir(signature) if fast_path() else ir


def make_callable(code: jit.Code, signature: Signature, *, fast: bool) -> Callee:
    """The Python function of the kernel in `code`, which it keeps alive.

    fast: `code` has the function of `spread_ir`, and `fast_path()` is true.
    """
    if fast:
        return FastCall(code, signature).function
    return PortableCall(code, signature)


def fast_path() -> bool:
    """Whether kernels are called through builtins; else through ctypes."""
    return os.environ.get("MINIGRAD_PORTABLE_CALL") != "1" and layout_is_known()


class PortableCall:
    """A kernel called through ctypes."""

    def __init__(self, code: jit.Code, signature: Signature):
        self.code = code  # kept: the code is unloaded with it
        self.signature = signature
        pointers = [ctypes.c_void_p] * (len(signature.inputs) + len(signature.outputs))
        self.kernel = ctypes.CFUNCTYPE(None, *pointers)(code[signature.entry])

    def __call__(self, *args: Any) -> Any:
        """Convert, allocate, call."""
        inputs = conform(self.signature, args)
        donated = self.signature.donated
        outputs = [
            inputs[donated[k]] if k in donated else np.empty(spec.shape, spec.dtype)
            for k, spec in enumerate(self.signature.outputs)
        ]
        self.kernel(*(array.ctypes.data for array in (*inputs, *outputs)))
        return outputs[0] if self.signature.alone else tuple(outputs)


class MethodDefinition(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class FastCall:
    """A kernel behind a builtin function; this object serves the calls its guards reject.

    The native code hands a call it does not accept to this object.
    """

    def __init__(self, code: jit.Code, signature: Signature):
        self.signature = signature
        self.kernel = code[spread_name(signature.entry)]
        self.definition = MethodDefinition(
            signature.entry.encode(), builtin()["fastcall"], METH_FASTCALL, b"A compiled kernel."
        )
        self.strict = self.builtin(0, code)  # returns None for what it does not accept

    @property
    def function(self) -> Callee:
        """The builtin; it keeps this object alive, and through it the code."""
        return self.builtin(id(self), self)

    def builtin(self, other: int, kept: object) -> Callee:
        """The builtin, which calls the object at `other` with what it does not accept.

        It keeps alive what it refers to, and `kept`.
        """
        make = ctypes.pythonapi.PyCFunction_NewEx
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
        owner = table(self.signature, self.kernel, other)
        # the third is what CPython calls the module: any object, released last of all
        function: Callee = make(ctypes.addressof(self.definition), owner, (self.definition, kept))
        return function

    def __call__(self, *args: Any) -> Any:
        """Convert what the guards rejected, and call again."""
        result = self.strict(*conform(self.signature, args))
        if result is None:
            raise RuntimeError(
                f"{self.signature.entry}: called with arrays made to fit, which its guards "
                f"reject; this is a fault of minigrad: set MINIGRAD_PORTABLE_CALL=1"
            )
        return result


def conform(signature: Signature, args: Sequence[Any]) -> list[Array]:
    """The arguments as contiguous, aligned arrays of native byte order; copies where needed."""
    if len(args) != len(signature.inputs):
        raise SpecError(
            f"{signature.entry}: called with {len(args)} arrays; the kernel takes "
            f"{len(signature.inputs)}; pass one array per input"
        )
    written = signature.donated.values()
    columns = enumerate(zip(args, signature.inputs, strict=True))
    return [conform_one(signature, k, x, spec, k in written) for k, (x, spec) in columns]


def conform_one(signature: Signature, k: int, x: Any, spec: ArraySpec, written: bool) -> Array:
    """Argument `k` as an array of `spec` that native code may read, and write if `written`."""
    array = np.asarray(x, dtype=spec.dtype if type(x) in (bool, int, float) else None)
    if array.shape != spec.shape or not same_dtype(array.dtype, spec.dtype):
        raise SpecError(
            f"{signature.entry}: input {k} is {array.dtype}{list(array.shape)}, but the kernel "
            f"was compiled for {spec.dtype}{list(spec.shape)}; cast or reshape it, or compile "
            f"for it"
        )
    flags = array.flags
    usable = flags.c_contiguous and flags.aligned and (flags.writeable or not written)
    if not usable or array.dtype != spec.dtype:
        array = np.array(array, spec.dtype, order="C")
    # long and long long are two objects for one dtype: the same bytes, viewed as the other
    return array if array.dtype is spec.dtype else array.view(spec.dtype)


def same_dtype(dtype: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Whether the two differ in byte order at most."""
    return dtype is other or dtype.newbyteorder("=") == other
