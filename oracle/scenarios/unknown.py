"""Dims and ranks that are not known while a function is traced."""

from oracle.scenario import scenario
from oracle.scenarios.questions import counted


@scenario
def a_signature_of_unknown_rank(xp):
    f, seen = counted(xp, lambda x: x * 2.0, input_signature=[xp.TensorSpec(None, xp.float32)])
    yield "values", [f(xp.constant(1.0)), f(xp.constant([[1.0]]))]
    yield "bodies", len(seen)


@scenario
def what_is_known_of_a_shape_while_tracing(xp):
    seen = []

    def look(x, y, z):
        seen.extend([xp.dims(x), xp.dims(y), xp.dims(z), xp.dims(x + 1.0), xp.dims(xp.sum(y))])
        return x

    specs = [xp.TensorSpec((None, 3), xp.float32), xp.TensorSpec(None, xp.float32)]
    f = xp.function(look, input_signature=[*specs, xp.TensorSpec((2,), xp.float32)])
    f(xp.zeros((1, 3)), xp.zeros((1,)), xp.zeros((2,)))
    yield "seen", seen


@scenario
def the_shape_as_a_tensor(xp):
    def mean(x):
        return xp.sum(x) / xp.astype(xp.shape(x)[0], xp.float32)

    f = xp.function(mean, input_signature=[xp.TensorSpec((None,), xp.float32)])
    x = xp.constant([1.0, 2.0, 6.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    yield "value", y
    yield "gradient", tape.gradient(y, x)


@scenario
def reshaping_to_what_is_known_later(xp):
    @xp.function(input_signature=[xp.TensorSpec((None, None), xp.float32)])
    def f(x):
        return xp.reshape(x, (xp.shape(x)[1], xp.shape(x)[0])), xp.reshape(x, (-1,))

    yield "value", f(xp.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))


@scenario
def gradients_with_unknown_dims(xp):
    @xp.function(
        input_signature=[
            xp.TensorSpec((None, None), xp.float32),
            xp.TensorSpec((None,), xp.float32),
        ]
    )
    def f(x, b):
        with xp.GradientTape() as tape:
            tape.watch([x, b])
            y = xp.sum(xp.tanh(x + b), axis=0) * b
        return tape.gradient(y, [x, b])

    yield "once", f(xp.constant([[1.0, 2.0]]), xp.constant([1.0, 2.0]))
    yield "again", f(xp.constant([[1.0], [2.0]]), xp.constant([1.0]))
    yield "traces", xp.trace_count_of(f)


@scenario
def ops_with_an_axis_on_unknown_rank(xp):
    spec = [xp.TensorSpec(None, xp.float32)]
    x = xp.constant([[1.0, 2.0], [3.0, 4.0]])
    for name, op in {
        "sum": lambda x: xp.sum(x, axis=0),
        "max": lambda x: xp.max(x, axis=-1),
        "mean": lambda x: xp.mean(x, axis=1),
        "transpose": lambda x: xp.permute_dims(x, (1, 0)),
        "softmax": xp.nn.softmax,
        "concat": lambda x: xp.concat([x, x], axis=0),
        "expand": lambda x: xp.expand_dims(x, axis=0),
        "index": lambda x: x[0],
        "matmul": lambda x: xp.matmul(x, x),
        "reshape": lambda x: xp.reshape(x, (4,)),
    }.items():
        f = xp.function(op, input_signature=spec)
        yield name, lambda: f(x)


@scenario
def gradients_of_unknown_rank(xp):
    def g(f):
        @xp.function(input_signature=[xp.TensorSpec(None, xp.float32)])
        def slope(x):
            with xp.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            return tape.gradient(y, x)

        return lambda: slope(xp.constant([[1.0, 2.0], [3.0, 4.0]]))

    yield "elementwise", g(lambda x: xp.tanh(x) * x)
    yield "sum of all", g(lambda x: xp.sum(x * x))
    yield "sum of an axis", g(lambda x: xp.sum(x, axis=0) ** 2)
    yield "broadcast", g(lambda x: x * xp.constant([1.0, 10.0]))
    yield "softmax", g(lambda x: xp.nn.softmax(x) * x)


@scenario
def ops_with_unknown_dims(xp):
    spec = [xp.TensorSpec((None, 2), xp.float32)]
    x = xp.constant([[1.0, 2.0], [3.0, 4.0]])
    for name, op in {
        "transpose": lambda x: xp.permute_dims(x, (1, 0)),
        "tile": lambda x: xp.tile(x, (2, 1)),
        "arange": lambda x: xp.arange(xp.shape(x)[0]),
        "zeros": lambda x: xp.zeros((xp.shape(x)[0], 3)),
        "split": lambda x: xp.split(x, 2, axis=1),
        "unstack": lambda x: xp.unstack(x, axis=1),
        "flip": lambda x: xp.flip(x, axis=[0]),
        "gather": lambda x: xp.take(x, [0], axis=0),
        "pad": lambda x: xp.pad(x, [[1, 0], [0, 0]]),
        "cumulative": lambda x: xp.cumulative_sum(x, axis=0),
        "argmax": lambda x: xp.astype(xp.argmax(x, axis=1), xp.int32),
        "slice": lambda x: x[1:, ::-1],
        "last": lambda x: x[-1],
    }.items():
        f = xp.function(op, input_signature=spec)
        yield name, lambda: f(x)
