"""Basic semantics of ops: values, shapes and dtypes."""

import numpy as np

from oracle.scenario import scenario


@scenario
def default_dtypes(xp):
    yield "float", xp.constant(1.5)
    yield "int", xp.constant(1)
    yield "bool", xp.constant(True)
    yield "list", xp.constant([1.5, 2.0])
    yield "float64 array", xp.constant(np.ones(2))
    yield "int64 array", xp.constant(np.ones(2, np.int64))
    yield "zeros", xp.zeros((2, 2))
    yield "range", xp.arange(3)


@scenario
def default_dtype_of_complex_numbers(xp):
    yield "complex", xp.constant(1.0 + 2.0j)


@scenario
def fractions_as_integers(xp):
    yield "one", lambda: xp.constant(1.5, xp.int32)
    yield "list", lambda: xp.constant([1.5, 2.0], xp.int32)
    yield "integers as floats", xp.constant([1, 2], xp.float32)


@scenario
def mixed_lists(xp):
    yield "int and float", xp.constant([1, 2.5])
    yield "ragged", lambda: xp.constant([[1.0], [1.0, 2.0]])
    yield "of tensors", xp.asarray([xp.constant(1.0), xp.constant(2.0)])
    yield "empty", xp.constant([])


@scenario
def python_numbers_take_the_dtype_of_the_tensor(xp):
    for dtype in (xp.float16, xp.float32, xp.float64):
        x = xp.constant([1.0, 2.0], dtype)
        yield xp.name_of_dtype(x), [x + 1, x * 2.5, 1.0 / x, x**2, -x]
    i = xp.constant([1, 2], xp.int64)
    yield "int64", [i + 1, i * 2, 3 - i]


@scenario
def a_float_beside_an_integer_tensor(xp):
    yield "sum", lambda: xp.constant([1, 2]) + 1.5


@scenario
def dividing_integers(xp):
    i, j = xp.constant([7, -7]), xp.constant([2, 2])
    yield "//", i // j
    yield "%", i % j


@scenario
def true_division_of_integers(xp):
    yield "/", xp.constant([7, -7]) / xp.constant([2, 2])


@scenario
def dividing_by_zero(xp):
    x = xp.constant([1.0, -1.0, 0.0])
    yield "float", x / 0.0


@scenario
def dividing_an_integer_by_zero(xp):
    yield "//", lambda: xp.constant([1]) // xp.constant([0])


@scenario
def integers_wrap_around(xp):
    yield "int32", xp.constant([2147483647]) + xp.constant([1])
    yield "uint8", xp.constant([255], xp.uint8) + xp.constant([1], xp.uint8)


@scenario
def sums_of_small_integers(xp):
    yield "int32", xp.sum(xp.constant([1, 2, 3]))
    yield "int8", xp.sum(xp.constant([100, 100], xp.int8))


@scenario
def casting(xp):
    x = xp.constant([1.7, -1.7, 0.0])
    yield "int32", xp.astype(x, xp.int32)
    yield "bool", xp.astype(x, xp.bool)
    yield "float16", xp.astype(x, xp.float16)
    yield "from bool", xp.astype(xp.constant([True, False]), xp.float32)


@scenario
def reductions(xp):
    x = xp.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for name in ("sum", "prod", "max", "min", "mean", "var", "std"):
        op = getattr(xp, name)
        yield name, [op(x), op(x, axis=0), op(x, axis=-1), op(x, axis=(0, 1))]
        yield f"{name}, kept", op(x, axis=1, keepdims=True)


@scenario
def reductions_of_nothing(xp):
    x = xp.zeros((0, 3))
    yield "sum", xp.sum(x, axis=0)
    yield "prod", xp.prod(x)
    yield "mean", xp.mean(x, axis=0)
    yield "any", xp.any(xp.astype(x, xp.bool))


@scenario
def the_largest_of_nothing(xp):
    yield "max", lambda: xp.max(xp.zeros((0,)))


@scenario
def a_mean_of_integers(xp):
    yield "mean", xp.mean(xp.constant([1, 2]))


@scenario
def an_axis_that_is_not_there(xp):
    x = xp.zeros((2, 3))
    yield "sum", lambda: xp.sum(x, axis=2)
    yield "concat", lambda: xp.concat([x, x], axis=2)
    yield "expand", lambda: xp.expand_dims(x, axis=5)
    yield "traced", lambda: xp.function(lambda x: xp.sum(x, axis=2))(x)


@scenario
def nan_in_reductions(xp):
    x = xp.constant([1.0, float("nan"), 3.0])
    yield "sum", xp.sum(x)
    yield "max", xp.max(x)
    yield "maximum", xp.maximum(x, 2.0)


@scenario
def places_of_the_largest(xp):
    x = xp.constant([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]])
    yield "argmax", xp.argmax(x, axis=1)


@scenario
def broadcasting(xp):
    x, y = xp.constant([[1.0], [2.0]]), xp.constant([10.0, 20.0, 30.0])
    yield "sum", x + y
    yield "with nothing", xp.zeros((0,)) + xp.constant([1.0])
    yield "refused", lambda: xp.zeros((2,)) + xp.zeros((3,))


@scenario
def comparisons(xp):
    x, y = xp.constant([1.0, 2.0, float("nan")]), xp.constant([1.0, 3.0, float("nan")])
    yield "==", x == y
    yield "!=", x != y
    yield "<", x < y
    yield ">=", x >= y
    yield "logical", xp.logical_and(x < 2.0, xp.logical_not(y > 5.0))


