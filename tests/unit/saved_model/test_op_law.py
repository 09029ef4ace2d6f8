"""Every op that can be drawn, in a graph, is after loading what it was, to the bit."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.core.registry import OPS
from minigrad.errors import LinAlgError
from minigrad.saved_model.bodies import PYTHON, is_unsaved
from minigrad.saved_model.check import declared
from minigrad.saved_model.model import dumped, loaded
from minigrad.testing.strategies import applications, names


@pytest.mark.parametrize("name", sorted(names()))
@settings(max_examples=3, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_op_is_the_same_after_loading(name: str, data: st.DataObject) -> None:
    with np.errstate(all="ignore"):  # some are drawn by computing, with inf and nan
        application = data.draw(applications(name))
    tensors = [x for x in application.inputs if isinstance(x, np.ndarray)]

    def body(*xs: Any) -> Any:
        rest = iter(xs)
        inputs = [next(rest) if isinstance(x, np.ndarray) else x for x in application.inputs]
        return application(*inputs)

    try:
        f = mg.function(body).get_concrete_function(*tensors)
    except mg.errors.SpecError:
        reject()  # not defined for these dtypes
    found = loaded(dumped(f))
    with np.errstate(all="ignore"):
        try:
            expected = f(*tensors)
        except (LinAlgError, mg.errors.SpecError) as error:
            # a singular matrix, or no length, which is a tensor: it is so after loading
            with pytest.raises(type(error), match=re.escape(str(error))):
                found(*tensors)
            return
        for y, z in zip(expected, found(*tensors), strict=True):
            assert y.dtype == z.dtype and y.shape == z.shape
            np.testing.assert_array_equal(y, z)
    ours = [node.attrs for node in f.graph.nodes]
    assert [node.attrs for node in found.graph.nodes] == ours
    assert [type(v) for a in ours for v in a.values()] == [
        type(v) for node in found.graph.nodes for v in node.attrs.values()
    ]


def test_every_attribute_of_every_op_has_a_type_that_files_are_held_to() -> None:
    untyped = {
        f"{name}.{key}"
        for name, op in OPS.items()
        if name not in PYTHON and not is_unsaved(OPS[name])
        for key, kind in declared(op)[0].items()
        if kind is Any
    }
    # checked by name, by the op's own rule, or a message only
    known = {"cast.dtype", "fill.dtype", "check_shape.shape", "pad_with.value"}
    known |= {"replay.program", "replay.asked"}
    assert {key for key in untyped if not key.endswith(".dtype")} <= known
