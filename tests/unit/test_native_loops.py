"""Loops whose rounds are native code: as the same loops by NumPy, forwards and back."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import compiler, laps
from minigrad.codegen import jit
from minigrad.codegen.repeat import native_loop
from minigrad.codegen.rounds import Rounds

F32, F64 = mg.float32, mg.float64
needs_llvm = pytest.mark.skipif(not jit.available(), reason="without LLVM there is no native code")
STATE = mg.asarray(np.linspace(-1, 1, 12).reshape(3, 4))
MATRIX = mg.asarray(np.linspace(-0.4, 0.5, 16).reshape(4, 4))
SLICES = mg.asarray(np.sin(np.arange(70 * 12.0)).reshape(70, 3, 4))
WEIGHT = mg.Variable(np.linspace(0.1, 0.9, 4))


def tanh_rnn(h, w, xs):
    def step(h, x):
        h = mg.tanh(h @ w + x)
        return h, h

    return mg.scan(step, h, xs)


def swapped(h, w, xs):
    """What is carried changes places, as in Fibonacci's numbers."""
    return mg.scan(lambda c, x: ((c[1], mg.sin(c[0]) + c[1] * x), c[0]), (h, h * 2), xs)


def counting(h, w, xs):
    """An integer among what is carried, and nothing that comes slice by slice."""

    def step(carry, _):
        n, h = carry
        return (n + 1, h * 0.9 + mg.astype(n, F64)), (n, h)

    return mg.scan(step, (mg.constant(0), h), length=5)


def unchanged(h, w, xs):
    """Something is carried that never changes, something is stacked that comes from outside."""

    def step(carry, x):
        h, k = carry
        return (h * k + x, k), (x, w, h)

    return mg.scan(step, (h, mg.tanh(h)), xs)


def by_a_variable(h, w, xs):
    return mg.scan(lambda h, x: (mg.tanh(h * WEIGHT + x), mg.sum(h, axis=1)), h, xs)


def backwards(h, w, xs):
    return tanh_rnn(h, w, mg.flip(xs, axis=0))


def with_constants(h, w, xs):
    table = mg.constant(np.arange(12.0).reshape(3, 4))
    return mg.scan(lambda h, x: (mg.cos(h + table), h * x), h, xs)


def of_numbers(h, w, xs):
    return mg.scan(lambda s, x: (s * 0.5 + x, s * x), h[0, 0], xs[:, 0, 0])


def mapped(h, w, xs):
    return mg.map(lambda x: mg.exp(x @ w) + h, xs)


def unused(h, w, xs):
    """One of what is carried has no path to what is stacked."""

    def step(carry, x):
        h, k = carry
        return (mg.sin(h) + x, k + mg.sum(w)), h

    return mg.scan(step, (h, h[0]), xs)[1]


def turned(h, w, xs):
    """What comes slice by slice lies otherwise in memory than its slices do."""
    return mg.scan(lambda h, x: (mg.sin(h + x), h * x), h.T, mg.permute_dims(xs, (0, 2, 1)))


def looking(h, w, xs):
    """Parts of what is carried are stacked, and views of it are what derivatives need."""

    def step(h, x):
        h = mg.nn.logsumexp(h[:, :, None] + w, axis=1) + x
        return h, (h[0], h.mT, mg.reshape(h, (-1,)), h[:, 1:])

    return mg.scan(step, h, xs)


PROGRAMS = (
    tanh_rnn,
    swapped,
    counting,
    unchanged,
    by_a_variable,
    backwards,
    with_constants,
    of_numbers,
    mapped,
    unused,
    turned,
    looking,
)


def counted(name, run, counts):
    def running(*args, **kwargs):
        made = run(*args, **kwargs)
        counts[name] += made is not None
        return made

    return running


@pytest.fixture
def native(monkeypatch):
    """How often a loop was run in native code, there and back."""
    counts = {"forwards": 0, "backwards": 0}
    for name in counts:
        monkeypatch.setattr(laps, name, counted(name, getattr(laps, name), counts))
    monkeypatch.setattr("minigrad.branches.laps", laps)
    return counts


