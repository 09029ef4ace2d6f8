"""Bad input: a clear, typed error, or the right answer; and no state half changed."""

import inspect
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import errors
from minigrad.errors import GradientError, MinigradError, SpecError, UncompilableError
from tests.unit.modes import both, everywhere, same, words

F32 = mg.float32
COMPILED = mg.function(jit_compile=True)


def test_every_error_says_symptom_and_remedy_and_is_of_a_type_that_python_users_catch() -> None:
    classes = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, MinigradError)
    ]
    assert len(classes) >= 10
    for cls in classes:
        assert cls.__doc__ and f"{cls.__name__}" in (errors.__doc__ or "")
    assert issubclass(errors.SpecError, ValueError) and issubclass(errors.SpecError, TypeError)
    assert issubclass(errors.IndexSpecError, IndexError)
    assert issubclass(errors.TraceError, TypeError)
    assert issubclass(errors.EscapedGradientError, GradientError)


DTYPES = (
    "bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64, "
    "complex64, complex128"
)
REFUSED = {
    "None": (
        lambda x: x / None,
        "divide: float32[2,3] and None came; its inputs are tensors and numbers; None stands for "
        "what is not there: for a length that a trace does not know, as in x.shape, write "
        "mg.shape(x)[axis]; for a gradient of None, zeros",
    ),
    "a shape with None": (
        lambda x: mg.zeros((2, None)),
        "full: a shape was needed and (2, None) came; a shape is an int or a tuple of ints; None "
        "is a length that a trace does not know, as in x.shape; write mg.shape(x)",
    ),
    "broadcasting": (
        lambda x: x + mg.ones(4),
        "add: float32[2,3] and float32[4] do not broadcast: on axis -1, 3 and 4 differ and neither "
        "is 1; reshape one of them, or insert an axis with x[..., None]",
    ),
    "three operands": (
        lambda x: mg.where(x > 0, x, mg.ones(7)),
        "where: bool[2,3] and float32[2,3] and float32[7] do not broadcast: on axis -1, 3 and 7 "
        "differ and neither is 1; reshape one of them, or insert an axis with x[..., None]",
    ),
    "axis": (
        lambda x: mg.sum(x, axis=2),
        "sum: axis 2 of a tensor with 2 axes; an axis is an int from -2 to 1; choose one of those",
    ),
    "axis twice": (
        lambda x: mg.sum(x, axis=(0, -2)),
        "sum: axis (0, -2) names one axis twice; name each axis once",
    ),
    "index": (
        lambda x: x[5],
        "index 5 on axis 0 of float32[2,3]: an index is from -2 to 1; choose one of those, or a "
        "slice, which is cut to fit",
    ),
    "dtype": (
        lambda x: mg.bitwise_and(x, x),
        "bitwise_and: not defined for float32[2,3] and float32[2,3] (ufunc 'bitwise_and' not "
        "supported for the input types, and the inputs could not be safely coerced to any "
        "supported types according to the casting rule ''safe''); cast with mg.astype(x, dtype) "
        "first",
    ),
    "no dtype": (
        lambda x: mg.astype(x, "float33"),
        f"a dtype was needed and 'float33' came; minigrad has {DTYPES}; write one of them, as in "
        "mg.float32",
    ),
    "no number": (
        lambda x: x * mg.constant("a"),
        f"str of dtype <U1 was to become a tensor: minigrad has {DTYPES}; convert it first, as in "
        "x.astype(np.float64)",
    ),
    "nothing": (
        lambda x: mg.constant(None),
        "NoneType None was to become a tensor: tensors hold numbers, and nothing else; pass a "
        "number, an array, or a list of them (of what is no list, list(x))",
    ),
    "too few": (
        lambda x: mg.where(x > 0),
        "where: not defined for bool[2,3] (where() missing 2 required positional arguments: 'x1' "
        "and 'x2'); pass as many as it takes",
    ),
    "ragged": (
        lambda x: x * mg.constant([[1.0], [1.0, 2.0]]),
        "list [[1.0], [1.0, 2.0]] was to become a tensor: setting an array element with a "
        "sequence. The requested array has an inhomogeneous shape after 1 dimensions. The "
        "detected shape was (2,) + inhomogeneous part.; tensors are rectangular and numeric; make "
        "the rows equally long, and the entries numbers",
    ),
    "matmul": (
        lambda x: mg.matmul(x, x),
        "matmul: float32[2,3] @ float32[2,3]: the last axis of x1 (3) must equal the second last "
        "of x2 (2); transpose one of them with .mT, or reshape it",
    ),
    "reshape": (
        lambda x: mg.reshape(x, (4, 2)),
        "reshape: float32[2,3] has 6 elements and the shape (4, 2) holds 8; reshaping keeps all "
        "elements; write dims whose product is the same, or one of them as -1",
    ),
    "concat": (
        lambda x: mg.concat([x, mg.ones((2, 3, 1))]),
        "concat: float32[2,3] and float32[2,3,1] differ in the number of axes; only the axis of "
        "concatenation, 0, may differ; reshape one of them, or write mg.stack",
    ),
    "permutation": (
        lambda x: mg.permute_dims(x, (0, 0)),
        "permute_dims: axes (0, 0) of float32[2,3]; every axis is named once; write a permutation "
        "of (0, 1)",
    ),
    "squeeze": (
        lambda x: mg.squeeze(x, axis=0),
        "squeeze: axis 0 of float32[2,3] has length 2; only axes of length 1 can be dropped; index "
        "it, or reduce it with mg.sum",
    ),
    "broadcast_to": (
        lambda x: mg.broadcast_to(x, (5, 3)),
        "broadcast_to: float32[2,3] to the shape (5, 3): counted from the last, each dim must be 1 "
        "or that of the target; reshape the tensor, or insert an axis with x[..., None]",
    ),
    "extreme of nothing": (
        lambda x: mg.max(x[:0], axis=0),
        "max, min: float32[0,3] along axes (0,): nothing has no extreme; reduce along an axis that "
        "is not empty, or write mg.concat with a value to start",
    ),
}


