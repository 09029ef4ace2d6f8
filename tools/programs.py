"""Random programs of arrays: short functions, written as Python that can be pasted.

A program is made of templates of lines. What may jump or bend (floor, comparisons, maxima, casts
to integers) is applied to exact values only, those that rounding has not touched, so that rounding
alone never makes a difference, of values or of derivatives. Some programs keep a state: Variables
that they assign, and a generator of random numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.core.tensor import tensor_of
from tools.templates import Draw, Template, fill, templates

SIZES = (0, 1, 2, 3, 7, 8, 16, 63, 65, 130, 1000)
LARGE = (1, 7, 63, 128, 1000, 1024, 4099)
LARGEST = {False: 80_000, True: 2_000_000}  # elements of a value
DTYPES = ("float32", "float64", "int32", "int64", "bool", "complex64", "complex128")
DTYPES += ("float16", "int8", "uint8", "int16", "uint16", "uint32", "uint64")


class Value(NamedTuple):
    """What a name stands for; `exact` where compiled code has it to the bit."""

    tensor: Any
    exact: bool


class Program:
    """A function of arrays, made of a seed.

    large: of such sizes that threads share its loops. variables: those that it assigns, `w0` and
    `w1` in its source; `generator` is the other thing that its calls change.
    """

    def __init__(self, seed: int, *, steps: int = 8, large: bool = False) -> None:
        self.seed, self.large = seed, large
        self.rng = np.random.default_rng(seed)
        self.special = bool(self.rng.random() < 0.15)
        self.lengths = self.rng.choice(LARGE if large else SIZES, 3)
        self.values: dict[str, Value] = {}
        self.lines: list[str] = []
        self.has_control = False
        for i in range(self.rng.integers(1, 4)):
            self.values[f"x{i}"] = Value(tensor_of(self._argument()), True)
        self.arguments = list(self.values)
        self.inputs = [self.values[name].tensor for name in self.arguments]
        self.generator = mg.random.Generator(seed)
        self.variables: dict[str, Any] = {}
        if self.rng.random() < 0.3:
            for i in range(self.rng.integers(1, 3)):
                self.variables[f"w{i}"] = mg.Variable(np.array(self._argument()))
        self.beginning = self.state()
        self.stateful = bool(self.variables) or bool(self.rng.random() < 0.1)
        self.names: dict[str, Any] = {"mg": mg, "generator": self.generator, **self.variables}
        for _ in range(steps):
            self._step()
        made = [name for name in self.values if name not in self.arguments]
        self.results = made[-3:] or self.arguments
        self.lines.append(f"return [{', '.join(self.results)}]")
        self.source = "\n    ".join([f"def f({', '.join(self.arguments)}):", *self.lines]) + "\n"
        exec(compile(self.source, f"<program {seed}>", "exec"), self.names)
        self.function = self.names["f"]
        self.stateful = any(word in self.source for word in ("assign", "generator"))
        self.restore(self.beginning)

    # State.

    def state(self) -> list[Any]:
        """What the Variables are, and the generator."""
        return [v.numpy().copy() for v in [*self.variables.values(), self.generator.state]]

    def restore(self, state: list[Any]) -> None:
        """Make the Variables, and the generator, what they were."""
        cells = [*self.variables.values(), self.generator.state]
        for variable, array in zip(cells, state, strict=True):
            variable.assign(array.copy())

    # Arguments.

    def _argument(self) -> Any:
        """An array of any dtype, shape and place in memory."""
        rng, dtype = self.rng, np.dtype(self.rng.choice(DTYPES, p=chances()))
        m, n, k = (int(x) for x in self.lengths)
        shapes = [(), (n,), (m, n), (1, n), (m, 1), (n, m), (n, k), (k, m), (n, n), (k,)]
        shapes += [(2, min(m, 8), n), (min(m, 8), n, min(k, 8))]
        shape = shapes[rng.integers(len(shapes))]
        if np.prod(shape) > LARGEST[self.large]:
            shape = shape[-1:]
        values = rng.normal(size=shape) * 2
        if dtype.kind == "c":
            values = values + 1j * rng.normal(size=shape)
        if dtype.kind in "iu":
            values = rng.integers(0 if dtype.kind == "u" else -9, 10, shape)
        if dtype.kind == "b":
            values = rng.random(shape) < 0.5
        array = np.asarray(values).astype(dtype)
        if self.special and dtype.kind == "f" and array.size:
            spots = rng.integers(array.size, size=3)
            array.reshape(-1)[spots] = rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0], 3)
        return placed(array, rng)

    # Lines.

    def _step(self) -> None:
        """Add a line, if it means something and stays small."""
        rng = self.rng
        template = self._template()
        names = list(self.values)[::-1]
        weights = 0.6 ** np.arange(len(names))
        chosen = [str(x) for x in rng.choice(names, 3, p=weights / weights.sum())]
        line = fill(template.text, Draw(rng, chosen, self.values, list(self.variables)))
        if line is None:
            return
        used = [self.values[name] for name in chosen if name in line]
        exact = all(value.exact for value in used)
        if template.needs_exact and not exact:
            return
        before = self.state()
        try:
            tensors = {name: value.tensor for name, value in self.values.items()}
            y = eval(line, {**self.names, **tensors})
            if template.is_control:  # eagerly, dtypes may change on the way
                mg.function(lambda: eval(line, {**self.names, **tensors})).get_concrete_function()
        except mg.errors.MinigradError:
            self.restore(before)
            return
        except Exception as error:
            error.add_note(f"seed {self.seed}: {line}, of {[str(u.tensor.spec) for u in used]}")
            raise
        if y is None:  # an assignment
            if all(is_tame(v.value()) for v in self.variables.values()):
                self.lines.append(line)
            else:
                self.restore(before)
            return
        if y.size > LARGEST[self.large] or (not self.special and not is_tame(y)):
            self.restore(before)
            return
        name = f"v{len(self.lines)}"
        exact = exact and (template.gives_exact or y.dtype.kind in "biu")
        self.values[name] = Value(y, exact)
        self.lines.append(f"{name} = {line}")
        self.has_control |= template.is_control

    def _template(self) -> Template:
        """A template of any kind; one of state only where the program is to have such."""
        kinds = ["smooth", "moves", "bent", "pieces", "state"]
        weights = np.array([0.4, 0.3, 0.2, 0.1, 0.5 if self.stateful else 0.0])
        found = templates(str(self.rng.choice(kinds, p=weights / weights.sum())))
        return found[self.rng.integers(len(found))]

    def __str__(self) -> str:
        named = zip(self.arguments, self.inputs, strict=True)
        lines = [f"# {name}: {memory(x)}" for name, x in named]
        named = zip(self.variables, self.beginning, strict=False)
        lines += [f"# {name}: Variable {x.dtype} {x.shape}" for name, x in named]
        return "\n".join([f"# seed {self.seed}{' --large' * self.large}", *lines, self.source])


def chances() -> Any:
    """How often each dtype is drawn: the floats of daily work most of all."""
    weights = np.array([8, 8, 2, 2, 2, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    return weights / weights.sum()


def placed(array: Any, rng: Any) -> Any:
    """`array` somewhere in memory: strided, reversed, transposed, unaligned, repeated; read-only.

    What is read only may be taken for a tensor as it is.
    """
    match int(rng.integers(8)):
        case 0 if array.ndim:
            step = int(rng.choice([2, 3, 7]))
            array = np.repeat(array, step, axis=-1)[..., ::step]
        case 1 if array.ndim:
            array = np.ascontiguousarray(array[..., ::-1])[..., ::-1]
        case 2:
            array = np.asfortranarray(array)
        case 3:
            raw = np.zeros(array.nbytes + 1, np.uint8)
            odd = raw[1:].view(array.dtype).reshape(array.shape)
            odd[...] = array
            array = odd
        case 4 if array.ndim and array.shape[0]:
            array = np.broadcast_to(array[:1], array.shape)
        case 5 if array.ndim and array.shape[-1]:
            array = np.broadcast_to(array[..., :1], array.shape)
        case 6 if array.ndim == 1 and array.size:  # windows: what overlaps
            array = np.lib.stride_tricks.sliding_window_view(array, max(1, array.size // 2))
            array = array[: max(1, min(array.shape[0], 9))]
    array = array.view()
    array.flags.writeable = False
    return array


def memory(x: Any) -> str:
    """How a tensor lies in memory."""
    array = x.numpy()
    signs = "aligned" if array.flags.aligned else "unaligned"
    return f"{x.dtype} {x.shape}, strides {array.strides}, {signs}"


def is_tame(y: Any) -> bool:
    """Whether all elements are finite, and those that are no integers not large."""
    array = y.numpy()
    return array.dtype.kind in "biu" or bool(
        np.all(np.isfinite(array)) and np.all(np.abs(array.astype("c16")) < 1e3)
    )
