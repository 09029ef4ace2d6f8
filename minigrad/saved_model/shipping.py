"""How a concrete function goes to other processes: as the bytes of a saved model."""

from __future__ import annotations

from typing import Any

from ..concrete import ConcreteFunction
from ..errors import ClientOnlyError
from .bodies import PythonInsideError
from .model import dumped, loaded


def reduced(concrete: ConcreteFunction) -> tuple[Any, ...]:
    """What pickle and copy keep of a concrete function.

    Raises ClientOnlyError where Python bodies are in it.
    """
    try:
        return loaded, (dumped(concrete),)
    except PythonInsideError as error:
        body = error.node.attrs["body"]
        raise ClientOnlyError(
            f"{concrete.name} was to be pickled or copied with {body.door} {body.name!r} in it, "
            f"called at {error.node.where}: it is Python that stays in the process that made it, "
            "and what is sent is graphs; write the body with minigrad's functions, or call the "
            "part that has it on this side"
        ) from error
