"""Derivatives forward, examples in parallel, and both with tapes and functions around them."""

import threading

import numpy as np

from oracle.scenario import scenario
from oracle.scenarios.questions import both_ways


@scenario
def forward_derivatives(xp):
    x, t = xp.constant([1.0, 2.0]), xp.constant([1.0, -1.0])
    for name, f in {
        "product": lambda x: x * xp.sum(x),
        "matrix": lambda x: xp.matmul(xp.constant([[1.0, 2.0], [3.0, 4.0]]), x[:, None]),
        "softmax": xp.nn.softmax,
        "maximum": lambda x: xp.maximum(x, 1.5),
        "where": lambda x: xp.where(x > 1.5, x * x, xp.sin(x)),
    }.items():
        for way, g in both_ways(xp, f).items():
            yield f"{name}, {way}", xp.jvp(g, (x,), (t,))


@scenario
def forward_derivatives_by_several(xp):
    x, y = xp.constant(2.0), xp.constant(3.0)
    yield "both", xp.jvp(lambda x, y: x * x * y, (x, y), (xp.constant(1.0), xp.constant(10.0)))


@scenario
def forward_over_backward(xp):
    def slope(x):
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = xp.sum(x * x * x)
        return tape.gradient(y, x)

    x, t = xp.constant([1.0, 2.0]), xp.constant([1.0, -1.0])
    yield "slope and its derivative", xp.jvp(slope, (x,), (t,))


@scenario
def forward_through_a_loop(xp):
    @xp.function
    def f(x):
        return xp.while_loop(
            lambda i, y: i < 4, lambda i, y: (i + 1, y * x), [xp.constant(0), xp.constant(1.0)]
        )[1]

    yield "both", xp.jvp(f, (xp.constant(2.0),), (xp.constant(1.0),))


@scenario
def forward_through_a_numpy_function(xp):
    def f(x):
        return xp.numpy_function(np.sin, [x], xp.float32) + x

    yield "eagerly", xp.jvp(f, (xp.constant(1.0),), (xp.constant(1.0),))


@scenario
def many_examples(xp):
    x = xp.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    w = xp.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    for name, f in {
        "sum": xp.sum,
        "largest": lambda row: xp.max(row),
        "product": lambda row: xp.matmul(row[None], w)[0],
        "outer": lambda row: row[:, None] * row,
        "gather": lambda row: xp.take(row, [2, 0], axis=0),
        "normalised": lambda row: row / xp.sum(row),
        "constant": lambda row: xp.constant(7.0) + 0.0 * row[0],
    }.items():
        yield name, xp.vmap(f)(x)


@scenario
def many_examples_and_their_gradient(xp):
    x = xp.constant([[1.0, 2.0], [3.0, 4.0]])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.vmap(lambda row: xp.sum(row * row) * row)(x)
    yield "value", y
    yield "gradient", tape.gradient(y, x)


@scenario
def gradients_of_many_examples(xp):
    def slope(row):
        with xp.GradientTape() as tape:
            tape.watch(row)
            y = xp.prod(row)
        return tape.gradient(y, row)

    yield "slopes", xp.vmap(slope)(xp.constant([[1.0, 2.0], [3.0, 4.0]]))


@scenario
def many_examples_with_a_decision(xp):
    def f(a):
        return xp.cond(a > 0.0, lambda: a * a, lambda: -a)

    yield "value", lambda: xp.vmap(f)(xp.constant([2.0, -3.0]))


def in_a_thread(call):
    """What `call` returns in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


@scenario
def a_tape_does_not_hear_other_threads(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = in_a_thread(lambda: x * x)
    yield "value", y
    yield "gradient", tape.gradient(y, x)


@scenario
def a_tape_asked_in_another_thread(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    yield "gradient", in_a_thread(lambda: tape.gradient(y, x))


@scenario
def a_py_function_asked_in_another_thread(xp):
    f = xp.function(lambda x: xp.py_function(lambda a: a * a, [x], xp.float32))
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "gradient", in_a_thread(lambda: tape.gradient(y, x))


@scenario
def a_function_traced_in_another_thread(xp):
    seen = []

    @xp.function
    def f(x):
        seen.append("traced")
        return x * 2.0

    x = xp.constant(3.0)
    yield "values", [in_a_thread(lambda: f(x)), f(x)]
    yield "bodies", len(seen)
