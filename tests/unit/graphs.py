"""Graphs of many kinds, with inputs for them: what prints, runs and passes are tried on."""

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.core.registry import OPS
from minigrad.core.spec import Spec
from minigrad.core.tensor import tensor_of
from minigrad.graph import Graph, evaluate, trace
from minigrad.variable import Cell

Array = np.ndarray[Any, Any]
WEIGHT = mg.constant([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]], mg.float64)
SCALE = mg.constant(0.5)


class Example(NamedTuple):
    """A function to be traced, and arrays to run its graph on."""

    body: Callable[..., Any]
    arrays: tuple[Array, ...]
    specs: tuple[Spec, ...] | None = None


def numbers(*shape: int) -> Array:
    """Some numbers, the same every time."""
    return np.random.default_rng(len(shape)).normal(size=shape) * 2


def captures(x: Any) -> list[Any]:
    y = mg.sin(x) * WEIGHT
    return [y * SCALE, mg.matmul(x, WEIGHT.mT)]


def gradient(x: Any, w: Any) -> list[Any]:
    with mg.GradientTape() as tape:
        tape.watch((x, w))
        y = mg.sum(mg.tanh(mg.matmul(x, w)) ** 2)
    return [y, *tape.gradient(y, [x, w])]


def of_unknown_dims(x: Any) -> list[Any]:
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.mean(x * x, axis=0) + mg.reshape(x, (-1, 3))
    return [y, tape.gradient(y, x), mg.shape(x)]


def shapes(x: Any) -> list[Any]:
    y = mg.permute_dims(mg.permute_dims(x, (1, 0)), (1, 0))
    z = mg.reshape(mg.reshape(y, (6,)), (3, 2))
    return [z[1:, ::-1], mg.concat([z, z], axis=1), mg.expand_dims(z, axis=1)[..., None, 0]]


def selections(x: Any) -> list[Any]:
    return [
        mg.where(x > 0, x, float("inf")),
        mg.where(mg.isnan(x), float("nan"), -0.0),
        mg.clip(x, -1, 1),
        mg.astype(x, mg.float32) * 1 + 2.5,
        mg.astype(mg.astype(x, mg.int32), mg.bool),
    ]


def constants(x: Any) -> list[Any]:
    return [mg.sin(2.0) * x, mg.sqrt(2.0) + mg.ones((3,)), mg.zeros((2, 3)) + x, mg.exp(1j) * x]


def alike(x: Any) -> list[Any]:
    unused = mg.exp(x)
    y = mg.sin(x) + mg.sin(x)
    return [y, y, x, mg.negative(-x), (x * 1 - 0) / 1, unused * 0 + mg.sin(x)]


def nested(x: Any) -> list[Any]:
    twice = mg.function(lambda z: z + z, name="twice")
    return [twice(twice(x)), mg.function(lambda z: (z * 2, z), name="pair")(x)[1]]


def decisions(x: Any) -> list[Any]:
    y = mg.cond(mg.sum(x) > 0, lambda: x * 2, lambda: mg.cos(x) * SCALE)
    z = mg.while_loop(lambda i, z: i < 3, lambda i, z: (i + 1, mg.sin(z) + x), (0, x))[1]
    total, steps = mg.scan(lambda c, v: (c + v, c * v), mg.sum(x) * 0, x)
    return [y, z, total, steps]


def with_variables(x: Any) -> list[Any]:
    v = STATE
    first = v.value()
    v.assign(first + x)
    v.assign_add(v.value() * 2)
    return [first, v.value()]


STATE = mg.Variable(np.ones(3), name="state")

