"""Where minigrad differs from TensorFlow on purpose: `intended.txt`, read."""

from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).with_name("intended.txt")


class Difference(NamedTuple):
    """One observation of a scenario, as each framework shows it, and why they differ."""

    scenario: str
    label: str
    tensorflow: str
    minigrad: str
    because: str


class PageError(Exception):
    """A page of differences that cannot be read."""


def parsed(page: str) -> list[Difference]:
    """The differences of a page: paragraphs of differences, indented, each behind its reason.

    Raises PageError for a line that is no difference.
    """
    found: list[Difference] = []
    reason = ""
    for paragraph in page.strip().split("\n\n"):
        if not paragraph.strip("\n").startswith(" "):
            reason = " ".join(paragraph.split())
            continue
        for line in paragraph.strip("\n").splitlines():
            names, bar, minigrad = line.partition(" | ")
            fields = names.strip().split(": ", 2)
            if not (bar and len(fields) == 3):
                raise PageError(f"not `scenario: observation: TensorFlow | minigrad`: {line}")
            found.append(Difference(*fields, minigrad, reason))
    return found


INTENDED = parsed(PAGE.read_text("utf-8"))
