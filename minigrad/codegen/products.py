"""`native_product`: an op that means a product of matrices, of operands seen through moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Body, Contract
from ..core.op import MADE_LATE, Node, Op
from ..graph import Graph
from . import jit
from .blocking import PARALLEL, UNPACKED_BYTES, Layout, Plan, Product, plan
from .call import Callee, begin_kernel, kernel_code, make_callable
from .elementwise import Elementwise, epilogue, prologue, work
from .executable import executable
from .fused import ENTRY, PORTABLE_VECTOR_BYTES, fused_spec, loops, signature
from .gemm import render
from .loops import Loop, LoopNest
from .spelling import twin

AGAIN = 32
"""Instructions for a vector of an operand that may be repeated, in all, rather than have it stored
and loaded: of some products, a tenth of the time was gained up to here."""


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
        graph.cache["native"] = make_callable(code(graph), signature(graph))
    made: Callee = graph.cache["native"]
    return made


def code(graph: Graph, *, inside: bool = False) -> jit.Code:
    """The native code of a product; made once, and kept with it. inside: as in `kernel_code`."""
    graph, key = twin(graph), ("code", inside)
    if key not in graph.cache:
        pointers = len(graph.inputs) + len(graph.outputs)
        graph.cache[key] = kernel_code(product_llvm(graph), ENTRY, pointers, inside=inside)
    made: jit.Code = graph.cache[key]
    return made


def begun(*, graph: Graph) -> Any:
    """Have another thread compile the product; whoever keeps what this gives can wait for it."""
    return begin_code(graph) if jit.available() else None


def begin_code(graph: Graph, *, inside: bool = False) -> Any:
    """Have other threads begin with `code`."""
    graph = twin(graph)
    if ("code", inside) in graph.cache:
        return None
    pointers = len(graph.inputs) + len(graph.outputs)
    return begin_kernel(product_llvm(graph), ENTRY, pointers, inside=inside)


def product_llvm(graph: Graph) -> str:
    """The LLVM assembly of a product."""
    graph = twin(graph)
    if "llvm" not in graph.cache:
        parts = parts_of(graph)
        found = product(parts.product)
        more = followed(graph) if parts.after else None
        first = preceded(graph)
        assert first is not None, f"{graph.name} cannot make its operands"
        chosen = chosen_plan(found, parts.made)
        graph.cache["llvm"] = render(found, chosen, ENTRY, parameters(graph), more, first)
    made: str = graph.cache["llvm"]
    return made


def chosen_plan(found: Product, made: tuple[bool, bool]) -> Plan:
    """The plan of a product on this machine; made: as of `plan`."""
    width = jit.host().vector_bytes if jit.available() else PORTABLE_VECTOR_BYTES
    return plan(found, width, registers(width), made)


# A product, and groups that make its operands, and are made of it, at once.


class Parts(NamedTuple):
    """The graph of a product, and the nodes of groups before and after it, if there are any.

    before: what makes the first operand, and what makes the second.
    """

    product: Graph
    before: tuple[Node | None, Node | None] = (None, None)
    node: Node | None = None
    after: Node | None = None

    @property
    def made(self) -> tuple[bool, bool]:
        """Which operands are made by groups."""
        first, second = self.before
        return first is not None, second is not None


def parts_of(graph: Graph) -> Parts:
    """What the `graph` of a native product is made of."""
    node = next((node for node in graph.nodes if node.op is native_product), None)
    if node is None:
        return Parts(graph)
    made = {y: before for before in graph.nodes for y in before.outputs}
    x1, x2, *_ = node.inputs
    after = None if graph.nodes[-1] is node else graph.nodes[-1]
    return Parts(node.attrs["graph"], (made.get(x1), made.get(x2)), node, after)


def parameters(graph: Graph) -> list[str]:
    """What the arrays of a product are called: its inputs, then its outputs.

    The product is y; where that is no output itself, the first output of its dtype has its place.
    """
    node = parts_of(graph).node
    x1, x2, *_ = graph.inputs if node is None else node.inputs
    made = graph.nodes[-1].outputs[0] if node is None else node.outputs[0]
    called = {x: f"in{k}" for k, x in enumerate(graph.inputs)}
    called |= {x: name for x, name in ((x1, "x1"), (x2, "x2")) if x in called}
    places = [k for k, y in enumerate(graph.outputs) if y is made] or [
        k for k, y in enumerate(graph.outputs) if y.dtype == made.dtype
    ]
    outputs = ["y" if k in places[:1] else f"out{k}" for k in range(len(graph.outputs))]
    return [called[x] for x in graph.inputs] + outputs


def followed(graph: Graph) -> Elementwise | None:
    """What is made of the product at once; None where that cannot be."""
    parts = parts_of(graph)
    group, node = parts.after, parts.node
    assert group is not None
    assert node is not None
    made = node.outputs[0]
    called = dict(zip((*graph.inputs, *graph.outputs), parameters(graph), strict=True))
    if "y" not in called.values():
        return None
    nest = loops(group.attrs["graph"])
    arrays = zip((*nest.inputs, *nest.outputs), (*group.inputs, *group.outputs), strict=True)
    names = {buffer.name: called.get(x, "y") for buffer, x in arrays}
    found = product(parts.product)
    if is_shared_alone(nest, found):
        return None
    return epilogue(nest, nest.inputs[[x is made for x in group.inputs].index(True)], found, names)


def is_shared_alone(nest: LoopNest, product: Product) -> bool:
    """Whether threads share the loops of `nest`, and would not share the product."""
    return product.size < PARALLEL and any(isinstance(s, Loop) and s.share for s in nest.body)


def preceded(graph: Graph) -> tuple[Elementwise | None, Elementwise | None] | None:
    """What makes the two operands as they are multiplied; None where that cannot be, or costs more.

    A first one is made for each group of panels, a second one for each block of rows. That saves
    that they go through memory. What takes long is not made again, nor in panels, whose sources are
    read in pieces: the next ones would not be asked for in time.
    """
    parts = parts_of(graph)
    found = product(parts.product)
    if parts.made[1] and found.x2_bytes <= UNPACKED_BYTES:
        return None  # it need not be packed, and is in the cache
    cut = chosen_plan(found, parts.made)
    groups = -(-found.columns // (cut.width * cut.group))
    blocks = -(-found.rows // cut.block) * found.copies
    called = dict(zip((*graph.inputs, *graph.outputs), parameters(graph), strict=True))
    made: list[Elementwise | None] = []
    for k, times in enumerate((groups, blocks)):
        group, part = parts.before[k], None
        if group is not None:
            nest = loops(group.attrs["graph"])
            names = {b.name: called[x] for b, x in zip(nest.inputs, group.inputs, strict=True)}
            if not is_shared_alone(nest, found):
                part = prologue(nest, found, names, second=k == 1)
            if part is None or ((times > 1 or k == 1) and times * work(part) > AGAIN):
                return None
        made.append(part)
    first, second = made
    return first, second


def registers(vector_bytes: int) -> int:
    """How many vector registers the machine has: 16 where it is x86 before AVX-512."""
    x86 = jit.available() and jit.host().triple.startswith(("x86_64", "i686", "amd64"))
    return 16 if x86 and vector_bytes < 64 else 32


def looked_at(graph: Graph) -> tuple[dict[Any, Any], dict[Any, int]]:
    """The views that the moves in `graph` give of arrays for its inputs, and where these begin.

    Its last node takes them.
    """
    views: dict[Any, Any] = {x: np.empty(x.shape, x.dtype) for x in graph.inputs}
    begins = {x: view.ctypes.data for x, view in views.items()}
    for node in graph.nodes[:-1]:
        (x,), (y,) = node.inputs, node.outputs
        views[y], begins[y] = node.op.kernel(views[x], **node.attrs), begins[x]
    return views, begins


def product(graph: Graph) -> Product:
    """What `graph` multiplies: moves of its two inputs, each a view, and a product at the end."""
    views, begins = looked_at(graph)
    last = graph.nodes[-1]
    y, lower = last.outputs[0], last.op.lower
    if isinstance(lower, Contract) and lower.operands is not None:
        found = lower.operands(*[views[x] for x in last.inputs], **last.attrs)
        assert found is not None, f"{last.op.name} of {graph.inputs} is no product of views"
        return product_of_views(*found)
    *batch, rows, columns = y.shape
    depth = last.inputs[0].shape[-1]
    shapes = ((*batch, rows, depth), (*batch, depth, columns))
    layouts = [
        layout(views[x], begins[x], shape) for x, shape in zip(last.inputs, shapes, strict=True)
    ]
    first, second = layouts
    return Product(y.dtype, tuple(batch), rows, columns, depth, first, second)


def product_of_views(x1: Any, x2: Any) -> Product:
    """What is multiplied where x1 is (*places, *depths), and x2 (*depths, columns), contiguous.

    Axes that are as one in memory become one: windows, and rows of images that follow each other.
    """
    *depths, columns = x2.shape
    axes = list(zip(x1.shape, [stride // x1.itemsize for stride in x1.strides], strict=True))
    places = merged(axes[: len(axes) - len(depths)])
    levels = merged(axes[len(axes) - len(depths) :])
    *batch, (rows, row) = places
    depth = math.prod(depths)
    strides = (*[stride for _, stride in batch], row, levels[-1][1])
    second = Layout(0, (*[0] * len(batch), columns, 1))
    return Product(
        x1.dtype,
        tuple([extent for extent, _ in batch]),
        rows,
        columns,
        depth,
        Layout(0, strides),
        second,
        tuple(levels) if len(levels) > 1 else (),
    )


def merged(axes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """`axes`, extents and strides, in as few as reach the same places in the same order."""
    found: list[tuple[int, int]] = []
    for extent, stride in axes:
        if extent == 1:
            continue
        if found and found[-1][1] == extent * stride:
            found[-1] = (found[-1][0] * extent, stride)
        else:
            found.append((extent, stride))
    return found or [(1, 1)]


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
native_product.prepare, native_product.begin = prepared, begun
native_product.opaque = MADE_LATE
