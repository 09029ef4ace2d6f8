"""Bad input is refused in words: every public function, with what it does not expect.

Whatever is handed in, a function gives a result or raises an error of `minigrad.errors` that says
something; it allocates nothing huge, ends soon, and does not care how an array lies in memory.
"""

import inspect
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import tree
from minigrad.errors import AllocationError, MinigradError, SpecError
from tests.laws.budget import examples

X = np.arange(6, dtype=np.float32).reshape(2, 3)
FROZEN = X.copy()
FROZEN.flags.writeable = False
HUGE = 10**15  # 4 PB of float32: more than a machine can address

# arrays that are as good as any other
ODD: dict[str, Any] = {
    "strided": np.arange(24.0).reshape(4, 6)[::2, ::-2],
    "column": np.arange(6.0)[:, None][::2],
    "byte-swapped": X.astype(">f4"),
    "byte-swapped ints": np.arange(3).astype(">i2"),
    "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "read-only": FROZEN,
    "view of one element": np.broadcast_to(np.float32(2), (2, 3)),
    "unaligned": np.frombuffer(b"\0" + np.arange(3.0).tobytes(), np.uint8)[1:].view(np.float64),
    "matrix": np.arange(4.0).reshape(2, 2).view(type("Own", (np.ndarray,), {})),
}
# values that some function takes, and others do not
ODD_VALUES: dict[str, Any] = {
    **ODD,
    "floats": X,
    "tensor": mg.constant(X),
    "integers": mg.constant([1, 2]),
    "variable": mg.Variable([1.0, 2.0]),
    "square": np.eye(3),
    "empty": np.ones((0, 3)),
    "empty list": [],
    "scalar": np.float64(2),
    "0-d": np.array(3),
    "small": np.arange(3, dtype=np.uint8),
    "half": np.ones(3, np.float16),
    "bools": np.array([True, False, True]),
    "complex": np.ones((2, 2)) + 1j,
    "five axes": np.ones((1, 2, 1, 2, 1)),
    "NaN": np.array([np.nan, np.inf]),
    "nest": [[1.0, 2.0], [3.0, 4.0]],
    **{repr(x): x for x in (3, -7, 1.5, 1j, True, (0, 1), [1, 2], (-1, 0), (2, -3), range(3))},
}
# values that hardly any does
BAD: dict[str, Any] = {
    "objects": np.array([1, "a", None], object),
    "numbers as objects": np.array([1.0, 2.0], object),
    "structured": np.zeros(2, [("a", "f4"), ("b", "i4")]),
    "dates": np.array(["2020-01-01"], "M8[D]"),
    "durations": np.array([1, 2], "m8[s]"),
    "strings": np.array(["a", "b"]),
    "bytes": np.array([b"a"]),
    "void": np.void(b"abc"),
    "long double": np.ones(2, np.longdouble),
    "masked": np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]),
    "huge view": np.broadcast_to(np.float32(1), (HUGE, 10**3)),
    "ragged": [[1], [2, 3]],
    "uint64": np.uint64(2**64 - 1),
    "int64": np.int64(-(2**63)),
    "a function": lambda x: x,
    "an object": object(),
    "a type": object,
    "a dtype": np.dtype(np.float32),
    "a dict": {"a": 1},
    "a set": {1, 2},
    "a slice": slice(None),
    **{repr(x): x for x in (None, "abc", b"ab", ..., (), ["a"], [10**30], 10**30, -(10**30))},
    **{repr(x): x for x in (HUGE, (HUGE,), (HUGE, HUGE), float("nan"), float("inf"), (0, 0), (5,))},
}
VALUES = {**ODD_VALUES, **BAD}

