"""What `make oracle` rests on: observations, judgement and the page of intended differences.

TensorFlow is not needed here; minigrad's side of each intended difference is held all the same.
"""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from oracle import scenario as scenarios
from oracle.chance import described
from oracle.dialects import Minigrad
from oracle.intended import INTENDED, Difference, PageError, parsed
from oracle.judge import judge
from oracle.observe import alike, observed, shown
from oracle.scenario import SCENARIOS, BrokenScenarioError, looked_at, play, scenario
from oracle.scenarios import load

load()
XP = Minigrad()
STATED = sorted({one.scenario for one in INTENDED})


def f32(*values: float) -> Any:
    return observed(np.array(values, np.float32))


def raises() -> Any:
    raise ValueError("no")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STATED)
def test_minigrad_differs_as_the_page_states(name: str) -> None:
    seen = play(name, XP)
    for one in INTENDED:
        if one.scenario == name:
            assert shown(seen[one.label]) == one.minigrad, one.because


def test_there_are_scenarios_enough_and_each_has_its_own_name() -> None:
    assert len(SCENARIOS) >= 150
    assert SCENARIOS.keys() >= set(STATED)
    with pytest.raises(BrokenScenarioError, match="name of its own"):
        scenario(SCENARIOS[STATED[0]])


def test_observations_tell_apart_what_differs() -> None:
    x = f32(1, 2)
    assert alike(x, observed(mg.constant([1.0, 2.0])))
    assert alike(x, f32(1, np.nextafter(np.float32(2), np.float32(3))))
    assert alike(f32(np.nan, np.inf), f32(np.nan, np.inf))
    for other in (
        f32(1, 2.001),
        f32(1, np.nan),
        f32(1),
        observed(np.array([1.0, 2.0])),
        observed(np.array([[1.0, 2.0]], np.float32)),
        None,
        [1.0, 2.0],
        {"raises": "ValueError", "message": ""},
    ):
        assert not alike(x, observed(other) if type(other) is list else other)
        assert not alike(observed(other) if type(other) is list else other, x)
    assert not alike(observed([1, 2]), observed((1, 2)))
    assert not alike(observed({"a": 1}), observed({"a": 1, "b": 1}))
    assert not alike(True, 1) and not alike(1, 1.0) and not alike("a", "b")
    assert alike({"raises": "A", "message": "a"}, {"raises": "B", "message": "b"})


def test_observations_are_shown() -> None:
    nest = {"a": [None, True, "b"], "c": (mg.constant([[1.5, 2.0]]), np.int64(7))}
    assert shown(observed(nest)) == "{a: [None, True, 'b'], c: (float32[1,2] 1.5 2, int64[] 7)}"
    assert shown(observed(np.arange(20))).endswith("11 ... of 20")
    assert shown(looked_at(raises)) == "raises"


STATEMENT = Difference("s", "x", "float32[1] 1", "float32[1] 2", "reasons")


@pytest.mark.parametrize(
    "theirs, ours, expected, complaint, intended",
    [
        (f32(1), f32(1), [], None, 0),
        (f32(1), f32(2), [], "x: TensorFlow float32[1] 1 | minigrad float32[1] 2", 0),
        (f32(1), f32(2), [STATEMENT], None, 1),
        (f32(1), f32(1), [STATEMENT], "which agree", 0),
        (f32(1), f32(3), [STATEMENT], "stated as float32[1] 1 | float32[1] 2", 0),
        (f32(1), {"raises": "E", "message": "m"}, [], "minigrad raises E: m", 0),
        (f32(1), f32(1), [STATEMENT._replace(label="y")], "y: TensorFlow", 0),
        (f32(7), f32(2), [STATEMENT._replace(tensorflow="varies")], None, 1),
        (f32(2), f32(2), [STATEMENT._replace(tensorflow="varies")], None, 1),
        (f32(2), f32(3), [STATEMENT._replace(tensorflow="varies")], "stated as varies", 0),
    ],
)
def test_judgement(theirs: Any, ours: Any, expected: Any, complaint: Any, intended: int) -> None:
    verdict = judge({"x": theirs}, {"x": ours}, expected)
    assert len(verdict.intended) == intended
    if complaint is None:
        assert verdict.complaints == []
    else:
        assert complaint in verdict.complaints[0]


def test_an_observation_that_only_one_made_is_a_complaint() -> None:
    assert judge({"x": 1, "y": 2}, {"x": 1}, []).complaints
    assert judge({"x": 1}, {"x": 1, "y": 2}, []).complaints


def test_a_page_is_read() -> None:
    page = "A title\n\nA reason\nof two lines.\n\n    s: a, b: raises | [1, 2]\n    t: c: 1 | 2\n"
    reason = "A reason of two lines."
    assert parsed(page) == [
        Difference("s", "a, b", "raises", "[1, 2]", reason),
        Difference("t", "c", "1", "2", reason),
    ]
    with pytest.raises(PageError, match="s: a: 1"):
        parsed("Why.\n\n    s: a: 1\n")


def test_a_scenario_that_fails_where_nothing_is_observed_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scenarios, "SCENARIOS", {})

    @scenario
    def slips(xp: Any) -> Any:
        yield "a name", lambda: xp.no_such_op(1)

    @scenario
    def says_twice(xp: Any) -> Any:
        yield "x", 1
        yield "x", 2

    @scenario
    def fails(xp: Any) -> Any:
        yield "x", 1
        raises()

    for name, words in (("slips", "no_such_op"), ("says_twice", "'x'"), ("fails", r"\['x'\]: Val")):
        with pytest.raises(BrokenScenarioError, match=words):
            play(name, XP)


def test_a_program_drawn_by_chance_is_the_same_each_time_and_says_what_it_is() -> None:
    first, again, other = play("random_7", XP), play("random_7", XP), play("random_8", XP)
    assert all(alike(first[label], again[label]) for label in first) and len(first) >= 9
    assert not alike(first["value"], other["value"])
    assert alike(first["value"], first["value compiled"])
    assert described("random_7").startswith("2: ") and described("slices") == ""