@scenario
def comparing_with_what_is_no_number(xp):
    x = xp.constant([1.0, 2.0])
    yield "None", lambda: x == None  # noqa: E711 - what == does is asked


@scenario
def the_truth_of_a_tensor(xp):
    yield "scalar", bool(xp.constant(2.0) > 1.0)
    yield "vector", lambda: bool(xp.constant([True, False]))


@scenario
def conversions_to_python(xp):
    yield "float", float(xp.constant(1.5))
    yield "int", int(xp.constant(3))
    yield "index", [10, 20, 30][xp.constant(1)]
    yield "length", len(xp.zeros((4, 2)))
    yield "iterated", list(xp.constant([1.0, 2.0]))
    yield "float of a vector", lambda: float(xp.constant([1.0, 2.0]))
    yield "length of a scalar", lambda: len(xp.constant(1.0))


@scenario
def tensors_are_immutable(xp):
    def assign(x):
        x[0] = 5.0

    yield "assignment", lambda: assign(xp.constant([1.0, 2.0]))


@scenario
def tensors_as_keys(xp):
    yield "hash", lambda: {xp.constant(1.0): "a"} and "hashed"


@scenario
def arrays_are_copied_in(xp):
    a = np.ones(2, np.float32)
    x = xp.constant(a)
    a[0] = 100.0
    yield "value", x


@scenario
def arrays_on_the_left(xp):
    a, x = np.array([1.0, 2.0], np.float32), xp.constant([10.0, 20.0])
    yield "is a tensor", [xp.is_tensor(a * x), xp.is_tensor(a + x)]
    yield "value", a * x
    yield "matmul", np.ones((1, 2), np.float32) @ xp.constant([[1.0], [2.0]])


@scenario
def an_array_of_float64_beside_a_tensor_of_float32(xp):
    yield "value", lambda: xp.constant([1.0, 2.0]) * np.array([1.0, 2.0])


@scenario
def reshaping(xp):
    x = xp.arange(6)
    yield "to", xp.reshape(x, (2, 3))
    yield "with -1", xp.reshape(x, (-1, 2))
    yield "to one", xp.reshape(xp.constant([7]), ())
    yield "refused", lambda: xp.reshape(x, (4, 2))
    yield "two of -1", lambda: xp.reshape(x, (-1, -1))


@scenario
def squeezing(xp):
    x = xp.zeros((1, 3, 1))
    yield "one", xp.squeeze(x, axis=0)
    yield "refused", lambda: xp.squeeze(x, axis=1)


@scenario
def splitting(xp):
    x = xp.arange(6)
    yield "equal", xp.split(x, 3)
    yield "refused", lambda: xp.split(x, 4)


@scenario
def rounding_half(xp):
    yield "even", xp.round(xp.constant([0.5, 1.5, 2.5, -0.5]))


@scenario
def special_values(xp):
    x = xp.constant([0.0, -1.0, float("inf")])
    yield "log", xp.log(x)
    yield "sqrt", xp.sqrt(x)
    yield "exp", xp.exp(x)
    yield "tanh", xp.tanh(x)


@scenario
def slices_out_of_range_are_cut(xp):
    x = xp.arange(4)
    yield "beyond", x[2:10]
    yield "empty", x[3:1]
    yield "negative", x[-2:]
    yield "step", x[::-2]


@scenario
def activations(xp):
    x = xp.constant([-2.0, -0.5, 0.0, 0.5, 2.0])
    for name in ("relu", "silu", "elu", "softplus"):
        if hasattr(xp.nn, name):
            yield name, getattr(xp.nn, name)(x)
    yield "gelu", xp.nn.gelu(x, approximate=True)
    yield "exact gelu", xp.nn.gelu(x, approximate=False)


@scenario
def convolution(xp):
    x = xp.reshape(xp.astype(xp.arange(32), xp.float32), (1, 4, 4, 2))
    w = xp.reshape(xp.astype(xp.arange(24), xp.float32), (2, 2, 2, 3)) * 0.1
    for padding in ("VALID", "SAME"):
        with xp.GradientTape() as tape:
            tape.watch([x, w])
            y = xp.nn.conv2d(x, w, strides=1, padding=padding)
        yield padding, y
        yield f"{padding}, gradient", tape.gradient(y, [x, w])


@scenario
def ensuring_a_shape(xp):
    x = xp.zeros((2, 3))
    yield "fits", xp.ensure_shape(x, (None, 3))
    yield "refused", lambda: xp.ensure_shape(x, (3, None))
    f = xp.function(
        lambda x: xp.ensure_shape(x, (2, 3)), input_signature=[xp.TensorSpec(None, xp.float32)]
    )
    yield "traced", f(x)
    yield "traced, refused", lambda: f(xp.zeros((3, 2)))


@scenario
def setting_a_shape_that_is_wrong(xp):
    @xp.function(input_signature=[xp.TensorSpec(None, xp.float32)])
    def f(x):
        x = x * 1.0
        x.set_shape((3,))
        return x

    yield "fits", f(xp.zeros((3,)))


@scenario
def specs(xp):
    spec = xp.TensorSpec((None, 3), xp.float32)
    yield "fits", spec.is_compatible_with(xp.zeros((2, 3)))
    yield "shape", spec.is_compatible_with(xp.zeros((2, 2)))
    yield "dtype", spec.is_compatible_with(xp.constant([[1, 2, 3]]))
    yield "equal", spec == xp.TensorSpec((None, 3), xp.float32)