# what takes functions, has no arguments to speak of, or is a module under change
LEFT_OUT = {
    "custom_gradient", "cond", "fori_loop", "function", "grad", "hessian", "hvp", "init_scope",
    "jacobian", "jvp", "map", "numpy_function", "py_function", "recompute_grad", "scan", "switch",
    "value_and_grad", "vjp", "vmap", "while_loop",
}  # fmt: skip
MODULES = ("fft", "linalg", "nn", "special")


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions of arrays, by name."""
    for module in ("", *MODULES):
        space = getattr(mg, module) if module else mg
        for name in space.__all__:
            function = getattr(space, name)
            plain = callable(function) and not isinstance(function, type)
            if plain and name not in LEFT_OUT and not name.startswith("__"):
                yield f"{module}.{name}".strip("."), function


FUNCTIONS = dict(public_functions())


@st.composite
def calls(draw: Any, function: Callable[..., Any], values: dict[str, Any]) -> tuple[Any, Any]:
    """The names of values for arguments of `function`: by position, and by keyword."""
    one = st.sampled_from(list(values))
    args: list[str] = []
    named: dict[str, str] = {}
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            args += draw(st.lists(one, max_size=3))
        elif p.kind is not p.VAR_KEYWORD and (p.default is p.empty or draw(st.booleans())):
            # the first is often as it should be, so that the others are looked at
            good = not args and draw(st.booleans())
            value = draw(st.sampled_from(["floats", "tensor", "square"])) if good else draw(one)
            if p.kind is p.KEYWORD_ONLY or (p.default is not p.empty and p.kind != 0):
                named[p.name] = value
            else:
                args.append(value)
    return args, named


@contextmanager
def soon(seconds: float = 5.0) -> Iterator[None]:
    """A block that fails where it takes longer."""

    def stop(*_: Any) -> None:
        raise AssertionError(f"this took longer than {seconds} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def called(function: Callable[..., Any], args: Any, named: Any, values: dict[str, Any]) -> Any:
    """What the function gives, or the error that it raises in words."""
    given_args = [values[key] for key in args]
    given_named = {name: values[key] for name, key in named.items()}
    try:
        with soon(), np.errstate(all="ignore"):
            return function(*given_args, **given_named)
    except MinigradError as error:
        message = str(error)
        assert len(message) > 30 and ";" in message, message
        return error


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
@examples(0.5)
@given(data=st.data())
def test_bad_input_is_refused_in_words(name: str, data: Any) -> None:
    function = FUNCTIONS[name]
    called(function, *data.draw(calls(function, VALUES)), VALUES)


NATIVE = {key: np.array(x, x.dtype.newbyteorder("="), order="C") for key, x in ODD.items()}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", sorted({*FUNCTIONS} - {"asarray", "from_dlpack"}))
@examples(0.2)
@given(data=st.data())
def test_how_an_array_lies_in_memory_makes_no_difference(name: str, data: Any) -> None:
    function = FUNCTIONS[name]
    args, named = data.draw(calls(function, {**ODD_VALUES, **ODD}))
    ours = called(function, args, named, ODD_VALUES)
    theirs = called(function, args, named, {**ODD_VALUES, **NATIVE})
    assert isinstance(ours, MinigradError) == isinstance(theirs, MinigradError)
    if not isinstance(ours, MinigradError):
        for y, z in zip(tree.flatten(ours)[0], tree.flatten(theirs)[0], strict=True):
            if isinstance(y, mg.Tensor):
                assert y.dtype == z.dtype and y.dtype.isnative
            np.testing.assert_array_equal(y, z)


# what the laws found, and what was silently another number before

REFUSED: list[tuple[str, type[Exception], str]] = [
    ("mg.zeros((10**9, 10**9))", AllocationError, r"fill .*float32\[1000000000,1000000000\]"),
    ("mg.zeros(10**30)", AllocationError, "would take more memory than there is"),
    ("mg.ones(10**15)", AllocationError, "compute it in parts"),
    ("mg.eye(10**9)", AllocationError, "would take more memory"),
    ("mg.arange(10**15)", AllocationError, "arange: from 0 to"),
    ("mg.linspace(0, 1, 10**15)", AllocationError, "linspace: "),
    ("mg.broadcast_to(1.0, (10**10, 10**10))", AllocationError, "broadcast"),
    ("mg.tile(mg.ones(3), (10**15,))", AllocationError, "would take"),
    ("mg.repeat(mg.ones(3), 10**15)", AllocationError, "would take"),
    ("mg.repeat(mg.ones(2), (10**15, 1))", AllocationError, "repeat"),
    ("mg.pad(mg.ones(3), 10**15)", AllocationError, "would take"),
    ("mg.nn.one_hot([1], 10**15)", AllocationError, "would take"),
    ("mg.broadcast_to(mg.ones(()), (10**9, 10**6)) + 1.0", AllocationError, "add of"),
    ("mg.asarray(np.broadcast_to(1.0, (10**9, 10**6)))", AllocationError, "a copy of ndarray"),
    ("mg.concat(np.broadcast_to(1.0, (10**9, 10**6)))", AllocationError, "a copy of"),
    ("mg.constant([300], dtype='uint8')", SpecError, r"\[300\] was to become a tensor of uint8"),
    ("mg.constant(-1, dtype='uint8')", SpecError, "does not fit"),
    ("mg.constant(1.5, dtype='int32')", SpecError, "numbers would be cut off"),
    ("mg.constant(float('nan'), dtype='int32')", SpecError, "does not fit"),
    ("mg.constant(2**63, dtype='int64')", SpecError, "does not fit"),
    ("mg.constant(1j, dtype='float32')", SpecError, "does not fit"),
    ("mg.full(2, 300, dtype='uint8')", SpecError, "does not fit"),
    ("mg.full(2, 1.5, dtype='int32')", SpecError, "does not fit"),
    ("mg.full_like(mg.constant([1]), 0.5)", SpecError, "does not fit"),
    ("mg.full_like(mg.ones(2), [[1], [2, 3]])", SpecError, "one number fills a tensor"),
    ("mg.split(mg.ones(3), [[1], [2, 3]])", SpecError, "a tuple of ints"),
    ("mg.linspace(10**30, 10**30, 3)", SpecError, "ints have 64 bits"),
    ("mg.full(2, np.ones(2))", SpecError, "one number fills a tensor"),
    ("mg.arange(300, dtype='int8')", SpecError, "does not fit"),
    ("mg.arange(0, 2, 0.5, dtype='int32')", SpecError, "does not fit"),
    ("mg.arange(0, float('nan'))", SpecError, "write real, finite numbers"),
    ("mg.pad(mg.constant([1]), 1, constant_values=0.5)", SpecError, "does not fit"),
    ("mg.Variable([1, 2]).assign([1.5, 2])", SpecError, "int32"),
    ("mg.asarray(np.ma.masked_array([1.0], [1]))", SpecError, r"write x.filled\(0\)"),
    ("mg.ones(2) + None", SpecError, "its inputs are tensors and numbers"),
    ("mg.sin(10**30)", SpecError, "NumPy, which computes it, refuses"),
    ("mg.sum(mg.ones(2), axis=np.ones(3))", SpecError, "an axis is an int"),
    ("mg.sum(mg.ones(2), keepdims=np.ones(3))", SpecError, "True or False"),
    ("mg.sum(mg.ones(2), keepdims='no')", SpecError, "True or False"),
    ("mg.sum(mg.ones(2), dtype=np.ones(2))", SpecError, "a dtype was needed"),
    ("mg.ones(2, device=np.ones(2))", SpecError, "cpu"),
    ("mg.concat(iter([mg.ones(2)]))", SpecError, "list or tuple"),
    ("mg.tensordot(mg.ones(2), mg.ones(2), axes=10**12)", SpecError, "axes are summed in pairs"),
    ("mg.special.polygamma(10**9, 1.0)", SpecError, "to 170"),
    ("mg.fft.fft(mg.ones(4), norm=np.ones(2))", SpecError, "norm="),
    ("mg.fft.fftn(mg.ones(4), axes=np.ones(1))", SpecError, "an axis is an int"),
    ("mg.fft.rfftfreq(10**15)", AllocationError, "rfftfreq: 1000000000000000 points"),
    ("mg.fft.fftfreq(4, d=mg.ones(2))", SpecError, "d is a real number"),
    ("mg.linalg.matrix_norm(mg.ones((2, 2)), ord=np.ones(2))", SpecError, "ord is a real number"),
    ("mg.linalg.vector_norm(mg.ones(2), ord=[1])", SpecError, "ord is a real number"),
    ("mg.linalg.diagonal(mg.ones((2, 2)), offset=np.ones(2))", SpecError, "offset is an int"),
    ("mg.linalg.qr(mg.ones((2, 2)), mode=np.ones(2))", SpecError, "mode="),
    ("mg.linalg.cholesky(mg.ones((2, 2)), upper=np.ones(2))", SpecError, "True or False"),
    ("mg.nn.dropout(mg.ones(2), 'a')", SpecError, "rate is a real number"),
]


@pytest.mark.parametrize(("expression", "kind", "message"), REFUSED)
def test_what_was_wrong_once_is_refused(
    expression: str, kind: type[Exception], message: str
) -> None:
    with soon(), pytest.raises(kind, match=message):
        eval(expression, {"mg": mg, "np": np})


def test_memory_that_there_is_not_is_a_memory_error_too() -> None:
    with pytest.raises(MemoryError):
        mg.zeros((10**9, 10**9))
    with pytest.raises(AllocationError):
        mg.function(lambda: mg.zeros((10**9, 10**9)))()


def test_numbers_that_fit_are_taken() -> None:
    assert mg.constant(2.0, dtype="int32").item() == 2
    assert mg.constant([True, False], dtype="int8").numpy().tolist() == [1, 0]
    assert mg.constant(2**64 - 1, dtype="uint64").item() == 2**64 - 1
    assert mg.constant([1, 0], dtype="bool").numpy().tolist() == [True, False]
    assert mg.constant(np.array([1.7]), dtype="int32").item() == 1
    assert mg.diff(mg.ones(3), n=10**9).shape == (0,)
    hot = mg.nn.one_hot(mg.constant([5], dtype="uint8"), 300)
    assert hot.shape == (1, 300) and mg.sum(hot).item() == 1


def test_bounds_that_are_tensors_pass_gradients() -> None:
    def body(a: Any, b: Any) -> Any:
        weights = mg.constant([1.0, 2.0, 3.0, 4.0])
        return mg.sum(mg.linspace(a, b, 4) * weights) + mg.sum(mg.arange(a, b, 0.5) ** 2)

    a, b = mg.constant(1.0), mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch((a, b))
        y = body(a, b)
    da, db = tape.gradient(y, (a, b))
    assert da.item() == pytest.approx(10 / 3 + 2 * (1.0 + 1.5 + 2.0 + 2.5))
    assert db.item() == pytest.approx(20 / 3)
