"""Losses, layers, special functions, and optimizers against those of Keras."""

from oracle.scenario import scenario
from oracle.scenarios.questions import both_ways, gradients


def trained(xp, kind, rate, steps=5, **options):
    """Where an optimizer is after some steps down a valley."""
    v, w = xp.Variable([1.0, -2.0]), xp.Variable(0.5)
    optimizer = xp.optimizer(kind, rate, **options)
    for _ in range(steps):
        with xp.GradientTape() as tape:
            loss = xp.sum(v * v * xp.constant([1.0, 10.0])) + (w - 3.0) ** 2 * xp.sum(v)
        optimizer.apply(tape.gradient(loss, [v, w]), [v, w])
    return [v, w]


@scenario
def gradient_descent(xp):
    yield "plain", trained(xp, "SGD", 0.01)
    yield "momentum", trained(xp, "SGD", 0.01, momentum=0.9)
    yield "nesterov", trained(xp, "SGD", 0.01, momentum=0.9, nesterov=True)


@scenario
def adam(xp):
    yield "short memory", trained(xp, "Adam", 0.1, beta1=0.5, beta2=0.9, eps=1e-12)


@scenario
def the_first_steps_of_adam(xp):
    """Each is as long as the rate, exactly: the gradient is the same."""
    v = xp.Variable(0.0)
    optimizer = xp.optimizer("Adam", 1.0, eps=1e-12)
    for step in (1, 2, 3):
        optimizer.apply([xp.constant(1.0)], [v])
        yield f"{step}", v


@scenario
def where_adam_adds_what_bounds_its_steps(xp):
    v = xp.Variable(0.0)
    optimizer = xp.optimizer("Adam", 1.0, beta1=0.5, beta2=0.75, eps=1.0)
    optimizer.apply([xp.constant(1.0)], [v])
    yield "one step", v


@scenario
def adam_with_decay(xp):
    yield "decay", trained(xp, "AdamW", 0.1, beta2=0.9, eps=1e-12, weight_decay=0.1)


@scenario
def adagrad(xp):
    yield "plain", trained(xp, "Adagrad", 0.1, initial=0.1, eps=1e-7)


@scenario
def rmsprop(xp):
    yield "plain", trained(xp, "RMSprop", 0.05, rho=0.9, eps=1e-7)


@scenario
def clipping_by_the_global_norm(xp):
    xs = [xp.constant([3.0, 4.0]), xp.constant(12.0)]
    yield "clipped", xp.clip_by_global_norm(xs, 1.0)
    yield "small enough", xp.clip_by_global_norm(xs, 100.0)


@scenario
def cross_entropies(xp):
    logits = [[1.0, 2.0, 3.0], [100.0, 0.0, -100.0]]
    places, parts = xp.constant([2, 0]), xp.constant([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0]])
    for name, labels in {"places": places, "parts": parts}.items():
        yield name, xp.cross_entropy(xp.constant(logits), labels)
        yield f"{name}, gradient", gradients(xp, lambda z: xp.cross_entropy(z, labels), logits)


@scenario
def cross_entropy_of_single_logits(xp):
    z, p = [-100.0, -1.0, 0.0, 1.0, 100.0], xp.constant([0.0, 1.0, 0.5, 0.25, 1.0])
    yield "value", xp.sigmoid_cross_entropy(xp.constant(z), p)
    yield "gradient", gradients(xp, lambda z: xp.sigmoid_cross_entropy(z, p), z)


@scenario
def pooling(xp):
    x = xp.reshape(xp.constant([5.0, 1.0, 2.0, 2.0, 2.0, 2.0, 7.0, 1.0, 3.0]), (1, 3, 3, 1))
    for kind in ("max", "avg"):
        for strides in (1, 2):
            yield f"{kind}, {strides}", xp.pool(kind, x, 2, strides)


@scenario
def gradients_of_pooling(xp):
    for kind in ("max", "avg"):
        x = xp.reshape(xp.constant([5.0, 1.0, 2.0, 4.0, 8.0, 3.0, 7.0, 6.0, 9.0]), (1, 3, 3, 1))
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = xp.pool(kind, x, 2, 1)
        yield kind, tape.gradient(y, x)


@scenario
def ties_in_pooling(xp):
    x = xp.ones((1, 2, 2, 1))
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.pool("max", x, 2, 1)
    yield "gradient", tape.gradient(y, x)


@scenario
def strided_convolution(xp):
    x = xp.reshape(xp.astype(xp.arange(50), xp.float32), (1, 5, 5, 2)) * 0.1
    w = xp.reshape(xp.astype(xp.arange(24), xp.float32), (2, 3, 2, 2)) * 0.1
    for padding in ("VALID", "SAME"):
        for way, f in both_ways(
            xp, lambda x, w: xp.nn.conv2d(x, w, strides=2, padding=padding)
        ).items():
            with xp.GradientTape() as tape:
                tape.watch([x, w])
                y = f(x, w)
            yield f"{padding}, {way}", y
            yield f"{padding}, {way}, gradient", tape.gradient(y, [x, w])


@scenario
def one_hot(xp):
    yield (
        "rows",
        xp.nn.one_hot(xp.constant([0, 2]), 3)
        if hasattr(xp.nn, "one_hot")
        else (xp.one_hot(xp.constant([0, 2]), 3)),
    )


@scenario
def special_functions(xp):
    points = {
        "erf": [-1.0, 0.0, 0.5],
        "erfc": [-1.0, 0.0, 0.5],
        "erfinv": [-0.5, 0.0, 0.25],
        "gammaln": [0.5, 1.0, 3.5],
        "digamma": [0.5, 1.0, 3.5],
        "expit": [-30.0, 0.0, 2.0],
    }
    for name, x in points.items():
        f = xp.special_function(name)
        yield name, f(xp.constant(x, xp.float64))
        yield f"{name}, gradient", gradients(xp, f, x, dtype=xp.float64)


@scenario
def products_with_logarithms(xp):
    for name in ("xlogy", "xlog1py"):
        f = xp.special_function(name)
        yield name, f(xp.constant([0.0, 2.0, 0.0]), xp.constant([0.5, 3.0, 1.0]))
        yield f"{name}, gradient", gradients(xp, f, [1.0, 2.0], [0.5, 3.0])