@everywhere
@pytest.mark.parametrize("name", REFUSED)
def test_refusals_have_the_same_words_everywhere(mode: Any, name: str) -> None:
    ask, message = REFUSED[name]
    with pytest.raises(SpecError) as error:
        mode(ask)(mg.ones((2, 3)))
    assert words(error.value) == message
    assert mg.executing_eagerly() and (mg.ones(2) + 1).numpy().tolist() == [2, 2]


@both
def test_an_unknown_keyword_is_refused(mode: Any) -> None:
    for ask in (lambda x: mg.sum(x, axes=0), lambda x: mg.exp(x, out=x), lambda x: mg.add(x)):
        with pytest.raises(TypeError):
            mode(ask)(mg.ones(2))
    with pytest.raises(TypeError):
        mg.function(lambda x: x, compile=True)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        mg.GradientTape(persist=True)  # type: ignore[call-arg]


def test_an_unknown_name_names_the_module() -> None:
    with pytest.raises(
        AttributeError, match=r"minigrad has no 'sined'; write mg\.sin; dir\(minigrad\)"
    ):
        _ = mg.sined  # type: ignore[attr-defined]


@everywhere
def test_nothing_and_scalars_and_nan_go_through(mode: Any) -> None:
    def body(x: Any) -> Any:
        return mg.sum(x * x), mg.exp(x), mg.max(x, axis=-1) if 0 not in x.shape else x

    for value in (np.zeros((0,)), np.zeros((2, 0, 3)), np.array(2.0), np.array([np.nan, 1.0])):
        if value.ndim == 0:
            found = mode(lambda x: (mg.sum(x * x), mg.exp(x)))(mg.constant(value))
            same(found, (4.0, np.exp(2.0)))
            continue
        total, e, rest = mode(body)(mg.constant(value))
        same((total, e), (np.sum(value * value), np.exp(value)))
        assert rest.shape == (value.shape if 0 in value.shape else value.shape[:-1])


