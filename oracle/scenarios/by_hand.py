"""custom_gradient and recompute_grad: gradients by hand, and computed twice."""

from oracle.scenario import scenario
from oracle.scenarios.questions import both_ways, value_and_gradient


@scenario
def custom_gradient_as_documented(xp):
    @xp.custom_gradient
    def log1pexp(x):
        e = xp.exp(x)

        def grad(upstream):
            return upstream * (1.0 - 1.0 / (1.0 + e))

        return xp.log(1.0 + e), grad

    for name, f in both_ways(xp, log1pexp).items():
        x = xp.constant(100.0)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        yield f"{name}, gradient", tape.gradient(y, x)


@scenario
def custom_gradient_that_lies(xp):
    @xp.custom_gradient
    def f(x):
        return x * x, lambda g: g * 100.0

    for name, g in both_ways(xp, f).items():
        yield name, value_and_gradient(xp, g, [1.0, 2.0])


@scenario
def custom_gradient_of_several(xp):
    @xp.custom_gradient
    def f(x, y):
        def grad(a, b):
            return a * 10.0 + b, a + b * 100.0

        return (x + y, x * y), grad

    for name, g in both_ways(xp, f).items():
        x, y = xp.constant(1.0), xp.constant(2.0)
        with xp.GradientTape(persistent=True) as tape:
            tape.watch([x, y])
            a, b = g(x, y)
        yield f"{name}, both", tape.gradient([a, b], [x, y])
        yield f"{name}, one", tape.gradient(a, [x, y])


@scenario
def custom_gradient_with_none(xp):
    @xp.custom_gradient
    def f(x, y):
        return x * y, lambda g: (g * y, None)

    for name, g in both_ways(xp, f).items():
        yield name, value_and_gradient(xp, g, 3.0, 4.0)[1]


@scenario
def custom_gradient_second_order(xp):
    @xp.custom_gradient
    def cube(x):
        return x * x * x, lambda g: g * 3.0 * x * x

    for name, f in both_ways(xp, cube).items():
        x = xp.constant(2.0)
        with xp.GradientTape() as outer:
            outer.watch(x)
            with xp.GradientTape() as inner:
                inner.watch(x)
                y = f(x)
            first = inner.gradient(y, x)
        yield f"{name}, first", first
        yield f"{name}, second", outer.gradient(first, x)


@scenario
def custom_gradient_of_a_custom_gradient(xp):
    @xp.custom_gradient
    def f(x):
        @xp.custom_gradient
        def grad(g):
            def grad_grad(gg):
                return gg * 7.0

            return g * 5.0, grad_grad

        return x * 2.0, grad

    for name, h in both_ways(xp, f).items():
        yield name, value_and_gradient(xp, h, 3.0)


@scenario
def custom_gradient_of_the_wrong_number(xp):
    @xp.custom_gradient
    def f(x, y):
        return x * y, lambda g: (g, g, g)

    yield "gradient", lambda: value_and_gradient(xp, f, 3.0, 4.0)


@scenario
def custom_gradient_without_a_rule(xp):
    @xp.custom_gradient
    def f(x):
        return x * 2.0

    yield "call", lambda: f(xp.constant(1.0))


@scenario
def custom_gradient_that_uses_a_variable(xp):
    """Without `variables=` TensorFlow refuses, and the rule could not say what it gives them."""
    v = xp.Variable(3.0)

    @xp.custom_gradient
    def f(x):
        return x * v, lambda g: g * 100.0

    def found():
        x = xp.constant(2.0)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, [x, v])

    yield "gradient", lambda: found()


@scenario
def custom_gradient_with_variables(xp):
    v = xp.Variable(3.0)

    @xp.custom_gradient
    def f(x):
        def grad(g, variables=None):
            return g * v, [g * x * 10.0 for _ in variables]

        return x * v, grad

    def gradients(f):
        x = xp.constant(2.0)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, [x, v])

    for name, g in both_ways(xp, f).items():
        yield name, lambda: gradients(g)


