"""Models in files: what comes back, with its gradients, and what is refused."""

import tempfile
from pathlib import Path

import numpy as np

from oracle.scenario import scenario


def through_a_file(xp, model):
    """`model`, saved and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        xp.save(model, path)
        return xp.load(path)


def affine(xp):
    """A model with one method and two Variables."""

    class Affine(xp.Module):
        def __init__(self):
            super().__init__()
            self.w = xp.Variable([[1.0], [2.0]])
            self.b = xp.Variable([0.5])

        @xp.function(input_signature=[xp.TensorSpec((None, 2), xp.float32)])
        def predict(self, x):
            return xp.tanh(xp.matmul(x, self.w) + self.b)

    return Affine()


@scenario
def a_model_comes_back(xp):
    loaded = through_a_file(xp, affine(xp))
    yield "value", loaded.predict(xp.constant([[0.1, 0.2], [0.3, 0.4]]))
    yield "variables", [loaded.w, loaded.b]


@scenario
def a_loaded_model_is_differentiable(xp):
    loaded = through_a_file(xp, affine(xp))
    x = xp.constant([[0.1, 0.2]])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = loaded.predict(x)
    yield "gradient", tape.gradient(y, [x, loaded.w, loaded.b])


@scenario
def a_loaded_model_to_the_second_order(xp):
    loaded = through_a_file(xp, affine(xp))
    x = xp.constant([[0.1, 0.2]])
    with xp.GradientTape() as outer:
        outer.watch(x)
        with xp.GradientTape() as inner:
            inner.watch(x)
            y = loaded.predict(x)
        first = inner.gradient(y, x)
    yield "second", outer.gradient(first, x)


@scenario
def a_loaded_model_is_trained_further(xp):
    loaded = through_a_file(xp, affine(xp))
    loaded.b.assign([10.0])
    yield "value", loaded.predict(xp.constant([[0.0, 0.0]]))


@scenario
def a_loaded_model_has_its_state_apart(xp):
    model = affine(xp)
    loaded = through_a_file(xp, model)
    model.b.assign([10.0])
    yield "value", loaded.predict(xp.constant([[0.0, 0.0]]))


@scenario
def a_loaded_model_takes_any_batch(xp):
    loaded = through_a_file(xp, affine(xp))
    yield "three", loaded.predict(xp.zeros((3, 2)))
    yield "none", loaded.predict(xp.zeros((0, 2)))
    yield "wrong", lambda: loaded.predict(xp.zeros((3, 3)))


@scenario
def a_counter_counts_on(xp):
    class Counter(xp.Module):
        def __init__(self):
            super().__init__()
            self.n = xp.Variable(5)

        @xp.function(input_signature=[])
        def next(self):
            self.n.assign_add(1)
            return self.n.read_value()

    model = Counter()
    model.next()
    loaded = through_a_file(xp, model)
    yield "values", [loaded.next(), loaded.next(), model.next()]


@scenario
def control_flow_in_a_file(xp):
    class Power(xp.Module):
        @xp.function(input_signature=[xp.TensorSpec((), xp.float32), xp.TensorSpec((), xp.int32)])
        def power(self, x, n):
            return xp.while_loop(
                lambda i, y: i < n, lambda i, y: (i + 1, y * x), [xp.constant(0), xp.constant(1.0)]
            )[1]

    loaded = through_a_file(xp, Power())
    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = loaded.power(x, xp.constant(3))
    yield "value", y
    yield "gradient", tape.gradient(y, x)


@scenario
def nests_in_a_file(xp):
    class Nest(xp.Module):
        @xp.function(input_signature=[{"a": xp.TensorSpec((), xp.float32)}])
        def f(self, d):
            return {"double": d["a"] * 2.0, "pair": [d["a"], d["a"]]}

    loaded = through_a_file(xp, Nest())
    yield "value", loaded.f({"a": xp.constant(3.0)})


@scenario
def custom_gradient_in_a_file(xp):
    class Lie(xp.Module):
        @xp.function(input_signature=[xp.TensorSpec((), xp.float32)])
        def f(self, x):
            @xp.custom_gradient
            def lie(x):
                return x * x, lambda g: g * 100.0

            return lie(x)

    loaded = through_a_file(xp, Lie())
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = loaded.f(x)
    yield "value", y
    yield "gradient", lambda: tape.gradient(y, x)


@scenario
def custom_gradient_with_variables_in_a_file(xp):
    class Lie(xp.Module):
        def __init__(self):
            super().__init__()
            self.v = xp.Variable(3.0)

        @xp.function(input_signature=[xp.TensorSpec((), xp.float32)])
        def f(self, x):
            @xp.custom_gradient
            def lie(x):
                def grad(g, variables=None):
                    return g * 10.0, [g * 100.0 * x for _ in variables]

                return x * self.v, grad

            return lie(x)

    loaded = through_a_file(xp, Lie())
    x = xp.constant(2.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = loaded.f(x)
    yield "value", y
    yield "gradient", lambda: tape.gradient(y, [x, loaded.v])


@scenario
def a_numpy_function_in_a_file(xp):
    class Opaque(xp.Module):
        @xp.function(input_signature=[xp.TensorSpec((), xp.float32)])
        def f(self, x):
            return xp.numpy_function(np.sin, [x], xp.float32)

    def saved():
        through_a_file(xp, Opaque())
        return "saved"

    yield "save", lambda: saved()


@scenario
def a_py_function_in_a_file(xp):
    class Open(xp.Module):
        @xp.function(input_signature=[xp.TensorSpec((), xp.float32)])
        def f(self, x):
            return xp.py_function(lambda a: a * a, [x], xp.float32)

    def saved():
        through_a_file(xp, Open())
        return "saved"

    yield "save", lambda: saved()


@scenario
def a_file_that_is_not_there(xp):
    yield "load", lambda: xp.load("/nowhere/model")
