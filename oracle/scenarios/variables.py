"""Variables: when they are made, read and assigned in functions."""

from oracle.scenario import scenario
from oracle.scenarios.questions import counted


@scenario
def methods(xp):
    seen = []

    class Scale:
        def __init__(self, k):
            self.k = xp.Variable(k)

        @xp.function
        def __call__(self, x):
            seen.append("traced")
            return self.k * x

    a, b = Scale(2.0), Scale(3.0)
    x = xp.constant(10.0)
    yield "values", [a(x), b(x), a(x)]
    yield "bodies", len(seen)


@scenario
def variables_are_made_once(xp):
    made, seen = [], []

    @xp.function
    def f(x):
        seen.append("traced")
        if not made:
            made.append(xp.Variable(5.0))
        return made[0] * x

    yield "values", [f(xp.constant(1.0)), f(xp.constant(2.0))]
    yield "variable", made[0]


@scenario
def bodies_when_variables_are_made(xp):
    made, seen = [], []

    @xp.function
    def f(x):
        seen.append("traced")
        if not made:
            made.append(xp.Variable(5.0))
        return made[0] * x

    f(xp.constant(1.0)), f(xp.constant(2.0))
    yield "bodies", len(seen)


@scenario
def variables_made_at_every_trace(xp):
    @xp.function
    def f(x):
        return xp.Variable(5.0) * x

    yield "first", lambda: f(xp.constant(1.0))


@scenario
def variables_made_at_the_second_trace(xp):
    kept = []

    @xp.function
    def f(x, n):
        while len(kept) < n:
            kept.append(xp.Variable(float(n)))
        return kept[-1] * x

    yield "first", lambda: f(xp.constant(1.0), 1)
    yield "second", lambda: f(xp.constant(1.0), 2)


@scenario
def variables_of_the_shape_of_an_argument(xp):
    class Scale:
        v = None

        @xp.function
        def __call__(self, x):
            if self.v is None:
                self.v = xp.Variable(xp.ones_like(x))
            return self.v * x

    scale = Scale()
    yield "values", [scale(xp.constant([1.0, 2.0])), scale(xp.constant([3.0, 4.0]))]


@scenario
def variables_of_traced_values(xp):
    kept = []

    @xp.function
    def f(x):
        if not kept:
            kept.append(xp.Variable(x))
        return kept[0]

    yield "call", lambda: f(xp.constant(1.0))


@scenario
def variables_are_captured_by_reference(xp):
    v = xp.Variable(2.0)
    f, seen = counted(xp, lambda x: v * x)
    x = xp.constant(10.0)
    first = f(x)
    v.assign(3.0)
    yield "values", [first, f(x)]
    yield "bodies", len(seen)


@scenario
def variables_assigned_in_order(xp):
    v = xp.Variable(1.0)

    @xp.function
    def f():
        a = v.read_value()
        v.assign_add(10.0)
        b = v.read_value()
        v.assign(b * 2.0)
        v.assign_sub(1.0)
        return a, b, v.read_value()

    yield "first", f()
    yield "second", f()
    yield "variable", v


@scenario
def a_variable_returned(xp):
    v = xp.Variable(1.0)

    @xp.function
    def f():
        v.assign(2.0)
        return v

    yield "value", f()


@scenario
def assigning_what_does_not_fit(xp):
    v = xp.Variable([1.0, 2.0])
    yield "shape", lambda: v.assign([1.0, 2.0, 3.0])
    yield "dtype", lambda: v.assign(xp.constant([1, 2]))
    yield "traced", lambda: xp.function(lambda: v.assign([1.0, 2.0, 3.0]))()
    yield "after", v


@scenario
def assigning_a_number_to_a_vector(xp):
    v = xp.Variable([1.0, 2.0])
    yield "assign", lambda: v.assign(5.0)
    yield "assign_add", lambda: v.assign_add(5.0)


@scenario
def assigning_python_integers(xp):
    v = xp.Variable([1.0, 2.0])
    yield "assign", v.assign([3, 4])
    yield "assign_add", v.assign_add([1, 1])


@scenario
def assigning_fractions_to_integers(xp):
    v = xp.Variable([1, 2])
    yield "assign", lambda: v.assign([0.5, 1.0])
    yield "assign_add", lambda: v.assign_add([0.5, 1.0])
    yield "variable", v


@scenario
def jit_assigns(xp):
    v = xp.Variable(1.0)
    f = xp.function(lambda x: v.assign_add(x).read_value() * 2.0, jit_compile=True)
    yield "values", [f(xp.constant(1.0)), f(xp.constant(2.0))]
    yield "variable", v


@scenario
def a_variable_as_argument(xp):
    f = xp.function(lambda v, x: v.assign_add(x).read_value())
    v, w = xp.Variable(1.0), xp.Variable(10.0)
    yield "values", [f(v, xp.constant(1.0)), f(v, xp.constant(1.0)), f(w, xp.constant(1.0))]
    yield "variables", [v, w]


@scenario
def a_gradient_by_a_variable_as_argument(xp):
    f = xp.function(lambda v, x: v * v * x)
    v, x = xp.Variable(3.0), xp.constant(2.0)
    with xp.GradientTape() as tape:
        y = f(v, x)
    yield "gradient", tape.gradient(y, v)
