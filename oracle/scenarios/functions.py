"""function: when it is traced, and what a trace refuses."""

import numpy as np

from oracle.scenario import raised, scenario
from oracle.scenarios.questions import counted


@scenario
def one_trace_for_equal_shapes(xp):
    f, seen = counted(xp)
    f(xp.constant([1.0, 2.0])), f(xp.constant([3.0, 4.0])), f(xp.constant([5.0, 6.0]))
    yield "bodies", len(seen)
    yield "traces", xp.trace_count_of(f)


@scenario
def a_trace_for_each_dtype_and_rank(xp):
    f, seen = counted(xp)
    f(xp.constant(1.0)), f(xp.constant(1)), f(xp.constant([1.0])), f(xp.constant([[1.0]]))
    yield "bodies", len(seen)


@scenario
def a_trace_for_each_shape(xp):
    f, seen = counted(xp)
    for n in range(1, 6):
        f(xp.zeros((n,)))
    yield "bodies", len(seen)


@scenario
def python_numbers_of_one_type(xp):
    f, seen = counted(xp)
    yield "values", [f(1), f(1), f(2)]
    yield "bodies", len(seen)


@scenario
def python_arguments_that_are_equal(xp):
    f, seen = counted(xp, lambda x: xp.constant(type(x).__name__ == "bool"))
    yield "values", [f(1), f(1.0), f(True)]
    yield "bodies", len(seen)


@scenario
def python_strings(xp):
    f, seen = counted(xp, lambda x, how: x * 2.0 if how == "double" else x)
    x = xp.constant(3.0)
    yield "values", [f(x, "double"), f(x, "leave"), f(x, "double")]
    yield "bodies", len(seen)


@scenario
def arrays_are_as_tensors(xp):
    f, seen = counted(xp, lambda x: x * 2.0)
    x = np.ones(2, np.float32)
    yield "values", [f(x), f(xp.constant(x)), f(3 * x)]
    yield "bodies", len(seen)


@scenario
def side_effects_of_python_happen_while_tracing(xp):
    seen = []

    @xp.function
    def f(x):
        seen.append("python")
        return x

    f(xp.constant(1.0)), f(xp.constant(2.0)), f(xp.constant([1.0]))
    yield "seen", seen


@scenario
def a_function_in_a_function(xp):
    seen = []

    @xp.function
    def inner(x):
        seen.append("inner")
        return x * 2.0

    @xp.function
    def outer(x):
        seen.append("outer")
        return inner(x) + inner(x + 1.0)

    yield "value", outer(xp.constant(1.0))
    yield "again", outer(xp.constant(2.0))
    yield "seen", seen


@scenario
def a_function_that_calls_itself(xp):
    @xp.function
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    yield "value", power(xp.constant(2.0), 5)


@scenario
def captured_tensors_keep_their_values(xp):
    w = xp.constant([1.0, 2.0])
    f = xp.function(lambda x: x * w)
    yield "value", f(xp.constant(3.0))


@scenario
def captured_python_values_are_frozen(xp):
    k = [2.0]
    f = xp.function(lambda x: x * k[0])
    first = f(xp.constant(3.0))
    k[0] = 5.0
    yield "values", [first, f(xp.constant(3.0)), f(xp.constant([3.0]))]


@scenario
def a_python_decision_on_a_traced_value(xp):
    def f(x):
        if x > 0:
            return x
        return -x

    yield "traced", lambda: xp.function(f)(xp.constant(-1.0))


@scenario
def a_traced_value_as_a_python_number(xp):
    yield "float", lambda: xp.function(lambda x: float(x))(xp.constant(1.0))
    yield "int", lambda: xp.function(lambda x: int(x))(xp.constant(1))
    yield "numpy", lambda: xp.function(lambda x: x.numpy())(xp.constant(1.0))
    yield "array", lambda: xp.function(lambda x: np.sin(x))(xp.constant(1.0))
    yield "range", lambda: xp.function(lambda n: list(range(n)))(xp.constant(3))


@scenario
def a_traced_tensor_that_leaked(xp):
    leaked = []

    @xp.function
    def f(x):
        leaked.append(x * 2.0)
        return x

    f(xp.constant(1.0))
    yield "value", lambda: leaked[0].numpy()
    yield "op", lambda: leaked[0] + 1.0
    g = xp.function(lambda x: x + leaked[0])
    yield "another trace", lambda: g(xp.constant(1.0))


@scenario
def iterating_a_traced_tensor(xp):
    f = xp.function(lambda x: [a * 2.0 for a in x])
    yield "known length", lambda: f(xp.constant([1.0, 2.0]))


@scenario
def the_length_of_a_traced_tensor(xp):
    f = xp.function(lambda x: x * float(len(x)))
    yield "known", lambda: f(xp.constant([1.0, 2.0]))
    g = xp.function(
        lambda x: x * float(len(x)), input_signature=[xp.TensorSpec((None,), xp.float32)]
    )
    yield "unknown", lambda: g(xp.constant([1.0, 2.0]))


@scenario
def an_error_while_tracing(xp):
    seen = []

    @xp.function
    def f(x):
        seen.append("traced")
        raise KeyError("mine")

    yield "first", raised(lambda: f(xp.constant(1.0)))
    yield "second", raised(lambda: f(xp.constant(1.0)))
    yield "bodies", len(seen)


@scenario
def shapes_that_do_not_fit(xp):
    def f(x, y):
        return xp.matmul(x, y)

    x = xp.zeros((2, 3))
    yield "eagerly", lambda: f(x, x)
    yield "traced", lambda: xp.function(f)(x, x)
    g = xp.function(f, input_signature=[xp.TensorSpec(None, xp.float32)] * 2)
    yield "at trace", lambda: (xp.concrete(g), None)[1]
    yield "at call", lambda: g(x, x)


@scenario
def dtypes_that_do_not_fit(xp):
    a, b = xp.constant([1.0]), xp.constant([1], xp.int32)
    yield "eagerly", lambda: a + b
    yield "traced", lambda: xp.function(lambda a, b: a + b)(a, b)


@scenario
def jit_agrees(xp):
    def f(x, y):
        return xp.sum(xp.tanh(xp.matmul(x, y)) ** 2, axis=0) * 3.0

    g = xp.function(f, jit_compile=True)
    x, y = xp.constant([[0.1, 0.2], [0.3, 0.4]]), xp.constant([[0.5], [0.6]])
    with xp.GradientTape() as tape:
        tape.watch([x, y])
        z = g(x, y)
    yield "value", z
    yield "gradient", tape.gradient(z, [x, y])


@scenario
def jit_of_values_that_decide_shapes(xp):
    f = xp.function(lambda x: x[x > 0.0], jit_compile=True)
    yield "call", lambda: f(xp.constant([1.0, -1.0]))


@scenario
def the_python_function_within(xp):
    f, seen = counted(xp, lambda x: x * 2.0)
    yield "value", f.python_function(xp.constant(2.0))
    f.python_function(xp.constant(2.0))
    yield "bodies", len(seen)


@scenario
def init_scope_leaves_the_trace(xp):
    seen = []

    @xp.function
    def f(x):
        with xp.init_scope():
            seen.append(bool(xp.executing_eagerly()))
        seen.append(bool(xp.executing_eagerly()))
        return x

    f(xp.constant(1.0))
    yield "eager", seen


@scenario
def a_function_of_nothing(xp):
    f, seen = counted(xp, lambda: xp.constant(3.0))
    yield "values", [f(), f()]
    yield "bodies", len(seen)
