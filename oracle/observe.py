"""Observations: any nest of tensors, made JSON, compared up to rounding, and shown as text."""

import math
from typing import Any

import numpy as np

# relative to the largest magnitude of an array: two libraries round differently, no more
TOLERANCE = {"float16": 2e-3, "float32": 2e-5, "float64": 1e-9, "complex64": 2e-5}
FINEST = 1e-9
SHOWN = 12  # elements of an array in a text


def observed(value: Any) -> Any:
    """`value` as JSON."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [observed(x) for x in value]}
        case dict():
            return {"dict": {str(key): observed(x) for key, x in value.items()}}
    if hasattr(value, "dense_shape"):  # TensorFlow's sparse gradient of a gather
        value = sum_of_rows(value)
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"not an observation: {type(value).__name__} {value!r:.80}")
    flat = array.ravel()
    parts = flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat
    return {"dtype": str(array.dtype), "shape": list(array.shape), "values": parts.tolist()}


def sum_of_rows(slices: Any) -> np.ndarray:
    """Indexed slices as the array they stand for."""
    values = slices.values.numpy()
    dense = np.zeros(tuple(slices.dense_shape.numpy()), values.dtype)
    np.add.at(dense, slices.indices.numpy(), values)
    return dense


def alike(a: Any, b: Any) -> bool:
    """Whether two observations are the same. Errors are alike whatever they say."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return type(a) is type(b) and (a == b or is_near(a, b, 0.0))
    if "raises" in a or "raises" in b:
        return "raises" in a and "raises" in b
    if "values" in a and "values" in b:
        return (
            a["dtype"] == b["dtype"]
            and a["shape"] == b["shape"]
            and values_alike(a["values"], b["values"], TOLERANCE.get(a["dtype"], FINEST))
        )
    if a.keys() != b.keys():
        return False
    (ours,), (theirs,) = a.values(), b.values()
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(alike(ours[k], theirs[k]) for k in ours)
    return len(ours) == len(theirs) and all(map(alike, ours, theirs))


def values_alike(ours: list[Any], theirs: list[Any], tolerance: float) -> bool:
    """Whether the elements of two arrays are the same up to rounding."""
    if len(ours) != len(theirs):
        return False
    finite = [abs(x) for x in ours if math.isfinite(x)]
    slack = tolerance * max(finite, default=0.0)
    return all(is_near(x, y, slack) for x, y in zip(ours, theirs, strict=True))


def is_near(x: Any, y: Any, slack: float) -> bool:
    """Whether two numbers are equal, both nan, or differ by no more than `slack`."""
    if not isinstance(x, float | int) or not isinstance(y, float | int):
        return False
    return x == y or (x != x and y != y) or abs(x - y) <= slack


def shown(observation: Any) -> str:
    """An observation as text: `float32[2] 1 4`, `[None, 'a']`, `raises`."""
    match observation:
        case {"raises": _}:
            return "raises"
        case {"values": values, "dtype": dtype, "shape": shape}:
            more = f" ... of {len(values)}" if len(values) > SHOWN else ""
            # a zero is shown without its sign, which rounding decides
            numbers = " ".join(f"{x + 0.0:.6g}" for x in values[:SHOWN])
            return f"{dtype}[{','.join(map(str, shape))}] {numbers}{more}".strip()
        case {"list": items}:
            return f"[{', '.join(map(shown, items))}]"
        case {"tuple": items}:
            return f"({', '.join(map(shown, items))})"
        case {"dict": items}:
            return f"{{{', '.join(f'{key}: {shown(x)}' for key, x in items.items())}}}"
    return repr(observation)


def at_length(observation: Any) -> str:
    """The same with what an error said."""
    if isinstance(observation, dict) and "raises" in observation:
        lines = observation["message"].strip().splitlines() or [""]
        return f"raises {observation['raises']}: {lines[0][:160]}"
    return shown(observation)
