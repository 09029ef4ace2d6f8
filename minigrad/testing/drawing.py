"""Runs a check on drawn applications of an op, and shrinks the one that fails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core.op import Op
from .applications import Application
from .draws import ANY
from .extra import HealthCheck, given, settings
from .strategies import applications

WIDE = (np.float64,)


def held(check: Callable[[Application], None], op: Op, examples: int, *, smooth: bool) -> None:
    """Hold `examples` applications of `op` to `check`; its error is that of the smallest one.

    smooth: of float64, where there are derivatives; else of any dtypes and numbers.
    """
    drawn = applications(op, WIDE if smooth else ANY, smooth=smooth, numbers=not smooth)

    # slow is the first example of a compiled law: it pays for the compiler
    @settings(
        max_examples=examples,
        deadline=None,
        print_blob=False,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(application=drawn)
    def run(application: Application) -> None:
        check(application)

    run()