def is_one_kernel(f, *xs):
    """Whether the program has its loop among its kernels."""
    return " native_loop(" in f.compiler_ir(*xs, stage="program")


def slopes(program, h, w, xs):
    """The gradients of all that a program gives."""
    with mg.GradientTape() as tape:
        tape.watch([h, w, xs])
        ys = [y for y in leaves(program(h, w, xs)) if y.dtype.kind == "f"]
    return tape.gradient(ys, [h, w, xs, WEIGHT])


def leaves(nest):
    return [x for x in mg.tree.flatten(nest)[0] if x is not None]


def assert_alike(found, expected):
    assert mg.tree.flatten(found)[1] == mg.tree.flatten(expected)[1]
    pairs = zip(mg.tree.flatten(found)[0], mg.tree.flatten(expected)[0], strict=True)
    for x, y in pairs:
        assert (x is None) == (y is None)
        if x is not None:
            assert x.dtype == y.dtype
            np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-9, atol=1e-12)


@needs_llvm
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_a_compiled_scan_gives_what_a_python_loop_gives(program, native):
    expected = program(STATE, MATRIX, SLICES)
    f = mg.function(program, jit_compile=True)
    assert_alike(f(STATE, MATRIX, SLICES), expected)
    assert is_one_kernel(f, STATE, MATRIX, SLICES) or native["forwards"] == 1


@needs_llvm
@pytest.mark.parametrize("rounds", [1, 2, 70])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_gradients_of_a_compiled_scan_are_those_of_a_python_loop(program, rounds):
    def gradients(h, w, xs):
        return slopes(program, h, w, xs)

    given = (STATE, MATRIX, SLICES[:rounds])
    f = mg.function(gradients, jit_compile=True)
    assert_alike(f(*given), gradients(*given))
    text = f.compiler_ir(*given, stage="program")
    assert rounds == 1 or (" native_loop(" in text and " loop(" not in text)
    assert " replay(" not in text


@needs_llvm
@pytest.mark.parametrize("rounds", [1, 2, 70])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_gradients_of_a_scan_of_unknown_length_are_those_of_a_python_loop(program, rounds, native):
    def gradients(h, w, xs):
        return slopes(program, h, w, xs)

    given = (STATE, MATRIX, SLICES[:rounds])
    spec = mg.TensorSpec((None, 3, 4), F64)
    signature = [mg.TensorSpec(STATE.shape, F64), mg.TensorSpec(MATRIX.shape, F64), spec]
    f = mg.function(gradients, input_signature=signature, jit_compile=True)
    assert_alike(f(*given), gradients(*given))
    if rounds > 1 and program is not counting:  # which is of five rounds, whatever comes
        assert native["forwards"] == native["backwards"] == 1


@needs_llvm
def test_second_derivatives_of_a_compiled_scan_are_those_of_a_python_loop():
    def second(h, w, xs):
        with mg.GradientTape() as outer:
            outer.watch([h, w, xs])
            with mg.GradientTape() as inner:
                inner.watch([h, w, xs])
                y = mg.sum(tanh_rnn(h, w, xs)[1] ** 2)
            (g,) = inner.gradient(y, [w])
            z = mg.sum(g * g)
        return outer.gradient(z, [h, w, xs])

    given = (STATE, MATRIX, SLICES[:5])
    assert_alike(mg.function(second, jit_compile=True)(*given), second(*given))


@needs_llvm
def test_a_scan_of_unknown_length_is_compiled_for_each_length():
    spec = mg.TensorSpec((None, 3, 4), F64)
    f = mg.function(
        lambda xs: tanh_rnn(STATE, MATRIX, xs), input_signature=[spec], jit_compile=True
    )
    for n in (3, 70, 3):
        assert_alike(f(SLICES[:n]), tanh_rnn(STATE, MATRIX, SLICES[:n]))
    assert is_one_kernel(f, SLICES[:3])
    assert f.trace_count == 1


