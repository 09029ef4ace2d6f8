"""Random programs, compiled and not, on every dtype, odd sizes and odd memory: `make fuzz`.

Each program is a short function of arrays, written as Python that can be pasted. It is run op by
op by NumPy, and compiled; values and gradients must agree to rounding. What may jump (floor,
comparisons, argmax, casts to integers) is applied to exact values only, so that rounding alone
never makes a difference. A program that differs or crashes is left behind in a file.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import minigrad as mg
from minigrad.core.tensor import Tensor

SIZES = (0, 1, 2, 3, 7, 8, 16, 63, 65, 130, 1000)
LARGEST = 80_000  # elements of a value
DTYPES = ("float32", "float64", "int32", "int64", "bool", "complex64", "complex128")
DTYPES += ("float16", "int8", "uint8", "int16", "uint16", "uint32", "uint64")
TOLERANCE = {"float16": 2e-2, "float32": 2e-4, "float64": 1e-10}
TOLERANCE |= {"complex64": 2e-4, "complex128": 1e-10}

# Behind `v = `: {a} and {b} become earlier values, {axis} an axis of a, {n} a length.
SMOOTH = (
    *("mg.sin({a})", "mg.cos({a})", "mg.tanh({a})", "mg.exp(-mg.abs({a}))", "mg.square({a})"),
    *("mg.sqrt(mg.abs({a}) + 0.5)", "mg.log(mg.abs({a}) + 0.5)", "mg.special.expit({a})"),
    *("mg.special.erf({a})", "{a} / (mg.abs({b}) + 1)", "{a} * {b}", "{a} + {b}", "{a} - {b}"),
    *("mg.mean({a}, axis={axis})", "mg.var({a}, axis={axis})", "mg.nn.softmax({a}, axis={axis})"),
    *("mg.nn.logsumexp({a}, axis={axis})", "mg.matmul({a}, {b})", "mg.matmul({a}.mT, {a})"),
    *("mg.sum({a}, axis={axis}, keepdims=True)", "mg.sum({a})", "mg.sum({a}, axis=0)"),
    *("mg.cumulative_sum({a}, axis={axis})", "mg.expm1({a} * 0.1)", "mg.log1p(mg.abs({a}))"),
    *("mg.atan2({a}, mg.abs({b}) + 1)", "mg.abs({a}) ** 1.5", "mg.sinh({a} * 0.5)", "{a} * 0.5"),
)
EXACT = (
    *("-{a}", "mg.abs({a})", "mg.maximum({a}, {b})", "mg.minimum({a}, {b})", "{a}.mT", "{a} * 2"),
    *("mg.max({a}, axis={axis})", "mg.min({a}, axis={axis}, keepdims=True)", "{a}[::-1]"),
    *("mg.reshape({a}, (-1,))", "mg.flip({a}, axis={axis})", "{a}[..., ::2]", "{a}[..., 1:]"),
    *("{a}[..., None]", "mg.concat([{a}, {a}], axis={axis})", "mg.stack([{a}, {a}], axis={axis})"),
    *("mg.roll({a}, 1, axis={axis})", "mg.broadcast_to({a}, ({n}, *{a}.shape))", "{a}[0]"),
    *("mg.tile({a}, (2,))", "mg.astype({a}, mg.complex128)", "mg.astype({a}, mg.float64)"),
    *("mg.take({a}, mg.asarray([0, -1, 0]), axis={axis})", "mg.sort({a}, axis={axis})"),
    *("mg.where({a} == {a}, {a}, 0)", "mg.astype({a}, mg.float32)"),
    *("mg.pad({a}, 2)", "mg.pad({a}, ((1, 0),), constant_values=1)", "mg.tril({a}, k=1)"),
    *(
        "mg.triu({a})",
        "{a}.at[0].set({a}[-1])",
        "{a}.at[..., 1:].set(0)",
        "{a}[..., ::-1][..., 1:]",
    ),
    *("mg.concat([{a}[..., 1:], {a}], axis=-1)", "mg.linalg.diagonal({a}, offset=1)"),
    *(
        "mg.take({a}, mg.argsort({a}, axis=0)[..., 0], axis=0)",
        "mg.roll({a}, (3, -1), axis=(0, -1))",
    ),
    *("{a}.at[mg.asarray([0, -1, 0])].add({a}[0])", "mg.repeat({a}, 3, axis={axis})"),
    *(
        "mg.take_along_axis({a}, mg.argsort({a}, axis={axis}), axis={axis})",
        "{a}[mg.asarray(-1), ...]",
    ),
    *("mg.real({a})", "mg.imag({a})", "mg.conj({a})"),
)
# of exact values only
JUMPY = (
    *("mg.floor({a})", "mg.round({a})", "mg.trunc({a})", "mg.sign({a})", "{a} > {b}", "{a} == {b}"),
    *("mg.where({a} > 0, {a}, {b})", "mg.astype({a}, mg.int32)", "mg.astype({a}, mg.bool)"),
    *("mg.argmax({a}, axis={axis})", "mg.isfinite({a})", "mg.clip({a}, -1, 1)", "mg.any({a} > 1)"),
    *("mg.all({a} != 0, axis={axis})", "mg.logical_not({a})", "mg.remainder({a}, {b})"),
    *("mg.floor_divide({a}, {b})", "mg.bitwise_and({a}, {b})", "mg.bitwise_xor({a}, {b})"),
    *("mg.prod({a}, axis={axis})", "mg.count_nonzero({a}, axis={axis})", "mg.argmin({a})"),
)


class Value(NamedTuple):
    """What a name stands for; `exact` where compiled code has it to the bit."""

    tensor: Any
    exact: bool


class Program:
    """A function of arrays, made of a seed."""

    def __init__(self, seed: int, steps: int = 7) -> None:
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.special = bool(self.rng.random() < 0.15)
        self.lengths = self.rng.choice(SIZES, 3)
        self.values: dict[str, Value] = {}
        self.lines: list[str] = []
        for i in range(self.rng.integers(1, 4)):
            self.values[f"x{i}"] = Value(self._argument(), True)
        self.arguments = list(self.values)
        self.inputs = [self.values[name].tensor for name in self.arguments]
        for _ in range(steps):
            self._step()
        made = [name for name in self.values if name not in self.arguments]
        self.results = made[-3:] or self.arguments
        self.lines.append(f"return [{', '.join(self.results)}]")
        self.source = "\n    ".join([f"def f({', '.join(self.arguments)}):", *self.lines]) + "\n"
        names: dict[str, Any] = {"mg": mg}
        exec(compile(self.source, f"<program {seed}>", "exec"), names)
        self.function = names["f"]

    def _argument(self) -> Any:
        """A tensor of any dtype, shape and place in memory."""
        rng, dtype = self.rng, np.dtype(self.rng.choice(DTYPES, p=chances()))
        m, n, k = (int(x) for x in self.lengths)
        shapes = [(), (n,), (m, n), (1, n), (m, 1), (n, m), (2, min(m, 8), n), (k,)]
        shape = shapes[rng.integers(len(shapes))]
        if np.prod(shape) > LARGEST:
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

    def _step(self) -> None:
        """Add a line, if it means something and stays small."""
        rng = self.rng
        kind = rng.choice(3, p=[0.5, 0.3, 0.2])
        template = str(rng.choice((SMOOTH, EXACT, JUMPY)[kind]))
        names = list(self.values)[::-1]
        weights = 0.6 ** np.arange(len(names))
        a, b = (str(x) for x in rng.choice(names, 2, p=weights / weights.sum()))
        used = [self.values[a], *([self.values[b]] if "{b}" in template else [])]
        exact = all(value.exact for value in used)
        if kind == 2 and not exact:
            return
        rank = max(1, self.values[a].tensor.ndim)
        text = template.format(a=a, b=b, axis=int(rng.integers(rank)), n=int(rng.integers(4)))
        try:
            y = eval(text, {"mg": mg, **{name: v.tensor for name, v in self.values.items()}})
        except (mg.errors.MinigradError, ZeroDivisionError):
            return
        if y.size > LARGEST or (not self.special and not is_tame(y)):
            return
        name = f"v{len(self.lines)}"
        self.values[name] = Value(y, exact and (kind > 0 or y.dtype.kind in "biu"))
        self.lines.append(f"{name} = {text}")

    def check(self) -> None:
        """Raise AssertionError where compiled code differs from NumPy."""
        compiled = mg.function(self.function, jit_compile=True)
        scale = self.scale()
        for name, y, z in zip(
            self.results, compiled(*self.inputs), self.function(*self.inputs), strict=True
        ):
            assert_close(name, y, z, scale, self.coarse)
        if self.special:
            return
        places = [i for i, x in enumerate(self.inputs) if x.dtype.kind in "fc"]
        ours, theirs = (gradients(f, self.inputs, places) for f in (compiled, self.function))
        for i, g, h in zip(places, ours, theirs, strict=True):
            assert (g is None) == (h is None), f"the gradient of x{i} is {g}, and {h} op by op"
            if h is not None:
                top = float(np.max(np.abs(h.numpy()), initial=1.0))
                assert_close(f"the gradient of x{i}", g, h, scale * top * 10, self.coarse)

    @property
    def coarse(self) -> float:
        """What rounding may change: that of the narrowest floats on the way."""
        dtypes = {value.tensor.dtype.name for value in self.values.values()}
        return max([TOLERANCE[name] for name in dtypes if name in TOLERANCE], default=0.0)

    def scale(self) -> float:
        """The largest value on the way: what rounding is measured by."""
        tops = [np.abs(v.tensor.numpy().astype("c16")) for v in self.values.values()]
        return max([float(np.max(t[np.isfinite(t)], initial=1.0)) for t in tops])

    def __str__(self) -> str:
        described = [f"# x{i}: {memory(x)}" for i, x in enumerate(self.inputs)]
        return "\n".join([f"# seed {self.seed}", *described, self.source])


def chances() -> Any:
    """How often each dtype is drawn: the floats of daily work most of all."""
    weights = np.array([8, 8, 2, 2, 2, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    return weights / weights.sum()


def placed(array: Any, rng: Any) -> Any:
    """`array` as a tensor somewhere in memory: strided, reversed, transposed, unaligned, shared."""
    match int(rng.integers(8)):
        case 0 if array.ndim:
            wide = np.repeat(array, 2, axis=-1)
            array = wide[..., ::2]
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
    array = array.view()
    array.flags.writeable = False
    return Tensor(array)


def memory(x: Any) -> str:
    """How a tensor lies in memory."""
    array = x.numpy()
    signs = "aligned" if array.flags.aligned else "unaligned"
    return f"{x.dtype} {x.shape}, strides {array.strides}, {signs}"


def is_tame(y: Any) -> bool:
    """Whether all elements are finite, and not large."""
    array = y.numpy()
    return array.dtype.kind == "b" or bool(
        np.all(np.isfinite(array)) and np.all(np.abs(array.astype("c16")) < 1e3)
    )


def gradients(f: Any, inputs: list[Any], places: list[int]) -> list[Any]:
    """Of the sum of the floating results of `f`, by the inputs at `places`."""
    inputs = list(inputs)
    with mg.GradientTape() as tape:
        for i in places:
            inputs[i] = mg.identity(inputs[i])
            tape.watch(inputs[i])
        targets = [mg.sum(y) for y in f(*inputs) if y.dtype.kind in "fc"]
    return tape.gradient(targets, [inputs[i] for i in places])


def assert_close(name: str, y: Any, z: Any, scale: float, coarse: float) -> None:
    """Equal but for rounding."""
    assert (y.shape, y.dtype) == (z.shape, z.dtype), f"{name}: {y.spec}, and {z.spec} op by op"
    ours, theirs = y.numpy(), z.numpy()
    if theirs.dtype.kind in "biu":
        np.testing.assert_array_equal(ours, theirs, name)
        return
    coarse = max(coarse, TOLERANCE[theirs.dtype.name])
    np.testing.assert_allclose(ours, theirs, rtol=coarse, atol=coarse * scale, err_msg=name)


def main() -> int:
    """Try programs until the time is over; leave the first that fails in a file."""
    parser = argparse.ArgumentParser("fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the first program")
    parser.add_argument("--once", action="store_true", help="just the program of this seed")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failure.py"))
    asked = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore", RuntimeWarning)
    end, seed, failures = time.monotonic() + asked.seconds, asked.seed, 0
    with tqdm(desc="programs", unit="") as bar:
        while time.monotonic() < end:
            program = Program(seed)
            asked.keep.write_text(str(program), "utf-8")  # what a crash leaves behind
            try:
                program.check()
            except Exception:
                failures += 1
                tqdm.write(f"{program}\n{traceback.format_exc(limit=-2)}")
            seed += 1
            bar.update()
            if asked.once:
                break
    asked.keep.unlink()
    print(f"{seed - asked.seed} programs, {failures} of them differ")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