EXAMPLES = {
    "captures": Example(captures, (numbers(2, 3),)),
    "gradient": Example(gradient, (numbers(4, 2), numbers(2, 3))),
    "of_unknown_dims": Example(of_unknown_dims, (numbers(4, 3),), (Spec((None, 3), np.float64),)),
    "shapes": Example(shapes, (numbers(2, 3),)),
    "selections": Example(selections, (np.array([-2.5, -0.0, 0.0, 0.7, np.nan, np.inf]),)),
    "constants": Example(constants, (numbers(2, 3),)),
    "alike": Example(alike, (numbers(3),)),
    "nested": Example(nested, (numbers(3),)),
    "decisions": Example(decisions, (numbers(3),)),
    "with_variables": Example(with_variables, (numbers(3),)),
    "nothing": Example(lambda x: [], (numbers(3),)),
    "itself": Example(lambda x: [x, x], (numbers(3),)),
}


def traced(name: str) -> tuple[Graph, tuple[Any, ...]]:
    """The graph of an example, and the arrays and cells to run it on."""
    body, arrays, specs = EXAMPLES[name]
    graph = trace(body, specs or [Spec.from_tensor(x) for x in arrays], name)[0]
    captured = [x if isinstance(x, Cell) else x._value for x in graph.captures]
    return graph, (*arrays, *captured)


def graph_of(body: Callable[..., Any], *specs: Spec) -> Graph:
    """The graph of a body that returns tensors."""
    return trace(body, specs)[0]


def run(graph: Graph, inputs: tuple[Any, ...]) -> list[Array]:
    """The outputs of `graph`, op by op."""
    STATE.assign(np.ones(3))
    tensors = [tensor_of(x) if isinstance(x, np.ndarray) else x for x in inputs]
    with np.errstate(all="ignore"):
        outputs = evaluate(graph, tensors)
    return [y.numpy() for y in outputs]


def assert_same(ours: Any, theirs: Any) -> None:
    """Equal arrays, to the bit."""
    assert len(ours) == len(theirs)
    for y, z in zip(ours, theirs, strict=True):
        assert isinstance(y, np.ndarray)
        assert (y.shape, y.dtype) == (z.shape, z.dtype)
        assert y.tobytes() == z.tobytes()


# graphs written as text


def documented(function: Callable[..., Any]) -> tuple[Graph, str]:
    """The graph "Before" in the docstring of a pass, and the text "After"."""
    text = inspect.getdoc(function) or ""
    before, after = re.split(r"\nAfter[^\n]*::\n", text.split("Before::\n")[1])
    return read(textwrap.dedent(before)), squeezed(textwrap.dedent(after))


def read(text: str) -> Graph:
    """The graph of a text as graphs print, its inputs being what the comments say."""
    dtypes = {name: np.dtype(name) for name in ("uint32", "uint64", "float32", "float64")}
    namespace: dict[str, Any] = {**dtypes, **OPS}
    exec(text, namespace)
    *inner, (name, notes) = re.findall(r"^def (\w+)\(.*\):\s+# (.*)", text, re.M)
    for other, _ in inner:
        namespace[other] = mg.function(namespace[other], name=other)
    given = [parsed(note) for note in re.findall(r"(?:Variable \w+: )?\w+\[[^]]*\]", notes)]
    symbols = [x for x in given if isinstance(x, Spec)]
    variables = [x for x in given if not isinstance(x, Spec)]

    def body(*xs: Any) -> Any:
        return namespace[name](*xs, *[variable.cell for variable in variables])

    return trace(body, symbols, name)[0]


def parsed(note: str) -> Any:
    """What a comment says of an input: its Spec, or a Variable of that name and spec."""
    *name, dtype, dims = re.split(r": |\[", note.rstrip("]"))
    shape = tuple(None if n == "?" else int(n) for n in dims.split(",") if n)
    if name:
        return mg.Variable(mg.ones(shape, dtype=dtype), name=name[0].removeprefix("Variable "))
    return Spec(shape, dtype)


def squeezed(text: Any) -> str:
    """`text` without blank lines."""
    return "\n".join(line for line in str(text).splitlines() if line.strip())


def lines(graph: Graph) -> list[str]:
    """The statements of a graph, without comments."""
    statements = [line.split("#")[0].strip() for line in str(graph).splitlines()]
    return [line for line in statements if line]
