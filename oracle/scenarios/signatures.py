"""Signatures: what a function is given, what it gives back, and concrete functions."""

import collections

import numpy as np

from oracle.scenario import scenario
from oracle.scenarios.questions import counted


@scenario
def a_signature_traces_once(xp):
    f, seen = counted(xp, lambda x: xp.sum(x), input_signature=[xp.TensorSpec((None,), xp.float32)])
    yield "values", [f(xp.zeros((n,)) + 1.0) for n in (1, 3, 0)]
    yield "bodies", len(seen)


@scenario
def a_signature_is_held(xp):
    f = xp.function(lambda x: x, input_signature=[xp.TensorSpec((None, 2), xp.float32)])
    yield "fits", f(xp.zeros((3, 2)))
    yield "shape", lambda: f(xp.zeros((3, 3)))
    yield "rank", lambda: f(xp.zeros((2,)))
    yield "dtype", lambda: f(xp.astype(xp.zeros((3, 2)), xp.int32))
    yield "none", lambda: f()
    yield "too many", lambda: f(xp.zeros((3, 2)), xp.zeros((3, 2)))


@scenario
def a_signature_takes_python_numbers(xp):
    f = xp.function(lambda x: x * 2.0, input_signature=[xp.TensorSpec((), xp.float32)])
    yield "float", lambda: f(1.5)
    yield "int", lambda: f(2)


@scenario
def a_signature_takes_lists(xp):
    f = xp.function(lambda x: x * 2.0, input_signature=[xp.TensorSpec((None,), xp.float32)])
    yield "list", lambda: f([1.0, 2.0])


@scenario
def a_signature_takes_arrays_of_another_dtype(xp):
    f = xp.function(lambda x: x * 2.0, input_signature=[xp.TensorSpec((None,), xp.float32)])
    yield "float64 array", lambda: f(np.array([1.5, 2.5]))
    yield "int64 array", lambda: f(np.array([1, 2]))


@scenario
def nests_in_and_out(xp):
    Pair = collections.namedtuple("Pair", "a b")

    @xp.function
    def f(nest):
        x, (y, z) = nest["x"], nest["yz"]
        return {"sum": x + y, "pair": (y, [z, None]), "named": Pair(x, y)}

    yield "value", f({"x": xp.constant(1.0), "yz": (xp.constant(2.0), xp.constant(3.0))})


@scenario
def python_values_out(xp):
    yield "none", xp.function(lambda x: None)(xp.constant(1.0))
    yield "empty", xp.function(lambda x: [])(xp.constant(1.0))


@scenario
def a_python_number_comes_out(xp):
    f = xp.function(lambda x: 3.0)
    yield "value", f(xp.constant(1.0))


@scenario
def an_array_comes_out(xp):
    f = xp.function(lambda x: np.ones(2, np.float32))
    yield "value", f(xp.constant(1.0))


@scenario
def keywords_and_defaults(xp):
    g = xp.function(lambda x, *, y=10.0: x + y)
    x = xp.constant(1.0)
    yield "default", g(x)
    yield "keyword", g(x, y=20.0)
    yield "missing", lambda: g()
    yield "unknown", lambda: g(x, z=1.0)


@scenario
def keywords_bind_as_positions_do(xp):
    seen = []

    @xp.function
    def f(x, y=10.0):
        seen.append("traced")
        return x + y

    x = xp.constant(1.0)
    yield "values", [f(x, 10.0), f(x, y=10.0), f(x), f(x=x), f(y=10.0, x=x)]
    yield "bodies", len(seen)


@scenario
def varargs(xp):
    @xp.function
    def f(*xs, **named):
        return sum(xs) + named["z"] * 2.0

    yield "value", f(xp.constant(1.0), xp.constant(2.0), z=xp.constant(3.0))


@scenario
def a_concrete_function(xp):
    f, seen = counted(xp, lambda x: x * 2.0)
    c = xp.concrete(f, xp.TensorSpec((None,), xp.float32))
    yield "values", [c(xp.constant([1.0])), c(xp.constant([1.0, 2.0]))]
    yield "bodies", len(seen)


@scenario
def a_concrete_function_refuses(xp):
    c = xp.concrete(xp.function(lambda x: x * 2.0), xp.TensorSpec((2,), xp.float32))
    yield "dtype", lambda: c(xp.constant([1, 2]))
    yield "rank", lambda: c(xp.constant(1.0))
    yield "too many", lambda: c(xp.constant([1.0, 2.0]), xp.constant([1.0, 2.0]))
    yield "too few", lambda: c()


@scenario
def a_concrete_function_of_another_shape(xp):
    c = xp.concrete(xp.function(lambda x: x * 2.0), xp.TensorSpec((2,), xp.float32))
    yield "shape", lambda: c(xp.constant([1.0, 2.0, 3.0]))


@scenario
def a_concrete_function_of_a_python_value(xp):
    c = xp.concrete(xp.function(lambda x, n: x * float(n)), xp.TensorSpec((), xp.float32), 3)
    yield "without it", lambda: c(xp.constant(2.0))
    yield "another", lambda: c(xp.constant(2.0), 4)


@scenario
def a_concrete_function_serves_later_calls(xp):
    f, seen = counted(xp, lambda x: x * 2.0)
    xp.concrete(f, xp.TensorSpec((2,), xp.float32))
    f(xp.constant([1.0, 2.0]))
    yield "bodies", len(seen)


@scenario
def a_general_trace_serves_special_calls(xp):
    f, seen = counted(xp, lambda x: x * 2.0)
    xp.concrete(f, xp.TensorSpec((None,), xp.float32))
    f(xp.constant([1.0, 2.0]))
    yield "bodies", len(seen)


@scenario
def a_dict_in_another_order(xp):
    f, seen = counted(xp, lambda d: d["a"] - d["b"])
    a, b = xp.constant(3.0), xp.constant(1.0)
    yield "values", [f({"a": a, "b": b}), f({"b": b, "a": a})]
    yield "bodies", len(seen)


@scenario
def a_list_is_no_tuple(xp):
    f, seen = counted(xp, lambda xs: xs[0] + xs[1])
    a, b = xp.constant(3.0), xp.constant(1.0)
    yield "values", [f([a, b]), f((a, b))]
    yield "bodies", len(seen)


@scenario
def an_argument_that_cannot_be_hashed(xp):
    f = xp.function(lambda x, s: x)
    yield "set", lambda: f(xp.constant(1.0), {1, 2})


@scenario
def an_object_as_argument(xp):
    class Config:
        scale = 2.0

    f, seen = counted(xp, lambda x, c: x * c.scale)
    config, x = Config(), xp.constant(3.0)
    yield "values", [f(x, config), f(x, config), f(x, Config())]
    yield "bodies", len(seen)
