"""py_function: any Python inside, and still differentiable."""

import numpy as np

from oracle.scenario import raised, scenario
from oracle.scenarios.questions import both_ways, values_and_gradients


@scenario
def py_function_with_a_python_decision(xp):
    def huber(x):
        return x * x if abs(x) < 1 else 2 * abs(x) - 1

    def f(x):
        return xp.py_function(huber, [x], xp.float32)

    yield from values_and_gradients(xp, f, 0.5)
    for label, seen in values_and_gradients(xp, f, -3.0):
        yield f"{label}, outside", seen


@scenario
def py_function_of_two(xp):
    def f(x, y):
        return xp.py_function(lambda a, b: a * a * b, [x, y], xp.float32)

    yield from values_and_gradients(xp, f, [2.0, 3.0], [4.0, 5.0])


@scenario
def py_function_with_two_results(xp):
    def f(x):
        a, b = xp.py_function(lambda a: [a * a, 3 * a], [x], [xp.float32, xp.float32])
        return a * 10.0 + b

    yield from values_and_gradients(xp, f, [2.0, 3.0])


@scenario
def py_function_of_which_one_result_is_used(xp):
    def f(x):
        return xp.py_function(lambda a: [a * a, 3 * a], [x], [xp.float32, xp.float32])[1]

    yield from values_and_gradients(xp, f, [2.0, 3.0])


@scenario
def py_function_that_does_not_use_an_input(xp):
    def f(x, y):
        return xp.py_function(lambda a, b: a * a, [x, y], xp.float32)

    yield from values_and_gradients(xp, f, [2.0, 3.0], [4.0, 5.0])


@scenario
def py_function_with_an_integer_beside(xp):
    def power(a, n):
        for _ in range(int(n) - 1):
            a = a * a
        return a

    def f(x):
        return xp.py_function(power, [x, xp.constant(3)], xp.float32)

    yield from values_and_gradients(xp, f, 2.0)


@scenario
def py_function_gradient_by_an_integer_input(xp):
    def f(x, n):
        return xp.py_function(lambda a, n: a * xp.astype(n, xp.float32), [x, n], xp.float32)

    for name, g in both_ways(xp, f).items():
        x, n = xp.constant(2.0), xp.constant(3)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = g(x, n)
        yield name, lambda: tape.gradient(y, [x, n])


@scenario
def py_function_with_integer_results(xp):
    def f(x):
        n, y = xp.py_function(
            lambda a: [xp.astype(xp.floor(a), xp.int32), a * a], [x], [xp.int32, xp.float32]
        )
        return y * xp.astype(n, xp.float32)

    yield from values_and_gradients(xp, f, 2.5)


@scenario
def py_function_gets_tensors_that_have_values(xp):
    seen = []

    def body(a):
        seen.append([xp.is_tensor(a), float(a.numpy()), bool(xp.executing_eagerly())])
        return a

    f = xp.function(lambda x: xp.py_function(body, [x], xp.float32))
    f(xp.constant(3.0))
    yield "seen", seen


@scenario
def py_function_of_python_numbers(xp):
    seen = []

    def body(a, i):
        seen.append([xp.name_of_dtype(a), xp.name_of_dtype(i)])
        return a

    yield "eagerly", lambda: xp.py_function(body, [1.5, 2], xp.float32)
    yield "traced", lambda: xp.function(lambda: xp.py_function(body, [1.5, 2], xp.float32))()
    yield "dtypes", seen


@scenario
def py_function_returns_another_dtype(xp):
    def f(x):
        return xp.py_function(lambda a: xp.astype(a, xp.float64), [x], xp.float32)

    x = xp.constant([1.0])
    for name, g in both_ways(xp, f).items():
        yield name, lambda: g(x)


@scenario
def py_function_returns_a_python_number(xp):
    def f(x):
        return xp.py_function(lambda a: 2.5, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        yield name, lambda: g(xp.constant([1.0]))


@scenario
def py_function_returns_an_array(xp):
    def f(x):
        return xp.py_function(lambda a: np.ones(2, np.float32), [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        yield name, lambda: g(xp.constant([1.0]))


@scenario
def py_function_returns_more_or_fewer(xp):
    x = xp.constant([1.0, 2.0])

    def more(x):
        return xp.py_function(lambda a: [a, a, a], [x], [xp.float32, xp.float32])

    def fewer(x):
        return xp.py_function(lambda a: [a], [x], [xp.float32, xp.float32])

    for f in (more, fewer):
        for name, g in both_ways(xp, f).items():
            yield f"{f.__name__}, {name}", lambda: g(x)


@scenario
def py_function_returns_none(xp):
    def f(x):
        return xp.py_function(lambda a: None, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        yield name, lambda: g(xp.constant([1.0]))


@scenario
def py_function_for_nothing(xp):
    seen = []

    def f(x):
        xp.py_function(lambda a: seen.append(float(a)), [x], [])
        return x

    for name, g in both_ways(xp, f).items():
        yield name, g(xp.constant(1.0))
    yield "seen", seen


@scenario
def py_function_raises_the_users_error(xp):
    def body(a):
        raise ValueError("no good")

    def f(x):
        return xp.py_function(body, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        yield name, raised(lambda: g(xp.constant(1.0)))


@scenario
def py_function_with_stop_gradient(xp):
    def f(x):
        return xp.py_function(lambda a: a * xp.stop_gradient(a), [x], xp.float32)

    yield from values_and_gradients(xp, f, 3.0)


@scenario
def py_function_leaves_the_shape_unknown(xp):
    seen = []

    @xp.function
    def f(x):
        y = xp.py_function(lambda a: a * a, [x], xp.float32)
        seen.append(xp.dims(y))
        return y

    f(xp.constant([1.0]))
    yield "seen", seen


@scenario
def py_function_with_a_spec_keeps_the_shape(xp):
    seen = []

    @xp.function
    def f(x):
        y = xp.py_function(lambda a: a * a, [x], xp.TensorSpec((1,), xp.float32))
        seen.append(xp.dims(y))
        return y

    yield "value", lambda: f(xp.constant([2.0]))
    yield "seen", seen


@scenario
def py_function_of_complex_numbers(xp):
    def f(z):
        return xp.py_function(lambda a: a * a, [z], xp.complex64)

    for name, g in both_ways(xp, f).items():
        z = xp.constant([1.0 + 2.0j], xp.complex64)
        with xp.GradientTape() as tape:
            tape.watch(z)
            y = g(z)
        yield name, y
        yield f"{name}, gradient", tape.gradient(y, z)


@scenario
def py_function_unconnected_as_zero(xp):
    def f(x, y):
        return xp.py_function(lambda a, b: a * a, [x, y], xp.float32)

    for name, g in both_ways(xp, f).items():
        x, y = xp.constant(2.0), xp.constant([4.0, 5.0])
        with xp.GradientTape() as tape:
            tape.watch([x, y])
            z = g(x, y)
        yield (
            name,
            lambda: tape.gradient(z, [x, y], unconnected_gradients="zero"),
        )


@scenario
def py_function_wrong_number_of_arguments(xp):
    def f(x):
        return xp.py_function(lambda a, b: a, [x], xp.float32)

    for name, g in both_ways(xp, f).items():
        yield name, lambda: g(xp.constant(1.0))
