"""Higher orders, jacobians, and tapes in and around functions."""

from oracle.scenario import scenario


@scenario
def second_order_by_nested_tapes(xp):
    x = xp.constant([2.0, 3.0])
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = xp.sum(x * x * x)
        first = inner.gradient(y, x)
    yield "first", first
    yield "second", outer.gradient(first, x)


@scenario
def fourth_order(xp):
    x = xp.constant(2.0)
    with xp.GradientTape() as t4:
        t4.watch(x)
        with xp.GradientTape() as t3:
            t3.watch(x)
            with xp.GradientTape() as t2:
                t2.watch(x)
                with xp.GradientTape() as t1:
                    t1.watch(x)
                    y = x**5
                d1 = t1.gradient(y, x)
            d2 = t2.gradient(d1, x)
        d3 = t3.gradient(d2, x)
    yield "third", d3
    yield "fourth", t4.gradient(d3, x)


@scenario
def a_persistent_tape_asked_inside_its_own_block(xp):
    x = xp.constant(3.0)
    with xp.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x * x
        first = tape.gradient(y, x)
    yield "first", first
    yield "second", tape.gradient(first, x)


@scenario
def a_plain_tape_asked_inside_its_own_block(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x * x
        first = tape.gradient(y, x)
        yield "first", first
        yield "again", lambda: tape.gradient(y, x)


@scenario
def the_second_derivative_of_a_line(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = x * 5.0
        first = inner.gradient(y, x)
    yield "first", first
    yield "second", outer.gradient(first, x)


@scenario
def jacobian_of_a_vector(xp):
    x = xp.constant([1.0, 2.0, 3.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.stack([x[0] * x[1], x[2] * x[2]])
    yield "jacobian", tape.jacobian(y, x)


@scenario
def jacobian_of_a_matrix_by_several(xp):
    x, v = xp.constant([[1.0, 2.0]]), xp.Variable(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x * v
    yield "jacobian", tape.jacobian(y, [x, v])


@scenario
def jacobian_of_a_scalar(xp):
    x = xp.constant([1.0, 2.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.sum(x * x)
    yield "jacobian", tape.jacobian(y, x)


@scenario
def jacobian_where_nothing_leads(xp):
    x, z = xp.constant([1.0, 2.0]), xp.constant([1.0])
    with xp.GradientTape(persistent=True) as tape:
        tape.watch([x, z])
        y = x * x
    yield "none", tape.jacobian(y, z)
    yield "zero", lambda: tape.jacobian(y, z, unconnected_gradients="zero")


@scenario
def batch_jacobian(xp):
    x = xp.constant([[1.0, 2.0], [3.0, 4.0]])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.stack([x[:, 0] * x[:, 1], x[:, 1], x[:, 0]], axis=1)
    yield "blocks", tape.batch_jacobian(y, x)


@scenario
def batch_jacobian_of_different_batches(xp):
    x = xp.constant([[1.0, 2.0], [3.0, 4.0]])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.reshape(x * x, (4, 1))
    yield "blocks", lambda: tape.batch_jacobian(y, x)


@scenario
def hessian_by_jacobian_of_gradient(xp):
    x = xp.constant([1.0, 2.0])
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = x[0] * x[0] * x[1]
        first = inner.gradient(y, x)
    yield "hessian", outer.jacobian(first, x)


@scenario
def a_tape_inside_a_function(xp):
    @xp.function
    def f(x):
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = x * x * x
        return tape.gradient(y, x)

    x = xp.constant(2.0)
    with xp.GradientTape() as outer:
        outer.watch(x)
        first = f(x)
    yield "first", first
    yield "second", outer.gradient(first, x)


@scenario
def a_tape_around_a_function(xp):
    @xp.function
    def f(x, y):
        return x * y, xp.sum(y)

    x, y = xp.constant(2.0), xp.constant([3.0, 4.0])
    with xp.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        a, b = f(x, y)
    yield "both", tape.gradient([a, b], [x, y])
    yield "the second", tape.gradient(b, [x, y])


@scenario
def a_tape_that_spans_the_border_of_a_function(xp):
    tape = xp.GradientTape()
    x = xp.constant(3.0)

    @xp.function
    def f(x):
        return x * x

    with tape:
        tape.watch(x)
        y = f(x) + f(x * 2.0)
    yield "gradient", tape.gradient(y, x)


@scenario
def gradient_by_a_captured_tensor(xp):
    w = xp.constant(5.0)

    @xp.function
    def f(x):
        return x * w

    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch([x, w])
        y = f(x)
    yield "gradient", tape.gradient(y, [x, w])
