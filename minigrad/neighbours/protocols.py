"""NumPy's two protocols of dispatch: `dispatch.py` answers them, and is loaded when first asked."""

from __future__ import annotations

from typing import Any

from ..core.later import later
from ..core.registry import api, publish

dispatch = later("neighbours.dispatch")


def array_ufunc(*call: Any) -> Any:
    """What a ufunc gives; see `dispatch.array_ufunc`, which takes the place of this."""
    api.array_ufunc = dispatch.array_ufunc
    return dispatch.array_ufunc(*call)


def array_function(*call: Any) -> Any:
    """What a function gives; see `dispatch.array_function`, which takes the place of this."""
    api.array_function = dispatch.array_function
    return dispatch.array_function(*call)


publish("array_ufunc", array_ufunc)
publish("array_function", array_function)
