"""Derivatives of single ops: ties, kinks, edges, indices and complex numbers."""

from oracle.scenario import scenario
from oracle.scenarios.questions import gradients


@scenario
def a_tie_of_two_in_maximum_and_minimum(xp):
    yield "maximum", gradients(xp, xp.maximum, [1.0, 2.0, 3.0], [3.0, 2.0, 1.0])
    yield "minimum", gradients(xp, xp.minimum, [1.0, 2.0, 3.0], [3.0, 2.0, 1.0])


@scenario
def ties_in_the_reductions(xp):
    x = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]
    yield "max of all", gradients(xp, xp.max, x)
    yield "max of rows", gradients(xp, lambda x: xp.max(x, axis=1), x)
    yield "min of columns", gradients(xp, lambda x: xp.min(x, axis=0), x)


@scenario
def abs_and_sign_at_zero(xp):
    yield "abs", gradients(xp, xp.abs, [-2.0, 0.0, 2.0])
    yield "sign", gradients(xp, xp.sign, [-2.0, 0.0, 2.0])
    yield "sign times x", gradients(xp, lambda x: xp.sign(x) * x, [-2.0, 0.0, 2.0])


@scenario
def sqrt_at_zero(xp):
    yield "seeded with one", gradients(xp, xp.sqrt, [0.0, 4.0])


@scenario
def sqrt_at_zero_with_nothing_upstream(xp):
    yield "gradient", gradients(xp, lambda x: xp.sqrt(x) * 0.0, [0.0, 4.0])


@scenario
def log_in_the_branch_that_is_not_taken(xp):
    def f(x):
        return xp.where(x > 0.0, xp.log(x), 0.0 * x)

    yield "gradient", gradients(xp, f, [0.0, 2.0])


@scenario
def clip_at_its_edges(xp):
    yield "gradient", gradients(xp, lambda x: xp.clip(x, 0.0, 1.0), [-1.0, 0.0, 0.5, 1.0, 2.0])


@scenario
def relu_at_zero(xp):
    yield "gradient", gradients(xp, xp.nn.relu, [-1.0, 0.0, 1.0])


@scenario
def powers(xp):
    yield "of a number", gradients(xp, lambda x: x**3, [2.0, -2.0, 0.0])
    yield "of zero", gradients(xp, lambda x: x**0, [2.0, 0.0])
    yield "of both", gradients(xp, xp.pow, [2.0, 3.0], [3.0, 2.0])


@scenario
def power_of_zero_by_the_exponent(xp):
    yield "gradient", gradients(xp, xp.pow, [0.0], [2.0])


@scenario
def rounding_has_no_slope(xp):
    yield "floor", gradients(xp, xp.floor, [1.5, -1.5])
    yield "ceil", gradients(xp, xp.ceil, [1.5, -1.5])
    yield "round", gradients(xp, xp.round, [1.5, -1.5])
    yield "floor times x", gradients(xp, lambda x: xp.floor(x) * x, [1.5, -1.5])


@scenario
def remainder(xp):
    yield "value", xp.remainder(xp.constant([5.5, -5.5]), xp.constant([2.0, 2.0]))
    yield "gradient", gradients(xp, xp.remainder, [5.5, -5.5], [2.0, 2.0])


@scenario
def floor_division(xp):
    yield "value", xp.floor_divide(xp.constant([5.5, -5.5]), xp.constant([2.0, 2.0]))
    yield "gradient", gradients(xp, xp.floor_divide, [5.5, -5.5], [2.0, 2.0])


@scenario
def comparisons_have_none(xp):
    yield "gradient", gradients(xp, lambda x: xp.astype(x > 1.0, xp.float32), [0.5, 1.5])
    yield "where on it", gradients(xp, lambda x: xp.where(x > 1.0, x * x, x), [0.5, 1.5])


@scenario
def argmax_has_none(xp):
    yield "gradient", gradients(xp, lambda x: xp.argmax(x, axis=0), [0.5, 1.5])


@scenario
def where_sends_each_cotangent_one_way(xp):
    mask = xp.constant([True, False, True])
    a, b = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
    yield "gradient", gradients(xp, lambda x, y: xp.where(mask, x * x, y), a, b)
    yield "with numbers", gradients(xp, lambda x: xp.where(mask, x, 0.0), a)


@scenario
def where_broadcasts(xp):
    mask = xp.constant([[True], [False]])
    yield "gradient", gradients(xp, lambda x, y: xp.where(mask, x, y), [1.0, 2.0], 3.0)


