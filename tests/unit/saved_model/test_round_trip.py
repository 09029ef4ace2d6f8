"""What is loaded does what was saved: values, derivatives, state, signatures, compiled or not."""

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import tree
from minigrad.errors import SaveError, SpecError
from minigrad.saved_model import LoadedConcrete, LoadedFunction, LoadedModule, load, save
from minigrad.saved_model.model import dumped, loaded
from tests.unit.modes import same
from tests.unit.saved_model.models import MODELS, Line, Network, Point, nests


def again(obj: Any, **options: Any) -> Any:
    """`obj` saved and loaded."""
    return loaded(dumped(obj, **options))


def test_a_function_computes_the_same_to_the_bit() -> None:
    f = MODELS["attributes"]()
    x = mg.constant(np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32))
    ours, theirs = tree.flatten(f(x))[0], tree.flatten(again(f)(x))[0]
    assert len(ours) == 7
    for y, z in zip(ours, theirs, strict=True):
        assert y.dtype == z.dtype
        np.testing.assert_array_equal(np.signbit(y.numpy().real), np.signbit(z.numpy().real))
        np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("x", [[0.5, 1.0, 2.0], [-0.5, -1.0, -2.0]])
def test_gradients_to_the_third_order_after_loading(x: Any, check_gradients: Any) -> None:
    def plain(t: Any) -> Any:  # without the hand-written rule, which differences would see
        y = mg.cond(mg.sum(t) > 0, lambda: mg.exp(t), lambda: mg.sin(t) * 2)
        _, y = mg.while_loop(lambda i, _: i < 3, lambda i, z: (i + 1, z * t + 1), (0, y))
        carry, rows = mg.scan(lambda c, z: (c + z, c * z), mg.sum(y), y)
        return carry + mg.sum(rows)

    f = again(mg.function(plain).get_concrete_function(mg.TensorSpec((3,), mg.float64)))
    check_gradients(f, np.array(x))
    third = mg.grad(lambda t: mg.sum(mg.grad(lambda u: mg.sum(mg.grad(f)(u)))(t)))
    expected = mg.grad(lambda t: mg.sum(mg.grad(lambda u: mg.sum(mg.grad(plain)(u)))(t)))
    np.testing.assert_allclose(
        third(mg.constant(x, mg.float64)), expected(mg.constant(x, mg.float64)), rtol=1e-9
    )


def test_a_hand_written_gradient_is_kept() -> None:
    f = MODELS["control"]()
    x = mg.constant([3.0, 1.0, 2.0], mg.float64)
    found = again(f)
    steep = mg.grad(lambda t: found(t) * 1000)(x)  # of which the rule clips one of two terms
    same(steep, mg.grad(lambda t: f(t) * 1000)(x))
    assert not np.allclose(steep, mg.grad(found)(x) * 1000)


def test_gradients_of_gradients_taken_inside_are_kept() -> None:
    @mg.function(input_signature=[mg.TensorSpec((3,), mg.float64)])
    def slope(x: Any) -> Any:
        return mg.grad(lambda t: mg.sum(mg.cond(t[0] > 0, lambda: t**3, lambda: mg.sin(t))))(x)

    x = mg.constant([1.0, 2.0, 3.0], mg.float64)
    f = again(slope)
    same(f(x), slope(x))
    same(mg.jacobian(f)(x), np.diag([6.0, 12.0, 18.0]))


def test_a_module_comes_back_with_variables_and_functions_by_name() -> None:
    model = Network()
    found = again(model)
    assert type(found) is LoadedModule
    assert list(found.functions) == ["predict", "loss", "lookup"]
    names = ["w", "layers.0", "layers.1", "calls"]
    assert [name for name, _ in found.named_variables()] == names
    assert [v.trainable for v in found.variables] == [True, True, False, True]
    assert found.w.name == "w" and found.layers[0].shape == (4,)
    assert found.layers["0"] is found.layers[0]
    found.load_state_dict(model.state_dict())
    x = mg.ones((2, 3))
    same(found.predict(x), model.predict(x))
    same(found.lookup(2.0), model.lookup(2.0))
    assert found.predict.__doc__ == "Rows through one layer."


