"""A module in two: loops, and functions that only call, which LLVM makes in a tenth of the time.

Even where it is told to leave a function as it is, LLVM's better code generator goes over it many
times, and takes half a millisecond; the quick one makes half a dozen meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

FUNCTION = re.compile(r"^define .*?^}\n", re.DOTALL | re.MULTILINE)
NAME = re.compile(r'@("[^"]+"|[\w.]+)')
SHARED = ("declare ", "attributes ", "!")
"""How lines begin that mean the same in both modules; and those with EXTERNAL do."""
EXTERNAL = " = external "
ASSEMBLY = "module asm "
"""How lines of assembly begin, of functions that are only called."""


WORTH = 3
"""Functions that only call from which on a second module, to be read and linked, is worth it."""


class Part(NamedTuple):
    """A module, and which code generator is to make it."""

    text: str
    quick: bool


def parts(ir: str) -> list[Part]:
    """The modules that the LLVM assembly `ir` is linked of; one, where nothing is gained by two."""
    functions = FUNCTION.findall(ir)
    calling = [function for function in functions if is_quick(function)]
    working = [function for function in functions if not is_quick(function)]
    if len(calling) < WORTH or not working:
        return [Part(ir, quick=not working)]
    rest = FUNCTION.sub("", ir).splitlines()
    own = [line for line in rest if not line.startswith(ASSEMBLY)]
    common = [line for line in rest if line.startswith((ASSEMBLY, *SHARED)) or EXTERNAL in line]
    return [
        Part(linked(own, working, calling), quick=False),
        Part(linked(common, calling, working), quick=True),
    ]


def only_calls(ir: str) -> bool:
    """Whether the quick generator makes all of `ir` as well: it has no loops for the other."""
    return all(map(is_quick, FUNCTION.findall(ir)))


def is_quick(function: str) -> bool:
    """Whether `function` was opened as one that only calls."""
    return head(function).endswith(("#1", "optnone"))


def head(function: str) -> str:
    """The first line of `function`, but for its brace."""
    return function.partition("\n")[0].removesuffix(" {")


def linked(rest: Sequence[str], own: Sequence[str], others: Sequence[str]) -> str:
    """The module of `rest` and the functions `own`, which call and are called by `others`."""
    wanted = {name for function in others for name in NAME.findall(function)}
    named = {name for function in own for name in NAME.findall(function)}
    visible = [
        function.replace("define internal ", "define ", 1)
        if name_of(function) in wanted
        else function
        for function in own
    ]
    declared = [declaration(function) for function in others if name_of(function) in named]
    return "\n".join([*rest, *declared, *visible])


def name_of(function: str) -> str:
    """What `function` is called, as it is spelled."""
    found = NAME.search(function)
    assert found is not None
    return found.group(1)


def declaration(function: str) -> str:
    """What declares `function` elsewhere."""
    known = head(function).replace("define internal ", "define ", 1)
    return known[: known.rindex(")") + 1].replace("define ", "declare ", 1)
