"""How a program speaks in a terminal: chapters, paragraphs, code set in, and what was checked."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import Any

WIDTH = min(shutil.get_terminal_size((96, 24)).columns, 96)
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def styled(text: str, code: str) -> str:
    """`text` in a colour or weight of the terminal, if it has any. code: of ANSI, as "1;36"."""
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def heading(number: int, title: str) -> None:
    """Open a chapter."""
    line = f" {number}  {title} "
    print(f"\n{styled(line + '─' * (WIDTH - len(line)), '1;36')}\n")


def say(text: str) -> None:
    """A paragraph."""
    print(textwrap.fill(text, WIDTH - 1) + "\n")


def show(text: Any, first: int | None = None) -> None:
    """Code or output, set in and cut at the width; at most its `first` lines, None for all."""
    lines = textwrap.dedent(str(text)).strip("\n").splitlines()
    kept = lines[:first]
    if len(kept) < len(lines):
        kept.append(f"... {len(lines) - len(kept)} more lines")
    for line in kept:
        cut = line if len(line) <= WIDTH - 4 else line[: WIDTH - 5] + "…"
        print(styled("  │ ", "36") + cut)
    print(flush=True)


def quote(text: Any) -> None:
    """A message, word for word, set in and wrapped at the width."""
    wrapped = [
        textwrap.fill(line, WIDTH - 6, subsequent_indent="  ", break_long_words=False)
        for line in str(text).splitlines()
    ]
    show("\n".join(wrapped))


def check(holds: Any, claim: str) -> None:
    """State what holds; if it does not, end the program with an error."""
    if not holds:
        sys.exit(f"{styled('✗', '1;31')} this does not hold: {claim}")
    print(f"{styled('✓', '1;32')} {claim}\n")
