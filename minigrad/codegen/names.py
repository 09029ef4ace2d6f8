"""The names in a loop: which are used, which are divided by, which differ between rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .bodies import divides_by
from .loops import Apply, DType, Fold, Load, Loop, Scan, Statement, Store, Update


def used(body: Sequence[Statement]) -> Iterator[tuple[str, DType]]:
    """The operands of the statements in a vector loop, by name, and the dtype they are taken in."""
    for statement in body:
        match statement:
            case Apply():
                pairs = list(zip(statement.operands, statement.dtypes, strict=True))
            case Store() | Update():
                pairs = [(statement.value, statement.place.buffer.dtype)]
            case Fold():
                pairs = [(statement.value, statement.dtype)]
            case Load() if statement.inside:
                pairs = [(statement.inside, np.dtype(np.bool_))]
            case Scan():
                pairs = [(x, statement.dtype) for x in statement.operands]
            case _:
                pairs = []
        if isinstance(statement, Load | Store | Update):
            pairs += [(name, np.dtype(np.int64)) for name, _ in statement.place.at]
        yield from [(x, dtype) for x, dtype in pairs if isinstance(x, str)]


def defined(body: Sequence[Statement]) -> Iterator[str]:
    """The names that statements give, but for those in loops among them."""
    for statement in body:
        match statement:
            case Load() | Apply() | Fold() | Scan():
                yield statement.name
            case Loop():
                yield from [fold.name for fold in statement.folds]


def divided_by(body: Sequence[Statement]) -> Iterator[tuple[str, DType]]:
    """The operands that the statements in a vector loop divide by, and their dtypes."""
    for statement in body:
        if isinstance(statement, Apply) and statement.op is not None:
            for k in divides_by(statement.op, statement.dtypes, statement.dtype):
                operand = statement.operands[k]
                if isinstance(operand, str):
                    yield operand, statement.dtypes[k]


def varying(
    body: Sequence[Statement], block: str = "", own: str = "", names: set[str] | None = None
) -> set[str]:
    """The values that differ between the rounds of a block; `block` is what goes in blocks."""
    found: set[str] = set() if names is None else names
    for statement in body:
        match statement:
            case Loop(each=True):
                varying(statement.body, names=found)
            case Loop(var=var):
                varying(statement.body, var if statement.block > 1 else block, var, found)
            case Load(place=place):
                moves = block and (place.stride(block) or place.buffer.role == "scratch")
                if moves or not found.isdisjoint([statement.inside, *dict(place.at)]):
                    found.add(statement.name)
            case Apply():
                if not found.isdisjoint(statement.operands):
                    found.add(statement.name)
            case Fold():
                if statement.value in found and own != block:
                    found.add(statement.name)
    return found
