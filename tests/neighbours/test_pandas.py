"""pandas takes tensors as arrays, and tensors take what pandas has."""

import numpy as np
import pandas as pd
import pytest

import minigrad as mg
from minigrad.errors import SpecError

X = mg.constant(np.arange(6.0))


def test_series_frames_and_indices_are_made_of_tensors() -> None:
    assert pd.Series(X).tolist() == list(range(6)) and pd.Series(X).dtype == np.float64
    assert pd.Series(mg.Variable([1.0, 2.0])).dtype == np.float32
    assert pd.DataFrame(mg.reshape(X, (2, 3)), columns=list("abc")).b.tolist() == [1.0, 4.0]
    frame = pd.DataFrame({"x": X, "n": mg.astype(X, mg.int32)}).assign(y=X * 2.0)
    assert [str(dtype) for dtype in frame.dtypes] == ["float64", "int32", "float64"]
    assert frame.y.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert pd.Index(mg.constant([3, 1])).tolist() == [3, 1]
    assert pd.Series(np.arange(6))[mg.constant([1, 2])].tolist() == [1, 2]
    assert pd.cut(X, 3).codes.tolist() == [0, 0, 1, 1, 2, 2]
    assert not pd.isna(X).any()


def test_a_frame_is_filled_and_does_not_change_the_tensor() -> None:
    frame = pd.DataFrame(mg.reshape(X, (2, 3)))
    frame.iloc[0, 0] = 9.0
    assert X[0].item() == 0.0


def test_arithmetic_of_both_is_by_element() -> None:
    series = pd.Series(np.ones(6))
    assert (series + X).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    with mg.GradientTape() as tape:
        tape.watch(X)
        y = mg.sum(X * series)
    np.testing.assert_array_equal(tape.gradient(y, X), np.ones(6))


def test_columns_become_tensors_and_those_without_numbers_are_refused() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    x = mg.asarray(frame)
    frame.iloc[0, 0] = 9.0
    np.testing.assert_array_equal(x, [[1.0, 3.0], [2.0, 4.0]])
    assert mg.asarray(frame.b).dtype == mg.float64
    for column in (["x", "y"], pd.to_datetime(["2020-01-01", "2020-01-02"]), pd.Categorical(["a"])):
        with pytest.raises(SpecError, match="was to become a tensor"):
            mg.asarray(pd.Series(column))
