"""Arguments of traced functions that are no plain tensors, and results that are no new ones."""

import functools

import numpy as np

from oracle.scenario import raised, scenario
from oracle.scenarios.questions import counted, gradients


@scenario
def none_as_argument(xp):
    f, seen = counted(xp, lambda x, mask=None: x if mask is None else x * mask)
    x = xp.constant(3.0)
    yield "values", [f(x), f(x, None), f(x, xp.constant(2.0)), f(x, mask=None)]
    yield "bodies", len(seen)


@scenario
def lists_of_python_numbers(xp):
    f, seen = counted(xp, lambda xs: xp.constant(float(sum(xs))))
    yield "values", [f([1, 2]), f([1, 2]), f([1, 3]), f((1, 2))]
    yield "bodies", len(seen)


@scenario
def numpy_scalars_as_arguments(xp):
    f, seen = counted(xp, lambda x: x * 2.0)
    yield "values", [f(np.float32(1.0)), f(np.float32(2.0)), f(xp.constant(3.0))]
    yield "bodies", len(seen)


@scenario
def dtypes_as_arguments(xp):
    f, seen = counted(xp, lambda x, dtype: xp.astype(x, dtype))
    x = xp.constant([1.5])
    yield "values", [f(x, xp.float64), f(x, xp.int32), f(x, xp.float64)]
    yield "bodies", len(seen)


@scenario
def functions_as_arguments(xp):
    f, seen = counted(xp, lambda x, g: g(x))
    x = xp.constant(4.0)
    yield "values", [f(x, xp.sqrt), f(x, xp.square), f(x, xp.sqrt)]
    yield "bodies", len(seen)


@scenario
def partial_functions(xp):
    f = xp.function(functools.partial(lambda x, y: x * y, y=3.0))
    yield "value", f(xp.constant(2.0))


@scenario
def nan_as_argument(xp):
    f, seen = counted(xp, lambda x, fill: x * 0.0 + fill)
    x, nan = xp.constant(1.0), float("nan")
    yield "values", [f(x, nan), f(x, nan)]
    yield "bodies", len(seen)


@scenario
def large_python_integers(xp):
    yield "constant", lambda: xp.constant(2**40)
    yield "beside int32", lambda: xp.constant([1]) + 2**40


@scenario
def an_argument_comes_back(xp):
    f = xp.function(lambda x: (x, x, x * 2.0))
    yield "values", f(xp.constant([1.0, 2.0]))
    yield "gradient", gradients(xp, lambda x: f(x)[0] * f(x)[2], [1.0, 2.0])


@scenario
def a_constant_comes_out(xp):
    c = xp.constant([7.0])
    f = xp.function(lambda x: c)
    yield "value", f(xp.constant(1.0))
    yield "gradient", gradients(xp, f, 1.0)


@scenario
def a_result_that_is_an_integer(xp):
    f = xp.function(lambda x: (x * 2.0, xp.astype(x, xp.int32)))
    x = xp.constant([1.5])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y, n = f(x)
    yield "results", [y, n]
    yield "gradient", tape.gradient([y, n], x)


@scenario
def integer_arguments_of_a_function(xp):
    f = xp.function(lambda x, n: x * xp.astype(n, xp.float32))
    x, n = xp.constant([1.5]), xp.constant(3)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x, n)
    yield "gradient", tape.gradient(y, [x, n])


@scenario
def an_argument_that_is_not_used(xp):
    f = xp.function(lambda x, y: x * 2.0)
    x, y = xp.constant(1.0), xp.constant([1.0, 2.0])
    with xp.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        z = f(x, y)
    yield "none", tape.gradient(z, [x, y])
    yield "zero", tape.gradient(z, [x, y], unconnected_gradients="zero")


@scenario
def one_tensor_for_two_arguments(xp):
    f = xp.function(lambda x, y: x * x * y)
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x, x)
    yield "gradient", tape.gradient(y, x)


@scenario
def a_run_that_fails_in_the_middle(xp):
    v, w = xp.Variable(1.0), xp.Variable(1.0)

    @xp.function
    def f(x):
        v.assign(5.0)
        y = xp.numpy_function(lambda a: 1 / 0, [x], xp.float32)
        w.assign(y)
        return y

    yield "call", lambda: f(xp.constant(1.0))
    yield "variables", [v, w]


@scenario
def a_trace_that_fails_in_the_middle(xp):
    v = xp.Variable(1.0)

    @xp.function
    def f(x):
        v.assign(5.0)
        raise KeyError("mine")

    yield "call", raised(lambda: f(xp.constant(1.0)))
    yield "variable", v


@scenario
def gradients_of_three_functions_deep(xp):
    a = xp.function(lambda x: xp.sin(x) * x)
    b = xp.function(lambda x: a(x) + a(x * 2.0))
    c = xp.function(lambda x: b(b(x)))
    x = xp.constant(0.5)
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = c(x)
        first = inner.gradient(y, x)
    yield "first", first
    yield "second", outer.gradient(first, x)


@scenario
def a_gradient_of_a_gradient_in_one_function(xp):
    @xp.function
    def f(x):
        with xp.GradientTape() as outer:
            outer.watch(x)
            with xp.GradientTape() as inner:
                inner.watch(x)
                y = x * x * x
            first = inner.gradient(y, x)
        return first, outer.gradient(first, x)

    yield "both", f(xp.constant(2.0))


@scenario
def a_jacobian_in_a_function(xp):
    @xp.function
    def f(x):
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = xp.cumulative_sum(x * x, axis=0)
        return tape.jacobian(y, x)

    yield "jacobian", f(xp.constant([1.0, 2.0]))


@scenario
def none_from_a_gradient_in_a_function(xp):
    @xp.function
    def f(x, y):
        with xp.GradientTape() as tape:
            tape.watch([x, y])
            z = x * x
        return tape.gradient(z, [x, y])

    yield "gradients", f(xp.constant(2.0), xp.constant(3.0))


@scenario
def a_tape_from_outside_used_inside(xp):
    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        f = xp.function(lambda: x * x)
        y = f()
    yield "gradient", tape.gradient(y, x)


@scenario
def a_variable_updated_by_its_gradient(xp):
    v = xp.Variable(4.0)

    @xp.function
    def step():
        with xp.GradientTape() as tape:
            y = v * v
        v.assign_sub(0.1 * tape.gradient(y, v))
        return y, v.read_value()

    yield "steps", [step(), step()]
