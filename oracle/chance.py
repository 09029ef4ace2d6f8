"""Scenarios drawn by chance: `random_17` is the same program in both processes, made of its seed.

A program is a list of steps on matrices; each takes what was made before. It is observed eagerly,
traced, compiled, and with the tape inside the function: its value, its gradient, and the gradient
of a product with that, which is a second derivative.
"""

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

NAME = re.compile(r"random_(\d+)")
SHAPE = (2, 3)
STEPS = 8

# each keeps the shape, is smooth or has its kinks where no number drawn by chance comes to lie,
# and stays of the order of 1, so that rounding is not blown up
STEP: dict[str, Callable[..., Any]] = {
    "sin": lambda xp, a: xp.sin(a),
    "tanh": lambda xp, a: xp.tanh(a),
    "root": lambda xp, a: xp.sqrt(xp.abs(a) + 0.5),
    "logarithm": lambda xp, a: xp.log(1.0 + xp.square(a)),
    "power": lambda xp, a: xp.tanh(a) ** 3,
    "sum": lambda xp, a, b: a + 0.5 * b,
    "product": lambda xp, a, b: xp.tanh(a) * b,
    "quotient": lambda xp, a, b: a / (1.5 + xp.square(b)),
    "maximum": lambda xp, a, b: xp.maximum(a, b),
    "where": lambda xp, a, b: xp.where(a > b, a * b, xp.sin(a)),
    "rows": lambda xp, a: a - xp.mean(a, axis=1, keepdims=True),
    "columns": lambda xp, a: a * 0.3 + xp.sum(a, axis=0),
    "largest": lambda xp, a: xp.max(a, axis=1, keepdims=True) + 0.1 * a,
    "softmax": lambda xp, a, b: xp.nn.softmax(a) * b,
    "matrix": lambda xp, a, b: xp.matmul(
        xp.matmul(xp.tanh(a), xp.permute_dims(xp.tanh(b), (1, 0))), xp.tanh(a)
    ),
    "cumulative": lambda xp, a: xp.cumulative_sum(a, axis=1) * 0.5,
    "joined": lambda xp, a, b: xp.concat([a[:, 1:], b[:, :1]], axis=1),
    "taken": lambda xp, a: xp.take(a, [2, 0, 2], axis=1),
    "flipped": lambda xp, a: xp.flip(a, axis=[1]),
    "clipped": lambda xp, a: xp.clip(a, -0.7, 0.9) + 0.1 * a,
    "stopped": lambda xp, a, b: xp.stop_gradient(a) * 0.5 + b,
    "branch": lambda xp, a, b: xp.cond(xp.sum(a) > 0.0, lambda: a * 0.5 + b, lambda: xp.cos(b)),
    "loop": lambda xp, a: xp.while_loop(
        lambda i, y: i < 3, lambda i, y: (i + 1, xp.sin(y) + 0.5 * a), [xp.constant(0), a]
    )[1],
    "scan": lambda xp, a: xp.accumulate(
        lambda carry, row: xp.tanh(carry + row), a, xp.zeros_like(a[0])
    ),
    "called": lambda xp, a, b: xp.function(lambda a, b: xp.sin(a) * b)(a, b),
}


def drawn(seed: int) -> list[tuple[str, list[int]]]:
    """The steps of a program, and which earlier values each takes; 0 and 1 are given."""
    draw = random.Random(seed)
    program = []
    for made in range(2, 2 + STEPS):
        name = draw.choice(list(STEP))
        arity = STEP[name].__code__.co_argcount - 1
        # the latest value is among them, so that nothing ends in itself
        taken = [made - 1, *[draw.randrange(made) for _ in range(arity - 1)]]
        draw.shuffle(taken)
        program.append((name, taken))
    return program


def chance(seed: int) -> Callable[[Any], Iterator[tuple[str, Any]]]:
    """The scenario of a seed."""
    program = drawn(seed)
    # of which TensorFlow compiles no gradient
    loops = not {"loop", "scan"}.isdisjoint(name for name, _ in program)
    points = np.random.default_rng(seed).normal(size=(3, *SHAPE))

    def scenario(xp: Any) -> Iterator[tuple[str, Any]]:
        def f(x: Any, y: Any) -> Any:
            values = [x, y]
            for name, taken in program:
                values.append(STEP[name](xp, *[values[i] for i in taken]))
            return values[-1]

        def slopes(f: Any, x: Any, y: Any) -> Any:
            with xp.GradientTape() as tape:
                tape.watch([x, y])
                z = f(x, y)
            return tape.gradient(z, [x, y], unconnected_gradients="zero")

        x, y, direction = (xp.constant(point, xp.float64) for point in points)
        modes = {
            "eagerly": f,
            "traced": xp.function(f),
            "compiled": xp.function(f, jit_compile=True),
        }
        yield "value", f(x, y)
        for mode, g in modes.items():
            yield f"value {mode}", lambda: g(x, y)
            if mode != "compiled" or not loops:
                yield f"gradient {mode}", lambda: slopes(g, x, y)
        yield "gradient inside", xp.function(lambda x, y: slopes(f, x, y))(x, y)

        def along(x: Any, y: Any) -> Any:
            return xp.sum(slopes(f, x, y)[0] * direction)

        yield "second", slopes(along, x, y)
        yield "second, traced", slopes(xp.function(along), x, y)

    return scenario


def described(name: str) -> str:
    """The program of a name, one step after the other."""
    found = NAME.fullmatch(name)
    program = drawn(int(found[1])) if found else []
    steps = [f"{step}({', '.join(map(str, taken))})" for step, taken in program]
    return "; ".join(f"{i}: {step}" for i, step in enumerate(steps, 2))
