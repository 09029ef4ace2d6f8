"""NumPy's floating-point warnings: ops give NaN and infinities without them, as IEEE 754 does.

Warnings that come of lines of minigrad are ignored, which costs nothing; those of other lines, of
the body of a numpy_function say, are the user's. Where warnings are made errors, `quietly` computes
again. Around whole graphs and gradients they are off, at a fifth of what `np.errstate` takes:

`quiet()` turns them off, and gives what `loud` needs to undo it. The variable under np.errstate
is NumPy's own business, so it may be missing; then its public form does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

try:
    _umath: Any = np._core.umath  # type: ignore[attr-defined]  # not among NumPy's stubs
    quiet: Callable[[], Any] = partial(
        _umath._extobj_contextvar.set, _umath._make_extobj(all="ignore")
    )
    loud: Callable[[Any], object] = _umath._extobj_contextvar.reset
except (AttributeError, TypeError):
    quiet = partial(np.seterr, all="ignore")

    def loud(old: Any) -> object:
        """Undo `quiet`."""
        return np.seterr(**old)


warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad\.")


def quietly(kernel: Callable[..., Any], *values: Any, **attrs: Any) -> Any:
    """What `kernel` gives, without a warning."""
    before = quiet()
    try:
        return kernel(*values, **attrs)
    finally:
        loud(before)