@scenario
def gather_with_repeated_indices(xp):
    x = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    yield "rows", gradients(xp, lambda x: xp.take(x, [0, 2, 0], axis=0) * 2.0, x)
    yield "columns", gradients(xp, lambda x: xp.take(x, [1, 1], axis=1), x)


@scenario
def gather_out_of_range(xp):
    x = xp.constant([1.0, 2.0, 3.0])
    yield "beyond", lambda: xp.take(x, [3], axis=0)
    yield "below", lambda: xp.take(x, [-4], axis=0)


@scenario
def gather_counted_from_the_end(xp):
    x = xp.constant([1.0, 2.0, 3.0])
    yield "taken", lambda: xp.take(x, [-1], axis=0)


@scenario
def gradient_of_an_embedding(xp):
    table = xp.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with xp.GradientTape() as tape:
        y = xp.sum(xp.square(xp.take(table, xp.constant([2, 0, 2]), axis=0)))
    yield "gradient", tape.gradient(y, table)


@scenario
def scatter(xp):
    x, rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[10.0, 20.0]]
    for name in ("set_rows", "add_rows"):
        put = getattr(xp, name)
        yield f"{name}, value", put(xp.constant(x), [1], xp.constant(rows))
        yield (
            f"{name}, gradient",
            gradients(xp, lambda x, r, put=put: xp.square(put(x, [1], r)), x, rows),
        )


@scenario
def scatter_add_to_one_place_twice(xp):
    yield (
        "gradient",
        gradients(xp, lambda x, r: xp.square(xp.add_rows(x, [0, 0], r)), [1.0, 2.0], [3.0, 4.0]),
    )


@scenario
def scatter_of_a_maximum(xp):
    x, rows = [1.0, 5.0, 2.0], [4.0, 4.0, 2.0]
    yield "value", xp.max_rows(xp.constant(x), [0, 1, 2], xp.constant(rows))
    yield "gradient", gradients(xp, lambda x, r: xp.max_rows(x, [0, 1, 2], r), x, rows)


@scenario
def slices(xp):
    x = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    for name, key in {
        "element": (1, 2),
        "row": 1,
        "column": (slice(None), 1),
        "last": (Ellipsis, -1),
        "backwards": (slice(None), slice(None, None, -1)),
        "strided": (slice(None), slice(0, 3, 2)),
        "new axis": (slice(None), None, 0),
    }.items():
        yield name, xp.constant(x)[key]
        yield f"{name}, gradient", gradients(xp, lambda x, key=key: x[key] * x[key], x)


@scenario
def an_index_out_of_range(xp):
    x = xp.constant([1.0, 2.0])
    yield "index", lambda: x[2]


@scenario
def a_boolean_mask(xp):
    x = [1.0, 2.0, 3.0]
    mask = xp.constant([True, False, True])
    yield "value", xp.constant(x)[mask]
    yield "gradient", gradients(xp, lambda x: x[mask] * 2.0, x)


@scenario
def products_of_matrices(xp):
    a, b = [[1.0, 2.0], [3.0, 4.0]], [[5.0], [6.0]]
    yield "gradient", gradients(xp, xp.matmul, a, b)


@scenario
def batched_products_broadcast(xp):
    a = [[[1.0, 2.0]], [[3.0, 4.0]]]
    b = [[5.0], [6.0]]
    yield "value", xp.matmul(xp.constant(a), xp.constant(b))
    yield "gradient", gradients(xp, xp.matmul, a, b)


@scenario
def product_of_all_with_zeros(xp):
    yield "one zero", gradients(xp, xp.prod, [2.0, 0.0, 3.0])
    yield "two zeros", gradients(xp, xp.prod, [0.0, 0.0, 3.0])


@scenario
def cumulative_ops(xp):
    yield "sum", gradients(xp, lambda x: xp.square(xp.cumulative_sum(x, axis=0)), [1.0, 2.0, 3.0])
    yield "product", gradients(xp, lambda x: xp.cumulative_prod(x, axis=0), [1.0, 2.0, 3.0])


@scenario
def cumulative_product_with_a_zero(xp):
    yield "gradient", gradients(xp, lambda x: xp.cumulative_prod(x, axis=0), [2.0, 0.0, 3.0])


