"""stop_gradient: the identity that derivatives do not pass."""

from __future__ import annotations

from typing import Any

from ..core.define import pointwise


@pointwise(lambda b, x: x)
def stop_gradient(x: Any, /) -> Any:
    """`x` itself, as a constant for every derivative. x: any shape and dtype."""
    return x


stop_gradient.no_gradient("the value is passed on, its derivative is not", cut="stop_gradient")
