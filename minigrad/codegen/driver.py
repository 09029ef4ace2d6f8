"""Native code that calls kernels, one after the other: what it names, and is linked with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.lowering import Move, Require
from ..core.op import Node, Op
from . import jit
from .bodies import is_array
from .fused import ENTRY, fused
from .fused import begin_code as begin_fused
from .fused import code as fused_code
from .fused import llvm as fused_llvm
from .products import begin_code as begin_product
from .products import code as product_code
from .products import native_product, product_llvm

Array = np.ndarray[Any, Any]


class Kernel(NamedTuple):
    """How an op is one kernel: its code, what begins with that, and its text, if it has one.

    Each is a function of a node, and of the outputs that may be in the memory of an input; the
    first two, too, of whether native code calls the kernel, as in `kernel`.
    """

    code: Callable[..., jit.Code]
    begin: Callable[..., Any] | None = None
    text: Callable[..., str] | None = None


KERNELS: dict[Op, Kernel] = {
    fused: Kernel(
        lambda node, over, inside: fused_code(node.attrs["graph"], over, inside=inside),
        lambda node, over, inside: begin_fused(node.attrs["graph"], over, inside=inside),
        lambda node, over: fused_llvm(node.attrs["graph"], over),
    ),
    native_product: Kernel(
        lambda node, over, inside: product_code(node.attrs["graph"], inside=inside),
        lambda node, over, inside: begin_product(node.attrs["graph"], inside=inside),
        lambda node, over: product_llvm(node.attrs["graph"]),
    ),
}


def is_native(node: Node) -> bool:
    """Whether `node` is one kernel."""
    return node.op in KERNELS


def is_check(node: Node) -> bool:
    """Whether `node` looks at a truth before it goes on."""
    return isinstance(node.op.lower, Require)


def truth_of(node: Node) -> Any:
    """The truth that a check looks at."""
    lower = node.op.lower
    assert isinstance(lower, Require)
    return node.inputs[lower.truth]


def is_view(node: Node) -> bool:
    """Whether what `node` gives are the elements of its first input in the same order in memory."""
    if is_check(node):
        return True
    if not isinstance(node.op.lower, Move) or len(node.inputs) != 1:
        return False
    (x,) = node.inputs
    if not is_array(x) or not all(z.spec.known for z in (x, *node.outputs)):
        return False
    array = np.empty(x.shape, np.bool_)
    view = np.asarray(node.op.kernel(array, **node.attrs))  # NumPy gives 0-d ones as scalars
    same = view.size == array.size and view.flags.c_contiguous
    return bool(same and view.ctypes.data == array.ctypes.data)


class Calls:
    """The calls of kernels in one module, with what the module declares for them."""

    def __init__(self) -> None:
        self._kernels: dict[str, tuple[Node, frozenset[int]]] = {}
        self._constants: dict[str, Array] = {}
        self._declarations: dict[str, str] = {}
        self.checks = 0

    def kernel(
        self, node: Node, pointers: Sequence[str], over: frozenset[int] = frozenset()
    ) -> str:
        """The line that calls the kernel of `node`.

        over: the outputs, by number, that may be in the memory of an input.
        """
        name = f"kernel{len(self._kernels)}"
        self._kernels[name] = node, over
        kinds = ", ".join(["ptr"] * len(pointers))
        self._declarations[name] = f"declare void @{name}({kinds})"
        return f"  call void @{name}({arguments(pointers)})"

    def check(self, pointer: str) -> list[str]:
        """The lines that leave where the truth at `pointer` holds, as `ending` says."""
        k, self.checks = self.checks, self.checks + 1
        return [
            f"  %fault{k} = load i8, ptr {pointer}",
            f"  %faulty{k} = icmp ne i8 %fault{k}, 0",
            f"  br i1 %faulty{k}, label %failed, label %sure{k}",
            f"sure{k}:",
        ]

    def ending(self, result: str = "0") -> list[str]:
        """The last lines of a function that gives `result`, or -1 where a check has failed."""
        failed = ["failed:", "  ret i64 -1"] if self.checks else []
        return [f"  ret i64 {result}", *failed, "}"]

    def copy(self, target: str, source: str, size: int) -> str:
        """The line that copies `size` bytes."""
        self._declarations[jit.COPY] = f'declare ptr @"{jit.COPY}"(ptr, ptr, i64)'
        return f'  call ptr @"{jit.COPY}"(ptr {target}, ptr {source}, i64 {size})'

    def constant(self, x: Any) -> str:
        """The pointer to the elements of a constant tensor."""
        name = f"constant{len(self._constants)}"
        self._constants[name] = contiguous(x._value)
        self._declarations[name] = f"@{name} = external global i8"
        return f"@{name}"

    def compiled(
        self, lines: Sequence[str], *symbols: str, quick: bool = False, parted: bool = False
    ) -> jit.Code:
        """The module of the functions `symbols`, which `lines` define.

        quick, parted: as in `jit.compile_module`.
        """
        text = "\n".join([*self._declarations.values(), *lines, ""])
        ahead = jit.begin(text, quick=quick) if self._kernels else None  # while those are made
        for one in longest_first(self._kernels.values()):
            kernel(*one)  # loaded in the order in which they are made
        kernels = {name: jit.Export(kernel(*one), ENTRY) for name, one in self._kernels.items()}
        imports: dict[str, jit.Import] = {**self._constants, **kernels}
        code = jit.compile_module(text, symbols, imports, quick=quick, parted=parted)
        del ahead  # kept so far, as what is made ahead is made for those who keep it
        return code


def stores(table: str, words: Iterable[str]) -> list[str]:
    """The lines that fill a table on the stack, of words with their types."""
    lines = []
    for k, word in enumerate(words):
        lines += [
            f"  %{table}{k} = getelementptr i64, ptr %{table}, i64 {k}",
            f"  store {word}, ptr %{table}{k}",
        ]
    return lines


def arguments(pointers: Sequence[str]) -> str:
    """Pointers as LLVM's arguments."""
    return ", ".join([f"ptr {pointer}" for pointer in pointers])