@needs_llvm
def test_a_scan_of_unknown_length_has_gradients():
    spec = mg.TensorSpec((None, 3, 4), F64)

    def last(xs):
        return tanh_rnn(STATE, MATRIX, xs)

    f = mg.function(last, input_signature=[spec], jit_compile=True)
    for n in (3, 9, 3):
        slopes = [mg.grad(lambda xs, g=g: mg.sum(g(xs)[0]))(SLICES[:n]) for g in (f, last)]
        assert_alike(*slopes)


@needs_llvm
def test_a_body_that_needs_more_than_kernels_runs_round_by_round(native):
    def sorting(h, w, xs):
        return mg.scan(lambda h, x: (mg.sort(h + x, axis=1), h), h, xs)

    assert_alike(
        mg.function(sorting, jit_compile=True)(STATE, MATRIX, SLICES),
        sorting(STATE, MATRIX, SLICES),
    )
    assert native["forwards"] == 0


@needs_llvm
def test_a_compiled_scan_reads_slices_that_lie_apart():
    xs = mg.asarray(np.asfortranarray(np.random.default_rng(0).normal(size=(9, 3, 4))))
    found = mg.function(tanh_rnn, jit_compile=True)(STATE, MATRIX, xs)
    assert_alike(found, tanh_rnn(STATE, MATRIX, xs))


@needs_llvm
def test_results_of_a_compiled_scan_stay_as_they_are():
    f = mg.function(tanh_rnn, jit_compile=True)
    last, stacked = f(STATE, MATRIX, SLICES)
    before = stacked.numpy().copy()
    f(STATE * 2, MATRIX, SLICES)
    np.testing.assert_array_equal(stacked.numpy(), before)
    np.testing.assert_array_equal(last.numpy(), before[-1])


@needs_llvm
def test_a_variable_that_a_scan_assigns_keeps_its_order(native):
    total = mg.Variable(0.0)

    @mg.function(jit_compile=True)
    def f(xs):
        def step(c, x):
            total.assign_add(x)
            return c + total, total * 1

        return mg.scan(step, mg.constant(0.0), xs)

    last, stacked = f(mg.constant([1.0, 2.0, 3.0]))
    assert stacked.numpy().tolist() == [1.0, 3.0, 6.0]
    assert (last.numpy(), total.numpy()) == (10.0, 6.0)
    assert native["forwards"] == 0


@needs_llvm
@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 8])
def test_a_loop_among_kernels_gives_what_a_python_loop_gives(rounds):
    """Whichever place the last round writes to; what it is made of is still there afterwards."""

    def swinging(h, w):
        def step(i, s):
            x, v, total = s
            return v, mg.tanh(x @ w), total + x

        return mg.fori_loop(0, rounds, step, (h * 2, h, h)), h * 2

    f = mg.function(swinging, jit_compile=True)
    assert is_one_kernel(f, STATE, MATRIX)
    assert_alike(f(STATE, MATRIX), swinging(STATE, MATRIX))
    assert_alike(f(STATE, MATRIX), swinging(STATE, MATRIX))


@needs_llvm
def test_a_loop_among_kernels_means_what_its_rounds_mean_one_by_one():
    def body(h, w, xs):
        return mg.scan(lambda h, x: (mg.tanh(h @ w + x), h), h * 2, xs)

    f = mg.function(body, jit_compile=True)
    graph = compiler.program(f.graph_for(STATE, MATRIX, SLICES))
    (node,) = [n for s in graph.nodes for n in s.attrs["graph"].nodes if n.op is native_loop]
    given = (2 * STATE.numpy(), SLICES.numpy(), MATRIX.numpy())
    *one_by_one, room = native_loop.kernel(*given, **node.attrs)
    assert room.shape == (node.attrs["room"],)
    assert_alike([mg.asarray(y) for y in one_by_one], list(f(STATE, MATRIX, SLICES)))


@needs_llvm
def test_a_long_loop_stays_open_to_interruption():
    f = mg.function(lambda x: mg.fori_loop(0, 10**9, lambda i, x: x * 0.5, x), jit_compile=True)
    assert not is_one_kernel(f, STATE)


