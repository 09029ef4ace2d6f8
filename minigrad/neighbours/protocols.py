"""What tensors are asked by protocol: NumPy's two of dispatch, and the standard's namespace.

NumPy's are answered by `dispatch.py`, which is loaded when it is first asked.
"""

from __future__ import annotations

import sys
from typing import Any

from ..core.later import later
from ..core.registry import api, publish
from ..errors import SpecError

# versions of the array API standard that the names of the package keep to
API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")

dispatch = later("neighbours.dispatch")


def array_ufunc(*call: Any) -> Any:
    """What a ufunc gives; see `dispatch.array_ufunc`, which takes the place of this."""
    api.array_ufunc = dispatch.array_ufunc
    return dispatch.array_ufunc(*call)


def array_function(*call: Any) -> Any:
    """What a function gives; see `dispatch.array_function`, which takes the place of this."""
    api.array_function = dispatch.array_function
    return dispatch.array_function(*call)


def array_namespace(api_version: str | None = None) -> Any:
    """The package itself, for those who write for any array library; they may name a version.

    Raises SpecError for a version of the array API standard that is not held.
    """
    if api_version not in (None, *API_VERSIONS):
        raise SpecError(
            f"__array_namespace__: api_version {api_version!r} was asked for; the array API "
            f"standard is held in the versions {', '.join(API_VERSIONS)}; name one of these"
        )
    return sys.modules["minigrad"]


publish("array_ufunc", array_ufunc)
publish("array_function", array_function)
publish("array_namespace", array_namespace)
