"""numpy_function: opaque, with effects in program order."""

import numpy as np

from oracle.scenario import raised, scenario


@scenario
def numpy_function_gives_no_gradient(xp):
    def f(x):
        return xp.numpy_function(np.sin, [x], xp.float32)

    x = xp.constant([1.0, 2.0])
    for name, g in {"eagerly": f, "traced": xp.function(f)}.items():
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = g(x)
        yield name, tape.gradient(y, x)


@scenario
def numpy_function_beside_another_path(xp):
    @xp.function
    def f(x):
        return xp.numpy_function(np.sin, [x], xp.float32) * x

    x = xp.constant(0.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "gradient", tape.gradient(y, x)


@scenario
def numpy_function_runs_at_every_call(xp):
    seen = []

    @xp.function
    def f(x):
        return xp.numpy_function(lambda a: (seen.append("ran"), a)[1], [x], xp.float32)

    x = xp.constant(1.0)
    f(x), f(x), f(x)
    yield "runs", len(seen)
    yield "traces", xp.trace_count_of(f)


@scenario
def numpy_function_that_is_stateful_runs_though_unused(xp):
    seen = []

    def count(a):
        seen.append("ran")
        return a

    @xp.function
    def f(x):
        xp.numpy_function(count, [x], xp.float32)
        a = xp.numpy_function(count, [x], xp.float32)
        b = xp.numpy_function(count, [x], xp.float32)
        return a + b

    f(xp.constant(1.0))
    yield "runs", len(seen)


@scenario
def numpy_function_that_is_pure_is_dropped_if_unused(xp):
    seen = []

    def count(a):
        seen.append("ran")
        return a

    @xp.function
    def f(x):
        xp.numpy_function(count, [x], xp.float32, stateful=False)
        return x

    f(xp.constant(1.0))
    yield "runs", len(seen)


@scenario
def numpy_function_that_is_pure_is_merged(xp):
    seen = []

    def count(a):
        seen.append("ran")
        return a

    @xp.function
    def f(x):
        a = xp.numpy_function(count, [x], xp.float32, stateful=False)
        return a + xp.numpy_function(count, [x], xp.float32, stateful=False)

    yield "value", f(xp.constant(1.0))
    yield "runs", len(seen)


@scenario
def numpy_functions_in_program_order(xp):
    seen = []

    def say(word):
        return lambda: xp.numpy_function(lambda: seen.append(word), [], [])

    @xp.function
    def inner():
        say("inner")()

    @xp.function
    def f():
        say("first")()
        inner()
        say("second")()
        inner()
        say("third")()

    f()
    yield "order", seen


@scenario
def numpy_function_reads_what_was_assigned(xp):
    v = xp.Variable(1.0)
    seen = []

    def look(a):
        seen.append(float(a))
        return a

    @xp.function
    def f():
        xp.numpy_function(look, [v.read_value()], xp.float32)
        v.assign(5.0)
        xp.numpy_function(look, [v.read_value()], xp.float32)
        v.assign_add(xp.numpy_function(look, [v.read_value()], xp.float32))
        return v.read_value()

    yield "value", f()
    yield "seen", seen
    yield "variable", v


@scenario
def numpy_function_looks_at_a_variable_by_its_closure(xp):
    v = xp.Variable(1.0)
    seen = []

    @xp.function
    def f():
        xp.numpy_function(lambda: seen.append(float(v.numpy())), [], [])
        v.assign(5.0)
        xp.numpy_function(lambda: seen.append(float(v.numpy())), [], [])

    f()
    yield "seen", seen


@scenario
def numpy_function_in_both_branches(xp):
    seen = []

    def say(word):
        return lambda: xp.numpy_function(
            lambda: (seen.append(word), np.float32(len(word)))[1], [], xp.float32
        )

    @xp.function
    def f(p):
        return xp.cond(p, say("yes"), say("no"))

    yield "true", f(xp.constant(True))
    yield "false", f(xp.constant(False))
    yield "seen", seen


@scenario
def numpy_function_in_a_while_loop(xp):
    seen = []

    def body(i, total):
        def look(i):
            seen.append(int(i))
            return np.float32(i)

        return i + 1, total + xp.ensure_shape(xp.numpy_function(look, [i], xp.float32), ())

    @xp.function
    def f(n):
        return xp.while_loop(lambda i, total: i < n, body, [xp.constant(0), xp.constant(0.0)])[1]

    yield "value", lambda: f(xp.constant(4))
    yield "seen", seen


@scenario
def numpy_function_raises_the_users_error(xp):
    def body(a):
        raise ValueError("no good")

    x = xp.constant(1.0)
    yield "eagerly", raised(lambda: xp.numpy_function(body, [x], xp.float32))
    f = xp.function(lambda x: xp.numpy_function(body, [x], xp.float32))
    yield "traced", raised(lambda: f(x))


@scenario
def numpy_function_raises_an_error_of_another_class(xp):
    class OwnError(Exception):
        pass

    def body(a):
        raise OwnError("no good")

    x = xp.constant(1.0)
    yield "eagerly", raised(lambda: xp.numpy_function(body, [x], xp.float32))
    f = xp.function(lambda x: xp.numpy_function(body, [x], xp.float32))
    yield "traced", raised(lambda: f(x))


@scenario
def numpy_function_is_usable_after_an_error(xp):
    def body(a):
        if a > 1:
            raise ValueError("no good")
        return a

    f = xp.function(lambda x: xp.numpy_function(body, [x], xp.float32))
    yield "fails", lambda: f(xp.constant(2.0))
    yield "works", f(xp.constant(1.0))


@scenario
def numpy_function_writes_into_its_argument(xp):
    def body(a):
        a[0] = 100.0
        return a

    @xp.function
    def f(x):
        y = x * 1.0
        z = xp.numpy_function(body, [y], xp.float32)
        return y, z

    yield "traced", lambda: f(xp.constant([1.0, 2.0]))


@scenario
def numpy_function_uses_its_buffer_again(xp):
    # at a multiple of 64 bytes TensorFlow shares the buffer, elsewhere it copies
    store = np.zeros(64, np.float32)
    buffer = store[-(store.ctypes.data // 4) % 16 :][:2]

    def body(a):
        buffer[:] = a
        return buffer

    x = xp.constant([1.0, 2.0])
    first = xp.numpy_function(body, [x], xp.float32)
    second = xp.numpy_function(body, [x * 10.0], xp.float32)
    yield "eagerly", [first, second]
    f = xp.function(lambda x: xp.numpy_function(body, [x], xp.float32))
    first = f(x)
    second = f(x * 10.0)
    yield "traced", [first, second]


@scenario
def numpy_function_is_not_compiled(xp):
    seen = []

    @xp.function(jit_compile=True)
    def f(x):
        return xp.numpy_function(lambda a: (seen.append("ran"), a)[1], [x], xp.float32) + 1.0

    yield "call", lambda: f(xp.constant(1.0))
    yield "runs", len(seen)


@scenario
def numpy_function_with_a_gradient_by_hand(xp):
    @xp.custom_gradient
    def sine(x):
        y = xp.numpy_function(np.sin, [x], xp.float32)

        def grad(g):
            return g * xp.numpy_function(np.cos, [x], xp.float32)

        return y, grad

    x = xp.constant([0.5, 1.0])
    for name, f in {"eagerly": sine, "traced": xp.function(lambda x: sine(x))}.items():
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        yield name, tape.gradient(y, x)


@scenario
def numpy_function_in_map(xp):
    seen = []

    def body(a):
        seen.append(float(a))
        return a * np.float32(2)

    def each(x):
        return xp.ensure_shape(xp.numpy_function(body, [x], xp.float32), ())

    yield "value", lambda: xp.function(lambda x: xp.map(each, x))(xp.constant([1.0, 2.0, 3.0]))
    yield "seen", sorted(seen)