def test_functions_of_a_module_share_its_variables() -> None:
    model = again(Network())
    x = mg.ones((2, 3))
    before = model.loss(x).item()
    model.w.assign(model.w * 2)
    assert model.loss(x).item() != before
    model.predict(x)
    model.predict(mg.ones((5, 3)))
    assert model.calls.item() == 2
    with mg.GradientTape() as tape:
        y = mg.sum(model.predict(x)) + model.loss(x)
    assert next(v.name for v in tape.watched_variables()) == "w"
    gradients = tape.gradient(y, model.trainable_variables, unconnected_gradients="zero")
    assert [g.shape for g in gradients] == [(3, 4), (4,), ()]


def test_a_loaded_model_is_trained_and_saved_again(tmp_path: Path) -> None:
    model = again(Network())
    x = mg.ones((2, 3))
    optimizer = mg.optimizers.SGD(0.1)
    losses = []
    for _ in range(3):
        with mg.GradientTape() as tape:
            loss = model.loss(x)
        gradients = tape.gradient(loss, model.loss.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.loss.trainable_variables, strict=True))
        losses.append(loss.item())
    assert losses[2] < losses[0]
    save(model, tmp_path / "model.mg")
    second = load(tmp_path / "model.mg")
    assert second.loss(x).item() == pytest.approx(model.loss(x).item())
    assert list(second.functions) == list(model.functions)


def test_modules_in_modules_and_call() -> None:
    class Layer(mg.Module):
        def __init__(self) -> None:
            self.w = mg.Variable(2.0)

        @mg.function(input_signature=[mg.TensorSpec(None)])
        def __call__(self, x: Any) -> Any:
            return x * self.w

    class Model(mg.Module):
        def __init__(self) -> None:
            self.parts = {"a": Layer(), "b": Layer()}
            self.scaled = self.parts["a"].__call__.get_concrete_function(mg.TensorSpec((2,)))

        @mg.function(input_signature=[mg.TensorSpec(None)])
        def __call__(self, x: Any) -> Any:
            return self.parts["b"](self.parts["a"](x))

    found = again(Model())
    found.parts.a.w.assign(5.0)
    assert found(mg.constant(1.0)).item() == 10
    assert found.parts["b"]["__call__"](mg.constant(1.0)).item() == 2
    assert found.scaled(mg.ones(2)).numpy().tolist() == [5, 5]
    assert found.parts.a.w in found.scaled.variables


def test_nests_come_back_named_parts_as_dicts() -> None:
    f = nests()
    found = again(f)
    point = Point(mg.ones(2), mg.zeros(3))
    first, (line,) = found(point)
    theirs, (other,) = f(point)
    assert set(first) == {"x", "y"} and first["y"][1:] == [None, "text", 1.5, True]
    same(first["x"], theirs.x)
    assert line["slope"] == other.slope == 3
    same(found({"x": point.x, "y": point.y})[0]["x"], theirs.x)
    shifted = found(point, options={"shift": mg.constant(1.0)}, scale=3.0)
    same(shifted[0]["x"], mg.constant([4.0, 4.0]))
    concrete = f.get_concrete_function(Point(mg.ones(2), mg.zeros(3)))
    same(again(concrete)(p=point)[0]["x"], theirs.x)
    assert isinstance(f(point)[1][0], Line)


def test_a_signature_is_checked_on_every_call() -> None:
    found = again(nests())
    with pytest.raises(
        SpecError, match=r"it has graphs for \(\{'x': float32\[2\], 'y'.*traced again"
    ):
        found(Point(mg.ones(4), mg.zeros(3)))
    with pytest.raises(SpecError, match="graphs for"):
        found(Point(mg.ones(2), mg.zeros(3)), scale=5.0)
    with pytest.raises(SpecError, match="it takes"):
        found()
    with pytest.raises(SpecError, match=r"float32\[3\] came where float32\[\?,3\]"):
        again(Network()).predict(mg.ones(3))
    model = Network()
    concrete = again(model.predict.get_concrete_function())
    with pytest.raises(SpecError, match=r"float64\[2,3\]"):
        concrete(np.ones((2, 3)))


