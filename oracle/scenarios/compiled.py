"""jit_compile: the same answers, or a refusal before anything runs."""

from oracle.scenario import scenario
from oracle.scenarios.questions import value_and_gradient


def compiled(xp, f):
    """`f`, compiled."""
    return xp.function(f, jit_compile=True)


@scenario
def compiled_rows(xp):
    x = [[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]]
    for name, f in {
        "softmax": lambda x: xp.nn.softmax(x) * x,
        "normalised": lambda x: xp.exp((x - xp.mean(x, axis=1, keepdims=True)) / xp.std(x)),
        "largest": lambda x: xp.max(x, axis=1),
        "logsumexp": lambda x: xp.log(xp.sum(xp.exp(x), axis=0)),
        "flipped": lambda x: xp.flip(x, axis=[1]) * x,
        "gathered": lambda x: xp.take(x, [2, 0, 2], axis=1) * 2.0,
        "joined": lambda x: xp.concat([x, x * x], axis=0),
        "sliced": lambda x: x[:, 1:] * x[:, :-1],
    }.items():
        yield name, value_and_gradient(xp, compiled(xp, f), x)


@scenario
def compiled_kinks(xp):
    x = [-1.0, 0.0, 1.0]
    for name, f in {
        "abs": xp.abs,
        "relu": xp.nn.relu,
        "maximum": lambda x: xp.maximum(x, 0.0),
        "clip": lambda x: xp.clip(x, 0.0, 1.0),
        "largest of equals": lambda x: xp.max(x * 0.0),
        "where": lambda x: xp.where(x > 0.0, x * x, -x),
        "floor": lambda x: xp.floor(x) * x,
    }.items():
        yield name, value_and_gradient(xp, compiled(xp, f), x)


@scenario
def compiled_products(xp):
    def f(a, b):
        return xp.tanh(xp.matmul(a, b)) + 1.0

    a, b = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[0.1, 0.2], [0.3, 0.4]]
    yield "both", value_and_gradient(xp, compiled(xp, f), a, b)


@scenario
def compiled_second_order(xp):
    f = compiled(xp, lambda x: xp.sum(xp.sin(x) * x))
    x = xp.constant([0.5, 1.0])
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        first = inner.gradient(y, x)
    yield "second", outer.gradient(first, x)


@scenario
def compiled_step_of_training(xp):
    w = xp.Variable([1.0, 2.0])

    def step(x):
        with xp.GradientTape() as tape:
            loss = xp.sum(xp.square(w * x - 1.0))
        w.assign_sub(0.1 * tape.gradient(loss, w))
        return loss

    f = compiled(xp, step)
    x = xp.constant([0.5, 2.0])
    yield "losses", [f(x), f(x), f(x)]
    yield "weights", w


@scenario
def compiled_with_unknown_dims(xp):
    f = xp.function(
        lambda x: xp.sum(x * x, axis=0) / xp.astype(xp.shape(x)[0], xp.float32),
        input_signature=[xp.TensorSpec((None, 2), xp.float32)],
        jit_compile=True,
    )
    yield "values", [f(xp.ones((n, 2)) * 2.0) for n in (1, 3, 2)]
    yield "traces", xp.trace_count_of(f)


@scenario
def compiled_decisions(xp):
    f = compiled(xp, lambda x: xp.cond(xp.sum(x) > 0.0, lambda: x * x, lambda: -x))
    for point in ([1.0, 2.0], [-1.0, -2.0]):
        yield f"{point}", value_and_gradient(xp, f, point)


@scenario
def compiled_python_decision(xp):
    def f(x):
        if x > 0:
            return x
        return -x

    yield "call", lambda: compiled(xp, f)(xp.constant(1.0))


@scenario
def compiled_functions_in_functions(xp):
    inner = compiled(xp, lambda x: xp.tanh(x) * x)
    outer = xp.function(lambda x: inner(x) + inner(x * 2.0))
    both = compiled(xp, lambda x: outer(x) * 3.0)
    yield "inner", value_and_gradient(xp, outer, [0.5, 1.0])
    yield "both", value_and_gradient(xp, both, [0.5, 1.0])


@scenario
def compiled_integers_and_bools(xp):
    f = compiled(xp, lambda i, p: (i // 2, i % 3, xp.logical_not(p), xp.where(p, i, -i)))
    yield "values", f(xp.constant([7, -7, 5]), xp.constant([True, False, True]))


@scenario
def compiled_complex_numbers(xp):
    f = compiled(xp, lambda z: xp.real(z * xp.conj(z)) + xp.abs(z))
    yield "both", value_and_gradient(xp, f, [3.0 + 4.0j, 1.0 - 1.0j], dtype=xp.complex64)


@scenario
def compiled_rule_by_hand(xp):
    @xp.custom_gradient
    def lie(x):
        return x * x, lambda g: g * 100.0

    yield "both", value_and_gradient(xp, compiled(xp, lambda x: lie(x) * 2.0), [1.0, 2.0])


@scenario
def compiled_special_values(xp):
    f = compiled(xp, lambda x: (xp.log(x), xp.sqrt(x), xp.exp(x), 1.0 / x))
    yield "values", f(xp.constant([0.0, -1.0, float("inf"), 1.0]))
