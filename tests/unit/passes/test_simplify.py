"""Simplified graphs give the same values, to the bit, for every kind of number."""

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.registry import OPS
from minigrad.core.spec import DTYPES, Spec
from minigrad.passes.dce import dce
from minigrad.passes.simplify import RULES, simplify
from minigrad.passes.verify import verify
from tests.unit.graphs import EXAMPLES, assert_same, documented, graph_of, run, squeezed, traced

# for each dtype kind the numbers that identities like to forget
ODD = {
    "f": [0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 1e-320],
    "i": [0, 1, -1, 7, 100, -128, 127, 3],
    "u": [0, 1, 2, 7, 100, 255, 127, 3],
    "b": [False, True] * 4,
    "c": [0j, complex(-0.0, -0.0), 1 + 2j, complex(np.inf, 0), complex(0, np.nan), 1j, -1, 2],
}


def odd(dtype: Any) -> np.ndarray[Any, Any]:
    """Odd numbers of a dtype, 2 by 4."""
    return np.array(ODD[np.dtype(dtype).kind]).astype(dtype).reshape(2, 4)


IDENTITIES: dict[str, Callable[[Any], Any]] = {
    "x * 1": lambda x: x * 1,
    "1 * x": lambda x: 1 * x,
    "x * 1.0": lambda x: x * 1.0,
    "x * True": lambda x: x * True,
    "x + 0": lambda x: x + 0,
    "x + -0.0": lambda x: x + -0.0,
    "-0.0 + x": lambda x: -0.0 + x,
    "x - 0": lambda x: x - 0,
    "x - 0.0": lambda x: x - 0.0,
    "x - -0.0": lambda x: x - -0.0,
    "x / 1": lambda x: x / 1,
    "x ** 1": lambda x: OPS["power"](x, 1),
    "+x": lambda x: +x,
    "-(-x)": lambda x: mg.negative(-x),
    "~~x": lambda x: ~(~x),
    "not not x": lambda x: mg.logical_not(mg.logical_not(x)),
    "flipped twice": lambda x: mg.flip(mg.flip(x, axis=0), axis=0),
    "flipped two ways": lambda x: mg.flip(mg.flip(x, axis=0), axis=1),
    "itself": mg.identity,
    "stopped": mg.stop_gradient,
    "conjugate": mg.conj,
    "real": mg.real,
    "floor": mg.floor,
    "round": mg.round,
    "where True": lambda x: mg.where(True, x, 0 * x),
    "where False": lambda x: mg.where(False, x[:1], x),
    "where one row": lambda x: mg.where(True, x[:1], x),
    **{
        f"cast to {middle.__name__} and {end.__name__}": (
            lambda x, middle=middle, end=end: mg.astype(mg.astype(x, middle), end)
        )
        for middle in (np.float32, np.float64, np.int64, np.complex128)
        for end in (np.float32, np.int32, np.float64)
    },
    "cast to its own": lambda x: OPS["cast"](x, dtype=x.dtype),
    "permuted twice": lambda x: mg.permute_dims(mg.permute_dims(x, (1, 0)), (1, 0)),
    "permuted": lambda x: mg.permute_dims(mg.permute_dims(x[None], (1, 2, 0)), (2, 1, 0)),
    "reshaped": lambda x: mg.reshape(mg.reshape(x, (8,))[None], (4, 2)),
    "reshaped back": lambda x: mg.squeeze(x[:, None, :], axis=1),
    "broadcast": lambda x: mg.broadcast_to(mg.broadcast_to(x, (3, 2, 4)), (5, 3, 2, 4)),
    "broadcast to its own": lambda x: mg.broadcast_to(x, (2, 4)),
    "checked": lambda x: mg.ensure_shape(x, (2, 4)),
    "sum over nothing": lambda x: OPS["reduce_sum"](x, axes=()),
    "product over nothing": lambda x: OPS["reduce_prod"](x, axes=()),
    "maximum over nothing": lambda x: OPS["reduce_max"](x, axes=()),
    "x[...]": lambda x: x[...],
    "x[:, :]": lambda x: x[:, :],
    "x[::-1]": lambda x: x[::-1],
    "rolled": lambda x: mg.roll(mg.roll(x, 1, axis=0), (3, -1), axis=(1, 0)),
    "rolled along both": lambda x: mg.roll(mg.roll(x, 1, axis=0), -1, axis=1),
    "rolled back": lambda x: mg.roll(mg.roll(x, 3, axis=1), -3, axis=1),
    "rolled by nothing": lambda x: mg.roll(x, (0, 2), axis=(0, 1)),
    "joined alone": lambda x: mg.concat([x]),
    "ones around": lambda x: mg.concat([mg.ones_like(x[:1]), x, mg.ones_like(x)]),
    "a nan behind": lambda x: mg.concat([x, mg.full_like(x[:, :3], math.nan)], axis=1),
    "two zeros": lambda x: mg.concat([mg.full_like(x, 0.0), x, mg.full_like(x, -0.0)]),
    "twice x": lambda x: mg.concat([x, mg.zeros_like(x), x]),
    "wider zeros": lambda x: mg.concat([mg.zeros((1, 4), dtype=np.float64), x]),
}


