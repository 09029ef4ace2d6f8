"""A graph as Python source that runs: by ops on tensors, or by their kernels on arrays."""

from __future__ import annotations

import builtins
import keyword
import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from .core.lowering import Body, Composed
from .core.op import Node
from .core.spec import DTYPES, SCALARS, Spec, default_dtype
from .core.tensor import Symbol, Tensor, tensor_of
from .graph import Graph, trace

COMMENT_COLUMN = 52
WIDTH = 100
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
PLAIN = (bool, int, str, bytes, type(None))
# names that a text uses in their usual meaning
RESERVED = frozenset({*keyword.kwlist, *dir(builtins), *DTYPES, "inf", "nan", "asarray", "traced"})


class Source(NamedTuple):
    """The text of a graph, and what its names mean.

    name: of the function that `text` defines. namespace: what other names in it are bound to.
    start: the line of the first statement. nodes: by their line. values: what inputs and outputs
    are called. Lines count from 1.
    """

    text: str
    name: str
    namespace: dict[str, Any]
    start: int
    nodes: dict[int, Node]
    values: dict[Any, str]

    def __str__(self) -> str:
        return self.text

    def function(self) -> Callable[..., tuple[Any, ...]]:
        """The function that the text defines."""
        namespace = dict(self.namespace)
        exec(self.text, namespace)
        made: Callable[..., tuple[Any, ...]] = namespace[self.name]
        return made


def source(graph: Graph, *, lines: bool = False, kernels: bool = False) -> Source:
    """`graph` as a Python function of its inputs that returns the tuple of its outputs.

    lines: say of each node where the user wrote it. kernels: for arrays instead of tensors; then
    values are deleted after their last use, and graphs among attributes are not spelled out.
    """
    writer = Writer(lines=lines, kernels=kernels)
    writer.reserve(graph)
    return writer.source(graph)


def traced(*specs: Spec) -> Callable[[Callable[..., Any]], Graph]:
    """Make a graph of the decorated function: how a text spells a graph among attributes."""
    return lambda body: trace(body, specs, body.__name__)[0]


