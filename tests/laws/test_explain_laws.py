"""Explanations agree with gradients, whatever branches and loops lie between source and target."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.laws.budget import examples

F64 = mg.float64
Pair = tuple[Any, Any]
# from two tensors to two
STEPS: dict[str, Callable[[Any, Any], Pair]] = {
    "sin": lambda a, b: (mg.sin(a), b),
    "multiply": lambda a, b: (a * b, b),
    "swap": lambda a, b: (b, a),
    "copy": lambda a, b: (a, a),
    "floor": lambda a, b: (mg.floor(a), b),
    "sign": lambda a, b: (mg.sign(a) + 0.5, b),
    "stop_gradient": lambda a, b: (mg.stop_gradient(a), b),
    "integer": lambda a, b: (mg.astype(mg.astype(a, mg.int32), F64), b),
    "numpy_function": lambda a, b: (mg.numpy_function(np.cos, [a], mg.TensorSpec((2,), F64)), b),
}
BLOCKS: dict[str, Callable[..., Pair]] = {
    "cond": lambda n, f, g, a, b: mg.cond(
        mg.sum(a) > n - 2, lambda: run(f, a, b), lambda: run(g, a, b)
    ),
    "switch": lambda n, f, g, a, b: mg.switch(
        mg.astype(mg.sum(a), mg.int32), [lambda: run(f, a, b), lambda: (b, a), lambda: run(g, a, b)]
    ),
    "fori_loop": lambda n, f, g, a, b: mg.fori_loop(0, n, lambda i, s: run(f, *s), (a, b)),
    "long": lambda n, f, g, a, b: mg.fori_loop(0, 40 + n, lambda i, s: run(f, *s), (a, b)),
    "while_loop": lambda n, f, g, a, b: mg.while_loop(
        lambda c, d: mg.sum(c) < n, lambda c, d: run(f, c + 0.5, d), (a, b), maximum_iterations=3
    ),
    "scan": lambda n, f, g, a, b: mg.scan(
        lambda c, r: (run(f, c, r)[0], run(g, r, c)[0]), a, mg.stack([b] * n + [a])
    ),
    "map": lambda n, f, g, a, b: (mg.map(lambda r: run(f, r, b)[0], mg.stack([a, b]))[1], a),
    "py_function": lambda n, f, g, a, b: mg.py_function(
        lambda c, d: run(f, c, d), [a, b], (mg.TensorSpec((2,), F64),) * 2
    ),
}


def run(block: Any, a: Any, b: Any) -> Pair:
    """The two results of `block`, a list of steps and of blocks."""
    for name, *rest in block:
        a, b = BLOCKS[name](*rest, a, b) if rest else STEPS[name](a, b)
        a, b = (mg.mean(y, axis=0) if y.ndim == 2 else y for y in (a, b))
    return a, b


def blocks(names: list[str]) -> Any:
    """Lists of the steps `names` and of nested blocks."""
    step = st.tuples(st.sampled_from(names))

    def nested(inner: Any) -> Any:
        block = st.tuples(st.sampled_from(list(BLOCKS)), st.integers(0, 3), inner, inner)
        return st.lists(step | block, min_size=1, max_size=3)

    return nested(nested(st.lists(step, max_size=3)))


MODES = {
    "eager": (lambda f: f, list(STEPS)),
    "function": (mg.function, list(STEPS)),
    "compiled": (mg.function(jit_compile=True), [n for n in STEPS if n != "numpy_function"]),
}


@pytest.mark.parametrize("mode", MODES)
@examples(2)
@given(data=st.data())
def test_explain_agrees_with_gradient_on_control_flow(mode: str, data: Any) -> None:
    wrap, names = MODES[mode]
    program = data.draw(blocks(names))
    sources = [mg.constant(np.array([0.3, 0.6])), mg.constant(np.array([-0.4, 1.5]))]
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(sources)
        results = wrap(lambda a, b: run(program, a, b))(*sources)
    for y in results:
        for x in sources:
            bar, found = tape.gradient(y, x), tape.explain(y, x)
            assert bar is not None or not found.connected, str(found)
            if not found.connected or found.kind == "zero":
                # one branch may hand zeros to another where it has no path; eagerly none does
                assert bar is None or not np.any(bar), str(found)
                assert (bar is None) != found.connected or mode != "eager", str(found)
