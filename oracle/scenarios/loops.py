"""while_loop, scan and map: values, gradients, effects and invariants."""

from oracle.scenario import raised, scenario
from oracle.scenarios.questions import value_and_gradient


@scenario
def while_loop_with_a_dict_in_another_order(xp):
    def f(x):
        return xp.while_loop(
            lambda d: d["a"] < 5.0, lambda d: [{"b": d["b"] - 1.0, "a": d["a"] + 1.0}], [x]
        )

    x = {"a": xp.constant(1.0), "b": xp.constant(1.0)}
    yield "eagerly", lambda: f(x)
    yield "traced", lambda: xp.function(f)(x)


@scenario
def while_loop_eagerly_and_traced(xp):
    def f(n):
        return xp.while_loop(
            lambda i, total: i < n,
            lambda i, total: (i + 1, total + i),
            [xp.constant(0), xp.constant(0)],
        )

    for n in (0, 1, 5):
        yield f"eagerly, {n}", f(xp.constant(n))
        yield f"traced, {n}", xp.function(f)(xp.constant(n))


@scenario
def while_loop_gradient_with_a_trip_count_known_at_run_time(xp):
    def f(x, n):
        return xp.while_loop(
            lambda i, y: i < n, lambda i, y: (i + 1, y * x), [xp.constant(0), xp.constant(1.0)]
        )[1]

    g = xp.function(f)
    for name, h in {"eagerly": f, "traced": g}.items():
        for n in (1, 3):
            x = xp.constant(2.0)
            with xp.GradientTape() as tape:
                tape.watch(x)
                y = h(x, xp.constant(n))
            yield f"{name}, {n}", [y, tape.gradient(y, x)]
    yield "traces", xp.trace_count_of(g)


@scenario
def while_loop_gradient_of_no_round(xp):
    @xp.function
    def f(x, n):
        return xp.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * y), [xp.constant(0), x])[
            1
        ]

    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x, xp.constant(0))
    yield "gradient", tape.gradient(y, x)


@scenario
def while_loop_on_a_value(xp):
    def f(x):
        return xp.while_loop(lambda x: x < 100.0, lambda x: [x * x], [x])[0]

    yield "eagerly", value_and_gradient(xp, f, 2.0)
    yield "traced", value_and_gradient(xp, xp.function(f), 2.0)


@scenario
def while_loop_second_order(xp):
    @xp.function
    def f(x, n):
        return xp.while_loop(
            lambda i, y: i < n, lambda i, y: (i + 1, y * x), [xp.constant(0), xp.constant(1.0)]
        )[1]

    x = xp.constant(2.0)
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = f(x, xp.constant(4))
        first = inner.gradient(y, x)
    yield "first", first
    yield "second", outer.gradient(first, x)


@scenario
def while_loop_inside_a_while_loop(xp):
    @xp.function
    def f(x, n):
        def outer(i, y):
            z = xp.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, z * x), [xp.constant(0), y])
            return i + 1, z[1]

        return xp.while_loop(lambda i, y: i < n, outer, [xp.constant(0), xp.constant(1.0)])[1]

    x = xp.constant(1.5)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x, xp.constant(4))
    yield "value", y
    yield "gradient", tape.gradient(y, x)


@scenario
def while_loop_captures_a_variable(xp):
    v = xp.Variable(2.0)

    @xp.function
    def f(n):
        return xp.while_loop(
            lambda i, y: i < n, lambda i, y: (i + 1, y * v), [xp.constant(0), xp.constant(1.0)]
        )[1]

    with xp.GradientTape() as tape:
        y = f(xp.constant(3))
    yield "gradient", tape.gradient(y, v)


@scenario
def while_loop_assigns(xp):
    v = xp.Variable(0.0)

    @xp.function
    def f(n):
        def body(i):
            v.assign_add(xp.astype(i, xp.float32))
            return [i + 1]

        xp.while_loop(lambda i: i < n, body, [xp.constant(0)])
        return v.read_value()

    yield "value", f(xp.constant(5))
    yield "again", f(xp.constant(3))


@scenario
def while_loop_stops_after_so_many_rounds(xp):
    def f():
        return xp.while_loop(
            lambda i: i < 100, lambda i: [i + 1], [xp.constant(0)], maximum_iterations=7
        )

    yield "eagerly", f()
    yield "traced", xp.function(f)()


@scenario
def while_loop_that_changes_a_shape(xp):
    def f(x):
        return xp.while_loop(
            lambda i, y: i < 3,
            lambda i, y: (i + 1, xp.concat([y, y], axis=0)),
            [xp.constant(0), x],
        )[1]

    yield "traced", lambda: xp.function(f)(xp.constant([1.0]))


@scenario
def while_loop_that_changes_a_dtype(xp):
    def f(x):
        return xp.while_loop(lambda y: xp.sum(y) < 3.0, lambda y: [xp.astype(y, xp.float64)], [x])[
            0
        ]

    yield "traced", lambda: xp.function(f)(xp.constant([1.0]))


