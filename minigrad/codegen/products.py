"""`native_product`: an op that means a product of matrices, of operands seen through moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.lowering import Body
from ..core.op import Op
from ..graph import Graph
from . import jit, pool
from .blocking import Layout, Product, plan
from .call import Callee, compile_callable
from .executable import executable
from .fastcall import ArraySpec, Signature
from .fused import ENTRY, PORTABLE_VECTOR_BYTES, fused_spec
from .gemm import render


def run_product(*inputs: Any, graph: Graph) -> tuple[Any, ...]:
    """The product that `graph` is."""
    made: tuple[Any, ...] = prepared(graph=graph)(*inputs)
    return made


def prepared(*, graph: Graph) -> Callee:
    """The function of two arrays that computes the product `graph`; made once, kept with it.

    Without LLVM it is NumPy's: the same meaning, and the reference.
    """
    if not jit.available():
        return executable(graph)
    if "native" not in graph.cache:
        inputs = [ArraySpec(tuple(x.shape), x.dtype) for x in graph.inputs]
        outputs = [ArraySpec(tuple(y.shape), y.dtype) for y in graph.outputs]
        signature = Signature(ENTRY, inputs, outputs, packed=True)
        text = product_llvm(graph)
        shared = pool.imports() if pool.SUBMIT in text else None
        graph.cache["native"] = compile_callable(text, signature, shared)
    made: Callee = graph.cache["native"]
    return made


def product_llvm(graph: Graph) -> str:
    """The LLVM assembly of a product."""
    if "llvm" not in graph.cache:
        found = product(graph)
        width = jit.host().vector_bytes if jit.available() else PORTABLE_VECTOR_BYTES
        chosen = plan(found, width, registers(width))
        graph.cache["llvm"] = render(found, chosen, ENTRY)
    made: str = graph.cache["llvm"]
    return made


def registers(vector_bytes: int) -> int:
    """How many vector registers the machine has: 16 where it is x86 before AVX-512."""
    x86 = jit.available() and jit.host().triple.startswith(("x86_64", "i686", "amd64"))
    return 16 if x86 and vector_bytes < 64 else 32


def product(graph: Graph) -> Product:
    """What `graph` multiplies: moves of its two inputs, each a view, and a product at the end."""
    views: dict[Any, Any] = {x: np.empty(x.shape, x.dtype) for x in graph.inputs}
    begins = {}
    for x in graph.inputs:
        begins[x] = views[x].ctypes.data
    *moves, last = graph.nodes
    for node in moves:
        (x,) = node.inputs
        y = node.outputs[0]
        views[y], begins[y] = node.op.kernel(views[x], **node.attrs), begins[x]
    y = last.outputs[0]
    *batch, rows, columns = y.shape
    depth = last.inputs[0].shape[-1]
    shapes = ((*batch, rows, depth), (*batch, depth, columns))
    layouts = [
        layout(views[x], begins[x], shape) for x, shape in zip(last.inputs, shapes, strict=True)
    ]
    return Product(y.dtype, tuple(batch), rows, columns, depth, *layouts)


def layout(view: Any, begin: int, shape: tuple[int, ...]) -> Layout:
    """Where the elements of `view`, broadcast to `shape`, are in the array that begins there."""
    size = view.itemsize
    whole = np.broadcast_to(view, shape)
    strides = [stride // size for stride in whole.strides]
    if shape[-1] == 1:  # any stride is right, and this one is read without packing
        strides[-1] = 1
    return Layout((whole.ctypes.data - begin) // size, tuple(strides))


native_product = Op(
    run_product,
    infer=fused_spec,
    name="native_product",
    lower=Body(lambda attrs: attrs["graph"]),
)
# how an executable binds it: attributes are settled before the first call
native_product.prepare = prepared
native_product.opaque = "it is made when all derivatives have been taken; differentiate before"
