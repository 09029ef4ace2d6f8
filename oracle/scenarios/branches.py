"""cond and switch: values, gradients and effects."""

from oracle.scenario import scenario
from oracle.scenarios.questions import value_and_gradient


@scenario
def cond_and_its_gradient(xp):
    def f(x):
        return xp.cond(x > 0.0, lambda: x * x, lambda: -3.0 * x)

    for name, g in {"eagerly": f, "traced": xp.function(f)}.items():
        for point in (2.0, -2.0):
            yield f"{name} at {point}", value_and_gradient(xp, g, point)


@scenario
def cond_runs_one_branch(xp):
    seen = []

    def say(word):
        return lambda: (xp.numpy_function(lambda: seen.append(word), [], []), xp.constant(1.0))[1]

    f = xp.function(lambda p: xp.cond(p, say("yes"), say("no")))
    f(xp.constant(True)), f(xp.constant(False))
    yield "seen", seen


@scenario
def cond_traces_both_branches(xp):
    seen = []

    @xp.function
    def f(p):
        return xp.cond(
            p,
            lambda: (seen.append("yes"), xp.constant(1.0))[1],
            lambda: (seen.append("no"), xp.constant(2.0))[1],
        )

    yield "values", [f(xp.constant(True)), f(xp.constant(False))]
    yield "seen", sorted(seen)


@scenario
def cond_eagerly_runs_python(xp):
    seen = []
    yield (
        "value",
        xp.cond(
            xp.constant(False),
            lambda: (seen.append("yes"), xp.constant(1.0))[1],
            lambda: (seen.append("no"), xp.constant(2.0))[1],
        ),
    )
    yield "seen", seen


@scenario
def cond_with_nests(xp):
    @xp.function
    def f(p, x):
        return xp.cond(p, lambda: {"a": x, "b": (x, x)}, lambda: {"a": -x, "b": (x * 2.0, x)})

    x = xp.constant(1.0)
    yield "values", [f(xp.constant(p), x) for p in (True, False)]


@scenario
def cond_with_branches_that_differ(xp):
    def f(yes, no):
        return lambda: xp.function(lambda p: xp.cond(p, yes, no))(xp.constant(True))

    one = xp.constant(1.0)
    yield "dtype", f(lambda: one, lambda: xp.constant(1))
    yield "nest", f(lambda: one, lambda: (one, one))
    yield "number", f(lambda: [one], lambda: [one, one])


@scenario
def cond_with_shapes_that_differ(xp):
    seen = []

    @xp.function
    def f(p):
        y = xp.cond(p, lambda: xp.zeros((2,)), lambda: xp.zeros((3,)))
        seen.append(xp.dims(y))
        return y

    yield "values", [f(xp.constant(p)) for p in (True, False)]
    yield "known", seen


@scenario
def cond_assigns(xp):
    v = xp.Variable(0.0)

    @xp.function
    def f(p):
        xp.cond(p, lambda: v.assign_add(1.0), lambda: v.assign_sub(10.0))
        return v.read_value()

    yield "values", [f(xp.constant(p)) for p in (True, False, True)]


@scenario
def cond_on_a_python_bool(xp):
    f = xp.function(lambda x: xp.cond(True, lambda: x, lambda: -x))
    yield "value", lambda: f(xp.constant(1.0))


@scenario
def cond_with_dicts_in_another_order(xp):
    @xp.function
    def f(p, x):
        return xp.cond(p, lambda: {"a": x, "b": -x}, lambda: {"b": x, "a": -x})

    yield "values", lambda: [f(xp.constant(p), xp.constant(1.0)) for p in (True, False)]


@scenario
def cond_on_a_vector(xp):
    f = xp.function(lambda p: xp.cond(p, lambda: xp.constant(1.0), lambda: xp.constant(2.0)))
    yield "call", lambda: f(xp.constant([True, False]))


@scenario
def cond_gradient_where_one_branch_is_unconnected(xp):
    @xp.function
    def f(p, x, y):
        return xp.cond(p, lambda: x * 2.0, lambda: y * 3.0)

    for p in (True, False):
        x, y = xp.constant(1.0), xp.constant(1.0)
        with xp.GradientTape() as tape:
            tape.watch([x, y])
            z = f(xp.constant(p), x, y)
        yield f"{p}", tape.gradient(z, [x, y], unconnected_gradients="zero")


@scenario
def cond_second_order(xp):
    @xp.function
    def f(x):
        return xp.cond(x > 0.0, lambda: x * x * x, lambda: x * x)

    for point in (2.0, -2.0):
        x = xp.constant(point)
        with xp.GradientTape() as outer:
            outer.watch(x)
            with xp.GradientTape() as inner:
                inner.watch(x)
                y = f(x)
            first = inner.gradient(y, x)
        yield f"at {point}", [first, outer.gradient(first, x)]


@scenario
def cond_captures_a_variable(xp):
    v = xp.Variable(3.0)
    f = xp.function(lambda x: xp.cond(x > 0.0, lambda: x * v, lambda: x))
    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        y = f(x)
    yield "gradient", tape.gradient(y, v)


@scenario
def switch_and_its_gradient(xp):
    def f(i, x):
        return xp.switch(i, [lambda: x, lambda: x * x, lambda: x * x * x])

    g = xp.function(f)
    for name, h in {"eagerly": f, "traced": g}.items():
        for i in (0, 1, 2, 7, -1):
            x = xp.constant(2.0)
            with xp.GradientTape() as tape:
                tape.watch(x)
                y = h(xp.constant(i), x)
            yield f"{name}, {i}", [y, tape.gradient(y, x)]


@scenario
def switch_without_branches(xp):
    yield "call", lambda: xp.switch(xp.constant(0), [])