class Writer:
    """Writes functions, one below the other, and keeps what their names are bound to."""

    def __init__(self, *, lines: bool, kernels: bool) -> None:
        self.lines = lines
        self.kernels = kernels
        self.namespace: dict[str, Any] = {}
        self.taken: set[str] = set(RESERVED)
        self.names: dict[Any, str] = {}  # of graphs and of objects bound to a name
        self.header: list[str] = []
        self.functions: list[str] = []

    def source(self, graph: Graph) -> Source:
        """The text that defines `graph`, after all that it needs."""
        name = self.fresh(graph.name)
        values = named(graph)
        head = self.signature(name, graph, values)
        body, nodes = self.statements(graph, values)
        above = "\n".join([*self.header, *self.functions, *head, ""])
        start = above.count("\n") + 1
        rows = {start + i: node for i, node in nodes.items()}
        text = above + "\n".join([*body, ""])
        return Source(text, name, self.namespace, start, rows, values)

    # names

    def reserve(self, graph: Graph) -> None:
        """Keep the names of all ops for the ops."""
        for node in graph.nodes:
            self.taken.add(node.op.name)
            for inner in () if self.kernels else nested_graphs(node):
                self.reserve(inner)

    def fresh(self, wish: str) -> str:
        """A name like `wish` that means nothing yet."""
        stem = re.sub(r"\W+", "_", wish).strip("_") or "graph"
        if not stem.isidentifier() or re.fullmatch(r"v\d+", stem):
            stem = f"_{stem}"
        name, count = stem, 0
        while name in self.taken:
            count += 1
            name = f"{stem}_{count}"
        self.taken.add(name)
        return name

    def bound(self, value: Any, wish: str, note: str | None = None) -> str:
        """The name of the object `value`, which has no literal."""
        key = Identity(value)
        if key not in self.names:
            name = self.names[key] = self.fresh(wish)
            self.namespace[name] = value
            if note is not None:
                self.header.append(f"# {name}: {note}")
        return self.names[key]

    # functions

    def statements(self, graph: Graph, values: dict[Any, str]) -> tuple[list[str], dict[int, Node]]:
        """The lines of the function after its signature, and the nodes by line, from 0."""
        text: list[str] = []
        nodes = {}
        drops = last_uses(graph) if self.kernels else {}
        for i, node in enumerate(graph.nodes):
            nodes[len(text)] = node
            text.append(self.line(node, values))
            if i in drops:
                text.append(f"    del {', '.join([values[x] for x in drops[i]])}")
        arrays = {
            *graph.inputs,
            *[y for node in graph.nodes if is_body(node) for y in node.outputs],
        }
        results = [self.result(y, values, array=y in arrays) for y in graph.outputs]
        text.append(f"    return ({', '.join(results)}{',' * (len(results) == 1)})")
        return text, nodes

    def signature(self, name: str, graph: Graph, values: dict[Any, str]) -> list[str]:
        """The lines that open the function, with the specs of its inputs."""
        names = [values[x] for x in graph.inputs]
        known = (*graph.arguments, *graph.captures)
        notes = [described(x, whole) for x, whole in zip(graph.inputs, known, strict=True)]
        line = commented(f"def {name}({', '.join(names)}):", ", ".join(notes))
        if len(line) <= WIDTH:
            return [line]
        pairs = zip(names, notes, strict=True)
        rows = [commented(f"    {value},", note) for value, note in pairs]
        return [f"def {name}(", *rows, "):"]

    def line(self, node: Node, values: dict[Any, str]) -> str:
        """The statement that is `node`, with the specs of its outputs."""
        inputs = [self.operand(x, values) for x in self.operands(node)]
        function, attrs = self.callee(node)
        arguments = [*inputs, *[f"{key}={self.literal(x, key)}" for key, x in attrs.items()]]
        outputs = [values[y] for y in node.outputs]
        target = ", ".join(outputs)
        if len(outputs) == 1 and gives_tuple(node):
            target = f"({target},)"
        note = ", ".join([described(y) for y in node.outputs])
        if self.lines:
            note = f"{note}  {node.where}" if note else str(node.where)
        call = f"{function}({', '.join(arguments)})"
        return commented(f"    {target} = {call}" if target else f"    {call}", note)

    def callee(self, node: Node) -> tuple[str, dict[str, Any]]:
        """The name of what a node calls, and which attributes it is given."""
        op, lower = node.op, node.op.lower
        if isinstance(lower, Body):
            graph = lower.graph(node.attrs)
            if self.kernels:
                return self.bound(self.kernel(node), graph.name), {}
            return self.nested(graph, decorated=False), {}
        self.namespace[op.name] = op.kernel if self.kernels else op
        return op.name, node.attrs

    def kernel(self, node: Node) -> Callable[..., Any]:
        """The kernel of a node whose op means a graph, bound to its attributes."""
        if node.op.prepare is not None:
            return node.op.prepare(**node.attrs)
        return partial(node.op.kernel, **node.attrs)

    def nested(self, graph: Graph, *, decorated: bool) -> str:
        """The name of `graph`, defined as a function above; decorated: as a Graph."""
        key = (graph, decorated)
        if key not in self.names:
            name = self.names[key] = self.fresh(graph.name)
            values = named(graph)
            text = [*self.signature(name, graph, values), *self.statements(graph, values)[0]]
            if decorated:
                self.namespace["traced"] = traced
                specs = ", ".join([self.literal(x.spec, "spec") for x in graph.inputs])
                text.insert(0, f"@traced({specs})")
            self.functions.append("\n".join([*text, "", ""]))
        return self.names[key]

    # values

    def operands(self, node: Node) -> Sequence[Any]:
        """The inputs of `node`; for a kernel, Python numbers by themselves are made arrays."""
        numbers = [x for x in node.inputs if type(x) in SCALARS]
        mixed = len(numbers) < len(node.inputs)
        if not self.kernels or not numbers or mixed or not node.op.broadcasts:
            return node.inputs
        dtype = default_dtype(*map(type, numbers))
        return [tensor_of(np.asarray(x, dtype)) for x in numbers]

    def operand(self, x: Any, values: dict[Any, str]) -> str:
        """How to write the input `x` of a node."""
        if type(x) is Symbol:
            return values[x]
        if type(x) is Tensor:
            note = f"{x.spec} {x._value!s}" if x.size == 1 else str(x.spec)
            return self.bound(x._value if self.kernels else x, "constant", note)
        return self.literal(x, "constant")

    def result(self, y: Any, values: dict[Any, str], *, array: bool) -> str:
        """How to write the output `y`: kernels may give NumPy scalars, a graph gives arrays.

        array: whether `y` is an array for sure.
        """
        text = self.operand(y, values)
        if not self.kernels or array or type(y) is Tensor or y.shape or y.dtype.kind == "O":
            return text
        self.namespace["asarray"] = as_array
        return f"asarray({text})"

    def literal(self, value: Any, wish: str) -> str:
        """How to write the attribute `value`, called `wish` if it needs a name."""
        kind = type(value)
        if kind in PLAIN:
            return repr(value)
        if kind is float and math.isfinite(value):
            return repr(value)
        if kind is float:
            self.namespace.update(inf=math.inf, nan=math.nan)
            return repr(value)
        if kind is complex:
            return f"complex({self.literal(value.real, '')}, {self.literal(value.imag, '')})"
        if kind is EllipsisType:
            return "..."
        if kind is slice:
            parts = (value.start, value.stop, value.step)
            return f"slice({', '.join([self.literal(part, wish) for part in parts])})"
        if kind is tuple or kind is list:
            inside = ", ".join([self.literal(part, wish) for part in value])
            if kind is list:
                return f"[{inside}]"
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        if kind is dict:
            pairs = [f"{self.literal(k, wish)}: {self.literal(v, k)}" for k, v in value.items()]
            return f"{{{', '.join(pairs)}}}"
        if isinstance(value, np.dtype) and value.name in DTYPES:
            self.namespace[value.name] = value
            return value.name
        if kind is Spec and self.kernels:  # made once, and not at each call
            return self.bound(value, "spec", str(value))
        if kind is Spec:
            self.namespace["TensorSpec"] = Spec
            return f"TensorSpec({value.shape}, {self.literal(value.dtype, wish)})"
        if kind is Graph:
            return (
                self.bound(value, value.name)
                if self.kernels
                else self.nested(value, decorated=True)
            )
        return self.bound(value, getattr(value, "__name__", str(wish)), noted(value))


