"""What the library says of itself to those who write for any array library: versions, dtypes."""

from __future__ import annotations

from typing import Any

from .core.spec import DEFAULTS, DTYPES, DType
from .ops.create import check_device
from .ops.dtypes import KINDS, dtypes_of_kind

# the standard has no float16
STANDARD_DTYPES = {name: dtype for name, dtype in DTYPES.items() if name != "float16"}


class Info:
    """The namespace that `mg.__array_namespace_info__()` gives. Array API: inspection."""

    @staticmethod
    def capabilities() -> dict[str, Any]:
        """What is optional in the standard, and whether it is here.

        Shapes that depend on values are unknown dims in a traced function, and computed by
        library calls in a compiled one.
        """
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    @staticmethod
    def default_device() -> str:
        """Where tensors are made: "cpu"."""
        return "cpu"

    @staticmethod
    def default_dtypes(*, device: Any = None) -> dict[str, DType]:
        """The dtypes of what is made of Python numbers, and of indices, by kind."""
        check_device(device)
        return {
            "real floating": DEFAULTS[float],
            "complex floating": DEFAULTS[complex],
            "integral": DEFAULTS[int],
            "indexing": DTYPES["int64"],
        }

    @staticmethod
    def dtypes(*, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The dtypes of the standard, by name.

        kind: None for all; or a kind, or a tuple of kinds, as in `mg.isdtype`.
        """
        check_device(device)
        wanted = dtypes_of_kind("dtypes", tuple(KINDS) if kind is None else kind)
        return {name: dtype for name, dtype in STANDARD_DTYPES.items() if dtype in wanted}

    @staticmethod
    def devices() -> tuple[str, ...]:
        """Where tensors can be: ("cpu",)."""
        return ("cpu",)


def __array_namespace_info__() -> Info:  # noqa: N807  (the standard's name)
    """What the library can do, for those who write for any. Array API: inspection."""
    return Info()
