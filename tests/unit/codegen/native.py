"""Run a loop body on arrays: the shortest way from an Emitter to numbers."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.codegen import jit
from minigrad.codegen.emitter import VectorEmitter
from minigrad.codegen.text import Module
from minigrad.core.lowering import Value

needs_llvm = pytest.mark.skipif(not jit.available(), reason="llvmlite is not installed")

Body = Callable[..., Value]
Array = np.ndarray[Any, np.dtype[Any]]


def pointer_function(code: jit.Code, symbol: str, count: int) -> Callable[..., None]:
    """The function `symbol` of `count` arrays, by their data pointers."""
    native = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * count)(code[symbol])

    def call(*arrays: Array) -> None:
        assert code is not None  # kept alive with this closure
        native(*(array.ctypes.data for array in arrays))

    return call


def compile_kernel(write: Callable[..., None], count: int, lanes: int) -> Callable[..., None]:
    """The kernel that `write(emitter, *pointers)` writes, of `count` pointers."""
    module = Module()
    pointers = [f"%p{k}" for k in range(count)]
    function = module.function("kernel", [f"ptr {pointer}" for pointer in pointers])
    write(VectorEmitter(function, lanes), *pointers)
    return pointer_function(jit.compile_module(module.render(), ["kernel"]), "kernel", count)


def elementwise(body: Body, result: Any, *inputs: Array, lanes: int = 16) -> Array:
    """`body(emitter, *elements)` for all elements of `inputs`; `result` is its dtype."""
    size = inputs[0].size
    padded = -(-size // lanes) * lanes
    arrays = [np.concatenate([x, np.ones(padded - size, x.dtype)]) for x in inputs]
    output = np.empty(padded, result)

    def write(emitter: VectorEmitter, *pointers: str) -> None:
        with emitter.loop(0, padded, lanes) as loop:
            pairs = zip(pointers[:-1], inputs, strict=True)
            elements = [emitter.load(p, loop.index, x.dtype) for p, x in pairs]
            emitter.store(body(emitter, *elements), pointers[-1], loop.index)

    compile_kernel(write, len(inputs) + 1, lanes)(*arrays, output)
    return output[:size]
