"""Small models that together use what files can hold; and the golden files made of them.

`python -m tests.unit.saved_model.models` writes those golden files that do not exist. Files of
released versions are never written again: that they can be read is what they are kept for.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg

GOLDEN = Path(__file__).parents[2] / "golden"


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Line:
    start: Any
    slope: Any


class Network(mg.Module):
    """Variables by name, a list of layers, one Variable shared, functions with and without jit."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.w = mg.Variable(rng.normal(size=(3, 4)).astype(np.float32), name="w")
        self.layers = [mg.Variable(np.ones(4, np.float32)), mg.Variable(0.5, trainable=False)]
        self.calls = mg.Variable(0)
        self.table = mg.constant(np.arange(5.0))

    @mg.function(input_signature=[mg.TensorSpec((None, 3), name="x")])
    def predict(self, x: Any) -> Any:
        """Rows through one layer."""
        self.calls.assign_add(1)
        return mg.tanh(x @ self.w + self.layers[0]) * self.layers[1]

    @mg.function(jit_compile=True, input_signature=[mg.TensorSpec((2, 3))])
    def loss(self, x: Any) -> Any:
        return mg.mean(mg.square(mg.nn.relu(x @ self.w) + self.layers[0]))

    @mg.function(input_signature=[mg.TensorSpec((), mg.float64)])
    def lookup(self, x: Any) -> Any:
        return mg.sum(self.table * x), {"n": 5}


def network() -> Network:
    return Network()


def control() -> Any:
    """Branches, loops and scans, with a hand-written gradient."""

    @mg.custom_gradient
    def clipped(x: Any) -> Any:
        return x * 1.0, lambda g: mg.clip(g, -1.0, 1.0)

    @mg.function(input_signature=[mg.TensorSpec((3,), mg.float64)])
    def control(x: Any) -> Any:
        y = mg.cond(mg.sum(x) > 0, lambda: mg.exp(x), lambda: mg.sin(x) * 2)
        _, y = mg.while_loop(lambda i, _: i < 3, lambda i, z: (i + 1, z * x + 1), (0, y))
        carry, rows = mg.scan(lambda c, z: (c + z, c * z), mg.sum(y), y)
        return clipped(carry) + mg.sum(rows)

    return control


def nests() -> Any:
    """Named tuples, dataclasses, dicts, lists, and Python values in and out."""

    @mg.function
    def nests(p: Any, options: Any = None, *, scale: float = 2.0) -> Any:
        total = p.x * scale + (0 if options is None else options["shift"])
        return Point(total, [p.y, None, "text", 1.5, True]), (Line(p.y, 3),)

    nests(Point(mg.ones(2), mg.zeros(3)), {"shift": mg.constant(1.0)}, scale=3.0)
    nests(Point(mg.ones(2), mg.zeros(3)))
    return nests


def attributes() -> Any:
    """Attributes of many kinds: keys, dtypes, infinities, shapes; float, complex and bool."""

    @mg.function(input_signature=[mg.TensorSpec((4, 6), mg.float32)])
    def attributes(x: Any) -> Any:
        a = x[1:, None, ..., ::-2]
        b = mg.max(mg.where(x > 0, x, -np.inf), axis=(0, 1))
        c = mg.pad(x, ((1, 0), (0, 2)), constant_values=-0.0)
        d = mg.astype(mg.permute_dims(x, (1, 0)), mg.complex128) * (1 + 2j)
        e = x.at[mg.constant([0, 2])].add(1.0)
        return a, b, c, d, e, mg.argsort(x, axis=1), mg.full((2, 0), mg.nan)

    return attributes


def python() -> Any:
    """A py_function that is traced when it is saved, with a Variable of its own."""
    scale = mg.Variable(np.float64(3.0), name="scale")

    @mg.function(input_signature=[mg.TensorSpec((2,), mg.float64)])
    def python(x: Any) -> Any:
        return mg.py_function(lambda t: mg.sin(t) * scale, [x], mg.TensorSpec((2,), mg.float64))

    python.kept = scale  # type: ignore[attr-defined]
    return python


MODELS: dict[str, Callable[[], Any]] = {
    build.__name__: build for build in (network, control, nests, attributes, python)
}


def write_golden() -> None:
    """Write the golden files that are missing."""
    for name, build in MODELS.items():
        path = GOLDEN / f"v1-{name}.mg"
        if not path.exists():
            mg.saved_model.save(build(), path)


if __name__ == "__main__":
    write_golden()
