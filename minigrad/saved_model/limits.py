"""What a file may ask of the loader, and the error of a file that asks for more or makes no sense.

The limits hold for the writer too: what it writes can be read.
"""

from __future__ import annotations

import reprlib
from typing import Any

from ..errors import SaveError

FORMAT = "minigrad saved model"
FORMAT_VERSION = 1

JSON_BYTES = 64 << 20  # of one JSON member
JSON_VALUES = 3_000_000  # in one JSON member; each takes about 100 bytes of memory
NESTING = 50  # of nests in nests, and of graphs in graphs
TUPLE = 4096  # entries of one attribute
RANK = 64  # axes; NumPy has no more
ELEMENTS = 2**62  # of one shape, as far as it is known
NODES = 1_000_000  # of one graph, when the graphs in it are written out
INTEGER = 2**64
NAME = 1000  # characters of a name


def damaged(what: str) -> SaveError:
    """The error of a file that is no saved model; `what` came in it."""
    return SaveError(
        f"a saved model was to be loaded, and {what}: that is not what minigrad writes, so the "
        "file is damaged or comes from elsewhere; save the model again, or load another copy"
    )


def require(condition: object, what: str, *shown: Any) -> None:
    """Raise SaveError, saying `what` came, unless `condition` holds.

    shown: values to end the sentence with, cut short; nothing is made of them before they are
    needed, for a file may have a large one where a small one belongs.
    """
    if not condition:
        raise damaged(" ".join([what, *map(reprlib.repr, shown)]))