def test_as_documented() -> None:
    before, after = documented(simplify)
    assert squeezed(simplify(before)) == after


@pytest.mark.parametrize("name", EXAMPLES)
def test_values_stay(name: str) -> None:
    graph, inputs = traced(name)
    assert_same(run(verify(simplify(graph)), inputs), run(graph, inputs))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("identity", IDENTITIES)
def test_identities_hold_to_the_bit(identity: str, dtype: str) -> None:
    try:
        graph = graph_of(lambda x: [IDENTITIES[identity](x)], Spec((2, 4), dtype))
    except mg.errors.SpecError:
        return  # the op has no meaning for the dtype
    inputs = (odd(dtype),)
    assert_same(run(verify(simplify(graph)), inputs), run(graph, inputs))


def simplified(identity: str, dtype: Any = np.float64) -> list[str]:
    """The ops left of an identity."""
    graph = simplify(graph_of(lambda x: [IDENTITIES[identity](x)], Spec((2, 4), dtype)))
    return [node.op.name for node in dce(graph).nodes]


@pytest.mark.parametrize(
    "identity",
    [
        *("x * 1", "1 * x", "x + -0.0", "x - 0", "x / 1", "x ** 1", "+x", "-(-x)", "itself"),
        *("flipped twice", "stopped", "conjugate", "real", "where True", "where False"),
        *("cast to its own", "permuted twice", "reshaped back", "broadcast to its own"),
        *("checked", "maximum over nothing", "x[...]", "x[:, :]", "joined alone"),
        "rolled back",
    ],
)
def test_nothing_is_left_of(identity: str) -> None:
    assert simplified(identity) == []


@pytest.mark.parametrize("identity", ["permuted", "reshaped", "broadcast"])
def test_one_op_is_left_of(identity: str) -> None:
    assert len(simplified(identity)) <= 2


@pytest.mark.parametrize(
    ("identity", "op"),
    [
        *(("ones around", "pad_with"), ("a nan behind", "pad_with"), ("wider zeros", "pad_with")),
        *(("two zeros", "join"), ("twice x", "join")),
    ],
)
def test_one_number_around_a_tensor_is_margins(identity: str, op: str) -> None:
    assert op in simplified(identity)
    assert ("join" in simplified(identity)) == (op == "join")


def test_margins_of_another_dtype_stay_joined() -> None:
    assert "join" in simplified("wider zeros", np.float32)


@pytest.mark.parametrize(
    "identity", ["x + 0", "x - -0.0", "flipped two ways", "where one row", "sum over nothing"]
)
def test_what_is_no_identity_stays(identity: str) -> None:
    assert simplified(identity) != []


def test_integers_have_no_negative_zero() -> None:
    assert simplified("x + 0", np.int32) == []
    assert simplified("x * 1", np.complex64) == ["multiply"]


def test_a_choice_stays_where_the_other_branch_may_be_longer() -> None:
    row = Spec((None,), np.float64)
    graph = graph_of(lambda x, y: [mg.where(True, x, y)], row, row)
    inputs = (np.ones(1), np.ones(3))
    assert_same(run(simplify(graph), inputs), run(graph, inputs))


def test_casts_of_long_integers_round_twice() -> None:
    # to float64 a half of the last digit of float32 is rounded to even; the rest is lost
    x = np.array([2**62 + 2**38 + 1, -(2**62) - 2**38 - 1, 2**53 + 1])
    for dtype in (np.int64, np.uint64):
        graph = graph_of(
            lambda x: [mg.astype(mg.astype(x, mg.float64), mg.float32)], Spec((3,), dtype)
        )
        inputs = (x.astype(dtype),)
        assert_same(run(simplify(graph), inputs), run(graph, inputs))
    assert (x.astype(np.float64).astype(np.float32) != x.astype(np.float32)).any()


def test_rules_are_of_ops_that_exist() -> None:
    importlib.import_module("minigrad.ops.matrices")  # which is loaded when it is used
    assert set(RULES) <= set(OPS)


def test_a_long_chain_is_simplified_without_recursion() -> None:
    def body(x: Any) -> list[Any]:
        for _ in range(1000):
            x = mg.reshape(mg.reshape(x * 1, (6,)), (2, 3))
        return [x]

    assert dce(simplify(graph_of(body, Spec((2, 3))))).nodes == ()


@pytest.mark.parametrize("identity", ["rolled", "rolled along both", "rolled by nothing"])
def test_rolling_twice_is_rolling_once(identity: str) -> None:
    assert simplified(identity) == ["rotate"]
