"""One example made many: axes and nests, functions, derivatives, control flow, doors, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import tree
from tests.unit.modes import same

RNG = np.random.default_rng(0)
A, B, C = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 3, 2))
ONE = mg.constant(1.0, mg.float64)
MODES: dict[str, Callable[..., Any]] = {
    "eager": lambda f: f,
    "function": mg.function,
    "compiled": mg.function(jit_compile=True),
}
every_mode = pytest.mark.parametrize("mode", MODES)
every_inner = pytest.mark.parametrize("inner", MODES)


def looped(f: Callable[..., Any], *columns: Any) -> Any:
    """The results of `f` on the rows of `columns`, stacked."""
    rows = [f(*map(mg.constant, row)) for row in zip(*columns, strict=True)]
    leaves = [tree.flatten(row)[0] for row in rows]
    stacks = [np.stack([np.asarray(y) for y in ys]) for ys in zip(*leaves, strict=True)]
    return tree.unflatten(tree.flatten(rows[0])[1], stacks)


# axes


def test_axes_in_and_out() -> None:
    f = lambda x, y: x * 2 + y  # noqa: E731
    a, b = mg.constant(A), mg.constant(B)
    same(mg.vmap(f)(a, mg.constant(B.T)), 2 * A + B.T)
    same(mg.vmap(f, in_axes=(0, 1))(a, b), 2 * A + B.T)
    same(mg.vmap(f, in_axes=(-2, -1), out_axes=1)(a, b), 2 * A.T + B)
    same(mg.vmap(f, in_axes=(0, None), out_axes=-1)(a, mg.constant(A[0])), 2 * A.T + A[0][:, None])
    same(mg.vmap(lambda x: (x, 1.0), out_axes=(0, None))(a), (A, 1.0))


def test_nests_go_in_and_come_out() -> None:
    def f(p: Any, x: Any, *, scale: Any) -> Any:
        return {"y": (p["w"] @ x) * scale, "none": None, "k": [mg.sum(p["b"])]}

    p = {"w": mg.constant(C), "b": mg.constant(B)}
    x = mg.constant(RNG.normal(size=(2,)))
    g = mg.vmap(f, in_axes=({"w": 0, "b": 1}, None))
    found = g(p, x, scale=mg.constant(3.0))
    same(found, {"y": 3 * C @ x.numpy(), "none": None, "k": [B.sum(0)]})
    same(
        mg.vmap(f, in_axes=({"w": 0, "b": None}, None))(p, x, scale=1)["k"][0], np.full(4, B.sum())
    )


def test_no_examples_and_one() -> None:
    f = lambda x: mg.sort(mg.tanh(x @ mg.constant(B)))[::2]  # noqa: E731
    same(mg.vmap(f)(mg.zeros((0, 3), dtype=mg.float64)), np.zeros((0, 2)))
    same(mg.vmap(f)(mg.constant(A[:1])), looped(f, A[:1]))
    assert mg.vmap(lambda x: mg.constant(2.0))(mg.constant(A)).shape == (4,)


@pytest.mark.parametrize(
    ("f", "options", "args", "words"),
    [
        (mg.sin, {"in_axes": None}, (A,), "at least one argument has such an axis"),
        (mg.add, {}, (A, B), "axes of 4, 3"),
        (mg.add, {}, (A, 1.0), r"came with in_axes=0: .* write in_axes=None"),
        (mg.sin, {"in_axes": 2}, (A,), "axis 2 of a tensor with 2 axes"),
        (mg.add, {"in_axes": (0,)}, (A, A), r"in_axes=\(0,\) came for a nest \(\*, \*\)"),
        (mg.sin, {"in_axes": ("0",)}, (A,), "it is an int or None"),
        (mg.sin, {"out_axes": (0, 0)}, (A,), r"out_axes=\(0, 0\) came for a nest"),
        (mg.sin, {"out_axes": None}, (A,), "it differs between the examples"),
        (mg.sin, {"out_axes": 5}, (A,), "axis 5 of a tensor with 2 axes"),
    ],
)
def test_axes_that_do_not_fit_are_refused(f: Any, options: Any, args: Any, words: str) -> None:
    with pytest.raises(mg.errors.SpecError, match=words):
        mg.vmap(f, **options)(*args)


# what it is inside


def test_examples_look_as_one_and_have_no_value() -> None:
    seen = []

    def f(x: Any) -> Any:
        seen.append((x.shape, x.dtype, repr(x)))
        return x if x[0] > 0 else -x

    with pytest.raises(mg.errors.TraceError, match=r"vmap of f: it stands for 4 examples.*mg.cond"):
        mg.vmap(f)(mg.constant(A))
    assert seen == [((3,), mg.float64, "<mg.Batched: shape=(3,), dtype=float64, of 4>")]
    with pytest.raises(mg.errors.TraceError, match="vmap_method"):
        mg.vmap(lambda x: np.sin(x.numpy()))(mg.constant(A))


def test_an_example_that_leaks_is_named() -> None:
    kept: list[Any] = []
    mg.vmap(lambda x: kept.append(x) or x)(mg.constant(A))
    for use in (lambda: kept[0] + 1, lambda: mg.vmap(lambda y: y + kept[0])(mg.constant(A))):
        with pytest.raises(mg.errors.TraceError, match=r"vmap of .* and is used after that"):
            use()


def test_what_is_shared_is_computed_once() -> None:
    calls = []

    def count(x: Any) -> Any:
        calls.append(x)
        return x

    def f(x: Any, w: Any) -> Any:
        return x * mg.numpy_function(count, [w], mg.float64)

    same(mg.vmap(f, in_axes=(0, None))(mg.constant(A), mg.constant(2.0, mg.float64)), 2 * A)
    assert len(calls) == 1


def network(x: Any) -> Any:
    """A little of everything."""
    h = mg.nn.layer_norm(mg.reshape(x, (3, 1)) @ mg.ones((1, 4), dtype=mg.float64))
    h = mg.concat([h, mg.flip(h), mg.stack([h[0], h[-1]])])
    picked = mg.take_along_axis(h, mg.argsort(h, axis=0), axis=0)[mg.argmax(x)]
    return mg.nn.logsumexp(picked * x[0]) + mg.max(x.at[1].add(x[2]) ** 2) + mg.var(h)


@every_mode
@every_inner
def test_functions_in_functions(mode: str, inner: str) -> None:
    f = MODES[inner](network)
    same(MODES[mode](mg.vmap(f))(mg.constant(A)), looped(network, A), rtol=1e-5)


@every_mode
@every_inner
def test_derivatives_inside_and_outside(mode: str, inner: str) -> None:
    f, run, x = MODES[inner](network), MODES[mode], mg.constant(A)
    grads = looped(mg.grad(network), A)
    same(run(mg.vmap(mg.grad(f)))(x), grads, rtol=1e-5)
    same(run(mg.grad(lambda x: mg.sum(mg.vmap(f)(x))))(x), grads, rtol=1e-5)
    tangents = run(mg.vmap(lambda x: mg.jvp(f, (x,), (x,))[1]))(x)
    same(tangents, (grads * A).sum(1), rtol=1e-5)
    hessians = run(mg.vmap(mg.hessian(f)))(x)
    same(hessians, looped(mg.hessian(network), A), rtol=1e-4)


def test_nested() -> None:
    a = mg.constant(A)
    pairs = mg.vmap(lambda x: mg.vmap(lambda y: mg.sum(mg.sin(x * y)))(a))(a)
    same(pairs, np.sin(A[:, None] * A).sum(-1))
    inner = mg.vmap(lambda x, y: x @ y, in_axes=(None, 1))
    same(mg.vmap(inner, in_axes=(0, None))(a, mg.constant(B)), A @ B)
    slopes = mg.vmap(mg.vmap(mg.grad(mg.sin)))(a)
    same(slopes, np.cos(A))


def test_a_jacobian_is_one_vmapped_pullback() -> None:
    f = lambda x: mg.tanh(mg.constant(B.T) @ x)  # noqa: E731
    x = mg.constant(A[0])
    _, pullback = mg.vjp(f, x)
    same(mg.vmap(lambda g: pullback(g)[0])(mg.eye(4, dtype=mg.float64)), mg.jacobian(f)(x))
    forward = mg.vmap(lambda t: mg.jvp(f, (x,), (t,))[1], out_axes=1)
    same(forward(mg.eye(3, dtype=mg.float64)), mg.jacobian(f)(x))


@pytest.mark.parametrize("jit", [False, True])
def test_a_number_of_examples_known_only_at_run_time(jit: bool) -> None:
    spec = mg.TensorSpec((None, 3), mg.float64)
    f = mg.function(mg.vmap(network), input_signature=[spec], jit_compile=jit)
    for n in (4, 2):
        same(f(mg.constant(A[:n])), looped(network, A[:n]), rtol=1e-5)
    assert f.trace_count == 1


# Variables and random numbers


def test_variables_are_shared() -> None:
    v = mg.Variable(A[0])
    f = lambda x: mg.sum(x * v * v)  # noqa: E731
    a = mg.constant(A)
    with mg.GradientTape() as tape:
        y = mg.sum(mg.vmap(f)(a))
    same(tape.gradient(y, v), 2 * A[0] * A.sum(0))

    def of_each(x: Any) -> Any:
        with mg.GradientTape() as tape:
            y = f(x)
        return tape.gradient(y, v)

    same(mg.vmap(of_each)(a), 2 * A[0] * A)
    counter = mg.Variable(0)
    mg.vmap(lambda x: (counter.assign_add(1), x)[1])(a)
    assert counter.numpy() == 1
    with pytest.raises(mg.errors.SpecError, match="a Variable has one value"):
        mg.vmap(lambda x: (v.assign(x), x)[1])(a)


@every_inner
def test_each_example_draws_its_own_numbers(inner: str) -> None:
    generator = mg.random.Generator(0)

    def f(x: Any) -> Any:
        u = generator.uniform((2,)), generator.normal(), generator.uniform_like(x)
        return (*u, generator.permutation(5), generator.integers(9, shape=(6,)))

    found = mg.vmap(MODES[inner](f))(mg.constant(A))
    assert [y.shape for y in found] == [(4, 2), (4,), (4, 3), (4, 5), (4, 6)]
    for y in found:
        assert len(np.unique(y.numpy(), axis=0)) == 4
    same(np.sort(found[3]), np.tile(np.arange(5), (4, 1)))
    assert generator.state.numpy()[2] == 5


# control flow


def decided(x: Any) -> Any:
    return mg.cond(x > 0, lambda: x * x, lambda: mg.sin(x))


def switched(x: Any) -> Any:
    i = mg.astype(x, mg.int32)
    return mg.switch(i, [lambda: x, lambda: x * x, lambda: x**3])


def repeated(x: Any) -> Any:
    return mg.while_loop(lambda z, n: z < 10, lambda z, n: (z * z + 1, n + 1), (x, 0))[0]


def counted(x: Any) -> Any:
    return mg.fori_loop(0, 3, lambda i, z: z * x + i, ONE)


def scanned(x: Any) -> Any:
    carry, ys = mg.scan(lambda c, t: (c * x + t, mg.sin(c)), x, mg.constant(A[0]))
    return carry + mg.sum(mg.map(lambda y: y * x, ys))


@every_mode
@every_inner
@pytest.mark.parametrize("f", [decided, switched, repeated, counted, scanned])
def test_control_flow_is_that_of_each_example(f: Any, mode: str, inner: str) -> None:
    column = np.array([0.5, -1.5, 2.5, 1.2])
    x, g, run = mg.constant(column), MODES[inner](f), MODES[mode]
    same(run(mg.vmap(g))(x), looped(f, column))
    slopes = looped(mg.grad(f), column)
    same(run(mg.vmap(mg.grad(g)))(x), slopes)
    same(run(mg.grad(lambda x: mg.sum(mg.vmap(g)(x))))(x), slopes)


def test_what_is_shared_decides_as_python_does() -> None:
    ran = []

    def f(x: Any, flag: Any) -> Any:
        return mg.cond(flag, lambda: ran.append(1) or x, lambda: ran.append(2) or -x)

    same(mg.vmap(f, in_axes=(0, None))(mg.constant(A), mg.constant(True)), A)
    assert ran == [1]


def test_a_variable_may_be_read_where_examples_take_different_ways() -> None:
    w = mg.Variable(2.0)
    x = mg.constant([-1.0, 1.0, 3.0])
    same(mg.vmap(lambda x: mg.cond(x > 0, lambda: x * w, lambda: x))(x), np.float32([-1, 2, 6]))
    doubled = mg.vmap(lambda x: mg.while_loop(lambda y: y < 10, lambda y: mg.abs(y) * w, (x,))[0])
    same(doubled(x), np.float32([16, 16, 12]))


@pytest.mark.parametrize("later", MODES)
def test_a_call_in_a_call_of_examples_has_its_gradient_in_every_mode_one_after_another(
    later: str,
) -> None:
    w, x = mg.Variable(1.4), mg.constant([0.1, 0.2, 0.3])
    f = mg.function(lambda x: mg.function(lambda x: mg.sin(x * w))(x))

    def slope(x: Any) -> Any:
        with mg.GradientTape() as tape:
            y = mg.sum(mg.vmap(f)(x))
        return tape.gradient(y, w)

    expected = np.sum(x.numpy() * np.cos(x.numpy() * 1.4))
    for mode in ("eager", later):
        np.testing.assert_allclose(MODES[mode](slope)(x).numpy(), expected, rtol=1e-6)


def test_effects_cannot_depend_on_the_example() -> None:
    v = mg.Variable(0.0)
    f = lambda x: mg.cond(x > 0, lambda: (v.assign(1.0), x)[1], lambda: x)  # noqa: E731
    with pytest.raises(mg.errors.SpecError, match="what decides between branches differs"):
        mg.vmap(f)(mg.constant(A[0]))
    loop = lambda x: mg.while_loop(  # noqa: E731
        lambda z: z < 1, lambda z: ((v.assign_add(1.0), z + 1)[1],), (x,)
    )[0]
    with pytest.raises(mg.errors.SpecError, match="the condition of a loop differs"):
        mg.vmap(loop)(mg.constant(A[0]))
    with pytest.raises(mg.errors.SpecError, match="examples take different ones"):
        mg.vmap(lambda x: mg.cond(x > 0, lambda: x, lambda: mg.stack([x, x])))(mg.constant(A[0]))


# doors and gradients by hand


@every_mode
@every_inner
def test_the_body_of_py_function_sees_one_example(mode: str, inner: str) -> None:
    shapes = []

    def body(x: Any) -> Any:
        shapes.append(x.shape)
        return mg.sum(mg.sin(x) * x)

    def f(x: Any) -> Any:
        return mg.py_function(body, [x], mg.TensorSpec((), mg.float64)) * 2

    g, run, x = MODES[inner](f), MODES[mode], mg.constant(A)
    same(run(mg.vmap(g))(x), 2 * (np.sin(A) * A).sum(1))
    same(run(mg.vmap(mg.grad(g)))(x), 2 * (np.cos(A) * A + np.sin(A)))
    same(run(mg.grad(lambda x: mg.sum(mg.vmap(g)(x))))(x), 2 * (np.cos(A) * A + np.sin(A)))
    assert set(shapes) == {(3,)}


def test_a_decision_in_a_body_names_the_way_out() -> None:
    f = lambda x: mg.py_function(lambda x: x if x > 0 else -x, [x], mg.float64)  # noqa: E731
    with pytest.raises(mg.errors.TraceError, match=r"for a decision write mg\.where"):
        mg.vmap(f)(mg.constant(A[0]))


@pytest.mark.parametrize(
    ("method", "shapes"),
    [
        ("sequential", [((3,), ()), ((3,), ()), ((3,), ()), ((3,), ())]),
        ("expand_dims", [((4, 3), (1,))]),
        ("broadcast_all", [((4, 3), (4,))]),
    ],
)
@pytest.mark.parametrize("mode", ["eager", "function"])
def test_numpy_code_is_called_as_it_says(mode: str, method: str, shapes: Any) -> None:
    seen = []

    def body(x: Any, w: Any) -> Any:
        assert type(x) is type(w) is np.ndarray and not x.flags.writeable
        seen.append((x.shape, w.shape))
        return np.sinh(x) * w[..., None]

    def f(x: Any) -> Any:
        w = mg.constant(2.0, mg.float64)
        spec = mg.TensorSpec((3,), mg.float64)
        return mg.numpy_function(body, [x, w], spec, vmap_method=method) + x

    same(MODES[mode](mg.vmap(f))(mg.constant(A)), 2 * np.sinh(A) + A)
    assert seen == shapes
    same(mg.vmap(mg.vmap(f))(mg.constant(A[None])), (2 * np.sinh(A) + A)[None])


def test_numpy_code_that_says_nothing_is_refused() -> None:
    f = lambda x, method: mg.numpy_function(np.sinh, [x], mg.float64, vmap_method=method)  # noqa: E731
    with pytest.raises(mg.errors.SpecError, match=r'"sequential".*"expand_dims".*"broadcast_all"'):
        mg.vmap(lambda x: f(x, None))(mg.constant(A))
    with pytest.raises(mg.errors.SpecError, match="vmap_method='all' came"):
        f(mg.constant(A), "all")
    with pytest.raises(mg.errors.CallbackError, match=r"float64\[4\]"):
        mg.vmap(
            lambda x: mg.numpy_function(
                lambda x: x.sum(), [x], mg.TensorSpec((), mg.float64), vmap_method="expand_dims"
            )
        )(mg.constant(A))


@every_mode
def test_gradients_by_hand_are_those_of_each_example(mode: str) -> None:
    w = mg.constant(3.0, mg.float64)

    @mg.custom_gradient
    def f(x: Any, w: Any) -> Any:
        return mg.sum(x * x) * w, lambda g: (g * x * 10, g * mg.sum(x))

    run, x = MODES[mode], mg.constant(A)
    same(run(mg.vmap(lambda x: f(x, w)))(x), 3 * (A * A).sum(1))
    outside = run(mg.grad(lambda x, w: mg.sum(mg.vmap(lambda x: f(x, w))(x)), (0, 1)))(x, w)
    same(outside, (10 * A, A.sum()))
    inside = run(mg.vmap(mg.grad(f, (0, 1)), in_axes=(0, None)))(x, w)
    same(inside, (10 * A, A.sum(1)))
    same(run(mg.vmap(mg.grad(mg.recompute_grad(network))))(x), looped(mg.grad(network), A), 1e-5)


def test_images_are_folded_into_their_batch() -> None:
    images, filters = RNG.normal(size=(3, 2, 5, 5, 2)), RNG.normal(size=(3, 3, 3, 2, 4))
    conv = lambda x, w: mg.nn.max_pool2d(mg.nn.conv2d(x, w, 1, "SAME"), 2)  # noqa: E731
    x, w = mg.constant(images), mg.constant(filters)
    for axes in ((0, None), (None, 0), (0, 0)):
        rows = [(x[i] if axes[0] == 0 else x[0], w[i] if axes[1] == 0 else w[0]) for i in range(3)]
        given = [t if axis == 0 else t[0] for t, axis in zip((x, w), axes, strict=True)]
        same(mg.vmap(conv, in_axes=axes)(*given), np.stack([conv(*row) for row in rows]))


def test_loops_of_examples_are_compiled_where_the_function_is() -> None:
    def total(x: Any) -> Any:
        def example(v: Any) -> Any:
            return mg.scan(lambda h, t: (mg.tanh(h + t), None), v * 0, mg.stack([v, v]))[0]

        return mg.sum(mg.vmap(example)(x))

    x = mg.asarray(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))
    for jit in (False, True):
        f = mg.function(mg.grad(total), jit_compile=jit)
        assert f"jit={jit}" in f.compiler_ir(x, stage="traced")
        assert f"jit={not jit}" not in f.compiler_ir(x, stage="traced")
        np.testing.assert_allclose(f(x), mg.grad(total)(x), rtol=1e-5)


@every_mode
def test_what_a_branch_refuses_it_refuses_of_examples_that_do_not_take_it(mode: str) -> None:
    row, places = mg.asarray([1.0, 2.0, 3.0]), mg.asarray([1, 5, 2])

    def careless(i: Any) -> Any:
        return mg.cond(i < 3, lambda: mg.take(row, i), lambda: mg.constant(0.0))

    def careful(i: Any) -> Any:
        return mg.cond(i < 3, lambda: mg.take(row, mg.where(i < 3, i, 0)), lambda: mg.constant(0.0))

    with pytest.raises(mg.errors.SpecError, match="index 5 ") as error:
        MODES[mode](mg.vmap(careless))(places)
    if mode == "eager":
        assert "hand it something else, as in mg.where(pred, x, 1.0)" in error.value.__notes__[-1]
    same(MODES[mode](mg.vmap(careful))(places), np.array([2.0, 0.0, 3.0]))
    same(MODES[mode](mg.vmap(careless))(places[:1]), np.array([2.0]))
