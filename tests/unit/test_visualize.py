"""Pictures: boxes that do not overlap, arrows that point down, text that is escaped."""

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.core.spec import Spec
from minigrad.passes.fuse import fuse
from minigrad.passes.pipeline import optimize
from minigrad.visualize import diagram
from minigrad.visualize.diagram import of_graph
from minigrad.visualize.layout import Layout, inversions, layered
from tests.unit.graphs import EXAMPLES, graph_of, traced

FLOATS = Spec((3,), np.float32)


def elements(svg: mg.visualize.SVG, name: str) -> list[ET.Element]:
    """The elements of a picture with this tag."""
    return list(ET.fromstring(svg.text).iter(f"{{http://www.w3.org/2000/svg}}{name}"))


def texts(svg: mg.visualize.SVG, name: str = "text") -> list[str]:
    """What the elements of a tag say."""
    return [element.text or "" for element in elements(svg, name)]


# layout


@st.composite
def dags(draw: Any) -> tuple[list[tuple[float, float]], list[tuple[int, int]]]:
    """Sizes of boxes, and edges that lead to higher indices."""
    sizes = draw(st.lists(st.tuples(st.floats(10, 90), st.floats(10, 60)), max_size=12))
    pairs = list(itertools.combinations(range(len(sizes)), 2))
    return sizes, draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []


@given(dags())
def test_boxes_do_not_overlap_and_arrows_point_down(dag: Any) -> None:
    sizes, edges = dag
    layout = layered(sizes, edges)
    assert [(p.width, p.height) for p in layout.boxes] == sizes
    for p, q in itertools.combinations(layout.boxes, 2):
        apart = abs(p.x - q.x) >= (p.width + q.width) / 2 - 1e-6
        assert apart or p.y + p.height < q.y or q.y + q.height < p.y
    for p in layout.boxes:
        assert p.x - p.width / 2 >= -1e-6 and p.x + p.width / 2 <= layout.width + 1e-6
        assert p.y + p.height <= layout.height + 1e-6
    for start, end in edges:
        assert layout.boxes[start].y + layout.boxes[start].height < layout.boxes[end].y
    assert all(upper.layer + 1 == lower.layer for upper, lower in layout.joints)


@given(dags())
def test_joints_lead_from_every_start_to_every_end(dag: Any) -> None:
    sizes, edges = dag
    layout = layered(sizes, edges)
    for start, end in edges:
        reached, fresh = set(), {layout.boxes[start]}
        while fresh:
            reached |= fresh
            below = {q for p in fresh for q in p.below if q.trunk or q is layout.boxes[end]}
            fresh = below - reached
        assert layout.boxes[end] in reached


def crossed(layout: Layout) -> int:
    pairs = itertools.combinations(layout.joints, 2)
    return sum((a.x - c.x) * (b.x - d.x) < 0 and a.layer == c.layer for (a, b), (c, d) in pairs)


def test_arrows_that_need_not_cross_do_not() -> None:
    layout = layered([(20, 20)] * 6, [(0, 5), (1, 4), (2, 3), (0, 4)])
    assert crossed(layout) == 0


def test_a_chain_is_straight() -> None:
    layout = layered([(20, 20), (60, 20), (30, 20), (10, 20)], [(0, 1), (1, 2), (2, 3)])
    assert {p.x for p in layout.boxes} == {30.0}


def test_what_starts_late_stands_late() -> None:
    layout = layered([(20, 20)] * 4, [(0, 1), (1, 3), (2, 3)])
    assert layout.boxes[2].layer == 1


@given(st.lists(st.integers(0, 9)))
def test_inversions_are_counted(values: list[int]) -> None:
    assert inversions(values) == sum(a > b for a, b in itertools.combinations(values, 2))


# pictures


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_graph_has_a_picture(name: str) -> None:
    graph = traced(name)[0]
    picture = mg.visualize.svg(graph)
    assert texts(picture)[0] == name
    for node in graph.nodes:
        assert any(node.op.name in text for text in texts(picture))


def test_boxes_show_op_name_and_spec() -> None:
    said = texts(mg.visualize.svg(graph_of(lambda x: [mg.sum(x * 2.5, axis=0)], FLOATS)))
    for text in ("multiply", "·, 2.5", "v1 float32[3]", "reduce_sum", "axes=(0,)", "output"):
        assert text in said


def test_a_pointer_is_told_the_line_of_the_user() -> None:
    graph = graph_of(lambda x: [mg.sin(x)], FLOATS)
    line = test_a_pointer_is_told_the_line_of_the_user.__code__.co_firstlineno + 1
    assert f"v1 = sin(v0)\n{__file__}:{line}" in texts(mg.visualize.svg(graph), "title")


def kinds(what: Any) -> dict[str, str]:
    """The kinds of the boxes of a graph, by title."""
    return {box.title: box.kind for box in of_graph(what).boxes}


