"""Random programs, compiled and not, on every dtype, odd sizes and odd memory: `make fuzz`.

Each program (`tools/programs.py`) is run op by op by NumPy, and compiled; values, gradients, and by
turns what else can be made of it (second derivatives, tangents, many examples at once, all of it
in one compiled function) must agree to rounding. Where it keeps a state, several calls must. With
`--same-bits`, the compiled results of other processes must have the same bits: of one thread or
several, compiled afresh or from the cache. A program that differs or crashes is left in a file.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import minigrad as mg
from tools.programs import Program

TOLERANCE = {"float16": 2e-2, "float32": 2e-4, "float64": 1e-10}
TOLERANCE |= {"complex64": 2e-4, "complex128": 1e-10}
CALLS = 4
"""Of programs that keep a state."""
PORTION = {False: 40, True: 8}
"""Programs that processes are compared by, and of large ones."""


class Check:
    """One program against itself, in the ways it can be run."""

    def __init__(self, program: Program):
        self.program = program
        self.function, self.inputs = program.function, program.inputs
        self.compiled = mg.function(program.function, jit_compile=True)
        tensors = [value.tensor for value in program.values.values()]
        names = {x.dtype.name for x in tensors}
        self.coarse = max([TOLERANCE[name] for name in names if name in TOLERANCE], default=0.0)
        self.scale = max([top(x) for x in tensors])
        self.places = [i for i, x in enumerate(self.inputs) if x.dtype.kind in "fc"]

    def run(self) -> None:
        """Raise AssertionError where compiled code differs from NumPy."""
        if self.program.stateful:
            self.calls()
            return
        ours, theirs = self.compiled(*self.inputs), self.function(*self.inputs)
        self.same("value", self.program.results, ours, theirs)
        if self.program.special:
            return
        self.slopes("gradient", self.compiled, self.function)
        others = [self.inside, self.traced, self.unknown, self.second, self.tangents, self.examples]
        others[self.program.rng.integers(len(others))]()

    # What is made of a program.

    def calls(self) -> None:
        """Several calls, each from the same state; what a call gave stays as it was."""
        program, held = self.program, list[tuple[Any, Any]]()
        for call in range(CALLS):
            before = program.state()
            theirs = self.function(*self.inputs)
            left = program.state()
            program.restore(before)
            ours = self.compiled(*self.inputs)
            self.same(f"call {call}: value", program.results, ours, theirs)
            names = [*program.variables, "the generator"]
            for name, y, z in zip(names, program.state(), left, strict=True):
                self.close(f"call {call}: {name}", y, z, self.scale)
            held += [(y, y.numpy().copy()) for y in ours]
        for y, array in held:
            np.testing.assert_array_equal(y.numpy(), array, "a value of an earlier call")

    def slopes(self, what: str, ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
        """Gradients of two functions that are to be one."""
        pair = [gradients(f, self.inputs, self.places) for f in (ours, theirs)]
        self.same(what, [f"x{i}" for i in self.places], *pair, steep=10)

    def inside(self) -> None:
        """Values and gradients, made by one compiled function."""

        def both(*xs: Any) -> list[Any]:
            return [*self.function(*xs), *gradients(self.function, xs, self.places)]

        names = [*self.program.results, *[f"gradient of x{i}" for i in self.places]]
        ours = mg.function(both, jit_compile=True)(*self.inputs)
        self.same("in one function:", names, ours, both(*self.inputs), steep=10)

    def traced(self) -> None:
        """A trace, run by NumPy."""
        self.slopes("traced: gradient", mg.function(self.function), self.function)

    def unknown(self) -> None:
        """Compiled from a trace that knows no lengths, where the program can be traced so."""
        specs = [mg.TensorSpec((None,) * x.ndim, x.dtype) for x in self.inputs]
        function = mg.function(self.function, input_signature=specs, jit_compile=True)
        try:
            function.get_concrete_function()
        except mg.errors.MinigradError:
            return
        ours, theirs = function(*self.inputs), self.function(*self.inputs)
        self.same("of unknown dims:", self.program.results, ours, theirs)
        self.slopes("of unknown dims: gradient", function, self.function)

    def second(self) -> None:
        """Derivatives of the squares of derivatives, op by op and compiled."""
        steep = [self.curved(f) for f in (self.compiled, self.function)]
        pair = [gradients(f, self.inputs, self.places) for f in steep]
        self.same("second derivative", [f"x{i}" for i in self.places], *pair, steep=1000)
        if self.program.seed % 4 == 0:
            whole = mg.function(
                lambda *xs: gradients(self.curved(self.function), xs, self.places),
                jit_compile=True,
            )
            names = [f"x{i}" for i in self.places]
            self.same("second, whole", names, whole(*self.inputs), pair[1], steep=1000)

    def curved(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """The squares of the gradients of `f`."""

        def squares(*xs: Any) -> list[Any]:
            found = gradients(f, xs, self.places)
            return [mg.square(g) for g in found if g is not None]

        return squares

    def tangents(self) -> None:
        """The derivative along a direction."""
        moves = [mg.ones_like(x) if i in self.places else None for i, x in enumerate(self.inputs)]
        pair = [mg.jvp(f, self.inputs, moves)[1] for f in (self.compiled, self.function)]
        self.same("tangent", self.program.results, *pair, steep=10)

    def examples(self) -> None:
        """Three examples at once, against one by one."""
        batch = [mg.stack([x, x, mg.flip(x)]) for x in self.inputs]
        ours = mg.function(mg.vmap(self.function), jit_compile=True)(*batch)
        rows = [self.function(*[x[i] for x in batch]) for i in range(3)]
        theirs = [mg.stack(list(ys)) for ys in zip(*rows, strict=True)]
        self.same("of examples:", self.program.results, ours, theirs)

    # Comparing.

    def same(
        self, what: str, names: Sequence[str], ours: Any, theirs: Any, steep: float = 1
    ) -> None:
        """Equal but for rounding, of which derivatives have more."""
        for name, y, z in zip(names, ours, theirs, strict=True):
            if y is None or z is None:
                # loops have zeros where op by op there is None, and second derivatives may
                known = [x.numpy() for x in (y, z) if x is not None]
                lax = steep > 10 or self.program.has_control
                assert not known or (lax and not np.any(known)), f"{what} {name}: {y}, {z}"
                continue
            scale = self.scale * steep * top(z) if steep > 1 else self.scale
            self.close(f"{what} {name}", y.numpy(), z.numpy(), scale)

    def close(self, name: str, y: Any, z: Any, scale: float) -> None:
        """Equal arrays, but for rounding."""
        ours, theirs = (y.shape, y.dtype), (z.shape, z.dtype)
        assert ours == theirs, f"{name}: {ours}, and {theirs} op by op"
        if z.dtype.kind in "biu":
            np.testing.assert_array_equal(y, z, name)
            return
        coarse = max(self.coarse, TOLERANCE[z.dtype.name])
        np.testing.assert_allclose(y, z, rtol=coarse, atol=coarse * scale, err_msg=name)


def top(x: Any) -> float:
    """The largest finite number of a tensor of floats, or 1: what rounding is measured by."""
    if x.dtype.kind in "biu":
        return 1.0
    size = np.abs(x.numpy().astype("c16"))
    return float(np.max(size[np.isfinite(size)], initial=1.0))


def gradients(f: Any, inputs: Sequence[Any], places: list[int]) -> list[Any]:
    """Of the sum of the floating results of `f`, by the inputs at `places`."""
    xs = list(inputs)
    with mg.GradientTape() as tape:
        for i in places:
            xs[i] = mg.identity(xs[i])
            tape.watch(xs[i])
        targets = [mg.sum(y) for y in f(*xs) if y.dtype.kind in "fc"]
    return tape.gradient(targets, [xs[i] for i in places])


# The same bits.


def digest(program: Program) -> str:
    """A hash of what the compiled program gives, and of its gradients."""
    check, found = Check(program), hashlib.sha256()
    arrays = [y.numpy() for y in check.compiled(*program.inputs)] + program.state()
    if not program.stateful:
        slopes = gradients(check.compiled, program.inputs, check.places)
        arrays += [g.numpy() for g in slopes if g is not None]
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def digests(first: int, count: int, *, large: bool) -> list[str]:
    """The lines that processes are compared by."""
    return [f"{seed} {digest(Program(seed, large=large))}" for seed in range(first, first + count)]


def differing(first: int, *, large: bool) -> list[str]:
    """The seeds of a portion whose results have other bits in other processes, and where."""
    command = [
        sys.executable,
        "-m",
        "tools.fuzz",
        "--digests",
        str(PORTION[large]),
        "--seed",
        str(first),
    ]
    command += ["--large"] * large
    with tempfile.TemporaryDirectory(prefix="minigrad-fuzz-") as cache:

        def lines(**settings: str) -> list[str]:
            environment = {**os.environ, "MINIGRAD_CACHE_DIR": cache, **settings}
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment
            )
            return done.stdout.splitlines() or [f"{first} {done.stderr[-2000:]}"]

        expected = lines(MINIGRAD_NUM_THREADS="1")  # compiled here, reloaded below
        others: list[dict[str, str]] = [{"MINIGRAD_NUM_THREADS": n} for n in ("1", "2", "3", "4")]
        others.append({"MINIGRAD_PORTABLE_CALL": "1"})
        return [
            f"{line} {settings}"
            for settings in others
            for line in set(lines(**settings)) ^ set(expected)
        ]


# The program.


def failure(seed: int, asked: Any) -> str:
    """What is to be said of the program of a seed; nothing if all is well."""
    program: Any = f"# seed {seed}"
    try:
        program = Program(seed, large=asked.large)
        asked.keep.write_text(str(program), "utf-8")  # what a crash leaves behind
        Check(program).run()
    except Exception:
        return f"{program}\n{traceback.format_exc(limit=-3)}"
    return ""


def main() -> int:
    """Try programs until the time is over; say which fail."""
    parser = argparse.ArgumentParser("fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the first program")
    parser.add_argument("--once", action="store_true", help="just the program of this seed")
    parser.add_argument("--large", action="store_true", help="sizes that threads share")
    parser.add_argument("--same-bits", action="store_true", help="compare processes")
    parser.add_argument("--digests", type=int, default=0, help="print hashes of so many programs")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failure.py"))
    asked = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    if asked.digests:
        print(*digests(asked.seed, asked.digests, large=asked.large), sep="\n")
        return 0
    end, seed, failures = time.monotonic() + asked.seconds, asked.seed, 0
    with tqdm(desc="programs", unit="") as bar:
        while time.monotonic() < end:
            if asked.same_bits:
                wrong = "\n".join(differing(seed, large=asked.large))
            else:
                wrong = failure(seed, asked)
            if wrong:
                failures += 1
                tqdm.write(wrong)
            step = PORTION[asked.large] if asked.same_bits else 1
            seed += step
            bar.update(step)
            if asked.once:
                break
    asked.keep.unlink(missing_ok=True)
    print(f"{seed - asked.seed} programs, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
