"""py_function: its runs, where it stands, and what it uses by name."""

from oracle.scenario import scenario
from oracle.scenarios.questions import both_ways, values_and_gradients


@scenario
def py_function_that_uses_no_input(xp):
    def f(x):
        return xp.py_function(lambda a: xp.constant(7.0), [x], xp.float32)

    yield from values_and_gradients(xp, f, [2.0, 3.0])


@scenario
def py_function_second_order(xp):
    def f(x):
        return xp.py_function(lambda a: a * a * a, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        x = xp.constant(2.0)
        with xp.GradientTape() as outer:
            outer.watch(x)
            with xp.GradientTape() as inner:
                inner.watch(x)
                y = g(x)
            first = inner.gradient(y, x)
        yield f"{name}, first", first
        yield f"{name}, second", outer.gradient(first, x)


@scenario
def py_function_asked_twice(xp):
    f = xp.function(lambda x: xp.py_function(lambda a: a * a, [x], xp.float32))
    x = xp.constant(3.0)
    with xp.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    yield "first", tape.gradient(y, x)
    yield "again", lambda: tape.gradient(y, x)


@scenario
def py_function_twice_in_one_trace_runs_in_order(xp):
    seen = []

    def body(word):
        return lambda a: (seen.append(word), a * 2.0)[1]

    @xp.function
    def f(x):
        y = xp.py_function(body("first"), [x], xp.float32)
        xp.py_function(body("unused"), [x], xp.float32)
        return xp.py_function(body("second"), [y], xp.float32)

    yield "value", f(xp.constant(1.0))
    yield "order", seen


@scenario
def two_runs_of_one_py_function_first_asked_first(xp):
    f = xp.function(lambda x: xp.py_function(lambda a: a * a, [x], xp.float32))
    x1, x2 = xp.constant(1.0), xp.constant(10.0)
    with xp.GradientTape() as t1:
        t1.watch(x1)
        y1 = f(x1)
    with xp.GradientTape() as t2:
        t2.watch(x2)
        y2 = f(x2)
    yield "first", lambda: t1.gradient(y1, x1)
    yield "second", lambda: t2.gradient(y2, x2)


@scenario
def two_runs_of_one_py_function_last_asked_first(xp):
    f = xp.function(lambda x: xp.py_function(lambda a: a * a, [x], xp.float32))
    x1, x2 = xp.constant(1.0), xp.constant(10.0)
    with xp.GradientTape() as t1:
        t1.watch(x1)
        y1 = f(x1)
    with xp.GradientTape() as t2:
        t2.watch(x2)
        y2 = f(x2)
    yield "second", lambda: t2.gradient(y2, x2)
    yield "first", lambda: t1.gradient(y1, x1)


@scenario
def two_runs_of_one_py_function_under_one_tape(xp):
    f = xp.function(lambda x: xp.py_function(lambda a: a * a, [x], xp.float32))
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x) + f(x * 2.0)
    yield "gradient", lambda: tape.gradient(y, x)


@scenario
def py_function_uses_a_variable_eagerly(xp):
    v = xp.Variable(3.0)

    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.py_function(lambda a: a * v, [x], xp.float32)
    yield "value", y
    yield "gradient", tape.gradient(y, [x, v])


@scenario
def py_function_uses_a_variable_in_a_function(xp):
    v = xp.Variable(3.0)
    f = xp.function(lambda x: xp.py_function(lambda a: a * v, [x], xp.float32))
    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "value", y
    yield "gradient", tape.gradient(y, [x, v])


@scenario
def py_function_is_given_a_variable(xp):
    v = xp.Variable(3.0)

    def f():
        return xp.py_function(lambda a: a * a, [v], xp.float32)

    for name, g in both_ways(xp, f).items():
        with xp.GradientTape() as tape:
            y = g()
        yield name, tape.gradient(y, v)


