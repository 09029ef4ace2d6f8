"""A diagram as SVG text: colours, boxes, arrows."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from .diagram import Box, Diagram, cut
from .layout import Layout, Place, layered

CHARACTER = 0.602  # of the font size: the width of a character of a monospaced font
TITLE, LINE = 12.5, 10.5  # font sizes, in pixels as all here
LEADING = 1.35
PADDING = 9.0
MARGIN = 18.0
HEAD = 5.0  # of an arrow


class Colour(NamedTuple):
    """How a kind of box looks, and what the legend calls it; "" where it is not in the legend."""

    name: str
    fill: str
    border: str
    ink: str


COLOURS = {
    "input": Colour("input", "#e6eefb", "#4a74b8", "#1f3f73"),
    "variable": Colour("variable", "#fff2cf", "#c08a1e", "#6d4c06"),
    "constant": Colour("tensor", "#f3efe6", "#a1917a", "#564a38"),
    "pointwise": Colour("elementwise", "#e1f4e7", "#3b9360", "#17502f"),
    "reduction": Colour("reduction", "#eee5fb", "#7d55c7", "#43247d"),
    "move": Colour("moves elements", "#eceef1", "#858d99", "#3d434c"),
    "product": Colour("product", "#fde6d8", "#d26a2a", "#7a3508"),
    "library": Colour("library call", "#dcf2f4", "#2c8c9b", "#0f4f59"),
    "python": Colour("Python body", "#fce1f0", "#c2418b", "#75144c"),
    "opaque": Colour("opaque", "#fddcdc", "#cf2e2e", "#7c1010"),
    "cut": Colour("a cut", "#fff5f5", "#d7191c", "#a50f15"),
    "group": Colour("group", "#fbfcfe", "#8fa3c4", "#2d4468"),
    "output": Colour("output", "#2f3a4c", "#2f3a4c", "#ffffff"),
    "port": Colour("", "#dfe6f2", "#8fa3c4", "#2d4468"),
    "note": Colour("", "none", "#9aa3b0", "#667080"),
}
ROUND = ("input", "variable", "constant", "output", "port")
DASHED = ("group", "note", "cut")

STYLE = """
.mg-svg{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.mg-svg .mg-t{font-size:12.5px;font-weight:600}
.mg-svg .mg-l{font-size:10.5px;opacity:.78}
.mg-svg .mg-e{fill:none;stroke:#9aa6b8;stroke-width:1.3}
.mg-svg .mg-a{fill:#9aa6b8}
.mg-svg .mg-e.mg-x{stroke:#d7191c;stroke-width:2.2}
.mg-svg .mg-a.mg-x{fill:#d7191c}
.mg-svg .mg-k{font-size:10.5px;fill:#667080}
.mg-svg g.mg-b:hover>rect{stroke-width:2.4}
"""


class SVG:
    """A picture as SVG text; notebooks show it, `save` writes it to a file.

    text: the whole document. width, height: in pixels.
    """

    def __init__(self, text: str, width: float, height: float) -> None:
        self.text = text
        self.width = width
        self.height = height

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture to the file `path`, such as "graph.svg"."""
        Path(path).write_text(self.text, "utf-8")

    def _repr_html_(self) -> str:
        return f'<div style="overflow:auto;max-height:80vh">{self.text}</div>'

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<mg.visualize.SVG of {self.width:.0f} x {self.height:.0f}>"


@dataclass(frozen=True)
class Drawing:
    """A piece of a picture, its top left corner at 0, 0."""

    text: str
    width: float
    height: float


def picture(diagram: Diagram) -> SVG:
    """The whole picture of a diagram, with a legend of the kinds that occur."""
    body = drawn(diagram)
    heading = f'<text class="mg-k" x="{MARGIN}" y="{MARGIN}">{escape(cut(diagram.title))}</text>'
    legend = drawn_legend(sorted(kinds(diagram), key=list(COLOURS).index))
    width = max(body.width, legend.width) + 2 * MARGIN
    top = 1.7 * MARGIN
    height = top + body.height + legend.height + 2 * MARGIN
    left = (width - body.width) / 2
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mg-svg" role="img" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        f"<title>{escape(diagram.title)}</title><style>{STYLE}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="#fff"/>'
        f"{heading}{moved(body, left, top)}{moved(legend, MARGIN, body.height + top + MARGIN)}"
        "</svg>\n"
    )
    return SVG(text, width, height)


def drawn(diagram: Diagram) -> Drawing:
    """The boxes and arrows of a diagram."""
    boxes = [drawn_box(box) for box in diagram.boxes]
    layout = layered([(box.width, box.height) for box in boxes], diagram.arrows)
    cuts = {
        place for box, place in zip(diagram.boxes, layout.boxes, strict=True) if box.kind == "cut"
    }
    arrows = "".join(drawn_arrows(layout, cuts))
    placed = [
        moved(box, place.x - place.width / 2, place.y)
        for box, place in zip(boxes, layout.boxes, strict=True)
    ]
    return Drawing(arrows + "".join(placed), layout.width, max(layout.height, 0.0))


def drawn_part(diagram: Diagram, *, alone: bool) -> Drawing:
    """A graph inside of a box, under its title unless it is the only one there."""
    body = drawn(diagram)
    if alone:
        return body
    width = max(body.width, len(diagram.title) * LINE * CHARACTER)
    top = LINE * LEADING
    title = f'<text class="mg-k" x="0" y="{LINE:.1f}">{escape(diagram.title)}</text>'
    return Drawing(title + moved(body, (width - body.width) / 2, top), width, body.height + top)


def moved(drawing: Drawing, x: float, y: float) -> str:
    """A drawing at another place."""
    return f'<g transform="translate({x:.1f} {y:.1f})">{drawing.text}</g>'


# boxes


def drawn_box(box: Box) -> Drawing:
    """One box, with its text and the graphs that it holds."""
    lines = text_lines(box)
    inner = [drawn_part(part, alone=len(box.parts) == 1) for part in box.parts]
    inside = sum([part.width for part in inner]) + 2 * PADDING * (len(inner) - 1)
    wide = max([len(line) * size * CHARACTER for line, size, _ in lines], default=4.0)
    width = max(wide, inside) + 2 * PADDING
    y = 2.5 if box.kind == "port" else 0.75 * PADDING
    height = 2 * y + sum([size * LEADING for _, size, _ in lines])
    parts = []
    for line, size, style in lines:
        y += size * LEADING
        parts.append(
            f'<text class="{style}" x="{width / 2:.1f}" y="{y - 0.35 * size:.1f}" '
            f'text-anchor="middle" fill="{COLOURS[box.kind].ink}">{escape(line)}</text>'
        )
    x = (width - inside) / 2
    for part in inner:
        parts.append(moved(part, x, height))
        x += part.width + 2 * PADDING
    height += max([part.height + 1.2 * PADDING for part in inner], default=0.0)
    tip = f"<title>{escape(box.tooltip)}</title>" if box.tooltip else ""
    text = f'<g class="mg-b">{tip}{frame(box, width, height)}{"".join(parts)}</g>'
    return Drawing(text, width, height)


def text_lines(box: Box) -> list[tuple[str, float, str]]:
    """The lines of a box: text, size of the font, class of the style."""
    if box.kind == "port":
        return [(box.title, LINE, "mg-l")]
    return [(box.title, TITLE, "mg-t"), *[(line, LINE, "mg-l") for line in box.lines]]


def frame(box: Box, width: float, height: float) -> str:
    """The rectangle of a box."""
    colour = COLOURS[box.kind]
    radius = min(height / 2, 15.0) if box.kind in ROUND else 6.0
    dashes = ' stroke-dasharray="5 3"' if box.kind in DASHED else ""
    return (
        f'<rect width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}" '
        f'fill="{colour.fill}" stroke="{colour.border}" stroke-width="1.3"{dashes}/>'
    )


def kinds(diagram: Diagram) -> set[str]:
    """The kinds of boxes in a diagram and its parts."""
    found = {box.kind for box in diagram.boxes}
    for box in diagram.boxes:
        for part in box.parts:
            found |= kinds(part)
    return found


def drawn_legend(found: list[str]) -> Drawing:
    """What the colours mean, in one row."""
    x, parts = 0.0, []
    for kind in found:
        name, fill, border, _ = COLOURS[kind]
        if name:
            parts.append(
                f'<rect x="{x:.1f}" y="1" width="12" height="12" rx="3" fill="{fill}" '
                f'stroke="{border}"/><text class="mg-k" x="{x + 17:.1f}" y="11">{name}</text>'
            )
            x += 17 + len(name) * LINE * CHARACTER + 16
    return Drawing("".join(parts), max(x - 16, 0.0), 14.0)


# arrows


def drawn_arrows(layout: Layout, cuts: set[Place]) -> list[str]:
    """The joints: curves between the layers, straight inside of them, a head at each box.

    Those that lead to one of `cuts`, or away from it, are red.
    """
    paths = []
    for upper, lower in layout.joints:
        x0, y0 = upper.x, upper.bottom
        x1, y1 = entry(lower, upper), lower.top
        start = upper.top if upper.trunk else upper.y + upper.height
        end = y1 if lower.trunk else lower.y - HEAD
        bend = (y1 - y0) / 2
        style = " mg-x" if upper in cuts or lower in cuts else ""
        paths.append(
            f'<path class="mg-e{style}" d="M{x0:.1f} {start:.1f}V{y0:.1f}C{x0:.1f} {y0 + bend:.1f} '
            f'{x1:.1f} {y1 - bend - HEAD:.1f} {x1:.1f} {y1 - HEAD:.1f}V{end:.1f}"/>'
        )
        if not lower.trunk:
            paths.append(
                f'<path class="mg-a{style}" d="M{x1 - 3.4:.1f} {end - 1:.1f}h6.8'
                f'l-3.4 {HEAD + 1:.1f}z"/>'
            )
    return paths


def entry(box: Place, source: Place) -> float:
    """Where along its top a box is reached by the arrow from `source`: in the order of these."""
    if box.trunk:
        return box.x
    sources = sorted(box.above, key=lambda p: p.x)
    share = (sources.index(source) + 1) / (len(sources) + 1)
    return box.x + (share - 0.5) * min(box.width, 24.0 * (len(sources) + 1))