def test_one_polymorphic_graph_serves_all_lengths() -> None:
    f = mg.function(lambda x: x / mg.mean(x, axis=0))
    f.get_concrete_function(mg.TensorSpec((None, 2)))
    found = again(f)
    for n in (1, 4):
        assert found(mg.ones((n, 2))).shape == (n, 2)
    jitted = loaded_with_jit(f, jit=True)
    assert jitted(mg.ones((3, 2))).shape == (3, 2)


def test_the_graph_that_fits_best_is_taken() -> None:
    f = mg.function(lambda x: x.shape[0] if x.shape[0] else -1)
    f.get_concrete_function(mg.TensorSpec((None,)))
    f(mg.ones(2))
    found = again(f)
    assert found(mg.ones(2)) == 2 and found(mg.ones(3)) == -1
    assert found.get_concrete_function(mg.TensorSpec((2,)))(mg.ones(2)) == 2


def test_signatures_choose_what_is_saved() -> None:
    f = mg.function(lambda x: x * 2)
    found = again(f, signatures=[[mg.TensorSpec((2,))], mg.TensorSpec((3,), mg.float64)])
    assert len(found.concrete_functions) == 2
    assert found(np.ones(3)).dtype == mg.float64


def loaded_with_jit(obj: Any, *, jit: bool | None) -> Any:
    from io import BytesIO

    from minigrad.saved_model.model import read

    return read(BytesIO(dumped(obj)), {}, jit)


@pytest.mark.parametrize(("jit", "expected"), [(None, True), (False, False), (True, True)])
def test_jit_is_as_it_was_unless_one_says_so(jit: Any, expected: bool) -> None:
    model = Network()
    found = loaded_with_jit(model, jit=jit)
    assert found.loss.jit_compile is expected
    assert found.loss.concrete_functions[0].jit is expected
    assert found.predict.jit_compile is bool(jit)
    x = mg.ones((2, 3))
    same(found.loss(x), model.loss(x), rtol=1e-5)
    same(found.predict(x), model.predict(x), rtol=1e-5)
    assert ("define" in found.loss.compiler_ir(x, stage="llvm")) is True


def test_a_loaded_function_works_inside_others() -> None:
    model = Network()
    found = again(model)
    x = mg.ones((2, 3))
    for jit in (False, True):
        f = mg.function(lambda t: found.predict(t) + found.loss(t), jit_compile=jit)
        same(f(x), model.predict(x) + model.loss(x), rtol=1e-5)
        with mg.GradientTape() as tape:
            y = mg.sum(f(x))
        assert tape.gradient(y, found.w).shape == (3, 4)


def test_a_random_stream_goes_on_where_it_was() -> None:
    class Noise(mg.Module):
        def __init__(self) -> None:
            self.generator = mg.random.Generator(7)

        @mg.function(input_signature=[])
        def draw(self) -> Any:
            return self.generator.normal((3,))

    model = Noise()
    model.draw()
    found = again(model)
    same(found.draw(), model.draw())
    same(found.draw(), model.draw())


def test_pickle_and_copy_ship_the_graph() -> None:
    w = mg.Variable(2.0)
    concrete = mg.function(lambda x: mg.sin(x) * w).get_concrete_function(mg.TensorSpec((2,)))
    x = mg.ones(2)
    for other in (pickle.loads(pickle.dumps(concrete)), copy.deepcopy(concrete)):
        assert type(other) is LoadedConcrete
        same(other(x), concrete(x))
        assert other.variables[0] is not w
        same(mg.grad(lambda t, f=other: mg.sum(f(t)))(x), 2 * mg.cos(x))
    assert b"built" not in pickle.dumps(concrete).replace(b"builtins", b"")