@everywhere
def test_reductions_of_nothing_give_what_is_neutral(mode: Any) -> None:
    found = mode(lambda x: (mg.sum(x), mg.prod(x), mg.all(x > 0), mg.any(x > 0)))(mg.zeros(0))
    same(found, (0.0, 1.0, True, False))


@both
def test_a_chain_of_twenty_thousand_ops_needs_no_recursion(mode: Any) -> None:
    def body(x: Any) -> Any:
        for _ in range(20_000):
            x = x + 1.0
        return x

    x = mg.constant(0.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = mode(body)(x)
    assert (y.item(), tape.gradient(y, x).item()) == (20_000.0, 1.0)


def test_a_compiled_function_of_many_nodes() -> None:
    @COMPILED
    def f(x: Any) -> Any:
        for _ in range(1_000):
            x = x + 1.0
        return x

    same(f(mg.zeros(3)), np.full(3, 1000.0))


def test_a_refused_assignment_under_a_tape_leaves_variable_and_tape_as_they_were() -> None:
    v = mg.Variable([1.0, 2.0])
    with mg.GradientTape() as tape:
        y = mg.sum(v * v)
        with pytest.raises(SpecError):
            v.assign(mg.ones(3))
        with pytest.raises(SpecError):
            v.assign_add(mg.ones((2, 2)))
    same((v, tape.gradient(y, v)), (np.array([1.0, 2.0]), np.array([2.0, 4.0])))


def test_a_rejected_compilation_leaves_the_function_usable_elsewhere() -> None:
    v = mg.Variable(0.0)

    def step(x: Any) -> Any:
        v.assign_add(1.0)
        return mg.numpy_function(np.sinh, [x], F32)

    compiled, plain = COMPILED(step), mg.function(step)
    for _ in range(2):
        with pytest.raises(UncompilableError):
            compiled(mg.constant(1.0))
    assert v.numpy() == 0
    same(plain(mg.constant(1.0)), np.sinh(1.0))
    assert v.numpy() == 1


@everywhere
def test_an_error_in_a_nested_function_leaves_both_usable(mode: Any) -> None:
    fail = [True]
    inner = mg.function(lambda x: x + (mg.ones(7) if fail[0] else 1.0))
    outer = mode(lambda x: inner(x) * 2.0)
    with pytest.raises(SpecError):
        outer(mg.ones(3))
    fail[0] = False
    same(outer(mg.ones(3)), np.full(3, 4.0))


def test_a_shape_error_that_shows_at_run_time_names_the_line() -> None:
    @mg.function(input_signature=[mg.TensorSpec((None,), F32), mg.TensorSpec((None,), F32)])
    def f(x: Any, y: Any) -> Any:
        return x + y

    same(f([1.0], [1.0, 2.0]), np.array([2.0, 3.0]))
    with pytest.raises(SpecError, match=r"add: float32\[2\] and float32\[3\] do not") as error:
        f([1.0, 2.0], [1.0, 2.0, 3.0])
    assert [words(note) for note in error.value.__notes__] == [
        "in add, written at test_errors.py:LINE"
    ]


@pytest.mark.parametrize("jit", [False, True])
def test_python_that_meets_a_shape_which_is_not_known_is_told_of_mg_shape(jit: bool) -> None:
    noted = {
        (None, "x.shape is None for float32[...], of"): lambda x: mg.sum(x) / x.shape[0],
        ((None,), "x.shape holds None for float32[?], of"): lambda x: [
            x for _ in range(x.shape[0])
        ],
    }
    for (shape, start), f in noted.items():
        signature = [mg.TensorSpec(shape, F32)]
        traced = mg.function(f, input_signature=signature, jit_compile=jit)
        with pytest.raises(TypeError, match="NoneType") as error:
            traced(mg.ones(3))
        (note,) = error.value.__notes__
        assert note.startswith(start) and "write mg.shape(x)" in note
    length = mg.function(lambda x: mg.sum(x) / mg.shape(x)[0], input_signature=signature)
    assert length(mg.ones(3)).item() == 1
