"""The two doors in files: traced bodies as graphs, named ones bound again, all others refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import CallbackError, GradientError, SaveError
from minigrad.saved_model import load, save
from minigrad.saved_model.model import dumped, loaded
from tests.unit.modes import same

SPEC = mg.TensorSpec((2,), mg.float64)
X = mg.constant([0.5, -2.0], mg.float64)


def doubled(x: Any) -> Any:
    return x * 2


def opaque(func: Any = doubled, name: Any = None) -> Any:
    @mg.function(input_signature=[SPEC])
    def f(x: Any) -> Any:
        return mg.numpy_function(func, [x], mg.TensorSpec((2,), mg.float64), name=name) + x

    return f


# numpy_function


def test_a_numpy_function_is_refused_with_its_name_its_function_and_both_lines() -> None:
    with pytest.raises(SaveError) as caught:
        dumped(opaque())
    message = str(caught.value)
    for part in ("f was to be saved", "numpy_function 'doubled'", "test_python.py:", "no code"):
        assert part in message
    assert message.count("test_python.py:") == 2
    assert "save(..., callbacks=['doubled'])" in message


def test_a_named_numpy_function_is_bound_again_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "f.mg"
    save(opaque(), path, callbacks=["doubled"])
    found = load(path, callbacks={"doubled": lambda x: x * 10})
    same(found(X), X * 11)
    wrong = load(path, callbacks={"doubled": lambda x: x.astype(np.float32)})
    with pytest.raises(CallbackError, match=r"numpy_function of <lambda>.*float64\[2\].*float32"):
        wrong(X)
    raising = load(path, callbacks={"doubled": lambda x: [][0]})
    with pytest.raises(IndexError):
        raising(X)


def test_an_unbound_name_fails_when_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "f.mg"
    save(opaque(name="mine"), path, callbacks=["mine"])
    for callbacks in (None, {}, {"doubled": doubled}):
        with pytest.raises(SaveError, match=r"numpy_function 'mine'.*callbacks=\{'mine'"):
            load(path, callbacks=callbacks)
    with pytest.raises(SaveError, match="a name is bound to a function"):
        load(path, callbacks={"mine": 3})  # type: ignore[dict-item]


def test_one_name_for_two_functions_is_refused() -> None:
    @mg.function(input_signature=[SPEC])
    def f(x: Any) -> Any:
        y = mg.numpy_function(lambda t: t + 1, [x], SPEC)
        return mg.numpy_function(lambda t: t + 2, [y], SPEC)

    with pytest.raises(SaveError, match="two functions have this name"):
        dumped(f, ["<lambda>"])


def test_a_name_that_nothing_has_is_refused() -> None:
    with pytest.raises(SaveError, match="by the name 'double'"):
        dumped(opaque(), ["double", "doubled"])
    with pytest.raises(SaveError, match=r"write \['doubled'\]"):
        dumped(opaque(), "doubled")


def test_order_and_effects_of_a_bound_body_are_kept(tmp_path: Path) -> None:
    log: list[str] = []

    @mg.function(input_signature=[SPEC])
    def f(x: Any) -> Any:
        mg.numpy_function(lambda t: log.append("first"), [x], [], name="first")
        mg.cond(x[0] > 0, lambda: mg.numpy_function(doubled, [x], SPEC, name="b"), lambda: x)
        y = mg.numpy_function(doubled, [x], SPEC, stateful=False, name="pure")
        return y

    save(f, tmp_path / "f.mg", callbacks=["first", "b", "pure"])
    found = load(
        tmp_path / "f.mg",
        callbacks={
            "first": lambda t: log.append("1"),
            "b": lambda t: (log.append("2"), t)[1],
            "pure": lambda t: (log.append("3"), t)[1],
        },
    )
    same(found(X), X)
    assert log == ["1", "2", "3"]


def test_a_hand_written_gradient_around_a_bound_body_is_kept(tmp_path: Path) -> None:
    @mg.custom_gradient
    def sinh(x: Any) -> Any:
        return mg.numpy_function(np.sinh, [x], SPEC), lambda g: g * mg.cosh(x)

    f = mg.function(sinh, input_signature=[SPEC])
    save(f, tmp_path / "f.mg", callbacks=["sinh"])
    found = load(tmp_path / "f.mg", callbacks={"sinh": np.sinh})
    same(mg.grad(lambda x: mg.sum(found(x)))(X), mg.cosh(X))
    same(mg.grad(lambda x: mg.sum(mg.grad(lambda y: mg.sum(found(y)))(x)))(X), mg.sinh(X))
    with pytest.raises(mg.errors.UncompilableError, match=r"sinh.*test_python.py"):
        load(tmp_path / "f.mg", callbacks={"sinh": np.sinh}, jit_compile=True)


def test_how_vmap_calls_a_bound_body_is_kept(tmp_path: Path) -> None:
    shapes = []

    @mg.function(input_signature=[SPEC])
    def f(x: Any) -> Any:
        return mg.numpy_function(doubled, [x], SPEC, vmap_method="broadcast_all")

    def seen(x: Any) -> Any:
        shapes.append(x.shape)
        return x * 2

    save(f, tmp_path / "f.mg", callbacks=["doubled"])
    found = load(tmp_path / "f.mg", callbacks={"doubled": seen})
    same(mg.vmap(found)(mg.stack([X, X, X])), mg.stack([X, X, X]) * 2)
    assert shapes == [(3, 2)]


# py_function


def test_a_body_that_can_be_traced_is_saved_as_a_graph() -> None:
    w = mg.Variable(3.0, dtype=mg.float64)
    count = mg.Variable(0)
    table = mg.constant([1, 2])

    def body(x: Any) -> Any:
        count.assign_add(1)
        return mg.sin(x) * w, table

    @mg.function(input_signature=[SPEC])
    def f(x: Any) -> Any:
        y, z = mg.py_function(body, [x], [mg.float64, mg.int32])
        return y * x, z

    found = loaded(dumped(f))
    count.assign(0)
    y, z = found(X)
    same(y, mg.sin(X) * 3 * X)
    assert z.numpy().tolist() == [1, 2] and count.item() == 0
    assert {v.shape for v in found.variables} == {()} and len(found.variables) == 2
    assert sorted(v.item() for v in found.variables) == [1, 3.0]
    with mg.GradientTape() as tape:
        tape.watch(X)
        total = mg.sum(found(X)[0])
    theirs = mg.GradientTape()
    with theirs:
        theirs.watch(X)
        other = mg.sum(f(X)[0])
    scale = next(v for v in found.variables if v.dtype == mg.float64)
    same(tape.gradient(total, [X, scale]), theirs.gradient(other, [X, w]))


def test_bodies_in_bodies_and_in_branches_are_traced() -> None:
    def inner(x: Any) -> Any:
        return x * x

    def outer(x: Any) -> Any:
        return mg.py_function(inner, [x], mg.float64) + 1

    @mg.function(input_signature=[SPEC])
    def f(x: Any) -> Any:
        return mg.cond(x[0] > 0, lambda: mg.py_function(outer, [x], SPEC), lambda: x)

    found = loaded(dumped(f))
    same(found(X), f(X))
    same(mg.jacobian(found)(X), mg.jacobian(f)(X))


@pytest.mark.parametrize("hidden", [False, True])
def test_derivatives_of_a_body_that_were_taken_inside_are_saved(hidden: bool) -> None:
    w = mg.Variable(2.0, dtype=mg.float64)

    def body(x: Any) -> Any:
        return x**3 * (w if hidden else 2.0)

    @mg.function(input_signature=[SPEC])
    def slope(x: Any) -> Any:
        return mg.grad(lambda t: mg.sum(mg.py_function(body, [t], SPEC)))(x)

    found = loaded(dumped(slope))
    same(found(X), 6 * X * X)
    same(mg.grad(lambda x: mg.sum(found(x)))(X), 12 * X)
    if hidden:
        found.variables[0].assign(4.0)
        same(found(X), 12 * X * X)


def test_a_result_that_is_promised_is_checked_when_it_runs() -> None:
    @mg.function(input_signature=[mg.TensorSpec(None, mg.float64)])
    def f(x: Any) -> Any:
        return mg.py_function(lambda t: t * 2, [x], SPEC)

    found = loaded(dumped(f))
    same(found(X), X * 2)
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)|ensure_shape"):
        found(mg.ones(3, dtype=mg.float64))


def test_a_body_that_decides_by_values_is_refused_or_bound(tmp_path: Path) -> None:
    w = mg.Variable(2.0, dtype=mg.float64)

    def decides(x: Any) -> Any:
        return x * w if x[0] > 0 else -x

    @mg.function(input_signature=[SPEC])
    def f(x: Any) -> Any:
        return mg.py_function(decides, [x], SPEC)

    with pytest.raises(SaveError, match=r"py_function 'decides'.*cannot be traced: TraceError"):
        dumped(f)
    path = tmp_path / "f.mg"
    save(f, path, callbacks=["decides"])
    found = load(path, callbacks={"decides": lambda x: x * x if x[0] > 0 else -x})
    same(found(X), X * X)
    same(mg.grad(lambda x: mg.sum(found(x)))(X), 2 * X)
    # a Variable that the new body brings along is not among the inputs of the graph
    with mg.GradientTape() as tape:
        tape.watch(X)
        y = load(path, callbacks={"decides": decides})(X)
    with pytest.raises(GradientError, match="pass it in inp"):
        tape.gradient(y, X)


def test_a_python_rule_that_was_not_traced_is_refused() -> None:
    @mg.custom_gradient
    def constant() -> Any:
        return mg.constant(1.0), lambda g: []

    f = mg.function(lambda: constant(), input_signature=[])
    graph = f.get_concrete_function().graph
    assert [node.op.name for node in graph.nodes] == ["custom_gradient"]
    with pytest.raises(SaveError, match=r"custom_gradient of .*test_python.py.*Python function"):
        dumped(f)