@scenario
def while_loop_that_changes_the_nest(xp):
    def f(x):
        return xp.while_loop(lambda y, z: y < 3.0, lambda y, z: [y + 1.0], [x, x])

    yield "eagerly", lambda: f(xp.constant(1.0))
    yield "traced", lambda: xp.function(f)(xp.constant(1.0))


@scenario
def while_loop_condition_that_is_no_bool(xp):
    def f(x):
        return xp.while_loop(lambda y: y, lambda y: [y - 1.0], [x])

    yield "traced", lambda: xp.function(f)(xp.constant(1.0))


@scenario
def while_loop_with_nests(xp):
    @xp.function
    def f(n):
        return xp.while_loop(
            lambda i, d: i < n,
            lambda i, d: (i + 1, {"a": d["b"], "b": d["a"] + d["b"]}),
            (xp.constant(0), {"a": xp.constant(0), "b": xp.constant(1)}),
        )[1]

    yield "fibonacci", f(xp.constant(10))


@scenario
def while_loop_error_in_the_body(xp):
    def body(i):
        raise KeyError("mine")

    f = xp.function(lambda: xp.while_loop(lambda i: i < 3, body, [xp.constant(0)]))
    yield "traced", raised(lambda: f())


@scenario
def while_loop_compiled(xp):
    @xp.function(jit_compile=True)
    def f(x, n):
        return xp.while_loop(
            lambda i, y: i < n, lambda i, y: (i + 1, y * x), [xp.constant(0), xp.constant(1.0)]
        )[1]

    yield "value", f(xp.constant(2.0), xp.constant(5))


@scenario
def while_loop_compiled_gradient(xp):
    @xp.function(jit_compile=True)
    def f(x, n):
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = xp.while_loop(
                lambda i, y: i < n, lambda i, y: (i + 1, y * x), [xp.constant(0), xp.constant(1.0)]
            )[1]
        return tape.gradient(y, x)

    yield "gradient", lambda: f(xp.constant(2.0), xp.constant(3))


@scenario
def map_and_its_gradient(xp):
    def f(x):
        return xp.map(lambda row: row * xp.sum(row), x)

    x = [[1.0, 2.0], [3.0, 4.0]]
    yield "eagerly", value_and_gradient(xp, f, x)
    yield "traced", value_and_gradient(xp, xp.function(f), x)


@scenario
def map_of_an_unknown_number(xp):
    f = xp.function(
        lambda x: xp.map(lambda a: a * a, x), input_signature=[xp.TensorSpec((None,), xp.float32)]
    )
    for n in (1, 3):
        x = xp.arange(n)
        x = xp.astype(x, xp.float32)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        yield f"{n}", [y, tape.gradient(y, x)]
    yield "traces", xp.trace_count_of(f)


@scenario
def map_of_none(xp):
    f = xp.function(lambda x: xp.map(lambda a: a * 2.0, x))
    yield "value", f(xp.zeros((0, 2)))


@scenario
def map_captures_a_variable(xp):
    v = xp.Variable(2.0)
    f = xp.function(lambda x: xp.map(lambda a: a * v, x))
    x = xp.constant([1.0, 2.0, 3.0])
    with xp.GradientTape() as tape:
        y = f(x)
    yield "gradient", tape.gradient(y, v)


@scenario
def scan_and_its_gradient(xp):
    def f(x, first):
        return xp.accumulate(lambda carry, a: carry * a + a, x, first)

    yield "eagerly", value_and_gradient(xp, f, [1.0, 2.0, 3.0], 2.0)
    yield "traced", value_and_gradient(xp, xp.function(f), [1.0, 2.0, 3.0], 2.0)


@scenario
def scan_of_rows_with_weights(xp):
    w = xp.Variable([[0.5, 0.1], [0.2, 0.3]])

    @xp.function
    def f(x):
        def step(h, row):
            return xp.tanh(xp.matmul(xp.expand_dims(h, axis=0), w)[0] + row)

        return xp.accumulate(step, x, xp.zeros((2,)))

    x = xp.constant([[1.0, 2.0], [0.5, -1.0], [0.1, 0.2]])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "value", y
    yield "gradient", tape.gradient(y, [w, x])


@scenario
def scan_second_order(xp):
    @xp.function
    def f(x):
        return xp.sum(xp.accumulate(lambda carry, a: carry * a, x, xp.constant(1.0)))

    x = xp.constant([2.0, 3.0])
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        first = inner.gradient(y, x)
    yield "first", first
    yield "second", outer.gradient(first, x)


@scenario
def a_python_loop_in_a_function_is_unrolled(xp):
    @xp.function
    def f(x):
        for k in range(3):
            x = x * float(k + 1)
        return x

    yield "both", value_and_gradient(xp, f, 2.0)


@scenario
def a_tape_inside_a_loop_body(xp):
    @xp.function
    def descend(x, n):
        def body(i, x):
            with xp.GradientTape() as tape:
                tape.watch(x)
                y = (x - 3.0) ** 2
            return i + 1, x - 0.25 * tape.gradient(y, x)

        return xp.while_loop(lambda i, x: i < n, body, [xp.constant(0), x])[1]

    yield "value", descend(xp.constant(0.0), xp.constant(4))
    yield "through it", value_and_gradient(xp, lambda x: descend(x, xp.constant(2)), 1.0)
