"""Linear algebra and Fourier transforms: values, and derivatives that have one meaning."""

from oracle.scenario import scenario
from oracle.scenarios.questions import both_ways, gradients, value_and_gradient

REGULAR = [[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]]
CROOKED = [[1.0, 2.0, 0.5], [-1.0, 3.0, 1.0], [0.3, 0.7, 2.0]]
W = [[1.0, 2.0, 3.0], [5.0, 7.0, 11.0], [13.0, 17.0, 19.0]]


def weighed(xp, f):
    """`f`, its result times weights that tell its elements apart."""
    return lambda *xs: f(*xs) * xp.constant(W, xp.float64)


@scenario
def functions_of_a_matrix(xp):
    for name in ("inv", "cholesky", "pinv"):
        f = weighed(xp, getattr(xp.linalg, name))
        for way, g in both_ways(xp, f).items():
            yield f"{name}, {way}", value_and_gradient(xp, g, REGULAR, dtype=xp.float64)


@scenario
def numbers_of_a_matrix(xp):
    for name in ("det", "trace"):
        f = getattr(xp.linalg, name)
        yield name, value_and_gradient(xp, f, CROOKED, dtype=xp.float64)
    yield (
        "slogdet",
        value_and_gradient(xp, lambda x: xp.linalg.slogdet(x)[1], CROOKED, dtype=xp.float64),
    )


@scenario
def the_determinant_of_a_singular_matrix(xp):
    x = [[1.0, 2.0], [2.0, 4.0]]
    yield "gradient", lambda: gradients(xp, xp.linalg.det, x, dtype=xp.float64)


@scenario
def inverting_a_singular_matrix(xp):
    yield "call", lambda: xp.linalg.inv(xp.zeros((2, 2)))


@scenario
def solving(xp):
    b = [[1.0], [2.0], [3.0]]
    f = xp.linalg.solve
    yield (
        "both",
        value_and_gradient(xp, lambda a, b: xp.square(f(a, b)), CROOKED, b, dtype=xp.float64),
    )
    several = xp.constant([REGULAR, CROOKED], xp.float64)
    yield "several", f(several, xp.ones((2, 3, 1), dtype=xp.float64))


@scenario
def eigenvalues_of_a_symmetric_matrix(xp):
    def f(x):
        return xp.linalg.eigh(x)[0] * xp.constant([1.0, 2.0, 5.0], xp.float64)

    yield "values", f(xp.constant(REGULAR, xp.float64))


@scenario
def what_eigenvectors_span(xp):
    def f(x):
        v = xp.linalg.eigh(x)[1][:, :1]
        return xp.matmul(v, xp.permute_dims(v, (1, 0))) * xp.constant(W, xp.float64)

    def symmetric(x):
        return f((x + xp.permute_dims(x, (1, 0))) * 0.5)

    yield "projection", value_and_gradient(xp, symmetric, REGULAR, dtype=xp.float64)


@scenario
def singular_values(xp):
    def f(x):
        return xp.singular_values(x) * xp.constant([1.0, 2.0, 5.0], xp.float64)

    yield "both", value_and_gradient(xp, f, CROOKED, dtype=xp.float64)


@scenario
def a_least_squares_fit_by_qr(xp):
    def f(x):
        q, _ = xp.linalg.qr(x)
        return xp.matmul(q, xp.permute_dims(q, (1, 0)))[0] * xp.constant(W[1], xp.float64)

    tall = [[1.0, 2.0], [-1.0, 3.0], [0.3, 0.7]]
    yield "projection", value_and_gradient(xp, f, tall, dtype=xp.float64)


@scenario
def cross_products(xp):
    f = xp.linalg.cross
    yield "both", value_and_gradient(xp, lambda a, b: f(a, b) * a, [1.0, 2.0, 3.0], [4.0, 5.0, 7.0])


@scenario
def second_order_of_an_inverse(xp):
    x = xp.constant([[2.0, 1.0], [0.5, 3.0]], xp.float64)
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = xp.sum(xp.linalg.inv(x))
        first = inner.gradient(y, x)
    yield "second", outer.gradient(first, x)


@scenario
def complex_matrices(xp):
    x = [[2.0 + 1.0j, 1.0], [0.5j, 3.0 - 1.0j]]
    f = xp.linalg.inv
    yield "inv", value_and_gradient(xp, lambda x: xp.real(f(x)), x, dtype=xp.complex128)
    yield "det", xp.linalg.det(xp.constant(x, xp.complex128))


@scenario
def the_real_part_of_a_complex_determinant(xp):
    """The elements are a and d; the derivatives by them are the conjugates of d and a."""
    x = [[1.0j, 0.0], [0.0, 2.0]]
    yield "gradient", gradients(xp, lambda x: xp.real(xp.linalg.det(x)), x, dtype=xp.complex128)


@scenario
def fourier_transforms(xp):
    z = xp.constant([1.0 + 2.0j, 3.0, -1.0j, 2.0], xp.complex64)
    for name in ("fft", "ifft"):
        yield name, xp.transform(name)(z)
    x = xp.constant([1.0, 2.0, 0.5, -1.0])
    yield "rfft", xp.transform("rfft")(x)
    yield "irfft", xp.transform("irfft")(xp.transform("rfft")(x))


@scenario
def gradients_of_fourier_transforms(xp):
    z = [1.0 + 2.0j, 3.0, -1.0j, 2.0]
    w = xp.constant([1.0 + 1.0j, 2.0, -1.0j, 3.0], xp.complex64)
    for name in ("fft", "ifft"):
        f = xp.transform(name)
        yield name, gradients(xp, lambda z: xp.real(f(z) * w), z, dtype=xp.complex64)


@scenario
def gradients_of_real_fourier_transforms(xp):
    x = [1.0, 2.0, 0.5, -1.0]
    rfft, irfft = xp.transform("rfft"), xp.transform("irfft")
    yield "power", gradients(xp, lambda x: xp.square(xp.abs(rfft(x))), x)
    w = xp.constant([1.0 + 1.0j, 2.0 - 1.0j, 3.0], xp.complex64)
    yield "filter", gradients(xp, lambda x: xp.square(irfft(rfft(x) * w)), x)
