"""Pictures of graphs and tapes, as SVG, made without other programs."""

from __future__ import annotations

from html import escape
from typing import Any

from ..errors import SpecError
from ..explain import Explanation
from ..graph import Graph
from ..tape import GradientTape
from .diagram import of_explanation, of_graph, of_record
from .picture import SVG, picture

__all__ = ["SVG", "escape", "svg"]


def svg(what: Any, /) -> SVG:
    """A picture of a graph, of what a tape has recorded, or of why a gradient is None.

    what: a graph, such as `f.graph_for(x)` gives, a concrete function, a GradientTape, or what
    `tape.explain(target, source)` gives. Boxes are coloured by what they do, opaque ones and cuts
    red; a pointer on one shows its line of the graph and the line of yours that asked for it.
    Notebooks show the result; `save` writes it.
    Raises SpecError for anything else.
    """
    if isinstance(what, Explanation):
        return picture(of_explanation(what))
    if isinstance(what, GradientTape):
        return picture(of_record(what.nodes, tuple(what.watched)))
    graph = getattr(what, "graph", what)
    if not isinstance(graph, Graph):
        raise SpecError(
            f"visualize.svg: {type(what).__name__} {what!r:.60} came; pictures are made of graphs, "
            "concrete functions, tapes and explanations; write mg.visualize.svg(f.graph_for(x))"
        )
    return picture(of_graph(graph))
