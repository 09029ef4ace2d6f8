"""numpy_function: what a body is given, and what it may give back."""

import numpy as np

from oracle.scenario import scenario


@scenario
def numpy_function_as_documented(xp):
    @xp.function(input_signature=[xp.TensorSpec(None, xp.float32)])
    def f(x):
        y = xp.numpy_function(np.sinh, [x], xp.float32)
        return y * y

    yield "value", f(xp.constant(1.0))


@scenario
def numpy_function_eagerly(xp):
    x = xp.constant([1.0, 2.0])
    yield "one", xp.numpy_function(lambda a: a * np.float32(2), [x], xp.float32)
    yield "list of one", xp.numpy_function(lambda a: [a + np.float32(1)], [x], [xp.float32])
    yield "two", xp.numpy_function(lambda a: [a, a + np.float32(1)], [x], [xp.float32, xp.float32])
    yield "a tuple", xp.numpy_function(lambda a: (a, a), [x], (xp.float32, xp.float32))


@scenario
def numpy_function_in_a_function(xp):
    x = xp.constant([1.0, 2.0])

    def through(func, Tout):
        return xp.function(lambda x: xp.numpy_function(func, [x], Tout))(x)

    yield "one", through(lambda a: a * np.float32(2), xp.float32)
    yield "list of one", through(lambda a: [a + np.float32(1)], [xp.float32])
    yield "two", through(lambda a: [a, a + np.float32(1)], [xp.float32, xp.float32])
    yield "a tuple", through(lambda a: (a, a), (xp.float32, xp.float32))


@scenario
def numpy_function_gets_arrays(xp):
    seen = []

    def body(a, b):
        seen.append([type(a).__name__, list(a.shape), str(a.dtype), str(b.dtype)])
        return a

    x, i = xp.constant([1.0, 2.0]), xp.constant([1, 2])
    xp.numpy_function(body, [x, i], xp.float32)
    xp.function(lambda x, i: xp.numpy_function(body, [x, i], xp.float32))(x, i)
    yield "seen", seen


@scenario
def numpy_function_of_scalars(xp):
    seen = []

    def body(a):
        seen.append(isinstance(a, np.ndarray) and a.shape == ())
        return a

    x = xp.constant(1.0)
    xp.numpy_function(body, [x], xp.float32)
    xp.function(lambda x: xp.numpy_function(body, [x], xp.float32))(x)
    yield "are arrays", seen


@scenario
def numpy_function_of_python_numbers(xp):
    seen = []

    def body(a, i, flag):
        seen.append([str(np.asarray(x).dtype) for x in (a, i, flag)])
        return np.float32(a + i)

    yield "eagerly", xp.numpy_function(body, [1.5, 2, True], xp.float32)
    yield "traced", xp.function(lambda: xp.numpy_function(body, [1.5, 2, True], xp.float32))()
    yield "dtypes, eagerly", seen[0]
    yield "dtypes, traced", seen[1]


@scenario
def numpy_function_returns_a_python_number(xp):
    x = xp.constant(1.0)
    yield "eagerly", lambda: xp.numpy_function(lambda a: 2.5, [x], xp.float32)
    yield "traced", lambda: xp.function(lambda: xp.numpy_function(lambda a: 2.5, [x], xp.float32))()


@scenario
def numpy_function_returns_a_python_list_of_numbers(xp):
    x = xp.constant(1.0)

    def f():
        return xp.numpy_function(lambda a: [1.0, 2.0], [x], xp.float32)

    yield "traced", lambda: xp.function(f)()


@scenario
def numpy_function_returns_another_dtype(xp):
    x = xp.constant([1.0, 2.0])

    def f(x):
        return xp.numpy_function(lambda a: a.astype(np.float64), [x], xp.float32)

    yield "eagerly", lambda: f(x)
    yield "traced", lambda: xp.function(f)(x)