def kernel(node: Node, over: frozenset[int] = frozenset(), *, inside: bool = True) -> jit.Code:
    """The native code of a kernel; made once, and kept with its graph.

    inside: for other native code, which calls it; else for Python.
    """
    return KERNELS[node.op].code(node, over, inside)


def longest_first(
    kernels: Iterable[tuple[Node, frozenset[int]]],
) -> list[tuple[Node, frozenset[int]]]:
    """Kernels, and what of them may be in the memory of an input; products before others.

    What takes LLVM long had better not come last: others would have nothing to do meanwhile.
    """

    def rank(pair: tuple[Node, frozenset[int]]) -> tuple[bool, int]:
        (node, _) = pair
        return node.op is not native_product, -len(node.attrs["graph"].nodes)

    return sorted(kernels, key=rank)


def begin_kernel(node: Node, over: frozenset[int] = frozenset(), *, inside: bool = True) -> Any:
    """Have other threads begin with `kernel`; keep the result till then."""
    begin = KERNELS[node.op].begin
    return None if begin is None else begin(node, over, inside)


def kernel_text(node: Node, over: frozenset[int]) -> str | None:
    """The LLVM text of a kernel, for who compiles it with other text.

    None for a kernel that calls others.
    """
    write = KERNELS[node.op].text
    return None if write is None else write(node, over)


def contiguous(x: Array) -> Array:
    """`x`, or a copy that native code can read: contiguous, aligned, of native byte order."""
    if x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative:
        return x
    return np.array(x, x.dtype.newbyteorder("="), order="C")


def size_of(x: Any) -> int:
    """The bytes of the elements of `x`."""
    return int(math.prod(x.shape) * x.dtype.itemsize)
