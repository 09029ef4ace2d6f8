"""Corners where features meet: doors in loops, Variables as targets, sources named twice."""

import numpy as np

from oracle.scenario import scenario
from oracle.scenarios.questions import both_ways, gradients


def opaque(xp, x):
    """`x`, through NumPy."""
    return xp.ensure_shape(xp.numpy_function(np.array, [x], xp.float32), ())


@scenario
def a_source_named_twice(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    yield "gradient", tape.gradient(y, [x, {"again": x}])


@scenario
def a_variable_as_target(xp):
    v = xp.Variable([3.0, 4.0])
    with xp.GradientTape(persistent=True) as tape:
        tape.watch(v)
    yield "of itself", tape.gradient(v, v)


@scenario
def a_variable_among_targets(xp):
    v = xp.Variable(3.0)
    with xp.GradientTape() as tape:
        y = v * v
    yield "gradient", lambda: tape.gradient([y, v], v)


@scenario
def a_target_that_was_not_recorded(xp):
    x, c = xp.constant(3.0), xp.constant(4.0)
    with xp.GradientTape(persistent=True) as tape:
        tape.watch(x)
    yield "constant", tape.gradient(c, x)
    yield "made outside", tape.gradient(x * 2.0, x)


@scenario
def an_array_as_target(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
    yield "gradient", lambda: tape.gradient(np.float32(1.0), x)


@scenario
def a_value_that_was_read_before_the_tape(xp):
    v = xp.Variable(3.0)
    before = v.read_value()
    with xp.GradientTape() as tape:
        y = before * before
    yield "gradient", tape.gradient(y, v)


@scenario
def a_value_that_was_read_is_a_source(xp):
    v = xp.Variable(3.0)
    with xp.GradientTape(persistent=True) as tape:
        x = v.read_value()
        y = x * x * v
    yield "gradients", [tape.gradient(y, x), tape.gradient(y, v)]


@scenario
def variables_are_watched_in_the_order_of_use(xp):
    a, b, c = xp.Variable(1.0), xp.Variable(2.0), xp.Variable(3.0)
    f = xp.function(lambda: b * c)
    with xp.GradientTape() as tape:
        y = f() + a
    yield "number", len(tape.watched_variables())
    yield "gradient", tape.gradient(y, [a, b, c])


@scenario
def stop_recording_inside_a_function(xp):
    @xp.function
    def f(x):
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = x * x
            with tape.stop_recording():
                y = y * 10.0
            z = y + x
        return tape.gradient(z, x)

    yield "gradient", f(xp.constant(3.0))


@scenario
def a_tape_opened_under_stop_recording(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as outer:
        outer.watch(x)
        with outer.stop_recording():
            with xp.GradientTape() as inner:
                inner.watch(x)
                y = x * x
            first = inner.gradient(y, x)
    yield "first", first
    yield "second", outer.gradient(first, x)


@scenario
def two_tapes_side_by_side(xp):
    x, y = xp.constant(3.0), xp.constant(4.0)
    with xp.GradientTape() as one, xp.GradientTape() as two:
        one.watch(x)
        two.watch(y)
        z = x * y
    yield "one", one.gradient(z, [x, y])
    yield "two", two.gradient(z, [x, y])


@scenario
def an_inner_tape_that_watches_what_the_outer_made(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as outer:
        outer.watch(x)
        y = x * x
        with xp.GradientTape() as inner:
            inner.watch(y)
            z = y * y
        first = inner.gradient(z, y)
    yield "first", first
    yield "second", outer.gradient(first, x)


@scenario
def a_gradient_with_a_cotangent_that_is_differentiated(xp):
    x, g = xp.constant([2.0, 3.0]), xp.constant([1.0, 10.0])
    with xp.GradientTape() as outer:
        outer.watch([x, g])
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = x * x
        first = inner.gradient(y, x, output_gradients=g)
    yield "second", outer.gradient(first, [x, g])


@scenario
def an_opaque_step_in_a_loop(xp):
    @xp.function
    def f(x):
        return xp.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, y * 2.0 + opaque(xp, y)), [xp.constant(0), x]
        )[1]

    yield "gradient", gradients(xp, f, 1.0)


@scenario
def an_opaque_branch(xp):
    @xp.function
    def f(x):
        return xp.cond(x > 0.0, lambda: opaque(xp, x) * 2.0, lambda: x * 3.0)

    for point in (1.0, -1.0):
        x = xp.constant(point)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        yield f"at {point}", tape.gradient(y, x, unconnected_gradients="zero")


@scenario
def a_variable_assigned_and_read_in_a_loop(xp):
    v = xp.Variable(2.0)

    @xp.function
    def f(x):
        def body(i, y):
            y = y * v
            v.assign_add(1.0)
            return i + 1, y

        return xp.while_loop(lambda i, y: i < 3, body, [xp.constant(0), x])[1]

    x = xp.constant(1.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "value", y
    yield "gradient", tape.gradient(y, x)
    yield "variable", v


@scenario
def a_switch_in_a_loop(xp):
    @xp.function
    def f(x):
        def body(i, y):
            return i + 1, xp.switch(i, [lambda: y * x, lambda: y + x, lambda: xp.sin(y)])

        return xp.while_loop(lambda i, y: i < 4, body, [xp.constant(0), x])[1]

    yield "gradient", gradients(xp, f, 0.5)


@scenario
def a_map_in_a_loop(xp):
    @xp.function
    def f(x):
        def body(i, y):
            return i + 1, xp.map(lambda a: a * a * 0.5, y)

        return xp.while_loop(lambda i, y: i < 3, body, [xp.constant(0), x])[1]

    yield "gradient", gradients(xp, f, [1.0, 2.0])


@scenario
def bools_and_integers_are_carried(xp):
    @xp.function
    def f(x):
        return xp.while_loop(
            lambda i, on, y: i < 5,
            lambda i, on, y: (i + 1, xp.logical_not(on), xp.where(on, y * x, y + x)),
            [xp.constant(0), xp.constant(True), x],
        )

    yield "values", f(xp.constant(2.0))
    yield "gradient", gradients(xp, lambda x: f(x)[2], 2.0)


@scenario
def a_carry_that_is_not_used(xp):
    @xp.function
    def f(x, y):
        return xp.while_loop(
            lambda i, a, b: i < 3, lambda i, a, b: (i + 1, a * 2.0, b), [xp.constant(0), x, y]
        )

    x, y = xp.constant(1.0), xp.constant(5.0)
    with xp.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        _, a, b = f(x, y)
    yield "a", tape.gradient(a, [x, y], unconnected_gradients="zero")
    yield "b", tape.gradient(b, [x, y], unconnected_gradients="zero")


@scenario
def a_jacobian_through_cond(xp):
    f = xp.function(lambda x: xp.cond(xp.sum(x) > 0.0, lambda: x * x, lambda: -x))
    x = xp.constant([1.0, 2.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "jacobian", tape.jacobian(y, x)


@scenario
def a_body_of_python_that_trains(xp):
    v = xp.Variable(4.0)

    def step(x):
        with xp.GradientTape() as tape:
            y = v * v * x
        v.assign_sub(0.1 * tape.gradient(y, v))
        return y

    for name, f in both_ways(xp, lambda x: xp.py_function(step, [x], xp.float32)).items():
        v.assign(4.0)
        yield name, [f(xp.constant(1.0)), f(xp.constant(1.0)), v]


@scenario
def a_rule_by_hand_in_a_body_of_python(xp):
    @xp.custom_gradient
    def lie(x):
        return x * x, lambda g: g * 100.0

    def f(x):
        return xp.py_function(lambda a: lie(a) + a, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        yield name, gradients(xp, g, 3.0)


@scenario
def recomputing_around_a_body_of_python(xp):
    seen = []

    def body(a):
        seen.append("ran")
        return a * a

    f = xp.recompute_grad(lambda x: xp.py_function(body, [x], xp.float32) * x)
    yield "gradient", gradients(xp, f, 3.0)
    yield "runs", len(seen)


@scenario
def complex_numbers_in_a_loop(xp):
    @xp.function
    def f(z):
        return xp.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * y), [xp.constant(0), z])[
            1
        ]

    yield "gradient", gradients(xp, lambda z: xp.real(f(z)), 0.5 + 0.5j, dtype=xp.complex64)


@scenario
def float16_and_float64_in_a_loop(xp):
    f = xp.function(
        lambda x: xp.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, y * y), [xp.constant(0), x]
        )[1]
    )
    for dtype in (xp.float16, xp.float64):
        yield f"{xp.name_of_dtype(xp.constant(1.0, dtype))}", gradients(xp, f, 1.5, dtype=dtype)
