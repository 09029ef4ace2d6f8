"""Ops give NaN and infinities without warnings; those of a user's own NumPy code are kept."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg

X = mg.constant([1000.0, 0.0, -1.0])
LOUD: list[Callable[[Any], Any]] = [
    mg.exp,
    mg.log,
    mg.sqrt,
    lambda x: x / 0,
    lambda x: mg.where(x > 0, mg.log(x), 0.0),
    lambda x: x * 1e38 * 1e38,
    lambda x: mg.special.logit(x),
    lambda x: mg.astype(x * 1e30, mg.int32),
    lambda x: mg.sum(x * mg.inf),
]


@pytest.mark.parametrize("f", LOUD)
def test_ops_do_not_warn_even_where_warnings_are_errors(f: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(X)
        mg.function(f)(X)


def test_nothing_is_printed_by_default_and_warnings_of_bodies_are_the_users() -> None:
    code = (
        "import numpy as np, minigrad as mg\n"
        "x = mg.constant([1000.0, -1.0])\n"
        "mg.exp(x), mg.log(x), x / 0\n"
        "mg.numpy_function(np.exp, [x], mg.float32)\n"
        "mg.numpy_function(lambda a: np.exp(a), [x], mg.float32)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("RuntimeWarning") == 1
    assert "<string>:5: RuntimeWarning: overflow encountered in exp" in done.stderr


def test_a_body_that_warns_is_not_run_twice() -> None:
    runs = []

    def body(a: Any) -> Any:
        runs.append(a)
        return np.exp(a)

    for stateful in (True, False):
        with warnings.catch_warnings(), pytest.raises(RuntimeWarning, match="overflow"):
            warnings.simplefilter("error")
            mg.numpy_function(body, [X], mg.float32, stateful=stateful)
    assert len(runs) == 2


def test_numpy_itself_warns_as_before() -> None:
    mg.exp(X)
    with pytest.warns(RuntimeWarning, match="overflow"):
        np.exp(X.numpy())