@scenario
def custom_gradient_with_variables_it_does_not_use(xp):
    @xp.custom_gradient
    def f(x):
        def grad(g, variables=None):
            return g * 5.0

        return x * 2.0, grad

    for name, g in both_ways(xp, f).items():
        yield name, lambda: value_and_gradient(xp, g, 2.0)


@scenario
def custom_gradient_that_uses_a_frozen_variable(xp):
    v = xp.Variable(3.0, trainable=False)

    @xp.custom_gradient
    def f(x):
        return x * v, lambda g: g * 100.0

    yield "eagerly", lambda: value_and_gradient(xp, f, 2.0)


@scenario
def custom_gradient_of_a_variable_as_argument(xp):
    v = xp.Variable(3.0)

    @xp.custom_gradient
    def f(x):
        return x * x, lambda g: g * 100.0

    def found(f):
        with xp.GradientTape() as tape:
            y = f(v)
        return y, tape.gradient(y, v)

    yield "eagerly", lambda: found(f)


@scenario
def custom_gradient_called_without_a_tape(xp):
    seen = []

    @xp.custom_gradient
    def f(x):
        def grad(g):
            seen.append("gradient")
            return g

        seen.append("value")
        return x * 2.0, grad

    yield "value", f(xp.constant(2.0))
    yield "seen", seen


@scenario
def custom_gradient_with_keywords(xp):
    @xp.custom_gradient
    def f(x, scale=2.0):
        return x * scale, lambda g: g * 100.0

    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x, scale=3.0)
    yield "value", y
    yield "gradient", tape.gradient(y, x)


@scenario
def custom_gradient_clips_on_the_way_back(xp):
    @xp.custom_gradient
    def clipped(x):
        return xp.identity(x), lambda g: xp.clip(g, -1.0, 1.0)

    for name, f in both_ways(xp, lambda x: clipped(x) * 100.0).items():
        yield name, value_and_gradient(xp, f, [3.0, -3.0])


@scenario
def custom_gradient_in_a_loop(xp):
    @xp.custom_gradient
    def f(x):
        return x * 2.0, lambda g: g * 3.0

    @xp.function
    def loop(x, n):
        return xp.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, f(y)), [xp.constant(0), x])[1]

    yield "both", value_and_gradient(xp, lambda x: loop(x, xp.constant(3)), 1.0)


@scenario
def custom_gradient_jacobian(xp):
    @xp.custom_gradient
    def f(x):
        return x * x, lambda g: g * 100.0

    x = xp.constant([1.0, 2.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "jacobian", tape.jacobian(y, x)


@scenario
def recompute_grad(xp):
    seen = []

    @xp.recompute_grad
    def f(x):
        seen.append("ran")
        return xp.sin(x) * x

    yield "both", value_and_gradient(xp, f, [0.5, 1.0])
    yield "runs", len(seen)


@scenario
def recompute_grad_in_a_function(xp):
    f = xp.recompute_grad(lambda x: xp.tanh(x) * x)
    yield "both", value_and_gradient(xp, xp.function(lambda x: f(x) * 2.0), [0.5, 1.0])


@scenario
def recompute_grad_with_a_variable(xp):
    v = xp.Variable(3.0)
    f = xp.recompute_grad(lambda x: x * v * v)

    def gradients(f):
        x = xp.constant(2.0)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, [x, v])

    for name, g in both_ways(xp, f).items():
        yield name, gradients(g)


@scenario
def recompute_grad_second_order(xp):
    f = xp.recompute_grad(lambda x: x * x * x)

    def second():
        x = xp.constant(2.0)
        with xp.GradientTape() as outer:
            outer.watch(x)
            with xp.GradientTape() as inner:
                inner.watch(x)
                y = f(x)
            first = inner.gradient(y, x)
        return outer.gradient(first, x)

    yield "second", lambda: second()


@scenario
def stop_gradient_in_functions(xp):
    f = xp.function(lambda x: xp.stop_gradient(x * x) * x)
    yield "both", value_and_gradient(xp, f, 3.0)


@scenario
def straight_through(xp):
    yield (
        "both",
        value_and_gradient(xp, lambda x: x + xp.stop_gradient(xp.round(x) - x), [0.4, 1.6]),
    )