@scenario
def py_function_uses_a_watched_tensor_by_its_closure(xp):
    w = xp.constant(3.0)

    def f(x):
        return xp.py_function(lambda a: a * w, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        x = xp.constant(2.0)
        with xp.GradientTape() as tape:
            tape.watch([x, w])
            y = g(x)
        yield name, tape.gradient(y, [x, w])


@scenario
def py_function_assigns_a_variable(xp):
    v = xp.Variable(1.0)

    def body(a):
        v.assign_add(a)
        return a * 2.0

    @xp.function
    def f(x):
        y = xp.py_function(body, [x], xp.float32)
        z = v.read_value()
        w = xp.py_function(body, [y], xp.float32)
        return y, z, w, v.read_value()

    yield "values", f(xp.constant(1.0))
    yield "variable", v


@scenario
def py_function_runs_once_forward(xp):
    seen = []

    def body(a):
        seen.append("ran")
        return a * a

    def f(x):
        return xp.py_function(body, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        seen.clear()
        x = xp.constant(3.0)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = g(x)
        tape.gradient(y, x)
        yield name, len(seen)


@scenario
def py_function_runs_at_every_call(xp):
    seen = []
    f = xp.function(lambda x: xp.py_function(lambda a: (seen.append("ran"), a)[1], [x], xp.float32))
    x = xp.constant(3.0)
    f(x), f(x), f(x)
    yield "runs", len(seen)
    yield "traces", xp.trace_count_of(f)


@scenario
def py_function_escapes_through_numpy(xp):
    """All of the value left the tape."""

    def f(x):
        return xp.py_function(lambda a: xp.constant(a.numpy() ** 2), [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        x = xp.constant([1.0, 2.0, 3.0])
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = g(x)
        yield f"{name}, value", y
        yield f"{name}, gradient", lambda: tape.gradient(y, x)


@scenario
def py_function_escapes_in_part(xp):
    """The right gradient is 2 x + 1."""

    def f(x):
        return xp.py_function(lambda a: xp.constant(a.numpy() ** 2) + a, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        x = xp.constant([1.0, 2.0, 3.0])
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = g(x)
        yield f"{name}, gradient", lambda: tape.gradient(y, x)


@scenario
def py_function_jacobian(xp):
    f = xp.function(lambda x: xp.py_function(lambda a: a * a, [x], xp.float32))
    x = xp.constant([1.0, 2.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.ensure_shape(f(x), (2,))
    yield "jacobian", lambda: tape.jacobian(y, x)


@scenario
def py_function_in_a_while_loop(xp):
    @xp.function
    def f(x, n):
        def body(i, y):
            y = xp.ensure_shape(xp.py_function(lambda a: a * a, [y], xp.float32), ())
            return i + 1, y

        return xp.while_loop(lambda i, y: i < n, body, [xp.constant(0), x])[1]

    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x, xp.constant(3))
    yield "value", y
    yield "gradient", lambda: tape.gradient(y, x)


@scenario
def py_function_in_cond(xp):
    @xp.function
    def f(x):
        return xp.cond(
            x > 0.0,
            lambda: xp.py_function(lambda a: a * a, [x], xp.float32),
            lambda: xp.py_function(lambda a: -3.0 * a, [x], xp.float32),
        )

    for point in (2.0, -2.0):
        x = xp.constant(point)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        yield f"value at {point}", y
        yield f"gradient at {point}", lambda: tape.gradient(y, x)


@scenario
def py_function_in_map(xp):
    @xp.function
    def f(x):
        return xp.map(
            lambda a: xp.ensure_shape(xp.py_function(lambda b: b * b, [a], xp.float32), ()), x
        )

    x = xp.constant([1.0, 2.0, 3.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "value", y
    yield "gradient", lambda: tape.gradient(y, x)


@scenario
def py_function_inside_py_function(xp):
    def inner(a):
        return xp.py_function(lambda b: b * b, [a], xp.float32) * a

    def f(x):
        return xp.py_function(inner, [x], xp.float32)

    yield from values_and_gradients(xp, f, 2.0)


@scenario
def py_function_calls_a_traced_function(xp):
    square = xp.function(lambda a: a * a)

    def f(x):
        return xp.py_function(lambda a: square(a) * 2.0, [x], xp.float32)

    yield from values_and_gradients(xp, f, 3.0)


@scenario
def py_function_in_a_nested_function(xp):
    inner = xp.function(lambda x: xp.py_function(lambda a: a * a, [x], xp.float32))

    def f(x):
        return inner(x) + inner(x * 2.0)

    yield from values_and_gradients(xp, f, 3.0)


@scenario
def py_function_with_a_tape_inside(xp):
    def slope(a):
        with xp.GradientTape() as tape:
            tape.watch(a)
            y = a * a * a
        return tape.gradient(y, a)

    def f(x):
        return xp.py_function(slope, [x], xp.float32)

    yield "eagerly", f(xp.constant(2.0))
    yield "traced", xp.function(f)(xp.constant(2.0))


@scenario
def py_function_gradient_inside_a_function(xp):
    @xp.function
    def f(x):
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = xp.py_function(lambda a: a * a, [x], xp.float32)
        return tape.gradient(y, x)

    yield "gradient", f(xp.constant(3.0))


@scenario
def py_function_compiled(xp):
    @xp.function(jit_compile=True)
    def f(x):
        return xp.py_function(lambda a: a * a, [x], xp.float32) + 1.0

    yield "value", lambda: f(xp.constant(3.0))


@scenario
def py_function_and_numpy_function_in_order(xp):
    seen = []

    @xp.function
    def f(x):
        xp.py_function(lambda a: seen.append("py"), [x], [])
        xp.numpy_function(lambda a: seen.append("numpy"), [x], [])
        xp.py_function(lambda a: seen.append("py again"), [x], [])
        return x

    f(xp.constant(1.0))
    yield "order", seen