def test_a_callback_stays_in_the_process_that_made_it() -> None:
    def opaque(x: Any) -> Any:
        return np.sinh(x)

    concrete = mg.function(
        lambda x: mg.cond(x > 0, lambda: mg.numpy_function(opaque, [x], mg.float32), lambda: x)
    ).get_concrete_function(mg.TensorSpec(()))
    with pytest.raises(mg.errors.ClientOnlyError, match="numpy_function 'opaque' in it") as caught:
        pickle.dumps(concrete)
    assert re.search(r"called at .*test_round_trip.py:\d+: it is Python", str(caught.value))


def test_loading_needs_no_source(tmp_path: Path) -> None:
    save(Network(), tmp_path / "model.mg")
    code = (
        "import sys, minigrad as mg\n"
        f"model = mg.saved_model.load({str(tmp_path / 'model.mg')!r})\n"
        "print(mg.grad(lambda x: mg.sum(model.predict(x)))(mg.ones((2, 3))).shape)\n"
        "print('tests' in sys.modules, 'llvmlite' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["(2, 3)", "False False"]


def test_a_process_that_never_asked_for_one_loads_a_product_with_a_hessian(tmp_path: Path) -> None:
    """Whether its None is a zero is decided by what runs, as an op in the graph."""

    @mg.function(input_signature=[mg.TensorSpec((), mg.float32)])
    def f(x: Any) -> Any:
        return mg.hvp(lambda x: mg.cond(x > 0, lambda: 2 * x, lambda: x * x), x, mg.ones(()))

    path = tmp_path / "f.mg"
    save(f, path)
    code = f"""
import minigrad as mg
f = mg.saved_model.load({str(path)!r})
print(f(mg.constant(1.0)).numpy(), f(mg.constant(-1.0)).numpy())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.0", "2.0"]


def test_errors_at_run_time_name_the_line_that_was_traced() -> None:
    f = mg.function(lambda x, i: x[i])
    found = again(f.get_concrete_function(mg.ones(3), mg.TensorSpec((), mg.int32)))
    with pytest.raises(IndexError) as caught:
        found(mg.ones(3), 7)
    assert "test_round_trip.py:" in "".join(caught.value.__notes__)
    assert "/" not in "".join(caught.value.__notes__).split("written at ")[1]


# what cannot be saved


def test_what_cannot_be_saved_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"before")
    untraced = mg.function(lambda x: x)
    with_object = mg.function(lambda x, how: x)
    with_object(mg.ones(1), print)
    cases: list[tuple[Any, str]] = [
        (untraced, r"was not traced yet.*signatures="),
        (with_object, "an argument of <lambda> was to be saved, and is builtin_function"),
        (mg.constant(1.0), "save of a Tensor"),
        ({"f": untraced}, "save of a dict"),
    ]
    for obj, words in cases:
        with pytest.raises(SaveError, match=words):
            save(obj, path)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


def test_a_graph_that_uses_an_outer_trace_is_refused() -> None:
    kept = []

    @mg.function
    def outer(x: Any) -> Any:
        inner = mg.function(lambda y: x * y)
        kept.append(inner.get_concrete_function(mg.TensorSpec(())))
        return inner(2.0)

    outer(mg.constant(1.0))
    with pytest.raises(SaveError, match="uses a tensor of the trace in which it was made"):
        dumped(kept[0])


def test_a_default_that_no_file_holds_is_only_needed_when_it_is_left_out() -> None:
    f = mg.function(lambda x, how=print: x * 2)
    f(mg.ones(2), 3)
    found = again(f)
    assert found(mg.ones(2), 3).shape == (2,)
    with pytest.raises(SpecError, match="not saved"):
        found(mg.ones(2))


def test_the_kinds_of_what_is_loaded() -> None:
    f = MODELS["control"]()
    assert isinstance(again(f), LoadedFunction) and isinstance(again(f), mg.Function)
    assert isinstance(again(f.get_concrete_function()), mg.ConcreteFunction)
    assert "control" in repr(again(f)) and "predict" in repr(again(Network()))
    with pytest.raises(SpecError, match=r"without a traced __call__.*predict"):
        again(Network())(1)