def test_kinds_say_what_a_node_does() -> None:
    variable = mg.Variable(np.ones(3, np.float32), name="w")

    def body(x: Any) -> list[Any]:
        y = mg.sum(mg.reshape(x, (3, 1)) @ mg.reshape(x + variable, (1, 3)), axis=1)
        y = mg.numpy_function(np.sinh, [y], FLOATS)
        y = mg.py_function(abs, [y], FLOATS, name="size")
        return [mg.sort(y)]

    found = kinds(graph_of(body, FLOATS))
    expected = {
        "add": "pointwise",
        "reshape_to": "move",
        "matrix_product": "product",
        "reduce_sum": "reduction",
        "w": "variable",
        "read_variable": "variable",
        "sinh": "opaque",
        "size": "python",
        "v0": "input",
        "output": "output",
    }
    assert expected.items() <= found.items()


def test_opaque_boxes_are_red() -> None:
    graph = graph_of(lambda x: [mg.numpy_function(np.sinh, [x], mg.float32)], FLOATS)
    boxes = [r for r in elements(mg.visualize.svg(graph), "rect") if r.get("stroke") == "#cf2e2e"]
    assert len(boxes) == 2  # its own, and that of the legend


def test_fused_groups_hold_their_graphs() -> None:
    graph = graph_of(lambda x: [mg.sin(x) * 2], FLOATS)
    fused = of_graph(fuse(optimize(graph)))
    (group,) = [box for box in fused.boxes if box.kind == "group"]
    (inner,) = group.parts
    assert [box.title for box in inner.boxes] == ["v0", "sin", "multiply", "v1"]
    assert "sin" in texts(mg.visualize.svg(fuse(optimize(graph))))


def test_branches_and_bodies_are_drawn_under_their_names() -> None:
    said = texts(mg.visualize.svg(traced("decisions")[0]))
    for text in ("branches 0", "branches 1", "condition", "body", "cos", "less"):
        assert text in said


def test_a_concrete_function_is_its_graph() -> None:
    f = mg.function(lambda x: mg.sin(x))
    concrete = f.get_concrete_function(FLOATS)
    assert mg.visualize.svg(concrete).text == mg.visualize.svg(concrete.graph).text


def test_a_tape_shows_what_it_has_recorded() -> None:
    x = mg.constant([1.0, 2.0])
    variable = mg.Variable([1.0, 2.0], name="v")
    with mg.GradientTape() as tape:
        tape.watch(x)
        mg.sin(x) * variable + mg.ones(2)
    said = texts(mg.visualize.svg(tape))
    for text in ("watched", "v", "tensor", "sin", "multiply", "add", "read_variable"):
        assert text in said


def test_text_is_escaped() -> None:
    graph = graph_of(
        lambda x: [mg.numpy_function(np.sinh, [x], mg.float32, name="<b>&'\"")], FLOATS
    )
    picture = mg.visualize.svg(graph)
    assert "<b>&'\"" in texts(picture)
    assert "<b>" not in picture.text


def test_a_picture_can_be_saved_and_shown(tmp_path: Path) -> None:
    picture = mg.visualize.svg(graph_of(lambda x: [mg.sin(x)], FLOATS))
    picture.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text("utf-8") == picture.text == str(picture)
    assert picture.text in picture._repr_html_()


def test_long_graphs_are_drawn_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagram, "MOST", 5)

    def body(x: Any) -> list[Any]:
        for _ in range(8):
            x = mg.sin(x)
        return [x]

    said = texts(mg.visualize.svg(graph_of(body, FLOATS)))
    assert said.count("sin") == 5 and "… and 3 more nodes" in said


def test_what_has_no_picture_is_refused() -> None:
    with pytest.raises(mg.errors.SpecError, match=r"graph_for\(x\)"):
        mg.visualize.svg(3)


MODEL = """
import numpy as np
import minigrad as mg

table = np.linspace(0, 1, 64, dtype=np.float32)

def look_up(x):
    return np.interp(x, table, np.sqrt(table)).astype(np.float32)

x = mg.constant([0.3, 0.5])
with mg.GradientTape() as tape:
    tape.watch(x)
    inside = mg.tanh(x)
    bent = mg.numpy_function(look_up, [inside], mg.float32)
    steps = mg.floor(8.0 * inside)
    loss = mg.sum(mg.exp(bent) * steps)
picture = mg.visualize.svg(tape.explain(loss, x))
"""


def test_the_picture_of_the_readme_is_what_the_library_draws() -> None:
    names: dict[str, Any] = {}
    exec(compile(MODEL, "model.py", "exec"), names)
    shown = Path(__file__).parents[2] / "docs" / "explain.svg"
    assert names["picture"].text == shown.read_text("utf-8"), "names['picture'].save(shown)"
