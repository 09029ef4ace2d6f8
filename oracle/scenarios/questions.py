"""What several scenarios ask in the same way."""


def both_ways(xp, f):
    """`f` as it is, and traced."""
    return {"eagerly": f, "traced": xp.function(lambda *xs: f(*xs))}


def counted(xp, body=lambda x: x, **options):
    """A traced function, and a list with an entry for each time that its body ran."""
    seen = []

    def f(*args, **kwargs):
        seen.append("ran")
        return body(*args, **kwargs)

    return xp.function(f, **options), seen


def value_and_gradient(xp, f, *points, dtype=None):
    """The value of `f`, and the gradient of its sum by each argument."""
    xs = [xp.constant(x, dtype) for x in points]
    with xp.GradientTape() as tape:
        tape.watch(xs)
        y = f(*xs)
    return y, tape.gradient(y, xs)


def gradients(xp, f, *points, dtype=None):
    """The gradient of the sum of `f` by each argument."""
    return value_and_gradient(xp, f, *points, dtype=dtype)[1]


def values_and_gradients(xp, f, *points):
    """Observations of `f` eagerly and traced: its value, and its gradient by each argument."""
    for name, g in both_ways(xp, f).items():
        yield name, lambda: g(*[xp.constant(x) for x in points])
        yield f"{name}, gradient", lambda: gradients(xp, g, *points)
