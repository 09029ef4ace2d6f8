"""tape.explain: every kind of cut in words, with the op and the user's line."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from tests.unit.modes import both, words

F32 = mg.float32


class Case(NamedTuple):
    """A body of (x, u), what cuts its derivative by x, and in which op."""

    body: Callable[[Any, Any], Any]
    kind: str
    op: str


STATE = mg.Variable(0.0)


def through_state(x: Any, u: Any) -> Any:
    STATE.assign(x * 2.0)
    return STATE * 1.0


def opaque(x: Any, u: Any) -> Any:
    return mg.numpy_function(np.sinh, [x * 2.0], F32) + u


CUTS = [
    Case(opaque, "opaque", "sinh"),
    Case(lambda x, u: mg.exp(mg.floor(x)) * u, "no derivative", "floor"),
    Case(lambda x, u: mg.stop_gradient(x * 2.0) + u, "stop_gradient", "stop_gradient"),
    Case(lambda x, u: mg.astype(mg.astype(x, mg.int32), F32) + u, "integer", "cast"),
    Case(lambda x, u: mg.where(x > 0, u, -u), "no derivative", "greater"),
    Case(through_state, "assignment", "assign_variable"),
    Case(lambda x, u: u * 2.0, "not connected", ""),
]


@both
@pytest.mark.parametrize("case", CUTS, ids=lambda case: f"{case.kind} {case.op}")
def test_every_cut_is_named(mode: Any, case: Case) -> None:
    x, u = mg.constant(1.5), mg.constant(2.0)
    f = mode(case.body)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([x, u])
        y = f(x, u)
    assert tape.gradient(y, x) is None
    found = tape.explain(y, x)
    assert (found.connected, found.kind, found.op) == (False, case.kind, case.op)
    if case.op:
        assert found.where.startswith(f"{__file__}:")
    assert str(found).startswith("the gradient is None: the path") and found.remedy in str(found)


def test_what_is_not_watched() -> None:
    x, u = mg.constant(1.5), mg.constant(2.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(u)
        y = x * u
    assert words(tape.explain(y, x)) == (
        "the gradient is None: the path does not exist (not watched): the source, float32[], was "
        "not followed; call tape.watch(x) before x is used, or make x a mg.Variable"
    )


def test_what_was_computed_outside_of_the_block() -> None:
    x = mg.constant(1.5)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
    y = x * x
    assert words(tape.explain(y, x)) == (
        "the gradient is None: the path does not exist (not recorded): the tape did not see how "
        "the target was made; compute the target inside `with mg.GradientTape()`, in the thread "
        "and context of the tape, from the tensor that is watched, after it is watched; a constant "
        "has no gradient"
    )


def test_the_words_for_a_cut() -> None:
    x = mg.constant(1.5)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = mg.floor(x) * 2.0
    assert words(tape.explain(y, x)) == (
        "the gradient is None: the path is cut by floor at test_explain.py:LINE (no derivative): "
        "piecewise constant; use a smooth function in its place, or give it a derivative with "
        "mg.custom_gradient"
    )


@both
def test_the_way_of_a_gradient_is_told_source_first(mode: Any) -> None:
    x = mg.constant([1.0, 2.0])
    f = mode(lambda x: mg.sum(mg.exp(x) + mg.floor(x) * 2.0))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    found = tape.explain(y, x)
    assert found.connected and (found.kind, found.remedy) == ("", "")
    assert [step.split()[0] for step in found.path] == ["exp", "add", "reduce_sum"]
    line = "test_explain.py:LINE"
    assert words(found) == (
        "the gradient flows through 3 ops, source first:\n"
        f"  exp at {line}\n  add at {line}\n  reduce_sum at {line}"
    )


def test_the_target_may_be_the_source() -> None:
    x = mg.constant(1.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
    assert "the target is the source" in str(tape.explain(x, x))


def test_two_calls_of_one_function_are_kept_apart() -> None:
    f = mg.function(lambda x: mg.exp(x) * 2.0)
    x, u = mg.constant(1.0), mg.constant(2.0)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([x, u])
        y, z = f(x), f(u)
    assert tape.explain(y, x).connected and tape.explain(z, u).connected
    assert not tape.explain(y, u).connected and not tape.explain(z, x).connected


def test_calls_are_looked_into_at_any_depth() -> None:
    inner = mg.function(lambda x: mg.floor(x))
    middle = mg.function(lambda x: inner(x) * 2.0)
    outer = mg.function(lambda x: (middle(x) + 1.0, x, x))
    x = mg.constant(1.5)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, a, b = outer(x)
    assert tape.explain(y, x).op == "floor"
    assert tape.explain(a, x).connected and tape.explain(b, x).connected


def test_variables_are_explained_by_themselves() -> None:
    v, w = mg.Variable(2.0, name="v"), mg.Variable(1.0)
    with mg.GradientTape(persistent=True) as tape:
        y = v * mg.floor(w)
    assert tape.explain(y, v).connected
    assert tape.explain(y, w).op == "floor"


def test_explain_agrees_with_gradient_on_random_programs() -> None:
    rng = np.random.default_rng(0)
    smooth = [mg.exp, mg.sin, lambda x: x * 2.0, lambda x: x + 1.0]
    cutting = [mg.floor, mg.stop_gradient, mg.round]
    connected = 0
    for _ in range(60):
        sources = [mg.constant(float(n)) for n in range(3)]
        with mg.GradientTape(persistent=True) as tape:
            tape.watch(sources)
            values = list(sources)
            for _ in range(8):
                step = [*smooth, *cutting][rng.integers(7)]
                made = step(values[rng.integers(len(values))])
                values.append(
                    made * values[rng.integers(len(values))] if rng.random() < 0.5 else made
                )
        for x in sources:
            has = tape.gradient(values[-1], x) is not None
            assert tape.explain(values[-1], x).connected == has
            connected += has
    assert 20 < connected < 160


def test_a_tensor_used_beside_the_arguments_of_a_rule_by_hand_is_explained() -> None:
    w, x = mg.constant(3.0), mg.constant(2.0)

    @mg.custom_gradient
    def layer(x: Any) -> Any:
        return w * x, lambda g: g * w

    with mg.GradientTape(persistent=True) as tape:
        tape.watch([w, x])
        y = layer(x)
    assert tape.gradient(y, w) is None
    assert "cotangents of the arguments alone" in str(tape.explain(y, w))


def test_a_tape_that_followed_nothing_still_explains_why() -> None:
    x = mg.constant(2.0)
    with mg.GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x) is None
    assert "not watched" in str(tape.explain(y, x))


# branches and loops


def opaque_step(y: Any) -> Any:
    return mg.numpy_function(np.tanh, [y], mg.TensorSpec((2,), F32))


BODIES = [(opaque_step, "tanh"), (mg.floor, "floor"), (mg.stop_gradient, "stop_gradient")]
FLOWS = {
    "cond": lambda f, x: mg.cond(mg.sum(x) > 0, lambda: f(x), lambda: x * 2.0),
    "switch": lambda f, x: mg.switch(mg.constant(1), [lambda: x, lambda: f(x)]),
    "while_loop": lambda f, x: mg.while_loop(
        lambda i, y: i < 2, lambda i, y: (i + 1, f(y)), (mg.constant(0), x)
    )[1],
    "fori_loop": lambda f, x: mg.fori_loop(0, 50, lambda i, y: f(y), x),
    "scan": lambda f, x: mg.scan(lambda c, r: (f(c + r), c), x, mg.stack([x, x]))[0],
    "map": lambda f, x: mg.map(lambda r: f(x + r), x),
}


@both
@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[1])
def test_cuts_in_the_branch_or_rounds_that_ran_are_named(mode: Any, flow: str, body: Any) -> None:
    x = mg.constant([1.0, 2.0])
    f = mode(lambda x: FLOWS[flow](body[0], x))
    g = mode(lambda x: FLOWS[flow](body[0], x) + mg.sin(x))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, z = f(x), g(x)
    found = tape.explain(y, x)
    assert tape.gradient(y, x) is None and (found.connected, found.op) == (False, body[1])
    assert found.where.startswith(f"{__file__}:")
    lost = tape.explain(z, x)
    named = {cut.op for cut in lost.cuts}
    assert lost.connected and named == ({body[1]} - {"floor"})  # of floor there is nothing to lose


def test_the_branch_that_did_not_run_cuts_nothing() -> None:
    f = mg.function(lambda x: mg.cond(mg.sum(x) > 0, lambda: mg.sin(x), lambda: mg.floor(x)))
    x, u = mg.constant([1.0, 2.0]), mg.constant([-1.0, 0.0])
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([x, u])
        y, z = f(x), f(u)
    assert tape.explain(y, x).connected and tape.explain(z, u).op == "floor"
    assert [step.split()[0] for step in tape.explain(y, x).path] == ["sin", "switch"]


@pytest.mark.parametrize("count", [0, 1, 2, 33, 34])
@pytest.mark.parametrize("mode", [mg.function, mg.function(jit_compile=True)])
def test_as_many_rounds_are_seen_as_tell_what_reaches_what(mode: Any, count: int) -> None:
    f = mode(lambda a, b: mg.fori_loop(0, count, lambda i, s: (s[1], mg.sin(s[0])), (a, b))[0])
    a, b = mg.constant(0.5), mg.constant(0.25)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([a, b])
        y = f(a, b)
    for i, x in enumerate((a, b)):
        assert tape.explain(y, x).connected == (tape.gradient(y, x) is not None) == (count % 2 == i)


def test_what_only_decides_is_named_where_nothing_else_leads_to_the_target() -> None:
    x, u = mg.constant(1.5), mg.constant(2.0)
    chosen = mg.function(lambda x, u: mg.cond(x > 1, lambda: u * 2.0, lambda: u))
    grown = mg.function(
        lambda x, u: mg.while_loop(lambda y: mg.exp(x) * 9 > y, lambda y: y * 2.0, u)
    )
    with mg.GradientTape(persistent=True) as tape:
        tape.watch([x, u])
        y, z = chosen(x, u), grown(x, u)
    for target in (y, z):
        assert tape.gradient(target, x) is None
        assert (tape.explain(target, x).op, tape.explain(target, x).kind) == (
            "greater",
            "no derivative",
        )
        assert tape.explain(target, u).connected


# more than one path


def lookup(a: Any) -> Any:
    return np.sinh(a)


@both
def test_a_gradient_that_misses_a_part_says_where_it_is_lost(mode: Any) -> None:
    x = mg.constant(1.5)
    f = mode(lambda x: mg.numpy_function(lookup, [mg.exp(x)], F32) * x + mg.floor(x))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    found = tape.explain(y, x)
    assert found.connected and [cut.op for cut in found.cuts] == ["lookup"]
    assert words(found).splitlines()[-1] == (
        "but not through lookup at test_explain.py:LINE (opaque): its body is NumPy code, which "
        "minigrad cannot see into; write the body with minigrad's functions and use "
        "mg.py_function, or give it a derivative with mg.custom_gradient"
    )


def test_a_part_that_is_lost_twice_in_a_row_is_lost() -> None:
    x = mg.constant(1.5)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = mg.stop_gradient(mg.stop_gradient(x) * 2.0) + mg.sin(x)
        z = mg.floor(mg.stop_gradient(x)) + mg.sin(x)
    assert [cut.op for cut in tape.explain(y, x).cuts] == ["stop_gradient"]
    assert tape.explain(z, x).cuts == ()


def test_all_cuts_are_named() -> None:
    x = mg.constant(1.5)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = mg.floor(x) + mg.stop_gradient(x) * mg.astype(mg.astype(x, mg.int32), F32)
    found = tape.explain(y, x)
    assert [cut.kind for cut in found.cuts] == ["no derivative", "stop_gradient", "integer"]
    assert [line.split()[0] for line in str(found).splitlines()] == ["the", "and", "and"]


@pytest.mark.parametrize("mode", [lambda f: f, mg.function, mg.function(jit_compile=True)])
def test_a_gradient_of_zeros_is_explained(mode: Any) -> None:
    x = mg.constant(1.5)
    f = mode(lambda x: mg.exp(mg.sign(x * 2.0)))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
        z = y + x
    assert tape.gradient(y, x).item() == 0.0
    assert words(tape.explain(y, x)) == (
        "the gradient is zero: its path leads through sign at test_explain.py:LINE: piecewise "
        "constant; use a smooth function in its place, such as mg.tanh for mg.sign, or give it a "
        "derivative with mg.custom_gradient"
    )
    assert tape.explain(z, x).kind == "" and tape.explain(z, x).connected


@both
def test_a_value_that_escaped_is_explained_with_its_line(mode: Any) -> None:
    x = mg.constant(1.5)

    def body(x: Any) -> Any:
        return mg.exp(mg.constant(x.numpy()) * 2.0)

    f = mode(lambda x: mg.py_function(body, [x], F32))
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    found = tape.explain(y, x)
    assert (found.connected, found.kind) == (False, "escape")
    assert found.where.endswith(f"test_explain.py:{body.__code__.co_firstlineno + 1}")
    assert "mg.stop_gradient(x).numpy()" in str(found)


# pictures


def test_the_picture_shows_the_cut_edges_in_red() -> None:
    x = mg.constant([1.0, 2.0])
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = mg.sum(mg.numpy_function(lookup, [mg.exp(x)], F32) * mg.stop_gradient(x) + mg.sin(x))
    picture = mg.visualize.svg(tape.explain(y, x)).text
    # one arrow to each cut, and one away from it
    assert picture.count('class="mg-e mg-x"') == 4 and picture.count("✂") == 2
    for text in ("source", "target", "lookup", "exp", "test_explain.py:", "NumPy code"):
        assert text in picture
    connected = mg.visualize.svg(tape.explain(mg.constant(1.0), x)).text
    assert "mg-x" not in connected.split("</style>")[1]


def test_notebooks_show_words_and_picture() -> None:
    x = mg.constant(1.5)
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = mg.numpy_function(lambda a: a, [x], F32, name="a<b")
    shown = tape.explain(y, x)._repr_html_()
    assert shown.startswith("<pre") and "<svg" in shown
    assert "a&lt;b" in shown and "a<b" not in shown
    with mg.GradientTape(persistent=True) as tape:
        pass
    assert "<svg" not in tape.explain(y, x)._repr_html_()


def test_the_error_of_a_missing_path_carries_the_explanation() -> None:
    x = mg.constant(1.5)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mg.floor(x)
    with pytest.raises(mg.errors.GradientError) as caught:
        tape.gradient(y, x, unconnected_gradients="raise")
    assert caught.value.explanation == tape.explain(y, x)
    assert str(caught.value) == str(caught.value.explanation)


def test_an_op_that_waits_for_the_rank_goes_by_the_name_of_its_function() -> None:
    x = mg.constant([1.0, 2.0])
    f = mg.function(lambda x: mg.mean(x, axis=0), input_signature=[mg.TensorSpec(None, F32)])
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    assert tape.explain(y, x).path[0].startswith("mean at ")
    assert "mean" in f.capability_report(x) and "mean" in mg.visualize.svg(tape.explain(y, x)).text
