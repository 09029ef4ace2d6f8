"""How many examples a law takes: a share of what the Hypothesis profile grants."""

from typing import Any

from hypothesis import HealthCheck, settings


def examples(share: float = 1.0) -> Any:
    """Settings with `share` of the profile's examples, at least two.

    Slowness alone is no failure: the first example of a compiled law pays for the compiler.
    """
    count = max(2, round(settings.default.max_examples * share))
    return settings(max_examples=count, suppress_health_check=[HealthCheck.too_slow])
