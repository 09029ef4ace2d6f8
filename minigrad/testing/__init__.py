"""What minigrad is tested with, for those who test what they build on it.

`check_grads`, `check_op`, `assert_modes_agree` and `assert_pure` are laws to hold a function to;
each gives a `Report`, or raises `LawError`, which has the lines that show the mistake again.
`strategies` draws what they are held for: it needs Hypothesis, of the extra `minigrad[testing]`.
`minigrad.testing.plugin` tells pytest to print failing programs, and to keep them as files.
"""

from importlib import import_module as _import_module

from .agree import assert_modes_agree
from .grads import check_grads
from .laws import check_op
from .pure import assert_pure
from .report import LawError, Report

__all__ = ["LawError", "Report", "assert_modes_agree", "assert_pure", "check_grads", "check_op"]
__all__ += ["strategies"]


def __getattr__(name: str) -> object:
    if name == "strategies":  # not before it is asked for: it needs Hypothesis
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"minigrad.testing has no {name!r}; it has {', '.join(__all__)}")