class Identity:
    """A key that is equal to another only if both hold the same object."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)  # kept alive by the key


def named(graph: Graph) -> dict[Any, str]:
    """What the inputs of `graph` and the outputs of its nodes are called."""
    values = {x: f"v{i}" for i, x in enumerate(graph.inputs)}
    for node in graph.nodes:
        for y in node.outputs:
            values[y] = f"v{len(values)}"
    return values


def as_array(y: Any) -> Any:
    """`y`, which may be a NumPy scalar, as an array; the None of a body without a path as it is."""
    return y if y is None else np.asarray(y)


def commented(statement: str, note: str) -> str:
    """`statement`, and behind it `note` as a comment."""
    return f"{statement:<{COMMENT_COLUMN - 2}}  # {note}" if note else statement


def described(x: Any, whole: Any = None) -> str:
    """What a comment says of the value `x`, and of what is given for it, such as a Variable."""
    # as str(x.spec), in a sixth of its 30 us
    shape, dtype = x.shape, DTYPE_NAMES.get(x.dtype)
    if dtype is None:
        return "object"
    dims = "..." if shape is None else ",".join(["?" if n is None else str(n) for n in shape])
    name = getattr(whole, "name", None)
    return f"Variable {name}: {dtype}[{dims}]" if name else f"{dtype}[{dims}]"


def noted(value: Any) -> str:
    """What the head of a text says of an object that it can only name."""
    code = getattr(value, "__code__", None)
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    if isinstance(value, np.ndarray):
        return str(Spec.from_tensor(value))
    return f"{type(value).__name__} {value!r:.60}".splitlines()[0]


def nested_graphs(node: Node) -> Iterator[Graph]:
    """The graphs among the attributes of `node`."""
    for value in node.attrs.values():
        for part in value if type(value) in (tuple, list) else (value,):
            if type(part) is Graph:
                yield part


def is_body(node: Node) -> bool:
    """Whether the op of `node` means a graph."""
    return isinstance(node.op.lower, Body)


def gives_tuple(node: Node) -> bool:
    """Whether the one output of `node` comes in a tuple, as functions of graphs give it."""
    op = node.op
    if is_body(node):
        return True
    if not isinstance(op.lower, Composed | None) or op.vjps is not None:
        return False
    return not isinstance(op.infer(*node.inputs, **node.attrs), Spec)


def last_uses(graph: Graph) -> dict[int, list[Symbol]]:
    """By the index of a node, what no later node uses; of what nodes make, not of inputs."""
    made: dict[Symbol, int] = {}
    for i, node in enumerate(graph.nodes):
        for y in node.outputs:
            made[y] = i
        for x in node.inputs:
            if type(x) is Symbol and x in made:
                made[x] = i
    for y in graph.outputs:
        made.pop(y, None)
    drops: dict[int, list[Symbol]] = {}
    for x, i in made.items():
        if i < len(graph.nodes) - 1:  # after the last node, the function returns
            drops.setdefault(i, []).append(x)
    return drops
