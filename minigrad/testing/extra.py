"""Hypothesis, which the extra `minigrad[testing]` installs; or the words for its absence."""

try:
    from hypothesis import HealthCheck, Phase, given, note, settings
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise
    raise ModuleNotFoundError(
        "minigrad.testing: strategies, and checks that draw their inputs, were asked for, and "
        "hypothesis is not installed; it draws them; write: pip install 'minigrad[testing]', or "
        "hand in inputs: check_grads(f, x) and check_op(f, x) do without",
        name="hypothesis",
    ) from None

__all__ = ["HealthCheck", "Phase", "given", "note", "settings", "st"]