@scenario
def joining_and_parting(xp):
    a, b = [[1.0, 2.0]], [[3.0, 4.0]]
    yield "concat", gradients(xp, lambda a, b: xp.square(xp.concat([a, b], axis=1)), a, b)
    yield "stack", gradients(xp, lambda a, b: xp.square(xp.stack([a, b], axis=0)), a, b)
    yield "unstack", gradients(xp, lambda a: xp.unstack(a, axis=1)[0] * 3.0, a)
    yield "tile", gradients(xp, lambda a: xp.tile(a, (2, 3)), a)
    yield "broadcast", gradients(xp, lambda a: xp.broadcast_to(a, (4, 2)), a)


@scenario
def softmax_and_logsumexp(xp):
    x = [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]
    w = xp.constant([[1.0, 2.0, 4.0], [4.0, 2.0, 1.0]])
    yield "softmax", gradients(xp, lambda x: xp.nn.softmax(x) * w, x)
    yield "log_softmax", gradients(xp, lambda x: xp.nn.log_softmax(x) * w, x)
    yield "of large numbers", xp.nn.softmax(xp.constant([1000.0, 0.0]))


@scenario
def sorting(xp):
    yield "value", xp.sort(xp.constant([3.0, 1.0, 2.0]))
    w = xp.constant([1.0, 10.0, 100.0])
    yield "gradient", gradients(xp, lambda x: xp.sort(x) * w, [3.0, 1.0, 2.0])


@scenario
def standard_deviation_of_equal_numbers(xp):
    yield "variance", gradients(xp, xp.var, [2.0, 2.0])
    yield "of others", gradients(xp, xp.std, [1.0, 3.0])


@scenario
def standard_deviation_of_equal_numbers_has_a_pole(xp):
    yield "gradient", gradients(xp, xp.std, [2.0, 2.0])


@scenario
def atan2_and_hyperbolic(xp):
    yield "atan2", gradients(xp, xp.atan2, [1.0, -1.0], [1.0, 2.0])
    for name in ("sinh", "cosh", "tanh", "asinh", "atan", "exp", "sin", "tan"):
        yield name, gradients(xp, getattr(xp, name), [0.5, -0.25])


@scenario
def complex_conjugate_convention(xp):
    z, c64 = [1.0 + 2.0j, 3.0 - 1.0j], xp.complex64
    yield "square", gradients(xp, lambda z: z * z, z, dtype=c64)
    yield "real part", gradients(xp, lambda z: xp.real(z * z), z, dtype=c64)
    yield "imaginary part", gradients(xp, lambda z: xp.imag(z * z), z, dtype=c64)
    yield "modulus", gradients(xp, xp.abs, z, dtype=c64)
    yield "modulus squared", gradients(xp, lambda z: xp.real(z * xp.conj(z)), z, dtype=c64)
    yield "exponential", gradients(xp, xp.exp, z, dtype=c64)


@scenario
def complex_modulus_at_zero(xp):
    yield "gradient", gradients(xp, xp.abs, [0.0 + 0.0j], dtype=xp.complex64)


@scenario
def a_real_source_of_complex_numbers(xp):
    def f(x):
        z = xp.astype(x, xp.complex64) * (1.0 + 2.0j)
        return xp.real(z * z)

    yield "gradient", gradients(xp, f, [1.0, 2.0])


@scenario
def complex_products_of_matrices(xp):
    a, b = [[1.0 + 1.0j, 2.0]], [[1.0j], [3.0]]
    a, b = [xp.astype(xp.constant(x), xp.complex64) for x in (a, b)]
    with xp.GradientTape() as tape:
        tape.watch([a, b])
        y = xp.real(xp.matmul(a, b))
    yield "gradient", tape.gradient(y, [a, b])


@scenario
def second_order_of_a_complex_function(xp):
    x = xp.constant([1.0, 2.0])
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            z = xp.astype(x, xp.complex64)
            y = xp.sum(xp.real(z * z * xp.conj(z)))
        first = inner.gradient(y, x)
    yield "second", outer.gradient(first, x)


@scenario
def stop_gradient(xp):
    def f(x):
        return x * xp.stop_gradient(x) + xp.stop_gradient(x * 2.0)

    yield "gradient", gradients(xp, f, [2.0, 3.0])
    yield "alone", gradients(xp, xp.stop_gradient, [2.0])


@scenario
def casts_between_floats(xp):
    def f(x):
        return xp.astype(x, xp.float64) * xp.constant(2.0, xp.float64)

    yield "gradient", gradients(xp, f, [2.0, 3.0])