@needs_llvm
def test_a_loop_may_be_in_a_loop_and_between_kernels():
    def nested(h):
        def outer(i, h):
            return mg.fori_loop(0, 3, lambda j, h: mg.sin(h) + 0.1, h) * 0.9

        return mg.sum(mg.fori_loop(0, 4, outer, mg.exp(h)) ** 2, axis=1)

    f = mg.function(nested, jit_compile=True)
    assert_alike(f(STATE), nested(STATE))
    assert f.compiler_ir(STATE, stage="program").count(" native_loop(") == 2


@needs_llvm
@pytest.mark.parametrize("end", [-1.0, 0.5, 1.0, 2.0, 40.0])
def test_a_loop_that_values_decide_on_runs_natively(end):
    """Its condition is part of a round, which says whether there is another."""

    def grown(h, w, end):
        def holds(n, x):
            return mg.max(mg.abs(x)) + WEIGHT[0] < end

        return mg.while_loop(holds, lambda n, x: (n + 2, x * 1.25 + w[:3] * 0.01), [0, h])

    given = (STATE, MATRIX, mg.asarray(end))
    f = mg.function(grown, jit_compile=True)
    assert_alike(f(*given), grown(*given))
    assert_alike(f(*given), grown(*given))
    assert is_one_kernel(f, *given)


@needs_llvm
@pytest.mark.parametrize("rounds", range(6))
def test_a_loop_that_values_decide_on_ends_in_the_right_place(rounds):
    """Whichever place the last round writes to; what it is made of is still there afterwards."""

    def swinging(h, w, n):
        start = (h * 2, h, h, mg.constant(0))

        def step(x, v, total, i):
            return v, mg.tanh(x @ w), total + x, i + 1

        return mg.while_loop(lambda x, v, total, i: i < n, step, start), h * 2

    f = mg.function(swinging, jit_compile=True)
    given = (STATE, MATRIX, mg.constant(rounds))
    assert is_one_kernel(f, *given)
    assert_alike(f(*given), swinging(*given))
    assert_alike(f(*given), swinging(*given))


@needs_llvm
def test_a_loop_that_takes_long_is_left_to_rounds_that_can_be_interrupted(monkeypatch):
    monkeypatch.setattr("minigrad.codegen.repeat.PATIENCE", 1e-9)
    runs = []
    until = Rounds.until

    def heard(self, *args):
        runs.append(args)
        return until(self, *args)

    monkeypatch.setattr(Rounds, "until", heard)

    def halved(x):
        return mg.while_loop(lambda x: x > 1.0, lambda x: x * 0.5, [x * 3.0])[0] + 1.0

    f = mg.function(halved, jit_compile=True)
    for k, x in enumerate([0.1, 1000.0, 50.0, 0.1]):
        assert_alike(f(mg.constant(x)), halved(mg.constant(x)))
        assert len(runs) == max(0, min(k, 2))


@needs_llvm
@pytest.mark.parametrize("start", [0, 3, 4])
def test_a_wrong_index_in_a_loop_that_counts_is_found(start):
    def taking(x, i):
        return mg.fori_loop(0, 5, lambda k, z: z * 0.5 + x[k + i], x[0])

    f = mg.function(taking, jit_compile=True)
    x, i = mg.asarray(np.arange(24.0).reshape(8, 3)), mg.constant(start)
    assert is_one_kernel(f, x, i)
    if start < 4:
        assert_alike(f(x, i), taking(x, i))
        return
    with pytest.raises(mg.errors.IndexSpecError, match="out of bounds"):
        f(x, i)


@needs_llvm
def test_a_wrong_index_in_a_loop_that_values_decide_on_is_found():
    @mg.function(jit_compile=True)
    def walk(links, i):
        return mg.while_loop(lambda i: i != 0, lambda i: links[i], [i])

    links = mg.asarray([5, 0, 1, 2, 17])
    assert int(walk(links, mg.asarray(3))[0]) == 0
    with pytest.raises(mg.errors.IndexSpecError, match="index 17 is out of bounds"):
        walk(links, mg.asarray(4))