@scenario
def numpy_function_returns_an_integer_for_a_float(xp):
    x = xp.constant([1.0, 2.0])

    def f(x):
        return xp.numpy_function(lambda a: a.astype(np.int32), [x], xp.float32)

    yield "eagerly", lambda: f(x)
    yield "traced", lambda: xp.function(f)(x)


@scenario
def numpy_function_returns_more_or_fewer(xp):
    x = xp.constant([1.0, 2.0])

    def more(x):
        return xp.numpy_function(lambda a: [a, a, a], [x], [xp.float32, xp.float32])

    def fewer(x):
        return xp.numpy_function(lambda a: [a], [x], [xp.float32, xp.float32])

    def one_for_two(x):
        return xp.numpy_function(lambda a: None, [x], [xp.float32, xp.float32])

    for f in (more, fewer, one_for_two):
        yield f"{f.__name__}, eagerly", lambda: f(x)
        yield f"{f.__name__}, traced", lambda: xp.function(f)(x)


@scenario
def numpy_function_returns_none(xp):
    x = xp.constant([1.0, 2.0])

    def f(x):
        return xp.numpy_function(lambda a: None, [x], xp.float32)

    yield "eagerly", lambda: f(x)
    yield "traced", lambda: xp.function(f)(x)


@scenario
def numpy_function_for_nothing(xp):
    seen = []
    x = xp.constant([1.0, 2.0])

    @xp.function
    def f(x):
        xp.numpy_function(lambda a: seen.append(float(a[0])), [x], [])
        return x

    yield "value", f(x)
    yield "seen", seen


@scenario
def numpy_function_for_nothing_gives_an_empty_list(xp):
    x = xp.constant([1.0, 2.0])
    yield "eagerly", lambda: xp.numpy_function(lambda a: None, [x], [])
    yield "traced", lambda: xp.function(lambda: xp.numpy_function(lambda a: None, [x], []))()


@scenario
def numpy_function_leaves_the_shape_unknown(xp):
    seen = []

    @xp.function
    def f(x):
        y = xp.numpy_function(np.sin, [x], xp.float32)
        seen.append(xp.dims(y))
        return y

    f(xp.constant([0.0]))
    yield "seen", seen


@scenario
def numpy_function_with_a_spec_keeps_the_shape(xp):
    seen = []

    @xp.function
    def f(x):
        y = xp.numpy_function(np.sin, [x], xp.TensorSpec((1,), xp.float32))
        seen.append(xp.dims(y))
        return y

    yield "value", lambda: f(xp.constant([0.0]))
    yield "seen", seen


@scenario
def numpy_function_and_set_shape(xp):
    seen = []

    @xp.function
    def f(x):
        y = xp.numpy_function(np.sin, [x], xp.float32)
        y.set_shape((1,))
        seen.append(xp.dims(y))
        return xp.sum(y, axis=0)

    yield "value", f(xp.constant([0.0]))
    yield "seen", seen


@scenario
def numpy_function_of_one_tensor_alone(xp):
    x = xp.constant([1.0, 2.0])
    yield "eagerly", lambda: xp.numpy_function(np.negative, x, xp.float32)


@scenario
def numpy_function_of_bools_and_complex_numbers(xp):
    p, z = xp.constant([True, False]), xp.constant([1.0 + 2.0j], xp.complex64)
    f = xp.function(lambda p: xp.numpy_function(np.logical_not, [p], xp.bool))
    yield "bool", f(p)
    g = xp.function(lambda z: xp.numpy_function(np.conj, [z], xp.complex64))
    yield "complex", g(z)


@scenario
def numpy_function_of_an_empty_array(xp):
    f = xp.function(lambda x: xp.numpy_function(lambda a: a * np.float32(2), [x], xp.float32))
    yield "value", f(xp.zeros((0, 3)))


@scenario
def numpy_function_wrong_number_of_arguments(xp):
    x = xp.constant(1.0)
    yield "eagerly", lambda: xp.numpy_function(lambda a, b: a, [x], xp.float32)
    f = xp.function(lambda x: xp.numpy_function(lambda a, b: a, [x], xp.float32))
    yield "traced", lambda: f(x)
