"""Random programs of ops, as Python source that can be read, for what must hold for all of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import MinigradError
from ..neighbours.protocols import array_namespace
from .extra import st
from .report import literal

mg = array_namespace()  # programs are written as users write them
LARGEST = 48  # elements of a value
Statement = tuple[str, int, int]

# What may stand behind `v = `; {a} and {b} become earlier values. Many are wrong for the shapes
# at hand: those are left out. Values stay small, and away from poles.
EXPRESSIONS = (
    *("{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} * 0.5", "2.0 - {a}", "-{a}", "{a} * 1 + 0"),
    *("mg.sin({a})", "mg.cos({a})", "mg.tanh({a})", "mg.exp(-mg.abs({a}))", "mg.square({a}) / 4"),
    *("mg.sqrt({a} * {a} + 1.0)", "mg.log({a} * {a} + 1.0)", "{a} / (1.5 + mg.sin({b}))"),
    *("mg.special.expit({a})", "mg.where({a} > {b}, {a}, 0.5)", "mg.maximum({a}, {b})"),
    *("mg.clip({a}, -1.0, 1.0)", "mg.floor({a}) + {b}", "mg.stop_gradient({a}) * {b}"),
    *("mg.sum({a}, axis=0)", "mg.sum({a}, axis=-1, keepdims=True)", "mg.mean({a})"),
    *("mg.max({a}, axis=-1)", "mg.prod(mg.tanh({a}), axis=-1)", "mg.var({a}, axis=-1)"),
    *("mg.cumulative_sum({a}, axis=-1) / 2", "mg.nn.softmax({a})", "mg.nn.softmax({a}, axis=0)"),
    *("mg.reshape({a}, (-1,))", "mg.expand_dims({a}, axis=0)", "mg.broadcast_to({a}, (2, 3))"),
    *("{a}.mT", "{a}[0]", "{a}[..., ::-1]", "{a}[mg.constant([0, 0])]", "{a}.at[0].set(0.5)"),
    *("mg.matmul({a}, {b})", "mg.matmul({a}, {a}.mT) / 4", "mg.tensordot({a}, {b}, axes=1)"),
    *("mg.concat([{a}, {b}], axis=0)", "mg.stack([{a}, {b}])", "mg.roll({a}, 1, axis=0)"),
    *("mg.sort({a})", "mg.take({a}, mg.argmax({a}, axis=-1), axis=-1)", "mg.zeros_like({a})"),
    "mg.astype(mg.astype({a}, mg.float32), mg.float64)",
    "mg.astype({a} > 0, mg.float64) * mg.ones((3,), dtype=mg.float64)",
    "wave({a})",
    "mg.sum(both({a}, {b})[1]) + both({a}, {b})[0]",
    "mg.py_function(lambda z: mg.sin(z) * z, [{a}], mg.TensorSpec({a}.shape, mg.float64))",
    "mg.cond(mg.sum({a}) > 0, lambda: {a} * 2.0, lambda: mg.sin({a}))",
    "mg.fori_loop(0, 3, lambda i, z: mg.sin(z) + 0.1 * {a}, {a})",
    "mg.scan(lambda c, x: (mg.tanh(c + x), c * x), mg.zeros_like({a}[0]), {a})[1]",
    "weight * {a}",
    "state * {a}",
)
# statements without a value
EFFECTS = ("state.assign(mg.mean({a}))", "state.assign_add(mg.mean(mg.sin({a})))")
SHAPES = (((2, 3), (3,), ()), ((3,), (1,), (3,)), ((2, 1, 3), (2, 3), (3, 2)), ((), (), ()))

weight = mg.Variable(np.float64(0.75), name="weight")
state = mg.Variable(np.float64(1.0), name="state", trainable=False)


def wave(z: Any) -> Any:
    """To be traced, and called in programs."""
    return mg.sin(z) * weight + z


def both(y: Any, z: Any) -> Any:
    """To be traced, with two results."""
    return y * 0.5, mg.cos(z)


class Program:
    """A Python function of arrays, written at random; `repr` is its source."""

    def __init__(self, arrays: Sequence[Any], statements: Sequence[Statement]) -> None:
        self.arrays = tuple(arrays)
        self.statements = tuple(statements)
        self.arguments = [f"x{i}" for i in range(len(arrays))]
        self.lines: list[str] = []
        # traced anew for each program: too many shapes of one function are worth a warning
        self.names = {"mg": mg, "weight": weight, "state": state}
        self.names |= {"wave": mg.function(wave), "both": mg.function(both)}
        values: dict[str, Any] = dict(zip(self.arguments, self.tensors(), strict=True))
        state.assign(1.0)
        for statement in statements:
            self._add(statement, values)
        results = [name for name in values if name not in self.arguments][-3:]
        self.lines.append(f"return [{', '.join(results or self.arguments)}]")
        head = f"def program({', '.join(self.arguments)}):"
        self.source = "\n    ".join([head, *self.lines]) + "\n"
        namespace = dict(self.names)
        exec(compile(self.source, "<random program>", "exec"), namespace)
        self.function: Callable[..., list[Any]] = namespace["program"]

    def _add(self, statement: Statement, values: dict[str, Any]) -> None:
        """Write the statement down, if it means something."""
        template, i, k = statement
        names = [*values][::-1]
        text = template.format(a=names[i % len(names)], b=names[k % len(names)])
        before = state.numpy()
        try:
            result = eval(text, self.names | values)
        except (MinigradError, TypeError, IndexError):
            return
        if template in EFFECTS:
            self.lines.append(text)
        elif is_small(result):
            values[f"v{len(self.lines)}"] = result
            self.lines.append(f"v{len(self.lines)} = {text}")
        else:
            state.assign(before)

    def tensors(self) -> list[Any]:
        """The arguments."""
        return [mg.constant(x) for x in self.arrays]

    def run(self, f: Callable[..., Any] | None = None) -> list[Any]:
        """The results of `f` (None: of the function itself), and what it leaves in `state`."""
        state.assign(1.0)
        results = (f or self.function)(*self.tensors())
        return [*results, state.value()]

    def as_lines(self, name: str) -> str:
        """The lines that bind `name` to this program."""
        arrays = ", ".join([literal(x) for x in self.arrays])
        statements = f"[{', '.join(map(repr, self.statements))}]"
        lines = [f"# {line}" for line in repr(self).splitlines()]
        lines += ["from minigrad.testing.programs import Program"]
        return "\n".join([*lines, f"{name} = Program([{arrays}], {statements})"])

    def __repr__(self) -> str:
        arrays = ", ".join([f"{x.shape}" for x in self.arrays])
        return f"# of arguments {arrays}\n{self.source}"


def is_small(value: Any) -> bool:
    """Whether `value` is a tensor of few floats that are not large."""
    if not isinstance(value, mg.Tensor) or value.dtype != mg.float64 or value.size > LARGEST:
        return False
    return bool(np.all(np.abs(value.numpy()) < 1e3))


@st.composite
def programs(
    draw: Any, *, effects: bool = False, without: Sequence[str] = (), most: int = 12
) -> Program:
    """Programs of up to `most` statements.

    effects: some of which assign a Variable. without: leave out expressions with these words.
    """
    shapes = draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    arrays = [rng.normal(size=shape) for shape in shapes]
    known = [text for text in EXPRESSIONS if not any(word in text for word in without)]
    templates = st.sampled_from([*known, *(EFFECTS if effects else ())])
    places = st.integers(0, 15)
    statements = draw(st.lists(st.tuples(templates, places, places), min_size=1, max_size=most))
    return Program(arrays, statements)
